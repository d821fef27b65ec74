//! A client that files ideas, each again until it is told where in the ledger it is, and looks at heads. It writes
//! down what it was told, as the other clients do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mesh_ideas_core::{SigningKey, Unsigned, body_hash, entry_id, sign};
use mesh_schemas::idea::{Appended, BodyRef, LedgerCheckpoint, Say, Submission};
use mesh_tests::http::Http;
use mesh_tlog::{TrustedLog, VerifierKey};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    client::{PATIENCE, send, wants_another},
    history::{Action, Answer, Outcome},
    record::Recorder,
    rng::Rng,
};

/// How long ideas may go on being refused once everything is good again.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Between two rounds of filing again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// It.
#[derive(Debug)]
pub struct Filer {
    number: u32,
    /// The orchestrators; of several, one leads.
    http: Vec<Http>,
    asking: usize,
    recorder: Arc<Recorder>,
    rng: Rng,
    key: SigningKey,
    /// What it filed, and whether it knows the index.
    mine: Vec<(Submission, bool)>,
}

impl Filer {
    /// One that takes its choices from a seed, and its key from nowhere.
    pub fn new(number: u32, http: Vec<Http>, recorder: Arc<Recorder>, seed: u64) -> Self {
        let rng = Rng::new(seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number)));
        let key = SigningKey::from_bytes(&mesh_fabric::ids::random());
        Self { number, http, asking: 0, recorder, rng, key, mine: Vec::new() }
    }

    /// Files and looks until told to stop.
    ///
    /// # Errors
    /// When its own history cannot be written.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<Self> {
        while !stop.is_cancelled() {
            match self.rng.between(0, 99) {
                0..55 => {
                    self.mine.push((self.idea(), false));
                    self.file(self.mine.len() - 1).await?;
                }
                55..85 => self.file_again().await?,
                _ => self.look().await?,
            }
            let wait = self.rng.millis(20, 300);
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        Ok(self)
    }

    /// Files again whatever it knows no index of; how many are left.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn settle(&mut self) -> anyhow::Result<usize> {
        let begun = Instant::now();
        loop {
            for place in 0..self.mine.len() {
                if self.mine.get(place).is_some_and(|(_, known)| !known) {
                    self.file(place).await?;
                }
            }
            let left = self.mine.iter().filter(|(_, known)| !known).count();
            if left == 0 || begun.elapsed() > SETTLE_MAX {
                self.look().await?;
                return Ok(left);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    fn idea(&self) -> Submission {
        let text = format!("Idea {} of filer {}", self.mine.len(), mesh_fabric::ids::secret(""));
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let body = BodyRef { hash: body_hash(&text, None), bytes, sealed: None };
        let say = Say::Idea { body, parents: Vec::new(), tags: Vec::new(), source: None };
        let unsigned = Unsigned { name: None, time: mesh_fabric::time::now(), say };
        Submission { entry: sign(unsigned, &self.key), body: Some(text), salt: None }
    }

    /// One that it was told nothing of, or any: the ledger has it once all the same.
    async fn file_again(&mut self) -> anyhow::Result<()> {
        let unknown = self.mine.iter().position(|(_, known)| !known);
        let all: Vec<usize> = (0..self.mine.len()).collect();
        match unknown.or_else(|| self.rng.pick(&all).copied()) {
            Some(place) => self.file(place).await,
            None => Ok(()),
        }
    }

    async fn file(&mut self, place: usize) -> anyhow::Result<()> {
        let Some((submission, _)) = self.mine.get(place) else { return Ok(()) };
        let action = Action::File { entry: entry_id(&submission.entry).to_string() };
        let request = self.request(Method::POST, "/api/v1/ideas").json(submission);
        let answer = |appended: Appended| Some(Answer::Filed { index: appended.index });
        let outcome = self.ask(action, request, answer).await?;
        if let (Outcome::Ok(Answer::Filed { index: Some(_) }), Some((_, known))) =
            (outcome, self.mine.get_mut(place))
        {
            *known = true;
        }
        Ok(())
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let request = self.request(Method::GET, "/api/v1/ledger/checkpoint");
        self.ask(Action::Head, request, |head| opened(&head)).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http[self.asking % self.http.len()].request(method, path)
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        action: Action,
        request: RequestBuilder,
        answer: impl FnOnce(T) -> Option<Answer>,
    ) -> anyhow::Result<Outcome> {
        let id = self.recorder.asked(self.number, action)?;
        let outcome = match send(request.timeout(PATIENCE), answer).await {
            Ok(Some(answer)) => Outcome::Ok(answer),
            Ok(None) => Outcome::Unknown("the answer cannot be opened".into()),
            Err(outcome) => outcome,
        };
        self.recorder.done(id, outcome.clone())?;
        if wants_another(&outcome) {
            self.asking += 1;
        }
        Ok(outcome)
    }
}

/// A head that its key has signed.
fn opened(head: &LedgerCheckpoint) -> Option<Answer> {
    let log = TrustedLog::from_key(VerifierKey::parse(&head.key).ok()?).ok()?;
    let tree = log.open(head.note.as_bytes()).ok()?.head();
    let root = data_encoding::HEXLOWER.encode(&tree.root.0);
    Some(Answer::Head { size: tree.size, root, key: head.key.clone() })
}
