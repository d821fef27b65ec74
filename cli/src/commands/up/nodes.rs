//! The nodes of this machine join like any other: with a one-time code and a key of their own.

use std::{process::Stdio, time::Duration};

use mesh_schemas::{
    ErrorCode, Problem, Span,
    api::{JoinCode, JoinCodeRequest, NodeState, NodeView},
};

use super::{Args, configs, layout, layout::Layout, ports::Ports, tools::binary};
use crate::{client::Client, context::io};

/// Longest wait for nodes to say hello.
const ONLINE_WAIT: Duration = Duration::from_secs(30);

/// Lets node `number` in unless it already has an identity.
pub(super) async fn join_if_new(
    client: &Client,
    layout: &Layout,
    args: &Args,
    ports: &Ports,
    number: u16,
) -> Result<(), Problem> {
    let dir = layout.node(number);
    layout::private_dir(&dir)?;
    configs::write_node(layout, args, ports, number)?;
    if dir.join("identity.json").exists() {
        return Ok(());
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
        Err(Problem::new(ErrorCode::Timeout, format!("not all {wanted} node(s) came online"))
            .hint("the node's log lies in the data directory"))
    })
}
