//! The NATS connection, as every part of the mesh makes it.
//!
//! It comes back for ever with jittered waits; what the server refuses is logged, because a refused
//! publish otherwise looks like a successful one. Delivery is not promised: the journals see to that.

mod connect;
mod headers;
mod stream;

pub use connect::{Connect, Credential, NatsError, connect};
pub use headers::{trace_of, traced_headers};
pub use stream::{ensure_stream, open_stream};
