//! The header of a trace: which column is what.

use crate::usage::point::Metric;
use std::fmt;

/// What a trace may tell. The names are those of the public traces, as they are widely copied; `kb` is 1,024 bytes, and what
/// is called `kbps` there is `kb` a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// A machine's or server's id or name.
    Vm,
    /// Seconds since 1970: the end of the interval that the line speaks for.
    Ts,
    Cores,
    /// Not needed: percents are of what was allocated already.
    CapMhz,
    CpuPercent,
    MemCapacityKb,
    MemUsedKb,
    /// Instead of the two.
    MemPercent,
    DiskReadKbps,
    DiskWriteKbps,
    NetRxKbps,
    NetTxKbps,
}

impl Column {
    pub const ALL: [Self; 12] = [
        Self::Vm,
        Self::Ts,
        Self::Cores,
        Self::CapMhz,
        Self::CpuPercent,
        Self::MemCapacityKb,
        Self::MemUsedKb,
        Self::MemPercent,
        Self::DiskReadKbps,
        Self::DiskWriteKbps,
        Self::NetRxKbps,
        Self::NetTxKbps,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Ts => "ts",
            Self::Cores => "cores",
            Self::CapMhz => "cap_mhz",
            Self::CpuPercent => "cpu_percent",
            Self::MemCapacityKb => "mem_capacity_kb",
            Self::MemUsedKb => "mem_used_kb",
            Self::MemPercent => "mem_percent",
            Self::DiskReadKbps => "disk_read_kbps",
            Self::DiskWriteKbps => "disk_write_kbps",
            Self::NetRxKbps => "net_rx_kbps",
            Self::NetTxKbps => "net_tx_kbps",
        }
    }

    /// Its place in what is kept by column.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Says nothing without the other.
    const fn partner(self) -> Option<Self> {
        match self {
            Self::MemCapacityKb => Some(Self::MemUsedKb),
            Self::MemUsedKb => Some(Self::MemCapacityKb),
            Self::DiskReadKbps => Some(Self::DiskWriteKbps),
            Self::DiskWriteKbps => Some(Self::DiskReadKbps),
            _ => None,
        }
    }

    const fn measures(self) -> bool {
        matches!(
            self,
            Self::CpuPercent
                | Self::MemUsedKb
                | Self::MemPercent
                | Self::DiskReadKbps
                | Self::NetRxKbps
                | Self::NetTxKbps
        )
    }
}

/// Why a header is not taken. Columns are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    Unreadable,
    Unknown { name: String, column: usize },
    Twice(Column),
    Missing(Column),
    Alone { column: Column, without: Column },
    Both(Column, Column),
    NothingMeasured,
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => write!(f, "首行不是 UTF-8 编码的表头；请另存为 UTF-8 的 CSV"),
            Self::Unknown { name, column } => {
                let known = Column::ALL.map(Column::word).join("、");
                write!(f, "第 {column} 列 {} 不认识；请删去该列或改用：{known}", crate::text::shown(name))
            }
            Self::Twice(column) => write!(f, "列 {} 出现了两次；请只留一列", column.word()),
            Self::Missing(column) => write!(f, "缺少列 {}；请补上", column.word()),
            Self::Alone { column, without } => {
                write!(f, "列 {} 要与 {} 一起才有意义；请补上或删去", column.word(), without.word())
            }
            Self::Both(one, other) => write!(f, "列 {} 与 {} 只能有一种；请删去其一", one.word(), other.word()),
            Self::NothingMeasured => write!(f, "没有任何用量列；至少要有 {} 之类的一列", Column::CpuPercent.word()),
        }
    }
}

/// What each field of a line is, in the file's own order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    order: Vec<Column>,
}

impl Columns {
    /// All that is wrong with it at once.
    pub fn read(header: &[u8]) -> Result<Self, Vec<HeaderFault>> {
        let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(header);
        let mut record = csv::StringRecord::new();
        if !reader.read_record(&mut record).unwrap_or(false) {
            return Err(vec![HeaderFault::Unreadable]);
        }
        let (mut order, mut faults) = (Vec::new(), Vec::new());
        for (at, name) in record.iter().map(str::trim).enumerate() {
            match Column::ALL.into_iter().find(|column| column.word().eq_ignore_ascii_case(name)) {
                None => faults.push(HeaderFault::Unknown { name: name.to_owned(), column: at + 1 }),
                Some(column) if order.contains(&column) => faults.push(HeaderFault::Twice(column)),
                Some(column) => order.push(column),
            }
        }
        let has = |column| order.contains(&column);
        faults.extend([Column::Vm, Column::Ts].into_iter().filter(|column| !has(*column)).map(HeaderFault::Missing));
        faults.extend(order.iter().filter_map(|column| {
            let without = column.partner().filter(|partner| !has(*partner))?;
            Some(HeaderFault::Alone { column: *column, without })
        }));
        if has(Column::MemPercent) && has(Column::MemUsedKb) {
            faults.push(HeaderFault::Both(Column::MemPercent, Column::MemUsedKb));
        }
        if !order.iter().any(|column| column.measures()) {
            faults.push(HeaderFault::NothingMeasured);
        }
        if faults.is_empty() { Ok(Self { order }) } else { Err(faults) }
    }

    pub fn order(&self) -> &[Column] {
        &self.order
    }

    /// The column that a metric is read from, the first where it is two.
    pub fn of(&self, metric: Metric) -> Column {
        match metric {
            Metric::Cpu => Column::CpuPercent,
            Metric::Memory if self.order.contains(&Column::MemPercent) => Column::MemPercent,
            Metric::Memory => Column::MemUsedKb,
            Metric::Disk => Column::DiskReadKbps,
            Metric::Received => Column::NetRxKbps,
            Metric::Sent => Column::NetTxKbps,
        }
    }
}
