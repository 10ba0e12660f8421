//! Draws what is looked at. Pure: a view in, cells out.

use super::view::{View, text};
use crate::cli::{
    format::{self, NOTHING},
    language::{say, tr},
    tables::by_resource,
    words,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row, Table},
};
use serde_json::Value;

/// Below this nothing can be told from anything.
const SMALLEST: (u16, u16) = (40, 10);
/// From here on there is room beside the machines.
const WIDE: u16 = 100;
/// Where it comes from, which is why it is there when Prometheus is not.
pub const SOURCE: &str = "数据取自数据库，不经过 Prometheus";
/// Cells of a bar.
const BAR: usize = 24;

pub fn draw(frame: &mut Frame, view: &View) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        frame.render_widget(Paragraph::new(tr("终端太小")), area);
        return;
    }
    let bars = view.report.as_ref().map(by_resource).unwrap_or_default();
    let waiting = view.rows("waiting");
    let lines = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    let [head, zones, people, rest, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(lines(bars.len()).saturating_add(2).min(area.height / 2)),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(title(view)), head);
    capacity(frame, zones, &bars);
    frame.render_widget(Paragraph::new(people_line(&waiting)), people);
    let (machines_at, side) = if area.width >= WIDE {
        let [left, right] = Layout::horizontal([Constraint::Percentage(58), Constraint::Percentage(42)]).areas(rest);
        (left, right)
    } else {
        let [upper, lower] = Layout::vertical([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(rest);
        (upper, lower)
    };
    machines(frame, machines_at, view);
    let [operations_at, alarms_at] =
        Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(side);
    operations(frame, operations_at, view);
    alarms(frame, alarms_at, view);
    frame.render_widget(Paragraph::new(last_line(view)).style(dim()), foot);
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// Green, yellow from 80, red from 95.
fn heat(percent: f64) -> Style {
    let colour = match percent {
        p if p >= 95.0 => Color::Red,
        p if p >= 80.0 => Color::Yellow,
        _ => Color::Green,
    };
    Style::new().fg(colour)
}

fn title(view: &View) -> Line<'static> {
    let Some(report) = &view.report else { return Line::from(tr("读取中……").to_owned()) };
    let at = report.get("changed_at").and_then(Value::as_str).map(|at| format::time(at, &view.zone));
    let said = say!(
        "集约 {district}：虚拟机 {machines} 台，运行 {running}，变化于 {at}",
        district = text(report, "district"),
        machines = view.in_state(None),
        running = view.in_state(Some("running")),
        at = at.unwrap_or_default()
    );
    let mut line = Line::from(Span::styled(said, bold()));
    if let Some(why) = &view.trouble {
        let trouble = say!("读不到（{why}），显示的是之前的", why = format::clean(why));
        line.push_span(Span::styled(format!("  {trouble}"), Style::new().fg(Color::Red)));
    }
    line
}

fn people_line(waiting: &[&Value]) -> Line<'static> {
    let all: Vec<_> = waiting
        .iter()
        .map(|row| {
            let number = row.get("number").map(format::scalar).unwrap_or_default();
            format!("{} {number}", tr(crate::cli::tables::waiting(row["what"].as_str().unwrap_or_default())))
        })
        .collect();
    let said = if all.is_empty() { tr("没有").to_owned() } else { all.join("  ") };
    let style = if all.is_empty() { dim() } else { Style::new().fg(Color::Yellow) };
    Line::from(vec![Span::styled(format!("{}  ", tr("要人办的")), bold()), Span::styled(said, style)])
}

fn last_line(view: &View) -> String {
    format!("{}　{}", keys(view), tr(SOURCE))
}

fn keys(view: &View) -> String {
    match &view.typing {
        Some(typed) => format!("{}█  {}", say!("筛选：{text}", text = format::clean(typed)), tr("回车确定　Esc 取消")),
        None if view.filter.is_empty() => tr("s 排序　/ 筛选　r 刷新　q 退出").to_owned(),
        None => format!(
            "{}  {}",
            say!("筛选：{text}", text = format::clean(&view.filter)),
            tr("s 排序　/ 筛选　r 刷新　q 退出")
        ),
    }
}

fn capacity(frame: &mut Frame, area: Rect, bars: &[Value]) {
    let rows = bars.iter().map(|row| {
        let number = |pointer: &str| row.pointer(pointer).and_then(Value::as_f64);
        let (given, all) = (number("/allocated").unwrap_or(0.0), number("/physical").unwrap_or(0.0));
        let share = if all > 0.0 { given / all } else { 0.0 };
        let cell = |pointer: &str| {
            let value = row.pointer(pointer).unwrap_or(&Value::Null);
            match (row["resource"].as_str(), value.as_i64()) {
                (Some("memory" | "disk"), Some(bytes)) => format::size(bytes),
                _ => format::scalar(value),
            }
        };
        let zone = format::field("zone", row.get("zone").unwrap_or(&Value::Null));
        Row::new([
            Cell::from(zone),
            Cell::from(tr(words::resource(row["resource"].as_str().unwrap_or_default())).to_owned()),
            Cell::from(Line::from(bar(share, number("/measured").filter(|_| all > 0.0).map(|used| used / all)))),
            Cell::from(format!("{:.0}%", share * 100.0)),
            Cell::from(format!("{} / {}", cell("/allocated"), cell("/physical"))),
            Cell::from(cell("/measured")),
            Cell::from(lasts(row)),
        ])
    });
    let widths = [
        Constraint::Length(8),
        Constraint::Length(6),
        Constraint::Length(u16::try_from(BAR).unwrap_or(u16::MAX)),
        Constraint::Length(5),
        Constraint::Length(22),
        Constraint::Length(10),
        Constraint::Min(8),
    ];
    let heads = ["网络区域", "资源", "分配", "", "分配 / 实有", "实测", "还能用"].map(|head| tr(head).to_owned());
    let table = Table::new(rows, widths).header(Row::new(heads).style(dim()));
    frame.render_widget(table, area);
}

/// What is given out, and within it what is used.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "few cells")]
fn bar(given: f64, used: Option<f64>) -> Vec<Span<'static>> {
    let cells = |share: f64| (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    let (given_cells, used_cells) = (cells(given), used.map_or(0, cells));
    let used_cells = used_cells.min(given_cells);
    vec![
        Span::styled("█".repeat(used_cells), heat(given * 100.0)),
        Span::styled("▓".repeat(given_cells - used_cells), heat(given * 100.0)),
        Span::styled("░".repeat(BAR - given_cells), dim()),
    ]
}

fn lasts(row: &Value) -> String {
    let days = row.pointer("/outlook/days_left").and_then(Value::as_i64);
    match (row.pointer("/outlook/trend").and_then(Value::as_str), days) {
        (Some("growing"), Some(days)) => say!("{days} 天", days),
        (Some("growing"), None) => tr("十年以上").to_owned(),
        (Some("steady"), _) => tr("没有增长").to_owned(),
        _ => tr("不明").to_owned(),
    }
}

fn titled(title: String) -> Block<'static> {
    Block::bordered().title(Span::styled(title, bold()))
}

fn percent(row: &Value, field: &str) -> (String, Style) {
    match row.get(field).and_then(Value::as_f64) {
        Some(percent) => (format!("{percent:>5.1}%"), heat(percent)),
        None => (NOTHING.to_owned(), dim()),
    }
}

fn machines(frame: &mut Frame, area: Rect, view: &View) {
    let block = titled(say!("虚拟机：{order}", order = tr(view.order.label())));
    let all = view.machines();
    if all.is_empty() {
        frame.render_widget(Paragraph::new(tr("没有测到的虚拟机")).style(dim()).block(block), area);
        return;
    }
    let rows = all.into_iter().map(|row| {
        let ((cpu, cpu_style), (memory, memory_style)) = (percent(row, "cpu_percent"), percent(row, "memory_percent"));
        Row::new([
            Cell::from(text(row, "name")),
            Cell::from(Span::styled(cpu, cpu_style)),
            Cell::from(Span::styled(memory, memory_style)),
            Cell::from(text(row, "department")),
            Cell::from(text(row, "host")),
        ])
    });
    let widths = [
        Constraint::Percentage(34),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Percentage(32),
        Constraint::Min(6),
    ];
    let heads = ["虚拟机", "CPU", "内存", "建设单位", "宿主机"].map(|head| tr(head).to_owned());
    frame.render_widget(Table::new(rows, widths).header(Row::new(heads).style(dim())).block(block), area);
}

fn operations(frame: &mut Frame, area: Rect, view: &View) {
    let block = titled(say!("正在进行的操作（{n}）", n = view.number("/operations_open")));
    let rows = view.rows("operations").into_iter().map(|row| {
        let word = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let machine = text(row, "machine");
        Row::new([
            Cell::from(format::clean(tr(words::operation_kind(&word("kind"))))),
            Cell::from(format!("{}%", row.get("percent").map(format::scalar).unwrap_or_default())),
            Cell::from(if machine.is_empty() { text(row, "department") } else { machine }),
            Cell::from(text(row, "step")),
        ])
    });
    let widths = [Constraint::Length(12), Constraint::Length(5), Constraint::Percentage(40), Constraint::Min(6)];
    frame.render_widget(Table::new(rows, widths).block(block), area);
}

fn alarms(frame: &mut Frame, area: Rect, view: &View) {
    let block = titled(say!("未消除的告警（{n}）", n = view.number("/alarms_open")));
    let rows = view.rows("alarms").into_iter().map(|row| {
        let seen = row.get("acknowledged").and_then(Value::as_bool).unwrap_or_default();
        let kind = row.get("kind").and_then(Value::as_str).unwrap_or_default();
        let style = if seen { dim() } else { Style::new().fg(Color::Red) };
        Row::new([
            Cell::from(format::clean(tr(words::alarm_kind(kind)))),
            Cell::from(text(row, "name")),
            Cell::from(text(row, "host")),
        ])
        .style(style)
    });
    let widths = [Constraint::Length(14), Constraint::Percentage(50), Constraint::Min(6)];
    frame.render_widget(Table::new(rows, widths).block(block), area);
}
