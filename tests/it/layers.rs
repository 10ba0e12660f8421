//! The house keeps its shape: our own source is read and judged against the map in `src/lib.rs` and the invariants of
//! `ARCHITECTURE.md`. Each judgement is first shown a planted offender.

use crate::support::source::{self, Mention, Source};
use std::collections::{BTreeMap, BTreeSet};

/// Files and folders that do IO, and why they must.
const IO: &[(&str, &str)] = &[
    ("main.rs", "starts the runtime"),
    ("app.rs", "builds the parts and serves"),
    ("doctor/probe.rs", "looks at the machine"),
    ("doctor/mod.rs", "looks at several things at once"),
    ("cli/top/mod.rs", "looks again and again, and listens to keys"),
    ("console/mod.rs", "serves pages"),
    ("console/session.rs", "reads and writes headers, and asks nobody"),
    ("cli/upload.rs", "streams a file to the server"),
    ("cli/watch.rs", "waits between two looks at an operation"),
    ("cli/follow.rs", "waits between two looks at a list"),
    ("client/", "is the HTTP client"),
    ("serve/", "listens, and speaks TLS"),
    ("http/", "is the HTTP surface"),
    ("error.rs", "is where problems become HTTP answers"),
    ("audit.rs", "writes its record in the act's transaction"),
    ("db.rs", "is the database"),
    ("db/", "is the database"),
    ("store.rs", "is a domain's SQL"),
    ("service.rs", "is a domain's acts: reads, decides, writes"),
    ("steps.rs", "repeats provider calls"),
    ("request/apart.rs", "talks to the process that reads files"),
    ("operation/worker.rs", "drives the runners"),
    ("machine/build.rs", "is a runner"),
    ("machine/distribution/courier.rs", "drives images to hosts"),
    ("machine/drain.rs", "goes round"),
    ("machine/relocate.rs", "is a runner"),
    ("capacity/maintenance.rs", "runs the fence command"),
    ("watch/task.rs", "goes round"),
    ("k8s/cluster.rs", "writes to a cluster"),
    ("k8s/crd/", "derives its types from kube's, and asks nobody"),
    ("k8s/mirror.rs", "names its types by kube's trait, and asks nobody"),
    ("k8s/mirrors.rs", "keeps what shows in a cluster"),
    ("k8s/task.rs", "holds the controller's term"),
    ("k8s/view.rs", "keeps what the watches bring"),
    ("k8s/work.rs", "drives the controller's steps"),
    ("k8s/written.rs", "keeps what our writes have left"),
    ("usage/task.rs", "goes round"),
    ("report/task.rs", "goes round"),
    ("usage/source/ask.rs", "asks a Prometheus"),
    ("machine/name/registrar.rs", "drives names to their end"),
    ("dns/mod.rs", "gives an attempt its time"),
    ("dns/exchange.rs", "speaks to a DNS server"),
    ("provider/libvirt/", "speaks to libvirt"),
    ("provider/kubevirt/mod.rs", "drives a cluster"),
    ("provider/kubevirt/api.rs", "speaks to a cluster's API"),
    ("provider/kubevirt/building.rs", "makes a machine's objects, and waits a moment for its guest"),
    ("provider/kubevirt/recent.rs", "keeps an answer for a moment"),
    ("provider/kubevirt/watch.rs", "follows a cluster's watches"),
    ("provider/kubevirt/way_in.rs", "looks whether a way in can be read"),
    ("machine/estate.rs", "reads what a department's place has to be"),
    ("provider/simulated.rs", "plays a host at a distance, so it sleeps"),
];
/// What a pure file does not import.
const IO_CRATES: &[&str] =
    &["sqlx", "tokio", "tokio_util", "virt", "virt_sys", "kube", "axum", "reqwest", "tower_http"];

fn is_io(file: &str, place: &str) -> bool {
    match place.strip_suffix('/') {
        Some(_) => file.starts_with(place),
        None if place.contains('/') || !matches!(place, "store.rs" | "service.rs" | "steps.rs") => file == place,
        None => file.ends_with(&format!("/{place}")),
    }
}

/// The rows of the map in `src/lib.rs`, from the top of the house to the ground.
fn map() -> Vec<Vec<String>> {
    let lib = include_str!("../../src/lib.rs");
    let block = lib.split("```text").nth(1).and_then(|rest| rest.split("```").next()).expect("the map");
    let words = |text: &str| text.split(',').map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect::<Vec<_>>();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut ground = false;
    for line in block.lines().filter_map(|line| line.strip_prefix("//! ")) {
        match line.split_once("  ") {
            Some(("ground", modules)) => {
                ground = true;
                rows.push(words(modules));
            }
            Some((modules, _)) if !modules.is_empty() => rows.push(words(modules)),
            _ if ground => rows.last_mut().expect("a row").extend(words(line)),
            _ => {}
        }
    }
    rows
}

fn rank(map: &[Vec<String>], module: &str) -> Option<usize> {
    map.iter().position(|row| row.iter().any(|name| name == module))
}

/// Uses of one top-level module by another, outside its own row, that run upwards; and of `provider`, `dns` and `seeing`,
/// which know only the ground.
fn climbers(map: &[Vec<String>], sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let Some(own) = source.module.first().filter(|m| *m != "main") else { continue };
        let from = rank(map, own).unwrap_or_else(|| panic!("{own} stands in no row of the map in src/lib.rs"));
        for Mention { path, line } in &source.mentions.paths {
            let [krate, module, ..] = &path[..] else { continue };
            let Some(to) = (krate == "crate").then(|| rank(map, module)).flatten() else { continue };
            let ground = map.len() - 1;
            let grounded = matches!(own.as_str(), "provider" | "dns" | "seeing");
            if to < from || (grounded && module != own && to != ground) {
                found.push(format!("{}:{line} names {}", source.name, path.join("::")));
            }
        }
    }
    found
}

#[test]
fn imports_run_only_down_the_map() {
    let map = map();
    for (upper, lower) in
        [("cli", "http"), ("http", "machine"), ("request", "capacity"), ("audit", "db"), ("db", "ids")]
    {
        assert!(rank(&map, upper) < rank(&map, lower), "{upper} stands above {lower}: {map:?}");
    }
    for offender in [
        "use crate::{ids::Id, machine::{Machine}};",
        "fn f() { crate::http::router(); }",
        "fn f() { println!(\"{}\", crate::machine::lifecycle::State::ALL.len()); }",
        "use super::super::http;",
    ] {
        assert_eq!(climbers(&map, &[Source::parse("capacity/planted.rs", offender)]).len(), 1, "{offender}");
    }
    for grounded in ["provider", "dns", "seeing"] {
        let planted = Source::parse(&format!("{grounded}/planted.rs"), "use crate::db::Db;");
        assert_eq!(climbers(&map, &[planted]).len(), 1);
    }
    assert_eq!(climbers(&map, &[Source::parse("dns/planted.rs", "use crate::provider::Intent;")]).len(), 1);
    assert_eq!(
        climbers(
            &map,
            &[Source::parse("capacity/fine.rs", "use crate::ids::Id; #[cfg(test)] mod tests { use crate::http; }")]
        ),
        [""; 0]
    );
    assert_eq!(climbers(&map, source::all()), [""; 0]);
}

#[test]
fn every_module_stands_in_the_map() {
    let lib = Source::parse("lib.rs", include_str!("../../src/lib.rs"));
    let modules: BTreeSet<_> = lib.declares.into_iter().collect();
    assert_eq!(map().into_iter().flatten().collect::<BTreeSet<_>>(), modules);
}

/// A way from a module back to itself.
fn cycle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(uses: &BTreeMap<String, BTreeSet<String>>, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let here = way.last().cloned().unwrap_or_default();
        for next in uses.get(&here).into_iter().flatten() {
            if let Some(start) = way.iter().position(|seen| seen == next) {
                way.drain(..start);
                return true;
            }
            if !done.contains(next) {
                way.push(next.clone());
                if walk(uses, way, done) {
                    return true;
                }
            }
        }
        done.extend(way.pop());
        false
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|module| {
        let mut way = vec![module.clone()];
        (!done.contains(module) && walk(uses, &mut way, &mut done)).then_some(way)
    })
}

#[test]
fn no_two_modules_know_each_other() {
    let of = |pairs: &[(&str, &str)]| {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in pairs {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        uses
    };
    assert_eq!(cycle(&of(&[("a", "b"), ("b", "c"), ("c", "b")])), Some(vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!(cycle(&of(&[("a", "b"), ("a", "c"), ("b", "c")])), None);
    let (map, mut uses) = (map(), BTreeMap::<String, BTreeSet<String>>::new());
    for source in source::all() {
        let Some(own) = source.module.first() else { continue };
        for Mention { path, .. } in &source.mentions.paths {
            if let [krate, module, ..] = &path[..]
                && krate == "crate"
                && module != own
                && rank(&map, module).is_some()
            {
                uses.entry(own.clone()).or_default().insert(module.clone());
            }
        }
    }
    assert!(uses.len() > 15, "{uses:?}");
    assert_eq!(cycle(&uses), None);
}

/// The controller's files, as its modules do.
#[test]
fn no_two_files_of_the_controller_know_each_other() {
    let mut uses = BTreeMap::<String, BTreeSet<String>>::new();
    for source in source::all() {
        let [folder, own, ..] = &source.module[..] else { continue };
        let named = source.mentions.paths.iter().filter_map(|mention| match &mention.path[..] {
            [krate, module, file, ..] if krate == "crate" && module == "k8s" => Some(file.clone()),
            _ => None,
        });
        if folder == "k8s" {
            let files = named.filter(|file| file != own && file.chars().all(|c| c.is_ascii_lowercase()));
            uses.entry(own.clone()).or_default().extend(files);
        }
    }
    assert!(uses["work"].contains("mirrors") && uses["mirrors"].contains("view"), "{uses:?}");
    assert_eq!(cycle(&uses), None);
}

/// What a thing of the survey is made of, from the least: each of these files names only those before it.
const SURVEY: [&str; 5] = ["said", "fate", "room", "wave", "estate"];

/// Names that run the wrong way among these.
fn forward(sources: &[Source]) -> Vec<String> {
    let place = |path: &[String]| match path {
        [migration, file, ..] if migration == "migration" => SURVEY.iter().position(|name| name == file),
        _ => None,
    };
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.module.len() == 2) {
        let Some(own) = place(&source.module) else { continue };
        for Mention { path, line } in &source.mentions.paths {
            if path.first().is_some_and(|krate| krate == "crate") && place(&path[1..]).is_some_and(|to| to > own) {
                found.push(format!("{}:{line} names {}", source.name, path.join("::")));
            }
        }
    }
    found
}

#[test]
fn a_thing_of_the_survey_names_only_what_it_is_made_of() {
    let offender = Source::parse("migration/fate.rs", "use super::estate::Estate;");
    assert_eq!(forward(&[offender]).len(), 1);
    for name in SURVEY {
        assert!(source::all().iter().any(|source| source.module == ["migration", name]), "{name}");
    }
    assert_eq!(forward(source::all()), [""; 0]);
}

/// Lines that name one of `crates`.
fn names(source: &Source, crates: &[&str]) -> Vec<String> {
    let mentions = &source.mentions.paths;
    let named = mentions.iter().filter(|m| m.path.len() > 1 && crates.contains(&m.path[0].as_str()));
    named.map(|m| format!("{}:{} names {}", source.name, m.line, m.path.join("::"))).collect()
}

#[test]
fn pure_files_import_no_io() {
    let planted = Source::parse("request/rules.rs", "use tokio::time::sleep; fn f(_: sqlx::Any) { axum::x!(); }");
    assert_eq!(names(&planted, IO_CRATES).len(), 3);
    let (mut offenders, mut needed) = (Vec::new(), BTreeSet::new());
    for source in source::all() {
        let found = names(source, IO_CRATES);
        match IO.iter().find(|(place, _)| is_io(&source.name, place)) {
            Some((place, _)) if !found.is_empty() => _ = needed.insert(*place),
            Some(_) => {}
            None => offenders.extend(found),
        }
    }
    assert_eq!(offenders, [""; 0]);
    // A licence that nobody uses is taken back.
    assert_eq!(needed, IO.iter().map(|(place, _)| *place).collect());
}

fn sql_outside_stores(sources: &[Source]) -> Vec<String> {
    let allowed =
        |name: &str| name.ends_with("/store.rs") || name == "audit.rs" || name == "db.rs" || name.starts_with("db/");
    let clock = ["unixepoch", "clock_timestamp", "current_timestamp", "now()", "datetime("];
    let mut found = Vec::new();
    for source in sources {
        let mentions = &source.mentions;
        for Mention { path, line } in &mentions.paths {
            let is_sql = path.len() > 1
                && path[0] == "sqlx"
                && (path[1].starts_with("query") || path[1].starts_with("Query") || path[1] == "raw_sql");
            if is_sql && !allowed(&source.name) {
                found.push(format!("{}:{line} runs SQL", source.name));
            }
        }
        for (text, line) in &mentions.strings {
            if source.name != "db.rs" && clock.iter().any(|word| text.contains(word)) {
                found.push(format!("{}:{line} asks the database's clock", source.name));
            }
        }
    }
    found
}

#[test]
fn sql_stands_only_in_stores_and_the_databases_clock_only_in_the_database() {
    for offender in [
        "fn f() { sqlx::query(\"select 1\"); }",
        "use sqlx::{Row, query_as};",
        "use sqlx::QueryBuilder as Any;",
        "fn f() { g(\"update t set at = current_timestamp\"); }",
    ] {
        assert_eq!(sql_outside_stores(&[Source::parse("machine/service.rs", offender)]).len(), 1, "{offender}");
    }
    assert_eq!(sql_outside_stores(source::all()), [""; 0]);
}

#[test]
fn only_the_libvirt_provider_knows_libvirt_and_only_there_is_unsafe() {
    let planted =
        "use virt::domain::Domain; unsafe fn f() {} fn g() { unsafe { virt_sys::x() } } unsafe impl Send for T {}";
    let planted = Source::parse("provider/simulated.rs", planted);
    assert_eq!((names(&planted, &["virt", "virt_sys"]).len(), planted.mentions.unsafes.len()), (2, 3));
    for source in source::all().iter().filter(|source| !source.name.starts_with("provider/libvirt/")) {
        assert_eq!(names(source, &["virt", "virt_sys"]), [""; 0]);
        assert_eq!(source.mentions.unsafes, [0; 0], "{}", source.name);
    }
}

#[test]
fn only_what_speaks_to_a_cluster_knows_its_client() {
    let planted = Source::parse("machine/planted.rs", "use kube::Api; fn f(_: k8s_openapi::api::core::v1::Pod) {}");
    assert_eq!(names(&planted, &["kube", "k8s_openapi"]).len(), 2);
    let may = |name: &str| name.starts_with("k8s/") || name.starts_with("provider/kubevirt");
    for source in source::all().iter().filter(|source| !may(&source.name)) {
        assert_eq!(names(source, &["kube", "k8s_openapi", "schemars"]), [""; 0]);
    }
}

/// Status codes that a file names and should not.
fn codes(source: &Source) -> Vec<String> {
    // The command line is a client: it reads the codes that came.
    if source.name == "error.rs" || source.name.starts_with("client/") || source.name.starts_with("cli/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for Mention { path, line } in &source.mentions.paths {
        let Some(at) = path.iter().position(|s| s == "StatusCode") else { continue };
        let success =
            matches!(path.get(at + 1).map(String::as_str), None | Some("CREATED" | "ACCEPTED" | "OK" | "NOT_MODIFIED"));
        if !success || !source.name.starts_with("http/") {
            found.push(format!("{}:{line} names {}", source.name, path.join("::")));
        }
    }
    found
}

#[test]
fn only_the_problems_know_the_status_codes_of_failure() {
    let wrong = "use axum::http::StatusCode; fn f() { StatusCode::FORBIDDEN; axum::http::StatusCode::from_u16(404); }";
    assert_eq!(codes(&Source::parse("http/planted.rs", wrong)).len(), 2);
    assert_eq!(codes(&Source::parse("machine/planted.rs", "fn f() { StatusCode::OK; }")).len(), 1);
    let all: Vec<_> = source::all().iter().flat_map(codes).collect();
    assert_eq!(all, [""; 0]);
}

fn clocks(source: &Source) -> Vec<String> {
    let mentions = &source.mentions.paths;
    let read = mentions.iter().filter(|m| {
        matches!(&m.path[..], [.., clock, now] if now == "now" && matches!(clock.as_str(), "Timestamp" | "SystemTime" | "Zoned" | "Utc" | "Local"))
    });
    read.map(|m| format!("{}:{} reads the clock", source.name, m.line)).collect()
}

#[test]
fn only_time_reads_the_clock() {
    let planted = "fn f() { jiff::Timestamp::now(); SystemTime::now(); Instant::now(); g!(Zoned::now()); }";
    assert_eq!(clocks(&Source::parse("machine/planted.rs", planted)).len(), 3);
    let all: Vec<_> = source::all().iter().filter(|s| s.name != "time.rs").flat_map(clocks).collect();
    assert_eq!(all, [""; 0]);
}

#[test]
fn no_file_has_outgrown_its_name() {
    for source in source::all() {
        assert!(source.lines <= 600, "{} has {} lines", source.name, source.lines);
    }
}
