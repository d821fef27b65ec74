//! Many requests at once over one HTTP/2 connection: what a program does that has much to submit and nothing
//! to wait for.

use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::FuturesUnordered};
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use tokio::{net::TcpStream, runtime::Builder};

/// Requests that are under way at once.
const WINDOW: usize = 128;

/// Where to and as whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct To<'a> {
    /// The server, such as `http://127.0.0.1:7700`.
    pub(crate) server: &'a str,
    /// The API token.
    pub(crate) token: &'a str,
    /// The path of the route.
    pub(crate) path: &'a str,
}

/// Posts the same JSON body `count` times; hands over each answer's body.
pub(crate) fn post_many(
    to: To<'_>,
    body: &[u8],
    count: usize,
    each: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(post(to, Bytes::copy_from_slice(body), count, each))
}

async fn post(
    to: To<'_>,
    body: Bytes,
    count: usize,
    mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let host = to.server.strip_prefix("http://").context("only http:// is spoken here")?;
    let tcp = TcpStream::connect(host.trim_end_matches('/')).await?;
    tcp.set_nodelay(true)?;
    let (mut sender, connection) = h2::client::handshake(tcp).await?;
    let sending = async {
        let (mut sent, mut under_way) = (0, FuturesUnordered::new());
        while sent < count || !under_way.is_empty() {
            while sent < count && under_way.len() < WINDOW {
                sender = sender.ready().await?;
                under_way.push(answer(send(&mut sender, to, body.clone())?));
                sent += 1;
            }
            if let Some(answer) = under_way.next().await {
                each(&answer?)?;
            }
        }
        Ok(())
    };
    tokio::select! {
        done = sending => done,
        ended = connection => ended.context("the connection ended").and(Err(anyhow::anyhow!("it closed"))),
    }
}

fn send(
    sender: &mut SendRequest<Bytes>,
    to: To<'_>,
    body: Bytes,
) -> anyhow::Result<ResponseFuture> {
    let request = Request::post(format!("{}{}", to.server, to.path))
        .header("authorization", format!("Bearer {}", to.token))
        .header("content-type", "application/json")
        .body(())?;
    let (answer, mut stream) = sender.send_request(request, false)?;
    stream.send_data(body, true)?;
    Ok(answer)
}

async fn answer(answer: ResponseFuture) -> anyhow::Result<BytesMut> {
    let answer = answer.await?;
    let status = answer.status();
    let mut body = answer.into_body();
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&bytes));
    Ok(bytes)
}
