//! What is wrong with a file, or with the command line's own settings, and what to do about it.

use super::{
    document::DocumentError,
    format,
    language::{comma, say, tr},
    report::Report,
    settings::SettingsError,
};
use std::{io, path::Path};

pub fn document(error: &DocumentError) -> Report {
    let file =
        |path: &Path| if path == Path::new("-") { tr("标准输入").to_owned() } else { path.display().to_string() };
    match error {
        DocumentError::Read { path, source } => {
            let why = match source.kind() {
                io::ErrorKind::NotFound => tr("没有这个文件").into(),
                io::ErrorKind::PermissionDenied => tr("没有权限读").into(),
                io::ErrorKind::IsADirectory => tr("这是一个目录").into(),
                _ => source.to_string(),
            };
            Report::new("file_unreadable", say!("读不了 {file}：{why}", file = file(path), why))
        }
        DocumentError::TooLarge { path } => Report::new("file_too_large", say!("{file} 超过 1 MiB", file = file(path)))
            .mend("这里要的是任务书或申请的 YAML、JSON 文件；镜像用 jiyue image import"),
        DocumentError::NotUtf8 { path, line } => {
            Report::new("file_not_utf8", say!("{file} 第 {line} 行不是 UTF-8", file = file(path), line))
                .mend("在编辑器里另存为 UTF-8；GBK 文件可以用 iconv -f gbk -t utf-8 转换")
        }
        DocumentError::Empty { path } => Report::new("file_empty", say!("{file} 是空的", file = file(path))),
        DocumentError::NotAnObject { path } => {
            Report::new("file_not_a_mapping", say!("{file} 最外层不是“字段: 值”", file = file(path)))
                .mend("一个文件只写一份，最外层直接写字段，如 vm_count: 2")
        }
        DocumentError::Syntax { path, line, column, message, source_line, json } => {
            let shape = if *json { "JSON" } else { "YAML" };
            // Line 0 is the whole text.
            let title = match line {
                0 => say!("{file} 不是正确的 {shape}", file = file(path), shape),
                _ => {
                    say!("{file} 第 {line} 行第 {column} 列不是正确的 {shape}", file = file(path), line, column, shape)
                }
            };
            let mut report = Report::new("file_syntax", title).detail(in_words(message));
            if !source_line.is_empty() {
                report = report.detail(format!("{line} | {}", format::clean(source_line)));
            }
            match (message.contains("uplicate"), json) {
                (true, _) => report.mend("同一个字段只能写一次，删掉多余的"),
                (false, true) => report.mend("检查这一处前后的逗号、引号和括号"),
                (false, false) => report.mend("检查缩进（用空格，不用 Tab）、冒号后的空格、引号和括号是否成对"),
            }
        }
    }
}

/// The parsers' most frequent complaints; the others stand in English as they are.
fn in_words(message: &str) -> String {
    let key = || message.split(['`', ',']).next().unwrap_or_default().rsplit(": ").next().unwrap_or_default();
    let text = if message.starts_with("duplicate mapping key") {
        return say!("字段 {field} 写了两次", field = format::clean(key()));
    } else if message.starts_with("duplicate key") {
        return say!("字段 {field} 写了两次", field = format::clean(message.split('`').nth(1).unwrap_or_default()));
    } else if message.contains("multiple YAML documents") || message.starts_with("budget breached: Documents") {
        "一个文件里有不止一份文档（用 --- 隔开的）"
    } else if message.starts_with("budget breached") || message.contains("merge key") {
        "嵌套太深、条目太多，或用了锚点、别名、合并（&、*、<<），这里不接受"
    } else if message.contains("non-finite float") {
        "这不是一个能用的数"
    } else if message.contains("mapping values are not allowed") {
        "这里不该再有“字段: 值”：缩进没对齐，或者值里有冒号没加引号"
    } else if message.contains("illegal placement of ':'") {
        "冒号的位置不对：前面的括号或引号没有合上，或者缩进没对齐"
    } else if message.contains(" tab") {
        "缩进里有 Tab 字符，YAML 只认空格"
    } else if message.starts_with("expected `,`") {
        "少了逗号或右括号"
    } else if message.starts_with("EOF") {
        "文件没写完：括号或引号没有合上"
    } else if message.starts_with("trailing comma") {
        "多了一个逗号"
    } else {
        return format::clean(message);
    };
    tr(text).into()
}

pub fn settings(error: &SettingsError) -> Report {
    match error {
        SettingsError::NoHome => {
            Report::new("no_home", "不知道设置放在哪里").mend("设置环境变量 HOME 或 XDG_CONFIG_HOME（绝对路径）")
        }
        SettingsError::Exposed { path, mode } => {
            let (path, mode) = (path.display().to_string(), format!("{mode:o}"));
            Report::new("file_exposed", say!("{path} 别人也能读（权限 {mode}），不用它", path, mode))
                .mend(format!("chmod 600 {path}"))
        }
        SettingsError::Io { path, source } => {
            let why = if source.kind() == io::ErrorKind::NotFound {
                tr("没有这个文件").into()
            } else {
                source.to_string()
            };
            Report::new("settings_unreadable", say!("读写不了 {path}", path = path.display())).detail(why)
        }
        SettingsError::Syntax { path, message } => {
            Report::new("settings_syntax", say!("{path} 写得不对", path = path.display()))
                .detail(format::clean(message))
                .mend("改好这个文件，或者移走它，再用 jiyue context add 添加")
        }
        SettingsError::NoContext { name, known } => {
            let known = if known.is_empty() { tr("还没有").to_owned() } else { known.join(comma()) };
            Report::new("no_such_context", say!("没有上下文 {name}", name = format::clean(name)))
                .detail(say!("已有的：{known}", known))
                .mend("看有哪些：jiyue context list；添加：jiyue context add")
        }
        SettingsError::Taken { name } => {
            Report::new("context_taken", say!("已有上下文 {name}", name = format::clean(name)))
                .mend("要换掉它，加 --replace；否则换一个名字")
        }
        SettingsError::TokenCommand { program, message } => Report::new(
            "token_command_failed",
            say!("取令牌的命令 {program} 没有成功", program = format::clean(program)),
        )
        .detail(format::clean(message))
        .mend("命令要退出 0，并在标准输出的第一行打印令牌；改命令：jiyue context add 名字 --replace …"),
        SettingsError::NoToken { path } => {
            Report::new("token_file_empty", say!("令牌文件 {path} 是空的", path = path.display()))
                .mend("把令牌写在第一行")
        }
    }
}
