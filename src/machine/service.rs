//! Acts on delivered machines, and the import of images.

use super::{Machine, image::Image, name::Names, power, store};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{self, Amount, inventory::Inventory, providers::Providers},
    catalogue::Catalogue,
    db::{Db, DbError},
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{MachineId, OperationId},
    operation::{Kind as OperationKind, NewOperation, store as operations, term::Term, worker::Bell},
    provider::disk_image::{self, Header, ReadError},
    secret::Vault,
    task_book,
    text::{self, hex},
    units::Bytes,
};
use bytes::Bytes as Chunk;
use futures_util::{Stream, StreamExt};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};
use tokio::{fs, io::AsyncWriteExt, sync::Mutex, task::spawn_blocking};

/// Bytes of console that one call gives at most.
const CONSOLE_BYTES: usize = 256 * 1024;

/// What acts on machines need of the house.
#[derive(Clone)]
pub struct Machines {
    pub db: Db,
    pub inventory: Inventory,
    pub providers: Providers,
    pub bell: Bell,
    pub catalogue: Arc<Catalogue>,
    pub names: Names,
    pub vault: Vault,
}

const fn act_of(kind: OperationKind) -> Act {
    match kind {
        OperationKind::Start => Act::MachineStart,
        OperationKind::Bin => Act::MachineDelete,
        OperationKind::Restore => Act::MachineRestore,
        OperationKind::Reboot => Act::MachineReboot,
        OperationKind::Resize => Act::MachineResize,
        OperationKind::Migrate => Act::MachineMigrate,
        OperationKind::Rebuild => Act::MachineRebuild,
        // What is about disks is no act on a machine alone, and never comes here.
        OperationKind::Stop | OperationKind::Build | OperationKind::ImportDisk | OperationKind::ReturnDisk => {
            Act::MachineStop
        }
    }
}

impl Machines {
    /// Puts an operation on a machine: start, stop, delete (into the recycle bin) or restore.
    pub async fn act(&self, actor: &Actor, id: &str, kind: OperationKind) -> Result<OperationId, Problem> {
        self.act_in(None, actor, id, kind).await
    }

    /// The same under a term, which must not be over.
    pub async fn act_in(
        &self,
        term: Option<Term>,
        actor: &Actor,
        id: &str,
        kind: OperationKind,
    ) -> Result<OperationId, Problem> {
        let scope = policy::scope(actor, act_of(kind))?;
        let machine = self.find(id, scope.filter()).await?;
        may(&machine, kind)?;
        let operation = NewOperation {
            id: OperationId::new(),
            kind,
            department: machine.department,
            request: None,
            machine: Some(machine.id),
            steps_total: power::steps_total(kind),
            trace_id: actor.trace_id.clone(),
            started_by: actor.person.login.clone(),
            plan: None,
        };
        let (id, who) = (operation.id, Who::from(actor));
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                Term::hold_if(term, tx).await?;
                if matches!(kind, OperationKind::Start | OperationKind::Restore)
                    && task_book::store::is_revoked_for_request(tx.conn(), machine.request).await?
                {
                    return Err(Problem::conflict("task_book_revoked", "所属任务书已撤销，不能再启动"));
                }
                if !store::begin(tx, machine.id, operation.id, machine.state).await? {
                    return Err(Problem::conflict("machine_busy", "该虚拟机的状态刚刚变化；请重新查询后再试"));
                }
                if kind == OperationKind::Restore {
                    claim_again(tx, machine.id).await?;
                }
                operations::insert_all(tx, std::slice::from_ref(&operation)).await?;
                let record = Record {
                    who: who.clone(),
                    action: act_of(kind).word(),
                    object_type: "machine",
                    object_id: machine.id.text(),
                    department_id: Some(machine.department.text()),
                    outcome: Outcome::Done,
                    detail: json!({"operation": operation.id, "name": machine.intent.name}),
                };
                Ok(audit::record(tx, record).await?)
            })
            .await?;
        if kind == OperationKind::Restore {
            self.inventory.stale();
        }
        self.bell.ring();
        Ok(id)
    }

    pub async fn find(&self, id: &str, department: Option<String>) -> Result<Machine, Problem> {
        let mut conn = self.db.read().await?;
        store::find(&mut conn, id, department.as_deref()).await?.ok_or_else(|| Problem::not_found("虚拟机"))
    }

    /// The tail of a machine's serial console.
    pub async fn console(&self, actor: &Actor, id: &str, lines: usize) -> Result<String, Problem> {
        let scope = policy::scope(actor, Act::MachineLog)?;
        let machine = self.find(id, scope.filter()).await?;
        let provider = self.providers.of(machine.host).await.map_err(Problem::internal)?;
        let text = provider.console(&machine.intent, CONSOLE_BYTES).await.map_err(|error| {
            Problem::new(Kind::Unavailable, "console_unavailable", format!("暂时读不到串口日志：{error}"))
        })?;
        let all: Vec<_> = text.lines().collect();
        let tail = &all[all.len().saturating_sub(lines)..];
        Ok(tail.iter().flat_map(|line| [line, "\n"]).collect())
    }
}

/// Whether a machine is free for an operation, in a state that admits it.
pub fn may(machine: &Machine, kind: OperationKind) -> Result<(), Problem> {
    if machine.operation.is_some() {
        return Err(Problem::conflict("machine_busy", "该虚拟机正有操作在进行；请等待其结束后再试"));
    }
    if !machine.state.admits(kind) {
        return Err(Problem::conflict(
            "machine_state",
            format!("虚拟机处于“{}”（{}），不能执行 {}", machine.state.label(), machine.state, kind),
        ));
    }
    Ok(())
}

/// Compute for a machine that comes out of the bin: from the task book and from the host on which its disk lies.
async fn claim_again(tx: &mut crate::db::Tx, machine: MachineId) -> Result<(), Problem> {
    let Some((book, host, size)) = capacity::store::claimed(tx.conn(), machine).await? else {
        return Err(Problem::not_found("虚拟机的资源占用记录"));
    };
    let compute = Amount { machines: 1, vcpu: i64::from(size.vcpu), memory_bytes: size.memory.get(), disk_bytes: 0 };
    let held =
        task_book::store::find(tx.conn(), &book.text(), None).await?.ok_or_else(|| Problem::not_found("任务书"))?;
    if capacity::store::claim_quota(tx, &[(book, held.version, compute)]).await? != 1 {
        let free = Amount::from(held.limits).minus(held.used.into());
        let short = compute.shortage(free, "task_book");
        return Err(Problem::short("indicator_exceeded", "任务书剩余额度不足以恢复该虚拟机", short));
    }
    if capacity::store::claim_hosts(tx, &[(host, compute)]).await? != 1 {
        let row =
            capacity::store::find_host(tx.conn(), &host.text()).await?.ok_or_else(|| Problem::not_found("宿主机"))?;
        // A host's machines are not limited.
        let free = Amount { machines: compute.machines, ..row.limit.minus(row.used) };
        let short = compute.shortage(free, "host");
        return Err(Problem::short("capacity_exceeded", "磁盘所在宿主机的剩余资源不足以恢复该虚拟机", short));
    }
    if !capacity::store::hold_compute(tx, machine).await? {
        return Err(Problem::conflict("machine_state", "该虚拟机的资源已在占用"));
    }
    Ok(())
}

/// Where images are kept, and what is taken.
#[derive(Clone)]
pub struct Images {
    pub db: Db,
    pub catalogue: Arc<Catalogue>,
    /// The broker's own folder of images.
    pub folder: PathBuf,
    /// Nothing larger is taken.
    pub max_bytes: u64,
    /// One image is entered at a time: a file without a row is only taken away when no row is on its way.
    pub entering: Arc<Mutex<()>>,
    /// Wakes the courier: the new image goes to the hosts.
    pub bell: Bell,
}

/// What an operator says about an image.
#[derive(Clone, Debug)]
pub struct NewImage {
    pub name: String,
    pub os_type: String,
    /// 数据库 that is in it.
    pub database: Option<String>,
    pub stand_in: bool,
}

type Body = Pin<Box<dyn Stream<Item = Result<Chunk, axum::Error>> + Send>>;

impl Images {
    /// Takes an image: to a temporary file while its digest is computed, through our own reading of its header, and
    /// under its digest's name, read-only. The same bytes twice are one image.
    pub async fn import(&self, actor: &Actor, new: NewImage, body: Body) -> Result<Image, Problem> {
        policy::scope(actor, Act::ImageImport)?;
        let os = self.os_of(&new.os_type)?;
        let database = new.database.as_deref().map(|word| self.baked(word)).transpose()?;
        let name = text::said(&new.name, text::NAME)
            .map_err(|fault| Problem::malformed(format!("name: 镜像名称不符合要求（{fault}）")))?;
        fs::create_dir_all(&self.folder).await.map_err(Problem::internal)?;
        let upload = tempname(&self.folder);
        let received = self.receive(&upload, body).await;
        let entered = match received {
            Ok((sha256, size, header)) => {
                let _entering = self.entering.lock().await;
                let said = NewImage { name, os_type: os, database, stand_in: new.stand_in };
                let image = self.accept(&upload, sha256, size, header, said).await;
                match image {
                    Ok(image) => self.enter_or_take_away(actor, image).await.inspect(|_| self.bell.ring()),
                    Err(problem) => Err(problem),
                }
            }
            Err(problem) => Err(problem),
        };
        // Gone when it was renamed; whatever else happened, nothing half-read stays.
        let _ = fs::remove_file(&upload).await;
        entered
    }

    /// The key of an operating system whose images are taken.
    fn os_of(&self, word: &str) -> Result<String, Problem> {
        let os = self.catalogue.find_os(word);
        if let Some(ended) = os.filter(|os| os.is_ended(self.db.clock().today())) {
            let (name, day, offered) = (&ended.name, ended.end_of_life, self.catalogue.os_names());
            let detail = format!("操作系统 {name} 已于 {day} 停止维护，不再接收它的镜像；可用：{offered}");
            return Err(Problem::new(Kind::Refused, "os_end_of_life", detail));
        }
        os.filter(|os| os.offered).map(|os| os.key.clone()).ok_or_else(|| {
            let detail = format!("操作系统 {} 不在目录中；可用：{}", text::shown(word), self.catalogue.os_names());
            Problem::new(Kind::Refused, "os_not_in_catalogue", detail)
        })
    }

    /// The key of a database that an image may have in it.
    fn baked(&self, word: &str) -> Result<String, Problem> {
        let found = self.catalogue.find_database(word).filter(|e| e.offered && e.profile.is_some());
        found.map(|entry| entry.key.clone()).ok_or_else(|| {
            Problem::new(
                Kind::Refused,
                "database_not_in_catalogue",
                format!("数据库 {} 不在目录中；可用：{}", text::shown(word), self.catalogue.database_names()),
            )
        })
    }

    async fn receive(&self, upload: &Path, mut body: Body) -> Result<(String, u64, Header), Problem> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.read(true).write(true).create_new(true).open(upload).await.map_err(Problem::internal)?;
        let (mut digest, mut size) = (Sha256::new(), 0_u64);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| Problem::malformed("镜像上传中断；请重新上传"))?;
            size += chunk.len() as u64;
            if size > self.max_bytes {
                return Err(Problem::new(
                    Kind::TooLarge,
                    "image_too_large",
                    format!("镜像超过上限 {} 字节；请先压缩，例如 qemu-img convert -c -O qcow2", self.max_bytes),
                ));
            }
            digest.update(&chunk);
            file.write_all(&chunk).await.map_err(Problem::internal)?;
        }
        file.sync_all().await.map_err(Problem::internal)?;
        let mut file = file.into_std().await;
        let judged = spawn_blocking(move || disk_image::read_file(&mut file)).await.map_err(Problem::internal)?;
        let header = judged.map_err(|error| match error {
            ReadError::Io(error) => Problem::internal(error),
            ReadError::Refused(refusal) => {
                let detail = format!("镜像未被接受：{refusal}。{}", refusal.mend());
                Problem::new(Kind::Refused, "image_refused", detail)
            }
        })?;
        Ok((hex(&digest.finalize()), size, header))
    }

    async fn accept(
        &self,
        upload: &Path,
        sha256: String,
        size: u64,
        header: Header,
        said: NewImage,
    ) -> Result<Image, Problem> {
        let path = self.folder.join(format!("{sha256}.{}", header.format.word()));
        let mut mode = fs::metadata(upload).await.map_err(Problem::internal)?.permissions();
        mode.set_readonly(true);
        fs::set_permissions(upload, mode).await.map_err(Problem::internal)?;
        fs::rename(upload, &path).await.map_err(Problem::internal)?;
        Ok(Image {
            sha256,
            name: said.name,
            os_type: said.os_type,
            database: said.database,
            stand_in: said.stand_in,
            format: header.format,
            size: i64::try_from(size).ok().and_then(Bytes::new).unwrap_or(Bytes::MAX),
            virtual_size: header.virtual_size,
            path: path.to_string_lossy().into_owned(),
            imported_at: self.db.clock().now(),
        })
    }

    /// Enters the image; the file of one that is refused goes again, unless it is another image's.
    async fn enter_or_take_away(&self, actor: &Actor, image: Image) -> Result<Image, Problem> {
        let (sha256, path) = (image.sha256.clone(), image.path.clone());
        let entered = self.enter(actor, image).await;
        if entered.as_ref().is_err_and(|problem| problem.kind == Kind::Conflict) {
            let mut conn = self.db.read().await?;
            if store::find_image(&mut conn, &sha256).await?.is_none() {
                let _ = fs::remove_file(&path).await;
            }
        }
        entered
    }

    async fn enter(&self, actor: &Actor, image: Image) -> Result<Image, Problem> {
        let who = Who::from(actor);
        self.db
            .write(async move |tx| -> Result<Image, Problem> {
                let kept = match store::find_image(tx.conn(), &image.sha256).await? {
                    Some(held)
                        if held.name == image.name
                            && held.os_type == image.os_type
                            && held.database == image.database
                            && held.stand_in == image.stand_in =>
                    {
                        held
                    }
                    Some(held) => {
                        return Err(Problem::conflict(
                            "image_known",
                            format!("相同内容的镜像已登记为“{}”（{}）", held.name, held.os_type),
                        ));
                    }
                    None => {
                        store::insert_image(tx, &image).await.map_err(|error: DbError| {
                            if error.is_duplicate_of("name") {
                                Problem::conflict("image_name_taken", format!("镜像名称“{}”已被使用", image.name))
                            } else {
                                error.into()
                            }
                        })?;
                        image.clone()
                    }
                };
                let record = Record {
                    who: who.clone(),
                    action: Act::ImageImport.word(),
                    object_type: "image",
                    object_id: kept.sha256.clone(),
                    department_id: None,
                    outcome: Outcome::Done,
                    detail: json!({"name": kept.name, "os_type": kept.os_type, "database": kept.database,
                        "stand_in": kept.stand_in}),
                };
                audit::record(tx, record).await?;
                Ok(kept)
            })
            .await
    }
}

fn tempname(folder: &Path) -> PathBuf {
    folder.join(format!("upload-{}", uuid::Uuid::now_v7()))
}
