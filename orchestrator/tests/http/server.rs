//! An orchestrator with a database of its own, and ways to ask it.

use std::{net::SocketAddr, time::Duration};

use mesh_fabric::{ids, nats_auth::ClusterKeys};
use mesh_orchestrator::{
    app::{App, AppState},
    config::Config,
};
use mesh_schemas::{ErrorCode, api::Scope};
use mesh_tests::{http::Http, nats::NatsServer, tmp, wait_until};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A running orchestrator. It ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) state: AppState,
    pub(crate) address: SocketAddr,
    admin: String,
    _dir: TempDir,
}

impl Server {
    /// With a broker and an object store that do not answer: most of the API needs neither.
    pub(crate) async fn start() -> Self {
        Self::start_with("nats://127.0.0.1:9", &ClusterKeys::generate()).await
    }

    /// With a real broker.
    pub(crate) async fn start_on(nats: &NatsServer) -> Self {
        Self::start_with(&nats.url(), nats.keys()).await
    }

    async fn start_with(nats_url: &str, keys: &ClusterKeys) -> Self {
        let dir = tmp::dir("http");
        let admin = ids::secret("dmk_");
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        keys.save(&dir.path().join("keys.json")).unwrap();
        let database = dir.path().join("db/mesh.db");
        std::fs::create_dir_all(dir.path().join("db")).unwrap();
        let config: Value = json!({
            "listen": "127.0.0.1:0",
            "database": format!("sqlite://{}", database.display()),
            "nats": {
                "urls": [nats_url],
                "creds_file": file("orchestrator.creds", &keys.service_creds("orchestrator")),
                "system_creds_file": file("system.creds", &keys.system_creds()),
                "keys_file": dir.path().join("keys.json"),
            },
            "objects": {
                "endpoint": "http://127.0.0.1:9",
                "bucket": "deskmesh",
                "credentials_file": file("store.json", r#"{"access_key":"a","secret_key":"b"}"#),
            },
            "admin": { "token_file": file("admin.token", &admin) },
            "timing": { "lease_ttl": "10m" },
        });
        let config: Config = serde_json::from_value(config).unwrap();
        let app = App::start(config).await.unwrap();
        let (state, address) = (app.state().unwrap(), app.address);
        // It would stop when dropped half-way; it runs until the test's runtime ends.
        std::mem::forget(app);
        let server = Self { state, address, admin, _dir: dir };
        wait_until(SOON, "the engine", async || {
            server.admin().get("/api/v1/info").await.unwrap().0 == StatusCode::OK
        })
        .await;
        server
    }

    /// A caller without a token.
    pub(crate) fn nobody(&self) -> Http {
        Http::new(format!("http://{}", self.address))
    }

    /// The administrator.
    pub(crate) fn admin(&self) -> Http {
        self.nobody().with_token(&self.admin)
    }

    /// A caller with a new token of this scope.
    pub(crate) async fn caller(&self, scope: Scope) -> Http {
        self.nobody().with_token(self.new_token(scope).await.1)
    }

    /// A new token: its id and its secret.
    pub(crate) async fn new_token(&self, scope: Scope) -> (String, String) {
        let body = json!({"name": "test", "scope": scope});
        let (status, token) = self.admin().post("/api/v1/tokens", &body).await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{token}");
        (text(&token, "id"), text(&token, "secret"))
    }

    /// Submits a job of one task and answers its id.
    pub(crate) async fn submit(&self, spec: Value) -> String {
        let (status, body) = self.admin().post("/api/v1/jobs", &spec).await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{body}");
        text(&body, "job")
    }

    /// Sends bytes as they are and answers all that comes back until the server closes, or `wait`.
    pub(crate) async fn raw(&self, request: &[u8], wait: Duration) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        // The server may have answered and closed before all is written.
        drop(stream.write_all(request).await);
        let mut answer = Vec::new();
        drop(tokio::time::timeout(wait, stream.read_to_end(&mut answer)).await);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A field that is a text.
pub(crate) fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_else(|| panic!("no {field} in {body}")).to_owned()
}

/// Proves the one form of errors.
pub(crate) fn assert_problem(what: &str, status: StatusCode, body: &Value, code: ErrorCode) {
    assert_eq!(body["code"], code.as_str(), "{what}: {body}");
    assert_eq!(body["status"], status.as_u16(), "{what}: {body}");
    assert_eq!(body["type"], format!("urn:deskmesh:problem:{code}"), "{what}");
    for field in ["title", "detail"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{what}: {body}");
    }
    assert_eq!(body["trace_id"].as_str().map(str::len), Some(32), "{what}: {body}");
}
