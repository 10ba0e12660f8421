//! Hardware bought beside the cloud, and the reasons for it.

use super::*;

fn report(six: &str) -> Form {
    form(&format!("{}{}{six}", p("六、项目建设方案") + &p("3、设备与软硬件配置"), block("2", "a.b.c", "8G")))
}

const LIST: &[&[&str]] = &[&["硬件名称", "价格", "数量", "用途"], &["高拍仪", "0.2万元", "10台", "材料采集"]];

#[test]
fn a_reason_may_stand_before_or_below_the_list() {
    let before = format!("{}{}", p("因窗口现场需要，政务云不能提供下列设备，须另行采购："), table(LIST));
    says(&report(&before), "/off_cloud_procurement_reason", "因窗口现场需要，政务云不能提供下列设备，须另行采购");
    let below = format!("{}{}", table(LIST), p("理由：窗口现场设备，政务云无法提供。"));
    says(&report(&below), "/off_cloud_procurement_reason", "窗口现场设备，政务云无法提供");
    for none in ["理由：无。", "其他设备如下：", "如需另行采购，须说明理由。"] {
        let form = report(&format!("{}{}{}", p("设备如下："), table(LIST), p(none)));
        assert!(!form.document.contains_key("off_cloud_procurement_reason"), "{none}");
    }
}

#[test]
fn a_column_of_reasons_has_many_names() {
    for name in ["采购必要性说明", "必要性", "说明", "备注"] {
        let list = table(&[
            &["序号", "设备名称", "单价（万元）", "数量", "用途", name],
            &["1", "高拍仪", "0.2", "10台", "材料采集", "窗口现场使用"],
            &["2", "打印机", "0.1", "2台", "打印", "无"],
        ]);
        let form = report(&(p("另有：") + &list));
        says(&form, "/extra_hardware/0/reason", "窗口现场使用");
        blank(&form, "/extra_hardware/1/reason");
    }
    // A list with remarks is not yet one of hardware.
    let form = report(&(p("另有：") + &table(&[&["名称", "数量", "备注"], &["应用软件", "1套", "定制"]])));
    assert!(!form.document.contains_key("extra_hardware"));
}

#[test]
fn hardware_may_be_told_in_a_sentence() {
    let form = report(&p("另购置服务器2台，单价8万元，用于数据备份。"));
    says(&form, "/extra_hardware/0/name", "服务器");
    says(&form, "/extra_hardware/0/quantity", "2台");
    says(&form, "/extra_hardware/0/price", "8万元");
    says(&form, "/extra_hardware/0/purpose", "数据备份");
    assert!(!form.document.contains_key("off_cloud_procurement_reason"));
    // What a list names is not told twice.
    let form = report(&format!("{}{}", p("需额外采购高拍仪10台。"), table(LIST)));
    assert_eq!(form.document["extra_hardware"].as_array().unwrap().len(), 1);
    for none in ["本项目不购置服务器2台。", "采购云服务器2台。", "现有服务器2台。"] {
        assert!(!report(&p(none)).document.contains_key("extra_hardware"), "{none}");
    }
}
