//! AppIDs, names of clients and accounts, scopes, hashes, ends.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::laws::names(wxsign_fuzz::text(input));
});
