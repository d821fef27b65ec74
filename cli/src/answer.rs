//! Failed requests in words for people, and whether another orchestrator may do better.

use std::error::Error as _;

use mesh_schemas::{ErrorCode, Problem};
use reqwest::StatusCode;
use serde::Deserialize;

/// A request that did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) problem: Problem,
    pub(crate) away: Away,
}

/// Whether the server that was asked can serve at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Away {
    /// It can: the answer is its own.
    No,
    /// It has done nothing of what was asked: it was not reached, or it does not lead.
    Surely,
    /// It was asked and did not answer: what was asked may be done.
    Perhaps,
}

/// What every error has; its code may be one of a newer version.
#[derive(Debug, Deserialize)]
struct Loose {
    code: String,
    detail: String,
    #[serde(default)]
    hint: Option<String>,
}

/// No answer came.
pub(crate) fn no_answer(server: &str, error: &reqwest::Error) -> Failure {
    let away = if error.is_connect() { Away::Surely } else { Away::Perhaps };
    let why = if error.is_timeout() { "it takes too long".to_owned() } else { root(error) };
    let problem = Problem::new(ErrorCode::Unreachable, format!("{server} does not answer: {why}"))
        .hint("is `mesh up` running? `mesh doctor` looks closer");
    Failure { problem, away }
}

/// An answer that is no success.
pub(crate) fn refused(server: &str, status: StatusCode, body: &[u8]) -> Failure {
    let loose: Option<Loose> = serde_json::from_slice(body).ok();
    let code = loose.as_ref().map(|loose| loose.code.as_str());
    let away = match code {
        Some("E_STANDBY") => Away::Surely,
        // The lead was lost in the middle of it.
        Some("E_NOT_LEADER") => Away::Perhaps,
        Some(_) | None => Away::No,
    };
    let problem = match (serde_json::from_slice::<Problem>(body), loose) {
        (Ok(problem), _) => problem,
        (Err(_), Some(loose)) => of_newer_version(status, loose),
        (Err(_), None) => strange(server, status),
    };
    Failure { problem, away }
}

/// The words of a newer server, under the code that comes nearest.
fn of_newer_version(status: StatusCode, loose: Loose) -> Problem {
    let code = match status.as_u16() {
        401 | 403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        409 => ErrorCode::WrongState,
        429 | 502..=504 => ErrorCode::Unreachable,
        400..=499 => ErrorCode::Invalid,
        _ => ErrorCode::Internal,
    };
    let problem = Problem::new(code, format!("{} ({})", loose.detail, loose.code));
    match loose.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// An answer of something that does not speak as an orchestrator does.
pub(crate) fn strange(server: &str, status: StatusCode) -> Problem {
    let mine = env!("CARGO_PKG_VERSION");
    Problem::new(
        ErrorCode::Unreachable,
        format!("{server} answered {status} in a form that this command does not know"),
    )
    .hint(format!("is that the address of an orchestrator, and of version {mine} like this?"))
}

/// One problem for all servers that were asked.
pub(crate) fn summed_up(mut problems: Vec<Problem>) -> Problem {
    match problems.pop() {
        Some(only) if problems.is_empty() => only,
        last => {
            let details: Vec<String> =
                problems.into_iter().chain(last).map(|problem| problem.detail).collect();
            let text = format!("no orchestrator leads now: {}", details.join("; "));
            Problem::new(ErrorCode::Unreachable, text)
                .hint("another one leads within seconds when one of them is up")
        }
    }
}

/// The innermost cause, which alone says something to people. Addresses are left out: the server is
/// named beside it, and paths are ours.
fn root(error: &reqwest::Error) -> String {
    let mut text = None;
    let mut cause = error.source();
    while let Some(error) = cause {
        text = Some(error.to_string());
        cause = error.source();
    }
    text.unwrap_or_else(|| "the connection failed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orchestrator_that_does_not_lead_has_done_nothing() {
        let body = br#"{"code":"E_STANDBY","detail":"this orchestrator stands by"}"#;
        let failure = refused("http://a", StatusCode::SERVICE_UNAVAILABLE, body);
        assert_eq!(failure.away, Away::Surely);
        assert_eq!(failure.problem.code.exit_code(), 7);
        assert!(failure.problem.detail.contains("stands by"), "{}", failure.problem);
        let body = br#"{"code":"E_NOT_LEADER","detail":"it leads no more"}"#;
        let failure = refused("http://a", StatusCode::SERVICE_UNAVAILABLE, body);
        assert_eq!(failure.away, Away::Perhaps);
    }

    #[test]
    fn what_newer_servers_say_is_shown() {
        let body = br#"{"code":"E_NEW","detail":"too many cooks","hint":"fewer","more":1}"#;
        let Failure { problem, away } = refused("http://a", StatusCode::CONFLICT, body);
        assert_eq!((problem.code, away), (ErrorCode::WrongState, Away::No));
        assert_eq!(problem.detail, "too many cooks (E_NEW)");
        assert_eq!(problem.hint.as_deref(), Some("fewer"));
    }

    #[test]
    fn several_failures_are_one_problem_that_names_each() {
        let away = |name: &str| Problem::new(ErrorCode::Unreachable, format!("{name} is away"));
        assert_eq!(summed_up(vec![away("a")]), away("a"));
        let both = summed_up(vec![away("a"), away("b")]);
        assert_eq!(both.detail, "no orchestrator leads now: a is away; b is away");
    }
}
