//! `mesh logs`: what a task wrote, as it writes it. Picks up by offset where a stream broke off.

use std::{io::Write as _, process::ExitCode, time::Duration};

use data_encoding::BASE64;
use mesh_schemas::{
    ErrorCode, JobId, Problem,
    api::LogPiece,
    manifest::{StreamName, TimeMark},
};
use tokio::sync::mpsc;

use crate::{
    Outcome,
    args::{Format, Global},
    client::{Client, is_passing},
    context, output,
    sse::Reader,
};

/// Print the log of a task; stdout to stdout, stderr to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh logs job_…                           task 0, both streams
  mesh logs -f job_… --task 7               follow, on through new attempts, to the end
  mesh logs job_… --stream stderr --timestamps
  mesh logs job_… --epoch 1                 what a superseded attempt wrote")]
pub(crate) struct Args {
    /// The job.
    job: JobId,
    /// The task.
    #[arg(long, default_value_t = 0)]
    task: u32,
    /// Follow until the task has ended.
    #[arg(long, short)]
    follow: bool,
    /// Only this stream: stdout or stderr.
    #[arg(long)]
    stream: Option<StreamName>,
    /// Of this attempt instead of the last.
    #[arg(long)]
    epoch: Option<u32>,
    /// Begin each line with the time it was written.
    #[arg(long)]
    timestamps: bool,
}

pub(crate) async fn run(global: &Global, args: &Args) -> Outcome {
    let client = context::client(global)?;
    let source = Source { job: args.job, task: args.task, epoch: args.epoch, follow: args.follow };
    let style = Style { json: global.output == Format::Json, timestamps: args.timestamps };
    let streams = args.stream.map_or_else(|| StreamName::ALL.to_vec(), |stream| vec![stream]);
    print_all(&client, source, &streams, style).await?;
    Ok(ExitCode::SUCCESS)
}

/// Whose log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) job: JobId,
    pub(crate) task: u32,
    pub(crate) epoch: Option<u32>,
    pub(crate) follow: bool,
}

/// How to print it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    json: bool,
    timestamps: bool,
}

/// Prints streams side by side, each in its own order.
pub(crate) async fn print_all(
    client: &Client,
    source: Source,
    streams: &[StreamName],
    style: Style,
) -> Result<(), Problem> {
    let (sender, mut pieces) = mpsc::channel(16);
    let readers = futures::future::try_join_all(
        streams.iter().map(|stream| read(client, source, *stream, sender.clone())),
    );
    drop(sender);
    let mut printer = Printer { style, at_line_start: [true; 2] };
    let printing = async {
        while let Some(piece) = pieces.recv().await {
            printer.print(&piece);
        }
    };
    let (read, ()) = tokio::join!(readers, printing);
    read.map(drop)
}

/// Reads one stream to its end, again from its offset when the connection breaks.
async fn read(
    client: &Client,
    source: Source,
    stream: StreamName,
    pieces: mpsc::Sender<LogPiece>,
) -> Result<(), Problem> {
    let mut epoch = source.epoch;
    let mut offset = 0;
    loop {
        match read_once(client, source, stream, &mut epoch, &mut offset, &pieces).await {
            Err(problem) if is_passing(&problem) && source.follow => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            result => return result,
        }
    }
}

async fn read_once(
    client: &Client,
    source: Source,
    stream: StreamName,
    epoch: &mut Option<u32>,
    offset: &mut u64,
    pieces: &mpsc::Sender<LogPiece>,
) -> Result<(), Problem> {
    let Source { job, task, follow, .. } = source;
    let of = epoch.map(|epoch| format!("&epoch={epoch}")).unwrap_or_default();
    let path = format!(
        "/jobs/{job}/tasks/{task}/logs?stream={stream}&offset={offset}&follow={follow}{of}"
    );
    let mut body = client.stream(&path).await?.bytes_stream();
    let mut reader = Reader::default();
    while let Some(event) = reader.next(&mut body).await? {
        match event.name.as_str() {
            "log" => {
                let piece: LogPiece = serde_json::from_str(&event.data).map_err(|error| {
                    Problem::new(ErrorCode::Unreachable, format!("a piece cannot be read: {error}"))
                })?;
                let bytes = BASE64.decode(piece.data.as_bytes()).map_or(0, |bytes| bytes.len());
                // An offset belongs to one attempt: the next request begins with that one.
                *epoch = Some(piece.attempt.epoch.0);
                *offset = piece.offset + u64::try_from(bytes).unwrap_or(0);
                if pieces.send(piece).await.is_err() {
                    return Ok(());
                }
            }
            "end" => return Ok(()),
            "error" => {
                return Err(serde_json::from_str(&event.data).unwrap_or_else(|_| {
                    Problem::new(ErrorCode::Unreachable, "the log broke off")
                }));
            }
            _ => {}
        }
    }
    if follow {
        return Err(Problem::new(ErrorCode::Unreachable, "the log broke off before its end"));
    }
    Ok(())
}

struct Printer {
    style: Style,
    at_line_start: [bool; 2],
}

impl Printer {
    fn print(&mut self, piece: &LogPiece) {
        if self.style.json {
            output::json_line(piece);
            return;
        }
        let bytes = BASE64.decode(piece.data.as_bytes()).unwrap_or_default();
        let bytes = if self.style.timestamps { self.stamped(piece, &bytes) } else { bytes };
        match piece.stream {
            StreamName::Stdout => output::bytes(&bytes),
            StreamName::Stderr => {
                let mut stderr = std::io::stderr().lock();
                // A reader that has gone is no failure of ours.
                let _ = stderr.write_all(&bytes);
            }
        }
    }

    fn stamped(&mut self, piece: &LogPiece, bytes: &[u8]) -> Vec<u8> {
        let start = &mut self.at_line_start[usize::from(piece.stream == StreamName::Stderr)];
        let mut text = Vec::with_capacity(bytes.len() + bytes.len() / 2);
        for (offset, byte) in (piece.offset..).zip(bytes) {
            if std::mem::replace(start, *byte == b'\n') {
                text.extend_from_slice(time_of(&piece.marks, offset).as_bytes());
            }
            text.push(*byte);
        }
        text
    }
}

fn time_of(marks: &[TimeMark], offset: u64) -> String {
    let before = marks.iter().take_while(|mark| mark.offset <= offset).last();
    before.map_or_else(|| "? ".to_owned(), |mark| format!("{} ", mark.at))
}
