//! Reports as files: Word forms and workbooks through LibreOffice, CSV as Chinese Excel saves it.

use super::{
    model::Report,
    odf, paper,
    render::{self, Format},
    resave,
    tree::{Cell, Node, Slot},
};
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Docx,
    Xlsx,
    Csv,
}

/// Writes all reports into `folder`; their files in the same order.
pub fn write(folder: &Path, reports: &[(&Report, Kind)]) -> Vec<PathBuf> {
    let mut batches: [Vec<PathBuf>; 2] = Default::default();
    let mut files = Vec::new();
    for (report, kind) in reports {
        let name = |extension: &str| folder.join(&report.name).with_extension(extension);
        let save = |path: PathBuf, bytes: Vec<u8>| {
            std::fs::write(&path, bytes).expect("the scratch folder takes it");
            path
        };
        files.push(match kind {
            Kind::Docx => {
                batches[0].push(save(name("fodt"), odf::text(&paper::nodes(report))));
                name("docx")
            }
            Kind::Xlsx => {
                batches[1].push(save(name("fods"), odf::sheets(&paper::sheets(report))));
                name("xlsx")
            }
            Kind::Csv => save(name("csv"), csv(report)),
        });
    }
    for (batch, format) in batches.iter().zip([Format::Docx, Format::Xlsx]) {
        render::all(folder, batch, format);
    }
    for ((report, kind), file) in reports.iter().zip(&files) {
        if *kind == Kind::Docx && report.style.resaved {
            let bytes = std::fs::read(file).expect("just rendered");
            std::fs::write(file, resave::docx(&bytes, report.style.seed)).expect("the scratch folder takes it");
        }
    }
    files
}

/// One sheet below the other; in GB 18030 every other time, else in UTF-8 with the mark that Excel wants.
fn csv(report: &Report) -> Vec<u8> {
    let mut out = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for (_, nodes) in paper::sheets(report) {
        for node in &nodes {
            let Node::Table(table) = node else {
                out.write_record([odf::lines(std::slice::from_ref(node)).join("\n")]).expect("memory takes it");
                continue;
            };
            for slots in table.grid() {
                let cell = |cell: &Cell| odf::lines(&cell.content).join("\n");
                let row = slots.iter().map(|slot| match slot {
                    Slot::Begins(begun) => cell(begun),
                    Slot::Covered => String::new(),
                });
                out.write_record(row).expect("memory takes it");
            }
        }
    }
    let text = String::from_utf8(out.into_inner().expect("memory takes it")).expect("UTF-8");
    if report.style.seed.is_multiple_of(2) {
        return encoding_rs::GB18030.encode(&text).0.into_owned();
    }
    [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat()
}
