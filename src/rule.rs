//! The rules, as data: what each is called, where it bites, what it says and how one mends it. A rule carries no document
//! number: which clause it rests on differs from district to district and stands in the jurisdiction profile
//! ([`crate::jurisdiction`]).
//!
//! A sentence has places in braces, which [`crate::violation`] fills; `{authority}` is the authority's name, `{field}`
//! the form's own word for the field.

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

    // The plan.
    MilestoneMissing, "milestone_missing", "/deploy_milestone",
        "没有填写系统部署日期：使用政务云的项目须在进度安排中写明部署计划。",
        "填写计划完成系统部署的日期，例如 {example}。";
    MilestonePast, "milestone_past", "/deploy_milestone",
        "系统部署日期 {value} 已过，今天是 {today}。",
        "填写今天或以后的日期，并相应更新项目进度安排。";

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
    BasisUnclear, "basis_unclear", "/basis",
        "申请虚拟机 {machines} 台，但没有说明 cpu 数量、内存容量和磁盘空间是每台的还是合计的。",
        "填写 basis（数量口径）：per_machine（每台）或 total（合计）。";
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
