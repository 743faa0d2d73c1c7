//! A list of page hosts, and behind it the address of a page.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (list, page) = wxsign_fuzz::texts(input);
    wxsign::laws::page_hosts(list, page);
});
