//! The sections of the forms: 附件1, and the chapters and items of 附件2.

/// A section of the forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    /// 附件1
    Application,
    /// A chapter of 附件2 and the item in it; 0 is the chapter itself.
    Part(u8, u8),
}

/// The numbers of the chapters.
pub(super) const CHAPTERS: &[&str] =
    &["", "一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二", "十三", "十四"];

impl Section {
    pub fn label(self) -> String {
        match self {
            Self::Application => "附件1".to_owned(),
            Self::Part(chapter, item) => {
                let chapter = CHAPTERS.get(usize::from(chapter)).copied().unwrap_or_default();
                if item == 0 { chapter.to_owned() } else { format!("{chapter}.{item}") }
            }
        }
    }

    pub fn chapter(self) -> u8 {
        match self {
            Self::Application => 0,
            Self::Part(chapter, _) => chapter,
        }
    }
}
