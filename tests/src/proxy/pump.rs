//! Carries the bytes of one connection, each direction by itself.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use super::{Flow, Link, Shared};

/// Bytes read at once.
const PIECE_BYTES: usize = 16 << 10;
/// Pieces on their way: what a network and its buffers hold.
const PIECES_MAX: usize = 32;

/// What both kinds of stream can do without being split.
pub(super) trait Stream: Sync {
    fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<()>> + Send;
    fn read_now(&self, bytes: &mut [u8]) -> io::Result<usize>;
    fn write_now(&self, bytes: &[u8]) -> io::Result<usize>;
    fn finish(&self);
}

macro_rules! stream {
    ($kind:ty) => {
        impl Stream for $kind {
            async fn ready(&self, interest: Interest) -> io::Result<()> {
                <$kind>::ready(self, interest).await.map(drop)
            }

            fn read_now(&self, bytes: &mut [u8]) -> io::Result<usize> {
                self.try_read(bytes)
            }

            fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
                self.try_write(bytes)
            }

            fn finish(&self) {
                // The other side may have closed it already.
                let _closed = rustix::net::shutdown(self, rustix::net::Shutdown::Write);
            }
        }
    };
}

stream!(TcpStream);
stream!(UnixStream);

/// Both directions, until both have ended (false) or the connection is to be reset (true).
pub(super) async fn pump<T: Stream>(
    client: &TcpStream,
    target: &T,
    reset: &CancellationToken,
    shared: &Shared,
) -> bool {
    let counters = &shared.counters;
    let up = direction(client, target, shared.link.clone(), |link| link.up, &counters.up_bytes);
    let down =
        direction(target, client, shared.link.clone(), |link| link.down, &counters.down_bytes);
    tokio::select! {
        () = reset.cancelled() => true,
        cut = async { tokio::try_join!(up, down).is_err() } => cut,
    }
}

/// The connection is to be reset.
struct Cut;

type Piece = (Instant, Vec<u8>);

async fn direction<A: Stream, B: Stream>(
    from: &A,
    to: &B,
    link: watch::Receiver<Link>,
    flow: fn(&Link) -> Flow,
    passed: &AtomicU64,
) -> Result<(), Cut> {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let reading = read(from, sender, link.clone(), flow);
    let writing = write(to, receiver, link, flow, passed);
    let ((), written) = tokio::join!(reading, writing);
    written
}

/// Takes bytes in and stamps them with the time at which they are to arrive.
async fn read<A: Stream>(
    from: &A,
    sender: mpsc::Sender<Piece>,
    link: watch::Receiver<Link>,
    flow: fn(&Link) -> Flow,
) {
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        let ready = tokio::select! {
            ready = from.ready(Interest::READABLE) => ready,
            // Whoever writes has given up.
            () = sender.closed() => return,
        };
        if ready.is_err() {
            return;
        }
        match from.read_now(&mut bytes) {
            Ok(0) => return,
            Ok(len) => {
                let due = Instant::now() + flow(&link.borrow()).delay;
                let piece = bytes.get(..len).unwrap_or_default().to_vec();
                if sender.send((due, piece)).await.is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Lets bytes out when they are due, unless the direction is stopped.
async fn write<B: Stream>(
    to: &B,
    mut receiver: mpsc::Receiver<Piece>,
    mut link: watch::Receiver<Link>,
    flow: fn(&Link) -> Flow,
    passed: &AtomicU64,
) -> Result<(), Cut> {
    let mut cut = CutAt::default();
    while let Some((due, piece)) = receiver.recv().await {
        tokio::time::sleep_until(due.into()).await;
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            wait_while_stopped(&mut link, flow).await;
            let now = flow(&link.borrow());
            let (piece, cut_here) = cut.within(now.cut_after, slow_piece(rest, now.rate));
            let written = write_some(to, piece).await.map_err(|_| Cut)?;
            cut.written(written);
            passed.fetch_add(written as u64, Ordering::Relaxed);
            if cut_here && written == piece.len() {
                return Err(Cut);
            }
            rest = rest.get(written..).unwrap_or_default();
            if let Some(rate) = now.rate {
                let wait = Duration::from_secs(1).mul_f64(written as f64 / rate.max(1) as f64);
                tokio::time::sleep(wait).await;
            }
        }
    }
    wait_while_stopped(&mut link, flow).await;
    to.finish();
    Ok(())
}

/// So little that the rate shows after a tenth of a second.
fn slow_piece(bytes: &[u8], rate: Option<u64>) -> &[u8] {
    let most =
        rate.map_or(usize::MAX, |rate| usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1));
    bytes.get(..most).unwrap_or(bytes)
}

async fn wait_while_stopped(link: &mut watch::Receiver<Link>, flow: fn(&Link) -> Flow) {
    // An error means that the proxy is gone, and soon this with it.
    let _gone = link.wait_for(|link| !flow(link).stopped).await;
}

async fn write_some<B: Stream>(to: &B, bytes: &[u8]) -> io::Result<usize> {
    loop {
        if bytes.is_empty() {
            return Ok(0);
        }
        to.ready(Interest::WRITABLE).await?;
        match to.write_now(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// Counts down to the byte at which the connection is cut, from when that was set.
#[derive(Default)]
struct CutAt {
    set: Option<u64>,
    passed: u64,
}

impl CutAt {
    /// What of these bytes may still pass, and whether it ends there.
    fn within<'a>(&mut self, set: Option<u64>, bytes: &'a [u8]) -> (&'a [u8], bool) {
        if self.set != set {
            (self.set, self.passed) = (set, 0);
        }
        let Some(set) = set else { return (bytes, false) };
        let left = usize::try_from(set.saturating_sub(self.passed)).unwrap_or(usize::MAX);
        bytes.get(..left).map_or((bytes, false), |piece| (piece, true))
    }

    const fn written(&mut self, bytes: usize) {
        self.passed += bytes as u64;
    }
}
