//! The body of /jsapi/signature and /jsapi/report.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::server::laws::page_body(input);
});
