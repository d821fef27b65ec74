//! The one writer of a registry, and the reader of the stream: check, queue, decide in the transaction,
//! commit, answer.

use std::sync::Arc;

use mesh_ideas_core::{
    Checked, check,
    ledger::{Decision, Ledger, decide},
};
use mesh_schemas::Problem;

use super::{
    db::{Refused, Write},
    env::{Answer, Came, Of, Step},
    plan::Plan,
    planted::Bug,
    stats::Kind,
    world::World,
};

/// Most requests of one transaction.
const BATCH_MAX: usize = 8;

/// What waits for the writer.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) item: usize,
    /// Nothing when only the position is to be kept.
    pub(super) checked: Option<Arc<Checked>>,
    /// Which stream, and the number in it.
    pub(super) position: Option<(u32, u64)>,
    /// Only with a planted bug: what was decided when it arrived.
    pub(super) decided: Option<Decision>,
}

/// A transaction under way.
#[derive(Debug, Clone)]
pub(super) struct Writing {
    pub(super) size: u64,
    pub(super) requests: Vec<Request>,
    pub(super) answers: Vec<Answer>,
}

impl World {
    /// An entry arrives: it is checked at once, and queued.
    pub(super) fn on_asked(&mut self, index: usize, item: usize) {
        let registry = &self.instances[index];
        let Some(run) = registry.run.as_deref() else {
            return self.env.after(50, super::env::Event::Unanswered { item });
        };
        let halted = run.halted;
        let now = self.env.wall(registry.skew);
        let checked = check(&self.items[item].submission, now, &self.keys.registry_authors());
        let request = |checked| Request { item, checked, position: None, decided: None };
        match checked {
            Ok(checked) if !halted => {
                let mut request = request(Some(Arc::new(checked)));
                request.decided = self.decided_outside(&request);
                self.run(index).iter_mut().for_each(|run| run.queue.push(request.clone()));
            }
            Ok(_) => self.answer(&request(None), Answer::NotNow),
            Err(problem) => self.answer(&request(None), refusal(&problem)),
        }
    }

    fn decided_outside(&self, request: &Request) -> Option<Decision> {
        let checked = request.checked.as_ref().filter(|_| self.env.has(Bug::DuplicateCheckOutside));
        decide(&self.db.tables.logs.last()?.ledger, checked?, checked?.content(None)).ok()
    }

    /// Takes what is queued, decides, and commits.
    pub(super) fn write(&mut self, index: usize) {
        let wait = self.env.rng.between(2, 40);
        self.step_after(index, wait, Step::Write);
        let Some(run) = self.run(index) else { return };
        if run.writing.is_some() {
            return;
        }
        if run.unsure {
            let epoch = run.epoch;
            return self.settle(index, epoch);
        }
        if run.queue.is_empty() {
            return;
        }
        let (epoch, halted) = (run.epoch, run.halted);
        let count = run.queue.len().min(BATCH_MAX);
        let requests: Vec<Request> = run.queue.drain(..count).collect();
        if halted {
            return self.answer_all(&requests);
        }
        match self.db.may_begin(&mut self.env, Some(epoch)) {
            Ok(()) => {}
            Err(Refused::Locked) => {
                // The database lets it wait; the requests stay in front.
                return self.run(index).iter_mut().for_each(|run| {
                    run.queue.splice(0..0, requests.clone());
                });
            }
            Err(Refused::Down) => return self.failed(index, &requests),
            Err(Refused::NotWriter) => {
                self.answer_all(&requests);
                return self.not_writer(index);
            }
        }
        if !self.dies(index, Kind::CrashAtStep) {
            self.decide_and_commit(index, requests);
        }
    }

    fn decide_and_commit(&mut self, index: usize, requests: Vec<Request>) {
        let me = (index, self.instances[index].life);
        let now = self.env.wall(self.instances[index].skew);
        let Some((version, first)) = self.run(index).map(|run| (run.version, run.size)) else {
            return;
        };
        let Some(log) = self.db.log(version) else { return };
        let ledger = Ledger { size: first, ..log.ledger.clone() };
        let (keys, known, rows) = (self.keys, &log.leaves[..], Vec::new());
        let mut plan = Plan { env: &mut self.env, keys, now, version, ledger, known, rows };
        let answers: Vec<Answer> = requests.iter().map(|request| plan.add(request)).collect();
        let Plan { ledger, rows, .. } = plan;
        for (request, answer) in requests.iter().zip(&answers) {
            if let (Some((born, number)), Answer::Refused) = (request.position, answer) {
                self.observer.decided_against(born, number);
            }
        }
        let position = requests.iter().filter_map(|request| request.position).max();
        if rows.is_empty() && position.is_none() {
            return requests.iter().zip(answers).for_each(|(of, answer)| self.answer(of, answer));
        }
        let size = ledger.size;
        let mut writes = Vec::new();
        if !rows.is_empty() {
            writes.push(Write::Leaves { version, first, rows, ledger: Box::new(ledger) });
        }
        writes.extend(position.map(|(born, number)| Write::Position(born, number)));
        self.db.commit(&mut self.env, me, Of::Append, writes);
        if self.env.has(Bug::AnswerBeforeCommit) {
            requests.iter().zip(&answers).for_each(|(of, answer)| self.answer(of, answer.clone()));
        }
        let writing = Some(Writing { size, requests, answers });
        self.run(index).iter_mut().for_each(|run| run.writing.clone_from(&writing));
    }

    pub(super) fn on_appended(&mut self, index: usize, came: Came) {
        let Some(Writing { size, requests, answers }) =
            self.run(index).and_then(|run| run.writing.take())
        else {
            return;
        };
        if came == Came::Unknown {
            return self.failed(index, &requests);
        }
        self.run(index).iter_mut().for_each(|run| run.size = size);
        if self.dies(index, Kind::CrashBeforeAnswer) {
            return;
        }
        for (request, answer) in requests.iter().zip(answers) {
            self.done_reading(index, request);
            self.answer(request, answer);
        }
    }

    /// Nobody knows whether it took effect, but the database does.
    fn failed(&mut self, index: usize, requests: &[Request]) {
        self.answer_all(requests);
        for request in requests {
            self.done_reading(index, request);
        }
        self.run(index).iter_mut().for_each(|run| run.unsure = true);
        if self.env.has(Bug::SizeReadAtOnce) && !self.db.down {
            self.read_size(index);
        }
    }

    fn read_size(&mut self, index: usize) {
        let Some(version) = self.run(index).map(|run| run.version) else { return };
        let size = self.db.log(version).map_or(0, super::db::Log::size);
        if let Some(run) = self.run(index) {
            (run.size, run.unsure) = (size, false);
        }
    }

    /// A transaction that was given up may still land: an empty one waits behind it before the size is read.
    fn settle(&mut self, index: usize, epoch: u64) {
        match self.db.may_begin(&mut self.env, Some(epoch)) {
            Ok(()) => {
                self.env.stats.count(Kind::Settled);
                self.read_size(index);
            }
            Err(Refused::NotWriter) => self.not_writer(index),
            Err(Refused::Locked | Refused::Down) => {}
        }
    }

    fn answer_all(&mut self, requests: &[Request]) {
        requests.iter().for_each(|request| self.answer(request, Answer::NotNow));
    }

    // ---- the stream ----

    /// Takes the next message, one at a time; goes on when its position is kept.
    pub(super) fn read(&mut self, index: usize) {
        let wait = self.env.rng.between(5, 60);
        self.step_after(index, wait, Step::Read);
        let stream = self.stream.born;
        let (born, kept) = self.db.tables.stream;
        let believed = born == stream || self.env.has(Bug::PositionOfOtherStream);
        let next = if believed { kept + 1 } else { 1 };
        let Some(run) = self.run(index) else { return };
        if run.halted || run.reading.is_some() || self.db.down {
            return;
        }
        let mut number = next;
        if self.env.strikes(self.env.options.stream_mixed) {
            number = (number + self.env.rng.between(0, 4)).saturating_sub(2);
        }
        let Some(message) = self.stream.get(number) else { return };
        if number != next {
            return self.env.stats.count(Kind::StreamOutOfOrder);
        }
        // An entry was in order when it was filed, whatever this machine's clock says by now.
        let own = self.env.wall(self.instances[index].skew);
        let by_own = self.env.has(Bug::JudgedByOwnClock);
        let now = if by_own { own } else { own.max(message.at) };
        let item = message.item;
        let checked = check(&self.items[item].submission, now, &self.keys.registry_authors());
        self.env.stats.count(Kind::StreamTaken);
        if let Err(problem) = &checked {
            self.env.stats.count(Kind::StreamRefused);
            self.observer.decided_against(stream, number);
            if problem.field.as_deref() == Some("time") {
                // Nobody here files entries of the future.
                self.env.broken("A9", format!("message {number} is lost: {}", problem.detail));
            }
        }
        if self.env.has(Bug::PositionBeforeAppend) {
            self.db.tables.stream = (stream, number);
        }
        let checked = checked.ok().map(Arc::new);
        let request = Request { item, checked, position: Some((stream, number)), decided: None };
        if let Some(run) = self.run(index) {
            run.reading = Some(number);
            run.queue.push(request);
        }
    }

    fn done_reading(&mut self, index: usize, request: &Request) {
        if let Some(run) = self.run(index).filter(|_| request.position.is_some()) {
            run.reading = None;
        }
    }
}

/// Of what may be otherwise later, the author is told so.
fn refusal(problem: &Problem) -> Answer {
    if problem.field.as_deref() == Some("time") { Answer::NotNow } else { Answer::Refused }
}
