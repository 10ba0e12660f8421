//! What a system still lacks for its next step: each gate of its way, and every thing that is missing there. That steps come
//! in their order is [`Stage::next`]'s; that each has evidence is the act's. Pure.

pub mod service;

use super::{
    estate::{Estate, System},
    fate::{Stage, Step},
    wave::{Bases, Conflict, Level, Wave},
};
use crate::{jurisdiction::OWN_RULE, violation::Violation};
use jiff::civil::Date;

/// What is known beside the survey.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// It has somewhere to run: a machine that was delivered, or a disk that was imported whole.
    pub arrived: bool,
    /// Of the wave that it stands in.
    pub conflicts: Vec<Conflict>,
}

/// What a plan says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    pub cutover_on: Option<Date>,
}

fn lacking(pointer: &str, code: &'static str, basis: &str, message: String, mend: &str) -> Violation {
    Violation {
        pointer: pointer.to_owned(),
        code,
        message,
        basis: basis.to_owned(),
        mend: mend.to_owned(),
        place: None,
        asked: None,
        used: None,
        limit: None,
        left: None,
        unit: None,
    }
}

/// Everything that is missing for a step.
pub fn missing(
    estate: &Estate,
    system: &System,
    step: Step,
    plan: Plan,
    facts: &Facts,
    bases: &Bases,
    today: Date,
) -> Vec<Violation> {
    let mut all = Vec::new();
    match step {
        Step::Assess => all.extend(unsurveyed(system)),
        Step::Plan => planned(estate, system, plan, facts, &mut all),
        Step::Rehearse => all.extend(homeless(system, facts)),
        Step::CutOver => {
            all.extend(homeless(system, facts));
            all.extend(estate.waves_of(system.id).find_map(|wave| too_early(system, wave, today)));
            all.extend(blacked_out(estate, system, today));
            if estate.waves_of(system.id).next().is_none() {
                all.push(waveless(system));
            }
        }
        Step::SwitchOff => all.extend(untested(system, bases)),
        Step::Archive => all.extend(still_on(estate, system)),
        Step::Decide | Step::Test | Step::RollBack => {}
    }
    all
}

/// What is assessed has been surveyed: what it is for, and where it runs.
fn unsurveyed(system: &System) -> Option<Violation> {
    system.purpose.trim().is_empty().then(|| {
        let message = format!("系统“{}”的普查没有写功能。", system.name);
        lacking("/purpose", "system_purpose_missing", OWN_RULE, message, "补齐普查表的“功能”后重新导入。")
    })
}

fn waveless(system: &System) -> Violation {
    let message = format!("系统“{}”不在任何迁移批次里。", system.name);
    lacking("/wave", "system_without_wave", OWN_RULE, message, "先把它列入批次：jiyue wave create 或 wave set。")
}

fn planned(estate: &Estate, system: &System, plan: Plan, facts: &Facts, all: &mut Vec<Violation>) {
    let Some(wave) = estate.waves_of(system.id).next() else {
        all.push(waveless(system));
        return;
    };
    for conflict in facts.conflicts.iter().filter(|conflict| conflict.level == Level::Blocks) {
        let message = format!("批次“{}”有冲突：{}", wave.name, conflict.message);
        let mend = "用 jiyue wave check 查看，消除冲突后再排期。";
        all.push(lacking("/wave", conflict.code, &conflict.basis, message, mend));
    }
    if let Some(day) = plan.cutover_on.filter(|day| !wave.window.has(*day)) {
        let message =
            format!("割接日期 {day} 不在批次“{}”的窗口 {} 至 {} 里。", wave.name, wave.window.from, wave.window.to);
        all.push(lacking("/cutover_on", "cutover_outside_window", OWN_RULE, message, "改割接日期，或改批次的窗口。"));
    }
}

/// Nothing is rehearsed or cut over to where nothing stands.
fn homeless(system: &System, facts: &Facts) -> Option<Violation> {
    (!facts.arrived).then(|| {
        let message = format!("系统“{}”在政务云上还没有交付的虚拟机，也没有导入完成的磁盘。", system.name);
        let mend = "用 jiyue system request 按实测用量申请，等虚拟机交付；或用 jiyue system attach 列入已有的。";
        lacking("/machines", "system_without_machine", OWN_RULE, message, mend)
    })
}

fn too_early(system: &System, wave: &Wave, today: Date) -> Option<Violation> {
    (today < wave.window.from).then(|| {
        let message = format!("系统“{}”的割接窗口 {} 才开始。", system.name, wave.window.from);
        lacking("/wave", "cutover_before_window", OWN_RULE, message, "到窗口里再割接，或改批次的窗口。")
    })
}

/// A blackout may have been set after the plan was made.
fn blacked_out(estate: &Estate, system: &System, today: Date) -> Option<Violation> {
    let mut mine = estate
        .blackouts
        .values()
        .filter(|blackout| blackout.unit.as_ref().is_none_or(|unit| unit.id == system.unit.id));
    mine.find(|blackout| blackout.days.has(today)).map(|blackout| {
        let (days, reason) = (blackout.days, &blackout.reason);
        let message =
            format!("今天在封网期 {} 至 {} 里（{reason}），系统“{}”不能割接。", days.from, days.to, system.name);
        lacking("/cutover_on", "cutover_in_blackout", OWN_RULE, message, "等封网期过去，或请运维员取消它。")
    })
}

/// 迁移后测试 stands between the cutover and the source's end.
fn untested(system: &System, bases: &Bases) -> Option<Violation> {
    (system.stage == Stage::CutOver).then(|| {
        let message = format!("系统“{}”割接之后还没有测试通过的记录，原址不能停。", system.name);
        lacking("/steps", "system_untested", &bases.tested, message, "测试迁移后的系统，用 --step test 记录测试报告。")
    })
}

/// What is archived leaves nothing running behind it but what others need.
fn still_on(estate: &Estate, system: &System) -> Option<Violation> {
    let on = system.servers.iter().filter_map(|id| estate.servers.get(id)).filter(|server| server.off.is_none());
    let idle = on.filter(|server| {
        !estate
            .systems
            .values()
            .any(|other| other.id != system.id && !other.gone() && other.servers.contains(&server.id))
    });
    let names: Vec<_> = idle.map(|server| format!("“{}”", server.name)).collect();
    (!names.is_empty()).then(|| {
        let message = format!("系统“{}”的原服务器{}没有下电证明，也没有别的系统在用。", system.name, names.join("、"));
        let mend = "下电后用 jiyue room record --gate servers_off 记录证明。";
        lacking("/servers", "server_still_on", OWN_RULE, message, mend)
    })
}
