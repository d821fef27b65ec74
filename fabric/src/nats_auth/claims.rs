//! NATS JWTs, version 2, as nats-server reads them: the JSON of the claims, signed by an nkey.
//! The server checks the chain operator → account → user and refuses what it does not know.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// The header of every NATS JWT of version 2.
const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

/// No limit, in the fields where zero would mean none allowed.
const UNLIMITED: i64 = -1;

/// What one JWT says, without its signature.
pub(super) struct Claims<'a> {
    /// Public key of whom it is about.
    pub(super) subject: &'a str,
    /// Shown in logs; a node's templates are filled in from it.
    pub(super) name: &'a str,
    /// Unix seconds.
    pub(super) issued_at: i64,
    /// Unix seconds; `None` never ends.
    pub(super) expires_at: Option<i64>,
    /// The part that differs by kind.
    pub(super) nats: Value,
}

impl Claims<'_> {
    /// The JWT, signed by the issuer.
    pub(super) fn sign(self, issuer: &KeyPair) -> String {
        let mut claims = json!({
            "iat": self.issued_at,
            "iss": issuer.public_key(),
            "name": self.name,
            "sub": self.subject,
            "nats": self.nats,
        });
        if let Some(expires_at) = self.expires_at {
            claims["exp"] = expires_at.into();
        }
        let hash = crate::ids::sha256(claims.to_string().as_bytes());
        claims["jti"] = BASE32_NOPAD.encode(&hash).into();
        let body = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
        let signed = format!("{}.{body}", BASE64URL_NOPAD.encode(HEADER.as_bytes()));
        let signature = issuer.sign(signed.as_bytes()).expect("an issuer has its seed");
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

/// The operator: names the system account.
pub(super) fn operator(system_account: &str) -> Value {
    json!({ "type": "operator", "version": 2, "system_account": system_account })
}

/// An account that holds no messages.
pub(super) fn plain_account() -> Value {
    json!({ "type": "account", "version": 2, "limits": limits(false) })
}

/// The mesh's account: JetStream, the nodes' scoped key, and who was thrown out.
pub(super) fn mesh_account(node_scope: &Value, revocations: &Value) -> Value {
    json!({
        "type": "account",
        "version": 2,
        "limits": limits(true),
        "signing_keys": [node_scope],
        "revocations": revocations,
    })
}

/// A signing key whose users have exactly these rights, whatever their JWTs ask for. There is no
/// `allow_responses`: it would open the inboxes of whoever asks a node something.
pub(super) fn user_scope(key: &str, role: &str, publish: &[&str], subscribe: &[&str]) -> Value {
    json!({
        "kind": "user_scope",
        "key": key,
        "role": role,
        "template": {
            "pub": { "allow": publish },
            "sub": { "allow": subscribe },
            "subs": UNLIMITED,
            "data": UNLIMITED,
            "payload": UNLIMITED,
        },
    })
}

/// A user under a scoped key: it carries no rights of its own, or the server refuses it.
pub(super) fn scoped_user(account: &str) -> Value {
    json!({ "type": "user", "version": 2, "issuer_account": account })
}

/// A user with these rights alone, and that to answer each message once, within a minute.
pub(super) fn limited_user(publish: &[&str], subscribe: &[&str]) -> Value {
    const MINUTE_NANOS: i64 = 60_000_000_000;
    json!({
        "type": "user",
        "version": 2,
        "pub": { "allow": publish },
        "sub": { "allow": subscribe },
        "resp": { "max": 1, "ttl": MINUTE_NANOS },
        "subs": UNLIMITED,
        "data": UNLIMITED,
        "payload": UNLIMITED,
    })
}

/// A user with every right inside its account.
pub(super) fn full_user() -> Value {
    json!({
        "type": "user",
        "version": 2,
        "pub": {},
        "sub": {},
        "subs": UNLIMITED,
        "data": UNLIMITED,
        "payload": UNLIMITED,
    })
}

fn limits(jetstream: bool) -> Value {
    let mut limits = json!({
        "subs": UNLIMITED,
        "data": UNLIMITED,
        "payload": UNLIMITED,
        "imports": UNLIMITED,
        "exports": UNLIMITED,
        "wildcards": true,
        "conn": UNLIMITED,
        "leaf": UNLIMITED,
        // A JWT alone must never log in: its holder proves the seed.
        "disallow_bearer": true,
    });
    if jetstream {
        for unlimited in ["mem_storage", "disk_storage", "streams", "consumer"] {
            limits[unlimited] = UNLIMITED.into();
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwt_verifies_with_its_issuers_public_key_and_only_unchanged() {
        let issuer = KeyPair::new_operator();
        let claims = Claims {
            subject: "OABC",
            name: "test",
            issued_at: 7,
            expires_at: Some(9),
            nats: operator("AXYZ"),
        };
        let jwt = claims.sign(&issuer);
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        assert!(issuer.verify(signed.as_bytes(), &signature).is_ok());
        assert!(issuer.verify(signed.to_lowercase().as_bytes(), &signature).is_err());
        let body = signed.split_once('.').unwrap().1;
        let body: Value =
            serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes()).unwrap()).unwrap();
        assert_eq!((&body["iat"], &body["exp"]), (&json!(7), &json!(9)));
        assert_eq!(body["iss"], json!(issuer.public_key()));
    }
}
