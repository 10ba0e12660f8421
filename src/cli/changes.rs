//! Acts that change some fields of what was read: the mark of the reading goes with the change, so that nobody's change is
//! overwritten unseen.

use super::problem::Failure;
use crate::client::{Answer, Client, Tagged};
use serde_json::{Map, Value};

/// Reads, and changes exactly what was read.
pub async fn set(client: &Client, path: &[&str], change: Map<String, Value>) -> Result<Answer, Failure> {
    let read: Tagged<Value> = client.get_tagged(path).await?;
    Ok(client.patch(path, &read.etag, &change).await?)
}
