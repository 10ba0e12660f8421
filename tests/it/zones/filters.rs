//! The filters themselves: there for every machine, put right, kept, and a host without them refused.

use super::lab::{self, Lab};
use crate::support::{
    broker::{Broker, Cast, On, Setup},
    intent,
    libvirt::{self, Libvirt},
    scratch,
};
use jiyue::{
    provider::{Part, Provider, Stop},
    units::Bytes,
};
use serde_json::json;
use std::process::Command;

fn virsh(args: &[&str]) -> String {
    libvirt::shared().virsh(args).unwrap_or_else(|e| panic!("virsh {args:?}: {e}"))
}

/// Nothing changes while it is looked at: the filter's own file was not written anew.
fn written(filter: &str) -> std::time::SystemTime {
    let file = libvirt::shared().folder.join(format!("etc/nwfilter/{filter}.xml"));
    std::fs::metadata(&file).and_then(|file| file.modified()).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

const UP_TO_DOMAIN: &[Part] = Part::ALL.split_at(6).0;

#[tokio::test(flavor = "multi_thread")]
async fn every_machine_is_filtered_and_an_altered_filter_is_put_right() {
    let lab = Lab::new().await;
    let image = intent::halting(&scratch("halt"));
    let one = lab.intent('a', 21, image.clone());
    lab.build(&one, UP_TO_DOMAIN).await;
    let (zone, id) = (format!("jiyue-network-1-{}", lab.network('a')), one.machine.text());
    let reference = format!("<filterref filter='{zone}'>");
    let address = format!("<parameter name='IP' value='{}'/>", one.network.address);
    let is_filtered = |args: &[&str]| {
        let xml = virsh(&[&["dumpxml", &id], args].concat());
        xml.contains(&reference) && xml.contains(&address)
    };
    assert!(is_filtered(&["--inactive"]));
    let range = virsh(&["nwfilter-dumpxml", &zone]);
    let [other, own] = ['b', 'a'].map(|zone| format!("<ip dstipaddr='{}'", lab.gateway(zone)));
    assert!(range.contains(&other.replace(".1'", ".0'")) && range.contains(&own), "{range}");
    // What is as it should be is left alone.
    let (general, before) = ("jiyue-guest-1", (written("jiyue-guest-1"), written(&zone)));
    lab.build(&lab.intent('a', 22, image.clone()), UP_TO_DOMAIN).await;
    assert_eq!((written(general), written(&zone)), before);

    // A hole is cut into the zone's filter behind our back: the next start or definition closes it.
    for way in [Part::Domain, Part::Power] {
        let uuid = range.split_once("<uuid>").and_then(|(_, rest)| rest.split_once("</uuid>")).unwrap().0;
        lab::define("nwfilter-define", &format!("<filter name='{zone}' chain='root'><uuid>{uuid}</uuid></filter>"));
        assert_ne!(virsh(&["nwfilter-dumpxml", &zone]), range);
        match way {
            Part::Power => lab.build(&one, &[Part::Power]).await,
            _ => lab.build(&lab.intent('a', 23, image.clone()), UP_TO_DOMAIN).await,
        }
        assert_eq!(virsh(&["nwfilter-dumpxml", &zone]), range, "{way}");
    }
    assert!(is_filtered(&[]) && is_filtered(&["--inactive"]));
    // The kernel has the rules of this machine's card.
    let card = virsh(&["domiflist", &id]).split_whitespace().next().expect("a card").to_owned();
    let rules = Command::new("ebtables").args(["-t", "nat", "-L", &format!("libvirt-I-{card}")]).output().unwrap();
    let rules = String::from_utf8_lossy(&rules.stdout).into_owned();
    assert!(rules.contains(&format!("-s ! {} -j DROP", one.network.mac)) && rules.contains("-j DROP"), "{rules}");

    // Another size is another definition, and as filtered as the one before.
    let mut larger = one.clone();
    larger.memory = Bytes::mib(160).unwrap();
    lab.host.reshape(&larger).await.unwrap();
    assert!(is_filtered(&["--inactive"]));
    // A machine of a broker before there were filters gets its own when it is started.
    lab.host.stop(&one, Stop::Now).await.unwrap();
    let xml = virsh(&["dumpxml", "--inactive", &id]);
    let (begin, end) = (xml.find("<filterref").unwrap(), xml.find("</filterref>").unwrap() + "</filterref>".len());
    lab::define("define", &[&xml[..begin], &xml[end..]].concat());
    assert!(!is_filtered(&["--inactive"]));
    lab.build(&larger, &[Part::Power]).await;
    assert!(is_filtered(&[]) && is_filtered(&["--inactive"]));
}

/// On a host whose libvirtd finds no ebtables nothing is entered, and nothing runs unprotected.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_filter_is_refused() {
    let daemon = Libvirt::up(scratch("lvf"));
    // In that libvirtd's namespace alone: the name leads nowhere.
    let alternatives = daemon.folder.join("alternatives");
    let copied = Command::new("cp").args(["-a", "/etc/alternatives"]).arg(&alternatives).status();
    assert!(copied.unwrap().success());
    std::fs::remove_file(alternatives.join("ebtables")).expect("Debian's ebtables is an alternative");
    let keeper = std::fs::read_to_string(daemon.folder.join("pid")).unwrap();
    let mounted = Command::new("nsenter")
        .args(["--target", keeper.trim(), "--mount", "mount", "--bind"])
        .arg(&alternatives)
        .arg("/etc/alternatives")
        .status();
    assert!(mounted.unwrap().success());
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let cast = Cast::arrive(&broker).await;
    let bridge = format!("jyf{:x}", std::process::id());
    let host = json!({"name": "kvm1", "uri": daemon.uri, "pool": "p", "pool_path": daemon.folder.join("p"),
        "memory_reserve_bytes": 0, "zones": [{"zone": "internet", "network": bridge, "bridge": bridge, "cidr": "192.168.241.0/24"}]});
    let answer = broker.post("/v1/hosts", &cast.operator, &host).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (422, "host_unusable"), "{answer:?}");
    let detail = answer.body["detail"].as_str().unwrap();
    for word in ["过滤", "ebtables", "iptables 软件包"] {
        assert!(detail.contains(word), "{detail}");
    }
    assert_eq!(broker.get("/v1/hosts", &cast.operator).await.expect(200)["items"], json!([]));
    assert_eq!(daemon.virsh(&["list", "--all", "--name"]).unwrap(), "");
}
