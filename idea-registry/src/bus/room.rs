//! Room for what is asked: each class of questions has its own, so that none holds another up.
//!
//! A question is let in at once or refused at once (`E_BUSY`): whoever reads the wire never waits, and so nothing
//! piles up in front of it. What was let in waits for its turn among its own class alone. Both the number and the
//! bytes of what is let in are bounded, those of what is read from the wire by the class, those of an answer by its
//! own longest size times the turns.

use std::sync::Arc;

use mesh_schemas::{ErrorCode, Problem};
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions that take about as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The log grows by them: they wait for the one writer.
    Append,
    /// They read a few rows.
    Read,
    /// They may read everything.
    Whole,
}

/// How much of a class may be under way.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Let in.
    count: usize,
    /// Bytes of these.
    bytes: u32,
    /// Answered at a time.
    turns: usize,
}

impl Class {
    /// The class of a kind of question.
    pub(super) fn of(kind: &str) -> Self {
        match kind {
            "append" | "job_state" | "erase" => Self::Append,
            "rank" | "graph" => Self::Whole,
            _ => Self::Read,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Read => "read",
            Self::Whole => "whole",
        }
    }

    const fn bounds(self) -> Bounds {
        match self {
            // They share a commit: the more, the better. The writer's queue holds as many.
            Self::Append => Bounds { count: 4_096, bytes: 64 << 20, turns: 4_096 },
            // More at a time would wait for the same few connections.
            Self::Read => Bounds { count: 2_048, bytes: 16 << 20, turns: 16 },
            // Some of the connections stay for the others.
            Self::Whole => Bounds { count: 64, bytes: 1 << 20, turns: 2 },
        }
    }
}

/// The room of one class.
#[derive(Debug)]
struct Room {
    count: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// The rooms of all classes.
#[derive(Debug)]
pub(super) struct Rooms {
    append: Room,
    read: Room,
    whole: Room,
}

/// A question that was let in, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    turns: Arc<Semaphore>,
    _held: [OwnedSemaphorePermit; 2],
}

impl Rooms {
    pub(super) fn new() -> Self {
        let room = |class: Class| {
            let Bounds { count, bytes, turns } = class.bounds();
            let bytes = usize::try_from(bytes).unwrap_or(Semaphore::MAX_PERMITS);
            let of = |size| Arc::new(Semaphore::new(size));
            Room { count: of(count), bytes: of(bytes), turns: of(turns) }
        };
        Self { append: room(Class::Append), read: room(Class::Read), whole: room(Class::Whole) }
    }

    /// Lets a question of so many bytes in.
    ///
    /// # Errors
    /// `E_BUSY` when there is no room; `E_TOO_LARGE` when there never is.
    pub(super) fn enter(&self, class: Class, bytes: usize) -> Result<Place, Problem> {
        let room = match class {
            Class::Append => &self.append,
            Class::Read => &self.read,
            Class::Whole => &self.whole,
        };
        // An empty one takes a byte all the same: permits are counted from one.
        let bytes = u32::try_from(bytes.max(1)).unwrap_or(u32::MAX);
        if bytes > class.bounds().bytes {
            return Err(Problem::new(ErrorCode::TooLarge, "the question is too long"));
        }
        let count = Arc::clone(&room.count).try_acquire_owned();
        let bytes = Arc::clone(&room.bytes).try_acquire_many_owned(bytes);
        let (Ok(count), Ok(bytes)) = (count, bytes) else {
            counter!("mesh_ideas_asks_busy_total", "class" => class.name()).increment(1);
            let detail = format!("too many questions of the class {} are under way", class.name());
            return Err(Problem::new(ErrorCode::Busy, detail).hint("try again in a second"));
        };
        Ok(Place { turns: Arc::clone(&room.turns), _held: [count, bytes] })
    }
}

impl Place {
    /// Waits for those of the class that came before; it is its turn until the value is dropped.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // Turns are never closed.
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::ask::KINDS;

    fn fill(rooms: &Rooms, class: Class, bytes: usize) -> Vec<Place> {
        std::iter::from_fn(|| rooms.enter(class, bytes).ok()).collect()
    }

    #[test]
    fn a_full_class_is_refused_and_leaves_the_others_their_room() {
        let rooms = Rooms::new();
        for (class, other) in [
            (Class::Whole, Class::Read),
            (Class::Read, Class::Append),
            (Class::Append, Class::Whole),
        ] {
            let places = fill(&rooms, class, 100);
            assert_eq!(places.len(), class.bounds().count);
            assert_eq!(rooms.enter(class, 0).unwrap_err().code, ErrorCode::Busy);
            assert!(rooms.enter(other, 100).is_ok());
            let turns: Vec<_> = places.iter().map_while(|p| p.turn().now_or_never()).collect();
            assert_eq!(turns.len(), class.bounds().turns.min(places.len()));
            drop((turns, places));
            assert!(rooms.enter(class, 0).is_ok(), "there is room again");
        }
    }

    #[test]
    fn the_bytes_of_what_waits_are_bounded() {
        let rooms = Rooms::new();
        let places = fill(&rooms, Class::Append, 1 << 20);
        assert_eq!(places.len(), 64);
        assert_eq!(rooms.enter(Class::Append, 2).unwrap_err().code, ErrorCode::Busy);
        assert!(rooms.enter(Class::Read, 1 << 20).is_ok());
        let never = rooms.enter(Class::Whole, 2 << 20).unwrap_err();
        assert_eq!(never.code, ErrorCode::TooLarge);
    }

    #[test]
    fn what_makes_the_log_grow_and_what_reads_all_of_it_are_apart() {
        let of = |class| KINDS.into_iter().filter(move |kind| Class::of(kind) == class);
        assert_eq!(of(Class::Append).collect::<Vec<_>>(), ["append", "job_state", "erase"]);
        assert_eq!(of(Class::Whole).collect::<Vec<_>>(), ["rank", "graph"]);
    }
}
