//! Room for the asks that need the object store, so that a store that hangs takes nothing else with it.

use std::{sync::Arc, time::Duration};

use mesh_schemas::{ErrorCode, Problem, message::NodeAnswer};
use tokio::{sync::Semaphore, time::timeout};

/// Asks that are being answered at once.
const RUNNING_MAX: usize = 64;
/// Asks that are held at all, running or waiting; each holds its message.
const HELD_MAX: usize = 4_096;
/// Longest time for one ask, its wait included. Nodes give up after 10 s: a later answer helps nobody.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(9);

/// Bounds how many answers are worked on, and for how long. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Room {
    running: Arc<Semaphore>,
    held: Arc<Semaphore>,
    wait: Duration,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(RUNNING_MAX, HELD_MAX, ANSWER_WAIT_MAX)
    }
}

impl Room {
    fn new(running: usize, held: usize, wait: Duration) -> Self {
        let (running, held) = (Semaphore::new(running), Semaphore::new(held));
        Self { running: Arc::new(running), held: Arc::new(held), wait }
    }

    /// The answer when there is room and time for it, else `E_OBJECTS_DOWN`.
    pub(super) async fn within(&self, answer: impl Future<Output = NodeAnswer>) -> NodeAnswer {
        let Ok(_held) = self.held.try_acquire() else {
            return late("too many asks wait for the object store");
        };
        let running = async {
            let _running = self.running.acquire().await;
            answer.await
        };
        let answered = timeout(self.wait, running).await;
        answered.unwrap_or_else(|_| late("the object store did not answer in time"))
    }
}

fn late(why: &str) -> NodeAnswer {
    NodeAnswer::Refused(
        Problem::new(ErrorCode::ObjectsDown, why).hint("try again in a few seconds"),
    )
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn is_down(answer: &NodeAnswer) -> bool {
        matches!(answer, NodeAnswer::Refused(problem) if problem.code == ErrorCode::ObjectsDown)
    }

    #[tokio::test]
    async fn what_hangs_is_ended_and_makes_room_for_others() {
        let room = Room::new(1, 2, Duration::from_millis(50));
        let (stuck, waiting, refused) = tokio::join!(
            room.within(pending()),
            room.within(pending()),
            room.within(ready(NodeAnswer::Present)),
        );
        assert!(is_down(&stuck) && is_down(&waiting) && is_down(&refused));
        assert_eq!(room.within(ready(NodeAnswer::Present)).await, NodeAnswer::Present);
    }
}
