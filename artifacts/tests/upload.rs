//! The uploader against a real store, with real files.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail the test")]

mod harness;

use std::{os::unix::fs::PermissionsExt as _, path::Path, sync::atomic::Ordering};

use harness::{Attempt, Port, Store, attempt, noise, store};
use mesh_artifacts::{
    download::{fetch_manifest, materialize, read_log},
    upload::{AttemptUploader, Stage},
};
use mesh_schemas::{
    manifest::{Manifest, ManifestPlace, ManifestSummary, SegmentData, StreamName},
    message::OBJECTS_MAX,
};

async fn manifest_of(summary: &ManifestSummary, port: &Port, store: &Store) -> Manifest {
    match &summary.place {
        ManifestPlace::Object(object) => fetch_manifest(port, &store.http, object).await.unwrap(),
        ManifestPlace::Inline(manifest) => manifest.as_ref().clone(),
        ManifestPlace::Empty => panic!("there is no manifest"),
    }
}

async fn log_of(manifest: &Manifest, stream: StreamName, port: &Port, store: &Store) -> Vec<u8> {
    let mut log = Vec::new();
    loop {
        let from = log.len() as u64;
        let piece = read_log(port, &store.http, manifest, stream, from, 700_001).await.unwrap();
        assert!(piece.data.is_empty() || piece.marks[0].offset == from);
        log.extend_from_slice(&piece.data);
        if piece.data.is_empty() || piece.end {
            assert_eq!(piece.end, manifest.complete);
            return log;
        }
    }
}

async fn restore(manifest: &Manifest, port: &Port, store: &Store) -> tempfile::TempDir {
    let dest = tempfile::tempdir().unwrap();
    let files = &manifest.files;
    materialize(port, &store.http, manifest, files, dest.path(), |_| {}).await.unwrap();
    dest
}

fn same(path: &Path, bytes: &[u8]) {
    assert!(std::fs::read(path).unwrap() == bytes, "{} has other bytes", path.display());
}

#[tokio::test]
async fn a_result_without_output_is_empty_and_a_small_one_inline_without_any_request() {
    let (s3, job) = (Store::start().await, Attempt::new(&["*.txt"]));
    let port = s3.port(attempt(1));
    let empty = store(&mut job.uploader(), &port, &s3, Stage::Final).await.unwrap().unwrap();
    assert_eq!(empty, ManifestSummary::empty());
    job.append("stdout", b"hello\n");
    job.append("stderr", "w\u{e4}rning".as_bytes());
    let mut uploader = job.uploader();
    let small = store(&mut uploader, &port, &s3, Stage::Final).await.unwrap().unwrap();
    let manifest = manifest_of(&small, &port, &s3).await;
    assert!(matches!(manifest.logs[0].segments[0].data, SegmentData::Inline(_)));
    assert_eq!(log_of(&manifest, StreamName::Stdout, &port, &s3).await, b"hello\n");
    assert_eq!(log_of(&manifest, StreamName::Stderr, &port, &s3).await, "wärning".as_bytes());
    assert_eq!(store(&mut uploader, &port, &s3, Stage::Final).await.unwrap(), Some(small));
    assert!(port.put_names().is_empty() && !job.path("upload.json").exists());
}

#[tokio::test]
async fn appending_one_per_cent_to_a_large_file_uploads_at_most_three() {
    let (s3, job) = (Store::start().await, Attempt::new(&["out"]));
    let port = s3.port(attempt(1));
    let mut bytes = noise(64 << 20, 3);
    job.write("out/big.bin", &bytes);
    let mut uploader = job.uploader();
    let first = store(&mut uploader, &port, &s3, Stage::Running).await.unwrap().unwrap();
    assert_eq!((first.version, first.files, first.bytes), (1, 1, 64 << 20));
    let before = port.put_bytes();
    bytes.extend(noise(bytes.len() / 100, 4));
    job.write("out/big.bin", &bytes);
    let second = store(&mut uploader, &port, &s3, Stage::Final).await.unwrap().unwrap();
    let sent = port.put_bytes() - before;
    assert!(sent <= (64 << 20) * 3 / 100, "{sent} bytes were sent again");
    let manifest = manifest_of(&second, &port, &s3).await;
    assert!(manifest.complete && manifest.version == 2);
    same(&restore(&manifest, &port, &s3).await.path().join("out/big.bin"), &bytes);
}

/// More packs than whoever presigns may be asked about at once: half a gibibyte in one cycle.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_output_is_stored_once_however_many_packs_it_has() {
    const PART: usize = 16 << 20;
    let (s3, job) = (Store::start().await, Attempt::new(&["out"]));
    let port = s3.port(attempt(1));
    std::fs::create_dir(job.path("work/out")).unwrap();
    let parts = (OBJECTS_MAX + 8) * (8 << 20) / PART;
    for part in 0..parts {
        job.append("work/out/large", &noise(PART, part as u64));
    }
    let mut uploader = job.uploader();
    let stored = store(&mut uploader, &port, &s3, Stage::Running).await.unwrap().unwrap();
    assert_eq!(stored.bytes, (parts * PART) as u64);
    assert!(port.put_names().len() > OBJECTS_MAX, "{} objects", port.put_names().len());
    assert_eq!(store(&mut uploader, &port, &s3, Stage::Running).await.unwrap(), None);
}

#[tokio::test]
async fn what_does_not_change_is_not_stored_again_and_what_vanishes_is_not_named() {
    let (s3, job) = (Store::start().await, Attempt::new(&["a*"]));
    let port = s3.port(attempt(1));
    job.write("a1", &noise(300_000, 1));
    job.write("a2", &noise(300_000, 1));
    let mut uploader = job.uploader();
    store(&mut uploader, &port, &s3, Stage::Running).await.unwrap().unwrap();
    assert_eq!(port.put_names().len(), 2, "two equal files are one pack, and a manifest");
    assert_eq!(store(&mut uploader, &port, &s3, Stage::Running).await.unwrap(), None);
    std::fs::remove_file(job.path("work/a1")).unwrap();
    let last = store(&mut uploader, &port, &s3, Stage::Final).await.unwrap().unwrap();
    assert_eq!(last.files, 1);
    assert_eq!(port.put_names().len(), 3);
}

#[tokio::test]
async fn a_killed_uploader_goes_on_from_its_state_file_and_no_pack_is_sent_twice() {
    let (s3, job) = (Store::start().await, Attempt::new(&["**"]));
    let bytes: Vec<Vec<u8>> = (0..6).map(|seed| noise(20 << 20, seed)).collect();
    for (index, bytes) in bytes.iter().enumerate() {
        job.write(&format!("f{index}"), bytes);
    }
    job.append("stdout", &noise(3_000_000, 50));
    let killed = s3.port(attempt(1));
    *killed.stop_after.lock().unwrap() = Some(12);
    let refused = store(&mut job.uploader(), &killed, &s3, Stage::Running).await.unwrap_err();
    assert_eq!(refused.problem().code.as_str(), "E_FENCED");
    job.append("stdout", &noise(1_000_000, 51));
    let port = s3.port(attempt(1));
    let summary = store(&mut job.uploader(), &port, &s3, Stage::Final).await.unwrap().unwrap();
    let saved = killed.put_names();
    assert_eq!(saved.len(), 12);
    let again = port.put_names();
    assert!(saved.iter().all(|name| !again.contains(name)), "{saved:?} and {again:?}");
    let manifest = manifest_of(&summary, &port, &s3).await;
    let dest = restore(&manifest, &port, &s3).await;
    for (index, bytes) in bytes.iter().enumerate() {
        same(&dest.path().join(format!("f{index}")), bytes);
    }
    let log = [noise(3_000_000, 50), noise(1_000_000, 51)].concat();
    assert!(log_of(&manifest, StreamName::Stdout, &port, &s3).await == log);
    let reopened = store(&mut job.uploader(), &port, &s3, Stage::Final).await.unwrap();
    assert_eq!(reopened, Some(summary), "the same end is reported again");
}

#[tokio::test]
async fn a_version_is_given_once_though_the_store_denies_its_manifest_and_the_agent_is_killed() {
    let (s3, job) = (Store::start().await, Attempt::new(&["out"]));
    let port = s3.port(attempt(1));
    job.write("out", b"1");
    port.blind.store(true, Ordering::SeqCst);
    let mut uploader = job.uploader();
    for _ in 0..2 {
        store(&mut uploader, &port, &s3, Stage::Running).await.unwrap_err();
    }
    // Killed: the next life has what is on the disk.
    let mut uploader = job.uploader();
    store(&mut uploader, &port, &s3, Stage::Running).await.unwrap_err();
    port.blind.store(false, Ordering::SeqCst);
    let last = store(&mut uploader, &port, &s3, Stage::Final).await.unwrap().unwrap();
    assert_eq!((last.version, manifest_of(&last, &port, &s3).await.version), (4, 4));
    let names = port.put_names();
    let versions = names.iter().filter_map(|name| Some(name.strip_prefix('m')?.split('-').next()));
    assert_eq!(versions.flatten().collect::<Vec<_>>(), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn no_manifest_is_stored_while_it_cannot_be_written_down_that_its_version_is_taken() {
    let (s3, job) = (Store::start().await, Attempt::new(&["out"]));
    let port = s3.port(attempt(1));
    // An empty file needs no pack, so that the version is the first thing to be written down.
    job.write("out", b"");
    let mut options = job.options();
    options.state_file = job.path("blocked/upload.json");
    let mut uploader = AttemptUploader::open(options).unwrap();
    std::fs::write(job.path("blocked"), b"").unwrap();
    store(&mut uploader, &port, &s3, Stage::Running).await.unwrap_err();
    assert!(port.put_names().is_empty(), "{:?}", port.put_names());
}

#[tokio::test]
async fn a_dropped_upload_can_be_repeated_at_once() {
    let (s3, job) = (Store::start().await, Attempt::new(&["**"]));
    let port = s3.port(attempt(1));
    job.write("big", &noise(40 << 20, 8));
    let mut uploader = job.uploader();
    {
        let mut upload = std::pin::pin!(store(&mut uploader, &port, &s3, Stage::Running));
        while port.put_names().len() < 2 {
            assert!(futures::poll!(upload.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    drop(uploader);
    let done = store(&mut job.uploader(), &port, &s3, Stage::Final).await.unwrap().unwrap();
    let manifest = manifest_of(&done, &port, &s3).await;
    same(&restore(&manifest, &port, &s3).await.path().join("big"), &noise(40 << 20, 8));
}

#[tokio::test]
async fn an_expired_url_is_asked_for_again() {
    let (s3, job) = (Store::start().await, Attempt::new(&["**"]));
    let port = s3.port(attempt(1));
    job.write("a", b"abc");
    port.expired.store(true, std::sync::atomic::Ordering::SeqCst);
    store(&mut job.uploader(), &port, &s3, Stage::Final).await.unwrap().unwrap();
    assert_eq!(port.put_names().len(), 3);
}

#[tokio::test]
async fn logs_have_no_gap_whatever_is_written_between_uploads() {
    let (s3, job) = (Store::start().await, Attempt::new(&[]));
    let port = s3.port(attempt(1));
    let mut uploader = job.uploader();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    for step in 0..40_u64 {
        let piece = noise(usize::try_from(step * 7_919 % 90_000).unwrap(), step);
        job.append("stdout", &piece);
        out.extend_from_slice(&piece);
        if step % 7 == 0 {
            job.append("stderr", &noise(1_500_000, step));
            err.extend(noise(1_500_000, step));
        }
        uploader.observe(mesh_fabric::time::now());
        if step % 3 == 0 {
            store(&mut uploader, &port, &s3, Stage::Running).await.unwrap();
            assert_eq!(uploader.new_log_bytes(), 0);
        }
        if step % 11 == 0 {
            uploader = job.uploader();
        }
    }
    let last = store(&mut uploader, &port, &s3, Stage::Final).await.unwrap().unwrap();
    assert_eq!(last.log_bytes, (out.len() + err.len()) as u64);
    let manifest = manifest_of(&last, &port, &s3).await;
    assert!(log_of(&manifest, StreamName::Stdout, &port, &s3).await == out);
    assert!(log_of(&manifest, StreamName::Stderr, &port, &s3).await == err);
}

#[tokio::test]
async fn the_next_attempt_gets_the_checkpoint_and_does_not_upload_it_again() {
    let (s3, mut job) = (Store::start().await, Attempt::new(&[]));
    job.checkpoint = Some("state".into());
    job.write("state/deep/model", &noise(2 << 20, 1));
    let port = s3.port(attempt(1));
    let first = store(&mut job.uploader(), &port, &s3, Stage::Running).await.unwrap().unwrap();
    assert_eq!((first.files, first.checkpoint_files), (0, 1));
    let previous = manifest_of(&first, &port, &s3).await;

    let mut next = Attempt::new(&[]);
    (next.checkpoint, next.epoch) = (Some("state".into()), 2);
    let port = s3.port(attempt(2));
    let dest = next.path("work/state");
    std::fs::create_dir(&dest).unwrap();
    let files = &previous.checkpoint;
    materialize(&port, &s3.http, &previous, files, &dest, |_| {}).await.unwrap();
    same(&dest.join("deep/model"), &noise(2 << 20, 1));
    next.write("state/more", b"more");
    let mut options = next.options();
    options.previous = Some(Box::new(previous));
    let mut uploader = AttemptUploader::open(options).unwrap();
    let second = store(&mut uploader, &port, &s3, Stage::Final).await.unwrap().unwrap();
    assert!(port.put_bytes() < 10_000, "{} bytes were sent", port.put_bytes());
    let manifest = manifest_of(&second, &port, &s3).await;
    let again = tempfile::tempdir().unwrap();
    let files = &manifest.checkpoint;
    materialize(&port, &s3.http, &manifest, files, again.path(), |_| {}).await.unwrap();
    same(&again.path().join("deep/model"), &noise(2 << 20, 1));
}

#[tokio::test]
async fn odd_names_and_things_are_left_out_with_a_note_and_never_fail_the_job() {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink};
    let (s3, job) = (Store::start().await, Attempt::new(&["**"]));
    let port = s3.port(attempt(1));
    std::fs::write(job.path("secret"), "outside").unwrap();
    for good in ["-rf", "~", "\u{1f600}/ä", "a b", "CamelCase", "camelcase"] {
        job.write(good, good.as_bytes());
    }
    for bad in ["CON", "NUL.txt", "a:b", "dot.", "space ", "new\nline", "a\\b", "x\u{202e}y"] {
        job.write(bad, b"x");
    }
    job.write("run.sh", b"#!");
    let script = job.path("work/run.sh");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let work = job.path("work");
    std::fs::write(work.join(std::ffi::OsStr::from_bytes(b"not-utf8-\xff")), "x").unwrap();
    symlink("../secret", work.join("link-out")).unwrap();
    symlink("..", work.join("dir-out")).unwrap();
    symlink("loop", work.join("loop")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        work.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut uploader = job.uploader();
    let summary = store(&mut uploader, &port, &s3, Stage::Final).await.unwrap().unwrap();
    let manifest = manifest_of(&summary, &port, &s3).await;
    let names: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["-rf", "CamelCase", "a b", "camelcase", "run.sh", "~", "\u{1f600}/ä"]);
    assert_eq!(uploader.outcome().skipped.count(), 13, "{:?}", uploader.outcome().skipped);
    let dest = restore(&manifest, &port, &s3).await;
    let mode = std::fs::metadata(dest.path().join("run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755, "executable, not setuid");
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_stored_is_right_in_the_end() {
    let (s3, job) = (Store::start().await, Attempt::new(&["log.bin"]));
    let port = s3.port(attempt(1));
    job.write("log.bin", &noise(1 << 20, 0));
    let path = job.path("work/log.bin");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (path, stop) = (path.clone(), std::sync::Arc::clone(&stop));
        std::thread::spawn(move || {
            for seed in 1.. {
                if stop.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                match seed % 5 {
                    0 => std::fs::write(&path, noise(50_000, seed)).unwrap(),
                    _ => harness::append(&path, &noise(70_000, seed)),
                }
            }
        })
    };
    let mut uploader = job.uploader();
    for _ in 0..8 {
        if let Some(summary) = store(&mut uploader, &port, &s3, Stage::Running).await.unwrap() {
            let manifest = manifest_of(&summary, &port, &s3).await;
            restore(&manifest, &port, &s3).await;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    writer.join().unwrap();
    let last = store(&mut uploader, &port, &s3, Stage::Final).await.unwrap().unwrap();
    let manifest = manifest_of(&last, &port, &s3).await;
    let now = std::fs::read(&path).unwrap();
    same(&restore(&manifest, &port, &s3).await.path().join("log.bin"), &now);
}
