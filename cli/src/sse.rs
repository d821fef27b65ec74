//! Server-sent events, as much of them as the API uses:
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use mesh_schemas::{ErrorCode, Problem};

/// Longest event; a longer one is a fault of the server.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name; empty when it has none.
    pub(crate) name: String,
    /// Its data.
    pub(crate) data: String,
}

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    rest: Vec<u8>,
    event: Event,
}

impl Reader {
    /// The next event, or `None` at the end of the stream.
    pub(crate) async fn next<S>(&mut self, stream: &mut S) -> Result<Option<Event>, Problem>
    where
        S: Stream<Item = reqwest::Result<Bytes>> + Unpin,
    {
        loop {
            if let Some(event) = self.take() {
                return Ok(Some(event));
            }
            if self.rest.len() > EVENT_BYTES_MAX {
                return Err(broken("an event is too long"));
            }
            match stream.next().await {
                Some(Ok(bytes)) => self.rest.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    return Err(broken(&mesh_fabric::error::chain(&error.without_url())));
                }
                None => return Ok(None),
            }
        }
    }

    fn take(&mut self) -> Option<Event> {
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if event != Event::default() {
                    return Some(event);
                }
            } else {
                self.field(line);
            }
        }
        None
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments keep the connection alive; ids are not needed here.
            _ => {}
        }
    }
}

fn broken(why: &str) -> Problem {
    Problem::new(ErrorCode::Unreachable, format!("the stream broke off: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_wherever_the_bytes_are() {
        let text = b": hi\n\nevent: log\ndata: a\ndata: b\n\ndata: c\r\n\r\n";
        for cut in 0..text.len() {
            let mut reader = Reader::default();
            let mut events = Vec::new();
            for part in [&text[..cut], &text[cut..]] {
                reader.rest.extend_from_slice(part);
                while let Some(event) = reader.take() {
                    events.push((event.name, event.data));
                }
            }
            let want = [("log".to_owned(), "a\nb".to_owned()), (String::new(), "c".to_owned())];
            assert_eq!(events, want, "cut at {cut}");
        }
    }
}
