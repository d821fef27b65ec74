//! The witnesses that a user relies on: a head of the log counts only when enough of them have cosigned it.

use std::num::NonZeroUsize;

use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{KeyKind, SignedCheckpoint, VerifierKey};

use crate::context;

/// Which witnesses must have cosigned a head, and how many of them.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct WitnessArgs {
    /// The key of a witness, as `mesh-ideas witness --show-key` prints it there: a head of the log that it has
    /// not cosigned is refused; may be repeated. `witnesses` in the context file is the same.
    #[arg(long = "witness", env = "MESH_WITNESSES", value_name = "KEY", value_delimiter = ',')]
    witness: Vec<String>,
    /// How many of the witnesses must have cosigned; all of them when not said.
    #[arg(long, env = "MESH_WITNESS_QUORUM", value_name = "N")]
    quorum: Option<NonZeroUsize>,
}

/// The same, read and proved.
#[derive(Debug, Clone)]
pub(crate) struct Witnesses {
    keys: Vec<VerifierKey>,
    quorum: usize,
}

impl WitnessArgs {
    /// The witnesses of the flags and variables, or, when these name none, of the context file.
    ///
    /// # Errors
    /// `E_INVALID` for what is no key of a witness, and for a quorum that cannot be reached.
    pub(crate) fn read(&self) -> Result<Witnesses, Problem> {
        let (texts, kept) = if self.witness.is_empty() {
            context::witnesses()?
        } else {
            (self.witness.clone(), None)
        };
        Witnesses::new(&texts, self.quorum.or(kept))
    }
}

impl Witnesses {
    fn new(texts: &[String], quorum: Option<NonZeroUsize>) -> Result<Self, Problem> {
        let mut keys: Vec<VerifierKey> = Vec::new();
        for text in texts {
            let key = witness_key(text.trim())?;
            // Whoever is named twice is asked once.
            if keys.contains(&key) {
                continue;
            }
            if let Some(other) = keys.iter().find(|other| other.is_same_key(&key)) {
                let detail = format!(
                    "{} and {} are one key, which would count twice",
                    other.name(),
                    key.name()
                );
                return Err(Problem::invalid("witness", detail).hint("name that witness once"));
            }
            keys.push(key);
        }
        let quorum = quorum.map_or(keys.len(), NonZeroUsize::get);
        if quorum > keys.len() {
            let detail = format!("the quorum is {quorum}, of {} witnesses named", keys.len());
            return Err(Problem::invalid("quorum", detail)
                .hint("name each witness with --witness, or lower --quorum"));
        }
        Ok(Self { keys, quorum })
    }

    /// Enough of them have cosigned this head.
    ///
    /// # Errors
    /// `E_LEDGER_UNWITNESSED`.
    pub(crate) fn check(&self, head: &SignedCheckpoint) -> Result<(), Problem> {
        let size = head.head().size;
        let refused = |detail: String| {
            Problem::new(ErrorCode::LedgerUnwitnessed, detail).hint(
                "try again when the witness is back; if it never cosigns, this head is perhaps shown to you alone",
            )
        };
        let found = head.cosignatures(&self.keys).map_err(|error| {
            refused(format!("the head of {size} entries is not as a witness cosigned it: {error}"))
        })?;
        if found.len() >= self.quorum {
            return Ok(());
        }
        let has = |key: &&VerifierKey| {
            found.iter().any(|line| line.witness == key.name() && line.id == key.id())
        };
        let missing = self.keys.iter().filter(|key| !has(key));
        let missing: Vec<&str> = missing.map(VerifierKey::name).collect();
        let (count, named, quorum) = (found.len(), self.keys.len(), self.quorum);
        Err(refused(format!(
            "the head of {size} entries is cosigned by {count} of the {named} witnesses named, and {quorum} must have; \
             not by {}",
            missing.join(", ")
        )))
    }

    /// How many must have cosigned.
    pub(crate) const fn quorum(&self) -> usize {
        self.quorum
    }
}

fn witness_key(text: &str) -> Result<VerifierKey, Problem> {
    let shown = mesh_schemas::text::shown(text);
    let bad = |why: String| {
        Problem::invalid("witness", format!("{shown} is no witness's key: {why}"))
            .hint("`mesh-ideas witness --show-key` prints it, where the witness runs")
    };
    let key = VerifierKey::parse(text).map_err(|error| bad(error.to_string()))?;
    match key.kind() {
        KeyKind::Witness => Ok(key),
        KeyKind::Log => Err(bad("it is the key of a log".into())),
    }
}

#[cfg(test)]
mod tests {
    use mesh_tlog::{Checkpoint, EMPTY_ROOT, SignerKey, Timestamp, TreeHead};

    use super::*;

    fn witness(n: u8) -> SignerKey {
        SignerKey::new(&format!("witness-{n}.test"), KeyKind::Witness, &[n; 32]).unwrap()
    }

    fn key(n: u8) -> String {
        witness(n).verifier().to_string()
    }

    /// A head with the cosignatures of these.
    fn head(cosigned: &[&SignerKey]) -> SignedCheckpoint {
        let log = SignerKey::new("x/ideas/v1", KeyKind::Log, &[9; 32]).unwrap();
        let tree = TreeHead { size: 7, root: EMPTY_ROOT };
        let checkpoint = Checkpoint::new("x/ideas/v1", tree).unwrap();
        let mut head = SignedCheckpoint::sign(checkpoint, &log).unwrap();
        for key in cosigned {
            let line = head.cosign(key, Timestamp::new(1_800_000_000).unwrap()).unwrap();
            head.add_cosignatures(&line.to_string(), &[key.verifier().clone()]).unwrap();
        }
        head
    }

    fn named(keys: &[u8], quorum: usize) -> Witnesses {
        let keys: Vec<String> = keys.iter().map(|n| key(*n)).collect();
        Witnesses::new(&keys, NonZeroUsize::new(quorum)).unwrap()
    }

    #[test]
    fn a_head_needs_as_many_cosignatures_as_the_quorum_says() {
        let (one, two) = (witness(1), witness(2));
        for (witnesses, cosigned, enough) in [
            (named(&[], 0), vec![], true),
            (named(&[1], 0), vec![], false),
            (named(&[1], 0), vec![&one], true),
            (named(&[1, 2], 0), vec![&one], false),
            (named(&[1, 2], 1), vec![&two], true),
            (named(&[1, 1, 2], 2), vec![&one], false),
            (named(&[1, 2], 0), vec![&one, &two], true),
            (named(&[1], 0), vec![&two], false),
        ] {
            let checked = witnesses.check(&head(&cosigned));
            assert_eq!(checked.is_ok(), enough, "{witnesses:?}: {checked:?}");
            if let Err(problem) = checked {
                assert_eq!(problem.code, ErrorCode::LedgerUnwitnessed);
                assert!(problem.hint.is_some() && problem.detail.contains("witness-"));
            }
        }
    }

    #[test]
    fn a_cosignature_that_is_false_is_refused_whatever_the_others_say() {
        let (one, two) = (witness(1), witness(2));
        let impostor = SignerKey::new("witness-1.test", KeyKind::Witness, &[3; 32]).unwrap();
        let note = head(&[&one, &two]).to_string();
        // Another head under the line of the first.
        let moved = note.replacen("\n7\n", "\n8\n", 1);
        let log = SignerKey::new("x/ideas/v1", KeyKind::Log, &[9; 32]).unwrap();
        let tree = TreeHead { size: 8, root: EMPTY_ROOT };
        let signed = Checkpoint::new("x/ideas/v1", tree).unwrap();
        let signed = SignedCheckpoint::sign(signed, &log).unwrap().to_string();
        let lines: String =
            moved.lines().filter(|l| l.contains("witness-")).map(|l| format!("{l}\n")).collect();
        let trusted = mesh_tlog::TrustedLog::from_key(log.verifier().clone()).unwrap();
        let forged = trusted.open((signed + &lines).as_bytes()).unwrap();
        let problem = named(&[1, 2], 1).check(&forged).unwrap_err();
        assert_eq!(problem.code, ErrorCode::LedgerUnwitnessed, "{problem}");
        // Of the same name and another key: it is nobody that was named.
        let problem = named(&[1], 0).check(&head(&[&impostor])).unwrap_err();
        assert!(problem.detail.contains("0 of the 1"), "{problem}");
    }

    #[test]
    fn one_key_under_two_names_is_refused() {
        let other = SignerKey::new("another.test", KeyKind::Witness, &[1; 32]).unwrap();
        let keys = [key(1), other.verifier().to_string()];
        let problem = Witnesses::new(&keys, None).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("witness"), "{problem}");
    }

    #[test]
    fn what_is_no_key_and_a_quorum_out_of_reach_are_refused() {
        let log = SignerKey::new("x", KeyKind::Log, &[1; 32]).unwrap().verifier().to_string();
        for text in ["", "witness", "a+b+c", &log, &key(1)[1..]] {
            let problem = Witnesses::new(&[text.to_owned()], None).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("witness"), "{problem}");
        }
        for (keys, quorum) in [(vec![], 1), (vec![key(1)], 2), (vec![key(1), key(1)], 2)] {
            let problem = Witnesses::new(&keys, NonZeroUsize::new(quorum)).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("quorum"), "{problem}");
        }
    }
}
