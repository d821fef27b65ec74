//! Logs that have reached the database or the object store. Every byte is checked against its hash.

use std::sync::Arc;

use async_trait::async_trait;
use mesh_artifacts::{
    download::{self, fetch_manifest},
    port::{ObjectPort, PortError},
};
use mesh_schemas::{
    ErrorCode, Problem,
    manifest::{Manifest, ManifestPlace, ManifestSummary, PackRef, StreamName},
    message::{ObjectPut, ObjectUrl},
};

use crate::{
    config::ObjectsConfig,
    objects::{Objects, URL_TTL},
};

/// Reads stored logs. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct StoredLogs {
    port: Port,
    /// A client that could not be made is a problem of each read, not of the whole server.
    http: Result<reqwest::Client, Problem>,
}

impl StoredLogs {
    /// Over the object store.
    pub(super) fn new(objects: Objects, config: &ObjectsConfig) -> Self {
        let ca_pem = config.ca_file.as_ref().map(std::fs::read_to_string).transpose();
        let http = match ca_pem {
            Ok(pem) => mesh_fabric::http::client(pem.as_deref()),
            Err(error) => {
                Err(Problem::new(ErrorCode::Io, format!("objects.ca_file cannot be read: {error}")))
            }
        };
        Self { port: Port(objects), http }
    }

    /// The manifest that a summary names; `None` when nothing is stored.
    ///
    /// # Errors
    /// `E_OBJECTS_DOWN`, `E_INTEGRITY`.
    pub(super) async fn manifest(
        &self,
        summary: &ManifestSummary,
    ) -> Result<Option<Arc<Manifest>>, Problem> {
        match &summary.place {
            ManifestPlace::Empty => Ok(None),
            ManifestPlace::Inline(manifest) => Ok(Some(Arc::new((**manifest).clone()))),
            ManifestPlace::Object(place) => {
                let http = self.http.as_ref().map_err(Clone::clone)?;
                let manifest = fetch_manifest(&self.port, http, place).await;
                manifest.map(|manifest| Some(Arc::new(manifest))).map_err(|error| error.problem())
            }
        }
    }

    /// Log bytes from `from` on; empty when no more are stored.
    ///
    /// # Errors
    /// `E_OBJECTS_DOWN`, `E_INTEGRITY`.
    pub(super) async fn read(
        &self,
        manifest: &Manifest,
        stream: StreamName,
        from: u64,
        bytes_max: usize,
    ) -> Result<download::LogPiece, Problem> {
        let http = self.http.as_ref().map_err(Clone::clone)?;
        let piece = download::read_log(&self.port, http, manifest, stream, from, bytes_max).await;
        piece.map_err(|error| error.problem())
    }
}

/// How many bytes of a stream a manifest has.
pub(super) fn stored_size(manifest: &Manifest, stream: StreamName) -> u64 {
    manifest.logs.iter().find(|log| log.stream == stream).map_or(0, |log| log.size)
}

/// The orchestrator presigns for itself.
#[derive(Debug, Clone)]
struct Port(Objects);

#[async_trait]
impl ObjectPort for Port {
    async fn put_urls(&self, _: Vec<ObjectPut>) -> Result<Vec<ObjectUrl>, PortError> {
        Err(PortError::Refused(Problem::new(ErrorCode::Internal, "logs are only read here")))
    }

    async fn get_urls(&self, keys: Vec<String>) -> Result<Vec<ObjectUrl>, PortError> {
        let urls = keys.iter().map(|key| self.0.presign_get(key, URL_TTL));
        futures::future::try_join_all(urls).await.map_err(PortError::Refused)
    }

    async fn check(&self, _: Vec<PackRef>) -> Result<(), PortError> {
        Err(PortError::Refused(Problem::new(ErrorCode::Internal, "logs are only read here")))
    }
}
