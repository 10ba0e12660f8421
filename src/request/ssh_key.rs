//! SSH public keys: parsed and written anew, never passed on as they came. What a guest gets is one algorithm, one key,
//! no options, no comment.

use ssh_key::{PublicKey, public::KeyData};

/// Fewer bits of RSA are refused.
const MIN_RSA_BITS: u32 = 2048;
/// The longest line that is looked at: RSA of 16,384 bits takes some 2,800 characters.
const MAX_LEN: usize = 8192;

/// Why a key is refused. The messages are for people, stand inside a sentence, and never quote the key: someone may have
/// pasted the private half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyFault {
    #[error("这是私钥；私钥不得提交，请停用并更换这对密钥")]
    Private,
    #[error("DSA 密钥已不安全")]
    Dsa,
    #[error("RSA 密钥不足 2048 位")]
    WeakRsa,
    #[error("不支持这种类型的密钥")]
    Unsupported,
    #[error("不是一行 OpenSSH 格式的公钥")]
    Malformed,
}

/// The key as `algorithm base64`.
pub fn normalise(line: &str) -> Result<String, SshKeyFault> {
    let line = line.trim();
    if line.contains("PRIVATE KEY") {
        return Err(SshKeyFault::Private);
    }
    if line.len() > MAX_LEN || line.contains(char::is_control) {
        return Err(SshKeyFault::Malformed);
    }
    // Judged by its name as well: without its feature the parser cannot read a DSA key at all.
    if line.starts_with("ssh-dss ") {
        return Err(SshKeyFault::Dsa);
    }
    let mut key = PublicKey::from_openssh(line).map_err(|_| {
        if line.starts_with("ecdsa-sha2-") || line.starts_with("sk-ecdsa-sha2-") {
            SshKeyFault::Unsupported
        } else {
            SshKeyFault::Malformed
        }
    })?;
    match key.key_data() {
        KeyData::Rsa(rsa) if rsa.key_size() < MIN_RSA_BITS => return Err(SshKeyFault::WeakRsa),
        KeyData::Ed25519(_) | KeyData::Rsa(_) | KeyData::SkEd25519(_) => {}
        KeyData::Dsa(_) => return Err(SshKeyFault::Dsa),
        _ => return Err(SshKeyFault::Unsupported),
    }
    key.set_comment("");
    key.to_openssh().map(|text| text.trim().to_owned()).map_err(|_| SshKeyFault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMBOF11sz54+bPZs6DViXtHXPljimFjdnCDOdz0c5uq6";
    const RSA_3072: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDWECnHkQ8py6GIwwoTTk/fuQiDFVksRq51KU/cifWf3+djeVYeTmfYhxcdOKcNQihU/My0LVH9+cmgz3qDzon2qrKX2faO99X8jXfZWASFL0ZOy7aptksenOinrKVin2910AwSR2Ch8/BXhf4BLI9UgNkfVkMWezS19G0WJV3TH1xGLSxh+5uifkyaEEgbigc9HEcDZOjQ5H577+xLKgrw8RbHLdjH6SmPwAjNiuJSA+mLj7MOedVO/hyQwwMymcDD9XCtbE48Df5BM/JtNJDPtZduyHnJVLVDVsV3/DFhrmvitOph9ljMiVtYIMA+9o8BJ/KQ+ubR2pnb1OfcagWWFKjaf22CQB7ed6CCW1wdURAwIETICZHQwQY2MuWxzaz3eI9qKkKG1L/LOKypeszZm9m9RCKmSqzckNia10DUkVz5vDSrBSl2PiUMWpZDYFRramDQtmP42ztK7a1PjdAOS8KxdwocMJQwVMlWxXRas5UOACOcMOrRkeIBkyULMRc=";
    const RSA_1024: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCq4eaZ6JldD+dg8cPaYfYeWJ7H6WFlOfepcMdtQDx/4qmEFE9g46m2PBBqJYMuyhXZiaTiwNwzfWHYh94gzDmVpAd/mmmfvtGkG8MYhW6tw+lsuTC8nRJdQVQJioY89g61t+4zvzI+CiZfOqOftMFagPRNuXEJ5r1gTqmmfIKTWw== r";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJJxcUxYYt4KUgsMx1WGE28BpJgamZQH6P8LYSwPdqFfqeuFD5spYHnbXwve5IHfbYj1D/iqkr3BSwkcdNt5u84= e";
    const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAPlgMZJYqZOXdWg4u8ROWTPvpc+urhqKFAo/zFbAS0Dj+YwdaHxnz+OuIc/cmNgUm4GPTN+6lukK2yQN9HsJFMU4vd49CR4bH6+RpZZeJDjmZGfJ2Jw2jckclISF3un7+hfLMi5Ly9OnzR+JjqLpHxoXtIEJs6vq2hV2iemqnPnBAAAAFQD4Hh6YcP1PmnmcPUAkpupV5pC6GQAAAIEAn7MgBHO4aEop6jUCAcVir/yTbEoX9woPC5bNDdLNmD98wHnU8Elmnb/kcaEB8W+eDgna+AUhZ/4vJJucvA8G/FR41Pc3y806mGCa6ntmWNgLhHuhzH+ZkSZLnHLSdcIhZrkHtWiz9ocbcMJhLafLd3dC1EJdFPpKDyvUHS/WavIAAACBAOouS9OFj61azaYbO7yT7pQt0yI6y+3LIM0ZMDQqdAR9KhYtHbd8mNUxS9aZQBJ41qGAB1a1Mhn3VVHMGoHp2YX39vi6QSHkVDmCmL7hfn8t2w2Zd+1K0tFUeLqUcd8zbm2slNbVkMAuDJKc0q1K4z0Hn+mJyNJBv1ONTvwXjDtJ d";

    #[test]
    fn a_key_is_written_anew_without_its_comment() {
        let commented = format!("  {ED25519} 张三@办公室 <script>  ");
        assert_eq!(normalise(&commented).as_deref(), Ok(ED25519));
        assert_eq!(normalise(RSA_3072).as_deref(), Ok(RSA_3072));
    }

    #[test]
    fn what_is_no_sound_key_is_refused() {
        let (algorithm, base64) = ED25519.split_once(' ').unwrap();
        for (line, fault) in [
            (DSA.to_owned(), SshKeyFault::Dsa),
            (RSA_1024.to_owned(), SshKeyFault::WeakRsa),
            (ECDSA.to_owned(), SshKeyFault::Unsupported),
            (String::new(), SshKeyFault::Malformed),
            (algorithm.to_owned(), SshKeyFault::Malformed),
            (format!("ssh-rsa {base64}"), SshKeyFault::Malformed),
            (format!("{algorithm} {}", &base64[..40]), SshKeyFault::Malformed),
            (format!("command=\"sh\" {ED25519}"), SshKeyFault::Malformed),
            (format!("{ED25519}\n{ED25519}"), SshKeyFault::Malformed),
            (format!("{ED25519}\nruncmd: [sh]"), SshKeyFault::Malformed),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc".to_owned(), SshKeyFault::Private),
            ("a".repeat(100_000), SshKeyFault::Malformed),
        ] {
            assert_eq!(normalise(&line), Err(fault), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_plain(text in any::<String>()) {
            if let Ok(key) = normalise(&text) {
                prop_assert!(key.is_ascii() && key.split(' ').count() == 2);
            }
        }
    }
}
