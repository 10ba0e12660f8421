//! The OpenAPI document: what the routes say of themselves, and what is true of all of them, said once here.

use super::{acts, deadlines, images, once, rooms, rules, verdicts, waves};
use crate::{
    audit, capacity, db::Sorts, identity, machine, migration, operation, report, request, server, system, task_book,
    usage, watch,
};
use serde_json::{Map, Value};
use std::sync::{LazyLock, OnceLock};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Header, HttpMethod, Ref, RefOr, Required, ResponseBuilder, Schema,
        content::{Content, ContentBuilder},
        header::HeaderBuilder,
        path::{Operation, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

const ABOUT: &str = "政务云资源申请与容量管理接口。命名、状态码、分页、重试与并发修改的约定见 docs/api.md。\
    字节数是整数，字段名以 _bytes 结尾；时间是 RFC 3339（UTC）；日期是 YYYY-MM-DD。错误是 RFC 9457 的 \
    application/problem+json：code 供程序判断，title 与 detail 供人阅读。";

#[derive(OpenApi)]
#[openapi(
    info(title = "集约 Jiyue", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    modifiers(&Bearer),
    security(("bearer" = [])),
    tags(
        (name = "departments", description = "建设单位"),
        (name = "task-books", description = "项目任务书与控制指标"),
        (name = "requests", description = "资源申请：检查、提交、审批"),
        (name = "machines", description = "虚拟机"),
        (name = "servers", description = "原有的服务器"),
        (name = "usage", description = "实际用量"),
        (name = "rooms", description = "机房：普查、关停"),
        (name = "waves", description = "迁移批次、封网期、按实测用量申请"),
        (name = "deadlines", description = "台账"),
        (name = "disk-imports", description = "旧机磁盘迁入"),
        (name = "verdicts", description = "判定、规格建议、建设单位同意收回"),
        (name = "reports", description = "报告"),
        (name = "operations", description = "长任务与进展"),
        (name = "events", description = "发生了什么"),
        (name = "hosts", description = "宿主机与落位"),
        (name = "images", description = "镜像与分发"),
        (name = "alarms", description = "宿主机上实际运行的与账上不符之处"),
        (name = "rules", description = "审核规则"),
        (name = "observability", description = "健康、指标、账目、审计"),
    )
)]
struct Frame;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("jiyue token create")).build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// What the routes are put into.
pub(super) fn frame() -> utoipa::openapi::OpenApi {
    let mut document = Frame::openapi();
    document.info.description = Some(ABOUT.to_owned());
    document
}

/// The orders of each list.
const ORDERS: &[(&str, &Sorts)] = &[
    ("/v1/alarms", &watch::store::SORTS),
    ("/v1/audit-records", &audit::SORTS),
    ("/v1/deadlines", &deadlines::SORTS),
    ("/v1/departments", &identity::store::DEPARTMENT_SORTS),
    ("/v1/disk-imports", &migration::moving::store::SORTS),
    ("/v1/hosts", &capacity::store::SORTS),
    ("/v1/images", &images::SORTS),
    ("/v1/images/{id}/hosts", &images::BY_HOST),
    ("/v1/machines", &machine::store::SORTS),
    ("/v1/machines/{id}/verdicts", &usage::judging::store::SORTS),
    ("/v1/operations", &operation::store::SORTS),
    ("/v1/reports", &report::store::SORTS),
    ("/v1/requests", &request::store::SORTS),
    ("/v1/rooms", &rooms::SORTS),
    ("/v1/rules", &rules::SORTS),
    ("/v1/servers", &server::store::SORTS),
    ("/v1/systems", &system::store::SORTS),
    ("/v1/task-books", &task_book::store::SORTS),
    ("/v1/usage", &usage::store::SORTS),
    ("/v1/usage-sources", &super::usage::SOURCE_SORTS),
    ("/v1/usage/advice", &verdicts::ADVICE_SORTS),
    ("/v1/verdicts", &usage::judging::store::SORTS),
    ("/v1/zombie-findings", &usage::zombie::store::SORTS),
    ("/v1/waves", &waves::SORTS),
    ("/v1/blackouts", &waves::BLACKOUT_SORTS),
];

/// What `sort` takes on a list's path; nothing where there is no such list.
pub fn orders(path: &str) -> &'static [String] {
    static WORDS: LazyLock<Vec<(&str, Vec<String>)>> =
        LazyLock::new(|| ORDERS.iter().map(|(list, sorts)| (*list, sorts.words())).collect());
    WORDS.iter().find(|(list, _)| *list == path).map_or(&[], |(_, words)| words)
}

/// Says of every route what is true of all like it.
pub(super) fn finish(document: &mut utoipa::openapi::OpenApi) {
    acts::note(document);
    for (path, item) in &mut document.paths.paths {
        let methods = [
            (HttpMethod::Get, item.get.as_mut()),
            (HttpMethod::Post, item.post.as_mut()),
            (HttpMethod::Patch, item.patch.as_mut()),
        ];
        for (method, operation) in methods {
            if let Some(operation) = operation {
                complete(path, &method, operation);
            }
        }
    }
}

fn complete(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next().map(|tag| tag.replace('-', "_")).unwrap_or_default();
    let id = operation.operation_id.take().map(|name| format!("{tag}_{name}")).unwrap_or_default();
    operation.operation_id = Some(id.clone());
    let id = id.as_str();
    if *method != HttpMethod::Get && !once::WITHOUT.contains(&path) {
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("同一次操作的重发用同一个键；保留 24 小时"))
            .schema(Some(text(Some((1, 128)))))
            .build();
        operation.parameters.get_or_insert_default().push(RefOr::T(key));
    }
    let words = orders(path);
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.name == "sort"
        {
            let schema = ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(words.iter().map(String::as_str)))
                .build();
            parameter.schema = Some(schema.into());
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for (kind, content) in &mut body.content {
            show_example(content, kind, id);
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            response.description = described(status).to_owned();
        }
        if status.starts_with('4') || status.starts_with('5') {
            // That is how problems go out.
            if let Some(content) = response.content.shift_remove("application/json") {
                response.content.insert("application/problem+json".to_owned(), content);
            }
        } else if status == "201" || status == "202" {
            let location = header("新建的资源，或正在进行的操作");
            response.headers.insert("Location".to_owned(), location);
        } else if *method == HttpMethod::Get && response.content.contains_key("application/json") {
            response.headers.insert("ETag".to_owned(), header("内容的标记；If-None-Match 查询、If-Match 修改时用"));
        }
        for (kind, content) in &mut response.content {
            show_example(content, kind, "");
        }
    }
    if *method == HttpMethod::Get && operation.security.is_none() {
        let unchanged = ResponseBuilder::new().description("与 If-None-Match 给出的标记相比没有变化").build();
        operation.responses.responses.insert("304".to_owned(), RefOr::T(unchanged));
    }
    let example = examples().get("Unavailable").cloned();
    let busy = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemDocument"))).example(example).build();
    let later = ResponseBuilder::new().description(described("503")).content("application/problem+json", busy).build();
    operation.responses.responses.entry("503".to_owned()).or_insert(RefOr::T(later));
}

fn described(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'4') => "没有做，什么都没有写入：为什么、怎么改，见 code、detail 与 errors",
        Some(b'5') => "暂时无法服务，什么都没有写入；按 Retry-After 稍后重试",
        _ if status == "201" => "已建立",
        _ if status == "202" => "已开始，进展见 Location 指向的操作",
        _ => "成功",
    }
}

fn text(length: Option<(usize, usize)>) -> Schema {
    let mut object = ObjectBuilder::new().schema_type(Type::String);
    if let Some((least, most)) = length {
        object = object.min_length(Some(least)).max_length(Some(most));
    }
    object.into()
}

fn header(description: &str) -> RefOr<Header> {
    RefOr::T(HeaderBuilder::new().schema(Some(text(None))).description(Some(description)).build())
}

/// Gives a body the example of its schema, or, where that says no more than that it is an object, of its route.
fn show_example(content: &mut RefOr<Content>, kind: &str, route: &str) {
    let RefOr::T(content) = content else { return };
    if !kind.contains("json") {
        return;
    }
    let name = match &content.schema {
        Some(RefOr::Ref(schema)) => schema.ref_location.rsplit('/').next().unwrap_or_default(),
        _ => route,
    };
    content.example = content.example.take().or_else(|| examples().get(name).cloned());
}

/// One example for each schema that is a whole body, as recorded from a running broker (`tests/it/contract/document.rs`).
fn examples() -> &'static Map<String, Value> {
    static EXAMPLES: OnceLock<Map<String, Value>> = OnceLock::new();
    // A file of ours that cannot be read has no examples in it, which a test does not let pass.
    EXAMPLES.get_or_init(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default())
}
