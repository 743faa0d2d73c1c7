//! The header Authorization.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::server::laws::authorization(input);
});
