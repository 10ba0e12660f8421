//! Many rows as one. A driver hands rows over one by one, from its thread to ours, and of ten thousand rows that is most of
//! what reading them costs; as one row they come at once, and are taken apart here.

use super::DbError;
use sqlx::{AnyConnection, Row, any::AnyRow};
use std::str::FromStr;

/// Stands between values. No JSON has it as it is, nor has any name or word that is taken from people.
const BETWEEN: char = '\u{1f}';

/// The columns of rows that come together, all as text.
pub struct Joined<const N: usize> {
    pub texts: [&'static str; N],
    /// One more, of bytes.
    pub bytes: Option<&'static str>,
}

impl<const N: usize> Joined<N> {
    /// The statement that asks for what `rows` selects. An order is kept by a select that has it.
    pub fn sql(&self, conn: &AnyConnection, rows: &str) -> String {
        let texts = self.texts.iter().enumerate().map(|(at, column)| {
            format!("string_agg(coalesce(cast({column} as text), ''), '{BETWEEN}') as text_{at}, ")
        });
        let texts: String = texts.collect();
        let bytes = self.bytes.map(|column| {
            // Neither of the two joins bytes in the other's way.
            let joined = if conn.backend_name() == "PostgreSQL" {
                format!("string_agg({column}, cast('' as bytea))")
            } else {
                format!("cast(group_concat({column}, '') as blob)")
            };
            format!("string_agg(cast(length({column}) as text), '{BETWEEN}') as lengths, {joined} as bytes, ")
        });
        format!("select {texts}{}count(*) as number from ({rows}) as page", bytes.unwrap_or_default())
    }

    /// What has come.
    pub fn read(&self, row: &AnyRow) -> Result<Page<N>, DbError> {
        let number: i64 = row.try_get("number")?;
        let number = usize::try_from(number).unwrap_or_default();
        let mut page = Page { number, ..Page::default() };
        if number == 0 {
            return Ok(page);
        }
        for (at, name) in self.texts.iter().enumerate() {
            page.texts.push(whole(row.try_get(&*format!("text_{at}"))?, number, name)?);
        }
        if let Some(name) = self.bytes {
            let corrupt = |_| DbError::Corrupt { what: name.to_owned() };
            let lengths: &str = row.try_get("lengths")?;
            page.lengths = lengths.split(BETWEEN).map(str::parse).collect::<Result<_, _>>().map_err(corrupt)?;
            page.bytes = row.try_get("bytes")?;
            if (page.lengths.len(), page.lengths.iter().sum()) != (number, page.bytes.len()) {
                return Err(DbError::Corrupt { what: name.to_owned() });
            }
        }
        Ok(page)
    }
}

/// A value for each row, and no more.
fn whole(text: String, number: usize, column: &str) -> Result<String, DbError> {
    let found = text.bytes().filter(|byte| char::from(*byte) == BETWEEN).count() + 1;
    if found == number { Ok(text) } else { Err(DbError::Corrupt { what: column.to_owned() }) }
}

/// A value of a column that holds nothing else.
pub fn value<T: FromStr>(text: &str, column: &str) -> Result<T, DbError> {
    text.parse().map_err(|_| DbError::Corrupt { what: column.to_owned() })
}

/// Rows that came together.
#[derive(Debug, Default)]
pub struct Page<const N: usize> {
    number: usize,
    texts: Vec<String>,
    lengths: Vec<usize>,
    bytes: Vec<u8>,
}

impl<const N: usize> Page<N> {
    /// Each row's texts, and its bytes if it has some.
    pub fn rows(&self) -> impl Iterator<Item = ([&str; N], &[u8])> {
        let mut texts: Vec<_> = self.texts.iter().map(|text| text.split(BETWEEN)).collect();
        let mut bytes = &self.bytes[..];
        (0..self.number).map(move |at| {
            let mut row = [""; N];
            for (value, texts) in row.iter_mut().zip(&mut texts) {
                *value = texts.next().unwrap_or_default();
            }
            let length = self.lengths.get(at).copied().unwrap_or_default();
            let (own, rest) = bytes.split_at_checked(length).unwrap_or_default();
            bytes = rest;
            (row, own)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{AssertSqlSafe, Connection as _};

    const BOTH: Joined<2> = Joined { texts: ["name", "number"], bytes: Some("data") };

    /// What comes of rows that are written out.
    async fn read(rows: &str) -> Result<Page<2>, DbError> {
        sqlx::any::install_default_drivers();
        let mut conn = AnyConnection::connect("sqlite::memory:").await?;
        let named = format!("select column1 as name, column2 as number, column3 as data from (values {rows})");
        let sql = BOTH.sql(&conn, &named);
        BOTH.read(&sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut conn).await?)
    }

    #[tokio::test]
    async fn rows_come_in_their_order_with_their_own_bytes() {
        let page = read("('甲', 1, x'00ff'), ('', null, x''), ('乙', 3, x'1f001f')").await.unwrap();
        let rows: Vec<_> = page.rows().collect();
        let wanted: [([&str; 2], &[u8]); 3] =
            [(["甲", "1"], &[0, 255]), (["", ""], &[]), (["乙", "3"], &[0x1f, 0, 0x1f])];
        assert_eq!(rows, wanted);
    }

    #[tokio::test]
    async fn of_no_rows_nothing_comes() {
        let page = read("('甲', 1, x'')) where false and (true").await.unwrap();
        assert_eq!(page.rows().count(), 0);
    }

    #[tokio::test]
    async fn a_value_that_would_be_taken_for_two_is_an_error() {
        let error = read("('甲', 1, x''), ('乙' || char(31) || '丙', 2, x'')").await.unwrap_err();
        assert!(matches!(error, DbError::Corrupt { what } if what == "name"));
    }

    #[tokio::test]
    async fn bytes_that_are_missing_are_an_error_and_not_those_of_the_next_row() {
        let error = read("('甲', 1, null), ('乙', 2, x'01')").await.unwrap_err();
        assert!(matches!(error, DbError::Corrupt { what } if what == "data"));
    }
}
