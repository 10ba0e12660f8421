//! `/readyz`: can this broker do its work, and if not, what is missing and who mends it. Whoever distributes calls reads the
//! status; people read the parts.

use super::Api;
use crate::{
    capacity,
    error::{Kind, Problem},
    operation::worker::Pulse,
    secret::Vault,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{fs, io, path::PathBuf, time::Duration};
use tokio::{task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long one part may take to answer. Those who wait are readers and a place in the queue: what is given up changes
/// nothing.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the parts are looked for by.
#[derive(Clone)]
pub struct Readiness {
    /// The end has been announced.
    pub stop: CancellationToken,
    pub pulse: Pulse,
    /// A worker that has not come round for so long is stuck.
    pub longest_round: Duration,
    pub image_folder: PathBuf,
    pub secret_key_file: PathBuf,
    /// Of the key in use.
    pub key_id: String,
}

/// One part of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Part {
    /// `database`, `write_queue`, `worker`, `image_folder`, `secret_key` or `hosts`.
    pub part: &'static str,
    pub ok: bool,
    /// Without it the broker is not ready.
    pub required: bool,
    /// Chinese: what was seen, or what is missing.
    pub detail: String,
    /// Chinese: what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<&'static str>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Ready {
    /// Always `ready`.
    pub status: &'static str,
    pub parts: Vec<Part>,
}

/// What a problem of this kind has beside the members of all problems; its `code` is `not_ready` or `stopping`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Parts {
    pub parts: Vec<Part>,
}

/// `application/problem+json` of a broker that is not ready.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NotReady {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    pub status: u16,
    pub detail: String,
    /// `not_ready`, or `stopping`: told to end, and finishing what is under way.
    pub code: &'static str,
    pub parts: Vec<Part>,
}

/// 就绪：能不能服务，缺什么，怎么补
#[utoipa::path(get, path = "/readyz", tag = "observability", security(()),
    responses((status = 200, body = Ready), (status = 503, body = NotReady, content_type = "application/problem+json")))]
pub async fn readyz(State(api): State<Api>) -> Response {
    if api.readiness.stop.is_cancelled() {
        let problem = Problem::new(Kind::Unavailable, "stopping", "服务正在停止，不再接受新的请求");
        return problem.with_members(Parts { parts: Vec::new() });
    }
    judge(look(&api).await)
}

fn judge(parts: Vec<Part>) -> Response {
    let missing: Vec<_> = parts.iter().filter(|part| part.required && !part.ok).collect();
    if missing.is_empty() {
        return Json(Ready { status: "ready", parts }).into_response();
    }
    let told: Vec<_> = missing.iter().map(|p| format!("{}；{}", p.detail, p.mend.unwrap_or_default())).collect();
    Problem::new(Kind::Unavailable, "not_ready", told.join("。")).with_members(Parts { parts })
}

async fn look(api: &Api) -> Vec<Part> {
    let Readiness { pulse, longest_round, image_folder, secret_key_file, key_id, .. } = api.readiness.clone();
    let on_disk = spawn_blocking(move || (writable(&image_folder), secret_key(&secret_key_file, &key_id)));
    let (reading, writing, hosts, on_disk) = tokio::join!(
        timeout(PATIENCE, api.db.probe_reading()),
        timeout(PATIENCE, api.db.probe_writing()),
        timeout(PATIENCE, count_hosts(api)),
        timeout(PATIENCE, on_disk),
    );
    let (images, key) = match on_disk {
        Ok(Ok(seen)) => seen,
        // A disk that does not answer.
        _ => (Err(io::ErrorKind::TimedOut.into()), Err("没有回应".to_owned())),
    };
    let hosts = hosts.ok().and_then(Result::ok);
    vec![
        match reading {
            Ok(Ok(true)) => good("database", true, "数据库可读，表是新的"),
            Ok(Ok(false)) => bad(
                "database",
                true,
                "数据库的表比程序旧",
                "有人换过数据库或恢复了旧的备份：重新启动服务，启动时会补齐",
            ),
            Ok(Err(_)) | Err(_) => {
                bad("database", true, "数据库读不到", "检查数据库服务和网络；运行 jiyue doctor 看原因")
            }
        },
        match writing {
            Ok(Ok(())) => good("write_queue", true, "写入队列正常"),
            Ok(Err(_)) | Err(_) => bad(
                "write_queue",
                true,
                "数据库写不进",
                "检查数据库是否只读、磁盘是否已满、是否被别的程序锁住；运行 jiyue doctor 看原因",
            ),
        },
        worker(pulse.age(), longest_round),
        match images {
            Ok(()) => good("image_folder", true, "镜像目录可写"),
            Err(error) => {
                let detail = format!("镜像目录写不进（{}）", error.kind());
                bad("image_folder", true, detail, "检查 image_folder 的属主、权限和所在磁盘")
            }
        },
        match key {
            Ok(()) => good("secret_key", false, "密钥文件在，与使用中的相同"),
            Err(detail) => {
                bad("secret_key", false, detail, "现在还能服务，重新启动就不能了：马上从备份恢复 secret_key_file")
            }
        },
        match hosts {
            Some((all, active)) if active > 0 => good("hosts", false, format!("{all} 台宿主机，{active} 台可用")),
            Some((0, _)) => bad("hosts", false, "还没有宿主机，批不了申请", "jiyue host add 接入一台"),
            Some((all, _)) => bad(
                "hosts",
                false,
                format!("{all} 台宿主机都不可用，批不了申请"),
                "jiyue host list 看原因；暂停接收的用 jiyue host uncordon 恢复",
            ),
            None => bad("hosts", false, "宿主机的情况读不到", "数据库恢复后再看"),
        },
    ]
}

fn worker(silent: Duration, longest_round: Duration) -> Part {
    if silent <= longest_round {
        return good("worker", true, "后台任务正常");
    }
    let detail = format!("后台任务 {} 秒没有动静", silent.as_secs());
    bad("worker", true, detail, "数据库恢复后会自己继续；数据库正常而仍然如此的，重新启动服务")
}

fn good(part: &'static str, required: bool, detail: impl Into<String>) -> Part {
    Part { part, ok: true, required, detail: detail.into(), mend: None }
}

fn bad(part: &'static str, required: bool, detail: impl Into<String>, mend: &'static str) -> Part {
    Part { part, ok: false, required, detail: detail.into(), mend: Some(mend) }
}

async fn count_hosts(api: &Api) -> Result<(i64, i64), crate::db::DbError> {
    let mut conn = api.db.read().await?;
    capacity::store::count_hosts(&mut conn).await
}

/// Tried, not guessed from modes: a file system may be read-only, and root may do anything.
fn writable(folder: &PathBuf) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let file = folder.join(".writable");
    fs::write(&file, "x")?;
    match fs::remove_file(&file) {
        // Another question, asked at the same time, was quicker.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn secret_key(file: &std::path::Path, key_id: &str) -> Result<(), String> {
    match Vault::from_file(file) {
        Ok(vault) if vault.key_id() == key_id => Ok(()),
        Ok(_) => Err("密钥文件换成了别的密钥".to_owned()),
        Err(fault) => Err(format!("密钥文件不能用：{}", fault.fault)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_stands_still_is_told() {
        let limit = Duration::from_secs(31);
        assert!(worker(limit, limit).ok);
        let stuck = worker(Duration::from_secs(32), limit);
        assert!(!stuck.ok && stuck.required && stuck.detail.contains("32 秒") && stuck.mend.is_some(), "{stuck:?}");
    }
}
