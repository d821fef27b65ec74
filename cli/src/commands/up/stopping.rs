//! The end of a cluster: says what it waits for while tasks run out.

use std::time::Duration;

use mesh_schemas::{Span, api::ServerInfo};
use tokio_util::sync::CancellationToken;

use super::children::Children;
use crate::{client::Client, output};

/// Between looks at how many tasks are left.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one look may take.
const LOOK_WAIT: Duration = Duration::from_secs(2);

/// Stops all parts; `now` ends the patience with tasks.
pub(super) async fn stop(
    children: &mut Children,
    client: &Client,
    drain: Span,
    now: &CancellationToken,
) {
    let held = held(client).await;
    output::note(first_words(held, drain));
    tokio::select! {
        () = children.stop_nodes(drain, now) => {}
        () = count_down(client, held, now) => {}
    }
    children.stop_rest(now).await;
}

/// What is waited for, and how to end that.
fn first_words(held: Option<u64>, drain: Span) -> String {
    match held {
        Some(held) if held > 0 => {
            let tasks = output::count(held, "task");
            let verb = if held == 1 { "runs" } else { "run" };
            format!(
                "stopping: {tasks} still {verb} and may go on for {drain}; what has not ended by then \
                 runs again after the next start; Ctrl-C again ends at once"
            )
        }
        Some(_) | None => "stopping …".into(),
    }
}

/// Tells of each change in the number of tasks that are left. Never returns: the nodes' end ends it.
async fn count_down(client: &Client, mut said: Option<u64>, now: &CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = now.cancelled() => {
                output::note("ending at once: what runs is killed and will run again");
                std::future::pending::<()>().await;
            }
        }
        let left = held(client).await;
        if left.is_some() && left != said {
            said = left;
            output::note(format!("{} left", output::count(left.unwrap_or_default(), "task")));
        }
    }
}

/// Tasks that nodes hold; unknown when the orchestrator does not answer.
async fn held(client: &Client) -> Option<u64> {
    let asked = tokio::time::timeout(LOOK_WAIT, client.get::<ServerInfo>("/info")).await;
    asked.ok()?.ok().map(|info| info.tasks_held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_waited_for_and_how_to_end_it() {
        let drain = Span::from_secs(30);
        let words = first_words(Some(1), drain);
        assert!(words.starts_with("stopping: 1 task still runs and may go on for 30s"), "{words}");
        assert!(words.ends_with("Ctrl-C again ends at once"));
        assert!(first_words(Some(2), drain).starts_with("stopping: 2 tasks still run and"));
        assert_eq!(first_words(Some(0), drain), "stopping …");
        assert_eq!(first_words(None, drain), "stopping …");
    }
}
