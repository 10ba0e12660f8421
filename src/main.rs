//! Parse and hand over. What runs here on this machine (`serve`, `token`, `openapi`) is the server's; the rest speaks
//! HTTP to a server and stands in `cli`.

use jiyue::{
    cli::{self, Cli, Command},
    request::apart,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        // Before there is a runtime: its bounds hold for all that comes.
        Ok(Cli { command: Command::ReadForm, .. }) => apart::child(),
        Ok(cli) => run(cli),
        Err(code) => code,
    }
}

#[tokio::main]
async fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve(args) => cli::local::serve(args).await,
        Command::Token(command) => cli::local::token(&cli.global, command).await,
        Command::Openapi => cli::local::openapi(),
        Command::Rules(command) => cli::local::rules(&cli.global, command),
        Command::ReadForm => apart::child(),
        Command::Remote(command) => cli::run(&cli.global, command).await,
    }
}
