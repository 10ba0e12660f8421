//! Files as an office suite writes them.

use super::*;
use crate::place::Place;
use serde_json::json;

#[test]
fn the_sample_report_is_read_whole() {
    let form = read(include_bytes!("../../../../tests/data/feasibility-outline-example.docx"), "可研.docx").unwrap();
    let expected = json!({
        "blocks": [
            {
                "vm_count": "2", "domain": "yanglao.xc.suzhou.gov.cn", "os_type": "Debian 12", "db_type": "无",
                "cpu_count": "1核", "memory": "512M", "disk": "10G", "workload_description": "应用服务",
                "remarks": "两台做负载均衡",
            },
            {
                "vm_count": "1", "domain": "yanglao-db.xc.suzhou.gov.cn", "os_type": "Debian 12",
                "db_type": "PostgreSQL 15", "cpu_count": "2", "memory": "1GB", "disk": "20G",
                "workload_description": "数据库服务",
            },
        ],
        "project_name": "区民政局养老服务管理系统",
        "applicant": "区民政局",
        "performance": "可支持最大用户并发访问量500，系统可用性99.9%。",
        "user_scale": "面向本级部门工作人员，约300人。",
        "deploy_milestone": "2026年12月",
        "exchange_milestone": "2027年1月",
    });
    assert_eq!(Value::Object(form.document.clone()), expected);
    assert_eq!(form.repeated, Vec::<String>::new());
    let place = |table, row, column| Place {
        section: Some("六.3".to_owned()),
        table: Some(table),
        row: Some(row),
        column: Some(column),
        ..Place::default()
    };
    assert_eq!(form.places["/blocks/0/vm_count"], place(3, 1, 2));
    assert_eq!(form.places["/blocks/0/os_type"], place(3, 2, 4));
    assert_eq!(form.places["/blocks/1/memory"], place(4, 4, 2));
    assert_eq!(form.places["/blocks/1/remarks"].row, Some(6));
    blank(&form, "/blocks/1/remarks");
    assert_eq!(form.places["/deploy_milestone"].section.as_deref(), Some("十.2"));
    assert_eq!(form.places["/user_scale"].section.as_deref(), Some("六.1"));
    assert!(form.places["/project_name"].paragraph.is_some());
}

#[test]
fn a_workbook_of_libreoffice_is_read() {
    let form = read(include_bytes!("../../../../tests/data/request-list.xlsx"), "x").unwrap();
    assert_eq!(blocks(&form), 2);
    says(&form, "/blocks/0/vm_count", "2");
    says(&form, "/blocks/0/memory", "每台16GB");
    says(&form, "/blocks/0/disk", "系统盘100G，数据盘1T");
    says(&form, "/blocks/1/domain", "db.xc.suzhou.gov.cn");
    says(&form, "/blocks/1/db_type", "PostgreSQL 15");
    says(&form, "/project_name", "养老服务管理系统");
    says(&form, "/deploy_milestone", "2026-12-31");
    says(&form, "/network_zone", "政务外网");
    let place = &form.places["/blocks/1/memory"];
    assert_eq!((place.row, place.column, place.sheet.is_some()), (Some(8), Some(6), true));
}
