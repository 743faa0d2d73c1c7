//! An answer of WeChat, behind its status.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (status, body) = wxsign_fuzz::split(input);
    let status = wxsign_fuzz::text(status).parse().unwrap_or(200);
    wxsign::laws::upstream_answer(status, body);
});
