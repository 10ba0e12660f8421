//! Whatever a .docx file holds, it is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = jiyue::request::form::read(&jiyue_fuzz::docx(data), "report.docx");
});
