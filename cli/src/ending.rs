//! How a job ended, in one line for a person.

use mesh_schemas::{
    EndClass, Problem, Span, TaskState,
    api::{AttemptView, JobDetail, TaskView},
    attempt::JobState,
};

use crate::{client::Client, output};

/// What a shell says for a command that a signal ended: 128 and the signal's number.
const SIGNAL_BASE: i32 = 128;

/// Why a job did not succeed.
#[derive(Debug)]
pub(crate) struct Ending {
    /// One line.
    pub(crate) line: String,
    /// The exit code of its first failed task's command.
    pub(crate) code: Option<i32>,
}

/// `None` when the job has succeeded, or not ended.
pub(crate) async fn of(client: &Client, job: &JobDetail) -> Result<Option<Ending>, Problem> {
    let state = match job.view.state {
        JobState::Queued | JobState::Running | JobState::Succeeded => return Ok(None),
        JobState::Failed => TaskState::Failed,
        JobState::Cancelled => TaskState::Cancelled,
        JobState::Quarantined => TaskState::Quarantined,
    };
    let path = format!("/jobs/{}/tasks?state={state}", job.view.id);
    let first: Vec<TaskView> = client.pages(&path, 1).await?;
    Ok(Some(ending(job, first.first())))
}

fn ending(job: &JobDetail, first: Option<&TaskView>) -> Ending {
    let (id, state, counts) = (job.view.id, job.view.state, job.view.counts);
    let what = first.map(|task| what_happened(job, task)).unwrap_or_default();
    let line = match first {
        Some(task) if counts.total > 1 => {
            let bad = counts.failed + counts.quarantined + counts.cancelled;
            format!("{id} {state}: {bad} of {} tasks; task {} {what}", counts.total, task.task)
        }
        Some(_) => format!("{id} {state}: it {what}"),
        None => format!("{id} {state}"),
    };
    let signal = |last: &AttemptView| last.signal.map(|signal| SIGNAL_BASE + signal);
    let last = first.and_then(|task| task.last.as_ref());
    let code = last.and_then(|last| last.exit_code.or_else(|| signal(last)));
    Ending { line: output::inert(&line), code }
}

fn what_happened(job: &JobDetail, task: &TaskView) -> String {
    let Some(last) = &task.last else { return without_attempt(job, task.state) };
    let what = by_class(job, last);
    let what = match &last.message {
        Some(message) => format!("{what} ({message})"),
        None => what,
    };
    if task.attempts > 1 { format!("{what}, at attempt {}", task.attempts) } else { what }
}

fn without_attempt(job: &JobDetail, state: TaskState) -> String {
    match (state, job.spec.timeouts.queue) {
        (TaskState::Failed, Some(limit)) => {
            format!("waited for a node longer than its queue time-out of {limit}")
        }
        _ => format!("was {state} before it started"),
    }
}

fn by_class(job: &JobDetail, last: &AttemptView) -> String {
    let limits = &job.spec.timeouts;
    let of = |limit: Option<Span>| limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    match last.class {
        Some(EndClass::Timeout) => {
            format!("was stopped: it ran longer than its time-out{}", of(limits.run))
        }
        Some(EndClass::Stalled) => {
            format!("was stopped: it wrote nothing for its stall time-out{}", of(limits.stall))
        }
        Some(EndClass::OutOfMemory) => {
            format!("was killed for its memory; it had asked for {}", job.spec.resources.memory)
        }
        Some(EndClass::NodeLost) => "lost its node".into(),
        Some(EndClass::Preempted) => "given back, or made room for other work".into(),
        Some(EndClass::OwnerReclaimed) => "lost its node to the owner".into(),
        Some(EndClass::Budget) => "ran out of budget".into(),
        Some(EndClass::Cancelled) => "was cancelled".into(),
        Some(EndClass::UserError | EndClass::Success) | None => match (last.exit_code, last.signal)
        {
            (_, Some(signal)) => format!("was ended by signal {signal}{}", name(signal)),
            (Some(code), None) => format!("ended with exit code {code}"),
            (None, None) => "could not be started".into(),
        },
    }
}

/// The names that people know.
const fn name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        14 => " (SIGALRM)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(total: u32) -> JobDetail {
        let id = "job_0190f3a1b2c37d4e8f5061728394a5b6";
        let counts = json!({
            "total": total, "queued": 0, "leased": 0, "running": 0, "succeeded": total - 1,
            "failed": 1, "cancelled": 0, "quarantined": 0,
        });
        serde_json::from_value(json!({
            "id": id, "name": "a", "project": "default", "state": "failed", "counts": counts,
            "trace_id": "0", "created_at": "2026-01-01T00:00:00Z", "cancel_requested": false,
            "spec": {"command": ["a"], "timeouts": {"run": "10s", "stall": "5m", "queue": "1s"}},
        }))
        .unwrap()
    }

    fn line(total: u32, attempts: u32, last: Value) -> String {
        let job = job(total);
        let mut last = last;
        if let Value::Object(fields) = &mut last {
            let attempt = json!({"job": job.view.id, "task": 3, "epoch": attempts});
            fields.insert("attempt".into(), attempt);
            fields.insert("node".into(), json!("node_0190f3a1b2c37d4e8f5061728394a5b6"));
            fields.insert("trace_id".into(), json!("0"));
            fields.insert("leased_at".into(), json!("2026-01-01T00:00:00Z"));
        }
        let task = json!({"task": 3, "state": "failed", "attempts": attempts, "last": last});
        let task: TaskView = serde_json::from_value(task).unwrap();
        let line = ending(&job, Some(&task)).line;
        line.split_once("failed: ").unwrap().1.to_owned()
    }

    #[test]
    fn each_kind_of_end_is_named() {
        for (last, wanted) in [
            (json!({"class": "timeout", "signal": 15}), "longer than its time-out of 10s"),
            (json!({"class": "stalled", "signal": 15}), "nothing for its stall time-out of 5m"),
            (json!({"class": "user_error", "signal": 9}), "was ended by signal 9 (SIGKILL)"),
            (json!({"class": "user_error", "exit_code": 3}), "it ended with exit code 3"),
            (json!({"class": "out_of_memory"}), "killed for its memory"),
            (json!({"class": "user_error", "message": "no such file"}), "started (no such file)"),
            (Value::Null, "queue time-out of 1s"),
        ] {
            let line = line(1, 1, last);
            assert!(line.contains(wanted), "{line:?} lacks {wanted:?}");
        }
    }

    #[test]
    fn of_many_tasks_the_first_that_failed_stands_for_all() {
        let line = line(10, 2, json!({"class": "user_error", "exit_code": 3}));
        assert_eq!(line, "1 of 10 tasks; task 3 ended with exit code 3, at attempt 2");
    }

    #[test]
    fn the_exit_code_is_the_commands_own_or_what_a_shell_says() {
        let code = |last: Value| {
            let mut last = last;
            last["attempt"] = json!({"job": job(1).view.id, "task": 0, "epoch": 1});
            last["node"] = json!("node_0190f3a1b2c37d4e8f5061728394a5b6");
            last["trace_id"] = json!("0");
            last["leased_at"] = json!("2026-01-01T00:00:00Z");
            let task = json!({"task": 0, "state": "failed", "attempts": 1, "last": last});
            ending(&job(1), Some(&serde_json::from_value(task).unwrap())).code
        };
        assert_eq!(code(json!({"exit_code": 3})), Some(3));
        assert_eq!(code(json!({"signal": 9})), Some(137));
        assert_eq!(code(json!({})), None);
    }
}
