//! Acts on task books: importing a version, revoking.

use super::{
    document::{TaskBook, TaskBookDocument},
    store::{self, Held},
};
use crate::{
    audit::{self, Outcome, Record, Who},
    catalogue::Catalogue,
    db::Db,
    error::{Problem, Shortage},
    identity::{
        Actor,
        policy::{self, Act},
        store as identity_store,
    },
    ids::TaskBookId,
    jurisdiction::Profile,
    text::{self, hex},
};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Whether an import changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    Created,
    Superseded,
    /// The same version with the same words was here already.
    Unchanged,
}

/// Imports a task book document (YAML or JSON): a new number, or the next version of one that is here.
pub async fn import(
    db: &Db,
    actor: &Actor,
    catalogue: &Catalogue,
    profile: &Profile,
    document: String,
) -> Result<(TaskBookId, Imported), Problem> {
    policy::scope(actor, Act::TaskBookImport)?;
    let book = TaskBookDocument::read(&document, catalogue, profile).map_err(Problem::refused)?;
    let digest = hex(&Sha256::digest(document.as_bytes()));
    let who = Who::from(actor);
    db.write(async move |tx| -> Result<_, Problem> {
        let Some(department) = identity_store::find_department(tx.conn(), &book.department).await? else {
            return Err(Problem::conflict(
                "department_unknown",
                format!(
                    "没有代码为 {} 的建设单位；请先登记：jiyue department create {} 单位名称",
                    book.department, book.department
                ),
            ));
        };
        let (id, imported) = match store::find(tx.conn(), &book.number, None).await? {
            None => {
                let id = TaskBookId::new();
                store::insert(tx, id, department.id, &book).await?;
                (id, Imported::Created)
            }
            Some(held) if held.department != department.id => {
                return Err(Problem::conflict(
                    "task_book_number_taken",
                    format!("任务书编号 {} 已属于其他建设单位", book.number),
                ));
            }
            Some(held) if book.version != held.version + 1 => {
                let same = store::version_digest(tx.conn(), held.id, book.version).await?.as_ref() == Some(&digest);
                if !(same && held.version == book.version) {
                    return Err(Problem::conflict(
                        "task_book_version_stale",
                        format!(
                            "任务书 {} 当前为第 {} 版，导入的是第 {} 版；变更须为第 {} 版",
                            book.number,
                            held.version,
                            book.version,
                            held.version + 1
                        ),
                    ));
                }
                (held.id, Imported::Unchanged)
            }
            Some(held) => {
                if !store::supersede(tx, held.id, held.version, &book).await? {
                    return Err(cannot_supersede(&held, &book));
                }
                (held.id, Imported::Superseded)
            }
        };
        if imported != Imported::Unchanged {
            store::insert_version(tx, id, book.version, &document, &digest, &who.person).await?;
        }
        let record = Record {
            who: who.clone(),
            action: Act::TaskBookImport.word(),
            object_type: "task_book",
            object_id: id.text(),
            department_id: Some(department.id.text()),
            outcome: Outcome::Done,
            detail: json!({"number": book.number, "version": book.version, "digest": digest,
                "changed": imported != Imported::Unchanged}),
        };
        audit::record(tx, record).await?;
        Ok((id, imported))
    })
    .await
}

/// A version that would allow less than is in use, or of a task book that was revoked.
fn cannot_supersede(held: &Held, book: &TaskBook) -> Problem {
    if held.revoked.is_some() {
        return Problem::conflict("task_book_revoked", format!("任务书 {} 已撤销，不能再变更", held.number));
    }
    let (used, limit) = (held.used, book.indicators);
    let short = [
        ("machines", used.machines, limit.machines),
        ("vcpu", used.vcpu, limit.vcpu),
        ("memory_bytes", used.memory.get(), limit.memory.get()),
        ("disk_bytes", used.disk.get(), limit.disk.get()),
    ]
    .into_iter()
    .filter(|(_, used, limit)| used > limit)
    .map(|(dimension, asked, free)| Shortage { dimension, asked, free, of: "task_book" })
    .collect();
    Problem::short(
        "task_book_below_use",
        format!("任务书 {} 新版本的控制指标低于已使用量；请先释放资源，再导入第 {} 版", held.number, book.version),
        short,
    )
}

/// Revokes a task book: nothing more is approved on it, and builds under way turn back.
pub async fn revoke(db: &Db, actor: &Actor, key: &str, reason: String) -> Result<(), Problem> {
    let scope = policy::scope(actor, Act::TaskBookRevoke)?;
    let reason = text::said(&reason, text::NAME).map_err(|fault| {
        Problem::malformed(format!("/reason: 撤销原因不符合要求（{fault}），请写明原因，不超过 100 字"))
    })?;
    let (who, key) = (Who::from(actor), key.to_owned());
    db.write(async move |tx| -> Result<(), Problem> {
        let Some(held) = store::find(tx.conn(), &key, scope.filter().as_deref()).await? else {
            return Err(Problem::not_found("任务书"));
        };
        if !store::revoke(tx, held.id, &reason).await? {
            return Err(Problem::conflict("task_book_revoked", format!("任务书 {} 已经撤销", held.number)));
        }
        let record = Record {
            who: who.clone(),
            action: Act::TaskBookRevoke.word(),
            object_type: "task_book",
            object_id: held.id.text(),
            department_id: Some(held.department.text()),
            outcome: Outcome::Done,
            detail: json!({"number": held.number, "version": held.version, "reason": reason}),
        };
        Ok(audit::record(tx, record).await?)
    })
    .await
}
