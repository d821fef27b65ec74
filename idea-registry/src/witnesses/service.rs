//! The task that has checkpoints cosigned by one witness.

use std::{sync::Arc, time::Duration};

use mesh_fabric::{backoff::Policy, error::chain, time};
use mesh_schemas::{ErrorCode, Problem, idea::Sha256};
use mesh_tlog::{AddCheckpoint, Hash, Prover, SignedCheckpoint, TreeHead};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Behind, Witness, client::Answer};
use crate::{
    identity::Identity,
    integrate::{Head, Judgement, Seen},
    store::{Cosigned, Store, WriterLock},
    unheard::Unheard,
};

/// Between two requests.
const EVERY: Duration = Duration::from_secs(1);
/// Proofs for one checkpoint: the first may start from where the witness no longer is.
const PROOFS_MAX: usize = 3;

/// What is cosigned, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) witness: Witness,
    pub(crate) store: Store,
    pub(crate) lock: Arc<WriterLock>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) head: Head,
    pub(crate) behind: Behind,
    pub(crate) unheard: Unheard,
    /// The head that was signed last, or may have been, when the process began.
    pub(crate) start: TreeHead,
}

/// Runs the asking.
#[derive(Debug)]
pub(crate) struct Service {
    options: Options,
}

impl Service {
    /// From here on nothing is signed before the witness has answered.
    pub(crate) fn new(options: Options) -> Self {
        options.unheard.expect(&name(&options.witness));
        options.head.expect(&options.witness.key);
        Self { options }
    }

    /// What it is called among the parts of the process.
    pub(crate) fn name(&self) -> String {
        name(&self.options.witness)
    }

    /// Asks once what the witness has cosigned, and compares it with the log; true when it has answered.
    pub(crate) async fn compare(&self) -> bool {
        let Options { unheard, start, witness, behind, .. } = &self.options;
        match self.look(*start).await {
            Ok(()) => {
                unheard.heard(&name(witness));
                true
            }
            Err(problem) => {
                behind.fell(&witness.key, time::now());
                warn!("Nothing is signed yet: {}", problem.detail);
                false
            }
        }
    }

    /// Has checkpoints cosigned until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let serve = async {
            let mut waits = Policy::forever().waits();
            while !self.compare().await {
                tokio::time::sleep(waits.next().unwrap_or(EVERY)).await;
            }
            self.follow().await;
        };
        // A request that is cut off is made again.
        let _stopped = shutdown.run_until_cancelled(serve).await;
    }

    async fn follow(&self) {
        let Options { head, behind, witness, .. } = &self.options;
        let mut heads = head.watch();
        let mut waits = Policy::forever().waits();
        loop {
            heads.borrow_and_update();
            let wait = match head.to_cosign(&witness.key) {
                Some(latest) => match self.cosign(&latest).await {
                    Ok(()) => {
                        behind.caught_up(&witness.key);
                        waits = Policy::forever().waits();
                        EVERY
                    }
                    Err(problem) => {
                        behind.fell(&witness.key, time::now());
                        warn!("{}", problem.detail);
                        heads.mark_changed();
                        waits.next().unwrap_or(EVERY).max(EVERY)
                    }
                },
                None => {
                    if head.latest().is_some_and(|latest| latest.head().size == 0) {
                        // There is nothing to cosign yet, and it has answered.
                        behind.caught_up(&witness.key);
                    }
                    Duration::ZERO
                }
            };
            tokio::time::sleep(wait).await;
            tokio::select! {
                changed = heads.changed() => if changed.is_err() { return },
                // The others' answers to an older head, which the latest waits for, are no news of it.
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Has one checkpoint cosigned, unless it is.
    async fn cosign(&self, latest: &SignedCheckpoint) -> Result<(), Problem> {
        let ours = latest.head();
        if ours.size == 0 {
            return Ok(());
        }
        let known = self.known().await?;
        if let Some(known) = known.as_ref().filter(|known| head_of(known) == ours) {
            // Kept before a restart, and perhaps not shown since.
            return self.show(ours, &known.line);
        }
        let mut from = known.map_or(0, |known| known.size);
        for _ in 0..PROOFS_MAX {
            let request = self.request(latest, from)?;
            match self.options.witness.add_checkpoint(&request).await? {
                Answer::Cosigned(lines) => return self.keep(latest, lines).await,
                Answer::From(size) if size <= ours.size && size != from => from = size,
                Answer::From(size) => {
                    self.look(self.latest(ours)).await?;
                    let what = format!(
                        "it cosigned {size} entries and does not go on from there to our {}",
                        ours.size
                    );
                    return Err(self.options.witness.problem(&what));
                }
                Answer::Refused(what) => {
                    self.look(self.latest(ours)).await?;
                    return Err(self.options.witness.problem(&what));
                }
            }
        }
        Err(self.options.witness.problem("it changes its mind about what it cosigned"))
    }

    /// What is signed by now: others may have brought the witness a later head than the one that it was asked for.
    fn latest(&self, ours: TreeHead) -> TreeHead {
        self.options.head.latest().map_or(ours, |latest| latest.head())
    }

    /// What it cosigned last of this log, by our books.
    async fn known(&self) -> Result<Option<Cosigned>, Problem> {
        let Options { store, identity, witness, .. } = &self.options;
        let key = witness.key.to_string();
        let cosigned = store.cosigned(identity.version).await?;
        Ok(cosigned.into_iter().find(|cosigned| cosigned.witness == key))
    }

    fn request(&self, latest: &SignedCheckpoint, old_size: u64) -> Result<AddCheckpoint, Problem> {
        let mut prover = Prover::new(self.options.head.tiles(), latest.head());
        let proof = prover.consistency(old_size).map_err(|error| {
            let what = format!("there is no proof from {old_size} entries: {}", chain(&error));
            self.options.witness.problem(&what)
        })?;
        Ok(AddCheckpoint { old_size, proof, checkpoint: latest.clone().into() })
    }

    /// Durable here before it is shown: what was witnessed is never signed behind.
    async fn keep(&self, latest: &SignedCheckpoint, lines: String) -> Result<(), Problem> {
        let Options { store, lock, identity, witness, .. } = &self.options;
        let mut checked = latest.clone();
        let found = checked.add_cosignatures(&lines, std::slice::from_ref(&witness.key));
        match found {
            Ok(found) if !found.is_empty() => {}
            Ok(_) => return Err(witness.problem("its answer has no line of its key")),
            Err(error) => return Err(witness.problem(&chain(&error))),
        }
        let TreeHead { size, root } = latest.head();
        let cosigned = Cosigned {
            witness: witness.key.to_string(),
            size,
            root: Sha256(root.0),
            line: lines.clone(),
            at: time::now(),
        };
        let doing = "keeping a cosignature";
        let mut tx = store.begin(lock, doing).await?;
        tx.set_cosigned(identity.version, &cosigned).await?;
        tx.commit(doing).await?;
        metrics::gauge!("mesh_ideas_witnessed_entries").set(crate::metrics::float(size));
        self.show(latest.head(), &lines)
    }

    fn show(&self, of: TreeHead, lines: &str) -> Result<(), Problem> {
        let Options { head, witness, .. } = &self.options;
        head.cosign(of, lines, &witness.key)
            .map_err(|error| witness.problem(&format!("its line cannot be published: {error}")))
    }

    /// Compares what it shows of this log, signed by this log's key, with the log.
    async fn look(&self, ours: TreeHead) -> Result<(), Problem> {
        let Options { witness, identity, head, .. } = &self.options;
        let Some(bytes) = witness.checkpoint(identity.origin()).await? else { return Ok(()) };
        let seen = identity.trusted()?.open(&bytes).map_err(|error| {
            witness.problem(&format!("it shows a checkpoint that is not ours: {error}"))
        })?;
        let place = format!("at the witness {}", witness.key.name());
        match head.judge(&Seen { head: seen.head(), place: &place }, ours) {
            Judgement::Ours | Judgement::Halted => Ok(()),
            Judgement::Unread => {
                let detail = format!("what was seen {place} cannot be compared: no tiles");
                Err(Problem::new(ErrorCode::Io, detail))
            }
        }
    }
}

/// How it is called where it is waited for.
fn name(witness: &Witness) -> String {
    format!("the witness {}", witness.key.name())
}

const fn head_of(cosigned: &Cosigned) -> TreeHead {
    TreeHead { size: cosigned.size, root: Hash(cosigned.root.0) }
}
