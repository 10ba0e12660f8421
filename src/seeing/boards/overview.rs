//! 总览

use super::each;
use crate::{
    metrics::series::{self, Series},
    seeing::{
        panel::{
            Board,
            Bounds::{Above, Below},
            Panel, Shape, Unit,
        },
        query::{Want, named, of, once, stage, total, zoned},
        rules::capacity,
        words,
    },
};

pub fn board() -> Board {
    Board {
        uid: "overview",
        title: "集约 · 总览",
        description: "申请、批准、分配、实测、实有各是多少，虚拟机各在什么状态，有什么要人办",
        rows: vec![("要人办的", people()), ("容量", capacity()), ("虚拟机与判定", machines())],
    }
}

fn figure(title: &'static str, unit: Unit, description: &'static str) -> Panel {
    Panel::new(Shape::Figure, title, unit, description)
}

fn people() -> Vec<Panel> {
    let is = |label, value| [(label, Want::Is(value))];
    let open = |word| total(&series::REQUESTS_OPEN, &is("state", word), &[]);
    let firing = "count(ALERTS{alertname=~\"Jiyue.+\", alertstate=\"firing\"}) or vector(0)".to_owned();
    let findings = total(
        &series::ZOMBIE_FINDINGS,
        &[("state", Want::Among(&["suspected", "answered", "objected", "confirmed"]))],
        &[],
    );
    vec![
        figure("待审批的申请", Unit::Count, "已提交、还没有人批复的申请")
            .query("", open("submitted"))
            .bounds(Above(1.0, 20.0)),
        figure("最久的等了", Unit::Seconds, "等得最久的申请，从提交算起")
            .query("", total(&series::REQUEST_AGE, &is("state", "submitted"), &[]))
            .bounds(Above(259_200.0, 432_000.0)),
        figure("正在触发的告警", Unit::Count, "Prometheus 里正在触发的集约告警")
            .query("", firing)
            .bounds(Above(1.0, 1.0)),
        figure("宿主机失去联系", Unit::Count, "没有回应的宿主机；上面的虚拟机可能还在运行")
            .query("", total(&series::HOSTS, &is("state", "unknown"), &[]))
            .bounds(Above(1.0, 1.0)),
        figure("未处理的异常", Unit::Count, "宿主机上与批准不符、还没有人处理的情形")
            .query("", total(&series::ALARMS_OPEN, &[], &[]))
            .bounds(Above(1.0, 1.0)),
        figure("待办的僵尸系统", Unit::Count, "轮到信息办办理的僵尸系统：疑似、单位已认可、有异议、已认定")
            .query("", findings)
            .bounds(Above(1.0, 50.0)),
    ]
}

fn stages(title: &'static str, unit: Unit, series: &Series, with_measured: bool) -> Panel {
    let description = if with_measured {
        "申请、批准、分配、实测（当天至今的平均）、实有，按网络区域；一台宿主机在它的每个区域里各算一次"
    } else {
        "申请、批准、分配、实有，按网络区域；磁盘用了多少没有人报告"
    };
    words::STAGES
        .iter()
        .filter(|(word, _)| with_measured || *word != "measured")
        .fold(Panel::new(Shape::Lines, title, unit, description), |panel, (word, label)| {
            panel.query(&format!("{{{{zone}}}} {label}"), zoned(&stage(series, word)))
        })
}

fn capacity() -> Vec<Panel> {
    let resources = |panel: Panel, name: &str| {
        capacity::RESOURCES.iter().fold(panel, |panel, (word, label, _)| {
            let expression = zoned(&named(name, &[("resource", Want::Is(word))]));
            panel.query(&format!("{{{{zone}}}} {label}"), expression)
        })
    };
    vec![
        stages("CPU", Unit::Cores, &series::VCPUS, true).third(),
        stages("内存", Unit::Bytes, &series::MEMORY, true).third(),
        stages("磁盘", Unit::Bytes, &series::DISK, false).third(),
        resources(
            Panel::new(Shape::Bars, "还剩多少", Unit::Share, "实有减去已分配，占实有的份额").bounds(Below(0.3, 0.15)),
            capacity::FREE,
        ),
        resources(
            Panel::new(Shape::Bars, "照近七天还能用几天", Unit::Days, "按近七天分配的增速推算；没有增长的不列")
                .bounds(Below(90.0, 30.0)),
            capacity::DAYS_LEFT,
        ),
    ]
}

fn machines() -> Vec<Panel> {
    vec![
        each(
            Panel::new(Shape::Stack, "虚拟机的状态", Unit::Count, "各状态的台数；已撤销的是没有建成的").third(),
            words::MACHINE_STATES,
            |word| total(&series::MACHINES, &[("state", Want::Is(word))], &[]),
        ),
        each(
            Panel::new(Shape::Stack, "使用情况的判定", Unit::Count, "最近判定过的那一天，各判定的台数").third(),
            words::VERDICTS,
            |word| total(&series::VERDICT_MACHINES, &[("verdict", Want::Is(word))], &[]),
        ),
        Panel::new(Shape::Bars, "任务书已用", Unit::Share, "有效的任务书中各项指标用得最多的二十个")
            .query("{{task_book}} {{indicator}}", format!("topk(20, {})", once(&series::TASK_BOOK_USED, &[])))
            .bounds(Above(0.8, 0.95))
            .third(),
        figure("服务的版本数", Unit::Count, "各个服务进程的版本；升级完成后应当是一")
            .query("", format!("count(count by (version) ({}))", of(&series::BUILD_INFO, &[])))
            .bounds(Above(2.0, 3.0)),
        figure("数据库", Unit::Flag, "最近一次查看时，数据库读得出、写得进")
            .query("", format!("min ({})", of(&series::DATABASE_UP, &[])))
            .bounds(Below(1.0, 0.5)),
        figure("证书到期", Unit::Instant, "正在使用的服务证书到哪一天；不用 TLS 的服务没有")
            .query("", format!("min ({}) * 1000", of(&series::CERTIFICATE_EXPIRY, &[]))),
        figure("账目不符", Unit::Count, "最近一次核对账目时的不符之处")
            .query("", format!("max ({})", of(&series::LEDGER, &[])))
            .bounds(Above(1.0, 1.0)),
    ]
}
