//! Requests through presigned URLs: tried again when the network or the store falters, with a fresh
//! URL when the one at hand has expired.

use std::{collections::HashMap, sync::Mutex, sync::PoisonError};

use bytes::{Bytes, BytesMut};
use mesh_fabric::backoff::{self, Policy};
use mesh_schemas::{
    error::{ErrorCode, Problem},
    manifest::PackRef,
    message::{ObjectPut, ObjectUrl},
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header};

use crate::port::{ObjectPort, PortError};

/// Why an object could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// No URL.
    #[error("no URL for the object {key}")]
    Port {
        /// Which.
        key: String,
        /// Why.
        source: Box<PortError>,
    },
    /// No answer.
    #[error("the object store did not answer for {key}")]
    Http {
        /// Which.
        key: String,
        /// Why; without the URL, which is a secret.
        source: reqwest::Error,
    },
    /// An answer that is no success.
    #[error("the object store answered {status} for {key}")]
    Status {
        /// Which.
        key: String,
        /// What it said.
        status: StatusCode,
    },
    /// An answer of another length than the manifest names.
    #[error("the object store sent other than {expected} bytes of {key}")]
    Length {
        /// Which.
        key: String,
        /// Wanted.
        expected: u64,
    },
}

impl TransferError {
    /// For people.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Port { source, .. } => return source.problem(),
            Self::Status { status: StatusCode::NOT_FOUND, .. } => ErrorCode::NotFound,
            Self::Length { .. } => ErrorCode::Integrity,
            Self::Http { .. } | Self::Status { .. } => ErrorCode::ObjectsDown,
        };
        Problem::new(code, mesh_fabric::error::chain(self))
    }

    /// Another try may succeed. A 403 may be an expired URL: the next try asks for a fresh one.
    fn may_heal(&self) -> bool {
        match self {
            Self::Port { source, .. } => matches!(**source, PortError::Unavailable { .. }),
            Self::Http { .. } => true,
            Self::Length { .. } => false,
            Self::Status { status, .. } => {
                status.is_server_error()
                    || [
                        StatusCode::FORBIDDEN,
                        StatusCode::REQUEST_TIMEOUT,
                        StatusCode::TOO_MANY_REQUESTS,
                        StatusCode::CONFLICT,
                    ]
                    .contains(status)
            }
        }
    }
}

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The bytes went over.
    Stored,
    /// An object of this name was there; whoever asks must check that it is the same.
    AlreadyThere,
}

/// What requests go through.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'a> {
    pub(crate) port: &'a dyn ObjectPort,
    pub(crate) http: &'a Client,
}

impl Wire<'_> {
    /// Uploads one object; `key` is the prefix and `name` together.
    pub(crate) async fn put(
        &self,
        name: &str,
        key: &str,
        bytes: Bytes,
    ) -> Result<Put, TransferError> {
        let attempt = || self.put_once(name, key, bytes.clone());
        let notify = backoff::warn("Uploading an object");
        backoff::retry(Policy::network(), attempt, TransferError::may_heal, notify).await
    }

    async fn put_once(&self, name: &str, key: &str, bytes: Bytes) -> Result<Put, TransferError> {
        let object = ObjectPut { name: name.to_owned(), size: bytes.len() as u64 };
        let urls = self.port.put_urls(vec![object]).await;
        let url = only(urls, key).map_err(|source| port_error(key, source))?;
        let request = request(self.http, Method::PUT, &url).body(bytes);
        match send(request, key).await {
            Ok(_) => Ok(Put::Stored),
            Err(TransferError::Status { status: StatusCode::PRECONDITION_FAILED, .. }) => {
                Ok(Put::AlreadyThere)
            }
            Err(error) => Err(error),
        }
    }

    /// Succeeds when the objects are in the store with their lengths.
    pub(crate) async fn check(&self, objects: Vec<PackRef>) -> Result<(), PortError> {
        let attempt = || self.port.check(objects.clone());
        let notify = backoff::warn("Checking objects");
        let heals = |error: &PortError| matches!(error, PortError::Unavailable { .. });
        backoff::retry(Policy::network(), attempt, heals, notify).await
    }
}

/// Downloads, and remembers URLs until they expire.
pub(crate) struct Getter<'a> {
    wire: Wire<'a>,
    urls: Mutex<HashMap<String, ObjectUrl>>,
}

impl<'a> Getter<'a> {
    pub(crate) fn new(wire: Wire<'a>) -> Self {
        Self { wire, urls: Mutex::new(HashMap::new()) }
    }

    /// The bytes `start..end` of an object.
    pub(crate) async fn range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<Bytes, TransferError> {
        let attempt = || self.range_once(key, start, end);
        let notify = backoff::warn("Downloading an object");
        backoff::retry(Policy::network(), attempt, TransferError::may_heal, notify).await
    }

    async fn range_once(&self, key: &str, start: u64, end: u64) -> Result<Bytes, TransferError> {
        let url = self.url(key).await?;
        let range = format!("bytes={start}-{}", end.saturating_sub(1));
        let request = request(self.wire.http, Method::GET, &url).header(header::RANGE, range);
        let answer = send(request, key).await.inspect_err(|_| self.forget(key))?;
        let whole = answer.status() != StatusCode::PARTIAL_CONTENT;
        // A store that ignores ranges sends everything; that is fine when it is what was wanted.
        if whole && start != 0 {
            return Err(TransferError::Length { key: key.to_owned(), expected: end - start });
        }
        exactly(answer, key, end - start).await
    }

    async fn url(&self, key: &str) -> Result<ObjectUrl, TransferError> {
        let known = self.lock().get(key).cloned();
        if let Some(url) = known {
            return Ok(url);
        }
        let urls = self.wire.port.get_urls(vec![key.to_owned()]).await;
        let url = only(urls, key).map_err(|source| port_error(key, source))?;
        self.lock().insert(key.to_owned(), url.clone());
        Ok(url)
    }

    fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, ObjectUrl>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn port_error(key: &str, source: PortError) -> TransferError {
    TransferError::Port { key: key.to_owned(), source: Box::new(source) }
}

/// One URL, for the key that was meant.
fn only(urls: Result<Vec<ObjectUrl>, PortError>, key: &str) -> Result<ObjectUrl, PortError> {
    let mut urls = urls?;
    match urls.pop() {
        Some(url) if urls.is_empty() && url.key == key => Ok(url),
        Some(_) | None => Err(PortError::malformed("a URL came for another object")),
    }
}

fn request(http: &Client, method: Method, url: &ObjectUrl) -> RequestBuilder {
    let request = http.request(method, &url.url);
    url.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

async fn send(request: RequestBuilder, key: &str) -> Result<Response, TransferError> {
    let key = key.to_owned();
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Ok(answer),
        Ok(answer) => Err(TransferError::Status { key, status: answer.status() }),
        Err(source) => Err(TransferError::Http { key, source: source.without_url() }),
    }
}

/// The body, which must have this length; reading stops as soon as it is longer.
async fn exactly(mut answer: Response, key: &str, expected: u64) -> Result<Bytes, TransferError> {
    let length = || TransferError::Length { key: key.to_owned(), expected };
    let wanted = usize::try_from(expected).map_err(|_| length())?;
    let http = |source: reqwest::Error| TransferError::Http {
        key: key.to_owned(),
        source: source.without_url(),
    };
    let mut bytes = BytesMut::with_capacity(wanted);
    while let Some(piece) = answer.chunk().await.map_err(http)? {
        if bytes.len() + piece.len() > wanted {
            return Err(length());
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.len() == wanted { Ok(bytes.freeze()) } else { Err(length()) }
}
