//! Tasks that run as long as the process: none of them ends unnoticed.
//!
//! A part that ends before it was told to, or that panics, is a fault of ours that no waiting heals: whoever waits
//! here learns its name, and the process ends, for its supervisor to start it anew.

use std::future::Future;

use mesh_schemas::{ErrorCode, Problem};
use tokio::task::{AbortHandle, JoinError, JoinSet};

/// What a part ended with.
type Ended = Result<(), Problem>;

/// Named tasks. Dropped, they are cut off.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    running: JoinSet<Ended>,
    names: Vec<(String, AbortHandle)>,
}

impl Parts {
    /// Starts a part that ends well or not at all.
    pub(crate) fn start(
        &mut self,
        name: impl Into<String>,
        part: impl Future<Output = ()> + Send + 'static,
    ) {
        self.start_fallible(name, async {
            part.await;
            Ok(())
        });
    }

    /// Starts a part that can say why it ended.
    pub(crate) fn start_fallible(
        &mut self,
        name: impl Into<String>,
        part: impl Future<Output = Ended> + Send + 'static,
    ) {
        let handle = self.running.spawn(part);
        self.names.push((name.into(), handle));
    }

    /// Returns when one of them has ended, which none must unasked; never while there is none.
    pub(crate) async fn ended(&mut self) -> Problem {
        match self.running.join_next_with_id().await {
            Some(Ok((_, Err(problem)))) => problem,
            Some(Ok((id, Ok(())))) => {
                let name = self.name(id);
                Problem::new(ErrorCode::Internal, format!("{name} ended unasked"))
            }
            Some(Err(error)) => self.broke(&error),
            None => std::future::pending().await,
        }
    }

    /// Returns when all of them have ended, each having been told to. One that broke meanwhile is an error in the log.
    pub(crate) async fn stopped(&mut self) {
        while let Some(ended) = self.running.join_next_with_id().await {
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((_, Err(problem))) => tracing::error!("While stopping: {}", problem.detail),
                Err(error) => tracing::error!("While stopping: {}", self.broke(&error).detail),
            }
        }
    }

    fn broke(&self, error: &JoinError) -> Problem {
        let name = self.name(error.id());
        Problem::new(ErrorCode::Internal, format!("{name} broke: {error}"))
    }

    fn name(&self, id: tokio::task::Id) -> &str {
        let named = self.names.iter().find(|(_, handle)| handle.id() == id);
        named.map_or("a part without a name", |(name, _)| name)
    }

    /// Cuts one off, as a panic would.
    #[cfg(test)]
    pub(crate) fn break_off(&self, wanted: &str) {
        let (_, handle) = self.names.iter().find(|(name, _)| name == wanted).unwrap();
        handle.abort();
    }

    /// The names of all.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.iter().map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn whatever_ends_a_part_is_told_of_with_its_name() {
        let mut parts = Parts::default();
        assert!(parts.ended().now_or_never().is_none(), "nothing can end while there is nothing");
        parts.start("the one that stays", std::future::pending());
        parts.start("the one that returns", std::future::ready(()));
        let problem = parts.ended().await;
        assert_eq!(problem.code, ErrorCode::Internal);
        assert_eq!(problem.detail, "the one that returns ended unasked");
        parts.start("the one that panics", async { panic!("out of luck") });
        let detail = parts.ended().await.detail;
        assert!(detail.starts_with("the one that panics broke: "), "{detail}");
        assert!(detail.contains("out of luck"), "{detail}");
        let refused = Problem::new(ErrorCode::Locked, "another one writes");
        parts.start_fallible("the one that says why", std::future::ready(Err(refused.clone())));
        assert_eq!(parts.ended().await, refused);
        parts.break_off("the one that stays");
        assert!(parts.ended().await.detail.contains("the one that stays broke"), "it was cut off");
        parts.stopped().await;
    }
}
