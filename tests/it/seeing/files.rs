//! The files, and what every board has to be like.

use super::panels;
use jiyue::{
    capacity::standing::HostState,
    labels::Zone,
    machine::{lifecycle as machine, name::lifecycle as name},
    metrics::series::{self, Series, Values},
    operation,
    provider::Part,
    request::lifecycle::RequestState,
    rule::Code,
    seeing::{self, boards, words},
    usage::{source::answer::Failure, verdict::Verdict, zombie::lifecycle as zombie},
    watch::AlarmKind,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

fn home(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match path.strip_prefix("kubernetes/") {
        Some(file) => root.join("manifests/overlays/monitoring").join(file),
        None => root.join("dashboards").join(path),
    }
}

/// `INSTA_UPDATE=always` writes them anew, as it does the goldens.
#[test]
fn rules_and_dashboards_are_kept_as_the_program_writes_them() {
    let files = seeing::files().unwrap();
    let mut mine = BTreeSet::new();
    for file in &files {
        let path = home(&file.path);
        if std::env::var("INSTA_UPDATE").is_ok_and(|wish| wish == "always") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &file.text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let shown = path.display();
        assert!(kept == file.text, "{shown} is not what `jiyue dashboards` writes; INSTA_UPDATE=always writes it");
        mine.insert(path);
    }
    let mut folders = vec![home("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                assert!(mine.contains(&entry.path()), "{} is of nobody's making", entry.path().display());
            }
        }
    }
}

#[test]
fn each_yaml_file_says_what_was_meant() {
    let files = seeing::files().unwrap();
    let read = |path: &str| -> Value {
        let file = files.iter().find(|file| file.path == path).unwrap();
        serde_saphyr::from_str(&file.text).unwrap()
    };
    let rules = seeing::rules::document();
    assert_eq!(read("rules.yaml"), rules);
    assert_eq!(read("kubernetes/prometheus-rule.yaml")["spec"], rules);
    let map = read("kubernetes/dashboards.yaml");
    for board in boards::all() {
        let text = map["data"][format!("{}.json", board.uid)].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), board.json());
    }
    // What a cluster takes.
    assert!(files.iter().all(|file| file.text.len() < 900_000));
}

/// What is wrong with a board.
fn faults(board: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let all = board["panels"].as_array().unwrap();
    for panel in all {
        let title = panel["title"].as_str().unwrap_or_default().to_owned();
        let mut fault = |what: &str| faults.push(format!("{title}: {what}"));
        if !panel["id"].as_u64().is_some_and(|id| id > 0 && ids.insert(id)) {
            fault("no id of its own");
        }
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or(99);
        if at("x") + at("w") > 24 || at("w") == 0 || at("h") == 0 {
            fault("not on the grid");
        }
        let cells = (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)));
        if cells.filter(|cell| !taken.insert(*cell)).count() > 0 {
            fault("overlaps another");
        }
        if title.is_empty() || title.is_ascii() && title != "CPU" {
            fault("no Chinese title");
        }
        if panel["type"] == "row" {
            continue;
        }
        if panel["description"].as_str().is_none_or(str::is_empty) {
            fault("no description");
        }
        if panel["fieldConfig"]["defaults"]["unit"].as_str().is_none_or(str::is_empty) {
            fault("no unit");
        }
        let mut asked = panel["targets"].as_array().cloned().unwrap_or_default();
        let mut references = BTreeSet::new();
        if asked.is_empty() {
            fault("asks for nothing");
        }
        if asked.iter().any(|target| !references.insert(target["refId"].to_string())) {
            fault("two queries of one name");
        }
        asked.push(panel.clone());
        if asked.iter().any(|one| one["datasource"]["uid"] != "${datasource}") {
            fault("a data source of its own");
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = target["expr"].as_str().unwrap_or_default();
            let spans = text.match_indices('[').map(|(at, _)| &text[at..]);
            if spans.clone().any(|span| !span.starts_with("[$__rate_interval]")) || text.contains("$__interval") {
                fault("a span of its own");
            }
            if spans.count() != text.matches("rate(").count() {
                fault("a rate without a span");
            }
        }
    }
    let variables = board["templating"]["list"].as_array().unwrap();
    if !variables.iter().any(|one| one["name"] == "datasource" && one["type"] == "datasource") {
        faults.push("no choice of the data source".to_owned());
    }
    faults
}

#[test]
fn every_board_is_whole() {
    let mut uids = BTreeSet::new();
    for board in boards::all() {
        let json = board.json();
        assert_eq!(faults(&json), [""; 0], "{}", board.title);
        assert!(uids.insert(json["uid"].to_string()) && panels(&json).count() >= 6, "{}", board.title);
    }
    // The judge can say no.
    let good = boards::all()[0].json();
    let spoilt = |spoil: &dyn Fn(&mut Value)| {
        let mut board = good.clone();
        spoil(&mut board);
        faults(&board)
    };
    let first = good["panels"].as_array().unwrap().iter().position(|panel| panel["type"] != "row").unwrap();
    for (word, spoil) in [
        (
            "no id of its own",
            &(|b: &mut Value| b["panels"][first]["id"] = b["panels"][first + 1]["id"].clone()) as &dyn Fn(&mut Value),
        ),
        ("overlaps another", &|b| b["panels"][first + 1]["gridPos"] = b["panels"][first]["gridPos"].clone()),
        ("not on the grid", &|b| b["panels"][first]["gridPos"]["x"] = 23.into()),
        ("no unit", &|b| b["panels"][first]["fieldConfig"]["defaults"]["unit"] = Value::Null),
        ("no description", &|b| b["panels"][first]["description"] = "".into()),
        ("a data source of its own", &|b| b["panels"][first]["targets"][0]["datasource"]["uid"] = "x".into()),
        ("a span of its own", &|b| b["panels"][first]["targets"][0]["expr"] = "rate(x[5m])".into()),
        ("no choice of the data source", &|b| b["templating"]["list"] = Value::Array(Vec::new())),
    ] {
        let found = spoilt(spoil);
        assert!(found.iter().any(|fault| fault.contains(word)), "{word}: {found:?}");
    }
}

/// The closed values of one of a metric's labels.
fn values(series: &Series, label: &str) -> Vec<&'static str> {
    match series.labels.iter().find(|one| one.name == label).map(|one| one.values) {
        Some(Values::Closed(values)) => values.to_vec(),
        other => panic!("{} {label}: {other:?}", series.name),
    }
}

/// Why asking a source can come to nothing.
fn failures() -> impl Iterator<Item = &'static str> {
    let all = [
        Failure::Unreachable,
        Failure::TimedOut,
        Failure::Untrusted,
        Failure::Token,
        Failure::Redirected(302),
        Failure::Status(503),
        Failure::TooLarge,
        Failure::CutShort,
        Failure::Garbage,
        Failure::Refused(String::new()),
        Failure::WrongType,
        Failure::TooMany,
        Failure::Future,
        Failure::Stale,
    ];
    // One that is new has to be put there as well.
    for failure in &all {
        match failure {
            Failure::Unreachable
            | Failure::TimedOut
            | Failure::Untrusted
            | Failure::Token
            | Failure::Redirected(_)
            | Failure::Status(_)
            | Failure::TooLarge
            | Failure::CutShort
            | Failure::Garbage
            | Failure::Refused(_)
            | Failure::WrongType
            | Failure::TooMany
            | Failure::Future
            | Failure::Stale => {}
        }
    }
    all.map(|failure| failure.word()).into_iter()
}

#[test]
fn labels_have_the_domains_own_words_and_no_others() {
    let steps: Vec<_> = Part::ALL.into_iter().map(Part::word).chain(["register"]).collect();
    let open = |state: &operation::lifecycle::State| !state.is_final();
    for (series, label, own) in [
        (&series::REQUESTS, "state", RequestState::ALL.into_iter().map(RequestState::word).collect::<Vec<_>>()),
        (&series::OPERATIONS, "kind", operation::Kind::ALL.into_iter().map(operation::Kind::word).collect()),
        (
            &series::OPERATIONS,
            "state",
            operation::lifecycle::State::ALL.into_iter().filter(open).map(operation::lifecycle::State::word).collect(),
        ),
        (&series::STEPS, "step", steps),
        (&series::HOSTS, "state", HostState::ALL.into_iter().map(HostState::word).collect()),
        (&series::ALARMS_OPEN, "kind", AlarmKind::ALL.into_iter().map(AlarmKind::word).collect()),
        (&series::MACHINES, "state", machine::State::ALL.into_iter().map(machine::State::word).collect()),
        (&series::NAMES, "state", name::State::ALL.into_iter().map(name::State::word).collect()),
        (&series::VERDICT_MACHINES, "verdict", Verdict::ALL.into_iter().map(Verdict::word).collect()),
        (&series::ZOMBIE_FINDINGS, "state", zombie::State::ALL.into_iter().map(zombie::State::word).collect()),
        (&series::VCPUS, "zone", Zone::ALL.into_iter().map(Zone::word).collect()),
        (
            &series::USAGE_REFUSALS,
            "cause",
            jiyue::usage::Cause::ALL.into_iter().map(jiyue::usage::Cause::word).collect(),
        ),
        (&series::USAGE_SOURCE_ROUNDS, "outcome", ["done", "partial"].into_iter().chain(failures()).collect()),
    ] {
        assert_eq!(values(series, label), own, "{} {label}", series.name);
    }
    assert!(Code::ALL.len() < 200, "each is a series");
}

#[test]
fn people_read_the_domains_own_words() {
    fn own<T: Copy>(
        all: impl IntoIterator<Item = T>,
        word: fn(T) -> &'static str,
        label: fn(T) -> &'static str,
    ) -> Vec<(&'static str, &'static str)> {
        all.into_iter().map(|one| (word(one), label(one))).collect()
    }
    assert_eq!(words::ZONES, own(Zone::ALL, Zone::word, Zone::label));
    assert_eq!(words::HOST_STATES, own(HostState::ALL, HostState::word, HostState::label));
    assert_eq!(words::MACHINE_STATES, own(machine::State::ALL, machine::State::word, machine::State::label));
    assert_eq!(words::ALARMS, own(AlarmKind::ALL, AlarmKind::word, AlarmKind::label));
    assert_eq!(words::FINDINGS, own(zombie::State::ALL, zombie::State::word, zombie::State::label));
    assert_eq!(words::REQUEST_STATES, own(RequestState::ALL, RequestState::word, RequestState::label));
    let said = |words: words::Words| words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    assert_eq!(said(words::STAGES), values(&series::VCPUS, "stage"));
    assert_eq!(said(words::VERDICTS), values(&series::VERDICT_MACHINES, "verdict"));
}
