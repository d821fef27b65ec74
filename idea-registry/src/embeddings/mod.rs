//! Near duplicates by what texts mean, when an embeddings endpoint is configured.
//!
//! Beside the log, and never in its way: the writer puts each new text into a queue and goes on, or past it when the
//! queue is full; vectors are kept in memory, of a bounded number of recent ideas; what is alike is proposed as a link
//! by an entry of its own, like those that are found by words. So the log, and nothing else, says what was proposed:
//! rebuilding and verifying ask no endpoint. Sealed texts are never sent.

mod client;
mod config;
mod feed;
mod service;
mod vectors;

pub use config::EmbeddingsConfig;

pub(crate) use client::Client;
pub(crate) use feed::{Feed, Texts, feed};
pub(crate) use service::{Options, Service};
