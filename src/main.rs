//! Parse and hand over. What runs here on this machine (`serve`, `token`, `openapi`) is the server's; the rest speaks
//! HTTP to a server and stands in `cli`.

use jiyue::{
    cli::{self, Cli, Command},
    request::apart,
};
use mimalloc::MiMalloc;
use std::{process::ExitCode, time::Duration};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Calls to hosts that are still under way when all else has ended. One may take hours (an image, a journey); it goes on
/// without us or is begun anew by the next start, so nobody waits for it.
const LAST_CALLS: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        // Before there is a runtime: its bounds hold for all that comes.
        Ok(Cli { command: Command::ReadForm, .. }) => apart::child(),
        Ok(cli) => start(cli),
        Err(code) => code,
    }
}

fn start(cli: Cli) -> ExitCode {
    jiyue::client::install_ciphers();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("无法启动：{error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(cli));
    runtime.shutdown_timeout(LAST_CALLS);
    code
}

async fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve(args) => cli::local::serve(args).await,
        Command::Doctor(args) => cli::doctor::run(&cli.global, args).await,
        Command::Token(command) => cli::local::token(&cli.global, command).await,
        Command::Openapi => cli::local::openapi(),
        Command::Crd => cli::local::crd(),
        Command::Dashboards { to } => cli::local::dashboards(&cli.global, &to),
        Command::Context(command) => cli::context(&cli.global, command),
        Command::Completion { shell } => cli::completion::completion(shell),
        Command::Man { to } => cli::completion::man(&cli.global, &to),
        Command::Rules(command) => cli::local::rules(&cli.global, command),
        Command::ReadForm => apart::child(),
        Command::Remote(command) => cli::run(&cli.global, command).await,
    }
}
