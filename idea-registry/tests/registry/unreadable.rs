//! A row that no reader of ours would take is a finding like any other, and what lies beside it is still looked at.

use mesh_ideas::{
    restart::{Others, restart_origin},
    verify::Finding,
};

use crate::{
    filling::{append, verified},
    kit::{Home, Owner, idea, some_text, until_signed},
};

/// What is found, kind by kind, with the index.
fn found(findings: &[Finding]) -> Vec<(&'static str, Option<u64>)> {
    let mut found: Vec<_> = findings.iter().map(|found| (found.what, found.index)).collect();
    found.sort_unstable();
    found
}

async fn filled(home: &Home) {
    let registry = home.start().await;
    for _ in 0..4 {
        append(&registry, &idea(1, &some_text())).await;
    }
    until_signed(&registry).await;
    registry.stop().await;
}

const LAST: &str = "WHERE size = (SELECT MAX(size) FROM checkpoint)";

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_is_a_finding_among_others() {
    for home in Home::both().await {
        filled(&home).await;
        let owner = Owner::of(&home.place).await;
        owner.unguard("log").await;
        owner.unguard("checkpoint").await;
        let of = |column: &str, table: &str| format!("SELECT {column} FROM {table} LIMIT 1");
        let [author, key] =
            [owner.texts(&of("author", "log")).await, owner.texts(&of("key", "log")).await];
        let root = owner.texts(&format!("SELECT root FROM checkpoint {LAST}")).await.remove(0);
        owner
            .run(
                "INSERT INTO cosignature (log, witness, size, root, line, made_at) \
                  VALUES (1, 'one', 2, 'none', '', 1)",
            )
            .await;
        let cosigned = verified(&home).await.findings;
        assert_eq!(found(&cosigned), [("cosignature", Some(1))], "{cosigned:?}");
        owner.run("DELETE FROM cosignature").await;
        // Whatever is wrong beside it must be found as well.
        owner.run("UPDATE idea SET title = 'other' WHERE idx = 1").await;
        for (what, index, change, undo) in [
            (
                "checkpoint",
                Some(3),
                format!("UPDATE checkpoint SET root = 'none' {LAST}"),
                format!("UPDATE checkpoint SET root = '{root}' {LAST}"),
            ),
            (
                "checkpoint",
                Some(3),
                format!("UPDATE checkpoint SET size = -4 {LAST}"),
                "UPDATE checkpoint SET size = 4 WHERE size = -4".to_owned(),
            ),
            (
                "log",
                None,
                "UPDATE log SET author = 'nobody'".to_owned(),
                format!("UPDATE log SET author = '{}'", author[0]),
            ),
            (
                "log",
                None,
                "UPDATE log SET key = 'none'".to_owned(),
                format!("UPDATE log SET key = '{}'", key[0]),
            ),
            (
                "log",
                None,
                "UPDATE log SET version = -1".to_owned(),
                "UPDATE log SET version = 1".to_owned(),
            ),
        ] {
            assert_eq!(owner.run(&change).await, 1, "{change}");
            let report = verified(&home).await;
            let wanted = [(what, index), ("projection", Some(1))];
            assert!(!report.ok && report.signed == 4, "{change}: {report:?}");
            assert_eq!(found(&report.findings), wanted, "{change}: {report:?}");
            assert_eq!(owner.run(&undo).await, 1, "{undo}");
            let after = verified(&home).await.findings;
            assert_eq!(found(&after), [("projection", Some(1))], "{undo}: {after:?}");
        }
        owner.close().await;
    }
}

/// Goal: a row of the log is told of though nothing else says which log it is. Method: without the identity.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nothing_names_is_a_finding_too() {
    let home = Home::sqlite();
    filled(&home).await;
    std::fs::remove_file(home.place.data.join("identity.json")).unwrap();
    let owner = Owner::of(&home.place).await;
    owner.unguard("log").await;
    let key = owner.texts("SELECT key FROM log").await.remove(0);
    owner.run("UPDATE log SET key = 'none'").await;
    let report = verified(&home).await;
    let wanted = [("checkpoint", None), ("log", None)];
    assert_eq!(found(&report.findings), wanted, "{report:?}");
    assert_eq!(report.checked.leaves, 4, "the rows are still looked at");
    owner.run(&format!("UPDATE log SET key = '{key}', version = -1")).await;
    let report = verified(&home).await;
    assert_eq!((report.ok, found(&report.findings)), (false, vec![("log", None)]), "{report:?}");
    owner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_a_log_that_was_left_is_a_finding_too() {
    for home in Home::both().await {
        filled(&home).await;
        restart_origin(&home.place, &Others::none()).await.unwrap();
        let registry = home.start().await;
        until_signed(&registry).await;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        owner.unguard("log").await;
        owner.unguard("checkpoint").await;
        owner.run("UPDATE checkpoint SET root = 'none' WHERE log = 1 AND size = 4").await;
        let findings = verified(&home).await.findings;
        assert_eq!(found(&findings), [("checkpoint", Some(3))], "{findings:?}");
        let said = &findings[0].detail;
        assert!(said.contains("/v1") && said.contains("cannot read"), "{findings:?}");
        owner.run("UPDATE log SET author = 'nobody' WHERE version = 1").await;
        let findings = verified(&home).await.findings;
        assert_eq!(found(&findings), [("log", None)], "{findings:?}");
        owner.close().await;
    }
}

/// Goal: one flipped bit of a row is named by its index, also when its bytes are no text any more. Method: PostgreSQL lets
/// no such bytes in, SQLite does.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_bytes_are_no_text_is_named() {
    for home in Home::both().await {
        filled(&home).await;
        let owner = Owner::of(&home.place).await;
        if let Owner::Sqlite(_) = owner {
            owner.unguard("leaf").await;
            let flip = |table: &str, column: &str, at: &str| {
                format!(
                    "UPDATE {table} SET {column} = CAST(x'ff' AS TEXT) || substr({column}, 2) {at}"
                )
            };
            let hash = "SELECT json_extract(data, '$.say.body.hash') FROM leaf WHERE idx = 2";
            assert_eq!(
                owner.run(&flip("body", "text", &format!("WHERE hash = ({hash})"))).await,
                1
            );
            // What follows from a text that is none is not there either.
            let findings = verified(&home).await.findings;
            assert_eq!(found(&findings).first(), Some(&("body", Some(2))), "{findings:?}");
            assert!(findings.iter().all(|found| found.index == Some(2)), "{findings:?}");
            assert_eq!(owner.run(&flip("idea", "title", "WHERE idx = 1")).await, 1);
            assert_eq!(owner.run(&flip("leaf", "data", "WHERE idx = 3")).await, 1);
            let findings = verified(&home).await.findings;
            let named = |what: &str, index| {
                findings.iter().any(|f| f.what == what && f.index == Some(index))
            };
            assert!(named("body", 2) && named("projection", 1), "{findings:?}");
            assert!(findings.iter().any(|found| found.index == Some(3)), "{findings:?}");
        }
        owner.close().await;
    }
}
