//! Commands that run on the server's own machine: `serve`, `token`, `openapi`.

use super::{
    Exit, Global, OutputFormat, RulesCommand, TokenCommand, TokenCreateArgs, forms,
    language::{say, tr},
    output::Screen,
    problem::Failure,
    tables::Kind,
};
use crate::{
    app::{self, StartError},
    catalogue::Catalogue,
    client::Items,
    config::{Faults, Settings},
    db::Db,
    error::{Problem, story},
    http,
    identity::{
        service::{self, MAX_TOKEN_DAYS, NewToken},
        store,
    },
    ids::TokenId,
    k8s::crd,
    rulebook, seeing,
};
use clap::Args;
use serde_json::json;
use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Args)]
#[command(after_help = "例：
  jiyue serve --config /etc/jiyue/jiyue.toml
  jiyue serve --check --config /etc/jiyue/jiyue.toml")]
pub struct ServeArgs {
    /// 只检查配置，一次列出所有不对之处；不启动，什么都不改
    #[arg(long)]
    pub check: bool,
    #[arg(help = "配置文件（TOML）；不给则用默认设置与 JIYUE_ 开头的环境变量", long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Where a command that runs on the server's own machine finds the server's settings.
#[derive(Debug, Args)]
pub struct LocalArgs {
    /// 配置文件（TOML），与 jiyue serve 用的相同
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Exit code of what was refused.
const REFUSED: u8 = 1;
/// Exit code of settings that cannot be used.
const USAGE: u8 = 2;

/// Runs the service until it is told to stop.
pub async fn serve(args: ServeArgs) -> ExitCode {
    let settings = match settings(args.config.as_deref()) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    if args.check {
        return check(&settings);
    }
    match app::serve(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Settings(faults)) => unusable(&faults),
        Err(error) => fail(&error),
    }
}

/// Issues, lists and revokes tokens, straight on the database.
pub async fn token(global: &Global, command: TokenCommand) -> ExitCode {
    let config = match &command {
        TokenCommand::Create(args) => &args.local.config,
        TokenCommand::List(args) => &args.config,
        TokenCommand::Revoke(args) => &args.local.config,
    };
    let settings = match settings(config.as_deref()) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let db = match app::open_database(&settings).await {
        Ok(db) => db,
        Err(error) => return fail(&error),
    };
    let done = match command {
        TokenCommand::Create(args) => create(&db, global, args).await,
        TokenCommand::List(_) => list(&db, global).await,
        TokenCommand::Revoke(args) => match args.id.parse::<TokenId>() {
            Ok(id) => service::revoke_token(&db, id).await.map(|()| println!("{}", tr("令牌已吊销"))),
            Err(_) => Err(Problem::not_found("有效的令牌")),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{}（{}）", problem.detail, problem.code);
            ExitCode::from(REFUSED)
        }
    }
}

/// The same document that `/v1/openapi.json` serves.
pub fn openapi() -> ExitCode {
    match http::openapi().to_pretty_json() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// The definitions of the custom resources, as `crd/` has them.
pub fn crd() -> ExitCode {
    let text = Catalogue::embedded()
        .map_err(|error| story(&error).join(": "))
        .and_then(|catalogue| crd::to_yaml(&crd::definitions(&catalogue)).map_err(|error| error.to_string()));
    match text {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(REFUSED)
        }
    }
}

/// Rules and dashboards, as `dashboards/` has them.
pub fn dashboards(global: &Global, to: &Path) -> ExitCode {
    let screen = Screen::detect(global.output);
    let written = seeing::files().map_err(io::Error::other).and_then(|files| {
        for file in &files {
            let path = to.join(&file.path);
            fs::create_dir_all(path.parent().unwrap_or(to))?;
            fs::write(&path, &file.text)?;
        }
        Ok(files.len())
    });
    let told = written.and_then(|n| {
        screen.done(&say!("{n} 个文件已写到 {to}", n, to = to.display()), &json!({"files": n, "folder": to}))
    });
    match told.map_err(Failure::from) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            screen.fail(&failure);
            failure.exit().into()
        }
    }
}

/// The rules of a district.
pub fn rules(global: &Global, command: RulesCommand) -> ExitCode {
    let screen = Screen::detect(global.output);
    let shown = match command {
        RulesCommand::List { district } => forms::profile_of(&district.profile).and_then(|profile| {
            let items = rulebook::entries(&profile).iter().map(|entry| json!(entry)).collect();
            Ok(screen.list(Kind::Rule, &Items { items, next_page_token: None })?)
        }),
        RulesCommand::Show { code, district } => forms::profile_of(&district.profile).and_then(|profile| {
            let mut all = rulebook::entries(&profile).into_iter();
            let entry = all.find(|entry| entry.code == code).ok_or(Failure::NoRule(code))?;
            Ok(screen.one(Kind::Rule, &json!(entry))?)
        }),
    };
    match shown {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            screen.fail(&failure);
            failure.exit().into()
        }
    }
}

async fn create(db: &Db, global: &Global, args: TokenCreateArgs) -> Result<(), Problem> {
    let role = args.role.word().parse().map_err(|_| Problem::malformed("未知的角色"))?;
    let new = NewToken {
        login: args.person,
        name: args.name,
        unit: args.unit.unwrap_or_default(),
        role,
        department: args.department,
        days: args.expires_days.map_or(MAX_TOKEN_DAYS, i64::from),
    };
    let (id, secret, expires_at) = service::create_token(db, new).await?;
    let secret = secret.reveal();
    match global.output {
        OutputFormat::Table | OutputFormat::Name => {
            // The token alone on standard output, so that a script can catch it.
            println!("{secret}");
            eprintln!(
                "{}",
                say!(
                    "令牌 {id}，有效至 {expires_at}；明文只显示这一次，请妥善保存：export JIYUE_TOKEN=…",
                    id,
                    expires_at
                )
            );
        }
        _ => println!("{}", json!({"id": id, "token": secret, "expires_at": expires_at})),
    }
    Ok(())
}

async fn list(db: &Db, global: &Global) -> Result<(), Problem> {
    let mut conn = db.read().await?;
    let tokens: Vec<_> = store::list_tokens(&mut conn)
        .await?
        .into_iter()
        .map(|t| {
            json!({"id": t.id, "person": t.person.login, "name": t.person.name, "unit": t.unit, "role": t.role.word(),
                "expires_at": t.expires_at, "revoked_at": t.revoked_at})
        })
        .collect();
    let items = Items { items: tokens, next_page_token: None };
    // Standard output that is gone is nobody's problem here.
    let _ = Screen::detect(global.output).list(Kind::Token, &items);
    Ok(())
}

pub(super) fn settings(file: Option<&Path>) -> Result<Settings, ExitCode> {
    Settings::load(file).map_err(|faults| unusable(&faults))
}

fn unusable(faults: &Faults) -> ExitCode {
    eprintln!("{}", say!("配置无法使用，{faults}", faults));
    ExitCode::from(USAGE)
}

/// Says what the service would say at its start, and no more.
fn check(settings: &Settings) -> ExitCode {
    if let Err(faults) = settings.check() {
        return unusable(&faults);
    }
    for warning in settings.warnings() {
        eprintln!("{}", say!("提醒：{warning}", warning));
    }
    println!(
        "{}",
        say!(
            "配置可用：监听 {address}，数据库 {database}",
            address = settings.listen,
            database = settings.database_shown()
        )
    );
    ExitCode::SUCCESS
}

/// The story of an error, once.
fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("{}", story(error).join(": "));
    ExitCode::from(REFUSED)
}
