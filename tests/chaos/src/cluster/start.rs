//! Starts a whole cluster, part by part.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use mesh_schemas::{
    NodeId,
    api::{JoinCode, JoinCodeRequest, NodeState, NodeView, Page, ServerInfo},
};
use mesh_tests::{
    bins,
    http::Http,
    ports,
    proxy::{Proxy, Target},
    tools,
    wait::look_for,
};

use super::{
    Cluster, Database, IDEAS, NATS, ORCHESTRATOR, Part, STANDBY, STORE, Tmpfs, configs,
    fail_points::Armings, parts::Program, wire,
};

/// Longest wait for each step of the start, on a busy machine.
const READY_WAIT: Duration = Duration::from_secs(60);
/// Most nodes.
pub(crate) const NODES_MAX: usize = wire::NODE_NATS.len();

/// Where the jobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// In a file of SQLite.
    Sqlite,
    /// In a PostgreSQL of its own.
    Postgres,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything lies.
    pub data: PathBuf,
    /// How many nodes, at most three.
    pub nodes: usize,
    /// Where the jobs are kept.
    pub store: StoreKind,
    /// How long a lease lasts.
    pub lease_ttl: Duration,
    /// Put the directories of these parts on small file systems of so many MiB, where that works.
    pub small_disks: Vec<(String, u32)>,
    /// libfaketime, to shift the clocks of orchestrator and nodes.
    pub faketime: Option<PathBuf>,
}

impl Cluster {
    /// Starts it and waits until its nodes are online. What could not be had on this machine, such as
    /// small file systems, is in the second value.
    ///
    /// # Errors
    /// When a part does not come up; its last words are in the error.
    pub async fn start(options: &Options) -> anyhow::Result<(Self, Vec<String>)> {
        let data = std::path::absolute(&options.data)?;
        ensure!((1..=NODES_MAX).contains(&options.nodes), "nodes must be 1 to {NODES_MAX}");
        fs::create_dir_all(&data)?;
        let mut lacks = Vec::new();
        let mut tmpfs = BTreeMap::new();
        for (part, mib) in &options.small_disks {
            match Tmpfs::mount(&data.join(part), *mib) {
                Ok(mounted) => drop(tmpfs.insert(part.clone(), mounted)),
                Err(error) => lacks.push(format!("small disk of {part}: {error}")),
            }
        }
        for dir in configs::DIRS {
            fs::create_dir_all(data.join(dir))?;
        }
        let database = match options.store {
            StoreKind::Sqlite => None,
            StoreKind::Postgres => Some(Database::make()?),
        };
        let [nats, store, api, standby] = ports::free_many().map(ports::loopback);
        let links = links(options, [nats, store, api, standby], database.as_ref()).await;
        let at = |wire: &str| links.get(wire).map_or(api, Proxy::address);
        let addresses = configs::Addresses {
            nats,
            api,
            orchestrator_nats: at(wire::ORCHESTRATOR_NATS),
            orchestrator_store: at(wire::ORCHESTRATOR_STORE),
            nodes_store: at(wire::NODES_STORE),
            ideas_nats: at(wire::IDEAS_NATS),
            ideas_store: at(wire::IDEAS_STORE),
            database: database.as_ref().map(|database| {
                let port = at(wire::ORCHESTRATOR_DATABASE).port();
                (database.url(port), database.password().to_owned())
            }),
        };
        let clients_api = at(wire::CLIENTS_API);
        let (keys, token) = configs::secrets(&data, &addresses)?;
        configs::orchestrator(&data, &addresses, options)?;
        configs::ideas(&data, &addresses)?;
        let http = |addr: SocketAddr| Http::new(format!("http://{addr}")).with_token(&token);
        let mut cluster = Self {
            http: vec![http(clients_api)],
            direct: vec![http(api)],
            apis: vec![api],
            data,
            parts: BTreeMap::new(),
            links,
            nodes: BTreeMap::new(),
            tmpfs,
            database,
            clocks: BTreeMap::new(),
            keys,
            nats_url: format!("nats://{nats}"),
            lease_ttl: options.lease_ttl,
            armings: Armings::default(),
        };
        cluster.start_services(options, store).await?;
        if let Some(link) = cluster.links.get(wire::CLIENTS_STANDBY) {
            cluster.http.push(http(link.address()));
            cluster.start_standby(options, standby, http(standby))?;
        }
        for number in 1..=options.nodes {
            cluster.let_in(options, number, api).await?;
        }
        cluster.await_nodes(options.nodes).await?;
        Ok((cluster, lacks))
    }

    async fn start_services(&mut self, options: &Options, store: SocketAddr) -> anyhow::Result<()> {
        let path = |name: &str| self.data.join(name).to_string_lossy().into_owned();
        let nats = program(tools::nats_server(), ["--config".into(), path("cluster/nats.conf")]);
        let objects = program(
            bins::path("mesh-store"),
            [
                "--listen".into(),
                store.to_string(),
                "--data".into(),
                path("store"),
                "--credentials".into(),
                path("cluster/store.json"),
            ],
        );
        let mut orchestrator = program(
            bins::path("mesh-orchestrator"),
            ["--config".into(), path("orchestrator.toml")],
        );
        let config = ["serve".into(), "--config".into(), path("ideas.toml")];
        let ideas = program(bins::path("mesh-ideas"), config);
        self.shift_clock(options, ORCHESTRATOR, &mut orchestrator)?;
        let all = [(NATS, nats), (STORE, objects), (IDEAS, ideas), (ORCHESTRATOR, orchestrator)];
        for (name, program) in all {
            self.add(name, program)?;
        }
        let ready = look_for(READY_WAIT, async || {
            self.mind();
            let info: ServerInfo = self.ask("/info").await?;
            (info.store_ok && info.bus_ok && info.objects_ok && info.ledger_ok).then_some(())
        });
        let ready = ready.await;
        let tail = || self.parts.get(ORCHESTRATOR).map(Part::log_tail).unwrap_or_default();
        ensure!(ready.is_some(), "the orchestrator does not become ready:\n{}", tail());
        Ok(())
    }

    /// A second orchestrator on the same database, which it reaches by a wire of its own.
    fn start_standby(
        &mut self,
        options: &Options,
        listen: SocketAddr,
        direct: Http,
    ) -> anyhow::Result<()> {
        let config = self.data.join("orchestrator.toml").to_string_lossy().into_owned();
        let mut standby = program(bins::path("mesh-orchestrator"), ["--config".into(), config]);
        let wire = self.links.get(wire::STANDBY_DATABASE).context("it has no wire")?;
        let database = self.database.as_ref().context("there is no PostgreSQL")?;
        let url = database.url(wire.address().port());
        for (key, value) in [("LISTEN", listen.to_string()), ("DATABASE", url)] {
            standby.env.push((format!("MESH_ORCHESTRATOR__{key}"), value));
        }
        self.shift_clock(options, STANDBY, &mut standby)?;
        self.apis.push(listen);
        self.direct.push(direct);
        self.add(STANDBY, standby)
    }

    async fn let_in(
        &mut self,
        options: &Options,
        number: usize,
        api: SocketAddr,
    ) -> anyhow::Result<()> {
        let name = format!("node-{number}");
        let dir = self.data.join(&name);
        fs::create_dir_all(&dir)?;
        configs::node(&dir, &name)?;
        let body = serde_json::to_value(JoinCodeRequest::default())?;
        let leader = self.direct.first().context("there is no API")?;
        let (status, answer) = leader.post("/api/v1/nodes/join-codes", &body).await?;
        ensure!(status.is_success(), "no join code: {status} {answer}");
        let code: JoinCode = serde_json::from_value(answer)?;
        join(&dir, &name, api, &code.code).await?;
        let wire = wire::NODE_NATS.get(number - 1).context("too many nodes")?;
        let through = self.links.get(wire).context("the node has no wire")?.address();
        configs::lead_through(&dir, through)?;
        let config = dir.join("node.toml").to_string_lossy().into_owned();
        let mut node = program(bins::path("mesh-node"), ["--config".into(), config]);
        self.shift_clock(options, &name, &mut node)?;
        self.nodes.insert(name.clone(), node_id(&dir)?);
        self.add(&name, node)
    }

    fn add(&mut self, name: &str, program: Program) -> anyhow::Result<()> {
        let log = self.data.join(format!("{name}.log"));
        let mut part = Part::new(name.to_owned(), program, log);
        part.start()?;
        self.parts.insert(name.to_owned(), part);
        Ok(())
    }

    /// Lets the part's wall clock be shifted by a file, when libfaketime is there.
    fn shift_clock(
        &mut self,
        options: &Options,
        part: &str,
        program: &mut Program,
    ) -> anyhow::Result<()> {
        let Some(library) = &options.faketime else { return Ok(()) };
        let file = self.data.join(format!("{part}.clock"));
        fs::write(&file, "+0")?;
        let file_text = file.to_string_lossy().into_owned();
        for (name, value) in [
            ("LD_PRELOAD", library.to_string_lossy().into_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file_text),
            ("FAKETIME_NO_CACHE", "1".into()),
            // Leases and time-outs are measured by the monotonic clock, which no administrator can set.
            ("DONT_FAKE_MONOTONIC", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ] {
            program.env.push((name.to_owned(), value));
        }
        self.clocks.insert(part.to_owned(), file);
        Ok(())
    }

    async fn await_nodes(&mut self, wanted: usize) -> anyhow::Result<()> {
        let online = look_for(READY_WAIT, async || {
            let nodes: Page<NodeView> = self.ask("/nodes").await?;
            let online = nodes.items.iter().filter(|node| node.state == NodeState::Online);
            (online.count() >= wanted).then_some(())
        });
        let online = online.await;
        let tail = || self.parts.get("node-1").map(Part::log_tail).unwrap_or_default();
        ensure!(online.is_some(), "the nodes do not come online:\n{}", tail());
        Ok(())
    }
}

fn program<const N: usize>(path: PathBuf, args: [String; N]) -> Program {
    // What the one who runs the tests wants logged is not what the audit needs.
    let env = vec![("MESH_LOG".to_owned(), "info,async_nats=warn".to_owned())];
    Program { path, args: args.into(), env }
}

async fn links(
    options: &Options,
    [nats, store, api, standby]: [SocketAddr; 4],
    database: Option<&Database>,
) -> BTreeMap<&'static str, Proxy> {
    let mut targets = vec![
        (wire::ORCHESTRATOR_NATS, nats),
        (wire::ORCHESTRATOR_STORE, store),
        (wire::NODES_STORE, store),
        (wire::CLIENTS_API, api),
        (wire::IDEAS_NATS, nats),
        (wire::IDEAS_STORE, store),
    ];
    targets.extend(wire::NODE_NATS.into_iter().take(options.nodes).map(|wire| (wire, nats)));
    if let Some(database) = database {
        let database = ports::loopback(database.port());
        targets.push((wire::ORCHESTRATOR_DATABASE, database));
        targets.push((wire::STANDBY_DATABASE, database));
        targets.push((wire::CLIENTS_STANDBY, standby));
    }
    let mut links = BTreeMap::new();
    for (wire, target) in targets {
        links.insert(wire, Proxy::start(Target::Tcp(target)).await);
    }
    links
}

async fn join(dir: &Path, name: &str, api: SocketAddr, code: &str) -> anyhow::Result<()> {
    let mut command = Command::new(bins::path("mesh-node"));
    command.args(["join", "--url", &format!("http://{api}"), "--name", name, "--data"]).arg(dir);
    command.env("MESH_JOIN_CODE", code).stdin(std::process::Stdio::null());
    let joined = tokio::process::Command::from(command).output().await?;
    ensure!(joined.status.success(), "{name}: {}", String::from_utf8_lossy(&joined.stderr));
    Ok(())
}

fn node_id(dir: &Path) -> anyhow::Result<NodeId> {
    let identity: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("identity.json"))?)?;
    serde_json::from_value(identity["node"].clone()).context("identity.json names no node")
}
