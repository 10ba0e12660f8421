//! What operators set of images and links reaches the judge, each with where it is from.

use super::*;
use crate::labels::Zone;

const FILE: &str = include_str!("../../../../profiles/idle-rules.yaml");

/// The file that ships, with other floors and links.
fn with(floors: &str, links: &str) -> Result<RuleSets, RulesError> {
    let rules = FILE.find("\nrule_sets:").expect("rule sets");
    RuleSets::parse(&format!("judged_by: jiyue\nfloors: {floors}\nlinks: {links}\n{}", &FILE[rules..]))
}

#[test]
fn what_ships_is_marked_as_assumed() {
    let sets = sets();
    let assumed = sets.assumed();
    assert!(!assumed.floors.is_empty() && assumed.links.len() == Zone::ALL.len());
    let sources = assumed.floors.iter().map(|floor| &floor.source).chain(assumed.links.iter().map(|link| &link.source));
    sources.for_each(|source| assert!(source.starts_with("假设"), "{source}"));
    assert_eq!(sets.judging().map(|set| set.name.as_str()), Some(RuleSets::OWN));
}

#[test]
fn an_image_goes_before_its_system_and_what_is_not_set_is_unknown() {
    let floors = "[{os: debian-12, vcpus: 0.1, received: 1, sent: 2, disk: 3, source: measured}, \
                  {image: heavy, vcpus: 0.25, received: 300, sent: 20000, disk: 3000, source: 2026-10 一周}]";
    let sets = with(floors, "[{zone: internet, bytes_per_second: 1000000, source: 合同}]").expect("rule sets");
    let tell = |os: &str, image: &str, zone| {
        let mut facts = Facts::default();
        let told = sets.assumed().tell(&mut facts, os, image, zone);
        (facts.floor.map(|floor| floor.vcpus), facts.link, told.len())
    };
    assert_eq!(tell("debian-12", "plain", Zone::Internet), (Some(0.1), Some(1e6), 2));
    assert_eq!(tell("debian-12", "heavy", Zone::GovernmentPrivate), (Some(0.25), None, 1));
    assert_eq!(tell("centos-7", "plain", Zone::GovernmentPrivate), (None, None, 0));
    // Both change what is judged of the same days.
    let days = history(396, |_, _| Some(Hour { cpu: 15.0, sent: 25_000.0, ..QUIET }));
    for (image, zone, own, azure) in [
        ("heavy", Zone::GovernmentPrivate, Verdict::Idle, Verdict::Busy),
        ("plain", Zone::Internet, Verdict::Busy, Verdict::Busy),
    ] {
        let mut facts = Facts::default();
        sets.assumed().tell(&mut facts, "debian-12", image, zone);
        let verdict = |name: &str| judge(sets.find(name).expect("a set"), &facts, days.iter(), ON);
        assert_eq!((verdict(RuleSets::OWN).verdict, verdict("azure-advisor").verdict), (own, azure), "{image}");
        assert_eq!(verdict(RuleSets::OWN).facts, facts, "kept with the judgement");
    }
    let quiet = history(396, |_, _| Some(QUIET));
    for (zone, verdict) in [(Zone::Internet, Verdict::Idle), (Zone::GovernmentPrivate, Verdict::Unknown)] {
        let mut facts = Facts::default();
        sets.assumed().tell(&mut facts, "debian-12", "plain", zone);
        assert_eq!(judge(sets.find("azure-advisor").expect("a set"), &facts, quiet.iter(), ON).verdict, verdict);
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let floors = "[{vcpus: 2, received: -1, sent: .nan, disk: 1, source: \"\"}, \
                  {os: a, vcpus: 0, received: 0, sent: 0, disk: 0, source: x}, \
                  {os: a, vcpus: 0, received: 0, sent: 0, disk: 0, source: x}]";
    let links = "[{zone: internet, bytes_per_second: 0, source: x}, {zone: internet, bytes_per_second: 5, source: x}]";
    let Err(RulesError::Faulty(faults)) = with(floors, links) else { panic!("faults") };
    let at: Vec<&str> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
    assert_eq!(
        at,
        [
            "/floors/0/source",
            "/floors/0",
            "/floors/0/vcpus",
            "/floors/0/received",
            "/floors/0/sent",
            "/floors/2",
            "/links/0/bytes_per_second",
            "/links/1"
        ]
    );
    let unknown = FILE.replace("judged_by: jiyue", "judged_by: nobody");
    assert!(matches!(RuleSets::parse(&unknown), Err(RulesError::Faulty(faults)) if faults.len() == 1));
}
