//! The task that has texts embedded, compares them, and proposes links.

use std::{mem, time::Instant};

use mesh_fabric::backoff::Policy;
use mesh_ideas_core::ledger::proposal;
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{IdeaId, Relation},
};
use metrics::{counter, histogram};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Client, Texts,
    client::Failure,
    feed::{NewText, skipped},
    vectors::{Vector, Vectors},
};
use crate::{health::Part, registry::Shared, store::StoreError};

/// Texts of one request.
const TEXTS_MAX: usize = 16;
/// How often one request is made.
const TRIES_MAX: usize = 3;

/// What it works with.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) shared: Shared,
    pub(crate) client: Client,
    pub(crate) texts: Texts,
    /// How many ideas are compared with.
    pub(crate) recent: usize,
    /// From which cosine on a link is proposed, in thousandths.
    pub(crate) likeness: u16,
}

/// Embeds.
#[derive(Debug)]
pub(crate) struct Service {
    options: Options,
    vectors: Vectors,
    /// Somebody was told that the endpoint is of no use.
    told: bool,
}

impl Service {
    pub(crate) fn new(options: Options) -> Self {
        let vectors = Vectors::new(options.recent);
        Self { options, vectors, told: false }
    }

    /// Embeds until `shutdown`; what waits then is not compared any more.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let serve = async {
            self.remember().await;
            loop {
                let texts = self.options.texts.next(TEXTS_MAX).await;
                self.compare(texts).await;
            }
        };
        let _stopped = shutdown.run_until_cancelled(serve).await;
    }

    /// The vectors of ideas that were there before this process. They were compared in their own time.
    async fn remember(&mut self) {
        let mut waits = Policy::forever().waits();
        let mut from = None;
        loop {
            let page = match self.page(from).await {
                Ok(page) => page,
                Err(error) => {
                    warn!("Could not read recent texts: {error}");
                    tokio::time::sleep(waits.next().unwrap_or_default()).await;
                    continue;
                }
            };
            let Some((last, texts)) = page else { return };
            from = Some(last + 1);
            if let Some(vectors) = self.embedded(&texts).await {
                for (text, vector) in texts.iter().zip(vectors) {
                    self.vectors.insert(text.idea, vector);
                }
            }
        }
    }

    /// The next recent texts, and the index of the last of them.
    async fn page(&self, from: Option<u64>) -> Result<Option<(u64, Vec<NewText>)>, StoreError> {
        let Shared { store, identity, .. } = &self.options.shared;
        let from = match from {
            Some(from) => from,
            None => store.recent_begin(self.options.recent).await?,
        };
        let page = store.open_texts(identity.version, from, TEXTS_MAX).await?;
        let Some(last) = page.last().map(|(index, ..)| *index) else { return Ok(None) };
        let there = page.iter().filter(|(.., text)| !text.is_empty());
        let texts = there.map(|(_, idea, text)| NewText::new(*idea, text));
        Ok(Some((last, texts.collect())))
    }

    /// Compares new texts with recent ones and with each other, and proposes what is alike.
    async fn compare(&mut self, texts: Vec<NewText>) {
        let Some(vectors) = self.embedded(&texts).await else { return };
        for (text, vector) in texts.into_iter().zip(vectors) {
            for (other, likeness) in self.alike(text.idea, vector).await {
                self.propose(text.idea, other, likeness).await;
            }
        }
    }

    /// Off the threads that answer: it takes milliseconds.
    async fn alike(&mut self, idea: IdeaId, vector: Vector) -> Vec<(IdeaId, u16)> {
        let least = self.options.likeness;
        let mut vectors = mem::replace(&mut self.vectors, Vectors::new(self.options.recent));
        let compare = move || {
            let alike = vectors.alike(idea, &vector, least);
            vectors.insert(idea, vector);
            (vectors, alike)
        };
        match tokio::task::spawn_blocking(compare).await {
            Ok((vectors, alike)) => {
                self.vectors = vectors;
                skipped("compared", 1);
                alike
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// The vectors of all these texts, or none of them.
    async fn embedded(&mut self, texts: &[NewText]) -> Option<Vec<Vector>> {
        let mut waits = Policy { attempts: Some(TRIES_MAX), ..Policy::network() }.waits();
        let words: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
        if words.is_empty() {
            return Some(Vec::new());
        }
        loop {
            let begun = Instant::now();
            let failure = match self.options.client.embed(&words).await {
                Ok(vectors) => match self.misfit(&vectors) {
                    None => {
                        histogram!("mesh_ideas_embeddings_seconds")
                            .record(begun.elapsed().as_secs_f64());
                        self.is_well();
                        return Some(vectors);
                    }
                    Some(what) => Failure::Bad(what),
                },
                Err(failure) => failure,
            };
            self.is_ill(&failure);
            let outcome = match (failure, waits.next()) {
                (Failure::Away(_), Some(wait)) => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                (Failure::Away(_), None) => "away",
                (Failure::Bad(_), _) => "bad",
            };
            skipped(outcome, texts.len());
            return None;
        }
    }

    /// Vectors of different lengths cannot be compared.
    fn misfit(&self, vectors: &[Vector]) -> Option<String> {
        let wanted =
            self.vectors.dimensions().or_else(|| vectors.first().map(Vector::dimensions))?;
        let other = vectors.iter().map(Vector::dimensions).find(|count| *count != wanted)?;
        Some(format!("it answers vectors of {other} numbers, and before of {wanted}"))
    }

    /// One warning, however often it fails.
    fn is_ill(&mut self, failure: &Failure) {
        let (Failure::Away(why) | Failure::Bad(why)) = failure;
        self.options.shared.health.behind(Part::Embeddings, why, Instant::now());
        if mem::replace(&mut self.told, true) {
            debug!("The embeddings endpoint is of no use: {why}");
        } else {
            warn!(
                "The embeddings endpoint is of no use: {why}; near duplicates are found by their words alone until it \
                 answers well"
            );
        }
    }

    fn is_well(&mut self) {
        self.options.shared.health.well(Part::Embeddings);
        if mem::take(&mut self.told) {
            info!("The embeddings endpoint answers well again");
        }
    }

    async fn propose(&mut self, idea: IdeaId, other: IdeaId, likeness: u16) {
        match self.try_propose(idea, other, likeness).await {
            Ok(true) => counter!("mesh_ideas_embeddings_proposals_total").increment(1),
            Ok(false) => {}
            // Somebody linked them meanwhile, or the link would close a circle.
            Err(problem)
                if problem.code == ErrorCode::WrongState || problem.code == ErrorCode::Cycle => {}
            Err(problem) => {
                let detail = problem.detail;
                warn!("Could not propose that {idea} duplicates {other}: {detail}");
            }
        }
    }

    /// True when it was proposed; what is linked already, or hidden by now, is not.
    async fn try_propose(
        &mut self,
        idea: IdeaId,
        other: IdeaId,
        likeness: u16,
    ) -> Result<bool, Problem> {
        let Shared { store, writer, .. } = &self.options.shared;
        let shown = store.ideas(vec![idea, other]).await?;
        let shown: Vec<IdeaId> =
            shown.iter().filter(|view| !view.title.is_empty()).map(|view| view.id).collect();
        if let Some(gone) = [idea, other].into_iter().find(|wanted| !shown.contains(wanted)) {
            self.vectors.remove(gone);
            return Ok(false);
        }
        let linked = store.are_linked(Relation::Duplicates, idea, other).await?;
        if !linked {
            writer.say(proposal(idea, other, likeness)).await?;
        }
        Ok(!linked)
    }
}
