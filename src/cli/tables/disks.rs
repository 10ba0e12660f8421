//! The columns of disk imports.

use super::{Column, Show};
use crate::cli::words;

pub const DISK_IMPORT: [Column; 7] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("旧机", Show::Text("/domain")),
    Column::new("源宿主机", Show::Text("/source_host")),
    Column::new("状态", Show::State("/state", words::import_state)),
    Column::new("地址", Show::Text("/address")),
    Column::new("已复制", Show::Field("/copied_bytes")).right(),
    Column::new("共", Show::Field("/file_bytes")).right(),
];

pub const DISK_IMPORT_SHEET: [Column; 21] = [
    DISK_IMPORT[1],
    DISK_IMPORT[0],
    Column::new("建设单位", Show::Text("/department/name")),
    DISK_IMPORT[3],
    DISK_IMPORT[2],
    Column::new("旧机 UUID", Show::Text("/domain_id")),
    Column::new("服务器编号", Show::Text("/server_id")),
    Column::new("虚拟机编号", Show::Text("/machine_id")),
    DISK_IMPORT[4],
    Column::new("格式", Show::Text("/format")),
    DISK_IMPORT[5],
    DISK_IMPORT[6],
    Column::new("SHA-256", Show::Text("/sha256")).optional(),
    Column::new("核对时间", Show::Time("/checked_at")).optional(),
    Column::new("启动后有应答", Show::Flag("/answered", "是")).optional(),
    Column::new("说明", Show::Text("/note")).optional(),
    Column::new("旧机状态", Show::Text("/evidence/domain_state")).optional(),
    Column::new("关停依据", Show::Text("/evidence/said")).optional(),
    Column::new("操作编号", Show::Text("/operation_id")),
    Column::new("迁入时间", Show::Time("/moved_at")).optional(),
    Column::new("结束时间", Show::Time("/ended_at")).optional(),
];
