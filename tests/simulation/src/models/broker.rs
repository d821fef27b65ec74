//! The modelled broker between two nodes and whoever leads.

use mesh_schemas::message::{NodeCommands, NodeEvents};

use super::{Faults, surroundings};
use crate::env::{Env, Event, Link, Payload, Way};

/// What came to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// To the orchestrator, from this node.
    Up(usize, NodeEvents),
    /// To this node.
    Down(usize, NodeCommands),
}

/// One broker.
#[derive(Debug)]
pub struct Broker {
    env: Env,
}

impl Broker {
    /// The broker of this seed.
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self { env: surroundings(seed, faults) }
    }

    /// A node sends events.
    pub fn say(&mut self, node: usize, events: NodeEvents) {
        self.env.send(Way::Up { node }, Payload::Events(Box::new(events)));
    }

    /// The orchestrator sends commands.
    pub fn tell(&mut self, node: usize, commands: NodeCommands) {
        let way = Way::Down { orchestrator: 0, node };
        self.env.send(way, Payload::Commands(Box::new(commands)));
    }

    /// Cuts a node off, both ways.
    pub fn cut(&mut self, node: usize) {
        // Its end is left to the caller.
        self.env.cut(Link::FromNode(node), 0);
        self.env.cut(Link::ToNode(node), 0);
    }

    /// The node is reachable again.
    pub fn heal(&mut self, node: usize) {
        self.env.heal(Link::FromNode(node));
        self.env.heal(Link::ToNode(node));
    }

    /// The broker loses all that it has.
    pub fn wipe(&mut self) {
        self.env.wipe_broker();
    }

    /// Whoever reads begins again from an older position.
    pub fn replay(&mut self) {
        self.env.replay();
    }

    /// Lets everything happen that is under way: what arrived, in this order.
    pub fn arrivals(&mut self) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        while let Some(event) = self.env.next() {
            let Event::Arrive { wipes, message } = event else { continue };
            let Some(message) = self.env.delivered(wipes, message) else { continue };
            match (message.way, message.payload) {
                (Way::Up { node }, Payload::Events(events)) => {
                    arrived.push(Arrived::Up(node, *events));
                }
                (Way::Down { node, .. }, Payload::Commands(commands)) => {
                    arrived.push(Arrived::Down(node, *commands));
                }
                // Nothing else is sent here.
                (Way::Up { .. } | Way::Down { .. } | Way::Http { .. }, _) => {}
            }
        }
        arrived
    }
}
