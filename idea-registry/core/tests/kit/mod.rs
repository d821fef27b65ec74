//! Builders that the tests of this package share.

#![allow(dead_code, reason = "each test file is a program of its own and uses a part")]
#![allow(unreachable_pub, reason = "a module of tests")]

use mesh_ideas_core::{SigningKey, Unsigned, author_of, body_hash, sign};
use mesh_schemas::{
    JobId, Timestamp,
    idea::{AuthorId, BodyRef, Entry, EntryId, IdeaId, Relation, Say, Sha256, Submission},
};

pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Key number `n`; 0 is the registry's.
pub fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n.wrapping_add(100); 32])
}

pub fn author(n: u8) -> AuthorId {
    author_of(&key(n))
}

pub fn registry() -> [AuthorId; 1] {
    [author(0)]
}

pub fn said(n: u8, say: Say) -> Entry {
    sign(Unsigned { name: None, time: NOW, say }, &key(n))
}

pub fn body(text: &str) -> BodyRef {
    let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
    BodyRef { hash: body_hash(text, None), bytes, sealed: None }
}

pub fn sealed(text: &str, salt: Sha256, subject: &str) -> BodyRef {
    let hash = body_hash(text, Some(&salt.0));
    BodyRef { hash, sealed: Some(subject.into()), ..body(text) }
}

pub fn bare(n: u8, say: Say) -> Submission {
    Submission { entry: said(n, say), body: None, salt: None }
}

pub fn with_text(n: u8, say: Say, text: &str) -> Submission {
    Submission { body: Some(text.into()), ..bare(n, say) }
}

pub fn idea_say(text: &str, parents: &[IdeaId]) -> Say {
    Say::Idea { body: body(text), parents: parents.to_vec(), tags: Vec::new(), source: None }
}

pub fn idea(n: u8, text: &str) -> Submission {
    with_text(n, idea_say(text, &[]), text)
}

pub fn some_idea(n: u8) -> IdeaId {
    IdeaId([n; 32])
}

pub fn some_entry(n: u8) -> EntryId {
    EntryId([n; 32])
}

pub fn link(from: IdeaId, to: IdeaId, relation: Relation) -> Say {
    Say::Link { from, to, relation, proposed: false, likeness: None }
}

pub fn job(n: u128) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(n))
}
