//! A real file, written by the node's own journal in a process that is killed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use mesh_contract::record;
use mesh_node::agent::journal::{JOURNAL_FILE, Journal};
use mesh_node_core::journal::{Recovered, recover};
use mesh_tests::tmp;
use tempfile::TempDir;

use super::Disk;

/// Writes before the kill.
const WRITES: usize = 500;
/// Blocks of 512 bytes that a file may have: room for a few writes, and for a record of the next.
const BLOCKS_MAX: &str = "7";

pub(super) struct File(TempDir);

impl File {
    pub(super) fn new() -> Self {
        Self(tmp::dir("journal"))
    }

    fn writer(&self, mut command: Command) -> std::process::Child {
        command.arg("journal").arg(self.0.path()).stdout(Stdio::piped()).spawn().unwrap()
    }
}

impl Disk for File {
    async fn kill_amid_writes(&mut self) -> u64 {
        let mut writer = self.writer(Command::new(env!("CARGO_BIN_EXE_mesh-contract")));
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
        let before = lines.by_ref().take(WRITES).count();
        writer.kill().unwrap();
        writer.wait().unwrap();
        // A line that the kill cut is a write that was done and not said.
        u64::try_from(before + lines.count()).unwrap()
    }

    async fn write_until_full(&mut self) -> u64 {
        // No larger file can be written; the signal that comes with it is to be an error instead.
        let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", BLOCKS_MAX, env!("CARGO_BIN_EXE_mesh-contract")]);
        let mut writer = self.writer(command);
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
        let lines: Vec<String> = lines.collect();
        assert!(writer.wait().unwrap().success());
        let (last, done) = lines.split_last().unwrap();
        assert_eq!(last, "full");
        let text = std::fs::read(self.0.path().join(JOURNAL_FILE)).unwrap();
        assert_eq!(recover(&text).good, text.len(), "a write that was refused left something");
        u64::try_from(done.len()).unwrap()
    }

    async fn read(&mut self) -> Recovered {
        Journal::open(self.0.path()).unwrap().1
    }

    async fn append_after(&mut self, number: u64) -> bool {
        let (mut journal, _) = Journal::open(self.0.path()).unwrap();
        journal.append([record(number + 1)]).is_ok()
    }
}
