//! Which jobs may come in: those whose idea is in the ledger.

use std::{collections::HashSet, sync::PoisonError};

use mesh_schemas::{
    ErrorCode, JobSpec, Problem,
    idea::{IdeaId, LedgerAnswer, LedgerAsk},
};

use super::{Ledger, ask::strange};

/// Most ideas kept as known. An idea that was in the ledger once is there for ever.
const KNOWN_MAX: usize = 65_536;

impl Ledger {
    /// A job that names an idea needs one that is there. While the registry is away this is believed of a
    /// person, and an autonomous job is refused.
    ///
    /// # Errors
    /// `E_NO_IDEA`; `E_LEDGER_DOWN` and `E_BUS_DOWN` for an autonomous job.
    pub async fn admit(&self, spec: &JobSpec) -> Result<(), Problem> {
        let Some(idea) = spec.idea else { return Ok(()) };
        match self.exists(idea).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(Problem::new(ErrorCode::NoIdea, format!("{idea} is not in the ledger"))
                    .at("idea")
                    .hint(
                        "`mesh ideas add` files an idea; `mesh ideas list` shows which are there",
                    ))
            }
            Err(problem) if spec.autonomous => Err(problem),
            Err(problem) => {
                tracing::warn!(idea.id = %idea, "Let a job in unseen, the ledger is away: {problem}");
                Ok(())
            }
        }
    }

    /// It is in the ledger, or was once seen to be.
    pub(super) async fn exists(&self, idea: IdeaId) -> Result<bool, Problem> {
        if self.lock().contains(&idea) {
            return Ok(true);
        }
        let LedgerAnswer::Exists { exists } = self.ask(&LedgerAsk::Exists { idea }).await? else {
            return Err(strange());
        };
        if exists {
            let mut known = self.lock();
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(idea);
        }
        Ok(exists)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<IdeaId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
