//! Two directories, an empty line between them, and what one of them has lost.
#![no_main]

use wxsign::store::laws;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let text = wxsign_fuzz::text(input);
    let (known, stored) = text.split_once("\n\n").unwrap_or((text, ""));
    laws::directory(known, stored);
    laws::hint(text);
});
