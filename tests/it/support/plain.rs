//! Plain SQL on a broker's database, as an oracle that is not the product's own code.

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.expect("the database opens")
}

/// One number.
pub async fn number(url: &str, sql: &str) -> i64 {
    let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connect(url).await).await;
    row.and_then(|row| row.try_get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// A column of text.
pub async fn texts(url: &str, sql: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connect(url).await).await;
    let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter().map(|row| row.try_get::<Option<String>, _>(0).expect("text").unwrap_or_default()).collect()
}

/// Runs statements; the error's text when the database refuses.
pub async fn run(url: &str, sql: &str) -> Result<(), String> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connect(url).await).await;
    done.map(drop).map_err(|error| error.to_string())
}

/// Every table of ours.
pub const TABLES: &[&str] = &[
    "departments",
    "people",
    "tokens",
    "task_books",
    "task_book_versions",
    "hosts",
    "host_networks",
    "images",
    "submissions",
    "requests",
    "claims",
    "machines",
    "operations",
    "machine_secrets",
    "audit",
];

/// How many rows each of `tables` has.
pub async fn counts(url: &str, tables: &[&str]) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in tables {
        counts.push(number(url, &format!("select count(*) from {table}")).await);
    }
    counts
}
