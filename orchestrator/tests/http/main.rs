//! The HTTP API as a caller meets it: a whole orchestrator in this process, asked over real sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test that is how it fails")]

mod bad_input;
mod events;
mod idempotency;
mod joining;
mod limits;
mod logs;
mod node;
mod openapi;
mod pages;
mod scopes;
mod server;
mod tokens;
mod waiting;
