//! Real stores, as the product uses them: the orchestrator looks and presigns, nodes upload through a proxy.

use std::{path::PathBuf, process::Command, time::Duration};

use mesh_orchestrator::{
    config::ObjectsConfig,
    objects::{Objects as Orchestrators, URL_TTL},
};
use mesh_schemas::ErrorCode;
use mesh_sim::models::Put;
use mesh_tests::{
    bins, ports,
    process::Process,
    proxy::{Accept, Flow, Link, Proxy, Target},
    seaweed::{REGION, SeaweedFs},
    tmp,
    wait::look_for,
    wait_until,
};
use reqwest::{Body, StatusCode};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Objects, Trouble};

/// Long enough for a server to come back on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// How long a node waits whose upload is to be given up.
const BRIEFLY: Duration = Duration::from_millis(400);
/// How long an upload is in the network that is to be late.
const LATE: Duration = Duration::from_millis(1_500);
/// How long a store is looked at that may have dropped what came.
const A_MOMENT: Duration = Duration::from_secs(2);

enum Server {
    Embedded { dir: TempDir, port: u16, process: Option<Process> },
    Seaweed(SeaweedFs),
}

impl Server {
    fn embedded() -> Self {
        let dir = tmp::dir("store");
        let keys = r#"{"access_key":"mesh-contract","secret_key":"a secret of the suite"}"#;
        mesh_fabric::files::write_private(&dir.path().join("keys.json"), keys.as_bytes()).unwrap();
        let mut server = Self::Embedded { dir, port: ports::free(), process: None };
        server.spawn();
        server
    }

    fn port(&self) -> u16 {
        match self {
            Self::Embedded { port, .. } => *port,
            Self::Seaweed(weed) => weed.endpoint().rsplit_once(':').unwrap().1.parse().unwrap(),
        }
    }

    fn credentials(&self) -> PathBuf {
        match self {
            Self::Embedded { dir, .. } => dir.path().join("keys.json"),
            Self::Seaweed(weed) => weed.credentials_file(),
        }
    }

    fn spawn(&mut self) {
        let Self::Embedded { dir, port, process } = self else { return };
        let mut command = Command::new(bins::path("mesh-store"));
        command.arg("--listen").arg(ports::loopback(*port).to_string());
        command.arg("--data").arg(dir.path().join("data"));
        command.arg("--credentials").arg(dir.path().join("keys.json"));
        *process = Some(Process::start(&mut command, &dir.path().join("log")));
    }

    fn kill(&mut self) {
        match self {
            Self::Embedded { process, .. } => *process = None,
            Self::Seaweed(weed) => weed.kill(),
        }
    }

    async fn start(&mut self) {
        match self {
            Self::Embedded { .. } => self.spawn(),
            Self::Seaweed(weed) => weed.restart().await,
        }
    }
}

pub(super) struct S3 {
    server: Server,
    orchestrator: Orchestrators,
    proxy: Proxy,
    refuses: bool,
    /// Of what passes the proxy, where the last upload ends at the earliest.
    sent_bytes: u64,
}

impl S3 {
    pub(super) async fn embedded(refuses: bool) -> Self {
        Self::over(Server::embedded(), refuses).await
    }

    pub(super) async fn seaweedfs(refuses: bool) -> Self {
        Self::over(Server::Seaweed(SeaweedFs::start().await), refuses).await
    }

    async fn over(server: Server, refuses: bool) -> Self {
        let proxy = Proxy::start(Target::Tcp(ports::loopback(server.port()))).await;
        let config = ObjectsConfig {
            endpoint: format!("http://{}", ports::loopback(server.port())),
            bucket: "contract".into(),
            region: REGION.into(),
            credentials_file: server.credentials(),
            public_endpoint: Some(format!("http://{}", proxy.address())),
            ca_file: None,
        };
        let prepared = Orchestrators::open(&config).unwrap();
        prepared.prepare(&CancellationToken::new()).await;
        // One that has not tried what the store can do signs as for a store that cannot refuse.
        let orchestrator = if refuses { prepared } else { Orchestrators::open(&config).unwrap() };
        Self { server, orchestrator, proxy, refuses, sent_bytes: 0 }
    }

    /// Whether it is put to that: SeaweedFS, which needs twenty seconds to come back, is killed by one law.
    pub(super) const fn suffers(&self, trouble: Trouble) -> bool {
        !matches!((trouble, &self.server), (Trouble::Down, Server::Seaweed(_)))
    }

    async fn send(&self, key: &str, signed: usize, bytes: Vec<u8>, brief: bool) -> Put {
        let url = self.orchestrator.presign_put(key, signed as u64, URL_TTL).await.unwrap();
        // A connection of its own, so that nothing of an earlier upload comes with it.
        let http = mesh_fabric::http::client_without_tls().unwrap();
        let mut request = http.put(&url.url).body(Body::from(bytes));
        for (name, value) in url.headers.iter().filter(|(name, _)| *name != "content-length") {
            request = request.header(name, value);
        }
        let patience = if brief { BRIEFLY } else { SOON };
        match request.timeout(patience).send().await.map(|answer| answer.status()) {
            Ok(status) if status.is_success() => Put::Stored,
            Ok(StatusCode::PRECONDITION_FAILED) => Put::AlreadyThere,
            Ok(_) | Err(_) => Put::Failed,
        }
    }

    /// More or fewer bytes than were signed are refused, and leave nothing.
    pub(super) async fn another_length_leaves_nothing(&mut self) {
        for (key, len) in [("longer", 1_001), ("shorter", 999), ("empty", 0)] {
            let put = self.send(key, 1_000, vec![7; len], false).await;
            assert_eq!(put, Put::Failed, "{key}");
            assert_eq!(self.get(key).await, None, "{key}");
        }
    }
}

impl Objects for S3 {
    async fn put(&mut self, trouble: Trouble, key: &str, bytes: Vec<u8>) -> Put {
        let (up, down) = match trouble {
            Trouble::CutWithin => (Flow { cut_after: Some(10_000), ..Flow::GOOD }, Flow::GOOD),
            Trouble::AnswerLost => (Flow::GOOD, Flow::STOPPED),
            Trouble::Late => (Flow { delay: LATE, ..Flow::GOOD }, Flow::GOOD),
            Trouble::None | Trouble::Unavailable | Trouble::Lie | Trouble::Down => {
                (Flow::GOOD, Flow::GOOD)
            }
        };
        let accept = match trouble {
            Trouble::Unavailable => Accept::Answer(503),
            Trouble::Lie => Accept::Answer(200),
            Trouble::None
            | Trouble::CutWithin
            | Trouble::AnswerLost
            | Trouble::Late
            | Trouble::Down => Accept::Forward,
        };
        if let Trouble::Down = trouble {
            self.server.kill();
        }
        self.proxy.set(Link { up, down, accept });
        let brief = matches!(trouble, Trouble::AnswerLost | Trouble::Late);
        let signed = bytes.len();
        self.sent_bytes = self.proxy.passed().up_bytes + signed as u64;
        self.send(key, signed, bytes, brief).await
    }

    async fn look(&mut self, key: &str, size: usize) -> Result<(), ErrorCode> {
        match self.orchestrator.head(key).await {
            Ok(Some(found)) if found == size as u64 => Ok(()),
            Ok(Some(_)) => Err(ErrorCode::Integrity),
            Ok(None) => Err(ErrorCode::NotFound),
            Err(problem) => Err(problem.code),
        }
    }

    async fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        match self.orchestrator.get_bytes(key, u64::MAX).await {
            Ok(bytes) => Some(bytes.to_vec()),
            Err(problem) => {
                assert_eq!(problem.code, ErrorCode::NotFound, "{problem}");
                None
            }
        }
    }

    async fn settle(&mut self, key: &str, trouble: Trouble) {
        match trouble {
            // What was given up is on its way and comes; whether the store then takes it is its affair.
            Trouble::AnswerLost | Trouble::Late => {
                let over = async || self.proxy.passed().up_bytes >= self.sent_bytes;
                wait_until(SOON, "the bytes arrive", over).await;
                let stored = async || self.orchestrator.head(key).await.ok().flatten();
                look_for(A_MOMENT, stored).await;
            }
            Trouble::Down => {
                self.server.start().await;
                let up = async || self.orchestrator.ping().await.is_ok();
                wait_until(SOON, "the store is back", up).await;
            }
            Trouble::None | Trouble::Unavailable | Trouble::Lie | Trouble::CutWithin => {}
        }
        self.proxy.set(Link::GOOD);
    }

    async fn restart(&mut self) {
        self.server.kill();
        self.settle("", Trouble::Down).await;
    }

    fn refuses_overwrites(&self) -> bool {
        self.refuses
    }
}
