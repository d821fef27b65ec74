//! The orchestrator: places work, holds the leases, minds what is recorded.

pub mod store;
