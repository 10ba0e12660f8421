#![allow(clippy::unwrap_used, clippy::panic)]

use super::{Given, Known, Source, Wish, faults_of, report, size, unmeasured};
use crate::{
    catalogue::Catalogue,
    ids::RoomId,
    migration::{
        estate::{Estate, Home, Object, Server},
        room::Kind,
        tests::{id, room, server, system},
    },
    units::GIB,
    usage::advice::{Need, Sizing},
};
use jiff::civil::date;
use serde_json::json;

fn old() -> Server {
    let mut old = server(0, RoomId(id(2, 0)));
    old.hardware.cores = Some(16);
    old.hardware.memory_bytes = Some(64 * GIB);
    old.hardware.disk_bytes = Some(500 * GIB + 1);
    old
}

fn estate() -> Estate {
    let mut estate = Estate::default();
    estate.put(Object::Room(room(0, Kind::Ordinary)));
    estate.put(Object::Server(old()));
    for n in 0..2 {
        let mut one = system(n, Home::Room(RoomId(id(2, 0))));
        one.servers = [old().id].into();
        one.survey.network = Some("互联网".to_owned());
        one.survey.mlps_level = Some(3);
        estate.put(Object::System(Box::new(one)));
    }
    estate
}

const MEASURED: Known<'static> =
    Known { window: None, needs: (Some(Need { to: 3, used: 1.7 }), Some(Need { to: 5 * GIB, used: 3.5e9 })) };
const UNKNOWN: Known<'static> = Known { window: None, needs: (None, None) };

#[test]
fn a_machine_is_as_large_as_the_work_and_not_as_the_old_iron() {
    let (estate, server) = (estate(), old());
    let (sizing, bounds) = (Sizing::embedded().unwrap(), Catalogue::embedded().unwrap().bounds);
    let sized = size(&estate, &server, None, MEASURED, &sizing, &bounds);
    let (vcpu, memory, disk) = (sized.vcpu.unwrap(), sized.memory.unwrap(), sized.disk.unwrap());
    assert_eq!((vcpu.value, vcpu.source), (3, Source::Measured));
    assert_eq!((memory.value, memory.source), (5 * GIB, Source::Measured));
    assert!(vcpu.sentence.contains("P95") && vcpu.sentence.contains("旧机 16 核"), "{}", vcpu.sentence);
    // Of a disk nobody knows how full it is; and it says so.
    assert_eq!(disk.source, Source::Surveyed);
    assert!(disk.value > 500 * GIB && disk.value % bounds.disk_step.get() == 0, "{}", disk.value);
    assert_eq!(sized.others_on_it, 1);
}

#[test]
fn what_nobody_measured_is_asked_of_the_planner_with_a_reason() {
    let (estate, server) = (estate(), old());
    let (sizing, bounds) = (Sizing::embedded().unwrap(), Catalogue::embedded().unwrap().bounds);
    let sized = size(&estate, &server, None, UNKNOWN, &sizing, &bounds);
    assert_eq!((&sized.vcpu, &sized.memory), (&None, &None));
    let lacking = unmeasured(&sized, UNKNOWN, &sizing).unwrap();
    assert_eq!(lacking.code, "server_unmeasured");
    assert!(lacking.message.contains("服务器0") && lacking.message.contains("CPU"), "{}", lacking.message);
    let mut given =
        Given { server: " 服务器0".to_owned(), vcpu: Some(2), memory_bytes: Some(4 * GIB), ..Given::default() };
    let wish = |given: &Given| Wish { servers: vec![given.clone()], ..Wish::default() };
    let codes = |wish: &Wish| faults_of(wish, &[&server]).into_iter().map(|fault| fault.code).collect::<Vec<_>>();
    assert_eq!(codes(&wish(&given)), ["size_reason_missing"]);
    given.reason = Some("采集才装".to_owned());
    assert_eq!(codes(&wish(&given)), [""; 0]);
    let sized = size(&estate, &server, Some(&given), UNKNOWN, &sizing, &bounds);
    assert_eq!(unmeasured(&sized, UNKNOWN, &sizing), None);
    let vcpu = sized.vcpu.unwrap();
    assert_eq!((vcpu.value, vcpu.source), (2, Source::Given));
    assert!(vcpu.sentence.contains("采集才装"));
    // A server of another system, and figures that are worked out.
    let mut strange = wish(&Given { server: "别的".to_owned(), ..Given::default() });
    strange.block = json!({"内存容量": "64G", "cpu_count": 16, "域名": "a.example"}).as_object().unwrap().clone();
    assert_eq!(codes(&strange), ["size_not_given_here", "size_not_given_here", "server_unknown"]);
}

#[test]
fn the_report_is_an_ordinary_one_and_knows_what_the_survey_says() {
    let (estate, server) = (estate(), old());
    let (sizing, bounds) = (Sizing::embedded().unwrap(), Catalogue::embedded().unwrap().bounds);
    let sized = size(&estate, &server, None, MEASURED, &sizing, &bounds);
    let given = Given {
        server: server.name.clone(),
        fields: json!({"域名": "b.example"}).as_object().unwrap().clone(),
        ..Given::default()
    };
    let block = json!({"操作系统类型": "Debian 12", "network_zone": "政务外网"}).as_object().unwrap().clone();
    let wish = Wish { task_book: "相信任〔2026〕17号".to_owned(), block, servers: vec![given] };
    let system = estate.systems.values().next().unwrap();
    let read = report(system, &wish, &[sized], Some(date(2027, 3, 7))).unwrap().as_read();
    let block = &read["blocks"][0];
    for (field, value) in [
        ("task_book", json!("相信任〔2026〕17号")),
        ("vm_count", json!(1)),
        ("basis", json!("per_machine")),
        ("cpu_count", json!(3)),
        ("memory", json!("5120 MiB")),
        ("os_type", json!("Debian 12")),
        ("domain", json!("b.example")),
        ("mlps_level", json!(3)),
        ("secrecy_level", json!("非涉密")),
        ("deploy_milestone", json!("2027-03-07")),
        // What the planner says stands before what the survey says.
        ("network_zone", json!("政务外网")),
    ] {
        assert_eq!(block[field], value, "{field} {block:#}");
    }
    assert!(block["workload_description"].as_str().unwrap().contains("服务器0"), "{block:#}");
}
