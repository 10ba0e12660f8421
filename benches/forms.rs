//! How long a feasibility report of 60 pages takes to read, beside python-docx reading the same tables to text in the same
//! run: in this process (read and judged), and as a whole process (`jiyue request check`). The report is
//! made by the tests' writer and rendered by LibreOffice before the clock starts. Medians; A B A B.
//!
//! `make bench-forms` (`ROUNDS=15`); `PEER_PYTHON` is a Python that has python-docx, without it only our figures are
//! printed, and that is said.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(
    clippy::format_collect,
    dead_code,
    unused_imports,
    reason = "shares the tests' support, of which it needs a part"
)]

#[path = "../tests/it/forms/mod.rs"]
mod forms;
#[path = "../tests/it/support/mod.rs"]
mod support;

use forms::{
    generate::{self, Wish},
    model::Layout,
    odf, paper,
    render::{self, Format},
    tree::{Cell, Node, Table},
};
use jiyue::{
    catalogue::Catalogue,
    jurisdiction::Profile,
    request::{offline, raw::RawReport, rules::Ground},
    time::Clock,
};
use std::{
    io::{Cursor, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use support::Dice;

const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/forms_peer.py");

fn main() {
    let rounds = std::env::var("ROUNDS").ok().map_or(15, |text| text.parse().expect("ROUNDS is a number"));
    let file = report();
    let bytes = std::fs::read(&file).expect("just rendered");
    let (pages, (tables, characters)) = (pages(&file), extent(&bytes));
    println!("{pages} pages, {tables} tables, {characters} characters, {} KiB", bytes.len() / 1024);
    // Pages depend on the fonts at hand; a page of such a report has some 1,100 characters.
    assert!(characters >= 60_000 && tables >= 40, "not the report that was meant");

    let (catalogue, profile) = (Catalogue::embedded().unwrap(), Profile::embedded("xiangcheng").unwrap());
    let today = Clock::System.today();
    let python = std::env::var_os("PEER_PYTHON");
    let (mut read, mut check) = (Vec::new(), Vec::new());
    let (mut peer_read, mut peer_check) = (Vec::new(), Vec::new());
    let mut blocks = 0;
    for _ in 0..rounds {
        let began = Instant::now();
        let form = jiyue::request::form::read(&bytes, "report.docx").expect("it is a report");
        let report = RawReport::of_form(form, &serde_json::Map::new()).expect("a report");
        let shown = offline::check(&report, Ground { catalogue: &catalogue, profile: &profile, today });
        read.push(began.elapsed());
        assert!(shown.violations.is_empty(), "{:?}", shown.violations);
        blocks = report.blocks.len();
        check
            .push(timed(Command::new(env!("CARGO_BIN_EXE_jiyue")).args(["request", "check", "-o", "json"]).arg(&file)));
        if let Some(python) = &python {
            let (whole, own) = peer(Path::new(python), &file);
            peer_check.push(whole);
            peer_read.push(own);
        }
    }
    println!("{:<24}{:>12}{:>16}{:>10}", "", "jiyue", "python-docx", "ratio");
    line("in the process", read, peer_read);
    line("as a process", check, peer_check);
    println!("{blocks} of 3 blocks read");
    if python.is_none() {
        println!("no PEER_PYTHON: nothing to compare with (make bench-forms prepares one)");
    }
}

/// Sixty pages: a usual report, and behind it what makes reports long: descriptions and tables of functions.
fn report() -> PathBuf {
    let wish = Wish { blocks: Some(3), layout: Some(Layout::Form), application: Some(true), ..Wish::default() };
    let mut report = generate::sound(&mut Dice::new(1), "long", wish);
    report.style.resaved = false;
    let mut nodes = paper::nodes(&report);
    for n in 1..=34 {
        nodes.push(Node::section(format!("附录 {n}、功能说明")));
        nodes.extend((0..18).map(|k| {
            Node::para(format!(
                "第 {k} 项功能受理业务申请，校验申请材料的完整性与一致性，将办理过程和办理结果写入日志，\
                 并按岗位向经办人员、审核人员和分管负责人发送待办提醒，逾期未办的逐级提示。"
            ))
        }));
        let head = ["系统名称", "子系统名称", "功能模块名称", "主要功能描述"];
        let row = |texts: [&str; 4]| texts.iter().map(|text| Cell::text(*text)).collect();
        let mut rows: Vec<Vec<Cell>> = vec![row(head)];
        rows.extend((0..14).map(|k| row(["综合平台", "受理", &format!("模块 {k}"), "登记办件，校验材料，生成回执"])));
        nodes.push(Node::Table(Table { rows }));
    }
    let folder = support::scratch("bench-forms");
    let source = folder.join("long.fodt");
    std::fs::write(&source, odf::text(&nodes)).expect("the scratch folder takes it");
    render::all(&folder, &[source], Format::Docx).remove(0)
}

/// As LibreOffice lays it out.
fn pages(file: &Path) -> usize {
    let folder = file.parent().expect("a folder");
    let pdf = std::fs::read(render::all(folder, &[file.to_owned()], Format::Pdf).remove(0)).expect("just rendered");
    let mark = b"/Type/Page";
    pdf.windows(mark.len() + 1).filter(|at| at.starts_with(mark) && at[mark.len()] != b's').count()
}

/// Tables, and characters of text.
fn extent(bytes: &[u8]) -> (usize, usize) {
    let mut package = zip::ZipArchive::new(Cursor::new(bytes)).expect("a package");
    let mut text = String::new();
    let mut part = package.by_name("word/document.xml").expect("every report has it");
    part.read_to_string(&mut text).expect("UTF-8");
    let runs = text.split("<w:t>").chain(text.split("<w:t xml:space=\"preserve\">")).skip(1);
    let characters = runs.filter_map(|run| Some(run.split_once("</w:t>")?.0.chars().count())).sum();
    (text.matches("<w:tbl>").count(), characters)
}

fn timed(command: &mut Command) -> Duration {
    let began = Instant::now();
    // What it answers is for the evaluation; here only how long it takes.
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs");
    began.elapsed()
}

/// The whole process, and what it says the reading alone took.
fn peer(python: &Path, file: &Path) -> (Duration, Duration) {
    let began = Instant::now();
    let out = Command::new(python).arg(PEER).arg(file).output().expect("python runs");
    let whole = began.elapsed();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let seconds: f64 = String::from_utf8_lossy(&out.stdout).trim().parse().expect("seconds");
    (whole, Duration::from_secs_f64(seconds))
}

fn median(mut runs: Vec<Duration>) -> Option<f64> {
    runs.sort();
    runs.get(runs.len() / 2).map(|time| time.as_secs_f64() * 1000.0)
}

fn line(title: &str, ours: Vec<Duration>, theirs: Vec<Duration>) {
    let ours = median(ours).unwrap_or(f64::NAN);
    match median(theirs) {
        Some(theirs) => println!("{title:<24}{ours:>9.1} ms{theirs:>13.1} ms{:>9.1}×", theirs / ours),
        None => println!("{title:<24}{ours:>9.1} ms"),
    }
}
