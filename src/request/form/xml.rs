//! XML as it may come in a package: no document types, no entities of its own, no endless nesting. Names are matched by
//! their local part, since prefixes are the writer's choice and strict files use other namespaces.

use super::{
    limits::{MAX_DEPTH, damaged, too_large},
    outcome::FormFault,
};
use quick_xml::{
    Reader,
    events::{BytesStart, Event, attributes::Attribute},
};
use std::borrow::Cow;

pub(super) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    /// The tag given last was an element without content, which closes at once.
    is_empty: bool,
}

pub(super) enum Token<'a> {
    Open(Tag<'a>),
    Close,
    Text(Cow<'a, str>),
}

pub(super) struct Tag<'a>(BytesStart<'a>);

impl Tag<'_> {
    pub fn name(&self) -> &str {
        local(self.0.name().into_inner())
    }

    /// The value of the attribute with this local name. Only the first 64 attributes are looked at.
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut attributes = self.0.attributes();
        // The check for attributes given twice takes quadratic time.
        attributes.with_checks(false);
        let found: Attribute<'_> = attributes.take(64).flatten().find(|a| local(a.key.into_inner()) == name)?;
        match found.value {
            Cow::Borrowed(value) => quick_xml::escape::unescape(value).ok(),
            Cow::Owned(value) => Some(quick_xml::escape::unescape(&value).ok()?.into_owned().into()),
        }
    }

    /// An on/off property: there, and not said to be off.
    pub fn is_on(&self) -> bool {
        !self.attribute("val").is_some_and(|v| matches!(&*v, "0" | "false" | "off" | "none"))
    }
}

/// A name without its prefix. Names are too short for a better search.
fn local(name: &str) -> &str {
    let prefix = name.bytes().position(|b| b == b':');
    prefix.and_then(|at| name.get(at + 1..)).unwrap_or(name)
}

impl<'a> Xml<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { reader: Reader::from_str(text), depth: 0, is_empty: false }
    }

    /// The next tag or text; none at the end.
    pub fn next(&mut self) -> Result<Option<Token<'a>>, FormFault> {
        if std::mem::take(&mut self.is_empty) {
            self.depth -= 1;
            return Ok(Some(Token::Close));
        }
        loop {
            let event = self
                .reader
                .read_event()
                .map_err(|_| damaged(format!("XML 在第 {} 字节处不合规范", self.reader.buffer_position())))?;
            return Ok(Some(match event {
                Event::Start(tag) => self.open(tag)?,
                Event::Empty(tag) => {
                    self.is_empty = true;
                    self.open(tag)?
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    Token::Close
                }
                Event::Text(text) => Token::Text(text.into_inner()),
                Event::CData(text) => Token::Text(text.into_inner()),
                Event::GeneralRef(entity) => {
                    let fault = || damaged("含有未定义的实体");
                    let name = entity.xml10_content();
                    let resolved = match entity.resolve_char_ref().map_err(|_| fault())? {
                        Some(c) => c.to_string(),
                        None => quick_xml::escape::resolve_predefined_entity(&name).ok_or_else(fault)?.to_owned(),
                    };
                    Token::Text(Cow::Owned(resolved))
                }
                Event::DocType(_) => return Err(damaged("含有 DTD")),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::Eof if self.depth > 0 => return Err(damaged("XML 不完整")),
                Event::Eof => return Ok(None),
            }));
        }
    }

    fn open(&mut self, tag: BytesStart<'a>) -> Result<Token<'a>, FormFault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_large(format!("XML 嵌套超过 {MAX_DEPTH} 层")));
        }
        Ok(Token::Open(Tag(tag)))
    }
}
