//! Any text is a request document or is refused.
#![no_main]

use jiyue::{jurisdiction::Profile, request::raw::RawReport};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PROFILE: LazyLock<Profile> =
    LazyLock::new(|| Profile::embedded("xiangcheng").expect("it ships with the broker"));

fuzz_target!(|text: &str| {
    let _ = RawReport::read(text, &PROFILE);
});
