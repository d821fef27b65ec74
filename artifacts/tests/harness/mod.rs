//! A real store in this process, and a port that presigns as the orchestrator does.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_credential_types::Credentials as AwsKeys;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Region},
    presigning::{PresignedRequest, PresigningConfig},
    primitives::ByteStream,
};
use mesh_artifacts::{
    port::{ObjectPort, PortError},
    upload::{AttemptUploader, Limits, Options, Stage, UploadError},
};
use mesh_schemas::{
    attempt::{AttemptKey, Epoch},
    error::{ErrorCode, Problem},
    id::{JobId, UploadId},
    manifest::{ManifestOwner, ManifestSummary, PackRef},
    message::{OBJECTS_MAX, ObjectPut, ObjectUrl},
    subject,
};
use mesh_store::{credentials::Credentials, server};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const BUCKET: &str = "deskmesh";

pub(crate) fn attempt(epoch: u32) -> ManifestOwner {
    let job = JobId::from_uuid(uuid::Uuid::from_u128(7));
    ManifestOwner::Attempt(AttemptKey { job, task: 0, epoch: Epoch(epoch) })
}

pub(crate) fn upload() -> UploadId {
    UploadId::from_uuid(uuid::Uuid::from_u128(9))
}

/// Bytes that no compressor helps with, the same for the same seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A store with one bucket. It is stopped with the runtime of the test.
pub(crate) struct Store {
    pub(crate) client: Client,
    pub(crate) http: reqwest::Client,
    _dir: TempDir,
}

impl Store {
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = Credentials { access_key: "mesh-test".into(), secret_key: "a secret".into() };
        let options = server::Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: dir.path().to_owned(),
            credentials: keys.clone(),
            tls: None,
            body_wait: server::BODY_WAIT_MAX,
        };
        let server = server::Server::bind(options).await.unwrap();
        let client = client(server.addr(), &keys);
        let _running = tokio::spawn(server.run(CancellationToken::new()));
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        let http = mesh_fabric::http::client(None).unwrap();
        Self { client, http, _dir: dir }
    }

    pub(crate) fn port(&self, owner: ManifestOwner) -> Port {
        let prefix = match owner {
            ManifestOwner::Attempt(attempt) => subject::attempt_prefix(attempt),
            ManifestOwner::Upload(upload) => subject::upload_prefix(upload),
        };
        Port {
            client: self.client.clone(),
            prefix,
            puts: Mutex::default(),
            stop_after: Mutex::new(None),
            expired: AtomicBool::new(false),
            blind: AtomicBool::new(false),
        }
    }

    pub(crate) async fn put(&self, key: &str, bytes: &[u8]) {
        let put = self.client.put_object().bucket(BUCKET).key(key);
        put.body(ByteStream::from(bytes.to_vec())).send().await.unwrap();
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let list = self.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        list.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    }
}

fn client(addr: SocketAddr, keys: &Credentials) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{addr}"))
        .force_path_style(true)
        .credentials_provider(AwsKeys::from_keys(&keys.access_key, &keys.secret_key, None))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// Presigns for one owner, and counts what it was asked for.
pub(crate) struct Port {
    client: Client,
    prefix: String,
    /// Name and size of each object that a URL was given for.
    pub(crate) puts: Mutex<Vec<ObjectPut>>,
    /// After so many URLs there are no more: as if the agent was killed.
    pub(crate) stop_after: Mutex<Option<usize>>,
    /// The next URL to upload is one that the store refuses.
    pub(crate) expired: AtomicBool,
    /// Manifests that are there are said not to be.
    pub(crate) blind: AtomicBool,
}

impl Port {
    pub(crate) fn put_bytes(&self) -> u64 {
        self.puts.lock().unwrap().iter().map(|put| put.size).sum()
    }

    pub(crate) fn put_names(&self) -> Vec<String> {
        self.puts.lock().unwrap().iter().map(|put| put.name.clone()).collect()
    }
}

fn presigning() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(600)).unwrap()
}

fn url(key: String, request: &PresignedRequest) -> ObjectUrl {
    let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    ObjectUrl { key, url: request.uri().to_owned(), headers: headers.collect() }
}

#[async_trait]
impl ObjectPort for Port {
    async fn put_urls(&self, objects: Vec<ObjectPut>) -> Result<Vec<ObjectUrl>, PortError> {
        let mut urls = Vec::new();
        for object in objects {
            {
                let mut puts = self.puts.lock().unwrap();
                if self.stop_after.lock().unwrap().is_some_and(|most| puts.len() >= most) {
                    let gone = Problem::new(ErrorCode::Fenced, "the test says so");
                    return Err(PortError::Refused(gone));
                }
                puts.push(object.clone());
            }
            let key = format!("{}{}", self.prefix, object.name);
            let size = i64::try_from(object.size).unwrap();
            let put = self.client.put_object().bucket(BUCKET).key(&key).if_none_match("*");
            let put = put.content_length(size).presigned(presigning()).await.unwrap();
            let mut url = url(key, &put);
            if self.expired.swap(false, Ordering::SeqCst) {
                url.url = url.url.replace("X-Amz-Expires=600", "X-Amz-Expires=599");
            }
            urls.push(url);
        }
        Ok(urls)
    }

    async fn get_urls(&self, keys: Vec<String>) -> Result<Vec<ObjectUrl>, PortError> {
        let mut urls = Vec::new();
        for key in keys {
            let get = self.client.get_object().bucket(BUCKET).key(&key);
            urls.push(url(key, &get.presigned(presigning()).await.unwrap()));
        }
        Ok(urls)
    }

    async fn check(&self, objects: Vec<PackRef>) -> Result<(), PortError> {
        if objects.len() > OBJECTS_MAX {
            return Err(PortError::Refused(Problem::new(ErrorCode::TooLarge, "too many at once")));
        }
        for object in objects {
            let head = self.client.head_object().bucket(BUCKET).key(&object.key).send().await;
            let size = head.ok().and_then(|head| head.content_length());
            let unseen = self.blind.load(Ordering::SeqCst) && object.key.ends_with(".json");
            if unseen || size != i64::try_from(object.size).ok() {
                let missing = format!("{} is not in the store", object.key);
                return Err(PortError::Refused(Problem::new(ErrorCode::NotFound, missing)));
            }
        }
        Ok(())
    }
}

/// An attempt's directory.
pub(crate) struct Attempt {
    pub(crate) dir: TempDir,
    pub(crate) outputs: Vec<String>,
    pub(crate) checkpoint: Option<String>,
    pub(crate) epoch: u32,
}

impl Attempt {
    pub(crate) fn new(outputs: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        for log in ["stdout", "stderr"] {
            std::fs::write(dir.path().join(log), "").unwrap();
        }
        let outputs = outputs.iter().map(|pattern| (*pattern).to_owned()).collect();
        Self { dir, outputs, checkpoint: None, epoch: 1 }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path("work").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn append(&self, name: &str, bytes: &[u8]) {
        append(&self.path(name), bytes);
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            owner: attempt(self.epoch),
            root: self.path("work"),
            outputs: self.outputs.clone(),
            checkpoint: self.checkpoint.clone(),
            stdout: self.path("stdout"),
            stderr: self.path("stderr"),
            state_file: self.path("upload.json"),
            previous: None,
            limits: Limits::default(),
        }
    }

    pub(crate) fn uploader(&self) -> AttemptUploader {
        AttemptUploader::open(self.options()).unwrap()
    }
}

pub(crate) fn append(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

pub(crate) async fn store(
    uploader: &mut AttemptUploader,
    port: &Port,
    store: &Store,
    stage: Stage,
) -> Result<Option<ManifestSummary>, UploadError> {
    uploader.store(port, &store.http, stage).await
}
