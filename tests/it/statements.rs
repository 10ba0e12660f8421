//! One SQL text for two databases: every statement of ours is prepared on both.

use crate::{
    goldens::golden,
    support::{
        broker::On,
        source::{self, Source},
    },
};
use jiyue::{
    db::{Db, Options},
    time::Clock,
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection};
use std::fmt::Write as _;

/// Statements whose text is put together at run time, each with the test that runs it on both databases.
const AT_RUN_TIME: &[(&str, &str)] = &[
    ("audit.rs record_all", "api::a_request_travels_from_submission_to_delivery"),
    ("capacity/store.rs claim_hosts", "api::a_request_travels_from_submission_to_delivery"),
    ("capacity/store.rs claim_quota", "api::a_request_travels_from_submission_to_delivery"),
    ("capacity/store.rs held_names", "api::a_request_travels_from_submission_to_delivery"),
    ("capacity/store.rs insert_claims", "api::a_request_travels_from_submission_to_delivery"),
    ("db.rs database_now", "api::a_request_travels_from_submission_to_delivery"),
    ("db.rs horizon", "contract::events::what_happened_is_told_once_in_order_and_to_whom_it_concerns"),
    ("db.rs mark", "seeing::status::the_page_follows_what_is_committed"),
    ("db.rs measure", "write_queue::measures_that_are_older_than_their_tables_are_taken_anew"),
    ("db/probe.rs look", "doctor::a_broker_in_good_health_is_told_so"),
    ("db/queue.rs changes", "write_queue::a_mark_moves_with_a_change_and_not_with_a_look"),
    ("db/slice.rs page", "contract::lists::every_list_is_had_whole_in_each_order_and_by_each_filter"),
    ("machine/name/store.rs of", "names::a_name_is_registered_when_the_machine_answers"),
    ("machine/store.rs insert_all", "api::a_request_travels_from_submission_to_delivery"),
    (
        "migration/store.rs put_all",
        "rooms::life::a_room_is_surveyed_blocked_emptied_signed_closed_and_not_opened_in_silence",
    ),
    (
        "operation/store.rs find_all",
        "contract::events::an_operation_is_followed_to_its_end_and_taken_up_where_it_broke_off",
    ),
    ("operation/store.rs insert_all", "api::a_request_travels_from_submission_to_delivery"),
    ("report/capacity/store.rs owners", "seeing::status::the_page_follows_what_is_committed"),
    ("request/store.rs approve_all", "api::a_request_travels_from_submission_to_delivery"),
    ("request/store.rs running", "api::a_request_travels_from_submission_to_delivery"),
    ("request/store.rs waiting_names", "api::a_request_travels_from_submission_to_delivery"),
    ("usage/gauges/store.rs blocks", "report::what_is_asked_given_and_used_is_told_as_gauges"),
    ("usage/gauges/store.rs means", "seeing::looks::what_went_on_is_read_again_and_nothing_else"),
    ("usage/judging/store.rs keep", "report::a_day_is_judged_once_and_kept"),
    ("usage/judging/store.rs machines", "report::a_day_is_judged_once_and_kept"),
    ("usage/judging/store.rs newest", "report::a_day_is_judged_once_and_kept"),
    (
        "usage/source/store.rs machines_named",
        "usage_sources::real::a_kubevirt_recording_measures_machines_by_their_names",
    ),
    ("usage/store.rs hold_meters", "usage::what_machines_use_is_read_kept_and_shown"),
    ("usage/store.rs keep_days", "usage::what_machines_use_is_read_kept_and_shown"),
    ("usage/store.rs keep_guests", "usage::what_machines_use_is_read_kept_and_shown"),
    ("usage/store.rs keep_meters", "usage::what_machines_use_is_read_kept_and_shown"),
    ("usage/store.rs named", "usage_import::a_history_is_there_when_it_is_answered_and_only_once"),
    ("usage/store.rs rows_between", "usage::what_machines_use_is_read_kept_and_shown"),
    ("usage/store.rs so_far", "usage::what_machines_use_is_read_kept_and_shown"),
    ("usage/store.rs targets", "usage::what_machines_use_is_read_kept_and_shown"),
];

/// The literals, sorted, and the places that build their text.
fn collect(sources: &[Source]) -> (Vec<String>, Vec<String>) {
    let (mut literals, mut built) = (Vec::new(), Vec::new());
    for source in sources {
        for statement in &source.statements {
            match &statement.text {
                Some(text) => literals.push(text.clone()),
                None => built.push(format!("{} {}", source.name, statement.function)),
            }
        }
    }
    literals.sort();
    literals.dedup();
    built.sort();
    built.dedup();
    (literals, built)
}

/// The database of a broker that has just been set up.
async fn migrated(on: On) -> String {
    let setup = crate::support::broker::Setup::new(on);
    let options = Options { url: setup.database_url.clone(), read_connections: 1, clock: Clock::System };
    Db::open(options).await.expect("a database");
    setup.database_url
}

#[test]
fn every_statement_is_written_down() {
    let planted = Source::parse(
        "planted/store.rs",
        "fn f() { sqlx::query(\"select 1\"); sqlx::query_scalar(AssertSqlSafe(format!(\"{x}\"))); }",
    );
    assert_eq!(collect(&[planted]), (vec!["select 1".to_owned()], vec!["planted/store.rs f".to_owned()]));
    let (literals, built) = collect(source::all());
    assert!(literals.len() > 30, "{literals:#?}");
    for text in &literals {
        assert!(!text.chars().any(|c| c.is_ascii_uppercase()), "SQL is written in lower case: {text}");
    }
    assert_eq!(built, AT_RUN_TIME.iter().map(|(place, _)| *place).collect::<Vec<_>>());
    let mut text = literals.join("\n");
    for (place, test) in AT_RUN_TIME {
        write!(text, "\n-- put together at run time in {place}; run by {test}").unwrap();
    }
    golden("statements", &text);
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_both_databases() {
    let (literals, _) = collect(source::all());
    let mut sqlite = SqliteConnection::connect(&migrated(On::Sqlite).await).await.unwrap();
    let mut postgres = PgConnection::connect(&migrated(On::Postgres).await).await.unwrap();
    let mut refused = Vec::new();
    let sql = |text: &str| AssertSqlSafe(text.to_owned()).into_sql_str();
    for text in &literals {
        if let Err(error) = sqlite.prepare(sql(text)).await {
            refused.push(format!("SQLite: {error}: {text}"));
        }
        if let Err(error) = postgres.prepare(sql(text)).await {
            refused.push(format!("PostgreSQL: {error}: {text}"));
        }
    }
    assert_eq!(refused, [""; 0]);
    // The oracle can say no.
    assert!(sqlite.prepare(sql("select nothing from departments")).await.is_err());
    assert!(postgres.prepare(sql("select nothing from departments")).await.is_err());
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    use sqlx::Row;
    let mut sqlite = SqliteConnection::connect(&migrated(On::Sqlite).await).await.unwrap();
    let mut postgres = PgConnection::connect(&migrated(On::Postgres).await).await.unwrap();
    let rows = sqlx::query(
        "select m.name || '.' || p.name from sqlite_master m join pragma_table_info(m.name) p \
         where m.type = 'table' and m.name not like 'sqlite_%' and m.name not like '_sqlx%' order by 1",
    );
    let here: Vec<String> = rows.fetch_all(&mut sqlite).await.unwrap().iter().map(|row| row.get(0)).collect();
    let rows = sqlx::query(
        "select table_name || '.' || column_name from information_schema.columns \
         where table_schema = 'public' and table_name not like '\\_sqlx%' order by (table_name || '.' || column_name) collate \"C\"",
    );
    let there: Vec<String> = rows.fetch_all(&mut postgres).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(here.len() > 100, "{here:?}");
    assert_eq!(here, there);
}
