//! What every list and every sheet understands, as types.

use super::{
    IdArg, OutputFormat,
    parsers::{count, seconds},
};
use crate::client::Filter;
use clap::Args;
use std::time::Duration;

/// What fits one look at a table.
const AT_A_LOOK: u32 = 100;

#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// 最多列出多少条；不给则表格列出前 100 条，json、yaml、name 全部列出
    #[arg(long, value_name = "N", value_parser = count, conflicts_with = "all")]
    pub limit: Option<u32>,
    /// 全部列出
    #[arg(long)]
    pub all: bool,
    // What it is for, and which orders there are, is said by `usage::command`, of each list its own.
    #[arg(long, value_name = "ORDER", hide_possible_values = true, allow_hyphen_values = true)]
    pub sort: Option<String>,
    #[command(flatten)]
    pub watch: WatchArg,
}

/// The service's path of what `jiyue GROUP LIST` lists; nothing for what is no list.
pub fn path(group: &str, list: &str) -> String {
    match (group, list) {
        ("audit", "list") => "/v1/audit-records".to_owned(),
        ("usage", "list") => "/v1/usage".to_owned(),
        ("usage", "verdicts") => "/v1/verdicts".to_owned(),
        ("usage", "advice") => "/v1/usage/advice".to_owned(),
        ("zombie", "list") => "/v1/zombie-findings".to_owned(),
        (group, "list") => format!("/v1/{group}s"),
        _ => String::new(),
    }
}

impl ListArgs {
    /// The fields that were given, and how much of the list is wanted.
    pub fn filter(&self, fields: &[(&str, Option<&str>)], format: OutputFormat) -> Filter {
        let given = fields.iter().filter_map(|(field, value)| Some((*field, (*value)?)));
        let filter = given.fold(Filter::new(), |filter, (field, value)| filter.by(field, value));
        let filter = match &self.sort {
            Some(order) => filter.sort(order),
            None => filter,
        };
        // A script takes what it is given for the whole.
        let short = (format == OutputFormat::Table && !self.all).then_some(AT_A_LOOK);
        match self.limit.or(short) {
            Some(limit) => filter.limit(limit),
            None => filter,
        }
    }
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    pub target: IdArg,
    #[command(flatten)]
    pub watch: WatchArg,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct WatchArg {
    /// 一直看着，有变化就更新；终端上重画，否则只输出变化。Ctrl-C 结束
    #[arg(long)]
    pub watch: bool,
    /// 隔多少秒看一次；默认 2
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "watch")]
    pub interval: Option<u32>,
}

impl WatchArg {
    /// The pause between two looks; `None` where one is enough.
    pub fn pause(self) -> Option<Duration> {
        self.watch.then(|| Duration::from_secs(self.interval.unwrap_or(2).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_short_and_scripts_get_everything() {
        let list = |limit, all| ListArgs {
            limit,
            all,
            sort: Some("-name".to_owned()),
            watch: WatchArg { watch: false, interval: None },
        };
        let said =
            |list: ListArgs, format| format!("{:?}", list.filter(&[("state", Some("x")), ("zone", None)], format));
        let wanted = |limit: Option<u32>| {
            let filter = Filter::new().by("state", "x").sort("-name");
            format!("{:?}", limit.map_or(filter.clone(), |limit| filter.limit(limit)))
        };
        assert_eq!(said(list(None, false), OutputFormat::Table), wanted(Some(100)));
        assert_eq!(said(list(Some(7), false), OutputFormat::Table), wanted(Some(7)));
        assert_eq!(said(list(None, true), OutputFormat::Table), wanted(None));
        assert_eq!(said(list(None, false), OutputFormat::Name), wanted(None));
        assert_eq!(said(list(Some(7), false), OutputFormat::Json), wanted(Some(7)));
    }
}
