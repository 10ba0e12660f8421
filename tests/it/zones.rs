//! Zones are apart, shown with packets: small guests that do all they can to be somebody else or somewhere else, driven by
//! their agent, which needs no network. Whatever the filter keeps from happening is done again without it and does happen,
//! so that no attack fails for a reason of its own.

mod filters;
mod hosts;
mod lab;

use jiyue::provider::Intent;
use lab::{Lab, Verdict};
use std::time::Instant;

/// What a guest tries, and what it must come to under its filter and without it.
struct Attack {
    name: &'static str,
    script: String,
    filtered: Verdict,
    bare: Verdict,
}

fn works(name: &'static str, script: String) -> Attack {
    Attack { name, script, filtered: Verdict::Yes, bare: Verdict::Yes }
}

fn kept_from(name: &'static str, script: String) -> Attack {
    Attack { name, script, filtered: Verdict::No, bare: Verdict::Yes }
}

/// What libvirt's networks refuse by themselves, filter or not.
fn never(name: &'static str, script: String) -> Attack {
    Attack { name, script, filtered: Verdict::No, bare: Verdict::No }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn machines_of_one_zone_reach_each_other_and_nothing_of_another_s() {
    let begun = Instant::now();
    let lab = Lab::new().await;
    let ([one, two, other], began) = (lab.three_guests().await, begun.elapsed());
    println!("three guests after {began:.1?}");
    let (a, b) = (lab.gateway('a'), lab.gateway('b'));
    let (near, far) = (two.network.address, other.network.address);
    let (spare, stolen) = (lab.spare(), near);
    // Ports of the host at its gateway addresses, where an SSH or a libvirtd might listen; 49152 is QEMU's.
    let ports = [2222, 16514, 49160];
    let free = [a, b].iter().flat_map(|ip| ports.map(|port| lab::listen(*ip, port))).filter(|free| *free).count();
    assert!(free >= 5, "almost all of these ports are free: {free}");
    // The guest's static wget crashes when it is given a -T of its own.
    let fetch = |ip| format!("timeout 4 wget -q -O - http://{ip}/ | grep -q small");
    let ping = |ip| format!("ping -q -c 1 -W 2 {ip} >/dev/null");
    let knock = |ip, port| format!("timeout 4 nc -w 2 {ip} {port} </dev/null");
    let own = one.network.mac.clone();
    let attacks = [
        works("HTTP in the same zone", fetch(near)),
        works("ping in the same zone", ping(near)),
        works("ping of the own gateway", ping(a)),
        works("the own zone's DNS", format!("nslookup -type=a {} {a} | grep -q {near}", two.fqdn.clone().unwrap())),
        works("DNS over TCP", knock(a, 53)),
        works("DHCP", "udhcpc -f -n -q -i eth0 -t 4 -T 2 -s /bin/true >/dev/null 2>&1".to_owned()),
        works("asking whether an address is free", format!("! arping -q -D -c 1 -w 2 -I eth0 {near}")),
        never("HTTP into another zone", fetch(far)),
        never("ping into another zone", ping(far)),
        never("ARP into another zone", format!("arping -q -c 1 -w 2 -I eth0 {far}")),
        kept_from("ping of another zone's gateway", ping(b)),
        kept_from("a port of the host at its own gateway", knock(a, ports[0])),
        kept_from("libvirtd's port at its own gateway", knock(a, ports[1])),
        kept_from("QEMU's migration port", knock(a, ports[2])),
        kept_from("a port of the host at another zone's gateway", knock(b, ports[0])),
        kept_from(
            "an address that nobody has",
            format!(
                "ip addr add {spare}/32 dev eth0; ping -q -c 2 -W 2 -I {spare} {near} >/dev/null; r=$?; ip addr del {spare}/32 dev eth0; exit $r"
            ),
        ),
        kept_from(
            "another card",
            format!(
                "ip link set eth0 down; ip link set eth0 address 52:54:00:66:66:66; ip link set eth0 up; sleep 1
                 ping -q -c 3 -W 2 {near} >/dev/null; r=$?
                 ip link set eth0 down; ip link set eth0 address {own}; ip link set eth0 up; sleep 1
                 ip route show | grep -q ^default || ip route add default via {a}; exit $r"
            ),
        ),
    ];
    // Those that change the guest's own card go last and one by one.
    let (plain, rough) = attacks.split_at(attacks.len() - 2);
    let run = |attacks: &[Attack], wanted: fn(&Attack) -> Verdict| {
        let scripts: Vec<_> = attacks.iter().map(|attack| attack.script.as_str()).collect();
        let done = lab.run_all(&one, &scripts);
        for (attack, done) in attacks.iter().zip(done) {
            assert_eq!(Verdict::of(done.status), wanted(attack), "{}: {done:?}", attack.name);
        }
    };
    let run_all = |wanted: fn(&Attack) -> Verdict| {
        run(plain, wanted);
        for attack in rough {
            run(std::slice::from_ref(attack), wanted);
        }
    };
    run_all(|attack| attack.filtered);
    // Speaking for another: what the others believe afterwards, asked of them.
    let spoof = |whose| {
        format!(
            "ip addr add {whose}/32 dev eth0
             for victim in {near} {a}; do arping -q -U -c 1 -w 1 -I eth0 -s {whose} $victim; done
             ip addr del {whose}/32 dev eth0"
        )
    };
    let believed = |whose: std::net::Ipv4Addr| {
        let seen = lab.run(&two, &format!("ip neigh show {whose}")).output;
        [seen, lab.neighbour(whose)].iter().any(|seen| seen.contains(&own))
    };
    // All on the link are meant by ff02::1; whether the neighbour has heard it is counted by its kernel.
    let heard_ipv6 = || {
        let count = || lab.run(&two, "awk '$1 == \"Icmp6InEchos\" { print $2 }' /proc/net/snmp6").output;
        let before = count();
        lab.run(&one, "sleep 2; ping6 -q -c 1 -W 1 -I eth0 ff02::1; ping6 -q -c 1 -W 1 ff02::1%eth0");
        count() != before
    };
    for whose in [a, stolen] {
        lab.run(&one, &spoof(whose));
        assert!(!believed(whose), "{whose}, filtered");
    }
    assert!(!heard_ipv6(), "IPv6, filtered");
    assert!(!lab.bridge_knows("52:54:00:66:66:66"), "the bridge has never heard that card");
    println!("{:.1?}: all under the filter", begun.elapsed());

    // The same without it.
    lab.without_filter(&one);
    run_all(|attack| attack.bare);
    assert!(lab.bridge_knows("52:54:00:66:66:66"));
    for whose in [a, stolen] {
        lab.run(&one, &spoof(whose));
        assert!(believed(whose), "{whose}, without the filter");
    }
    assert!(heard_ipv6(), "IPv6, without the filter");
    println!("{:.1?}: all without the filter", begun.elapsed());

    bridges_are_apart(&lab, &two, &other);
    println!("{:.1?}: all", begun.elapsed());
}

/// Two bridges are apart even where the same range is on both, and one bridge is one.
fn bridges_are_apart(lab: &Lab, two: &Intent, other: &Intent) {
    for (guest, bridge) in [(two, 'c'), (other, 'd')] {
        lab.plug(guest, bridge);
    }
    let hello = |to| format!("ping -q -c 2 -W 2 {to} >/dev/null || arping -q -c 1 -w 2 -I eth0 {to}");
    let [c, d] = [lab.on_bridge(two), lab.on_bridge(other)];
    assert_eq!(Verdict::of(lab.run(two, &hello(d)).status), Verdict::No, "another bridge");
    lab.plug(other, 'c');
    assert_eq!(Verdict::of(lab.run(two, &hello(d)).status), Verdict::Yes, "the same bridge");
    assert_eq!(Verdict::of(lab.run(other, &hello(c)).status), Verdict::Yes, "the same bridge");
}
