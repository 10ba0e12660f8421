//! Whether figures are meant for each machine or for all, where a report says it beside its blocks: a note under the
//! table, a sentence before it.

use super::{
    blocks::Reading,
    label,
    layout::{Item, Layout, Table},
    outline::Prose,
    output::Output,
    scan::{has, line},
};
use crate::{place::Place, text};
use serde_json::json;

/// Notes are short; prose that goes on is about other things.
const MAX_BYTES: usize = 240;

pub(super) fn read(layout: &Layout, prose: &[Prose], reading: &Reading, out: &mut Output) {
    let of_blocks = |place: &Place| {
        let mut blocks = reading.blocks.iter().map(|found| &found.place);
        blocks.any(|block| block.section.is_some() && block.section == place.section)
    };
    let said = prose.iter().filter(|p| of_blocks(&p.place)).filter_map(|p| Some((told(&p.text)?, p.place.clone())));
    let noted = layout.items.iter().filter_map(|item| match item {
        Item::Table(table)
            if reading
                .blocks
                .iter()
                .any(|b| b.place.table == table.place.table && b.place.sheet == table.place.sheet) =>
        {
            Some(notes(table))
        }
        _ => None,
    });
    let all: Vec<(&'static str, Place)> = said.chain(noted.flatten()).collect();
    // Whoever says both has said nothing.
    if let Some((word, place)) = all.first()
        && all.iter().all(|(other, _)| other == word)
    {
        out.set("basis", json!(word), place.clone());
    }
}

/// Rows of one text only.
fn notes(table: &Table) -> impl Iterator<Item = (&'static str, Place)> + '_ {
    table.rows.iter().enumerate().filter_map(|(row, cells)| {
        let mut filled = (0..cells.cells.len()).filter(|cell| !table.text(row, *cell).trim().is_empty());
        let only = filled.next()?;
        let alone = filled.all(|other| **table.text(row, other) == **table.text(row, only));
        let word = told(table.text(row, only)).filter(|_| alone)?;
        Some((word, table.place_of(row, only)))
    })
}

/// `以上均为每台配置`, `下表资源需求按每台虚拟机填写`: the word for 数量口径.
fn told(written: &str) -> Option<&'static str> {
    // 备注 speaks of its own block, where it is read.
    if written.len() > MAX_BYTES || label::with_value(written).is_some() {
        return None;
    }
    let said = text::fold(&line(written));
    let which = ["以上", "上述", "以下", "下列", "下表", "上表", "本表", "表中", "表内", "如下"];
    let about = ["配置", "规格", "数量", "资源", "填写", "填报", "指标", "需求"];
    if !has(&said, &which) || !has(&said, &about) {
        return None;
    }
    let each = has(&said, &["每台", "单台", "每个虚拟机", "每虚拟机"]);
    let all = has(&said, &["合计", "总量", "总和", "总计"]);
    match (each, all) {
        (true, false) => Some("每台"),
        (false, true) => Some("合计"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_say_for_what_the_figures_are_meant() {
        for (text, word) in [
            ("注：以上均为每台配置。", Some("每台")),
            ("说明：上述配置均按每台虚拟机填写。", Some("每台")),
            ("基础设施资源需求如下（单台）：", Some("每台")),
            ("下表数量均为合计。", Some("合计")),
            ("以上配置每台与合计见附件。", None),
            ("备注：以上均为每台配置。", None),
            ("为每台虚拟机配置防病毒软件。", None),
            ("本项目部署在相城区政务云平台，基础设施资源需求如下：", None),
        ] {
            assert_eq!(told(text), word, "{text}");
        }
    }
}
