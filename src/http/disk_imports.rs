//! `/v1/disk-imports`

use super::{
    Api,
    extract::{Caller, Document, Path, Query, identified, identifier, one_of},
    location,
    page::{Cut, Page, PageQuery},
    task_books::{department_id, departments},
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Department,
        policy::{self, Act},
    },
    ids::{DiskImportId, MachineId, OperationId, ServerId},
    migration::moving::{
        Address, DiskImport,
        lifecycle::State as ImportState,
        service::NewDiskImport,
        store::{self, Filter},
    },
    operation, text,
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::HashMap, net::Ipv4Addr};
use uuid::Uuid;

/// 旧机磁盘迁入
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DiskImportView {
    #[schema(value_type = String, format = Uuid)]
    pub id: DiskImportId,
    pub department: Option<Department>,
    /// `importing`, `moved`, `returning`, `returned`, `failed` or `finished`.
    pub state: &'static str,
    #[schema(value_type = String, format = Uuid)]
    pub server_id: ServerId,
    pub source_host: String,
    /// The old guest there.
    pub domain: String,
    #[schema(value_type = String, format = Uuid)]
    pub domain_id: Uuid,
    #[schema(value_type = String, format = Uuid)]
    pub machine_id: MachineId,
    /// `keep`: the machine has the old guest's address; `new`: the one that it was built with.
    pub address_mode: Address,
    #[schema(value_type = String, format = Ipv4)]
    pub address: Ipv4Addr,
    /// `raw` or `qcow2`.
    pub format: &'static str,
    pub file_bytes: u64,
    pub virtual_bytes: i64,
    pub copied_bytes: u64,
    /// Of what was ever sent: more than copied where something had to be sent twice, less where there were only zeros.
    pub sent_bytes: u64,
    /// Of the whole file, as it was read; once `checked_at` is there, also as it was read back.
    #[schema(required)]
    pub sha256: Option<String>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub checked_at: Option<Timestamp>,
    /// Whether the guest answered (SSH) after its first start on the cloud's host.
    #[schema(required)]
    pub answered: Option<bool>,
    /// Why it goes back, went back, or came to nothing.
    #[schema(required)]
    pub note: Option<String>,
    /// What shows that the old guest stays off.
    #[schema(required)]
    pub evidence: Option<Value>,
    #[schema(value_type = String, format = Uuid)]
    pub operation_id: OperationId,
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub moved_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

impl DiskImportView {
    fn of(import: DiskImport, departments: &HashMap<String, Department>) -> Self {
        Self {
            id: import.id,
            department: departments.get(&import.department.text()).cloned(),
            state: import.state.word(),
            server_id: import.server,
            address_mode: import.kept(),
            source_host: import.source_host,
            domain: import.domain_name,
            domain_id: import.domain_id,
            machine_id: import.machine,
            address: import.address,
            format: import.disk_format.word(),
            file_bytes: import.file_bytes,
            virtual_bytes: import.virtual_bytes,
            copied_bytes: import.copied_bytes,
            sent_bytes: import.sent_bytes,
            sha256: import.sha256,
            checked_at: import.checked_at,
            answered: import.answered,
            note: import.note,
            evidence: import.evidence.and_then(|text| serde_json::from_str(&text).ok()),
            operation_id: import.operation,
            created_by: import.created_by,
            created_at: import.created_at,
            moved_at: import.moved_at,
            ended_at: import.ended_at,
        }
    }
}

async fn told(api: &Api, import: DiskImport) -> Result<Json<DiskImportView>, Problem> {
    let mut conn = api.db.read().await?;
    Ok(Json(DiskImportView::of(import, &departments(&mut conn).await?)))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiskImportsQuery {
    /// `importing`, `moved`, `returning`, `returned`, `failed` or `finished`.
    pub state: Option<String>,
    /// The department's code or id.
    pub department: Option<String>,
    pub machine_id: Option<String>,
    pub server_id: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 磁盘迁入列表
#[utoipa::path(get, path = "/v1/disk-imports", tag = "disk-imports", params(DiskImportsQuery),
    responses((status = 200, body = Page<DiskImportView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<DiskImportsQuery>,
) -> Result<Json<Page<DiskImportView>>, Problem> {
    let scope = policy::scope(&actor, Act::DiskImportRead)?.filter();
    one_of::<ImportState>("state", query.state.as_deref())?;
    let machine = identifier::<MachineId>("machine_id", query.machine_id)?;
    let server = identifier::<ServerId>("server_id", query.server_id)?;
    let mut conn = api.db.read().await?;
    let departments = departments(&mut conn).await?;
    let department = query.department.map(|key| department_id(&departments, key));
    let filter = Filter {
        scope: scope.as_deref(),
        department: department.as_deref(),
        state: query.state.as_deref(),
        machine: machine.as_deref(),
        server: server.as_deref(),
    };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "disk-imports", &store::SORTS, page, &filter)?;
    let rows = store::list(&mut conn, &filter, &cut.slice).await?;
    Ok(Json(cut.page(rows, |row| DiskImportView::of(row, &departments))))
}

/// 查看磁盘迁入
#[utoipa::path(get, path = "/v1/disk-imports/{id}", tag = "disk-imports", params(("id" = String, Path)),
    responses((status = 200, body = DiskImportView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<DiskImportView>, Problem> {
    told(&api, api.disk_imports.find(&actor, Act::DiskImportRead, &id).await?).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskImportOrder {
    /// The legacy server of the survey that the guest is.
    pub server_id: String,
    /// A `[[source_host]]` of the settings.
    #[schema(max_length = 64)]
    pub source_host: String,
    /// The guest there, by name or UUID.
    #[schema(min_length = 1, max_length = 100)]
    pub domain: String,
    /// The machine whose disk it replaces: delivered, of the same department, on a libvirt host.
    pub machine_id: String,
    /// `keep` the old guest's address, or `new`: the one that the machine was built with.
    pub address: Address,
    /// With `keep`.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Ipv4)]
    pub old_address: Option<Ipv4Addr>,
}

/// 把旧机的系统盘迁入一台已交付的虚拟机；旧机在复制期间停机，了结之前都可退回
#[utoipa::path(post, path = "/v1/disk-imports", tag = "disk-imports", request_body = DiskImportOrder,
    responses((status = 201, body = DiskImportView), (status = "4XX", body = ProblemDocument)))]
pub async fn create(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<DiskImportOrder>,
) -> Result<Response, Problem> {
    let DiskImportOrder { server_id, source_host, domain, machine_id, address, old_address } = document.value;
    let domain = text::said(&domain, text::NAME)
        .map_err(|fault| Problem::malformed(format!("/domain: 写旧机的名字或 UUID，1 至 100 字（{fault}）")))?;
    let server = identified::<ServerId>("/server_id", &server_id)?;
    let machine = identified::<MachineId>("/machine_id", &machine_id)?;
    let new = NewDiskImport { server, source_host, domain, machine, address, old_address };
    let import = api.disk_imports.create(&actor, new).await?;
    let at = location(&format!("/v1/disk-imports/{}", import.id));
    Ok((StatusCode::CREATED, at, told(&api, import).await?).into_response())
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskImportRollback {
    #[schema(min_length = 1, max_length = 2000)]
    pub reason: String,
}

/// 退回：虚拟机停下并换回原来的空盘，确认之后旧机才重新启动
#[utoipa::path(post, path = "/v1/disk-imports/{id}/rollback", tag = "disk-imports", params(("id" = String, Path)),
    request_body = DiskImportRollback,
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn rollback(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<DiskImportRollback>,
) -> Result<Response, Problem> {
    let operation = api.disk_imports.roll_back(&actor, &id, &document.value.reason).await?;
    let view = super::operations::one(&api, &actor, &operation.text()).await?;
    let at = location(&format!("/v1/operations/{operation}"));
    Ok((StatusCode::ACCEPTED, at, Json(view)).into_response())
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskImportFinish {
    /// What shows that the old guest stays off; needed where its host can no longer be asked.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub evidence: Option<String>,
}

/// 了结：旧机从此不再启动，它的磁盘仍留在原处；此后不能退回
#[utoipa::path(post, path = "/v1/disk-imports/{id}/finish", tag = "disk-imports", params(("id" = String, Path)),
    request_body = DiskImportFinish,
    responses((status = 200, body = DiskImportView), (status = "4XX", body = ProblemDocument)))]
pub async fn finish(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<DiskImportFinish>,
) -> Result<Json<DiskImportView>, Problem> {
    let import = api.disk_imports.finish(&actor, &id, document.value.evidence.as_deref()).await?;
    told(&api, import).await
}
