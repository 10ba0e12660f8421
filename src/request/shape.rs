//! Reads each field of a block as written to its type. A field that cannot be read is a violation and is left out of the
//! [`Draft`]; the rules then judge what is known, so that one answer names everything.

use super::{
    block::{Block, OmUnit, WorkloadClass},
    domain_name::DomainName,
    fields::{FIELDS, RawBlock, field},
    sizes::{self, Sizes},
    ssh_key::{self, SshKeyFault},
};
use crate::{
    catalogue::Catalogue,
    field::{At, present, quoted},
    jurisdiction::Profile,
    labels::{FilingBasis, MlpsLevel, ProviderWish, SecrecyFault, SecrecyLevel, Spread, Zone, ZoneFault},
    rule::Code,
    task_book::document::{BASES, read_level, read_zone},
    text::{self, Limits, fold, shown},
    units::Bytes,
    violation::{Findings, Violation, pointer_token},
};
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Map, Value};

/// Unknown fields beyond this many are not listed one by one.
const MAX_UNKNOWN: usize = 20;
/// Keys that one request may bring.
const MAX_SSH_KEYS: usize = 16;
/// 运维周期 of more than ten years is a slip of the pen.
const MAX_OM_MONTHS: i64 = 120;

/// What could be read of a block, by the names of [`Block`]. Sizes are per machine.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Draft {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_book: Option<String>,
    #[serde(skip_serializing_if = "FilingBasis::is_task_book")]
    pub filing_basis: FilingBasis,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machines: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcpu: Option<u32>,
    #[serde(rename = "memory_bytes", skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    #[serde(rename = "disk_bytes", skip_serializing_if = "Option::is_none")]
    pub disk: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_domain_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_class: Option<WorkloadClass>,
    #[serde(skip_serializing_if = "Spread::is_prefer")]
    pub spread: Spread,
    #[serde(skip_serializing_if = "ProviderWish::is_any")]
    pub provider: ProviderWish,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remarks: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrecy_level: Option<SecrecyLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlps_level: Option<MlpsLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_milestone: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub om_period_months: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub om_unit: Option<OmUnit>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
}

impl RawBlock {
    /// The block, or everything that is wrong with its form. Whether its task book allows it is for [`super::rules`].
    pub fn check_shape(&self, catalogue: &Catalogue, profile: &Profile) -> Result<Block, Vec<Violation>> {
        let mut findings = Findings::new(profile);
        let draft = read(self, catalogue, &mut findings);
        draft.finish(findings)
    }
}

impl Draft {
    /// The block, when nothing was found; otherwise the violations in the order of the form.
    pub fn finish(self, mut findings: Findings<'_>) -> Result<Block, Vec<Violation>> {
        if findings.is_empty() {
            match self.into_block() {
                Ok(block) => return Ok(block),
                // Every field that is left out has been found wanting; were one ever not, this still refuses.
                Err(name) => findings.push(missing(name, findings.profile())),
            }
        }
        Err(in_form_order(findings.into_vec()))
    }

    /// What the block asks for, to be compared with others of its report; none while its sizes or its purpose are unknown.
    pub fn need(&self) -> Option<String> {
        let sizes = (self.machines?, self.vcpu?, self.memory?.get(), self.disk?.get());
        let words = (&self.os, &self.database, &self.domain, self.zone, &self.task_book);
        serde_json::to_string(&(sizes, words, fold(self.workload_description.as_ref()?))).ok()
    }

    /// The names that the machines would take; one machine's while their number is unknown.
    pub fn names(&self) -> Vec<String> {
        let names = self.domain.as_ref().map(|d| d.machine_names(self.machines.unwrap_or(1)));
        names.unwrap_or_default().into_iter().map(|n| n.fqdn).collect()
    }

    /// The block, or the name of a field that is missing.
    pub fn into_block(self) -> Result<Block, &'static str> {
        Ok(Block {
            task_book: self.task_book.ok_or("task_book")?,
            filing_basis: self.filing_basis,
            machines: self.machines.ok_or("vm_count")?,
            vcpu: self.vcpu.ok_or("cpu_count")?,
            memory: self.memory.ok_or("memory")?,
            disk: self.disk.ok_or("disk")?,
            os: self.os.ok_or("os_type")?,
            database: self.database.ok_or("db_type")?,
            no_domain_reason: match &self.domain {
                Some(_) => None,
                None => Some(self.no_domain_reason.ok_or("domain")?),
            },
            domain: self.domain,
            workload_description: self.workload_description.ok_or("workload_description")?,
            workload_class: self.workload_class.ok_or("workload_class")?,
            spread: self.spread,
            provider: self.provider,
            remarks: self.remarks,
            zone: self.zone.ok_or("network_zone")?,
            secrecy_level: self.secrecy_level.ok_or("secrecy_level")?,
            mlps_level: self.mlps_level.ok_or("mlps_level")?,
            deploy_milestone: self.deploy_milestone.ok_or("deploy_milestone")?,
            om_period_months: self.om_period_months.ok_or("om_period_months")?,
            om_unit: self.om_unit.ok_or("om_unit")?,
            ssh_keys: if self.ssh_keys.is_empty() { return Err("ssh_keys") } else { self.ssh_keys },
        })
    }

    /// As if it had just been read, for judging a block again later.
    pub fn of(block: &Block) -> Self {
        let block = block.clone();
        Self {
            task_book: Some(block.task_book),
            filing_basis: block.filing_basis,
            machines: Some(block.machines),
            vcpu: Some(block.vcpu),
            memory: Some(block.memory),
            disk: Some(block.disk),
            os: Some(block.os),
            database: Some(block.database),
            domain: block.domain,
            no_domain_reason: block.no_domain_reason,
            workload_description: Some(block.workload_description),
            workload_class: Some(block.workload_class),
            spread: block.spread,
            provider: block.provider,
            remarks: block.remarks,
            zone: Some(block.zone),
            secrecy_level: Some(block.secrecy_level),
            mlps_level: Some(block.mlps_level),
            deploy_milestone: Some(block.deploy_milestone),
            om_period_months: Some(block.om_period_months),
            om_unit: Some(block.om_unit),
            ssh_keys: block.ssh_keys,
        }
    }
}

/// That a field is missing.
pub(super) fn missing(name: &str, profile: &Profile) -> Violation {
    let pointer = format!("/{name}");
    let at = at(name, &pointer);
    Violation::new(profile, Code::Required, at.pointer, &[("field", &at.label), ("example", &at.example)])
}

/// The violations in the order of the form's fields; those that name none of them last.
pub(super) fn in_form_order(mut list: Vec<Violation>) -> Vec<Violation> {
    list.sort_by_key(|v| {
        let first = v.pointer.split('/').nth(1).unwrap_or_default();
        FIELDS.iter().position(|f| f.name == first).unwrap_or(FIELDS.len())
    });
    list
}

/// Where a field of the block stands.
fn at<'a>(name: &str, pointer: &'a str) -> At<'a> {
    let info = field(name);
    At { pointer, label: info.label, example: info.example }
}

/// Reads every field.
pub(super) fn read(raw: &RawBlock, catalogue: &Catalogue, f: &mut Findings<'_>) -> Draft {
    strays(raw, f);
    let (filing_basis, task_book) = number(raw, f);
    let Sizes { machines, vcpu, memory, disk } = sizes::read(raw, catalogue, f);
    let (domain, no_domain_reason) = domain(raw, f);
    Draft {
        task_book,
        filing_basis,
        machines,
        vcpu,
        memory,
        disk,
        os: os(raw, catalogue, f),
        database: database(raw, catalogue, f),
        domain,
        no_domain_reason,
        workload_description: required_text(
            raw.workload_description.as_ref(),
            at("workload_description", "/workload_description"),
            text::PROSE,
            f,
        ),
        workload_class: workload_class(raw, f),
        spread: spread(raw, f),
        provider: provider(raw, f),
        remarks: present(raw.remarks.as_ref()).and_then(|v| f.text(v, at("remarks", "/remarks"), text::PROSE)),
        zone: zone(raw, f),
        secrecy_level: secrecy_level(raw, f),
        mlps_level: f
            .required(raw.mlps_level.as_ref(), at("mlps_level", "/mlps_level"))
            .and_then(|v| read_level(f, v, at("mlps_level", "/mlps_level"))),
        deploy_milestone: deploy_milestone(raw, f),
        om_period_months: om_period(raw, f),
        om_unit: om_unit(raw, f),
        ssh_keys: ssh_keys(raw, f),
    }
}

/// Fields that do not exist, and fields given twice.
fn strays(raw: &RawBlock, f: &mut Findings<'_>) {
    unknown_fields(&raw.unknown, "", |_| true, f);
    for name in &raw.repeated {
        let info = field(name);
        f.add(Code::DuplicateField, &format!("/{name}"), &[("field", &info.label)]);
    }
}

fn unknown_fields(map: &Map<String, Value>, parent: &str, stray: impl Fn(&str) -> bool, f: &mut Findings<'_>) {
    let mut strays = map.keys().filter(|key| stray(key));
    for key in strays.by_ref().take(MAX_UNKNOWN) {
        let pointer = format!("{parent}/{}", pointer_token(key));
        f.add(Code::UnknownField, &pointer, &[("value", &shown(key))]);
    }
    let more = strays.count();
    if more > 0 {
        let value = format!("……另有 {more} 个");
        f.add(Code::UnknownField, if parent.is_empty() { "/" } else { parent }, &[("value", &value)]);
    }
}

/// On what the request rests, and the number under which that is registered.
fn number(raw: &RawBlock, f: &mut Findings<'_>) -> (FilingBasis, Option<String>) {
    let slots = [
        (FilingBasis::TaskBook, &raw.task_book, "task_book", Code::TaskBookMissing),
        (FilingBasis::Urgent, &raw.government_approval, "government_approval", Code::UrgentApprovalMissing),
        (FilingBasis::UpperLevel, &raw.upper_level_filing, "upper_level_filing", Code::UpperFilingMissing),
    ];
    let stated = match present(raw.filing_basis.as_ref()) {
        // Whoever gives a number and no word says by the number which it is.
        None => {
            slots.iter().find(|slot| present(slot.1.as_ref()).is_some()).map_or(FilingBasis::TaskBook, |slot| slot.0)
        }
        Some(value) => {
            let Some(basis) = value.as_str().and_then(|s| s.parse().ok()) else {
                f.bad_value(value, at("filing_basis", "/filing_basis"), &BASES);
                return (FilingBasis::TaskBook, None);
            };
            basis
        }
    };
    let Some((_, value, name, missing)) = slots.into_iter().find(|slot| slot.0 == stated) else {
        return (stated, None);
    };
    let pointer = format!("/{name}");
    let Some(value) = present(value.as_ref()) else {
        f.add(missing, &pointer, &[]);
        return (stated, None);
    };
    (stated, f.text(value, at(name, &pointer), text::NAME))
}

fn required_text(value: Option<&Value>, at: At<'_>, limits: Limits, f: &mut Findings<'_>) -> Option<String> {
    let value = f.required(value, at)?;
    f.text(value, at, limits)
}

fn os(raw: &RawBlock, catalogue: &Catalogue, f: &mut Findings<'_>) -> Option<String> {
    let word = required_text(raw.os_type.as_ref(), at("os_type", "/os_type"), text::NAME, f)?;
    let found = catalogue.find_os(&word).map(|e| e.key.clone());
    if found.is_none() {
        f.add(Code::OsNotInCatalogue, "/os_type", &[("value", &shown(&word)), ("offered", &catalogue.os_names())]);
    }
    found
}

fn database(raw: &RawBlock, catalogue: &Catalogue, f: &mut Findings<'_>) -> Option<String> {
    let word = required_text(raw.db_type.as_ref(), at("db_type", "/db_type"), text::NAME, f)?;
    let found = catalogue.find_database(&word).map(|e| e.key.clone());
    if found.is_none() {
        let values: &[(&str, &dyn std::fmt::Display)] =
            &[("value", &shown(&word)), ("offered", &catalogue.database_names())];
        f.add(Code::DatabaseNotInCatalogue, "/db_type", values);
    }
    found
}

/// 域名, or the reason for having none. 无 in the field of the form is no name; the reason may stand behind it, or in the
/// remarks where they speak of the name.
fn domain(raw: &RawBlock, f: &mut Findings<'_>) -> (Option<DomainName>, Option<String>) {
    let value = present(raw.domain.as_ref());
    let nothing = value.and_then(Value::as_str).and_then(no_domain);
    let written = value.filter(|_| nothing.is_none());
    let reason = present(raw.no_domain_reason.as_ref());
    let reason_at = at("no_domain_reason", "/no_domain_reason");
    let Some(value) = written else {
        let behind = nothing.filter(|behind| !behind.is_empty()).map(Value::from);
        let remark = present(raw.remarks.as_ref()).filter(|v| {
            v.as_str().is_some_and(|remarks| ["域名", "内部", "内网"].iter().any(|word| remarks.contains(word)))
        });
        let Some(reason) = reason.or(behind.as_ref()).or(remark) else {
            f.add(Code::DomainReasonMissing, "/domain", &[]);
            return (None, None);
        };
        return (None, f.text(reason, reason_at, text::PROSE));
    };
    if let Some(reason) = reason {
        f.bad_value(reason, reason_at, &"已经填写了域名");
    }
    let example = format!("oa.{}", f.profile().domain_suffixes.first().map_or("example.gov.cn", String::as_str));
    let fault = match value.as_str().map(|written| DomainName::parse(bare_name(written))) {
        Some(Ok(name)) if name.is_below(&f.profile().domain_suffixes) => return (Some(name), None),
        Some(Ok(name)) => {
            let suffixes = f.profile().domain_suffixes.join("、");
            let values: &[(&str, &dyn std::fmt::Display)] =
                &[("value", &shown(&name.to_unicode())), ("suffixes", &suffixes), ("example", &example)];
            f.add(Code::DomainOutsideDistrict, "/domain", values);
            return (None, None);
        }
        Some(Err(fault)) => fault.to_string(),
        None => "应为文字".to_owned(),
    };
    let values: &[(&str, &dyn std::fmt::Display)] =
        &[("value", &quoted(value)), ("reason", &fault), ("example", &example)];
    f.add(Code::DomainMalformed, "/domain", values);
    (None, None)
}

/// The name without what offices write around it: `拟申请 abc.example.gov.cn`, `（暂定）` behind it. An
/// address of a page is not a name.
fn bare_name(written: &str) -> &str {
    let mut name = written.trim();
    for lead in ["拟申请", "拟使用", "拟用", "暂定为", "暂定", "计划使用"] {
        name = name.strip_prefix(lead).unwrap_or(name).trim_start_matches([' ', '：', ':']);
    }
    let end = name.find(['（', '(']).filter(|end| !name[*end..].contains('.')).unwrap_or(name.len());
    name[..end].trim()
}

/// What stands behind the word for no name: `无（仅供内部调用）`.
fn no_domain(text: &str) -> Option<&str> {
    let text = text.trim();
    if matches!(text, "-" | "—" | "/" | "－") {
        return Some("");
    }
    let words = [
        "无需域名",
        "不需要域名",
        "不申请域名",
        "不使用域名",
        "暂不申请域名",
        "无域名",
        "不需要",
        "不申请",
        "没有",
        "无需",
        "不需",
        "暂无",
        "无",
    ];
    let behind = words.iter().find_map(|word| text.strip_prefix(word))?;
    // A name may begin with such a word: 无锡.
    let mark = |c: char| c.is_whitespace() || "，,。；;：:（()）".contains(c);
    (behind.is_empty() || behind.starts_with(mark)).then(|| behind.trim_matches(mark))
}

fn workload_class(raw: &RawBlock, f: &mut Findings<'_>) -> Option<WorkloadClass> {
    let Some(value) = present(raw.workload_class.as_ref()) else { return Some(WorkloadClass::default()) };
    let class = value.as_str().and_then(|s| s.parse().ok());
    if class.is_none() {
        let reason = "只能是 user_facing（面向用户）、batch（批处理）或 test（测试）";
        f.bad_value(value, at("workload_class", "/workload_class"), &reason);
    }
    class
}

fn spread(raw: &RawBlock, f: &mut Findings<'_>) -> Spread {
    let Some(value) = present(raw.spread.as_ref()) else { return Spread::default() };
    value.as_str().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        f.bad_value(value, at("spread", "/spread"), &"只能是 prefer（尽量）或 require（必须）");
        Spread::default()
    })
}

fn provider(raw: &RawBlock, f: &mut Findings<'_>) -> ProviderWish {
    let Some(value) = present(raw.provider.as_ref()) else { return ProviderWish::default() };
    value.as_str().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        let reason = "只能是 any（不限）、libvirt（宿主机）或 kubevirt（集群）";
        f.bad_value(value, at("provider", "/provider"), &reason);
        ProviderWish::default()
    })
}

fn zone(raw: &RawBlock, f: &mut Findings<'_>) -> Option<Zone> {
    let at = at("network_zone", "/network_zone");
    let value = f.required(raw.network_zone.as_ref(), at)?;
    let Value::Array(words) = value else {
        let word = f.text(value, at, text::NAME)?;
        return read_zone(f, &word, at);
    };
    // The boxes of 附件1 联网方式: one is an answer, several are not. A forbidden one is told whatever stands beside it.
    let words: Vec<String> = words.iter().filter_map(|word| f.text(word, at, text::NAME)).collect();
    if let [word] = &words[..] {
        return read_zone(f, word, at);
    }
    match words.iter().find(|word| word.parse::<Zone>() == Err(ZoneFault::Intranet)) {
        Some(intranet) => _ = read_zone(f, intranet, at),
        None if words.is_empty() => _ = f.required(None, at),
        None => f.add(Code::ZoneUnclear, at.pointer, &[("value", &shown(&words.join("、")))]),
    }
    None
}

fn secrecy_level(raw: &RawBlock, f: &mut Findings<'_>) -> Option<SecrecyLevel> {
    let at = at("secrecy_level", "/secrecy_level");
    let value = f.required(raw.secrecy_level.as_ref(), at)?;
    let word = f.text(value, at, text::NAME)?;
    match word.parse() {
        Ok(level) => return Some(level),
        Err(SecrecyFault::Secret) => f.add(Code::SecrecyRefused, at.pointer, &[("value", &shown(&word))]),
        Err(SecrecyFault::Unknown) => f.bad_value(value, at, &"看不出是否涉密"),
    }
    None
}

fn deploy_milestone(raw: &RawBlock, f: &mut Findings<'_>) -> Option<Date> {
    let at = at("deploy_milestone", "/deploy_milestone");
    let Some(value) = present(raw.deploy_milestone.as_ref()) else {
        f.add(Code::MilestoneMissing, at.pointer, &[("example", &at.example)]);
        return None;
    };
    f.deadline(value, at)
}

fn om_period(raw: &RawBlock, f: &mut Findings<'_>) -> Option<u32> {
    let at = at("om_period_months", "/om_period_months");
    let value = f.required(raw.om_period_months.as_ref(), at)?;
    let months = f.months(value, at, 1..=MAX_OM_MONTHS)?;
    u32::try_from(months).ok()
}

fn om_unit(raw: &RawBlock, f: &mut Findings<'_>) -> Option<OmUnit> {
    let whole = at("om_unit", "/om_unit");
    let value = f.required(raw.om_unit.as_ref(), whole)?;
    let Value::Object(map) = value else {
        f.bad_value(value, whole, &"须分别写明名称（name）和联系方式（contact）");
        return None;
    };
    let is_name = |key: &str| matches!(fold(key).as_str(), "name" | "名称" | "单位名称");
    let is_contact = |key: &str| matches!(fold(key).as_str(), "contact" | "联系方式" | "联系人" | "联系电话");
    unknown_fields(map, "/om_unit", |key| !is_name(key) && !is_contact(key), f);
    let mut part = |wanted: &dyn Fn(&str) -> bool, at: At<'_>| {
        let mut values = map.iter().filter(|(key, _)| wanted(key)).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            f.add(Code::DuplicateField, at.pointer, &[("field", &at.label)]);
        }
        required_text(value, at, text::NAME, f)
    };
    let name = part(&is_name, At { pointer: "/om_unit/name", label: "运维单位名称", example: "区民政局信息中心" });
    let contact =
        part(&is_contact, At { pointer: "/om_unit/contact", label: "运维单位联系方式", example: "0512-00000000" });
    Some(OmUnit { name: name?, contact: contact? })
}

fn ssh_keys(raw: &RawBlock, f: &mut Findings<'_>) -> Vec<String> {
    let at = at("ssh_keys", "/ssh_keys");
    let Some(value) = f.required(raw.ssh_keys.as_ref(), at) else { return Vec::new() };
    let lines = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    if lines.is_empty() {
        f.required(None, at);
    }
    if lines.len() > MAX_SSH_KEYS {
        f.out_of_range(&Value::from(lines.len()), at, &1, &MAX_SSH_KEYS);
        return Vec::new();
    }
    let mut keys: Vec<String> = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        match line.as_str().map_or(Err(SshKeyFault::Malformed), ssh_key::normalise) {
            Ok(key) if keys.contains(&key) => {}
            Ok(key) => keys.push(key),
            Err(fault) => {
                let pointer = if value.is_array() { format!("/ssh_keys/{n}") } else { "/ssh_keys".to_owned() };
                f.add(Code::SshKeyRefused, &pointer, &[("number", &(n + 1)), ("reason", &fault)]);
            }
        }
    }
    keys
}
