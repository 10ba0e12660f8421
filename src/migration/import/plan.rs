//! What a file would change: each row by its key (department and name) onto what is there, the difference told before
//! anything is written, and everything that does not go together refused.

use super::{
    super::{
        estate::{Estate, Home, Object, Server, System},
        fate::Stage,
        forms::{self, Table},
        room::{Kind, Reclassified, Room},
        said::Unit,
    },
    Fault, Note, cells,
    rows::Reading,
    table::{Found, Row},
};
use crate::{
    ids::{DepartmentId, RoomId, ServerId, SystemId},
    server::survey::Hardware,
    text::{self, fold, hex},
};
use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};

/// Faults that are told at most; what is behind them is found when they are mended.
const MOST_FAULTS: usize = 1_000;

/// What there is already.
pub struct Ground<'a> {
    pub estate: &'a Estate,
    pub departments: &'a [Unit],
    /// Systems and servers that are registered, in the survey or not, by department and name.
    pub systems: &'a HashMap<(DepartmentId, String), SystemId>,
    pub servers: &'a HashMap<(DepartmentId, String), ServerId>,
    pub today: Date,
    /// Whose import it is: a login.
    pub by: &'a str,
}

/// One value that becomes another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = SurveyFieldChange)]
pub struct FieldChange {
    /// The column's heading.
    pub field: String,
    pub from: String,
    pub to: String,
}

/// One thing that is new or becomes another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = SurveyChange)]
pub struct Change {
    /// `room`, `server` or `system`.
    pub kind: &'static str,
    pub department: String,
    pub name: String,
    /// It was not there before.
    pub new: bool,
    pub fields: Vec<FieldChange>,
}

/// What the file comes to.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What has to be written, new and changed.
    pub objects: Vec<Object>,
    /// In the file, and so already.
    pub same: usize,
    pub changes: Vec<Change>,
    pub notes: Vec<Note>,
    /// In the survey and not in the file: they stay.
    pub absent: Vec<String>,
}

impl Plan {
    /// A word for exactly these changes.
    pub fn digest(&self) -> String {
        // Nothing here cannot be written as JSON.
        let text = serde_json::to_vec(&self.changes).unwrap_or_default();
        hex(&Sha256::digest(text)).get(..32).unwrap_or_default().to_owned()
    }
}

type Key = (DepartmentId, String);

/// Names of one kind, for whoever refers to them.
struct Names<I> {
    by_key: HashMap<Key, I>,
    by_name: HashMap<String, Vec<(DepartmentId, I)>>,
}

impl<I: Copy + PartialEq> Names<I> {
    fn of(all: impl Iterator<Item = (DepartmentId, String, I)>) -> Self {
        let mut names = Self { by_key: HashMap::new(), by_name: HashMap::new() };
        all.for_each(|(department, name, id)| names.add(department, &name, id));
        names
    }

    fn add(&mut self, department: DepartmentId, name: &str, id: I) {
        let name = fold(name);
        if self.by_key.insert((department, name.clone()), id).is_none() {
            self.by_name.entry(name).or_default().push((department, id));
        }
    }

    fn own(&self, department: DepartmentId, name: &str) -> Option<I> {
        self.by_key.get(&(department, fold(name))).copied()
    }

    /// One's own department's first, else the only one of that name.
    fn find(&self, department: DepartmentId, name: &str) -> Result<I, usize> {
        if let Some(own) = self.own(department, name) {
            return Ok(own);
        }
        match self.by_name.get(&fold(name)).map(Vec::as_slice) {
            Some([(_, only)]) => Ok(*only),
            Some(several) => Err(several.len()),
            None => Err(0),
        }
    }
}

struct Planner<'a> {
    ground: &'a Ground<'a>,
    /// The survey as it would be.
    after: Estate,
    rooms: Names<RoomId>,
    servers: Names<ServerId>,
    systems: Names<SystemId>,
    /// Where each thing of the file was first.
    seen: HashMap<String, (Row, Object)>,
    faults: Vec<Fault>,
    notes: Vec<Note>,
}

/// Everything that the file would change, or everything that is wrong with it.
pub fn plan(found: Found, ground: &Ground<'_>) -> Result<Plan, Vec<Fault>> {
    let estate = ground.estate;
    let rooms = estate.rooms.values().map(|room| (room.unit.id, room.name.clone(), room.id));
    let servers = estate.servers.values().map(|server| (server.unit.id, server.name.clone(), server.id));
    let systems = estate.systems.values().map(|system| (system.unit.id, system.name.clone(), system.id));
    let mut planner = Planner {
        ground,
        after: estate.clone(),
        rooms: Names::of(rooms),
        servers: Names::of(servers),
        systems: Names::of(systems),
        seen: HashMap::new(),
        faults: Vec::new(),
        notes: found.notes,
    };
    let of = |table: Table| found.rows.iter().filter(move |(kind, _)| *kind == table).map(|(_, row)| row);
    of(Table::Rooms).for_each(|row| planner.room(row));
    of(Table::Servers).for_each(|row| planner.server(row));
    of(Table::Systems).for_each(|row| planner.system(row));
    // Whom a system needs can only be looked up when all are known.
    of(Table::Systems).for_each(|row| planner.needs(row, false));
    of(Table::Needs).for_each(|row| planner.needs(row, true));
    planner.finish()
}

impl Planner<'_> {
    fn reading<'r>(&'r mut self, row: &'r Row) -> Reading<'r> {
        Reading { row, faults: &mut self.faults, notes: &mut self.notes, today: self.ground.today }
    }

    /// Whose the row's thing is, and its name.
    fn key(&mut self, row: &Row, label: &str) -> Option<(Unit, String)> {
        let unit = self.unit(row);
        let name = self.reading(row).required("name", text::NAME, label);
        Some((unit?, name?))
    }

    fn unit(&mut self, row: &Row) -> Option<Unit> {
        let departments = self.ground.departments;
        let text = row.text("department").unwrap_or_default().to_owned();
        if text.is_empty() {
            // A sheet of one department need not say so in every row.
            if let [only] = departments {
                return Some(only.clone());
            }
            self.reading(row).refuse("department", "survey_missing", "没有填写建设单位", "填写已登记的单位名称或代码");
            return None;
        }
        let found = departments.iter().find(|unit| fold(&unit.name) == fold(&text) || unit.code == text);
        if found.is_none() {
            let what = format!("没有登记过建设单位“{}”", text::shown(&text));
            let mend = "核对单位名称；确是新的单位，先用 jiyue department create 登记";
            self.reading(row).refuse("department", "survey_department_unknown", what, mend);
        }
        found.cloned()
    }

    /// Takes the row's thing, unless the file has it already: the same once more is noted, another is a fault.
    fn take(&mut self, row: &Row, object: Object) {
        let key = format!("{} {} {}", object.kind(), object.unit().id, fold(object.name()));
        if let Some((first, known)) = self.seen.get(&key) {
            let (number, same) = (first.number, *known == object);
            let rooms = matches!((known, &object), (Object::System(a), Object::System(b)) if a.home != b.home);
            let name = object.name().to_owned();
            if same {
                let message = format!("“{name}”与第 {number} 行相同，只记一次");
                self.notes.push(Note { place: row.place("name"), column: String::new(), message });
            } else if rooms {
                let what = format!("“{name}”在第 {number} 行和这一行写在两个机房里");
                self.reading(row).refuse(
                    "room",
                    "survey_two_rooms",
                    what,
                    "一个系统只写一个机房；分开部署的，分成两个系统",
                );
            } else {
                let what = format!("“{name}”与第 {number} 行重名，内容不同");
                self.reading(row).refuse("name", "survey_twice", what, "留下正确的一行；确是两个，请改一个名称");
            }
            return;
        }
        self.after.put(object.clone());
        self.seen.insert(key, (row.clone(), object));
    }

    fn room(&mut self, row: &Row) {
        let Some((unit, name)) = self.key(row, "机房名称") else { return };
        let known = self.rooms.own(unit.id, &name).and_then(|id| self.ground.estate.rooms.get(&id)).cloned();
        let today = self.ground.today;
        let mut room = known.clone().unwrap_or_else(|| {
            let id = self.rooms.own(unit.id, &name).unwrap_or_default();
            Room::new(id, unit.clone(), name.clone(), today)
        });
        (room.unit, room.name) = (unit, name);
        let facts = &mut room.facts;
        let mut reading = self.reading(row);
        reading.room(facts);
        if facts.kind != Kind::Ordinary && facts.evidence.is_none() {
            let what = format!("填作{}，没有写证明", facts.kind.label());
            reading.refuse(
                "evidence",
                "survey_evidence_missing",
                what,
                "写明文件名称和文号；没有证明的，按普通机房填写",
            );
        }
        if let (Some(document), Some(due)) = (facts.document_on, facts.due_on)
            && due < document
        {
            let what = format!("关停期限 {due} 早于文件日期 {document}");
            reading.refuse("due_on", "survey_due_before_document", what, "核对两个日期；期限已过而未关停的，照实填写");
        }
        if let Some(known) = &known {
            if known.closed_on.is_some() && known.facts != room.facts {
                self.refuse_closed(row, "name", &known.name);
            }
            if known.facts.kind != room.facts.kind {
                room.reclassified.push(Reclassified {
                    from: known.facts.kind,
                    to: room.facts.kind,
                    on: today,
                    by: self.ground.by.to_owned(),
                    evidence: room.facts.evidence.clone(),
                });
            }
        }
        self.rooms.add(room.unit.id, &room.name, room.id);
        self.take(row, Object::Room(room));
    }

    fn refuse_closed(&mut self, row: &Row, key: &str, room: &str) {
        let what = format!("机房“{room}”已经关停");
        self.reading(row).refuse(
            key,
            "survey_room_closed",
            what,
            "核对机房；确需改动的，先由审批人写明理由重新启用该机房",
        );
    }

    /// The room that a row names. One that is closed takes in nothing.
    fn room_of(&mut self, row: &Row, unit: &Unit, now: Option<RoomId>) -> Option<RoomId> {
        let name = row.text("room").unwrap_or_default().to_owned();
        if name.is_empty() {
            self.reading(row).refuse(
                "room",
                "survey_missing",
                "没有填写所在机房",
                "填写机房名称；已在政务云的系统填 政务云",
            );
            return None;
        }
        match self.rooms.find(unit.id, &name) {
            Ok(id) => {
                let closed = self.ground.estate.rooms.get(&id).filter(|room| room.closed_on.is_some());
                if let Some(room) = closed.filter(|_| now != Some(id)) {
                    let name = room.name.clone();
                    self.refuse_closed(row, "room", &name);
                }
                Some(id)
            }
            Err(count) => {
                self.unknown(row, "room", "机房", &name, count);
                None
            }
        }
    }

    fn unknown(&mut self, row: &Row, key: &str, what: &str, name: &str, count: usize) {
        let shown = text::shown(name);
        if count == 0 {
            let mend = format!("核对名称；新的{what}写进{what}表，一起导入");
            self.reading(row).refuse(key, "survey_name_unknown", format!("没有叫“{shown}”的{what}"), mend);
        } else {
            let said = format!("有 {count} 个单位有叫“{shown}”的{what}");
            self.reading(row).refuse(key, "survey_name_ambiguous", said, "写成 单位名称/名称");
        }
    }

    fn server(&mut self, row: &Row) {
        let Some((unit, name)) = self.key(row, "服务器名称") else { return };
        let known = self.servers.own(unit.id, &name).and_then(|id| self.ground.estate.servers.get(&id)).cloned();
        let Some(room) = self.room_of(row, &unit, known.as_ref().map(|server| server.room)) else { return };
        let registered = self.ground.servers.get(&(unit.id, name.clone())).copied();
        let id = self.servers.own(unit.id, &name).or(registered);
        let mut server = known.unwrap_or_else(|| Server {
            id: id.unwrap_or_default(),
            unit: unit.clone(),
            name: name.clone(),
            room,
            hardware: Hardware::default(),
            surveyed_on: self.ground.today,
            off: None,
        });
        (server.unit, server.name, server.room) = (unit, name, room);
        self.reading(row).server(&mut server);
        self.servers.add(server.unit.id, &server.name, server.id);
        self.take(row, Object::Server(server));
    }

    fn system(&mut self, row: &Row) {
        let Some((unit, name)) = self.key(row, "系统名称") else { return };
        self.reading(row).secret();
        let known = self.systems.own(unit.id, &name).and_then(|id| self.ground.estate.systems.get(&id)).cloned();
        let home = if row.text("room").is_some_and(|text| fold(text) == forms::IN_CLOUD) {
            Some(Home::Cloud)
        } else {
            let now = known.as_ref().and_then(System::room);
            self.room_of(row, &unit, now).map(Home::Room)
        };
        let Some(home) = home else { return };
        if let Some(known) = &known
            && known.home != home
        {
            // Moving is a way with gates, and no word in a sheet.
            let told = known.stage > Stage::Surveyed || matches!((known.home, home), (Home::Room(_), Home::Cloud));
            if told {
                let what = format!("“{name}”在普查里写在别的地方，去向要按步骤办理，不能在表里改");
                self.reading(row).refuse(
                    "room",
                    "survey_moved",
                    what,
                    "用 jiyue system advance 逐步办理；原来写错的，先退回",
                );
            }
        }
        let registered = self.ground.systems.get(&(unit.id, name.clone())).copied();
        let id = self.systems.own(unit.id, &name).or(registered);
        let mut system = known.unwrap_or_else(|| {
            System::new(id.unwrap_or_default(), unit.clone(), name.clone(), home, self.ground.today)
        });
        (system.unit, system.name, system.home) = (unit, name, home);
        self.reading(row).system(&mut system);
        if let Some(text) = row.text("servers").map(str::to_owned) {
            system.servers = self.servers_of(row, &system, &text);
        }
        self.systems.add(system.unit.id, &system.name, system.id);
        self.take(row, Object::System(Box::new(system)));
    }

    /// The servers that a system runs on: all in its own room.
    fn servers_of(&mut self, row: &Row, system: &System, text: &str) -> BTreeSet<ServerId> {
        let mut servers = BTreeSet::new();
        for name in cells::names(text) {
            match self.referred(system.unit.id, &name, |planner| &planner.servers) {
                Ok(id) => {
                    let room = self.after.servers.get(&id).map(|server| server.room);
                    if room != system.room() {
                        let what =
                            format!("服务器“{}”不在这个系统的机房里；一个系统不能在两个机房", text::shown(&name));
                        self.reading(row).refuse(
                            "servers",
                            "survey_two_rooms",
                            what,
                            "核对所在机房和所在服务器，两者要一致",
                        );
                    }
                    servers.insert(id);
                }
                Err(count) => self.unknown(row, "servers", "服务器", &name, count),
            }
        }
        servers
    }

    /// `名称`, or `单位/名称`.
    fn referred<I: Copy + PartialEq>(
        &self,
        own: DepartmentId,
        name: &str,
        names: impl Fn(&Self) -> &Names<I>,
    ) -> Result<I, usize> {
        let names = names(self);
        match names.find(own, name) {
            Ok(id) => Ok(id),
            Err(count) => {
                let other = name.split_once(['/', '／']).and_then(|(unit, name)| {
                    let unit =
                        self.ground.departments.iter().find(|one| fold(&one.name) == fold(unit) || one.code == unit);
                    names.own(unit?.id, name)
                });
                other.ok_or(count)
            }
        }
    }

    /// Whom a system needs: the whole list of its row, or one more from a sheet of pairs.
    fn needs(&mut self, row: &Row, more: bool) {
        let Some(text) = row.text("needs").map(str::to_owned) else { return };
        let id = if more {
            let Some(name) = self.reading(row).required("name", text::NAME, "系统名称") else { return };
            let unit = if row.text("department").is_some_and(|text| !text.is_empty()) {
                match self.unit(row) {
                    Some(unit) => Some(unit.id),
                    None => return,
                }
            } else {
                None
            };
            let found = match unit {
                Some(unit) => self.systems.own(unit, &name).ok_or(0),
                None => self.referred(DepartmentId::default(), &name, |planner| &planner.systems),
            };
            match found {
                Ok(id) => id,
                Err(count) => return self.unknown(row, "name", "系统", &name, count),
            }
        } else {
            let unit = row.text("department").unwrap_or_default().to_owned();
            let departments = self.ground.departments;
            let unit = departments.iter().find(|one| fold(&one.name) == fold(&unit) || one.code == unit);
            let unit = unit.or(if let [only] = departments { Some(only) } else { None });
            let name = row.text("name").unwrap_or_default();
            match unit.and_then(|unit| self.systems.own(unit.id, name)) {
                Some(id) => id,
                // Why it is not there has been told.
                None => return,
            }
        };
        let Some(own) = self.after.systems.get(&id).map(|system| (system.unit.id, system.name.clone())) else { return };
        let mut needs = BTreeSet::new();
        for name in cells::names(&text) {
            match self.referred(own.0, &name, |planner| &planner.systems) {
                Ok(other) if other == id => {
                    let what = format!("“{}”写成依赖它自己", own.1);
                    self.reading(row).refuse("needs", "survey_needs_itself", what, "删去它自己的名称");
                }
                Ok(other) => _ = needs.insert(other),
                Err(count) => self.unknown(row, "needs", "系统", &name, count),
            }
        }
        if let Some(system) = self.after.systems.get_mut(&id) {
            if more {
                system.needs.extend(needs);
            } else {
                system.needs = needs;
            }
        }
    }

    fn finish(mut self) -> Result<Plan, Vec<Fault>> {
        if !self.faults.is_empty() {
            self.faults.truncate(MOST_FAULTS);
            return Err(self.faults);
        }
        let (before, after) = (self.ground.estate, &self.after);
        let mut plan = Plan { notes: self.notes, ..Plan::default() };
        for room in after.rooms.values() {
            let old = before.rooms.get(&room.id);
            let cells = (old.map(forms::room), forms::room(room));
            plan.add(forms::ROOMS, Object::Room(room.clone()), old.map(|old| old == room), cells);
        }
        for server in after.servers.values() {
            let old = before.servers.get(&server.id);
            let cells = (old.map(|old| forms::server(before, old)), forms::server(after, server));
            plan.add(forms::SERVERS, Object::Server(server.clone()), old.map(|old| old == server), cells);
        }
        for system in after.systems.values() {
            let old = before.systems.get(&system.id);
            let cells = (old.map(|old| forms::system(before, old)), forms::system(after, system));
            plan.add(forms::SYSTEMS, Object::System(Box::new(system.clone())), old.map(|old| old == system), cells);
        }
        // Of what is the same, that alone which the file names.
        let named: BTreeSet<String> = self.seen.values().map(|(_, object)| object.id()).collect();
        let written: BTreeSet<String> = plan.objects.iter().map(Object::id).collect();
        plan.same = named.iter().filter(|id| !written.contains(*id)).count();
        plan.absent = absent(before, &self.seen, &named);
        for knot in super::super::chain::Waits::new(after, self.ground.today).knots() {
            let names: Vec<&str> = knot.iter().filter_map(|id| Some(after.systems.get(id)?.name.as_str())).collect();
            let some = names.iter().take(10).copied().collect::<Vec<_>>().join("、");
            let message = format!("{} 个系统相互依赖，须同批迁移：{some}", names.len());
            plan.notes.push(Note { place: crate::place::Place::default(), column: String::new(), message });
        }
        Ok(plan)
    }
}

/// What the survey has of the kinds and departments that the file speaks of, and the file has not.
fn absent(before: &Estate, seen: &HashMap<String, (Row, Object)>, named: &BTreeSet<String>) -> Vec<String> {
    let spoken: BTreeSet<(&str, DepartmentId)> =
        seen.values().map(|(_, object)| (object.kind(), object.unit().id)).collect();
    let rooms = before.rooms.values().map(|r| ("room", "机房", r.unit.id, r.id.text(), &r.name));
    let servers = before.servers.values().map(|s| ("server", "服务器", s.unit.id, s.id.text(), &s.name));
    let systems = before.systems.values().map(|s| ("system", "信息系统", s.unit.id, s.id.text(), &s.name));
    rooms
        .chain(servers)
        .chain(systems)
        .filter(|(kind, _, unit, id, _)| spoken.contains(&(kind, *unit)) && !named.contains(id))
        .map(|(_, label, _, _, name)| format!("{label} {name}"))
        .collect()
}

impl Plan {
    fn add(
        &mut self,
        columns: &[forms::Column],
        object: Object,
        same: Option<bool>,
        (old, new): (Option<Vec<String>>, Vec<String>),
    ) {
        if same == Some(true) {
            return;
        }
        let is_new = old.is_none();
        let old = old.unwrap_or_default();
        let from = |n: usize| old.get(n).cloned().unwrap_or_default();
        let fields = columns.iter().zip(new).enumerate().filter_map(|(n, (column, to))| {
            let from = from(n);
            (from != to).then(|| FieldChange { field: column.label.to_owned(), from, to })
        });
        self.changes.push(Change {
            kind: object.kind(),
            department: object.unit().name.clone(),
            name: object.name().to_owned(),
            new: is_new,
            fields: fields.collect(),
        });
        self.objects.push(object);
    }
}
