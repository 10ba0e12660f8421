use super::*;
use crate::{
    capacity::{ProviderKind, standing::Standing},
    ids::NetworkId,
    labels::{MlpsLevel, Spread},
    provider::DomainType,
    units::Bytes,
};

const ZONE: Zone = Zone::GovernmentExtranet;

/// A range of 29 bits has five addresses besides the host's own.
fn host(name: &str, memory_gib: i64, addresses: u8) -> Host {
    let cidr = format!("10.0.0.0/{addresses}").parse().unwrap();
    let (first, last) = usable(cidr);
    Host {
        id: HostId::new(),
        name: name.to_owned(),
        provider: ProviderKind::Simulated,
        uri: "simulated:".to_owned(),
        pool: "jiyue".to_owned(),
        pool_path: "/".to_owned(),
        domain_type: DomainType::Qemu,
        standing: Standing::default(),
        mlps_level: MlpsLevel::HIGHEST,
        limit: Amount { machines: 0, vcpu: 64, memory_bytes: memory_gib << 30, disk_bytes: 1 << 45 },
        used: Amount::default(),
        networks: vec![HostNetwork {
            id: NetworkId::new(),
            zone: ZONE,
            network: "n".to_owned(),
            bridge: "b".to_owned(),
            cidr,
            gateway: first,
            dns: first,
            segment: None,
            first,
            last,
            cluster: false,
        }],
    }
}

fn cordoned() -> Standing {
    Standing { cordoned: true, ..Standing::default() }
}

fn of(reading: Reading) -> Inventory {
    let inventory = Inventory::default();
    inventory.replace(inventory.mark(), reading);
    inventory
}

fn ask(memory_gib: i64, count: u32) -> Ask<'static> {
    let size = Size { vcpu: 1, memory: Bytes::gib(memory_gib).unwrap(), disk: Bytes::gib(1).unwrap() };
    let mlps_level = MlpsLevel::new(2).unwrap();
    let wanted = Wanted {
        size,
        zone: ZONE,
        mlps_level,
        lease_end: Some(9000),
        spread: Spread::Prefer,
        fixed_address: false,
        database: false,
        kind: None,
        now: 100,
    };
    Ask { wanted, image: None, count, siblings: &[] }
}

/// Everything that decisions look at.
fn shown(inventory: &Inventory) -> String {
    let state = inventory.lock();
    format!("{:?} {:?}", state.candidates, state.free)
}

#[test]
fn what_is_given_back_leaves_no_trace() {
    let hosts: Vec<_> = ["a", "b", "c"].map(|name| host(name, 8, 24)).into();
    let tenants = vec![Tenants { host: hosts[0].id, machines: 2, since_sum: 50, lease_end: Some(500) }];
    let inventory = of(Reading { hosts, tenants, ..Reading::default() });
    let before = shown(&inventory);
    let places = inventory.reserve(&ask(2, 7)).unwrap();
    assert_eq!(places.len(), 7);
    assert_ne!(shown(&inventory), before);
    inventory.release(&places);
    assert_eq!(shown(&inventory), before);
    // Thirteen do not fit; the twelve that do are given back by themselves.
    let no = inventory.reserve(&ask(2, 13)).unwrap_err();
    assert_eq!((no.machine, no.refusals.len()), (13, 3));
    assert_eq!(no.shortage().first().map(|s| (s.dimension, s.asked, s.free)), Some(("memory_bytes", 2 << 30, 0)));
    assert_eq!(shown(&inventory), before);
}

#[test]
fn the_order_in_which_hosts_are_read_makes_no_difference() {
    let mut hosts: Vec<_> = (0..40).map(|n| host(&format!("h{n}"), 8 + n % 7, 24)).collect();
    let tenants: Vec<_> = (0..40)
        .filter(|n| n % 3 > 0)
        .map(|n| Tenants {
            host: hosts[n].id,
            machines: 1 + i64::try_from(n % 4).unwrap(),
            since_sum: 7,
            lease_end: Some(8000 + 500 * i64::try_from(n % 5).unwrap()),
        })
        .collect();
    let decide = |hosts: &[Host]| {
        let inventory = of(Reading { hosts: hosts.to_vec(), tenants: tenants.clone(), ..Reading::default() });
        let places: Vec<_> = (1..=3).flat_map(|gib| inventory.reserve(&ask(gib, 20)).unwrap()).collect();
        places.iter().map(|place| (place.host, place.address)).collect::<Vec<_>>()
    };
    let expected = decide(&hosts);
    for turn in 1..20 {
        hosts.rotate_left(turn);
        hosts.swap(turn, 39 - turn);
        assert_eq!(decide(&hosts), expected);
    }
}

#[test]
fn the_quick_search_finds_what_the_whole_one_does() {
    let hosts: Vec<_> = (0..30).map(|n| host(&format!("h{n}"), 16 + n % 5, 24)).collect();
    let inventory = of(Reading { hosts, ..Reading::default() });
    for round in 0..60 {
        let mut one = ask(1 + round % 3, 1);
        one.wanted.lease_end = (round % 4 > 0).then_some(1000 * (round % 6));
        one.wanted.now = 100 + round;
        let state = inventory.lock();
        let none = [0; 30];
        let scores = state.candidates.iter().enumerate().filter_map(|(at, candidate)| {
            let score = placement::judge(candidate, &one.wanted, state.here(&one, at, 0)).ok()?;
            Some((score, at))
        });
        assert_eq!(state.best(&one, &none), scores.min().map(|(_, at)| at));
        drop(state);
        inventory.reserve(&one).unwrap();
    }
}

#[test]
fn hosts_and_clusters_are_one_list_and_each_says_what_it_cannot_do() {
    let mut cluster = host("c1", 64, 24);
    cluster.provider = ProviderKind::Kubevirt;
    cluster.networks[0].cluster = true;
    let id = cluster.id;
    let on = |change: fn(&mut Ask<'static>), segment: Option<&str>, images: Vec<(HostId, String)>| {
        let mut cluster = cluster.clone();
        cluster.networks[0].segment = segment.map(str::to_owned);
        let inventory = of(Reading { hosts: vec![cluster], images, ..Reading::default() });
        let mut ask = ask(1, 2);
        change(&mut ask);
        match inventory.reserve(&ask) {
            Ok(places) => Ok(places.len()),
            Err(no) => Err(no.refusals[0].1.reason()),
        }
    };
    let need = |ask: &mut Ask<'static>| ask.image = Some(ImageNeed { sha256: "i", sendable: true });
    assert_eq!(on(|_| {}, None, vec![]), Ok(2));
    // Nothing is sent there: it has the image, or not.
    assert_eq!(on(need, None, vec![]), Err("image_not_on_cluster"));
    assert_eq!(on(need, None, vec![(id, "i".to_owned())]), Ok(2));
    // Its pod network keeps no addresses; one beside it does.
    assert_eq!(on(|ask| ask.wanted.fixed_address = true, None, vec![]), Err("address_floats"));
    assert_eq!(on(|ask| ask.wanted.fixed_address = true, Some("s"), vec![]), Ok(2));
    assert_eq!(on(|ask| ask.wanted.database = true, Some("s"), vec![]), Err("no_databases"));
    assert_eq!(on(|ask| ask.wanted.kind = Some(PlaceKind::Host), None, vec![]), Err("other_kind"));
    assert_eq!(on(|ask| ask.wanted.mlps_level = MlpsLevel::new(2).unwrap(), None, vec![]), Ok(2));
    // It keeps machines of a request apart itself, node by node.
    assert_eq!(on(|ask| ask.wanted.spread = Spread::Require, None, vec![]), Ok(2));
    // Beside a host, whichever is better takes it; what a cluster cannot do goes to the host.
    let inventory = of(Reading { hosts: vec![cluster.clone(), host("a", 64, 24)], ..Reading::default() });
    let mut named = ask(1, 1);
    named.wanted.fixed_address = true;
    assert_ne!(inventory.reserve(&named).unwrap()[0].host, id);
    named.wanted.kind = Some(PlaceKind::Cluster);
    named.wanted.fixed_address = false;
    assert_eq!(inventory.reserve(&named).unwrap()[0].host, id);
}

#[test]
fn siblings_spread_while_they_can_and_where_they_must() {
    let hosts: Vec<_> = ["a", "b"].map(|name| host(name, 64, 24)).into();
    let inventory = of(Reading { hosts, ..Reading::default() });
    let places = inventory.reserve(&ask(1, 4)).unwrap();
    let on = |place: &Place| places.iter().filter(|other| other.host == place.host).count();
    assert!(places.iter().all(|place| on(place) == 2));
    let mut apart = ask(1, 3);
    apart.wanted.spread = Spread::Require;
    let no = inventory.reserve(&apart).unwrap_err();
    assert_eq!(no.machine, 3);
    assert!(no.refusals.iter().all(|(_, refusal)| *refusal == Refusal::SiblingHere { siblings: 1 }), "{no:?}");
    apart.count = 2;
    assert_eq!(inventory.reserve(&apart).unwrap().len(), 2);
}

#[test]
fn an_image_that_cannot_be_sent_must_lie_on_the_host() {
    let hosts: Vec<_> = ["a", "b"].map(|name| host(name, 64, 24)).into();
    let there = hosts[1].id;
    let inventory = of(Reading { images: vec![(there, "d1".to_owned())], hosts, ..Reading::default() });
    let with = |sha256, sendable| Ask { image: Some(ImageNeed { sha256, sendable }), ..ask(1, 3) };
    let places = inventory.reserve(&with("d1", false)).unwrap();
    assert!(places.iter().all(|place| place.host == there));
    let no = inventory.reserve(&with("d2", false)).unwrap_err();
    assert!(no.refusals.iter().all(|(_, refusal)| *refusal == Refusal::ImageUnreachable), "{no:?}");
    assert!(inventory.reserve(&with("d2", true)).unwrap().iter().any(|place| place.host != there));
}

#[test]
fn addresses_run_out_like_anything_else() {
    let inventory = of(Reading { hosts: vec![host("a", 64, 29)], ..Reading::default() });
    let places = inventory.reserve(&ask(1, 5)).unwrap();
    assert!(places.iter().all(|place| place.address != place.network.gateway));
    let no = inventory.reserve(&ask(1, 1)).unwrap_err();
    assert_eq!(no.refusals, [("a".to_owned(), Refusal::AddressesShort { zone: ZONE, free: 0 })]);
    inventory.release(&places[..1]);
    assert_eq!(inventory.reserve(&ask(1, 1)).unwrap()[0].address, places[0].address);
}

#[test]
fn an_explanation_is_what_a_reservation_does() {
    let hosts = || vec![host("a", 4, 24), host("b", 2, 24), Host { standing: cordoned(), ..host("c", 64, 24) }];
    let hosts = hosts();
    let fresh = || of(Reading { hosts: hosts.clone(), ..Reading::default() });
    let told = fresh().explain(&ask(2, 4), 3);
    let names: Vec<_> = told.choices.iter().map(|choice| choice.host.as_str()).collect();
    let done = fresh().reserve(&ask(2, 3)).unwrap();
    let name = |id| hosts.iter().find(|host| host.id == id).map(|host| host.name.as_str()).unwrap();
    assert_eq!(names, done.iter().map(|place| name(place.host)).collect::<Vec<_>>());
    // b is full after the first or second machine, a after the third, c was never open.
    let refused: Vec<_> = told.refused.iter().map(|(from, host, why)| (*from, host.as_str(), why.reason())).collect();
    assert_eq!(refused, [(1, "c", "not_active"), (2, "b", "memory_short"), (4, "a", "memory_short")]);
    assert_eq!(told.hosts, 3);
    assert_eq!(told.choices[0].passed, 2);
    assert_eq!(told.choices[0].next[0].0, "a");
}

#[test]
fn what_changes_while_it_is_read_makes_the_reading_stale() {
    let inventory = Inventory::default();
    assert!(!inventory.is_fresh());
    let mark = inventory.mark();
    inventory.stale();
    inventory.replace(mark, Reading::default());
    assert!(!inventory.is_fresh());
    inventory.replace(inventory.mark(), Reading::default());
    assert!(inventory.is_fresh());
}

#[test]
fn hosts_that_share_a_network_share_its_addresses() {
    let mut hosts: Vec<_> = ["a", "b"].map(|name| host(name, 64, 29)).into();
    for host in &mut hosts {
        host.networks[0].segment = Some("office".to_owned());
    }
    let inventory = of(Reading { hosts, ..Reading::default() });
    let places = inventory.reserve(&ask(1, 5)).unwrap();
    assert_eq!(places.iter().map(|place| place.address).collect::<HashSet<_>>().len(), 5);
    let no = inventory.reserve(&ask(1, 1)).unwrap_err();
    assert!(no.refusals.iter().all(|(_, why)| *why == Refusal::AddressesShort { zone: ZONE, free: 0 }), "{no:?}");
}

#[test]
fn a_machine_that_moves_stays_on_its_network_and_away_from_its_own_kind() {
    let mut hosts: Vec<_> = ["a", "b", "c", "d"].map(|name| host(name, 64, 24)).into();
    for host in &mut hosts[..3] {
        host.networks[0].segment = Some("office".to_owned());
    }
    let ids: Vec<_> = hosts.iter().map(|host| host.id).collect();
    let inventory = of(Reading { hosts, ..Reading::default() });
    let way = Move { segment: "office", from: ids[0], only: None };
    let siblings = [ids[1]];
    let moving = Ask { siblings: &siblings, ..ask(1, 1) };
    assert_eq!(inventory.reserve_beside(&moving, way).unwrap().0, ids[2]);
    let mut apart = moving;
    apart.wanted.spread = Spread::Require;
    let only = |host| Move { only: Some(host), ..way };
    let refused = |way| inventory.reserve_beside(&apart, way).unwrap_err().refusals;
    assert_eq!(refused(only(ids[1])), [("b".to_owned(), Refusal::SiblingHere { siblings: 1 })]);
    assert_eq!(refused(only(ids[3])), [("d".to_owned(), Refusal::ZoneMissing { zone: ZONE })]);
    assert_eq!(inventory.reserve_beside(&moving, only(ids[1])).unwrap().0, ids[1]);
}

/// An ask of this size, among hosts of 64 vCPUs and 128 GiB.
fn sized(vcpu: u32, memory_gib: i64, lease_end: Option<i64>) -> Ask<'static> {
    let plain = ask(memory_gib, 1);
    let size = Size { vcpu, ..plain.wanted.size };
    Ask { wanted: Wanted { size, lease_end, ..plain.wanted }, ..plain }
}

#[test]
fn a_list_is_placed_by_how_long_its_machines_will_stay_as_far_as_that_can_be_told() {
    let hosts = [host("a", 96, 24), host("b", 160, 24)].to_vec();
    let inventory = of(Reading { hosts, ..Reading::default() });
    // The last lease to end comes first, whatever else there is.
    let [soon, late, never] = [Some(100), Some(900), None].map(|end| sized(1, 1, end));
    assert_eq!(inventory.precedence(&[soon, late, never]), [2, 1, 0]);
    // Then what takes over half a host, 64 GiB here, however many of them there are.
    let [one, half, over] = [1, 64, 65].map(|memory| sized(1, memory, None));
    assert_eq!(inventory.precedence(&[one, half, over, over]), [2, 3, 1, 0]);
    // Then what was asked for in small numbers; the vCPUs count, and a request's machines are counted like requests.
    let (small, large) = (sized(1, 2, None), sized(4, 8, None));
    assert_eq!(inventory.precedence(&[small, small, small, large, small]), [4, 0, 1, 2, 3]);
    let five = Ask { count: 5, ..small };
    assert_eq!(inventory.precedence(&[five, large, small]), [2, 1, 0]);
    // A cohort is what stands together: two of three alike that something else stands between are two cohorts.
    let (big, other) = (sized(2, 4, None), sized(3, 6, None));
    assert_eq!(inventory.precedence(&[big, big, other, big]), [3, 2, 0, 1]);
    // Then what leans to memory.
    let (lean, broad) = (sized(2, 2, None), sized(2, 30, None));
    assert_eq!(inventory.precedence(&[lean, broad]), [1, 0]);
    // And what is alike stays as it came.
    assert_eq!(inventory.precedence(&[small, small, small]), [0, 1, 2]);
    assert!(Inventory::default().precedence(&[]).is_empty());
    assert_eq!(Inventory::default().precedence(&[small, big]).len(), 2);
}
