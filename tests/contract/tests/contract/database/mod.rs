//! The database: rounds whole or not at all, in one order, fenced, durable once answered.

mod laws;
mod model;
mod network;
mod replay;
mod sql;

use mesh_contract::Extent;
use mesh_core::{Change, Existing, Snapshot};
use mesh_sim::models::{Faults, Told};
use tokio::sync::OnceCell;

use crate::within::May;

/// A leader's epoch, and the number of the load that its rounds are decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) leader: u64,
    pub(crate) load: u64,
}

/// One database, and whoever leads.
pub(crate) trait Database {
    /// Takes the lead for long, unless somebody has it, and begins to load.
    async fn claim(&mut self) -> Option<Lead>;
    /// This leader's lease is over, and it did not renew it.
    async fn let_lease_end(&mut self, leader: u64);
    /// True while it leads.
    async fn renew(&mut self, leader: u64) -> bool;
    /// Begins another load; its number.
    async fn settle(&mut self, leader: u64) -> Told;
    async fn commit(&mut self, lead: Lead, changes: Vec<Change>) -> Told;
    /// Loads while a round is under way, and waits for the round: what was loaded, and the answer.
    async fn load_amid(&mut self, lead: Lead, changes: Vec<Change>) -> (Snapshot, Told);
    /// Begins a round, gives it up, and begins another load: the answer to that.
    async fn give_up(&mut self, lead: Lead, changes: Vec<Change>) -> Told;
    /// Whatever is still under way has come to its end.
    async fn run_out(&mut self);
    /// Writes rounds 1, 2, … until the server, or the process that holds the file, is killed in the
    /// middle of one, and comes back: how many were answered.
    async fn kill_amid_rounds(&mut self) -> u32;
    async fn load(&mut self) -> Snapshot;
    async fn by_key(&mut self, key: &str) -> Option<Existing>;
    /// Another one of the same kind, empty.
    async fn fresh(&self) -> Self;
}

/// How much of rounds there is, in the order of the scenario.
pub(crate) type Extents = Vec<Extent>;

/// Each law on the model, and on SQLite and PostgreSQL within what the model may do.
macro_rules! contract {
    ($($law:ident: $faults:ident;)+) => {
        mod modelled {
            use super::*;
            $(#[tokio::test]
            async fn $law() {
                may::$law().await;
            })+
        }

        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                let did = laws::$law(&mut sql::Sql::sqlite().await).await;
                may::$law().await.admits(&did);
            })+
        }

        mod postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                let did = laws::$law(&mut sql::Sql::postgres().await).await;
                may::$law().await.admits(&did);
            })+
        }

        mod may {
            use super::*;
            $(pub(super) async fn $law() -> &'static May<laws::Did> {
                static MAY: OnceCell<May<laws::Did>> = OnceCell::const_new();
                let scenario = async |seed| {
                    laws::$law(&mut model::Model::new(seed, Faults::$faults)).await
                };
                MAY.get_or_init(|| May::of(scenario)).await
            })+
        }
    };
}

contract! {
    leads_are_had_by_one_and_grow: None;
    a_round_of_an_older_leader_writes_nothing: None;
    a_round_of_an_older_load_writes_nothing: None;
    a_round_that_is_refused_in_part_is_refused_whole: None;
    an_idempotency_key_belongs_to_one_job: None;
    two_loads_in_one_state_are_equal: None;
    a_load_amid_a_round_waits_for_nobody_and_sees_no_part: None;
    an_answered_round_is_there: Any;
    what_is_loaded_after_a_round_was_given_up_is_final: Any;
    a_killed_database_has_what_it_answered_and_no_part: Any;
}
