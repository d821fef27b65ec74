//! What lies outside of a registry: the object store, the stream, and the witness.

use std::collections::BTreeMap;

use mesh_tlog::{AddCheckpoint, Cosigned, Refused, Timestamp, TreeHead, Witness};

use super::{
    disk::Name,
    env::{Env, Event},
    keys::Keys,
    planted::Bug,
    stats::Kind,
};

/// Somebody did not answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoAnswer;

/// The object store.
#[derive(Debug, Default)]
pub(super) struct Objects {
    files: BTreeMap<(u32, Name), Vec<u8>>,
    late: BTreeMap<u64, (u32, Name, Vec<u8>)>,
    puts: u64,
}

impl Objects {
    pub(super) fn put(
        &mut self,
        env: &mut Env,
        (version, name): (u32, Name),
        bytes: Vec<u8>,
    ) -> Result<(), NoAnswer> {
        if env.strikes_as(env.options.store_unavailable, Kind::StoreUnavailable) {
            return Err(NoAnswer);
        }
        if env.strikes(env.options.store_lies) {
            return Ok(());
        }
        if !env.strikes_as(env.options.store_unknown, Kind::StoreUnknown) {
            env.stats.count(Kind::Put);
            self.files.insert((version, name), bytes);
            return Ok(());
        }
        self.puts += 1;
        self.late.insert(self.puts, (version, name, bytes));
        let wait = env.rng.between(1, 2_000);
        env.after(wait, Event::PutLate { put: self.puts });
        Err(NoAnswer)
    }

    /// An upload lands that nobody waits for.
    pub(super) fn land(&mut self, env: &mut Env, put: u64) {
        if let Some((version, name, bytes)) = self.late.remove(&put) {
            env.stats.count(Kind::PutLate);
            self.files.insert((version, name), bytes);
        }
    }

    pub(super) fn get(&self, env: &mut Env, at: (u32, Name)) -> Result<Option<&Vec<u8>>, NoAnswer> {
        if env.strikes_as(env.options.store_unavailable, Kind::StoreUnavailable) {
            return Err(NoAnswer);
        }
        Ok(self.files.get(&at))
    }

    /// Removes partial files at the places of these full ones.
    pub(super) fn remove_partial(&mut self, version: u32, full: &[Name]) {
        self.files.retain(|(of, name), _| *of != version || !name.is_part_of(full));
    }

    /// What is there, for those who judge.
    pub(super) fn peek(&self, at: (u32, Name)) -> Option<&Vec<u8>> {
        self.files.get(&at)
    }
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    pub(super) item: usize,
    /// When the broker took it.
    pub(super) at: mesh_schemas::Timestamp,
}

/// The stream IDEA.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Which stream: another after each wipe.
    pub(super) born: u32,
    pub(super) messages: Vec<Message>,
}

impl Stream {
    pub(super) fn publish(&mut self, env: &mut Env, item: usize) {
        env.stats.count(Kind::ToStream);
        self.messages.push(Message { item, at: env.time() });
    }

    pub(super) fn wipe(&mut self, env: &mut Env) {
        env.stats.count(Kind::StreamWiped);
        self.born += 1;
        self.messages.clear();
    }

    /// The message with this number, from 1 on.
    pub(super) fn get(&self, number: u64) -> Option<Message> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.messages.get(place).copied()
    }
}

/// The witness, which keeps what it cosigned before it answers.
#[derive(Debug)]
pub(super) struct WitnessSide {
    witness: Witness,
    kept: BTreeMap<String, TreeHead>,
}

impl WitnessSide {
    pub(super) fn new(keys: &Keys) -> Self {
        let witness = Witness::new(keys.witness.clone(), keys.all_trusted());
        Self { witness: witness.expect("keys of their kinds"), kept: BTreeMap::new() }
    }

    pub(super) fn ask(
        &mut self,
        env: &mut Env,
        request: AddCheckpoint,
    ) -> Result<Result<Cosigned, Refused>, NoAnswer> {
        if env.strikes_as(env.options.witness_lost, Kind::WitnessLost) {
            return Err(NoAnswer);
        }
        let origin = request.checkpoint.origin().to_owned();
        let seconds = u64::try_from(env.time().as_millis() / 1_000).unwrap_or(1);
        let now = Timestamp::new(seconds).expect("simulated times are after 1970");
        let decided = self.witness.decide(request, self.kept.get(&origin).copied(), now);
        if let Ok(cosigned) = &decided {
            self.kept.insert(origin.clone(), cosigned.head);
        }
        if env.has(Bug::WitnessForgets) && env.strikes(50) {
            self.kept.remove(&origin);
        }
        if env.strikes_as(env.options.witness_lost, Kind::WitnessLost) {
            return Err(NoAnswer);
        }
        Ok(decided)
    }

    /// What it cosigned last, as anybody may fetch it.
    pub(super) fn look(&self, env: &mut Env, origin: &str) -> Result<Option<TreeHead>, NoAnswer> {
        if env.strikes_as(env.options.witness_lost, Kind::WitnessLost) {
            return Err(NoAnswer);
        }
        Ok(self.kept.get(origin).copied())
    }

    /// What it cosigned last, for those who judge.
    pub(super) fn peek(&self, origin: &str) -> Option<TreeHead> {
        self.kept.get(origin).copied()
    }
}
