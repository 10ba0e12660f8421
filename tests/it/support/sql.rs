//! Plain SQL on a connection of the test's own: an oracle that is not the product's code. One text for both databases.

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};

pub struct Sql {
    conn: AnyConnection,
}

impl Sql {
    /// Only looks: a write through it fails.
    pub async fn reading(url: &str) -> Self {
        let mut this = Self::writing(url).await;
        let read_only = if url.starts_with("sqlite:") {
            "pragma query_only = on"
        } else {
            "set default_transaction_read_only = on"
        };
        this.run(read_only).await;
        this
    }

    pub async fn writing(url: &str) -> Self {
        sqlx::any::install_default_drivers();
        let mut conn = AnyConnection::connect(url).await.expect("the database opens");
        if url.starts_with("sqlite:") {
            conn.execute("pragma busy_timeout = 20000").await.expect("a pragma");
        }
        Self { conn }
    }

    pub fn conn(&mut self) -> &mut AnyConnection {
        &mut self.conn
    }

    pub async fn run(&mut self, sql: &str) -> u64 {
        match self.conn.execute(AssertSqlSafe(sql.to_owned())).await {
            Ok(done) => done.rows_affected(),
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// One whole number. Sums and counts are cast to bigint by the text.
    pub async fn number(&mut self, sql: &str) -> i64 {
        match sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.conn).await {
            Ok(number) => number,
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// Rows of text; what is not text is cast by the statement.
    pub async fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let rows = match sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut self.conn).await {
            Ok(rows) => rows,
            Err(error) => panic!("{sql}: {error}"),
        };
        rows.iter().map(|row| (0..row.len()).map(|i| row.get::<String, _>(i)).collect()).collect()
    }

    /// The first column of all rows.
    pub async fn column(&mut self, sql: &str) -> Vec<String> {
        self.rows(sql).await.into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    /// Everything that the counters say against what the claims add up to, and the claims against the machines: an
    /// empty list when the books agree. Written anew here, so that it shares nothing with the product's own ledger.
    pub async fn faults(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        let compute = [("machines", "compute_held"), ("vcpu", "vcpu * compute_held")];
        let bytes = [("memory_bytes", "memory_bytes * compute_held"), ("disk_bytes", "disk_bytes * storage_held")];
        for (table, key) in [("task_books", "task_book_id"), ("hosts", "host_id")] {
            for (dimension, term) in compute.into_iter().chain(bytes) {
                if table == "hosts" && dimension == "machines" {
                    continue;
                }
                let sql = format!(
                    "select {table}.id, cast(used_{dimension} as text), cast(limit_{dimension} as text), \
                     cast((select coalesce(sum({term}), 0) from claims where claims.{key} = {table}.id) as text) \
                     from {table}"
                );
                for row in self.rows(&sql).await {
                    let value = |i: usize| row[i].parse::<i128>().expect("a number");
                    let (used, limit, sum) = (value(1), value(2), value(3));
                    if used != sum || used > limit || used < 0 {
                        faults
                            .push(format!("{table} {} {dimension}: used {used}, claims {sum}, limit {limit}", row[0]));
                    }
                }
            }
        }
        let held = "select machines.id, state, cast(coalesce(compute_held, 0) as text), \
             cast(coalesce(storage_held, 0) as text) from machines left join claims on machine_id = machines.id";
        for row in self.rows(held).await {
            let wanted = match row[1].as_str() {
                "building" | "running" | "stopped" => ("1", "1"),
                "in_bin" => ("0", "1"),
                "undone" => ("0", "0"),
                other => panic!("a machine is {other}"),
            };
            if (row[2].as_str(), row[3].as_str()) != wanted {
                faults.push(format!("machine {} is {} and holds {}/{}", row[0], row[1], row[2], row[3]));
            }
        }
        let orphans = "select machine_id from claims where machine_id not in (select id from machines)";
        faults.extend(self.column(orphans).await.into_iter().map(|id| format!("claim {id} is of no machine")));
        faults
    }
}
