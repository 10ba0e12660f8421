//! What the sections say in sentences.

use super::*;

fn report(lines: &[&str]) -> Form {
    form(&format!("{}{}", block("2", "a.b.c", "8G"), lines.iter().map(|l| p(l)).collect::<String>()))
}

#[test]
fn sections_are_read_with_any_numbering() {
    for (chapter, item) in [
        ("九、项目组织架构与人员培训", "2、运行维护机制"),
        ("第九章 组织架构与人员培训", "9.2 运维机制"),
        ("项目组织架构与人员培训", "运行维护机制"),
        ("九、x", "（二）运行维护机制"),
    ] {
        let form =
            report(&[chapter, item, "系统运维期三年，由区信息中心负责运行维护。", "联系人：王五，联系电话：0512-7777"]);
        says(&form, "/om_period_months", "三年");
        says(&form, "/om_unit/name", "区信息中心");
        says(&form, "/om_unit/contact", "王五 0512-7777");
        assert_eq!(form.places["/om_period_months"].section.as_deref(), Some("九.2"), "{chapter}");
    }
}

#[test]
fn a_section_without_the_value_has_room_for_it() {
    let form = report(&[
        "九、项目组织架构与人员培训",
        "2、运行维护机制",
        "另行约定。",
        "十、项目实施进度",
        "2、实施计划安排",
        "分三期实施。",
    ]);
    blank(&form, "/om_period_months");
    blank(&form, "/deploy_milestone");
    assert_eq!(form.places["/deploy_milestone"].section.as_deref(), Some("十.2"));
    assert!(form.places["/om_period_months"].paragraph.is_some());
}

#[test]
fn the_plan_may_be_a_table() {
    let table = table(&[
        &["阶段", "开始时间", "完成时间"],
        &["系统部署", "2026年10月", "2026年12月31日"],
        &["数据共享交换", "2027-01-01", "2027-01-31"],
    ]);
    let body = format!("{}{}{}{table}", block("2", "a.b.c", "8G"), p("十、项目实施进度"), p("2、实施计划安排"));
    let form = form(&body);
    says(&form, "/deploy_milestone", "2026年12月31日");
    says(&form, "/exchange_milestone", "2027-01-31");
    assert_eq!(form.places["/deploy_milestone"].row, Some(2));
}

#[test]
fn storage_is_told_from_bandwidth() {
    for (text, size) in [
        ("预计数据存储量三年累计500GB，网络带宽需100Mbps。", "500GB"),
        ("数据存储量预测：每年新增100GB，三年总量300GB。", "300GB"),
        ("网络带宽100M，数据存储约2T。", "2T"),
        ("结构化数据存储50G，附件存储1.5TB，内存64G", "1.5TB"),
    ] {
        says(&report(&["五、总体设计方案", "4、信息量分析与预测", text]), "/storage_forecast", size);
    }
    blank(&report(&["五、总体设计方案", "4、信息量分析与预测", "网络带宽100Mbps。"]), "/storage_forecast");
}

#[test]
fn lines_of_labels_are_read_anywhere() {
    let form = report(&[
        "任务书编号：相信任〔2026〕17号",
        "等保级别：二级",
        "密级要求：非涉密",
        "数量口径：每台",
        "申请依据：",
        "项目名称：甲",
    ]);
    says(&form, "/task_book", "相信任〔2026〕17号");
    says(&form, "/mlps_level", "二级");
    says(&form, "/secrecy_level", "非涉密");
    says(&form, "/basis", "每台");
    blank(&form, "/filing_basis");
    says(&form, "/project_name", "甲");
}

#[test]
fn levels_of_protection_must_agree() {
    let form = report(&["四、需求分析", "5、其它需求分析", "按等保二级建设。", "安全保护等级为第二级。"]);
    says(&form, "/mlps_level", "二级");
    let form = report(&["四、需求分析", "5、其它需求分析", "按等保二级建设。", "安全保护等级为第三级。"]);
    assert!(form.document.get("mlps_level").is_none());
}

#[test]
fn machine_rooms_are_looked_for_where_the_report_says_what_it_builds() {
    let form = report(&["三、项目建设的必要性和可行性", "1、现状与差距", "2015年新建机房一间。"]);
    assert!(form.document.get("machine_room_works").is_none());
    let form = report(&[
        "一、项目概述",
        "4、可行性研究报告编制依据",
        "新建机房的规定",
        "6、项目建设内容",
        "改造三楼机房。依托区政务云中心机房。",
        "十一、投资估算和资金来源",
        "机房装修20万元。",
    ]);
    assert_eq!(at(&form, "/machine_room_works"), &serde_json::json!(["改造三楼机房", "机房装修20万元"]));
    assert_eq!(form.places["/machine_room_works/1"].section.as_deref(), Some("十一"));
}

#[test]
fn whole_sections_are_kept_as_written() {
    let form = report(&[
        "四、需求分析",
        "4、性能需求分析",
        "【项目系统建设的性能需求，包括可用性】",
        "并发500。",
        "可用性99.9%。",
        "六、项目建设方案",
        "1、建设规模",
        "2、建设方案",
        "x",
    ]);
    says(&form, "/performance", "并发500。\n可用性99.9%。");
    blank(&form, "/user_scale");
}

#[test]
fn what_no_label_says_is_read_in_sentences() {
    let said = ["五、总体设计方案", "2、项目网络架构", "系统部署在政务外网，按等保二级建设。本系统为非涉密系统。"];
    let form = report(&said);
    says(&form, "/network_zone", "政务外网");
    says(&form, "/secrecy_level", "非涉密");
    says(&form, "/mlps_level", "二级");
    assert_eq!(form.repeated, Vec::<String>::new());
}

#[test]
fn a_label_left_blank_is_not_filled_in_from_sentences() {
    let form =
        report(&["密级要求：", "网络区域：", "五、总体设计方案", "2、项目网络架构", "系统部署在政务外网。非涉密。"]);
    blank(&form, "/secrecy_level");
    blank(&form, "/network_zone");
}

#[test]
fn a_section_may_be_one_word() {
    says(&report(&["五、总体设计方案", "2、项目网络架构", "政务外网。"]), "/network_zone", "政务外网");
}

#[test]
fn what_contradicts_a_label_is_not_passed_over() {
    let form = report(&[
        "密级要求：非涉密",
        "网络区域：政务外网",
        "四、需求分析",
        "5、其它需求分析",
        "本系统涉及国家秘密，密级为秘密级。",
        "五、总体设计方案",
        "2、项目网络架构",
        "系统部署在政务内网（涉密网）。",
    ]);
    assert_eq!(form.repeated, ["/secrecy_level"]);
    assert_eq!(at(&form, "/network_zone"), &serde_json::json!(["政务外网", "政务内网"]));
}

#[test]
fn storage_may_stand_below_its_heading() {
    let chapter = ["五、总体设计方案", "4、信息量分析与预测"];
    for (lines, size) in [
        (&["1、数据存储量预测", "经估算，3年需300GB。", "2、网络带宽估算", "100Mbps"] as &[&str], "300GB"),
        (&["每天产生数据0.3GB，全年约100GB，三年约300GB。带宽估算：20Mbps。"], "300GB"),
        (&["预计数据总量0.3TB。"], "0.3TB"),
    ] {
        says(&report(&[chapter.as_slice(), lines].concat()), "/storage_forecast", size);
    }
    let rows =
        table(&[&["数据类型", "数据存储量预测"], &["业务数据", "100GB"], &["附件", "200GB"], &["合计", "300GB"]]);
    let head: String = chapter.iter().map(|l| p(l)).collect();
    says(&form(&format!("{}{head}{rows}", block("2", "a.b.c", "8G"))), "/storage_forecast", "300GB");
}

#[test]
fn resources_may_be_named_in_a_sentence() {
    let form = report(&["四、需求分析", "3、数据共享需求分析", "需从区公安分局获取人口信息，每天更新。"]);
    assert_eq!(at(&form, "/shared_resources"), &serde_json::json!(["人口信息"]));
}
