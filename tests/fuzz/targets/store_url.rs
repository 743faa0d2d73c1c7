//! The URL of a store.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::laws::store_url(wxsign_fuzz::text(input));
});
