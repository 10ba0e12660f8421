//! 宿主机与集群

use super::each;
use crate::{
    metrics::series,
    seeing::{
        panel::{
            Board,
            Bounds::{Above, Below},
            Panel, Shape, Unit,
        },
        query::{IN_BOARD, Want, of, once, pace, total},
        words,
    },
};

pub fn board() -> Board {
    Board {
        uid: "hosts",
        title: "集约 · 宿主机与集群",
        description: "宿主机各在什么状态、用了多少，上面有什么不对，用量采得全不全，集群的控制器在做什么",
        rows: vec![("宿主机", hosts()), ("采集", measuring()), ("集群与域名", others())],
    }
}

fn hosts() -> Vec<Panel> {
    let used = |title, word: &str, description| {
        Panel::new(Shape::Bars, title, Unit::Share, description)
            .query("{{host}}", once(&series::HOST_USED, &[("dimension", Want::Is(word))]))
            .bounds(Above(0.8, 0.95))
            .third()
    };
    vec![
        each(
            Panel::new(Shape::Stack, "宿主机的状态", Unit::Count, "各状态的宿主机与集群").third(),
            words::HOST_STATES,
            |word| total(&series::HOSTS, &[("state", Want::Is(word))], &[]),
        ),
        Panel::new(Shape::Lines, "多久没有回应", Unit::Seconds, "失去联系的宿主机有多久了；有回应的是零")
            .query("{{host}}", once(&series::HOST_SILENCE, &[]))
            .bounds(Above(30.0, 60.0))
            .third(),
        each(
            Panel::new(Shape::Stack, "未处理的异常", Unit::Count, "宿主机上与批准不符、还没有人处理的情形").third(),
            words::ALARMS,
            |word| total(&series::ALARMS_OPEN, &[("kind", Want::Is(word))], &[]),
        ),
        used("CPU 已分配", "vcpus", "占可分配的份额，按宿主机"),
        used("内存已分配", "memory", "占可分配的份额，按宿主机"),
        used("磁盘已分配", "disk", "占可分配的份额，按宿主机"),
    ]
}

fn measuring() -> Vec<Panel> {
    vec![
        Panel::new(Shape::Lines, "采集的覆盖率", Unit::Share, "运行中的虚拟机里，三个间隔之内有样本的份额")
            .query("覆盖率", format!("max ({})", of(&series::COVERAGE, &[])))
            .bounds(Below(0.99, 0.95))
            .third(),
        Panel::new(Shape::Lines, "采集的滞后", Unit::Seconds, "最久没有样本的那台虚拟机，样本已有多旧")
            .query("滞后", format!("max ({})", of(&series::LAG, &[])))
            .third(),
        Panel::new(
            Shape::Lines,
            "采集的轮次与样本",
            Unit::PerSecond,
            "每秒采集宿主机的轮次、问用量来源的轮次，以及得到的样本",
        )
        .query("宿主机 {{outcome}}", pace(&series::USAGE_ROUNDS, &[], &["outcome"], IN_BOARD))
        .query("来源 {{source}} {{outcome}}", pace(&series::USAGE_SOURCE_ROUNDS, &[], &["source", "outcome"], IN_BOARD))
        .query("样本", pace(&series::USAGE_POINTS, &[], &[], IN_BOARD))
        .third(),
        Panel::new(Shape::Lines, "不能采信的读数", Unit::PerSecond, "每秒因各种原因不能成为样本的读数")
            .query("{{cause}}", pace(&series::USAGE_REFUSALS, &[], &["cause"], IN_BOARD))
            .wide(),
    ]
}

fn others() -> Vec<Panel> {
    vec![
        Panel::new(Shape::Figure, "控制器在岗", Unit::Count, "正在驱动集群控制器的服务进程；接了集群的应当是一")
            .query("", format!("sum ({})", of(&series::KUBE_LEADER, &[])))
            .bounds(Above(2.0, 2.0)),
        Panel::new(Shape::Figure, "等着删除的申请", Unit::Count, "集群里要删、还在等虚拟机进回收站的申请")
            .query("", format!("max ({})", of(&series::KUBE_LEAVING, &[])))
            .bounds(Above(1.0, 10.0)),
        Panel::new(Shape::Figure, "最久的等了", Unit::Seconds, "其中等得最久的")
            .query("", format!("max ({})", of(&series::KUBE_OLDEST, &[])))
            .bounds(Above(300.0, 900.0)),
        Panel::new(Shape::Lines, "控制器的轮次", Unit::PerSecond, "每秒查看集群里的申请，按结果")
            .query("{{outcome}}", pace(&series::KUBE_RECONCILES, &[], &["outcome"], IN_BOARD)),
        Panel::new(Shape::Stack, "域名的状态", Unit::Count, "DNS 服务器里由平台登记的名字")
            .query("{{state}}", once(&series::NAMES, &[])),
        Panel::new(Shape::Lines, "域名的登记与撤销", Unit::PerSecond, "每秒向 DNS 服务器的登记与撤销，按结果")
            .query("{{act}} {{outcome}}", pace(&series::NAME_ATTEMPTS, &[], &["act", "outcome"], IN_BOARD)),
    ]
}
