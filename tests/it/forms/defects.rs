//! The defects, each planted alone into a sound report; every one names the rule that has to find it, where, and the
//! clause. The clauses are read off the documents by hand and never taken from the product: the oracle is independent.

use super::{
    generate::{Wish, add_hardware},
    model::{Layout, Report},
};
use crate::support::Dice;

/// What a violation rests on. 150号 is 相政办〔2018〕150号 and so on; a rule that no document holds is the platform's own.
pub const OWN: &str = "依据：平台规则";
pub const FORM_63: &str = "相政办〔2018〕150号 附件2 六.3";
const FORECAST_54: &str = "相政办〔2018〕150号 附件2 五.4";
const SCHEDULE_102: &str = "相政办〔2018〕150号 附件2 十.2";
const APPLICATION_DATABASE: &str = "相政办〔2018〕150号 附件1 数据库类型";
const APPLICATION_NETWORK: &str = "相政办〔2018〕150号 附件1 联网方式";
const APPLICATION_SECRECY: &str = "相政办〔2018〕150号 附件1 密级要求";
const URGENT_13: &str = "相政办〔2018〕150号 第十三条";
const UPPER_14: &str = "相政办〔2018〕150号 第十四条";
const NOT_SECRET: &str = "相政办〔2018〕151号 二（一）基本原则1";
const NO_ROOMS: &str = "相政办〔2018〕151号 二（一）具体要求1";

/// The file's own defects.
pub struct Defect {
    pub code: &'static str,
    pub basis: &'static str,
    pub wish: Wish,
    /// Plants the defect in its n-th phrasing; the pointers at any of which it may be told.
    pub plant: fn(&mut Report, &mut Dice, usize) -> Vec<String>,
}

const LOOSE: Wish =
    Wish { blocks: Some(2), layout: None, machines: None, plain: false, loose: true, sheet: false, application: None };
const ONE: Wish = Wish { blocks: Some(1), ..LOOSE };
const FORM: Wish = Wish { layout: Some(Layout::Form), ..LOOSE };
const APPLIED: Wish = Wish { application: Some(true), ..ONE };

/// The n-th of these, over and over.
fn nth<T: Copy>(from: &[T], n: usize) -> T {
    from[n % from.len()]
}

/// The figures of the last block, per machine, and its machines.
fn figures(report: &mut Report, machines: u64, [cpu, memory, disk]: [&str; 3], basis: Option<&str>) -> usize {
    // What is asked for no longer fits the forecast, and nobody minds in this test.
    report.said.remove("storage_forecast");
    let block = report.blocks.last_mut().expect("a block");
    block.set("vm_count", format!("{machines}台"));
    for (name, text) in [("cpu_count", cpu), ("memory", memory), ("disk", disk), ("remarks", "")] {
        block.set(name, text);
    }
    match basis {
        Some(basis) => block.set("basis", basis),
        None => block.remove("basis"),
    }
    report.blocks.len() - 1
}

fn at(block: usize, field: &str) -> Vec<String> {
    vec![format!("/blocks/{block}/{field}")]
}

fn anywhere(fields: &[&str]) -> Vec<String> {
    fields.iter().map(|field| format!("/{field}")).collect()
}

/// Writes another text into a field of the last block.
fn write(report: &mut Report, field: &'static str, text: &str) -> Vec<String> {
    let last = report.blocks.len() - 1;
    report.blocks[last].set(field, text);
    at(last, field)
}

fn database(report: &mut Report, word: &str) -> Vec<String> {
    report.say("application_db_type", word);
    write(report, "db_type", word)
}

fn homeless(report: &mut Report, text: &str) -> Vec<String> {
    report.blocks.last_mut().expect("a block").remove("no_domain_reason");
    write(report, "domain", text)
}

fn named(report: &mut Report, text: &str) -> Vec<String> {
    homeless(report, text)
}

fn sentence(report: &mut Report, heading: &'static str, text: &str) -> Vec<String> {
    report.planted.push((heading, text.to_owned()));
    anywhere(&["machine_room_works"])
}

fn network(report: &mut Report, ticked: &[&'static str]) -> Vec<String> {
    report.ticked = ticked.to_vec();
    for block in &mut report.blocks {
        block.remove("network_zone");
    }
    anywhere(&["network_zone"])
}

const INTRANET: &str = "政务内网(涉密网)";

pub const DEFECTS: &[Defect] = &[
    Defect {
        code: "required",
        basis: FORM_63,
        wish: FORM,
        plant: |r, _, n| write(r, nth(&["os_type", "workload_description", "memory", "cpu_count", "disk"], n), ""),
    },
    Defect {
        code: "database_not_in_catalogue",
        basis: OWN,
        wish: ONE,
        plant: |r, _, n| database(r, nth(&["达梦 DM8", "PostgreSQL 16", "Oracle 19c"], n)),
    },
    Defect {
        code: "database_end_of_life",
        basis: OWN,
        wish: ONE,
        plant: |r, _, n| database(r, nth(&["MySQL 5.6", "mysql5.6", "ＭｙＳＱＬ ５．６"], n)),
    },
    Defect {
        code: "database_unlike_application",
        basis: APPLICATION_DATABASE,
        wish: APPLIED,
        plant: |r, _, n| {
            r.say("application_db_type", nth(&["PostgreSQL 15", "达梦 DM8"], n));
            [at(0, "db_type"), anywhere(&["application_db_type"])].concat()
        },
    },
    Defect {
        code: "os_not_in_catalogue",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| write(r, "os_type", nth(&["统信UOS 20", "Ubuntu 22.04", "银河麒麟 V10"], n)),
    },
    Defect {
        code: "os_end_of_life",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| write(r, "os_type", nth(&["CentOS 7", "Windows Server 2012", "centos7"], n)),
    },
    Defect {
        code: "domain_malformed",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| named(r, nth(&["oa_1.szxc.gov.cn", "http://oa.szxc.gov.cn/", "oa..szxc.gov.cn"], n)),
    },
    Defect {
        code: "domain_outside_district",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| named(r, nth(&["oa.example.com", "mz.suzhou.gov.cn"], n)),
    },
    Defect {
        code: "domain_reason_missing",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| homeless(r, nth(&["", "无"], n)),
    },
    Defect {
        code: "domain_repeated",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| {
            r.blocks[0].remove("no_domain_reason");
            r.blocks[0].set("domain", "mzpt.szxc.gov.cn");
            named(r, nth(&["mzpt.szxc.gov.cn", "MZPT.szxc.gov.cn"], n))
        },
    },
    Defect {
        code: "basis_unclear",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| {
            let at_block = figures(r, 4, ["8核", "16G", "200G"], None);
            write(r, "remarks", nth(&["", "配置如上，试运行阶段"], n));
            at(at_block, "basis")
        },
    },
    Defect {
        code: "not_divisible",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| match n % 2 {
            0 => at(figures(r, 3, ["8核", "48G", "300G"], Some("合计")), "cpu_count"),
            _ => at(figures(r, 3, ["合计9核", "合计100GB", "合计300G"], None), "memory"),
        },
    },
    Defect {
        code: "totals_disagree",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| match n % 2 {
            0 => at(figures(r, 4, ["每台8核", "每台32GB，共100GB", "每台100G"], None), "memory"),
            _ => at(figures(r, 4, ["共30核（每台8核）", "每台16G", "每台100G，共400G"], None), "cpu_count"),
        },
    },
    Defect {
        code: "quantity_is_range",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| match n % 3 {
            0 => at(figures(r, 2, ["2-4核", "16G", "200G"], Some("每台")), "cpu_count"),
            1 => at(figures(r, 2, ["4核", "8G至16G", "200G"], Some("每台")), "memory"),
            _ => at(figures(r, 2, ["4核", "16G", "200～500G"], Some("每台")), "disk"),
        },
    },
    Defect {
        code: "unit_missing",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| match n % 2 {
            0 => at(figures(r, 2, ["4核", "16", "200G"], Some("每台")), "memory"),
            _ => at(figures(r, 2, ["4核", "16G", "200"], Some("每台")), "disk"),
        },
    },
    Defect {
        code: "bad_value",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| match n % 3 {
            0 => at(figures(r, 2, ["4核", "适量", "200G"], Some("每台")), "memory"),
            1 => at(figures(r, 2, ["若干", "16G", "200G"], Some("每台")), "cpu_count"),
            _ => at(figures(r, 2, ["4核", "16G", "按需分配"], Some("每台")), "disk"),
        },
    },
    Defect {
        code: "size_outside_catalogue",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| match n % 4 {
            0 => at(figures(r, 2, ["128核", "16G", "200G"], Some("每台")), "cpu_count"),
            1 => at(figures(r, 2, ["4核", "2T", "200G"], Some("每台")), "memory"),
            2 => at(figures(r, 2, ["4核", "16G", "64T"], Some("每台")), "disk"),
            _ => at(figures(r, 100, ["4核", "16G", "200G"], Some("每台")), "vm_count"),
        },
    },
    Defect {
        code: "disk_unlike_forecast",
        basis: FORECAST_54,
        wish: ONE,
        plant: |r, _, n| {
            let (disk, forecast) = nth(&[("500G", "2T"), ("4T", "10GB"), ("100G", "300 GB")], n);
            figures(r, 1, ["4核", "16G", disk], None);
            r.say("storage_forecast", forecast);
            [at(0, "disk"), anywhere(&["storage_forecast"])].concat()
        },
    },
    Defect {
        code: "machine_room_refused",
        basis: NO_ROOMS,
        wish: LOOSE,
        plant: |r, _, n| {
            let (heading, text) = nth(
                &[
                    ("2、建设方案", "新建机房一处，面积60平方米，配置精密空调2台。"),
                    ("2、建设方案", "对原机房进行改造，更换UPS和精密空调。"),
                    ("6、项目建设内容", "扩建本单位机房，新增机柜6个。"),
                    ("3、资金预算明细", "机房改造工程费30万元。"),
                ],
                n,
            );
            sentence(r, heading, text)
        },
    },
    Defect {
        code: "off_cloud_reason_missing",
        basis: FORM_63,
        wish: LOOSE,
        plant: |r, d, n| {
            add_hardware(d, r, 1 + n % 3);
            r.said.remove("off_cloud_procurement_reason");
            anywhere(&["off_cloud_procurement_reason", "extra_hardware"])
        },
    },
    Defect {
        code: "hardware_incomplete",
        basis: FORM_63,
        wish: LOOSE,
        plant: |r, d, n| {
            add_hardware(d, r, 2);
            let (field, slot) = match n % 3 {
                0 => ("price", &mut r.hardware[1].price),
                1 => ("quantity", &mut r.hardware[1].quantity),
                _ => ("purpose", &mut r.hardware[1].purpose),
            };
            slot.clear();
            // The row, or the cell of it.
            vec!["/extra_hardware/1".to_owned(), format!("/extra_hardware/1/{field}")]
        },
    },
    Defect {
        code: "secrecy_refused",
        basis: NOT_SECRET,
        wish: LOOSE,
        plant: |r, _, n| {
            r.say("secrecy_level", nth(&["机密", "涉密", "秘密级"], n));
            anywhere(&["secrecy_level"])
        },
    },
    Defect {
        code: "intranet_refused",
        basis: NOT_SECRET,
        wish: LOOSE,
        plant: |r, _, n| {
            r.style.application = n.is_multiple_of(2);
            network(r, &[INTRANET])
        },
    },
    Defect {
        code: "block_repeated",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, _| {
            r.said.remove("storage_forecast");
            r.blocks[1] = r.blocks[0].clone();
            for block in &mut r.blocks {
                block.set("domain", "无");
                block.set("no_domain_reason", "仅供本项目内部调用");
            }
            vec!["/blocks/1".to_owned(), "/blocks/1/workload_description".to_owned()]
        },
    },
    Defect {
        code: "milestone_missing",
        basis: SCHEDULE_102,
        wish: LOOSE,
        plant: |r, _, n| {
            r.style.plan_table = n.is_multiple_of(2);
            r.said.remove("deploy_milestone");
            anywhere(&["deploy_milestone"])
        },
    },
    Defect {
        code: "milestone_past",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| {
            r.say("deploy_milestone", nth(&["2020年6月30日", "2021-03-31", "2019年5月"], n));
            anywhere(&["deploy_milestone"])
        },
    },
    Defect {
        code: "exchange_milestone_missing",
        basis: SCHEDULE_102,
        wish: LOOSE,
        plant: |r, _, n| {
            r.style.plan_table = n.is_multiple_of(2);
            r.resources = vec!["人口基础信息"];
            r.said.remove("exchange_milestone");
            anywhere(&["exchange_milestone"])
        },
    },
    Defect {
        code: "urgent_approval_missing",
        basis: URGENT_13,
        wish: LOOSE,
        plant: |r, _, n| {
            r.say("filing_basis", nth(&["紧急项目", "特殊或紧急项目"], n));
            r.said.remove("government_approval");
            r.said.remove("upper_level_filing");
            anywhere(&["government_approval"])
        },
    },
    Defect {
        code: "upper_filing_missing",
        basis: UPPER_14,
        wish: LOOSE,
        plant: |r, _, n| {
            r.say("filing_basis", nth(&["上级统筹项目", "省统筹项目"], n));
            r.said.remove("government_approval");
            r.said.remove("upper_level_filing");
            anywhere(&["upper_level_filing"])
        },
    },
    Defect {
        code: "text_refused",
        basis: OWN,
        wish: LOOSE,
        plant: |r, _, n| match n % 3 {
            0 => write(r, "workload_description", "应用服务\u{202e}办理业务"),
            1 => write(r, "remarks", "试运行\u{200b}阶段"),
            _ => write(r, "workload_description", "接口\u{2066}服务，对接共享平台"),
        },
    },
    Defect { code: "required", basis: APPLICATION_NETWORK, wish: APPLIED, plant: |r, _, _| network(r, &[]) },
    Defect {
        code: "required",
        basis: APPLICATION_SECRECY,
        wish: APPLIED,
        plant: |r, _, _| {
            r.say("secrecy_level", "");
            anywhere(&["secrecy_level"])
        },
    },
];
