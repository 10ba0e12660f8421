//! Every conflict of a wave.

use super::{Amount, Demand, Node, Room, Wave};
use crate::{
    identity::policy::Scope,
    ids::{RoomId, SystemId},
    jurisdiction::OWN_RULE,
    labels::{Zone, ZoneFault},
    migration::{
        chain::knots_of,
        estate::{Estate, Home, System},
        fate::{Disposition, Stage},
        room::Term,
    },
    units::GIB,
};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Whether a conflict keeps systems from being planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WaveConflictLevel)]
pub enum Level {
    Blocks,
    Warns,
}

/// One thing that is wrong with a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = WaveConflict)]
pub struct Conflict {
    pub level: Level,
    /// Stable, for programs.
    pub code: &'static str,
    /// Chinese, with the names, days and figures.
    pub message: String,
    /// Document and clause, or 依据：平台规则.
    pub basis: String,
    /// The systems that it is about.
    #[schema(value_type = Vec<String>)]
    pub systems: Vec<SystemId>,
}

impl Conflict {
    /// What names another's systems is not told to a project team.
    pub fn hide_from(&mut self, scope: Scope, estate: &Estate) {
        let own = |id: &SystemId| estate.systems.get(id).is_none_or(|system| scope.covers(system.unit.id));
        if !self.systems.iter().all(own) {
            "涉及其他单位的系统，请问规划员。".clone_into(&mut self.message);
            self.systems.retain(own);
        }
    }
}

/// What the documents of the district say, as it is cited.
#[derive(Clone, Debug)]
pub struct Bases {
    pub nodes: String,
    pub fates: String,
    pub on_site: String,
    pub secret: String,
    pub closing: String,
    pub tested: String,
}

/// What a wave is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    pub estate: &'a Estate,
    pub today: Date,
    pub term: Term,
    pub bases: &'a Bases,
    pub rooms: &'a BTreeMap<Zone, Room>,
    /// Of each system of the wave.
    pub demands: &'a BTreeMap<SystemId, Demand>,
}

/// A zone at the wave's date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = WaveZone)]
pub struct ZoneStand {
    #[schema(value_type = String)]
    pub zone: Zone,
    /// What the wave will take, beside what is claimed for it already.
    pub asked: Amount,
    /// What is free now, all claims subtracted.
    pub free: Amount,
    /// What machines hold whose leases end by the window's first day. It is not counted as free: leases are extended.
    pub ending: Amount,
    pub enough: bool,
}

/// Names that one sentence tells at most.
const NAMED: usize = 10;

struct Case<'a> {
    wave: &'a Wave,
    ground: Ground<'a>,
    found: Vec<Conflict>,
}

/// Every conflict of a wave, those that block it first.
pub fn check(wave: &Wave, ground: Ground<'_>) -> Vec<Conflict> {
    let mut case = Case { wave, ground, found: Vec::new() };
    case.window();
    case.each();
    case.twice();
    case.knots();
    case.needs();
    case.nodes();
    case.deadlines();
    case.blackouts();
    case.capacity();
    case.found.sort_by_key(|conflict| conflict.level);
    case.found
}

/// Each zone that the wave asks something of.
pub fn zones(wave: &Wave, ground: Ground<'_>) -> Vec<ZoneStand> {
    let mut asked: BTreeMap<Zone, Amount> = BTreeMap::new();
    for system in wave.systems.keys() {
        if let Some(demand) = ground.demands.get(system)
            && let Some(zone) = demand.zone
        {
            let sum = asked.entry(zone).or_default();
            *sum = sum.plus(demand.amount);
        }
    }
    let stand = |(zone, asked): (Zone, Amount)| {
        let none = Room::default();
        let room = ground.rooms.get(&zone).unwrap_or(&none);
        let ending = room.leases.iter().filter(|(day, _)| *day <= wave.window.from);
        let ending = ending.fold(Amount::default(), |sum, (_, amount)| sum.plus(*amount));
        ZoneStand { zone, asked, free: room.free, ending, enough: asked.within(room.free) }
    };
    asked.into_iter().map(stand).collect()
}

impl<'a> Case<'a> {
    fn say(&mut self, level: Level, code: &'static str, basis: &str, systems: Vec<SystemId>, message: String) {
        self.found.push(Conflict { level, code, message, basis: basis.to_owned(), systems });
    }

    /// The wave's systems that the survey knows.
    fn members(&self) -> impl Iterator<Item = (&'a System, Node)> + use<'a> {
        let estate = self.ground.estate;
        self.wave.systems.iter().filter_map(move |(id, node)| Some((estate.systems.get(id)?, *node)))
    }

    /// Those that have still to be cut over.
    fn waiting(&self) -> impl Iterator<Item = (&'a System, Node)> + use<'a> {
        self.members().filter(|(system, _)| system.stage < Stage::CutOver && system.home != Home::Cloud)
    }

    fn window(&mut self) {
        let (window, today) = (self.wave.window, self.ground.today);
        if self.wave.systems.is_empty() {
            self.say(Level::Blocks, "wave_empty", OWN_RULE, Vec::new(), "批次里还没有系统。".to_owned());
        }
        let late: Vec<_> = self.waiting().map(|(system, _)| system.id).collect();
        if window.to < today && !late.is_empty() {
            let names = self.names(&late);
            let message = format!("割接窗口 {} 至 {} 已经过去，还没有割接的：{names}。", window.from, window.to);
            self.say(Level::Blocks, "wave_window_past", OWN_RULE, late, message);
        }
    }

    /// What of a system by itself keeps it out of any wave.
    fn each(&mut self) {
        let (today, bases) = (self.ground.today, self.ground.bases);
        let unknown: Vec<_> =
            self.wave.systems.keys().filter(|id| !self.ground.estate.systems.contains_key(id)).copied().collect();
        for id in unknown {
            let message = format!("系统 {id} 没有列入普查。");
            self.say(Level::Blocks, "wave_system_unknown", OWN_RULE, vec![id], message);
        }
        for (system, _) in self.members() {
            let mut say = |code, basis: &str, what: &str| {
                let message = format!("系统“{}”{what}。", system.name);
                self.say(Level::Blocks, code, basis, vec![system.id], message);
            };
            if secret(system) {
                let network = system.survey.network.as_deref().unwrap_or_default();
                let what = format!("接入的是“{}”：涉密系统不上政务云", crate::text::shown(network));
                say("wave_system_secret", &bases.secret, &what);
            }
            if system.home == Home::Cloud {
                say("wave_system_in_cloud", OWN_RULE, "本来就在政务云上，没有要迁移的");
            } else if system.disposition() == Some(Disposition::Discard) {
                say("wave_system_discarded", &bases.fates, "定为摒弃，不迁移；请移出批次，直接停用");
            } else if system.exempt(today) {
                let until = system.exemption.as_ref().map(|exemption| exemption.until.to_string()).unwrap_or_default();
                say("wave_system_exempt", &bases.on_site, &format!("已准许暂不迁出，到 {until} 为止"));
            } else if system.disposition().is_none() {
                say("wave_system_undecided", &bases.fates, "还没有定去向；请先定继承、重构或摒弃");
            }
        }
    }

    fn twice(&mut self) {
        for (system, _) in self.members() {
            let others = self.ground.estate.waves_of(system.id).filter(|other| other.id != self.wave.id);
            let others: Vec<_> = others.map(|other| format!("“{}”", other.name)).collect();
            if !others.is_empty() {
                let message = format!("系统“{}”同时在{}里；一个系统只在一个批次里。", system.name, others.join("、"));
                self.say(Level::Blocks, "wave_system_twice", OWN_RULE, vec![system.id], message);
            }
        }
    }

    /// Systems that depend on each other both ways, through however many others.
    fn knots(&mut self) {
        for knot in knots(self.ground.estate, self.ground.today) {
            let (inside, outside): (Vec<_>, Vec<_>) =
                knot.iter().copied().partition(|id| self.wave.systems.contains_key(id));
            if inside.is_empty() || outside.is_empty() {
                continue;
            }
            let message = format!(
                "{}与{}互相依赖（直接或经由别的系统），必须在同一批迁移；后者不在本批。",
                self.names(&inside),
                self.names(&outside)
            );
            self.say(Level::Blocks, "wave_knot_split", OWN_RULE, knot, message);
        }
    }

    /// What a system needs comes with it or before it.
    fn needs(&mut self) {
        let (estate, today) = (self.ground.estate, self.ground.today);
        for (system, _) in self.waiting() {
            for other in system.needs.iter().filter_map(|id| estate.systems.get(id)) {
                if self.wave.systems.contains_key(&other.id) || !other.open(today) || other.in_cloud() {
                    continue;
                }
                let both = vec![system.id, other.id];
                let (name, needed) = (&system.name, &other.name);
                if other.disposition() == Some(Disposition::Discard) {
                    let message = format!("“{name}”依赖的“{needed}”定为摒弃；请先更新依赖关系。");
                    self.say(Level::Warns, "wave_dependency_discarded", OWN_RULE, both, message);
                    continue;
                }
                let waves: Vec<_> = estate.waves_of(other.id).collect();
                match waves.iter().map(|wave| wave.window.from).min() {
                    None => {
                        let message = format!("“{name}”依赖的“{needed}”还没有上云，也不在任何批次里。");
                        self.say(Level::Warns, "wave_dependency_unplanned", OWN_RULE, both, message);
                    }
                    Some(from) if from > self.wave.window.from => {
                        let message = format!("“{name}”依赖的“{needed}”在它之后才迁移（{from}）。");
                        self.say(Level::Warns, "wave_dependency_later", OWN_RULE, both, message);
                    }
                    Some(_) => {}
                }
            }
        }
    }

    /// Systems move at their nodes, and by then.
    fn nodes(&mut self) {
        let (to, bases) = (self.wave.window.to, self.ground.bases);
        for (system, node) in self.waiting() {
            let contract = system.maintained_until.filter(|day| *day >= self.ground.today);
            if let Some(on) = node.on.filter(|on| *on < to) {
                let what = node.trigger.map_or("节点", label);
                let message = format!("系统“{}”的{what}定在 {on}，窗口到 {to} 才结束；应在节点之前迁移。", system.name);
                self.say(Level::Blocks, "wave_after_node", &bases.nodes, vec![system.id], message);
            } else if let Some(end) = contract.filter(|end| *end < to) {
                let message = format!("系统“{}”的运维合同 {end} 到期，窗口到 {to} 才结束。", system.name);
                self.say(Level::Warns, "wave_after_maintenance", &bases.nodes, vec![system.id], message);
            } else if node.trigger.is_none() && contract.is_none() {
                let message = format!("系统“{}”没有写明在哪个节点（升级、改造、续建、运维）迁移。", system.name);
                self.say(Level::Warns, "wave_node_missing", &bases.nodes, vec![system.id], message);
            }
        }
    }

    fn deadlines(&mut self) {
        let mut rooms: BTreeMap<RoomId, Vec<SystemId>> = BTreeMap::new();
        for (system, _) in self.waiting() {
            if let Some(room) = system.room() {
                rooms.entry(room).or_default().push(system.id);
            }
        }
        for (id, systems) in rooms {
            let Some(room) = self.ground.estate.rooms.get(&id) else { continue };
            let Some(due) = room.due_on(self.ground.term).filter(|due| *due < self.wave.window.to) else { continue };
            let message = format!(
                "机房“{}”应于 {due} 前关停，窗口到 {} 才结束；里面要迁的：{}。",
                room.name,
                self.wave.window.to,
                self.names(&systems)
            );
            let basis = match (&room.facts.document, room.facts.due_on) {
                (Some(document), _) => document.clone(),
                (None, Some(_)) => OWN_RULE.to_owned(),
                (None, None) => self.ground.bases.closing.clone(),
            };
            self.say(Level::Warns, "wave_after_deadline", &basis, systems, message);
        }
    }

    fn blackouts(&mut self) {
        let window = self.wave.window;
        for blackout in self.ground.estate.blackouts.values().filter(|blackout| blackout.days.overlaps(window)) {
            let hit = self
                .waiting()
                .filter(|(system, _)| blackout.unit.as_ref().is_none_or(|unit| unit.id == system.unit.id));
            let hit: Vec<_> = hit.map(|(system, _)| system.id).collect();
            if hit.is_empty() {
                continue;
            }
            let whose = blackout.unit.as_ref().map_or("全区", |unit| unit.name.as_str());
            let message = format!(
                "窗口 {} 至 {} 与{whose}的封网期 {} 至 {}（{}）重叠。",
                window.from, window.to, blackout.days.from, blackout.days.to, blackout.reason
            );
            self.say(Level::Blocks, "wave_blackout", OWN_RULE, hit, message);
        }
    }

    fn capacity(&mut self) {
        for stand in zones(self.wave, self.ground).into_iter().filter(|stand| !stand.enough) {
            let of = |system: &&SystemId| {
                self.ground.demands.get(system).is_some_and(|demand| demand.zone == Some(stand.zone))
            };
            let systems = self.wave.systems.keys().filter(of).copied().collect();
            let message = format!(
                "{}剩余不够：要 {}，剩 {}（已扣除全部占用；{} 前到期的租期有 {}，没有算作剩余）。",
                stand.zone.label(),
                told(stand.asked),
                told(stand.free),
                self.wave.window.from,
                told(stand.ending)
            );
            self.say(Level::Blocks, "wave_capacity_short", OWN_RULE, systems, message);
        }
        for (system, _) in self.waiting() {
            let unknown = self.ground.demands.get(&system.id).map(|demand| demand.unknown.as_slice());
            let Some(unknown) = unknown.filter(|unknown| !unknown.is_empty()) else { continue };
            let some = unknown.iter().take(NAMED).cloned().collect::<Vec<_>>().join("、");
            let message = format!("系统“{}”的服务器没有足够的用量数据，没有算进要的资源：{some}。", system.name);
            self.say(Level::Warns, "wave_size_unknown", OWN_RULE, vec![system.id], message);
        }
    }

    fn names(&self, systems: &[SystemId]) -> String {
        let name = |id: &SystemId| self.ground.estate.systems.get(id).map(|system| format!("“{}”", system.name));
        let some: Vec<_> = systems.iter().filter_map(name).take(NAMED).collect();
        let more = if systems.len() > NAMED { format!(" 等 {} 个系统", systems.len()) } else { String::new() };
        some.join("、") + &more
    }
}

/// It hangs on the network that carries state secrets.
fn secret(system: &System) -> bool {
    system.survey.network.as_deref().is_some_and(|network| network.parse::<Zone>() == Err(ZoneFault::Intranet))
}

const fn label(trigger: crate::migration::fate::Trigger) -> &'static str {
    use crate::migration::fate::Trigger;
    match trigger {
        Trigger::Upgrade => "升级",
        Trigger::Renovate => "改造",
        Trigger::Continue => "续建",
        Trigger::Maintain => "运维",
    }
}

fn told(amount: Amount) -> String {
    let gib = |bytes: i64| {
        #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
        let gib = bytes as f64 / GIB as f64;
        format!("{gib:.1} GiB")
    };
    format!("{} 核、内存 {}、磁盘 {}", amount.vcpu, gib(amount.memory_bytes), gib(amount.disk_bytes))
}

/// Groups of systems, each with more than one, that need each other both ways; among those that have still to move.
pub fn knots(estate: &Estate, today: Date) -> Vec<Vec<SystemId>> {
    let moves = |system: &&System| {
        system.open(today) && !system.in_cloud() && system.disposition() != Some(Disposition::Discard)
    };
    let systems: Vec<&System> = estate.systems.values().filter(moves).collect();
    let index: HashMap<SystemId, u32> = (0_u32..).zip(&systems).map(|(n, system)| (system.id, n)).collect();
    let edges: Vec<Vec<u32>> = systems
        .iter()
        .map(|system| system.needs.iter().filter_map(|other| index.get(other).copied()).collect())
        .collect();
    let after = |n: u32| edges.get(n as usize).map(Vec::as_slice).unwrap_or_default();
    let id = |n: u32| systems.get(n as usize).map(|system| system.id);
    let mut knots: Vec<Vec<SystemId>> = knots_of(systems.len(), after)
        .into_iter()
        .map(|knot| knot.into_iter().filter_map(id).collect::<BTreeSet<_>>().into_iter().collect())
        .collect();
    knots.sort();
    knots
}
