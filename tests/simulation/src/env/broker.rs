//! The broker as a model: messages that are dropped, doubled, slow, out of order, held over a cut, said again
//! much later; and all of them wiped.

use super::{Env, Event, Link, Message, Payload, Way};
use crate::stats::Kind;

/// Old messages that may come once more.
const REMEMBERED: usize = 64;

impl Env {
    fn blocks(&mut self, way: Way) -> bool {
        match way {
            Way::Up { node } => self.is_cut(Link::FromNode(node)),
            Way::Down { orchestrator, node } => {
                self.is_cut(Link::ToNode(node)) || self.is_cut(Link::Orchestrator(orchestrator))
            }
            Way::Http { .. } => false,
        }
    }

    /// Gives a message to the broker, which may do with it as it likes.
    pub(crate) fn send(&mut self, way: Way, payload: Payload) {
        let message = Message { way, payload };
        if self.blocks(way) {
            return self.blocked(message);
        }
        if self.calm {
            let delay = self.rng.between(1, 5);
            return self.arrive(delay, message);
        }
        if self.history.len() == REMEMBERED {
            self.history.pop_front();
        }
        self.history.push_back(message.clone());
        if self.rng.chance(self.options.drop) {
            return self.stats.count(Kind::Dropped);
        }
        if self.rng.chance(self.options.double) {
            self.stats.count(Kind::Doubled);
            let delay = self.delay();
            self.arrive(delay, message.clone());
        }
        let delay = self.delay();
        self.arrive(delay, message);
    }

    fn arrive(&mut self, delay: u64, message: Message) {
        let wipes = self.wipes;
        self.after(delay, Event::Arrive { wipes, message });
    }

    fn delay(&mut self) -> u64 {
        if self.rng.chance(self.options.slow) {
            self.stats.count(Kind::Slowed);
            return self.rng.between(20, 15_000);
        }
        self.rng.between(1, 20)
    }

    /// The message, unless the broker was wiped since or its way is cut.
    pub(crate) fn delivered(&mut self, wipes: u32, message: Message) -> Option<Message> {
        if wipes != self.wipes {
            self.stats.count(Kind::Dropped);
            return None;
        }
        if self.blocks(message.way) {
            self.blocked(message);
            return None;
        }
        Some(message)
    }

    /// A message over a cut is lost, or lies with its sender and in the network until the way is whole:
    /// TCP sends again, and a client keeps what it could not send. A wipe of the broker does not reach it.
    pub(crate) fn blocked(&mut self, message: Message) {
        if self.rng.chance(self.options.held) {
            self.held.push(message);
        } else {
            self.stats.count(Kind::Dropped);
        }
    }

    /// What waited for a way that is whole again goes on.
    pub(super) fn release(&mut self) {
        for message in std::mem::take(&mut self.held) {
            if self.blocks(message.way) {
                self.held.push(message);
            } else {
                self.stats.count(Kind::HeldOverCut);
                let delay = self.rng.between(1, 20);
                self.arrive(delay, message);
            }
        }
    }

    /// All that is under way is gone.
    pub(crate) fn wipe_broker(&mut self) {
        self.stats.count(Kind::BrokerWiped);
        self.wipes += 1;
        self.history.clear();
    }

    /// Old messages come once more.
    pub(crate) fn replay(&mut self) {
        for _ in 0..self.rng.between(1, 16) {
            if self.history.is_empty() {
                return;
            }
            let index = self.rng.index(self.history.len());
            let message = self.history[index].clone();
            let delay = self.rng.between(1, 3_000);
            self.stats.count(Kind::Replayed);
            self.arrive(delay, message);
        }
    }
}
