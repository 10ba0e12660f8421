//! What Word can hide, double or take apart.

use super::*;

/// A body with one block whose 运行内容 is this content of a paragraph.
fn told(runs: &str) -> String {
    let body = format!(
        "<w:tbl>{}{}<w:tr>{}<w:tc><w:p>{runs}</w:p></w:tc></w:tr></w:tbl>",
        row(&["申请虚拟机数量", "2"]),
        row(&["域名", "a.b.c"]),
        cell("", "运行内容")
    );
    form(&body).document["blocks"][0]
        .get("workload_description")
        .map_or(String::new(), |v| v.as_str().unwrap().to_owned())
}

fn r(text: &str) -> String {
    format!("<w:r><w:t>{text}</w:t></w:r>")
}

#[test]
fn runs_are_joined() {
    assert_eq!(told(&format!("{}{}<w:hyperlink r:id=\"x\">{}</w:hyperlink>", r("一"), r("二"), r("三"))), "一二三");
    assert_eq!(told("<w:r><w:t>一</w:t><w:br/><w:t>二</w:t><w:tab/><w:t>三</w:t></w:r>"), "一\n二 三");
    assert_eq!(told("<w:r><w:t>A&amp;B &#x4E2D;<![CDATA[<c>]]></w:t></w:r>"), "A&B 中<c>");
    assert_eq!(told(&format!("<w:fldSimple w:instr=\"X\">{}</w:fldSimple>", r("值"))), "值");
    assert_eq!(
        told("<w:r><w:fldChar/></w:r><w:r><w:instrText>HYPERLINK</w:instrText></w:r><w:r><w:t>值</w:t></w:r>"),
        "值"
    );
    assert_eq!(told(&format!("<w:smartTag>{}</w:smartTag>", r("值"))), "值");
}

#[test]
fn what_was_deleted_or_is_hidden_is_not_read() {
    assert_eq!(
        told(&format!(
            "{}<w:del><w:r><w:delText>旧</w:delText><w:t>旧</w:t></w:r></w:del><w:ins>{}</w:ins>",
            r("甲"),
            r("新")
        )),
        "甲新"
    );
    assert_eq!(told(&format!("<w:moveFrom>{}</w:moveFrom><w:moveTo>{}</w:moveTo>", r("旧"), r("新"))), "新");
    assert_eq!(told("<w:r><w:rPr><w:vanish/></w:rPr><w:t>藏</w:t></w:r><w:r><w:t>见</w:t></w:r>"), "见");
    assert_eq!(told("<w:r><w:rPr><w:vanish w:val=\"0\"/></w:rPr><w:t>见</w:t></w:r>"), "见");
    assert_eq!(
        told("<w:r><w:rPr><w:rPrChange><w:rPr><w:vanish/></w:rPr></w:rPrChange></w:rPr><w:t>见</w:t></w:r>"),
        "见"
    );
    assert_eq!(
        told("<w:pPr><w:tabs><w:tab/></w:tabs><w:rPr><w:vanish/></w:rPr></w:pPr><w:r><w:t>见</w:t></w:r>"),
        "见"
    );
    let deleted = format!("<w:tr><w:trPr><w:del/></w:trPr>{}{}</w:tr>", cell("", "内存容量"), cell("", "8G"));
    let body = format!("<w:tbl>{}{deleted}{}</w:tbl>", row(&["申请虚拟机数量", "2"]), row(&["磁盘空间", "10G"]));
    let form = form(&body);
    assert!(form.document["blocks"][0].get("memory").is_none());
    assert_eq!(form.places["/blocks/0/disk"].row, Some(3));
}

#[test]
fn controls_and_alternatives_are_read_once() {
    let hint = "<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent><w:r><w:t>单击此处输入</w:t></w:r></w:sdtContent></w:sdt>";
    assert_eq!(told(hint), "");
    let filled = "<w:sdt><w:sdtPr/><w:sdtContent><w:r><w:t>值</w:t></w:r></w:sdtContent></w:sdt>";
    assert_eq!(told(filled), "值");
    let cells = format!(
        "<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>",
        cell("", "请填写")
    );
    let body = format!(
        "<w:tbl><w:tr>{}{cells}{}{}</w:tr></w:tbl>",
        cell("", "申请虚拟机数量"),
        cell("", "域名"),
        cell("", "a.b")
    );
    let form = form(&body);
    blank(&form, "/blocks/0/vm_count");
    assert_eq!(form.places["/blocks/0/domain"].column, Some(4));
    let both = format!(
        "<mc:AlternateContent><mc:Choice Requires=\"wps\">{}</mc:Choice><mc:Fallback>{}</mc:Fallback></mc:AlternateContent>",
        r("一"),
        r("一")
    );
    assert_eq!(told(&both), "一");
    let fallback = format!("<mc:AlternateContent><mc:Fallback>{}</mc:Fallback></mc:AlternateContent>", r("一"));
    assert_eq!(told(&fallback), "一");
}

#[test]
fn a_text_box_is_read_once() {
    let inner = format!("<w:txbxContent>{}{}</w:txbxContent>", p("申请虚拟机数量：2台"), p("域名：a.b.c"));
    let body = format!(
        "<w:p><w:r><mc:AlternateContent><mc:Choice><w:drawing>{inner}</w:drawing></mc:Choice>\
         <mc:Fallback><w:pict>{inner}</w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    );
    let form = form(&body);
    assert_eq!(blocks(&form), 1);
    says(&form, "/blocks/0/domain", "a.b.c");
}

#[test]
fn boxes_of_every_kind_are_read() {
    let zone = |runs: &str| {
        let body = format!(
            "{}<w:tbl><w:tr>{}<w:tc><w:p>{runs}</w:p></w:tc></w:tr></w:tbl>",
            block("1", "a.b", "1G"),
            cell("", "联网方式")
        );
        form(&body).document.get("network_zone").cloned()
    };
    let old = |inner: &str| {
        format!(
            "<w:r><w:fldChar><w:ffData><w:checkBox>{inner}</w:checkBox></w:ffData></w:fldChar><w:instrText> FORMCHECKBOX </w:instrText></w:r>"
        )
    };
    let expected = Some(Value::from("政务外网"));
    let sym = |code| format!("<w:r><w:sym w:font=\"Wingdings\" w:char=\"{code}\"/></w:r>");
    assert_eq!(zone(&format!("{}{}{}{}", sym("F06F"), r("互联网 "), sym("F0FE"), r("政务外网"))), expected);
    assert_eq!(zone(&format!("{}{}", r("\u{F0A3}互联网"), r("\u{F052}政务外网"))), expected);
    assert_eq!(
        zone(&format!(
            "{}{}{}{}",
            old("<w:default w:val=\"0\"/>"),
            r("互联网"),
            old("<w:default w:val=\"0\"/><w:checked/>"),
            r("政务外网")
        )),
        expected
    );
    assert_eq!(
        zone(&format!(
            "{}{}{}{}",
            old("<w:checked w:val=\"0\"/><w:default w:val=\"1\"/>"),
            r("互联网"),
            old("<w:default w:val=\"1\"/>"),
            r("政务外网")
        )),
        expected
    );
    let new = "<w:sdt><w:sdtPr><w14:checkbox><w14:checked w14:val=\"1\"/></w14:checkbox></w:sdtPr><w:sdtContent><w:r><w:t>☒</w:t></w:r></w:sdtContent></w:sdt>";
    assert_eq!(zone(&format!("{}{new}{}", r("☐互联网"), r("政务外网"))), expected);
    assert_eq!(zone(&r("☑互联网 ☑政务外网")), Some(serde_json::json!(["互联网", "政务外网"])));
    assert_eq!(zone(&r("□互联网 □政务外网")), None);
    assert_eq!(zone(&r("政务外网")), expected);
}

#[test]
fn other_prefixes_and_places_of_the_main_part_are_read() {
    let body = "<x:document xmlns:x=\"http://purl.oclc.org/ooxml/wordprocessingml/main\"><x:body>\
        <x:p><x:r><x:t>申请虚拟机数量：2台</x:t></x:r></x:p></x:body></x:document>";
    let rels = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/officeDocument/2006/relationships/officeDocument\" Target=\"/word/document2.xml\"/></Relationships>";
    let bytes = package(&[("_rels/.rels", rels.as_bytes()), ("word/document2.xml", body.as_bytes())]);
    says(&read(&bytes, "").unwrap(), "/blocks/0/vm_count", "2台");
    let mut wide = vec![0xFF, 0xFE];
    wide.extend(body.encode_utf16().flat_map(u16::to_le_bytes));
    says(&read(&package(&[("word/document.xml", &wide)]), "").unwrap(), "/blocks/0/vm_count", "2台");
}

#[test]
fn merged_cells_keep_their_columns() {
    let start = cell("<w:vMerge w:val=\"restart\"/>", "基础设施");
    let rest = cell("<w:vMerge/>", "");
    let body = format!(
        "<w:tbl><w:tr>{start}{}{}</w:tr><w:tr>{rest}{}{}</w:tr><w:tr><w:trPr><w:gridBefore w:val=\"1\"/></w:trPr>{}{}</w:tr>\
         <w:tr>{}{}{}</w:tr></w:tbl>",
        cell("", "申请虚拟机数量"),
        cell("", "2"),
        cell("", "域名"),
        cell("", "a.b.c"),
        cell("", "内存容量"),
        cell("", "8G"),
        cell("<w:hMerge w:val=\"restart\"/>", "磁盘空间"),
        cell("<w:hMerge/>", ""),
        cell("", "10G"),
    );
    let form = form(&body);
    for field in ["vm_count", "domain", "memory", "disk"] {
        assert_eq!(form.places[&format!("/blocks/0/{field}")].column, Some(3), "{field}");
    }
    says(&form, "/blocks/0/disk", "10G");
}
