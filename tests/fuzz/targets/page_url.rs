//! The address of a page, read by four parsers.
#![no_main]

use wxsign_fuzz::{browser, server, standard, text};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    wxsign::laws::page_url(text(input), &[browser, standard, server]);
});
