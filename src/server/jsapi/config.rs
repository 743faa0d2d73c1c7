//! The answer to a page that is signed.

use super::super::ahead::write_all;
use crate::clock::Timestamp;
use crate::keeper::Kept;
use crate::page_url::PageUrl;
use crate::signer::{Decimal, Nonce, Signature, Signer};

/// What `wx.config` wants, with the URL that was signed.
pub(in crate::server) struct Config<'a> {
    appid: &'a str,
    pub(in crate::server) now: Timestamp,
    timestamp: Decimal,
    nonce: Nonce,
    signature: Signature,
    pub(in crate::server) url: PageUrl<'a>,
}

impl<'a> Config<'a> {
    pub(super) fn new(kept: &'a Kept, signer: &Signer, url: PageUrl<'a>, now: Timestamp) -> Self {
        let (nonce, timestamp) = (Nonce::random(), Decimal::new(now.as_secs()));
        kept.count_signature();
        Self {
            appid: kept.account.appid.for_config(),
            now,
            signature: signer.sign_text(nonce.as_ref(), timestamp.as_ref(), url.as_str()),
            timestamp,
            nonce,
            url,
        }
    }

    /// What stands before the URL.
    fn parts(&self) -> [&[u8]; 9] {
        [
            br#"{"appId":""#,
            self.appid.as_bytes(),
            br#"","timestamp":"#,
            self.timestamp.as_ref(),
            br#","nonceStr":""#,
            self.nonce.as_ref(),
            br#"","signature":""#,
            self.signature.as_ref(),
            br#"","url":""#,
        ]
    }

    /// The length of the JSON, in bytes.
    pub(in crate::server) fn length(&self) -> usize {
        let url = self.url.as_str();
        let escaped = url.len() + memchr::memchr_iter(b'"', url.as_bytes()).count();
        let parts: usize = self.parts().iter().map(|part| part.len()).sum();
        parts + escaped + END.len()
    }

    /// Writes the JSON.
    pub(in crate::server) fn write_into(&self, out: &mut Vec<u8>) {
        write_all(out, &self.parts());
        // A page's URL is printable ASCII without a backslash: only quotes need one.
        let url = self.url.as_str().as_bytes();
        let mut rest = 0;
        for quote in memchr::memchr_iter(b'"', url) {
            write_all(out, &[&url[rest..quote], br"\"]);
            rest = quote;
        }
        write_all(out, &[&url[rest..], END]);
    }

    /// The JSON.
    pub(in crate::server) fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.length());
        self.write_into(&mut json);
        json
    }
}

/// What stands behind the URL.
const END: &[u8] = br#""}"#;
