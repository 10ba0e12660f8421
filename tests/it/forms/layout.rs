//! The request blocks on paper, in all the shapes that offices give them.

use super::{
    amount::full_width,
    model::{Block, Layout, Report, Spelling, Style},
    tree::{Cell, Node, Span, Table},
};
use crate::support::Dice;

/// Canonical name and the form's number and words.
const LABELS: &[(&str, u8, &str)] = &[
    ("vm_count", 0, "申请虚拟机数量"),
    ("domain", 1, "域 名"),
    ("os_type", 2, "操作系统类型"),
    ("db_type", 3, "数据库类型"),
    ("cpu_count", 4, "cpu 数量"),
    ("memory", 5, "内存容量"),
    ("disk", 6, "磁盘空间"),
    ("workload_description", 7, "运行内容"),
    ("basis", 0, "数量口径"),
    ("no_domain_reason", 0, "无域名理由"),
    ("network_zone", 0, "网络区域"),
    ("mlps_level", 0, "等保级别"),
    ("remarks", 0, "备注"),
];

pub fn label(style: &Style, name: &str) -> String {
    let (_, number, words) = LABELS.iter().find(|(n, ..)| *n == name).expect("a field of the form");
    let words = match (style.spelling, name) {
        (Spelling::Form, _) => (*words).to_owned(),
        (Spelling::FullWidth, "domain") => "域　名".to_owned(),
        (Spelling::FullWidth, "cpu_count") => "ＣＰＵ数量".to_owned(),
        (Spelling::FullWidth, "memory") => "内 存 容 量".to_owned(),
        (_, "cpu_count") => "CPU数量".to_owned(),
        _ => words.replace(' ', ""),
    };
    let unit = match name {
        _ if !style.label_units => "",
        "memory" | "disk" => "（GB）",
        "cpu_count" => "（核）",
        "vm_count" => "（台）",
        _ => "",
    };
    let words = words + unit;
    let colon = if style.spelling == Spelling::Colon || name == "remarks" { "：" } else { "" };
    match style.spelling {
        Spelling::Form if *number > 0 => format!("{number}. {words}"),
        Spelling::Comma if *number > 0 => format!("{number}、{words}"),
        Spelling::Bracketed if *number > 0 => format!("（{number}）{words}"),
        Spelling::FullWidth if *number > 0 => full_width(&format!("{number}.")) + &words,
        _ => words + colon,
    }
}

/// Text as paragraphs, in several formattings when the style wants it.
pub fn value(style: &Style, dice: &mut Dice, text: &str) -> Vec<Node> {
    if !style.split || text.chars().count() < 2 || dice.once_in(3) {
        return vec![Node::para(text)];
    }
    let chars: Vec<char> = text.chars().collect();
    let at = 1 + usize::try_from(dice.below(chars.len() as u64 - 1)).expect("below a length");
    let (head, tail) = chars.split_at(at);
    vec![Node::Para(vec![
        Span { text: head.iter().collect(), bold: true },
        Span { text: tail.iter().collect(), bold: false },
    ])]
}

/// The blocks of a report.
pub fn blocks(report: &Report) -> Vec<Node> {
    let style = &report.style;
    let mut dice = Dice::new(style.seed);
    let dice = &mut dice;
    let each = |dice: &mut Dice, shape: &dyn Fn(&mut Dice, usize, &Block) -> Vec<Vec<Cell>>| -> Vec<Table> {
        report.blocks.iter().enumerate().map(|(n, block)| Table { rows: shape(dice, n, block) }).collect()
    };
    let form = |dice: &mut Dice, n: usize, block: &Block| form_rows(style, dice, n, block);
    let mut nodes: Vec<Node> = match style.layout {
        Layout::Form => each(dice, &form).into_iter().map(Node::Table).collect(),
        Layout::FormWithSide => each(dice, &|dice, n, block| {
            let mut rows = form_rows(style, dice, n, block);
            let height = rows.len();
            rows[0].insert(0, Cell::text("基础设施资源需求").tall(height));
            rows
        })
        .into_iter()
        .map(Node::Table)
        .collect(),
        Layout::Pairs => {
            each(dice, &|dice, n, block| pairs(style, dice, n, block)).into_iter().map(Node::Table).collect()
        }
        Layout::OneCell => {
            each(dice, &|dice, n, block| one_cell(style, dice, n, block)).into_iter().map(Node::Table).collect()
        }
        Layout::Stacked => {
            let rows = each(dice, &form).into_iter().flat_map(|table| table.rows).collect();
            vec![Node::Table(Table { rows })]
        }
        Layout::Nested => each(dice, &form)
            .into_iter()
            .map(|table| {
                let outer = vec![
                    vec![Cell::text("基础设施资源需求")],
                    vec![Cell::new(vec![Node::para("按附件2填写："), Node::Table(table), Node::para("")])],
                ];
                Node::Table(Table { rows: outer })
            })
            .collect(),
        Layout::HeaderRow | Layout::HeaderRowMerged => vec![Node::Table(header_rows(report, dice))],
        Layout::Paragraphs => report.blocks.iter().flat_map(|block| paragraphs(style, dice, block)).collect(),
    };
    // Two tables without a paragraph between them would grow together.
    let mut spaced = Vec::new();
    for node in nodes.drain(..) {
        spaced.push(node);
        if style.layout != Layout::Paragraphs {
            spaced.push(Node::para(""));
        }
    }
    spaced.extend(style.note.map(Node::para));
    spaced
}

fn pointer(n: usize, name: &str) -> String {
    format!("/blocks/{n}/{name}")
}

fn pair(style: &Style, dice: &mut Dice, n: usize, (name, text): &(&'static str, String)) -> [Cell; 2] {
    let written = Cell::new(value(style, dice, text)).marked(pointer(n, name));
    [Cell::text(label(style, name)), written]
}

/// The table of 附件2 六.3: four columns, with the long fields across.
fn form_rows(style: &Style, dice: &mut Dice, n: usize, block: &Block) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut half: Option<Vec<Cell>> = None;
    for field in &block.fields {
        let [left, right] = pair(style, dice, n, field);
        match field.0 {
            "remarks" => {
                let mut content = vec![Node::para(format!("{}{}", label(style, "remarks"), field.1))];
                if let (true, Node::Para(spans)) = (style.split, &mut content[0]) {
                    spans[0].bold = true;
                }
                // Odd fields leave a pair half empty.
                rows.extend(half.take().map(|row| widen(row)));
                rows.push(vec![Cell::new(content).wide(4).marked(pointer(n, "remarks"))]);
            }
            "vm_count" | "workload_description" => {
                rows.extend(half.take().map(|row| widen(row)));
                rows.push(vec![left, right.wide(3)]);
            }
            _ => match half.take() {
                Some(mut row) => {
                    row.extend([left, right]);
                    rows.push(row);
                }
                None => half = Some(vec![left, right]),
            },
        }
    }
    rows.extend(half.map(widen));
    rows
}

fn widen(mut row: Vec<Cell>) -> Vec<Cell> {
    if let Some(last) = row.last_mut() {
        last.columns = 3;
    }
    row
}

fn pairs(style: &Style, dice: &mut Dice, n: usize, block: &Block) -> Vec<Vec<Cell>> {
    block.fields.iter().map(|field| pair(style, dice, n, field).to_vec()).collect()
}

/// `域名：oa.example`
fn joined(style: &Style, name: &str, text: &str) -> String {
    let label = label(style, name);
    let colon = if label.ends_with('：') { "" } else { "：" };
    format!("{label}{colon}{text}")
}

fn one_cell(style: &Style, dice: &mut Dice, n: usize, block: &Block) -> Vec<Vec<Cell>> {
    let cell = |dice: &mut Dice, (name, text): &(&'static str, String)| {
        Cell::new(value(style, dice, &joined(style, name, text))).marked(pointer(n, name))
    };
    block.fields.chunks(2).map(|two| two.iter().map(|field| cell(dice, field)).collect()).collect()
}

fn paragraphs(style: &Style, dice: &mut Dice, block: &Block) -> Vec<Node> {
    block.fields.iter().flat_map(|(name, text)| value(style, dice, &joined(style, name, text))).collect()
}

fn header_rows(report: &Report, dice: &mut Dice) -> Table {
    let style = &report.style;
    let names: Vec<&'static str> = report.blocks[0].fields.iter().map(|(name, _)| *name).collect();
    let mut rows = vec![names.iter().map(|name| Cell::text(label(style, name))).collect::<Vec<_>>()];
    for (n, block) in report.blocks.iter().enumerate() {
        let mut row = Vec::new();
        for name in &names {
            let merged = *name == "os_type" && style.layout == Layout::HeaderRowMerged && report.blocks.len() > 1;
            if merged && n > 0 {
                continue;
            }
            let text = block.text(name).unwrap_or_default();
            let cell = Cell::new(value(style, dice, text)).marked(pointer(n, name));
            row.push(if merged { cell.tall(report.blocks.len()) } else { cell });
        }
        rows.push(row);
    }
    Table { rows }
}
