//! Keyset pages: `{items, next_page_token}`. The token is the last id, wrapped so that nobody builds on its inside.

use crate::error::Problem;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Rows that one page holds at most.
pub const MAX_PAGE: i64 = 200;

#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1 to 200; 100 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    /// `next_page_token` of the page before.
    pub page_token: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Absent on the last page.
    pub next_page_token: Option<String>,
}

/// Where a page begins, and how much it takes.
pub struct Cut {
    /// Exclusive bound on the id, for newest first or oldest first.
    pub bound: String,
    size: i64,
}

/// Above every identifier, and below every one.
const HIGHEST: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";
const LOWEST: &str = "";

impl PageQuery {
    /// For lists that show the newest first.
    pub fn newest_first(&self) -> Result<Cut, Problem> {
        self.cut(HIGHEST)
    }

    /// For lists that show the oldest first.
    pub fn oldest_first(&self) -> Result<Cut, Problem> {
        self.cut(LOWEST)
    }

    fn cut(&self, start: &str) -> Result<Cut, Problem> {
        let size = self.page_size.unwrap_or(100);
        if !(1..=MAX_PAGE).contains(&size) {
            return Err(Problem::malformed(format!("page_size 须在 1 至 {MAX_PAGE} 之间")));
        }
        let bound = match &self.page_token {
            None => start.to_owned(),
            Some(token) => URL_SAFE_NO_PAD
                .decode(token)
                .ok()
                .and_then(|bytes| Uuid::from_slice(&bytes).ok())
                .map(|id| id.to_string())
                .ok_or_else(|| Problem::malformed("page_token 无效；请使用上一页返回的 next_page_token"))?,
        };
        Ok(Cut { bound, size })
    }
}

impl Cut {
    /// One row more than the page holds, to know whether there is another.
    pub const fn fetch(&self) -> i64 {
        self.size + 1
    }

    /// The page of what was fetched.
    pub fn page<T, V>(&self, mut rows: Vec<T>, id: impl Fn(&T) -> Uuid, view: impl FnMut(T) -> V) -> Page<V> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let last = rows.last().filter(|_| more).map(|row| URL_SAFE_NO_PAD.encode(id(row).as_bytes()));
        Page { items: rows.into_iter().map(view).collect(), next_page_token: last }
    }
}
