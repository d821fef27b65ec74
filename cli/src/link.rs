//! What is said while the cluster is out of reach: once that it is lost, once that it is back.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use mesh_schemas::{ErrorCode, Problem};

use crate::output;

/// The state of the line to the cluster, as told on stderr.
#[derive(Debug, Default)]
pub(crate) struct Link {
    lost: AtomicBool,
    /// What was last said of a cluster that answers but cannot serve for now.
    said: Mutex<String>,
}

impl Link {
    /// A request failed that will be made again.
    pub(crate) fn lost(&self, problem: &Problem) {
        if let Some(text) = self.news(problem) {
            output::note(text);
        }
    }

    /// A request was answered.
    pub(crate) fn found(&self) {
        if self.lost.swap(false, Ordering::Relaxed) {
            output::note("the server is back");
        }
    }

    /// What is worth saying of this failure, after all that was said before.
    fn news(&self, problem: &Problem) -> Option<String> {
        let detail = output::inert(&problem.detail);
        if problem.code == ErrorCode::Unreachable {
            let was_lost = self.lost.swap(true, Ordering::Relaxed);
            return (!was_lost).then(|| format!("lost the server, trying again … ({detail})"));
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said == detail {
            return None;
        }
        said.clone_from(&detail);
        Some(format!("{detail}; trying again …"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_said_once() {
        let link = Link::default();
        let away = Problem::new(ErrorCode::Unreachable, "a does not answer");
        assert_eq!(
            link.news(&away).as_deref(),
            Some("lost the server, trying again … (a does not answer)")
        );
        assert_eq!(link.news(&away), None);
        let busy = Problem::new(ErrorCode::Busy, "too many");
        assert_eq!(link.news(&busy).as_deref(), Some("too many; trying again …"));
        assert_eq!(link.news(&busy), None);
        assert_eq!(link.news(&away), None, "it was never found again");
        link.found();
        assert!(link.news(&away).is_some());
    }
}
