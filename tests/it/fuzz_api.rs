//! Invented calls of every route, by every role, generated from the OpenAPI document: nothing is answered by a fault of
//! ours, and nothing otherwise than the document says. `EXAMPLES=` as many for each route and role, `SEED=` (`make fuzz-api`).

use crate::support::broker::{self, Broker, Cast, On, Setup};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Command, time::Duration};

/// Invented for one route and role, beside what the document itself suggests.
const EXAMPLES: u64 = 4;
/// What an answer is held to.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,negative_data_rejection,ignored_auth,unsupported_method,missing_required_header";

/// Refusals that the tool does not know for such: a change without `If-Match` of something that is there is answered by 428,
/// and one with another version's by 412 before anybody looks at the rest.
const CONFIGURATION: &str = "[checks]\nmissing_required_header.expected-statuses = [400, 401, 403, 406, 415, 422, 428]\n\
    negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429]\n";

fn tool() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/schemathesis.sh");
    let out = Command::new(script).output().expect("the script runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    PathBuf::from(String::from_utf8_lossy(&out.stdout).trim())
}

struct Run {
    tool: PathBuf,
    folder: PathBuf,
    url: String,
    examples: usize,
    seed: u64,
}

impl Run {
    /// The whole document by one role; answers how many cases there were, and what was wrong with the answers.
    fn by(&self, role: &str, token: &str) -> (u64, Vec<String>) {
        let folder = self.folder.join(role);
        std::fs::create_dir_all(&folder).expect("a folder");
        let report = folder.join("report.json");
        std::fs::write(folder.join("schemathesis.toml"), CONFIGURATION).expect("a file");
        let out = Command::new(&self.tool)
            .current_dir(&folder)
            .args(["run", &format!("{}/v1/openapi.json", self.url), "--phases", "examples,coverage,fuzzing"])
            // Its own threads trip over one another; the roles are at work side by side instead.
            .args(["--checks", CHECKS, "--workers", "1", "--seed", &self.seed.to_string()])
            .args(["--max-examples", &self.examples.to_string(), "--continue-on-failure", "--no-shrink"])
            .args(["--header", &format!("Authorization:Bearer {token}"), "--suppress-health-check", "all"])
            .args(["--request-timeout", "60", "--report", "json", "--report-json-path"])
            .arg(&report)
            .env("NO_COLOR", "1")
            .output()
            .expect("schemathesis runs");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let report: Value = std::fs::read_to_string(&report)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_else(|| panic!("{role}: no report\n{said}\n{}", String::from_utf8_lossy(&out.stderr)));
        assert_eq!(report["complete"], true, "{role}: {said}");
        let routes = &report["operations"];
        assert_eq!((&routes["tested"], &routes["skipped"]), (&routes["total"], &json!(0)), "{role}: {said}");
        let list =
            |what: &str| report[what].as_array().expect("a list").iter().map(Value::to_string).collect::<Vec<_>>();
        let faults = [list("failures"), list("errors")].concat();
        if !faults.is_empty() {
            eprintln!("{said}");
        }
        let cases = said.lines().find_map(|line| line.trim().split_once(" generated,")?.0.parse().ok());
        (cases.expect("the number of cases"), faults)
    }
}

/// A broker with a bit of everything to find.
async fn stocked(on: On) -> (Broker, Cast) {
    let broker = Broker::start(Setup::new(on).with("JIYUE_LOG_FILTER", "warn")).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
    let path = format!("/v1/requests/{}/approve", made["items"][0]["id"].as_str().unwrap());
    let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
    broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(20)).await;
    (broker, cast)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_is_answered_as_the_document_says() {
    let tool = tool();
    let setting = |name: &str, default: u64| {
        std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let (examples, seed) = (setting("EXAMPLES", EXAMPLES), setting("SEED", 7));
    let (sqlite, postgres) = (stocked(On::Sqlite).await, stocked(On::Postgres).await);
    let mut roles = tokio::task::JoinSet::new();
    // Each role meets one of the two; another seed, the other.
    let (one, other) = if seed % 2 == 1 { (&sqlite, &postgres) } else { (&postgres, &sqlite) };
    for (role, (broker, cast)) in [("requester", one), ("authority", other), ("operator", one), ("auditor", other)] {
        let token = match role {
            "requester" => &cast.requester,
            "authority" => &cast.authority,
            "operator" => &cast.operator,
            _ => &cast.auditor,
        };
        let (folder, url, token) = (broker.setup.folder.clone(), broker.url.clone(), token.clone());
        let run = Run { tool: tool.clone(), folder, url, examples: usize::try_from(examples).unwrap(), seed };
        roles.spawn_blocking(move || (role, run.by(role, &token)));
    }
    let (mut cases, mut faults) = (0, Vec::new());
    while let Some(done) = roles.join_next().await {
        let (role, (count, found)) = done.unwrap();
        eprintln!("{role}: {count} cases, seed {seed}");
        cases += count;
        faults.extend(found.into_iter().map(|fault| format!("{role}: {fault}")));
    }
    assert_eq!(faults, [""; 0]);
    assert!(cases >= 2000, "{cases}");
    for (broker, cast) in [&sqlite, &postgres] {
        // It has taken all that and its books still agree.
        let ledger = broker.get("/v1/ledger", &cast.auditor).await.expect(200);
        assert_eq!(ledger["consistent"], true, "{ledger:#}");
        let log = std::fs::read_to_string(broker.setup.folder.join("serve.log")).unwrap_or_default();
        let faults: Vec<_> =
            log.lines().filter(|line| line.contains("http.request.failed") || line.contains("panicked")).collect();
        assert_eq!(faults, [""; 0]);
    }
}
