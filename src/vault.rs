//! Keeps AppSecrets and records unreadable where they are stored: XChaCha20-Poly1305 under the
//! master key (<https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha-03>).
//!
//! The AppID is authenticated along with the AppSecret, so that the secret of one account cannot
//! be put into the row of another.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::Rng;
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::AppId;
use crate::credential::Secret;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// What AppSecrets are sealed with: 32 random bytes. It cannot be printed, and its memory is
/// wiped when it is dropped.
pub struct MasterKey(SecretSlice<u8>);

impl FromStr for MasterKey {
    type Err = InvalidMasterKey;

    /// Reads 64 hexadecimal digits or 44 characters of base64.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = match text.len() {
            64 => from_hex(text),
            44 => STANDARD.decode(text).ok(),
            _ => None,
        };
        bytes
            .map(|bytes| Self(bytes.into()))
            .filter(|key| key.0.expose_secret().len() == KEY_BYTES)
            .ok_or(InvalidMasterKey)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

impl Clone for MasterKey {
    fn clone(&self) -> Self {
        Self(self.0.expose_secret().to_vec().into())
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The text is not a master key. It is not repeated: it may be one with a letter missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be 64 hexadecimal digits or 44 characters of base64: openssl rand -hex 32 makes one")]
pub struct InvalidMasterKey;

/// An AppSecret that only the one who has the master key can read: a nonce, and behind it what
/// was sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_owned())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// Seals and opens AppSecrets with one master key.
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

impl Vault {
    /// A vault with this key.
    pub fn new(key: &MasterKey) -> Self {
        let cipher = XChaCha20Poly1305::new_from_slice(key.0.expose_secret());
        Self {
            cipher: cipher.expect("a master key has 32 bytes"),
        }
    }

    /// Makes `secret`, which is the AppSecret of `appid`, unreadable.
    pub fn seal(&self, appid: &AppId, secret: &Secret) -> Sealed {
        Sealed(self.seal_bytes(appid.as_str(), secret.expose().as_bytes()))
    }

    /// Makes the AppSecret of `appid` readable again.
    ///
    /// # Errors
    /// It was sealed with another master key, for another account, or it was changed since.
    pub fn open(&self, appid: &AppId, sealed: &Sealed) -> Result<Secret, WrongKey> {
        let opened = self.open_bytes(appid.as_str(), &sealed.0)?;
        let text = String::from_utf8(opened).map_err(|_| WrongKey)?;
        Ok(Secret::new(text))
    }

    /// Makes `bytes`, which belong to `name`, unreadable: a nonce, and behind it what was sealed.
    pub fn seal_bytes(&self, name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload {
            msg: bytes,
            aad: name.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("only a text of 256 GB is too long");
        [&nonce[..], &sealed].concat()
    }

    /// Makes what belongs to `name` readable again.
    ///
    /// # Errors
    /// It was sealed with another master key, for another name, or it was changed since.
    pub fn open_bytes(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, WrongKey> {
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(WrongKey)?;
        let payload = Payload {
            msg: sealed,
            aad: name.as_bytes(),
        };
        let nonce: [u8; NONCE_BYTES] = *nonce;
        let opened = self.cipher.decrypt(&XNonce::from(nonce), payload);
        opened.map_err(|_| WrongKey)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

/// The master key does not fit what was sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it was sealed with another master key")]
pub struct WrongKey;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn vault(key: &str) -> Vault {
        Vault::new(&key.parse().unwrap())
    }

    fn appid(last: u8) -> AppId {
        format!("wx{last:016x}").parse().unwrap()
    }

    #[test]
    fn a_key_is_64_digits_or_44_characters_of_base64() {
        assert_eq!(HEX.parse::<MasterKey>(), BASE64.parse());
        let [short, long] = [&HEX[1..], &format!("{HEX}0")];
        let no_digits = HEX.replace('f', "g").replace('F', "G");
        let no_base64 = BASE64.replace('A', "*");
        let no_end = BASE64.replace('=', "A");
        let wide = "微".repeat(16) + &"a".repeat(16);
        for bad in ["", short, long, &no_digits, &no_base64, &no_end, &wide] {
            assert_eq!(bad.parse::<MasterKey>(), Err(InvalidMasterKey), "{bad}");
        }
    }

    #[test]
    fn what_was_sealed_is_opened_with_the_same_key_and_no_other() {
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        let sealed = vault(HEX).seal(&appid(1), &secret);
        assert_eq!(vault(BASE64).open(&appid(1), &sealed), Ok(secret));
        let other = HEX.replace("00", "01");
        assert_eq!(vault(&other).open(&appid(1), &sealed), Err(WrongKey));
    }

    #[test]
    fn the_secret_of_one_account_is_not_that_of_another() {
        let sealed = vault(HEX).seal(&appid(1), &Secret::new("secret"));
        assert_eq!(vault(HEX).open(&appid(2), &sealed), Err(WrongKey));
    }

    #[test]
    fn no_byte_can_be_changed_or_left_out() {
        let vault = vault(HEX);
        let sealed = vault.seal(&appid(1), &Secret::new("secret"));
        for at in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[at] ^= 1;
            assert_eq!(vault.open(&appid(1), &changed), Err(WrongKey), "{at}");
            changed.0.truncate(at);
            assert_eq!(vault.open(&appid(1), &changed), Err(WrongKey), "{at}");
        }
    }

    #[test]
    fn one_secret_is_sealed_in_another_way_each_time() {
        let vault = vault(HEX);
        let [one, two] = [(); 2].map(|()| vault.seal(&appid(1), &Secret::new("secret")));
        assert_ne!(one, two);
        assert_ne!(one.0[..NONCE_BYTES], two.0[..NONCE_BYTES]);
    }

    #[test]
    fn what_is_sealed_reads_back_from_json() {
        let sealed = vault(HEX).seal(&appid(1), &Secret::new("secret"));
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(serde_json::from_str::<Sealed>(&json).unwrap(), sealed);
        assert!(serde_json::from_str::<Sealed>("\"*\"").is_err());
    }

    #[test]
    fn neither_key_nor_secret_is_printed() {
        let key: MasterKey = HEX.parse().unwrap();
        let vault = Vault::new(&key);
        let sealed = vault.seal(&appid(1), &Secret::new("secret"));
        let said = format!("{key:?} {vault:?} {sealed:?} {WrongKey:?} {InvalidMasterKey:?}");
        assert!(!said.contains("0001") && !said.contains("secret"), "{said}");
        assert!(said.starts_with("MasterKey(…) Vault(…)"), "{said}");
    }

    proptest! {
        #[test]
        fn what_was_never_sealed_is_never_opened(
            key in "[0-9a-f]{64}|[A-Za-z0-9+/]{43}=|.{0,70}",
            bytes in any::<Vec<u8>>(),
        ) {
            crate::laws::sealed(&key, "wx0123456789abcdef", &bytes);
            crate::store::laws::sealed_record(&key, &[&[1], &bytes[..]].concat());
            crate::store::laws::sealed_record(&key, &bytes);
        }
    }
}
