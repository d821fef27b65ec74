//! Authors with spools, forgers, and clients that remember heads.

use mesh_ideas_core::{SigningKey, Unsigned, author_of, entry_id, sign};
use mesh_schemas::{
    JobId,
    attempt::JobState,
    idea::{EntryId, IdeaId, IdeaStatus, Relation, Say, Signature, Submission},
};

use super::{
    env::{Answer, Event},
    keys::body,
    stats::Kind,
    world::World,
    writer::Request,
};

/// What became of an entry, as far as its author knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Spooled,
    Acknowledged {
        version: u32,
        index: u64,
        entry: EntryId,
    },
    Refused,
    /// The author lost its spool.
    SpoolLost,
    /// It was acknowledged, and the backup is older.
    LostByRestore,
}

/// One entry that somebody filed.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) submission: Submission,
    pub(super) id: EntryId,
    pub(super) author: usize,
    pub(super) forged: bool,
    pub(super) state: State,
    sent: bool,
}

/// Texts that are filed; some are alike, and there are few, so that they are filed again.
const TEXTS: [&str; 9] = [
    "Warm the build cache before the first job of a node starts",
    "Warm the build cache before the first job of each node starts",
    "Show the queue of a node in the web page of the mesh",
    "Let a scout read the release notes of our dependencies every night",
    "Stop a job that prints nothing for an hour and tell its owner",
    "Stop a job that prints nothing for two hours and tell its owner",
    "Price each region by the hour and move long jobs to the cheap one",
    "Keep the last ten checkpoints of a job, not all of them",
    "Draw the graph of ideas with the jobs that came of them",
];

impl World {
    pub(super) fn on_author(&mut self, author: usize) {
        let wait = self.env.rng.between(50, 1_500);
        self.env.after(wait, Event::Author { author });
        if self.to_file[author] > 0 && (self.env.calm || self.env.rng.chance(600)) {
            self.to_file[author] -= 1;
            self.file(author);
        }
        let spooled = |item: &Item| item.author == author && item.state == State::Spooled;
        let spool: Vec<usize> =
            (0..self.items.len()).filter(|at| spooled(&self.items[*at])).collect();
        if spool.is_empty() {
            return;
        }
        let item = spool[self.env.rng.index(spool.len())];
        if std::mem::replace(&mut self.items[item].sent, true) {
            self.env.stats.count(Kind::SentAgain);
        }
        self.send(item);
    }

    /// By way of the orchestrator, which puts it on the stream when nobody answers.
    fn send(&mut self, item: usize) {
        let up: Vec<usize> =
            (0..self.instances.len()).filter(|at| self.instances[*at].run.is_some()).collect();
        let lost = self.env.strikes_as(self.env.options.drop, Kind::Dropped);
        if up.is_empty() || lost {
            return self.env.after(300, Event::Unanswered { item });
        }
        let index = up[self.env.rng.index(up.len())];
        let wait = self.env.rng.between(1, 20);
        self.env.after(wait, Event::Asked { index, item });
        if self.env.strikes_as(self.env.options.double, Kind::Doubled) {
            let wait = self.env.rng.between(1, 3_000);
            self.env.after(wait, Event::Asked { index, item });
        }
    }

    pub(super) fn on_unanswered(&mut self, item: usize) {
        self.stream.publish(&mut self.env, item);
    }

    /// A registry answers. What it says must be true at this moment, whatever becomes of the answer.
    pub(super) fn answer(&mut self, request: &Request, answer: Answer) {
        if let Answer::Appended { version, appended } = &answer {
            let place = appended.index.and_then(|index| usize::try_from(index).ok());
            let log = self.db.log(*version);
            let leaf = log.zip(place).and_then(|(log, place)| log.leaves.get(place));
            if leaf.is_none_or(|leaf| leaf.id != appended.entry) {
                let (entry, index) = (appended.entry, appended.index);
                self.env.broken("I6", format!("{entry} was told {index:?} and is not there"));
            }
        }
        if request.position.is_some() {
            return;
        }
        let item = request.item;
        if self.env.strikes_as(self.env.options.drop, Kind::Dropped) {
            return self.env.after(300, Event::Unanswered { item });
        }
        let wait = self.env.rng.between(1, 20);
        let restored = self.observer.restores();
        self.env.after(wait, Event::Answered { item, answer, restored });
    }

    pub(super) fn on_answered(&mut self, item: usize, answer: Answer, restored: usize) {
        let forged = self.items[item].forged;
        let state = &mut self.items[item].state;
        match (answer, *state) {
            (Answer::Appended { version, appended }, State::Spooled) => {
                self.env.stats.count(Kind::Acknowledged);
                let (index, entry) = (appended.index.unwrap_or(u64::MAX), appended.entry);
                self.items[item].state = State::Acknowledged { version, index, entry };
                let files = matches!(self.items[item].submission.entry.say, Say::Idea { .. });
                self.known.extend(files.then(|| appended.idea.unwrap_or_else(|| entry.into())));
                // The log may have been put back while the answer was under way.
                let place = usize::try_from(index).unwrap_or(usize::MAX);
                let leaf = self.db.log(version).and_then(|log| log.leaves.get(place));
                let there = leaf.is_some_and(|leaf| leaf.id == entry);
                if restored < self.observer.restores() && !there {
                    self.env.stats.count(Kind::LostByRestore);
                    self.items[item].state = State::LostByRestore;
                }
            }
            (Answer::Appended { version, appended }, State::Acknowledged { .. }) => {
                self.env.stats.count(Kind::AcknowledgedAgain);
                let (index, entry) = (appended.index.unwrap_or(u64::MAX), appended.entry);
                let again = State::Acknowledged { version, index, entry };
                let same = matches!(*state, State::Acknowledged { version: v, .. } if v == version);
                if same && again != *state {
                    self.env.broken("I6", format!("{entry} was told two indices"));
                }
            }
            (Answer::Refused, State::Spooled) => {
                let kind = if forged { Kind::ForgedRefused } else { Kind::Refused };
                self.env.stats.count(kind);
                *state = State::Refused;
            }
            (Answer::NotNow, State::Spooled) => self.env.stats.count(Kind::RefusedForNow),
            (_, _) => {}
        }
    }

    // ---- filing ----

    fn file(&mut self, author: usize) {
        self.env.stats.count(Kind::Filed);
        let key = &self.keys.authors[author];
        let forged = self.env.rng.chance(60);
        let (say, text) = if forged { (self.forgery(), None) } else { self.something(author) };
        let signer = if forged { &self.keys.forger } else { key };
        let mut entry = sign(Unsigned { name: None, time: self.env.time(), say }, signer);
        if forged && self.env.rng.chance(300) {
            // It says to be by somebody else.
            entry.author = author_of(key);
        } else if forged && self.env.rng.chance(200) {
            entry.sig = Signature([7; 64]);
        }
        let id = entry_id(&entry);
        let submission = Submission { entry, body: text, salt: None };
        let state = State::Spooled;
        self.items.push(Item { submission, id, author, forged, state, sent: false });
    }

    fn some_idea(&mut self) -> Option<IdeaId> {
        if self.known.is_empty() {
            return None;
        }
        let place = self.env.rng.index(self.known.len());
        Some(self.known[place])
    }

    /// Whom the chain of an idea ends with, as the author has seen it last.
    fn chain_head(&self, idea: IdeaId) -> EntryId {
        let ledger = self.db.tables.logs.last().map(|log| &log.ledger);
        let row = ledger.and_then(|ledger| ledger.ideas.get(&idea));
        row.map_or(EntryId(idea.0), |row| row.holder.head)
    }

    fn new_idea(&mut self) -> (Say, Option<String>) {
        let text = TEXTS[self.env.rng.index(TEXTS.len())];
        let parents =
            self.some_idea().filter(|_| self.env.now.is_multiple_of(3)).into_iter().collect();
        let (tags, source) = (Vec::new(), None);
        (Say::Idea { body: body(text), parents, tags, source }, Some(text.to_owned()))
    }

    fn something(&mut self, author: usize) -> (Say, Option<String>) {
        let Some(idea) = self.some_idea().filter(|_| self.env.rng.chance(600)) else {
            return self.new_idea();
        };
        let follows = self.chain_head(idea);
        let text = format!("a remark of {author} at {}", self.env.now);
        match self.env.rng.between(0, 9) {
            0 => (Say::Comment { idea, body: body(&text) }, Some(text)),
            1 => (Say::Revision { idea, body: body(&text) }, Some(text)),
            2 => (Say::Claim { idea, follows }, None),
            3 | 4 => (Say::Release { idea, follows }, None),
            5 => {
                let to = self.env.rng.index(self.to_file.len());
                let to = author_of(&self.keys.authors[to]);
                (Say::Transfer { idea, to, follows }, None)
            }
            6 => (Say::Status { idea, status: IdeaStatus::Accepted, reason: None }, None),
            7 => {
                let (impact, vote) = (Some(50), Some(1));
                (Say::Rank { idea, impact, cost: None, risk: None, vote }, None)
            }
            8 => {
                let to = self.some_idea().unwrap_or(idea);
                let (proposed, likeness) = (false, None);
                (Say::Link { from: idea, to, relation: Relation::Blocks, proposed, likeness }, None)
            }
            _ => (Say::Tombstone { entry: EntryId(idea.0), reason: "no more".to_owned() }, None),
        }
    }

    /// What its author may not say.
    fn forgery(&mut self) -> Say {
        let idea = self.some_idea().unwrap_or(IdeaId([1; 32]));
        let follows = self.chain_head(idea);
        let forger: &SigningKey = &self.keys.forger;
        match self.env.rng.between(0, 3) {
            0 => Say::Transfer { idea, to: author_of(&self.keys.authors[0]), follows },
            1 => Say::Release { idea, follows },
            2 => {
                let (by, by_sig) = (author_of(forger), Signature([1; 64]));
                Say::SeenAgain { idea, entry: EntryId([2; 32]), by, by_sig }
            }
            _ => {
                let (job, state) =
                    (JobId::from_uuid(uuid::Uuid::from_u128(1)), JobState::Succeeded);
                Say::Job { idea, job, state, job_name: "forged".to_owned() }
            }
        }
    }
}
