//! `jiyue completion …` and `jiyue man …`: what shells and `man` are told, from the command tree itself.

use super::{Exit, Global, language::say, output::Screen, problem::Failure, usage};
use clap_complete::Shell;
use serde_json::json;
use std::{fs, io, path::Path, process::ExitCode};

pub(super) const EXAMPLES: &str = "例：
  bash：jiyue completion bash > ~/.local/share/bash-completion/completions/jiyue
  zsh： jiyue completion zsh > ~/.zfunc/_jiyue          （.zshrc 里：fpath+=~/.zfunc; autoload -U compinit; compinit）
  fish：jiyue completion fish > ~/.config/fish/completions/jiyue.fish";

/// One of the three that are tested or at least asked for.
pub(super) fn shell(s: &str) -> Result<Shell, String> {
    match s {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err(say!("应是 bash、zsh 或 fish")),
    }
}

/// The script for a shell.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut usage::command(), "jiyue", &mut text);
    text
}

/// Prints it.
pub fn completion(shell: Shell) -> ExitCode {
    match io::Write::write_all(&mut io::stdout().lock(), &script(shell)) {
        Ok(()) => Exit::Done.into(),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done.into(),
        Err(_) => Exit::Refused.into(),
    }
}

/// Every page with its file's name: one for each command that can be given.
pub fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    let mut tree = usage::command();
    // Gives each command its whole name.
    tree.build();
    walk(&tree, &mut pages)?;
    Ok(pages)
}

fn walk(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    pages.push((page.get_filename(), ragged(&text)));
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.into_iter().try_for_each(|sub| walk(sub, pages))
}

/// Chinese has no spaces to stretch, and no hyphens: lines end where they end.
fn ragged(page: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(page);
    let lines = text.lines().flat_map(|line| match line.starts_with(".TH ") {
        true => vec![line, ".ad l", ".nh"],
        false => vec![line],
    });
    lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

/// Writes them to a folder.
pub fn man(global: &Global, to: &Path) -> ExitCode {
    let screen = Screen::detect(global.output);
    let written = pages().and_then(|pages| {
        fs::create_dir_all(to)?;
        pages.iter().try_for_each(|(name, text)| fs::write(to.join(name), text))?;
        Ok(pages.len())
    });
    let told = written.and_then(|n| {
        screen.done(&say!("{n} 页手册已写到 {to}", n, to = to.display()), &json!({"pages": n, "folder": to}))
    });
    match told.map_err(Failure::from) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            screen.fail(&failure);
            failure.exit().into()
        }
    }
}
