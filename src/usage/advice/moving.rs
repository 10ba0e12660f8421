//! What a legacy server's work needs in the cloud: by what it has used, not by what the old iron has. Pure.

use super::{Moving, Sizing, float, rounded_up, with};
use crate::{
    catalogue,
    usage::{point::Metric, window::Window},
};

/// One figure, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Need {
    /// vCPUs or bytes, a whole multiple of the rules' step and within their bounds.
    pub to: i64,
    /// The percentile, in the same unit: the upper end of its bin.
    pub used: f64,
}

/// vCPUs and memory; nothing where too little of the window is known, or not of how large a server. `memory` is what the
/// server has.
pub fn needed(
    sizing: &Sizing,
    bounds: &catalogue::Bounds,
    memory: Option<i64>,
    window: &Window,
) -> (Option<Need>, Option<Need>) {
    let Moving { percentile, headroom_percent, .. } = sizing.moving;
    let known = |metric| (window.coverage_of(metric) >= sizing.coverage).then_some(());
    let vcpu = || {
        known(Metric::Cpu)?;
        let used = window.vcpus_percentile(percentile)?.high;
        let to = rounded_up(with(used, headroom_percent), bounds.vcpu_step);
        Some(Need { to: to.clamp(*bounds.vcpu.start(), *bounds.vcpu.end()), used })
    };
    let memory = || {
        known(Metric::Memory)?;
        let share = |percent: f64| memory.map(|memory| percent / 100.0 * float(memory));
        let used = share(window.histogram(Metric::Memory).percentile(percentile)?.high)?;
        // Memory does not queue.
        let highest = with(share(window.max(Metric::Memory)?)?, sizing.memory_over_highest_percent);
        let to = rounded_up(with(used, headroom_percent).max(highest), bounds.memory_step.get());
        Some(Need { to: to.clamp(bounds.memory.start().get(), bounds.memory.end().get()), used })
    };
    (vcpu(), memory())
}
