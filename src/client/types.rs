//! What the server answers with, as its OpenAPI document says (a test reads these types from it). States and kinds are
//! words, since a newer server may know more of them; fields that a newer server adds are passed over.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $field:ident: $kind:ty),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub struct $name { $($(#[$note])* pub $field: $kind),+ }
    )+};
}

mod disks;
mod rooms;
mod waves;

pub use disks::DiskImport;
pub use rooms::{Deadline, Room, SurveyImport, SystemMove};
pub use waves::{Blackout, SystemRequests, Wave, WaveCheck};

views! {
    /// 建设单位
    Department { id: String, code: String, name: String }

    Project { code: String, name: String }

    /// One limit of a task book, in the dimension's smallest unit.
    Indicator { dimension: String, limit: i64, used: i64, free: i64 }

    /// 项目任务书
    TaskBook {
        id: String,
        number: String,
        version: i64,
        department: Department,
        project: Project,
        valid_from: Date,
        valid_until: Date,
        lease_until: Date,
        basis: String,
        indicators: Vec<Indicator>,
        revoked_at: Option<Timestamp>,
        revoked_reason: Option<String>,
    }

    /// A source of usage, and how it was when last asked.
    UsageSource {
        name: String,
        kind: String,
        url: String,
        interval_seconds: i64,
        state: String,
        collected_at: Option<Timestamp>,
        failure_code: Option<String>,
        failure: Option<String>,
        servers: i64,
        measured: i64,
    }

    /// What reading a server's past came to.
    Replayed { days_found: i64, days_written: i64 }

    /// A legacy server.
    Server {
        id: String,
        name: String,
        department: Option<Department>,
        cores: Option<i64>,
        memory_bytes: Option<i64>,
        source: Option<String>,
        instance: Option<String>,
        created_at: Timestamp,
    }

    /// Of what was measured. A percentile is never below the true one, and above it by one step of a histogram at most.
    Distribution { mean: f64, p50: f64, p95: f64, p99: f64, max: f64 }

    /// What was used over some days. What is `None` was not measured.
    Used {
        from: Date,
        to: Date,
        samples: u64,
        coverage_percent: f64,
        cpu_percent: Option<Distribution>,
        memory_percent: Option<Distribution>,
        disk_bytes_per_second: Option<Distribution>,
        received_bytes_per_second: Option<Distribution>,
        sent_bytes_per_second: Option<Distribution>,
        disk_bytes: u64,
        received_bytes: u64,
        sent_bytes: u64,
    }

    /// A day of it.
    UsedOn {
        date: Date,
        samples: u32,
        coverage_percent: f64,
        cpu_mean_percent: Option<f64>,
        cpu_max_percent: Option<f64>,
        memory_mean_percent: Option<f64>,
        disk_bytes: u64,
        received_bytes: u64,
        sent_bytes: u64,
    }

    /// A machine or a legacy server and what it has used.
    Usage {
        kind: String,
        id: String,
        name: String,
        department_id: String,
        vcpu: Option<u32>,
        memory_bytes: Option<i64>,
        usage: Used,
        /// In lists this is empty.
        #[serde(default)]
        days: Vec<UsedOn>,
    }

    /// What came of a history that was sent.
    UsageImport {
        rows: u64,
        subjects: u64,
        points: u64,
        days: u64,
        interval_seconds: Option<u32>,
        refused: Vec<Value>,
        first_refused: Vec<Value>,
        unknown_names: Vec<String>,
    }

    /// A day's verdict on a machine or a legacy server, with all that it rests on.
    Verdict {
        id: String,
        day: Date,
        subject: Value,
        judgement: Value,
        usage: Used,
        idle: Option<Value>,
        logins: Option<Value>,
        cause: Option<String>,
        advice: Vec<Value>,
    }

    /// What is advised of one machine.
    Advised { id: String, name: String, department: Department, system: Option<String>, advice: Value }

    /// That a machine may be taken back when it is judged idle.
    Agreement {
        id: String,
        machine_id: String,
        agreed_on: Date,
        until: Date,
        reason: Option<String>,
        agreed_by: String,
        agreed_at: Timestamp,
        withdrawn_on: Option<Date>,
        withdrawn_by: Option<String>,
    }

    /// A report that is kept.
    Report { id: String, kind: String, as_of: Date, department: Option<Department>, made_at: Timestamp }

    Amount { vcpu: i64, memory_bytes: i64, disk_bytes: i64 }

    HostZone { zone: String, network: String, segment: Option<String>, cidr: String, gateway: String, dns: String }

    /// A machine that cannot leave a host which is being drained.
    Stuck { machine_id: String, name: String, reason: String }

    /// How far a host's draining has come.
    Drain { total: i64, left: i64, moving: i64, stuck: Vec<Stuck>, started_at: Option<Timestamp> }

    /// 宿主机
    Host {
        id: String,
        name: String,
        state: String,
        provider: String,
        domain_type: String,
        uri: String,
        mlps_level: i64,
        capacity: Amount,
        used: Amount,
        zones: Vec<HostZone>,
        warnings: Vec<String>,
        drain: Option<Drain>,
        listed_at: Option<Timestamp>,
        contact_since: Option<Timestamp>,
        contact_reason: Option<String>,
    }

    /// 镜像
    Image {
        sha256: String,
        name: String,
        os_type: String,
        database: Option<String>,
        /// It is not the system that it stands for.
        stand_in: bool,
        format: String,
        size_bytes: i64,
        virtual_size_bytes: i64,
        hosts_present: i64,
        hosts_total: i64,
        end_of_life: Option<Date>,
        ended: bool,
        imported_at: Timestamp,
    }

    /// An image on its way to a host.
    Transfer {
        host: String,
        state: String,
        percent: i64,
        attempts: i64,
        reason: Option<String>,
        next_try: Option<Timestamp>,
        updated_at: Option<Timestamp>,
    }

    /// The file that a request came in.
    File { name: String, media_type: String, sha256: String, size_bytes: i64 }

    /// 资源申请
    Request {
        id: String,
        state: String,
        department: Option<Department>,
        task_book: String,
        /// The checked block, in the rules' own form.
        block: Value,
        block_number: i64,
        digest: String,
        file: Option<File>,
        submitted_by: String,
        submitted_unit: String,
        submitted_at: Timestamp,
        decided_by: Option<String>,
        decided_unit: Option<String>,
        decided_at: Option<Timestamp>,
        decision_reason: Option<String>,
        operation_id: Option<String>,
        machines: Vec<Machine>,
    }

    /// What a hand-in became: a request per block.
    Submitted { items: Vec<Request> }

    /// The database on a machine, without its password.
    Database { db_type: String, port: i64, database: String, role: String, credentials: String }

    /// A machine's name in the district's DNS.
    Registration {
        state: String,
        server: String,
        reason: Option<String>,
        attempts: i64,
        next_try_at: Option<Timestamp>,
        updated_at: Timestamp,
    }

    /// 虚拟机
    Machine {
        id: String,
        name: String,
        state: String,
        last_known_state: String,
        fqdn: Option<String>,
        address: String,
        mac: String,
        zone: String,
        vcpu: i64,
        memory_bytes: i64,
        disk_bytes: i64,
        image: String,
        os_type: String,
        stand_in: bool,
        database: Option<Database>,
        host: Option<String>,
        department: Option<Department>,
        request_id: String,
        operation_id: Option<String>,
        registration: Option<Registration>,
        lease_end: Date,
        om_unit: String,
        created_at: Timestamp,
        ready_at: Option<Timestamp>,
        binned_at: Option<Timestamp>,
    }

    /// A machine of a system, and why it counts as one.
    SystemMachine { id: String, name: String, by: String }

    /// 政务信息系统
    System {
        id: String,
        name: String,
        department: Option<Department>,
        purpose: String,
        scope: Option<String>,
        frequency: Option<String>,
        last_updated_on: Option<Date>,
        maintained_until: Option<Date>,
        last_login_on: Option<Date>,
        replaced_by: Option<String>,
        recorded_by: String,
        recorded_at: Timestamp,
        created_at: Timestamp,
        machines: Vec<SystemMachine>,
    }

    /// 僵尸系统判定
    ZombieFinding {
        id: String,
        system_id: String,
        system_name: String,
        department: Option<Department>,
        state: String,
        /// Criteria and evidence, as of a day.
        judgement: Value,
        question: Option<Value>,
        answer: Option<Value>,
        exemption: Option<Value>,
        exemption_over: bool,
        decision: Option<Value>,
        filing: Option<Value>,
        created_at: Timestamp,
        updated_at: Timestamp,
    }

    /// What judging a system found.
    ZombieJudgement {
        system_id: String,
        system_name: String,
        suspected: bool,
        judgement: Value,
        finding: Option<ZombieFinding>,
    }

    /// 操作: long work, durable on the server.
    Operation {
        id: String,
        kind: String,
        state: String,
        percent: i64,
        steps_done: i64,
        steps_total: i64,
        current_step: Option<String>,
        reason: Option<String>,
        request_id: Option<String>,
        machine_id: Option<String>,
        trace_id: String,
        created_at: Timestamp,
        finished_at: Option<Timestamp>,
    }

    /// 告警
    Alarm {
        id: String,
        kind: String,
        host: String,
        name: String,
        domain_id: String,
        machine_id: Option<String>,
        detail: String,
        first_seen_at: Timestamp,
        last_seen_at: Timestamp,
        acknowledged_at: Option<Timestamp>,
        acknowledged_by: Option<String>,
        cleared_at: Option<Timestamp>,
    }

    /// 审计记录
    AuditRecord {
        seq: i64,
        at: Timestamp,
        person: String,
        unit: String,
        role: String,
        action: String,
        object_type: String,
        object_id: String,
        trace_id: String,
        outcome: String,
        detail: Value,
    }

    /// A counter that differs from its rows.
    Difference { of: String, subject: String, dimension: String, recorded: i64, recomputed: i64 }

    /// A machine whose state and claims contradict each other.
    Contradiction { machine_id: String, state: String, compute_held: bool, storage_held: bool }

    /// 账目
    Ledger {
        consistent: bool,
        checked_at: Timestamp,
        task_books_checked: i64,
        hosts_checked: i64,
        differences: Vec<Difference>,
        contradictions: Vec<Contradiction>,
    }

    /// 审核规则, in the service's district.
    Rule {
        code: String,
        field: String,
        sentence: String,
        mend: String,
        document: Option<String>,
        clause: Option<String>,
        basis: String,
        jurisdiction: String,
        in_force_from: Date,
    }

    /// Something that happened, as `CloudEvents` 1.0 has it.
    Event {
        specversion: String,
        id: String,
        source: String,
        #[serde(rename = "type")]
        kind: String,
        subject: Option<String>,
        time: Timestamp,
        data: Option<Value>,
    }

    /// What became of one of the requests that were decided together.
    Outcome {
        request_id: String,
        status: u16,
        operation: Option<Operation>,
        /// The problem document of a refusal.
        problem: Option<Value>,
    }
}

/// Where a database is, with its password: given out once. Never shown by a debug print.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    pub machine_id: String,
    pub engine: String,
    pub address: String,
    pub port: i64,
    pub database: String,
    pub role: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("machine_id", &self.machine_id).finish_non_exhaustive()
    }
}

impl Operation {
    /// It ended, and well.
    pub fn succeeded(&self) -> bool {
        self.state == "succeeded"
    }

    /// It will not change any more. A newer server may know more ways to end.
    pub fn ended(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "failed" | "cancelled") || self.finished_at.is_some()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Map, json};

    /// A full value of a schema: nothing left out, nothing null.
    fn full(root: &Value, schema: &Value) -> Value {
        if let Some(path) = schema["$ref"].as_str() {
            return full(root, root.pointer(path.trim_start_matches('#')).unwrap());
        }
        if let Some(all) = schema["allOf"].as_array() {
            let parts = all.iter().map(|part| full(root, part).as_object().cloned().unwrap());
            return Value::Object(parts.flatten().collect::<Map<_, _>>());
        }
        if let Some(any) = schema["oneOf"].as_array() {
            return full(root, any.iter().find(|one| one["type"] != "null").unwrap());
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect(),
        };
        match (kinds.iter().find(|kind| **kind != "null"), schema["format"].as_str()) {
            (Some(&"string"), Some("date-time")) => json!("2026-11-21T01:00:00Z"),
            (Some(&"string"), Some("date")) => json!("2026-11-21"),
            (Some(&"string"), _) => json!("text"),
            (Some(&"integer"), _) => json!(7),
            (Some(&"number"), _) => json!(7.5),
            (Some(&"boolean"), _) => json!(true),
            (Some(&"array"), _) => json!([full(root, &schema["items"])]),
            _ => {
                let fields = schema["properties"].as_object().into_iter().flatten();
                Value::Object(fields.map(|(name, field)| (name.clone(), full(root, field))).collect())
            }
        }
    }

    /// Reads the schema's full value, and nothing that the type names may stay empty.
    fn reads<T: DeserializeOwned + Serialize>(schema: &str) {
        let root = serde_json::to_value(crate::http::openapi()).unwrap();
        let sent = full(&root, &json!({"$ref": format!("#/components/schemas/{schema}")}));
        let read: T = serde_json::from_value(sent.clone()).unwrap_or_else(|e| panic!("{schema}: {e}\n{sent}"));
        let read = serde_json::to_value(read).unwrap();
        for (name, value) in read.as_object().unwrap() {
            assert!(!value.is_null() && Some(value) == sent.get(name).or(Some(value)), "{schema}.{name}: {value}");
            assert!(sent.get(name).is_some(), "{schema} has no {name}");
        }
    }

    #[test]
    fn every_type_reads_what_the_server_documents() {
        reads::<Department>("Department");
        reads::<TaskBook>("TaskBookView");
        reads::<Host>("HostView");
        reads::<Image>("ImageView");
        reads::<Transfer>("TransferView");
        reads::<Request>("RequestView");
        reads::<Submitted>("Submitted");
        reads::<Machine>("MachineView");
        reads::<Advised>("Advised");
        reads::<UsageImport>("UsageImport");
        reads::<Agreement>("Agreement");
        reads::<Report>("ReportView");
        reads::<Used>("Summary");
        reads::<UsedOn>("DaySummary");
        reads::<Distribution>("Distribution");
        reads::<System>("SystemView");
        reads::<ZombieFinding>("FindingView");
        reads::<ZombieJudgement>("JudgementView");
        reads::<Server>("ServerView");
        reads::<UsageSource>("UsageSourceView");
        reads::<Replayed>("ReplayView");
        reads::<Operation>("Operation");
        reads::<Alarm>("AlarmView");
        reads::<Credentials>("Credentials");
        reads::<Ledger>("Verdict");
        reads::<Rule>("Rule");
        reads::<Event>("EventView");
        reads::<AuditRecord>("AuditRecord");
        reads::<Outcome>("OutcomeView");
        reads::<Room>("RoomView");
        reads::<SurveyImport>("SurveyImport");
        reads::<SystemMove>("SystemMoveView");
        reads::<Deadline>("Deadline");
        reads::<DiskImport>("DiskImportView");
    }

    #[test]
    fn a_password_is_in_no_debug_print() {
        let credentials = Credentials {
            machine_id: "m".to_owned(),
            engine: "postgresql".to_owned(),
            address: "10.0.0.2".to_owned(),
            port: 5432,
            database: "d".to_owned(),
            role: "r".to_owned(),
            password: "s3cret".to_owned(),
        };
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
