//! C12: a bit of a page of SQLite at rest is another one. Nothing may be served from such a file: what is
//! started on it refuses it by its name and leaves it as it is. Then the whole file is put back.
//!
//! The bit is one that says what kind of page it is. What rows hold has no checksum in SQLite: a bit in there
//! is for the hashes of what the rows name, and the checks of the ledger, and is not flipped here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::future::BoxFuture;
use mesh_tests::bins;
use serde_json::Value;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use super::{Later, Stage, Strike};
use crate::cluster::{Cluster, IDEAS, ORCHESTRATOR};

/// How soon a damaged file is refused, on a busy machine.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Exit code of programs that found bytes which are not what they should be.
const INTEGRITY: i32 = 8;
/// Of the bits of a page's kind, those of which no one makes it another kind.
const BITS: [u8; 7] = [0, 1, 2, 4, 5, 6, 7];
/// Where the kind of the first page stands, behind the file's own header.
const FIRST_PAGE_KIND: u64 = 100;

pub(super) async fn orchestrator(stage: Stage<'_>) -> anyhow::Result<Strike> {
    strike(stage, ORCHESTRATOR, "orchestrator/mesh.db").await
}

pub(super) async fn registry(stage: Stage<'_>) -> anyhow::Result<Strike> {
    strike(stage, IDEAS, "ideas/ideas.db").await
}

pub(super) fn orchestrator_unfit(cluster: &Cluster) -> Option<&'static str> {
    cluster.database.is_some().then_some("the jobs are in PostgreSQL")
}

async fn strike(stage: Stage<'_>, part: &str, file: &str) -> anyhow::Result<Strike> {
    let file = stage.cluster.data.join(file);
    // Opening a file takes a little room, and whoever has none says that first.
    stage.cluster.tmpfs.get(part).map_or(Ok(()), |tmpfs| tmpfs.empty_filler())?;
    stage.cluster.part(part)?.stop();
    let kinds = kinds_of_pages(file.clone()).await?;
    let at = stage.rng.pick(&kinds).copied().context("the file has no pages")?;
    let bit = stage.rng.pick(&BITS).copied().unwrap_or_default();
    let damaged = Damaged::make(&file, at, bit)?;
    let broken = refusal(stage.cluster, part, &damaged).await;
    stage.cluster.part(part)?.kill();
    damaged.put_back()?;
    let what = format!("bit {bit} of byte {at} of {part}'s database: refused by its name");
    let mut strike = Strike::until(what, Duration::ZERO, Later::Start(part.to_owned()));
    strike.broken = broken?;
    Ok(strike)
}

/// A file with one bit another one, and the file as it was.
struct Damaged {
    file: PathBuf,
    good: Vec<u8>,
    bad: Vec<u8>,
}

impl Damaged {
    fn make(file: &Path, at: u64, bit: u8) -> anyhow::Result<Self> {
        let good = fs::read(file)?;
        let mut bad = good.clone();
        *bad.get_mut(usize::try_from(at)?).context("the page is not there")? ^= 1 << bit;
        fs::write(file, &bad)?;
        Ok(Self { file: file.to_owned(), good, bad })
    }

    fn is_untouched(&self) -> anyhow::Result<bool> {
        Ok(fs::read(&self.file)? == self.bad)
    }

    fn put_back(self) -> anyhow::Result<()> {
        // Made by whoever opened the damaged file; they would be taken for this one's.
        for suffix in ["-wal", "-shm"] {
            let mut name = self.file.clone().into_os_string();
            name.push(suffix);
            let _absent = fs::remove_file(name);
        }
        fs::write(&self.file, &self.good).with_context(|| self.file.display().to_string())
    }
}

/// Where the first page of each table and index says what it is: pages that are in use in any case.
fn kinds_of_pages(file: PathBuf) -> BoxFuture<'static, anyhow::Result<Vec<u64>>> {
    // The driver's futures cannot be shown to be `Send` within those of a scenario.
    Box::pin(read_kinds(file))
}

async fn read_kinds(file: PathBuf) -> anyhow::Result<Vec<u64>> {
    let options = SqliteConnectOptions::new().filename(&file);
    let mut connection = options.connect().await.context("opening the database")?;
    // What the last process could not put into the file any more.
    let (busy, ..): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await?;
    ensure!(busy == 0, "somebody has the database open");
    let size: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut connection).await?;
    let roots = "SELECT rootpage FROM sqlite_master WHERE rootpage > 1";
    let roots: Vec<i64> = sqlx::query_scalar(roots).fetch_all(&mut connection).await?;
    connection.close().await?;
    let kind = |root: i64| u64::try_from((root - 1) * size).ok();
    Ok(roots.into_iter().filter_map(kind).chain([FIRST_PAGE_KIND]).collect())
}

/// What is broken when a part is started on a damaged file; nothing when it is refused as it must be.
async fn refusal(
    cluster: &mut Cluster,
    part: &str,
    damaged: &Damaged,
) -> anyhow::Result<Option<String>> {
    let name = damaged.file.to_string_lossy().into_owned();
    let names_it = |text: &str| text.contains("E_INTEGRITY") && text.contains(&name);
    if part == IDEAS
        && let Some(said) = verify_is_fooled(&damaged.file, names_it).await?
    {
        return Ok(Some(format!("mesh-ideas verify of a damaged database: {said}")));
    }
    cluster.part(part)?.start()?;
    let until = Instant::now() + REFUSED_WITHIN;
    let mut ended = None;
    while ended.is_none() && Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
        ended = cluster.part(part)?.ended();
    }
    let Some(status) = ended else {
        return Ok(Some(format!("{part} runs on {name}, which is damaged")));
    };
    let said = cluster.part(part)?.log_tail();
    if status.code() != Some(INTEGRITY) || !names_it(&said) {
        return Ok(Some(format!("{part} on {name}, which is damaged: {status}\n{said}")));
    }
    let untouched = damaged.is_untouched()?;
    Ok((!untouched).then(|| format!("{part} wrote to {name}, which is damaged")))
}

/// What the auditor says when it does not name a damaged file.
async fn verify_is_fooled(
    file: &Path,
    names_it: impl Fn(&str) -> bool,
) -> anyhow::Result<Option<String>> {
    let mut command = tokio::process::Command::new(bins::path("mesh-ideas"));
    command.args(["verify", "--data"]).arg(file.parent().unwrap_or(file)).stdin(Stdio::null());
    let output = command.output().await.context("running mesh-ideas verify")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice::<Value>(&output.stdout).ok();
    let named = output.status.code() == Some(INTEGRITY) && names_it(&said) && report.is_none();
    Ok((!named).then(|| format!("{}, {said}", output.status)))
}
