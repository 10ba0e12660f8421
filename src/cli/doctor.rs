//! `jiyue doctor`, shown.

use super::{
    Exit, Global, LocalArgs,
    language::{say, tr},
    output::Screen,
    tables::{Column, Show},
    words::Tone,
};
use crate::doctor::{self, State};
use serde_json::json;
use std::process::ExitCode;

const COLUMNS: [Column; 4] = [
    Column::new("", Show::State("/state", state)),
    Column::new("项目", Show::Word("/area", area)),
    Column::new("情况", Show::Text("/detail")),
    Column::new("怎么办", Show::Text("/mend")),
];

fn state(word: &str) -> (&str, Tone) {
    match word {
        "good" => ("✓", Tone::Good),
        "bad" => ("✗", Tone::Bad),
        "unknown" => ("–", Tone::Plain),
        other => (other, Tone::Plain),
    }
}

fn area(word: &str) -> &str {
    match word {
        "settings" => "配置",
        "account" => "账号",
        "database" => "数据库",
        "disk" => "磁盘",
        "secret_key" => "密钥文件",
        "image_folder" => "镜像目录",
        "port" => "端口",
        "libvirt" => "libvirt",
        "kvm" => "KVM",
        "filter" => "网络隔离",
        "dns" => "DNS",
        "time" => "时间",
        other => other,
    }
}

/// Looks, shows, and fails if anything is bad.
pub async fn run(global: &Global, args: LocalArgs) -> ExitCode {
    let findings = doctor::examine(args.config.as_deref()).await;
    let bad = findings.iter().filter(|finding| finding.state == State::Bad).count();
    let screen = Screen::detect(global.output);
    // Standard output that is gone is nobody's problem here.
    let _ = if screen.for_people() {
        let rows: Vec<_> = findings.iter().map(|finding| json!(finding)).collect();
        let title = match bad {
            0 => tr("没有发现问题").to_owned(),
            _ => say!("有 {bad} 处要处理", bad),
        };
        screen.section(&title, &COLUMNS, &rows)
    } else {
        screen.document(&json!({"healthy": bad == 0, "findings": findings}))
    };
    if bad == 0 { Exit::Done.into() } else { Exit::Refused.into() }
}
