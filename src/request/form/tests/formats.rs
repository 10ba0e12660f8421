//! Formats other than Word's.

use super::*;
use proptest::prelude::*;

fn workbook(sheet: &str, strings: &str) -> Vec<u8> {
    workbook_with(&[("xl/worksheets/sheet1.xml", sheet), ("xl/sharedStrings.xml", strings)])
}

pub(super) fn workbook_with(parts: &[(&str, &str)]) -> Vec<u8> {
    let rels =
        "<Relationships><Relationship Id=\"r0\" Type=\"x/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>";
    let main = "<workbook><workbookPr/><sheets><sheet name=\"资源\" sheetId=\"1\" state=\"hidden\" r:id=\"r1\"/></sheets></workbook>";
    let list = "<Relationships><Relationship Id=\"r1\" Type=\"x/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
        <Relationship Id=\"r2\" Type=\"x/sharedStrings\" Target=\"sharedStrings.xml\"/><Relationship Id=\"r3\" Type=\"x/styles\" Target=\"styles.xml\"/></Relationships>";
    let mut all: Vec<(&str, &[u8])> = vec![
        ("_rels/.rels", rels.as_bytes()),
        ("xl/workbook.xml", main.as_bytes()),
        ("xl/_rels/workbook.xml.rels", list.as_bytes()),
    ];
    all.extend(parts.iter().map(|(n, c)| (*n, c.as_bytes())));
    package(&all)
}

fn text(reference: &str, words: &str) -> String {
    format!("<c r=\"{reference}\" t=\"inlineStr\"><is><t>{words}</t></is></c>")
}

#[test]
fn a_workbook_is_read_cell_by_cell() {
    let sheet = format!(
        "<worksheet><sheetData><row r=\"2\">{}<c r=\"B2\"><v>2.0</v></c>{}{}</row><row r=\"3\">{}<c r=\"B3\"><v>16.5</v></c>{}<c r=\"D3\"><f>4*2</f><v>8</v></c></row>\
         <row r=\"4\">{}<c r=\"B4\" s=\"1\"><v>46387</v></c><c r=\"C4\" t=\"s\"><v>0</v></c></row><row r=\"5\">{}{}</row><row r=\"6\"/></sheetData>\
         <mergeCells><mergeCell ref=\"B5:D6\"/></mergeCells></worksheet>",
        text("A2", "申请虚拟机数量"),
        text("C2", "域名"),
        text("D2", "a.b.c"),
        text("A3", "内存容量（GB）"),
        text("C3", "cpu 数量"),
        text("A4", "系统部署日期"),
        text("A5", "运行内容"),
        text("B5", "甲"),
    );
    let bytes = workbook_with(&[
        ("xl/worksheets/sheet1.xml", &sheet),
        (
            "xl/sharedStrings.xml",
            "<sst uniqueCount=\"99999999999999\"><si><r><t>备</t></r><r><t>注</t></r><rPh><t>x</t></rPh></si></sst>",
        ),
        ("xl/styles.xml", "<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"),
    ]);
    let form = read(&bytes, "x.xlsx").unwrap();
    says(&form, "/blocks/0/vm_count", "2");
    says(&form, "/blocks/0/memory", "16.5GB");
    says(&form, "/blocks/0/cpu_count", "=4*2");
    says(&form, "/blocks/0/deploy_milestone", "2026-12-31");
    says(&form, "/blocks/0/workload_description", "甲");
    blank(&form, "/blocks/0/remarks");
    let place = &form.places["/blocks/0/remarks"];
    assert_eq!((place.sheet.as_deref(), place.row, place.column), (Some("资源"), Some(4), Some(4)));
}

#[test]
fn a_far_cell_costs_no_more_than_a_near_one() {
    let sheet = format!(
        "<worksheet><sheetData><row>{}{}</row><row>{}</row></sheetData><mergeCells><mergeCell ref=\"A1:A1048576\"/></mergeCells></worksheet>",
        text("A1", "申请虚拟机数量"),
        text("B1", "2"),
        text("XFD1048576", "远")
    );
    says(&read(&workbook(&sheet, "<sst/>"), "").unwrap(), "/blocks/0/vm_count", "2");
}

#[test]
fn csv_is_read_in_every_encoding() {
    let rows = "申请虚拟机数量,2,域名,a.b.c\n内存容量,\"16\nG\",备注,\"一,二\"\n";
    let (gb, _, _) = encoding_rs::GB18030.encode(rows);
    let mut wide = vec![0xFF, 0xFE];
    wide.extend(rows.encode_utf16().flat_map(u16::to_le_bytes));
    let tabs = "申请虚拟机数量\t2\t域名\ta.b.c\n内存容量\t16G\t备注\t一,二\n".as_bytes().to_vec();
    let semicolons = "申请虚拟机数量;2;域名;a.b.c\n内存容量;16G;备注;\"一,二\"\n".as_bytes().to_vec();
    let marked = [b"\xEF\xBB\xBF".as_slice(), rows.as_bytes()].concat();
    for bytes in [rows.as_bytes().to_vec(), gb.into_owned(), wide, marked, tabs, semicolons] {
        for name in ["x.csv", ""] {
            let form = read(&bytes, name).unwrap();
            says(&form, "/blocks/0/memory", "16G");
            says(&form, "/blocks/0/remarks", "一,二");
            let place = &form.places["/blocks/0/remarks"];
            assert_eq!((place.row, place.column, place.sheet.is_none()), (Some(2), Some(4), true));
        }
    }
}

#[test]
fn json_and_yaml_are_the_document() {
    for (name, text) in [
        ("x.json", "{\"vm_count\": 2, \"blocks\": []}"),
        ("x.yaml", "vm_count: 2\nblocks: []\n"),
        ("", "\u{feff}{\"vm_count\":2,\"blocks\":[]}"),
    ] {
        let form = read(text.as_bytes(), name).unwrap();
        assert_eq!(Value::Object(form.document), serde_json::json!({"vm_count": 2, "blocks": []}), "{name}");
        assert!(form.places.is_empty());
    }
    let fault = fault(b"[1, 2]", "x.json");
    assert_eq!(fault.code, Code::FileDamaged);
    assert!(fault.reason.contains("第 1 行"), "{fault}");
    assert_eq!(super::fault("{".repeat(2 << 20).as_bytes(), "x.json").code, Code::FileTooLarge);
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let ole = |name: &str| {
        let mut bytes = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
        bytes.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    };
    for (bytes, part) in [
        (b"".to_vec(), "空"),
        (b"%PDF-1.7\n".to_vec(), "PDF"),
        (b"{\\rtf1".to_vec(), "RTF"),
        (b"<!DOCTYPE html><html>".to_vec(), "HTML"),
        (b"\x89PNG\r\n\x1a\n".to_vec(), "图片"),
        (ole("WordDocument"), ".doc"),
        (ole("Workbook"), ".xls"),
        (package(&[("mimetype", b"application/vnd.oasis.opendocument.text")]), ".odt"),
        (package(&[("OFD.xml", b"")]), "OFD"),
        (package(&[("a.txt", b"")]), "压缩"),
        (vec![0xFF, 0x00, 0x81, 0x00], "文字"),
    ] {
        let fault = fault(&bytes, "x.docx");
        assert_eq!(fault.code, Code::FileNotRecognised, "{fault}");
        assert!(fault.reason.contains(part), "{fault}");
    }
    refused(&ole("EncryptedPackage"), Code::FileEncrypted);
    let body = document_xml(&p("申请虚拟机数量：2"));
    refused(&package(&[("word/document.xml", body.as_bytes()), ("word/vbaProject.bin", b"x")]), Code::FileHasMacros);
    let types = b"<Types><Override PartName=\"/word/document.xml\" ContentType=\"application/vnd.ms-word.document.macroEnabled.main+xml\"/></Types>";
    refused(&package(&[("[Content_Types].xml", types), ("word/document.xml", body.as_bytes())]), Code::FileHasMacros);
    let mut locked = docx(&p("申请虚拟机数量：2"));
    // The flag in each local header and each entry of the directory.
    for (sign, at) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let starts: Vec<usize> = (0..locked.len() - 4).filter(|i| locked[*i..].starts_with(sign)).collect();
        for i in starts {
            locked[i + at] |= 1;
        }
    }
    refused(&locked, Code::FileEncrypted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 96 } else { 2_000 }))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600), name in prop::sample::select(vec!["", "a.csv", "b.json", "c.yaml", "d.docx"])) {
        let _ = read(&bytes, name);
        let _ = read(&[b"PK\x03\x04".as_slice(), &bytes].concat(), name);
    }

    #[test]
    fn a_changed_package_is_read_or_refused(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), cut in any::<prop::sample::Index>()) {
        let mut bytes = include_bytes!("../../../../tests/data/feasibility-outline-example.docx").to_vec();
        for (at, to) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *to;
        }
        let _ = read(&bytes, "");
        bytes.truncate(cut.index(bytes.len()));
        let _ = read(&bytes, "");
    }

    #[test]
    fn a_changed_document_is_read_or_refused(parts in prop::collection::vec(prop::sample::select(vec![
        "<w:p>", "</w:p>", "<w:r>", "</w:r>", "<w:t>", "</w:t>", "<w:tbl>", "</w:tbl>", "<w:tr>", "</w:tr>", "<w:tc>", "</w:tc>",
        "申请虚拟机数量", "2", "域名：", "<w:vMerge/>", "<w:gridSpan w:val=\"999999\"/>", "&amp;", "&x;", "<w:del>", "</w:del>", "六、项目建设方案", "机房改造",
    ]), 0..60)) {
        let body = parts.concat();
        let _ = read(&docx(&body), "");
    }

    #[test]
    fn a_table_of_any_words_is_read_or_refused(rows in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![
        "", "申请虚拟机数量", "域名", "操作系统", "内存（GB）", "cpu 数量", "磁盘", "备注：x", "2", "a.b", "合计", "数据库类型", "硬件名称", "数量", "用途", "价格", "信息资源名称", "资源粒度",
    ]), 1..8), 1..8)) {
        let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
        if let Ok(form) = read(&docx(&table(&rows)), "") {
            let document = Value::Object(form.document);
            for pointer in &form.repeated {
                prop_assert!(document.pointer(pointer).is_some());
            }
            prop_assert!(form.places.values().all(|p| p.table == Some(1)));
        }
    }
}
