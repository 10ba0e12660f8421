//! Parsing the arguments, with help and mistakes told in the language of the reader.

use super::{
    Cli, Command, Exit, OutputFormat, RemoteCommand, ReportCommand,
    language::{self, Language, colon, comma, say, tr, tr_lines},
    lists,
};
use crate::http;
use clap::{
    CommandFactory, FromArgMatches, ValueEnum,
    builder::PossibleValuesParser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::{
    error::Error as _,
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

const COMMON: &str = "通用选项";

/// The arguments, or the exit code after help, version or a mistake has been printed.
pub fn parse<A, I>(args: I) -> Result<Cli, ExitCode>
where
    A: Into<OsString>,
    I: IntoIterator<Item = A>,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    // Before anything is said, so also before the arguments are understood.
    language::set(Language::choose(asked(&args), |name| std::env::var(name).ok()));
    try_parse(args.clone())
        .map_err(|error| {
            if !error.use_stderr() {
                // Help or version; nothing sensible is left to do when even that cannot be written.
                drop(error.print());
                return Exit::Done.into();
            }
            let error = instead(error, args);
            let text = explain(&error).unwrap_or_else(|| error.render().to_string());
            drop(write!(io::stderr(), "{text}"));
            Exit::Usage.into()
        })
        .and_then(of_reports_alone)
}

/// Two formats are of reports alone.
fn of_reports_alone(cli: Cli) -> Result<Cli, ExitCode> {
    let report = matches!(
        cli.command,
        Command::Remote(RemoteCommand::Report(
            ReportCommand::Idle(_) | ReportCommand::Rooms { .. } | ReportCommand::Show { .. }
        ))
    );
    if report || !matches!(cli.global.output, OutputFormat::Csv | OutputFormat::Xlsx) {
        return Ok(cli);
    }
    drop(writeln!(io::stderr(), "{}", tr("-o csv 和 -o xlsx 只用于 jiyue report idle、rooms 和 show")));
    Err(Exit::Usage.into())
}

/// A command that stops half-way is answered with the help for that half: someone is looking around. Clap does so
/// itself only while no option is set, not even by the environment.
pub(super) fn instead(error: clap::Error, mut args: Vec<OsString>) -> clap::Error {
    if error.kind() != ErrorKind::MissingSubcommand {
        return error;
    }
    args.push("--help".into());
    match try_parse(args) {
        Err(help) if help.kind() == ErrorKind::DisplayHelp => help,
        _ => error,
    }
}

pub(super) fn try_parse<A, I>(args: I) -> Result<Cli, clap::Error>
where
    A: Into<OsString> + Clone,
    I: IntoIterator<Item = A>,
{
    let matches = command().try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches)
}

/// The language that `--lang` asks for; a wrong one is told by the parser.
fn asked(args: &[OsString]) -> Option<Language> {
    let words: Vec<_> = args.iter().map_while(|arg| arg.to_str()).take_while(|arg| *arg != "--").collect();
    let mut given = words.iter().enumerate().filter_map(|(n, word)| match word.strip_prefix("--lang=") {
        Some(value) => Some(value),
        None if *word == "--lang" => words.get(n + 1).copied(),
        None => None,
    });
    given.next_back().and_then(|word| Language::from_str(word, false).ok())
}

/// The command tree in the language of this process.
pub fn command() -> clap::Command {
    spoken(Cli::command()).mut_arg("version", |arg| arg.help_heading(tr(COMMON))).mut_subcommands(ordered)
}

/// Each list with the orders that the service has it in.
fn ordered(group: clap::Command) -> clap::Command {
    let name = group.get_name().to_owned();
    group.mut_subcommands(|list| {
        let orders = http::orders(&lists::path(&name, list.get_name()));
        if orders.is_empty() {
            return list;
        }
        let help = say!("次序，前面有 - 的是倒序：{orders}", orders = orders.join(comma()));
        list.mut_arg("sort", |arg| {
            arg.help(help).value_parser(PossibleValuesParser::new(orders.iter().map(String::as_str)))
        })
    })
}

fn spoken(command: clap::Command) -> clap::Command {
    let template = format!("{{about-with-newline}}\n{}{{usage}}\n\n{{all-args}}{{after-help}}", tr("用法："));
    let about = command.get_about().map(|text| tr_lines(&text.to_string()).into_owned());
    let after = command.get_after_help().map(|text| tr_lines(&text.to_string()).into_owned());
    let command = match (about, after) {
        (Some(about), Some(after)) => command.about(about).after_help(after),
        (Some(about), None) => command.about(about),
        (None, Some(after)) => command.after_help(after),
        (None, None) => command,
    };
    command
        .help_template(template)
        .subcommand_help_heading(tr("命令"))
        .mut_args(|arg| {
            let heading = match (arg.is_global_set(), arg.is_positional()) {
                (true, _) => COMMON,
                (false, true) => "参数",
                (false, false) => "选项",
            };
            let help = arg.get_help().map(|text| tr_lines(&text.to_string()).into_owned());
            let arg = arg.help_heading(tr(heading));
            match help {
                Some(help) => arg.help(help),
                None => arg,
            }
        })
        .mut_subcommands(spoken)
}

/// The mistake in words of ours; `None` for the rare kinds that clap's own words must do for.
pub(super) fn explain(error: &clap::Error) -> Option<String> {
    let argument = || text(error, ContextKind::InvalidArg);
    let value = || text(error, ContextKind::InvalidValue);
    let said = match error.kind() {
        ErrorKind::InvalidValue if value().is_none_or(|v| v.is_empty()) => {
            say!("{what} 需要一个值", what = argument()?)
        }
        ErrorKind::InvalidValue => say!("{what} 的值“{value}”不对", what = argument()?, value = value()?),
        ErrorKind::ValueValidation => {
            let said = say!("{what} 的值“{value}”不对", what = argument()?, value = value()?);
            std::iter::once(said).chain(error.source().map(ToString::to_string)).collect::<Vec<_>>().join(colon())
        }
        ErrorKind::UnknownArgument => say!("不认识的参数：{what}", what = argument()?),
        ErrorKind::InvalidSubcommand => {
            say!("不认识的命令：{what}", what = text(error, ContextKind::InvalidSubcommand)?)
        }
        ErrorKind::MissingRequiredArgument => say!("缺少：{what}", what = argument()?),
        ErrorKind::MissingSubcommand => say!("后面还要一个命令"),
        ErrorKind::ArgumentConflict => {
            say!("{what} 不能和 {other} 一起用", what = argument()?, other = text(error, ContextKind::PriorArg)?)
        }
        ErrorKind::TooManyValues => say!("{what} 的值太多", what = argument()?),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => say!("{what} 的值个数不对", what = argument()?),
        ErrorKind::InvalidUtf8 => say!("参数不是 UTF-8 文字"),
        _ => return None,
    };
    let mut parts = vec![format!("{}{said}", tr("错误："))];
    parts.extend(text(error, ContextKind::ValidValue).map(|values| say!("可用：{values}", values)));
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg];
    let near = kinds.into_iter().find_map(|kind| text(error, kind));
    parts.extend(near.map(|near| say!("是不是想写：{near}", near)));
    let usage = text(error, ContextKind::Usage);
    parts.extend(usage.map(|usage| format!("\n{}{}", tr("用法："), usage.trim_start_matches("Usage:").trim())));
    parts.push(format!("\n{}\n", tr("加 --help 看说明和例子。")));
    Some(parts.join("\n"))
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(s) => Some(s.clone()),
        ContextValue::Strings(all) => Some(all.join(comma())),
        ContextValue::StyledStr(s) => Some(s.to_string()),
        ContextValue::Number(n) => Some(n.to_string()),
        _ => None,
    }
}
