//! The parts of a machine that are made: itself with its seed, its power, and that its guest answers.

use super::{
    KubevirtCluster,
    api::{self, INSTANCES, MACHINES},
    is_owned, marks, objects, seen,
};
use crate::provider::{Intent, ProviderError};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long one look waits for a guest to answer.
const ANSWER_AWAITED: Duration = Duration::from_secs(2);

impl KubevirtCluster {
    /// The machine, told to run, and its seed with the note of it. Two writes, in this order: the note stands in the seed
    /// from the first, and no guest starts before its seed is there, which its pod waits for. What is there already is found.
    pub(super) async fn ensure_made(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        let (tenancy, _) = self.place_of(act, intent)?;
        let seed = objects::seed(&self.settings, intent, tenancy);
        let mut seed = seed.map_err(|error| api::permanent(act, error.to_string()))?;
        let (machine, is_new) =
            self.made(MACHINES, act, intent, &objects::machine(&self.settings, intent, tenancy)).await?;
        seed["metadata"]["annotations"] = note_of(&machine);
        let done = self.ensure_seed(act, intent, &seed).await;
        if done.is_err() && is_new {
            // Under somebody else's seed, or after one that is gone: it is not to be. It is deleted by its UID; where that
            // fails, it bears our marks, and the build that is turned back removes it.
            self.cluster.delete(MACHINES, &machine, None).await?;
        } else if is_new {
            self.recent.note(MACHINES, machine);
        }
        done
    }

    /// The seed as it is wanted, of the machine that it is noted with.
    async fn ensure_seed(&self, act: &str, intent: &Intent, wanted: &Value) -> Result<(), ProviderError> {
        let (there, is_new) = self.made(api::SECRETS, act, intent, wanted).await?;
        let made = &wanted["metadata"]["annotations"][marks::MADE];
        match &there["metadata"]["annotations"][marks::MADE] {
            noted if noted == made && (is_new || holds(&there, wanted)) => Ok(()),
            noted if noted == made || noted.is_null() => {
                let change =
                    json!({"metadata": {"annotations": {marks::MADE: made}}, "stringData": wanted["stringData"]});
                self.cluster.change(api::SECRETS, &there, &change).await.map(drop)
            }
            _ => Err(gone(act)),
        }
    }

    /// The documents of the seed without a password that the guest has taken by now.
    pub(super) async fn clear_documents(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        let (tenancy, _) = self.place_of(act, intent)?;
        let wanted = objects::seed(&self.settings, intent, tenancy);
        let wanted = wanted.map_err(|error| api::permanent(act, error.to_string()))?;
        match self.own(api::SECRETS, act, intent, &objects::seed_name(intent)).await? {
            Some(there) if !holds(&there, &wanted) => {
                let change = json!({"stringData": wanted["stringData"]});
                self.cluster.change(api::SECRETS, &there, &change).await.map(drop)
            }
            Some(_) => Ok(()),
            None => Err(api::permanent(act, "the seed is missing".to_owned())),
        }
    }

    /// A machine that was made, if that was a moment ago and by us.
    pub(super) fn just_made(&self, act: &str, intent: &Intent) -> Result<Option<Value>, ProviderError> {
        let (_, namespace) = self.place_of(act, intent)?;
        Ok(self.recent.take(MACHINES, &namespace, &intent.name).filter(|machine| marks::is_of(machine, intent)))
    }

    /// The machine that was made with the seed. One that is gone is not made again: its disk belonged to it and went with it,
    /// and an empty machine under the old name would look as if nothing had happened.
    pub(super) async fn required_as_made(&self, act: &str, intent: &Intent) -> Result<Value, ProviderError> {
        let Some(seed) = self.own(api::SECRETS, act, intent, &objects::seed_name(intent)).await? else {
            return Err(api::permanent(act, "the seed is missing".to_owned()));
        };
        let noted = &seed["metadata"]["annotations"][marks::MADE];
        match self.machine(act, intent).await? {
            Some(machine) if machine["metadata"]["uid"] == *noted => Ok(machine),
            Some(machine) if noted.is_null() => {
                let change = json!({"metadata": {"annotations": note_of(&machine)}});
                self.cluster.change(api::SECRETS, &seed, &change).await?;
                Ok(machine)
            }
            _ => Err(gone(act)),
        }
    }

    /// The machine's power on. It was told to run when it was made.
    pub(super) async fn ensure_power(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        if self.just_made(act, intent)?.is_some() {
            return Ok(());
        }
        let machine = self.required_as_made(act, intent).await?;
        if !seen::wants_to_run(&machine) {
            return self.strategy(&machine, seen::ON).await;
        }
        // It is to run already. An instance that has come to its end is in the way of the next one.
        match self.instance(&machine).await? {
            Some(instance) if !seen::is_alive(&instance) && instance["metadata"]["deletionTimestamp"].is_null() => {
                self.cluster.delete(INSTANCES, &instance, None).await
            }
            _ => Ok(()),
        }
    }

    /// What KubeVirt says of the guest: that it runs and, on the pod network, that its SSH answers a node of the cluster.
    /// Waits a moment for it, as long as the watches tell.
    pub(super) async fn answers(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        let (_, namespace) = self.place_of(act, intent)?;
        let addressed = |instance: &Value| intent.network.link.is_fixed() || seen::address(instance).is_some();
        let ready = |one: &Value| seen::is_ready(one) && addressed(one);
        let deadline = Instant::now() + ANSWER_AWAITED;
        loop {
            let mut news = self.watches.news();
            // Only looked at, and what the watches have may be a moment old: then the next look finds it.
            let told = self.watches.peek(&namespace, &intent.name, |machine, instance| {
                let instance = instance.filter(|one| is_owned(one, machine));
                marks::is_of(machine, intent) && instance.is_some_and(ready)
            });
            if told.await? == Some(true) {
                return Ok(());
            }
            if !self.watches.stand() || timeout_at(deadline, news.changed()).await.is_err() {
                break;
            }
        }
        let told = self.watches.peek(&namespace, &intent.name, |machine, instance| {
            marks::is_of(machine, intent)
                .then(|| seen::obstacle(machine, instance.filter(|one| is_owned(one, machine))))
        });
        let reason = if let Some(Some(reason)) = told.await? {
            reason
        } else {
            let machine = self.required(act, intent).await?;
            match self.instance(&machine).await? {
                Some(instance) if ready(&instance) => return Ok(()),
                instance => seen::obstacle(&machine, instance.as_ref()),
            }
        };
        Err(ProviderError::Transient { act: act.to_owned(), reason })
    }
}

/// What a seed says of the machine that was made with it.
fn note_of(machine: &Value) -> Value {
    json!({marks::MADE: machine["metadata"]["uid"]})
}

fn gone(act: &str) -> ProviderError {
    let reason = "it was deleted behind our back, and its disk with it; it is not made anew without its data";
    api::permanent(act, reason.to_owned())
}

/// Whether the secret has these documents.
fn holds(secret: &Value, wanted: &Value) -> bool {
    let documents = wanted["stringData"].as_object();
    documents.into_iter().flatten().all(|(key, text)| {
        let encoded = text.as_str().map(|text| STANDARD.encode(text));
        secret["data"][key].as_str() == encoded.as_deref()
    })
}
