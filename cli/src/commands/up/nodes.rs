//! The nodes of this machine join like any other: with a one-time code and a key of their own.

use std::{process::Stdio, time::Duration};

use mesh_schemas::{
    ErrorCode, Problem, Span,
    api::{JoinCode, JoinCodeRequest, NodeState, NodeView},
};

use serde_json::{Value, json};

use super::{configs, layout, layout::Layout, ports::Ports, tools::binary};
use crate::{client::Client, context::io};

/// Who a node is, below its directory; written by `mesh-node join`.
const IDENTITY: &str = "identity.json";

/// A node's `drain_timeout` when its file does not say.
const DRAIN_DEFAULT: Span = Span::from_secs(30);

/// Longest wait for nodes to say hello.
const ONLINE_WAIT: Duration = Duration::from_secs(30);

/// Lets node `number` in unless it already has an identity.
pub(super) async fn join_if_new(
    client: &Client,
    layout: &Layout,
    ports: &Ports,
    tls: bool,
    number: u16,
) -> Result<(), Problem> {
    let dir = layout.node(number);
    layout::private_dir(&dir)?;
    configs::write_node(layout, number)?;
    if dir.join(IDENTITY).exists() {
        return tell_address(layout, ports, tls, number);
    }
    let request = JoinCodeRequest { ttl: Some(Span::from_secs(60)) };
    let code: JoinCode = client.post("/nodes/join-codes", &request).await?;
    let output = tokio::process::Command::new(binary("mesh-node")?)
        .args(["join", "--url", client.server(), "--name", &format!("node-{number}"), "--data"])
        .arg(&dir)
        .env("MESH_JOIN_CODE", &code.code)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| io("run", "mesh-node".as_ref(), &error))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Problem::new(ErrorCode::Config, format!("node {number} could not join: {why}")))
}

/// The ports or TLS may be others than when the node joined.
fn tell_address(layout: &Layout, ports: &Ports, tls: bool, number: u16) -> Result<(), Problem> {
    let file = layout.node(number).join(IDENTITY);
    let bytes = std::fs::read(&file).map_err(|error| io("read", &file, &error))?;
    let mut identity: Value = serde_json::from_slice(&bytes).map_err(|_| {
        Problem::new(ErrorCode::Config, format!("{} is no identity", file.display()))
    })?;
    let ca_pem = tls.then(|| crate::context::read_text(&layout.ca_file())).transpose()?;
    let told = (json!([ports.nats_url(tls)]), json!(ca_pem));
    if (&identity["nats_urls"], &identity["ca_pem"]) == (&told.0, &told.1) {
        return Ok(());
    }
    identity["nats_urls"] = told.0;
    identity["ca_pem"] = told.1;
    let bytes = serde_json::to_vec_pretty(&identity).unwrap_or(bytes);
    mesh_fabric::files::write_private(&file, &bytes).map_err(|error| io("write", &file, &error))
}

/// How long the most patient of the nodes lets its tasks run when it is told to stop, as its owner's file
/// says.
pub(super) fn longest_drain(layout: &Layout, nodes: u16) -> Span {
    let of_file = |number| {
        let text = std::fs::read_to_string(layout.node_config(number)).ok()?;
        let table: toml::Table = toml::from_str(&text).ok()?;
        table.get("drain_timeout")?.as_str()?.parse().ok()
    };
    (1..=nodes).map(|number| of_file(number).unwrap_or(DRAIN_DEFAULT)).max().unwrap_or_default()
}

/// Waits until so many nodes are online.
pub(super) async fn until_online(client: &Client, wanted: u16) -> Result<(), Problem> {
    let all = async {
        loop {
            let nodes: Vec<NodeView> = client.pages("/nodes", usize::MAX).await?;
            let online = nodes.iter().filter(|node| node.state == NodeState::Online).count();
            if online >= usize::from(wanted) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(ONLINE_WAIT, all).await.unwrap_or_else(|_| {
        Err(Problem::new(ErrorCode::Timeout, format!("not all {wanted} nodes came online"))
            .hint("the node's log lies in the data directory"))
    })
}
