//! The object store, through S3 like anybody else; what comes back is believed by its hash alone.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use aws_credential_types::Credentials;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Builder, Region, retry::RetryConfig},
    error::SdkError,
};
use aws_smithy_http_client::tls;
use futures::{StreamExt as _, TryStreamExt as _};
use mesh_tests::{bins, ports, process::Process, wait::look_for};
use serde::Deserialize;

/// How long the embedded store may take to come up.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often a request is tried: the store may be busy with a mesh that still runs.
const TRIES: u32 = 4;
/// Objects that are asked for at once.
const AT_ONCE: usize = 16;
/// Objects beyond this are read again each time, in bytes.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// A bucket.
#[derive(Debug)]
pub struct ObjectStore {
    client: Client,
    bucket: String,
    /// Small objects that were read before: manifests of several versions name the same packs.
    read: Mutex<BTreeMap<String, Arc<Vec<u8>>>>,
    /// The server that was started only for this.
    _server: Option<Process>,
}

#[derive(Deserialize)]
struct Keys {
    access_key: String,
    secret_key: String,
}

/// What of `orchestrator.toml` says where the objects are.
#[derive(Deserialize)]
struct Config {
    objects: Objects,
}

#[derive(Deserialize)]
struct Objects {
    endpoint: String,
    bucket: String,
    credentials_file: std::path::PathBuf,
}

/// An S3 client for this endpoint.
pub fn connect(endpoint: &str, access_key: &str, secret_key: &str) -> Client {
    mesh_fabric::tls::install_provider();
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let credentials = Credentials::from_keys(access_key, secret_key, None);
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(credentials)
        .force_path_style(true)
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .http_client(http)
        .build();
    Client::from_conf(config)
}

impl ObjectStore {
    /// The store of a mesh: as its orchestrator's configuration says; when nobody answers there and the
    /// directory holds an embedded store, that is served for as long as this value lives.
    ///
    /// # Errors
    /// When there is neither.
    pub async fn of(data: &Path) -> anyhow::Result<Self> {
        let file = data.join("orchestrator.toml");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let Objects { endpoint, bucket, credentials_file } =
            toml::from_str::<Config>(&text).context("orchestrator.toml")?.objects;
        let keys =
            fs::read(&credentials_file).with_context(|| credentials_file.display().to_string())?;
        let keys: Keys = serde_json::from_slice(&keys).context("the store's credentials")?;
        let client = |endpoint: &str| connect(endpoint, &keys.access_key, &keys.secret_key);
        let embedded = data.join("store");
        if answers(&client(&endpoint), &bucket).await {
            return Ok(Self {
                client: client(&endpoint),
                bucket,
                read: Mutex::default(),
                _server: None,
            });
        }
        ensure!(embedded.join("buckets").is_dir(), "nobody answers at {endpoint}");
        let listen = ports::loopback(ports::free());
        let mut command = Command::new(bins::path("mesh-store"));
        command.arg("--listen").arg(listen.to_string()).arg("--data").arg(&embedded);
        command.arg("--credentials").arg(&credentials_file);
        let log = data.join("store-of-the-checker.log");
        let server = Process::start(&mut command, &log);
        let client = client(&format!("http://{listen}"));
        let up = look_for(READY_WITHIN, async || answers(&client, &bucket).await.then_some(()));
        ensure!(
            up.await.is_some(),
            "mesh-store does not serve {}: {}",
            embedded.display(),
            server.log_tail()
        );
        Ok(Self { client, bucket, read: Mutex::default(), _server: Some(server) })
    }

    /// Reads all these objects, many at once, to have them at hand.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn fetch(&self, keys: &[String]) -> anyhow::Result<()> {
        let all = futures::stream::iter(keys).map(|key| self.get(key));
        all.buffer_unordered(AT_ONCE).try_for_each(|_| std::future::ready(Ok(()))).await
    }

    /// The bytes of an object; none when there is no such object.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn get(&self, key: &str) -> anyhow::Result<Option<Arc<Vec<u8>>>> {
        let kept = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = kept().get(key) {
            return Ok(Some(Arc::clone(bytes)));
        }
        let bytes = self.get_now(key).await?.map(Arc::new);
        if let Some(bytes) = bytes.as_ref().filter(|bytes| bytes.len() <= KEPT_BYTES_MAX) {
            kept().insert(key.to_owned(), Arc::clone(bytes));
        }
        Ok(bytes)
    }

    async fn get_now(&self, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        match answer {
            Ok(object) => Ok(Some(object.body.collect().await?.to_vec())),
            Err(SdkError::ServiceError(error)) if error.err().is_no_such_key() => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {key}")),
        }
    }

    /// All keys that begin so.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn keys(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let mut pages = request.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let objects = page.context("listing the store")?.contents.unwrap_or_default();
            keys.extend(objects.into_iter().filter_map(|object| object.key));
        }
        Ok(keys)
    }
}

async fn answers(client: &Client, bucket: &str) -> bool {
    let asked = client.head_bucket().bucket(bucket).send();
    matches!(tokio::time::timeout(Duration::from_secs(3), asked).await, Ok(Ok(_)))
}
