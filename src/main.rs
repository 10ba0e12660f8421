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
        Command::Serve(args) => cli::local::serve(args).await,
        Command::Token(command) => cli::local::token(&cli.global, command).await,
        Command::Openapi => cli::local::openapi(),
        Command::Remote(command) => cli::run(&cli.global, command).await,
    }
}
