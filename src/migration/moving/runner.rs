//! Drives a disk import to its end, forward or back: looks at both sides, asks the plan, does one thing, and looks again.

use super::{
    DiskImport, Found,
    lifecycle::{Event, State},
    plan::{self, Deed, Facts, Power as Side, Wish},
    steps::{self, Sides, Sources},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError},
    machine::{
        Machine,
        lifecycle::State as MachineState,
        mac_of,
        power::{Power, Twin},
        steps as parts, store as machines,
    },
    operation::{
        Kind, Operation, crash,
        lifecycle::State as OperationState,
        store as operations,
        store::LeaseError,
        worker::{Held, RunError, Runner},
    },
    provider::{
        Part, ProviderError,
        old_guest::{self, OldPower},
    },
    text::hex,
};
use serde_json::json;
use sha2::{
    Digest, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};
use std::sync::Arc;

/// What is read, sent and written down at a time: after a break no more than this is sent twice.
const PIECE: u64 = 8 << 20;
/// A copy that comes out different is made anew so often.
const COPIES: i64 = 3;

pub struct Moves {
    pub power: Arc<Power>,
    pub sources: Sources,
}

/// Old guests, as those who run from the disks of machines.
pub struct OldGuests {
    pub db: Db,
    pub sources: Sources,
}

/// Why a deed was not done.
enum Stumble {
    /// It will not be: then the old guest is to have its place again.
    Unfit(String),
    Interrupted(RunError),
    /// Somebody wants it back.
    Wanted(String),
}

impl From<DbError> for Stumble {
    fn from(error: DbError) -> Self {
        Self::Interrupted(error.into())
    }
}

impl From<LeaseError> for Stumble {
    fn from(error: LeaseError) -> Self {
        Self::Interrupted(error.into())
    }
}

impl From<ProviderError> for Stumble {
    fn from(error: ProviderError) -> Self {
        if error.is_transient() {
            Self::Interrupted(RunError::Later(error.to_string()))
        } else {
            Self::Unfit(error.to_string())
        }
    }
}

#[async_trait::async_trait]
impl Runner for Moves {
    async fn run(&self, held: &Held, operation: Operation) -> Result<(), RunError> {
        let backward = operation.kind == Kind::ReturnDisk || operation.state == OperationState::Unwinding;
        let mut wish = if backward { Wish::Back } else { Wish::Go };
        loop {
            if held.stop.is_cancelled() {
                return Err(RunError::Later("stopped between two steps".to_owned()));
            }
            match self.turn(held, &operation, wish).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Stumble::Interrupted(error)) => return Err(error),
                Err(Stumble::Unfit(reason) | Stumble::Wanted(reason)) if wish == Wish::Go => {
                    self.turn_back(held, &operation, reason).await?;
                    wish = Wish::Back;
                }
                // A way back is wanted until it is made.
                Err(Stumble::Unfit(reason) | Stumble::Wanted(reason)) => return Err(RunError::Later(reason)),
            }
        }
    }
}

impl Moves {
    /// One look, one deed. True when all is done and written down.
    async fn turn(&self, held: &Held, operation: &Operation, wish: Wish) -> Result<bool, Stumble> {
        let later = |reason: String| Stumble::Interrupted(RunError::Later(reason));
        let (import, machine) = self.read(operation).await?;
        let provider = self.power.providers.of(machine.host).await.map_err(|e| later(e.to_string()))?;
        let disks = provider.disks().ok_or_else(|| later("the machine's place takes over no disks".to_owned()))?;
        let source = self
            .sources
            .of(&import.source_host)
            .ok_or_else(|| later(format!("配置文件里没有源宿主机 {} 的 [[source_host]]", import.source_host)))?;
        let sides = Sides { import: &import, source, provider: &*provider, disks };
        let look = sides.look(&machine.intent).await;
        let facts = Facts {
            wish,
            old: look.old,
            machine: look.machine,
            autostart: look.autostart,
            noted: import.found.is_some(),
            ran: import.found.is_some_and(|found| found.running),
            autostarted: import.found.is_some_and(|found| found.autostart),
            copied: import.sha256.is_some(),
            checked: import.checked_at.is_some(),
            given: machine.intent.imported.is_some(),
            astray: look.astray,
        };
        let deed = plan::next(&facts);
        tracing::info!(disk_import.id = %import.id, deed = deed.word(), ?facts, "disk_import.turn");
        // Whoever has taken over goes on, and this one stops here.
        let wanted = self.progress(held, &import, &machine, deed).await?;
        if let (Wish::Go, Some(reason)) = (wish, wanted) {
            return Err(Stumble::Wanted(reason));
        }
        crash::point(&format!("disk_import.{}{}", if wish == Wish::Go { "" } else { "back." }, deed.word()));
        let unasked = || look.unasked.as_ref().map_or_else(|| "not asked".to_owned(), ToString::to_string);
        match deed {
            Deed::WaitForOld | Deed::WaitForMachine => return Err(later(unasked())),
            Deed::Note => {
                let found = Found { running: look.old == Side::On, autostart: look.autostart };
                self.power.db.housekeep(async move |tx| store::found(tx, import.id, found).await).await?;
            }
            Deed::StopMachine => sides.stop_machine(&machine.intent, self.power.grace).await?,
            Deed::Quiet => source.set_autostart(import.domain_id, false).await?,
            Deed::StopOld => source.stop(import.domain_id, self.power.grace).await?,
            Deed::Copy => self.copy(held, &sides, &machine).await?,
            Deed::Check => self.check(&sides, &machine).await?,
            Deed::Anew => self.power.db.housekeep(async move |tx| store::forget_copy(tx, import.id).await).await?,
            Deed::Give => {
                let given = steps::given(&machine.intent, &import);
                sides.leave_address(&machine.intent, &given).await?;
                self.set_intent(held, &machine, given).await?;
            }
            Deed::StartMachine => sides.start_machine(&machine.intent).await?,
            Deed::Take => {
                let own = steps::own(&machine.intent, &import);
                sides.take(&machine.intent, &own).await?;
                self.set_intent(held, &machine, own).await?;
            }
            Deed::StartOld => sides.start_old(&machine.intent).await?,
            Deed::Autostart => source.set_autostart(import.domain_id, true).await?,
            Deed::Done if wish == Wish::Go => return self.arrive(held, operation, &sides, &machine).await,
            Deed::Done => {
                self.go_home(held, operation, &sides, &machine, facts.machine).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn read(&self, operation: &Operation) -> Result<(DiskImport, Machine), Stumble> {
        let missing = |what: &str| Stumble::Interrupted(RunError::Later(format!("no {what} of this operation")));
        let mut conn = self.power.db.read().await?;
        let import = store::of_operation(&mut conn, operation.id).await?.ok_or_else(|| missing("disk import"))?;
        let machine = machines::find(&mut conn, &import.machine.text(), None).await?;
        Ok((import, machine.ok_or_else(|| missing("machine"))?))
    }

    /// Tells how far it has come; answers the reason to turn back, if somebody gave one.
    async fn progress(
        &self,
        held: &Held,
        import: &DiskImport,
        machine: &Machine,
        deed: Deed,
    ) -> Result<Option<String>, LeaseError> {
        let (lease, name) = (held.lease.clone(), machine.intent.name.as_str());
        let (percent, label) = match deed {
            Deed::Copy => told(name, import.copied_bytes, import.file_bytes),
            Deed::Check => (COPY_ENDS, format!("{name}.check")),
            Deed::Give | Deed::StartMachine | Deed::Done => (COPY_ENDS + 10, format!("{name}.{}", deed.word())),
            _ => (COPY_BEGINS, format!("{name}.{}", deed.word())),
        };
        self.power.db.housekeep(async move |tx| operations::progress(tx, &lease, percent, &label).await).await
    }

    /// Reads the old disk piece by piece and writes it into the machine's host; goes on where an earlier attempt broke off,
    /// as long as it is the same disk on both sides.
    async fn copy(&self, held: &Held, sides: &Sides<'_>, machine: &Machine) -> Result<(), Stumble> {
        let (id, import, source) = (sides.import.id, sides.import, sides.source);
        let to = steps::given(&machine.intent, import);
        let file = source.file(&import.disk_file).await?;
        let header = old_guest::fits(&file, import.disk_format, machine.intent.disk, false);
        let header = header.map_err(|unfit| Stumble::Unfit(unfit.to_string()))?;
        let size = header.map_or(0, |header| header.virtual_size.get());
        let same = file.length == import.file_bytes && file.written == import.written;
        let held_state = import.digest_state.as_deref().and_then(revived).filter(|_| same);
        let kept = sides.disks.open_disk(&to, file.length, held_state.is_none()).await?;
        let (mut at, mut hash) = match held_state {
            Some(hash) if kept => (import.copied_bytes, hash),
            _ => {
                let (length, written) = (file.length, file.written.clone());
                self.power.db.housekeep(async move |tx| store::begin(tx, id, length, size, &written).await).await?;
                (0, Sha256::new())
            }
        };
        tracing::info!(disk_import.id = %id, from = at, of = file.length, "disk_import.copy");
        while at < file.length {
            if held.stop.is_cancelled() {
                return Err(Stumble::Interrupted(RunError::Later("stopped in the midst of the copy".to_owned())));
            }
            let piece = source.read(&import.disk_file, at, PIECE.min(file.length - at)).await?;
            if piece.is_empty() {
                return Err(Stumble::Interrupted(RunError::Later("the old disk ends early".to_owned())));
            }
            let length = piece.len() as u64;
            hash.update(&piece);
            // What was never written is zero on both sides already.
            let sent = if piece.iter().all(|byte| *byte == 0) { 0 } else { length };
            if sent > 0 {
                sides.disks.write_disk(&to, at, piece).await?;
            }
            at += length;
            crash::point(&format!("disk_import.copy.{}", at.div_ceil(PIECE)));
            let (lease, state) = (held.lease.clone(), hex(&hash.serialize()));
            let (percent, label) = told(&machine.intent.name, at, file.length);
            let wanted = self
                .power
                .db
                .housekeep(async move |tx| -> Result<Option<String>, LeaseError> {
                    let wanted = operations::progress(tx, &lease, percent, &label).await?;
                    store::copied(tx, id, at, sent, &state).await?;
                    Ok(wanted)
                })
                .await?;
            if let Some(reason) = wanted {
                return Err(Stumble::Wanted(reason));
            }
        }
        // Whoever started it meanwhile, or wrote to its disk, is seen here; the next look at both sides says what follows.
        let after = source.file(&import.disk_file).await?;
        if source.power(import.domain_id).await? == OldPower::On
            || (after.length, &after.written) != (file.length, &file.written)
        {
            return Ok(self.power.db.housekeep(async move |tx| store::forget_copy(tx, id).await).await?);
        }
        let sha256 = hex(&hash.finalize());
        Ok(self.power.db.housekeep(async move |tx| store::read(tx, id, &sha256).await).await?)
    }

    /// Holds what lies on the machine's host against what was read.
    async fn check(&self, sides: &Sides<'_>, machine: &Machine) -> Result<(), Stumble> {
        let import = sides.import;
        let there = sides.disks.disk_digest(&steps::given(&machine.intent, import)).await?;
        let id = import.id;
        if import.sha256.as_ref() == Some(&there) {
            return Ok(self.power.db.housekeep(async move |tx| store::checked(tx, id).await).await?);
        }
        tracing::error!(disk_import.id = %id, read = import.sha256, written = there, "disk_import.differs");
        if import.begun >= COPIES {
            let read = import.sha256.clone().unwrap_or_default();
            return Err(Stumble::Unfit(format!(
                "复制了 {COPIES} 次，校验和都对不上：读出 {read}，写入后读回 {there}；请检查两台宿主机的存储"
            )));
        }
        Ok(self.power.db.housekeep(async move |tx| store::forget_copy(tx, id).await).await?)
    }

    /// What the machine is from now on, under the lease.
    async fn set_intent(
        &self,
        held: &Held,
        machine: &Machine,
        intent: crate::provider::Intent,
    ) -> Result<(), LeaseError> {
        let (lease, id, host) = (held.lease.clone(), machine.id, machine.host);
        self.power
            .db
            .housekeep(async move |tx| -> Result<(), LeaseError> {
                operations::progress(tx, &lease, COPY_ENDS + 5, "disk").await?;
                Ok(machines::set_intent(tx, id, host, &intent).await?)
            })
            .await
    }

    /// From here on it goes back. What the reason was stays with the import: the operation's own is overwritten by whatever
    /// holds up the way back.
    async fn turn_back(&self, held: &Held, operation: &Operation, reason: String) -> Result<(), RunError> {
        tracing::warn!(operation.id = %operation.id, reason, "disk_import.turned_back");
        let (lease, id) = (held.lease.clone(), operation.id);
        self.power
            .db
            .housekeep(async move |tx| -> Result<(), LeaseError> {
                operations::turn_back(tx, &lease, &reason).await?;
                Ok(store::set_note(tx, id, &reason).await?)
            })
            .await?;
        crash::point("disk_import.turned_back");
        Ok(())
    }

    /// The machine runs on the old disk. Whether its guest answers is told and not judged: not every old guest listens where
    /// ours do, and the test after a move is people's.
    async fn arrive(
        &self,
        held: &Held,
        operation: &Operation,
        sides: &Sides<'_>,
        machine: &Machine,
    ) -> Result<bool, Stumble> {
        let waited = parts::ensure(
            sides.provider,
            Part::Answer,
            &machine.intent,
            self.power.patience,
            &held.back,
            &self.power.metrics,
        )
        .await;
        let answered = match waited {
            Ok(()) => true,
            Err(parts::StepError::Failed { .. }) => false,
            Err(error) if held.stop.is_cancelled() => {
                return Err(Stumble::Interrupted(RunError::Later(error.to_string())));
            }
            // Somebody wants it back, and the next look at the lease says why.
            Err(_) => return Ok(false),
        };
        let (lease, import, machine) = (held.lease.clone(), sides.import.clone(), machine.clone());
        let operation = operation.clone();
        self.power
            .db
            .write(async move |tx| -> Result<(), LeaseError> {
                let to = moved_on(import.state, Event::Move)?;
                store::advance(tx, import.id, import.state, to, operation.id, None).await?;
                store::answered(tx, import.id, answered).await?;
                machines::settle(tx, machine.id, operation.id, MachineState::Running).await?;
                operations::finish(tx, &lease, OperationState::Succeeded, None).await?;
                let detail = json!({"operation": operation.id, "sha256": import.sha256, "bytes": import.file_bytes,
                    "machine": machine.id, "answered": answered});
                Ok(audit::record(tx, record(&operation, &import, "disk_import.moved", Outcome::Done, detail)).await?)
            })
            .await?;
        Ok(true)
    }

    /// The old guest is as it was, and the machine has its own disk.
    async fn go_home(
        &self,
        held: &Held,
        operation: &Operation,
        sides: &Sides<'_>,
        machine: &Machine,
        side: Side,
    ) -> Result<(), Stumble> {
        let import = sides.import;
        let own = steps::own(&machine.intent, import);
        // On a copy that the machine has run from there may be something that is nowhere else: it is set aside.
        if import.moved_at.is_none() && import.begun > 0 {
            sides.disks.discard_disk(&own, &steps::given(&machine.intent, import)).await?;
        }
        crash::point("disk_import.back.home");
        let wanted = operation.kind == Kind::ReturnDisk || self.is_cancelled(operation).await?;
        let (event, end) = match (operation.kind, wanted) {
            (Kind::ReturnDisk, _) => (Event::Return, OperationState::Succeeded),
            (_, true) => (Event::Return, OperationState::Cancelled),
            (_, false) => (Event::Fail, OperationState::Failed),
        };
        let state = if side == Side::On { machine.state } else { MachineState::Stopped };
        let (lease, import, machine, operation) =
            (held.lease.clone(), import.clone(), machine.clone(), operation.clone());
        self.power
            .db
            .write(async move |tx| -> Result<(), LeaseError> {
                let to = moved_on(import.state, event)?;
                if import.address != import.own_address {
                    store::come_back(tx, machine.id, import.own_address, &mac_of(import.own_address)).await?;
                }
                store::advance(tx, import.id, import.state, to, operation.id, import.note.as_deref()).await?;
                machines::settle(tx, machine.id, operation.id, state).await?;
                operations::finish(tx, &lease, end, import.note.as_deref()).await?;
                let (action, outcome) = match event {
                    Event::Fail => ("disk_import.failed", Outcome::Denied),
                    _ => ("disk_import.returned", Outcome::Done),
                };
                let detail = json!({"operation": operation.id, "machine": machine.id, "reason": import.note});
                Ok(audit::record(tx, record(&operation, &import, action, outcome, detail)).await?)
            })
            .await?;
        self.power.inventory.stale();
        Ok(())
    }

    async fn is_cancelled(&self, operation: &Operation) -> Result<bool, DbError> {
        let mut conn = self.power.db.read().await?;
        let now = operations::find(&mut conn, &operation.id.text()).await?;
        Ok(now.is_some_and(|operation| operation.cancel_reason.is_some()))
    }
}

#[async_trait::async_trait]
impl Twin for OldGuests {
    async fn is_off(&self, machine: &Machine) -> Result<(), ProviderError> {
        let act = || format!("starting {}", machine.intent.name);
        let asked = async {
            let mut conn = self.db.read().await?;
            store::open_of(&mut conn, machine.id).await
        };
        let asked: Result<_, DbError> = asked.await;
        let open = asked.map_err(|error| ProviderError::Transient { act: act(), reason: error.to_string() })?;
        let Some(import) = open else { return Ok(()) };
        let Some(source) = self.sources.of(&import.source_host) else {
            return Err(ProviderError::Unreachable { host: import.source_host, source: None });
        };
        match source.power(import.domain_id).await? {
            OldPower::Off | OldPower::Gone => Ok(()),
            OldPower::On => {
                let reason = format!(
                    "源宿主机 {} 上的旧机 {} 正在运行，两台不能同时从一块磁盘启动；请先查明是谁启动了它，把它停下",
                    import.source_host, import.domain_name
                );
                Err(ProviderError::Permanent { act: act(), reason })
            }
        }
    }
}

/// Percent at which the copy begins and ends; what is left is the reading back and the start.
const COPY_BEGINS: i64 = 5;
const COPY_ENDS: i64 = 80;

/// How far a copy has come: percent, and a label with the bytes.
fn told(name: &str, done: u64, of: u64) -> (i64, String) {
    let part = (u128::from(done) * 75).checked_div(u128::from(of)).unwrap_or_default();
    (COPY_BEGINS + i64::try_from(part).unwrap_or_default(), format!("{name}.copy {done}/{of}"))
}

/// A digest that was written down half-way.
fn revived(state: &str) -> Option<Sha256> {
    let bytes: Option<Vec<u8>> = (0..state.len())
        .step_by(2)
        .map(|at| state.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    let state = SerializedState::<Sha256>::try_from(&bytes?[..]).ok()?;
    Sha256::deserialize(&state).ok()
}

fn moved_on(state: State, event: Event) -> Result<State, LeaseError> {
    state.next(event).map_err(|refusal| LeaseError::Db(DbError::Corrupt { what: refusal.to_string() }))
}

fn record(
    operation: &Operation,
    import: &DiskImport,
    action: &'static str,
    outcome: Outcome,
    detail: serde_json::Value,
) -> Record {
    Record {
        who: Who::broker(&operation.trace_id),
        action,
        object_type: "disk_import",
        object_id: import.id.text(),
        department_id: Some(import.department.text()),
        outcome,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_goes_on_from_where_it_was_written_down() {
        let bytes: Vec<u8> = (0..200_003_u32).flat_map(u32::to_le_bytes).collect();
        let whole = hex(&Sha256::digest(&bytes));
        for cut in [0, 1, 63, 64, 65, 100_000, bytes.len()] {
            let mut first = Sha256::new();
            first.update(&bytes[..cut]);
            let mut second = revived(&hex(&first.serialize())).expect("it is read back");
            second.update(&bytes[cut..]);
            assert_eq!(hex(&second.finalize()), whole, "cut at {cut}");
        }
        for bad in ["", "0", "zz", "00"] {
            assert!(revived(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn progress_is_told_in_percent_and_bytes() {
        assert_eq!(told("oa", 0, 0), (5, "oa.copy 0/0".to_owned()));
        assert_eq!(told("oa", 50, 100), (42, "oa.copy 50/100".to_owned()));
        assert_eq!(told("oa", u64::MAX, u64::MAX).0, COPY_ENDS);
    }
}
