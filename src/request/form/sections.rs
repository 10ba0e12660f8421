//! What stands in one section of a report: its heading, the texts below it, the rows of its tables.

use super::{
    layout::{Item, Layout},
    outline::Prose,
    scan::line,
    section::Section,
};
use crate::place::Place;

pub(super) fn below(prose: &[Prose], section: Section) -> impl Iterator<Item = &Prose> {
    prose.iter().filter(move |p| !p.heading && p.section == Some(section))
}

pub(super) fn heading(prose: &[Prose], section: Section) -> Option<&Prose> {
    prose.iter().find(|p| p.heading && p.section == Some(section))
}

/// Rows of tables in a section, each as one text with its place.
pub(super) fn rows(layout: &Layout, wanted: impl Fn(Option<Section>) -> bool) -> Vec<(String, Place)> {
    let mut out = Vec::new();
    for item in &layout.items {
        let Item::Table(table) = item else { continue };
        for (at, row) in table.rows.iter().enumerate() {
            if wanted(row.section) {
                let words: Vec<String> = row
                    .cells
                    .iter()
                    .filter(|c| c.origin.is_none())
                    .map(|c| line(&c.text))
                    .filter(|t| !t.is_empty())
                    .collect();
                if !words.is_empty() {
                    let column = row.cells.first().map_or(1, |c| c.column);
                    out.push((words.join(" "), table.place_at(at, column)));
                }
            }
        }
    }
    out
}
