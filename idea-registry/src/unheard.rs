//! Who has not said yet, in this life of the process, what they have of this log.
//!
//! A registry that was put back from a backup does not know what it has signed since; its witnesses and its copy
//! in the object store do. Until each that is configured has answered once, nothing is signed. Entries are durable
//! and acknowledged meanwhile: no answer to an append speaks of a signature, and what is durable is carried over
//! should the log turn out to be halted.

use std::{collections::BTreeSet, sync::Arc};

use mesh_schemas::{ErrorCode, Problem};
use tokio::sync::watch;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Unheard(Arc<watch::Sender<BTreeSet<String>>>);

impl Default for Unheard {
    fn default() -> Self {
        Self(Arc::new(watch::channel(BTreeSet::new()).0))
    }
}

impl Unheard {
    /// Nothing is signed before this one has answered.
    pub(crate) fn expect(&self, who: &str) {
        self.0.send_modify(|names| {
            names.insert(who.to_owned());
        });
        self.measure();
    }

    /// It has answered, and what it has was compared with the log.
    pub(crate) fn heard(&self, who: &str) {
        self.0.send_modify(|names| {
            names.remove(who);
        });
        self.measure();
    }

    /// Returns when all have answered.
    pub(crate) async fn all_heard(&self) {
        let mut names = self.0.subscribe();
        // The sender lives as long as this value.
        let _heard = names.wait_for(BTreeSet::is_empty).await;
    }

    /// Why nothing is signed.
    ///
    /// # Errors
    /// `E_LEDGER_DOWN`, naming who has not answered.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let Some(what) = self.alarm() else { return Ok(()) };
        Err(Problem::new(ErrorCode::LedgerDown, what).hint("try again when they can be reached"))
    }

    /// What somebody should look at.
    pub(crate) fn alarm(&self) -> Option<String> {
        let names = self.0.borrow();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| {
            let names = names.join(" and ");
            format!("nothing is signed until {names} can be asked what was signed before")
        })
    }

    fn measure(&self) {
        let waited_for = u64::try_from(self.0.borrow().len()).unwrap_or(u64::MAX);
        metrics::gauge!("mesh_ideas_unheard").set(crate::metrics::float(waited_for));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn all_that_are_expected_are_waited_for() {
        let unheard = Unheard::default();
        assert!(unheard.all_heard().now_or_never().is_some() && unheard.check().is_ok());
        unheard.expect("the witness a");
        unheard.expect("the object store");
        unheard.heard("the witness a");
        assert!(unheard.all_heard().now_or_never().is_none());
        let problem = unheard.check().unwrap_err();
        assert_eq!(problem.code, ErrorCode::LedgerDown);
        assert!(problem.detail.contains("until the object store can"), "{problem}");
        unheard.heard("the object store");
        assert!(unheard.all_heard().now_or_never().is_some() && unheard.check().is_ok());
    }
}
