//! Acts that change some fields of what was read: the mark of the reading goes with the change, so that nobody's change is
//! overwritten unseen.

use super::problem::Failure;
use crate::client::{Answer, Client, ClientError, Tagged};
use serde_json::{Map, Value};

/// Reads, and changes exactly what was read.
pub async fn set(client: &Client, path: &[&str], change: Map<String, Value>) -> Result<Answer, Failure> {
    let read: Tagged<Value> = client.get_tagged(path).await?;
    Ok(client.patch(path, &read.etag, &change).await?)
}

/// A department by its code or its id: the service knows one of the two only.
pub async fn department(client: &Client, named: &str) -> Result<String, ClientError> {
    let all = client.departments().list(&crate::client::Filter::new()).await?;
    let found = all.items.into_iter().find(|department| department.code == named || department.id == named);
    Ok(found.map_or_else(|| named.to_owned(), |department| department.id))
}
