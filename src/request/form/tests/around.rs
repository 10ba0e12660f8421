//! What stands around a table, and what a careful reader leaves out.

use super::*;

#[test]
fn what_is_struck_through_is_not_read() {
    let run = |properties: &str, text: &str| format!("<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>");
    let value = format!(
        "<w:p>{}{}{}{}</w:p>",
        run("<w:strike/>", "4"),
        run("<w:dstrike w:val=\"true\"/>", "2"),
        run("<w:strike w:val=\"0\"/>", "8"),
        run("", "核")
    );
    let body = block("2", "a.szxc.gov.cn", "8G").replace(&p("4核"), &value);
    says(&form(&body), "/blocks/0/cpu_count", "8核");
}

#[test]
fn labels_in_one_line_may_end_in_full_stops() {
    let lines = p("网络区域：政务外网。等保级别：二级。密级：非涉密。本系统部署在区政务云。");
    let form = form(&format!("{lines}{}", block("2", "a.szxc.gov.cn", "8G")));
    says(&form, "/network_zone", "政务外网");
    says(&form, "/mlps_level", "二级");
    says(&form, "/secrecy_level", "非涉密");
    // What goes on about the same thing is not cut off.
    let lines = p("网络区域：政务外网。部分模块部署在互联网区。");
    let form = super::form(&format!("{lines}{}", block("2", "a.szxc.gov.cn", "8G")));
    says(&form, "/network_zone", "政务外网。部分模块部署在互联网区");
}

#[test]
fn machines_that_are_there_already_are_not_asked_for() {
    let old = table(&[
        &["服务器", "数量", "CPU", "内存", "磁盘", "操作系统", "数据库"],
        &["旧应用服务器", "3台", "8核", "32GB", "2TB", "CentOS 6", "Oracle 11g"],
    ]);
    let asked = block("2", "a.szxc.gov.cn", "8G");
    let title = p("3、设备与软硬件配置");
    for before in ["现有服务器配置如下：", "利旧设备清单", "经梳理，情况如下。原有服务器见下表：", "表6-1 现状"]
    {
        let form = form(&format!("{title}{}{old}{}{asked}", p(before), p("拟申请资源如下：")));
        assert_eq!(blocks(&form), 1, "{before}");
        says(&form, "/blocks/0/vm_count", "2");
    }
    // The form's own table is a request, whatever stands before it.
    let form = form(&format!("{title}{}{asked}", p("现有设备均已报废。")));
    assert_eq!(blocks(&form), 1);
    let form = super::form(&format!("{title}{}{old}", p("在现有资源基础上新增资源如下：")));
    assert_eq!(blocks(&form), 1);
}

#[test]
fn a_calculation_is_no_block() {
    let rows: &[&[&str]] = &[
        &["项目", "测算依据", "结果"],
        &["CPU", "并发300，每核支持50", "6核，取8核"],
        &["内存", "每核2GB", "16GB"],
        &["磁盘", "3年300GB，冗余30%", "400GB"],
    ];
    let asked = block("2", "a.szxc.gov.cn", "8G");
    let joined = format!("{}{asked}", table(rows)).replace("</w:tbl><w:tbl>", "");
    for body in [format!("{}{}{asked}", table(rows), p("资源如下：")), joined] {
        let form = form(&body);
        assert_eq!(blocks(&form), 1);
        says(&form, "/blocks/0/cpu_count", "4核");
        assert!(form.repeated.is_empty(), "{:?}", form.repeated);
    }
    // A column for reasons makes no calculation of the form.
    let body = table(&[
        &["指标", "数值", "测算依据"],
        &["cpu 数量", "每台4核", "并发"],
        &["内存容量", "每台8GB", "并发"],
        &["磁盘空间", "每台100GB", "年增"],
        &["申请虚拟机数量", "2", ""],
    ]);
    says(&form(&body), "/blocks/0/memory", "每台8GB");
}

#[test]
fn a_table_that_the_page_broke_is_one_block() {
    let above = table(&[&["申请虚拟机数量", "2台"], &["1. 域 名", "a.szxc.gov.cn", "2. 操作系统类型", "Debian 12"]]);
    let rest: &[&[&str]] = &[
        &["3. 数据库类型", "无", "4. cpu 数量", "每台4核"],
        &["5. 内存容量", "每台8GB", "6. 磁盘空间", "每台200GB"],
        &["7. 运行内容", "业务应用"],
    ];
    for between in ["续表：", "表6-1 资源需求表（续）", "接上表"] {
        let form = form(&format!("{above}{}{}", p(between), table(rest)));
        assert_eq!(blocks(&form), 1, "{between}");
        says(&form, "/blocks/0/domain", "a.szxc.gov.cn");
        says(&form, "/blocks/0/disk", "每台200GB");
    }
    // So few rows that they are no block alone.
    let form = form(&format!("{}{}{}", above, p("续表"), table(&[&["6. 磁盘空间", "每台200GB"]])));
    says(&form, "/blocks/0/disk", "每台200GB");
    // A block that says how many machines is one of its own.
    let two = format!("{}{}{}", block("2", "a.b.c", "8G"), p("续表"), block("1", "d.e.f", "4G"));
    assert_eq!(blocks(&super::form(&two)), 2);
}

#[test]
fn a_heading_over_columns_says_what_figures_are_for() {
    let (start, more) = ("<w:vMerge w:val=\"restart\"/>", "<w:vMerge/>");
    let head: String = ["申请虚拟机数量", "域名", "操作系统类型", "运行内容"].iter().map(|t| cell(start, t)).collect();
    let under: String = (0..4).map(|_| cell(more, "")).collect();
    for (over, basis) in [("单台配置", "每台"), ("合计配置", "合计")] {
        let body = format!(
            "<w:tbl><w:tr>{head}{}</w:tr><w:tr>{under}{}{}{}</w:tr>{}</w:tbl>",
            cell("<w:gridSpan w:val=\"3\"/>", over),
            cell("", "cpu数量（核）"),
            cell("", "内存容量（GB）"),
            cell("", "磁盘空间（GB）"),
            row(&["2", "a.b.c", "Debian 12", "业务应用", "4", "8", "200"])
        );
        let form = form(&body);
        assert_eq!(blocks(&form), 1);
        says(&form, "/blocks/0/cpu_count", &format!("{basis}4核"));
        says(&form, "/blocks/0/disk", &format!("{basis}200GB"));
    }
}

#[test]
fn units_may_stand_in_a_column_or_a_note() {
    for cells in [[1, 2], [2, 1]] {
        let line = |label: &str, value: &str, unit: &str| {
            let three = [label, value, unit];
            row(&[label, three[cells[0]], three[cells[1]]])
        };
        let body = format!(
            "<w:tbl>{}{}{}{}{}</w:tbl>",
            line("指标", "数值", "单位"),
            line("申请虚拟机数量", "2", "台"),
            line("cpu数量", "4", "核/台"),
            line("内存容量", "8", "GB/台"),
            line("磁盘空间", "200", "GB（每台）"),
        );
        let form = form(&body);
        says(&form, "/blocks/0/vm_count", "2台");
        says(&form, "/blocks/0/cpu_count", "4核/台");
        says(&form, "/blocks/0/memory", "8GB/台");
        says(&form, "/blocks/0/disk", "200GB（每台）");
    }
    let note = p("单位：CPU为核/台，内存为GB/台，磁盘为GB/台");
    let asked = block("2", "a.b.c", "8");
    for body in [format!("{note}{asked}"), format!("{asked}{note}")] {
        let form = form(&body);
        says(&form, "/blocks/0/memory", "8GB/台");
        // Only a bare figure lacks a unit.
        says(&form, "/blocks/0/cpu_count", "4核");
    }
}

#[test]
fn what_a_machine_is_for_stands_in_for_what_runs_on_it() {
    let asked = block("2", "a.b.c", "8G");
    let form = form(&asked.replace("7. 运行内容", "7、部署内容"));
    says(&form, "/blocks/0/workload_description", "应用服务");
    let both = format!("{}{asked}", table(&[&["服务器用途", "应用"]])).replace("</w:tbl><w:tbl>", "");
    let form = super::form(&both);
    says(&form, "/blocks/0/workload_description", "应用服务");
    assert!(form.repeated.is_empty());
}

#[test]
fn a_hidden_sheet_is_read_only_where_no_other_asks() {
    let sheet = |count: &str| {
        let cell = |at: &str, text: &str| format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
        format!(
            "<worksheet><sheetData><row r=\"1\">{}{}</row></sheetData></worksheet>",
            cell("A1", "申请虚拟机数量"),
            cell("B1", count)
        )
    };
    let sheets = |first: &str, second: &str| {
        let main = format!(
            "<workbook><sheets><sheet name=\"a\" state=\"{first}\" r:id=\"r1\"/><sheet name=\"b\" state=\"{second}\" \
             r:id=\"r2\"/></sheets></workbook>"
        );
        let root = "<Relationships><Relationship Id=\"r0\" Type=\"x/officeDocument\" Target=\"xl/workbook.xml\"/>\
                    </Relationships>";
        let list = "<Relationships><Relationship Id=\"r1\" Type=\"x/worksheet\" Target=\"a.xml\"/>\
                    <Relationship Id=\"r2\" Type=\"x/worksheet\" Target=\"b.xml\"/></Relationships>";
        let (a, b) = (sheet("2"), sheet("5"));
        read(
            &package(&[
                ("_rels/.rels", root.as_bytes()),
                ("xl/workbook.xml", main.as_bytes()),
                ("xl/_rels/workbook.xml.rels", list.as_bytes()),
                ("xl/a.xml", a.as_bytes()),
                ("xl/b.xml", b.as_bytes()),
            ]),
            "x.xlsx",
        )
        .unwrap()
    };
    assert_eq!(blocks(&sheets("visible", "visible")), 2);
    assert_eq!(blocks(&sheets("hidden", "veryHidden")), 2);
    let form = sheets("hidden", "visible");
    assert_eq!(blocks(&form), 1);
    says(&form, "/blocks/0/vm_count", "5");
}
