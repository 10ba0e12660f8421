//! Out of the departmental rooms: the survey, what becomes of systems, and the closing of rooms.

mod documents;
mod files;
mod history;
mod life;
mod sample;
mod waves;

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    raw::{Raw, Reply},
};
use serde_json::{Value, json};
use std::time::Duration;

/// A small district: three rooms, six servers, a dozen systems. One system of 民政局 waits for one of 教育局.
pub const ROOMS: &str = "\
机房名称,建设单位,机房类型,类型证明,关停依据文件,文件日期,面积（m²）,机柜数
民政老楼机房,相城区民政局,普通,,,,40,4
民政接入机房,相城区民政局,接入,接入批复〔2017〕3号,,,12㎡,1
教育局机房,相城区教育局,普通机房,,相教办〔2025〕1号,2025/3/1,60,6
";
pub const SERVERS: &str = "\
服务器名称,建设单位,所在机房,型号,购置年份,CPU 核数,内存（GB）,磁盘（GB）,操作系统
旧服务器1,相城区民政局,民政老楼机房,R720,2012,16,64,2TB,Windows Server 2008
旧服务器2,相城区民政局,民政老楼机房,R720,2012,16,64,1000,CentOS 6
接入1,相城区民政局,民政接入机房,,2018,8,32,500,CentOS 7
教1,相城区教育局,教育局机房,,2016,24,128,4TB,CentOS 7
";
pub const SYSTEMS: &str = "\
系统名称,建设单位,功能,使用范围,使用频度,审批部门,审批时间,经费来源,用户规模,等保级别,是否涉密,所在机房,所在服务器,依赖系统,系统架构,数据库,厂商停止支持,需接入共享交换平台
低保审批系统,相城区民政局,低保申请的受理与审批,本单位,每天,区发改局,2013年5月20日,财政资金,300人,二级,否,民政老楼机房,旧服务器1,学籍管理系统,C/S,Oracle 10g,是,是
老年证系统,相城区民政局,老年证办理,个别处室,几乎不用,区发改局,2009-03-01,财政资金,20,无,非涉密,民政老楼机房,旧服务器2,,单机,Access,是,否
婚姻登记查询,相城区民政局,查询,面向公众,每天,区发改局,20180101,自筹,5000,三级,否,民政老楼机房,旧服务器1、旧服务器2,,B/S,MySQL 5.7,否,是
学籍管理系统,相城区教育局,学籍,跨部门,每天,区发改局,2016.7.1,财政资金,2000,三级,否,教育局机房,教1,,B/S,MySQL 5.6,否,是
门户网站,相城区民政局,公开,面向公众,每天,区发改局,2021-01-01,财政资金,90000,三级,否,政务云,,,B/S,PostgreSQL,否,否
";

/// A workbook of sheets of text, as `rust_xlsxwriter` writes one.
pub fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    for (name, text) in sheets {
        let sheet = book.add_worksheet();
        sheet.set_name(*name).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        for (row, record) in (0..).zip(reader.records()) {
            for (column, cell) in (0..).zip(record.unwrap().iter()) {
                if !cell.is_empty() {
                    sheet.write_string(row, column, cell).unwrap();
                }
            }
        }
    }
    book.save_to_buffer().unwrap()
}

pub fn district() -> Vec<u8> {
    workbook(&[("机房", ROOMS), ("服务器", SERVERS), ("信息系统", SYSTEMS)])
}

pub struct Stage {
    pub broker: Broker,
    pub cast: Cast,
    pub raw: Raw,
}

impl Stage {
    pub async fn new(on: On) -> Self {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        let raw = Raw::new(&broker);
        Self { broker, cast, raw }
    }

    pub async fn send(&self, token: &str, content: Vec<u8>, query: &str) -> Reply {
        import(&self.raw, token, content, query).await
    }

    /// The difference, and then exactly that.
    pub async fn import(&self, content: &[u8]) -> Value {
        take(&self.raw, &self.cast.operator, content).await
    }

    pub async fn rooms(&self, token: &str) -> Vec<Value> {
        let list = self.broker.get("/v1/rooms", token).await.expect(200);
        list["items"].as_array().unwrap().clone()
    }

    /// A room as it is, by its name.
    pub async fn room(&self, name: &str) -> Value {
        let rooms = self.rooms(&self.cast.authority).await;
        let id = rooms.iter().find(|room| room["name"] == name).expect(name)["id"].as_str().unwrap().to_owned();
        self.broker.get(&format!("/v1/rooms/{id}"), &self.cast.authority).await.expect(200)
    }

    pub async fn system(&self, name: &str) -> String {
        let found = self.broker.get("/v1/systems?page_size=200", &self.cast.auditor).await.expect(200);
        let items = found["items"].as_array().unwrap().clone();
        items.iter().find(|system| system["name"] == name).expect(name)["id"].as_str().unwrap().to_owned()
    }

    pub async fn act(&self, path: &str, token: &str, body: Value) -> crate::support::broker::Answer {
        self.broker.post(path, token, &body).await
    }

    /// A system through one step.
    pub async fn advance(&self, system: &str, step: &str) -> crate::support::broker::Answer {
        let mut body = json!({"step": step, "evidence": format!("{step} 的记录")});
        if step == "plan" {
            body["cutover_on"] = json!(jiyue::time::Clock::System.today());
            body["trigger"] = json!("upgrade");
        }
        self.act(&format!("/v1/systems/{system}/advance"), &self.cast.operator, body).await
    }

    pub async fn decide(&self, system: &str, fate: Value) -> crate::support::broker::Answer {
        self.act(&format!("/v1/systems/{system}/decide"), &self.cast.authority, fate).await
    }

    /// What a system needs before it is planned and cut over: a wave from today on, and a machine of its own.
    pub async fn prepare(&self, name: &str) {
        let system = self.system(name).await;
        machine_of(&self.broker, &self.cast, &system).await;
        let today = jiyue::time::Clock::System.today();
        let wave = json!({"name": format!("{name}的批次"), "window_from": today,
            "window_to": today.saturating_add(jiff::ToSpan::days(30)), "systems": [{"system": system}]});
        self.act("/v1/waves", &self.cast.authority, wave).await.expect(201);
    }

    /// A system all the way out.
    pub async fn leave(&self, name: &str) {
        let system = self.system(name).await;
        self.prepare(name).await;
        self.advance(&system, "assess").await.expect(200);
        self.decide(&system, json!({"disposition": "inherit", "reason": "可直接上云"})).await.expect(200);
        for step in ["plan", "rehearse", "cut_over", "test", "switch_off"] {
            self.advance(&system, step).await.expect(200);
        }
    }
}

/// A machine that is delivered for a system of the survey, asked for and approved like any other.
pub async fn machine_of(broker: &Broker, cast: &Cast, system: &str) {
    let path = format!("/v1/systems/{system}");
    let known = broker.get(&path, &cast.auditor).await.expect(200);
    let department = known["department"]["code"].as_str().unwrap().to_owned();
    let requester = if department == "mzj" { &cast.requester } else { &cast.other_requester };
    let mut book = broker::task_book();
    let n = if department == "mzj" { 1 } else { 2 };
    book["number"] = json!(format!("相信任〔2026〕4{n}号"));
    book["department"] = json!(department);
    book["project"] = json!({"code": format!("XC-2026-04{n}"), "name": format!("迁移承接{n}")});
    // The first system brings the book, the host and the image.
    if broker.get("/v1/images/test-image", &cast.operator).await.status != 200 {
        broker.furnish(cast).await;
    }
    let known = format!("/v1/task-books/{}", book["number"].as_str().unwrap());
    if broker.get(&known, &cast.authority).await.status != 200 {
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
    }
    let mut block = broker::request();
    block["任务书编号"] = book["number"].clone();
    block["申请虚拟机数量"] = json!(1);
    block["域名"] = json!(format!("s{}.xiangcheng.example", &system[system.len() - 12..]));
    let made = broker.post("/v1/requests", requester, &block).await.expect(201);
    let request = made["items"][0]["id"].as_str().unwrap().to_owned();
    let approve = format!("/v1/requests/{request}/approve");
    let operation = broker.post(&approve, &cast.authority, &json!({})).await.expect(202);
    let done = broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(60)).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    broker.post(&format!("{path}/attach"), requester, &json!({"requests": [request]})).await.expect(200);
}

pub async fn import(raw: &Raw, token: &str, content: Vec<u8>, query: &str) -> Reply {
    raw.post(&format!("/v1/rooms/import?name=a.xlsx{query}"), token, "application/octet-stream", content).await
}

pub async fn take(raw: &Raw, token: &str, content: &[u8]) -> Value {
    let shown = import(raw, token, content.to_vec(), "").await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let digest = shown.json()["digest"].as_str().unwrap().to_owned();
    let done = import(raw, token, content.to_vec(), &format!("&apply={digest}")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.json()["applied"], true);
    done.json()
}
