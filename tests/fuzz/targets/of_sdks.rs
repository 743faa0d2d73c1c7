//! The query of an SDK, and behind it the body of one.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (query, body) = wxsign_fuzz::split(input);
    wxsign::server::laws::of_sdks(wxsign_fuzz::text(query), body);
});
