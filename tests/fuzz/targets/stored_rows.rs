//! The row of an account or a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::store::laws::rows(input);
});
