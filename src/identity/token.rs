//! Bearer tokens: 256 bits from the operating system, of which only a digest is kept.

use crate::text::hex;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::fmt;

/// Starts every token, so that a scanner can find one that leaked.
const PREFIX: &str = "jiyue_";

/// A token's plain text. It is shown once, and never printed by accident: `Debug` hides it.
pub struct Secret(String);

impl Secret {
    /// A new one; an error only when the operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text as it came in a header; `None` when it cannot be one of ours.
    pub fn read(text: &str) -> Option<Self> {
        let body = text.strip_prefix(PREFIX)?;
        (body.len() == 43 && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
            .then(|| Self(text.to_owned()))
    }

    /// What is kept and looked up. A plain digest suffices for 256 random bits: there is nothing to guess.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// For the one time that it is printed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_and_never_printed() {
        let secret = Secret::generate().unwrap();
        assert_eq!(Secret::read(secret.reveal()).map(|s| s.digest()), Some(secret.digest()));
        assert!(!format!("{secret:?}").contains(secret.reveal()));
        assert!(Secret::read("jiyue_short").is_none());
        assert!(Secret::read(&secret.reveal().replace("jiyue_", "other_")).is_none());
    }
}
