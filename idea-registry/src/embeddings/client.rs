//! Asking the endpoint. Nothing that it answers is believed before it is looked at.

use std::time::Duration;

use mesh_fabric::error::chain;
use mesh_schemas::Problem;
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::{
    EmbeddingsConfig,
    vectors::{DIMENSIONS_MAX, Vector},
};

/// Bytes of a number as JSON writes it, and then some.
const NUMBER_BYTES_MAX: usize = 32;
/// Bytes of an answer beside its numbers.
const FRAME_BYTES_MAX: usize = 64 << 10;

/// An endpoint with a model.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    model: String,
    key: Option<String>,
    timeout: Duration,
    dimensions: Option<usize>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why there are no vectors.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may answer later.
    Away(String),
    /// What it answers is of no use, and will be of none.
    Bad(String),
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    /// Which of the texts it is of; the order of the items says so where it is absent.
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl Client {
    /// Reads key and authority; does not connect yet.
    ///
    /// # Errors
    /// `E_CONFIG`.
    pub(crate) fn open(config: &EmbeddingsConfig) -> Result<Self, Problem> {
        let http = mesh_fabric::http::client(config.ca()?.as_deref())?;
        let EmbeddingsConfig { url, model, timeout, dimensions, .. } = config.clone();
        Ok(Self { http, url, model, key: config.key()?, timeout, dimensions })
    }

    /// The vector of each text, in their order.
    pub(super) async fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>, Failure> {
        let (model, input) = (self.model.as_str(), texts.to_vec());
        let body = serde_json::to_vec(&Request { model, input, encoding_format: "float" });
        let body = body.map_err(|error| Failure::Bad(error.to_string()))?;
        let post = self.http.post(&self.url).timeout(self.timeout);
        let post = post.header("content-type", "application/json").body(body);
        let post = match &self.key {
            Some(key) => post.bearer_auth(key),
            None => post,
        };
        let answer = post.send().await.map_err(|error| away(&error))?;
        check_status(answer.status())?;
        let bytes = self.read(answer, texts.len()).await?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| {
            // The text of the error would repeat what the endpoint says.
            let (line, column) = (error.line(), error.column());
            Failure::Bad(format!("its answer is no list of vectors (at {line}:{column})"))
        })?;
        self.vectors(answer, texts.len())
    }

    async fn read(&self, mut answer: Response, texts: usize) -> Result<Vec<u8>, Failure> {
        let numbers = self.dimensions.unwrap_or(DIMENSIONS_MAX) * texts;
        let bytes_max = FRAME_BYTES_MAX + numbers * NUMBER_BYTES_MAX;
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| away(&error))? {
            if bytes.len() + piece.len() > bytes_max {
                return Err(Failure::Bad(format!("its answer is longer than {bytes_max} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    fn vectors(&self, answer: Answer, texts: usize) -> Result<Vec<Vector>, Failure> {
        let bad = |what: String| Err(Failure::Bad(what));
        if answer.data.len() != texts {
            return bad(format!("it answers {} vectors for {texts} texts", answer.data.len()));
        }
        let mut found: Vec<Option<Vector>> = vec![None; texts];
        for (place, item) in answer.data.into_iter().enumerate() {
            let Item { index, embedding } = item;
            let count = embedding.len();
            if count == 0 || count > DIMENSIONS_MAX || self.dimensions.is_some_and(|d| d != count) {
                return bad(format!("it answers vectors of {count} numbers"));
            }
            let Some(vector) = Vector::new(&embedding) else {
                return bad("it answers a vector that points nowhere".into());
            };
            match found.get_mut(index.unwrap_or(place)) {
                Some(free @ None) => *free = Some(vector),
                Some(Some(_)) | None => {
                    return bad("it does not answer each text once".into());
                }
            }
        }
        Ok(found.into_iter().flatten().collect())
    }
}

fn check_status(status: StatusCode) -> Result<(), Failure> {
    let passing = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT;
    match status {
        StatusCode::OK => Ok(()),
        status if passing => Err(Failure::Away(format!("it answers {status}"))),
        status => Err(Failure::Bad(format!("it answers {status}"))),
    }
}

/// The address may hold a query, and is not shown.
fn away(error: &reqwest::Error) -> Failure {
    let what = if error.is_timeout() {
        "it does not answer in time".into()
    } else {
        std::error::Error::source(error).map_or_else(|| "it cannot be asked".into(), chain)
    };
    Failure::Away(what)
}
