//! A TCP proxy that fails on command: between any two parts, it delays, throttles, stops one way, cuts
//! after so many bytes, resets, refuses, or answers in the other's place.
//!
//! A stopped direction is what a lost network is to TCP: nothing arrives, nobody is told, and what was sent
//! meanwhile comes late when the network is back. Bytes are never changed, dropped or reordered within
//! a connection; a cut ends the connection.

mod answer;
mod pump;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use pump::pump;

/// Where a proxy leads to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket, such as PostgreSQL's.
    Unix(PathBuf),
}

/// What happens to the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// How much later each byte arrives.
    pub delay: Duration,
    /// Bytes that arrive each second; all of them when absent.
    pub rate: Option<u64>,
    /// Nothing arrives any more, and nobody is told.
    pub stopped: bool,
    /// After so many more bytes of one connection it is reset; counted from when this is set.
    pub cut_after: Option<u64>,
}

/// What happens to new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accept {
    /// They are led to the target.
    #[default]
    Forward,
    /// They are reset at once.
    Refuse,
    /// They are taken, and then nothing comes.
    Hang,
    /// Each HTTP request is read to its end and answered with this status, and never reaches the target.
    Answer(u16),
}

/// Everything that can be set while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// From the client to the target.
    pub up: Flow,
    /// From the target to the client.
    pub down: Flow,
    /// New connections.
    pub accept: Accept,
}

impl Link {
    /// Everything passes.
    pub const GOOD: Self = Self { up: Flow::GOOD, down: Flow::GOOD, accept: Accept::Forward };

    /// Nothing passes in either direction, and nobody is told.
    pub const PARTITION: Self =
        Self { up: Flow::STOPPED, down: Flow::STOPPED, accept: Accept::Hang };
}

impl Flow {
    /// Everything passes at once.
    pub const GOOD: Self =
        Self { delay: Duration::ZERO, rate: None, stopped: false, cut_after: None };

    /// Nothing passes.
    pub const STOPPED: Self = Self { stopped: true, ..Self::GOOD };
}

/// What has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Connections taken.
    pub connections: u64,
    /// Bytes that arrived at the target.
    pub up_bytes: u64,
    /// Bytes that arrived at clients.
    pub down_bytes: u64,
    /// Connections that were reset by a cut, a reset or a refusal.
    pub resets: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
    resets: AtomicU64,
}

/// A proxy that runs; it ends with its value, and its connections with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    /// Cancelled and replaced to reset all connections of now.
    reset: watch::Sender<CancellationToken>,
    counters: Arc<Counters>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What each connection needs.
#[derive(Debug, Clone)]
struct Shared {
    target: Target,
    link: watch::Receiver<Link>,
    reset: watch::Receiver<CancellationToken>,
    counters: Arc<Counters>,
    stop: CancellationToken,
}

impl Proxy {
    /// Listens on a free loopback port.
    ///
    /// # Panics
    /// When there is none, or outside of a runtime.
    pub async fn start(target: Target) -> Self {
        let listener =
            TcpListener::bind(crate::ports::loopback(crate::ports::free())).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (link, link_seen) = watch::channel(Link::GOOD);
        let (reset, reset_seen) = watch::channel(CancellationToken::new());
        let counters = Arc::new(Counters::default());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let shared = Shared {
            target,
            link: link_seen,
            reset: reset_seen,
            counters: Arc::clone(&counters),
            stop: stop.clone(),
        };
        tasks.spawn(accept(listener, shared, tasks.clone()));
        Self { address, link, reset, counters, stop, tasks }
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is set.
    pub fn link(&self) -> Link {
        *self.link.borrow()
    }

    /// Sets it, for connections of now and new ones.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// Resets every connection of now; both sides see a reset.
    pub fn reset_all(&self) {
        self.reset.send_replace(CancellationToken::new()).cancel();
    }

    /// What has passed so far.
    pub fn passed(&self) -> Passed {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        Passed {
            connections: of(&counters.connections),
            up_bytes: of(&counters.up_bytes),
            down_bytes: of(&counters.down_bytes),
            resets: of(&counters.resets),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.close();
    }
}

async fn accept(listener: TcpListener, shared: Shared, tasks: TaskTracker) {
    loop {
        let taken = tokio::select! {
            () = shared.stop.cancelled() => return,
            taken = listener.accept() => taken,
        };
        // A client that was gone before it was taken is no fault of ours.
        let Ok((client, _)) = taken else { continue };
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        tasks.spawn(serve(client, shared.clone()));
    }
}

async fn serve(client: TcpStream, mut shared: Shared) {
    let reset = shared.reset.borrow_and_update().clone();
    let stop = shared.stop.clone();
    let _no_delay = client.set_nodelay(true);
    loop {
        let accept = shared.link.borrow_and_update().accept;
        let done = match accept {
            Accept::Forward => break,
            Accept::Refuse => return shared.reset_one(&client),
            Accept::Answer(status) => {
                let answered = answer::serve(client, status);
                tokio::select! {
                    () = reset.cancelled() => {}
                    () = stop.cancelled() => {}
                    // A connection that is kept open must not go on lying when all is good again.
                    _ = shared.link.wait_for(|link| link.accept != accept) => {}
                    () = answered => {}
                }
                return;
            }
            Accept::Hang => shared.link.changed(),
        };
        tokio::select! {
            () = reset.cancelled() => return shared.reset_one(&client),
            () = stop.cancelled() => return,
            changed = done => if changed.is_err() { return },
        }
    }
    tokio::select! {
        () = stop.cancelled() => {}
        () = forward(client, reset, &shared) => {}
    }
}

async fn forward(client: TcpStream, reset: CancellationToken, shared: &Shared) {
    match &shared.target {
        Target::Tcp(address) => match TcpStream::connect(address).await {
            Ok(target) => {
                let _no_delay = target.set_nodelay(true);
                let cut = pump(&client, &target, &reset, shared).await;
                if cut {
                    set_reset(&target);
                    shared.reset_one(&client);
                }
            }
            // As the target itself would: there is nobody.
            Err(_) => shared.reset_one(&client),
        },
        Target::Unix(path) => match UnixStream::connect(path).await {
            Ok(target) => {
                if pump(&client, &target, &reset, shared).await {
                    shared.reset_one(&client);
                }
            }
            Err(_) => shared.reset_one(&client),
        },
    }
}

impl Shared {
    fn reset_one(&self, client: &TcpStream) {
        self.counters.resets.fetch_add(1, Ordering::Relaxed);
        set_reset(client);
    }
}

/// Closing it will be a reset. One that is closed already is as good.
fn set_reset(stream: &TcpStream) {
    let _closed = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

#[cfg(test)]
mod tests;
