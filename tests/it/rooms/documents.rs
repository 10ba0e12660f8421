//! A district's own documents: its targets in a profile of its own, its dated register in a sheet.

use super::Stage;
use crate::support::broker::{Broker, Cast, On, Setup};
use crate::support::raw::Raw;
use jiyue::jurisdiction::Profile;
use serde_json::json;
use std::path::Path;

const OURS: &str = "\
相城区 2027 年工作台账,,,,,,
文件,条款,序号,工作任务,责任部门,时序进度,期限
相政办〔2027〕3号,附件,1,完成部门机房撤并,各单位,2027年9月底前,2027年9月
相政办〔2027〕3号,二 工作目标,,完成部门机房撤并,,2026年上半年,2026/6/30
";

#[tokio::test(flavor = "multi_thread")]
async fn targets_and_register_are_what_the_districts_own_documents_say() {
    let setup = Setup::new(On::Sqlite);
    let folder = setup.folder.clone();
    let sheet = folder.join("ours.csv");
    std::fs::write(&sheet, OURS).unwrap();
    // The shipped profile, with another target and this register beside ours.
    let shipped =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/xiangcheng.yaml")).unwrap();
    let targets = shipped.find("  targets:").unwrap();
    let own = format!(
        "{}  targets:\n    - {{percent: 40, by: 2026-01-31, text: 上云率四成, clause: {{document: governance_rules, clause: 二（一）}}}}\n  registers: [jiangsu-2017, {}]\n",
        &shipped[..targets],
        sheet.display()
    );
    assert!(Profile::parse(&own).is_ok());
    let profile = folder.join("ours.yaml");
    std::fs::write(&profile, own).unwrap();
    let broker = Broker::start(setup.with("JIYUE_JURISDICTION", &profile.display().to_string())).await;
    let cast = Cast::arrive(&broker).await;
    let stage = Stage { raw: Raw::new(&broker), broker, cast };
    stage.import(&super::district()).await;
    let report = stage.raw.get("/v1/reports/rooms", &stage.cast.auditor).await.json();
    let target = &report["targets"][0];
    assert_eq!(
        (&target["text"], &target["percent"], &target["reached_percent"], &target["missed"]),
        (&json!("上云率四成"), &json!(40), &json!(20.0), &json!(true)),
        "{report:#}"
    );
    assert_eq!(target["basis"], "相政办〔2018〕151号 二（一）");
    let late =
        report["overdue"].as_array().unwrap().iter().find(|row| row["id"] == "ours-1").expect("the earlier day alarms");
    assert_eq!((&late["due_on"], &late["due"]), (&json!("2026-06-30"), &json!("2027年9月底前")));
    assert_eq!(late["also"][0]["clause"], "二 工作目标");
    let all = stage.raw.get("/v1/deadlines?page_size=200", &stage.cast.auditor).await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 24, "23 of the province, one of the district's own");
    let proof = json!({"evidence": "撤并报告"});
    stage.act("/v1/deadlines/ours-1/meet", &stage.cast.authority, proof).await.expect(200);
    let report = stage.raw.get("/v1/reports/rooms", &stage.cast.auditor).await.json();
    assert!(report["overdue"].as_array().unwrap().iter().all(|row| row["id"] != "ours-1"));
}
