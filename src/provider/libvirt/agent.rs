//! What agents inside guests say. A guest is whoever's it is: its agent may be silent, slow, or lie at length, so it is asked
//! apart from everything else, waited for a little, and cut to size. Nobody waits for a round of questions: its answers stand
//! in later readings.

use super::{
    connection::{CALL_LIMIT, Connection, LANES},
    readings::Look,
    told::{self, Told},
};
use crate::{
    ids::MachineId,
    provider::reading::{Filesystem, Guest},
    text,
    units::Bytes,
};
use futures_util::{StreamExt, stream};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use virt::domain::Domain;

/// One guest is not asked more often than this.
pub const PAUSE: Duration = Duration::from_mins(5);
/// ... and one whose agent keeps us waiting for nothing so many times less often: many of them would take the others' turns.
const SLOWER: u32 = 6;
/// A refusal that takes longer has kept us waiting; one because no agent is there comes at once.
const SLOW: Duration = Duration::from_secs(1);
/// Seconds for each of an agent's answers, as libvirt itself gives it for its greeting.
const PATIENCE: i32 = 5;
/// Of anything that is counted, so many are looked at; libvirt passes on fewer values than that in all.
const TOLD: u64 = 2048;
/// Of logins, file systems and addresses each.
const MOST: usize = 64;
/// Characters of a name.
const LONGEST: usize = 64;

/// Asks the agents of a host's guests.
#[derive(Clone, Debug)]
pub struct Agents {
    /// Lines of its own: those of the host's other calls are never all waiting for guests.
    connection: Connection,
    pause: Duration,
    asked: Arc<Mutex<HashMap<MachineId, Asked>>>,
    /// One round at a time.
    round: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Asked {
    run: u32,
    again: Instant,
    heard: Option<(Instant, Guest)>,
}

impl Agents {
    pub fn new(connection: Connection, pause: Duration) -> Self {
        Self { connection, pause, asked: Arc::default(), round: Arc::default() }
    }

    /// The same with another pause.
    #[must_use]
    pub fn every(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Puts into readings what was heard in the same run and is not old; and begins to ask those whose turn it is.
    pub fn tell(&self, looks: &mut [Look]) {
        let now = Instant::now();
        let mut due = Vec::new();
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            // What is gone is forgotten, but not before its turn would come: it may be back at once.
            asked.retain(|machine, one| one.again > now || looks.iter().any(|look| look.machine == *machine));
            for look in looks.iter_mut().filter(|look| look.agent) {
                let known = asked.get(&look.machine);
                let heard = known.filter(|one| one.run == look.run).and_then(|one| one.heard.as_ref());
                look.reading.guest =
                    heard.filter(|(at, _)| now.duration_since(*at) < self.pause * 2).map(|(_, guest)| guest.clone());
                if known.is_none_or(|one| one.again <= now) {
                    due.push((look.machine, look.run));
                }
            }
        }
        // The turn of whoever is due while a round is under way comes with the next look.
        if let (false, Ok(turn)) = (due.is_empty(), Arc::clone(&self.round).try_lock_owned()) {
            let agents = self.clone();
            tokio::spawn(async move {
                let ask = |(machine, run)| agents.ask(machine, run);
                stream::iter(due).for_each_concurrent(LANES, ask).await;
                drop(turn);
            });
        }
    }

    async fn ask(&self, machine: MachineId, run: u32) {
        let began = Instant::now();
        let act = format!("asking the agent of {machine}");
        let told = self.connection.run(&act, CALL_LIMIT, move |call| {
            Ok(told::guest(&Domain::lookup_by_uuid(call.connect, machine.0)?, PATIENCE)?)
        });
        let told = told.await;
        let now = Instant::now();
        if let Err(error) = &told {
            tracing::debug!(host = self.connection.host(), %machine, %error, "no word from the guest's agent");
        }
        let heard = told.ok().and_then(|told| guest(&told));
        let kept_waiting = heard.is_none() && began.elapsed() > SLOW;
        let again = now + if kept_waiting { self.pause * SLOWER } else { self.pause };
        let one = Asked { run, again, heard: heard.map(|guest| (now, guest)) };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(machine, one);
    }
}

/// All that was asked for, or nothing: libvirt calls it a success when an agent has answered some of the questions only, and
/// an agent that hides its logins is not one that has none.
fn guest(told: &Told) -> Option<Guest> {
    let count = |name: &str| Some(told.number(name)?.min(TOLD));
    let (users, filesystems, cards) = (count("user.count")?, count("fs.count")?, count("if.count")?);
    let logins = (0..users).filter_map(|n| told.text(&format!("user.{n}.name"))).map(cut);
    let mut logins: Vec<_> = logins.filter(|name| !name.is_empty()).collect();
    logins.sort_unstable();
    logins.dedup();
    logins.truncate(MOST);
    let filesystems = (0..filesystems).filter_map(|n| filesystem(told, n)).take(MOST).collect();
    let on_card = |card| {
        let text = move |n| told.text(&format!("if.{card}.addr.{n}.addr"));
        (0..count(&format!("if.{card}.addr.count")).unwrap_or_default()).filter_map(text)
    };
    let addresses = (0..cards).flat_map(on_card).filter_map(|text| text.parse().ok());
    let mut addresses: Vec<IpAddr> = addresses.filter(is_of_use).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST);
    Some(Guest { logins, filesystems, addresses })
}

fn filesystem(told: &Told, n: u64) -> Option<Filesystem> {
    let bytes = |field: &str| Bytes::new(i64::try_from(told.number(&format!("fs.{n}.{field}"))?).ok()?);
    let (total, used) = (bytes("total-bytes")?, bytes("used-bytes")?);
    let mountpoint = cut(told.text(&format!("fs.{n}.mountpoint"))?);
    (used <= total && !mountpoint.is_empty()).then_some(Filesystem { mountpoint, total, used })
}

/// As much of a guest's text as is kept, without what is not seen or reorders what is.
fn cut(name: &str) -> String {
    name.chars().filter(|c| !c.is_control() && !text::is_hidden(*c)).take(LONGEST).collect()
}

/// Whether an address says where the guest is.
fn is_of_use(address: &IpAddr) -> bool {
    let local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::libvirt::told::Value;

    fn told(values: &[(&str, Value)]) -> Told {
        values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn number(n: u64) -> Value {
        Value::Number(n)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn an_honest_agent_is_heard() {
        let heard = guest(&told(&[
            ("user.count", number(3)),
            ("user.0.name", text("wang")),
            ("user.1.name", text("li")),
            ("user.2.name", text("wang")),
            ("fs.count", number(2)),
            ("fs.0.mountpoint", text("/")),
            ("fs.0.total-bytes", number(100)),
            ("fs.0.used-bytes", number(40)),
            ("fs.1.mountpoint", text("/mnt")),
            ("if.count", number(2)),
            ("if.0.addr.count", number(2)),
            ("if.0.addr.0.addr", text("127.0.0.1")),
            ("if.0.addr.1.addr", text("::1")),
            ("if.1.addr.count", number(3)),
            ("if.1.addr.0.addr", text("fe80::1")),
            ("if.1.addr.1.addr", text("2001:db8::5")),
            ("if.1.addr.2.addr", text("10.8.0.5")),
        ]))
        .unwrap();
        let root =
            Filesystem { mountpoint: "/".into(), total: Bytes::new(100).unwrap(), used: Bytes::new(40).unwrap() };
        assert_eq!(heard.logins, ["li", "wang"]);
        assert_eq!(heard.filesystems, [root]);
        assert_eq!(heard.addresses, ["10.8.0.5".parse::<IpAddr>().unwrap(), "2001:db8::5".parse().unwrap()]);
    }

    #[test]
    fn nonsense_is_left_out() {
        let heard = guest(&told(&[
            ("user.count", number(2)),
            ("user.0.name", text("\u{1b}[2J\u{202e}ro\not\0")),
            ("user.1.name", text("\u{7}\u{200b}")),
            ("fs.count", number(3)),
            ("fs.0.mountpoint", text("/full")),
            ("fs.0.total-bytes", number(1)),
            ("fs.0.used-bytes", number(2)),
            ("fs.1.mountpoint", text("/huge")),
            ("fs.1.total-bytes", number(u64::MAX)),
            ("fs.1.used-bytes", number(1)),
            ("fs.2.mountpoint", number(1)),
            ("if.count", number(1)),
            ("if.0.addr.count", number(3)),
            ("if.0.addr.0.addr", text("10.8.0.5; rm")),
            ("if.0.addr.1.addr", text("169.254.1.1")),
            ("if.0.addr.2.addr", text("0.0.0.0")),
        ]));
        assert_eq!(heard, Some(Guest { logins: vec!["[2Jroot".into()], ..Guest::default() }));
    }

    #[test]
    fn a_question_without_an_answer_spoils_the_others() {
        let counts = ["user.count", "fs.count", "if.count"].map(|name| (name, number(0)));
        assert_eq!(guest(&told(&counts)), Some(Guest::default()));
        for without in 0..3 {
            let some: Vec<_> = (0..3).filter(|n| *n != without).map(|n| counts[n].clone()).collect();
            assert_eq!(guest(&told(&some)), None);
        }
    }
}
