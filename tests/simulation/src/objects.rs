//! The object store as a model: objects that are overwritten as a whole or never, and answers that are late,
//! lost, unkind or untrue.

use std::collections::BTreeMap;

use mesh_schemas::{ErrorCode, manifest::PackRef};

use crate::{
    env::{Env, Event, Link},
    stats::Kind,
};

/// What a node hears of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Put {
    /// The store said that it has it.
    Stored,
    /// An object of that name is there.
    AlreadyThere,
    /// It is unknown what came of it.
    Failed,
}

/// The store.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    objects: BTreeMap<String, Vec<u8>>,
    down_until: u64,
    lies_until: u64,
}

impl Objects {
    /// Takes an object, and says what a node hears and after how long.
    pub(crate) fn put(
        &mut self,
        env: &mut Env,
        node: usize,
        key: &str,
        bytes: Vec<u8>,
    ) -> (u64, Put) {
        let wait = slowness(env);
        if env.is_cut(Link::NodeToStore(node)) || env.now < self.down_until {
            return (wait, Put::Failed);
        }
        if env.strikes(env.options.put_unavailable) {
            env.stats.count(Kind::PutUnavailable);
            env.stats.code(ErrorCode::ObjectsDown);
            return (wait, Put::Failed);
        }
        if env.strikes(env.options.put_late) {
            // The node gives up; the bytes are in the network.
            let late = env.rng.between(1, 60_000);
            env.after(late, Event::Uploaded { key: key.to_owned(), bytes });
            return (wait, Put::Failed);
        }
        if self.objects.contains_key(key) {
            env.stats.count(Kind::PutAgain);
            if env.options.store_overwrites == 0 {
                return (wait, Put::AlreadyThere);
            }
        }
        if env.now < self.lies_until || env.strikes(env.options.put_lies) {
            env.stats.count(Kind::PutLied);
            return (wait, Put::Stored);
        }
        env.stats.count(Kind::PutStored);
        self.objects.insert(key.to_owned(), bytes);
        if env.strikes(env.options.put_unknown) {
            env.stats.count(Kind::PutUnknown);
            return (wait, Put::Failed);
        }
        (wait, Put::Stored)
    }

    /// An upload that its node has given up arrives.
    pub(crate) fn land(&mut self, env: &mut Env, key: String, bytes: Vec<u8>) {
        let refused = env.options.store_overwrites == 0 && self.objects.contains_key(&key);
        if env.now >= self.down_until && !refused {
            env.stats.count(Kind::PutLate);
            self.objects.insert(key, bytes);
        }
    }

    /// Whether these objects are there with their lengths, as an orchestrator sees it.
    pub(crate) fn check(&self, env: &mut Env, wanted: &[PackRef]) -> Result<(), ErrorCode> {
        if env.now < self.down_until {
            return Err(ErrorCode::ObjectsDown);
        }
        for object in wanted {
            match self.objects.get(&object.key) {
                Some(bytes) if bytes.len() as u64 == object.size => {}
                Some(_) => return Err(ErrorCode::Integrity),
                None => {
                    env.stats.count(Kind::CheckMissing);
                    return Err(ErrorCode::NotFound);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.objects.get(key).map(Vec::as_slice)
    }

    pub(crate) const fn is_down(&self, env: &Env) -> bool {
        env.now < self.down_until
    }

    /// It is out of reach for a while.
    pub(crate) fn stop(&mut self, env: &mut Env) {
        self.down_until = env.now + env.rng.between(500, 20_000);
    }

    /// It says for a while that it has what it has not.
    pub(crate) fn lie(&mut self, env: &mut Env) {
        self.lies_until = env.now + env.rng.between(500, 40_000);
    }

    pub(crate) const fn calm_down(&mut self) {
        self.down_until = 0;
        self.lies_until = 0;
    }
}

fn slowness(env: &mut Env) -> u64 {
    if env.strikes(env.options.store_slow) {
        env.stats.count(Kind::StoreSlow);
        return env.rng.between(500, 20_000);
    }
    env.rng.between(1, 30)
}
