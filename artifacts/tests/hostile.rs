//! Manifests and packs that somebody made on purpose, and directories laid as traps.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod harness;

use std::{os::unix::fs::symlink, path::Path};

use harness::{Store, attempt, noise, upload};
use mesh_artifacts::{
    core::{codec, hash_hex},
    download::{DownloadError, fetch_manifest, materialize},
};
use mesh_schemas::manifest::{ChunkRef, FileEntry, Manifest, ManifestOwner, ManifestRef, PackRef};

const PACK: &str = "a/hostile/p0";

/// A manifest of one file, whose one chunk is the whole pack.
async fn honest(store: &Store, raw: &[u8]) -> Manifest {
    let (codec, kept) = codec::encode(raw);
    store.put(PACK, &kept).await;
    let len = u32::try_from(kept.len()).unwrap();
    let chunk = ChunkRef {
        blake3: hash_hex(raw),
        raw_len: u32::try_from(raw.len()).unwrap(),
        pack: 0,
        offset: 0,
        len,
        codec,
    };
    Manifest {
        v: 1,
        owner: ManifestOwner::Upload(upload()),
        version: 1,
        complete: true,
        packs: vec![PackRef { key: PACK.into(), size: u64::from(len), blake3: hash_hex(&kept) }],
        files: vec![FileEntry {
            path: "d/f".parse().unwrap(),
            size: raw.len() as u64,
            blake3: hash_hex(raw),
            executable: false,
            chunks: vec![chunk],
        }],
        checkpoint: Vec::new(),
        logs: Vec::new(),
    }
}

async fn try_in(store: &Store, manifest: &Manifest, dest: &Path) -> Result<(), DownloadError> {
    let port = store.port(attempt(1));
    materialize(&port, &store.http, manifest, &manifest.files, dest, |_| {}).await
}

fn code(result: Result<(), DownloadError>) -> String {
    result.unwrap_err().problem().code.to_string()
}

fn files_below(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(files_below(&entry.path()));
        } else {
            names.push(entry.file_name().into_string().unwrap());
        }
    }
    names
}

#[tokio::test]
async fn bytes_that_are_not_what_their_hash_says_never_get_a_files_name() {
    let store = Store::start().await;
    let sound = honest(&store, b"these bytes").await;
    let changes: [fn(&mut Manifest); 4] = [
        |m| m.files[0].chunks[0].blake3 = "0".repeat(64),
        |m| m.files[0].blake3 = "0".repeat(64),
        |m| m.packs[0].size = 1 << 20,
        |m| (m.files[0].chunks[0].offset, m.packs[0].size) = (3, 14),
    ];
    for change in changes {
        let (mut manifest, dest) = (sound.clone(), tempfile::tempdir().unwrap());
        change(&mut manifest);
        let result = try_in(&store, &manifest, dest.path()).await;
        if manifest.files == sound.files {
            result.unwrap();
            continue;
        }
        let problem = result.unwrap_err().problem();
        assert_eq!(problem.code.as_str(), "E_INTEGRITY", "{problem}");
        assert!(files_below(dest.path()).is_empty());
    }
    let dest = tempfile::tempdir().unwrap();
    let mut wrong = sound.clone();
    wrong.files[0].chunks[0].blake3 = "0".repeat(64);
    let detail = try_in(&store, &wrong, dest.path()).await.unwrap_err().problem().detail;
    assert!(detail.contains("d/f") && detail.contains(&"0".repeat(64)), "{detail}");
}

#[tokio::test]
async fn a_bomb_is_refused_without_being_unpacked() {
    let store = Store::start().await;
    let mut bomb = honest(&store, &vec![0; 4 << 20]).await;
    assert!(bomb.packs[0].size < 4_096);
    let dest = tempfile::tempdir().unwrap();
    (bomb.files[0].chunks[0].raw_len, bomb.files[0].size) = (1_000, 1_000);
    assert_eq!(code(try_in(&store, &bomb, dest.path()).await), "E_INTEGRITY");
    // A few bytes that claim to be 4 TiB: more than is free, and known before a byte is written.
    let mut wide = honest(&store, &vec![0; 4 << 20]).await;
    wide.files[0].chunks = vec![wide.files[0].chunks[0].clone(); 1 << 20];
    wide.files[0].size = 4 << 40;
    assert_eq!(code(try_in(&store, &wide, dest.path()).await), "E_TOO_LARGE");
    assert!(files_below(dest.path()).is_empty());
}

#[tokio::test]
async fn links_in_the_destination_are_neither_followed_nor_replaced() {
    let store = Store::start().await;
    let manifest = honest(&store, b"these bytes").await;
    let (dest, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(outside.path(), dest.path().join("d")).unwrap();
    assert_eq!(code(try_in(&store, &manifest, dest.path()).await), "E_PATH_ESCAPE");
    std::fs::remove_file(dest.path().join("d")).unwrap();
    std::fs::create_dir(dest.path().join("d")).unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    symlink(&victim, dest.path().join("d/f")).unwrap();
    assert_eq!(code(try_in(&store, &manifest, dest.path()).await), "E_PATH_ESCAPE");
    assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
    std::fs::remove_file(dest.path().join("d/f")).unwrap();
    std::fs::create_dir(dest.path().join("d/f")).unwrap();
    assert_eq!(code(try_in(&store, &manifest, dest.path()).await), "E_PATH_ESCAPE");
    assert_eq!(files_below(outside.path()), ["victim"]);
    assert!(files_below(dest.path()).is_empty());
}

#[tokio::test]
async fn a_manifest_that_escapes_overlaps_or_lies_about_itself_is_refused() {
    let store = Store::start().await;
    let port = store.port(attempt(1));
    let sound = serde_json::to_string(&honest(&store, b"these bytes").await).unwrap();
    let cases = [
        (sound.replace("d/f", "../f"), "E_PATH_ESCAPE"),
        (sound.replace("d/f", "/etc/f"), "E_PATH_ESCAPE"),
        (sound.replace("d/f", "d/CON"), "E_PATH_ESCAPE"),
        (sound.replace("\"offset\":0", "\"offset\":1"), "E_INTEGRITY"),
        (sound.replace("\"pack\":0", "\"pack\":9"), "E_INTEGRITY"),
        ("[".repeat(100_000), "E_INTEGRITY"),
        ("{}".into(), "E_INTEGRITY"),
    ];
    for (index, (json, expected)) in cases.into_iter().enumerate() {
        let key = format!("a/hostile/m{index}.json");
        store.put(&key, json.as_bytes()).await;
        let (size, blake3) = (json.len() as u64, hash_hex(json.as_bytes()));
        let named = ManifestRef { key: key.clone(), size, blake3 };
        let error = fetch_manifest(&port, &store.http, &named).await.unwrap_err();
        assert_eq!(error.problem().code.as_str(), expected, "case {index}");
        let lies = ManifestRef { blake3: "0".repeat(64), ..named.clone() };
        let error = fetch_manifest(&port, &store.http, &lies).await.unwrap_err();
        assert_eq!(error.problem().code.as_str(), "E_INTEGRITY");
        let longer = ManifestRef { size: size + 1, ..named };
        assert!(fetch_manifest(&port, &store.http, &longer).await.is_err());
    }
    let absent = ManifestRef { key: "a/none".into(), size: 5, blake3: "0".repeat(64) };
    let error = fetch_manifest(&port, &store.http, &absent).await.unwrap_err();
    assert_eq!(error.problem().code.as_str(), "E_NOT_FOUND");
}

#[tokio::test]
async fn a_file_that_is_there_and_right_is_kept_and_a_wrong_one_replaced() {
    let store = Store::start().await;
    let bytes = noise(1_000, 1);
    let manifest = honest(&store, &bytes).await;
    let dest = tempfile::tempdir().unwrap();
    std::fs::create_dir(dest.path().join("d")).unwrap();
    std::fs::write(dest.path().join("d/f"), noise(1_000, 2)).unwrap();
    try_in(&store, &manifest, dest.path()).await.unwrap();
    assert_eq!(std::fs::read(dest.path().join("d/f")).unwrap(), bytes);
    store.client.delete_object().bucket(harness::BUCKET).key(PACK).send().await.unwrap();
    try_in(&store, &manifest, dest.path()).await.unwrap();
    assert_eq!(files_below(dest.path()), ["f"]);
}
