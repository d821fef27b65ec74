//! The ledger of ideas: acknowledged appends beside a plain batched insert into the same kind of database, proofs
//! and memory at a million entries, and the auditor's speed.

mod asker;
mod insert;
mod leaves;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use mesh_ideas_core::SigningKey;
use mesh_schemas::idea::LedgerAsk;

use self::asker::{Asker, idea};
use crate::{
    Run, Store,
    cluster::Cluster,
    proc,
    report::Target,
    stats::{median, percentile, ratios},
};

/// Writers at once, each waiting for its answer before it goes on.
const WRITERS: usize = 16;
/// Appends under way at once while the log is filled and nothing is measured.
const FILLERS: usize = 256;
/// Longest wait for the signed head to reach the last entry.
const SIGNED_WAIT: Duration = Duration::from_secs(60);

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 0)?;
    let runtime = run.runtime;
    let asker = runtime.block_on(Asker::connect(&cluster.mesh.data()))?;
    let pid = cluster.ideas()?;
    appends(run, &cluster, &asker)?;
    let singles = run.size(1_000, 100);
    let times = runtime.block_on(single(&asker, singles))?;
    let out = &mut run.measured;
    let what = format!("one append of {singles}, one writer");
    out.one(&format!("{what}, p50"), "ms", median(&times), Some(Target::AtMost(5.0)));
    out.one(&format!("{what}, p99"), "ms", percentile(&times, 99), Some(Target::AtMost(25.0)));

    // How proofs and memory depend on the size has nothing to do with the database.
    let whole = if run.store == Store::Sqlite { 1_000_000_u64 } else { 100_000 };
    let entries = run.size(whole, 5_000);
    let begun = Instant::now();
    runtime.block_on(fill(&asker, entries))?;
    let rate = f64::from(u32::try_from(entries)?) / begun.elapsed().as_secs_f64();
    let proofs = runtime.block_on(proofs(&asker, run.size(500, 50)))?;
    let out = &mut run.measured;
    out.one(&format!("filling up to {entries} entries, {FILLERS} at once"), "1/s", rate, None);
    let what = format!("inclusion proof at {entries} entries, p50");
    out.one(&what, "ms", median(&proofs), Some(Target::AtMost(5.0)));
    out.one(
        &format!("memory (PSS) at {entries} entries"),
        "MiB",
        proc::pss(pid),
        Some(Target::AtMost(100.0)),
    );
    verify(run, &cluster, entries)
}

/// Acknowledged appends a second, over a plain insert of as many rows in batches as large as the writers allow.
fn appends(run: &mut Run<'_>, cluster: &Cluster, asker: &Asker) -> anyhow::Result<()> {
    let count = run.size(10_000, 500);
    let (mut rates, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..run.runs {
        let floor = run.runtime.block_on(insert::rate(run.store, cluster, count, WRITERS))?;
        rates.push(run.runtime.block_on(written(asker, count))?);
        floors.push(floor);
    }
    let out = &mut run.measured;
    let what = format!("{count} ideas by {WRITERS} writers, acknowledged");
    out.add(&what, "1/s", &rates, Some(Target::AtLeast(1_000.0)));
    out.add(&format!("plain insert in batches of {WRITERS}"), "1/s", &floors, None);
    out.add("… share of the plain insert", "x", &ratios(&rates, &floors), None);
    Ok(())
}

async fn written(asker: &Asker, count: usize) -> anyhow::Result<f64> {
    let submissions: Vec<Vec<LedgerAsk>> = (0..WRITERS)
        .map(|_| {
            let key = SigningKey::from_bytes(&mesh_fabric::ids::random());
            (0..count / WRITERS).map(|_| idea(&key)).collect()
        })
        .collect();
    let begun = Instant::now();
    let writers = submissions.into_iter().map(async |asks| {
        for ask in asks {
            asker.append(&ask).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(writers).await?;
    let written = count / WRITERS * WRITERS;
    Ok(f64::from(u32::try_from(written)?) / begun.elapsed().as_secs_f64())
}

/// Milliseconds of each.
async fn single(asker: &Asker, count: usize) -> anyhow::Result<Vec<f64>> {
    let key = SigningKey::from_bytes(&mesh_fabric::ids::random());
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let ask = idea(&key);
        let begun = Instant::now();
        asker.append(&ask).await?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(times)
}

/// Appends until the log has so many entries, and waits until all of them are signed.
async fn fill(asker: &Asker, entries: u64) -> anyhow::Result<()> {
    let missing = entries.saturating_sub(asker.stats().await?.entries);
    let each = usize::try_from(missing)?.div_ceil(FILLERS);
    let fillers = (0..FILLERS).map(async |_| {
        let key = SigningKey::from_bytes(&mesh_fabric::ids::random());
        for _ in 0..each {
            asker.append(&idea(&key)).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(fillers).await?;
    let begun = Instant::now();
    loop {
        let stats = asker.stats().await?;
        if stats.signed >= stats.entries {
            return Ok(());
        }
        ensure!(begun.elapsed() < SIGNED_WAIT, "{} of {} signed", stats.signed, stats.entries);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Milliseconds of proofs for entries all over the log.
async fn proofs(asker: &Asker, count: u64) -> anyhow::Result<Vec<f64>> {
    let size = asker.stats().await?.signed;
    let mut times = Vec::new();
    for number in 0..count {
        let entry = asker.entry_at(number * (size - 1) / count.max(1)).await?;
        let begun = Instant::now();
        asker.prove(entry).await?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(times)
}

/// The auditor over the log as it lies on disk, rows and texts included.
fn verify(run: &mut Run<'_>, cluster: &Cluster, entries: u64) -> anyhow::Result<()> {
    let leaves = leaves::rate(&cluster.mesh.data().join("ideas"))?;
    let what = format!("checking all tiles and leaves of {entries} entries, one thread");
    run.measured.one(&what, "leaves/s", leaves, Some(Target::AtLeast(100_000.0)));
    let begun = Instant::now();
    let status = cluster.verify_ideas().context("mesh-ideas verify")?;
    ensure!(status.success(), "mesh-ideas verify: {status}");
    let rate = f64::from(u32::try_from(entries)?) / begun.elapsed().as_secs_f64();
    run.measured.one(
        "mesh-ideas verify: signatures, texts and rows as well",
        "entries/s",
        rate,
        None,
    );
    Ok(())
}
