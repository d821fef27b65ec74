//! The modelled object store.

use mesh_schemas::{ErrorCode, manifest::PackRef};

use super::{Faults, surroundings};
pub use crate::objects::Put;
use crate::{
    env::{Env, Event, Link},
    objects,
};

/// One store.
#[derive(Debug)]
pub struct Objects {
    env: Env,
    objects: objects::Objects,
}

impl Objects {
    /// The store of this seed.
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self { env: surroundings(seed, faults), objects: objects::Objects::default() }
    }

    /// A store that can, or cannot, refuse to overwrite.
    #[must_use]
    pub fn that_overwrites(mut self, overwrites: bool) -> Self {
        self.env.options.store_overwrites = u64::from(overwrites);
        self
    }

    /// A node uploads.
    pub fn put(&mut self, key: &str, bytes: Vec<u8>) -> Put {
        self.objects.put(&mut self.env, 0, key, bytes).1
    }

    /// Whether it is there with this length, as an orchestrator sees it.
    ///
    /// # Errors
    /// `E_OBJECTS_DOWN`, `E_NOT_FOUND`, `E_INTEGRITY`.
    pub fn check(&mut self, key: &str, size: u64) -> Result<(), ErrorCode> {
        let wanted = PackRef { key: key.to_owned(), size, blake3: String::new() };
        self.objects.check(&mut self.env, &[wanted])
    }

    /// The bytes.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.objects.get(key).map(<[u8]>::to_vec)
    }

    /// The node is cut off from it, or no more.
    pub fn cut(&mut self, cut: bool) {
        match cut {
            true => self.env.cut(Link::NodeToStore(0), 0),
            false => self.env.heal(Link::NodeToStore(0)),
        }
    }

    /// It is out of reach for a while.
    pub fn stop(&mut self) {
        self.objects.stop(&mut self.env);
    }

    /// It is there again.
    pub const fn start(&mut self) {
        self.objects.calm_down();
    }

    /// It says that it has what it has not, until it is started again.
    pub fn lie(&mut self) {
        self.objects.lie(&mut self.env);
    }

    /// Lets everything happen that is under way.
    pub fn run(&mut self) {
        while let Some(event) = self.env.next() {
            if let Event::Uploaded { key, bytes } = event {
                self.objects.land(&mut self.env, key, bytes);
            }
        }
    }
}
