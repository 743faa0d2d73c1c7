//! The header x-request-id.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::server::laws::request_id(input);
});
