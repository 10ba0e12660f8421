use super::*;
use crate::units::Bytes;

const ZONE: Zone = Zone::GovernmentExtranet;
const HERE: Here = Here { free_addresses: Some(10), fixed_address: true, siblings: 0, image: true };

fn wanted() -> Wanted {
    Wanted {
        size: Size { vcpu: 2, memory: Bytes::gib(4).unwrap(), disk: Bytes::gib(40).unwrap() },
        zone: ZONE,
        mlps_level: MlpsLevel::new(2).unwrap(),
        lease_end: Some(1000),
        spread: Spread::Prefer,
        now: 100,
        fixed_address: true,
        database: false,
        kind: None,
    }
}

/// A host with one machine that has been there since 50 and stays until 1000.
fn host(memory_gib: i64) -> Candidate {
    Candidate {
        kind: PlaceKind::Host,
        id: HostId::new(),
        state: HostState::Active,
        mlps_level: MlpsLevel::new(3).unwrap(),
        limit: Amount { machines: 0, vcpu: memory_gib / 2, memory_bytes: memory_gib << 30, disk_bytes: 400 << 30 },
        used: Amount::default(),
        machines: 1,
        since_sum: 50,
        last_end: 1000,
    }
}

fn score(host: &Candidate) -> Score {
    judge(host, &wanted(), HERE).unwrap()
}

#[test]
fn the_fullest_host_that_fits_is_best_and_siblings_outweigh_that() {
    let (full, roomy) = (host(8), host(64));
    assert!(score(&full) < score(&roomy));
    let crowded = judge(&full, &wanted(), Here { siblings: 1, ..HERE }).unwrap();
    assert!(score(&roomy) < crowded);
}

#[test]
fn equal_hosts_are_told_apart_by_id() {
    let (a, b) = (host(8), host(8));
    let (first, second) = if a.id < b.id { (&a, &b) } else { (&b, &a) };
    assert!(score(first) < score(second));
}

#[test]
fn a_host_in_use_is_filled_before_another_is_begun() {
    let empty = Candidate { machines: 0, since_sum: 0, last_end: i64::MIN, ..host(8) };
    assert!(score(&host(64)) < score(&empty));
    let score = score(&empty);
    assert_eq!((score.lease_extension_s, score.lease_gap_s, score.settled_s), (0, 0, Reverse(0)));
}

#[test]
fn leases_that_end_together_are_put_together() {
    let ending = |last_end| Candidate { last_end, ..host(8) };
    // Nothing is kept longer than it must be; what outlasts it outlasts it by little.
    let order = [ending(1000), ending(1001), ending(5000), ending(FOREVER), ending(999), ending(0)].map(|c| score(&c));
    assert!(order.is_sorted(), "{order:#?}");
    assert_eq!((order[5].lease_extension_s, order[2].lease_gap_s), (1000, 4000));
    // Nothing is said of leases when this one's end is not known.
    let unknown = judge(&ending(999), &Wanted { lease_end: None, ..wanted() }, HERE).unwrap();
    assert_eq!((unknown.lease_extension_s, unknown.lease_gap_s), (0, 0));
    let endless = judge(&ending(FOREVER), &Wanted { lease_end: Some(FOREVER), ..wanted() }, HERE).unwrap();
    assert_eq!((endless.lease_extension_s, endless.lease_gap_s), (0, 0));
}

#[test]
fn a_machine_goes_where_it_uses_what_is_left_over() {
    // 4 GiB for 2 vCPUs, on hosts with 6 GiB for one: it asks more of the vCPUs.
    let lean = |vcpu, memory_gib: i64| {
        let limit = Amount { machines: 0, vcpu: 32, memory_bytes: 192 << 30, disk_bytes: 400 << 30 };
        Candidate { limit, used: Amount { vcpu, memory_bytes: memory_gib << 30, ..Amount::default() }, ..host(8) }
    };
    assert!(!score(&lean(4, 120)).misfit, "little memory is left beside many vCPUs");
    assert!(score(&lean(20, 120)).misfit);
    let greedy = Size { vcpu: 1, memory: Bytes::gib(32).unwrap(), disk: Bytes::gib(1).unwrap() };
    let misfit = |host| judge(&host, &Wanted { size: greedy, ..wanted() }, HERE).unwrap().misfit;
    assert!(misfit(lean(4, 120)));
    assert!(!misfit(lean(24, 24)), "few vCPUs are left beside much memory");
}

#[test]
fn what_has_stayed_long_is_filled_first() {
    let old = Candidate { since_sum: 10, ..host(64) };
    let (settled, young) = (score(&old), score(&host(8)));
    assert_eq!((settled.settled_s, young.settled_s), (Reverse(90), Reverse(50)));
    assert!(settled < young);
}

#[test]
fn each_filter_gives_its_own_reason_in_the_documented_order() {
    type Spoil = fn(&mut Candidate, &mut Wanted, &mut Here);
    let level = |n| MlpsLevel::new(n).unwrap();
    let filters: [(Spoil, Refusal, &str); 11] = [
        (
            |_, _, here| here.free_addresses = Some(0),
            Refusal::AddressesShort { zone: ZONE, free: 0 },
            "政务外网的地址已用完",
        ),
        (
            |host, _, _| host.used.disk_bytes = 380 << 30,
            Refusal::DiskShort { asked: 40 << 30, free: 20 << 30, limit: 400 << 30 },
            "磁盘不足：需 40 GiB，余 20 GiB（可分配 400 GiB）",
        ),
        (
            |host, _, _| host.used.memory_bytes = 5 << 30,
            Refusal::MemoryShort { asked: 4 << 30, free: 3 << 30, limit: 8 << 30 },
            "内存不足：需 4 GiB，余 3 GiB（可分配 8 GiB）",
        ),
        (
            |host, _, _| host.used.vcpu = 3,
            Refusal::VcpuShort { asked: 2, free: 1, limit: 4 },
            "CPU 不足：需 2 核，余 1 核（可分配 4 核）",
        ),
        (
            |_, wanted, here| (wanted.spread, here.siblings) = (Spread::Require, 1),
            Refusal::SiblingHere { siblings: 1 },
            "已有本申请的 1 台虚拟机，而申请要求各台分散",
        ),
        (|_, _, here| here.image = false, Refusal::ImageUnreachable, "主机上没有所需镜像，服务上也没有可发送的副本"),
        (
            |host, _, _| host.mlps_level = MlpsLevel::new(1).unwrap(),
            Refusal::LevelLow { asked: level(2), highest: level(1) },
            "最高承载等保 1 级，申请为 2 级",
        ),
        (
            |_, _, here| here.fixed_address = false,
            Refusal::AddressFloats { zone: ZONE },
            "政务外网在这里是集群的 Pod 网络，地址每次启动都会变，不能登记域名",
        ),
        (
            |_, wanted, _| wanted.kind = PlaceKind::wished(ProviderWish::Kubevirt),
            Refusal::OtherKind { kind: PlaceKind::Host },
            "是宿主机，要求建在集群上",
        ),
        (|_, _, here| here.free_addresses = None, Refusal::ZoneMissing { zone: ZONE }, "没有接入政务外网"),
        (|host, _, _| host.state = HostState::Cordoned, Refusal::NotActive { state: HostState::Cordoned }, "暂停接收"),
    ];
    let (mut spoilt, mut asked, mut there) = (host(8), wanted(), HERE);
    for (spoil, refusal, sentence) in filters {
        let (mut one, mut wanted, mut here) = (host(8), wanted(), HERE);
        spoil(&mut one, &mut wanted, &mut here);
        assert_eq!(judge(&one, &wanted, here), Err(refusal));
        // On top of all that come after it, it is the one that is told.
        spoil(&mut spoilt, &mut asked, &mut there);
        assert_eq!(judge(&spoilt, &asked, there), Err(refusal));
        assert_eq!(outdo(&spoilt, &asked, there, None), None);
        assert_eq!(refusal.to_string(), sentence);
        assert_eq!(refusal.of("h").reason, refusal.reason());
    }
    for state in HostState::ALL {
        let host = Candidate { state, ..host(8) };
        assert_eq!(judge(&host, &wanted(), HERE).is_ok(), state == HostState::Active, "{state:?}");
    }
    // What a cluster alone refuses, and in its own words.
    let cluster = Candidate { kind: PlaceKind::Cluster, ..host(8) };
    for (database, image, refusal) in [(true, false, Refusal::NoDatabases), (false, false, Refusal::ImageNotOnCluster)]
    {
        let wanted = Wanted { database, ..wanted() };
        assert_eq!(judge(&cluster, &wanted, Here { image, ..HERE }), Err(refusal));
    }
    for (wish, on_host, on_cluster) in
        [(ProviderWish::Any, true, true), (ProviderWish::Libvirt, true, false), (ProviderWish::Kubevirt, false, true)]
    {
        let wanted = Wanted { kind: PlaceKind::wished(wish), ..wanted() };
        let passes = |place: &Candidate| judge(place, &wanted, HERE).is_ok();
        assert_eq!((passes(&host(8)), passes(&cluster)), (on_host, on_cluster), "{wish:?}");
    }
    // A sibling alone is no reason where they need not be apart.
    assert!(judge(&host(8), &wanted(), Here { siblings: 1, ..HERE }).is_ok());
}

#[test]
fn every_pair_of_levels_is_exact() {
    for asked in 1..=4 {
        for highest in 1..=4 {
            let host = Candidate { mlps_level: MlpsLevel::new(highest).unwrap(), ..host(8) };
            let wanted = Wanted { mlps_level: MlpsLevel::new(asked).unwrap(), ..wanted() };
            assert_eq!(judge(&host, &wanted, HERE).is_ok(), asked <= highest, "{asked} on {highest}");
        }
    }
}
