//! The integrator: follows the leaves and makes tiles, checkpoints and signatures of them.
//!
//! In this order: texts, tiles and bundles on disk, a row with size and root, the signature, the published
//! checkpoint. Each step follows from the leaves alone, so it may die anywhere and begins again. It signs
//! nothing that does not continue every head that it may have signed before: rows of checkpoints, the
//! checkpoint on disk, in the object store and at witnesses; until each of these has answered once, it signs
//! nothing. If it cannot go on, it halts the log.

mod head;
mod packs;
mod rounds;
mod service;
mod start;

pub(crate) use head::{Head, Judgement, Seen};
pub(crate) use packs::{cursor_name as packs_cursor, keep_packed};
pub(crate) use service::{Options, Service, start};
pub(crate) use start::rebuild;
