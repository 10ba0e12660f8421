//! The rules, as data: what each is called, where it bites, what it says and how one mends it. A rule carries no document
//! number: which clause it rests on differs from district to district and stands in the jurisdiction profile
//! ([`crate::jurisdiction`]).
//!
//! A sentence has places in braces, which [`crate::violation`] fills; `{authority}` is the authority's name, `{field}`
//! the form's own word for the field.

use jiff::civil::{Date, date};

/// One rule. `code` is stable: programs match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub code: &'static str,
    /// JSON pointer of the field that it judges; `""` for a rule about any field.
    pub field: &'static str,
    /// What is wrong, in Chinese, with the values.
    pub sentence: &'static str,
    /// What to do about it, in Chinese.
    pub mend: &'static str,
}

macro_rules! rules {
    ($($variant:ident, $code:literal, $field:literal, $sentence:literal, $mend:literal;)+) => {
        /// The rules by name, so that no code outside the table can be written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($variant),+ }

        /// Every rule, in the order of [`Code`].
        pub const RULES: &[Rule] = &[$(Rule { code: $code, field: $field, sentence: $sentence, mend: $mend }),+];

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$variant),+];
        }
    };
}

rules! {
    // The task book and its control indicators.
    TaskBookMissing, "task_book_missing", "/task_book",
        "没有填写任务书编号：取得项目任务书之前，不能申请资源。",
        "填写{authority}下达的项目任务书编号；还没有任务书的，先办理立项申请。";
    UrgentApprovalMissing, "urgent_approval_missing", "/government_approval",
        "申请依据为紧急项目，但没有填写区政府批准文号。",
        "填写区政府批准文号；尚未批准的，先报分管领导同意并提交区政府批准。";
    UpperFilingMissing, "upper_filing_missing", "/upper_level_filing",
        "申请依据为上级统筹项目，但没有填写备案号。",
        "将项目抄送{authority}备案，填写备案号。";
    FilingBasisMismatch, "filing_basis_mismatch", "/filing_basis",
        "“{value}”登记的是{registered}，申请依据写的是{stated}。",
        "核对申请依据与编号，两者要一致。";
    TaskBookNotFound, "task_book_not_found", "/task_book",
        "本单位名下没有编号为“{value}”的任务书：编号有误，或者该任务书属于其他单位。",
        "核对任务书编号；任务书确属本单位的，请{authority}核对登记的建设单位。";
    TaskBookNotYetValid, "task_book_not_yet_valid", "/task_book",
        "任务书“{value}”自 {from} 起有效，今天是 {today}。",
        "在 {from} 或以后提交。";
    TaskBookExpired, "task_book_expired", "/task_book",
        "任务书“{value}”的有效期到 {until} 为止，今天是 {today}。",
        "向{authority}申请延长有效期，或填写仍在有效期内的任务书编号。";
    TaskBookRevoked, "task_book_revoked", "/task_book",
        "任务书“{value}”已被撤销：{reason}。",
        "填写有效的任务书编号；仍需建设的，重新办理立项申请。";
    MachinesOverIndicator, "machines_over_indicator", "/vm_count",
        "申请虚拟机 {asked} 台，任务书核定 {limit} 台，已用 {used} 台，剩余 {left} 台。",
        "尚可申请 {left} 台；需要更多的，先办理任务书变更。";
    VcpuOverIndicator, "vcpu_over_indicator", "/cpu_count",
        "合计申请 vCPU {asked} 核，任务书核定 {limit} 核，已用 {used} 核，剩余 {left} 核。",
        "尚可申请合计 {left} 核；需要更多的，先办理任务书变更。";
    MemoryOverIndicator, "memory_over_indicator", "/memory",
        "合计申请内存 {asked}，任务书核定 {limit}，已用 {used}，剩余 {left}。",
        "尚可申请合计 {left}；需要更多的，先办理任务书变更。";
    DiskOverIndicator, "disk_over_indicator", "/disk",
        "合计申请磁盘 {asked}，任务书核定 {limit}，已用 {used}，剩余 {left}。",
        "尚可申请合计 {left}；需要更多的，先办理任务书变更。";
    OsNotInTaskBook, "os_not_in_task_book", "/os_type",
        "任务书没有核定操作系统“{value}”；核定的有：{allowed}。",
        "改用核定的操作系统，或先办理任务书变更。";
    DatabaseNotInTaskBook, "database_not_in_task_book", "/db_type",
        "任务书没有核定数据库“{value}”；核定的有：{allowed}。",
        "改用核定的数据库，或先办理任务书变更。";
    ZoneNotInTaskBook, "zone_not_in_task_book", "/network_zone",
        "任务书没有核定网络区域“{value}”；核定的有：{allowed}。",
        "改用核定的网络区域，或先办理任务书变更。";
    MlpsNotInTaskBook, "mlps_not_in_task_book", "/mlps_level",
        "任务书没有核定等保 {value} 级；核定的有：{allowed}。",
        "改填核定的等保级别，或先办理任务书变更。";

    LeaseBeyondTaskBook, "lease_beyond_task_book", "/om_period_months",
        "运维周期 {months} 个月，自 {from} 起算到 {end}，超过任务书核定的资源使用期限 {until}。",
        "缩短运维周期，或先办理任务书变更。";

    // What this cloud may not hold.
    SecrecyRefused, "secrecy_refused", "/secrecy_level",
        "密级为“{value}”：政务云只承载非涉密系统。",
        "涉密系统按保密规定另行部署在政务内网；确为非涉密的，填写“非涉密”。";
    IntranetRefused, "intranet_refused", "/network_zone",
        "网络区域为“{value}”：政务内网是涉密网，不在政务云的服务范围内。",
        "非涉密系统从本区开通的网络区域中选择：{offered}。";
    ZoneNotOffered, "zone_not_offered", "/network_zone",
        "本区政务云没有开通网络区域“{value}”。",
        "从本区开通的网络区域中选择：{offered}。";

    ZoneUnclear, "zone_unclear", "/network_zone",
        "联网方式选了 {value}，没有写明这组虚拟机放在哪一个网络区域。",
        "为每组申请填写一个网络区域（network_zone）：{offered}。";
    MachineRoomRefused, "machine_room_refused", "/machine_room_works",
        "项目含有机房建设内容：“{value}”。新建、扩建、改造机房的项目一律不予立项。",
        "删去机房建设内容，系统统一部署在政务云。";
    OffCloudReasonMissing, "off_cloud_reason_missing", "/off_cloud_procurement_reason",
        "需在政务云之外另行采购的硬件没有说明理由：{value}。",
        "改用政务云资源；确需另行采购的，在硬件清单中逐项说明理由，或统一写明另行采购理由。";
    HardwareIncomplete, "hardware_incomplete", "/extra_hardware",
        "另行采购的硬件第 {number} 项“{value}”没有填写{missing}。",
        "硬件清单每项都要写明硬件名称、价格、数量和用途。";

    // Names.
    DomainMalformed, "domain_malformed", "/domain",
        "域名“{value}”不合规：{reason}。",
        "填写一个完整域名，例如 {example}。";
    DomainOutsideDistrict, "domain_outside_district", "/domain",
        "域名“{value}”不属于本区域名；本区域名以 {suffixes} 结尾。",
        "改用本区域名，例如 {example}。";
    DomainTaken, "domain_taken", "/domain",
        "域名已被占用：{value}。",
        "换一个域名；原有虚拟机不再使用的，先删除并清空回收站。";
    DomainRepeated, "domain_repeated", "/domain",
        "第 {number} 组申请的域名“{value}”与第 {other} 组相同。",
        "每组申请填写各自的域名。";
    DomainReasonMissing, "domain_reason_missing", "/domain",
        "没有填写域名，也没有说明不需要域名的理由。",
        "填写域名，或在 no_domain_reason（无域名理由）中说明理由。";

    // The catalogue.
    OsNotInCatalogue, "os_not_in_catalogue", "/os_type",
        "操作系统“{value}”不在目录中；目录中有：{offered}。",
        "填写目录中的操作系统。";
    DatabaseNotInCatalogue, "database_not_in_catalogue", "/db_type",
        "数据库“{value}”不在目录中；目录中有：{offered}。",
        "填写目录中的数据库；不需要数据库的，填写“无”。";

    OsEndOfLife, "os_end_of_life", "/os_type",
        "操作系统“{value}”已于 {ended} 停止维护，不再有安全更新。",
        "改用仍在维护的操作系统：{offered}。";
    DatabaseEndOfLife, "database_end_of_life", "/db_type",
        "数据库“{value}”已于 {ended} 停止维护，不再有安全更新。",
        "改用目录中的数据库：{offered}。";
    DatabaseUndersized, "database_undersized", "",
        "数据库“{value}”的“{field}”每台至少要 {min}，申请的是每台 {asked}。",
        "把“{field}”改为每台不少于 {min}；不需要数据库的，数据库类型填写“无”。";
    DatabaseUnlikeApplication, "database_unlike_application", "/db_type",
        "数据库类型为“{value}”，附件1 申报表中为“{application}”，两处不一致。",
        "核对后把两处改为一致。";
    SizeOutsideCatalogue, "size_outside_catalogue", "",
        "“{field}”为 {value}，超出目录的规格范围 {min} 至 {max}。",
        "填写 {min} 至 {max} 之间的值；需要更多的，分成几台或几组申请。";
    DiskUnlikeForecast, "disk_unlike_forecast", "/storage_forecast",
        "申请磁盘合计 {asked}，数据存储量预测为 {forecast}：{reason}。",
        "核对数据存储量预测与磁盘空间，使两者相称。";

    // One need, one request.
    DuplicateRequest, "duplicate_request", "/",
        "与 {at} 提交的申请 {id} 相同：同一任务书、同样的配置和运行内容，那份申请仍然有效。",
        "不要重复提交；确需再增加一组的，在运行内容中写明与那一组的不同。";

    BlockRepeated, "block_repeated", "",
        "第 {number} 组申请与第 {other} 组的配置和运行内容完全相同。",
        "合并为一组并增加虚拟机数量；确是两组的，在运行内容中写明不同。";

    // The plan.
    MilestoneMissing, "milestone_missing", "/deploy_milestone",
        "没有填写系统部署日期：使用政务云的项目须在进度安排中写明部署计划。",
        "填写计划完成系统部署的日期，例如 {example}。";
    MilestonePast, "milestone_past", "/deploy_milestone",
        "系统部署日期 {value} 已过，今天是 {today}。",
        "填写今天或以后的日期，并相应更新项目进度安排。";

    ExchangeMilestoneMissing, "exchange_milestone_missing", "/exchange_milestone",
        "项目要取得其他单位的信息资源（{value}），但进度安排中没有共享交换的实施日期。",
        "在实施计划安排中写明共享交换的实施日期，例如 2027年6月30日。";

    // Shape.
    Required, "required", "",
        "没有填写“{field}”。",
        "填写“{field}”，例如：{example}。";
    UnknownField, "unknown_field", "",
        "不认识的字段“{value}”。",
        "删去该字段，或改用申请表上的字段名。";
    DuplicateField, "duplicate_field", "",
        "“{field}”填写了不止一次。",
        "只保留一处。";
    BadValue, "bad_value", "",
        "“{field}”的值“{value}”无法采用：{reason}。",
        "{hint}。";
    OutOfRange, "out_of_range", "",
        "“{field}”为 {value}，允许的范围是 {min} 至 {max}。",
        "填写 {min} 至 {max} 之间的值。";
    UnitMissing, "unit_missing", "",
        "“{field}”的值“{value}”没有写单位。",
        "写明单位，例如 {example}。";
    QuantityIsRange, "quantity_is_range", "",
        "“{field}”的值“{value}”{reason}。",
        "写明一个确定的数，例如 {example}。";
    FormulaRefused, "formula_refused", "",
        "“{field}”的单元格里是公式“{value}”，不是值。",
        "把公式换成它的结果后重新提交。";
    TotalsDisagree, "totals_disagree", "",
        "“{field}”的值“{value}”前后不一致：{reason}。",
        "核对台数、每台的数量和合计数，三者要一致。";
    BasisUnclear, "basis_unclear", "/basis",
        "申请虚拟机 {machines} 台，但没有说明{fields}是每台的还是合计的。",
        "在数量前写明“每台”或“合计”，或填写数量口径（basis）：per_machine（每台）或 total（合计）。";
    NotDivisible, "not_divisible", "",
        "“{field}”合计 {value}，不能平均分给 {machines} 台虚拟机。",
        "填写能平均分配的合计数，或按每台填写。";
    TextRefused, "text_refused", "",
        "“{field}”{reason}。",
        "删去这些内容或缩短文字后重新填写。";
    SshKeyRefused, "ssh_key_refused", "/ssh_keys",
        "第 {number} 个 SSH 公钥不能采用：{reason}。",
        "粘贴 OpenSSH 格式的一行公钥（.pub 文件的内容），推荐 ssh-ed25519。";

    // Files.
    FileNotRecognised, "file_not_recognised", "/file",
        "文件不是能够读取的格式：{reason}。",
        "提交 .docx、.xlsx、.csv、.json 或 .yaml 文件；旧格式的文件先另存为 .docx 或 .xlsx。";
    FileEncrypted, "file_encrypted", "/file",
        "文件已加密：{reason}。",
        "取消文件的打开密码，另存后重新提交。";
    FileHasMacros, "file_has_macros", "/file",
        "文件带有宏：{reason}。",
        "另存为不带宏的 .docx 或 .xlsx 文件后重新提交。";
    FileTooLarge, "file_too_large", "/file",
        "文件过大：{reason}。",
        "删去与申请无关的图片和附件，或只提交含申请虚拟机表的部分。";
    FileDamaged, "file_damaged", "/file",
        "文件已损坏或不合规范：{reason}。",
        "用 Word、WPS 或 LibreOffice 打开后另存一次，再重新提交。";
    NoBlockFound, "no_block_found", "/blocks",
        "没有找到资源申请：{reason}。",
        "在“六、项目建设方案”的“3、设备与软硬件配置”中填写申请虚拟机表，表中要有“申请虚拟机数量”。";

    // Task books as documents.
    PeriodReversed, "period_reversed", "/valid_until",
        "有效期的截止日期 {until} 早于起始日期 {from}。",
        "核对起止日期。";
    DocumentMalformed, "document_malformed", "/",
        "文件无法读取（第 {line} 行，第 {column} 列）：{reason}。",
        "按样例改正该处的格式。";
}

/// Since when the rules of the platform's own hold: its first release.
pub const OWN_RULES_SINCE: Date = date(2026, 11, 21);

impl Code {
    /// The rule's row.
    pub const fn rule(self) -> &'static Rule {
        &RULES[self as usize]
    }

    /// The stable word that programs match on.
    pub const fn as_str(self) -> &'static str {
        self.rule().code
    }

    /// The rule with this word.
    pub fn find(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.as_str() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_word_its_sentence_and_its_mend() {
        for (n, code) in Code::ALL.iter().enumerate() {
            let rule = code.rule();
            assert_eq!(*rule, RULES[n]);
            assert_eq!(Code::find(rule.code), Some(*code));
            assert!(rule.code.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", rule.code);
            assert!(rule.field.is_empty() || rule.field.starts_with('/'), "{}", rule.code);
            for text in [rule.sentence, rule.mend] {
                assert!(text.ends_with('。') && text.chars().count() > 4, "{}", rule.code);
            }
        }
        assert_eq!(Code::ALL.len(), RULES.len());
    }

    #[test]
    fn the_table_is_a_golden() {
        use std::fmt::Write;
        let mut text = String::from("| code | field | sentence | mend |\n|---|---|---|---|\n");
        for r in RULES {
            writeln!(text, "| {} | {} | {} | {} |", r.code, r.field, r.sentence, r.mend).unwrap();
        }
        insta::with_settings!({snapshot_path => "../tests/golden", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!("rules", text);
        });
    }
}
