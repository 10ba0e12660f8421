//! Identifiers. Every row's key is a UUID v7 (time-ordered, so that a list by id is a list by age), kept as text on both
//! databases and wrapped in a type of its own, so that a machine's id can never be passed where a request's is wanted.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, thiserror::Error)]
#[error("not an identifier: {0:?}")]
pub struct BadId(String);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier, later than all made before it on this machine.
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The text that the database keeps.
            pub fn text(self) -> String {
                self.0.to_string()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(s: &str) -> Result<Self, BadId> {
                Uuid::parse_str(s).map(Self).map_err(|_| BadId(s.chars().take(64).collect()))
            }
        }
    )+};
}

ids! {
    /// 建设单位
    DepartmentId,
    /// A natural person who holds tokens.
    PersonId,
    /// A bearer token.
    TokenId,
    /// 项目任务书
    TaskBookId,
    /// 资源申请
    RequestId,
    /// A file or document that was handed in.
    SubmissionId,
    /// 虚拟机; also the libvirt domain's UUID.
    MachineId,
    /// A legacy server.
    ServerId,
    /// 宿主机
    HostId,
    /// A zone's network on one host.
    NetworkId,
    /// A durable operation.
    OperationId,
    /// Something odd seen on a host.
    AlarmId,
    /// 政务信息系统
    SystemId,
    /// 机房
    RoomId,
    /// 迁移批次
    WaveId,
    /// 封网期
    BlackoutId,
    /// 僵尸系统判定
    FindingId,
    /// What a machine was judged to be as of a day.
    VerdictId,
    /// An owner's agreement that a machine be taken back.
    AgreementId,
    /// A report that was made and kept.
    ReportId,
    /// An old guest's disk on its way into a machine.
    DiskImportId,
}
