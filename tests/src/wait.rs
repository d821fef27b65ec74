//! Waiting for a state: never for an amount of time.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Looks until the answer is true.
///
/// # Panics
/// After the deadline, naming what was waited for.
pub async fn wait_until(deadline: Duration, what: &str, mut look: impl AsyncFnMut() -> bool) {
    wait_for(deadline, what, async || look().await.then_some(())).await;
}

/// Looks until there is an answer.
///
/// # Panics
/// After the deadline, naming what was waited for; also when one look takes that long.
pub async fn wait_for<T>(
    deadline: Duration,
    what: &str,
    look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let found = look_for(deadline, look).await;
    found.unwrap_or_else(|| panic!("waited {deadline:?} for: {what}"))
}

/// Looks until there is an answer; `None` after the deadline, for callers that know why.
pub async fn look_for<T>(
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(deadline, looking).await.ok()
}

/// [`wait_until`] for code without a runtime; says whether it came to pass.
pub fn look_until(deadline: Duration, mut look: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < deadline {
        if look() {
            return true;
        }
        thread::sleep(LOOK_EVERY);
    }
    look()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_what_was_found() {
        let mut looks = 0;
        let found = wait_for(Duration::from_secs(5), "three looks", async || {
            looks += 1;
            (looks == 3).then_some("found")
        });
        assert_eq!(found.await, "found");
    }

    #[tokio::test]
    #[should_panic(expected = "waited 20ms for: what never comes")]
    async fn it_names_what_did_not_come() {
        wait_until(Duration::from_millis(20), "what never comes", async || false).await;
    }
}
