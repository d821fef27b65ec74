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
    /// Those of the last start, each by itself where it is still free and on the wanted address; new ones
    /// otherwise. Nodes elsewhere know this machine by its ports, so none is changed without need.
    pub(super) fn load_or_choose(layout: &Layout, args: &Args) -> Result<Self, Problem> {
        let kept = std::fs::read(layout.ports_file()).ok();
        let kept = kept.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let ports = Self::choose(args, kept.as_ref())?;
        let text = serde_json::to_vec_pretty(&ports).unwrap_or_default();
        let file = layout.ports_file();
        mesh_fabric::files::write_durable(&file, &text)
            .map_err(|error| io("write", &file, &error))?;
        Ok(ports)
    }

    fn choose(args: &Args, kept: Option<&Self>) -> Result<Self, Problem> {
        let mut chooser = Chooser::default();
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let public = args.listen.ip();
        let api = match args.listen.port() {
            0 => chooser.take(public, kept.map(|ports| ports.api))?,
            _ => chooser.bind(args.listen)?,
        };
        let node_metrics = |chooser: &mut Chooser, number: u16| {
            let before =
                kept.and_then(|ports| ports.node_metrics.get(usize::from(number)).copied());
            chooser.take(loopback, before)
        };
        Ok(Self {
            api,
            nats: chooser.take(public, kept.map(|ports| ports.nats))?,
            store: chooser.take(public, kept.map(|ports| ports.store))?,
            orchestrator_metrics: chooser
                .take(loopback, kept.map(|ports| ports.orchestrator_metrics))?,
            store_metrics: chooser.take(loopback, kept.map(|ports| ports.store_metrics))?,
            node_metrics: (0..args.nodes)
                .map(|number| node_metrics(&mut chooser, number))
                .collect::<Result<_, _>>()?,
            host: host(args),
        })
    }

    /// The API's address for clients.
    pub(super) fn server_url(&self, tls: bool) -> String {
        format!("{}://{}", if tls { "https" } else { "http" }, self.reach(self.api))
    }

    /// The broker's address for nodes.
    pub(super) fn nats_url(&self, tls: bool) -> String {
        format!("{}://{}", if tls { "tls" } else { "nats" }, self.reach(self.nats))
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

/// Holds each port until the last is chosen, so that no two are the same.
#[derive(Debug, Default)]
struct Chooser(Vec<TcpListener>);

impl Chooser {
    /// The port of before when it is free on this address, or any other.
    fn take(&mut self, ip: IpAddr, before: Option<SocketAddr>) -> Result<SocketAddr, Problem> {
        let before = before.map(|addr| SocketAddr::new(ip, addr.port()));
        match before.and_then(|addr| self.bind(addr).ok()) {
            Some(addr) => Ok(addr),
            None => self.bind(SocketAddr::new(ip, 0)),
        }
    }

    fn bind(&mut self, addr: SocketAddr) -> Result<SocketAddr, Problem> {
        let listener = TcpListener::bind(addr).map_err(|error| taken(addr, &error))?;
        let addr = listener.local_addr().map_err(|error| taken(addr, &error))?;
        self.0.push(listener);
        Ok(addr)
    }
}

fn host(args: &Args) -> String {
    if args.is_public() { args.host.first().cloned().unwrap_or_default() } else { String::new() }
}

fn taken(addr: SocketAddr, error: &std::io::Error) -> Problem {
    Problem::new(ErrorCode::Config, format!("cannot listen on {addr}: {error}"))
        .hint("another cluster may be up; pass --listen 127.0.0.1:0 for a free port")
}
