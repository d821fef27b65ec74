//! One file for each kind of row: how it is written, how it is read.

pub(super) mod attempt;
pub(super) mod event;
pub(super) mod job;
pub(super) mod join_code;
pub(super) mod json;
pub(super) mod lead;
pub(super) mod ledger;
pub(super) mod meta;
pub(super) mod node;
pub(super) mod task;
pub(super) mod token;
pub(super) mod value;
