//! What a report means and how it says it. The meaning ([`Typed`]) is what the evaluation holds against the answers; the
//! texts are what the writers put on paper.

use std::collections::BTreeMap;

pub const GIB: u64 = 1 << 30;

#[derive(Clone, Debug)]
pub struct Report {
    /// Stem of its file.
    pub name: String,
    pub blocks: Vec<Block>,
    /// What is said once for all blocks and around them, by canonical name, as written; absent: not said.
    pub said: BTreeMap<&'static str, String>,
    /// 联网方式 of 附件1; without 附件1 the first stands in 五.2.
    pub ticked: Vec<&'static str>,
    pub hardware: Vec<Hardware>,
    /// 四.3: what others are to provide.
    pub resources: Vec<&'static str>,
    /// Sentences of the defect, by the heading under which they go.
    pub planted: Vec<(&'static str, String)>,
    pub style: Style,
    pub truth: Truth,
}

/// What is true of all blocks.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// As `2035-06`: the month is always told, the day not always.
    pub deploy_month: String,
    pub om_months: u64,
    pub om_unit: String,
    pub mlps: u64,
}

/// A block's fields in the order of the form, and what they mean.
#[derive(Clone, Debug)]
pub struct Block {
    pub fields: Vec<(&'static str, String)>,
    pub typed: Typed,
}

/// Sizes per machine, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Typed {
    pub machines: u64,
    pub vcpu: u64,
    pub memory: u64,
    pub disk: u64,
    /// Keys of the catalogue.
    pub os: &'static str,
    pub zone: &'static str,
}

#[derive(Clone, Debug)]
pub struct Hardware {
    pub name: &'static str,
    pub price: String,
    pub quantity: String,
    pub purpose: String,
}

/// How the labels are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As printed: `1. 域 名`, `4. cpu 数量`.
    Form,
    /// `域名`
    Plain,
    /// `1、域名`
    Comma,
    /// `（1）域名`
    Bracketed,
    /// `１．域　名`, `ＣＰＵ数量`
    FullWidth,
    /// `域名：`
    Colon,
}

/// How the blocks stand on paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The table of the form, one per block.
    Form,
    /// The same with a merged cell down its left side.
    FormWithSide,
    /// Label and value, one pair a row.
    Pairs,
    /// All blocks in one table, one below the other.
    Stacked,
    /// One row per block under a row of labels.
    HeaderRow,
    /// The same, and an operating system that all share is one merged cell.
    HeaderRowMerged,
    /// The form's table inside a cell of another.
    Nested,
    /// Label and value in one cell.
    OneCell,
    /// No table at all.
    Paragraphs,
}

/// Where the blocks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// 六.3, where the outline wants them.
    Configuration,
    /// 六.4 部署方案
    Deployment,
    /// A table behind the report.
    Annex,
}

#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub spelling: Spelling,
    pub layout: Layout,
    pub home: Home,
    /// The unit of memory and disk stands in the label.
    pub label_units: bool,
    /// 附件1 comes with it.
    pub application: bool,
    /// Marks of a ticked and an empty box.
    pub boxes: (&'static str, &'static str),
    /// Values in spans of different formatting.
    pub split: bool,
    /// 十.2 and 九.2 as tables instead of sentences and lines.
    pub plan_table: bool,
    /// A note behind the blocks that speaks for all of them.
    pub note: Option<&'static str>,
    /// Another editor has saved the file.
    pub resaved: bool,
    /// Changes filler and splits.
    pub seed: u64,
}

impl Block {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| *n == name).map(|(_, text)| text.as_str())
    }

    /// Writes a field; a new one comes before the remarks, which are last.
    pub fn set(&mut self, name: &'static str, text: impl Into<String>) {
        let text = text.into();
        match self.fields.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = text,
            None => self.fields.insert(self.fields.len().saturating_sub(1), (name, text)),
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(n, _)| *n != name);
    }
}

impl Report {
    pub fn say(&mut self, name: &'static str, text: impl Into<String>) {
        self.said.insert(name, text.into());
    }

    pub fn said(&self, name: &str) -> Option<&str> {
        self.said.get(name).map(String::as_str)
    }

    /// Machines, vCPU, memory and disk of all blocks.
    pub fn totals(&self) -> [u64; 4] {
        self.blocks.iter().map(|b| b.typed).fold([0; 4], |[a, b, c, d], t| {
            [a + t.machines, b + t.vcpu * t.machines, c + t.memory * t.machines, d + t.disk * t.machines]
        })
    }
}
