//! Texts in their rows, and the keys of those that are sealed: all that the log names and has not erased, and nothing
//! else.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{Problem, idea::Sha256};

use super::{Finding, digest::Digest, local::Run};
use crate::{
    pack::{Named, is_sound},
    replay::Parsed,
    store::{Body, Keys},
};

/// What the leaves name so far.
#[derive(Debug, Default)]
pub(super) struct Texts {
    named: BTreeSet<Digest>,
    /// Texts that are there though they were erased, unless an entry behind that names them again.
    undead: BTreeMap<Sha256, u64>,
    /// Subjects whose keys are needed.
    subjects: BTreeSet<String>,
}

impl Run {
    /// The texts of these entries are those that they name.
    pub(super) async fn bodies(&mut self, leaves: &[Parsed]) -> Result<(), Problem> {
        let named = leaves.iter().filter_map(|Parsed { leaf, entry }| {
            entry.say.body().map(|body| Named { index: leaf.index, body: body.clone() })
        });
        let named: Vec<Named> = named.collect();
        let bodies = named.iter().map(|named| named.body.hash).collect();
        let bodies = self.store.bodies(&bodies).await?;
        let subjects = named.iter().filter_map(|named| named.body.sealed.clone()).collect();
        let keys = self.store.subject_keys(subjects).await?;
        for named in named {
            self.checked.bodies += 1;
            let body = bodies.get(&named.body.hash);
            if let Err(detail) = self.body(&named, body, &keys) {
                self.findings.add(Finding::at(named.index, "body", detail));
            }
        }
        Ok(())
    }

    fn body(
        &mut self,
        named: &Named,
        body: Option<&Body>,
        keys: &Keys,
    ) -> Result<(), &'static str> {
        let Named { index, body: wanted } = named;
        self.texts.named.insert(self.last.digests.text(&wanted.hash.to_string()));
        if self.erasures.of(named).is_some() {
            if body.is_some() {
                self.texts.undead.entry(wanted.hash).or_insert(*index);
            }
            return Ok(());
        }
        self.texts.undead.remove(&wanted.hash);
        self.texts.subjects.extend(wanted.sealed.clone());
        let body = body.ok_or("the text is missing")?;
        match &wanted.sealed {
            Some(_) if body.text.is_some() => return Err("the text should be sealed and is not"),
            None if body.sealed.is_some() => return Err("the text is sealed and should not be"),
            Some(subject) if !keys.contains_key(subject) => {
                return Err("the subject's key is gone and its text is not");
            }
            Some(_) | None => {}
        }
        if is_sound(wanted, body, keys) {
            return Ok(());
        }
        Err("the text is not the one whose hash the entry names, or does not open")
    }

    /// Behind the last leaf: what is there that must not be.
    pub(super) async fn texts_and_keys(&mut self) -> Result<(), Problem> {
        for (_, index) in std::mem::take(&mut self.texts.undead) {
            let detail = "the text was erased and is there";
            self.findings.add(Finding::at(index, "body", detail));
        }
        let (named, mut strangers) = (&self.texts.named, 0_u64);
        let is_named = |hash: &String| named.contains(&self.last.digests.text(hash));
        let count = |hash: String| strangers += u64::from(!is_named(&hash));
        self.store.each_body_hash(count).await?;
        if strangers > 0 {
            let detail = format!("{strangers} texts are there that no entry names");
            self.findings.add(Finding::of("body", detail));
        }
        for subject in self.store.subjects_with_keys().await? {
            if self.texts.subjects.contains(&subject) {
                continue;
            }
            self.findings.add(match self.erasures.0.get(&subject) {
                Some(at) => Finding::at(*at, "key", "the key of an erased subject is there"),
                None => Finding::of("key", "a key is there of a subject that no entry names"),
            });
        }
        Ok(())
    }
}
