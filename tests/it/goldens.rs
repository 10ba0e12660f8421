//! What others rely on is written down word for word; a change shows as a difference.
//!
//! A golden that differs fails and writes nothing (`INSTA_UPDATE=no` in `.cargo/config.toml`).

use jiyue::{
    http,
    identity::policy,
    jurisdiction::Profile,
    machine::{lifecycle as machine, name::lifecycle as name},
    metrics::Metrics,
    migration::moving::lifecycle as moving,
    operation::{self, lifecycle as operation_life},
    request::lifecycle as request,
    rulebook,
};
use std::path::Path;

/// Compares with `tests/golden/{name}.snap`.
#[track_caller]
pub fn golden(name: &str, text: &str) {
    insta::with_settings!({snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

/// All states against all events: the next state, or `–` where it is refused.
pub fn table<S: Copy, E: Copy>(
    states: &[S],
    events: &[E],
    state: impl Fn(S) -> String,
    event: impl Fn(E) -> String,
    next: impl Fn(S, E) -> Option<S>,
) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = row(std::iter::once("state".to_owned()).chain(events.iter().map(|e| event(*e))).collect());
    text.push_str(&row(vec!["---".to_owned(); events.len() + 1]));
    for from in states {
        let cells = events.iter().map(|e| next(*from, *e).map_or("–".to_owned(), &state));
        text.push_str(&row(std::iter::once(state(*from)).chain(cells).collect()));
    }
    text
}

#[test]
fn the_openapi_document_is_a_golden() {
    golden("openapi", &http::openapi().to_pretty_json().unwrap());
}

/// `INSTA_UPDATE=always` writes it anew, as it does the goldens.
#[test]
fn the_page_of_rules_is_generated() {
    for id in Profile::embedded_ids() {
        let page = rulebook::page(&Profile::embedded(id).unwrap());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/rules-{id}.md"));
        if std::env::var("INSTA_UPDATE").is_ok_and(|wish| wish == "always") {
            std::fs::write(&path, &page).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == page, "{} is not what `jiyue rules list` says; INSTA_UPDATE=always writes it", path.display());
    }
}

#[test]
fn the_role_matrix_is_a_golden() {
    golden("role_matrix", &policy::table());
}

#[test]
fn the_life_of_a_machine_is_a_golden() {
    use machine::{Event, State};
    let text = table(&State::ALL, &Event::ALL, |s| s.to_string(), |e| format!("{e:?}"), |s, e| s.next(e).ok());
    golden("machine_lifecycle", &text);
    let kinds = operation::Kind::ALL.into_iter().filter(|kind| *kind != operation::Kind::Build);
    let admitted: Vec<_> = kinds
        .map(|kind| {
            let states = State::ALL.into_iter().filter(|state| state.admits(kind)).map(State::word);
            format!("{kind}: {}\n", states.collect::<Vec<_>>().join(", "))
        })
        .collect();
    golden("machine_acts", &admitted.concat());
}

#[test]
fn the_life_of_an_operation_is_a_golden() {
    use operation_life::{Event, State};
    let text = table(&State::ALL, &Event::ALL, |s| s.to_string(), |e| format!("{e:?}"), |s, e| s.next(e).ok());
    golden("operation_lifecycle", &text);
    for state in State::ALL {
        let ends = Event::ALL.into_iter().all(|event| state.next(event).is_err());
        assert_eq!(state.is_final(), ends, "{state}");
    }
}

#[test]
fn the_life_of_a_name_is_a_golden() {
    use name::{Event, State};
    let text = table(&State::ALL, &Event::ALL, |s| s.to_string(), |e| format!("{e:?}"), |s, e| s.next(e).ok());
    golden("name_lifecycle", &text);
}

#[test]
fn the_life_of_a_disk_import_is_a_golden() {
    use moving::{Event, State};
    let text = table(&State::ALL, &Event::ALL, |s| s.to_string(), |e| format!("{e:?}"), |s, e| s.next(e).ok());
    golden("disk_import_lifecycle", &text);
}

/// By what was decided of it: a system that is moved, one that is given up, one of which nothing is decided.
#[test]
fn the_stages_of_a_system_are_a_golden() {
    use jiyue::migration::fate::{Disposition, Stage, Step};
    let fates = [None, Some(Disposition::Inherit), Some(Disposition::Rebuild), Some(Disposition::Discard)];
    let tables = fates.map(|fate| {
        let name = fate.map_or("undecided", Disposition::word);
        let next = |stage: Stage, step| stage.next(step, fate).ok();
        format!("{name}\n{}", table(&Stage::ALL, &Step::ALL, |s| s.to_string(), |e| e.to_string(), next))
    });
    golden("system_stages", &tables.join("\n"));
}

#[test]
fn the_life_of_a_request_agrees_with_its_own_golden() {
    use request::{RequestEvent, RequestState};
    // The table with its Chinese names is written where the lifecycle is tested; here, that no state is a dead end.
    for state in RequestState::ALL {
        let ends = RequestEvent::ALL.into_iter().all(|event| state.next(event).is_err());
        assert_eq!(state.is_final(), ends, "{state}");
    }
    let kept = include_str!("../golden/request_lifecycle.snap");
    assert!(kept.ends_with(&request::transition_table()), "{kept}");
}

#[test]
fn the_metrics_are_a_golden() {
    let metrics = Metrics::new().unwrap();
    golden("metrics", &metrics.catalogue().join("\n"));
    for line in metrics.catalogue() {
        assert!(line.starts_with("jiyue_"), "{line}");
    }
}

#[test]
fn no_golden_waits_to_be_read() {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                walk(&path, found);
            } else if name.ends_with(".snap.new") || name.ends_with(".pending-snap") {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["src", "tests"] {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    assert_eq!(found, [""; 0]);
}
