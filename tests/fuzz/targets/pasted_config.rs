//! What people paste into the debugger.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::laws::pasted_config(wxsign_fuzz::text(input));
});
