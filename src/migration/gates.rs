//! Whether a room may be closed: gate after gate, and what is missing at the first that is shut.

use super::{
    estate::Estate,
    room::{Gate, Room, Signature},
    said::Said,
};
use crate::{ids::RoomId, text::hex};
use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A gate as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RoomGateStanding)]
pub struct Stand {
    pub gate: Gate,
    pub label: &'static str,
    pub passed: bool,
    /// What is missing, in Chinese; empty where it is passed.
    pub missing: Vec<String>,
    pub proof: Option<Said>,
}

/// Names that one sentence tells at most.
const NAMED: usize = 10;

fn named<'a>(names: impl IntoIterator<Item = &'a str>, what: &str) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    let some = names.iter().take(NAMED).copied().collect::<Vec<_>>().join("、");
    let more = if names.len() > NAMED { " 等" } else { "" };
    (!names.is_empty()).then(|| format!("{what} {} 个：{some}{more}", names.len()))
}

/// All gates of a room in their order. A gate behind one that is shut is shut, whatever was recorded of it before.
pub fn stands(estate: &Estate, room: &Room, today: Date) -> Vec<Stand> {
    let seen = seal(estate, room, today);
    let mut open = true;
    Gate::ALL
        .into_iter()
        .map(|gate| {
            let proof = room.proofs.get(&gate).cloned();
            let mut missing: Vec<String> = match gate {
                Gate::SystemsGone => {
                    let left = estate.systems_of(room.id).filter(|system| system.open(today));
                    named(left.map(|system| system.name.as_str()), "还没有迁出、停用或豁免的系统").into_iter().collect()
                }
                Gate::ServersOff => {
                    let on = estate.servers_of(room.id).filter(|server| server.off.is_none());
                    named(on.map(|server| server.name.as_str()), "还没有下电证明的服务器").into_iter().collect()
                }
                Gate::EquipmentDisposed | Gate::NetworkCut => {
                    proof.is_none().then(|| format!("没有{}的证明", gate.label())).into_iter().collect()
                }
                Gate::Signed => unsigned(room, &seen).into_iter().collect(),
            };
            if missing.is_empty() && !open {
                missing.push("前面的关口还没有通过".to_owned());
            }
            open &= missing.is_empty();
            Stand { gate, label: gate.label(), passed: missing.is_empty(), missing, proof }
        })
        .collect()
}

/// The first gate that is shut; none where all are passed.
pub fn next(estate: &Estate, room: &Room, today: Date) -> Option<Stand> {
    stands(estate, room, today).into_iter().find(|stand| !stand.passed)
}

/// Signatures under what the room is now.
pub fn valid<'r>(room: &'r Room, seen: &str) -> Vec<&'r Signature> {
    room.signatures.iter().filter(|signature| signature.seen == seen).collect()
}

fn unsigned(room: &Room, seen: &str) -> Option<String> {
    let signed = valid(room, seen);
    match signed.as_slice() {
        [] => Some("还没有人签字；要两个不同单位的两个人".to_owned()),
        [first, rest @ ..] => {
            let other = |s: &&&Signature| s.said.unit != first.said.unit && s.said.by != first.said.by;
            let missing = || format!("只有 {} 签字；还要另一个单位的另一个人", first.said.unit);
            rest.iter().find(other).is_none().then(missing)
        }
    }
}

/// What a signature is under: the room, its systems and its servers as they are. Anything that changes makes it another.
pub fn seal(estate: &Estate, room: &Room, today: Date) -> String {
    #[derive(Serialize)]
    struct Seen<'a> {
        room: (RoomId, &'a str, &'a super::room::Facts, Vec<(&'static str, &'a Said)>),
        systems: Vec<(String, &'a str, bool, bool)>,
        servers: Vec<(String, &'a str, Option<&'a Said>)>,
    }
    let proofs = room.proofs.iter().map(|(gate, said)| (gate.word(), said)).collect();
    let seen = Seen {
        room: (room.id, &room.name, &room.facts, proofs),
        systems: estate
            .systems_of(room.id)
            .map(|s| (s.id.text(), s.name.as_str(), s.gone(), s.exempt(today)))
            .collect(),
        servers: estate.servers_of(room.id).map(|s| (s.id.text(), s.name.as_str(), s.off.as_ref())).collect(),
    };
    // What cannot be written as JSON (nothing here) would be no signature's.
    serde_json::to_vec(&seen).map_or_else(|_| String::new(), |bytes| hex(&Sha256::digest(bytes)))
}
