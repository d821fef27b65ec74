//! A real S3-compatible server: SeaweedFS, every part of it in one child process on loopback.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use aws_credential_types::Credentials;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Builder, Region, retry::RetryConfig},
};
use aws_smithy_http_client::tls;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    http::Http,
    ports,
    process::Process,
    tmp, tools,
    wait::{look_for, look_until, wait_until},
};

/// How long it may take to serve on a busy machine; usually 3 s.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// What the region is called; SeaweedFS takes any.
pub const REGION: &str = "us-east-1";

/// A running SeaweedFS. It keeps its ports and its directory over kills and restarts.
#[derive(Debug)]
pub struct SeaweedFs {
    process: Option<Process>,
    ports: Ports,
    access_key: String,
    secret_key: String,
    dir: TempDir,
}

/// Every listener of every part; none is left to a default that another test may have.
#[derive(Debug, Clone, Copy)]
struct Ports {
    s3: [u16; 2],
    filer: [u16; 2],
    master: [u16; 2],
    volume: [u16; 2],
}

impl SeaweedFs {
    /// Starts one with new credentials and waits until it answers signed requests.
    ///
    /// # Panics
    /// When there is no `weed` or it does not start; its log is in the message.
    pub async fn start() -> Self {
        let dir = tmp::dir("weed");
        let [a, b, c, d, e, f, g, h] = ports::free_many();
        let ports = Ports { s3: [a, b], filer: [c, d], master: [e, f], volume: [g, h] };
        let (access_key, secret_key) =
            (mesh_fabric::ids::secret("test-"), mesh_fabric::ids::secret(""));
        let mut server = Self { process: None, ports, access_key, secret_key, dir };
        server.write_identities();
        server.restart().await;
        server
    }

    /// The address of its S3 API.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.s3[0])
    }

    /// The access key of the one user there is.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret to it.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// A file `{access_key, secret_key}` as the orchestrator reads it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn credentials_file(&self) -> PathBuf {
        let path = self.dir.path().join("store.json");
        let keys = json!({ "access_key": self.access_key, "secret_key": self.secret_key });
        mesh_fabric::files::write_private(&path, keys.to_string().as_bytes()).unwrap();
        path
    }

    /// A client with the user's rights, which are all.
    pub fn client(&self) -> Client {
        mesh_fabric::tls::install_provider();
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let credentials =
            Credentials::from_keys(self.access_key.clone(), self.secret_key.clone(), None);
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(self.endpoint())
            .credentials_provider(credentials)
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .http_client(http)
            .build();
        Client::from_conf(config)
    }

    /// Makes an empty bucket.
    ///
    /// # Panics
    /// When that fails within the deadline; a server that has just come up may need a moment.
    pub async fn create_bucket(&self, name: &str) {
        let client = self.client();
        let mut last = String::new();
        let made = look_for(READY_WITHIN, async || {
            let made = client.create_bucket().bucket(name).send().await;
            made.map_err(|error| last = format!("{error:?}")).ok()
        });
        assert!(made.await.is_some(), "no bucket {name}: {last}");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same ports with what is in its directory.
    ///
    /// # Panics
    /// When it does not answer within a minute.
    pub async fn restart(&mut self) {
        self.kill();
        let mut process = self.spawn();
        let port = self.ports.s3[0];
        let open = look_until(READY_WITHIN, || process.exited().is_some() || ports::is_open(port));
        assert!(open && process.exited().is_none(), "no SeaweedFS:\n{}", process.log_tail());
        self.process = Some(process);
        let client = self.client();
        wait_until(READY_WITHIN, "SeaweedFS answers", async || {
            self.has_volumes().await && client.list_buckets().send().await.is_ok()
        })
        .await;
    }

    /// The volume server has told the master what it holds; before that, objects seem to be missing.
    async fn has_volumes(&self) -> bool {
        let master = Http::new(format!("http://127.0.0.1:{}", self.ports.master[0]));
        let assigned = master.get("/dir/assign").await;
        assigned.is_ok_and(|(_, answer)| answer["fid"].is_string())
    }

    fn spawn(&self) -> Process {
        let dir = self.dir.path();
        let data = dir.join("data");
        fs::create_dir_all(&data).unwrap();
        let mut command = Command::new(tools::weed());
        command.args(arguments(self.ports, dir, &data));
        // The Go runtime collects garbage earlier instead of growing beyond this.
        command.env("GOMEMLIMIT", "192MiB");
        Process::start(&mut command, &dir.join("weed.log"))
    }

    fn write_identities(&self) {
        let keys = json!({ "accessKey": self.access_key, "secretKey": self.secret_key });
        let actions = json!(["Admin", "Read", "Write", "List", "Tagging"]);
        let user = json!({ "name": "test", "credentials": [keys], "actions": actions });
        let identities = json!({ "identities": [user] }).to_string();
        let path = self.dir.path().join("identities.json");
        mesh_fabric::files::write_private(&path, identities.as_bytes()).unwrap();
    }
}

fn arguments(ports: Ports, dir: &Path, data: &Path) -> Vec<String> {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let mut arguments = vec!["server".to_owned()];
    let mut option = |name: &str, value: String| arguments.push(format!("-{name}={value}"));
    let parts = [
        ("s3", ports.s3),
        ("filer", ports.filer),
        ("master", ports.master),
        ("volume", ports.volume),
    ];
    for (part, [http, grpc]) in parts {
        option(&format!("{part}.port"), http.to_string());
        option(&format!("{part}.port.grpc"), grpc.to_string());
    }
    for (name, value) in [
        ("ip", "127.0.0.1"),
        ("ip.bind", "127.0.0.1"),
        ("filer", "true"),
        ("s3", "true"),
        ("s3.iam", "false"),
        ("s3.port.iceberg", "0"),
        ("s3.port.lance", "0"),
        ("master.telemetry", "false"),
        ("master.volumeSizeLimitMB", "64"),
        ("master.volumePreallocate", "false"),
        ("volume.max", "100"),
    ] {
        option(name, value.to_owned());
    }
    option("dir", path(data));
    option("s3.config", path(&dir.join("identities.json")));
    option("s3.localSocket", path(&dir.join("s3.sock")));
    option("filer.localSocket", path(&dir.join("filer.sock")));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn objects_outlive_a_kill_and_strangers_get_nothing() {
        let mut server = SeaweedFs::start().await;
        server.create_bucket("bucket").await;
        let client = server.client();
        client
            .put_object()
            .bucket("bucket")
            .key("k")
            .body(b"bytes".to_vec().into())
            .send()
            .await
            .unwrap();
        server.kill();
        assert!(client.list_buckets().send().await.is_err());
        server.restart().await;
        let object = client.get_object().bucket("bucket").key("k").send().await.unwrap();
        assert_eq!(object.body.collect().await.unwrap().to_vec(), b"bytes");
        let unsigned = reqwest::get(format!("{}/bucket/k", server.endpoint())).await.unwrap();
        assert_eq!(unsigned.status(), 403);
    }
}
