//! What judging needs of a machine's days, taken in one at a time and not kept: the last of them in full, and all of them, as far
//! back as a rule looks, as figures.

use super::{RuleSet, past::Past};
use crate::usage::{day::Day, window::Window};
use jiff::civil::Date;

/// A machine's days to the end of one.
#[derive(Clone, Debug)]
pub struct History {
    recent: Window,
    past: Past,
}

impl History {
    /// Without a day yet, as long as a set looks back from the end of `on`.
    pub fn of(set: &RuleSet, on: Date) -> Self {
        Self { recent: Window::ending(on, set.window_days), past: Past::ending(on, set.lookback()) }
    }

    /// Takes in a day, in any order; one that is outside, or there already, changes nothing.
    pub fn add(&mut self, day: &Day) {
        self.recent.add(day);
        self.past.add(day);
    }

    /// The rules' window.
    pub const fn recent(&self) -> &Window {
        &self.recent
    }

    pub const fn past(&self) -> &Past {
        &self.past
    }
}
