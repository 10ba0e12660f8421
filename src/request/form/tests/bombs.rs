//! Files that are made to cost more than they should.

use super::{formats::workbook_with, *};
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

/// The bound of the release build; unoptimised code gets more.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 2 });

#[track_caller]
fn answered(bytes: &[u8], code: Code) {
    let start = Instant::now();
    let fault = fault(bytes, "x.docx");
    assert_eq!(fault.code, code, "{fault}");
    assert!(start.elapsed() < LIMIT, "{:?} for {fault}", start.elapsed());
}

/// A document part that repeats, written to the package as it is made.
fn repeated(head: &str, part: &str, count: usize, tail: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
    zip.write_all(head.as_bytes()).unwrap();
    let many = part.repeat(1_000);
    for _ in 0..count / 1_000 {
        zip.write_all(many.as_bytes()).unwrap();
    }
    zip.write_all(tail.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_part_that_inflates_to_much_more_is_too_large() {
    let bomb = repeated("<w:document>", &" ".repeat(512), 100_000, "</w:document>");
    assert!(bomb.len() < 1 << 20);
    answered(&bomb, Code::FileTooLarge);
    // The same, with sizes that lie.
    let mut lying = bomb;
    let at = lying.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    lying[at + 24..at + 28].copy_from_slice(&1_000_u32.to_le_bytes());
    lying[22..26].copy_from_slice(&1_000_u32.to_le_bytes());
    let start = Instant::now();
    assert!(matches!(fault(&lying, "").code, Code::FileTooLarge | Code::FileDamaged));
    assert!(start.elapsed() < LIMIT);
}

#[test]
fn too_much_of_anything_is_too_large() {
    answered(&repeated("<w:body>", "<w:tbl><w:tr><w:tc/></w:tr></w:tbl>", 10_000, "</w:body>"), Code::FileTooLarge);
    answered(&repeated("", "<w:p>", 100_000, ""), Code::FileTooLarge);
    answered(&repeated("<w:tbl><w:tr>", "<w:tc/>", 250_000, "</w:tr></w:tbl>"), Code::FileTooLarge);
    answered(&repeated("<w:body>", "<w:p><w:r><w:t>x</w:t></w:r></w:p>", 100_000, "</w:body>"), Code::FileTooLarge);
    answered(&repeated("<w:p><w:r><w:t>", &"字".repeat(100), 60_000, "</w:t></w:r></w:p>"), Code::FileTooLarge);
    answered(&vec![b' '; super::super::MAX_FILE + 1], Code::FileTooLarge);
    answered(&[b"a,".repeat(1_100_000)].concat(), Code::FileNotRecognised);
    assert_eq!(fault(&b"a,".repeat(1_100_000), "x.csv").code, Code::FileTooLarge);
}

#[test]
fn too_many_entries_are_too_large() {
    let names: Vec<String> = (0..5_000).map(|i| format!("word/{i}.xml")).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), b"".as_slice())).collect();
    answered(&package(&parts), Code::FileTooLarge);
}

#[test]
fn entities_are_not_expanded() {
    let laughs = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><w:document><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:document>";
    answered(&package(&[("word/document.xml", laughs.as_bytes())]), Code::FileDamaged);
    assert!(fault(&package(&[("word/document.xml", laughs.as_bytes())]), "").reason.contains("DTD"));
    answered(&docx("<w:p><w:r><w:t>&laugh;</w:t></w:r></w:p>"), Code::FileDamaged);
    let sheet = "<!DOCTYPE x><worksheet/>";
    answered(&workbook_with(&[("xl/worksheets/sheet1.xml", sheet)]), Code::FileDamaged);
}

#[test]
fn a_workbook_is_bounded_too() {
    let cells = |count: usize| {
        let rows = format!("<row>{}</row>", "<c><v>1</v></c>".repeat(1_000));
        format!("<worksheet><sheetData>{}</sheetData></worksheet>", rows.repeat(count / 1_000))
    };
    answered(
        &workbook_with(&[(
            "xl/worksheets/sheet1.xml",
            &cells(if cfg!(debug_assertions) { 250_000 } else { 1_000_000 }),
        )]),
        Code::FileTooLarge,
    );
    let strings = format!("<sst>{}</sst>", "<si/>".repeat(250_000));
    answered(
        &workbook_with(&[("xl/sharedStrings.xml", &strings), ("xl/worksheets/sheet1.xml", "<worksheet/>")]),
        Code::FileTooLarge,
    );
    // One long text that many cells show.
    let long = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(1 << 20));
    let shown =
        format!("<worksheet><sheetData><row>{}</row></sheetData></worksheet>", "<c t=\"s\"><v>0</v></c>".repeat(1_000));
    answered(
        &workbook_with(&[("xl/sharedStrings.xml", &long), ("xl/worksheets/sheet1.xml", &shown)]),
        Code::FileTooLarge,
    );
    // Many regions across many rows.
    let mut rows = String::new();
    for r in 1..=2_000 {
        write!(rows, "<row r=\"{r}\"><c><v>1</v></c></row>").unwrap();
    }
    let merges = "<mergeCell ref=\"B1:C2000\"/>".repeat(2_000);
    let sheet = format!("<worksheet><sheetData>{rows}</sheetData><mergeCells>{merges}</mergeCells></worksheet>");
    answered(&workbook_with(&[("xl/worksheets/sheet1.xml", &sheet)]), Code::FileTooLarge);
}

#[test]
fn a_torn_package_is_damaged() {
    let whole = docx(&block("2", "a.b.c", "8G"));
    for len in [4, 30, whole.len() / 2, whole.len() - 1] {
        answered(&whole[..len], Code::FileDamaged);
    }
    answered(&docx("<w:p><w:r>"), Code::FileDamaged);
    answered(&docx("</w:p>"), Code::FileDamaged);
}

#[test]
fn a_long_report_is_read_at_once() {
    let page: String = (0..30)
        .map(|i| p(&format!("第{i}段：本项目面向本级部门工作人员，完成系统建设与部署，数据量约100GB。")))
        .collect();
    let list: Vec<Vec<String>> =
        (0..40).map(|i| vec![i.to_string(), "系统".to_owned(), "模块".to_owned(), "描述".to_owned()]).collect();
    let rows: String = list.iter().map(|r| row(&r.iter().map(String::as_str).collect::<Vec<_>>())).collect();
    let body = format!("{}<w:tbl>{rows}</w:tbl>{}", page.repeat(60), block("2", "a.b.c", "8G"));
    let bytes = docx(&body);
    let start = Instant::now();
    let form = read(&bytes, "").unwrap();
    let took = start.elapsed();
    assert_eq!(blocks(&form), 1);
    assert!(took < Duration::from_millis(if cfg!(debug_assertions) { 3_000 } else { 50 }), "{took:?}");
}

/// Within every bound, and made to be slow.
#[test]
fn no_shape_takes_quadratic_time() {
    let quick = |bytes: &[u8]| {
        let start = Instant::now();
        let _ = read(bytes, "x.docx");
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    };
    let many = if cfg!(debug_assertions) { 8_000 } else { 190_000 };
    let paragraph = |text: &str| repeated("<w:body>", &p(text), many, "</w:body>");
    quick(&paragraph("申请虚拟机数量：2"));
    quick(&repeated("<w:body>", &p("申请虚拟机数量：2"), many / 4_000 * 1_000, "</w:body>"));
    quick(&repeated("<w:body>", &p("域名：a，内存：8G，磁盘：1T，CPU：4"), many / 8_000 * 1_000, "</w:body>"));
    quick(&paragraph("域名：a，内存：8G，磁盘：1T，CPU：4"));
    quick(&paragraph("2、运行维护机制"));
    quick(&paragraph("【提示"));
    let rows = |cells: &[&str]| repeated("<w:tbl>", &row(cells), many / cells.len() / 1_000 * 1_000, "</w:tbl>");
    quick(&rows(&["申请虚拟机数量", "2"]));
    quick(&rows(&["申请虚拟机数量", "域名", "内存", "磁盘"]));
    quick(&rows(&["硬件名称", "价格", "数量", "用途"]));
    quick(&rows(&["内存", "8G"]));
    quick(&repeated("<w:tbl><w:tr>", &cell("<w:vMerge/>", "域名"), many, "</w:tr></w:tbl>"));
    let header = row(&["申请虚拟机数量", "域名", "内存", "磁盘"]);
    quick(&repeated(&format!("<w:tbl>{header}"), &row(&["1", "a.b", "8G", "10G"]), many / 4_000 * 1_000, "</w:tbl>"));
    let chapter = format!("<w:body>{}{}<w:p><w:r><w:t>", p("十一、投资估算和资金来源"), block("1", "a.b", "1G"));
    for text in ["机房", "改造机房，", "2026年", "1G", "由", "第一", "□", "联系人", "等保一级"] {
        quick(&repeated(&chapter, text, many * 10, "</w:t></w:r></w:p></w:body>"));
        quick(&repeated(
            &chapter.replace("十一、投资估算和资金来源", "九.2 运行维护机制"),
            text,
            many * 10,
            "</w:t></w:r></w:p></w:body>",
        ));
    }
}
