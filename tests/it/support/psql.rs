//! psql, as somebody in the zone.

use std::process::Command;

pub struct Client {
    pub address: String,
    pub database: String,
}

impl Client {
    /// What it prints, or why it failed. The password is in psql's environment only.
    pub fn run(&self, role: &str, password: &str, sql: &str) -> Result<String, String> {
        let out = Command::new("psql")
            .args(["-XAtq", "-h", &self.address, "-U", role, "-d", &self.database, "-c", sql])
            .envs([("PGPASSWORD", password), ("PGCONNECT_TIMEOUT", "10")])
            .output()
            .expect("psql is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
    }
}
