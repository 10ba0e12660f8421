//! ssh, as whoever has the private half of the key that a machine was asked for with.

use super::guest;
use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

pub struct Key(PathBuf);

impl Key {
    pub fn new() -> Self {
        let file = super::scratch("ssh").join("key");
        guest::run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file));
        Self(file)
    }

    pub fn public(&self) -> String {
        std::fs::read_to_string(self.0.with_extension("pub")).expect("its public half").trim().to_owned()
    }

    /// What root's command prints when it is told `input`; or its exit code (255 when there is no connection) and why.
    pub fn run(&self, address: &str, command: &str, input: &str) -> Result<String, (Option<i32>, String)> {
        let mut ssh = Command::new("ssh")
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5"])
            .args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-i"])
            .arg(&self.0)
            .args([&format!("root@{address}"), command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ssh is installed");
        // Without a connection nobody reads it; the exit code says so.
        let _ = ssh.stdin.take().expect("piped").write_all(input.as_bytes());
        let out = ssh.wait_with_output().expect("ssh ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err((out.status.code(), text(&out.stderr))) }
    }
}
