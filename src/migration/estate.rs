//! Everything that the survey knows, in memory: rooms, servers, systems, and who needs whom. Each is whole as it stands;
//! [`Object`] is what is kept of one whenever it changes.

use super::{
    fate::{Decision, Disposition, Exemption, Stage, Taken, Trigger},
    room::{Room, Standing},
    said::{Said, Unit},
    wave::{Blackout, Wave},
};
use crate::{
    ids::{BlackoutId, DepartmentId, RoomId, ServerId, SystemId, WaveId},
    server::survey::Hardware,
    system::{
        record::{Frequency, Scope},
        survey::Survey,
    },
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A server of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    pub id: ServerId,
    pub unit: Unit,
    pub name: String,
    pub room: RoomId,
    pub hardware: Hardware,
    pub surveyed_on: Date,
    /// It is off, and what proves it.
    #[serde(default)]
    pub off: Option<Said>,
}

/// Where a system runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    Room(RoomId),
    /// In the cloud from the first.
    Cloud,
}

/// A system of the survey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    pub id: SystemId,
    pub unit: Unit,
    pub name: String,
    pub purpose: String,
    pub scope: Option<Scope>,
    pub frequency: Option<Frequency>,
    pub last_updated_on: Option<Date>,
    pub maintained_until: Option<Date>,
    pub survey: Survey,
    pub home: Home,
    pub servers: BTreeSet<ServerId>,
    /// The systems without which it does not work.
    pub needs: BTreeSet<SystemId>,
    pub surveyed_on: Date,
    pub stage: Stage,
    /// 1 to 5, where a planner has overruled the score; and why.
    #[serde(default)]
    pub overruled: Option<(u8, Said)>,
    #[serde(default)]
    pub decision: Option<Decision>,
    /// The day of its cutover, and at which node.
    #[serde(default)]
    pub planned: Option<(Date, Trigger)>,
    #[serde(default)]
    pub exemption: Option<Exemption>,
    #[serde(default)]
    pub steps: Vec<Taken>,
}

impl System {
    /// One of which nothing else is known yet.
    pub fn new(id: SystemId, unit: Unit, name: String, home: Home, surveyed_on: Date) -> Self {
        Self {
            id,
            unit,
            name,
            purpose: String::new(),
            scope: None,
            frequency: None,
            last_updated_on: None,
            maintained_until: None,
            survey: Survey::default(),
            home,
            servers: BTreeSet::new(),
            needs: BTreeSet::new(),
            surveyed_on,
            stage: Stage::Surveyed,
            overruled: None,
            decision: None,
            planned: None,
            exemption: None,
            steps: Vec::new(),
        }
    }

    pub fn disposition(&self) -> Option<Disposition> {
        self.decision.as_ref().map(|decision| decision.disposition)
    }

    /// It runs in the cloud, and has passed its test there.
    pub fn in_cloud(&self) -> bool {
        self.home == Home::Cloud || (self.stage >= Stage::Tested && self.disposition() != Some(Disposition::Discard))
    }

    /// It is given up and switched off.
    pub fn discarded(&self) -> bool {
        self.stage >= Stage::SourceOff && self.disposition() == Some(Disposition::Discard)
    }

    /// Nothing of it runs in a room any more.
    pub fn gone(&self) -> bool {
        self.home == Home::Cloud || self.stage >= Stage::SourceOff
    }

    /// It may stay, on that day.
    pub fn exempt(&self, today: Date) -> bool {
        !self.gone() && self.exemption.as_ref().is_some_and(|exemption| exemption.until >= today)
    }

    /// It has still to leave its room.
    pub fn open(&self, today: Date) -> bool {
        !self.gone() && !self.exempt(today)
    }

    pub fn standing(&self, today: Date) -> Standing {
        match () {
            () if self.gone() => Standing::Gone,
            () if self.exempt(today) => Standing::Exempt,
            () => Standing::Pending,
        }
    }

    pub const fn room(&self) -> Option<RoomId> {
        match self.home {
            Home::Room(id) => Some(id),
            Home::Cloud => None,
        }
    }
}

/// One thing of the survey, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Object {
    Room(Room),
    Server(Server),
    System(Box<System>),
}

impl Object {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Room(_) => "room",
            Self::Server(_) => "server",
            Self::System(_) => "system",
        }
    }

    pub fn id(&self) -> String {
        match self {
            Self::Room(room) => room.id.text(),
            Self::Server(server) => server.id.text(),
            Self::System(system) => system.id.text(),
        }
    }

    pub const fn unit(&self) -> &Unit {
        match self {
            Self::Room(room) => &room.unit,
            Self::Server(server) => &server.unit,
            Self::System(system) => &system.unit,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Room(room) => &room.name,
            Self::Server(server) => &server.name,
            Self::System(system) => &system.name,
        }
    }

    pub fn standing(&self, today: Date) -> Standing {
        match self {
            Self::Room(room) => room.standing(),
            Self::Server(server) => {
                if server.off.is_some() {
                    Standing::Gone
                } else {
                    Standing::Pending
                }
            }
            Self::System(system) => system.standing(today),
        }
    }
}

/// The whole survey as of some moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estate {
    /// How often it had changed.
    pub revision: i64,
    pub rooms: BTreeMap<RoomId, Room>,
    pub servers: BTreeMap<ServerId, Server>,
    pub systems: BTreeMap<SystemId, System>,
    /// As they are now; of a past day nothing is kept of these two.
    pub waves: BTreeMap<WaveId, Wave>,
    pub blackouts: BTreeMap<BlackoutId, Blackout>,
}

impl Estate {
    pub fn put(&mut self, object: Object) {
        match object {
            Object::Room(room) => _ = self.rooms.insert(room.id, room),
            Object::Server(server) => _ = self.servers.insert(server.id, server),
            Object::System(system) => _ = self.systems.insert(system.id, *system),
        }
    }

    pub fn of(objects: impl IntoIterator<Item = Object>, revision: i64) -> Self {
        let mut estate = Self { revision, ..Self::default() };
        for object in objects {
            estate.put(object);
        }
        estate
    }

    pub fn systems_of(&self, room: RoomId) -> impl Iterator<Item = &System> {
        self.systems.values().filter(move |system| system.room() == Some(room))
    }

    pub fn servers_of(&self, room: RoomId) -> impl Iterator<Item = &Server> {
        self.servers.values().filter(move |server| server.room == room)
    }

    /// The waves that a system stands in.
    pub fn waves_of(&self, system: SystemId) -> impl Iterator<Item = &Wave> {
        self.waves.values().filter(move |wave| wave.systems.contains_key(&system))
    }

    /// What a department may see of it: its own. Others' systems that its own need stay out.
    #[must_use]
    pub fn only(&self, department: DepartmentId) -> Self {
        Self {
            revision: self.revision,
            rooms: self.rooms.iter().filter(|(_, r)| r.unit.id == department).map(|(k, v)| (*k, v.clone())).collect(),
            servers: self
                .servers
                .iter()
                .filter(|(_, s)| s.unit.id == department)
                .map(|(k, v)| (*k, v.clone()))
                .collect(),
            systems: self
                .systems
                .iter()
                .filter(|(_, s)| s.unit.id == department)
                .map(|(k, v)| (*k, v.clone()))
                .collect(),
            ..Self::default()
        }
    }
}
