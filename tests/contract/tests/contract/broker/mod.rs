//! The broker: it may lose, double, delay and forget, and never alter or misdirect.
//!
//! Not promised and not relied upon: any order. The laws compare what arrived with what was sent.

mod laws;
mod model;
mod nats;

use mesh_schemas::{
    AttemptKey, Epoch, JobId, JournalId, NodeId, Timestamp,
    message::{MESSAGE_VERSION, NodeCommand, NodeCommands, NodeEvent, NodeEvents},
};
use mesh_sim::models::{Arrived, Faults};
use uuid::Uuid;

use crate::within::May;

/// How a node is cut off. To the model it is all the same.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// Nothing passes, and nobody is told.
    Silent,
    /// Connections are reset, and new ones refused.
    Reset,
}

/// Two nodes, a broker, and an orchestrator that reads from the stream where it stopped reading.
pub(crate) trait Broker {
    /// A node says the event of this number.
    async fn say(&mut self, node: usize, number: u64);
    /// The orchestrator sends a node the command of this number.
    async fn tell(&mut self, node: usize, number: u64);
    /// So many events are in the stream: from here on they are the broker's.
    async fn taken(&mut self, count: u64);
    async fn cut(&mut self, node: usize, how: Cut);
    async fn heal(&mut self, node: usize);
    /// The broker dies and comes back without its disk.
    async fn wipe(&mut self);
    /// The broker dies and comes back with its disk.
    async fn restart(&mut self);
    /// Whoever reads the stream begins again from the beginning.
    async fn replay(&mut self);
    /// All that arrives as things stand; to the orchestrator and to the nodes that can be reached.
    async fn arrivals(&mut self) -> Vec<Arrived>;
}

/// Who heard which number, in what order.
pub(crate) type Trace = Vec<(Whose, u64)>;

/// To whom something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    OrchestratorsFrom(usize),
    Nodes(usize),
}

fn node_id(node: usize) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(u128::try_from(node).unwrap() + 1))
}

/// The events of this number.
pub(crate) fn events(node: usize, number: u64) -> NodeEvents {
    let job = JobId::from_uuid(Uuid::from_u128(u128::from(number)));
    let attempt = AttemptKey { job, task: 0, epoch: Epoch(1) };
    let at = Timestamp::from_millis(i64::try_from(number).unwrap());
    NodeEvents {
        v: MESSAGE_VERSION,
        node: node_id(node),
        journal: JournalId::from_uuid(Uuid::from_u128(9)),
        first_seq: number,
        events: vec![NodeEvent::AttemptStarted { attempt, at }; 3],
    }
}

/// The commands of this number.
pub(crate) fn commands(node: usize, number: u64) -> NodeCommands {
    let journal = JournalId::from_uuid(Uuid::from_u128(u128::try_from(node).unwrap()));
    let command = NodeCommand::Recorded { journal, seq: number };
    NodeCommands { v: MESSAGE_VERSION, leader: number, commands: vec![command] }
}

/// What arrived, each as it was sent.
fn unaltered(arrived: Vec<Arrived>) -> Trace {
    let check = |arrived: Arrived| match arrived {
        Arrived::Up(node, heard) => {
            assert_eq!(heard, events(node, heard.first_seq), "altered, or another node's");
            (Whose::OrchestratorsFrom(node), heard.first_seq)
        }
        Arrived::Down(node, heard) => {
            assert_eq!(heard, commands(node, heard.leader), "altered, or another node's");
            (Whose::Nodes(node), heard.leader)
        }
    };
    arrived.into_iter().map(check).collect()
}

/// Each law on the model, and on nats-server within what the model may do.
macro_rules! contract {
    ($($law:ident: $faults:ident;)+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $law() {
            let may = May::of(async |seed| {
                laws::$law(&mut model::Model::new(seed, Faults::$faults)).await
            });
            let (may, did) = tokio::join!(may, async {
                laws::$law(&mut nats::Nats::start().await).await
            });
            may.admits(&did);
        })+
    };
}

contract! {
    while_nothing_fails_each_word_arrives_once: None;
    what_the_broker_took_outlives_its_kill: None;
    over_a_silent_cut_words_are_lost_or_late: Any;
    over_a_reset_words_are_lost_or_late: Any;
    commands_over_a_cut_are_lost_or_late: Any;
    commands_over_a_reset_are_lost_or_late: Any;
    a_wiped_broker_forgets_what_it_took: Any;
    what_a_sender_could_not_send_outlives_a_wipe: Any;
    a_reader_that_begins_again_hears_again: Any;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_lost_alone() {
    let nats = nats::Nats::start().await;
    let did = nats::too_large_is_lost_alone(nats).await;
    // The model has no lengths: to it this is a message that was dropped.
    let may = May::of(async |seed| {
        let mut model = model::Model::new(seed, Faults::Any);
        for number in 1..=3 {
            model.say(0, number).await;
        }
        unaltered(model.arrivals().await)
    });
    may.await.admits(&did);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_is_gone_when_nobody_listens() {
    // In a world of the simulation an orchestrator that is down hears nothing, and nothing is kept for it.
    nats::nobody_listens(nats::Nats::start().await).await;
}
