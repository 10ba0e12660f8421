//! `--watch`: looks again and again. A terminal shows the newest look; anything else gets what has changed since the last.

use super::{
    output::{Screen, Shown},
    problem::Failure,
    tables::Kind,
};
use crate::client::{Client, ClientError, Filter, Items};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A service that restarts comes back; so long a silence is waited out.
const SILENCE: Duration = Duration::from_mins(1);

/// A list, for as long as somebody looks.
pub async fn list(
    client: &Client,
    screen: &Screen,
    kind: Kind,
    path: &[&str],
    filter: &Filter,
    pause: Duration,
) -> Result<(), Failure> {
    let mut before = BTreeMap::new();
    let mut first = true;
    let mut answered = Instant::now();
    loop {
        let read: Result<Items, ClientError> = client.list(path, filter).await;
        if let Some(all) = patient(read, &mut answered)? {
            let changes = changes(kind, &mut before, &all.items);
            if screen.can_redraw() {
                screen.redraw(kind, &Shown::List(&all.items))?;
            } else {
                for change in changes {
                    match change {
                        Change::New(value) => screen.line(kind, value, std::mem::take(&mut first))?,
                        Change::Gone(name) => screen.gone(&name)?,
                    }
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// One thing, for as long as somebody looks.
pub async fn one(client: &Client, screen: &Screen, kind: Kind, path: &[&str], pause: Duration) -> Result<(), Failure> {
    let mut before = None;
    let mut answered = Instant::now();
    loop {
        if let Some(value) = patient(client.get::<Value>(path, &[]).await, &mut answered)? {
            if screen.can_redraw() {
                screen.redraw(kind, &Shown::One(&value))?;
            } else if before.as_ref() != Some(&value) {
                screen.line(kind, &value, before.is_none())?;
            }
            before = Some(value);
        }
        tokio::time::sleep(pause).await;
    }
}

/// What was read; nothing while a silence is waited out.
fn patient<T>(read: Result<T, ClientError>, answered: &mut Instant) -> Result<Option<T>, Failure> {
    match read {
        Ok(value) => {
            *answered = Instant::now();
            Ok(Some(value))
        }
        Err(ClientError::Unreachable { .. }) if answered.elapsed() < SILENCE => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, PartialEq)]
enum Change<'a> {
    New(&'a Value),
    Gone(String),
}

/// What is new or otherwise than before, in the order of the list; then what is no longer there.
fn changes<'a>(kind: Kind, before: &mut BTreeMap<String, Value>, items: &'a [Value]) -> Vec<Change<'a>> {
    let name = |item: &Value| item.pointer(kind.key()).map(super::format::scalar).unwrap_or_default();
    let now: BTreeMap<_, _> = items.iter().map(|item| (name(item), item.clone())).collect();
    let new = items.iter().filter(|item| before.get(&name(item)) != Some(*item)).map(Change::New);
    let gone = before.keys().filter(|name| !now.contains_key(*name)).cloned().map(Change::Gone);
    let changes = new.chain(gone).collect();
    *before = now;
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_has_changed_is_told() {
        let machine = |id: &str, state: &str| json!({"id": id, "state": state});
        let mut before = BTreeMap::new();
        let (a, b, stopped) = (machine("a", "running"), machine("b", "running"), machine("b", "stopped"));
        let looks = [
            vec![a.clone(), b.clone()],
            vec![a.clone(), b.clone()],
            vec![a.clone(), stopped.clone()],
            vec![stopped.clone()],
        ];
        let told: Vec<_> = looks.iter().map(|look| changes(Kind::Machine, &mut before, look)).collect();
        assert_eq!(told[0], [Change::New(&a), Change::New(&b)]);
        assert_eq!(told[1], []);
        assert_eq!(told[2], [Change::New(&stopped)]);
        assert_eq!(told[3], [Change::Gone("a".to_owned())]);
    }
}
