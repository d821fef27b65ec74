//! What this orchestrator is at the moment: the leader, or one that stands by.

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::AppState;

/// See the module.
#[derive(Debug)]
pub enum Standing {
    /// The database has not been looked at yet.
    Undecided,
    /// It leads.
    Leads(Box<Leading>),
    /// Another one leads, or nobody does.
    StandsBy(StandBy),
}

/// What the API is while this orchestrator leads.
#[derive(Debug)]
pub struct Leading {
    /// What handlers use.
    pub state: AppState,
    /// The whole API.
    pub router: Router,
    /// Ends streams and long-polls with the lead.
    pub over: CancellationToken,
}

/// What is known while another one leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandBy {
    /// It was looked, and this one leads.
    Behind {
        /// Where the leader's API is found; empty when it did not say.
        url: String,
    },
    /// The lead was lost, or is free and about to be taken.
    NobodyKnown,
    /// The database does not answer.
    StoreDown,
}

impl Standing {
    /// The database has been looked at.
    pub const fn is_decided(&self) -> bool {
        match self {
            Self::Undecided => false,
            Self::Leads(_) | Self::StandsBy(_) => true,
        }
    }
}
