//! The password of the console, and the hash by which it is known again.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use rand::Rng;

use crate::credential::Secret;

/// The fewest characters of a password. Length is what counts: nothing else is asked for
/// (<https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver>).
pub const MIN_CHARS: usize = 12;

/// More than anybody types; it keeps hashing cheap.
const MAX_BYTES: usize = 1024;

/// 19 MiB, two passes, one lane
/// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id>).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A text that cannot be the password. It is not repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// It is too short.
    #[error("has fewer than {MIN_CHARS} characters: take a longer one, such as four words")]
    TooShort,
    /// It is too long.
    #[error("has more than {MAX_BYTES} bytes: take a shorter one")]
    TooLong,
}

/// Whether a text can be the password.
///
/// # Errors
/// Why it cannot.
pub fn check(text: &str) -> Result<(), Unfit> {
    if text.chars().count() < MIN_CHARS {
        Err(Unfit::TooShort)
    } else if text.len() > MAX_BYTES {
        Err(Unfit::TooLong)
    } else {
        Ok(())
    }
}

/// The hash of a password, with a salt of its own. It takes some 20 ms of one core and 19 MiB.
pub(super) fn hash(password: &Secret) -> Secret {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let hashed = argon2().hash_password_with_salt(password.expose().as_bytes(), &salt);
    Secret::new(hashed.expect("the parameters are constants").to_string())
}

/// Whether `hash` is that of the password. It takes as long for a wrong one as for the right one.
pub(super) fn is_right(password: &Secret, hash: &Secret) -> bool {
    let text = password.expose().as_bytes();
    text.len() <= MAX_BYTES
        && PasswordHash::new(hash.expose())
            .is_ok_and(|hash| argon2().verify_password(text, &hash).is_ok())
}

fn argon2() -> Argon2<'static> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let parameters = parameters.expect("the parameters are constants");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other_is_taken_for_it() {
        let password = Secret::new("correct horse battery 马");
        let (one, two) = (hash(&password), hash(&password));
        assert_ne!(one, two);
        let stored = one.expose();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(is_right(&password, &one) && is_right(&password, &two));
        for wrong in ["", "correct horse battery", "correct horse battery 马 "] {
            assert!(!is_right(&Secret::new(wrong), &one));
        }
        assert!(!is_right(&password, &Secret::new("$argon2id$broken")));
    }

    #[test]
    fn a_password_is_long_enough_in_any_script() {
        assert_eq!(check("elevenchars"), Err(Unfit::TooShort));
        assert_eq!(check("微信公众号中控服务器口令"), Ok(()));
        assert_eq!(check(&"a".repeat(1025)), Err(Unfit::TooLong));
    }
}
