//! The wires that every binary shares: configuration, logs and metrics, NATS and its credentials,
//! TLS, durable files, retries, ids and time.
//!
//! Nothing here knows of jobs. A core never depends on this crate: here live the clock, the
//! randomness and the sockets that the cores are kept free of.

pub mod config;
pub mod fail_point;
pub mod metrics;
pub mod shutdown;
pub mod telemetry;

pub mod http;
pub mod nats;
pub mod nats_auth;
pub mod tls;

pub mod backoff;
pub mod error;
pub mod files;
pub mod ids;
pub mod time;
