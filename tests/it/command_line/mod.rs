//! The real binary at the command line: what it can do, what shells and `man` make of it, and how it behaves against a
//! server that answers as it is told.

mod coverage;
mod newcomer;
mod real;
mod server;
mod shells;
mod watching;

use std::{
    path::Path,
    process::{Command, Output},
};

/// The binary with nothing of this process's settings: `home` is its home, and English is not chosen by accident.
fn jiyue(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jiyue"));
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TZ", "UTC");
    command.args(args);
    command
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
