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
