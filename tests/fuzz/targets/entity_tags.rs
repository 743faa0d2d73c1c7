//! The header If-None-Match.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::server::laws::entity_tags(input);
});
