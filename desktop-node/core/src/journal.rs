//! The journal as text: one JSON line for each record, and what a torn or damaged text still says.
//!
//! A record that was appended whole is read again. A torn last line is cut off, as it was never acted
//! upon. A damaged line in the middle ends what is read: numbers of the lines after it may have been
//! recorded, so whoever restores the node must let them begin anew.

use crate::{Record, line::Line};

/// What a journal's text says.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Its records, in order.
    pub records: Vec<Record>,
    /// Length of their text in bytes: what follows is to be cut off before anything is appended.
    pub good: usize,
    /// A line in the middle could not be read: what followed is lost, and numbers must begin anew.
    pub damaged: bool,
}

/// Appends a record's line to `out`.
///
/// # Errors
/// When the record has no text; none of ours is like that.
pub fn write_line(record: Record, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *out, &Line::from(record))?;
    out.push(b'\n');
    Ok(())
}

/// The records of the whole lines that can be read, up to the first that cannot.
pub fn recover(text: &[u8]) -> Recovered {
    let mut found = Recovered::default();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let record = line.strip_suffix(b"\n").and_then(Line::read);
        let Some(record) = record else { break };
        found.records.push(record);
        found.good += line.len();
    }
    found.damaged = text.get(found.good..).is_some_and(|rest| rest.contains(&b'\n'));
    found
}
