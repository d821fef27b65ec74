//! `/readyz`: whether anybody is answered, and what lags.

use std::time::Instant;

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};

use super::Health;
use crate::halt::Halt;

/// The page; `503` while ideas are not taken, with a line for each reason. What only lags is told with `200`.
pub(crate) fn routes(health: Health, halt: Halt) -> Router {
    Router::new().route("/readyz", get(move || std::future::ready(page(&health, &halt))))
}

fn page(health: &Health, halt: &Halt) -> impl IntoResponse + use<> {
    let now = Instant::now();
    let halted = halt.reason().map(|why| format!("halted: {why}"));
    let ready = halted.is_none() && health.vital(now).is_empty();
    let mut lines: Vec<String> = halted.into_iter().chain(health.alarms(now)).collect();
    lines.insert(0, if ready { "ready" } else { "not ready" }.to_owned());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use mesh_schemas::ErrorCode;

    use super::{super::Part, *};
    use crate::health::LAG_MAX;

    async fn shown(health: &Health, halt: &Halt) -> (StatusCode, String) {
        let response = page(health, halt).into_response();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 4_096).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_lags_is_shown_and_what_is_vital_is_not_ready() {
        let (health, halt) = (Health::default(), Halt::default());
        assert_eq!(shown(&health, &halt).await, (StatusCode::OK, "ready\n".to_owned()));
        let Some(long_ago) = Instant::now().checked_sub(LAG_MAX) else { return };
        health.behind(Part::Copy, "away", long_ago);
        let (status, text) = shown(&health, &halt).await;
        assert!(status == StatusCode::OK && text.contains("copy lags for 30 s: away"), "{text}");
        health.behind(Part::Writer, "stuck", long_ago);
        let (status, text) = shown(&health, &halt).await;
        assert!(
            status == StatusCode::SERVICE_UNAVAILABLE && text.contains("writer lags"),
            "{text}"
        );
        health.well(Part::Writer);
        halt.halt(ErrorCode::LedgerFork, "it forked");
        let (status, text) = shown(&health, &halt).await;
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && text.contains("halted: it forked"));
    }
}
