//! Parse and hand over. What runs here on this machine (`serve`, `token`, `openapi`) is the server's; the rest speaks
//! HTTP to a server and stands in `cli`.

use jiyue::cli::{self, Command};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.command {
        Command::Serve(_) | Command::Token(_) | Command::Openapi => ExitCode::from(2),
        Command::Remote(command) => cli::run(&cli.global, command).await,
    }
}
