//! Takes a survey's file: what it would change, and, with the word of exactly that, the change. All or nothing.

use super::{
    super::{
        estate::{Estate, Object},
        service::{BEATEN, Estates, TRIES, beaten, busy},
        store,
    },
    Fault, plan, table,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::Tx,
    error::Problem,
    identity::{
        Actor,
        policy::{self, Act},
        store as identity_store,
    },
    jurisdiction::{OWN_RULE, Profile},
    request::{apart::ReadError, form::Sheet},
    rule::Code,
    server, system, time,
    violation::{Violation, pointer_token},
};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};

/// Changes that an answer shows; all are counted, and all are in its digest.
const SHOWN: usize = 200;

/// What came of a file.
#[derive(Clone, Debug)]
pub struct Imported {
    pub plan: plan::Plan,
    /// The word under which exactly this is taken.
    pub digest: String,
    pub applied: bool,
    pub shown: usize,
}

impl Estates {
    /// Reads a file and tells what it would change; with the word of exactly these changes, makes them. All or nothing.
    pub async fn import(
        &self,
        actor: &Actor,
        content: &[u8],
        name: &str,
        apply: Option<&str>,
    ) -> Result<Imported, Problem> {
        policy::scope(actor, Act::RoomImport)?;
        let sheets = match self.reader.sheets(content, name).await {
            Ok(sheets) => sheets,
            Err(ReadError::Fault(fault)) => return Err(unreadable(fault.code, &fault.reason)),
            Err(error) => return Err(Problem::internal(error)),
        };
        self.take(actor, &sheets, apply).await
    }

    /// The same of sheets that have been read.
    pub async fn take(&self, actor: &Actor, sheets: &[Sheet], apply: Option<&str>) -> Result<Imported, Problem> {
        policy::scope(actor, Act::RoomImport)?;
        let found = table::find(sheets).map_err(|faults| faulty(&self.profile, faults))?;
        for _ in 0..TRIES {
            let estate = self.now().await?;
            let mut conn = self.db.read().await?;
            let departments = identity_store::all_departments(&mut conn).await?;
            let (systems, servers) = (store::systems(&mut conn).await?, store::servers(&mut conn).await?);
            drop(conn);
            let ground = plan::Ground {
                estate: &estate,
                departments: &departments,
                systems: &systems,
                servers: &servers,
                today: self.today(),
                by: &actor.person.login,
            };
            let planned = plan::plan(found.clone(), &ground).map_err(|faults| faulty(&self.profile, faults))?;
            let digest = planned.digest();
            let Some(word) = apply else {
                return Ok(Imported { plan: planned, digest, applied: false, shown: SHOWN });
            };
            if word != digest {
                let detail = "文件或普查数据与查看差异时不同；请重新查看差异，再用新的核对码导入";
                return Err(Problem::conflict("difference_changed", detail));
            }
            if planned.objects.is_empty() {
                return Ok(Imported { plan: planned, digest, applied: true, shown: SHOWN });
            }
            let known: BTreeSet<String> =
                systems.values().map(|id| id.text()).chain(servers.values().map(|id| id.text())).collect();
            if self.enter(actor, &estate, &planned, &digest, known).await? {
                return Ok(Imported { plan: planned, digest, applied: true, shown: SHOWN });
            }
        }
        Err(busy())
    }

    /// Writes what a file changes, in one transaction; `known` are the ids of systems and servers that are registered.
    async fn enter(
        &self,
        actor: &Actor,
        estate: &Arc<Estate>,
        planned: &plan::Plan,
        digest: &str,
        known: BTreeSet<String>,
    ) -> Result<bool, Problem> {
        let new = planned.changes.iter().filter(|change| change.new).count();
        let detail =
            json!({"digest": digest, "new": new, "changed": planned.changes.len() - new, "same": planned.same});
        let record = Record {
            who: Who::from(actor),
            action: Act::RoomImport.word(),
            object_type: "survey",
            object_id: digest.to_owned(),
            department_id: None,
            outcome: Outcome::Done,
            detail,
        };
        let (estate, objects) = (Arc::clone(estate), Arc::new(planned.objects.clone()));
        let known = Arc::new(known);
        self.db
            .write(async move |tx| -> Result<bool, Problem> {
                let today = time::civil(tx.now());
                let Some((revision, day)) = store::advance(tx, estate.revision, today).await? else {
                    return Err(beaten());
                };
                for object in objects.iter() {
                    register_object(tx, &estate, object, &known, &record.who.person).await?;
                }
                store::put_all(tx, revision, day, &objects).await?;
                audit::record(tx, record.clone()).await?;
                Ok(true)
            })
            .await
            .or_else(|problem| if problem.code == BEATEN { Ok(false) } else { Err(problem) })
    }
}

/// The system or server under its own register, and the room's name.
async fn register_object(
    tx: &mut Tx,
    before: &Estate,
    object: &Object,
    known: &BTreeSet<String>,
    by: &str,
) -> Result<(), Problem> {
    match object {
        Object::Room(room) if !before.rooms.contains_key(&room.id) => Ok(store::insert_room(tx, room).await?),
        Object::Room(_) => Ok(()),
        Object::Server(surveyed) => {
            let kept = if known.contains(&surveyed.id.text()) {
                server::store::find(tx.conn(), &surveyed.id.text(), None).await?
            } else {
                None
            };
            let facts = server::Facts {
                name: surveyed.name.clone(),
                cores: surveyed.hardware.cores.and_then(|cores| u32::try_from(cores).ok()),
                memory_bytes: surveyed.hardware.memory_bytes,
                measured: kept.as_ref().and_then(|kept| kept.facts.measured.clone()),
            };
            match kept {
                Some(kept) if kept.facts != facts => {
                    let revision = server::store::revision(tx.conn(), kept.id).await?.unwrap_or_default();
                    _ = server::store::set(tx, kept.id, &facts, revision).await?;
                    Ok(())
                }
                Some(_) => Ok(()),
                None => {
                    let (id, department, created_at) = (surveyed.id, surveyed.unit.id, tx.now());
                    Ok(server::store::insert(tx, &server::Server { id, department, created_at, facts }).await?)
                }
            }
        }
        Object::System(surveyed) => {
            let kept = if known.contains(&surveyed.id.text()) {
                system::store::find(tx.conn(), &surveyed.id.text(), None).await?
            } else {
                None
            };
            let facts = system::record::Facts {
                name: surveyed.name.clone(),
                purpose: surveyed.purpose.clone(),
                scope: surveyed.scope,
                frequency: surveyed.frequency,
                last_updated_on: surveyed.last_updated_on,
                maintained_until: surveyed.maintained_until,
                last_login_on: kept.as_ref().and_then(|kept| kept.facts.last_login_on),
                replaced_by: kept.as_ref().and_then(|kept| kept.facts.replaced_by.clone()),
            };
            match kept {
                Some(kept) if kept.facts != facts => {
                    let revision = system::store::revision(tx.conn(), kept.id).await?.unwrap_or_default();
                    _ = system::store::update(tx, kept.id, &facts, by, revision).await?;
                    Ok(())
                }
                Some(_) => Ok(()),
                None => {
                    let now = tx.now();
                    let system = system::System {
                        id: surveyed.id,
                        department: surveyed.unit.id,
                        facts,
                        recorded_by: by.to_owned(),
                        recorded_at: now,
                        created_at: now,
                    };
                    Ok(system::store::insert(tx, &system).await?)
                }
            }
        }
    }
}

/// A file that cannot be read at all.
fn unreadable(code: Code, reason: &str) -> Problem {
    let violation = Violation {
        pointer: "/file".to_owned(),
        code: code.as_str(),
        message: format!("普查表不能读取：{reason}。"),
        basis: OWN_RULE.to_owned(),
        mend: "用 .xlsx 或 .csv 文件，不带密码和宏；太大的分几次导入。".to_owned(),
        place: None,
        asked: None,
        used: None,
        limit: None,
        left: None,
        unit: None,
    };
    Problem::unreadable(code == Code::FileTooLarge, violation)
}

/// Everything that is wrong with a file, by sheet, row and column.
fn faulty(profile: &Profile, faults: Vec<Fault>) -> Problem {
    let violation = |fault: Fault| {
        let place = &fault.note.place;
        let part = |text: Option<String>| text.map(|text| format!("/{}", pointer_token(&text))).unwrap_or_default();
        let pointer = part(place.sheet.clone())
            + &part(place.row.map(|n| n.to_string()))
            + &part(Some(fault.note.column.clone()).filter(|c| !c.is_empty()));
        Violation {
            pointer: if pointer.is_empty() { "/file".to_owned() } else { pointer },
            code: fault.code,
            message: format!("{}。", fault.note.message),
            basis: match fault.code {
                "survey_secret" => profile.basis(Code::SecrecyRefused),
                "survey_evidence_missing" => profile.closing_basis(),
                _ => OWN_RULE.to_owned(),
            },
            mend: format!("{}。", fault.mend),
            place: Some(fault.note.place),
            asked: None,
            used: None,
            limit: None,
            left: None,
            unit: None,
        }
    };
    Problem::refused(faults.into_iter().map(violation).collect())
}
