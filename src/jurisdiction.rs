//! The jurisdiction profile: what differs from district to district, as data. Who the authority is, which names end in
//! what, which document and clause a rule rests on. A rule without a clause is the platform's own and says so; it never
//! borrows a document's authority.

mod rooms;
mod zombie;

pub use rooms::{Rooms, Target};
pub use zombie::{Criterion, Stated, Zombie};

use crate::{
    labels::Zone,
    rule::Code,
    yaml::{self, YamlError},
};
use jiff::civil::Date;
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// What a rule of our own prints in place of a clause.
pub const OWN_RULE: &str = "依据：平台规则";

const EMBEDDED: &[(&str, &str)] = &[
    ("xiangcheng", include_str!("../profiles/xiangcheng.yaml")),
    ("suzhou-new-district", include_str!("../profiles/suzhou-new-district.yaml")),
];

/// A governing document as it is cited.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The printed number, as 相政办〔2018〕150号; a document without one is cited by its title.
    #[serde(default)]
    pub number: Option<String>,
    /// The title with its 《》.
    pub title: String,
    /// The day from which it binds.
    pub in_force_from: Date,
}

/// Where a rule stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Key into [`Profile::documents`].
    pub document: String,
    /// The clause as printed, as 第十五条.
    pub clause: String,
}

/// One district's profile, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub id: String,
    /// The district's name, as 相城区.
    pub name: String,
    /// 区信息办, 区发改局, …
    pub authority_name: String,
    pub leading_group: String,
    /// Domain names of the district end in one of these; lower-case ASCII, without a dot in front. Never empty.
    pub domain_suffixes: Vec<String>,
    pub documents: BTreeMap<String, Document>,
    /// Rule to clause; a rule that is absent is the platform's own.
    pub clauses: BTreeMap<Code, Clause>,
    /// Where the form demands a field, by the field's name; for the rule `required` only.
    pub form_fields: BTreeMap<String, Clause>,
    /// Network zones that the district's cloud serves. Never empty.
    pub zones: Vec<Zone>,
    /// What systems are judged by.
    pub zombie: Zombie,
    /// What the documents say of rooms.
    pub rooms: Rooms,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("no jurisdiction profile {id:?}; there are: {known}")]
    Unknown { id: String, known: String },
    #[error("the jurisdiction profile {path} cannot be read")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the jurisdiction profile is not valid YAML for a profile")]
    Yaml(#[source] YamlError),
    /// Every fault at once, each as `pointer: what`.
    #[error("the jurisdiction profile has faults: {}", .0.join("; "))]
    Faulty(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    id: String,
    name: String,
    authority_name: String,
    leading_group: String,
    domain_suffixes: Vec<String>,
    documents: BTreeMap<String, Document>,
    clauses: BTreeMap<String, Clause>,
    #[serde(default)]
    form_fields: BTreeMap<String, Clause>,
    zones: Vec<String>,
    zombie: Option<Zombie>,
    #[serde(default)]
    rooms: Rooms,
}

impl Profile {
    /// The ids of the profiles that ship with the broker.
    pub fn embedded_ids() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(id, _)| *id)
    }

    /// A profile by its id, or by its file where the name has a slash or an extension.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        let path = Path::new(name);
        if name.contains('/') || path.extension().is_some() { Self::open(path) } else { Self::embedded(name) }
    }

    /// A profile that ships with the broker.
    pub fn embedded(id: &str) -> Result<Self, ProfileError> {
        let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == id) else {
            let known = Self::embedded_ids().collect::<Vec<_>>().join(", ");
            return Err(ProfileError::Unknown { id: crate::text::shown(id), known });
        };
        Self::parse(text)
    }

    /// A district's own profile from a file.
    pub fn open(path: &Path) -> Result<Self, ProfileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ProfileError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Reads and checks a profile; every fault is named at once.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let raw: RawProfile = yaml::from_str(text).map_err(ProfileError::Yaml)?;
        let mut faults = Vec::new();
        for (pointer, value) in [
            ("/id", &raw.id),
            ("/name", &raw.name),
            ("/authority_name", &raw.authority_name),
            ("/leading_group", &raw.leading_group),
        ] {
            if value.trim().is_empty() {
                faults.push(format!("{pointer}: empty"));
            }
        }
        let domain_suffixes = suffixes(&raw.domain_suffixes, &mut faults);
        let zones = zones(&raw.zones, &mut faults);
        for (key, document) in &raw.documents {
            if document.title.trim().is_empty() || document.number.as_ref().is_some_and(|n| n.trim().is_empty()) {
                faults.push(format!("/documents/{key}: empty number or title"));
            }
        }
        let mut clauses = BTreeMap::new();
        for (rule, clause) in raw.clauses {
            clause_faults(&format!("/clauses/{rule}"), &clause, &raw.documents, &mut faults);
            match Code::find(&rule) {
                Some(code) => _ = clauses.insert(code, clause),
                None => faults.push(format!("/clauses/{rule}: no such rule")),
            }
        }
        for (field, clause) in &raw.form_fields {
            clause_faults(&format!("/form_fields/{field}"), clause, &raw.documents, &mut faults);
        }
        if let Some(zombie) = &raw.zombie {
            zombie.faults(&raw.documents, &mut faults);
        }
        raw.rooms.faults(&raw.documents, &mut faults);
        if !faults.is_empty() {
            return Err(ProfileError::Faulty(faults));
        }
        Ok(Self {
            id: raw.id,
            name: raw.name,
            authority_name: raw.authority_name,
            leading_group: raw.leading_group,
            domain_suffixes,
            documents: raw.documents,
            clauses,
            form_fields: raw.form_fields,
            zones,
            zombie: raw.zombie.unwrap_or_default(),
            rooms: raw.rooms,
        })
    }

    /// What the rule rests on: `相政办〔2018〕150号 第十五条`, or [`OWN_RULE`].
    pub fn basis(&self, code: Code) -> String {
        self.clauses.get(&code).map_or_else(|| OWN_RULE.to_owned(), |clause| self.cite(clause))
    }

    /// As [`Self::basis`]; a field that the form itself demands is cited from the form.
    pub fn basis_at(&self, code: Code, pointer: &str) -> String {
        if code == Code::Required
            && let Some(clause) = pointer.split('/').nth(1).and_then(|field| self.form_fields.get(field))
        {
            return self.cite(clause);
        }
        self.basis(code)
    }

    /// What the filing of a zombie system rests on, or [`OWN_RULE`].
    pub fn filing_basis(&self) -> String {
        self.zombie.filing.as_ref().map_or_else(|| OWN_RULE.to_owned(), |clause| self.cite(clause))
    }

    /// What the closing of rooms rests on, or [`OWN_RULE`].
    pub fn closing_basis(&self) -> String {
        self.basis_of(self.rooms.closing.as_ref())
    }

    /// A clause as it is cited, or [`OWN_RULE`] where the district's documents say nothing.
    pub fn basis_of(&self, clause: Option<&Clause>) -> String {
        clause.map_or_else(|| OWN_RULE.to_owned(), |clause| self.cite(clause))
    }

    /// The day of the document that orders the closing of rooms.
    pub fn closing_from(&self) -> Option<Date> {
        self.documents.get(&self.rooms.closing.as_ref()?.document).map(|document| document.in_force_from)
    }

    /// Document and clause, as people read them.
    pub fn cite(&self, clause: &Clause) -> String {
        match self.documents.get(&clause.document) {
            Some(document) => {
                format!("{} {}", document.number.as_deref().unwrap_or(&document.title), clause.clause)
            }
            None => OWN_RULE.to_owned(),
        }
    }

    /// The zones' labels in one phrase, as 政务外网、互联网.
    pub fn zone_labels(&self) -> String {
        self.zones.iter().map(|z| z.label()).collect::<Vec<_>>().join("、")
    }
}

fn clause_faults(pointer: &str, clause: &Clause, documents: &BTreeMap<String, Document>, faults: &mut Vec<String>) {
    if !documents.contains_key(&clause.document) {
        faults.push(format!("{pointer}: no such document {:?}", clause.document));
    }
    if clause.clause.trim().is_empty() {
        faults.push(format!("{pointer}: empty clause"));
    }
}

fn suffixes(raw: &[String], faults: &mut Vec<String>) -> Vec<String> {
    if raw.is_empty() {
        faults.push("/domain_suffixes: empty".to_owned());
    }
    let mut out = Vec::new();
    for (n, suffix) in raw.iter().enumerate() {
        match idna::domain_to_ascii_strict(suffix) {
            Ok(ascii) if ascii.contains('.') => out.push(ascii),
            _ => faults.push(format!("/domain_suffixes/{n}: not a domain name of two labels or more")),
        }
    }
    out
}

fn zones(raw: &[String], faults: &mut Vec<String>) -> Vec<Zone> {
    if raw.is_empty() {
        faults.push("/zones: empty".to_owned());
    }
    let mut out = Vec::new();
    for (n, zone) in raw.iter().enumerate() {
        match zone.parse() {
            Ok(zone) => out.push(zone),
            Err(e) => faults.push(format!("/zones/{n}: {e}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_profiles_are_valid() {
        for id in Profile::embedded_ids() {
            let profile = Profile::embedded(id).unwrap();
            assert_eq!(profile.id, id);
        }
        assert!(matches!(Profile::embedded("../etc"), Err(ProfileError::Unknown { .. })));
    }

    #[test]
    fn a_rule_prints_its_document_and_clause_or_owns_up() {
        let xiangcheng = Profile::embedded("xiangcheng").unwrap();
        assert_eq!(xiangcheng.authority_name, "区信息办");
        assert_eq!(xiangcheng.basis(Code::TaskBookMissing), "相政办〔2018〕150号 第十五条");
        assert_eq!(xiangcheng.basis(Code::MemoryOverIndicator), "相政办〔2018〕150号 第十二条");
        assert_eq!(xiangcheng.basis(Code::TaskBookRevoked), "相政办〔2018〕150号 第二十条");
        assert_eq!(xiangcheng.basis(Code::MilestoneMissing), "相政办〔2018〕150号 附件2 十.2");
        assert_eq!(xiangcheng.basis(Code::SecrecyRefused), "相政办〔2018〕151号 二（一）基本原则1");
        assert_eq!(xiangcheng.basis(Code::DomainTaken), OWN_RULE);
        assert_eq!(xiangcheng.basis(Code::Required), OWN_RULE);
        assert_eq!(xiangcheng.basis_at(Code::Required, "/memory"), "相政办〔2018〕150号 附件2 六.3");
        assert_eq!(xiangcheng.basis_at(Code::Required, "/om_unit/contact"), "相政办〔2018〕150号 附件2 九.2");
        assert_eq!(xiangcheng.basis_at(Code::UnitMissing, "/memory"), OWN_RULE);

        let snd = Profile::embedded("suzhou-new-district").unwrap();
        assert_eq!(snd.authority_name, "区发改局");
        assert_eq!(snd.basis(Code::TaskBookMissing), OWN_RULE);
        assert!(snd.documents.values().any(|d| d.number.as_deref() == Some("苏高新办〔2019〕2号")));
    }

    #[test]
    fn no_clause_of_one_district_leaks_into_the_other() {
        let snd = Profile::embedded("suzhou-new-district").unwrap();
        for code in Code::ALL {
            assert!(!snd.basis(*code).contains("相政办"), "{code:?}");
        }
    }

    #[test]
    fn every_fault_of_a_profile_is_named_at_once() {
        let text = "
id: ''
name: x
authority_name: ' '
leading_group: x
domain_suffixes: [example, 'a b.example', ok.example]
documents: {a: {number: 甲, title: 《甲》, in_force_from: 2020-01-01}}
clauses:
  task_book_missing: {document: b, clause: 第一条}
  no_such_rule: {document: a, clause: 第一条}
  domain_taken: {document: a, clause: ''}
zones: [政务内网, 校园网]
";
        let Err(ProfileError::Faulty(faults)) = Profile::parse(text) else { panic!("accepted") };
        for pointer in [
            "/id:",
            "/authority_name:",
            "/domain_suffixes/0:",
            "/domain_suffixes/1:",
            "/clauses/task_book_missing:",
            "/clauses/no_such_rule:",
            "/clauses/domain_taken:",
            "/zones/0:",
            "/zones/1:",
        ] {
            assert!(faults.iter().any(|f| f.starts_with(pointer)), "{pointer} {faults:?}");
        }
        assert_eq!(faults.len(), 9, "{faults:?}");
        assert!(matches!(Profile::parse("id: x\nextra: 1\n"), Err(ProfileError::Yaml(_))));
    }
}
