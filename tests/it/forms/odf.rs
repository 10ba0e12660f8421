//! A tree as flat ODF, which LibreOffice turns into what an office would hand in. Built with a writer, never pasted, so
//! that any character of a value is escaped.

use super::tree::{Node, Slot, Span, Table};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

const NAMESPACES: &[(&str, &str)] = &[
    ("xmlns:office", "urn:oasis:names:tc:opendocument:xmlns:office:1.0"),
    ("xmlns:text", "urn:oasis:names:tc:opendocument:xmlns:text:1.0"),
    ("xmlns:table", "urn:oasis:names:tc:opendocument:xmlns:table:1.0"),
    ("xmlns:style", "urn:oasis:names:tc:opendocument:xmlns:style:1.0"),
    ("xmlns:fo", "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"),
    ("office:version", "1.3"),
];

struct Odf {
    out: Writer<Vec<u8>>,
    tables: usize,
}

/// A text document.
pub fn text(nodes: &[Node]) -> Vec<u8> {
    let mut odf = Odf::begin("application/vnd.oasis.opendocument.text");
    odf.open("office:text", &[]);
    odf.nodes(nodes);
    odf.close("office:text");
    odf.end()
}

/// A workbook: each sheet has a name and its nodes one below the other.
pub fn sheets(sheets: &[(&str, Vec<Node>)]) -> Vec<u8> {
    let mut odf = Odf::begin("application/vnd.oasis.opendocument.spreadsheet");
    odf.open("office:spreadsheet", &[]);
    for (name, nodes) in sheets {
        odf.open("table:table", &[("table:name", name)]);
        for node in nodes {
            odf.sheet_node(node);
        }
        odf.close("table:table");
    }
    odf.close("office:spreadsheet");
    odf.end()
}

/// The text of nodes in one line each, for formats without structure inside a cell.
pub fn lines(nodes: &[Node]) -> Vec<String> {
    let mut lines = Vec::new();
    for node in nodes {
        match node {
            Node::Heading(_, text) => lines.push(text.clone()),
            Node::Para(spans) => lines.push(spans.iter().map(|s| s.text.as_str()).collect()),
            Node::Table(table) => lines.extend(table.rows.iter().flatten().flat_map(|c| self::lines(&c.content))),
        }
    }
    lines
}

impl Odf {
    fn begin(mime: &str) -> Self {
        let mut odf = Self { out: Writer::new(Vec::new()), tables: 0 };
        odf.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        let attributes: Vec<_> = NAMESPACES.iter().copied().chain(std::iter::once(("office:mimetype", mime))).collect();
        odf.open("office:document", &attributes);
        odf.open("office:automatic-styles", &[]);
        for (name, family, kind, key, value) in [
            ("bold", "text", "style:text-properties", "fo:font-weight", "bold"),
            ("cell", "table-cell", "style:table-cell-properties", "fo:border", "0.5pt solid #000000"),
        ] {
            odf.open("style:style", &[("style:name", name), ("style:family", family)]);
            odf.empty(kind, &[(key, value)]);
            odf.close("style:style");
        }
        odf.close("office:automatic-styles");
        odf.open("office:body", &[]);
        odf
    }

    fn end(mut self) -> Vec<u8> {
        self.close("office:body");
        self.close("office:document");
        self.out.into_inner()
    }

    fn event(&mut self, event: Event<'_>) {
        self.out.write_event(event).expect("memory takes it");
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.event(Event::Start(BytesStart::new(name).with_attributes(attributes.iter().copied())));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.event(Event::Empty(BytesStart::new(name).with_attributes(attributes.iter().copied())));
    }

    fn close(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            match node {
                Node::Heading(level, text) => {
                    self.open("text:h", &[("text:outline-level", &level.to_string())]);
                    self.run(text);
                    self.close("text:h");
                }
                Node::Para(spans) => self.para(spans),
                Node::Table(table) => self.table(table),
            }
        }
    }

    fn para(&mut self, spans: &[Span]) {
        self.open("text:p", &[]);
        for span in spans {
            if span.bold {
                self.open("text:span", &[("text:style-name", "bold")]);
                self.run(&span.text);
                self.close("text:span");
            } else {
                self.run(&span.text);
            }
        }
        self.close("text:p");
    }

    /// Text with its line breaks; ODF folds a run of blanks, so each further blank is an element of its own.
    fn run(&mut self, text: &str) {
        for (n, line) in text.split('\n').enumerate() {
            if n > 0 {
                self.empty("text:line-break", &[]);
            }
            for (n, piece) in line.split("  ").enumerate() {
                if n > 0 {
                    self.empty("text:s", &[("text:c", "2")]);
                }
                self.event(Event::Text(BytesText::new(piece)));
            }
        }
    }

    fn table(&mut self, table: &Table) {
        self.tables += 1;
        let name = format!("T{}", self.tables);
        self.open("table:table", &[("table:name", &name)]);
        let width = table.width();
        self.empty("table:table-column", &[("table:number-columns-repeated", &width.to_string())]);
        for slots in table.grid() {
            self.open("table:table-row", &[]);
            for slot in &slots {
                self.slot(slot, Self::nodes);
            }
            for _ in slots.len()..width {
                self.open("table:table-cell", &[("table:style-name", "cell")]);
                self.para(&[]);
                self.close("table:table-cell");
            }
            self.close("table:table-row");
        }
        self.close("table:table");
    }

    fn slot(&mut self, slot: &Slot<'_>, write: impl FnOnce(&mut Self, &[Node])) {
        let Slot::Begins(cell) = slot else { return self.empty("table:covered-table-cell", &[]) };
        let (columns, rows) = (cell.columns.to_string(), cell.rows.to_string());
        let mut attributes = vec![("table:style-name", "cell"), ("office:value-type", "string")];
        if cell.columns > 1 || cell.rows > 1 {
            attributes.push(("table:number-columns-spanned", &columns));
            attributes.push(("table:number-rows-spanned", &rows));
        }
        self.open("table:table-cell", &attributes);
        write(self, &cell.content);
        self.close("table:table-cell");
    }

    /// In a sheet a paragraph is a row of one cell, and a table's rows are the sheet's.
    fn sheet_node(&mut self, node: &Node) {
        let Node::Table(table) = node else {
            self.open("table:table-row", &[]);
            self.open("table:table-cell", &[("office:value-type", "string")]);
            for line in lines(std::slice::from_ref(node)) {
                self.para(&[Span::plain(line)]);
            }
            self.close("table:table-cell");
            return self.close("table:table-row");
        };
        for slots in table.grid() {
            self.open("table:table-row", &[]);
            for slot in &slots {
                self.slot(slot, |odf, content| {
                    for line in lines(content) {
                        odf.para(&[Span::plain(line)]);
                    }
                });
            }
            self.close("table:table-row");
        }
    }
}
