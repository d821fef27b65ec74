//! Which head the witnesses cosign: all of them the same one. A busy log has a new head several times a second, and each
//! would cosign another.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use mesh_tlog::{SignedCheckpoint, TreeHead, VerifierKey};
use tokio::time::Instant;

/// How long the others wait for a witness. What it says later still counts.
const ROUND_MAX: Duration = Duration::from_secs(3);

/// The heads that are being cosigned and that were.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// Who cosigns.
    witnesses: BTreeSet<String>,
    round: Option<Round>,
    /// The head of the last round that ended, with the lines of the witnesses.
    cosigned: Option<Arc<SignedCheckpoint>>,
    /// Those whose lines it has.
    answered: BTreeSet<String>,
}

#[derive(Debug)]
struct Round {
    head: Arc<SignedCheckpoint>,
    answered: BTreeSet<String>,
    begun: Instant,
}

impl Rounds {
    /// One more cosigns.
    pub(super) fn expect(&mut self, witness: &VerifierKey) {
        self.witnesses.insert(witness.to_string());
    }

    /// What this witness is to cosign next; nothing while the others are waited for, and when it has cosigned the latest.
    pub(super) fn next(
        &mut self,
        witness: &VerifierKey,
        latest: &Arc<SignedCheckpoint>,
    ) -> Option<Arc<SignedCheckpoint>> {
        if self.round.as_ref().is_some_and(|round| round.begun.elapsed() >= ROUND_MAX) {
            self.end();
        }
        if latest.head().size == 0 {
            return None;
        }
        let is_cosigned = |head: &Arc<SignedCheckpoint>| head.head() == latest.head();
        if self.round.is_none() && self.cosigned.as_ref().is_some_and(is_cosigned) {
            // There is nothing newer; whoever was late is still asked.
            return (!self.answered.contains(&witness.to_string())).then(|| latest.clone());
        }
        let round = self.round.get_or_insert_with(|| Round {
            head: latest.clone(),
            answered: BTreeSet::new(),
            begun: Instant::now(),
        });
        (!round.answered.contains(&witness.to_string())).then(|| round.head.clone())
    }

    /// The lines of a witness for a head.
    pub(super) fn add(&mut self, of: TreeHead, lines: &str, witness: &VerifierKey) {
        if let Some(late) = self.cosigned.as_mut().filter(|head| head.head() == of) {
            add_lines(late, lines, witness);
            self.answered.insert(witness.to_string());
        }
        let Some(round) = self.round.as_mut().filter(|round| round.head.head() == of) else {
            return;
        };
        add_lines(&mut round.head, lines, witness);
        round.answered.insert(witness.to_string());
        if self.witnesses.is_subset(&round.answered) {
            self.end();
        }
    }

    /// The last head that all cosigned, or all that answered in time.
    pub(super) fn cosigned(&self) -> Option<Arc<SignedCheckpoint>> {
        self.cosigned.clone()
    }

    fn end(&mut self) {
        if let Some(Round { head, answered, .. }) = self.round.take()
            && !answered.is_empty()
        {
            (self.cosigned, self.answered) = (Some(head), answered);
        }
    }
}

/// What is no line of this witness for this head is left out.
fn add_lines(head: &mut Arc<SignedCheckpoint>, lines: &str, witness: &VerifierKey) {
    let mut more = SignedCheckpoint::clone(head);
    if more.add_cosignatures(lines, std::slice::from_ref(witness)).is_ok() {
        *head = Arc::new(more);
    }
}

#[cfg(test)]
mod tests {
    use mesh_tlog::{Checkpoint, EMPTY_ROOT, KeyKind, SignerKey, Timestamp};

    use super::*;

    fn witness(n: u8) -> SignerKey {
        SignerKey::new(&format!("witness-{n}.test"), KeyKind::Witness, &[n; 32]).unwrap()
    }

    fn head(size: u64) -> Arc<SignedCheckpoint> {
        let log = SignerKey::new("x/ideas/v1", KeyKind::Log, &[9; 32]).unwrap();
        let checkpoint = Checkpoint::new("x/ideas/v1", TreeHead { size, root: EMPTY_ROOT });
        Arc::new(SignedCheckpoint::sign(checkpoint.unwrap(), &log).unwrap())
    }

    fn answer(rounds: &mut Rounds, head: &SignedCheckpoint, by: &SignerKey) {
        let line = head.cosign(by, Timestamp::new(1_800_000_000).unwrap()).unwrap();
        rounds.add(head.head(), &line.to_string(), by.verifier());
    }

    fn lines(rounds: &Rounds, by: &[&SignerKey]) -> Option<(u64, usize)> {
        let keys: Vec<VerifierKey> = by.iter().map(|key| key.verifier().clone()).collect();
        let head = rounds.cosigned()?;
        Some((head.head().size, head.cosignatures(&keys).unwrap().len()))
    }

    #[tokio::test(start_paused = true)]
    async fn all_cosign_one_head_however_fast_the_log_grows() {
        let (one, two) = (witness(1), witness(2));
        let mut rounds = Rounds::default();
        rounds.expect(one.verifier());
        rounds.expect(two.verifier());
        let first = rounds.next(one.verifier(), &head(1)).unwrap();
        answer(&mut rounds, &first, &one);
        assert_eq!((rounds.next(one.verifier(), &head(2)), rounds.cosigned()), (None, None));
        let same = rounds.next(two.verifier(), &head(3)).unwrap();
        assert_eq!(same.head().size, 1);
        answer(&mut rounds, &same, &two);
        assert_eq!(lines(&rounds, &[&one, &two]), Some((1, 2)));
        assert_eq!(rounds.next(two.verifier(), &head(1)), None, "nothing is newer");

        // The second one is away: the first goes on without it, and it catches up.
        let next = rounds.next(one.verifier(), &head(4)).unwrap();
        answer(&mut rounds, &next, &one);
        tokio::time::advance(ROUND_MAX).await;
        let latest = rounds.next(one.verifier(), &head(5)).unwrap();
        assert_eq!((next.head().size, latest.head().size), (4, 5));
        assert_eq!(lines(&rounds, &[&one, &two]), Some((4, 1)));
        answer(&mut rounds, &next, &two);
        assert_eq!(lines(&rounds, &[&one, &two]), Some((4, 2)));
        // Nobody answers: what was cosigned last stays.
        tokio::time::advance(ROUND_MAX).await;
        assert_eq!(rounds.next(one.verifier(), &head(6)).unwrap().head().size, 6);
        assert_eq!(lines(&rounds, &[&one, &two]), Some((4, 2)));
    }
}
