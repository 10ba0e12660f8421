//! Passwords that the broker makes for others, and how it keeps them until they are handed over: sealed by a key that lies
//! in a file of its own, apart from the database. Whoever gets a copy of the database has no password by it.

use crate::{ids::MachineId, text::hex};
use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::{
    fmt, fs,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Letters and digits that nobody takes for one another, and that no shell, URL or configuration file minds.
const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// 28 of them are 163 bits.
const LENGTH: usize = 28;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Of 32; nobody guesses 128 bits.
pub const MARK_BYTES: usize = 16;

/// A password in the clear; `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A new one; an error only when the operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut text = String::with_capacity(LENGTH);
        let mut bytes = [0_u8; 64];
        while text.len() < LENGTH {
            getrandom::fill(&mut bytes)?;
            // What lies beyond the last whole alphabet would favour its first letters.
            let even = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < 256 / 57 * 57);
            let letters = even.filter_map(|byte| ALPHABET.get(byte % 57));
            text.extend(letters.take(LENGTH - text.len()).map(|letter| char::from(*letter)));
        }
        Ok(Self(text))
    }

    /// For the few places that must have it: the seed, the check, the hand-over.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A password as the database keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Tells which key it was sealed by, and nothing more of the key.
    pub key_id: String,
    /// Nonce and ciphertext, Base64.
    pub text: String,
}

/// Seals and opens; clones share the key.
#[derive(Clone)]
pub struct Vault {
    cipher: Arc<XChaCha20Poly1305>,
    key_id: String,
    /// Of the key too, for marks; nothing that is sealed depends on it.
    marking: Arc<[u8]>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.key_id)
    }
}

/// A password could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("the operating system gives no randomness")]
    Randomness,
    #[error("sealed by another key ({sealed}) than this broker's ({ours})")]
    OtherKey { sealed: String, ours: String },
    /// Not by this key, not for this machine, or changed since.
    #[error("the sealed password cannot be opened")]
    Damaged,
}

/// The key file cannot be used; told without a byte of what is in it.
#[derive(Debug, thiserror::Error)]
#[error("secret_key_file：{fault}；{mend}")]
pub struct KeyFault {
    pub fault: String,
    pub mend: String,
}

impl Vault {
    fn new(key: [u8; KEY_BYTES]) -> Self {
        let digest = Sha256::digest([b"jiyue key id".as_slice(), &key].concat());
        let key_id = hex(digest.get(..8).unwrap_or_default());
        let marking = Sha256::digest([b"jiyue marks".as_slice(), &key].concat()).as_slice().into();
        Self { cipher: Arc::new(XChaCha20Poly1305::new(&key.into())), key_id, marking }
    }

    /// A mark that nobody without the key can make on these texts, for what callers bring back to us.
    pub fn mark(&self, purpose: &str, texts: &[&[u8]]) -> [u8; MARK_BYTES] {
        let mut whole = [0; MARK_BYTES];
        // HMAC takes keys of any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.marking) {
            for text in std::iter::once(&purpose.as_bytes()).chain(texts) {
                mac.update(&(text.len() as u64).to_be_bytes());
                mac.update(text);
            }
            whole.copy_from_slice(mac.finalize().into_bytes().get(..MARK_BYTES).unwrap_or(&[0; MARK_BYTES]));
        }
        whole
    }

    /// The key in the file; a new one where there is no file yet.
    pub fn open_or_create(file: &Path) -> Result<Self, KeyFault> {
        match fs::metadata(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(file)?,
            _ => {}
        }
        Self::from_file(file)
    }

    /// The key in the file, which has to be there.
    pub fn from_file(file: &Path) -> Result<Self, KeyFault> {
        read(file).map(Self::new)
    }

    /// Of the key: what sealed passwords are marked with.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// A new password for a machine, and its sealed form, which no other machine's row can be given.
    pub fn make(&self, machine: MachineId) -> Result<(Password, Sealed), VaultError> {
        let password = Password::generate().map_err(|_| VaultError::Randomness)?;
        let sealed = self.seal(machine, &password)?;
        Ok((password, sealed))
    }

    fn seal(&self, machine: MachineId, password: &Password) -> Result<Sealed, VaultError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| VaultError::Randomness)?;
        let payload = Payload { msg: password.0.as_bytes(), aad: machine.0.as_bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Damaged)?;
        Ok(Sealed { key_id: self.key_id.clone(), text: STANDARD.encode([nonce.as_slice(), &sealed].concat()) })
    }

    pub fn open(&self, machine: MachineId, sealed: &Sealed) -> Result<Password, VaultError> {
        if sealed.key_id != self.key_id {
            return Err(VaultError::OtherKey { sealed: sealed.key_id.clone(), ours: self.key_id.clone() });
        }
        let bytes = STANDARD.decode(&sealed.text).map_err(|_| VaultError::Damaged)?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Damaged)?;
        let payload = Payload { msg: rest, aad: machine.0.as_bytes() };
        let clear = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| VaultError::Damaged)?;
        String::from_utf8(clear).map(Password).map_err(|_| VaultError::Damaged)
    }
}

fn fault(fault: String, mend: &str) -> KeyFault {
    KeyFault { fault, mend: mend.to_owned() }
}

/// Whole under its name or not at all: another broker may be starting beside this one.
fn create(file: &Path) -> Result<(), KeyFault> {
    let shown = file.display();
    let cannot =
        |error: std::io::Error| fault(format!("{shown} 建不出来（{error}）"), "检查目录与权限，或在设置里换一个位置");
    let mut key = [0_u8; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| fault(format!("取不到随机数（{error}）"), "检查 /dev/urandom"))?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    let fresh = PathBuf::from(format!("{shown}.{}", uuid::Uuid::now_v7()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut new| writeln!(new, "{}", STANDARD.encode(key)).and_then(|()| new.sync_all()))
        // A link and not a rename: whoever came first stays.
        .and_then(|()| fs::hard_link(&fresh, file));
    let _ = fs::remove_file(&fresh);
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(cannot(error)),
        _ => Ok(()),
    }
}

/// The mode of a file that holds a secret, where others than its reader can read it too.
///
/// Accepted is what its owner alone can read; and, of a reader that is not root, what belongs to root and whose group can
/// read it and do no more. So a Secret is mounted for a pod with an `fsGroup`: the group is the pod's own, whoever owns it is
/// nobody in the pod, and there is no other way to read it. Root needs no group, so to root such a file is open to others.
pub fn open_to_others(metadata: &fs::Metadata) -> Option<u32> {
    let mode = metadata.permissions().mode() & 0o777;
    is_open(mode, metadata.uid(), rustix::process::geteuid().as_raw()).then_some(mode)
}

const fn is_open(mode: u32, owner: u32, reader: u32) -> bool {
    /// All but what the owner may, and that the group may read.
    const MORE: u32 = 0o037;
    let is_mounted = owner == 0 && reader != 0 && mode & MORE == 0;
    mode & 0o077 != 0 && !is_mounted
}

fn read(file: &Path) -> Result<[u8; KEY_BYTES], KeyFault> {
    let shown = file.display();
    let metadata = fs::metadata(file).map_err(|error| fault(format!("{shown} 打不开（{error}）"), "检查路径与权限"))?;
    if let Some(mode) = open_to_others(&metadata) {
        return Err(fault(format!("{shown} 的权限是 {mode:o}，别人也能读"), &format!("chmod 600 {shown}")));
    }
    let text = fs::read_to_string(file)
        .map_err(|error| fault(format!("{shown} 读不出（{error}）"), "它应当是本服务自己写成的一行 Base64"))?;
    let key = STANDARD.decode(text.trim()).ok().and_then(|key| key.try_into().ok());
    key.ok_or_else(|| {
        fault(format!("{shown} 的内容不是一把密钥"), "从备份恢复它；还没有封存过口令的，删除它，重新启动时会另写一把")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new([byte; KEY_BYTES])
    }

    #[test]
    fn passwords_are_long_plain_and_never_the_same() {
        let all: std::collections::BTreeSet<_> =
            (0..200).map(|_| Password::generate().unwrap().reveal().to_owned()).collect();
        assert_eq!(all.len(), 200);
        assert!(all.iter().all(|p| p.len() == LENGTH && p.bytes().all(|b| ALPHABET.contains(&b))));
        // Every letter comes up among 5,600, and none much more often than the others (98 on average).
        for letter in ALPHABET {
            let count = all.iter().flat_map(|p| p.bytes()).filter(|b| b == letter).count();
            assert!((40..200).contains(&count), "{} {count}", char::from(*letter));
        }
        assert_eq!(ALPHABET.iter().collect::<std::collections::BTreeSet<_>>().len(), 57);
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_key_for_its_machine_only() {
        let (vault, machine) = (vault(1), MachineId::new());
        let (password, sealed) = vault.make(machine).unwrap();
        assert_eq!(vault.clone().open(machine, &sealed), Ok(password.clone()));
        assert_ne!(vault.seal(machine, &password).unwrap(), sealed, "a nonce of its own each time");
        assert_eq!(vault.open(MachineId::new(), &sealed), Err(VaultError::Damaged));
        let other = Vault::new([2; KEY_BYTES]);
        assert!(matches!(other.open(machine, &sealed), Err(VaultError::OtherKey { .. })));
        let disguised = Sealed { key_id: other.key_id.clone(), ..sealed.clone() };
        assert_eq!(other.open(machine, &disguised), Err(VaultError::Damaged));
        let mut bytes = STANDARD.decode(&sealed.text).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            let changed = Sealed { text: STANDARD.encode(&bytes), ..sealed.clone() };
            assert_eq!(vault.open(machine, &changed), Err(VaultError::Damaged), "{at}");
            bytes[at] ^= 1;
        }
        for text in ["", "AAAA", "not base64"] {
            let short = Sealed { text: text.to_owned(), ..sealed.clone() };
            assert_eq!(vault.open(machine, &short), Err(VaultError::Damaged));
        }
        let shown = format!("{password:?} {sealed:?} {vault:?}");
        assert!(!shown.contains(password.reveal()), "{shown}");
    }

    #[test]
    fn a_file_of_roots_that_its_group_may_read_is_a_mounted_secret_and_root_needs_none() {
        const POD: u32 = 10_001;
        for (mode, owner, reader, open) in [
            (0o600, POD, POD, false),
            (0o400, 0, 0, false),
            (0o440, 0, POD, false),
            (0o640, 0, POD, false),
            // Root, whose own file this is, could have kept it to itself.
            (0o440, 0, 0, true),
            (0o440, POD, POD, true),
            (0o440, 1000, POD, true),
            (0o460, 0, POD, true),
            (0o450, 0, POD, true),
            (0o444, 0, POD, true),
            (0o604, POD, POD, true),
        ] {
            assert_eq!(is_open(mode, owner, reader), open, "{mode:o} of {owner}, read by {reader}");
        }
    }

    #[test]
    fn the_key_file_is_made_once_for_its_owner_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/secret.key");
        let first = Vault::open_or_create(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Vault::open_or_create(&file).unwrap().key_id, first.key_id);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing half-made stays");
        let other = Vault::open_or_create(&folder.path().join("other.key")).unwrap();
        assert_ne!(other.key_id, first.key_id);
        // Many at once: one key.
        let shared = folder.path().join("shared.key");
        let ids: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| Vault::open_or_create(&shared).unwrap().key_id)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(ids.len(), 1);
    }

    #[test]
    fn a_key_file_that_cannot_be_used_is_named_with_its_mend_and_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let good = STANDARD.encode([7; KEY_BYTES]);
        for (text, mode) in [(good.as_str(), 0o640), (good.as_str(), 0o604), ("c2hvcnQ=", 0o600), ("", 0o600)] {
            let file = folder.path().join(uuid::Uuid::now_v7().to_string());
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let fault = Vault::open_or_create(&file).unwrap_err().to_string();
            assert!(fault.contains(&file.display().to_string()) && fault.contains('；'), "{fault}");
            assert!(text.is_empty() || !fault.contains(text), "{fault}");
        }
        assert!(Vault::open_or_create(folder.path()).is_err());
        assert!(Vault::open_or_create(Path::new("/proc/nowhere/secret.key")).is_err());
    }
}
