//! Answers questions about logs from the attempt's own files, waiting a while for bytes to come.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use data_encoding::BASE64;
use mesh_schemas::{
    AttemptKey, ErrorCode, Problem,
    manifest::{StreamName, TimeMark},
    message::{AgentAnswer, AgentAsk},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    board::Board,
    place::Place,
    wire::{Question, Wire},
};

/// Most bytes of one answer: as text they stay below the broker's limit.
const BYTES_MAX: u32 = 512 << 10;
/// Longest wait for the first byte.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How often a waiting reader looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Most readers that wait at once; more are told that the node is busy.
const READERS_MAX: usize = 256;

/// Answers questions until their sender is gone.
pub(super) async fn run(
    mut questions: mpsc::Receiver<Question>,
    wire: Wire,
    board: Arc<Board>,
    data_dir: PathBuf,
    tracker: TaskTracker,
) {
    let slots = Arc::new(Semaphore::new(READERS_MAX));
    while let Some(Question { ask, reply }) = questions.recv().await {
        let slot = Arc::clone(&slots).try_acquire_owned();
        let (wire, board, data_dir) = (wire.clone(), Arc::clone(&board), data_dir.clone());
        tracker.spawn(async move {
            let answer = match slot {
                Ok(_slot) => answer(ask, &board, &data_dir).await,
                Err(_) => Err(Problem::new(ErrorCode::Busy, "too many read logs of this node")),
            };
            let answer = answer.unwrap_or_else(AgentAnswer::Refused);
            match serde_json::to_vec(&answer) {
                Ok(payload) => wire.reply(reply, payload).await,
                Err(error) => tracing::error!(%error, "An answer cannot be written"),
            }
        });
    }
}

async fn answer(ask: AgentAsk, board: &Board, data_dir: &Path) -> Result<AgentAnswer, Problem> {
    let AgentAsk::ReadLog { attempt, stream, offset, bytes_max, wait } = ask;
    let path = Place::new(data_dir, attempt).log(stream);
    let until = Instant::now() + wait.duration().min(WAIT_MAX);
    loop {
        // Asked before the file is read: when it was over then, no byte comes later.
        let over = board.is_over(attempt).ok_or_else(|| not_held(attempt, stream))?;
        let piece = read(&path, offset, bytes_max.min(BYTES_MAX)).map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot read {stream}: {error}"))
        })?;
        // The file may be another attempt's once this one is forgotten: then what was read is not shown.
        board.is_over(attempt).ok_or_else(|| not_held(attempt, stream))?;
        let end = over && offset.saturating_add(piece.bytes.len() as u64) >= piece.file_bytes;
        if end || !piece.bytes.is_empty() || Instant::now() >= until {
            return Ok(log(offset, &piece, end));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn not_held(attempt: AttemptKey, stream: StreamName) -> Problem {
    let detail = format!("{stream} of {attempt} is not on this node");
    Problem::new(ErrorCode::NotFound, detail)
}

fn log(offset: u64, piece: &Piece, end: bool) -> AgentAnswer {
    let marks = match piece.bytes.is_empty() {
        true => Vec::new(),
        false => vec![TimeMark { offset, at: piece.written_at }],
    };
    AgentAnswer::Log { data: BASE64.encode(&piece.bytes), marks, end }
}

struct Piece {
    bytes: Vec<u8>,
    file_bytes: u64,
    written_at: mesh_schemas::Timestamp,
}

/// Bytes from `offset` on; a file that is not there yet is empty.
fn read(path: &Path, offset: u64, bytes_max: u32) -> io::Result<Piece> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let written_at = mesh_fabric::time::now();
            return Ok(Piece { bytes: Vec::new(), file_bytes: 0, written_at });
        }
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    let mut bytes = Vec::new();
    if offset < meta.len() {
        file.seek(SeekFrom::Start(offset))?;
        file.take(u64::from(bytes_max)).read_to_end(&mut bytes)?;
    }
    let written_at = mesh_fabric::time::from_system(meta.modified()?);
    Ok(Piece { bytes, file_bytes: meta.len(), written_at })
}

#[cfg(test)]
mod tests {
    use mesh_schemas::{Epoch, JobId, JournalId, Span};

    use super::*;

    struct Bench {
        dir: tempfile::TempDir,
        board: Board,
        attempt: AttemptKey,
    }

    impl Bench {
        fn new(text: &str, over: bool) -> Self {
            let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
            let attempt = AttemptKey { job, task: 0, epoch: Epoch(1) };
            let dir = tempfile::tempdir().unwrap();
            let place = Place::new(dir.path(), attempt);
            std::fs::create_dir_all(&place.dir).unwrap();
            std::fs::write(place.log(StreamName::Stdout), text).unwrap();
            let board = Board::new(JournalId::from_uuid(uuid::Uuid::from_u128(2)));
            board.show(board.journal(), std::iter::once((attempt, over)));
            Self { dir, board, attempt }
        }

        async fn ask(
            &self,
            task: u32,
            offset: u64,
            bytes_max: u32,
        ) -> Result<(String, bool), ErrorCode> {
            let attempt = AttemptKey { task, ..self.attempt };
            let wait = Span::from_millis(60);
            let stream = StreamName::Stdout;
            let ask = AgentAsk::ReadLog { attempt, stream, offset, bytes_max, wait };
            match answer(ask, &self.board, self.dir.path()).await {
                Ok(AgentAnswer::Log { data, end, .. }) => {
                    let bytes = BASE64.decode(data.as_bytes()).unwrap();
                    Ok((String::from_utf8(bytes).unwrap(), end))
                }
                Ok(AgentAnswer::Refused(problem)) | Err(problem) => Err(problem.code),
            }
        }
    }

    #[tokio::test]
    async fn a_log_is_read_by_offset_and_ends_when_the_attempt_is_over() {
        let bench = Bench::new("hello", true);
        assert_eq!(bench.ask(0, 0, 3).await, Ok(("hel".into(), false)));
        assert_eq!(bench.ask(0, 3, 100).await, Ok(("lo".into(), true)));
        assert_eq!(bench.ask(0, u64::MAX, 100).await, Ok((String::new(), true)));
        assert_eq!(bench.ask(1, 0, 100).await, Err(ErrorCode::NotFound));
    }

    #[tokio::test]
    async fn a_reader_at_the_end_of_a_running_log_waits_and_is_told_that_more_may_come() {
        let bench = Bench::new("hello", false);
        assert_eq!(bench.ask(0, 5, 100).await, Ok((String::new(), false)));
    }
}
