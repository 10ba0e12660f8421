//! A machine's way from one host to another that shares nothing with it: the order of things. What is next is judged anew
//! after each step, by what both hosts say (`plan.rs`), so that whoever comes after a broker that died goes on from
//! wherever it got to.
//!
//! | Machine | How |
//! |---|---|
//! | runs | `live.rs`: it keeps running, with its memory, and with its address, which it cannot change |
//! | is off | `copy.rs`: its disk is copied and compared; its address may be another one from its next start on |
//!
//! Its disk is removed at the source last of all, when the destination has the machine, and only what carries its mark.

mod copy;
mod live;
mod plan;

use super::{
    IMAGE_LIMIT, LibvirtHost, LibvirtSettings, Way,
    connection::{CALL_LIMIT, Call},
    domain,
    domain_xml::Places,
    filter, network,
    network_xml::{Lease, Record},
    progress::Progress,
    storage, volume_xml,
};
use crate::provider::{Destination, Intent, Journey, Link, Provider, ProviderError, seed};
use live::Peer;
use plan::{Step, There};
use std::time::Duration;
use tokio::time::sleep;

/// How long memory and disk may travel.
const TRAVEL_LIMIT: Duration = Duration::from_hours(12);
/// How often a job is asked how far it has come.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// More steps than any journey has; see the tests of the plan.
const STEPS: usize = 16;

/// One journey under way.
struct Travel {
    act: String,
    here: LibvirtHost,
    there: LibvirtHost,
    journey: Journey,
    progress: Progress,
}

impl LibvirtHost {
    /// Moves the machine. Runs to its end in a task of its own: a caller that goes away leaves nothing half-way that would
    /// not go on, or be gone on with by the next one.
    pub(super) async fn travel(&self, journey: &Journey, progress: &Progress) -> Result<(), ProviderError> {
        let act = format!("moving {}", journey.from.name);
        let refuse = |reason: &str| ProviderError::Permanent { act: act.clone(), reason: reason.to_owned() };
        let Destination::Libvirt(settings) = &journey.destination else {
            return Err(refuse("the other host is of another kind"));
        };
        for intent in [&journey.from, &journey.to] {
            super::check(intent).map_err(refuse)?;
        }
        let who = |intent: &Intent| (intent.machine, intent.operation, intent.name.clone(), intent.image.clone());
        if who(&journey.from) != who(&journey.to) {
            return Err(refuse("the two intents are not of one machine"));
        }
        if settings.uri == self.settings.uri {
            return Err(refuse("the two hosts are one"));
        }
        let travel = Travel {
            act: act.clone(),
            here: self.clone(),
            there: self.peer(settings),
            journey: journey.clone(),
            progress: progress.clone(),
        };
        let machine = self.lock(&self.machine_lock(journey.from.machine), &act).await?;
        let turn = std::sync::Arc::clone(&self.leaving);
        let task = tokio::spawn(async move {
            // One at a time leaves a host: two at once would only slow each other down.
            let _turn = turn.lock_owned().await;
            let result = travel.run().await;
            drop(machine);
            result
        });
        task.await.map_err(|e| ProviderError::Transient { act, reason: e.to_string() })?
    }

    /// The other host, with its connections and with what is known of its images from the last time.
    fn peer(&self, settings: &LibvirtSettings) -> Self {
        let mut peers = self.peers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = peers.iter().find(|peer| peer.settings == *settings).cloned();
        known.unwrap_or_else(|| {
            // Settings that have changed make another host of it.
            peers.retain(|peer| peer.settings.name != settings.name);
            let peer = Self::new(settings.clone());
            peers.push(peer.clone());
            peer
        })
    }
}

impl Travel {
    fn error(&self, reason: &str) -> ProviderError {
        ProviderError::Permanent { act: self.act.clone(), reason: reason.to_owned() }
    }

    fn not_yet(&self, reason: &str) -> ProviderError {
        ProviderError::Transient { act: self.act.clone(), reason: reason.to_owned() }
    }

    async fn run(self) -> Result<(), ProviderError> {
        let (mut failed, mut copied) = (None, None);
        let mut both = 0;
        for _ in 0..STEPS {
            // The source first: a job that ends between the two looks is then seen where it has arrived, not nowhere.
            let (here, there) =
                (self.look(&self.here, &self.journey.from).await?, self.look(&self.there, &self.journey.to).await?);
            let step = plan::next(here, there);
            tracing::info!(machine = %self.journey.from.machine, ?here, ?there, ?step, "machine.moving");
            match step {
                Step::Arrived => return self.arrived().await,
                Step::Foreign => {
                    return Err(ProviderError::NotOurs { what: format!("domain {}", self.journey.from.name) });
                }
                Step::Gone => return Err(self.error("neither host has it")),
                Step::Wait => return Err(self.not_yet("the source has let go and the destination has not begun")),
                // A look at two hosts is not one instant; the second time it is believed.
                Step::Both if both == 0 => both += 1,
                Step::Both => return Err(self.error("both hosts run it; nothing was touched")),
                Step::Follow => self.follow().await?,
                Step::Resume => {
                    let intent = self.journey.from.clone();
                    self.here.within(&self.act, CALL_LIMIT, move |call, _| live::resume(call.connect, &intent)).await?;
                }
                Step::ClearThere => self.clear_there().await?,
                Step::DropHere => self.drop_here().await?,
                Step::Compare => {
                    if self.is_same_disk(copied.as_ref()).await? {
                        self.drop_here().await?;
                    } else {
                        self.clear_there().await?;
                    }
                }
                Step::Live | Step::Cold => {
                    if let Some(error) = failed {
                        // Cleanly where it was. Should this fail too, the next attempt begins with it.
                        if let Err(error) = self.clear_there().await {
                            tracing::warn!(%error, "the destination was not cleared");
                        }
                        return Err(error);
                    }
                    let sent = if step == Step::Live {
                        self.send().await
                    } else {
                        self.copy().await.map(|stamp| copied = Some(stamp))
                    };
                    failed = sent.err();
                    if let Some(error) = &failed {
                        tracing::warn!(machine = %self.journey.from.machine, %error, "machine.move_failed");
                    }
                }
            }
        }
        Err(failed.unwrap_or_else(|| self.not_yet("the two hosts do not come to an agreement")))
    }

    async fn look(&self, host: &LibvirtHost, intent: &Intent) -> Result<There, ProviderError> {
        let intent = intent.clone();
        host.connection.run(&self.act, CALL_LIMIT, move |call: &Call<'_>| live::look(call.connect, &intent)).await
    }

    async fn follow(&self) -> Result<(), ProviderError> {
        loop {
            let (intent, progress) = (self.journey.from.clone(), self.progress.clone());
            let ask = move |call: &Call<'_>| live::follow(call.connect, &intent, &progress);
            if !self.here.connection.run(&self.act, CALL_LIMIT, ask).await? {
                return Ok(());
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// Removes what an earlier attempt has left at the destination; nothing there has ever run, or the source is newer.
    async fn clear_there(&self) -> Result<(), ProviderError> {
        let intent = self.journey.to.clone();
        let clear = move |call: &Call<'_>, pool: &_| {
            live::drop_domain(call.connect, &intent, &[There::Off, There::Held, There::Busy])?;
            remove_volumes(call, pool, &intent)
        };
        self.there.within(&self.act, CALL_LIMIT, clear).await?;
        self.release(&self.there, &self.journey.to).await
    }

    /// Removes the domain at the source, which does not run.
    async fn drop_here(&self) -> Result<(), ProviderError> {
        let intent = self.journey.from.clone();
        let drop = move |call: &Call<'_>| live::drop_domain(call.connect, &intent, &[There::Off, There::Held]);
        self.here.connection.run(&self.act, CALL_LIMIT, drop).await
    }

    /// The destination has it: nothing may stay at the source.
    async fn arrived(&self) -> Result<(), ProviderError> {
        let intent = self.journey.from.clone();
        self.here.within(&self.act, CALL_LIMIT, move |call, pool| remove_volumes(call, pool, &intent)).await?;
        self.release(&self.here, &self.journey.from).await?;
        self.progress.set(1, 1);
        Ok(())
    }

    /// Takes back the reserved address and the name, where the host has given them.
    async fn release(&self, host: &LibvirtHost, intent: &Intent) -> Result<(), ProviderError> {
        host.remove(crate::provider::Part::Name, intent).await?;
        host.remove(crate::provider::Part::Address, intent).await
    }

    /// What the machine stands on at the destination.
    async fn prepare_there(&self) -> Result<(), ProviderError> {
        let to = &self.journey.to;
        self.there.ensure_image(&self.act, &to.image, &Progress::default()).await?;
        let (network, away) = (to.network.clone(), self.there.away(&to.network).await?);
        let filter = move |call: &Call<'_>| filter::ensure(call.connect, &network, &away);
        self.there.connection.run(&self.act, CALL_LIMIT, filter).await?;
        if to.network.link == Link::Network {
            let (lease, record) = (Lease::of(to), Record::of(to));
            // Whether the name is answered is not asked: until it has arrived the old host answers for it.
            let reserve = move |call: &Call<'_>, name: &str| {
                network::ensure_lease(call.connect, name, &lease)?;
                record.map_or(Ok(()), |record| network::ensure_record(call.connect, name, &record))
            };
            self.there.on_network(&self.act, to, reserve).await?;
        }
        Ok(())
    }

    async fn send(&self) -> Result<(), ProviderError> {
        let (from, to) = (&self.journey.from, &self.journey.to);
        may_stay_awake(from, to).map_err(|reason| self.error(reason))?;
        let peer = self.way_there().await?;
        self.prepare_there().await?;
        let intent = from.clone();
        let leaving =
            self.here.within(&self.act, CALL_LIMIT, move |call, pool| live::leaving(call, pool, &intent)).await?;
        let (seed, capacity, intent) = (leaving.seed, leaving.capacity, to.clone());
        let lay = move |call: &Call<'_>, pool: &_| {
            // Of an attempt before this one; what is not overwritten must not shine through.
            storage::delete(pool, &volume_xml::disk_name(&intent))?;
            storage::ensure_bytes(call.connect, pool, &volume_xml::seed_name(&intent), &seed, false)?;
            let grown = Intent { disk: capacity, ..intent.clone() };
            storage::ensure_disk(call.connect, pool, &grown, false)?;
            domain::ensure_console(pool, &intent)?;
            domain::places(pool, &intent)
        };
        let places: Places = self.there.within(&self.act, CALL_LIMIT, lay).await?;
        let journey = self.journey.clone();
        let send = move |call: &Call<'_>| live::send(call, &journey, &leaving.places, &places, &peer);
        let sending = self.here.connection.run(&self.act, TRAVEL_LIMIT, send);
        let mut sending = std::pin::pin!(sending);
        loop {
            tokio::select! {
                sent = &mut sending => return sent,
                () = sleep(ASK_EVERY) => {
                    let (intent, progress) = (from.clone(), self.progress.clone());
                    let ask = move |call: &Call<'_>| live::follow(call.connect, &intent, &progress);
                    // Only for the telling; the sending itself knows what is wrong.
                    let _ = tokio::select! {
                        sent = &mut sending => return sent,
                        asked = self.here.connection.run(&self.act, CALL_LIMIT, ask) => asked,
                    };
                }
            }
        }
    }

    /// How the source's libvirtd reaches the destination's.
    async fn way_there(&self) -> Result<Peer, ProviderError> {
        let (kind, theirs) = (self.here.settings.domain_type, self.there.settings.domain_type);
        if kind != theirs {
            let reason =
                format!("a running {} machine cannot become a {} one: stop it first", kind.word(), theirs.word());
            return Err(self.error(&reason));
        }
        match (self.there.connection.way()?, self.there.connection.whereabouts().await?) {
            (Way::Remote(remote), Some(address)) => Ok(Peer {
                uri: remote.for_peers(address),
                data_uri: remote.for_data(address),
                tls: remote.tls,
                kind,
            }),
            _ => Err(self.error(
                "the destination is known by a socket of the broker's machine, where its neighbours cannot reach it: enter it by qemu+tls, or stop the machine first",
            )),
        }
    }

    /// Copies the disk and defines the machine at the destination, which is the moment of its arrival there.
    async fn copy(&self) -> Result<copy::Stamp, ProviderError> {
        let (from, to) = (&self.journey.from, &self.journey.to);
        let stamp = self.stamp().await?;
        self.prepare_there().await?;
        let bases = self.bases().await?;
        let bytes = seed::volume(to).map_err(|e| self.error(&e.to_string()))?;
        let (sender, receiver) = copy::pipe();
        let intent = from.clone();
        let read = move |call: &Call<'_>, pool: &_| {
            copy::read_as_there(call, pool, &intent, &bases, |part| {
                sender
                    .send(part)
                    .map_err(|_| super::fault::Fault::Transient("the destination takes no more".to_owned()))
            })
        };
        let (intent, progress, length) = (to.clone(), self.progress.clone(), stamp.0);
        let write =
            move |call: &Call<'_>, pool: &_| copy::write_there(call, pool, &intent, length, receiver, &progress);
        let (read, written) = tokio::join!(
            self.here.within(&self.act, IMAGE_LIMIT, read),
            self.there.within(&self.act, IMAGE_LIMIT, write)
        );
        // Of two ends that fail together, the one that could not write knows why.
        written?;
        let (digest, there) = (read?, self.digest_there().await?);
        if digest != there {
            return Err(self.not_yet("the disk did not arrive whole"));
        }
        if self.stamp().await? != stamp {
            return Err(self.not_yet("the disk was written to while it was copied"));
        }
        let (intent, setting) = (to.clone(), self.there.setting(&to.network).await?);
        let define = move |call: &Call<'_>, pool: &_| {
            storage::ensure_bytes(call.connect, pool, &volume_xml::seed_name(&intent), &bytes, false)?;
            domain::ensure_defined(call.connect, pool, &intent, &setting)
        };
        self.there.within(&self.act, CALL_LIMIT, define).await?;
        Ok(stamp)
    }

    async fn stamp(&self) -> Result<copy::Stamp, ProviderError> {
        let intent = self.journey.from.clone();
        self.here.within(&self.act, CALL_LIMIT, move |call, pool| copy::stamp(call, pool, &intent)).await
    }

    async fn bases(&self) -> Result<copy::Bases, ProviderError> {
        let path = async |host: &LibvirtHost| {
            let name = volume_xml::image_name(&self.journey.to.image);
            host.within(&self.act, CALL_LIMIT, move |_, pool| storage::path_of(pool, &name)).await
        };
        Ok(copy::Bases { from: path(&self.here).await?, to: path(&self.there).await? })
    }

    async fn digest_there(&self) -> Result<String, ProviderError> {
        let (intent, progress) = (self.journey.to.clone(), self.progress.clone());
        let read = move |call: &Call<'_>, pool: &_| copy::digest_there(call, pool, &intent, &progress);
        self.there.within(&self.act, IMAGE_LIMIT, read).await
    }

    /// Whether the resting copy at the destination is the source's disk as it is now. A copy that this very call has
    /// compared need not be read again, if nobody has written to the source since.
    async fn is_same_disk(&self, copied: Option<&copy::Stamp>) -> Result<bool, ProviderError> {
        let now = self.stamp().await?;
        if copied == Some(&now) {
            return Ok(true);
        }
        let (intent, bases) = (self.journey.from.clone(), self.bases().await?);
        let read = move |call: &Call<'_>, pool: &_| copy::read_as_there(call, pool, &intent, &bases, |_| Ok(()));
        let here = self.here.within(&self.act, IMAGE_LIMIT, read).await?;
        Ok(here == self.digest_there().await?)
    }
}

/// The machine's volumes on a host that has no domain of it any more.
fn remove_volumes(
    call: &Call<'_>,
    pool: &virt::storage_pool::StoragePool,
    intent: &Intent,
) -> Result<(), super::fault::Fault> {
    domain::must_be_gone(call.connect, intent)?;
    storage::delete(pool, &volume_xml::disk_name(intent))?;
    storage::delete(pool, &volume_xml::seed_name(intent))?;
    storage::delete_all(pool, &volume_xml::console_name(intent))
}

/// A running guest keeps its card and its address. On a network of each host's own it does not hear of another gateway
/// either; on a bridge that hosts share the old one goes on serving it.
fn may_stay_awake(from: &Intent, to: &Intent) -> Result<(), &'static str> {
    let card = |intent: &Intent| {
        let network = &intent.network;
        let gateway = (network.link == Link::Network).then_some(network.gateway);
        (network.link, network.mac.to_ascii_lowercase(), network.address, gateway)
    };
    if card(from) != card(to) {
        return Err("a running machine cannot change its address, its card or its gateway: stop it first");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::intent;

    #[test]
    fn awake_it_may_only_change_its_network_s_name() {
        let (from, mut to) = (intent(), intent());
        to.network.network = "another".into();
        to.network.mac.make_ascii_uppercase();
        assert_eq!(may_stay_awake(&from, &to), Ok(()));
        for change in [
            |i: &mut Intent| i.network.address = "10.8.0.6".parse().unwrap(),
            |i: &mut Intent| i.network.gateway = "10.8.0.2".parse().unwrap(),
            |i: &mut Intent| i.network.mac = "52:54:00:00:00:06".into(),
            |i: &mut Intent| i.network.link = Link::Bridge { prefix: 24 },
        ] {
            let mut to = intent();
            change(&mut to);
            assert!(may_stay_awake(&from, &to).is_err());
        }
    }
}
