//! The same city as a survey's workbook: imported by a broker of its own in one transaction, and every report of it, by the
//! API and by the command line, in processor time.

use crate::support::{
    broker::{Broker, Cast, On, Setup},
    plain,
    raw::Raw,
    sql::Sql,
};
use jiyue::{
    identity::Department,
    migration::estate::{Estate, Home},
};
use serde_json::json;
use std::{collections::BTreeMap, time::Instant};

/// What a report may take of a processor.
const LIMIT_MS: f64 = 200.0;
/// Calls of each, so that ticks of ten milliseconds do.
const CALLS: u32 = 10;

/// Seconds of a processor that a process has used, with its children that have ended.
fn used(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap().split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
    fields[11..15].iter().sum::<f64>() / 100.0
}

/// The same of this one's children alone.
fn of_children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this process");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[13..15].iter().map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// The survey as offices fill it; a server for every two systems.
fn workbook(estate: &Estate) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let mut put = |name: &str, rows: Vec<Vec<String>>| {
        let sheet = book.add_worksheet();
        sheet.set_name(name).unwrap();
        for (at, row) in (0..).zip(rows) {
            for (column, text) in (0..).zip(row).filter(|(_, text)| !text.is_empty()) {
                sheet.write_string(at, column, text).unwrap();
            }
        }
    };
    let strings = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let room = |home: Home| match home {
        Home::Room(id) => &estate.rooms[&id],
        Home::Cloud => unreachable!("all are in rooms"),
    };
    let mut rows = vec![strings(&["机房名称", "建设单位", "机房类型", "关停依据文件", "文件日期", "机柜数"])];
    rows.extend(
        estate
            .rooms
            .values()
            .map(|room| strings(&[&room.name, &room.unit.name, "普通", "相政办〔2026〕1号", "2026年3月1日", "4"])),
    );
    put("机房", rows);
    let mut rows = vec![strings(&[
        "服务器名称",
        "建设单位",
        "所在机房",
        "型号",
        "购置年份",
        "CPU 核数",
        "内存（GB）",
        "操作系统",
    ])];
    let mut servers = BTreeMap::new();
    for (n, system) in estate.systems.values().enumerate() {
        let room = room(system.home);
        let known = servers.len();
        servers.entry((room.id, n / 2 % 7)).or_insert_with(|| {
            let name = format!("服务器{known}");
            rows.push(strings(&[&name, &room.unit.name, &room.name, "R730", "2016", "24", "128", "CentOS 7"]));
            name
        });
    }
    put("服务器", rows);
    let heads = [
        "系统名称",
        "建设单位",
        "功能",
        "使用范围",
        "使用频度",
        "审批时间",
        "用户规模",
        "等保级别",
        "是否涉密",
        "所在机房",
        "所在服务器",
        "依赖系统",
    ];
    let mut rows = vec![strings(&heads)];
    for (n, system) in estate.systems.values().enumerate() {
        let room = room(system.home);
        let needs: Vec<_> = system.needs.iter().map(|id| estate.systems[id].name.as_str()).collect();
        let server = format!("{}/{}", room.unit.name, servers[&(room.id, n / 2 % 7)]);
        rows.push(strings(&[
            &system.name,
            &system.unit.name,
            "业务办理",
            "本单位",
            "每天",
            "2016.7.1",
            "300人",
            "二级",
            "否",
            &room.name,
            &server,
            &needs.join("、"),
        ]));
    }
    put("信息系统", rows);
    book.save_to_buffer().unwrap()
}

async fn departments(broker: &Broker, cast: &Cast, estate: &Estate) {
    let all: BTreeMap<&str, &Department> = estate.systems.values().map(|s| (s.unit.code.as_str(), &s.unit)).collect();
    for unit in all.into_values() {
        broker
            .post("/v1/departments", &cast.authority, &json!({"code": unit.code, "name": unit.name}))
            .await
            .expect(201);
    }
}

pub async fn measure(estate: &Estate) {
    let book = workbook(estate);
    println!("\nthe survey as a workbook of {} kB, by a broker of its own", book.len() / 1000);
    for on in On::BOTH {
        let broker = Broker::start(quiet(on)).await;
        let cast = Cast::arrive(&broker).await;
        departments(&broker, &cast, estate).await;
        imported(on, &broker, &cast, estate, &book).await;
        if on == On::Sqlite {
            reports(broker, &cast).await;
        }
    }
}

/// Nothing but what is asked goes on.
fn quiet(on: On) -> Setup {
    let seldom = [("JIYUE_USAGE_SECONDS", "3600"), ("JIYUE_LISTING_SECONDS", "86400"), ("JIYUE_LOG_FILTER", "warn")];
    seldom.into_iter().fold(Setup::new(on), |setup, (key, value)| setup.with(key, value))
}

async fn imported(on: On, broker: &Broker, cast: &Cast, estate: &Estate, book: &[u8]) {
    let (raw, url, pid) = (Raw::new(broker), &broker.setup.database_url, broker.pid().to_string());
    let send = async |query: String| {
        let (began, from) = (Instant::now(), used(&pid));
        let path = format!("/v1/rooms/import?name=survey.xlsx{query}");
        let reply = raw.post(&path, &cast.operator, "application/octet-stream", book.to_vec()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        (reply.json(), began.elapsed(), used(&pid) - from)
    };
    let (shown, difference, by_difference) = send(String::new()).await;
    let digest = shown["digest"].as_str().unwrap().to_owned();
    let (done, writing, by_writing) = send(format!("&apply={digest}")).await;
    assert_eq!((&done["applied"], &done["new"]), (&json!(true), &shown["new"]));
    // One change of the survey, under one audit record, has it all.
    assert_eq!(plain::number(url, "select revision from estate").await, 1);
    assert_eq!(plain::number(url, "select count(*) from audit where action = 'room.import'").await, 1);
    let of = async |kind: &str| {
        plain::number(url, &format!("select count(*) from estate_versions where kind = '{kind}' and revision = 1"))
            .await
    };
    let wanted = (estate.rooms.len(), estate.systems.len());
    assert_eq!(
        (of("room").await, of("system").await),
        (i64::try_from(wanted.0).unwrap(), i64::try_from(wanted.1).unwrap())
    );
    println!("{on:?}: the difference        {difference:>12.1?}, {by_difference:.2} s of CPU");
    println!("{on:?}: in one transaction    {writing:>12.1?}, {by_writing:.2} s of CPU (read, compared and written)");
}

async fn reports(broker: Broker, cast: &Cast) {
    // As surveyed the day before, so that a day that is over can be asked too: no clock is turned, the rows are.
    let (setup, url) = (broker.setup.clone(), broker.setup.database_url.clone());
    drop(broker);
    let mut sql = Sql::writing(&url).await;
    sql.run("drop trigger estate_versions_no_update").await;
    sql.run("update estate_versions set day = date(day, '-3 days')").await;
    drop(sql);
    let broker = Broker::start(setup).await;
    let (raw, pid) = (Raw::new(&broker), broker.pid().to_string());
    let room = plain::texts(&url, "select id from rooms order by id limit 1").await.remove(0);
    let day = plain::texts(&url, "select max(day) from estate_versions").await.remove(0);
    let mut slowest = (0.0, String::new());
    let mut told = |what: String, milliseconds: f64, bytes: usize| {
        println!("{what:<58}{milliseconds:>8.0} ms of CPU {bytes:>12} bytes");
        if milliseconds > slowest.0 {
            slowest = (milliseconds, what);
        }
    };
    for path in [
        "/v1/reports/rooms".to_owned(),
        format!("/v1/reports/rooms?as_of={day}"),
        "/v1/reports/rooms?format=csv".to_owned(),
        "/v1/reports/rooms?format=xlsx".to_owned(),
        format!("/v1/reports/rooms?format=xlsx&as_of={day}"),
        "/v1/reports/rooms?department=d1".to_owned(),
        "/v1/rooms/export?form=survey".to_owned(),
        "/v1/rooms/export?form=survey&format=csv".to_owned(),
        "/v1/rooms/export?form=merge".to_owned(),
        "/v1/rooms/export?form=access".to_owned(),
        "/v1/rooms?page_size=200".to_owned(),
        format!("/v1/rooms/{room}"),
        "/v1/deadlines".to_owned(),
    ] {
        let first = raw.get(&path, &cast.auditor).await;
        assert_eq!(first.status, 200, "{path}: {}", first.text);
        let from = used(&pid);
        for _ in 0..CALLS {
            assert_eq!(raw.get(&path, &cast.auditor).await.status, 200);
        }
        told(format!("GET {path}"), (used(&pid) - from) / f64::from(CALLS) * 1000.0, first.bytes.len());
    }
    let folder = &broker.setup.folder;
    for args in [
        &["report", "rooms"][..],
        &["-o", "json", "report", "rooms"],
        &["-o", "xlsx", "report", "rooms", "--to", "FILE"],
        &["room", "list"],
        &["room", "export", "--to", "FILE"],
    ] {
        let (from, children, mut bytes) = (used(&pid), of_children(), 0);
        for n in 0..CALLS {
            let file = folder.join(format!("out-{}-{n}", args.len() + args[0].len())).display().to_string();
            let args: Vec<&str> = args.iter().map(|arg| if *arg == "FILE" { file.as_str() } else { *arg }).collect();
            let out = broker.setup.cli(Some(&broker), &cast.auditor, &args);
            assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
            bytes = out.stdout.len();
            _ = std::fs::remove_file(&file);
        }
        let both = (used(&pid) - from) + (of_children() - children);
        told(format!("jiyue {}, server and command", args.join(" ")), both / f64::from(CALLS) * 1000.0, bytes);
    }
    let (most, what) = slowest;
    println!("the dearest: {what}, {most:.0} ms ({})", if most < LIMIT_MS { "below 200" } else { "NOT below 200" });
}
