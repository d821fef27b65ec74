//! The testkit: real servers as child processes, waiting for a state with a deadline, paths of the
//! built programs. Each server has a directory of its own, free loopback ports, generated
//! credentials, and dies with the value that stands for it.
//!
//! A server that does not start is a panic with its log: a test cannot go on without it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test without its servers has failed")]

pub mod nats;
pub mod postgres;
pub mod seaweed;

pub mod bins;
pub mod http;
pub mod mesh;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod standby;
pub mod tmp;
pub mod tools;
pub mod wait;

pub use wait::{wait_for, wait_until};
