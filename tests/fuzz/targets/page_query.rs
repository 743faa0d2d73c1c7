//! The query of /jsapi/signature.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::server::laws::page_query(wxsign_fuzz::text(input));
});
