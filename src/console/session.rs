//! Who is signed in, in a cookie: which token was shown, and until when that is believed, under a mark of the vault's. The
//! token itself is not in it, only the digest that it is kept by, so that a revoked token ends its sessions too. Pure.

use crate::{
    secret::{MARK_BYTES, Vault},
    text::hex,
};
use axum::http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};

/// A working day.
pub const LASTS: SignedDuration = SignedDuration::from_hours(8);
const PURPOSE: &str = "console session";
/// Browsers take a cookie of this name only with `Secure`, for this host alone and for all of it.
const OVER_TLS: &str = "__Host-jiyue";
const IN_THE_CLEAR: &str = "jiyue";

const fn name(secure: bool) -> &'static str {
    if secure { OVER_TLS } else { IN_THE_CLEAR }
}

fn mark(vault: &Vault, until: &str, digest: &str) -> String {
    let mark: [u8; MARK_BYTES] = vault.mark(PURPOSE, &[until.as_bytes(), digest.as_bytes()]);
    hex(&mark)
}

/// `Set-Cookie` of a session that begins.
pub fn begin(vault: &Vault, digest: &str, now: Timestamp, secure: bool) -> String {
    let until = (now + LASTS).as_second().to_string();
    let mark = mark(vault, &until, digest);
    cookie(&format!("{until}.{digest}.{mark}"), LASTS.as_secs(), secure)
}

/// `Set-Cookie` that ends whatever session there is.
pub fn end(secure: bool) -> String {
    cookie("", 0, secure)
}

fn cookie(value: &str, seconds: i64, secure: bool) -> String {
    let secured = if secure { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secured}", name(secure))
}

/// The digest of the token that a call's session stands for, if there is one that is ours and not over.
pub fn of(vault: &Vault, headers: &HeaderMap, now: Timestamp) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(key, _)| *key == OVER_TLS || *key == IN_THE_CLEAR);
    ours.find_map(|(_, value)| {
        let (until, rest) = value.split_once('.')?;
        let (digest, shown) = rest.split_once('.')?;
        let believed = alike(mark(vault, until, digest).as_bytes(), shown.as_bytes());
        let second: i64 = until.parse().ok()?;
        (believed && second > now.as_second()).then(|| digest.to_owned())
    })
}

/// In the same time wherever they differ.
fn alike(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn vault() -> (tempfile::TempDir, Vault) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open_or_create(&folder.path().join("key")).unwrap();
        (folder, vault)
    }

    fn sent(cookie: &str) -> HeaderMap {
        let pair = cookie.split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&format!("a=b; {pair}")).unwrap())])
    }

    #[test]
    fn a_session_is_ours_or_none_and_ends() {
        let (_folder, vault) = vault();
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let cookie = begin(&vault, "abc", now, true);
        assert!(
            cookie.starts_with("__Host-jiyue=") && cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"),
            "{cookie}"
        );
        assert!(!begin(&vault, "abc", now, false).contains("Secure"));
        assert_eq!(of(&vault, &sent(&cookie), now).as_deref(), Some("abc"));
        assert_eq!(of(&vault, &sent(&cookie), now + LASTS), None, "over");
        for changed in
            [cookie.replace("abc", "abd"), cookie.replacen("179", "189", 1), end(true), "__Host-jiyue=.".into()]
        {
            assert_eq!(of(&vault, &sent(&changed), now), None, "{changed}");
        }
        let (_other, other) = self::vault();
        assert_eq!(of(&other, &sent(&cookie), now), None, "another broker's key");
    }
}
