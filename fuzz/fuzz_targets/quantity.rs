//! Any text is a quantity or is refused; what is read is printed so that it reads back.
#![no_main]

use jiyue::quantity::{bytes, count, months};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(size) = bytes(text) {
        assert_eq!(bytes(&size.to_string()), Ok(size), "{text:?}");
    }
    if let Ok(n) = count(text, &["核", "台", "个", "c", "vcpu"]) {
        assert_eq!(count(&n.to_string(), &[]), Ok(n), "{text:?}");
    }
    if let Ok(n) = months(text) {
        assert_eq!(months(&n.to_string()), Ok(n), "{text:?}");
    }
});
