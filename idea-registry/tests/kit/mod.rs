//! What the tests of this package share: texts, signed submissions, and registries over both databases.

#![allow(dead_code, reason = "each test file is a program of its own and uses a part")]
#![allow(unreachable_pub, reason = "a module of tests")]
#![allow(clippy::unwrap_used, reason = "what helps the tests fails as they do")]

use mesh_fabric::{ids, time};
use mesh_ideas::{
    registry::{Place, Registry},
    store::Login,
};
use mesh_ideas_core::{SigningKey, Unsigned, body_hash, sign};
use mesh_schemas::idea::{BodyRef, Say, Sha256, Submission};
use mesh_tests::postgres::Postgres;
use tempfile::TempDir;

/// Author number `n`.
pub fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

pub fn body(text: &str) -> BodyRef {
    let bytes = u32::try_from(text.len()).unwrap();
    BodyRef { hash: body_hash(text, None), bytes, sealed: None }
}

pub fn say(n: u8, say: Say) -> Submission {
    let entry = sign(Unsigned { name: None, time: time::now(), say }, &key(n));
    Submission { entry, body: None, salt: None }
}

pub fn with_text(n: u8, what: Say, text: &str) -> Submission {
    Submission { body: Some(text.into()), ..say(n, what) }
}

pub fn idea(n: u8, text: &str) -> Submission {
    let what = Say::Idea { body: body(text), parents: vec![], tags: vec![], source: None };
    with_text(n, what, text)
}

pub fn sealed_idea(n: u8, text: &str, subject: &str) -> Submission {
    let salt = Sha256(ids::random());
    let hash = body_hash(text, Some(&salt.0));
    let body = BodyRef { hash, sealed: Some(subject.into()), ..body(text) };
    let what = Say::Idea { body, parents: vec![], tags: vec![], source: None };
    Submission { salt: Some(salt), ..with_text(n, what, text) }
}

/// A text that is like no other: sixteen words without meaning.
pub fn some_text() -> String {
    let words = (0..16).map(|_| ids::secret("").to_lowercase());
    words.map(|word| word[..8].to_owned()).collect::<Vec<_>>().join(" ")
}

/// A place of a log's own, of which nothing stays.
#[derive(Debug)]
pub struct Home {
    pub place: Place,
    pub dir: TempDir,
}

impl Home {
    pub fn sqlite() -> Self {
        let dir = mesh_tests::tmp::dir("ideas");
        Self { place: Place::in_directory(&dir.path().join("data")), dir }
    }

    pub async fn postgres() -> Self {
        let home = Self::sqlite();
        let cluster = Postgres::shared().await.unwrap();
        let database = cluster.database().await.unwrap();
        let login = Login { password: Some(cluster.password().into()), role: None };
        Self { place: Place { database, login, ..home.place }, dir: home.dir }
    }

    pub async fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres().await]
    }

    pub async fn start(&self) -> Registry {
        Registry::start(&self.place).await.unwrap()
    }
}
