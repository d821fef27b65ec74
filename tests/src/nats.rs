//! A real nats-server with the mesh's accounts, as `mesh up` would start it.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, RwLock},
    time::Duration,
};

use async_nats::Client;
use mesh_fabric::{
    files::write_private,
    nats::{Connect, Credential, NatsError, connect},
    nats_auth::{ClusterKeys, ServerConfig, ServerTls},
    tls::CertAuthority,
};
use mesh_schemas::{NodeId, subject::node_inbox};
use nkeys::KeyPair;
use tempfile::TempDir;

use crate::{ports, process::Process, tmp, tools, wait::look_until};

/// How long a server may take to accept connections on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Another test may take a port between its choice and its use.
const PORTS_TRIED_MAX: usize = 5;

/// A node's credentials, as it gets them when it joins.
#[derive(Debug, Clone)]
pub struct NodeUser {
    /// The node.
    pub node: NodeId,
    /// Its secret seed, `SU…`.
    pub seed: String,
    /// Its public key, `U…`: what is revoked.
    pub public_key: String,
    /// Its JWT; shared with its connections, which read it at each reconnect.
    pub jwt: Arc<RwLock<String>>,
}

/// A running nats-server. It keeps its port and its directory over kills and restarts.
#[derive(Debug)]
pub struct NatsServer {
    process: Option<Process>,
    keys: ClusterKeys,
    config: ServerConfig,
    ca_pem: Option<String>,
    dir: TempDir,
}

impl NatsServer {
    /// Starts one and waits until it accepts connections.
    ///
    /// # Panics
    /// When there is no nats-server or it does not start; its log is in the message.
    pub fn start() -> Self {
        Self::start_in(tmp::dir("nats"), None)
    }

    /// The same with TLS and a certificate authority of its own; see [`Self::ca_pem`].
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_with_tls() -> Self {
        Self::start_in(tmp::dir("nats"), Some(&CertAuthority::generate("test CA").unwrap()))
    }

    fn start_in(dir: TempDir, authority: Option<&CertAuthority>) -> Self {
        let keys = ClusterKeys::generate();
        let tls = authority.map(|authority| issue(authority, dir.path()));
        let ca_pem = authority.map(|authority| authority.ca_pem().to_owned());
        for _ in 0..PORTS_TRIED_MAX {
            let listen = ports::loopback(ports::free());
            let (store, resolver) = (dir.path().join("store"), dir.path().join("jwt"));
            let config =
                ServerConfig { tls: tls.clone(), ..ServerConfig::new(listen, store, resolver) };
            fs::write(dir.path().join("nats.conf"), keys.server_config(&config)).unwrap();
            let mut process = spawn(dir.path());
            if wait_ready(&mut process, listen.port()) {
                return Self { process: Some(process), keys, config, ca_pem, dir };
            }
        }
        panic!("nats-server does not start:\n{}", log_of(dir.path()));
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://{}", self.config.listen)
    }

    /// The authority that signed its certificate; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The cluster's keys.
    pub fn keys(&self) -> &ClusterKeys {
        &self.keys
    }

    /// Its directory: `nats.conf`, `store/`, `jwt/`, `nats.log`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has logged so far; it names each permission violation with its subject.
    pub fn log(&self) -> String {
        log_of(self.dir.path())
    }

    /// Its process id; `None` while it is killed.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// SIGKILL. Clients go on trying to come back.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port with what is in its directory, killing it before if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let mut process = spawn(self.dir.path());
        let ready = wait_ready(&mut process, self.config.listen.port());
        assert!(ready, "nats-server does not start again:\n{}", log_of(self.dir.path()));
        self.process = Some(process);
    }

    /// Deletes JetStream's files and pushed account JWTs, as a new disk would. Only while killed.
    ///
    /// # Panics
    /// While it runs.
    pub fn wipe(&mut self) {
        assert!(self.process.is_none(), "kill the server before wiping its disk");
        for dir in [&self.config.store_dir, &self.config.resolver_dir] {
            drop(fs::remove_dir_all(dir));
        }
    }

    /// A client with every right in the mesh's account, as the orchestrator has it.
    ///
    /// # Panics
    /// When the server does not let it in.
    pub async fn service(&self, name: &str) -> Client {
        let creds = Credential::Creds(self.keys.service_creds(name));
        connect(self.options(creds, name)).await.unwrap()
    }

    /// A client of the system account, which may push account JWTs.
    ///
    /// # Panics
    /// When the server does not let it in.
    pub async fn system(&self) -> Client {
        let creds = Credential::Creds(self.keys.system_creds());
        connect(self.options(creds, "system")).await.unwrap()
    }

    /// Credentials of a new node, valid for an hour.
    pub fn new_node(&self) -> NodeUser {
        let (node, key) = (mesh_fabric::ids::node_id(), KeyPair::new_user());
        let public_key = key.public_key();
        let jwt = self.keys.node_jwt(node, &public_key, Duration::from_secs(3_600)).unwrap();
        let jwt = Arc::new(RwLock::new(jwt));
        NodeUser { node, seed: key.seed().unwrap(), public_key, jwt }
    }

    /// What that node connects with.
    pub fn node_options(&self, user: &NodeUser) -> Connect {
        let credential =
            Credential::NodeKey { seed: user.seed.clone(), jwt: Arc::clone(&user.jwt) };
        Connect {
            inbox_prefix: Some(node_inbox(user.node)),
            ..self.options(credential, &user.node.to_string())
        }
    }

    fn options(&self, credential: Credential, name: &str) -> Connect {
        let options = Connect::new(vec![self.url()], credential, name);
        Connect { ca_pem: self.ca_pem.clone(), ..options }
    }

    /// A client with that node's rights.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn connect_node(&self, user: &NodeUser) -> Result<Client, NatsError> {
        connect(self.node_options(user)).await
    }
}

fn issue(authority: &CertAuthority, dir: &Path) -> ServerTls {
    let issued = authority.issue(&["127.0.0.1".to_owned()]).unwrap();
    let tls = ServerTls { cert_file: dir.join("server.pem"), key_file: dir.join("server.key") };
    fs::write(&tls.cert_file, issued.cert_pem).unwrap();
    write_private(&tls.key_file, issued.key_pem.as_bytes()).unwrap();
    tls
}

fn spawn(dir: &Path) -> Process {
    let mut command = Command::new(tools::nats_server());
    command.arg("-c").arg(dir.join("nats.conf"));
    Process::start(&mut command, &dir.join("nats.log"))
}

fn wait_ready(process: &mut Process, port: u16) -> bool {
    look_until(READY_WITHIN, || process.exited().is_some() || ports::is_open(port))
        && process.exited().is_none()
}

fn log_of(dir: &Path) -> String {
    fs::read_to_string(dir.join("nats.log")).unwrap_or_default()
}
