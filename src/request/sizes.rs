//! How large each machine is to be: cpu 数量, 内存容量 and 磁盘空间 as an office writes them, brought down to one machine.
//! The form does not say whether its figures are per machine or for all together, so somebody must: the phrase, the label,
//! 数量口径, or a remark. Where nobody does and it matters, the answer is a question.

use super::{
    block::Basis,
    fields::{RawBlock, field},
    stated::{self, Cores, Measure, Stated, StatedFault},
};
use crate::{
    catalogue::Catalogue,
    field::{At, present, quoted},
    quantity::QuantityFault,
    rule::Code,
    text::fold,
    units::Bytes,
    violation::Findings,
};
use serde_json::Value;
use std::fmt::Display;

/// What could be read of a block's sizes, per machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub machines: Option<u32>,
    pub vcpu: Option<u32>,
    pub memory: Option<Bytes>,
    pub disk: Option<Bytes>,
}

/// Reads them all, for a basis that is left open is one question, not three.
pub(super) fn read(raw: &RawBlock, catalogue: &Catalogue, f: &mut Findings<'_>) -> Sizes {
    let bounds = &catalogue.bounds;
    let machines = machines(raw, bounds.max_machines, f);
    let basis = basis(raw, f);
    let mut share = Share { machines, basis: basis.or_else(|| basis_of_remarks(raw)), unclear: Vec::new() };
    let vcpu = one_size(
        raw.cpu_count.as_ref(),
        "cpu_count",
        &Cores(*bounds.vcpu.start()),
        &Cores(*bounds.vcpu.end()),
        &mut share,
        f,
    );
    let memory = one_size(raw.memory.as_ref(), "memory", bounds.memory.start(), bounds.memory.end(), &mut share, f);
    let disk = one_size(raw.disk.as_ref(), "disk", bounds.disk.start(), bounds.disk.end(), &mut share, f);
    // A basis that could not be read has been told already.
    let told = present(raw.basis.as_ref()).is_some() && basis.is_none();
    if let Some(n) = machines.filter(|_| !share.unclear.is_empty() && !told) {
        let fields = share.unclear.iter().map(|label| format!("“{label}”")).collect::<Vec<_>>().join("、");
        f.add(Code::BasisUnclear, "/basis", &[("machines", &n), ("fields", &fields)]);
    }
    Sizes { machines, vcpu: vcpu.and_then(|c| u32::try_from(c.0).ok()), memory, disk }
}

fn at<'a>(name: &str, pointer: &'a str) -> At<'a> {
    let info = field(name);
    At { pointer, label: info.label, example: info.example }
}

fn machines(raw: &RawBlock, max: i64, f: &mut Findings<'_>) -> Option<u32> {
    let at = at("vm_count", "/vm_count");
    let value = f.required(raw.vm_count.as_ref(), at)?;
    let read = match value {
        Value::String(s) => stated::machines(s),
        other => whole(other),
    };
    match read {
        Ok(n) if (1..=max).contains(&n) => return u32::try_from(n).ok(),
        Ok(_) | Err(StatedFault::Quantity(QuantityFault::Negative | QuantityFault::TooLarge)) => {
            outside(f, value, at, &1, &max);
        }
        Err(fault) => refused(f, value, at, fault),
    }
    None
}

/// A JSON number that is whole: a float is refused even where it is whole, for above 2^53 it is not what was written.
fn whole(value: &Value) -> Result<i64, StatedFault> {
    match value {
        Value::Number(n) => {
            let fault = if n.is_u64() { QuantityFault::TooLarge } else { QuantityFault::NotWhole };
            n.as_i64().ok_or(fault.into())
        }
        _ => Err(QuantityFault::NotANumber.into()),
    }
}

fn basis(raw: &RawBlock, f: &mut Findings<'_>) -> Option<Basis> {
    let value = present(raw.basis.as_ref())?;
    let basis = value.as_str().and_then(|s| s.parse().ok());
    if basis.is_none() {
        f.bad_value(value, at("basis", "/basis"), &"只能是 per_machine（每台）或 total（合计）");
    }
    basis
}

/// `以上均为每台配置` in 备注. Only a remark about the figures as such counts, and only one that says one thing.
fn basis_of_remarks(raw: &RawBlock) -> Option<Basis> {
    let remarks = fold(present(raw.remarks.as_ref())?.as_str()?);
    let about =
        ["以上", "上述", "以下", "下列", "本表", "表中", "所填", "配置均为", "均按", "数量为", "规格为", "配置为"]
            .iter()
            .any(|word| remarks.contains(word));
    let each = ["每台", "单台"].iter().any(|word| remarks.contains(word));
    let all = ["合计", "总量", "总计", "总和", "总配置"].iter().any(|word| remarks.contains(word));
    match (about, each, all) {
        (true, true, false) => Some(Basis::PerMachine),
        (true, false, true) => Some(Basis::Total),
        _ => None,
    }
}

/// How a figure of the form comes down to one machine.
struct Share {
    machines: Option<u32>,
    basis: Option<Basis>,
    /// Labels of the figures of which nobody says whether they are per machine.
    unclear: Vec<&'static str>,
}

/// One size, per machine.
fn one_size<T: Size>(
    value: Option<&Value>,
    name: &'static str,
    min: &T,
    max: &T,
    share: &mut Share,
    f: &mut Findings<'_>,
) -> Option<T> {
    let pointer = format!("/{name}");
    let at = at(name, &pointer);
    let value = f.required(value, at)?;
    let stated = match T::of(value) {
        Ok(stated) => stated,
        Err(StatedFault::Quantity(QuantityFault::Negative | QuantityFault::TooLarge)) => {
            outside(f, value, at, &min.shown(), &max.shown());
            return None;
        }
        Err(StatedFault::Quantity(QuantityFault::UnitMissing)) => {
            let values: &[(&str, &dyn Display)] =
                &[("field", &at.label), ("value", &quoted(value)), ("example", &at.example)];
            f.add(Code::UnitMissing, at.pointer, values);
            return None;
        }
        Err(fault) => {
            refused(f, value, at, fault);
            return None;
        }
    };
    let each = share.of_one(&stated, value, at, f)?;
    if each.amount() < min.amount() || each.amount() > max.amount() {
        outside(f, &Value::from(each.shown()), at, &min.shown(), &max.shown());
        return None;
    }
    Some(each)
}

impl Share {
    fn of_one<T: Size>(&mut self, stated: &Stated<T>, value: &Value, at: At<'_>, f: &mut Findings<'_>) -> Option<T> {
        let mut disagree = |reason: String| {
            let values: &[(&str, &dyn Display)] =
                &[("field", &at.label), ("value", &quoted(value)), ("reason", &reason)];
            f.add(Code::TotalsDisagree, at.pointer, values);
        };
        if let (Some(said), Some(n)) = (stated.machines, self.machines)
            && said != i64::from(n)
        {
            disagree(format!("这里写的是 {said} 台，申请虚拟机数量是 {n} 台"));
            return None;
        }
        let n = self.machines.map(i64::from).or(stated.machines);
        // Without a word, 数量口径 says which it is; for one machine both are the same.
        let (each, all) = match (stated.plain, self.basis) {
            (None, _) => (stated.each, stated.all),
            (plain, Some(Basis::PerMachine)) => (plain, None),
            (plain, Some(Basis::Total)) => (None, plain),
            (plain, None) if n == Some(1) => (plain, None),
            (Some(_), None) => {
                self.unclear.push(field(at.pointer.trim_start_matches('/')).label);
                return None;
            }
        };
        match (each, all, n) {
            (Some(each), Some(all), Some(n)) => match each.times(n) {
                Some(expected) if expected == all => Some(each),
                expected => {
                    let expected = expected.map_or_else(|| "无法计算".to_owned(), Size::shown);
                    disagree(format!("{n} 台、每台 {}，合计应为 {expected}，不是 {}", each.shown(), all.shown()));
                    None
                }
            },
            (Some(each), _, _) => Some(each),
            (None, Some(all), Some(n)) => all.split(n).or_else(|| {
                let values: &[(&str, &dyn Display)] =
                    &[("field", &at.label), ("value", &all.shown()), ("machines", &n)];
                f.add(Code::NotDivisible, at.pointer, values);
                None
            }),
            // The number of machines is in doubt, and has been told.
            _ => None,
        }
    }
}

/// A value beyond the catalogue.
fn outside(f: &mut Findings<'_>, value: &Value, at: At<'_>, min: &dyn Display, max: &dyn Display) {
    let values: &[(&str, &dyn Display)] =
        &[("field", &at.label), ("value", &quoted(value)), ("min", min), ("max", max)];
    f.add(Code::SizeOutsideCatalogue, at.pointer, values);
}

/// A phrase without one reading.
fn refused(f: &mut Findings<'_>, value: &Value, at: At<'_>, fault: StatedFault) {
    let values: &[(&str, &dyn Display)] =
        &[("field", &at.label), ("value", &quoted(value)), ("reason", &fault), ("example", &at.example)];
    match fault {
        StatedFault::Quantity(QuantityFault::Range) | StatedFault::Approximate => {
            f.add(Code::QuantityIsRange, at.pointer, values);
        }
        _ => f.bad_value(value, at, &fault),
    }
}

/// A measure as JSON gives it, and as people read it.
trait Size: Measure {
    fn of(value: &Value) -> Result<Stated<Self>, StatedFault>;
    fn amount(self) -> i64;
    fn shown(self) -> String;
    fn split(self, machines: i64) -> Option<Self>;
}

impl Size for Cores {
    fn of(value: &Value) -> Result<Stated<Self>, StatedFault> {
        match value {
            Value::String(s) => stated::read(s),
            other => Ok(Stated { each: None, all: None, plain: Some(Self(whole(other)?)), machines: None }),
        }
    }
    fn amount(self) -> i64 {
        self.0
    }
    fn shown(self) -> String {
        self.0.to_string()
    }
    fn split(self, machines: i64) -> Option<Self> {
        (machines > 0 && self.0 % machines == 0).then(|| Self(self.0 / machines))
    }
}

impl Size for Bytes {
    fn of(value: &Value) -> Result<Stated<Self>, StatedFault> {
        match value {
            Value::String(s) => stated::read(s),
            Value::Number(_) => Err(QuantityFault::UnitMissing.into()),
            _ => Err(QuantityFault::NotANumber.into()),
        }
    }
    fn amount(self) -> i64 {
        self.get()
    }
    fn shown(self) -> String {
        self.to_string()
    }
    fn split(self, machines: i64) -> Option<Self> {
        Bytes::split(self, machines)
    }
}
