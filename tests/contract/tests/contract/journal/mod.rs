//! The disk under a node's journal: what was written survives the death of whoever wrote it, up to a torn
//! end; without room the file is as it was.
//!
//! What a power cut takes is the model's alone: a test can kill a process, and no test here can cut power.

mod file;
mod model;

use mesh_contract::{BATCH, numbers};
use mesh_node_core::journal::Recovered;

use crate::within::May;

/// A disk, and a writer who appends batches to a journal on it and compacts it now and then.
pub(crate) trait Disk {
    /// Lets it write until it is killed: how many writes it said were done.
    async fn kill_amid_writes(&mut self) -> u64;
    /// Lets it write until there is no room: how many writes it said were done.
    async fn write_until_full(&mut self) -> u64;
    /// The next life reads what is there.
    async fn read(&mut self) -> Recovered;
    /// There is room again, and the next life appends what follows this number: whether it could.
    async fn append_after(&mut self, number: u64) -> bool;
}

/// How many records were there beyond the writes that were done.
type Did = u64;

/// One run of numbers, of which the last is known.
fn last_of(found: &Recovered) -> u64 {
    assert!(!found.damaged, "a line in the middle cannot be read");
    let numbers = numbers(&found.records).expect("each is as it was written");
    let first = numbers.first().copied().unwrap_or(1);
    assert!((first..).zip(&numbers).all(|(wanted, found)| wanted == *found), "{numbers:?}");
    numbers.last().copied().unwrap_or(0)
}

async fn what_was_written_outlives_its_writer(disk: &mut impl Disk) -> Did {
    let done = disk.kill_amid_writes().await * BATCH;
    let last = last_of(&disk.read().await);
    assert!((done..=done + BATCH).contains(&last), "{done} were written, and {last} is the last");
    assert!(disk.append_after(last).await);
    assert_eq!(last_of(&disk.read().await), last + 1);
    last - done
}

async fn without_room_the_journal_is_as_it_was(disk: &mut impl Disk) -> Did {
    let done = disk.write_until_full().await * BATCH;
    let found = disk.read().await;
    assert_eq!(last_of(&found), done, "a write that was refused left something");
    assert!(disk.append_after(done).await, "there is room again");
    assert_eq!(last_of(&disk.read().await), done + 1);
    0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_keeps_what_was_written_when_its_writer_is_killed() {
    let may = May::of(async |seed| {
        what_was_written_outlives_its_writer(&mut model::Model::new(seed)).await
    });
    let may = may.await;
    for _ in 0..5 {
        may.admits(&what_was_written_outlives_its_writer(&mut file::File::new()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_room_is_as_it_was() {
    let may = May::of(async |seed| {
        without_room_the_journal_is_as_it_was(&mut model::Model::new(seed)).await
    });
    let did = without_room_the_journal_is_as_it_was(&mut file::File::new()).await;
    may.await.admits(&did);
}
