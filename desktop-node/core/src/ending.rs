//! What an end is called, and the event that says it.

use mesh_schemas::{
    AttemptKey, EndClass, Timestamp,
    manifest::ManifestSummary,
    message::{AttemptEnded, Usage},
};

use crate::{Exit, ExitHow, StopCause, Stopping};

/// Longest message of an end, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_024;
/// What a shell returns for a command that is there and cannot be run.
const NOT_EXECUTABLE: i32 = 126;

/// The end of an attempt that was stopped before its command ran.
pub(crate) fn never_ran(now: Timestamp) -> Exit {
    exit_without_run(now, ExitHow::NeverStarted)
}

/// The end of an attempt whose job asks for what cannot be.
pub(crate) fn unusable(now: Timestamp, message: String) -> Exit {
    exit_without_run(now, ExitHow::CannotStart { code: NOT_EXECUTABLE, message })
}

/// The end of an attempt that the node could not serve.
pub(crate) fn lost(now: Timestamp, message: String) -> Exit {
    exit_without_run(now, ExitHow::Lost { message })
}

fn exit_without_run(now: Timestamp, how: ExitHow) -> Exit {
    Exit { started_at: None, ended_at: now, how, usage: Usage::default() }
}

pub(crate) fn event(
    attempt: AttemptKey,
    stop: Option<Stopping>,
    exit: Exit,
    manifest: ManifestSummary,
) -> AttemptEnded {
    let (exit_code, signal) = codes(&exit.how);
    AttemptEnded {
        attempt,
        started_at: exit.started_at,
        ended_at: exit.ended_at,
        class: class(stop, &exit),
        exit_code,
        signal,
        message: message(stop, exit.how).map(fit),
        manifest,
        usage: exit.usage,
    }
}

/// Says why not all of its output is stored.
pub(crate) fn note_missing(ended: &mut AttemptEnded, missing: String) {
    ended.message = Some(fit(match ended.message.take() {
        Some(message) => format!("{message}; {missing}"),
        None => missing,
    }));
}

/// What was wanted names the end, except where the command was done before, or the node lost it.
fn class(stop: Option<Stopping>, exit: &Exit) -> EndClass {
    let Some(stop) = stop else { return class_of_exit(&exit.how) };
    let done_before = exit.how == ExitHow::Code(0) && exit.ended_at < stop.at;
    if done_before {
        return EndClass::Success;
    }
    let lost = matches!(exit.how, ExitHow::Lost { .. });
    match stop.cause {
        StopCause::Cancelled => EndClass::Cancelled,
        StopCause::Preempted | StopCause::Draining => EndClass::Preempted,
        StopCause::RunTimeout if !lost => EndClass::Timeout,
        StopCause::Stalled if !lost => EndClass::Stalled,
        // A fenced attempt is dropped and reaches no event; the class is the nearest one.
        StopCause::RunTimeout | StopCause::Stalled | StopCause::NoContact | StopCause::Fenced => {
            EndClass::NodeLost
        }
    }
}

const fn class_of_exit(how: &ExitHow) -> EndClass {
    match how {
        ExitHow::Code(0) => EndClass::Success,
        ExitHow::Code(_) | ExitHow::Signal(_) | ExitHow::CannotStart { .. } => EndClass::UserError,
        ExitHow::OutOfMemory { .. } => EndClass::OutOfMemory,
        ExitHow::NeverStarted | ExitHow::Lost { .. } => EndClass::NodeLost,
    }
}

const fn codes(how: &ExitHow) -> (Option<i32>, Option<i32>) {
    match how {
        ExitHow::Code(code) | ExitHow::CannotStart { code, .. } => (Some(*code), None),
        ExitHow::Signal(signal) => (None, Some(*signal)),
        ExitHow::OutOfMemory { signal } => (None, *signal),
        ExitHow::NeverStarted | ExitHow::Lost { .. } => (None, None),
    }
}

fn message(stop: Option<Stopping>, how: ExitHow) -> Option<String> {
    match how {
        ExitHow::CannotStart { message, .. } | ExitHow::Lost { message } => Some(message),
        ExitHow::Code(_)
        | ExitHow::Signal(_)
        | ExitHow::OutOfMemory { .. }
        | ExitHow::NeverStarted => match stop?.cause {
            StopCause::Draining => Some("node is draining".into()),
            StopCause::NoContact => Some("the orchestrator was not heard for too long".into()),
            StopCause::Cancelled
            | StopCause::Preempted
            | StopCause::RunTimeout
            | StopCause::Stalled
            | StopCause::Fenced => None,
        },
    }
}

/// Cuts a message to its limit, between characters.
fn fit(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
        message.truncate(end);
    }
    message
}
