//! Server-sent events: the text, taken apart. Pure.

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `message` where the server gave none.
    pub event: String,
    /// For `Last-Event-ID`, when the stream is taken up again.
    pub id: Option<String>,
    pub data: String,
}

/// More than this in one event is none of ours.
const MOST: usize = 8 << 20;

/// Takes bytes as they come and gives events when they are whole.
#[derive(Debug, Default)]
pub struct Decoder {
    waiting: Vec<u8>,
    begun: bool,
    event: String,
    data: String,
    has_data: bool,
    last_id: Option<String>,
    retry_ms: Option<u64>,
}

/// An event without end.
#[derive(Debug, thiserror::Error)]
#[error("an event of the stream is longer than {MOST} bytes")]
pub struct Endless;

impl Decoder {
    /// Bytes as they came, which need not end where a line or a letter does.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Endless> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() + self.data.len() > MOST { Err(Endless) } else { Ok(()) }
    }

    /// The next whole event.
    pub fn next_message(&mut self) -> Option<Message> {
        while let Some(line) = self.line() {
            if line.is_empty() {
                if let Some(message) = self.dispatch() {
                    return Some(message);
                }
            } else {
                self.field(&line);
            }
        }
        None
    }

    /// The newest id, also one that came without data.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref().filter(|id| !id.is_empty())
    }

    /// How long the server wants clients to wait before they come back.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Forgets what is half received: the next connection sends it anew.
    pub fn restart(&mut self) {
        self.waiting.clear();
        self.data.clear();
        self.event.clear();
        (self.begun, self.has_data) = (false, false);
    }

    /// A line without its end: LF, CR LF or CR.
    fn line(&mut self) -> Option<String> {
        let end = self.waiting.iter().position(|b| matches!(b, b'\n' | b'\r'))?;
        let width = match (self.waiting.get(end), self.waiting.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => 2,
            // Its LF may still come.
            (Some(b'\r'), None) => return None,
            _ => 1,
        };
        let rest = self.waiting.split_off(end + width);
        let line = std::mem::replace(&mut self.waiting, rest);
        let text = String::from_utf8_lossy(line.get(..end).unwrap_or_default()).into_owned();
        if std::mem::replace(&mut self.begun, true) {
            return Some(text);
        }
        Some(text.trim_start_matches('\u{feff}').to_owned())
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            "retry" => self.retry_ms = value.parse().ok().or(self.retry_ms),
            // A comment begins with a colon: the sign that the server is alive.
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Message> {
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        std::mem::take(&mut self.has_data).then(|| Message {
            event: if event.is_empty() { "message".to_owned() } else { event },
            id: self.last_id().map(Into::into),
            data,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{feff}: hello\nretry: 1500\nevent: operation\nid: 1\ndata: {\"名\":\ndata: 2}\n\n:\n\nid: 2\n\ndata\n\nevent: x\n\ndata:a:b\r\rdata: last\r\n\r\n";

    fn all(pieces: &[&[u8]]) -> (Vec<Message>, Option<String>, Option<u64>) {
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        for piece in pieces {
            decoder.push(piece).unwrap();
            found.extend(std::iter::from_fn(|| decoder.next_message()));
        }
        (found, decoder.last_id().map(Into::into), decoder.retry_ms())
    }

    #[test]
    fn events_are_read_whatever_pieces_they_come_in() {
        let whole = all(&[TEXT.as_bytes()]);
        let said: Vec<_> = whole.0.iter().map(|m| (m.event.as_str(), m.id.as_deref(), m.data.as_str())).collect();
        assert_eq!(
            said,
            [
                ("operation", Some("1"), "{\"名\":\n2}"),
                ("message", Some("2"), ""),
                ("message", Some("2"), "a:b"),
                ("message", Some("2"), "last"),
            ]
        );
        assert_eq!((whole.1.as_deref(), whole.2), (Some("2"), Some(1500)));
        for size in [1, 2, 3, 7] {
            let pieces: Vec<_> = TEXT.as_bytes().chunks(size).collect();
            assert_eq!(all(&pieces), whole, "{size} bytes at a time");
        }
    }

    #[test]
    fn half_an_event_is_forgotten_with_its_connection() {
        let mut decoder = Decoder::default();
        decoder.push(b"id: 7\ndata: half").unwrap();
        assert_eq!(decoder.next_message(), None);
        decoder.restart();
        decoder.push(b"data: whole\n\n").unwrap();
        assert_eq!(decoder.next_message().unwrap().data, "whole");
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut decoder = Decoder::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..9).any(|_| decoder.push(&piece).is_err()));
    }
}
