//! What an office wrote for one resource of several machines: `8核`, `每台32GB，共128GB`, `共32核（每台8核）`,
//! `系统盘100G，数据盘1T`, `2台，每台8核`. A phrase is cut into figures, each with what it is said of; whatever does not come
//! to one exact reading is refused with the reason, never guessed.

use crate::{
    quantity::{self, QuantityFault},
    units::Bytes,
};
use unicode_normalization::UnicodeNormalization;

/// The figures of a phrase. At least one of `each`, `all` and `plain` is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated<T> {
    /// Said to be per machine.
    pub each: Option<T>,
    /// Said to be for all machines together.
    pub all: Option<T>,
    /// Nothing is said.
    pub plain: Option<T>,
    /// How many machines the phrase itself speaks of.
    pub machines: Option<i64>,
}

/// Why a phrase has no one reading. The messages are for people and stand inside a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatedFault {
    #[error(transparent)]
    Quantity(#[from] QuantityFault),
    #[error("是一个约数或限度，不是一个确定的数")]
    Approximate,
    #[error("写了不止一个数，看不出以哪一个为准")]
    Several,
    #[error("含有无法理解的文字")]
    Words,
}

/// A resource that is counted or measured.
pub trait Measure: Copy + PartialEq {
    /// Words of the unit, longest first where one begins with another.
    const UNITS: &'static [&'static str];
    fn read(figure: &str) -> Result<Self, QuantityFault>;
    fn plus(self, other: Self) -> Option<Self>;
    fn times(self, n: i64) -> Option<Self>;
}

/// vCPU of a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores(pub i64);

impl Measure for Cores {
    const UNITS: &'static [&'static str] = CORES;
    fn read(figure: &str) -> Result<Self, QuantityFault> {
        quantity::count(figure, CORES).map(Self)
    }
    fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
    fn times(self, n: i64) -> Option<Self> {
        self.0.checked_mul(n).map(Self)
    }
}

/// Words for a virtual CPU. 颗 is not among them: a socket has many cores.
const CORES: &[&str] = &[
    "个核心",
    "个核",
    "核心",
    "核vcpu",
    "核cpu",
    "核",
    "个vcpu",
    "个cpu",
    "个",
    "cores",
    "core",
    "vcpus",
    "vcpu",
    "cpu",
    "c",
];

impl Measure for Bytes {
    const UNITS: &'static [&'static str] =
        &["kib", "mib", "gib", "tib", "kb", "mb", "gb", "tb", "k", "m", "g", "t", "b", "字节"];
    fn read(figure: &str) -> Result<Self, QuantityFault> {
        quantity::bytes(figure)
    }
    fn plus(self, other: Self) -> Option<Self> {
        Bytes::new(self.get().checked_add(other.get())?)
    }
    fn times(self, n: i64) -> Option<Self> {
        Bytes::times(self, n)
    }
}

/// Of what a figure is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Each,
    All,
}

/// Words around a figure, the longest first where one is part of another.
const EACH: &[&str] = &[
    "每台虚拟机",
    "每台服务器",
    "每台机器",
    "每台主机",
    "每个虚拟机",
    "每个节点",
    "每虚拟机",
    "每节点",
    "单节点",
    "每台",
    "每个",
    "每机",
    "单台",
    "单机",
    "单个",
    "台均",
    "各",
];
const ALL: &[&str] = &["合计", "总计", "共计", "总共", "一共", "累计", "总量", "全部", "总", "共"];
/// Parts of a disk that add up.
const PARTS: &[&str] = &["操作系统盘", "系统盘", "系统分区", "数据磁盘", "数据盘", "数据分区", "存储盘", "os盘"];
/// Words that say nothing about the figure.
const NOISE: &[&str] = &[
    "虚拟cpu",
    "虚拟内存",
    "vcpu",
    "cpu",
    "内存",
    "云硬盘",
    "本地盘",
    "硬盘",
    "磁盘",
    "存储",
    "空间",
    "容量",
    "大小",
    "数量",
    "虚拟机",
    "虚拟",
    "配置",
    "均为",
    "均",
    "为",
    "需要",
    "需",
    "ssd",
    "sata",
    "sas",
    "hdd",
    "高速",
    "高性能",
    "可用",
];
const VAGUE: &[&str] = &[
    "大约",
    "约",
    "左右",
    "以上",
    "以下",
    "以内",
    "不低于",
    "不少于",
    "不小于",
    "不高于",
    "不超过",
    "至少",
    "最少",
    "最低",
    "至多",
    "最多",
    "大于",
    "小于",
    "≥",
    "≤",
    ">",
    "<",
    "≧",
    "≦",
    "起",
    "上下",
    "余",
    "多",
];
/// What counts machines.
const MACHINES: &[&str] = &["台虚拟机", "台服务器", "个虚拟机", "个节点", "节点", "台"];
/// What counts disks of one size.
const PIECES: &[&str] = &["块", "个盘"];

#[derive(Clone, Copy)]
struct Figure<T> {
    value: T,
    of: Option<Of>,
    part: bool,
    /// Joined to the one before by a plus sign.
    added: bool,
}

/// Reads a phrase.
pub fn read<T: Measure>(text: &str) -> Result<Stated<T>, StatedFault> {
    let plain = exact(text)?;
    // `每台200GB（系统盘50GB+数据盘150GB）`: the brackets say the same again, part by part.
    if let Some((whole, parts)) = breakdown(&plain) {
        let (whole, parts) = (phrase::<T>(&whole)?, phrase::<T>(parts)?);
        let said = [parts.plain, parts.each, parts.all].into_iter().flatten();
        let agree = said.into_iter().all(|part| [whole.plain, whole.each, whole.all].contains(&Some(part)));
        return if agree { Ok(whole) } else { Err(StatedFault::Several) };
    }
    phrase(&plain)
}

/// The text in its one form, unless it is no phrase or gives no exact amount.
fn exact(text: &str) -> Result<String, StatedFault> {
    if text.len() > 512 {
        return Err(StatedFault::Words);
    }
    let plain = unified(text);
    if plain.is_empty() {
        return Err(QuantityFault::Empty.into());
    }
    if VAGUE.iter().any(|word| plain.contains(word)) {
        return Err(StatedFault::Approximate);
    }
    Ok(plain)
}

fn phrase<T: Measure>(plain: &str) -> Result<Stated<T>, StatedFault> {
    let (figures, machines) = figures::<T>(plain)?;
    sum(&figures, machines)
}

/// The phrase without the brackets that name parts of its one figure, and what stands in them.
fn breakdown(plain: &str) -> Option<(String, &str)> {
    let (before, rest) = plain.split_once('(')?;
    let (inner, after) = rest.split_once(')')?;
    let digit = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    let named = PARTS.iter().any(|word| inner.contains(word));
    (named && digit(inner) && (digit(before) || digit(after)) && !after.contains('('))
        .then(|| (format!("{before}{after}"), inner))
}

/// Lower case, no white space, full-width forms made plain, a line's end as a comma; the comma of `16,384` taken out.
fn unified(text: &str) -> String {
    let text: Vec<char> =
        text.trim().replace('\n', "，").nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).collect();
    let digits = |range: &[char]| range.len() == 3 && range.iter().all(char::is_ascii_digit);
    let digit = |n: usize| text.get(n).is_some_and(char::is_ascii_digit);
    let groups = |n: usize| n > 0 && digit(n - 1) && text.get(n + 1..n + 4).is_some_and(digits) && !digit(n + 4);
    text.iter().enumerate().filter(|(n, c)| !(**c == ',' && groups(*n))).map(|(_, c)| *c).collect()
}

/// The figures of a phrase with what each is said of, and the number of machines if the phrase gives one.
fn figures<T: Measure>(text: &str) -> Result<(Vec<Figure<T>>, Option<i64>), StatedFault> {
    let (mut figures, mut machines) = (Vec::<Figure<T>>::new(), None);
    // What words that stand alone say of the figure that follows them.
    let (mut of_next, mut part_next, mut times_next) = (None, false, None);
    for (mark, segment) in segments(text) {
        let (words, rest) = lead(segment);
        let (mut of, mut part) = (words.of, words.part);
        if rest.is_empty() {
            // `100G（系统盘）` and `8核/虚拟机` speak of the figure before, `每台：8核` of the one after.
            let of = if mark == '/' { Some(Of::Each) } else { of };
            if let Some(figure) = figures.last_mut().filter(|_| matches!(mark, '(' | '/')) {
                figure.of = figure.of.or(of);
                figure.part |= part;
            } else {
                (of_next, part_next) = (of.or(of_next), part || part_next);
            }
            continue;
        }
        // A remark, `8核（应用服务器）`: without a number in it, it does not touch the figure.
        if mark == '(' && !figures.is_empty() && !figure_begins(rest) && !rest.contains(|c: char| c.is_ascii_digit()) {
            continue;
        }
        if mark == '/' && (MACHINES.contains(&rest) || matches!(rest, "vm" | "虚机" | "套")) {
            let last = figures.last_mut().ok_or(StatedFault::Words)?;
            last.of = Some(Of::Each);
            continue;
        }
        let mut rest = rest;
        if let Some((n, after)) = counted(rest, MACHINES) {
            if machines.replace(n).is_some_and(|before| before != n) {
                return Err(StatedFault::Several);
            }
            // `两台合计`, `2台每台8核`
            let (words, after) = lead(after);
            of = words.of.or(of);
            if after.is_empty() {
                // `8核×2台`: what stands before the sign is of each. `8核（两台合计）`: the brackets say of what.
                let said = of.or((mark == '*').then_some(Of::Each));
                if let Some(figure) = figures.last_mut().filter(|_| matches!(mark, '*' | '(')) {
                    figure.of = said.or(figure.of);
                } else {
                    of_next = of.or(of_next);
                }
                continue;
            }
            rest = after;
        }
        let pieces = counted(rest, PIECES);
        let (n, rest) = pieces.map_or((times_next.take(), rest), |(n, rest)| (Some(n), rest));
        if rest.is_empty() {
            match figures.last_mut().filter(|_| mark == '*') {
                // `500G×2块`
                Some(figure) => figure.value = figure.value.times(n.unwrap_or(1)).ok_or(QuantityFault::TooLarge)?,
                None => times_next = n,
            }
            continue;
        }
        // `×2` of nothing: machines or disks, nobody knows.
        if mark == '*' && n.is_none() && machines.is_none() {
            return Err(StatedFault::Several);
        }
        let (inner, rest) = lead(rest);
        (of, part) = (of.or(inner.of), part || inner.part);
        let (figure, tail) = cut::<T>(rest)?;
        let value = T::read(&figure)?;
        let value = value.times(n.unwrap_or(1)).ok_or(QuantityFault::TooLarge)?;
        let (after, rest) = lead(tail);
        if !rest.is_empty() {
            return Err(if figure_begins(rest) { StatedFault::Several } else { StatedFault::Words });
        }
        let of = of.or(after.of).or(of_next.take()).or((mark == '*' && machines.is_some()).then_some(Of::Each));
        let part = part || after.part || std::mem::take(&mut part_next);
        figures.push(Figure { value, of, part, added: mark == '+' });
    }
    if of_next.is_some() && figures.is_empty() || times_next.is_some() {
        return Err(StatedFault::Words);
    }
    // Words at the end, `系统盘100G，数据盘1T，每台`, speak of all figures that nothing else is said of.
    for figure in figures.iter_mut().filter(|f| f.of.is_none()) {
        figure.of = of_next;
    }
    Ok((figures, machines))
}

/// The segments of a phrase, each with the mark that stands before it.
fn segments(text: &str) -> impl Iterator<Item = (char, &str)> {
    let marks = |c: char| match c {
        ',' | ';' | '、' | '。' | ':' | '[' | ']' | '【' | '】' | ')' => Some(','),
        '(' => Some('('),
        '/' => Some('/'),
        '+' | '＋' | '和' | '及' | '与' | '并' => Some('+'),
        '*' | '×' | 'x' | '✕' => Some('*'),
        _ => None,
    };
    let mut rest = text;
    let mut mark = ',';
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = rest.char_indices().find_map(|(n, c)| marks(c).map(|m| (n, c.len_utf8(), m)));
            let (segment, next) = match end {
                Some((n, len, m)) => {
                    let segment = &rest[..n];
                    rest = &rest[n + len..];
                    (segment, m)
                }
                None => (std::mem::take(&mut rest), ','),
            };
            let before = std::mem::replace(&mut mark, next);
            // Two marks in a row, `)，`: the stronger one counts.
            if segment.is_empty() {
                if mark == ',' && before != ',' {
                    mark = before;
                }
                continue;
            }
            return Some((before, segment));
        }
    })
}

#[derive(Clone, Copy, Default)]
struct Words {
    of: Option<Of>,
    part: bool,
}

/// The known words at the beginning, and what follows them.
fn lead(mut text: &str) -> (Words, &str) {
    let mut words = Words::default();
    loop {
        let strip = |list: &[&'static str]| list.iter().find_map(|word| text.strip_prefix(word));
        if let Some(rest) = strip(EACH) {
            (words.of, text) = (Some(Of::Each), rest);
        } else if let Some(rest) = strip(PARTS) {
            (words.part, text) = (true, rest);
        } else if let Some(rest) = strip(ALL) {
            (words.of, text) = (Some(Of::All), rest);
        } else if let Some(rest) = strip(NOISE) {
            text = rest;
        } else {
            return (words, text);
        }
    }
}

/// A whole number before one of `units`, and what follows the unit.
fn counted<'t>(text: &'t str, units: &[&str]) -> Option<(i64, &'t str)> {
    let number = quantity::leading(text);
    let (number, rest) = text.split_at(number);
    let rest = units.iter().find_map(|unit| rest.strip_prefix(unit))?;
    Some((quantity::count(number, &[]).ok()?, rest))
}

fn figure_begins(text: &str) -> bool {
    quantity::leading(text) > 0
}

/// The figure (number and unit) at the beginning, and what follows it. A range is kept whole, for its own fault.
fn cut<T: Measure>(text: &str) -> Result<(String, &str), StatedFault> {
    let number = quantity::leading(text);
    let (head, rest) = text.split_at(number);
    let unit = T::UNITS.iter().find_map(|unit| rest.strip_prefix(unit).map(|rest| (*unit, rest)));
    let (unit, rest) = unit.unwrap_or(("", rest));
    if number > 0
        && let Some(other) = rest.strip_prefix(['-', '–', '—', '~', '～', '至', '到', '或'])
        && figure_begins(other)
    {
        return Err(QuantityFault::Range.into());
    }
    if number == 0 {
        // `-16G` and whatever is no number at all: the plain reading has the right words for it.
        return Err(T::read(text).err().unwrap_or(QuantityFault::NotANumber).into());
    }
    // A latin letter behind a unit: some other unit (`100Mbps`).
    if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.') && lead(rest).1 == rest {
        return Err(QuantityFault::UnitUnknown.into());
    }
    Ok((format!("{head}{unit}"), rest))
}

/// What the figures come to.
fn sum<T: Measure>(figures: &[Figure<T>], machines: Option<i64>) -> Result<Stated<T>, StatedFault> {
    let of = |wanted: Option<Of>| -> Result<Option<T>, StatedFault> {
        let mut total: Option<T> = None;
        let mut parts = true;
        for figure in figures.iter().filter(|f| f.of == wanted) {
            total = match total {
                None => Some(figure.value),
                // Only parts of a disk, or what a plus sign joins, add up.
                Some(_) if !(figure.added || (parts && figure.part)) => return Err(StatedFault::Several),
                Some(so_far) => Some(so_far.plus(figure.value).ok_or(QuantityFault::TooLarge)?),
            };
            parts &= figure.part;
        }
        Ok(total)
    };
    let mut stated = Stated { each: of(Some(Of::Each))?, all: of(Some(Of::All))?, plain: of(None)?, machines };
    match (stated.each, stated.all, stated.plain) {
        (None, None, None) => Err(QuantityFault::NotANumber.into()),
        // `2台，共16核`, `每台8核，16核`: the plain one beside a said one is in doubt, unless it is a part of it.
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            joined(figures, &mut stated).then_some(stated).ok_or(StatedFault::Several)
        }
        _ => Ok(stated),
    }
}

/// `每台系统盘100G，数据盘1T`: parts of which only the first says it is of each.
fn joined<T: Measure>(figures: &[Figure<T>], stated: &mut Stated<T>) -> bool {
    let said: Vec<Of> = figures.iter().filter_map(|f| f.of).collect();
    let one = said.first().copied().filter(|first| said.iter().all(|of| of == first));
    let Some(of) = one.filter(|_| figures.iter().all(|f| f.part) || figures.iter().skip(1).all(|f| f.added)) else {
        return false;
    };
    let total = figures.iter().skip(1).try_fold(figures[0].value, |sum, f| sum.plus(f.value));
    (stated.each, stated.all, stated.plain) = match of {
        Of::Each => (total, None, None),
        Of::All => (None, total, None),
    };
    total.is_some()
}

/// 申请虚拟机数量: `2`, `两台`, `共3台`, `2（两台）`, `3台（应用2台，数据库1台）`.
pub fn machines(text: &str) -> Result<i64, StatedFault> {
    let plain = exact(text)?;
    let (head, detail) = plain.split_once('(').unwrap_or((&plain, ""));
    let (_, head) = lead(head);
    let units: &[&str] = &["台虚拟机", "台服务器", "个虚拟机", "台", "个", "套", "vm"];
    let n = quantity::count(head, units)?;
    // What stands in brackets says the same again, or adds up to it.
    let mut parts = Vec::new();
    for (_, segment) in segments(detail) {
        let from = segment.char_indices().map(|(at, _)| at).find(|at| quantity::leading(&segment[*at..]) > 0);
        if let Some(from) = from {
            // `2台应用`: whatever they are for.
            let number = quantity::leading(&segment[from..]);
            parts.push(quantity::count(&segment[from..from + number], &[]).map_err(|_| StatedFault::Words)?);
        }
    }
    // 各1台: of how many, the brackets do not say.
    let same = detail.contains('各')
        || parts.is_empty()
        || parts == [n]
        || parts.iter().try_fold(0_i64, |sum, p| sum.checked_add(*p)) == Some(n);
    if same { Ok(n) } else { Err(StatedFault::Several) }
}

#[cfg(test)]
mod tests;
