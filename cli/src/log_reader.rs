//! Reads a task's log from the API: both streams through one connection, and each from its own offset
//! again when that breaks.

use std::cell::RefCell;

use data_encoding::BASE64;
use mesh_schemas::{ErrorCode, JobId, Problem, api::LogPiece, manifest::StreamName};

use crate::{
    client::{Client, is_passing},
    log_printer::Printer,
    output,
    sse::Reader,
};

/// Whose log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) job: JobId,
    pub(crate) task: u32,
    /// Begin with this attempt instead of the last.
    pub(crate) epoch: Option<u32>,
    /// On through later attempts until the task has ended.
    pub(crate) follow: bool,
}

/// How far one stream has been read.
#[derive(Debug, Clone, Copy)]
struct Place {
    epoch: Option<u32>,
    offset: u64,
}

/// Prints streams side by side, each in its own order, until they end or nobody reads any more.
pub(crate) async fn print(
    client: &Client,
    source: Source,
    streams: &[StreamName],
    printer: Printer,
) -> Result<(), Problem> {
    let printer = RefCell::new(printer);
    let result = read_all(client, source, streams, &printer).await;
    printer.borrow_mut().finish();
    result
}

async fn read_all(
    client: &Client,
    source: Source,
    streams: &[StreamName],
    printer: &RefCell<Printer>,
) -> Result<(), Problem> {
    let mut places = [Place { epoch: source.epoch, offset: 0 }; 2];
    if streams.len() == places.len() {
        match read_once(client, source, None, &mut places, printer).await {
            Err(problem) if is_passing(&problem) && source.follow => client.pause(&problem).await,
            result => return result,
        }
    }
    let each = streams.iter().map(|stream| read(client, source, *stream, places, printer));
    futures::future::try_join_all(each).await.map(drop)
}

/// Reads one stream to its end, again from its offset when the connection breaks.
async fn read(
    client: &Client,
    source: Source,
    stream: StreamName,
    mut places: [Place; 2],
    printer: &RefCell<Printer>,
) -> Result<(), Problem> {
    loop {
        match read_once(client, source, Some(stream), &mut places, printer).await {
            Err(problem) if is_passing(&problem) && source.follow => client.pause(&problem).await,
            result => return result,
        }
    }
}

async fn read_once(
    client: &Client,
    source: Source,
    stream: Option<StreamName>,
    places: &mut [Place; 2],
    printer: &RefCell<Printer>,
) -> Result<(), Problem> {
    let mut body = client.stream(&path(source, stream, places)).await?.bytes_stream();
    let mut reader = Reader::default();
    while let Some(event) = reader.next(&mut body).await? {
        match event.name.as_str() {
            "log" => {
                let piece: LogPiece = serde_json::from_str(&event.data)
                    .map_err(|error| broken(&format!("a piece cannot be read: {error}")))?;
                places[index(piece.stream)] = behind(&piece);
                printer.borrow_mut().print(&piece);
                if output::is_broken() {
                    return Ok(());
                }
            }
            "end" => return Ok(()),
            "error" => {
                let problem = serde_json::from_str(&event.data);
                return Err(problem.unwrap_or_else(|_| broken("the log broke off")));
            }
            _ => {}
        }
    }
    if source.follow { Err(broken("the log broke off before its end")) } else { Ok(()) }
}

/// Both streams can only be asked for from their beginning.
fn path(source: Source, stream: Option<StreamName>, places: &[Place; 2]) -> String {
    let Source { job, task, follow, epoch } = source;
    let place = stream.map(|stream| (stream, places[index(stream)]));
    let from = place.map(|(stream, place)| format!("&stream={stream}&offset={}", place.offset));
    let epoch = place.map_or(epoch, |(_, place)| place.epoch);
    let epoch = epoch.map(|epoch| format!("&epoch={epoch}")).unwrap_or_default();
    let from = from.unwrap_or_default();
    format!("/jobs/{job}/tasks/{task}/logs?follow={follow}{from}{epoch}")
}

/// An offset belongs to one attempt: the next request begins with that one.
fn behind(piece: &LogPiece) -> Place {
    let bytes = BASE64.decode(piece.data.as_bytes()).map_or(0, |bytes| bytes.len());
    let offset = piece.offset + u64::try_from(bytes).unwrap_or(0);
    Place { epoch: Some(piece.attempt.epoch.0), offset }
}

const fn index(stream: StreamName) -> usize {
    match stream {
        StreamName::Stdout => 0,
        StreamName::Stderr => 1,
    }
}

fn broken(why: &str) -> Problem {
    Problem::new(ErrorCode::Unreachable, why)
}
