//! The thread that listens to the agent: one connection at a time, the newest.
//!
//! It lives as long as the supervisor, whatever connections come and go.

use std::{
    fs,
    io::{self, Read as _},
    os::{
        fd::AsFd as _,
        unix::{
            fs::PermissionsExt as _,
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use mesh_schemas::Problem;
use rustix::event::{PollFd, PollFlags, poll};

use super::{shared::Shared, table::Table};
use crate::{
    linux::{Ask, wake_main},
    protocol::{Decoder, Event, Request, SOCKET_NAME},
};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// Makes the socket, in place of one that a dead supervisor left; only this user may connect.
///
/// # Errors
/// When it cannot be made, for instance because its path is too long.
pub(super) fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let path = data_dir.join(SOCKET_NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Bound under another name and renamed once it is private, so that nobody can be quicker.
    let fresh = data_dir.join(format!("{SOCKET_NAME}.new"));
    let _absent = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    fs::rename(&fresh, &path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

struct Connection {
    stream: Arc<UnixStream>,
    decoder: Decoder,
}

/// Serves for ever.
pub(super) fn run(shared: &Shared, listener: &UnixListener) {
    let mut connection: Option<Connection> = None;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let (newcomer, readable) = wait_for_bytes(listener, connection.as_ref());
        if readable && let Some(current) = &mut connection {
            if let Err(problem) = serve(shared, current, &mut buffer) {
                part_with(shared, problem.as_ref());
                connection = None;
            }
            shared.start_what_fits();
        }
        if newcomer && let Ok((stream, _)) = listener.accept() {
            connection = welcome(shared, stream).or(connection);
        }
    }
}

fn wait_for_bytes(listener: &UnixListener, connection: Option<&Connection>) -> (bool, bool) {
    let mut fds = vec![PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
    fds.extend(connection.map(|c| PollFd::from_borrowed_fd(c.stream.as_fd(), PollFlags::IN)));
    if poll(&mut fds, None).is_err() {
        return (false, false);
    }
    let ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
    (ready(0), ready(1))
}

fn welcome(shared: &Shared, stream: UnixStream) -> Option<Connection> {
    // Out of descriptors, most likely: `poll` would return at once for as long as that lasts.
    let usable = stream.set_nonblocking(false);
    if let Err(error) = usable {
        tracing::warn!(%error, "A connection of the agent could not be taken");
        std::thread::sleep(Duration::from_millis(100));
        return None;
    }
    let stream = Arc::new(stream);
    let table = shared.lock();
    // Under the lock, so that no event is told between the snapshot and the change of connections.
    shared.outbox.connect(Arc::clone(&stream), &Event::Snapshot(Box::new(table.snapshot())));
    shared.outbox.flush();
    Some(Connection { stream, decoder: Decoder::of_requests() })
}

fn part_with(shared: &Shared, problem: Option<&Problem>) {
    match problem {
        None => shared.outbox.disconnect(),
        Some(problem) => {
            tracing::warn!(error = %problem, "The agent's connection said something that is no request");
            shared.outbox.push_last(&Event::Refused(problem.clone()));
            shared.outbox.flush();
        }
    }
}

/// Carries out what has come.
///
/// # Errors
/// The connection is of no use any more: closed (`None`), or it said something that is no request.
fn serve(
    shared: &Shared,
    connection: &mut Connection,
    buffer: &mut [u8],
) -> Result<(), Option<Problem>> {
    let length = match (&*connection.stream).read(buffer) {
        Ok(0) => return Err(None),
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
        Err(_) => return Err(None),
    };
    connection.decoder.push(&buffer[..length]);
    let mut table = shared.lock();
    let outcome = loop {
        match connection.decoder.next_message() {
            Ok(Some(request)) => carry_out(&mut table, request),
            Ok(None) => break Ok(()),
            Err(problem) => break Err(Some(problem)),
        }
    };
    let ending = table.stopping > 0;
    drop(table);
    if ending {
        shared.ending.notify_one();
    }
    outcome
}

fn carry_out(table: &mut Table, request: Request) {
    match request {
        Request::Spawn(spawn) => table.queue(spawn),
        Request::Kill { attempt, grace_ms } => table.stop(attempt, Duration::from_millis(grace_ms)),
        Request::Freeze { attempt } => table.freeze(attempt, Ask::Stop),
        Request::Thaw { attempt } => table.freeze(attempt, Ask::Continue),
        Request::Forget { attempts } => table.forget(&attempts),
        Request::Shutdown => {
            table.shutdown = true;
            wake_main();
        }
    }
}
