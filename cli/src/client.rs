//! The HTTP API as the commands use it. Every failure is a [`Problem`] with the server's own code.

use std::time::Duration;

use mesh_schemas::{
    ErrorCode, JobId, Problem, TraceParent,
    api::{JobDetail, Page},
    trace::TRACEPARENT_HEADER,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

/// Longest wait for an answer that is not a stream.
const ANSWER_WAIT: Duration = Duration::from_secs(90);
/// Longest wait that a long-poll asks for; the server's bound.
const POLL_SECONDS: u64 = 30;

/// A connection to one orchestrator. One trace runs through all that a command does.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    trace: TraceParent,
}

impl Client {
    pub(crate) fn new(server: &str, token: &str, ca_pem: Option<&str>) -> Result<Self, Problem> {
        let server = server.trim_end_matches('/');
        if !server.starts_with("http://") && !server.starts_with("https://") {
            return Err(Problem::new(
                ErrorCode::Config,
                format!("the server {server:?} is no address; expected http:// or https://"),
            ));
        }
        if server.contains('@') {
            return Err(Problem::new(ErrorCode::Config, "an address may not carry a password"));
        }
        Ok(Self {
            http: mesh_fabric::http::client(ca_pem)?,
            base: format!("{server}/api/v1"),
            token: token.to_owned(),
            trace: mesh_fabric::ids::trace_parent(),
        })
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &str {
        self.base.trim_end_matches("/api/v1")
    }

    /// The plain HTTP client, for presigned URLs.
    pub(crate) const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header(TRACEPARENT_HEADER, self.trace.to_string())
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        json(self.send(self.request(Method::GET, path).timeout(ANSWER_WAIT)).await?).await
    }

    pub(crate) async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Problem> {
        let request = self.request(Method::POST, path).timeout(ANSWER_WAIT).json(body);
        json(self.send(request).await?).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Problem> {
        self.send(self.request(Method::DELETE, path).timeout(ANSWER_WAIT)).await.map(drop)
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn stream(&self, path: &str) -> Result<Response, Problem> {
        self.send(self.request(Method::GET, path)).await
    }

    /// All pages of a list, up to `limit` rows.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: usize,
    ) -> Result<Vec<T>, Problem> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let rest = limit.saturating_sub(rows.len()).min(1_000);
            let page: Page<T> = self.get(&format!("{path}{joint}limit={rest}{cursor}")).await?;
            rows.extend(page.items);
            match page.next {
                Some(next) if rows.len() < limit => cursor = format!("&cursor={next}"),
                Some(_) | None => return Ok(rows),
            }
        }
    }

    /// Waits until the job has ended; the orchestrator may restart meanwhile.
    pub(crate) async fn wait_finished(&self, job: JobId) -> Result<JobDetail, Problem> {
        loop {
            let path = format!("/jobs/{job}?until=finished&wait={POLL_SECONDS}s");
            match self.get::<JobDetail>(&path).await {
                Ok(detail) if detail.view.state.is_terminal() => return Ok(detail),
                Ok(_) => {}
                Err(problem) if is_passing(&problem) => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(problem) => return Err(problem),
            }
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Problem> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| strange(status)))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Problem {
        let why = mesh_fabric::error::chain(error);
        Problem::new(ErrorCode::Unreachable, format!("{} does not answer: {why}", self.base))
            .hint("is `mesh up` running? `mesh doctor` looks closer")
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// True when the same request may well work a little later.
pub(crate) const fn is_passing(problem: &Problem) -> bool {
    problem.code.exit_code() == ErrorCode::Unreachable.exit_code()
}

async fn json<T: DeserializeOwned>(response: Response) -> Result<T, Problem> {
    let status = response.status();
    let body = response.bytes().await.map_err(|error| {
        Problem::new(ErrorCode::Unreachable, format!("the answer broke off: {error}"))
    })?;
    if body.is_empty() {
        // A route that answers nothing is read as JSON null.
        return serde_json::from_str("null").map_err(|_| strange(status));
    }
    serde_json::from_slice(&body).map_err(|_| strange(status))
}

fn strange(status: StatusCode) -> Problem {
    Problem::new(
        ErrorCode::Unreachable,
        format!("the server answered {status} in a form that this version does not know"),
    )
    .hint("is this the address of an orchestrator? compare `mesh --version` with `mesh doctor`")
}
