//! `jiyue context …`: which servers there are, and which is in use.

use super::{
    Exit, Global,
    language::say,
    output::Screen,
    parsers::name,
    problem::Failure,
    settings::{self, Context, Contexts, SettingsError},
    tables::{CONTEXT, CONTEXT_SHEET},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// 列出上下文
    #[command(after_help = "例：\n  jiyue context list")]
    List,
    /// 切换到一个上下文，之后的命令都用它
    #[command(after_help = "例：\n  jiyue context use prod")]
    Use {
        /// 上下文的名字
        #[arg(value_parser = name)]
        name: String,
    },
    /// 添加一个上下文；第一个添加的就是在用的
    #[command(after_help = "例：
  jiyue context add prod --server https://cloud.example.gov.cn --ca-file /etc/ssl/district-ca.pem --token-file ~/.jiyue-token
  jiyue context add test --server http://127.0.0.1:8460 -- pass show jiyue/test

令牌不写进上下文：写它在哪个文件（chmod 600），或者哪个命令会打印它（写在 -- 之后，不经过 shell）。
次序：命令行参数、环境变量（JIYUE_SERVER、JIYUE_TOKEN、JIYUE_CA_FILE、JIYUE_CONTEXT）、在用的上下文、默认值；
用 --context 指明的上下文先于环境变量。上下文里的令牌只发给它自己的服务地址。")]
    Add(AddArgs),
    /// 去掉一个上下文；令牌文件不动
    #[command(after_help = "例：\n  jiyue context remove test")]
    Remove {
        /// 上下文的名字
        #[arg(value_parser = name)]
        name: String,
    },
    /// 查看一个上下文；不给名字则看现在实际会用的服务、证书、令牌来源
    #[command(after_help = "例：\n  jiyue context show\n  jiyue context show prod")]
    Show {
        /// 上下文的名字
        #[arg(value_parser = name)]
        name: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// 上下文的名字
    #[arg(value_parser = name)]
    name: String,
    /// 令牌文件，只有自己能读
    #[arg(long, value_name = "FILE", conflicts_with = "token_command")]
    token_file: Option<PathBuf>,
    /// 换掉同名的
    #[arg(long)]
    replace: bool,
    /// 打印令牌的命令与参数，写在 -- 之后
    #[arg(value_name = "COMMAND", last = true)]
    token_command: Vec<String>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The settings of this process's user.
pub fn load() -> Result<(PathBuf, Contexts), SettingsError> {
    let path = settings::place(variable)?;
    let contexts = Contexts::load(&path)?;
    Ok((path, contexts))
}

/// What the flags, the environment and the contexts come to.
pub fn chosen(global: &Global) -> Result<settings::Chosen, SettingsError> {
    let contexts = match load() {
        Ok((_, contexts)) => contexts,
        // Without a home there are no contexts, and without contexts none is missed.
        Err(SettingsError::NoHome) => Contexts::default(),
        Err(error) => return Err(error),
    };
    settings::choose(global, variable, &contexts)
}

/// Runs one command on the settings.
pub fn context(global: &Global, command: ContextCommand) -> ExitCode {
    let screen = Screen::detect(global.output);
    match act(global, &screen, command) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            screen.fail(&failure);
            failure.exit().into()
        }
    }
}

fn act(global: &Global, screen: &Screen, command: ContextCommand) -> Result<(), Failure> {
    if let ContextCommand::Show { name: None } = command {
        return Ok(screen.rows_of_one(&CONTEXT_SHEET, &effective(&chosen(global)?))?);
    }
    let (path, mut contexts) = load()?;
    match command {
        ContextCommand::List => {
            let current = contexts.current.clone();
            let rows: Vec<_> =
                contexts.contexts.iter().map(|(name, context)| row(name, context, current.as_deref())).collect();
            if rows.is_empty() && screen.for_people() {
                return Ok(screen.note(&say!("没有上下文；添加：jiyue context add 名字 --server 地址"))?);
            }
            return Ok(screen.rows("/name", &CONTEXT, &rows)?);
        }
        ContextCommand::Show { name } => {
            let name = name.unwrap_or_default();
            let row = row(&name, contexts.get(&name)?, contexts.current.as_deref());
            return Ok(screen.rows_of_one(&CONTEXT_SHEET, &row)?);
        }
        ContextCommand::Use { name } => {
            contexts.get(&name)?;
            contexts.current = Some(name.clone());
            contexts.save(&path)?;
            screen.done(&say!("在用的上下文：{name}", name), &json!({"id": name}))?;
        }
        ContextCommand::Remove { name } => {
            contexts.get(&name)?;
            contexts.contexts.remove(&name);
            contexts.current = contexts.current.filter(|current| *current != name);
            contexts.save(&path)?;
            screen.done(&say!("已去掉上下文 {name}", name), &json!({"id": name}))?;
        }
        ContextCommand::Add(args) => {
            if contexts.contexts.contains_key(&args.name) && !args.replace {
                return Err(SettingsError::Taken { name: args.name }.into());
            }
            let server = global.server.clone().ok_or(Failure::NoServer)?;
            // Told now, and not by every command from now on.
            crate::client::Client::new(&server, None)?;
            let context = Context {
                server,
                ca_file: global.ca_file.clone().map(absolute).transpose()?,
                token_file: args.token_file.map(absolute).transpose()?,
                token_command: args.token_command,
            };
            contexts.contexts.insert(args.name.clone(), context);
            contexts.current = contexts.current.or_else(|| Some(args.name.clone()));
            contexts.save(&path)?;
            screen.done(&say!("已添加上下文 {name}", name = args.name), &json!({"id": args.name}))?;
        }
    }
    Ok(())
}

/// Commands are given in many folders.
fn absolute(path: PathBuf) -> Result<PathBuf, SettingsError> {
    std::path::absolute(&path).map_err(|source| SettingsError::Io { path, source })
}

fn row(name: &str, context: &Context, current: Option<&str>) -> Value {
    json!({"name": name, "current": current == Some(name), "server": context.server, "ca_file": context.ca_file,
        "token_file": context.token_file, "token_command": context.token_command})
}

/// Where everything comes from; never the token.
fn effective(chosen: &settings::Chosen) -> Value {
    use settings::TokenSource::{Command, File, Given};
    let (file, command, given) = match &chosen.token {
        Some(File(path)) => (Some(path), None, false),
        Some(Command(words)) => (None, Some(words), false),
        Some(Given(_)) => (None, None, true),
        None => (None, None, false),
    };
    json!({"name": chosen.context, "server": chosen.server, "ca_file": chosen.ca_file, "token_file": file,
        "token_command": command, "token_given": given})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_never_shows_the_token() {
        let flags = Global { token: "s3cret".parse().ok(), ..Global::default() };
        let chosen = settings::choose(&flags, |_| None, &Contexts::default());
        let shown = chosen.map(|chosen| effective(&chosen).to_string()).unwrap_or_default();
        assert!(shown.contains("\"token_given\":true") && !shown.contains("s3cret"), "{shown}");
    }
}
