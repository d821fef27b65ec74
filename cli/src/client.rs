//! The HTTP API as the commands use it. Every failure is a [`Problem`] with the server's own code.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use mesh_schemas::{
    ErrorCode, JobId, Problem, TraceParent,
    api::{JobDetail, Page},
    trace::TRACEPARENT_HEADER,
};
use reqwest::{Method, Response, header::CONTENT_TYPE};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    answer::{self, Away, Failure},
    link::Link,
    servers::Servers,
};

/// Longest wait for an answer that is not a stream.
const ANSWER_WAIT: Duration = Duration::from_secs(90);
/// Longest wait that a long-poll asks for; the server's bound.
const POLL_SECONDS: u64 = 30;
/// Between two tries at a cluster that is out of reach.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// A connection to one cluster. One trace runs through all that a command does.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// For presigned URLs, which may be elsewhere; made when first wanted.
    objects_http: Arc<OnceLock<Result<reqwest::Client, Problem>>>,
    ca_pem: Option<Arc<str>>,
    servers: Arc<Servers>,
    token: Arc<str>,
    /// Where the token came from, for people.
    token_from: Arc<str>,
    trace: TraceParent,
    link: Arc<Link>,
}

/// One request, as often as it is sent.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    body: Option<Bytes>,
    timeout: Option<Duration>,
}

impl Client {
    /// For one orchestrator, or for several with commas between them.
    pub(crate) fn new(servers: &str, token: &str, ca_pem: Option<&str>) -> Result<Self, Problem> {
        let servers = Servers::parse(servers)?;
        let http = if servers.any_is_https() {
            mesh_fabric::http::client(ca_pem)?
        } else {
            // Reading the system's roots takes longer than most commands.
            mesh_fabric::http::client_without_tls()?
        };
        Ok(Self {
            http,
            objects_http: Arc::default(),
            ca_pem: ca_pem.map(Arc::from),
            servers: Arc::new(servers),
            token: token.into(),
            token_from: "this command".into(),
            trace: mesh_fabric::ids::trace_parent(),
            link: Arc::default(),
        })
    }

    /// Says where the token came from, for when it is refused.
    #[must_use]
    pub(crate) fn with_token_from(self, source: String) -> Self {
        Self { token_from: source.into(), ..self }
    }

    /// The address of the server that is asked first.
    pub(crate) fn server(&self) -> &str {
        self.servers.current().1
    }

    /// The addresses of all servers.
    pub(crate) fn servers(&self) -> String {
        self.servers.all().join(", ")
    }

    /// The plain HTTP client, for presigned URLs.
    pub(crate) fn objects_http(&self) -> Result<&reqwest::Client, Problem> {
        let made = self.objects_http.get_or_init(|| {
            if self.servers.any_is_https() {
                return Ok(self.http.clone());
            }
            mesh_fabric::http::client(self.ca_pem.as_deref())
        });
        made.as_ref().map_err(Clone::clone)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let timeout = Some(ANSWER_WAIT);
        self.json(Ask { method: Method::GET, path, body: None, timeout }).await
    }

    pub(crate) async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Problem> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?;
        let (body, timeout) = (Some(body.into()), Some(ANSWER_WAIT));
        self.json(Ask { method: Method::POST, path, body, timeout }).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Problem> {
        let timeout = Some(ANSWER_WAIT);
        self.send(&Ask { method: Method::DELETE, path, body: None, timeout }).await.map(drop)
    }

    /// A whole answer that is no JSON.
    pub(crate) async fn bytes(&self, path: &str) -> Result<Bytes, Problem> {
        let timeout = Some(ANSWER_WAIT);
        let response = self.send(&Ask { method: Method::GET, path, body: None, timeout }).await?;
        response.bytes().await.map_err(|_| {
            Problem::new(ErrorCode::Unreachable, format!("{}: the answer broke off", self.server()))
        })
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn stream(&self, path: &str) -> Result<Response, Problem> {
        self.send(&Ask { method: Method::GET, path, body: None, timeout: None }).await
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
                Err(problem) if is_passing(&problem) => self.pause(&problem).await,
                Err(problem) => return Err(problem),
            }
        }
    }

    /// Says, once, what keeps a request that will be made again, and waits a little.
    pub(crate) async fn pause(&self, problem: &Problem) {
        self.link.lost(problem);
        tokio::time::sleep(RETRY_EVERY).await;
    }

    async fn json<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, Problem> {
        let response = self.send(&ask).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(|_| {
            Problem::new(ErrorCode::Unreachable, format!("{}: the answer broke off", self.server()))
        })?;
        // A route that answers nothing is read as JSON null.
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).map_err(|_| answer::strange(self.server(), status))
    }

    /// Asks one server after the other until one can serve.
    async fn send(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        let mut problems = Vec::new();
        loop {
            let (at, server) = self.servers.current();
            let Failure { problem, away } = match self.send_to(server, ask).await {
                Ok(response) => {
                    self.link.found();
                    return Ok(response);
                }
                Err(failure) => failure,
            };
            let may_ask_next = match away {
                Away::No => {
                    self.link.found();
                    return Err(self.in_our_words(problem));
                }
                Away::Surely => true,
                // Another one might do it a second time.
                Away::Perhaps => ask.method == Method::GET,
            };
            self.servers.turn_from(at);
            problems.push(problem);
            if !may_ask_next || problems.len() >= self.servers.all().len() {
                return Err(answer::summed_up(problems));
            }
        }
    }

    /// The server speaks to HTTP clients; who types commands has other means.
    fn in_our_words(&self, problem: Problem) -> Problem {
        if problem.code != ErrorCode::Unauthenticated {
            return problem;
        }
        let from = &self.token_from;
        problem.hint(format!("the token came from {from}; --token-file names another"))
    }

    async fn send_to(&self, server: &str, ask: &Ask<'_>) -> Result<Response, Failure> {
        let mut request = self
            .http
            .request(ask.method.clone(), format!("{server}/api/v1{}", ask.path))
            .bearer_auth(&self.token)
            .header(TRACEPARENT_HEADER, self.trace.to_string());
        if let Some(body) = &ask.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        if let Some(timeout) = ask.timeout {
            request = request.timeout(timeout);
        }
        let response = request.send().await.map_err(|error| answer::no_answer(server, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        Err(answer::refused(server, status, &body))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// True when the same request may well work a little later.
pub(crate) const fn is_passing(problem: &Problem) -> bool {
    problem.code.exit_code() == ErrorCode::Unreachable.exit_code()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Answers every request alike; its address.
    async fn server(status: u16, body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                // The head of a small request comes in one piece on loopback.
                let _ = stream.read(&mut [0; 4_096]).await;
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                let _ = stream.write_all((head + body).as_bytes()).await;
            }
        };
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        drop(tokio::spawn(serve));
        format!("http://{address}")
    }

    /// An address where nobody listens.
    async fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    const STANDBY: &str = r#"{"code":"E_STANDBY","detail":"it stands by"}"#;

    #[tokio::test]
    async fn the_one_that_leads_is_found_and_kept() {
        let (away, standby) = (nobody().await, server(503, STANDBY).await);
        let leader = server(200, "7").await;
        let client = Client::new(&[&*away, &standby, &leader].join(","), "t", None).unwrap();
        // Nothing is done by one that is not reached or does not lead: a POST may go on as well.
        assert_eq!(client.post::<_, u32>("/tokens", &()).await, Ok(7));
        assert_eq!(client.server(), leader);
        assert_eq!(client.get::<u32>("/x").await, Ok(7));
    }

    #[tokio::test]
    async fn when_none_leads_each_is_named_and_trying_again_is_safe() {
        let (away, standby) = (nobody().await, server(503, STANDBY).await);
        let client = Client::new(&format!("{away},{standby}"), "t", None).unwrap();
        let problem = client.get::<u32>("/x").await.unwrap_err();
        assert!(is_passing(&problem), "{problem}");
        assert!(problem.detail.contains(&away) && problem.detail.contains("it stands by"));
        assert!(!problem.detail.contains("/api/"), "{problem}");
    }

    #[tokio::test]
    async fn an_answer_of_its_own_is_the_last_word() {
        let body = r#"{"code":"E_NOT_FOUND","detail":"there is no such job"}"#;
        let (refuses, leader) = (server(404, body).await, server(200, "7").await);
        let client = Client::new(&format!("{refuses},{leader}"), "t", None).unwrap();
        assert_eq!(client.get::<u32>("/x").await.unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(client.server(), refuses);
    }

    /// Takes requests and never answers them.
    #[tokio::test]
    async fn what_may_have_been_done_is_not_done_again_elsewhere() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let breaks = format!("http://{}", listener.local_addr().unwrap());
        let serve = async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4_096]).await;
            }
        };
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        drop(tokio::spawn(serve));
        let leader = server(200, "7").await;
        let client = Client::new(&format!("{breaks},{leader}"), "t", None).unwrap();
        let problem = client.post::<_, u32>("/tokens", &()).await.unwrap_err();
        assert_eq!(problem.code, ErrorCode::Unreachable);
        // The next command of the caller goes to the other one.
        assert_eq!(client.post::<_, u32>("/tokens", &()).await, Ok(7));
    }
}
