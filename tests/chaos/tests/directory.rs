//! The reader on the directory of a real mesh, while it runs: what is whole is found whole, and what was
//! damaged behind its back is named.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use mesh_chaos::{
    check::{Invariant, check},
    history::History,
    read::{Source, read},
};
use mesh_schemas::JobSpec;
use mesh_tests::mesh::{Mesh, Options};

/// Longest wait for a job, on a busy machine.
const LONG: Duration = Duration::from_secs(60);

async fn history_of(mesh: &Mesh) -> History {
    read(&Source { data: mesh.data(), ..Source::default() }).await.unwrap()
}

/// The invariants that are broken.
fn broken(history: &History) -> Vec<Invariant> {
    check(history).breaches().map(|breach| breach.invariant).collect()
}

/// The objects on the disk that are packs.
fn packs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_pack = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with('p');
    let mut found: Vec<_> = files.into_iter().filter(is_pack).collect();
    found.extend(dirs.iter().flat_map(|dir| packs(dir)));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_that_runs_is_judged_and_damage_behind_its_back_is_named() {
    let mesh = Mesh::start(&Options::default()).await;
    let mut spec = JobSpec::new(["sh", "-c", "seq 1 50000 >out.txt; echo counted"]);
    spec.outputs = vec!["out.txt".into()];
    let job = mesh.submit(&spec).await.job;
    mesh.finished(job, LONG).await;

    let whole = history_of(&mesh).await;
    assert_eq!(broken(&whole), []);
    let manifest = whole.manifests.iter().find(|manifest| manifest.recorded).unwrap();
    assert_eq!((manifest.files.len(), manifest.stdout.as_deref()), (1, Some("counted\n")));
    assert!(manifest.verified_bytes > 200_000 && whole.scan.as_ref().unwrap().secrets > 3);

    let pack = packs(&mesh.data().join("store/buckets")).pop().unwrap();
    let bytes = fs::read(&pack).unwrap();
    let mut other = bytes.clone();
    other[100] ^= 1;
    fs::write(&pack, other).unwrap();
    assert!(broken(&history_of(&mesh).await).contains(&Invariant::I8));
    fs::write(&pack, bytes).unwrap();

    let token = fs::read(mesh.data().join("admin.token")).unwrap();
    let log = fs::File::options().append(true).open(mesh.data().join("node-1.log"));
    log.unwrap().write_all(&token).unwrap();
    assert_eq!(broken(&history_of(&mesh).await), [Invariant::I15]);
}
