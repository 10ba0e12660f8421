//! The boards. A new subject is a new file, and a line here.

mod hosts;
mod idle;
mod overview;
mod requests;
mod rooms;

use super::{
    panel::{Board, Panel},
    words::Words,
};

pub fn all() -> Vec<Board> {
    vec![overview::board(), requests::board(), hosts::board(), idle::board(), rooms::board()]
}

/// One query for each value of a label, under the word that people read.
fn each(panel: Panel, words: Words, expression: impl Fn(&str) -> String) -> Panel {
    words.iter().fold(panel, |panel, (word, label)| panel.query(label, expression(word)))
}
