//! Which section of the report each part stands in. Offices renumber, use automatic numbers that are not in the text, or
//! none: a heading is known by its words, and by its number only where its words are its own.

use super::{
    label,
    layout::{Item, Layout, Paragraph},
    section::{CHAPTERS, Section},
    titles::TITLES,
    words::Words,
};
use crate::{place::Place, request::fields::CONTEXT, text};
use std::borrow::Cow;

/// A paragraph, or a row of a table that is one text, with its section.
#[derive(Debug)]
pub(super) struct Prose {
    pub section: Option<Section>,
    pub text: String,
    pub place: Place,
    /// A heading; what stands behind its colon is a text of its own.
    pub heading: bool,
    /// Where it stands in the order of the layout's items.
    pub item: usize,
}

/// What a heading opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heading {
    Of(Section),
    /// Nothing that the forms have.
    Foreign,
}

/// What a heading is numbered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    None,
    Chapter(u8),
    Item(u8),
    Path(u8, u8),
    Deeper,
}

/// Gives each row its section and lists the texts outside of labels and values.
pub(super) fn outline(layout: &mut Layout) -> Vec<Prose> {
    let mut walk = Walk::default();
    for (item, part) in layout.items.iter_mut().enumerate() {
        match part {
            Item::Paragraph(paragraph) => {
                if let Some(said) = walk.paragraph(paragraph, item) {
                    paragraph.section = walk.here;
                    paragraph.text = said;
                }
            }
            Item::Table(table) => {
                let before = walk.here;
                if let Some(sheet) = &table.place.sheet {
                    walk.here = titled(&text::fold(sheet), Number::None);
                    walk.listing = false;
                }
                let application = table
                    .rows
                    .iter()
                    .take(60)
                    .flat_map(|r| &r.cells)
                    .filter(|c| c.text.whole().is_some_and(|l| l.name == label::OTHER))
                    .take(4)
                    .count();
                if walk.here.is_none() && application == 4 && !table.sparse {
                    walk.here = Some(Section::Application);
                }
                for row in 0..table.rows.len() {
                    let mut cells = table.rows.iter().skip(row).take(1).flat_map(|r| &r.cells);
                    let mut filled = cells.by_ref().filter(|c| c.origin.is_none() && !c.text.trim().is_empty());
                    let (first, second) = (filled.next(), filled.next());
                    if let (Some(only), None) = (first, second)
                        && may_be_heading(&only.text)
                    {
                        let (column, words) = (only.column, (*only.text).to_owned());
                        let place = table.place_at(row, column);
                        let paragraph = Paragraph { text: words, place, ..Paragraph::default() };
                        walk.paragraph(&paragraph, item);
                    }
                    if let Some(row) = table.rows.get_mut(row) {
                        row.section = walk.here;
                    }
                }
                if !table.sparse {
                    walk.here = before;
                }
            }
        }
    }
    walk.prose
}

/// A label alone in its row waits for its value; only what the outline itself has as a title may be a heading.
fn may_be_heading(words: &Words) -> bool {
    words.whole().is_none_or(|l| {
        CONTEXT.iter().any(|f| f.name == l.name) && text::fold(words).starts_with(|c: char| c.is_ascii_digit())
    })
}

#[derive(Default)]
struct Walk {
    here: Option<Section>,
    /// The items of a list are being counted, which are no headings.
    listing: bool,
    /// A hint 【…】 of the outline goes on; for so many paragraphs at most.
    hint: u8,
    prose: Vec<Prose>,
}

impl Walk {
    /// What a paragraph says that is no title, without hints.
    fn paragraph(&mut self, paragraph: &Paragraph, item: usize) -> Option<String> {
        let words = paragraph.text.trim();
        if paragraph.contents || is_contents_line(words) {
            return None;
        }
        let words = self.without_hints(words);
        let words = words.trim();
        if words.is_empty() {
            return None;
        }
        let heading = self.heading(words, paragraph.heading);
        match heading {
            Some(Heading::Of(section)) => self.here = Some(section),
            Some(Heading::Foreign) => self.here = None,
            None => {}
        }
        let mut place = paragraph.place.clone();
        place.section = self.here.map(Section::label);
        let (is_heading, body) = match heading {
            Some(_) => (true, words.split_once(['：', ':', '\n']).map_or("", |(_, body)| body.trim())),
            None => (false, words),
        };
        let mut add = |text: &str, heading| {
            self.prose.push(Prose { section: self.here, text: text.to_owned(), place: place.clone(), heading, item });
        };
        if is_heading {
            add(words, true);
        }
        if !body.is_empty() {
            add(body, false);
        }
        (!is_heading).then(|| words.to_owned())
    }

    /// Whether the text is a heading, and of what; a heading of nothing known ends the section before it.
    fn heading(&mut self, words: &str, styled: bool) -> Option<Heading> {
        let head = words.split(['：', ':', '\n']).next().unwrap_or_default();
        let chars = head.chars().take(41).count();
        if chars > 40 {
            return None;
        }
        let folded = text::fold(head);
        let (number, rest) = numbered(&folded);
        let title = rest.trim_matches(|c: char| c.is_ascii_punctuation() || matches!(c, '。' | '、' | '，'));
        if folded.starts_with("附件1") || title.contains("项目申报") && title.contains('表') {
            return Some(Heading::Of(Section::Application));
        }
        if folded.starts_with("附件2")
            || (title.ends_with("可行性研究报告") || title.ends_with("报告编制大纲")) && chars <= 40
        {
            self.listing = false;
            return Some(Heading::Foreign);
        }
        let has_body = head.len() < words.len();
        if let Some(section) = titled(title, number)
            // `建设单位：…` without a number is a label, not a heading.
            && (number != Number::None || styled || !has_body || label::whole(head).is_none())
        {
            self.listing = false;
            return Some(Heading::Of(section));
        }
        // Below the items.
        if has_body || number == Number::Deeper {
            return None;
        }
        let plain = chars <= 30 && !head.contains(['。', '；', '，', ';', ',']);
        let chapter = self.here.map_or(0, Section::chapter);
        let section = match number {
            Number::Chapter(n) if plain && n <= 14 && n > chapter => Section::Part(n, 0),
            Number::Path(c, n) if plain && (1..=14).contains(&c) && c >= chapter && n > 0 => Section::Part(c, n),
            Number::Item(n) => match self.here {
                Some(Section::Part(c, i))
                    if plain && chars <= 20 && !self.listing && n == i + 1 && (i > 0 || styled) =>
                {
                    Section::Part(c, n)
                }
                Some(Section::Part(c, _)) if styled => Section::Part(c, n),
                _ => {
                    self.listing = true;
                    return None;
                }
            },
            _ if styled && number == Number::None && plain => {
                return Some(match self.here {
                    Some(Section::Part(c, _)) => Heading::Of(Section::Part(c, 0)),
                    Some(other) => Heading::Of(other),
                    None => Heading::Foreign,
                });
            }
            _ => return None,
        };
        self.listing = false;
        Some(Heading::Of(section))
    }

    /// Without the outline's own hints in 【】, which people leave standing.
    fn without_hints<'w>(&mut self, words: &'w str) -> Cow<'w, str> {
        if self.hint == 0 && !words.contains('【') && !words.contains('】') {
            return words.into();
        }
        let mut out = String::new();
        let mut open = self.hint > 0;
        for c in words.chars() {
            match c {
                '【' => open = true,
                '】' => open = false,
                _ if open => {}
                _ => out.push(c),
            }
        }
        // One that is never closed must not swallow the report.
        self.hint = if open { if self.hint == 0 { 4 } else { self.hint - 1 } } else { 0 };
        out.into()
    }
}

/// A line of the table of contents: `一、项目概述 ........ 3`.
fn is_contents_line(words: &str) -> bool {
    let bare = words.trim_end_matches(|c: char| c.is_ascii_digit());
    bare.len() < words.len()
        && (bare.ends_with('\t') || bare.trim_end().ends_with("....") || bare.trim_end().ends_with("……"))
}

/// The number of a folded heading, and its words.
fn numbered(folded: &str) -> (Number, &str) {
    let (inner, closed) = match folded.strip_prefix('(') {
        Some(inner) => (inner, true),
        None => (folded, false),
    };
    let ordinal = inner.strip_prefix('第');
    let body = ordinal.unwrap_or(inner);
    let mark = |c: char| c.is_ascii_digit() || "一二三四五六七八九十".contains(c);
    let rest = body.trim_start_matches(|c: char| mark(c) || c == '.' || c == '-');
    let Some(number) = body.get(..body.len() - rest.len()).filter(|n| n.starts_with(mark)) else {
        return (Number::None, folded);
    };
    let chinese = number.starts_with(|c: char| !c.is_ascii_digit());
    let parts: Vec<Option<u8>> = number.split(['.', '-']).filter(|p| !p.is_empty()).map(value).collect();
    let ends = number.ends_with(['.', '-']);
    let after = if ordinal.is_some() {
        ["章", "部分", "节"].iter().find_map(|w| rest.strip_prefix(*w))
    } else if closed {
        rest.strip_prefix(')')
    } else {
        rest.strip_prefix(['、', ')', '.', ':', ',']).or((ends || parts.len() > 1 || !chinese).then_some(rest))
    };
    let Some(after) = after else { return (Number::None, folded) };
    let number = match parts.as_slice() {
        [Some(n)] if chinese && !closed && ordinal.is_none_or(|_| !rest.starts_with('节')) => Number::Chapter(*n),
        [Some(n)] if ordinal.is_some() && !rest.starts_with('节') => Number::Chapter(*n),
        [Some(n)] => Number::Item(*n),
        [Some(c), Some(n)] => Number::Path(*c, *n),
        _ => Number::Deeper,
    };
    (number, after.trim_start_matches(['、', '.']))
}

fn value(part: &str) -> Option<u8> {
    if let Ok(n) = part.parse() {
        return Some(n);
    }
    u8::try_from(CHAPTERS.iter().position(|c| *c == part)?).ok()
}

/// The section with this title. A title that names two is decided by how it is numbered.
fn titled(title: &str, number: Number) -> Option<Section> {
    let (title, _) = label::without_brackets(title);
    if title.is_empty() {
        return None;
    }
    let mut found = TITLES.iter().filter(|(_, _, words)| words.iter().any(|w| *w == title)).peekable();
    let chapter = matches!(number, Number::Chapter(_));
    // 六、建设方案 is the chapter, 2、建设方案 its item.
    if chapter && title == "建设方案" {
        return Some(Section::Part(6, 0));
    }
    found.next().map(|(c, i, _)| Section::Part(*c, *i))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(texts: &[&str]) -> Vec<String> {
        let items = texts
            .iter()
            .map(|t| Item::Paragraph(Paragraph { text: (*t).to_owned(), ..Paragraph::default() }))
            .collect();
        let prose = outline(&mut Layout { items });
        prose.iter().filter(|p| p.heading).map(|p| p.section.map_or(String::new(), Section::label)).collect()
    }

    #[test]
    fn headings_are_known_by_their_words_in_any_numbering() {
        for text in [
            "3、设备与软硬件配置",
            "设备与软硬件配置",
            "6.3 设备与软硬件配置",
            "六.3 设备与软硬件配置",
            "（三）设备与软硬件配置",
            "3. 设 备 与软硬件配置：",
            "第三节 设备与软硬件配置",
        ] {
            assert_eq!(sections(&[text]), ["六.3"], "{text}");
        }
        for text in [
            "六、项目建设方案",
            "第六章 项目建设方案",
            "第六部分、项目建设方案",
            "6. 项目建设方案",
            "项目建设方案",
            "六、建设方案",
        ] {
            assert_eq!(sections(&[text]), ["六"], "{text}");
        }
    }

    #[test]
    fn lists_in_prose_are_no_headings() {
        assert_eq!(sections(&["六、项目建设方案", "1、建设规模", "1、居民", "2、企业", "3、机关"]), ["六", "六.1"]);
        assert_eq!(sections(&["九、组织", "2、运行维护机制", "3、团队"]), ["九", "九.2", "九.3"]);
        assert_eq!(sections(&["一、项目概述\t1", "六、项目建设方案 ...... 12"]), Vec::<String>::new());
    }

    #[test]
    fn hints_of_the_outline_are_not_read() {
        let items = ["六、项目建设方案", "【软件、硬件。如需要另行", "采购，须说明理由】设备如下。"]
            .iter()
            .map(|t| Item::Paragraph(Paragraph { text: (*t).to_owned(), ..Paragraph::default() }))
            .collect();
        let prose = outline(&mut Layout { items });
        assert_eq!(prose.last().map(|p| p.text.as_str()), Some("设备如下。"));
    }
}
