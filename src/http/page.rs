//! Pages of lists: `{items, next_page_token}`. The token names the row that the next page comes after. It is marked with the
//! broker's key together with the list, its order, its filters and whose objects it shows, so that it continues this list
//! and no other, and so that whatever comes back is ours or is refused.

use super::Api;
use crate::{
    db::{Batch, Key, MAX_PAGE, Slice, Sorts},
    error::Problem,
    secret::{MARK_BYTES, Vault},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// Of a page whose size nobody asked for.
const PAGE: i64 = 100;
/// No token of ours is longer.
const LONGEST_TOKEN: usize = 2048;

/// The parameters of a list without filters.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1 to 200; 100 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    /// `next_page_token` of the page before, with the same filters and the same order.
    pub page_token: Option<String>,
    /// The field to sort by; `-` before it for the other way round.
    pub sort: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Which page of which list.
pub struct Cut {
    pub slice: Slice,
    vault: Vault,
    /// The list, its order and its filters, as far as they are not the page.
    context: Vec<u8>,
}

impl Cut {
    /// `filter` is all that decides which rows the list has, the caller's scope among it.
    pub fn new(
        api: &Api,
        list: &str,
        sorts: &Sorts,
        page: PageQuery,
        filter: &impl Serialize,
    ) -> Result<Self, Problem> {
        let size = page.page_size.unwrap_or(PAGE);
        if !(1..=MAX_PAGE).contains(&size) {
            return Err(Problem::malformed(format!("查询参数 page_size 须在 1 至 {MAX_PAGE} 之间")));
        }
        let order = sorts.order(page.sort.as_deref()).ok_or_else(|| {
            Problem::malformed(format!("查询参数 sort 须为以下之一：{}；前面加 - 为倒序", sorts.words().join("、")))
        })?;
        let sort = page.sort.as_deref().unwrap_or(sorts.default);
        let context = serde_json::to_vec(&(list, sort, filter)).map_err(Problem::internal)?;
        let after = page.page_token.map(|token| read(&api.vault, &context, &token)).transpose()?;
        let slice = Slice { order, after, size: usize::try_from(size).unwrap_or(1) };
        Ok(Self { slice, vault: api.vault.clone(), context })
    }

    /// The page as callers see it.
    pub fn page<T, V>(&self, batch: Batch<T>, view: impl FnMut(T) -> V) -> Page<V> {
        let next_page_token = batch.next.map(|key| self.token(&key));
        Page { items: batch.items.into_iter().map(view).collect(), next_page_token }
    }

    /// The page that begins after this row.
    pub fn token(&self, key: &Key) -> String {
        let row = serde_json::json!([key.value, key.id]).to_string();
        let mark = self.vault.mark(PURPOSE, &[&self.context, row.as_bytes()]);
        URL_SAFE_NO_PAD.encode([mark.as_slice(), row.as_bytes()].concat())
    }
}

const PURPOSE: &str = "page token";

fn read(vault: &Vault, context: &[u8], token: &str) -> Result<Key, Problem> {
    let refused = || {
        Problem::malformed("查询参数 page_token 无效；请原样使用上一页的 next_page_token，筛选与排序也须与上一页相同")
    };
    let bytes =
        Some(token).filter(|token| token.len() <= LONGEST_TOKEN).and_then(|token| URL_SAFE_NO_PAD.decode(token).ok());
    let bytes = bytes.ok_or_else(refused)?;
    let (mark, row) = bytes.split_first_chunk::<MARK_BYTES>().ok_or_else(refused)?;
    if vault.mark(PURPOSE, &[context, row]) != *mark {
        return Err(refused());
    }
    let (value, id) = serde_json::from_slice(row).map_err(|_| refused())?;
    Ok(Key { value, id })
}
