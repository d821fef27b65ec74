//! Free loopback ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// Where ports are chosen from: below those that systems give to outgoing connections, so that a client
/// that keeps trying a dead server's port is never given that very port and connected to itself.
const CHOICE: std::ops::Range<u16> = 12_000..32_000;

/// A port of 127.0.0.1 that nobody listened on a moment ago. Somebody may take it before its user
/// does: whoever starts a server on it must look whether it came up.
pub fn free() -> u16 {
    let [port] = free_many();
    port
}

/// So many free ports, all different.
pub fn free_many<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| listener());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn listener() -> TcpListener {
    loop {
        // Chosen at random: tests run side by side in several processes.
        let random = u16::from_le_bytes(mesh_fabric::ids::random());
        let port = CHOICE.start + random % (CHOICE.end - CHOICE.start);
        if let Ok(listener) = TcpListener::bind(loopback(port)) {
            return listener;
        }
    }
}

/// Whether something accepts connections there.
pub fn is_open(port: u16) -> bool {
    TcpStream::connect(loopback(port)).is_ok()
}

/// The port on 127.0.0.1.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
