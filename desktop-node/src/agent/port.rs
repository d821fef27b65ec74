//! Presigned URLs for one attempt's objects, asked of the orchestrator.

use async_trait::async_trait;
use mesh_artifacts::port::{ObjectPort, PortError};
use mesh_schemas::{
    AttemptKey, ErrorCode, Problem,
    manifest::PackRef,
    message::{NodeAnswer, NodeAsk, ObjectPut, ObjectUrl},
};

use super::wire::Wire;

/// Exit code of problems that a later try may heal.
const UNAVAILABLE_EXIT: u8 = 7;

/// Asks on behalf of one attempt.
#[derive(Debug)]
pub(super) struct NatsPort {
    pub(super) wire: Wire,
    pub(super) attempt: AttemptKey,
}

impl NatsPort {
    async fn ask(&self, ask: NodeAsk) -> Result<NodeAnswer, PortError> {
        self.wire.ask(&ask).await.map_err(|problem| {
            if problem.code.exit_code() == UNAVAILABLE_EXIT {
                PortError::unavailable(problem)
            } else {
                PortError::Refused(problem)
            }
        })
    }

    async fn urls(&self, ask: NodeAsk) -> Result<Vec<ObjectUrl>, PortError> {
        match self.ask(ask).await? {
            NodeAnswer::Urls { urls } => Ok(urls),
            NodeAnswer::Welcome(_)
            | NodeAnswer::Present
            | NodeAnswer::Credential { .. }
            | NodeAnswer::Refused(_) => Err(unfit()),
        }
    }
}

#[async_trait]
impl ObjectPort for NatsPort {
    async fn put_urls(&self, objects: Vec<ObjectPut>) -> Result<Vec<ObjectUrl>, PortError> {
        self.urls(NodeAsk::PutUrls { attempt: self.attempt, objects }).await
    }

    async fn get_urls(&self, keys: Vec<String>) -> Result<Vec<ObjectUrl>, PortError> {
        self.urls(NodeAsk::GetUrls { attempt: self.attempt, keys }).await
    }

    async fn check(&self, objects: Vec<PackRef>) -> Result<(), PortError> {
        match self.ask(NodeAsk::CheckObjects { attempt: self.attempt, objects }).await? {
            NodeAnswer::Present => Ok(()),
            NodeAnswer::Welcome(_)
            | NodeAnswer::Urls { .. }
            | NodeAnswer::Credential { .. }
            | NodeAnswer::Refused(_) => Err(unfit()),
        }
    }
}

fn unfit() -> PortError {
    PortError::Refused(Problem::new(ErrorCode::Internal, "the answer is not to what was asked"))
}
