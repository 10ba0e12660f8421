//! Takes a system one step on, or back: reads what the gate asks for, decides, and writes under the revision that was read.

use super::{Facts, Plan, missing};
use crate::{
    error::Problem,
    identity::{
        Actor,
        policy::{self, Act, Scope},
    },
    ids::SystemId,
    migration::{
        chain::Waits,
        estate::{Estate, Object, System},
        fate::{Disposition, Step, Taken, Trigger},
        service::{Advance, Change, Estates, TRIES, busy, next, of_system, refused, standing_system},
    },
    system,
    violation::Violation,
};
use jiff::civil::Date;
use serde_json::json;
use std::sync::Arc;

impl Estates {
    /// Takes a system one step on, or back to where it was decided.
    pub async fn advance(&self, actor: &Actor, id: &str, advance: Advance) -> Result<SystemId, Problem> {
        let scope = policy::scope(actor, Act::SystemAdvance)?;
        let (_, system) = self.system(actor, Act::SystemAdvance, id).await?;
        let said = self.said(actor, "evidence", &advance.evidence, None)?;
        let today = self.today();
        if advance.step == Step::Decide {
            return Err(refused("/step: 定去向用 jiyue system decide".to_owned()));
        }
        let bases = self.bases();
        for _ in 0..TRIES {
            let estate = self.now().await?;
            let mut system = standing_system(&estate, system.id)?;
            let facts = self.facts(&estate, &system, advance.step, scope).await?;
            let plan = Plan { cutover_on: advance.cutover_on };
            let lacking = missing(&estate, &system, advance.step, plan, &facts, &bases, today);
            let before = system.stage;
            system.stage = next(&system, advance.step).map_err(|problem| with(problem, &lacking))?;
            match advance.step {
                Step::Assess => system.overruled = advance.difficulty.map(|level| (level, said.clone())),
                Step::Plan => system.planned = Some(planned(&estate, &system, &advance, today)?),
                Step::CutOver | Step::SwitchOff => waits(&estate, &system, advance.step, scope, today)?,
                Step::RollBack => system.planned = None,
                Step::Decide | Step::Rehearse | Step::Test | Step::Archive => {}
            }
            if !lacking.is_empty() {
                let detail =
                    format!("系统“{}”办理 {} 还差 {} 项，逐项见 errors", system.name, advance.step, lacking.len());
                return Err(with(Problem::conflict("system_gate", detail), &lacking));
            }
            system.steps.push(Taken { step: advance.step, said: said.clone() });
            let detail = json!({"name": system.name, "step": advance.step, "from": before, "to": system.stage,
                "evidence": said.text});
            let (id, record) = (system.id, of_system(actor, Act::SystemAdvance, &system, detail));
            let change = Change { objects: vec![Object::System(Box::new(system))], record };
            if self.put(estate.revision, change).await? {
                return Ok(id);
            }
        }
        Err(busy())
    }

    /// What the gate of this step asks for beside the survey.
    async fn facts(&self, estate: &Arc<Estate>, system: &System, step: Step, scope: Scope) -> Result<Facts, Problem> {
        let mut facts = Facts::default();
        match step {
            Step::Plan => {
                if let Some(wave) = estate.waves_of(system.id).next() {
                    facts.conflicts = self.checked(estate, wave).await?.conflicts;
                    for conflict in &mut facts.conflicts {
                        conflict.hide_from(scope, estate);
                    }
                }
            }
            Step::Rehearse | Step::CutOver => facts.arrived = self.arrived(system.id).await?,
            _ => {}
        }
        Ok(facts)
    }

    /// Whether a system has somewhere to run in the cloud.
    pub async fn arrived(&self, system: SystemId) -> Result<bool, Problem> {
        let mut conn = self.db.read().await?;
        let Some(known) = system::store::find(&mut conn, &system.text(), None).await? else { return Ok(false) };
        Ok(system::store::members(&mut conn, &known).await?.iter().any(|member| member.ready))
    }
}

fn with(mut problem: Problem, lacking: &[Violation]) -> Problem {
    problem.errors.extend_from_slice(lacking);
    problem
}

/// The day and the node, which is its wave's where nothing else is said.
fn planned(estate: &Estate, system: &System, advance: &Advance, today: Date) -> Result<(Date, Trigger), Problem> {
    let known = estate.waves_of(system.id).find_map(|wave| wave.systems.get(&system.id)?.trigger);
    let (Some(day), Some(trigger)) = (advance.cutover_on, advance.trigger.or(known)) else {
        let detail = "/cutover_on: 排期要写明割接日期（cutover_on）和节点（trigger）：升级、改造、续建、运维";
        return Err(refused(detail.to_owned()));
    };
    if day < today {
        return Err(refused(format!("/cutover_on: {day} 已经过去（今天是 {today}）；请填写今天或以后的日期")));
    }
    Ok((day, trigger))
}

/// What a system waits for, but those that go with it.
fn waits(estate: &Estate, system: &System, step: Step, scope: Scope, today: Date) -> Result<(), Problem> {
    let given_up = system.disposition() == Some(Disposition::Discard);
    if (step == Step::SwitchOff) != given_up {
        return Ok(());
    }
    let waits = Waits::new(estate, today);
    let knot = waits.knots().into_iter().find(|knot| knot.contains(&system.id)).unwrap_or_default();
    let others = waits.waits_for(system.id).filter(|other| !knot.contains(other));
    let name = |other: &System| {
        if scope.covers(other.unit.id) { other.name.clone() } else { format!("（{}的系统）", other.unit.name) }
    };
    let names: Vec<_> = others.filter_map(|id| estate.systems.get(&id).map(name)).take(10).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names = names.join("、");
    let detail = if given_up {
        format!("仍有系统依赖“{}”：{names}；请先迁移或停用它们，或更新依赖关系", system.name)
    } else {
        format!("“{}”依赖的系统还没有上云：{names}；请先迁移它们，或更新依赖关系", system.name)
    };
    Err(Problem::conflict("system_waits", detail))
}
