//! Check boxes as they are drawn: signs of Unicode, of the Wingdings fonts, and typed ones. Before a word or behind it.

use std::borrow::Cow;

/// What a sign of a symbol font shows, if that is a check box. Wingdings and Wingdings 2 do not use one code for both a
/// ticked and an empty box, so that the font need not be known; many writers leave it out.
pub(super) fn symbol(code: u32) -> Option<char> {
    // Fonts of symbols live at F000 in documents.
    match code & 0xFF {
        0x50 | 0x52 | 0x53 | 0x54 | 0xFB | 0xFC | 0xFD | 0xFE => Some('☑'),
        // A8 is Wingdings' own empty box (◻), and the one that Word's list of symbols offers first.
        0x2A | 0x6F | 0x71 | 0x72 | 0xA1 | 0xA3 | 0xA8 => Some('□'),
        _ => None,
    }
}

/// A text as it is seen: signs from the private area are drawn with a symbol font.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    let private = |c: char| matches!(c, '\u{F000}'..='\u{F0FF}');
    if !text.contains(private) {
        return text.into();
    }
    text.chars().map(|c| if private(c) { symbol(c.into()).unwrap_or(c) } else { c }).collect()
}

const TICKED: &[char] = &['☑', '☒', '√', '✓', '✔', '■', '●', '✅', '⊠', '▣', '◉', '🗹', '🗷'];
const EMPTY: &[char] = &['□', '☐', '○', '◻', '▢', '◯', '❑', '❒', '⬜', '❏', '❐'];

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Box(bool),
    Text(&'a str),
}

/// The words whose boxes are ticked; none if the text has no boxes.
pub(super) fn ticked(text: &str) -> Option<Vec<String>> {
    // A choice of boxes is short.
    if text.len() > 4_096 {
        return None;
    }
    let pieces = pieces(text);
    if !pieces.iter().any(|p| matches!(p, Piece::Box(_))) {
        return None;
    }
    // Only what was chosen carries a mark: then a mark stands for one word, not for all up to the next mark.
    let lone = !pieces.contains(&Piece::Box(false));
    let words: Vec<&Piece<'_>> = pieces.iter().filter(|p| **p != Piece::Text("") && !blank(p)).collect();
    let behind = match (words.first(), words.last()) {
        (Some(Piece::Text(_)), Some(Piece::Box(_))) => true,
        (Some(Piece::Text(_)), _) => attached_behind(&pieces),
        _ => false,
    };
    let mut out = Vec::new();
    for (i, piece) in words.iter().enumerate() {
        if **piece != Piece::Box(true) {
            continue;
        }
        let beside = if behind { i.checked_sub(1) } else { Some(i + 1) };
        let Some(Piece::Text(word)) = beside.and_then(|at| words.get(at)) else { continue };
        let mut parts = word.split(|c: char| c.is_whitespace() || matches!(c, ',' | '，' | '、' | ';' | '；' | '/'));
        let word = match (lone, behind) {
            (true, true) => parts.rfind(|p| !p.is_empty()).unwrap_or_default(),
            (true, false) => parts.find(|p| !p.is_empty()).unwrap_or_default(),
            (false, _) => word
                .trim_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '，' | '、' | ';' | '；' | '/' | '。')),
        };
        if !word.is_empty() {
            out.push(word.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    Some(out)
}

fn blank(piece: &Piece<'_>) -> bool {
    matches!(piece, Piece::Text(t) if t.chars().all(|c| c.is_whitespace() || matches!(c, ',' | '，' | '、' | ';' | '；' | '/' | '。')))
}

/// `政务外网√ 互联网`: the mark hangs on the word before it.
fn attached_behind(pieces: &[Piece<'_>]) -> bool {
    pieces.windows(3).any(|w| {
        matches!(w, [Piece::Text(a), Piece::Box(_), Piece::Text(b)]
            if !a.ends_with(char::is_whitespace) && b.starts_with(char::is_whitespace))
    })
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(c) = text.get(at..).and_then(|t| t.chars().next()) {
        if let Some((ticked, len)) = mark(text.get(at..).unwrap_or_default(), c) {
            out.push(Piece::Text(text.get(start..at).unwrap_or_default()));
            out.push(Piece::Box(ticked));
            at += len;
            start = at;
        } else {
            at += c.len_utf8();
        }
    }
    out.push(Piece::Text(text.get(start..).unwrap_or_default()));
    out
}

/// A mark at the beginning of the text: whether it is a tick, and its length.
fn mark(text: &str, first: char) -> Option<(bool, usize)> {
    if TICKED.contains(&first) {
        return Some((true, first.len_utf8()));
    }
    if EMPTY.contains(&first) {
        return Some((false, first.len_utf8()));
    }
    let close = match first {
        '(' => ')',
        '（' => '）',
        '[' => ']',
        '［' => '］',
        '<' => {
            let tag = text.get(..text.find('>')? + 1).filter(|t| t.len() <= 256)?.to_ascii_lowercase();
            return (tag.starts_with("<input") || tag.starts_with("</input"))
                .then(|| (tag.contains("checked"), tag.len()))
                .filter(|_| tag.starts_with("<input"));
        }
        _ => return None,
    };
    // Near by, or it is a bracket like any other.
    let end = text.char_indices().take(5).find(|(_, c)| *c == close)?.0;
    let inner = text.get(first.len_utf8()..end)?;
    let state = match inner.trim() {
        "" if !inner.is_empty() => false,
        "" if first == '[' => false,
        "x" | "X" | "√" | "✓" | "✔" | "v" | "V" => true,
        _ => return None,
    };
    Some((state, end + close.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticked_boxes_are_read() {
        for (text, words) in [
            ("□互联网 ☑政务外网 □政务专网 □政务内网(涉密网)", vec!["政务外网"]),
            ("互联网☒ 政务外网☐", vec!["互联网"]),
            ("互联网（√） 政务外网（ ） 政务专网（√）", vec!["互联网", "政务专网"]),
            ("[x] 互联网 [ ] 政务外网", vec!["互联网"]),
            ("○ 互联网 ● 政务外网", vec!["政务外网"]),
            ("√政务外网 互联网 政务专网", vec!["政务外网"]),
            ("政务外网√ 互联网", vec!["政务外网"]),
            ("□互联网 □政务外网", vec![]),
            (
                "<input type=\"checkbox\"> 互联网 <input type=\"checkbox\" checked> 政务外网 <input type=\"checkbox\"> 政务专网",
                vec!["政务外网"],
            ),
            ("■互联网、□政务外网、■政务专网", vec!["互联网", "政务专网"]),
        ] {
            assert_eq!(ticked(text), Some(words.into_iter().map(str::to_owned).collect()), "{text}");
        }
        for text in ["政务外网", "政务内网(涉密网)", "", "a < b", "（无）"] {
            assert_eq!(ticked(text), None, "{text}");
        }
    }

    #[test]
    fn signs_of_symbol_fonts_are_boxes() {
        assert_eq!(shown("\u{F0FE}\u{F052}\u{F0FD}"), "☑☑☑");
        assert_eq!(shown("\u{F06F}\u{F0A3}\u{F071}\u{F0A8}"), "□□□□");
        assert_eq!(shown("中\u{F0FF}"), "中\u{F0FF}");
    }
}
