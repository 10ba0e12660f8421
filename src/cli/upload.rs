//! Sending a file of any length, with a bar.

use super::{document::DocumentError, language::tr, problem::Failure};
use crate::client::{Answer, Client};
use futures_util::TryStreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io, path::Path, time::Duration};
use tokio::{fs::File, io::AsyncReadExt};
use tokio_util::io::ReaderStream;

/// One read of the file, one piece of the body.
const PIECE: usize = 256 << 10;

/// Where a file goes, and what it is.
pub struct Goal {
    pub path: &'static [&'static str],
    pub kind: &'static str,
    /// A list that whoever may send the file may read.
    pub readable: &'static str,
}

pub const IMAGE: Goal = Goal { path: &["images"], kind: "application/octet-stream", readable: "images" };
pub const USAGE: Goal = Goal { path: &["usage", "import"], kind: "text/csv", readable: "usage" };
pub const SURVEY: Goal = Goal { path: &["rooms", "import"], kind: "application/octet-stream", readable: "rooms" };

/// Streams the file there.
pub async fn file(client: &Client, goal: &Goal, file: &Path, query: &[(&str, &str)]) -> Result<Answer, Failure> {
    let unreadable = |source| DocumentError::Read { path: file.into(), source };
    let open = File::open(file).await.map_err(unreadable)?;
    let metadata = open.metadata().await.map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()).into());
    }
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other(tr("不是普通文件，事先不知道长度"))).into());
    }
    let length = metadata.len();
    if length == 0 {
        return Err(DocumentError::Empty { path: file.into() }.into());
    }
    // A bad token or address is told now, not after gigabytes.
    client.get::<serde_json::Value>(&[goal.readable], &[("page_size", "1")]).await?;

    let bar = bar(length);
    let moving = bar.clone();
    let content = ReaderStream::with_capacity(open.take(length), PIECE).inspect_ok(move |piece| {
        moving.inc(piece.len() as u64);
        if moving.position() == length {
            moving.set_message(tr("已传完，服务正在核对").to_owned());
        }
    });
    let answer = client.upload(goal.path, query, goal.kind, length, content).await;
    bar.finish_and_clear();
    Ok(answer?)
}

fn bar(length: u64) -> ProgressBar {
    // Hides itself where standard error is not a terminal.
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let (upload, left) = (tr("上传"), tr("还要"));
    let places = "[{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(&format!("{upload} {places} {left} {{eta}} {{msg}}")) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
