//! Acts on waves and blackouts. They are written under the survey's revision: what a wave was checked against is still so when
//! a system is planned by it.

use super::{
    Amount, Bases, Blackout, Conflict, Days, Demand, Ground, Level, Node, Room, Wave, ZoneStand, check, store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{self, standing::HostState},
    error::Problem,
    identity::{
        Actor,
        policy::{self, Act, Scope},
        store as identity_store,
    },
    ids::{BlackoutId, SystemId, WaveId},
    labels::Zone,
    migration::{
        asking,
        estate::Estate,
        fate::{Stage, Trigger},
        service::{BEATEN, Estates, TRIES, beaten, busy, refused},
        store as estate_store,
    },
    rule::Code,
    text, time,
};
use jiff::civil::Date;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Systems of one wave.
pub const MOST_SYSTEMS: usize = 200;

/// What was found of a wave.
#[derive(Clone, Debug)]
pub struct Checked {
    pub conflicts: Vec<Conflict>,
    pub zones: Vec<ZoneStand>,
}

impl Checked {
    pub fn passes(&self) -> bool {
        self.conflicts.iter().all(|conflict| conflict.level != Level::Blocks)
    }
}

/// A system as somebody names it.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name or id.
    pub system: String,
    pub trigger: Option<Trigger>,
    pub on: Option<Date>,
}

/// What somebody says of a wave.
#[derive(Clone, Debug)]
pub struct Draft {
    pub name: String,
    pub window: Days,
    pub note: Option<String>,
    pub systems: Vec<Named>,
}

/// What one act writes.
#[derive(Clone)]
enum Write {
    Put(Wave),
    Remove(WaveId),
    Blackout(Blackout),
    RemoveBlackout(BlackoutId),
}

impl Estates {
    /// What the district's documents say, as it is cited.
    pub fn bases(&self) -> Bases {
        let (profile, rooms) = (&self.profile, &self.profile.rooms);
        Bases {
            nodes: profile.basis_of(rooms.nodes.as_ref()),
            fates: profile.basis_of(rooms.fates.as_ref()),
            on_site: profile.basis_of(rooms.on_site.as_ref()),
            secret: profile.basis(Code::SecrecyRefused),
            closing: profile.closing_basis(),
            tested: profile.basis_of(rooms.tested.as_ref()),
        }
    }

    /// A wave, and the survey that it stands in.
    pub async fn wave(&self, actor: &Actor, act: Act, id: &str) -> Result<(Arc<Estate>, Wave), Problem> {
        policy::scope(actor, act)?;
        let estate = self.now().await?;
        let known: Option<WaveId> = id.parse().ok();
        let wave = known.and_then(|id| estate.waves.get(&id)).cloned();
        wave.map(|wave| (estate, wave)).ok_or_else(|| Problem::not_found("迁移批次"))
    }

    /// Every conflict of a wave, and what it asks of each zone.
    pub async fn checked(&self, estate: &Estate, wave: &Wave) -> Result<Checked, Problem> {
        let (rooms, demands) = (self.rooms().await?, self.demands(estate, wave).await?);
        let bases = self.bases();
        let ground =
            Ground { estate, today: self.today(), term: self.term(), bases: &bases, rooms: &rooms, demands: &demands };
        Ok(Checked { conflicts: check(wave, ground), zones: super::check::zones(wave, ground) })
    }

    /// What each zone has to give on hosts that take machines.
    async fn rooms(&self) -> Result<BTreeMap<Zone, Room>, Problem> {
        let mut conn = self.db.read().await?;
        let hosts = capacity::store::list_hosts(&mut conn).await?;
        let mut rooms: BTreeMap<Zone, Room> = BTreeMap::new();
        for host in hosts.iter().filter(|host| host.standing.state() == HostState::Active) {
            let free = host.limit.minus(host.used);
            let free = Amount { vcpu: free.vcpu, memory_bytes: free.memory_bytes, disk_bytes: free.disk_bytes };
            let mut zones: Vec<Zone> = host.networks.iter().map(|network| network.zone).collect();
            zones.sort_unstable();
            zones.dedup();
            for zone in zones {
                let room = rooms.entry(zone).or_default();
                room.free = room.free.plus(free);
            }
        }
        for (zone, day, amount) in store::leases(&mut conn).await? {
            rooms.entry(zone).or_default().leases.push((day, amount));
        }
        Ok(rooms)
    }

    /// What each system of a wave will take: of what has been asked for, that; of the rest what its servers have used.
    async fn demands(&self, estate: &Estate, wave: &Wave) -> Result<BTreeMap<SystemId, Demand>, Problem> {
        let mut conn = self.db.read().await?;
        let asked = asking::store::all(&mut conn).await?;
        drop(conn);
        let mut demands = BTreeMap::new();
        let members: Vec<_> = wave.systems.keys().filter_map(|id| estate.systems.get(id)).collect();
        let moving = members.iter().filter(|system| system.stage < Stage::CutOver);
        let servers = moving.flat_map(|system| &system.servers).filter_map(|id| estate.servers.get(id));
        let known = self.known(&servers.collect::<Vec<_>>()).await?;
        for system in members {
            let zone = system.survey.network.as_deref().and_then(|network| network.parse().ok());
            let mut demand = Demand { zone: zone.or(Some(Zone::GovernmentExtranet)), ..Demand::default() };
            if system.stage < Stage::CutOver {
                if system.servers.is_empty() {
                    demand.unknown.push("（没有登记服务器）".to_owned());
                }
                for server in system.servers.iter().filter_map(|id| estate.servers.get(id)) {
                    let mut standing =
                        asked.iter().filter(|asked| asked.system == system.id && asked.server == server.id);
                    if let Some(asked) = standing.rfind(|asked| asked.stands()) {
                        demand.zone = Some(asked.block.zone);
                        demand.amount = demand.amount.plus(asked.unclaimed());
                        continue;
                    }
                    let size = self.size(estate, server, None, known.get(&server.id));
                    let value = |figure: Option<&asking::Figure>| figure.map(|figure| figure.value);
                    let all = (value(size.vcpu.as_ref()), value(size.memory.as_ref()), value(size.disk.as_ref()));
                    if let (Some(vcpu), Some(memory_bytes), Some(disk_bytes)) = all {
                        demand.amount = demand.amount.plus(Amount { vcpu, memory_bytes, disk_bytes });
                    } else {
                        demand.unknown.push(server.name.clone());
                    }
                }
            }
            demands.insert(system.id, demand);
        }
        Ok(demands)
    }

    /// Makes a wave. It may have conflicts: they are told, and keep its systems from being planned.
    pub async fn create_wave(&self, actor: &Actor, draft: Draft) -> Result<WaveId, Problem> {
        policy::scope(actor, Act::WaveCreate)?;
        let id = WaveId::new();
        self.arrange(|estate| {
            let wave = drawn(estate, &draft, id, self.db.clock().now())?;
            let detail = told(&wave);
            Ok((Write::Put(wave), record(actor, Act::WaveCreate, "wave", id.text(), detail)))
        })
        .await?;
        Ok(id)
    }

    /// Changes a wave. A system that is planned by it stays in it, and its day within the window.
    pub async fn change_wave(&self, actor: &Actor, seen: &Wave, draft: Draft) -> Result<(), Problem> {
        policy::scope(actor, Act::WaveChange)?;
        self.arrange(|estate| {
            let before = estate.waves.get(&seen.id).ok_or_else(|| Problem::not_found("迁移批次"))?;
            if before != seen {
                return Err(Problem::changed());
            }
            let wave = drawn(estate, &draft, seen.id, seen.created_at)?;
            for system in planned_by(estate, before) {
                if !wave.systems.contains_key(&system.id) {
                    return Err(in_use(&before.name, &system.name));
                }
                let day = system.planned.map(|(day, _)| day);
                if let Some(day) = day.filter(|day| !wave.window.has(*day) && system.stage < Stage::CutOver) {
                    let detail = format!("系统“{}”已排在 {day} 割接，不在新的窗口里；先退回它，或改窗口", system.name);
                    return Err(Problem::conflict("wave_in_use", detail));
                }
            }
            let detail = json!({"from": told(before), "to": told(&wave)});
            Ok((Write::Put(wave), record(actor, Act::WaveChange, "wave", seen.id.text(), detail)))
        })
        .await
    }

    /// Takes a wave away, if nothing is planned by it.
    pub async fn remove_wave(&self, actor: &Actor, id: &str) -> Result<Wave, Problem> {
        let (_, wave) = self.wave(actor, Act::WaveDelete, id).await?;
        self.arrange(|estate| {
            let before = estate.waves.get(&wave.id).ok_or_else(|| Problem::not_found("迁移批次"))?;
            if let Some(system) = planned_by(estate, before).next() {
                return Err(in_use(&before.name, &system.name));
            }
            let record = record(actor, Act::WaveDelete, "wave", wave.id.text(), told(before));
            Ok((Write::Remove(wave.id), record))
        })
        .await?;
        Ok(wave)
    }

    /// Sets days on which nothing is cut over: of one department, or of the whole district.
    pub async fn create_blackout(
        &self,
        actor: &Actor,
        department: Option<&str>,
        days: Days,
        reason: &str,
    ) -> Result<Blackout, Problem> {
        policy::scope(actor, Act::BlackoutCreate)?;
        let unit = match department {
            None => None,
            Some(key) => {
                let mut conn = self.db.read().await?;
                let found = identity_store::find_department(&mut conn, key).await?;
                Some(found.ok_or_else(|| Problem::not_found("建设单位"))?)
            }
        };
        right_way(days)?;
        let reason = self.said(actor, "reason", reason, None)?.text;
        let (by, created_at) = (actor.person.login.clone(), self.db.clock().now());
        let blackout = Blackout { id: BlackoutId::new(), unit, days, reason, by, created_at };
        self.arrange(|_| {
            let detail = json!({"department": blackout.unit.as_ref().map(|unit| &unit.code), "from": days.from,
                "to": days.to, "reason": blackout.reason});
            let record = record(actor, Act::BlackoutCreate, "blackout", blackout.id.text(), detail);
            Ok((Write::Blackout(blackout.clone()), record))
        })
        .await?;
        Ok(blackout)
    }

    pub async fn remove_blackout(&self, actor: &Actor, id: &str) -> Result<Blackout, Problem> {
        policy::scope(actor, Act::BlackoutDelete)?;
        let known: Option<BlackoutId> = id.parse().ok();
        let estate = self.now().await?;
        let blackout = known.and_then(|id| estate.blackouts.get(&id)).cloned();
        let blackout = blackout.ok_or_else(|| Problem::not_found("封网期"))?;
        self.arrange(|estate| {
            if !estate.blackouts.contains_key(&blackout.id) {
                return Err(Problem::not_found("封网期"));
            }
            let detail = json!({"from": blackout.days.from, "to": blackout.days.to, "reason": blackout.reason});
            let record = record(actor, Act::BlackoutDelete, "blackout", blackout.id.text(), detail);
            Ok((Write::RemoveBlackout(blackout.id), record))
        })
        .await?;
        Ok(blackout)
    }

    /// Blackouts that concern the caller: a project team's own and the whole district's.
    pub async fn blackouts(&self, actor: &Actor) -> Result<Vec<Blackout>, Problem> {
        let scope = policy::scope(actor, Act::BlackoutRead)?;
        let estate = self.now().await?;
        let concerns = |blackout: &&Blackout| match scope {
            Scope::All => true,
            Scope::Department(own) => blackout.unit.as_ref().is_none_or(|unit| unit.id == own),
        };
        Ok(estate.blackouts.values().filter(concerns).cloned().collect())
    }

    /// Decides on the survey as it is, and writes under its revision; again if somebody was faster.
    async fn arrange(
        &self,
        decide: impl Fn(&Arc<Estate>) -> Result<(Write, Record), Problem> + Send,
    ) -> Result<(), Problem> {
        for _ in 0..TRIES {
            let estate = self.now().await?;
            let (write, record) = decide(&estate)?;
            let seen = estate.revision;
            let done = self
                .db
                .write(async move |tx| -> Result<(), Problem> {
                    let today = time::civil(tx.now());
                    if estate_store::advance(tx, seen, today).await?.is_none() {
                        return Err(beaten());
                    }
                    match &write {
                        Write::Put(wave) => store::put(tx, wave).await?,
                        Write::Remove(wave) => store::remove(tx, *wave).await?,
                        Write::Blackout(blackout) => store::insert_blackout(tx, blackout).await?,
                        Write::RemoveBlackout(blackout) => store::remove_blackout(tx, *blackout).await?,
                    }
                    Ok(audit::record(tx, record.clone()).await?)
                })
                .await;
            match done {
                Err(problem) if problem.code == BEATEN => {}
                other => return other,
            }
        }
        Err(busy())
    }
}

/// A wave as it is meant, with its systems found.
fn drawn(estate: &Estate, draft: &Draft, id: WaveId, created_at: jiff::Timestamp) -> Result<Wave, Problem> {
    let said = |field: &str, text: &str, limits| {
        text::said(text, limits).map_err(|fault| refused(format!("/{field}: 文字不符合要求（{fault}）")))
    };
    let name = said("name", &draft.name, text::NAME)?;
    let note = draft.note.as_deref().map(|note| said("note", note, text::PROSE)).transpose()?;
    right_way(draft.window)?;
    if estate.waves.values().any(|other| other.id != id && text::fold(&other.name) == text::fold(&name)) {
        return Err(Problem::conflict("wave_exists", format!("已有叫“{name}”的批次；请换一个名称")));
    }
    if draft.systems.len() > MOST_SYSTEMS {
        return Err(refused(format!("/systems: 一批最多 {MOST_SYSTEMS} 个系统；请分成几批")));
    }
    let mut systems = BTreeMap::new();
    for (n, named) in draft.systems.iter().enumerate() {
        let system = find(estate, n, &named.system)?;
        if systems.insert(system, Node { trigger: named.trigger, on: named.on }).is_some() {
            return Err(refused(format!("/systems/{n}: 系统“{}”写了两次", text::shown(&named.system))));
        }
    }
    Ok(Wave { id, name, window: draft.window, note, systems, created_at })
}

/// Systems of a wave that are planned, or farther, and not yet gone.
fn planned_by<'e>(estate: &'e Estate, wave: &'e Wave) -> impl Iterator<Item = &'e super::super::estate::System> {
    let mine = wave.systems.keys().filter_map(|id| estate.systems.get(id));
    // One that stands in two waves was planned by the first; neither lets it go.
    mine.filter(|system| system.stage >= Stage::Planned && system.stage < Stage::SourceOff)
}

fn in_use(wave: &str, system: &str) -> Problem {
    let detail = format!("系统“{system}”已按批次“{wave}”排期；先退回它（roll_back），再移出或删除批次");
    Problem::conflict("wave_in_use", detail)
}

fn right_way(days: Days) -> Result<(), Problem> {
    if days.from > days.to {
        return Err(refused(format!("/to: {} 在开始日期 {} 之前；请核对", days.to, days.from)));
    }
    Ok(())
}

fn find(estate: &Estate, n: usize, key: &str) -> Result<SystemId, Problem> {
    if let Some(id) = key.parse::<SystemId>().ok().filter(|id| estate.systems.contains_key(id)) {
        return Ok(id);
    }
    let mut same = estate.systems.values().filter(|system| text::fold(&system.name) == text::fold(key));
    match (same.next(), same.next()) {
        (Some(one), None) => Ok(one.id),
        (Some(_), Some(_)) => Err(refused(format!("/systems/{n}: 叫“{}”的系统不止一个；请改填编号", text::shown(key)))),
        (None, _) => Err(refused(format!("/systems/{n}: 普查里没有系统“{}”；请核对名称", text::shown(key)))),
    }
}

fn told(wave: &Wave) -> Value {
    json!({"name": wave.name, "from": wave.window.from, "to": wave.window.to,
        "systems": wave.systems.keys().collect::<Vec<_>>()})
}

fn record(actor: &Actor, act: Act, kind: &'static str, id: String, detail: Value) -> Record {
    Record {
        who: Who::from(actor),
        action: act.word(),
        object_type: kind,
        object_id: id,
        department_id: None,
        outcome: Outcome::Done,
        detail,
    }
}
