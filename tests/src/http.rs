//! A client for the orchestrator's API as tests need it: status and JSON, whatever they are.

use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Talks to one server with one token.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Http {
    /// For the server at `base`, such as `http://127.0.0.1:7700`, without a token.
    pub fn new(base: impl Into<String>) -> Self {
        let client = mesh_fabric::http::client(None).unwrap();
        Self { client, base: base.into(), token: None }
    }

    /// The same with a bearer token.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// A request to the path, to be completed and sent by the caller.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// GET.
    ///
    /// # Errors
    /// When there is no answer; an answer of any status is none.
    pub async fn get(&self, path: &str) -> reqwest::Result<(StatusCode, Value)> {
        Self::answer(self.request(Method::GET, path)).await
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Result<(StatusCode, Value)> {
        Self::answer(self.request(Method::POST, path).json(body)).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn delete(&self, path: &str) -> reqwest::Result<(StatusCode, Value)> {
        Self::answer(self.request(Method::DELETE, path)).await
    }

    /// Sends it; a body that is not JSON comes back as a string.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<(StatusCode, Value)> {
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}
