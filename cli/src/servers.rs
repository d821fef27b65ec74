//! The orchestrators that a client knows: one leads, and each may be asked first.

use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_schemas::{ErrorCode, Problem};

/// Most orchestrators of one cluster.
const SERVERS_MAX: usize = 16;

/// Addresses in the order in which they were named, and the one that answered last.
#[derive(Debug)]
pub(crate) struct Servers {
    bases: Vec<String>,
    current: AtomicUsize,
}

impl Servers {
    /// Reads `https://a:7700` or `https://a:7700,https://b:7700`.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let named = text.split(',').map(str::trim).filter(|server| !server.is_empty());
        let bases = named.map(checked).collect::<Result<Vec<_>, _>>()?;
        if bases.is_empty() || bases.len() > SERVERS_MAX {
            let count = bases.len();
            let text = format!("{count} servers are named; from 1 to {SERVERS_MAX} are allowed");
            return Err(Problem::new(ErrorCode::Config, text));
        }
        Ok(Self { bases, current: AtomicUsize::new(0) })
    }

    pub(crate) fn all(&self) -> &[String] {
        &self.bases
    }

    /// Which to ask, and its address.
    pub(crate) fn current(&self) -> (usize, &str) {
        let at = self.current.load(Ordering::Relaxed) % self.bases.len();
        (at, &self.bases[at])
    }

    /// Turns to the one after `failed`, unless another request has turned away from it already.
    pub(crate) fn turn_from(&self, failed: usize) {
        let next = (failed + 1) % self.bases.len();
        // Losing this race means that somebody else has turned.
        let _ = self.current.compare_exchange(failed, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Some address needs TLS.
    pub(crate) fn any_is_https(&self) -> bool {
        self.bases.iter().any(|base| base.starts_with("https://"))
    }
}

fn checked(server: &str) -> Result<String, Problem> {
    let server = server.trim_end_matches('/');
    if !server.starts_with("http://") && !server.starts_with("https://") {
        return Err(Problem::new(
            ErrorCode::Config,
            format!("the server {server:?} is no address; expected http:// or https://"),
        ));
    }
    if server.contains('@') {
        return Err(Problem::new(ErrorCode::Config, "an address may not carry a password"));
    }
    Ok(server.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_several_addresses_are_read() {
        let servers = Servers::parse("https://a:1/, http://b:2 ,").unwrap();
        assert_eq!(servers.all(), ["https://a:1", "http://b:2"]);
        assert!(servers.any_is_https());
        assert!(!Servers::parse("http://b").unwrap().any_is_https());
        for bad in ["", " , ", "ftp://a", "http://a,b", "http://u:p@a"] {
            assert_eq!(Servers::parse(bad).unwrap_err().code, ErrorCode::Config, "{bad:?}");
        }
    }

    #[test]
    fn two_that_saw_the_same_one_fail_turn_once() {
        let servers = Servers::parse("http://a,http://b,http://c").unwrap();
        let (first, _) = servers.current();
        servers.turn_from(first);
        servers.turn_from(first);
        assert_eq!(servers.current(), (1, "http://b"));
        servers.turn_from(1);
        servers.turn_from(2);
        assert_eq!(servers.current(), (0, "http://a"));
    }
}
