//! The rules, judged and tried by Prometheus' own tool: each alert comes when it should, not at once where it is to wait, and
//! not when it should not.

use crate::support::scratch;
use jiyue::{
    metrics::series::{self, Series},
    seeing::{
        query::{Want, Wants, of},
        rules,
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path, process::Command};

fn promtool(folder: &Path, args: &[&str]) -> (bool, String) {
    let out = Command::new("promtool").current_dir(folder).args(args).output();
    let out = out.unwrap_or_else(|error| panic!("{error}: hypervisor/install.sh test"));
    let told = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&told).into_owned())
}

/// A series that two brokers tell alike, with its values a minute apart.
type Told = (String, &'static str);

fn told(series: &Series, suffix: &str, wants: Wants, values: &'static str) -> Vec<Told> {
    ["a:8460", "b:8460"]
        .iter()
        .map(|instance| {
            let named = Series { name: format!("{}{suffix}", series.name).leak(), ..*series };
            let wants = [wants, &[("instance", Want::Is(instance)), ("job", Want::Is("jiyue"))]].concat();
            (of(&named, &wants), values)
        })
        .collect()
}

struct Case {
    alert: &'static str,
    firing: Vec<Told>,
    /// Each for itself.
    silent: Vec<Vec<Told>>,
    /// By when it has come.
    minutes: u32,
}

fn case(alert: &'static str, minutes: u32, firing: Vec<Told>, silent: impl IntoIterator<Item = Vec<Told>>) -> Case {
    Case { alert, firing, silent: silent.into_iter().collect(), minutes }
}

/// One gauge that is too much, and just not.
fn gauge(
    alert: &'static str,
    minutes: u32,
    series: &Series,
    wants: Wants,
    firing: &'static str,
    silent: &'static str,
) -> Case {
    case(alert, minutes, told(series, "", wants, firing), [told(series, "", wants, silent)])
}

#[allow(clippy::too_many_lines, reason = "one table")]
fn cases() -> Vec<Case> {
    fn is(value: &str) -> Want<'_> {
        Want::Is(value)
    }
    let slow = |fast: &'static str| {
        [("0.5", fast), ("1.0", fast), ("2.5", "0+10x900"), ("+Inf", "0+10x900")]
            .into_iter()
            .flat_map(|(le, values)| {
                told(&series::DATABASE_WRITES, "_bucket", &[("le", is(le)), ("outcome", is("done"))], values)
            })
            .collect::<Vec<_>>()
    };
    let book = [("task_book", is("相信任〔2026〕17号")), ("department", is("民政局")), ("indicator", is("vcpus"))];
    let zone = |stage| [("stage", is(stage)), ("zone", is("internet")), ("provider", is("libvirt"))];
    let stock_of = |series: &Series, physical, allocated| {
        [told(series, "", &zone("physical"), physical), told(series, "", &zone("allocated"), allocated)].concat()
    };
    let stock = |physical, allocated| stock_of(&series::VCPUS, physical, allocated);
    let source = |fine: &'static str| {
        let of = |outcome| [("source", is("room-1")), ("outcome", is(outcome))];
        let failing = told(&series::USAGE_SOURCE_ROUNDS, "", &of("unreachable"), "0+1x900");
        [failing, told(&series::USAGE_SOURCE_ROUNDS, "", &of("done"), fine)].concat()
    };
    let judged = |idle, busy| {
        let of = |verdict| [("verdict", is(verdict))];
        [told(&series::VERDICT_MACHINES, "", &of("idle"), idle), told(&series::VERDICT_MACHINES, "", &of("busy"), busy)]
            .concat()
    };
    let submitted = [("state", is("submitted"))];
    let failed = [("outcome", is("failed"))];
    // Whatever kind of it there is: one table for those that differ in a word alone.
    let alarm = |alert, kind| gauge(alert, 5, &series::ALARMS_OPEN, &[("kind", is(kind))], "1+0x900", "0+0x900");
    let kinds = ["foreign", "stray", "altered", "restarted"].map(|kind| alarm("JiyueUnauthorisedDomain", kind));
    let missing = ["missing", "power_cut"].map(|kind| alarm("JiyueMachineMissing", kind));
    let names = ["refused_key", "refused", "taken", "removal_refused"].map(|state| {
        let told = |state| told(&series::NAMES, "", &[("state", is(state))], "1+0x900");
        case("JiyueNameRefused", 20, told(state), ["pending", "registered", "removing", "removed"].map(told))
    });
    let full = [series::VCPUS, series::MEMORY, series::DISK].map(|series| {
        let alone = told(&series, "", &zone("physical"), "100+0x900");
        let silent = [stock_of(&series, "100+0x900", "84+0x900"), alone];
        case("JiyueZoneNearlyFull", 30, stock_of(&series, "100+0x900", "86+0x900"), silent)
    });
    let alike = kinds.into_iter().chain(missing).chain(names).chain(full);
    let others = vec![
        case("JiyueGone", 10, Vec::new(), [told(&series::BUILD_INFO, "", &[("version", is("1"))], "1+0x900")]),
        gauge("JiyueDatabaseDown", 3, &series::DATABASE_UP, &[], "0+0x900", "1+0x900"),
        case(
            "JiyueDatabaseWritesFail",
            20,
            told(&series::DATABASE_WRITES, "_count", &failed, "0+1x900"),
            [told(&series::DATABASE_WRITES, "_count", &failed, "5+0x900")],
        ),
        case("JiyueDatabaseSlow", 40, slow("0+9x900"), [slow("0+10x900")]),
        case(
            "JiyueCertificateEnding",
            120,
            told(&series::CERTIFICATE_EXPIRY, "", &[], "1728000+0x900"),
            [
                told(&series::CERTIFICATE_EXPIRY, "", &[], "3456000+0x900"),
                told(&series::CERTIFICATE_EXPIRY, "", &[], "432000+0x900"),
            ],
        ),
        gauge("JiyueCertificateAlmostOver", 10, &series::CERTIFICATE_EXPIRY, &[], "432000+0x900", "1728000+0x900"),
        gauge("JiyueLedgerDiffers", 2, &series::LEDGER, &[], "1+0x900", "0+0x900"),
        gauge("JiyueFinalizerHanging", 10, &series::KUBE_OLDEST, &[], "901+0x900", "900+0x900"),
        gauge("JiyueHostUnknown", 3, &series::HOST_SILENCE, &[("host", is("kvm1"))], "61+0x900", "60+0x900"),
        case(
            "JiyueTaskBookNearlyUsed",
            10,
            told(&series::TASK_BOOK_USED, "", &book, "0.8+0x900"),
            [
                told(&series::TASK_BOOK_USED, "", &book, "0.79+0x900"),
                // Then it is the other one's.
                told(&series::TASK_BOOK_USED, "", &book, "0.95+0x900"),
            ],
        ),
        gauge("JiyueTaskBookUsedUp", 10, &series::TASK_BOOK_USED, &book, "0.95+0x900", "0.94+0x900"),
        case(
            "JiyueZoneFillingUp",
            500,
            stock("1000+0x900", "0+0.1x900"),
            [stock("1000+0x900", "0+0.01x900"), stock("1000+0x900", "900+0x900"), stock("1000+0x900", "900-0.1x900")],
        ),
        gauge("JiyueRequestWaiting", 90, &series::REQUEST_AGE, &submitted, "432001+0x900", "431999+0x900"),
        gauge("JiyueOperationStuck", 20, &series::OPERATION_AGE, &[("kind", is("build"))], "3601+0x900", "3600+0x900"),
        gauge("JiyueBuildsFail", 120, &series::REQUESTS, &[("state", is("failed"))], "0+0.04x900", "0+0.02x900"),
        gauge("JiyueCollectorGap", 30, &series::COVERAGE, &[], "0.94+0x900", "0.95+0x900"),
        case("JiyueUsageSourceFailing", 60, source("3+0x900"), [source("0+1x900")]),
        gauge("JiyueRoomLate", 90, &series::ROOMS_LATE, &[], "1+0x900", "0+0x900"),
        gauge("JiyueRoomDeadlineNear", 90, &series::ROOMS_NEAR, &[], "1+0x900", "0+0x900"),
        case("JiyueIdleShare", 90, judged("21+0x900", "79+0x900"), [judged("20+0x900", "80+0x900")]),
    ];
    others.into_iter().chain(alike).collect()
}

fn counted(alert: &str, minutes: u32, count: Option<u32>) -> Value {
    let expr = format!("count(ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}})");
    let samples: Vec<_> = count.iter().map(|count| json!({"labels": "{}", "value": count})).collect();
    json!({"expr": expr, "eval_time": format!("{minutes}m"), "exp_samples": samples})
}

fn tests(cases: &[Case]) -> Vec<Value> {
    let groups = rules::groups();
    let lasting =
        |name: &str| groups.iter().flat_map(|group| &group.alerts).find(|alert| alert.name == name).unwrap().lasting;
    let series = |all: &[Told]| -> Vec<_> {
        all.iter().map(|(series, values)| json!({"series": series, "values": values})).collect()
    };
    cases
        .iter()
        .flat_map(|case| {
            let mut firing = vec![counted(case.alert, case.minutes, Some(1))];
            if lasting(case.alert) != "0s" {
                firing.push(counted(case.alert, 0, None));
            }
            let fires = json!({"name": format!("{} fires", case.alert), "interval": "1m", "input_series": series(&case.firing),
                "promql_expr_test": firing});
            let silent = case.silent.iter().map(|told| {
                json!({"name": format!("{} is silent", case.alert), "interval": "1m", "input_series": series(told),
                    "promql_expr_test": [counted(case.alert, case.minutes, None)]})
            });
            std::iter::once(fires).chain(silent.collect::<Vec<_>>())
        })
        .collect()
}

fn run(name: &str, tests: &[Value]) -> (bool, String) {
    let folder = scratch("promtool");
    std::fs::write(folder.join("rules.yaml"), rules::document().to_string()).unwrap();
    let file = json!({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests});
    std::fs::write(folder.join(name), file.to_string()).unwrap();
    promtool(&folder, &["test", "rules", name])
}

#[test]
fn prometheus_takes_the_rules() {
    let (good, said) = promtool(Path::new(env!("CARGO_MANIFEST_DIR")), &["check", "rules", "dashboards/rules.yaml"]);
    assert!(good && said.contains("SUCCESS"), "{said}");
    let folder = scratch("promtool");
    std::fs::write(folder.join("bad.yaml"), rules::document().to_string().replacen("max (", "maxx (", 1)).unwrap();
    let (good, said) = promtool(&folder, &["check", "rules", "bad.yaml"]);
    assert!(!good, "{said}");
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    let cases = cases();
    let tried: BTreeSet<_> = cases.iter().map(|case| case.alert).collect();
    let groups = rules::groups();
    let all: BTreeSet<_> = groups.iter().flat_map(|group| &group.alerts).map(|alert| alert.name).collect();
    assert_eq!(tried, all);
    assert!(cases.iter().all(|case| !case.silent.is_empty()));
    let (good, said) = run("tests.yaml", &tests(&cases));
    assert!(good, "{said}");
    // The judge can say no: what should be silent fires, and the other way round.
    for mut case in cases.into_iter().filter(|case| case.alert == "JiyueHostUnknown") {
        std::mem::swap(&mut case.firing, &mut case.silent[0]);
        let (good, said) = run("swapped.yaml", &tests(&[case]));
        assert!(!good && said.matches("FAILED").count() >= 1, "{said}");
    }
}

/// Names that somebody made up to break a page, as an alert tells them: letter for letter, and in no other label.
#[test]
fn hostile_names_stay_text() {
    let department = "</script><img src=x onerror=alert(1)>{{ $value }}\\\"\\n";
    let number = "${jndi:x}{{ fail }}";
    let wants =
        [("task_book", Want::Is(number)), ("department", Want::Is(department)), ("indicator", Want::Is("disk"))];
    let told = told(&series::TASK_BOOK_USED, "", &wants, "0.97+0x60");
    let plain = department.replace("\\\"", "\"").replace("\\n", "\n");
    let runbook = rules::groups()
        .iter()
        .flat_map(|group| group.alerts.clone())
        .find(|alert| alert.name == "JiyueTaskBookUsedUp")
        .unwrap()
        .runbook;
    let test = json!({"interval": "1m", "input_series": told.iter().map(|(series, values)| json!({"series": series, "values": values})).collect::<Vec<_>>(),
    "alert_rule_test": [{"eval_time": "10m", "alertname": "JiyueTaskBookUsedUp", "exp_alerts": [{
        "exp_labels": {"severity": "critical", "task_book": number, "department": plain, "indicator": "disk"},
        "exp_annotations": {"summary": format!("{plain}的任务书 {number} 将用尽：97%（disk）"), "runbook": runbook},
    }]}]});
    let (good, said) = run("hostile.yaml", &[test]);
    assert!(good, "{said}");
}
