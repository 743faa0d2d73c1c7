//! The body that changes an account or a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::server::laws::drafts(input);
});
