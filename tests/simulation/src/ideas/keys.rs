//! Keys of everybody, and a log that is nearly a full tile, made once for all seeds.

use std::sync::{Arc, OnceLock};

use mesh_ideas_core::{
    SigningKey, Unsigned, author_of, body_hash,
    entry::leaf_data,
    entry_id,
    ledger::{Leaf, Ledger, TextFacts, project},
    sign,
};
use mesh_schemas::{
    Timestamp,
    idea::{AuthorId, BodyRef, Entry, Say},
};
use mesh_tlog::{KeyKind, SignerKey, TrustedLog};

use super::db::LeafRow;

/// Logs that one world may have, one after the other.
pub(super) const VERSIONS_MAX: u32 = 8;
/// Entries of a log that is nearly a full tile.
const GROWN: usize = 252;

/// Everybody's keys.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) authors: Vec<SigningKey>,
    /// Who is nobody in the log.
    pub(super) forger: SigningKey,
    pub(super) registry: SigningKey,
    logs: Vec<(SignerKey, TrustedLog)>,
    pub(super) witness: SignerKey,
    /// Leaves of a log that is nearly a full tile, with the projections.
    pub(super) grown: (Vec<LeafRow>, Ledger),
}

impl Keys {
    pub(super) fn get() -> &'static Keys {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(Keys::make)
    }

    fn make() -> Self {
        let key = |n: u8| SigningKey::from_bytes(&[n; 32]);
        let signer = |name: &str, kind, n: u8| {
            SignerKey::new(name, kind, &[n; 32]).expect("a name without spaces")
        };
        let log = |version: u32| {
            let n = 60 + u8::try_from(version).unwrap_or(0);
            let signer = signer(&format!("sim.example/ideas/v{version}"), KeyKind::Log, n);
            let trusted = TrustedLog::from_key(signer.verifier().clone()).expect("a log's key");
            (signer, trusted)
        };
        let authors: Vec<SigningKey> = (1..=5).map(key).collect();
        let grown = grown(&authors[0]);
        Self {
            authors,
            forger: key(99),
            registry: key(100),
            logs: (1..=VERSIONS_MAX).map(log).collect(),
            witness: signer("witness.example", KeyKind::Witness, 50),
            grown,
        }
    }

    fn log(&self, version: u32) -> &(SignerKey, TrustedLog) {
        &self.logs[usize::try_from(version - 1).unwrap_or(0)]
    }

    /// Signs for this version of the origin.
    pub(super) fn signer(&self, version: u32) -> &SignerKey {
        &self.log(version).0
    }

    /// Verifies for this version of the origin.
    pub(super) fn trusted(&self, version: u32) -> &TrustedLog {
        &self.log(version).1
    }

    pub(super) fn origin(&self, version: u32) -> &str {
        self.trusted(version).origin()
    }

    /// All logs, for the witness.
    pub(super) fn all_trusted(&self) -> Vec<TrustedLog> {
        self.logs.iter().map(|(_, trusted)| trusted.clone()).collect()
    }

    /// Who may write the registry's own kinds.
    pub(super) fn registry_authors(&self) -> [AuthorId; 1] {
        [author_of(&self.registry)]
    }
}

pub(super) fn body(text: &str) -> BodyRef {
    let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
    BodyRef { hash: body_hash(text, None), bytes, sealed: None }
}

pub(super) fn row(entry: &Entry, text: Option<&str>) -> LeafRow {
    let text = text.map(Arc::from);
    LeafRow { id: entry_id(entry), data: leaf_data(entry).into(), text }
}

fn grown(author: &SigningKey) -> (Vec<LeafRow>, Ledger) {
    let (mut rows, mut ledger) = (Vec::new(), Ledger::default());
    for n in 0..GROWN {
        let time = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(n).unwrap_or(0));
        let text = format!("the log's first idea {n}");
        // One idea, and remarks on it: these are cheap.
        let say = match rows.first() {
            None => {
                Say::Idea { body: body(&text), parents: Vec::new(), tags: Vec::new(), source: None }
            }
            Some(LeafRow { id, .. }) => Say::Comment { idea: (*id).into(), body: body(&text) },
        };
        let entry = sign(Unsigned { name: None, time, say }, author);
        let new = row(&entry, Some(&text));
        let leaf = Leaf { index: ledger.size, id: new.id, entry: &entry };
        let facts = TextFacts::follow_from(&entry.say).then(|| TextFacts::plain(&text));
        ledger.apply(&project(&leaf, facts));
        rows.push(new);
    }
    (rows, ledger)
}
