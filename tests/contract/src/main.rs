//! The writer that is killed: it writes rounds into a database, or records into a journal, until it is, and
//! says on standard output each number that was answered.

use std::{io::Write as _, path::Path};

use anyhow::{Context as _, bail};
use mesh_contract::{batch, kept, round};
use mesh_node::agent::journal::Journal;
use mesh_orchestrator::store::{self, Round};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["rounds", url] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(rounds(url))
        }
        ["journal", dir] => journal(Path::new(dir)),
        _ => bail!("usage: mesh-contract rounds URL | journal DIR"),
    }
}

/// It has been answered.
fn say(number: impl std::fmt::Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{number}")?;
    out.flush().context("nobody reads")
}

async fn rounds(url: &str) -> anyhow::Result<()> {
    let store = store::open(url, None).await?;
    let leader = store.take_lead().await?;
    let load = store.settle(leader).await?;
    for number in 1.. {
        store.commit(Round { leader, load, changes: &round(number), position: None }).await?;
        say(number)?;
    }
    Ok(())
}

fn journal(dir: &Path) -> anyhow::Result<()> {
    let (mut journal, _) = Journal::open(dir)?;
    for write in 0.. {
        if journal.append(batch(write)).is_err() {
            // What is to be seen is what the file holds now.
            return say("full");
        }
        say(write)?;
        if let Some(records) = kept(write) {
            journal.compact(records)?;
        }
    }
    Ok(())
}
