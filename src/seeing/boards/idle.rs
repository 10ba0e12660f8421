//! 闲置与僵尸

use super::each;
use crate::{
    metrics::series,
    seeing::{
        panel::{Board, Bounds::Above, Panel, Shape, Unit},
        query::{Want, named, once, total},
        rules::work,
        words,
    },
};

pub fn board() -> Board {
    Board {
        uid: "idle",
        title: "集约 · 闲置与僵尸",
        description: "多少虚拟机在闲置、占着多少资源，分配的有多少真在用，僵尸系统办到哪一步",
        rows: vec![("闲置", idle()), ("分配与实用", used()), ("僵尸系统", zombies())],
    }
}

fn idle() -> Vec<Panel> {
    let idle = [("verdict", Want::Is("idle"))];
    vec![
        Panel::new(Shape::Figure, "闲置的份额", Unit::Share, "判定过的虚拟机里闲置的份额")
            .query("", named(work::IDLE, &[]))
            .bounds(Above(0.1, 0.2)),
        Panel::new(Shape::Figure, "闲置的台数", Unit::Count, "判为闲置的虚拟机；能不能收回要看报告")
            .query("", total(&series::VERDICT_MACHINES, &idle, &[]))
            .bounds(Above(1.0, 50.0)),
        Panel::new(Shape::Figure, "闲置占用的 CPU", Unit::Cores, "判为闲置的虚拟机现在占着的 CPU")
            .query("", total(&series::VERDICT_VCPUS, &idle, &[])),
        Panel::new(Shape::Figure, "闲置占用的内存", Unit::Bytes, "判为闲置的虚拟机现在占着的内存")
            .query("", total(&series::VERDICT_MEMORY, &idle, &[])),
        each(
            Panel::new(Shape::Stack, "各判定的台数", Unit::Count, "最近判定过的那一天").third(),
            words::VERDICTS,
            |word| total(&series::VERDICT_MACHINES, &[("verdict", Want::Is(word))], &[]),
        ),
        each(
            Panel::new(Shape::Stack, "各判定占用的 CPU", Unit::Cores, "虚拟机现在占着的，按最近一次判定").third(),
            words::VERDICTS,
            |word| total(&series::VERDICT_VCPUS, &[("verdict", Want::Is(word))], &[]),
        ),
        each(
            Panel::new(Shape::Stack, "各判定占用的内存", Unit::Bytes, "虚拟机现在占着的，按最近一次判定").third(),
            words::VERDICTS,
            |word| total(&series::VERDICT_MEMORY, &[("verdict", Want::Is(word))], &[]),
        ),
    ]
}

fn used() -> Vec<Panel> {
    let share = |series| {
        let of = |stage| total(series, &[("stage", Want::Is(stage))], &[]);
        format!("{} / ({} > 0)", of("measured"), of("allocated"))
    };
    vec![
        Panel::new(Shape::Lines, "分配的有多少在用", Unit::Share, "实测（当天至今的平均）占已分配的份额")
            .query("CPU", share(&series::VCPUS))
            .query("内存", share(&series::MEMORY)),
        Panel::new(
            Shape::Bars,
            "用得最少的虚拟机",
            Unit::Cores,
            "当天平均用的 CPU 最少的二十台；设置 usage_machine_metrics 关掉后没有",
        )
        .query("{{name}}", format!("bottomk(20, {})", once(&series::MACHINE_VCPUS, &[]))),
        Panel::new(
            Shape::Bars,
            "用内存最多的虚拟机",
            Unit::Bytes,
            "当天平均用的内存最多的二十台；设置 usage_machine_metrics 关掉后没有",
        )
        .query("{{name}}", format!("topk(20, {})", once(&series::MACHINE_MEMORY, &[])))
        .wide(),
    ]
}

fn zombies() -> Vec<Panel> {
    vec![each(
        Panel::new(Shape::Stack, "僵尸系统办到哪一步", Unit::Count, "各状态的件数").wide(),
        words::FINDINGS,
        |word| total(&series::ZOMBIE_FINDINGS, &[("state", Want::Is(word))], &[]),
    )]
}
