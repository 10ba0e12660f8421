//! A full listing of a host, held against what the broker knows. Pure.

use super::AlarmKind;
use crate::{
    ids::MachineId,
    machine::{Machine, lifecycle::State},
    provider::{Mark, Power, Seen, Shape},
};
use std::{collections::HashMap, net::Ipv4Addr};

/// A machine that belongs on the host.
#[derive(Clone, Debug)]
pub struct Expected {
    pub mark: Mark,
    pub name: String,
    pub state: State,
    /// An operation is under way on it: then it is the operation's to judge.
    pub busy: bool,
    /// The run that the broker knows of.
    pub run: Option<i64>,
    pub vcpu: u32,
    pub memory_bytes: i64,
    pub mac: String,
    /// Its place gives it an address at each start: the one that is known.
    pub floats: Option<Option<Ipv4Addr>>,
}

impl Expected {
    pub fn of(machine: &Machine, run: Option<i64>) -> Self {
        Self {
            mark: Mark::of(&machine.intent),
            name: machine.intent.name.clone(),
            state: machine.state,
            busy: machine.operation.is_some() || machine.state == State::Building,
            run,
            vcpu: machine.intent.vcpu,
            memory_bytes: machine.intent.memory.get(),
            mac: machine.intent.network.mac.to_ascii_lowercase(),
            floats: (!machine.intent.network.link.is_fixed()).then_some(machine.address_seen),
        }
    }
}

/// Something odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: AlarmKind,
    pub domain_id: String,
    pub name: String,
    pub machine: Option<MachineId>,
    pub detail: String,
}

/// What follows from one listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    pub findings: Vec<Finding>,
    /// Lost their power without anybody's wish: to be started again.
    pub lost: Vec<MachineId>,
    /// Shut themselves down: they are stopped, as their owner wished.
    pub shut_down: Vec<MachineId>,
    /// Runs to remember.
    pub runs: Vec<(MachineId, i64)>,
    /// Addresses that places have given.
    pub addresses: Vec<(MachineId, Ipv4Addr)>,
}

/// Judges a listing. `before` and `after` are what was known before the listing was asked for and after it had come: what
/// changed meanwhile is not judged, for it may have been seen in either way.
pub fn judge(before: &[Expected], seen: &[Seen], after: &[Expected]) -> Drift {
    let known = |expected: &'_ [Expected]| -> HashMap<MachineId, Expected> {
        expected.iter().map(|e| (e.mark.machine, e.clone())).collect()
    };
    let (first, second) = (known(before), known(after));
    let still = |id: &MachineId| {
        let (a, b) = (first.get(id)?, second.get(id)?);
        (!a.busy && !b.busy && a.state == b.state && a.mark == b.mark).then_some(b)
    };
    let mut drift = Drift::default();
    for domain in seen {
        let id = MachineId(domain.id);
        let Some(mark) = domain.mark else {
            // A machine's own domain without its mark is no less foreign: whoever made it, it was not us.
            drift.findings.push(finding(
                AlarmKind::Foreign,
                domain,
                None,
                "没有集约的标记；不是集约建的，集约不会动它".to_owned(),
            ));
            continue;
        };
        let belongs = [&first, &second].iter().any(|known| known.get(&id).is_some_and(|e| e.mark == mark));
        if mark.machine != id || !belongs {
            let detail = "带有集约的标记，但账上它不在这台宿主机上；集约不会动它".to_owned();
            drift.findings.push(finding(AlarmKind::Stray, domain, Some(mark.machine), detail));
            continue;
        }
        // Whatever is under way on it: nobody but its place knows.
        let floats = second.get(&id).and_then(|expected| expected.floats);
        if let (Some(known), Some(address)) = (floats, domain.address)
            && known != Some(address)
        {
            drift.addresses.push((id, address));
        }
        if let Some(expected) = still(&id) {
            compare(&mut drift, expected, domain);
        }
    }
    for expected in after {
        let id = expected.mark.machine;
        let there = seen.iter().any(|domain| domain.id == id.0 && domain.mark == Some(expected.mark));
        if !there && still(&id).is_some() {
            drift.findings.push(Finding {
                kind: AlarmKind::Missing,
                domain_id: id.text(),
                name: expected.name.clone(),
                machine: Some(id),
                detail: format!("账上{}，宿主机上没有它的定义；磁盘与占用都保留着", expected.state.label()),
            });
        }
    }
    drift
}

fn finding(kind: AlarmKind, domain: &Seen, machine: Option<MachineId>, detail: String) -> Finding {
    Finding { kind, domain_id: domain.id.to_string(), name: domain.name.clone(), machine, detail }
}

fn compare(drift: &mut Drift, expected: &Expected, domain: &Seen) {
    let id = expected.mark.machine;
    if let Some(detail) = difference(expected, &domain.shape) {
        drift.findings.push(finding(AlarmKind::Altered, domain, Some(id), detail));
    }
    match (expected.state, domain.power) {
        (State::Running, Power::On(run)) => match expected.run {
            Some(known) if known != run => {
                let detail = "它停过又被启动，都不是集约做的".to_owned();
                drift.findings.push(finding(AlarmKind::Restarted, domain, Some(id), detail));
            }
            Some(_) => {}
            None => drift.runs.push((id, run)),
        },
        (State::Running, Power::Lost) => drift.lost.push(id),
        (State::Running, Power::ShutDown) => drift.shut_down.push(id),
        (State::Running, Power::Cut) => {
            let detail = "账上运行中，被人从宿主机上断了电；可用 jiyue machine start 启动".to_owned();
            drift.findings.push(finding(AlarmKind::PowerCut, domain, Some(id), detail));
        }
        (State::Stopped | State::InBin, Power::On(_)) => {
            let detail = format!("账上{}，却在宿主机上运行；集约不会动它", expected.state.label());
            drift.findings.push(finding(AlarmKind::Restarted, domain, Some(id), detail));
        }
        _ => {}
    }
}

/// What is not as approved. The disk must be the machine's own, known by its name.
fn difference(expected: &Expected, shape: &Shape) -> Option<String> {
    let mut parts = Vec::new();
    if shape.vcpu != expected.vcpu {
        parts.push(format!("CPU 应为 {} 核，实为 {} 核", expected.vcpu, shape.vcpu));
    }
    if shape.memory_bytes != expected.memory_bytes {
        parts.push(format!("内存应为 {} 字节，实为 {} 字节", expected.memory_bytes, shape.memory_bytes));
    }
    if !shape.macs.is_empty() && !shape.macs.contains(&expected.mac) {
        parts.push(format!("网卡应为 {}，实为 {}", expected.mac, shape.macs.join("、")));
    }
    let own = format!("{}.{}.", expected.mark.machine, expected.mark.operation);
    let strange: Vec<_> = shape.disks.iter().filter(|disk| !disk.starts_with(&own)).cloned().collect();
    if !strange.is_empty() {
        parts.push(format!("挂着不属于它的磁盘 {}", strange.join("、")));
    }
    (!parts.is_empty()).then(|| parts.join("；"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OperationId;

    fn expected() -> Expected {
        Expected {
            mark: Mark { machine: MachineId::new(), operation: OperationId::new() },
            name: "a".into(),
            state: State::Running,
            busy: false,
            run: Some(7),
            vcpu: 1,
            memory_bytes: 1 << 30,
            mac: "52:54:00:00:00:01".into(),
            floats: None,
        }
    }

    fn seen(e: &Expected) -> Seen {
        Seen {
            id: e.mark.machine.0,
            name: e.name.clone(),
            mark: Some(e.mark),
            power: Power::On(7),
            shape: Shape {
                vcpu: 1,
                memory_bytes: 1 << 30,
                disks: vec![format!("{}.{}.root.qcow2", e.mark.machine, e.mark.operation)],
                macs: vec!["52:54:00:00:00:01".into()],
            },
            address: None,
        }
    }

    fn kinds(drift: &Drift) -> Vec<AlarmKind> {
        drift.findings.iter().map(|f| f.kind).collect()
    }

    fn one(e: &Expected, domain: &Seen) -> Drift {
        judge(std::slice::from_ref(e), std::slice::from_ref(domain), std::slice::from_ref(e))
    }

    #[test]
    fn an_address_is_learned_where_the_place_gives_it_and_nowhere_else() {
        let given = Ipv4Addr::new(10, 244, 1, 7);
        let e = expected();
        let at = |e: &Expected| one(e, &Seen { address: Some(given), ..seen(e) }).addresses;
        assert_eq!(at(&e), []);
        let floating = Expected { floats: Some(None), busy: true, ..e };
        assert_eq!(at(&floating), [(floating.mark.machine, given)]);
        assert_eq!(at(&Expected { floats: Some(Some(given)), ..floating }), []);
    }

    #[test]
    fn what_is_as_known_is_nothing() {
        let e = expected();
        assert_eq!(one(&e, &seen(&e)), Drift::default());
    }

    #[test]
    fn strangers_and_strays_are_told_apart() {
        let e = expected();
        assert_eq!(kinds(&one(&e, &Seen { mark: None, ..seen(&e) })), [AlarmKind::Foreign, AlarmKind::Missing]);
        assert_eq!(kinds(&judge(&[], &[seen(&e)], &[])), [AlarmKind::Stray]);
        // Another operation's mark: an older incarnation.
        let old = Mark { operation: OperationId::new(), ..e.mark };
        assert_eq!(kinds(&one(&e, &Seen { mark: Some(old), ..seen(&e) })), [AlarmKind::Stray, AlarmKind::Missing]);
        // A mark copied onto a domain of another identity.
        let copy = Seen { id: MachineId::new().0, ..seen(&e) };
        assert_eq!(
            kinds(&judge(std::slice::from_ref(&e), &[seen(&e), copy], std::slice::from_ref(&e))),
            [AlarmKind::Stray]
        );
    }

    #[test]
    fn power_is_restored_only_where_nobody_took_it() {
        let e = expected();
        let with = |power| one(&e, &Seen { power, ..seen(&e) });
        assert_eq!(with(Power::Lost).lost, [e.mark.machine]);
        assert_eq!(with(Power::ShutDown).shut_down, [e.mark.machine]);
        assert_eq!(kinds(&with(Power::Cut)), [AlarmKind::PowerCut]);
        assert_eq!(kinds(&with(Power::On(8))), [AlarmKind::Restarted]);
        let stopped = Expected { state: State::Stopped, ..e.clone() };
        assert_eq!(kinds(&one(&stopped, &seen(&e))), [AlarmKind::Restarted]);
        assert_eq!(one(&stopped, &Seen { power: Power::Lost, ..seen(&e) }), Drift::default());
        let fresh = Expected { run: None, ..e.clone() };
        assert_eq!(one(&fresh, &seen(&e)).runs, [(e.mark.machine, 7)]);
    }

    #[test]
    fn a_swap_behind_our_back_is_seen() {
        let e = expected();
        let with = |change: fn(&mut Shape)| {
            let mut domain = seen(&e);
            change(&mut domain.shape);
            kinds(&one(&e, &domain))
        };
        assert_eq!(with(|s| s.vcpu = 8), [AlarmKind::Altered]);
        assert_eq!(with(|s| s.memory_bytes = 1), [AlarmKind::Altered]);
        assert_eq!(with(|s| s.disks.push("other.qcow2".into())), [AlarmKind::Altered]);
        assert_eq!(with(|s| s.macs = vec!["52:54:00:00:00:02".into()]), [AlarmKind::Altered]);
    }

    #[test]
    fn what_moved_while_the_listing_was_made_is_not_judged() {
        let e = [expected()];
        let busy = [Expected { busy: true, ..expected() }].map(|b| Expected { mark: e[0].mark, ..b });
        assert_eq!(judge(&busy, &[], &e), Drift::default());
        assert_eq!(judge(&e, &[], &busy), Drift::default());
        assert_eq!(judge(&e, &[], &[]), Drift::default());
        assert_eq!(judge(&[], &[], &e), Drift::default());
        assert_eq!(judge(&[], &[seen(&e[0])], &e), Drift::default());
        assert_eq!(kinds(&judge(&e, &[], &e)), [AlarmKind::Missing]);
    }
}
