//! Why nothing is signed and appended any more, when the log cannot go on.

use std::sync::{Arc, OnceLock};

use mesh_schemas::{ErrorCode, Problem};

/// Set once, and for good: only a new origin leads on. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Halt(Arc<OnceLock<Problem>>);

impl Halt {
    /// Refuses everything that would let the log grow.
    ///
    /// # Errors
    /// Why it was halted.
    pub fn check(&self) -> Result<(), Problem> {
        self.0.get().map_or(Ok(()), |problem| Err(problem.clone()))
    }

    /// Why it was halted.
    pub fn reason(&self) -> Option<String> {
        self.0.get().map(|problem| problem.detail.clone())
    }

    /// Halts; the first reason stays.
    pub(crate) fn halt(&self, code: ErrorCode, detail: impl Into<String>) {
        let problem = Problem::new(code, detail).hint(
            "`mesh-ideas verify` says what is there; put back a newer backup, or `mesh-ideas rebuild --from tiles` brings \
             back the entries that the files hold; else `mesh-ideas restart-origin` goes on with a new origin",
        );
        tracing::error!("The log is halted: {}", problem.detail);
        // Somebody else was first.
        let _first = self.0.set(problem);
    }
}
