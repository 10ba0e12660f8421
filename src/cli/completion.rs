//! `jiyue completion …` and `jiyue man …`: what shells and `man` are told, from the command tree itself.

use super::{
    Exit, Global,
    language::{say, tr},
    output::Screen,
    problem::Failure,
    usage,
};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap_complete::Shell;
use serde_json::json;
use std::{fs, io, path::Path, process::ExitCode};

pub(super) const EXAMPLES: &str = "例：
  bash：jiyue completion bash > ~/.local/share/bash-completion/completions/jiyue
  zsh： jiyue completion zsh > ~/.zfunc/_jiyue          （.zshrc 里：fpath+=~/.zfunc; autoload -U compinit; compinit）
  fish：jiyue completion fish > ~/.config/fish/completions/jiyue.fish";

/// One of the three that are tested.
pub(super) fn shell() -> impl TypedValueParser<Value = Shell> {
    PossibleValuesParser::new(["bash", "zsh", "fish"]).try_map(|word| word.parse::<Shell>())
}

/// The script for a shell.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    let tree = usage::command();
    // The generators offer hidden commands too.
    let shown = tree.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut shown = clap::Command::new("jiyue")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args(tree.get_arguments().cloned())
        .subcommands(shown);
    clap_complete::generate(shell, &mut shown, "jiyue", &mut text);
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

/// Chinese has no spaces to stretch or to break at: lines end where they end, and may do so between any two characters
/// but before a mark that closes and after one that opens. Examples stay line by line.
fn ragged(page: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(page.len() * 2);
    for line in String::from_utf8_lossy(page).lines() {
        match line {
            ".SH EXTRA" => out.extend([".SH ", tr("例与说明"), "\n.nf"]),
            _ if line.starts_with(".SH") => out.extend([".fi\n", line]),
            _ if line.starts_with(".TH ") => out.extend([line, "\n.ad l\n.nh"]),
            _ if line.starts_with('.') => out.push_str(line),
            _ => breakable(line, &mut out),
        }
        out.push('\n');
    }
    out.into_bytes()
}

fn breakable(line: &str, out: &mut String) {
    let mut last = ' ';
    for c in line.chars() {
        let between_words = last.is_whitespace() || c.is_whitespace();
        let bound = "（“".contains(last) || "，。；：、）”".contains(c);
        if (wide(last) || wide(c)) && !between_words && !bound {
            out.push_str("\\:");
        }
        out.push(c);
        last = c;
    }
}

fn wide(c: char) -> bool {
    unicode_width::UnicodeWidthChar::width(c) == Some(2)
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
