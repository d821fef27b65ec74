//! One witness over HTTP (C2SP `tlog-witness`).

use std::time::Duration;

use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{AddCheckpoint, VerifierKey, origin_hash};
use reqwest::{StatusCode, header::CONTENT_TYPE};

use crate::config::{WitnessConfig, text};

/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The type of an answer that says which size was cosigned last.
const SIZE_TYPE: &str = "text/x.tlog.size";

/// A witness; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    pub(crate) key: VerifierKey,
    url: String,
    http: reqwest::Client,
}

/// What a witness answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// Its lines.
    Cosigned(String),
    /// It cosigned this size last, and wants a proof from there.
    From(u64),
    /// It does not cosign.
    Refused(String),
}

impl Witness {
    /// Reads the configuration; does not connect yet.
    pub(crate) fn open(config: &WitnessConfig) -> Result<Self, Problem> {
        let key = config.verifier()?;
        let ca_pem = config.ca_file.as_deref().map(|file| text("witnesses.ca_file", file));
        let http = mesh_fabric::http::client(ca_pem.transpose()?.as_deref())
            .map_err(|problem| problem.at("witnesses.ca_file"))?;
        Ok(Self { key, url: config.url.trim_end_matches('/').to_owned(), http })
    }

    pub(super) async fn add_checkpoint(&self, request: &AddCheckpoint) -> Result<Answer, Problem> {
        let post = self.http.post(format!("{}/add-checkpoint", self.url));
        let sent = post.body(request.to_string()).timeout(ANSWER_TIMEOUT).send().await;
        let answer = sent.map_err(|error| self.away(&error))?;
        let status = answer.status();
        let is_size = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == SIZE_TYPE);
        let text = self.text(answer).await?;
        if status == StatusCode::OK {
            return Ok(Answer::Cosigned(text));
        }
        if let (StatusCode::CONFLICT, true, Ok(size)) = (status, is_size, text.trim_end().parse()) {
            return Ok(Answer::From(size));
        }
        Ok(Answer::Refused(format!("{status}: {}", mesh_schemas::text::shown(text.trim_end()))))
    }

    /// What it cosigned last for a log; nothing when it says that there is nothing to show.
    pub(crate) async fn checkpoint(&self, origin: &str) -> Result<Option<Vec<u8>>, Problem> {
        let get = self.http.get(format!("{}/{}/checkpoint", self.url, origin_hash(origin)));
        let answer = get.timeout(ANSWER_TIMEOUT).send().await.map_err(|error| self.away(&error))?;
        match answer.status() {
            StatusCode::OK => Ok(Some(self.text(answer).await?.into_bytes())),
            // It has none of this log, or is of those that show none.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
            // A proxy without the witness behind it, or one that cannot read its own books.
            status => Err(self.problem(&format!("it answers {status} instead of a checkpoint"))),
        }
    }

    async fn text(&self, mut answer: reqwest::Response) -> Result<String, Problem> {
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.away(&error))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(self.problem("its answer is too long"));
            }
        }
        String::from_utf8(bytes).map_err(|_| self.problem("its answer is not text"))
    }

    fn away(&self, error: &reqwest::Error) -> Problem {
        self.problem(&mesh_fabric::error::chain(error))
    }

    pub(super) fn problem(&self, what: &str) -> Problem {
        let name = self.key.name();
        Problem::new(ErrorCode::LedgerDown, format!("the witness {name}: {what}"))
    }
}
