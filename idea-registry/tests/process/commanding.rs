//! The commands as an operator runs them.

use std::{
    fs,
    process::{Command, Output},
};

use mesh_ideas::registry::Registry;
use mesh_schemas::ErrorCode;
use serde_json::Value;

use crate::kit::{Home, idea, some_text};

fn run(home: &Home, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-ideas"));
    command.args(arguments).arg("--data").arg(&home.place.data);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let json = serde_json::from_slice(&stdout).unwrap_or_default();
    (status.code(), json, String::from_utf8(stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_and_repaired_from_the_other_half() {
    let home = Home::sqlite();
    let registry = Registry::start(&home.place).await.unwrap();
    for _ in 0..20 {
        registry.shared.writer.append(&idea(1, &some_text())).await.unwrap();
    }
    let (code, _, words) = run(&home, &["rebuild", "--from", "leaves"]);
    assert_eq!(code, Some(6), "{words}");
    registry.stop().await;

    let (code, report, _) = run(&home, &["verify"]);
    assert_eq!((code, &report["ok"], &report["signed"]), (Some(0), &true.into(), &20.into()));
    let bundle = home.place.data.join("v1/tile/entries/000.p/20");
    let good = fs::read(&bundle).unwrap();
    fs::write(&bundle, &good[..good.len() - 1]).unwrap();
    let (code, report, _) = run(&home, &["verify"]);
    assert_eq!((code, &report["findings"][0]["index"]), (Some(8), &19.into()), "{report}");
    let (code, rebuilt, words) = run(&home, &["rebuild", "--from", "leaves"]);
    assert_eq!((code, &rebuilt["entries"]), (Some(0), &20.into()), "{words}");
    assert_eq!(fs::read(&bundle).unwrap(), good);

    let database = home.place.data.join("ideas.db");
    let good = fs::read(&database).unwrap();
    let mut bad = good.clone();
    // What kind of page the second one is.
    bad[4_096] ^= 0x40;
    fs::write(&database, bad).unwrap();
    let named = format!("error[E_INTEGRITY]: the database is damaged: {}: ", database.display());
    for command in [&["verify"][..], &["rebuild", "--from", "leaves"]] {
        let (code, _, words) = run(&home, command);
        assert!(code == Some(8) && words.contains(&named), "{command:?}: {code:?} {words}");
    }
    let refused = Registry::start(&home.place).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Integrity, "{refused}");

    for file in ["ideas.db", "ideas.db-wal", "ideas.db-shm"] {
        // The journals are there only while somebody has the file open.
        let _none = fs::remove_file(home.place.data.join(file));
    }
    let (code, _, words) = run(&home, &["verify"]);
    assert!(code == Some(4) && words.contains("no file"), "{words}");
    assert!(!home.place.data.join("ideas.db").exists(), "verify makes nothing");
    let (code, rebuilt, words) = run(&home, &["rebuild", "--from", "tiles"]);
    assert_eq!((code, &rebuilt["leaves_added"]), (Some(0), &20.into()), "{words}");
    assert_eq!((&rebuilt["texts_added"], &rebuilt["texts_missing"]), (&20.into(), &0.into()));
    let (code, report, _) = run(&home, &["verify"]);
    assert_eq!((code, &report["ok"]), (Some(0), &true.into()), "{report}");
    let (code, _, words) = run(&home, &["rebuild", "--from", "objects"]);
    assert!(code == Some(2) && words.contains("object store"), "{words}");

    let (code, restarted, words) = run(&home, &["restart-origin"]);
    assert_eq!((code, &restarted["entries"]), (Some(0), &21.into()), "{words}");
    let (code, _, words) = run(&home, &["verify", "--bogus"]);
    assert!(code == Some(2) && words.contains("E_USAGE"), "{words}");
}
