//! LibreOffice as the office's word processor: many files in one call, and two calls side by side, each with a profile of
//! its own (two programs on one profile refuse to start).

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What a file becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Docx,
    Xlsx,
    /// To count its pages.
    Pdf,
}

impl Format {
    const fn filter(self) -> &'static str {
        match self {
            Self::Docx => "docx:MS Word 2007 XML",
            Self::Xlsx => "xlsx:Calc MS Excel 2007 XML",
            Self::Pdf => "pdf",
        }
    }

    pub const fn extension(self) -> &'static str {
        match self {
            Self::Docx => "docx",
            Self::Xlsx => "xlsx",
            Self::Pdf => "pdf",
        }
    }
}

/// Renders files into `folder`, one beside the other; the new files in the same order.
pub fn all(folder: &Path, sources: &[PathBuf], format: Format) -> Vec<PathBuf> {
    let half = sources.len().div_ceil(2).max(1);
    std::thread::scope(|scope| {
        for (n, part) in sources.chunks(half).enumerate() {
            scope.spawn(move || convert(folder, part, format, n));
        }
    });
    sources
        .iter()
        .map(|source| folder.join(source.file_stem().expect("a name")).with_extension(format.extension()))
        .collect()
}

fn convert(folder: &Path, sources: &[PathBuf], format: Format, number: usize) {
    let profile = folder.join(format!("soffice-{}-{number}", format.extension()));
    let out = Command::new("soffice")
        .arg("--headless")
        .arg(format!("-env:UserInstallation=file://{}", profile.display()))
        .args(["--convert-to", format.filter(), "--outdir"])
        .arg(folder)
        .args(sources)
        .output()
        .expect("LibreOffice is installed (make setup)");
    for source in sources {
        let made = folder.join(source.file_stem().expect("a name")).with_extension(format.extension());
        assert!(made.is_file(), "{} was not rendered: {}", source.display(), String::from_utf8_lossy(&out.stderr));
    }
    let _ = std::fs::remove_dir_all(profile);
}
