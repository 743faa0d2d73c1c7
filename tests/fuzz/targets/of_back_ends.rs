//! The query of a long poll, and behind it the body of a report.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (query, body) = wxsign_fuzz::split(input);
    wxsign::server::laws::of_back_ends(wxsign_fuzz::text(query), body);
});
