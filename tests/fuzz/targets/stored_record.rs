//! The record of a credential.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::store::laws::record(input);
});
