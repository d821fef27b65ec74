//! The registry over both databases, within the test's process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "what helps the tests fails as they do"
)]

#[path = "../kit/mod.rs"]
mod kit;

mod appending;
mod asking;
mod bounding;
mod damaging;
mod filling;
mod paging;
mod ranking;
mod rebuilding;
mod restarting;
mod reverting;
mod tampering;
mod unreadable;
mod verifying;
