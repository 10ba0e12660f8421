//! A stream of bytes as pieces of whole lines, so that no more than one piece of a file is ever held.

/// Some lines of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: Vec<u8>,
    /// The number of its first line.
    pub line: u64,
    /// How many line ends are in it.
    pub ends: u64,
}

impl Piece {
    /// The number of its last line.
    pub fn last(&self) -> u64 {
        self.line + self.ends - u64::from(self.text.ends_with(b"\n"))
    }
}

/// A line that is longer than a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0} has no end")]
pub struct Endless(pub u64);

/// Cuts where a line ends.
#[derive(Debug)]
pub struct Cutter {
    held: Vec<u8>,
    size: usize,
    line: u64,
}

impl Cutter {
    /// Pieces of so many bytes, or a little more.
    pub const fn new(size: usize) -> Self {
        Self { held: Vec::new(), size, line: 1 }
    }

    /// A piece, when one is full.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Piece>, Endless> {
        if self.held.capacity() == 0 {
            self.held.reserve(self.size + bytes.len());
        }
        self.held.extend_from_slice(bytes);
        if self.held.len() < self.size {
            return Ok(None);
        }
        let end = memchr::memrchr(b'\n', &self.held).ok_or(Endless(self.line))?;
        let mut next = Vec::with_capacity(self.size + bytes.len());
        next.extend_from_slice(&self.held[end + 1..]);
        self.held.truncate(end + 1);
        let text = std::mem::replace(&mut self.held, next);
        Ok(Some(self.piece(text)))
    }

    /// What is left: a last line may lack its end.
    pub fn finish(&mut self) -> Option<Piece> {
        let text = std::mem::take(&mut self.held);
        (!text.is_empty()).then(|| self.piece(text))
    }

    fn piece(&mut self, text: Vec<u8>) -> Piece {
        let (line, ends) = (self.line, memchr::memchr_iter(b'\n', &text).count() as u64);
        self.line += ends;
        Piece { text, line, ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_without_an_end_is_not_held_for_ever() {
        let mut cutter = Cutter::new(8);
        assert_eq!(cutter.push(b"a\nb"), Ok(None));
        assert_eq!(cutter.push(b"cdefgh").map(|piece| piece.map(|piece| piece.text)), Ok(Some(b"a\n".to_vec())));
        assert_eq!(cutter.push(b"ij"), Err(Endless(2)));
    }

    proptest! {
        #[test]
        fn pieces_are_the_file(lines in proptest::collection::vec("[a-c]{0,5}", 0..40), size in 6..40_usize, step in 1..9_usize,
                               ended in any::<bool>()) {
            let mut text = lines.join("\n").into_bytes();
            if ended {
                text.push(b'\n');
            }
            let (mut cutter, mut pieces) = (Cutter::new(size), Vec::new());
            for bytes in text.chunks(step) {
                pieces.extend(cutter.push(bytes).expect("lines are shorter than pieces"));
            }
            pieces.extend(cutter.finish());
            let mut line = 1;
            for (at, piece) in pieces.iter().enumerate() {
                prop_assert!(piece.text.ends_with(b"\n") || at + 1 == pieces.len());
                prop_assert_eq!(piece.line, line);
                line += piece.text.split(|byte| *byte == b'\n').count() as u64 - 1;
            }
            prop_assert_eq!(pieces.into_iter().flat_map(|piece| piece.text).collect::<Vec<_>>(), text);
        }
    }
}
