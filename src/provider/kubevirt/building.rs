//! The parts of a machine that are made: its seed, itself, and that its guest answers.

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

/// What is known of where a machine's object comes from.
pub(super) enum Origin {
    /// By its seed, which says nothing of one.
    NeverMade {
        seed: Value,
    },
    Made {
        machine: Value,
    },
}

impl KubevirtCluster {
    pub(super) async fn ensure_seed(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        let (tenancy, _) = self.place_of(act, intent)?;
        let wanted = objects::seed(&self.settings, intent, tenancy);
        let wanted = wanted.map_err(|error| api::permanent(act, error.to_string()))?;
        let (there, new) = self.made(api::SECRETS, act, intent, &wanted).await?;
        let there = if new || holds(&there, &wanted) {
            there
        } else {
            self.cluster.change(api::SECRETS, &there, &json!({"stringData": wanted["stringData"]})).await?
        };
        self.recent.note(api::SECRETS, there);
        Ok(())
    }

    /// What a machine was made of. One that was made before and is gone is not made again: its disk belonged to it and went
    /// with it, and an empty machine under the old name would look as if nothing had happened.
    pub(super) async fn ensure_made_once(&self, act: &str, intent: &Intent) -> Result<Origin, ProviderError> {
        let Some(seed) = self.own_lately(api::SECRETS, act, intent, &objects::seed_name(intent)).await? else {
            return Err(api::permanent(act, "the seed is missing".to_owned()));
        };
        let Some(uid) = seed["metadata"]["annotations"][marks::MADE].as_str() else {
            return Ok(Origin::NeverMade { seed });
        };
        match self.machine(act, intent).await? {
            Some(machine) if machine["metadata"]["uid"] == *uid => Ok(Origin::Made { machine }),
            _ => {
                let reason =
                    "it was deleted behind our back, and its disk with it; it is not made anew without its data";
                Err(api::permanent(act, reason.to_owned()))
            }
        }
    }

    /// A machine is made with its first start, in one write. What is there already, it finds.
    pub(super) async fn ensure_power(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        let (tenancy, _) = self.place_of(act, intent)?;
        let machine = match self.ensure_made_once(act, intent).await? {
            Origin::Made { machine } => machine,
            Origin::NeverMade { seed } => {
                let object = objects::machine(&self.settings, intent, tenancy);
                let (machine, new) = self.made(MACHINES, act, intent, &object).await?;
                let note = json!({"metadata": {"annotations": {marks::MADE: machine["metadata"]["uid"]}}});
                self.cluster.change(api::SECRETS, &seed, &note).await?;
                if new {
                    return Ok(());
                }
                machine
            }
        };
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

/// Whether the secret has these documents.
fn holds(secret: &Value, wanted: &Value) -> bool {
    let documents = wanted["stringData"].as_object();
    documents.into_iter().flatten().all(|(key, text)| {
        let encoded = text.as_str().map(|text| STANDARD.encode(text));
        secret["data"][key].as_str() == encoded.as_deref()
    })
}
