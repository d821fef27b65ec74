//! The claims, by what they are about, and what they are made with.

pub(crate) mod access;
pub(crate) mod attempts;
pub(crate) mod build;
pub(crate) mod database;
pub(crate) mod durability;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod lead;
pub(crate) mod ledger;
pub(crate) mod mesh;
pub(crate) mod model;
pub(crate) mod nodes;
pub(crate) mod rounds;
pub(crate) mod tasks;
