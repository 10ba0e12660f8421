//! Deciding several requests at once: each on its own, the outcomes as a table, the exit code by the worst of them.

use super::{Exit, WaitArg, language::say, output::Screen, problem::Failure, tables::OUTCOME, watch};
use crate::client::Client;
use serde_json::{Map, Value, json};

/// What the service takes in one call.
const AT_ONCE: usize = 200;

/// Decides, shows each outcome, and follows what was begun.
pub async fn decide(
    client: &Client,
    screen: &Screen,
    act: &str,
    ids: &[String],
    fields: Map<String, Value>,
    wait: WaitArg,
) -> Result<(), Failure> {
    let mut outcomes = Vec::new();
    for some in ids.chunks(AT_ONCE) {
        let mut body = fields.clone();
        body.insert("ids".to_owned(), json!(some));
        let answer = client.post(&["requests", act], &Value::Object(body)).await?;
        outcomes.extend(answer.body.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
    }
    if wait.wait {
        for outcome in &mut outcomes {
            let Some(id) = outcome.pointer("/operation/id").and_then(Value::as_str).map(str::to_owned) else {
                continue;
            };
            let operation = watch::follow(client, &id, screen).await?;
            outcome["operation"] = operation;
        }
    }
    if screen.for_people() {
        screen.section(
            &say!("{n} 份申请，{good} 份成功", n = outcomes.len(), good = succeeded(&outcomes)),
            &OUTCOME,
            &outcomes,
        )?;
    } else {
        screen.items("/request_id", &outcomes)?;
    }
    match exit(&outcomes, wait) {
        Exit::Done => Ok(()),
        exit => Err(Failure::Some { exit }),
    }
}

fn status(outcome: &Value) -> u16 {
    outcome.get("status").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()).unwrap_or(500)
}

fn succeeded(outcomes: &[Value]) -> usize {
    outcomes.iter().filter(|outcome| (200..300).contains(&status(outcome))).count()
}

/// Conflict where nothing but conflicts stood in the way, refused where anything else did.
fn exit(outcomes: &[Value], wait: WaitArg) -> Exit {
    let failed_later = |outcome: &&Value| {
        let state = outcome.pointer("/operation/state").and_then(Value::as_str);
        wait.wait && state.is_some_and(|state| state != "succeeded")
    };
    let refused = outcomes.iter().map(status).filter(|status| !(200..300).contains(status));
    let refused: Vec<_> = refused.map(Exit::of_status).collect();
    if refused.is_empty() && !outcomes.iter().any(|outcome| failed_later(&outcome)) {
        Exit::Done
    } else if !refused.is_empty()
        && refused.iter().all(|exit| *exit == Exit::Conflict)
        && !outcomes.iter().any(|outcome| failed_later(&outcome))
    {
        Exit::Conflict
    } else {
        Exit::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_the_worst_outcome() {
        let of = |statuses: &[u16]| {
            let outcomes: Vec<_> = statuses.iter().map(|status| json!({"status": status})).collect();
            exit(&outcomes, WaitArg { wait: false })
        };
        assert_eq!(of(&[202, 200]), Exit::Done);
        assert_eq!(of(&[202, 409, 412]), Exit::Conflict);
        assert_eq!(of(&[409, 403]), Exit::Refused);
        assert_eq!(of(&[202, 404]), Exit::Refused);
        assert_eq!(exit(&[json!({})], WaitArg { wait: false }), Exit::Refused, "an outcome without a status is none");
        let built = |state: &str| [json!({"status": 202, "operation": {"state": state}})];
        assert_eq!(exit(&built("failed"), WaitArg { wait: true }), Exit::Refused);
        assert_eq!(exit(&built("queued"), WaitArg { wait: false }), Exit::Done);
        assert_eq!(exit(&built("succeeded"), WaitArg { wait: true }), Exit::Done);
    }
}
