//! Logs: one subscriber on stderr for the whole process.
//!
//! `MESH_LOG` filters (default `info`), `MESH_LOG_FORMAT=json` writes one object a line. Field names
//! are spelled one way everywhere: `job.id`, `task.index`, `attempt.epoch`, `node.id`, `trace.id`,
//! and units last: `duration_ms`, `size_bytes`. Tokens, payloads and environment values are never
//! logged; types that carry one print `***` in their `Debug`.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What is logged when `MESH_LOG` does not say: our events, and only warnings of chatty libraries.
const DEFAULT_FILTER: &str = "info,async_nats=warn,hyper=warn,rustls=warn";

/// Starts logging for this process; a second call does nothing.
/// A filter that cannot be read is reported and the default used: logs must not stop a start.
pub fn init(service: &'static str) {
    let wanted = std::env::var("MESH_LOG").unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let parsed = EnvFilter::try_new(&wanted);
    let bad = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let json = std::env::var("MESH_LOG_FORMAT").is_ok_and(|format| format == "json");
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        let layer = fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
        registry.with(layer).try_init()
    } else {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        registry.with(fmt::layer().with_ansi(colour).with_writer(std::io::stderr)).try_init()
    };
    if started.is_err() {
        return;
    }
    if let Some(error) = bad {
        tracing::warn!(%error, "MESH_LOG cannot be read; using {DEFAULT_FILTER}");
    }
    tracing::debug!(service, version = env!("CARGO_PKG_VERSION"), "Logging started");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_twice_is_harmless() {
        init("test");
        init("test");
        assert!(EnvFilter::try_new(DEFAULT_FILTER).is_ok());
    }
}
