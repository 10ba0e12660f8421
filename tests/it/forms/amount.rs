//! Figures as offices write them, all of which a careful reader gets right.

use super::model::GIB;
use crate::support::Dice;

/// What the figures are for, and how the paper tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing is said: one machine only, or it is said elsewhere.
    Bare,
    /// 数量口径 合计: the figures are the sums.
    Sum,
    /// Each figure says 每台.
    Each,
    /// Each figure says 合计.
    SumSaid,
    /// Each figure says both.
    Both,
}

const HAN: &[&str] = &["零", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二"];

/// Digits as wide as Chinese characters.
pub fn full_width(text: &str) -> String {
    text.chars().map(|c| char::from_u32(u32::from(c) + 0xFEE0).filter(|_| c.is_ascii_graphic()).unwrap_or(c)).collect()
}

pub fn machines(dice: &mut Dice, n: u64) -> String {
    let han = usize::try_from(n).ok().and_then(|n| HAN.get(n));
    match dice.below(6) {
        0 => format!("{n}"),
        1 => format!("{n} 台"),
        2 => full_width(&format!("{n}台")),
        3 => han.map_or_else(|| format!("{n}台"), |han| format!("{han}台")),
        _ => format!("{n}台"),
    }
}

fn cores(dice: &mut Dice, n: u64) -> String {
    match dice.below(6) {
        0 => full_width(&format!("{n}")) + " 核",
        1 => format!("{n}C"),
        2 => format!("{n} 核"),
        3 => format!("{n}vCPU"),
        _ => format!("{n}核"),
    }
}

/// A size of whole GiB.
pub fn size(dice: &mut Dice, bytes: u64) -> String {
    let gib = bytes / GIB;
    assert_eq!(bytes % GIB, 0, "{bytes}");
    match dice.below(7) {
        0 => format!("{gib} GB"),
        1 => full_width(&format!("{gib}GB")),
        2 => format!("{}MB", gib * 1024),
        3 if gib.is_multiple_of(1024) => format!("{}T", gib / 1024),
        4 if gib.is_multiple_of(1024) => format!("{} TB", gib / 1024),
        3 => format!("{gib}GiB"),
        4 => format!("{gib}g"),
        5 => format!("{gib}GB"),
        _ => format!("{gib}G"),
    }
}

/// A disk, at times as the two that it will be.
fn disk(dice: &mut Dice, bytes: u64) -> String {
    if bytes > 100 * GIB && dice.once_in(2) {
        let data = size(dice, bytes - 100 * GIB);
        let comma = dice.pick(&["，", "、", "；", " + "]);
        return format!("系统盘100G{comma}数据盘{data}");
    }
    size(dice, bytes)
}

/// One of the three figures of a block with `n` machines.
pub fn figure(dice: &mut Dice, field: &str, each: u64, n: u64, scope: Scope) -> String {
    let write = |dice: &mut Dice, amount: u64| match field {
        "cpu_count" => cores(dice, amount),
        "memory" => size(dice, amount),
        // The sums of two kinds of disks are nothing that an office writes.
        "disk" if matches!(scope, Scope::Bare | Scope::Each) => disk(dice, amount),
        _ => size(dice, amount),
    };
    match scope {
        Scope::Bare => write(dice, each),
        Scope::Sum => write(dice, each * n),
        Scope::Each => {
            let text = write(dice, each);
            // `系统盘100G，数据盘1T/台` would leave the first open.
            match dice.below(3) {
                0 => format!("单台{text}"),
                1 if !text.contains("盘") => format!("{text}/台"),
                _ => format!("每台{text}"),
            }
        }
        Scope::SumSaid => {
            let text = write(dice, each * n);
            format!("{}{text}", dice.pick(&["合计", "共", "总计"]))
        }
        Scope::Both => {
            let (one, all) = (write(dice, each), write(dice, each * n));
            match dice.below(3) {
                0 => format!("共{all}（每台{one}）"),
                1 => format!("合计{all}，每台{one}"),
                _ => format!("每台{one}，共{all}"),
            }
        }
    }
}
