//! The orchestrator: places work, holds the leases, minds what is recorded.
//!
//! [`app`] wires the parts: the [`engine`] owns the pure core and is the only one that writes through
//! the [`store`]; the [`bus`] carries words to and from nodes; [`objects`] presigns; [`nodes`] lets
//! machines in and cuts them off; [`lead`] decides which of several orchestrators does all this; [`ledger`]
//! asks the registry of ideas; [`http`] is what people and programs talk to.

pub mod app;
pub mod auth;
pub mod bus;
pub mod config;
pub mod engine;
pub mod http;
mod keys;
pub mod lead;
pub mod ledger;
pub mod nodes;
pub mod objects;
pub mod store;
