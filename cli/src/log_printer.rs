//! Pieces of logs on stdout and stderr: as they are, with times, with the task before each line, or as
//! JSON.

use std::io::Write as _;

use data_encoding::BASE64;
use mesh_schemas::{
    Epoch,
    api::LogPiece,
    manifest::{StreamName, TimeMark},
};

use crate::output;

/// From here on a line is printed before its end has come.
const LINE_BYTES_MAX: usize = 1 << 20;

/// How to print.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    /// One JSON document a piece.
    pub(crate) json: bool,
    /// Each line begins with the time it was written.
    pub(crate) timestamps: bool,
    /// Each line begins with its task, and is printed whole.
    pub(crate) tasks: bool,
}

/// Prints the log of one task.
#[derive(Debug)]
pub(crate) struct Printer {
    style: Style,
    task: u32,
    epoch: Option<Epoch>,
    at_line_start: [bool; 2],
    /// Begun lines, when they are printed whole.
    begun: [Vec<u8>; 2],
}

impl Printer {
    pub(crate) fn new(style: Style, task: u32) -> Self {
        let begun = [Vec::new(), Vec::new()];
        Self { style, task, epoch: None, at_line_start: [true; 2], begun }
    }

    pub(crate) fn print(&mut self, piece: &LogPiece) {
        if self.style.json {
            output::json_line(piece);
            return;
        }
        if self.epoch.replace(piece.attempt.epoch) != Some(piece.attempt.epoch) {
            self.finish();
        }
        let bytes = BASE64.decode(piece.data.as_bytes()).unwrap_or_default();
        let bytes = if self.style.tasks {
            self.whole_lines(piece.stream, &bytes)
        } else if self.style.timestamps {
            self.stamped(piece, &bytes)
        } else {
            bytes
        };
        write(piece.stream, &bytes);
    }

    /// Ends the lines that the task has left open.
    pub(crate) fn finish(&mut self) {
        for stream in StreamName::ALL {
            let begun = std::mem::take(&mut self.begun[index(*stream)]);
            write(*stream, &self.named(&begun));
        }
    }

    fn whole_lines(&mut self, stream: StreamName, bytes: &[u8]) -> Vec<u8> {
        let begun = &mut self.begun[index(stream)];
        begun.extend_from_slice(bytes);
        let end = match begun.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None if begun.len() >= LINE_BYTES_MAX => begun.len(),
            None => 0,
        };
        let lines: Vec<u8> = begun.drain(..end).collect();
        self.named(&lines)
    }

    /// The lines, each behind its task's index and with an end.
    fn named(&self, lines: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(lines.len() + 64);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            text.extend_from_slice(format!("[{}] ", self.task).as_bytes());
            text.extend_from_slice(line);
        }
        if text.last().is_some_and(|byte| *byte != b'\n') {
            text.push(b'\n');
        }
        text
    }

    fn stamped(&mut self, piece: &LogPiece, bytes: &[u8]) -> Vec<u8> {
        let start = &mut self.at_line_start[index(piece.stream)];
        let mut text = Vec::with_capacity(bytes.len() + bytes.len() / 2);
        for (offset, byte) in (piece.offset..).zip(bytes) {
            if std::mem::replace(start, *byte == b'\n') {
                text.extend_from_slice(time_of(&piece.marks, offset).as_bytes());
            }
            text.push(*byte);
        }
        text
    }
}

const fn index(stream: StreamName) -> usize {
    match stream {
        StreamName::Stdout => 0,
        StreamName::Stderr => 1,
    }
}

fn write(stream: StreamName, bytes: &[u8]) {
    match stream {
        StreamName::Stdout if bytes.is_empty() => {}
        StreamName::Stdout => output::bytes(bytes),
        StreamName::Stderr => {
            // A reader that has gone is no failure of ours.
            let _ = std::io::stderr().lock().write_all(bytes);
        }
    }
}

fn time_of(marks: &[TimeMark], offset: u64) -> String {
    let before = marks.iter().take_while(|mark| mark.offset <= offset).last();
    before.map_or_else(|| "? ".to_owned(), |mark| format!("{} ", mark.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_many_tasks_are_whole_and_named() {
        let style = Style { tasks: true, ..Style::default() };
        let mut printer = Printer::new(style, 7);
        let mut lines = |text: &str| {
            String::from_utf8(printer.whole_lines(StreamName::Stdout, text.as_bytes())).unwrap()
        };
        assert_eq!(lines("a\nb"), "[7] a\n");
        assert_eq!(lines("c"), "");
        assert_eq!(lines("\n\nd"), "[7] bc\n[7] \n");
        assert_eq!(printer.begun[0], b"d");
        assert_eq!(printer.named(b"d"), b"[7] d\n", "an open line is ended");
        let long = "x".repeat(LINE_BYTES_MAX);
        let printed = printer.whole_lines(StreamName::Stderr, long.as_bytes());
        assert_eq!(printed.len(), LINE_BYTES_MAX + 5, "no line takes memory without bound");
    }
}
