//! Lists by the page: which rows, in which order, after which. A page begins after a row and not at a number, so that rows
//! which come or go meanwhile neither repeat nor hide others, and the last page costs what the first did.

use super::DbError;
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::fmt::Write as _;

/// Rows that one page holds at most.
pub const MAX_PAGE: i64 = 200;

/// The orders that a list can be had in.
#[derive(Clone, Copy, Debug)]
pub struct Sorts {
    /// The column that tells equal rows apart; of rows whose ids grow with time, also the order of their making.
    pub id: &'static str,
    /// The id is a number, and the only order.
    pub numbered: bool,
    /// What callers write, and the column of it.
    pub by: &'static [(&'static str, &'static str)],
    /// As callers write it, `-` first for the other way round.
    pub default: &'static str,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    column: &'static str,
    id: &'static str,
    numbered: bool,
    pub descending: bool,
}

impl Sorts {
    /// `name` or `-name`; `None` for what is no order of this list.
    pub fn order(&self, word: Option<&str>) -> Option<Order> {
        let word = word.unwrap_or(self.default);
        let (name, descending) = word.strip_prefix('-').map_or((word, false), |name| (name, true));
        let (_, column) = self.by.iter().find(|(known, _)| *known == name)?;
        Some(Order { column, id: self.id, numbered: self.numbered, descending })
    }

    /// All that may be asked for.
    pub fn words(&self) -> Vec<String> {
        self.by.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("-{name}")]).collect()
    }
}

/// The row that a page comes after: its value in the order's column, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub value: String,
    pub id: String,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Slice {
    pub order: Order,
    pub after: Option<Key>,
    pub size: usize,
}

/// What a page holds, and the row that the next one comes after, if there is one.
#[derive(Debug)]
pub struct Batch<T> {
    pub items: Vec<T>,
    pub next: Option<Key>,
}

impl<T> Batch<T> {
    /// A page of what is in memory; `value` gives a row's value in a column, and the id's own under the id's name.
    pub fn cut(mut all: Vec<T>, slice: &Slice, value: impl Fn(&T, &str) -> String) -> Self {
        let Order { column, id, descending, .. } = slice.order;
        let key = |row: &T| (value(row, column), value(row, id));
        all.sort_by_cached_key(&key);
        if descending {
            all.reverse();
        }
        if let Some(Key { value, id }) = &slice.after {
            let after = (value.clone(), id.clone());
            all.retain(|row| if descending { key(row) < after } else { key(row) > after });
        }
        let more = all.len() > slice.size;
        all.truncate(slice.size);
        let next = all.last().filter(|_| more).map(&key).map(|(value, id)| Key { value, id });
        Self { items: all, next }
    }
}

/// A statement that reads a page. Its text is put together of literals alone; what callers wrote is bound.
pub struct Listing<'a> {
    columns: &'static str,
    from: &'static str,
    conditions: String,
    values: Vec<&'a str>,
}

impl<'a> Listing<'a> {
    pub fn new(columns: &'static str, from: &'static str) -> Self {
        Self { columns, from, conditions: String::new(), values: Vec::new() }
    }

    /// Only rows whose column has this value; all when there is none.
    #[must_use]
    pub fn only(self, column: &'static str, value: Option<&'a str>) -> Self {
        let Some(value) = value else { return self };
        let mut with = self.condition(column);
        with.values.push(value);
        let _ = write!(with.conditions, " = ${}", with.values.len());
        with
    }

    /// Only rows for which this holds, of which nothing is bound.
    #[must_use]
    pub fn when(self, holds: bool, condition: &'static str) -> Self {
        if holds { self.condition(condition) } else { self }
    }

    fn condition(mut self, text: &'static str) -> Self {
        self.conditions.push_str(if self.conditions.is_empty() { " where " } else { " and " });
        self.conditions.push_str(text);
        self
    }

    /// Reads the page. One row more than it holds tells whether there is another.
    pub async fn page<T>(
        self,
        conn: &mut AnyConnection,
        slice: &Slice,
        read: impl Fn(&AnyRow) -> Result<T, DbError>,
    ) -> Result<Batch<T>, DbError> {
        let (sql, mut values) = self.text(slice);
        let mut number = None;
        match &slice.after {
            Some(Key { id, .. }) if slice.order.numbered => {
                number = Some(id.parse::<i64>().map_err(|_| DbError::Corrupt { what: "page key".to_owned() })?);
            }
            Some(Key { id, .. }) if slice.order.column == slice.order.id => values.push(id),
            Some(Key { value, id }) => values.extend([value.as_str(), id]),
            None => {}
        }
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            query = query.bind(value);
        }
        if let Some(number) = number {
            query = query.bind(number);
        }
        let limit = i64::try_from(slice.size).unwrap_or(MAX_PAGE) + 1;
        let mut rows = query.bind(limit).fetch_all(conn).await?;
        let more = rows.len() > slice.size;
        rows.truncate(slice.size);
        let next = match rows.last().filter(|_| more) {
            Some(row) => Some(Key { value: row.try_get("page_value")?, id: row.try_get("page_id")? }),
            None => None,
        };
        Ok(Batch { items: rows.iter().map(read).collect::<Result<_, _>>()?, next })
    }

    fn text(self, slice: &Slice) -> (String, Vec<&'a str>) {
        let Self { columns, from, mut conditions, values } = self;
        let Order { column, id, descending, .. } = slice.order;
        let (way, than) = if descending { (" desc", "<") } else { ("", ">") };
        let mut bound = values.len();
        if slice.after.is_some() {
            conditions.push_str(if conditions.is_empty() { " where " } else { " and " });
            // Writing to a String cannot fail.
            let _ = if column == id {
                write!(conditions, "{id} {than} ${}", bound + 1)
            } else {
                write!(conditions, "({column}, {id}) {than} (${}, ${})", bound + 1, bound + 2)
            };
            bound += if column == id { 1 } else { 2 };
        }
        let order = if column == id { format!("{id}{way}") } else { format!("{column}{way}, {id}{way}") };
        let sql = format!(
            "select {columns}, cast({column} as text) as page_value, cast({id} as text) as page_id from {from}{conditions} \
             order by {order} limit ${}",
            bound + 1
        );
        (sql, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SORTS: Sorts =
        Sorts { id: "id", numbered: false, by: &[("created_at", "id"), ("name", "name")], default: "-created_at" };

    fn slice(sort: &str, after: Option<(&str, &str)>, size: usize) -> Slice {
        let after = after.map(|(value, id)| Key { value: value.to_owned(), id: id.to_owned() });
        Slice { order: SORTS.order(Some(sort)).unwrap(), after, size }
    }

    #[test]
    fn statements_bind_what_callers_wrote() {
        let text = |sort, after| {
            let listing = Listing::new("id, name", "machines").only("state", Some("x' or 1=1")).only("zone", None);
            listing.when(true, "cleared_at is null").text(&slice(sort, after, 3)).0
        };
        insta::assert_snapshot!(
            [text("-created_at", None), text("created_at", Some(("a", "b"))), text("-name", Some(("a", "b")))]
                .join("\n")
        );
    }

    #[test]
    fn an_order_that_a_list_does_not_have_is_none() {
        for word in ["id", "state", "--name", "", "-", "name ", "name; drop table machines"] {
            assert_eq!(SORTS.order(Some(word)), None, "{word}");
        }
        assert_eq!(SORTS.order(None), SORTS.order(Some("-created_at")));
        assert_eq!(SORTS.words(), ["created_at", "-created_at", "name", "-name"]);
    }

    #[test]
    fn pages_of_what_is_in_memory_show_each_row_once_whichever_way() {
        let rows: Vec<(u32, &str)> = vec![(3, "b"), (1, "a"), (2, "b"), (5, "a"), (4, "c")];
        let value =
            |row: &(u32, &str), column: &str| if column == "name" { row.1.to_owned() } else { row.0.to_string() };
        for (sort, expected) in [
            ("created_at", [1, 2, 3, 4, 5]),
            ("-created_at", [5, 4, 3, 2, 1]),
            ("name", [1, 5, 2, 3, 4]),
            ("-name", [4, 3, 2, 5, 1]),
        ] {
            for size in 1..=6 {
                let (mut page, mut seen) = (slice(sort, None, size), Vec::new());
                loop {
                    let batch = Batch::cut(rows.clone(), &page, value);
                    assert!(batch.items.len() <= size);
                    seen.extend(batch.items.iter().map(|row| row.0));
                    page.after = batch.next;
                    if page.after.is_none() {
                        break;
                    }
                }
                assert_eq!(seen, expected, "{sort} by {size}");
            }
        }
    }
}
