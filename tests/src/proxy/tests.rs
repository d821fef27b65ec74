//! The proxy before a real echo server: each fault does what it says, and only while it is set.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Long enough for anything that is to come, on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// Long enough to say that nothing comes.
const A_MOMENT: Duration = Duration::from_millis(200);

/// An echo server and a proxy before it.
async fn echo() -> Proxy {
    let listener = TcpListener::bind(crate::ports::loopback(0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = Proxy::start(Target::Tcp(address)).await;
    let tasks = proxy.tasks.clone();
    proxy.tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tasks.spawn(async move {
                let (mut read, mut write) = stream.split();
                let _gone = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    proxy
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Sends and expects the same back.
async fn round(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    let mut back = vec![0; bytes.len()];
    tokio::time::timeout(SOON, stream.read_exact(&mut back)).await.expect("it comes back")?;
    assert_eq!(back, bytes);
    Ok(())
}

async fn silent(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(A_MOMENT, stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn what_is_good_passes_unchanged_and_is_counted() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    let (mut read, mut write) = stream.split();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut back = vec![0; bytes.len()];
    let (sent, got) = tokio::join!(write.write_all(&bytes), read.read_exact(&mut back));
    assert!(sent.is_ok() && got.is_ok() && back == bytes);
    write.shutdown().await.unwrap();
    assert_eq!(read.read(&mut back).await.unwrap(), 0, "the end passes too");
    let passed = proxy.passed();
    assert_eq!((passed.connections, passed.up_bytes, passed.down_bytes), (1, 1_000_000, 1_000_000));
}

#[tokio::test]
async fn a_delay_delays_and_a_rate_throttles() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    let up = Flow { delay: Duration::from_millis(150), ..Flow::GOOD };
    proxy.set(Link { up, ..Link::GOOD });
    let begun = Instant::now();
    round(&mut stream, b"late").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(150));
    proxy.set(Link { down: Flow { rate: Some(1_000), ..Flow::GOOD }, ..Link::GOOD });
    let begun = Instant::now();
    round(&mut stream, &[7; 400]).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn one_way_is_one_way_and_what_was_sent_comes_late() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    round(&mut stream, b"before").await.unwrap();
    proxy.set(Link { down: Flow::STOPPED, ..Link::GOOD });
    stream.write_all(b"during").await.unwrap();
    assert!(silent(&mut stream).await);
    assert_eq!(proxy.passed().up_bytes, 12, "it still arrives at the target");
    proxy.set(Link::GOOD);
    let mut back = [0; 6];
    tokio::time::timeout(SOON, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"during");
}

#[tokio::test]
async fn a_partition_holds_old_and_new_connections_until_it_heals() {
    let proxy = echo().await;
    let mut old = connect(&proxy).await;
    round(&mut old, b"before").await.unwrap();
    proxy.set(Link::PARTITION);
    let mut new = connect(&proxy).await;
    old.write_all(b"x").await.unwrap();
    new.write_all(b"y").await.unwrap();
    assert!(silent(&mut old).await && silent(&mut new).await);
    proxy.set(Link::GOOD);
    for (stream, byte) in [(&mut old, b'x'), (&mut new, b'y')] {
        assert_eq!(tokio::time::timeout(SOON, stream.read_u8()).await.unwrap().unwrap(), byte);
    }
}

#[tokio::test]
async fn a_cut_lets_exactly_so_many_bytes_through() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    round(&mut stream, b"before").await.unwrap();
    proxy.set(Link { down: Flow { cut_after: Some(5), ..Flow::GOOD }, ..Link::GOOD });
    stream.write_all(b"0123456789").await.unwrap();
    let mut back = Vec::new();
    let end = tokio::time::timeout(SOON, stream.read_to_end(&mut back)).await.unwrap();
    // The reset may overtake the bytes before it.
    assert!(end.is_err() && b"01234".starts_with(&back), "{end:?} {back:?}");
    assert_eq!((proxy.passed().down_bytes, proxy.passed().resets), (11, 1));
}

#[tokio::test]
async fn reset_and_refuse_are_seen_as_resets() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    round(&mut stream, b"before").await.unwrap();
    proxy.reset_all();
    let end = tokio::time::timeout(SOON, stream.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let mut next = connect(&proxy).await;
    round(&mut next, b"a new connection is not reset").await.unwrap();
    proxy.set(Link { accept: Accept::Refuse, ..Link::GOOD });
    let mut refused = connect(&proxy).await;
    assert!(tokio::time::timeout(SOON, refused.read_u8()).await.unwrap().is_err());
    round(&mut next, b"an old one goes on").await.unwrap();
}

#[tokio::test]
async fn requests_are_answered_in_the_targets_place() {
    let proxy = echo().await;
    proxy.set(Link { accept: Accept::Answer(503), ..Link::GOOD });
    let client = mesh_fabric::http::client(None).unwrap();
    let url = format!("http://{}/x", proxy.address());
    for _ in 0..2 {
        let answer = client.put(&url).body(vec![1; 100_000]).send().await.unwrap();
        assert_eq!(answer.status(), 503);
    }
    assert_eq!(proxy.passed().up_bytes, 0);
    // The client keeps its connection. Healed, it must lead to the target, which is no HTTP server.
    proxy.set(Link::GOOD);
    crate::wait_until(SOON, "a request reaches the target", async || {
        let _no_http = client.put(&url).body("x").timeout(Duration::from_secs(1)).send().await;
        proxy.passed().up_bytes > 0
    })
    .await;
}
