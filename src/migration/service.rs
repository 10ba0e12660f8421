//! Acts on rooms and on what becomes of their systems. Each reads the whole survey, decides on it, and writes under the
//! revision that it has read; where somebody was faster it is decided anew.

use super::{
    estate::{Estate, Home, Object, System},
    fate::{Decision, Disposition, Exemption, Stage, Step, Taken, Trigger},
    gates,
    progress::{self, Progress},
    register::{self, Deadline, Register},
    room::{Gate, Room, Signature, Term},
    said::Said,
    store, wave,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    catalogue::Catalogue,
    db::{Db, DbError},
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act, Scope},
    },
    ids::{RoomId, ServerId, SystemId},
    jurisdiction::Profile,
    request::apart::Reader,
    system, text, time,
    usage::{advice::Sizing, zombie},
};
use jiff::{ToSpan, civil::Date};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// So often an act is decided anew because somebody else was faster.
pub(super) const TRIES: usize = 5;
/// Nothing is excused for longer at once; then it is decided anew.
const LONGEST_EXEMPTION_DAYS: i64 = 3 * 366;

/// What acts on rooms need of the house.
#[derive(Clone)]
pub struct Estates {
    pub db: Db,
    pub profile: Arc<Profile>,
    pub registers: Arc<Vec<Register>>,
    pub reader: Reader,
    /// By what systems' requests are sized.
    pub catalogue: Arc<Catalogue>,
    pub sizing: Sizing,
    /// The survey as it was last read, which is as it is while its revision is the same.
    pub last: Arc<Mutex<Option<Arc<Estate>>>>,
}

/// What is decided of a system.
#[derive(Clone, Debug)]
pub struct Decide {
    pub disposition: Disposition,
    pub reason: String,
    pub replaced_by: Option<String>,
    pub finding_id: Option<String>,
}

/// A step, and what proves it.
#[derive(Clone, Debug)]
pub struct Advance {
    pub step: Step,
    pub evidence: String,
    /// Of an assessment: the level that overrules the score.
    pub difficulty: Option<u8>,
    /// Of a plan.
    pub cutover_on: Option<Date>,
    pub trigger: Option<Trigger>,
}

/// What is proven of a room.
#[derive(Clone, Debug)]
pub struct Proof {
    pub gate: Gate,
    pub evidence: String,
    pub on: Option<Date>,
    /// Of servers that are off: which; all of the room where none is named.
    pub servers: Vec<String>,
}

/// What one act makes of the survey.
pub(super) struct Change {
    pub objects: Vec<Object>,
    pub record: Record,
}

impl Estates {
    pub fn term(&self) -> Term {
        Term { from: self.profile.closing_from(), years: self.profile.rooms.within_years }
    }

    pub fn today(&self) -> Date {
        self.db.clock().today()
    }

    /// The survey as it is.
    pub async fn now(&self) -> Result<Arc<Estate>, DbError> {
        let mut conn = self.db.read().await?;
        let revision = store::revision(&mut conn).await?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(last) = last.filter(|last| last.revision == revision) {
            return Ok(last);
        }
        let objects = store::load(&mut conn, Date::MAX).await?;
        // What was written while it was read may be in it; under the older number it is read once more.
        let mut estate = Estate::of(objects, revision);
        estate.waves = wave::store::waves(&mut conn).await?;
        estate.blackouts = wave::store::blackouts(&mut conn).await?;
        let estate = Arc::new(estate);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&estate));
        Ok(estate)
    }

    /// What the caller may see of it.
    pub async fn seen_by(&self, actor: &Actor, act: Act) -> Result<Arc<Estate>, Problem> {
        let scope = policy::scope(actor, act)?;
        let estate = self.now().await?;
        Ok(match scope {
            Scope::All => estate,
            Scope::Department(own) => Arc::new(estate.only(own)),
        })
    }

    /// A room that the caller may touch, and the whole survey.
    pub async fn room(&self, actor: &Actor, act: Act, id: &str) -> Result<(Arc<Estate>, Room), Problem> {
        let scope = policy::scope(actor, act)?;
        let estate = self.now().await?;
        let id: Option<RoomId> = id.parse().ok();
        let room = id.and_then(|id| estate.rooms.get(&id)).filter(|room| scope.covers(room.unit.id)).cloned();
        room.map(|room| (estate, room)).ok_or_else(|| Problem::not_found("机房"))
    }

    /// A system of the survey that the caller may touch, and the whole survey.
    pub async fn system(&self, actor: &Actor, act: Act, id: &str) -> Result<(Arc<Estate>, System), Problem> {
        let scope = policy::scope(actor, act)?;
        let estate = self.now().await?;
        let known: Option<SystemId> = id.parse().ok();
        if let Some(system) = known.and_then(|id| estate.systems.get(&id)).filter(|s| scope.covers(s.unit.id)) {
            let system = system.clone();
            return Ok((estate, system));
        }
        let mut conn = self.db.read().await?;
        match system::store::find(&mut conn, id, scope.filter().as_deref()).await? {
            Some(system) => {
                let detail = format!("系统“{}”还没有列入普查；请先导入普查表", system.facts.name);
                Err(Problem::conflict("system_not_surveyed", detail))
            }
            None => Err(Problem::not_found("系统")),
        }
    }

    /// Decides on the survey as it is and writes what comes of it, again if somebody was faster.
    async fn act<T>(
        &self,
        mut decide: impl FnMut(&Arc<Estate>) -> Result<(Change, T), Problem> + Send,
    ) -> Result<T, Problem> {
        for _ in 0..TRIES {
            let estate = self.now().await?;
            let (change, answer) = decide(&estate)?;
            if self.put(estate.revision, change).await? {
                return Ok(answer);
            }
        }
        Err(busy())
    }

    /// False where somebody has changed the survey since `seen`.
    pub(super) async fn put(&self, seen: i64, change: Change) -> Result<bool, Problem> {
        let change = Arc::new(change);
        self.db
            .write(async move |tx| -> Result<bool, Problem> {
                let today = time::civil(tx.now());
                let Some((revision, day)) = store::advance(tx, seen, today).await? else {
                    return Err(beaten());
                };
                store::put_all(tx, revision, day, &change.objects).await?;
                audit::record(tx, change.record.clone()).await?;
                Ok(true)
            })
            .await
            .or_else(|problem| if problem.code == BEATEN { Ok(false) } else { Err(problem) })
    }

    pub(super) fn said(&self, actor: &Actor, field: &str, text: &str, on: Option<Date>) -> Result<Said, Problem> {
        let today = self.today();
        let on = on.unwrap_or(today);
        if on > today {
            return Err(refused(format!("/on: {on} 还没有到（今天是 {today}）；请填写事情发生的日期")));
        }
        let text = text::said(text, text::PROSE).map_err(|fault| {
            refused(format!("/{field}: 文字不符合要求（{fault}）；请改为 1 至 {} 字", text::PROSE.max_chars))
        })?;
        Ok(Said { text, on, by: actor.person.login.clone(), unit: actor.unit.clone() })
    }

    /// Records what is proven of a room's closing.
    pub async fn record(&self, actor: &Actor, id: &str, proof: Proof) -> Result<RoomId, Problem> {
        let (_, room) = self.room(actor, Act::RoomRecord, id).await?;
        let said = self.said(actor, "evidence", &proof.evidence, proof.on)?;
        let today = self.today();
        self.act(|estate| {
            let mut room = standing_room(estate, room.id)?;
            let mut objects = Vec::new();
            match proof.gate {
                Gate::ServersOff => {
                    for server in servers_off(estate, &room, &proof.servers, today)? {
                        let mut server = estate.servers.get(&server).cloned().ok_or_else(|| Problem::not_found("服务器"))?;
                        server.off = Some(said.clone());
                        objects.push(Object::Server(server));
                    }
                }
                Gate::EquipmentDisposed | Gate::NetworkCut => {
                    let shut = gates::stands(estate, &room, today).into_iter().find(|s| s.gate < proof.gate && !s.passed);
                    if let Some(shut) = shut {
                        return Err(not_yet(&room, &shut));
                    }
                }
                Gate::SystemsGone | Gate::Signed => {
                    let detail = "/gate: 系统迁出由各系统的进展得出，签字用 jiyue room sign；这里记录 servers_off、equipment_disposed 或 network_cut";
                    return Err(refused(detail.to_owned()));
                }
            }
            room.proofs.insert(proof.gate, said.clone());
            objects.push(Object::Room(room.clone()));
            let detail = json!({"name": room.name, "gate": proof.gate, "evidence": said.text, "on": said.on,
                "servers": objects.len() - 1});
            Ok((Change { objects, record: record(actor, Act::RoomRecord, &room, detail) }, room.id))
        })
        .await
    }

    /// Signs under a room's closing; the second signature, of another person of another 单位, closes it.
    pub async fn sign(&self, actor: &Actor, id: &str, comment: &str) -> Result<RoomId, Problem> {
        let (_, room) = self.room(actor, Act::RoomSign, id).await?;
        let said = self.said(actor, "comment", comment, None)?;
        let today = self.today();
        self.act(|estate| {
            let mut room = standing_room(estate, room.id)?;
            let shut = gates::stands(estate, &room, today).into_iter().find(|s| s.gate != Gate::Signed && !s.passed);
            if let Some(shut) = shut {
                return Err(not_yet(&room, &shut));
            }
            let seen = gates::seal(estate, &room, today);
            if let Some(same) = gates::valid(&room, &seen)
                .into_iter()
                .find(|other| other.said.by == said.by || other.said.unit == said.unit)
            {
                let detail = format!("{}（{}）已经签字；还要另一个单位的另一个人签", same.said.by, same.said.unit);
                return Err(Problem::conflict("already_signed", detail));
            }
            room.signatures.retain(|signature| signature.seen == seen);
            room.signatures.push(Signature { said: said.clone(), seen });
            let closes = gates::stands(estate, &room, today).iter().all(|stand| stand.passed);
            if closes {
                room.closed_on = Some(today);
            }
            let detail = json!({"name": room.name, "comment": said.text, "closed": closes});
            let id = room.id;
            let record = record(actor, Act::RoomSign, &room, detail);
            Ok((Change { objects: vec![Object::Room(room)], record }, id))
        })
        .await
    }

    /// Opens a closed room again: with a reason, and for everybody to see.
    pub async fn reopen(&self, actor: &Actor, id: &str, reason: &str) -> Result<RoomId, Problem> {
        let (_, room) = self.room(actor, Act::RoomReopen, id).await?;
        let said = self.said(actor, "reason", reason, None)?;
        self.act(|estate| {
            let mut room = estate.rooms.get(&room.id).cloned().ok_or_else(|| Problem::not_found("机房"))?;
            let Some(closed) = room.closed_on.take() else {
                return Err(Problem::conflict("room_not_closed", format!("机房“{}”没有关停", room.name)));
            };
            room.signatures.clear();
            room.reopened.push(said.clone());
            let detail = json!({"name": room.name, "closed_on": closed, "reason": said.text});
            let (id, record) = (room.id, record(actor, Act::RoomReopen, &room, detail));
            Ok((Change { objects: vec![Object::Room(room)], record }, id))
        })
        .await
    }

    /// Decides what becomes of a system.
    pub async fn decide(&self, actor: &Actor, id: &str, decide: Decide) -> Result<SystemId, Problem> {
        let (_, system) = self.system(actor, Act::SystemDecide, id).await?;
        let said = self.said(actor, "reason", &decide.reason, None)?;
        let finding = self.finding(&decide, system.id).await?;
        self.act(|estate| {
            let mut system = standing_system(estate, system.id)?;
            let before = system.decision.clone();
            system.stage = next(&system, Step::Decide)?;
            let replaced_by = replacement(estate, &system, &decide)?;
            if decide.disposition == Disposition::Discard && replaced_by.is_none() && finding.is_none() {
                let detail =
                    "/disposition: 摒弃要写明由哪个系统替代（replaced_by），或附上已认定的僵尸系统判定（finding_id）";
                return Err(refused(detail.to_owned()));
            }
            system.decision = Some(Decision {
                disposition: decide.disposition,
                said: said.clone(),
                replaced_by: replaced_by.clone(),
                finding_id: finding.clone(),
            });
            system.steps.push(Taken { step: Step::Decide, said: said.clone() });
            let detail = json!({"name": system.name, "from": before, "to": system.decision});
            let (id, record) = (system.id, of_system(actor, Act::SystemDecide, &system, detail));
            Ok((Change { objects: vec![Object::System(Box::new(system))], record }, id))
        })
        .await
    }

    /// A finding that carries it: of this very system, confirmed or on file.
    async fn finding(&self, decide: &Decide, system: SystemId) -> Result<Option<String>, Problem> {
        let Some(id) = &decide.finding_id else { return Ok(None) };
        let mut conn = self.db.read().await?;
        let finding = zombie::store::find(&mut conn, id, None).await?.filter(|finding| finding.system == system);
        let decided = finding.filter(|finding| {
            matches!(finding.state, zombie::lifecycle::State::Confirmed | zombie::lifecycle::State::Filed)
        });
        decided.map(|finding| Some(finding.id.text())).ok_or_else(|| {
            let detail = "/finding_id: 没有这项判定，或它不是这个系统的，或还没有认定；请用 jiyue zombie list 核对";
            refused(detail.to_owned())
        })
    }

    /// Lets a system stay until a day, on evidence.
    pub async fn exempt(&self, actor: &Actor, id: &str, until: Date, evidence: &str) -> Result<SystemId, Problem> {
        let (_, system) = self.system(actor, Act::SystemExempt, id).await?;
        let said = self.said(actor, "evidence", evidence, None)?;
        let today = self.today();
        let last = today.saturating_add(LONGEST_EXEMPTION_DAYS.days());
        if until <= today || until > last {
            return Err(refused(format!("/until: {until} 不在今天之后、{last} 之前；请核对日期")));
        }
        self.act(|estate| {
            let mut system = standing_system(estate, system.id)?;
            if system.gone() {
                let detail = format!("系统“{}”{}，不用豁免", system.name, system.stage.label());
                return Err(Problem::conflict("system_gone", detail));
            }
            system.exemption = Some(Exemption { until, said: said.clone() });
            let detail = json!({"name": system.name, "until": until, "evidence": said.text});
            let (id, record) = (system.id, of_system(actor, Act::SystemExempt, &system, detail));
            Ok((Change { objects: vec![Object::System(Box::new(system))], record }, id))
        })
        .await
    }

    /// How far the district has come at the end of a day; one that is not over yet is as it is so far.
    pub async fn progress(&self, day: Date, scope: Scope) -> Result<(Progress, Vec<Deadline>), Problem> {
        let today = self.today();
        if day > today {
            return Err(Problem::malformed(format!("/as_of: {day} 还没有到（今天是 {today}）")));
        }
        if day < today {
            // Whoever is in the midst of writing of that day is waited for; whoever comes later writes of a later one.
            self.db
                .housekeep(async move |tx| -> Result<(), DbError> { store::end_days_before(tx, today).await })
                .await?;
        }
        let mut conn = self.db.read().await?;
        let estate =
            if day == today { self.now().await? } else { Arc::new(Estate::of(store::load(&mut conn, day).await?, 0)) };
        let mut moved = store::moved(&mut conn, day).await?;
        let met = store::met(&mut conn, day).await?;
        drop(conn);
        let estate = match scope {
            Scope::All => estate,
            Scope::Department(own) => {
                let own = estate.only(own);
                moved.retain(|one| {
                    let room = one.id.parse().is_ok_and(|id| own.rooms.contains_key(&id));
                    room || one.id.parse().is_ok_and(|id| own.systems.contains_key(&id))
                });
                Arc::new(own)
            }
        };
        let progress = progress::progress(&estate, &moved, self.term(), day);
        Ok((progress, register::deadlines(&self.registers, &met, day)))
    }
}

/// A code of ours that never goes out.
pub(super) const BEATEN: &str = "estate_changed";

pub(super) fn beaten() -> Problem {
    Problem::conflict(BEATEN, "普查数据在此期间已被更改；请重新查询后再办")
}

/// So many are at it at once that it came to nothing.
pub(super) fn busy() -> Problem {
    Problem::new(Kind::Unavailable, "estate_busy", "普查数据正在被多人修改；请稍后重试")
}

pub(super) fn refused(detail: String) -> Problem {
    Problem::new(Kind::Refused, "bad_value", detail)
}

/// A room that is not closed.
fn standing_room(estate: &Estate, id: RoomId) -> Result<Room, Problem> {
    let room = estate.rooms.get(&id).cloned().ok_or_else(|| Problem::not_found("机房"))?;
    match room.closed_on {
        Some(on) => {
            let detail = format!("机房“{}”已于 {on} 关停；确需改动的，先由审批人写明理由重新启用", room.name);
            Err(Problem::conflict("room_closed", detail))
        }
        None => Ok(room),
    }
}

pub(super) fn standing_system(estate: &Estate, id: SystemId) -> Result<System, Problem> {
    let system = estate.systems.get(&id).cloned().ok_or_else(|| Problem::not_found("系统"))?;
    if system.home == Home::Cloud {
        let detail = format!("系统“{}”本来就在政务云上，没有要迁移的", system.name);
        return Err(Problem::conflict("system_in_cloud", detail));
    }
    Ok(system)
}

pub(super) fn next(system: &System, step: Step) -> Result<Stage, Problem> {
    system.stage.next(step, system.disposition()).map_err(|refusal| {
        let fate = system.disposition().map_or("未定去向", Disposition::label);
        let detail =
            format!("系统“{}”{}（{fate}），不能办理 {}；请按步骤办理", system.name, system.stage.label(), refusal.step);
        Problem::conflict("system_stage", detail)
    })
}

/// The system that takes over: one of the survey, not itself, and not one that is given up.
fn replacement(estate: &Estate, system: &System, decide: &Decide) -> Result<Option<String>, Problem> {
    let Some(named) = &decide.replaced_by else { return Ok(None) };
    let is = |other: &&System| other.id.text() == *named || text::fold(&other.name) == text::fold(named);
    let found = estate.systems.values().filter(is).find(|other| other.id != system.id);
    match found {
        Some(other) if other.disposition() == Some(Disposition::Discard) => {
            Err(refused(format!("/replaced_by: 系统“{}”自己也定为摒弃；请填写今后使用的系统", other.name)))
        }
        Some(other) => Ok(Some(other.name.clone())),
        None => {
            let shown = text::shown(named);
            Err(refused(format!("/replaced_by: 普查里没有别的系统叫“{shown}”；请填写普查表里的系统名称")))
        }
    }
}

/// The servers that go off: those that are named, or all that are still on. None on which a system has still to leave.
fn servers_off(estate: &Estate, room: &Room, named: &[String], today: Date) -> Result<Vec<ServerId>, Problem> {
    let on: Vec<_> = estate.servers_of(room.id).filter(|server| server.off.is_none()).collect();
    let mut chosen = Vec::new();
    for name in named {
        let found = on.iter().find(|server| server.id.text() == *name || text::fold(&server.name) == text::fold(name));
        let Some(server) = found else {
            let shown = text::shown(name);
            return Err(refused(format!("/servers: 机房“{}”没有还开着的服务器“{shown}”；请核对名称", room.name)));
        };
        chosen.push(*server);
    }
    if named.is_empty() {
        chosen = on;
    }
    for server in &chosen {
        let used = estate.systems_of(room.id).find(|s| s.open(today) && s.servers.contains(&server.id));
        if let Some(system) = used {
            let detail = format!("服务器“{}”上的系统“{}”还没有迁出、停用或豁免", server.name, system.name);
            return Err(Problem::conflict("server_in_use", detail));
        }
    }
    Ok(chosen.into_iter().map(|server| server.id).collect())
}

fn not_yet(room: &Room, shut: &gates::Stand) -> Problem {
    let detail = format!("机房“{}”的“{}”还没有通过：{}", room.name, shut.label, shut.missing.join("；"));
    Problem::conflict("room_gate", detail)
}

fn record(actor: &Actor, act: Act, room: &Room, detail: Value) -> Record {
    Record {
        who: Who::from(actor),
        action: act.word(),
        object_type: "room",
        object_id: room.id.text(),
        department_id: Some(room.unit.id.text()),
        outcome: Outcome::Done,
        detail,
    }
}

pub(super) fn of_system(actor: &Actor, act: Act, system: &System, detail: Value) -> Record {
    Record {
        who: Who::from(actor),
        action: act.word(),
        object_type: "system",
        object_id: system.id.text(),
        department_id: Some(system.unit.id.text()),
        outcome: Outcome::Done,
        detail,
    }
}
