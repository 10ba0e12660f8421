//! What a file says, and what is said of it.
#![allow(clippy::float_cmp, reason = "figures of tests are exact")]

use super::{
    columns::{Column, Columns, HeaderFault},
    pieces::Piece,
    rows::{Parsed, Series, learn, parse},
};
use crate::usage::Metric;
use proptest::prelude::*;

const FULL: &str = "vm,ts,cores,cap_mhz,cpu_percent,mem_capacity_kb,mem_used_kb,disk_read_kbps,disk_write_kbps,net_rx_kbps,net_tx_kbps";

fn read(header: &str, text: &str) -> Parsed {
    let columns = Columns::read(header.as_bytes()).expect("a header");
    parse(&columns, &Piece { text: text.as_bytes().to_vec(), line: 2, ends: 0 })
}

fn faults(parsed: Parsed) -> Vec<(u64, Option<&'static str>, &'static str)> {
    parsed.faults.first().into_iter().map(|fault| (fault.line, fault.column, fault.cause)).collect()
}

/// What the first line of the first subject measures.
fn values(parsed: &Parsed) -> [Option<f64>; 5] {
    parsed.series[0].gauges[0].values
}

#[test]
fn a_header_is_in_any_order_and_every_fault_of_it_is_named() {
    let order = |header: &str| Columns::read(header.as_bytes()).map(|columns| columns.order().to_vec());
    let three = vec![Column::CpuPercent, Column::Vm, Column::Ts];
    for header in ["cpu_percent,vm,ts", "\u{feff}cpu_percent,vm,ts", "\"cpu_percent\", vm ,TS", "cpu_percent,vm,ts\r"] {
        assert_eq!(order(header), Ok(three.clone()), "{header}");
    }
    assert_eq!(order(FULL).map(|order| order.len()), Ok(11));
    let unknown = HeaderFault::Unknown { name: "cpu".to_owned(), column: 2 };
    assert_eq!(
        order("vm,cpu,vm,mem_used_kb"),
        Err(vec![
            unknown,
            HeaderFault::Twice(Column::Vm),
            HeaderFault::Missing(Column::Ts),
            HeaderFault::Alone { column: Column::MemUsedKb, without: Column::MemCapacityKb },
        ])
    );
    assert_eq!(
        order("vm,ts,mem_percent,mem_used_kb,mem_capacity_kb"),
        Err(vec![HeaderFault::Both(Column::MemPercent, Column::MemUsedKb)])
    );
    assert_eq!(order("vm,ts,cores"), Err(vec![HeaderFault::NothingMeasured]));
    assert_eq!(order(""), Err(vec![HeaderFault::Unreadable]));
    assert_eq!(order("\u{0}\u{1}").map_err(|faults| faults.len()), Err(4), "nothing that we know");
    assert_eq!(Columns::read(b"vm,ts,\xff\xfe"), Err(vec![HeaderFault::Unreadable]));
    for fault in order("vm,cpu,vm,mem_used_kb").expect_err("faults") {
        assert!(fault.to_string().contains("；请"), "no mend: {fault}");
    }
}

#[test]
fn a_line_of_the_trace_is_a_gauge() {
    let parsed = read(FULL, "5,1375308176,2,2926,6.733,2097152,524288,1874.13,156.27,0.5,0.0\n");
    let Series { name, gauges, lines } = &parsed.series[0];
    assert_eq!((&name[..], gauges.len(), &lines[..], parsed.rows), ("5", 1, &[0][..], 1));
    assert_eq!((gauges[0].at.as_microsecond(), gauges[0].vcpus), (1_375_308_176_000_000, Some(2)));
    let disk = (1874.13 + 156.27) * 1024.0;
    assert_eq!(gauges[0].values, [Some(6.733), Some(25.0), Some(disk), Some(512.0), Some(0.0)]);
}

#[test]
fn what_is_written_otherwise_says_the_same() {
    let plain = read("vm,ts,cpu_percent", "a,1375308176,5\nb,1375308176,7\na,1375308476,6\n");
    for text in [
        "a,1375308176,5\r\nb,1375308176,7\r\na,1375308476,6\r\n",
        "\"a\",1375308176,5\nb,\"1375308176\",\"7\"\na,1375308476,6",
        "a,1375308176.0,5.00\n\n b ,1375308176, 7\n\na,1.375308476e9,+6\n",
    ] {
        let other = read("vm,ts,cpu_percent", text);
        let told = |parsed: &Parsed| -> Vec<_> {
            parsed.series.iter().map(|series| (series.name.clone(), series.gauges.clone())).collect()
        };
        assert_eq!(told(&other), told(&plain), "{text:?}");
        assert_eq!(faults(other), []);
    }
    let quoted = read("vm,ts,cpu_percent", "\"a,\"\"b\"\"\",1375308176,5\n");
    assert_eq!(quoted.series[0].name, "a,\"b\"");
}

#[test]
fn what_cannot_be_read_is_told_by_line_and_column() {
    let parsed = read(
        "vm,ts,cores,cpu_percent,net_rx_kbps",
        "a,1375308176,2,5\n\
         a,1375308176,2,5,1,1\n\
         a,1375308176000,2,5,1\n\
         a,,2,5,1\n\
         a,-5,2,5,1\n\
         ,1375308176,2,5,1\n\
         a,1375308176,2,NaN,-1\n\
         a,1375308476,1.5,five,inf\n\
         a,1375308776,0,,18446744073709551615\n\
         \"a,1375309076,2,5,1\n\
         a,13753",
    );
    assert_eq!(parsed.rows, 11);
    let gauges = &parsed.series[0].gauges;
    assert_eq!(gauges.iter().map(|gauge| gauge.vcpus).collect::<Vec<_>>(), [Some(2), None, None]);
    assert!(gauges[0].values[0].is_some_and(f64::is_nan) && gauges[0].values[3] == Some(-1.0), "go on, to be refused");
    assert!(gauges[1].values[0].is_none() && gauges[1].values[3].is_some_and(f64::is_nan));
    assert_eq!(gauges[2].values[0], None, "not told is not zero");
    assert!(gauges[2].values[3].is_some_and(|rate| rate > 1e12), "a wrapped counter, to be refused");
    assert_eq!(
        faults(parsed),
        [
            (2, None, "fields"),
            (3, None, "fields"),
            (4, Some("ts"), "time_unreadable"),
            (5, Some("ts"), "time_unreadable"),
            (6, Some("ts"), "time_unreadable"),
            (7, Some("vm"), "name_unreadable"),
            (8, Some("cpu_percent"), "not_a_number"),
            (8, Some("net_rx_kbps"), "negative"),
            (9, Some("cores"), "impossible"),
            (9, Some("cpu_percent"), "number_unreadable"),
            (9, Some("net_rx_kbps"), "not_a_number"),
            (11, None, "fields"),
            (12, None, "fields"),
        ]
    );
}

#[test]
fn of_two_numbers_one_bad_one_is_enough() {
    let header = "vm,ts,mem_capacity_kb,mem_used_kb,disk_read_kbps,disk_write_kbps";
    let of = |fields: &str| values(&read(header, &format!("a,1375308176,{fields}\n")));
    let at = |fields: &str, metric: Metric| of(fields)[metric.index()];
    assert_eq!(of("-4,-1,-5,9"), [None, Some(-1.0), Some(-1.0), None, None], "no two wrongs make a right");
    assert!(at("4,1,NaN,9", Metric::Disk).is_some_and(f64::is_nan));
    assert_eq!((at("4,,1,", Metric::Memory), at("4,,1,", Metric::Disk)), (None, None));
    assert_eq!(at("0,0,1,1", Metric::Memory), None, "of no memory there is no share");
    assert_eq!(at("4,1,1e308,1e308", Metric::Disk), Some(f64::MAX), "too much, and still a number");
}

#[test]
fn the_interval_is_what_mostly_lies_between() {
    let learnt = |text: &str| {
        let parsed = read("vm,ts,cpu_percent", text);
        learn(parsed.series.iter().map(|series| &series.gauges[..])).map(|interval| interval.as_millis() / 1000)
    };
    let lines = |steps: &[i64]| {
        let mut at = 1_375_308_176;
        let lines = steps.iter().map(|step| {
            at += step;
            format!("a,{at},1\nb,{},1\n", at + 7)
        });
        lines.collect::<String>()
    };
    assert_eq!(learnt(&lines(&[0, 300, 301, 300, 600, 299])), Some(300));
    assert_eq!(learnt(&lines(&[0, 60, 300])), Some(60), "the shorter of two");
    assert_eq!(learnt(&lines(&[0])), None);
    assert_eq!(learnt(&lines(&[0, -300, 0, 0])), None, "going back, or standing still, is none");
    assert_eq!(learnt(&lines(&[0, 86_400])), Some(86_400));
    assert_eq!(learnt(&lines(&[0, 86_401])), None);
}

proptest! {
    /// Whatever comes, each line is a gauge, or told.
    #[test]
    fn nothing_is_lost_without_a_word(text in "([ab,\"\r\n]|13753081[0-9]{2},|[0-9.eN-]{1,4}){0,60}") {
        let parsed = read("vm,ts,cpu_percent", &text);
        let gauges: usize = parsed.series.iter().map(|series| series.gauges.len()).sum();
        let lines = text.split('\n').filter(|line| !line.strip_suffix('\r').unwrap_or(line).is_empty()).count();
        prop_assert_eq!(parsed.rows, lines as u64);
        let whole: u64 = parsed
            .faults
            .counts()
            .filter(|(_, column, _)| !matches!(column, Some("cpu_percent")))
            .map(|(_, _, count)| count.count)
            .sum();
        prop_assert_eq!(gauges as u64 + whole, parsed.rows);
    }
}
