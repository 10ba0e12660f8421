//! `jiyue event …` and `jiyue audit …`.

use super::{
    ListArgs, OutputFormat,
    output::Screen,
    parsers::{count, name},
    problem::Failure,
    tables::Kind,
};
use crate::client::Client;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// The most of one page.
const PAGE: usize = 200;

#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// 列出事件，旧的在前
    #[command(after_help = "例：
  jiyue event list --limit 50
  jiyue event list -o json > events.json

-o json 的 next_page_token 是接着往下读的位置：jiyue event list --after-page 那个值")]
    List {
        /// 最多列出多少条；不给则为 100
        #[arg(long, value_name = "N", value_parser = count, conflicts_with = "all")]
        limit: Option<u32>,
        /// 全部列出
        #[arg(long)]
        all: bool,
        #[arg(help = "从上一次 -o json 的 next_page_token 接着列", long, value_name = "TOKEN")]
        after_page: Option<String>,
    },
    /// 跟踪事件，发生一件输出一件；断线后从断处接着来。Ctrl-C 结束
    #[command(after_help = "例：\n  jiyue event watch\n  jiyue event watch --after 事件编号 -o json")]
    Watch {
        /// 从这个事件之后开始；不给则从现在开始
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// 列出审计记录，新的在前
    #[command(after_help = "例：
  jiyue audit list --limit 20
  jiyue audit list --person zhang --outcome denied
  jiyue audit list --object-type machine --object ID --sort seq -o json")]
    List(AuditArgs),
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    /// 只看某个动作，如 machine.delete、request.approve
    #[arg(long, value_parser = name)]
    action: Option<String>,
    /// 只看对某一类东西做的，如 request、machine、host
    #[arg(long, value_name = "TYPE", value_parser = name)]
    object_type: Option<String>,
    /// 只看对某一件东西做的
    #[arg(long, value_name = "ID", value_parser = name)]
    object: Option<String>,
    /// 只看某个人做的（登录名）
    #[arg(long, value_name = "LOGIN", value_parser = name)]
    person: Option<String>,
    /// 只看做了的 done，或被拒绝的 denied
    #[arg(long, value_parser = name)]
    outcome: Option<String>,
    /// 只看某一次请求的（请求号）
    #[arg(long, value_name = "ID", value_parser = name)]
    trace: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

impl AuditArgs {
    /// The fields that were given, by the service's names, and how the list is wanted.
    pub fn parts(&self) -> ([(&'static str, Option<&str>); 6], &ListArgs) {
        let fields = [
            ("action", self.action.as_deref()),
            ("object_type", self.object_type.as_deref()),
            ("object_id", self.object.as_deref()),
            ("person", self.person.as_deref()),
            ("outcome", self.outcome.as_deref()),
            ("trace_id", self.trace.as_deref()),
        ];
        (fields, &self.list)
    }
}

pub async fn event(client: &Client, screen: &Screen, command: EventCommand) -> Result<(), Failure> {
    match command {
        EventCommand::List { limit, all, after_page } => {
            let most = if all { usize::MAX } else { limit.unwrap_or(100) as usize };
            let page = page(client, after_page, most).await?;
            Ok(screen.page(Kind::Event, &page)?)
        }
        EventCommand::Watch { after } => {
            let mut stream = client.events().follow(after.as_deref());
            let mut first = true;
            while let Some(message) = stream.next().await? {
                // What is no JSON is none of ours.
                let Ok(event) = serde_json::from_str::<Value>(&message.data) else { continue };
                screen.line(Kind::Event, &event, std::mem::take(&mut first))?;
            }
            Ok(())
        }
    }
}

/// Oldest first, and where to go on from: that place is given even at the end.
async fn page(client: &Client, mut token: Option<String>, most: usize) -> Result<Value, Failure> {
    let mut items: Vec<Value> = Vec::new();
    loop {
        let size = PAGE.min(most - items.len()).to_string();
        let mut query = vec![("page_size", size.as_str())];
        query.extend(token.as_deref().map(|token| ("page_token", token)));
        let page: Value = client.get(&["events"], &query).await?;
        let more = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let next = page.get("next_page_token").and_then(Value::as_str).map(str::to_owned);
        let ended = more.is_empty() || next.is_none() || next == token;
        items.extend(more);
        token = next.or(token);
        if ended || items.len() >= most {
            return Ok(json!({"items": items, "next_page_token": token}));
        }
    }
}

impl Screen {
    /// A page that always says where the next one begins.
    fn page(&self, kind: Kind, page: &Value) -> std::io::Result<()> {
        match self.format() {
            OutputFormat::Table | OutputFormat::Name => {
                let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
                self.list(kind, &crate::client::Items { items, next_page_token: None })
            }
            _ => self.document(page),
        }
    }
}
