//! The same end-to-end suite on all four pairs of database and object store, with the real programs.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

mod suite;

use mesh_tests::{
    mesh::{Mesh, Options},
    postgres::Postgres,
    seaweed::SeaweedFs,
};

fn seaweed_args(weed: &SeaweedFs) -> Vec<String> {
    let credentials = weed.credentials_file().to_string_lossy().into_owned();
    vec!["--objects-endpoint".into(), weed.endpoint(), "--objects-credentials".into(), credentials]
}

/// A database of its own on the shared PostgreSQL.
async fn postgres_args(dir: &std::path::Path) -> Vec<String> {
    let postgres = Postgres::shared().await.unwrap();
    let url = postgres.database().await.unwrap();
    let file = dir.join("password");
    mesh_fabric::files::write_private(&file, postgres.password().as_bytes()).unwrap();
    let file = file.to_string_lossy().into_owned();
    vec!["--database".into(), url, "--database-password-file".into(), file]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_and_the_embedded_store() {
    suite::run(&Mesh::start(&Options::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_and_seaweedfs() {
    let weed = SeaweedFs::start().await;
    let options = Options { args: seaweed_args(&weed), ..Options::default() };
    suite::run(&Mesh::start(&options).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_and_the_embedded_store() {
    let dir = mesh_tests::tmp::dir("pair");
    let options = Options { args: postgres_args(dir.path()).await, ..Options::default() };
    suite::run(&Mesh::start(&options).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_and_seaweedfs() {
    let dir = mesh_tests::tmp::dir("pair");
    let weed = SeaweedFs::start().await;
    let mut args = postgres_args(dir.path()).await;
    args.extend(seaweed_args(&weed));
    suite::run(&Mesh::start(&Options { args, ..Options::default() }).await).await;
}
