//! An object store of a test's own.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use mesh_fabric::ids;
use mesh_store::{
    credentials::Credentials,
    server::{Options, Server},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BUCKET: &str = "log";

/// A store that answers.
pub(crate) struct Objects {
    client: aws_sdk_s3::Client,
    stop: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
    /// For the registry's configuration.
    pub(crate) config: String,
}

impl Objects {
    pub(crate) async fn start(dir: &Path) -> Self {
        let keys = Credentials { access_key: "mesh-test".into(), secret_key: ids::secret("") };
        let json =
            serde_json::json!({ "access_key": keys.access_key, "secret_key": keys.secret_key });
        fs::write(dir.join("keys.json"), json.to_string()).unwrap();
        let options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: dir.join("objects"),
            credentials: keys.clone(),
            tls: None,
            body_wait: Duration::from_secs(5),
        };
        let server = Server::bind(options).await.unwrap();
        let (address, stop) = (server.addr(), CancellationToken::new());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        let running = tokio::spawn(server.run(stop.clone()));
        let config = format!(
            "[objects]\nendpoint = \"http://{address}\"\nbucket = \"{BUCKET}\"\n\
             credentials_file = {:?}\n",
            dir.join("keys.json")
        );
        let client = client(address, &keys);
        Self { client, stop, running, config }
    }

    /// The keys below a prefix.
    pub(crate) async fn list(&self, prefix: &str) -> Vec<String> {
        let list = self.client.list_objects_v2().bucket(BUCKET).prefix(prefix);
        let listed = list.send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }

    pub(crate) async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let got = self.client.get_object().bucket(BUCKET).key(key).send().await.ok()?;
        Some(got.body.collect().await.unwrap().to_vec())
    }

    pub(crate) async fn put(&self, key: &str, bytes: &[u8]) {
        let body = bytes.to_vec().into();
        self.client.put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

fn client(address: SocketAddr, keys: &Credentials) -> aws_sdk_s3::Client {
    let keys = aws_credential_types::Credentials::from_keys(
        keys.access_key.clone(),
        keys.secret_key.clone(),
        None,
    );
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .endpoint_url(format!("http://{address}"))
        .force_path_style(true)
        .credentials_provider(keys)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}
