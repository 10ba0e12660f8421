//! `jiyue placement …`, as types, as what is asked, and as tables.

use super::{
    OutputFormat, format,
    language::{comma, say, tr},
    output::Screen,
    parsers::{count, level, name, provider, size, spread, zone},
    problem::Failure,
    tables::{Column, REFUSED_HOST, Show},
};
use crate::{
    client::Client,
    labels::{MlpsLevel, ProviderWish, Spread, Zone},
};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::io;

#[derive(Debug, Subcommand)]
pub enum PlacementCommand {
    /// 说明虚拟机会落在哪台宿主机、其余宿主机为什么不行；不占用任何资源
    #[command(after_help = "例：
  jiyue placement explain 申请编号
  jiyue placement explain --vcpu 4 --memory 16GiB --disk 200GiB --zone 政务外网 --mlps-level 三级 --count 3
  jiyue placement explain 申请编号 -o json

排序从左到右逐项比较，小的在前：同申请已有的台数，是否启用空机，租期超出该机最晚租期多少，
是否用得上该机富余的一种资源，该机最晚租期晚多少，该机各台已运行的时间（长的在前），余下的内存、CPU、磁盘。")]
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// 申请编号；不给则写明规格
    #[arg(value_parser = name, required_unless_present_any = ["vcpu", "memory", "disk", "zone"])]
    #[arg(conflicts_with_all = ["vcpu", "memory", "disk", "zone", "count", "mlps_level", "os", "months", "spread", "provider"])]
    pub id: Option<String>,
    /// 每台的 CPU 核数
    #[arg(long, value_name = "N", value_parser = count, requires_all = ["memory", "disk", "zone"])]
    pub vcpu: Option<u32>,
    /// 每台的内存，如 16GiB
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "vcpu")]
    pub memory: Option<i64>,
    /// 每台的磁盘，如 200GiB
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "vcpu")]
    pub disk: Option<i64>,
    /// 网络区域：政务外网、互联网、政务专网
    #[arg(long, value_parser = zone, requires = "vcpu")]
    pub zone: Option<Zone>,
    /// 台数；不给则为 1
    #[arg(long, value_name = "N", value_parser = count)]
    pub count: Option<u32>,
    /// 等保级别，如 三级；不给则为一级
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub mlps_level: Option<MlpsLevel>,
    /// 操作系统类型（目录里的代码）；不给则不看镜像
    #[arg(long, value_name = "OS_TYPE", value_parser = name)]
    pub os: Option<String>,
    /// 运维周期，以月计；不给则不看租期
    #[arg(long, value_name = "N", value_parser = count)]
    pub months: Option<u32>,
    /// 各台分散：prefer（尽量，默认）、require（必须）
    #[arg(long, value_parser = spread)]
    pub spread: Option<Spread>,
    /// 落位要求：any（不限，默认）、libvirt（宿主机）、kubevirt（集群）
    #[arg(long, value_parser = provider)]
    pub provider: Option<ProviderWish>,
}

impl ExplainArgs {
    fn body(&self) -> Value {
        let fields = [
            ("request", self.id.clone().map(Value::from)),
            ("machines", self.count.map(Value::from)),
            ("vcpu", self.vcpu.map(Value::from)),
            ("memory_bytes", self.memory.map(Value::from)),
            ("disk_bytes", self.disk.map(Value::from)),
            ("zone", self.zone.map(|zone| zone.word().into())),
            ("mlps_level", self.mlps_level.map(|level| level.get().into())),
            ("os", self.os.clone().map(Value::from)),
            ("om_period_months", self.months.map(Value::from)),
            ("spread", self.spread.map(|spread| json!(spread))),
            ("provider", self.provider.map(|provider| json!(provider))),
        ];
        let given = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(given.collect::<Map<_, _>>())
    }
}

/// Asks and shows.
pub async fn run(client: &Client, screen: &Screen, command: PlacementCommand) -> Result<(), Failure> {
    let PlacementCommand::Explain(args) = command;
    let answer = client.post(&["placement", "explain"], &args.body()).await?.body;
    Ok(show(screen, &answer)?)
}

const CHOICE: [Column; 13] = [
    Column::new("台次", Show::Text("/number")).right(),
    Column::new("宿主机", Show::Text("/host")),
    Column::new("同申请", Show::Text("/score/siblings")).right(),
    Column::new("空机", Show::Text("/score/empty")),
    Column::new("租期超出", Show::Of(|row, _| span(row, "/score/lease_extension_s"))).right(),
    Column::new("互补", Show::Of(|row, _| fits(row))),
    Column::new("租期早于", Show::Of(|row, _| span(row, "/score/lease_gap_s"))).right(),
    Column::new("已运行", Show::Of(|row, _| span(row, "/score/settled_s"))).right(),
    Column::new("余内存", Show::Of(|row, _| scaled(row, "/score/memory_left_mib", 20))).right(),
    Column::new("余 CPU", Show::Text("/score/vcpu_left")).right(),
    Column::new("余磁盘", Show::Of(|row, _| scaled(row, "/score/disk_left_gib", 30))).right(),
    Column::new("可选", Show::Text("/passed")).right(),
    Column::new("其次", Show::Of(next)),
];

fn show(screen: &Screen, answer: &Value) -> io::Result<()> {
    let rows = |key: &str| answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |pointer: &str| answer.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let (machines, asked, hosts) = (rows("machines"), number("/asked/machines"), number("/hosts"));
    match screen.format() {
        OutputFormat::Table => {}
        // One for each machine, as what it would be built on.
        OutputFormat::Name => return screen.items("/host", &machines),
        OutputFormat::Json | OutputFormat::Yaml | OutputFormat::Csv | OutputFormat::Xlsx => {
            return screen.document(answer);
        }
    }
    if answer.get("possible") == Some(&Value::Bool(true)) {
        screen.done(&say!("{asked} 台都有位置（共 {hosts} 台宿主机；没有占用任何资源）", asked, hosts), answer)?;
    } else if hosts == 0 {
        screen.section(tr("还没有宿主机；先用 jiyue host add 接入"), &[], &[])?;
    } else {
        let said =
            say!("放不下：{asked} 台中只有 {n} 台有位置（共 {hosts} 台宿主机）", asked, n = machines.len(), hosts);
        screen.section(&said, &[], &[])?;
    }
    if !machines.is_empty() {
        screen.section(&format!("\n{}", tr("会落在")), &CHOICE, &machines)?;
    }
    let refused = rows("refused");
    if !refused.is_empty() {
        screen.section(&format!("\n{}", tr("不能放的宿主机")), &REFUSED_HOST, &refused)?;
    }
    let more = number("/refused_total") - i64::try_from(refused.len()).unwrap_or_default();
    if more > 0 {
        screen.note(&say!("另有 {more} 台宿主机未列出。", more))?;
    }
    Ok(())
}

/// Seconds as days, or hours below one; what has no end says so.
fn span(row: &Value, pointer: &str) -> String {
    const ENDLESS: i64 = 1 << 40;
    match row.pointer(pointer).and_then(Value::as_i64) {
        None => format::NOTHING.into(),
        Some(0) => "0".into(),
        Some(ENDLESS..) => tr("不限").into(),
        Some(seconds) if seconds < 86_400 => say!("{n} 小时", n = seconds / 3600),
        Some(seconds) => say!("{n} 天", n = seconds / 86_400),
    }
}

fn fits(row: &Value) -> String {
    match row.pointer("/score/misfit").and_then(Value::as_bool) {
        Some(misfit) => tr(if misfit { "否" } else { "是" }).into(),
        None => format::NOTHING.into(),
    }
}

fn scaled(row: &Value, pointer: &str, shift: u32) -> String {
    let bytes = row.pointer(pointer).and_then(Value::as_i64).and_then(|n| n.checked_mul(1 << shift));
    bytes.map_or(format::NOTHING.into(), format::size)
}

fn next(row: &Value, _: &TimeZone) -> String {
    let names = row.get("next").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<_> = names.filter_map(|ranked| ranked.get("host")?.as_str()).map(format::clean).collect();
    if names.is_empty() { format::NOTHING.into() } else { names.join(comma()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cli::layout::{self, Paint};

    #[test]
    fn choices_and_refusals_line_up() {
        let score = |settled: i64| {
            json!({"siblings": 0, "empty": settled == 0, "lease_extension_s": 0, "misfit": settled > 0,
            "lease_gap_s": 86_400 * 30, "settled_s": settled, "memory_left_mib": 6144, "vcpu_left": 3,
            "disk_left_gib": 1500, "host_id": "h"})
        };
        let choices = [
            json!({"number": 1, "host": "node1", "score": score(90_000), "passed": 3,
                "next": [{"host": "二号机房", "score": score(0)}, {"host": "node3", "score": score(0)}]}),
            json!({"number": 2, "host": "二号机房", "score": score(0), "passed": 1, "next": []}),
        ];
        let refused = [
            json!({"from_machine": 1, "host": "node4", "reason": "mlps_level_low", "asked": 3, "free": 2,
                "message": "最高承载等保 2 级，申请为 3 级"}),
            json!({"from_machine": 2, "host": "node1", "reason": "memory_short", "asked": 17_179_869_184_i64, "free": 0,
                "message": "内存不足：需 16 GiB，余 0 B（可分配 64 GiB）"}),
        ];
        let grid = |columns, rows| layout::grid(columns, rows, &TimeZone::UTC, Paint(false)).trim_fmt();
        insta::assert_snapshot!(format!("{}\n\n{}", grid(&CHOICE, &choices), grid(&REFUSED_HOST, &refused)), @"
        台次  宿主机    同申请  空机  租期超出  互补  租期早于  已运行  余内存  余 CPU   余磁盘  可选  其次
           1  node1          0  否           0  否       30 天    1 天   6 GiB       3  1.4 TiB     3  二号机房、node3
           2  二号机房       0  是           0  是       30 天       0   6 GiB       3  1.4 TiB     1  -

        宿主机  自第几台起  原因
        node4            1  最高承载等保 2 级，申请为 3 级
        node1            2  内存不足：需 16 GiB，余 0 B（可分配 64 GiB）
        ");
    }
}
