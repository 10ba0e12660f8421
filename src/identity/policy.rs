//! Who may do what: one function, one table. The table is a golden file, and a test walks every route through it.

use super::{Actor, Role};
use crate::{
    error::{Kind, Problem},
    ids::DepartmentId,
};

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident = $word:literal),+ $(,)?) => {
        /// Everything that can be asked of the broker.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Act { $($(#[$doc])* $name),+ }

        impl Act {
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The dotted name, also the audit's action.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

acts! {
    DepartmentCreate = "department.create",
    DepartmentRead = "department.read",
    DepartmentChange = "department.change",
    TaskBookImport = "task_book.import",
    TaskBookRevoke = "task_book.revoke",
    TaskBookRead = "task_book.read",
    HostAdd = "host.add",
    HostRead = "host.read",
    HostChange = "host.change",
    HostCordon = "host.cordon",
    HostUncordon = "host.uncordon",
    HostDrain = "host.drain",
    HostFence = "host.fence",
    HostConfirmFenced = "host.confirm_fenced",
    HostReadmit = "host.readmit",
    AlarmRead = "alarm.read",
    AlarmAcknowledge = "alarm.acknowledge",
    PlacementExplain = "placement.explain",
    ImageImport = "image.import",
    ImageRead = "image.read",
    ImageDistribute = "image.distribute",
    RequestCheck = "request.check",
    RequestSubmit = "request.submit",
    RequestRead = "request.read",
    RequestApprove = "request.approve",
    RequestReturn = "request.return",
    RequestCancel = "request.cancel",
    MachineRead = "machine.read",
    MachineChange = "machine.change",
    MachineStart = "machine.start",
    MachineStop = "machine.stop",
    MachineDelete = "machine.delete",
    MachineRestore = "machine.restore",
    MachineReboot = "machine.reboot",
    MachineResize = "machine.resize",
    MachineMigrate = "machine.migrate",
    MachineRebuild = "machine.rebuild",
    MachineExtend = "machine.extend",
    MachineLog = "machine.log",
    MachineRegisterName = "machine.register_name",
    MachineCredentials = "machine.credentials",
    SystemRead = "system.read",
    SystemCreate = "system.create",
    SystemChange = "system.change",
    SystemAttach = "system.attach",
    SystemDetach = "system.detach",
    ZombieRead = "zombie.read",
    ZombieJudge = "zombie.judge",
    ZombieAsk = "zombie.ask",
    ZombieReply = "zombie.reply",
    ZombieExempt = "zombie.exempt",
    ZombieConfirm = "zombie.confirm",
    ZombieDismiss = "zombie.dismiss",
    ZombieFile = "zombie.file",
    OperationRead = "operation.read",
    LedgerVerify = "ledger.verify",
    AuditRead = "audit.read",
    EventRead = "event.read",
    UsageRead = "usage.read",
    UsageImport = "usage.import",
    ServerCreate = "server.create",
    ServerRead = "server.read",
    ServerChange = "server.change",
    VerdictRead = "verdict.read",
    MachineAgreeReclaim = "machine.agree_reclaim",
    MachineWithdrawReclaim = "machine.withdraw_reclaim",
    ReportRead = "report.read",
    /// What there is and what is left of it, of all departments: the report, the status page and `jiyue top`.
    CapacityRead = "capacity.read",
    ServerReplay = "server.replay_usage",
    UsageSourceRead = "usage_source.read",
    RoomRead = "room.read",
    RoomImport = "room.import",
    RoomRecord = "room.record",
    RoomSign = "room.sign",
    RoomReopen = "room.reopen",
    SystemDecide = "system.decide",
    SystemAdvance = "system.advance",
    SystemExempt = "system.exempt",
    DeadlineRead = "deadline.read",
    DeadlineMeet = "deadline.meet",
    DiskImportRead = "disk_import.read",
    DiskImportCreate = "disk_import.create",
    DiskImportRollBack = "disk_import.roll_back",
    DiskImportFinish = "disk_import.finish",
    WaveRead = "wave.read",
    WaveCreate = "wave.create",
    WaveChange = "wave.change",
    WaveDelete = "wave.delete",
    BlackoutRead = "blackout.read",
    BlackoutCreate = "blackout.create",
    BlackoutDelete = "blackout.delete",
    SystemRequest = "system.request",
}

/// How far a role's right to an act reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    None,
    /// Objects of the token's own department.
    Own,
    All,
}

/// The policy.
pub const fn reach(role: Role, act: Act) -> Reach {
    use Act::{
        AlarmAcknowledge, AlarmRead, AuditRead, BlackoutCreate, BlackoutDelete, BlackoutRead, CapacityRead,
        DeadlineMeet, DeadlineRead, DepartmentChange, DepartmentCreate, DepartmentRead, DiskImportCreate,
        DiskImportFinish, DiskImportRead, DiskImportRollBack, EventRead, HostAdd, HostChange, HostConfirmFenced,
        HostCordon, HostDrain, HostFence, HostRead, HostReadmit, HostUncordon, ImageDistribute, ImageImport, ImageRead,
        LedgerVerify, MachineAgreeReclaim, MachineChange, MachineCredentials, MachineDelete, MachineExtend, MachineLog,
        MachineMigrate, MachineRead, MachineReboot, MachineRebuild, MachineRegisterName, MachineResize, MachineRestore,
        MachineStart, MachineStop, MachineWithdrawReclaim, OperationRead, PlacementExplain, ReportRead, RequestApprove,
        RequestCancel, RequestCheck, RequestRead, RequestReturn, RequestSubmit, RoomImport, RoomRead, RoomRecord,
        RoomReopen, RoomSign, ServerChange, ServerCreate, ServerRead, ServerReplay, SystemAdvance, SystemAttach,
        SystemChange, SystemCreate, SystemDecide, SystemDetach, SystemExempt, SystemRead, SystemRequest,
        TaskBookImport, TaskBookRead, TaskBookRevoke, UsageImport, UsageRead, UsageSourceRead, VerdictRead, WaveChange,
        WaveCreate, WaveDelete, WaveRead, ZombieAsk, ZombieConfirm, ZombieDismiss, ZombieExempt, ZombieFile,
        ZombieJudge, ZombieRead, ZombieReply,
    };
    match (role, act) {
        (
            Role::Requester,
            TaskBookRead
            | RequestCheck
            | RequestSubmit
            | RequestRead
            | RequestCancel
            | MachineRead
            | MachineStart
            | MachineStop
            | MachineReboot
            | MachineDelete
            | MachineRestore
            | MachineLog
            | MachineCredentials
            | OperationRead
            | DepartmentRead
            | AuditRead
            | EventRead
            | MachineChange
            | ServerRead
            | SystemRead
            | SystemCreate
            | SystemChange
            | SystemAttach
            | SystemDetach
            | ZombieRead
            | ZombieReply
            | UsageRead
            | VerdictRead
            | ReportRead
            | MachineAgreeReclaim
            | MachineWithdrawReclaim
            | RoomRead
            | RoomRecord
            | RoomSign
            | SystemAdvance
            | DiskImportRead
            | SystemRequest
            | BlackoutRead,
        ) => Reach::Own,
        (
            Role::Authority,
            DepartmentCreate | DepartmentChange | MachineChange | EventRead | DepartmentRead | TaskBookImport
            | TaskBookRevoke | TaskBookRead | RequestRead | RequestApprove | RequestReturn | MachineRead
            | MachineResize | MachineExtend | OperationRead | LedgerVerify | AuditRead | HostRead | ImageRead
            | AlarmRead | SystemCreate | SystemChange | SystemAttach | SystemDetach | ZombieExempt | ZombieConfirm
            | ZombieDismiss | ZombieFile | RoomImport | RoomSign | RoomReopen | SystemDecide | SystemAdvance
            | SystemExempt | DeadlineMeet | SystemRequest,
        )
        | (
            Role::Operator,
            HostAdd | HostChange | EventRead | HostRead | HostCordon | HostUncordon | HostDrain | HostFence
            | HostConfirmFenced | HostReadmit | AlarmRead | AlarmAcknowledge | ImageImport | ImageDistribute
            | MachineRead | MachineStart | MachineStop | MachineReboot | MachineMigrate | MachineRebuild
            | MachineRegisterName | MachineLog | OperationRead | LedgerVerify | RequestRead | DepartmentRead
            | ServerCreate | ServerChange | ServerReplay | UsageImport | RoomImport | RoomRecord | SystemAdvance
            | DiskImportCreate | DiskImportRollBack | DiskImportFinish | BlackoutCreate | BlackoutDelete,
        )
        | (Role::Requester | Role::Operator, ImageRead)
        | (
            Role::Authority | Role::Operator | Role::Auditor,
            PlacementExplain | ServerRead | SystemRead | ZombieRead | UsageRead | UsageSourceRead | VerdictRead
            | ReportRead | RoomRead | DiskImportRead | CapacityRead
            // Others' systems stand in a wave too: a project team learns its own from their way out.
            | WaveRead | BlackoutRead,
        )
        // What the documents want of everybody is nobody's secret.
        | (Role::Requester | Role::Authority | Role::Operator | Role::Auditor, DeadlineRead)
        | (Role::Authority | Role::Operator, ZombieJudge | ZombieAsk | WaveCreate | WaveChange | WaveDelete)
        | (
            Role::Auditor,
            DepartmentRead | TaskBookRead | HostRead | ImageRead | RequestRead | EventRead | MachineRead
            | OperationRead | LedgerVerify | AuditRead | AlarmRead,
        ) => Reach::All,
        _ => Reach::None,
    }
}

/// What of all departments' objects the actor may see or touch with this act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Department(DepartmentId),
}

impl Scope {
    /// For a query: the department's id, or `None` for all.
    pub fn filter(self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Department(id) => Some(id.text()),
        }
    }

    /// Whether an object of this department lies in it.
    pub fn covers(self, department: DepartmentId) -> bool {
        match self {
            Self::All => true,
            Self::Department(own) => own == department,
        }
    }
}

/// The actor's scope for an act, or 403. That an object lies outside the scope is for the reader to find, as 404.
pub fn scope(actor: &Actor, act: Act) -> Result<Scope, Problem> {
    match (reach(actor.role, act), actor.department) {
        (Reach::All, _) => Ok(Scope::All),
        (Reach::Own, Some(department)) => Ok(Scope::Department(department)),
        _ => Err(Problem::new(
            Kind::Forbidden,
            "forbidden",
            format!("角色 {} 不能执行 {}；请使用有此权限的令牌", actor.role, act.word()),
        )),
    }
}

/// The table for people and for the golden file.
pub fn table() -> String {
    let mut text = String::from("| act | requester | authority | operator | auditor |\n|---|---|---|---|---|\n");
    for act in Act::ALL {
        text.push_str("| ");
        text.push_str(act.word());
        for role in Role::ALL {
            text.push_str(match reach(role, *act) {
                Reach::None => " | –",
                Reach::Own => " | own",
                Reach::All => " | all",
            });
        }
        text.push_str(" |\n");
    }
    text
}
