//! Shipping directories, and the way there and back for whatever is in them.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod harness;

use std::{collections::BTreeMap, os::unix::fs::symlink, path::Path};

use harness::{Store, noise, upload};
use mesh_artifacts::{
    download::{Progress, fetch_manifest, materialize},
    ship::{Options, Shipped, ship_directory},
};
use mesh_schemas::manifest::ManifestOwner;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

async fn ship(store: &Store, dir: &Path, gitignore: bool) -> Shipped {
    let options = Options { upload: upload(), gitignore };
    let port = store.port(ManifestOwner::Upload(upload()));
    ship_directory(dir, &port, &store.http, options, |_| {}).await.unwrap()
}

async fn unship(store: &Store, shipped: &Shipped) -> BTreeMap<String, Vec<u8>> {
    let port = store.port(ManifestOwner::Upload(upload()));
    let manifest = fetch_manifest(&port, &store.http, &shipped.manifest).await.unwrap();
    let dest = tempfile::tempdir().unwrap();
    let mut last = Progress::default();
    let heard = |progress: Progress| {
        assert!(last.bytes_done <= progress.bytes_done);
        last = progress;
    };
    let files = &manifest.files;
    materialize(&port, &store.http, &manifest, files, dest.path(), heard).await.unwrap();
    assert_eq!((last.bytes_done, last.bytes_total), (shipped.bytes, shipped.bytes));
    let read = |name: &str| std::fs::read(dest.path().join(name)).unwrap();
    files.iter().map(|f| (f.path.to_string(), read(f.path.as_str()))).collect()
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn ignored_files_links_and_git_stay_at_home() {
    let store = Store::start().await;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), ".gitignore", b"target/\n*.o\n!keep.o\n");
    for name in [".git/config", "target/x", "a.o", "keep.o", "src/main.rs", ".env", "sub/.git/y"] {
        write(dir.path(), name, name.as_bytes());
    }
    write(dir.path(), "sub/.gitignore", b"*.log\n");
    write(dir.path(), "sub/a.log", b"x");
    write(dir.path(), "empty", b"");
    symlink("/etc/passwd", dir.path().join("link")).unwrap();
    let shipped = ship(&store, dir.path(), true).await;
    let names: Vec<String> = unship(&store, &shipped).await.into_keys().collect();
    let wanted = [".env", ".gitignore", "empty", "keep.o", "src/main.rs", "sub/.gitignore"];
    assert_eq!(names, wanted);
    assert_eq!(shipped.skipped.lines().len(), 1, "{:?}", shipped.skipped);
    let all = ship(&store, dir.path(), false).await;
    assert_eq!(all.files, 9);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_one_clear_error() {
    let store = Store::start().await;
    let port = store.port(ManifestOwner::Upload(upload()));
    let options = Options { upload: upload(), gitignore: true };
    let nowhere = Path::new("/nowhere/at/all");
    let error = ship_directory(nowhere, &port, &store.http, options, |_| {}).await.unwrap_err();
    assert_eq!(error.problem().code.as_str(), "E_IO");
    assert!(store.keys().await.is_empty());
}

#[test]
fn whatever_is_shipped_comes_back_as_it_was() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = runtime.block_on(Store::start());
    let file = (any::<u64>(), 0_usize..3_000_000, any::<bool>());
    let tree = prop::collection::btree_map("[a-d]/[a-z]{1,3}", file, 0..12);
    let mut runner =
        TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let result = runner.run(&tree, |tree| {
        let dir = tempfile::tempdir().unwrap();
        let bytes_of = |(seed, len, small): (u64, usize, bool)| {
            let noise = noise(if small { len % 2_000 } else { len }, seed % 5);
            if seed % 3 == 0 { vec![u8::try_from(seed % 7).unwrap(); noise.len()] } else { noise }
        };
        let tree: BTreeMap<String, Vec<u8>> =
            tree.into_iter().map(|(name, file)| (name, bytes_of(file))).collect();
        for (name, bytes) in &tree {
            write(dir.path(), name, bytes);
        }
        let came = runtime.block_on(async {
            let shipped = ship(&store, dir.path(), true).await;
            unship(&store, &shipped).await
        });
        prop_assert!(came == tree);
        Ok(())
    });
    result.unwrap();
}
