//! The cluster's NATS keys and what they sign.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use mesh_schemas::{
    ErrorCode, NodeId, Problem,
    subject::{
        LEDGER_PUBLISH, LEDGER_SERVICE, LEDGER_SUBSCRIBE, NODE_PUBLISH_TEMPLATE,
        NODE_SUBSCRIBE_TEMPLATES,
    },
};
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};

use super::claims::{self, Claims};
use crate::{files, time};

/// When what the configuration holds says it was issued (Unix seconds): before anything that is pushed,
/// whatever the clocks did. On a tie the resolver would prefer the configuration.
const FIRST_SECOND: i64 = 1;

/// Nodes that were thrown out: public user key to the time (Unix seconds) up to which its JWTs are void.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations(pub BTreeMap<String, i64>);

/// The seeds of the operator, the accounts and the nodes' signing key. Whoever has them owns the cluster.
pub struct ClusterKeys {
    operator: KeyPair,
    system_account: KeyPair,
    account: KeyPair,
    node_signing: KeyPair,
}

/// The file's form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seeds {
    operator: String,
    system_account: String,
    account: String,
    node_signing: String,
}

impl std::fmt::Debug for ClusterKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterKeys").field("account", &self.account_id()).finish_non_exhaustive()
    }
}

impl ClusterKeys {
    /// New keys for a new cluster.
    pub fn generate() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            system_account: KeyPair::new_account(),
            account: KeyPair::new_account(),
            node_signing: KeyPair::new_account(),
        }
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// `E_IO` when it cannot be read, `E_CONFIG` when it is not one of ours.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot read {shown}: {error}"))
        })?;
        // The error text of serde_json names a position, never the content.
        let seeds: Seeds = serde_json::from_slice(&bytes).map_err(|error| {
            Problem::new(ErrorCode::Config, format!("{shown} does not hold cluster keys: {error}"))
        })?;
        Self::from_seeds(&seeds).ok_or_else(|| {
            Problem::new(ErrorCode::Config, format!("{shown} holds a seed of the wrong kind"))
        })
    }

    /// Writes the seeds, readable by this user alone.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        files::write_private(path, &serde_json::to_vec_pretty(&self.seeds())?)
    }

    /// The operator's JWT; the server's root of trust.
    pub fn operator_jwt(&self) -> String {
        self.account_like("deskmesh", &self.operator, FIRST_SECOND)
            .with(claims::operator(&self.system_account.public_key()))
            .sign(&self.operator)
    }

    /// The system account's JWT.
    pub fn system_account_jwt(&self) -> String {
        self.account_like("SYS", &self.system_account, FIRST_SECOND)
            .with(claims::plain_account())
            .sign(&self.operator)
    }

    /// The mesh account's JWT as of now: the nodes' template, and who was thrown out.
    pub fn account_jwt(&self, revocations: &Revocations) -> String {
        self.account_jwt_at(unix_now(), revocations)
    }

    /// The account's JWT before anything was pushed, which the server's configuration preloads. The
    /// resolver keeps a newer one: a restart does not let a revoked node in again.
    pub(super) fn first_account_jwt(&self) -> String {
        self.account_jwt_at(FIRST_SECOND, &Revocations::default())
    }

    /// Public key of the mesh's account.
    pub fn account_id(&self) -> String {
        self.account.public_key()
    }

    /// Public key of the system account.
    pub fn system_account_id(&self) -> String {
        self.system_account.public_key()
    }

    /// A node's JWT for the public key (`U…`) it made, valid for `ttl` from now.
    ///
    /// # Errors
    /// `E_INVALID` when the key is not a public user key.
    pub fn node_jwt(
        &self,
        node: NodeId,
        node_public_key: &str,
        ttl: Duration,
    ) -> Result<String, Problem> {
        check_user_key(node_public_key)?;
        let issued_at = unix_now();
        let ttl_secs = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            subject: node_public_key,
            name: &node.to_string(),
            issued_at,
            expires_at: Some(issued_at.saturating_add(ttl_secs)),
            nats: claims::scoped_user(&self.account_id()),
        };
        Ok(claims.sign(&self.node_signing))
    }

    /// Contents of a `.creds` file for a service with every right inside the mesh's account.
    pub fn service_creds(&self, name: &str) -> String {
        creds(name, &self.account, claims::full_user())
    }

    /// Contents of a `.creds` file for the registry of ideas: it answers questions, reads its stream, and can do
    /// nothing else. It connects with the inbox prefix [`LEDGER_INBOX`](mesh_schemas::subject::LEDGER_INBOX).
    pub fn ledger_creds(&self) -> String {
        let rights = claims::limited_user(&LEDGER_PUBLISH, &LEDGER_SUBSCRIBE);
        creds(LEDGER_SERVICE, &self.account, rights)
    }

    /// Contents of a `.creds` file for the system account, which may replace account JWTs.
    pub fn system_creds(&self) -> String {
        creds("system", &self.system_account, claims::full_user())
    }

    fn account_jwt_at(&self, issued_at: i64, revocations: &Revocations) -> String {
        let scope = claims::user_scope(
            &self.node_signing.public_key(),
            "node",
            &[NODE_PUBLISH_TEMPLATE],
            &NODE_SUBSCRIBE_TEMPLATES,
        );
        let revoked = revocations.0.iter().map(|(key, at)| (key.clone(), (*at).into())).collect();
        self.account_like("MESH", &self.account, issued_at)
            .with(claims::mesh_account(&scope, &serde_json::Value::Object(revoked)))
            .sign(&self.operator)
    }

    fn account_like<'a>(&self, name: &'a str, key: &KeyPair, issued_at: i64) -> Draft<'a> {
        Draft { name, subject: key.public_key(), issued_at }
    }

    fn seeds(&self) -> Seeds {
        let seed = |key: &KeyPair| key.seed().expect("our own keys have their seeds");
        Seeds {
            operator: seed(&self.operator),
            system_account: seed(&self.system_account),
            account: seed(&self.account),
            node_signing: seed(&self.node_signing),
        }
    }

    fn from_seeds(seeds: &Seeds) -> Option<Self> {
        Some(Self {
            operator: key_of(&seeds.operator, &KeyPairType::Operator)?,
            system_account: key_of(&seeds.system_account, &KeyPairType::Account)?,
            account: key_of(&seeds.account, &KeyPairType::Account)?,
            node_signing: key_of(&seeds.node_signing, &KeyPairType::Account)?,
        })
    }
}

/// A JWT that the operator signs and that never ends.
struct Draft<'a> {
    name: &'a str,
    subject: String,
    issued_at: i64,
}

impl Draft<'_> {
    fn with(&self, nats: serde_json::Value) -> Claims<'_> {
        let (subject, name, issued_at) = (self.subject.as_str(), self.name, self.issued_at);
        Claims { subject, name, issued_at, expires_at: None, nats }
    }
}

/// Refuses everything but a public user key, `U` and 55 more characters.
fn check_user_key(key: &str) -> Result<(), Problem> {
    let is_user = key.starts_with('U') && KeyPair::from_public_key(key).is_ok();
    is_user.then_some(()).ok_or_else(|| {
        Problem::invalid("public_key", "expected a public NATS user key, U and 55 more characters")
    })
}

fn key_of(seed: &str, kind: &KeyPairType) -> Option<KeyPair> {
    let key = KeyPair::from_seed(seed).ok()?;
    (std::mem::discriminant(&key.key_pair_type()) == std::mem::discriminant(kind)).then_some(key)
}

fn creds(name: &str, account: &KeyPair, rights: serde_json::Value) -> String {
    let user = KeyPair::new_user();
    let claims = Claims {
        subject: &user.public_key(),
        name,
        issued_at: unix_now(),
        expires_at: None,
        nats: rights,
    };
    let jwt = claims.sign(account);
    let seed = user.seed().expect("a new key has its seed");
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

fn unix_now() -> i64 {
    time::now().as_millis() / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_file_which_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let keys = ClusterKeys::generate();
        keys.save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let loaded = ClusterKeys::load(&path).unwrap();
        assert_eq!(loaded.operator_jwt(), keys.operator_jwt());
        assert_eq!(loaded.first_account_jwt(), keys.first_account_jwt());
        assert_eq!(loaded.system_account_jwt(), keys.system_account_jwt());
    }

    #[test]
    fn a_file_that_holds_no_keys_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        assert_eq!(ClusterKeys::load(&path).unwrap_err().code, ErrorCode::Io);
        let mut seeds = ClusterKeys::generate().seeds();
        seeds.operator = seeds.account.clone();
        for bad in ["", "{}", "[1]", &serde_json::to_string(&seeds).unwrap()] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(ClusterKeys::load(&path).unwrap_err().code, ErrorCode::Config, "{bad}");
        }
    }

    #[test]
    fn nothing_printed_holds_a_seed() {
        let keys = ClusterKeys::generate();
        let printed = format!("{keys:?}");
        for seed in [keys.seeds().operator, keys.seeds().account, keys.seeds().node_signing] {
            assert!(!printed.contains(&seed));
        }
    }

    #[test]
    fn only_a_public_user_key_gets_a_node_jwt() {
        let keys = ClusterKeys::generate();
        let jwt = |key: &str| {
            keys.node_jwt(crate::ids::node_id(), key, Duration::from_secs(60)).map_err(|e| e.code)
        };
        let user = KeyPair::new_user();
        assert!(jwt(&user.public_key()).is_ok());
        let seed = user.seed().unwrap();
        let account = KeyPair::new_account().public_key();
        for bad in ["", "U", &seed, &account, &user.public_key()[1..], "U\0", "*"] {
            assert_eq!(jwt(bad), Err(ErrorCode::Invalid), "{bad}");
        }
    }
}
