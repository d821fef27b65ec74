//! The object store as the commands reach it: through URLs that the API presigns.

use std::path::Path;

use async_trait::async_trait;
use mesh_artifacts::{
    port::{ObjectPort, PortError},
    ship::{self, Options},
};
use mesh_schemas::{
    JobId, Problem, UploadId,
    api::{DownloadRequest, UploadCheck, UploadRequest, UploadUrls},
    manifest::{ManifestRef, PackRef},
    message::{ObjectPut, ObjectUrl},
};

use crate::{
    client::{Client, is_passing},
    context, output, progress,
};

/// Objects of one upload, or of one job's tasks.
#[derive(Debug)]
pub(crate) struct ApiPort {
    client: Client,
    of: Of,
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Upload(UploadId),
    Job(JobId),
}

impl ApiPort {
    /// To fetch what a job's tasks stored.
    pub(crate) fn of_job(client: &Client, job: JobId) -> Self {
        Self { client: client.clone(), of: Of::Job(job) }
    }
}

#[async_trait]
impl ObjectPort for ApiPort {
    async fn put_urls(&self, objects: Vec<ObjectPut>) -> Result<Vec<ObjectUrl>, PortError> {
        let upload = match self.of {
            Of::Upload(upload) => Some(upload),
            Of::Job(_) => None,
        };
        let request = UploadRequest { upload, objects };
        let urls: UploadUrls = self.client.post("/uploads", &request).await.map_err(port_error)?;
        Ok(urls.urls)
    }

    async fn get_urls(&self, keys: Vec<String>) -> Result<Vec<ObjectUrl>, PortError> {
        let Of::Job(job) = self.of else { return Ok(Vec::new()) };
        let path = format!("/jobs/{job}/downloads");
        self.client.post(&path, &DownloadRequest { keys }).await.map_err(port_error)
    }

    async fn check(&self, objects: Vec<PackRef>) -> Result<(), PortError> {
        let Of::Upload(upload) = self.of else { return Ok(()) };
        let request = UploadCheck { upload, objects };
        self.client.post("/uploads/check", &request).await.map_err(port_error)
    }
}

fn port_error(problem: Problem) -> PortError {
    if is_passing(&problem) { PortError::unavailable(problem) } else { PortError::Refused(problem) }
}

/// Ships a directory, with a progress bar, and says what it left out.
pub(crate) async fn ship(client: &Client, dir: &Path) -> Result<ManifestRef, Problem> {
    let begun: UploadUrls =
        client.post("/uploads", &UploadRequest { upload: None, objects: Vec::new() }).await?;
    let port = ApiPort { client: client.clone(), of: Of::Upload(begun.upload) };
    let bar = progress::bytes("shipping", 0);
    let options = Options { upload: begun.upload, gitignore: true };
    let shipped = ship::ship_directory(dir, &port, client.objects_http()?, options, |progress| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_done);
    })
    .await
    .map_err(|error| context::own_file(error.problem()))?;
    bar.finish_and_clear();
    for line in shipped.skipped.lines() {
        output::note(output::inert(line));
    }
    let more = shipped.skipped.count().saturating_sub(shipped.skipped.lines().len() as u64);
    if more > 0 {
        output::note(format!("{more} more were left out"));
    }
    let files = output::count(shipped.files, "file");
    output::note(format!("shipped {files}, {}", output::size(shipped.bytes)));
    Ok(shipped.manifest)
}
