//! A master key, and behind it what is sealed with it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (key, bytes) = wxsign_fuzz::split(input);
    let key = wxsign_fuzz::text(key);
    wxsign::laws::sealed(key, "wx0123456789abcdef", bytes);
    wxsign::store::laws::sealed_record(key, bytes);
});
