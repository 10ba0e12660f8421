//! Parsing the arguments, with help and mistakes told in Chinese.

use super::{Cli, Exit};
use clap::{
    CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::{
    error::Error as _,
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

const COMMON: &str = "通用选项";
const TEMPLATE: &str = "{about-with-newline}\n用法：{usage}\n\n{all-args}{after-help}";

/// The arguments, or the exit code after help, version or a mistake has been printed.
pub fn parse<A, I>(args: I) -> Result<Cli, ExitCode>
where
    A: Into<OsString>,
    I: IntoIterator<Item = A>,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    try_parse(args.clone()).map_err(|error| {
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

/// The command tree with Chinese headings.
pub(super) fn command() -> clap::Command {
    chinese(Cli::command()).mut_arg("version", |arg| arg.help_heading(COMMON))
}

fn chinese(command: clap::Command) -> clap::Command {
    command
        .help_template(TEMPLATE)
        .subcommand_help_heading("命令")
        .mut_args(|arg| {
            let heading = match (arg.is_global_set(), arg.is_positional()) {
                (true, _) => COMMON,
                (false, true) => "参数",
                (false, false) => "选项",
            };
            arg.help_heading(heading)
        })
        .mut_subcommands(chinese)
}

/// The mistake in Chinese; `None` for the rare kinds that clap's own words must do for.
pub(super) fn explain(error: &clap::Error) -> Option<String> {
    let argument = || text(error, ContextKind::InvalidArg);
    let value = || text(error, ContextKind::InvalidValue);
    let mut said = match error.kind() {
        ErrorKind::InvalidValue if value().is_none_or(|v| v.is_empty()) => format!("{} 需要一个值", argument()?),
        ErrorKind::InvalidValue => format!("{} 的值“{}”不对", argument()?, value()?),
        ErrorKind::ValueValidation => {
            let why = error.source().map(|e| format!("：{e}")).unwrap_or_default();
            format!("{} 的值“{}”不对{why}", argument()?, value()?)
        }
        ErrorKind::UnknownArgument => format!("不认识的参数：{}", argument()?),
        ErrorKind::InvalidSubcommand => {
            format!("不认识的命令：{}", text(error, ContextKind::InvalidSubcommand)?)
        }
        ErrorKind::MissingRequiredArgument => format!("缺少：{}", argument()?),
        ErrorKind::MissingSubcommand => "后面还要一个命令".into(),
        ErrorKind::ArgumentConflict => {
            format!("{} 不能和 {} 一起用", argument()?, text(error, ContextKind::PriorArg)?)
        }
        ErrorKind::TooManyValues => format!("{} 的值太多", argument()?),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => format!("{} 的值个数不对", argument()?),
        ErrorKind::InvalidUtf8 => "参数不是 UTF-8 文字".into(),
        _ => return None,
    };
    said.insert_str(0, "错误：");
    let mut parts = vec![said];
    parts.extend(text(error, ContextKind::ValidValue).map(|values| format!("可用：{values}")));
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg];
    let near = kinds.into_iter().find_map(|kind| text(error, kind));
    parts.extend(near.map(|near| format!("是不是想写：{near}")));
    let usage = text(error, ContextKind::Usage);
    parts.extend(usage.map(|usage| format!("\n用法：{}", usage.trim_start_matches("Usage:").trim())));
    parts.push("\n加 --help 看说明和例子。\n".into());
    Some(parts.join("\n"))
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(s) => Some(s.clone()),
        ContextValue::Strings(all) => Some(all.join("、")),
        ContextValue::StyledStr(s) => Some(s.to_string()),
        ContextValue::Number(n) => Some(n.to_string()),
        _ => None,
    }
}
