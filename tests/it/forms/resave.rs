//! A rendered file as another editor would have left it: revision marks, tracked changes, wrappers that carry the same
//! text twice, check boxes as controls, other prefixes. Nothing that is said changes.

use crate::support::Dice;
use quick_xml::{
    Reader, Writer,
    events::{BytesEnd, BytesStart, BytesText, Event},
};
use std::io::{Cursor, Read, Write};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

const BOXES: &[char] = &['☑', '☒', '√', '■', '□', '☐'];
const CHANGE: &[(&str, &str)] = &[("w:id", "77"), ("w:author", "office"), ("w:date", "2034-09-01T08:00:00Z")];

pub fn docx(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut old = ZipArchive::new(Cursor::new(bytes)).expect("a package");
    let mut new = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..old.len() {
        let mut entry = old.by_index(index).expect("an entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        let name = entry.name().expect("a name").into_owned();
        if name == "word/document.xml" {
            content = document(&String::from_utf8(content).expect("UTF-8"), &mut dice).into_bytes();
        }
        new.start_file(name, SimpleFileOptions::default()).expect("a new entry");
        new.write_all(&content).expect("memory takes it");
    }
    new.finish().expect("a package").into_inner()
}

fn document(xml: &str, dice: &mut Dice) -> String {
    let mut reader = Reader::from_str(xml);
    let mut out = Writer::new(Vec::new());
    loop {
        let event = reader.read_event().expect("LibreOffice writes XML");
        match event {
            Event::Eof => break,
            Event::Start(start) if start.name().as_ref() == "w:r" => {
                let run = collect(&mut reader, start.into_owned());
                resaved_run(&mut out, &run, dice);
            }
            Event::Start(mut start) if start.name().as_ref() == "w:p" => {
                start.push_attribute(("w:rsidR", "00AB12CD"));
                start.push_attribute(("w:rsidRDefault", "00EF3456"));
                put(&mut out, Event::Start(start));
            }
            other => put(&mut out, other),
        }
    }
    let text = String::from_utf8(out.into_inner()).expect("UTF-8 stays UTF-8");
    if !dice.once_in(4) {
        return text;
    }
    // A prefix is only a name. LibreOffice writes no text that looks like a tag or an attribute of ours.
    [("<w:", "<x:"), ("</w:", "</x:"), (" w:", " x:"), ("xmlns:w=", "xmlns:x=")]
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}

fn put(out: &mut Writer<Vec<u8>>, event: Event<'_>) {
    out.write_event(event).expect("memory takes it");
}

fn start(out: &mut Writer<Vec<u8>>, name: &str, attributes: &[(&str, &str)]) {
    put(out, Event::Start(BytesStart::new(name).with_attributes(attributes.iter().copied())));
}

fn empty(out: &mut Writer<Vec<u8>>, name: &str, attributes: &[(&str, &str)]) {
    put(out, Event::Empty(BytesStart::new(name).with_attributes(attributes.iter().copied())));
}

fn end(out: &mut Writer<Vec<u8>>, name: &str) {
    put(out, Event::End(BytesEnd::new(name)));
}

/// A run from its start to its end.
fn collect(reader: &mut Reader<&[u8]>, first: BytesStart<'static>) -> Vec<Event<'static>> {
    let mut run = vec![Event::Start(first)];
    let mut depth = 1;
    while depth > 0 {
        let event = reader.read_event().expect("LibreOffice writes XML").into_owned();
        match &event {
            Event::Start(tag) if tag.name().as_ref() == "w:r" => depth += 1,
            Event::End(tag) if tag.name().as_ref() == "w:r" => depth -= 1,
            _ => {}
        }
        run.push(event);
    }
    run
}

/// The text of a run that holds nothing but text.
fn plain(run: &[Event<'static>]) -> Option<String> {
    let mut text = None;
    for event in run {
        match event {
            Event::Text(piece) if text.is_none() => text = Some(String::from(&**piece)),
            Event::Start(tag) if matches!(tag.name().as_ref(), "w:r" | "w:rPr" | "w:t") => {}
            Event::End(tag) if matches!(tag.name().as_ref(), "w:r" | "w:rPr" | "w:t") => {}
            Event::Empty(_) if text.is_none() => {}
            _ => return None,
        }
    }
    text.filter(|text| !text.is_empty())
}

fn text_run(out: &mut Writer<Vec<u8>>, element: &str, text: &str) {
    start(out, "w:r", &[("w:rsidRPr", "00AB12CD")]);
    start(out, element, &[("xml:space", "preserve")]);
    put(out, Event::Text(BytesText::new(text)));
    end(out, element);
    end(out, "w:r");
}

fn resaved_run(out: &mut Writer<Vec<u8>>, run: &[Event<'static>], dice: &mut Dice) {
    let whole = |out: &mut Writer<Vec<u8>>| run.iter().for_each(|event| put(out, event.borrow()));
    let text = plain(run);
    if let Some(text) = text.as_ref().filter(|text| text.contains(BOXES)) {
        return boxes(out, text);
    }
    match (dice.below(8), text) {
        (0, _) => {
            start(out, "w:ins", CHANGE);
            whole(out);
            end(out, "w:ins");
        }
        (1, Some(_)) => {
            start(out, "w:del", CHANGE);
            text_run(out, "w:delText", dice.pick(&["64G", "每台", "政务内网", "机房改造"]));
            end(out, "w:del");
            whole(out);
        }
        (2, Some(_)) => {
            start(out, "mc:AlternateContent", &[]);
            start(out, "mc:Choice", &[("Requires", "w14")]);
            whole(out);
            end(out, "mc:Choice");
            start(out, "mc:Fallback", &[]);
            whole(out);
            end(out, "mc:Fallback");
            end(out, "mc:AlternateContent");
        }
        (3, Some(text)) if text.chars().count() > 1 => {
            let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
            text_run(out, "w:t", &text[..middle]);
            empty(out, "w:proofErr", &[("w:type", "gramStart")]);
            empty(out, "w:bookmarkStart", &[("w:id", "9"), ("w:name", "_GoBack")]);
            empty(out, "w:bookmarkEnd", &[("w:id", "9")]);
            text_run(out, "w:t", &text[middle..]);
        }
        (4, Some(_)) => {
            start(out, "w:sdt", &[]);
            empty(out, "w:sdtPr", &[]);
            start(out, "w:sdtContent", &[]);
            whole(out);
            end(out, "w:sdtContent");
            end(out, "w:sdt");
        }
        _ => whole(out),
    }
}

/// Each box becomes a control of its own.
fn boxes(out: &mut Writer<Vec<u8>>, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(BOXES) {
        let (before, tail) = rest.split_at(at);
        if !before.is_empty() {
            text_run(out, "w:t", before);
        }
        let mark = tail.chars().next().expect("just found");
        let ticked = if matches!(mark, '□' | '☐') { "0" } else { "1" };
        start(out, "w:sdt", &[]);
        start(out, "w:sdtPr", &[]);
        start(out, "w14:checkbox", &[]);
        empty(out, "w14:checked", &[("w14:val", ticked)]);
        end(out, "w14:checkbox");
        end(out, "w:sdtPr");
        start(out, "w:sdtContent", &[]);
        text_run(out, "w:t", &mark.to_string());
        end(out, "w:sdtContent");
        end(out, "w:sdt");
        rest = &tail[mark.len_utf8()..];
    }
    if !rest.is_empty() {
        text_run(out, "w:t", rest);
    }
}
