//! A new JWT at two thirds of the life of the present one.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use mesh_schemas::message::{NodeAnswer, NodeAsk};
use serde::Deserialize;

use super::{Options, Wire};

/// The wait before asking again when it was not renewed.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How often a JWT that never expires is looked at.
const IDLE_CHECK: Duration = Duration::from_secs(3_600);

/// Renews until it is dropped.
pub(super) async fn run(wire: &Wire, options: &Options) {
    loop {
        let now = mesh_fabric::time::now().as_millis() / 1_000;
        tokio::time::sleep(wait(&options.identity.jwt(), now)).await;
        if expires(&options.identity.jwt()).is_none() {
            continue;
        }
        match wire.ask(&NodeAsk::Renew).await {
            Ok(NodeAnswer::Credential { jwt }) => match options.identity.renew(jwt) {
                Ok(()) => tracing::info!("The node's credential was renewed"),
                Err(problem) => {
                    tracing::error!(code = %problem.code, "{}", problem.detail);
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            },
            other => {
                tracing::warn!(answered = other.is_ok(), "The credential was not renewed");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    exp: i64,
    #[serde(default)]
    iat: i64,
}

/// When it was issued and when it expires, in Unix seconds.
fn expires(jwt: &str) -> Option<(i64, i64)> {
    let claims = BASE64URL_NOPAD.decode(jwt.split('.').nth(1)?.as_bytes()).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    (claims.exp > 0).then_some((claims.iat, claims.exp))
}

/// How long the present JWT is good enough.
fn wait(jwt: &str, now: i64) -> Duration {
    let Some((issued, expires)) = expires(jwt) else { return IDLE_CHECK };
    let due = issued + (expires - issued) / 3 * 2;
    Duration::from_secs(u64::try_from(due.saturating_sub(now)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("h.{}.s", BASE64URL_NOPAD.encode(claims.as_bytes()))
    }

    #[test]
    fn a_jwt_is_renewed_at_two_thirds_of_its_life() {
        let token = jwt(r#"{"iat":1000,"exp":1300}"#);
        assert_eq!(wait(&token, 1_000), Duration::from_secs(200));
        assert_eq!(wait(&token, 1_250), Duration::ZERO);
    }

    #[test]
    fn a_jwt_that_never_expires_or_cannot_be_read_is_left_alone() {
        for token in [jwt(r#"{"iat":1000}"#), "x".into(), String::new(), "a.!.c".into()] {
            assert_eq!(wait(&token, 1_000), IDLE_CHECK);
        }
    }
}
