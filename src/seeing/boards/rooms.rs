//! 机房撤并

use super::each;
use crate::{
    metrics::series,
    seeing::{
        panel::{Board, Bounds::Above, Panel, Shape, Unit},
        query::{Want, of, total},
        words::Words,
    },
};

const ROOMS: Words = &[("closed", "已关停"), ("exempt", "保留"), ("pending", "待撤并")];
const SYSTEMS: Words = &[("in_cloud", "已上云"), ("discarded", "已摒弃"), ("exempt", "保留"), ("pending", "待办")];

pub fn board() -> Board {
    let in_cloud = total(&series::SURVEYED, &[("standing", Want::Is("in_cloud"))], &[]);
    let share = format!("{in_cloud} / clamp_min({}, 1)", total(&series::SURVEYED, &[], &[]));
    let late = format!("max ({})", of(&series::ROOMS_LATE, &[]));
    let near = format!("max ({})", of(&series::ROOMS_NEAR, &[]));
    let left = |series| total(series, &[("standing", Want::Is("pending"))], &[]);
    Board {
        uid: "rooms",
        title: "集约 · 机房撤并",
        description: "多少系统已经上云，机房各到哪一步，有没有过期的",
        rows: vec![
            (
                "现在",
                vec![
                    Panel::new(Shape::Figure, "上云的份额", Unit::Share, "普查到的系统里已经上云的份额")
                        .query("", share.clone()),
                    Panel::new(Shape::Figure, "过期的机房", Unit::Count, "过了撤并期限还没有关停的机房")
                        .query("", late.clone())
                        .bounds(Above(1.0, 1.0)),
                    Panel::new(Shape::Figure, "期限临近的机房", Unit::Count, "离撤并期限不到三十天、还没有关停的机房")
                        .query("", near.clone())
                        .bounds(Above(1.0, 5.0)),
                    Panel::new(Shape::Figure, "待撤并的机房", Unit::Count, "既没有关停、也不保留的机房")
                        .query("", left(&series::ROOMS)),
                    Panel::new(Shape::Figure, "待办的系统", Unit::Count, "还没有上云、摒弃或豁免的系统")
                        .query("", left(&series::SURVEYED)),
                ],
            ),
            (
                "进展",
                vec![
                    each(
                        Panel::new(Shape::Stack, "机房", Unit::Count, "普查到的机房，按到了哪一步"),
                        ROOMS,
                        |word| total(&series::ROOMS, &[("standing", Want::Is(word))], &[]),
                    ),
                    each(
                        Panel::new(Shape::Stack, "系统", Unit::Count, "普查到的系统，按到了哪一步"),
                        SYSTEMS,
                        |word| total(&series::SURVEYED, &[("standing", Want::Is(word))], &[]),
                    ),
                    Panel::new(Shape::Lines, "上云的份额与时间", Unit::Share, "份额随时间的变化").query("上云", share),
                    Panel::new(Shape::Lines, "期限与时间", Unit::Count, "过期的、期限临近的机房随时间的变化")
                        .query("过期", late)
                        .query("临近", near),
                    Panel::new(Shape::Lines, "燃尽", Unit::Count, "还剩多少待撤并的机房和待办的系统，随时间减到零")
                        .query("待撤并的机房", left(&series::ROOMS))
                        .query("待办的系统", left(&series::SURVEYED))
                        .wide(),
                ],
            ),
        ],
    }
}
