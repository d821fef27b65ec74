//! Role × endpoint, made from the document: no route is forgotten.

use mesh_orchestrator::http::openapi_json;
use mesh_schemas::{ErrorCode, api::Scope};
use mesh_tests::http::Http;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::server::{Server, assert_problem};

struct Operation {
    method: Method,
    path: String,
    /// The least scope; `None` for a public one.
    needs: Option<Scope>,
}

/// The operations that need no token, and why.
const PUBLIC: [&str; 5] = [
    "GET /api/v1/ca.pem", // what a machine checks the server by before it has a token
    "POST /api/v1/nodes/join", // the join code is the secret
    "GET /healthz",
    "GET /metrics", // without a token from this machine only; tested below
    "GET /readyz",
];

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scope = operation["security"][0]["token"][0].as_str();
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: filled(path),
                needs: scope.map(|scope| scope.parse().unwrap()),
            });
        }
    }
    operations
}

/// With ids that are well-formed and name nothing.
fn filled(path: &str) -> String {
    let zeros = "0".repeat(32);
    path.replace("{job}", &format!("job_{zeros}"))
        .replace("{task}", "0")
        .replace("{node}", &format!("node_{zeros}"))
        .replace("{token}", &format!("token_{zeros}"))
        .replace("{action}", "drain")
}

async fn ask(http: &Http, operation: &Operation) -> (StatusCode, Option<Value>) {
    let response = http.request(operation.method.clone(), &operation.path).send().await.unwrap();
    let status = response.status();
    // A stream that was let in has no end to read to.
    let body = if status.is_success() { None } else { response.json().await.ok() };
    (status, body)
}

#[tokio::test]
async fn each_route_asks_for_its_scope_and_nothing_less() {
    let server = Server::start().await;
    let callers = [
        (None, server.nobody()),
        (None, server.nobody().with_token("dmk_wrong")),
        (Some(Scope::Read), server.caller(Scope::Read).await),
        (Some(Scope::Submit), server.caller(Scope::Submit).await),
        (Some(Scope::Admin), server.caller(Scope::Admin).await),
    ];
    let operations = operations();
    assert!(operations.len() >= 25, "the document has lost its routes");
    for operation in &operations {
        for (scope, http) in &callers {
            let what = format!("{} {} as {scope:?}", operation.method, operation.path);
            let (status, body) = ask(http, operation).await;
            match (operation.needs, scope) {
                (Some(_), None) => {
                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
                    assert_problem(&what, status, &body.unwrap(), ErrorCode::Unauthenticated);
                }
                (Some(needs), Some(has)) if *has < needs => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{what}");
                    assert_problem(&what, status, &body.unwrap(), ErrorCode::Forbidden);
                }
                (Some(_), Some(_)) => {
                    assert_ne!(status, StatusCode::UNAUTHORIZED, "{what}");
                    assert_ne!(status, StatusCode::FORBIDDEN, "{what}");
                    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{what}: {body:?}");
                }
                (None, _) => {}
            }
        }
    }
}

#[test]
fn only_the_named_routes_are_public() {
    let public: Vec<String> = operations()
        .iter()
        .filter(|operation| operation.needs.is_none())
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    assert_eq!(public, PUBLIC);
}

#[tokio::test]
async fn metrics_need_a_token_when_a_proxy_speaks_for_somebody() {
    let server = Server::start().await;
    let ask = |http: Http, name: &'static str| async move {
        let request = http.request(Method::GET, "/metrics").header(name, "203.0.113.7");
        request.send().await.unwrap().status()
    };
    assert_eq!(ask(server.nobody(), "x-test").await, StatusCode::OK);
    assert_eq!(ask(server.nobody(), "x-forwarded-for").await, StatusCode::UNAUTHORIZED);
    let reader = server.caller(Scope::Read).await;
    assert_eq!(ask(reader, "x-forwarded-for").await, StatusCode::OK);
}

#[tokio::test]
async fn a_malformed_authorization_gets_the_answer_of_a_wrong_token() {
    let server = Server::start().await;
    let mut details = Vec::new();
    for value in
        ["", "Bearer", "Bearer ", "Basic dXNlcjpwdw==", "dmk_x", "Bearer dmk_x", "Bearer \u{e9}"]
    {
        let request = server.nobody().request(Method::GET, "/api/v1/info");
        let response = request.header("authorization", value).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{value:?}");
        let body: Value = response.json().await.unwrap();
        details.push(body["detail"].clone());
    }
    assert!(details.windows(2).all(|pair| pair[0] == pair[1]), "{details:?}");
}
