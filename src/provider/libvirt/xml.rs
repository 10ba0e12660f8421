//! The little of XML that libvirt's documents need: a tree that is built as data and written with every value escaped,
//! and the same tree read back, with namespaces resolved. Nothing here is ever pasted together as text.

use quick_xml::{
    XmlVersion,
    events::{BytesEnd, BytesStart, BytesText, Event},
    name::ResolveResult,
    reader::NsReader,
    writer::Writer,
};
use std::fmt::Display;

/// The document cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// XML 1.0 cannot carry it, or would change it on the way (line breaks in attributes become spaces). No value of
    /// ours has such a character, so it is refused rather than mended.
    #[error("control character in an XML value")]
    ControlCharacter,
    #[error("malformed XML: {0}")]
    Malformed(String),
    #[error("XML could not be written")]
    Write(#[source] std::io::Error),
}

/// One element. Mixed content is not kept apart: `text` is all of the element's own text, joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// As to be written, prefix included; after reading, the local name.
    pub name: String,
    /// Known only after reading, and written again: the prefix that the name had.
    pub prefix: Option<String>,
    /// Known only after reading.
    pub namespace: Option<String>,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    #[must_use]
    pub fn attr(mut self, name: &str, value: impl Display) -> Self {
        self.attributes.push((name.to_owned(), value.to_string()));
        self
    }

    #[must_use]
    pub fn text(mut self, text: impl Display) -> Self {
        self.text = text.to_string();
        self
    }

    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// The value of an attribute.
    pub fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }

    /// The first element down this path of names.
    pub fn find(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |at, name| at.children.iter().find(|e| e.name == *name))
    }

    /// The text of the first element down this path of names, without surrounding white space.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.find(path).map(|e| e.text.trim())
    }

    /// All direct children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |e| e.name == name)
    }

    /// The document, indented, without a declaration.
    pub fn to_xml(&self) -> Result<String, XmlError> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        self.write(&mut writer)?;
        String::from_utf8(writer.into_inner()).map_err(|e| XmlError::Malformed(e.to_string()))
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> Result<(), XmlError> {
        let values = self.attributes.iter().map(|(_, value)| value);
        if values.chain([&self.text]).any(|v| v.chars().any(unfit)) {
            return Err(XmlError::ControlCharacter);
        }
        let name = self.prefix.as_ref().map_or_else(|| self.name.clone(), |prefix| format!("{prefix}:{}", self.name));
        let start = BytesStart::new(name.as_str())
            .with_attributes(self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut put = |event: Event<'_>| writer.write_event(event).map_err(XmlError::Write);
        if self.children.is_empty() && self.text.is_empty() {
            return put(Event::Empty(start));
        }
        put(Event::Start(start))?;
        if !self.text.is_empty() {
            put(Event::Text(BytesText::new(&self.text)))?;
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.write_event(Event::End(BytesEnd::new(name.as_str()))).map_err(XmlError::Write)
    }

    /// Reads a document.
    pub fn parse(xml: &str) -> Result<Self, XmlError> {
        let bad = |e: &dyn Display| XmlError::Malformed(e.to_string());
        let mut reader = NsReader::from_str(xml);
        let mut open = vec![Self::default()]; // the document itself, whose only child is the root element
        loop {
            let (namespace, event) = reader.read_resolved_event().map_err(|e| bad(&e))?;
            let namespace = match namespace {
                ResolveResult::Bound(n) => Some(n.as_ref().to_owned()),
                ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
            };
            match event {
                Event::Start(start) => open.push(Self::started(&start, namespace)?),
                Event::Empty(start) => {
                    let element = Self::started(&start, namespace)?;
                    last(&mut open)?.children.push(element);
                }
                Event::End(_) => {
                    let element = open.pop().unwrap_or_default();
                    last(&mut open)?.children.push(element);
                }
                Event::Text(text) => last(&mut open)?.text.push_str(&text.xml10_content()),
                Event::CData(text) => last(&mut open)?.text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let name = reference.xml10_content();
                    let text = match reference.resolve_char_ref().map_err(|e| bad(&e))? {
                        Some(c) => c.to_string(),
                        None => quick_xml::escape::resolve_predefined_entity(&name)
                            .ok_or_else(|| XmlError::Malformed(format!("unknown entity {name:?}")))?
                            .to_owned(),
                    };
                    last(&mut open)?.text.push_str(&text);
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        match <[Self; 1]>::try_from(open) {
            Ok([document]) if document.children.len() == 1 => {
                Ok(document.children.into_iter().next().unwrap_or_default())
            }
            _ => Err(XmlError::Malformed("not exactly one root element".to_owned())),
        }
    }

    fn started(start: &BytesStart<'_>, namespace: Option<String>) -> Result<Self, XmlError> {
        let prefix = start.name().prefix().map(|prefix| prefix.as_ref().to_owned());
        let mut element = Self { prefix, namespace, ..Self::new(start.local_name().as_ref()) };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| XmlError::Malformed(e.to_string()))?;
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| XmlError::Malformed(e.to_string()))?;
            element.attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        Ok(element)
    }
}

fn last(open: &mut [Element]) -> Result<&mut Element, XmlError> {
    open.last_mut().ok_or_else(|| XmlError::Malformed("unbalanced".to_owned()))
}

/// Control characters and the two code points that XML has no place for.
fn unfit(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn namespaces_are_resolved_whatever_the_prefix() {
        let read = Element::parse("<a><x:b xmlns:x='urn:n' c='1&amp;2'/>t&lt;<![CDATA[<]]>&#65;</a>").unwrap();
        let b = read.find(&["b"]).unwrap();
        assert_eq!((b.namespace.as_deref(), b.get("c")), (Some("urn:n"), Some("1&2")));
        assert_eq!(read.text, "t<<A");
    }

    #[test]
    fn broken_documents_are_errors() {
        for xml in ["", "<a>", "</a>", "<a/><b/>", "<a>&nope;</a>", "<a b=1/>", "text"] {
            assert!(Element::parse(xml).is_err(), "{xml}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn hostile_values_stay_values(value in r#"[<>&'"/=\]!\[a-zé中 \-?;#x0-9]{0,40}|\PC{0,40}"#) {
            let tree = Element::new("a").attr("b", &value).child(Element::new("c").text(&value));
            match tree.to_xml() {
                Ok(xml) => prop_assert_eq!(Element::parse(&xml).map(|e| Element { text: String::new(), ..e }).unwrap(), tree),
                Err(_) => prop_assert!(value.chars().any(unfit)),
            }
        }
        #[test]
        fn the_reader_never_panics(xml in r#"(<|>|/|a|b|=|'|\"|&|;|x:|!\[CDATA\[|\]\]>| |中){0,40}"#) {
            let _ = Element::parse(&xml);
        }
    }
}
