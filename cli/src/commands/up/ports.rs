//! The ports that the parts listen on: chosen free at the first start, then kept.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use mesh_schemas::{ErrorCode, Problem};
use serde::{Deserialize, Serialize};

use super::{Args, layout::Layout};
use crate::context::io;

/// Who listens where.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ports {
    /// The HTTP API.
    pub(super) api: SocketAddr,
    /// NATS.
    pub(super) nats: SocketAddr,
    /// The embedded object store.
    pub(super) store: SocketAddr,
    /// `/metrics` of orchestrator, store and nodes, on loopback.
    pub(super) orchestrator_metrics: SocketAddr,
    pub(super) store_metrics: SocketAddr,
    pub(super) node_metrics: Vec<SocketAddr>,
    /// How other machines call this one; loopback when none do.
    pub(super) host: String,
}

impl Ports {
    /// Those of the last start where they are still free, otherwise new ones.
    pub(super) fn load_or_choose(layout: &Layout, args: &Args) -> Result<Self, Problem> {
        let kept = std::fs::read(layout.ports_file())
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|ports| ports.fit(args));
        let ports = match kept {
            Some(ports) => ports,
            None => Self::choose(args)?,
        };
        let text = serde_json::to_vec_pretty(&ports).unwrap_or_default();
        let file = layout.ports_file();
        mesh_fabric::files::write_durable(&file, &text)
            .map_err(|error| io("write", &file, &error))?;
        Ok(ports)
    }

    fn fit(&self, args: &Args) -> bool {
        let same_api = args.listen.ip() == self.api.ip()
            && (args.listen.port() == 0 || args.listen.port() == self.api.port());
        let all = [self.api, self.nats, self.store, self.orchestrator_metrics, self.store_metrics];
        same_api
            && self.node_metrics.len() == usize::from(args.nodes)
            && self.host == host(args)
            && all.iter().chain(&self.node_metrics).all(|addr| TcpListener::bind(addr).is_ok())
    }

    fn choose(args: &Args) -> Result<Self, Problem> {
        // All are held until the last is chosen, so that no two are the same.
        let mut held = Vec::new();
        let mut take = |addr: SocketAddr| -> Result<SocketAddr, Problem> {
            let listener = TcpListener::bind(addr).map_err(|error| taken(addr, &error))?;
            let addr = listener.local_addr().map_err(|error| taken(addr, &error))?;
            held.push(listener);
            Ok(addr)
        };
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let public = SocketAddr::new(args.listen.ip(), 0);
        Ok(Self {
            api: take(args.listen)?,
            nats: take(public)?,
            store: take(public)?,
            orchestrator_metrics: take(loopback)?,
            store_metrics: take(loopback)?,
            node_metrics: (0..args.nodes).map(|_| take(loopback)).collect::<Result<_, _>>()?,
            host: host(args),
        })
    }

    /// The API's address for clients.
    pub(super) fn server_url(&self, tls: bool) -> String {
        format!("{}://{}", if tls { "https" } else { "http" }, self.reach(self.api))
    }

    /// A listener's address as others call it.
    pub(super) fn reach(&self, addr: SocketAddr) -> String {
        if self.host.is_empty() {
            addr.to_string()
        } else {
            format!("{}:{}", self.host, addr.port())
        }
    }
}

fn host(args: &Args) -> String {
    if args.is_public() { args.host.first().cloned().unwrap_or_default() } else { String::new() }
}

fn taken(addr: SocketAddr, error: &std::io::Error) -> Problem {
    Problem::new(ErrorCode::Config, format!("cannot listen on {addr}: {error}"))
        .hint("another cluster may be up; pass --listen 127.0.0.1:0 for a free port")
}
