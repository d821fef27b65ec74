//! Opening texts, unless they are hidden or erased.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{LedgerAnswer, Sha256},
};

use super::Answers;
use crate::store::{Body, Keys};

impl Answers {
    /// Those of these texts that are there and open.
    pub(super) async fn open(
        &self,
        hashes: BTreeSet<Sha256>,
    ) -> Result<BTreeMap<Sha256, String>, Problem> {
        let bodies = self.shared.store.bodies(&hashes).await?;
        let subjects = bodies.values().filter_map(|body| body.subject.clone()).collect();
        let keys = self.shared.store.subject_keys(subjects).await?;
        let open = |(hash, body): (Sha256, Body)| Some((hash, opened(body, &keys)?));
        Ok(bodies.into_iter().filter_map(open).collect())
    }

    pub(super) async fn body(&self, hash: Sha256) -> Result<LedgerAnswer, Problem> {
        let missing = || {
            Problem::new(ErrorCode::NotFound, format!("there is no text with the hash {hash}"))
                .at("hash")
                .hint("it may be hidden by a tombstone, or erased")
        };
        if self.shared.store.is_hidden(hash).await? {
            return Err(missing());
        }
        let text = self.open(BTreeSet::from([hash])).await?.remove(&hash).ok_or_else(missing)?;
        Ok(LedgerAnswer::Body { text })
    }
}

fn opened(body: Body, keys: &Keys) -> Option<String> {
    let Body { hash, text, sealed, subject } = body;
    match sealed {
        Some(sealed) => keys.get(&subject?)?.open(&hash, &sealed).map(|opened| opened.text),
        None => text,
    }
}
