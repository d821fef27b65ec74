//! The simulation's broker.

use mesh_sim::models::{self, Arrived, Faults};

use super::{Broker, Cut, commands, events};

pub(super) struct Model(models::Broker);

impl Model {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self(models::Broker::new(seed, faults))
    }
}

impl Broker for Model {
    async fn say(&mut self, node: usize, number: u64) {
        self.0.say(node, events(node, number));
    }

    async fn tell(&mut self, node: usize, number: u64) {
        self.0.tell(node, commands(node, number));
    }

    async fn taken(&mut self, _: u64) {}

    async fn cut(&mut self, node: usize, _: Cut) {
        self.0.cut(node);
    }

    async fn heal(&mut self, node: usize) {
        self.0.heal(node);
    }

    async fn wipe(&mut self) {
        self.0.wipe();
    }

    /// What the modelled broker has it keeps: a restart with its disk is no fault of its.
    async fn restart(&mut self) {}

    async fn replay(&mut self) {
        self.0.replay();
    }

    async fn arrivals(&mut self) -> Vec<Arrived> {
        self.0.arrivals()
    }
}
