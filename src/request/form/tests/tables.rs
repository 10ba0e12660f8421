//! Blocks in tables of every shape, and outside of them.

use super::*;

#[test]
fn blocks_may_be_stacked_in_one_table() {
    let body = table(&[
        &["申请虚拟机数量", "2", "域名", "a.b.c"],
        &["内存容量", "8G", "备注：", ""],
        &["申请虚拟机数量", "3", "域名", "d.e.f"],
        &["内存容量", "16G", "备注", "x"],
    ]);
    let form = form(&body);
    assert_eq!(blocks(&form), 2);
    says(&form, "/blocks/0/memory", "8G");
    says(&form, "/blocks/1/memory", "16G");
    blank(&form, "/blocks/0/remarks");
    // The number need not come first.
    let body = table(&[
        &["域名", "a.b.c", "申请虚拟机数量", "2"],
        &["内存容量", "8G"],
        &["域名", "d.e.f", "申请虚拟机数量", "3"],
        &["内存容量", "16G"],
    ]);
    let form = super::form(&body);
    assert_eq!(blocks(&form), 2);
    says(&form, "/blocks/1/domain", "d.e.f");
    says(&form, "/blocks/1/vm_count", "3");
}

#[test]
fn blocks_may_be_nested_or_paragraphs() {
    let nested = format!("<w:tbl><w:tr><w:tc>{}{}</w:tc></w:tr></w:tbl>", p("资源需求"), block("2", "a.b.c", "8G"));
    let lines: String = [
        "申请虚拟机数量：3台",
        "域名：d.e.f",
        "CPU：4核，内存：16G；磁盘空间：系统盘100G，数据盘1T",
        "运行内容：甲，乙：丙",
    ]
    .iter()
    .map(|t| p(t))
    .collect();
    let form = form(&format!("{nested}{lines}"));
    assert_eq!(blocks(&form), 2);
    assert_eq!(form.places["/blocks/0/memory"].table, Some(2));
    says(&form, "/blocks/1/vm_count", "3台");
    says(&form, "/blocks/1/cpu_count", "4核");
    says(&form, "/blocks/1/memory", "16G");
    says(&form, "/blocks/1/disk", "系统盘100G，数据盘1T");
    says(&form, "/blocks/1/workload_description", "甲，乙：丙");
    assert_eq!(form.places["/blocks/1/domain"].paragraph, Some(2));
}

#[test]
fn a_list_has_a_block_in_each_row() {
    let body = table(&[
        &["序号", "申请虚拟机数量", "域名", "操作系统", "cpu（每台，核）", "内存（GB）", "磁盘空间", "运行内容"],
        &["1", "2", "a.b.c", "Debian 12", "4", "16", "100G", "数据库"],
        &["", "", "", "", "", "", "", ""],
        &["2", "1", "d.e.f", "Debian 12", "2", "8", "", "应用"],
        &["合计", "3", "", "", "6", "24", "", ""],
        &["数量口径", "每台"],
    ]);
    let form = form(&body);
    assert_eq!(blocks(&form), 2);
    says(&form, "/blocks/0/cpu_count", "每台4核");
    says(&form, "/blocks/0/memory", "16GB");
    says(&form, "/blocks/0/workload_description", "数据库");
    says(&form, "/blocks/1/domain", "d.e.f");
    blank(&form, "/blocks/1/disk");
    says(&form, "/basis", "每台");
    assert_eq!((form.places["/blocks/1/disk"].row, form.places["/blocks/1/disk"].column), (Some(4), Some(7)));
}

#[test]
fn a_list_may_have_a_heading_of_two_rows_and_merged_values() {
    let start = "<w:vMerge w:val=\"restart\"/>";
    let more = "<w:vMerge/>";
    let body = format!(
        "<w:tbl><w:tr>{}{}{}</w:tr><w:tr>{}{}{}{}{}</w:tr><w:tr>{}{}{}{}{}</w:tr><w:tr>{}{}{}{}{}</w:tr></w:tbl>",
        cell(start, "申请虚拟机数量"),
        cell(start, "操作系统类型"),
        cell("<w:gridSpan w:val=\"3\"/>", "资源配置"),
        cell(more, ""),
        cell(more, ""),
        cell("", "cpu"),
        cell("", "内存"),
        cell("", "磁盘"),
        cell("", "2"),
        cell(start, "Debian 12"),
        cell("", "4"),
        cell("", "8G"),
        cell("", "50G"),
        cell("", "1"),
        cell(more, ""),
        cell("", "2"),
        cell("", "4G"),
        cell("", "20G"),
    );
    let form = form(&body);
    assert_eq!(blocks(&form), 2);
    says(&form, "/blocks/1/os_type", "Debian 12");
    says(&form, "/blocks/1/memory", "4G");
    assert_eq!(form.places["/blocks/1/os_type"].row, Some(3));
}

#[test]
fn a_list_may_be_turned() {
    let body = table(&[
        &["资源", "应用服务器", "数据库服务器"],
        &["域名", "a.b.c", "d.e.f"],
        &["申请虚拟机数量", "2", "1台"],
        &["内存容量（GB）", "8", "16"],
        &["磁盘空间", "100G", ""],
    ]);
    let form = form(&body);
    assert_eq!(blocks(&form), 2);
    says(&form, "/blocks/1/domain", "d.e.f");
    says(&form, "/blocks/1/memory", "16GB");
    blank(&form, "/blocks/1/disk");
}

#[test]
fn values_may_stand_below_their_labels() {
    let body = table(&[
        &["申请虚拟机数量", "域名", "操作系统类型"],
        &["2", "a.b.c", "Debian 12"],
        &["cpu 数量", "内存容量", "磁盘空间"],
        &["4", "8G", "100G"],
    ]);
    let form = form(&body);
    assert_eq!(blocks(&form), 1);
    says(&form, "/blocks/0/vm_count", "2");
    says(&form, "/blocks/0/disk", "100G");
}

#[test]
fn a_value_may_be_a_fields_word() {
    let form = form(&table(&[&["申请虚拟机数量", "2", "运行内容", "数据库"], &["域名", "无", "备注", "内存"]]));
    says(&form, "/blocks/0/workload_description", "数据库");
    says(&form, "/blocks/0/remarks", "内存");
    assert!(form.document["blocks"][0].get("db_type").is_none());
}

#[test]
fn a_block_may_forget_its_number_of_machines() {
    let form = form(&table(&[&["域名", "a.b.c", "操作系统类型", "Debian"], &["内存容量", "8G"]]));
    blank(&form, "/blocks/0/vm_count");
    assert_eq!(form.places["/blocks/0/vm_count"].table, Some(1));
    // What is there already asks for nothing.
    let body = format!(
        "{}{}",
        p("三、项目建设的必要性和可行性"),
        table(&[&["域名", "a.b.c", "操作系统", "Windows"], &["内存", "8G"]])
    );
    assert_eq!(fault(&docx(&body), "").code, Code::NoBlockFound);
}

#[test]
fn the_blank_form_is_kept_only_alone() {
    let blank_form = block("", "", "")
        .replace("Debian 12", "")
        .replace("无<", "<")
        .replace("4核", "")
        .replace("100G", "")
        .replace("应用服务", "");
    let form = form(&format!("{blank_form}{}", block("2", "a.b.c", "8G")));
    assert_eq!(blocks(&form), 1);
    says(&form, "/blocks/0/domain", "a.b.c");
    assert_eq!(form.places["/blocks/0/domain"].table, Some(2));
    let form = super::form(&blank_form);
    assert_eq!(blocks(&form), 1);
    for field in
        ["vm_count", "domain", "os_type", "db_type", "cpu_count", "memory", "disk", "workload_description", "remarks"]
    {
        blank(&form, &format!("/blocks/0/{field}"));
    }
}

#[test]
fn more_rows_of_a_block_belong_to_it() {
    let form = form(&table(&[
        &["申请虚拟机数量", "2"],
        &["数量口径", "□每台 ☑合计"],
        &["网络区域", "政务外网"],
        &["等保级别", "二级"],
        &["SSH 公钥", "ssh-ed25519 AAAA a\nssh-ed25519 BBBB b"],
        &["运维单位", "区信息中心，联系电话：0512-1"],
        &["内存容量", "16", "GB"],
        &["任务书编号", "相信任〔2026〕17号"],
        &["域\n名", "a.\nb.c"],
    ]));
    says(&form, "/blocks/0/basis", "合计");
    says(&form, "/blocks/0/network_zone", "政务外网");
    says(&form, "/blocks/0/ssh_keys/1", "ssh-ed25519 BBBB b");
    says(&form, "/blocks/0/om_unit/name", "区信息中心");
    says(&form, "/blocks/0/om_unit/contact", "0512-1");
    says(&form, "/blocks/0/memory", "16GB");
    says(&form, "/blocks/0/task_book", "相信任〔2026〕17号");
    says(&form, "/blocks/0/domain", "a.b.c");
}

#[test]
fn a_field_given_twice_is_told() {
    let form = form(&table(&[
        &["申请虚拟机数量", "2"],
        &["内存容量", "8G"],
        &["内存", "16G"],
        &["域名", "a.b"],
        &["域名", "a.b"],
    ]));
    assert_eq!(form.repeated, ["/blocks/0/memory"]);
    says(&form, "/blocks/0/memory", "8G");
    let form = super::form(&table(&[&["域名", "a.b"], &["申请虚拟机数量", "2"], &["申请虚拟机数量", "3"]]));
    assert_eq!((blocks(&form), form.repeated), (1, vec!["/blocks/0/vm_count".to_owned()]));
}

#[test]
fn no_block_is_told_with_what_was_looked_for() {
    let fault = fault(&docx(&format!("{}{}", p("项目名称：甲"), table(&[&["一", "二"]]))), "");
    assert_eq!(fault.code, Code::NoBlockFound);
    for part in ["1 个表格", "1 段文字", "申请虚拟机数量"] {
        assert!(fault.reason.contains(part), "{fault}");
    }
}

#[test]
fn a_total_before_the_tables_is_no_block() {
    let form = form(&format!("{}{}", p("申请虚拟机数量：共3台"), block("3", "a.b.c", "8G")));
    assert_eq!(blocks(&form), 1);
    says(&form, "/blocks/0/vm_count", "3");
}

#[test]
fn a_list_of_machines_may_call_their_number_so() {
    let form = form(&table(&[
        &["名称", "数量（台）", "用途", "操作系统", "cpu", "内存", "磁盘"],
        &["应用服务器", "2", "应用", "Debian 12", "4", "8G", "50G"],
    ]));
    says(&form, "/blocks/0/vm_count", "2");
    assert!(form.document.get("extra_hardware").is_none());
}

#[test]
fn periods_and_dates_at_labels_are_taken_out_of_their_words() {
    let lines = ["系统部署：2026年12月完成", "运维周期：3年，自验收起", "数据共享需求：人口信息、法人信息"];
    let form = form(&format!("{}{}", lines.iter().map(|l| p(l)).collect::<String>(), block("2", "a.b.c", "8G")));
    says(&form, "/deploy_milestone", "2026年12月");
    says(&form, "/om_period_months", "3年");
    says(&form, "/shared_resources/1", "法人信息");
    let form = super::form(&format!("{}{}", p("运维周期：3-5年"), block("2", "a.b.c", "8G")));
    says(&form, "/om_period_months", "3-5年");
}
