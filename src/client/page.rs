//! Lists: what to ask for, and following the pages.

use super::{Client, ClientError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What is asked for at once when following a list's pages.
const PAGE: usize = 200;

/// Which things of a list, in which order, how many.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Filter {
    pub(super) query: Vec<(String, String)>,
    limit: Option<u32>,
}

impl Filter {
    /// Everything, as the server orders it: the newest first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only things whose field has this value. The server refuses fields that it does not filter by.
    pub fn by(mut self, field: &str, value: &str) -> Self {
        self.query.push((field.to_owned(), value.to_owned()));
        self
    }

    /// By this field, `-` before it for the other way round; the server's document says which fields each list has.
    pub fn sort(self, order: &str) -> Self {
        self.by("sort", order)
    }

    /// No more than so many.
    pub fn limit(mut self, most: u32) -> Self {
        self.limit = Some(most);
        self
    }

    pub(super) fn pairs(&self) -> Vec<(&str, &str)> {
        self.query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

/// Items of a list, and whether there are more.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Items<T = Value> {
    pub items: Vec<T>,
    pub next_page_token: Option<String>,
}

impl Client {
    /// Reads a list page by page, to its end or to the filter's limit.
    pub async fn list<T: DeserializeOwned>(&self, path: &[&str], filter: &Filter) -> Result<Items<T>, ClientError> {
        let limit = filter.limit.map_or(usize::MAX, |n| n as usize);
        let mut all = Items { items: Vec::new(), next_page_token: None };
        let mut seen: Option<String> = None;
        loop {
            let size = PAGE.min(limit - all.items.len()).to_string();
            let mut query = filter.pairs();
            query.extend(seen.as_deref().map(|token| ("page_token", token)));
            query.push(("page_size", &size));
            let mut page: Value = self.get(path, &query).await?;
            let strange = || ClientError::Strange { url: self.url(path, &[]).to_string(), status: 200 };
            let items = page.get_mut("items").map(Value::take).ok_or_else(strange)?;
            let items: Vec<T> = serde_json::from_value(items).map_err(|_| strange())?;
            let empty = items.is_empty();
            all.items.extend(items);
            let next = page.get("next_page_token").and_then(Value::as_str).map(str::to_owned);
            // A page that brings nothing, or leads to itself, would be asked for forever.
            let stuck = empty || next == seen;
            seen = next.filter(|_| !stuck);
            if seen.is_none() || all.items.len() >= limit {
                all.next_page_token = seen;
                return Ok(all);
            }
        }
    }
}
