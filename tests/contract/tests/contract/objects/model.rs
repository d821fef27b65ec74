//! The simulation's object store.

use mesh_schemas::ErrorCode;
use mesh_sim::models::{self, Faults, Put};

use super::{Objects, Trouble};

pub(super) struct Model {
    store: models::Objects,
    refuses: bool,
}

impl Model {
    pub(super) fn new(seed: u64, faults: Faults, refuses: bool) -> Self {
        Self { store: models::Objects::new(seed, faults).that_overwrites(!refuses), refuses }
    }
}

impl Objects for Model {
    async fn put(&mut self, trouble: Trouble, key: &str, bytes: Vec<u8>) -> Put {
        match trouble {
            Trouble::Lie => self.store.lie(),
            Trouble::Down => self.store.stop(),
            // What else there is comes by chance.
            Trouble::None
            | Trouble::Unavailable
            | Trouble::CutWithin
            | Trouble::AnswerLost
            | Trouble::Late => {}
        }
        self.store.put(key, bytes)
    }

    async fn look(&mut self, key: &str, size: usize) -> Result<(), ErrorCode> {
        self.store.check(key, size as u64)
    }

    async fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.store.get(key)
    }

    async fn settle(&mut self, _: &str, _: Trouble) {
        self.store.run();
        self.store.start();
    }

    async fn restart(&mut self) {
        self.store.stop();
        self.store.start();
    }

    fn refuses_overwrites(&self) -> bool {
        self.refuses
    }
}
