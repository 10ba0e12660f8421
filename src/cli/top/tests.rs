//! What is drawn of a report, and what keys do.

use super::{
    draw::draw,
    view::{After, View},
};
use jiff::tz::{TimeZone, offset};
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyModifiers},
};
use serde_json::{Value, json};

fn report() -> Value {
    let machine = |id: &str, name: &str, cpu: f64, memory: f64| {
        json!({"id": id, "name": name, "department": "相城区民政局", "system": null, "host": "kvm-1", "vcpu": 4,
            "cpu_percent": cpu, "memory_percent": memory})
    };
    let (oa, db, old) = (
        machine("1", "oa-1", 87.5, 40.0),
        machine("2", "db-1", 96.0, 71.2),
        machine("3", "old\u{1b}[2J\u{202e}-1", 0.3, 5.0),
    );
    json!({
        "kind": "capacity", "changed_at": "2026-11-30T05:30:00Z", "district": "相城区", "authority": "区信息办",
        "zones": [{"zone": "government_extranet", "hosts": 2, "machines": 3,
            "physical": {"vcpu": 64, "memory_bytes": 274_877_906_944_i64, "disk_bytes": 4_398_046_511_104_i64},
            "free": {"vcpu": 10, "memory_bytes": 0, "disk_bytes": 0},
            "requested": {"vcpu": 60, "memory_bytes": 0, "disk_bytes": 0},
            "approved": {"vcpu": 54, "memory_bytes": 0, "disk_bytes": 0},
            "allocated": {"vcpu": 54, "memory_bytes": 137_438_953_472_i64, "disk_bytes": 4_290_672_328_704_i64},
            "measured": {"machines": 3, "running": 3, "vcpu": 13.5, "memory_bytes": 68_719_476_736_i64},
            "outlook": {"vcpu": {"trend": "growing", "per_day": 0.5, "days_left": 20},
                "memory": {"trend": "steady", "per_day": 0.0, "days_left": null},
                "disk": {"trend": "unknown", "per_day": null, "days_left": null}}}],
        "hosts": [], "task_books": [],
        "machines": [{"state": "running", "machines": 3}, {"state": "in_bin", "machines": 1}],
        "waiting": [{"what": "requests", "number": 2, "since": null}, {"what": "rooms_late", "number": 1, "since": null}],
        "operations_open": 1,
        "operations": [{"id": "o", "kind": "build", "state": "running", "department": "相城区教育局", "machine": null,
            "step": "oa.name", "percent": 38, "created_at": "2026-11-30T05:29:00Z"}],
        "alarms_open": 1,
        "alarms": [{"id": "a", "kind": "foreign", "host": "kvm-2", "name": "evil\u{7}", "acknowledged": false,
            "first_seen_at": "2026-11-30T05:20:00Z"}],
        "busiest": [db, oa, old], "idlest": [old, oa, db],
    })
}

fn view() -> View {
    let mut view = View::new(TimeZone::fixed(offset(8)));
    view.look(Ok(report()));
    view
}

fn drawn(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    terminal.backend().to_string()
}

fn press(view: &mut View, keys: &[KeyCode]) -> Vec<After> {
    keys.iter().map(|key| view.key(*key, KeyModifiers::NONE)).collect()
}

#[test]
fn a_wide_terminal_shows_all_of_it() {
    insta::assert_snapshot!(drawn(&view(), 110, 24));
}

#[test]
fn a_narrow_terminal_shows_the_same_below_one_another() {
    insta::assert_snapshot!(drawn(&view(), 80, 30));
    assert!(drawn(&view(), 30, 8).contains("终端太小") || drawn(&view(), 30, 8).contains("端"));
}

#[test]
fn names_are_shown_and_never_obeyed() {
    let text = drawn(&view(), 110, 24);
    assert!(text.contains("old\u{fffd}[2J\u{fffd}-1") && text.contains("evil\u{fffd}"), "{text}");
    assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
}

#[test]
fn keys_order_filter_and_end() {
    let mut view = view();
    let names = |view: &View| -> Vec<String> {
        view.machines().iter().map(|row| row["name"].as_str().unwrap().chars().take(4).collect()).collect()
    };
    assert_eq!(names(&view), ["db-1", "oa-1", "old\u{1b}"]);
    press(&mut view, &[KeyCode::Char('s')]);
    assert_eq!(names(&view), ["old\u{1b}", "oa-1", "db-1"]);
    press(&mut view, &[KeyCode::Char('s')]);
    assert_eq!(names(&view), ["db-1", "oa-1", "old\u{1b}"], "by memory");
    press(&mut view, &[KeyCode::Char('s')]);
    assert_eq!(names(&view), ["db-1", "oa-1", "old\u{1b}"], "by name");
    press(&mut view, &[KeyCode::Char('/'), KeyCode::Char('O'), KeyCode::Char('A')]);
    assert_eq!(names(&view), ["oa-1"], "while it is typed");
    assert_eq!(
        press(&mut view, &[KeyCode::Char('q'), KeyCode::Backspace]),
        [After::Go, After::Go],
        "a letter like any"
    );
    press(&mut view, &[KeyCode::Enter]);
    assert_eq!((names(&view), view.filter.as_str()), (vec!["oa-1".to_owned()], "OA"));
    press(&mut view, &[KeyCode::Char('/'), KeyCode::Char('x'), KeyCode::Esc]);
    assert_eq!(view.filter, "OA", "dropped");
    press(&mut view, &[KeyCode::Esc]);
    assert_eq!(names(&view).len(), 3);
    assert_eq!(press(&mut view, &[KeyCode::Char('r'), KeyCode::Char('q')]), [After::Refresh, After::Quit]);
    assert_eq!(view.key(KeyCode::Char('c'), KeyModifiers::CONTROL), After::Quit);
}

#[test]
fn a_service_that_is_away_leaves_the_last_look_and_says_so() {
    let mut view = view();
    view.look(Err("连不上服务".to_owned()));
    let text = drawn(&view, 140, 24);
    assert!(text.contains("oa-1") && text.contains('读') && text.contains('连'), "{text}");
    let empty = drawn(&View::new(TimeZone::UTC), 110, 24);
    assert!(empty.contains('读') && !empty.contains("oa-1"), "{empty}");
}
