//! The journal's file: `journal.log`, one JSON line for each record of the core.
//!
//! Records are written before anything is said or done outside, so the agent may be killed at any
//! instant. They are not fsynced: what was written survives the death of the process, and a power cut
//! ends the work as well. After it the orchestrator sends again whatever no beat names, and a new boot
//! numbers its events in a new journal, so that a lost tail cannot make it give a number twice.
//!
//! The lines hold jobs' variables, which may be secrets: only the node's own user may read the file.
//!
//! A torn last line is cut off. A damaged line in the middle ends what is read; the file is kept aside.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use mesh_node_core::{
    Record,
    journal::{Recovered, recover, write_line},
};

/// The file's name below the data directory.
pub const JOURNAL_FILE: &str = "journal.log";
/// A journal shorter than this is never compacted, in bytes.
const COMPACT_BYTES_MIN: u64 = 4 << 20;
/// Mode of the file and its copies.
const PRIVATE: u32 = 0o600;

/// The open journal, at its end.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Its length after the last compaction.
    compact_bytes: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens or makes the journal of a node.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn open(data_dir: &Path) -> io::Result<(Self, Recovered)> {
        let path = data_dir.join(JOURNAL_FILE);
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(PRIVATE).open(&path)?;
        // An older version may have made it for all to read; a copy takes its mode from here.
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
        let mut text = Vec::new();
        io::Read::read_to_end(&mut file, &mut text)?;
        let found = recover(&text);
        if found.damaged {
            let aside = path.with_extension("log.damaged");
            std::fs::copy(&path, &aside)?;
            tracing::error!(
                file = %aside.display(),
                "A line of the journal is damaged; the file was kept aside"
            );
        }
        let bytes = found.good as u64;
        file.set_len(bytes)?;
        let journal = Self { path, file, bytes, compact_bytes: 0, buffer: Vec::new() };
        Ok((journal, found))
    }

    /// Appends records in one write.
    ///
    /// # Errors
    /// Whatever the system says; the file is then as long as before.
    pub fn append(&mut self, records: impl IntoIterator<Item = Record>) -> io::Result<()> {
        self.buffer.clear();
        for record in records {
            write_line(record, &mut self.buffer)?;
        }
        if let Err(error) = self.file.write_all(&self.buffer) {
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += self.buffer.len() as u64;
        Ok(())
    }

    /// True when most of the file is likely to be history.
    pub fn wants_compaction(&self) -> bool {
        self.bytes >= COMPACT_BYTES_MIN.max(self.compact_bytes.saturating_mul(4))
    }

    /// Replaces the file by these records, in one step.
    ///
    /// # Errors
    /// Whatever the system says; the old file is then still in use.
    pub fn compact(&mut self, records: Vec<Record>) -> io::Result<()> {
        let mut text = Vec::new();
        for record in records {
            write_line(record, &mut text)?;
        }
        let fresh = self.path.with_extension("log.new");
        // What a compaction that was killed left behind may be longer, and of another mode.
        let _absent = std::fs::remove_file(&fresh);
        let mut file =
            OpenOptions::new().append(true).create_new(true).mode(PRIVATE).open(&fresh)?;
        file.write_all(&text)?;
        std::fs::rename(&fresh, &self.path)?;
        self.file = file;
        self.bytes = text.len() as u64;
        self.compact_bytes = self.bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mesh_node_core::StopCause;
    use mesh_schemas::message::{NodeEvent, StartTasks, TaskStart};
    use mesh_schemas::{AttemptKey, Epoch, JobId, JobSpec, JournalId, Timestamp, TraceParent};

    use super::*;

    fn records() -> Vec<Record> {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let attempt = AttemptKey { job, task: 3, epoch: Epoch(2) };
        let journal = JournalId::from_uuid(uuid::Uuid::from_u128(2));
        let at = Timestamp::from_millis(5);
        let task = TaskStart { task: 3, epoch: Epoch(2), item: None, checkpoint: None };
        let run = (&JobSpec::new(["true"])).into();
        let trace = TraceParent::new(1, 2);
        let mut records = vec![
            Record::Opened { journal, boot: "b".into() },
            Record::Accepted(Box::new(StartTasks {
                job,
                run,
                trace,
                journal: None,
                tasks: vec![task],
            })),
            Record::Event { seq: 1, event: NodeEvent::AttemptStarted { attempt, at } },
            Record::Recorded { seq: 1 },
            Record::Dropped { attempt },
            Record::Tombstones(vec![attempt]),
        ];
        let stopping = |cause| Record::Stopping { attempt, cause, at };
        records.extend(StopCause::ALL.map(stopping));
        records
    }

    #[test]
    fn each_record_survives_the_file() {
        let dir = tempfile::tempdir().unwrap();
        Journal::open(dir.path()).unwrap().0.append(records()).unwrap();
        let (_, found) = Journal::open(dir.path()).unwrap();
        assert_eq!(found.records, records());
        assert!(!found.damaged);
    }

    #[test]
    fn a_last_line_torn_anywhere_is_cut_off_and_writing_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(JOURNAL_FILE);
        Journal::open(dir.path()).unwrap().0.append(records()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        for end in last..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let (mut journal, found) = Journal::open(dir.path()).unwrap();
            assert_eq!(found.records, records()[..records().len() - 1], "torn at {end}");
            assert!(!found.damaged);
            journal.append(records().pop()).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn a_damaged_line_keeps_what_came_before_and_the_file_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(JOURNAL_FILE);
        let mut journal = Journal::open(dir.path()).unwrap().0;
        journal.append(records().into_iter().take(1)).unwrap();
        journal.file.write_all(b"\xff{]\n").unwrap();
        journal.append(records()).unwrap();
        let (_, found) = Journal::open(dir.path()).unwrap();
        assert_eq!((found.records, found.damaged), (records()[..1].to_vec(), true));
        assert!(path.with_extension("log.damaged").exists());
    }

    #[test]
    fn the_journal_and_its_copies_are_readable_by_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(JOURNAL_FILE);
        std::fs::write(&path, "no line\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut journal = Journal::open(dir.path()).unwrap().0;
        assert_eq!([mode(&path), mode(&path.with_extension("log.damaged"))], [PRIVATE; 2]);
        journal.compact(records()).unwrap();
        assert_eq!(mode(&path), PRIVATE);
        std::fs::remove_file(&path).unwrap();
        Journal::open(dir.path()).unwrap();
        assert_eq!(mode(&path), PRIVATE);
    }

    #[test]
    fn compaction_replaces_the_file_and_appending_goes_on_in_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap().0;
        while !journal.wants_compaction() {
            journal.append(std::iter::repeat_n(records(), 1_000).flatten()).unwrap();
        }
        journal.compact(records()).unwrap();
        assert!(!journal.wants_compaction());
        journal.append(records()).unwrap();
        let (_, found) = Journal::open(dir.path()).unwrap();
        assert_eq!(found.records, [records(), records()].concat());
    }
}
