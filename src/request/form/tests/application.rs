//! 附件1 in the same file, and the tables around the request.

use super::*;

fn application(zone: &str) -> String {
    let zone = format!(
        "<w:tr>{}{}{}</w:tr>",
        cell("<w:vMerge w:val=\"restart\"/>", "基础网络"),
        cell("", "联网方式"),
        cell("<w:gridSpan w:val=\"4\"/>", zone)
    );
    format!(
        "{}{}<w:tbl>{}{}{}{zone}<w:tr>{}{}{}{}{}</w:tr>{}{}</w:tbl>{}",
        p("相城区政务信息化项目申报(审核、备案)表 (2026年度)"),
        p("申报部门(盖章)：区民政局"),
        row(&["项目名称", "养老服务系统", "项目负责人", "张三"]),
        row(&["项目实施地址", "", "联系电话", "0512-6666"]),
        row(&["项目建设目标、内容及量化指标", "新建综合管理平台。对二楼机房进行改造。不新建机房。"]),
        cell("<w:vMerge/>", ""),
        cell("", "节点数量"),
        cell("", "3"),
        cell("", "网络带宽"),
        cell("", "100M"),
        row(&["应用平台", "技术标准(开发平台)", "Java", "数据库类型", "MySQL 8"]),
        row(&["密级要求", "非涉密"]),
        p("填表人：李四"),
    )
}

#[test]
fn the_application_form_is_read_beside_the_block() {
    let form =
        form(&format!("{}{}{}", application("□互联网 ☑政务外网"), p("六、项目建设方案"), block("2", "a.b.c", "8G")));
    says(&form, "/project_name", "养老服务系统");
    says(&form, "/applicant", "区民政局");
    says(&form, "/network_zone", "政务外网");
    says(&form, "/application_db_type", "MySQL 8");
    says(&form, "/secrecy_level", "非涉密");
    says(&form, "/blocks/0/db_type", "无");
    assert_eq!(blocks(&form), 1);
    assert_eq!(form.places["/application_db_type"].section.as_deref(), Some("附件1"));
    assert_eq!(at(&form, "/machine_room_works"), &serde_json::json!(["对二楼机房进行改造"]));
    assert_eq!(form.places["/machine_room_works/0"].section.as_deref(), Some("附件1"));
    assert!(form.document.get("om_unit").is_none());
}

#[test]
fn the_application_forms_contact_is_not_the_operators() {
    let upkeep = format!(
        "{}{}{}",
        p("九、项目组织架构与人员培训"),
        p("2、运行维护机制"),
        p("运行维护周期为3年，后续运行维护单位为区信息中心。")
    );
    let all = format!("{}{}{upkeep}", application("政务外网"), block("2", "a.b.c", "8G"));
    let form = form(&all);
    says(&form, "/om_unit/name", "区信息中心");
    assert_eq!(at(&form, "/om_unit"), &serde_json::json!({ "name": "区信息中心" }));
    assert_eq!(form.places["/om_unit/name"].section.as_deref(), Some("九.2"));
}

#[test]
fn hardware_and_resources_are_listed() {
    let hardware = table(&[
        &["序号", "硬件名称", "单价（元）", "数量", "用途", "采购理由"],
        &["1", "高拍仪", "2000", "3台", "窗口采集", "政务云不提供"],
        &["2", "精密空调", "20000", "1", "机房制冷", ""],
        &["", "合计", "", "4", "", ""],
    ]);
    let resources = table(&[
        &["信息资源名称", "信息资源提供方", "资源获取方式", "资源粒度", "获取频率"],
        &["人口基础信息", "区公安局", "接口", "条", "每天"],
        &["法人信息", "", "", "", ""],
        &["", "", "", "", ""],
    ]);
    let form = form(&format!(
        "{}{}{resources}{}{}{}{hardware}{}",
        p("四、需求分析"),
        p("3、数据共享需求分析"),
        p("六、项目建设方案"),
        p("3、设备与软硬件配置"),
        block("2", "a.b.c", "8G"),
        p("另行采购的理由是窗口外设政务云不提供。"),
    ));
    assert_eq!(at(&form, "/shared_resources"), &serde_json::json!(["人口基础信息", "法人信息"]));
    says(&form, "/extra_hardware/0/name", "高拍仪");
    says(&form, "/extra_hardware/0/price", "2000元");
    says(&form, "/extra_hardware/0/quantity", "3台");
    says(&form, "/extra_hardware/0/reason", "政务云不提供");
    blank(&form, "/extra_hardware/1/reason");
    assert_eq!(at(&form, "/extra_hardware").as_array().unwrap().len(), 2);
    says(&form, "/off_cloud_procurement_reason", "另行采购的理由是窗口外设政务云不提供");
    assert!(at(&form, "/machine_room_works/0").as_str().unwrap().contains("精密空调"));
    // Room for a list that nobody filled in.
    let empty = table(&[&["硬件名称", "价格", "数量", "用途"], &["", "", "", ""]]);
    let form = super::form(&format!("{}{empty}", block("2", "a.b.c", "8G")));
    blank(&form, "/extra_hardware");
}
