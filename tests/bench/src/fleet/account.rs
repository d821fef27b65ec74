//! What a node gets when it joins, for many at once: an id, a key, a credential and a row.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use mesh_fabric::{ids, nats_auth::ClusterKeys, time};
use mesh_schemas::{NodeId, Problem};
use nkeys::KeyPair;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

/// How long the credentials hold; no measurement takes longer.
const CREDENTIAL_TTL: Duration = Duration::from_secs(6 * 3_600);

/// What a node connects with.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) node: NodeId,
    pub(super) seed: String,
    pub(super) jwt: String,
    pub(super) nats_url: String,
}

/// Makes so many accounts in the mesh whose data this is, on SQLite. Its orchestrator does not know
/// them before its next start.
pub(super) async fn make(data: &Path, count: usize) -> anyhow::Result<Vec<Account>> {
    let keys =
        ClusterKeys::load(&data.join("cluster/keys.json")).map_err(|problem| shown(&problem))?;
    let ports: serde_json::Value =
        serde_json::from_slice(&std::fs::read(data.join("ports.json"))?)?;
    let nats = ports["nats"].as_str().context("ports.json names no NATS")?;
    let file = data.join("orchestrator/mesh.db");
    let options = SqliteConnectOptions::new().filename(&file).busy_timeout(Duration::from_secs(10));
    let mut database = options.connect().await.context("opening the mesh's SQLite file")?;
    let mut rows = database.begin_with("BEGIN IMMEDIATE").await?;
    let mut accounts = Vec::with_capacity(count);
    for number in 0..count {
        let (node, key) = (ids::node_id(), KeyPair::new_user());
        let jwt = keys
            .node_jwt(node, &key.public_key(), CREDENTIAL_TTL)
            .map_err(|problem| shown(&problem))?;
        let insert = "INSERT INTO node (id, name, public_key, joined_at, setting) \
                      VALUES (?, ?, ?, ?, 'active')";
        sqlx::query(insert)
            .bind(node.to_string())
            .bind(format!("simulated-{number}"))
            .bind(key.public_key())
            .bind(time::now().as_millis())
            .execute(&mut *rows)
            .await
            .context("writing a node's row")?;
        let seed = key.seed().context("a new key has no seed")?;
        accounts.push(Account { node, seed, jwt, nats_url: format!("nats://{nats}") });
    }
    rows.commit().await?;
    database.close().await?;
    Ok(accounts)
}

fn shown(problem: &Problem) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", problem.code, problem.detail)
}
