//! A round as one text with its arguments, so that a commit costs one exchange with the database.
//!
//! A statement for each table costs a journey to the database and back, or to SQLite's thread; with eight of
//! them a round of one short task took longer to say than to write. SQLite runs the statements one after the
//! other in one text, PostgreSQL as parts of one statement (`WITH`), which see each other's rows no more than they
//! need to: each writes rows that no other one of the round touches.

use std::fmt::Write as _;

use serde::Serialize;

use super::{StoreError, rows::json, sql::Dialects};

/// Takes the round's numbers of events; no row when another leader is in charge, or this one has loaded the
/// state again since. `$1` is the leader, `$2` how many events there are, `$3` the stream's position or null,
/// `$4` the load.
const FENCE: &str = "UPDATE meta SET event_seq = event_seq + $2, position = COALESCE($3, position) \
    WHERE leader = $1 AND loads = $4 RETURNING event_seq";
/// The arguments of [`FENCE`].
const FENCE_ARGS: usize = 4;

/// One statement over the rows of a JSON array.
#[derive(Debug)]
struct Part {
    text: Dialects,
    rows: String,
}

/// A round: the fence first, then its parts in their order.
#[derive(Debug)]
pub(super) struct Script {
    /// The leader's epoch.
    pub(super) leader: i64,
    /// How many events the round appends.
    pub(super) events: i64,
    /// The stream's new position; absent to leave it.
    pub(super) position: Option<i64>,
    /// The load of the state that the round was decided on.
    pub(super) load: i64,
    parts: Vec<Part>,
}

impl Script {
    /// A round that writes nothing yet.
    pub(super) const fn new(leader: i64, load: i64, events: i64, position: Option<i64>) -> Self {
        Self { leader, events, position, load, parts: Vec::new() }
    }

    /// Writes all rows with one statement, or a few when they are many. Does nothing when there are none.
    pub(super) fn write<R: Serialize>(
        &mut self,
        text: Dialects,
        rows: impl Iterator<Item = R>,
    ) -> Result<(), StoreError> {
        let parts = json::chunks(rows)?.into_iter().map(|rows| Part { text, rows });
        self.parts.extend(parts);
        Ok(())
    }

    /// One statement after the other.
    pub(super) fn sqlite(&self) -> String {
        let mut text = format!("BEGIN IMMEDIATE; {FENCE}");
        for statement in self.texts(|text| text.sqlite) {
            text.push_str("; ");
            text.push_str(&statement);
        }
        text.push_str("; COMMIT");
        text
    }

    /// One statement.
    pub(super) fn postgres(&self) -> String {
        let mut text = format!("WITH fence AS ({FENCE})");
        for (number, statement) in self.texts(|text| text.postgres).enumerate() {
            // Writing to a string cannot fail.
            let _written = write!(text, ", part{number} AS ({statement})");
        }
        text.push_str(" SELECT event_seq FROM fence");
        text
    }

    fn texts(&self, choose: fn(&Dialects) -> &'static str) -> impl Iterator<Item = String> {
        let numbered = self.parts.iter().enumerate();
        numbered.map(move |(index, part)| {
            choose(&part.text).replace("{rows}", &format!("${}", FENCE_ARGS + 1 + index))
        })
    }

    /// The rows of the parts, in their order: the arguments after those of the fence.
    pub(super) fn into_rows(self) -> impl Iterator<Item = String> {
        self.parts.into_iter().map(|part| part.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::fenced_rows;

    #[test]
    fn each_part_names_its_own_argument() {
        const A: Dialects = fenced_rows!("INSERT INTO a SELECT r.value", "");
        let mut script = Script::new(1, 1, 0, None);
        script.write(A, std::iter::empty::<u8>()).unwrap();
        script.write(A, [1].iter()).unwrap();
        script.write(A, [2].iter()).unwrap();
        let (sqlite, postgres) = (script.sqlite(), script.postgres());
        for text in [&sqlite, &postgres] {
            assert!(text.contains("($5") && text.contains("($6") && !text.contains("{rows}"));
        }
        assert!(sqlite.ends_with("; COMMIT"), "{sqlite}");
        assert_eq!(script.into_rows().collect::<Vec<_>>(), ["[1]", "[2]"]);
    }
}
