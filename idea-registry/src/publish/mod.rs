//! Copies of the log's files in an object store, at most a few seconds behind.
//!
//! Texts first, then tiles and bundles, then the checkpoint, then the cursor: whoever finds a checkpoint finds what it
//! speaks of, and who dies in the middle begins again from the cursor. The local files serve everything by
//! themselves; a store that is away costs nothing but the copy.

mod client;
mod copy;
mod files;
mod service;
mod store;

pub(crate) use copy::Copy;
pub(crate) use service::{Options, Service, cursor_name};
pub(crate) use store::Objects;
