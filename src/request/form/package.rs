//! The package that a .docx or .xlsx is: a zip archive whose parts are inflated one by one, each against a bound that
//! holds whatever the archive says of its sizes.

use super::{
    limits::{Budget, MAX_ENTRIES, MAX_PART, damaged, not_recognised, too_large},
    outcome::FormFault,
    sniff,
    xml::{Token, Xml},
};
use crate::rule::Code;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// Room that is made on a part's own word for how long it is; a longer one gets more as it comes.
const MAX_ROOM: usize = 4 << 20;
/// Lists of parts and of types are short.
const MAX_LIST: usize = 4 << 20;

pub(super) struct Package<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    names: Vec<String>,
}

/// What kind of document a package holds, and in which part.
pub(super) enum Main {
    Word(String),
    Workbook(String),
    Other,
}

impl<'a> Package<'a> {
    /// Looks at the directory only; nothing is inflated.
    pub fn open(bytes: &'a [u8]) -> Result<Self, FormFault> {
        // Counted in the bytes themselves: opening the archive takes memory for each entry, and the archive's own count
        // is only a claim.
        if directory_entries(bytes) > MAX_ENTRIES {
            return Err(too_large(format!("压缩包内超过 {MAX_ENTRIES} 个文件")));
        }
        let broken = |_| damaged("压缩包不完整");
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        if zip.len() > MAX_ENTRIES {
            return Err(too_large(format!("压缩包内超过 {MAX_ENTRIES} 个文件")));
        }
        let mut names = Vec::with_capacity(zip.len());
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(broken)?;
            if entry.encrypted() {
                return Err(FormFault {
                    code: Code::FileEncrypted, reason: "压缩包内的文件带有密码".to_owned()
                });
            }
            names.push(String::from_utf8_lossy(entry.name_raw()).into_owned());
        }
        Ok(Self { zip, names })
    }

    /// What it is, when it is no document that can be read.
    pub fn other(&mut self, budget: &mut Budget) -> FormFault {
        let mimetype = self.bounded("mimetype", 1024, budget).ok().flatten().unwrap_or_default();
        not_recognised(sniff::package(&self.names, &mimetype))
    }

    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }

    /// The text of a part, or none if there is no such part.
    pub fn part(&mut self, name: &str, budget: &mut Budget) -> Result<Option<String>, FormFault> {
        self.bounded(name, MAX_PART, budget)
    }

    fn bounded(&mut self, name: &str, most: usize, budget: &mut Budget) -> Result<Option<String>, FormFault> {
        if !self.has(name) {
            return Ok(None);
        }
        let most = most.min(budget.inflatable());
        let over = || too_large(format!("{name} 解压后超过 {} MiB", most >> 20));
        let entry = self.zip.by_name(name).map_err(|_| damaged(format!("压缩包中的 {name} 无法读取")))?;
        // An early answer only; the bound below does not trust it.
        let said = usize::try_from(entry.size()).ok().filter(|said| *said <= most).ok_or_else(over)?;
        let mut bytes = Vec::with_capacity(said.min(MAX_ROOM));
        let read = entry.take(most as u64 + 1).read_to_end(&mut bytes);
        if bytes.len() > most {
            return Err(over());
        }
        budget.inflate(bytes.len())?;
        read.map_err(|_| damaged(format!("压缩包中的 {name} 已损坏")))?;
        text(bytes).map(Some).ok_or_else(|| damaged(format!("{name} 不是文字")))
    }

    /// Refuses macros, and finds the document's main part.
    pub fn main(&mut self, budget: &mut Budget) -> Result<Main, FormFault> {
        let macros = |what: &str| FormFault { code: Code::FileHasMacros, reason: what.to_owned() };
        if self.names.iter().any(|n| n.to_ascii_lowercase().ends_with("vbaproject.bin")) {
            return Err(macros("含有 vbaProject.bin"));
        }
        let types = self.bounded("[Content_Types].xml", MAX_LIST, budget)?.unwrap_or_default();
        let mut xml = Xml::new(&types);
        let mut declared = Vec::new();
        while let Some(token) = xml.next()? {
            if let Token::Open(tag) = token {
                let kind = tag.attribute("ContentType").unwrap_or_default();
                if kind.to_ascii_lowercase().contains("macroenabled") {
                    return Err(macros("是启用宏的文件类型"));
                }
                if let Some(part) = tag.attribute("PartName") {
                    declared.push((part.trim_start_matches('/').to_owned(), kind.into_owned()));
                }
            }
        }
        let main = self
            .relations("_rels/.rels", "", budget)?
            .into_iter()
            .find(|r| r.kind.ends_with("/officeDocument"))
            .map(|r| r.target)
            .filter(|t| self.has(t));
        let main = main
            .or_else(|| ["word/document.xml", "xl/workbook.xml"].into_iter().find(|n| self.has(n)).map(str::to_owned));
        let Some(main) = main else { return Ok(Main::Other) };
        let kind = declared.iter().find(|(part, _)| *part == main).map_or("", |(_, kind)| kind.as_str());
        Ok(
            if kind.contains("wordprocessingml")
                || (kind.is_empty() || kind.ends_with("/xml")) && main.starts_with("word/")
            {
                Main::Word(main)
            } else if kind.contains("spreadsheetml")
                || (kind.is_empty() || kind.ends_with("/xml")) && main.starts_with("xl/")
            {
                Main::Workbook(main)
            } else {
                Main::Other
            },
        )
    }

    /// What a list of relationships says, with targets as names of parts; `base` is the folder of the part that relates.
    pub fn relations(&mut self, list: &str, base: &str, budget: &mut Budget) -> Result<Vec<Relation>, FormFault> {
        let text = self.bounded(list, MAX_LIST, budget)?.unwrap_or_default();
        let mut xml = Xml::new(&text);
        let mut out = Vec::new();
        while let Some(token) = xml.next()? {
            let Token::Open(tag) = token else { continue };
            if let (Some(id), Some(target)) = (tag.attribute("Id"), tag.attribute("Target")) {
                out.push(Relation {
                    id: id.into_owned(),
                    kind: tag.attribute("Type").unwrap_or_default().into_owned(),
                    target: resolve(base, &target),
                });
            }
        }
        Ok(out)
    }
}

pub(super) struct Relation {
    pub id: String,
    pub kind: String,
    pub target: String,
}

/// `worksheets/sheet1.xml` seen from `xl/` is `xl/worksheets/sheet1.xml`.
fn resolve(base: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut parts: Vec<&str> = base.split('/').filter(|p| !p.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => _ = parts.pop(),
            "." | "" => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// How many headers of directory entries the bytes hold.
fn directory_entries(bytes: &[u8]) -> usize {
    bytes.windows(4).filter(|w| *w == b"PK\x01\x02").count()
}

/// XML is UTF-8, or UTF-16 with its mark.
fn text(bytes: Vec<u8>) -> Option<String> {
    match bytes.as_slice() {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
            let encoding = if bytes[0] == 0xFF { encoding_rs::UTF_16LE } else { encoding_rs::UTF_16BE };
            encoding.decode_with_bom_removal(&bytes).0.into_owned().into()
        }
        _ => String::from_utf8(bytes).ok(),
    }
}
