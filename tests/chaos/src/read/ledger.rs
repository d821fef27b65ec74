//! The ledger of ideas: its leaves, the roots that follow from them, and what its own auditor finds.

use std::path::Path;

use anyhow::{Context as _, ensure};
use data_encoding::HEXLOWER;
use mesh_tests::bins;
use mesh_tlog::Edge;
use serde_json::Value;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use crate::history::Ledger;

/// Reads it; none where the mesh has no registry.
pub(super) async fn read(data: &Path) -> anyhow::Result<Option<Ledger>> {
    let dir = data.join("ideas");
    let file = dir.join("ideas.db");
    if !file.is_file() {
        return Ok(None);
    }
    let options = SqliteConnectOptions::new().filename(&file);
    let mut connection = options.connect().await.context("opening it")?;
    let text = "SELECT id, data FROM leaf WHERE log = (SELECT MAX(version) FROM log) ORDER BY idx";
    let leaves: Vec<(String, String)> = sqlx::query_as(text).fetch_all(&mut connection).await?;
    connection.close().await?;
    let (entries, data): (Vec<String>, Vec<String>) = leaves.into_iter().unzip();
    Ok(Some(Ledger { entries, roots: roots(&data)?, findings: findings(&dir).await? }))
}

/// The root of each size, from 0 on.
fn roots(leaves: &[String]) -> anyhow::Result<Vec<String>> {
    let mut edge = Edge::empty();
    let mut roots = vec![HEXLOWER.encode(&edge.head().root.0)];
    for leaf in leaves {
        edge = edge.integrate(&[leaf.as_bytes()])?.0;
        roots.push(HEXLOWER.encode(&edge.head().root.0));
    }
    Ok(roots)
}

/// What `mesh-ideas verify` says.
async fn findings(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut command = tokio::process::Command::new(bins::path("mesh-ideas"));
    command.args(["verify", "--data"]).arg(dir);
    let output = command.output().await.context("running mesh-ideas verify")?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let findings = report["findings"].as_array().context("a report without findings")?;
    let ok = report["ok"] == true;
    ensure!(ok == findings.is_empty(), "a report that contradicts itself: {report}");
    Ok(findings.iter().map(Value::to_string).collect())
}
