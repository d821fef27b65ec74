//! The engine: the one task that owns the core.
//!
//! Its rhythm: take what waits, apply each input, place, commit all changes in one transaction, and only
//! then answer the callers, send the commands and wake the watchers. While a commit runs the next round
//! gathers. It promises that nobody outside hears of anything that is not committed. It does not decide
//! anything itself: the core does.

mod handle;
mod live;
mod metrics;
mod request;
mod round;
mod service;
mod watch;

pub use handle::{Handle, NodeEntry};
pub use request::FromBus;
pub use service::{EngineError, Options, Service};
pub use watch::{JobWatch, News, RestartPoint};
