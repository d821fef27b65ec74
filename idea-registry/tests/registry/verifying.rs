//! Whatever is changed in the database, `verify` names it; and it makes nothing.

use mesh_ideas::{
    rebuild::from_leaves,
    registry::Place,
    verify::{Finding, local},
};
use mesh_ideas_core::author_of;
use mesh_schemas::{
    ErrorCode,
    idea::{Entry, Say, Sha256},
};
use mesh_tlog::{KeyKind, SignerKey, Timestamp, TrustedLog, VerifierKey};

use crate::{
    filling::{append, fill, verified},
    kit::{self, Home, Owner, body, idea, sealed_idea, some_text, until_signed, with_text},
};

/// The only finding.
async fn finding(home: &Home, change: &str) -> Finding {
    let mut findings = verified(home).await.findings;
    assert_eq!(findings.len(), 1, "{change}: {findings:?}");
    findings.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_any_projection_is_named_with_its_table_and_index() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        let (text, tags) = (some_text(), vec!["one".into(), "two".into()]);
        let tagged = Say::Idea { body: body(&text), parents: vec![], tags, source: None };
        let tagged = append(&registry, &with_text(1, tagged, &text)).await.index.unwrap();
        registry.stop().await;
        assert_eq!(verified(&home).await.findings, vec![]);
        let owner = Owner::of(&home.place).await;
        let words = match owner {
            Owner::Sqlite(_) => "DELETE FROM words WHERE rowid = 5",
            Owner::Postgres(_) => {
                "UPDATE words SET list = array_append(list, 'more') WHERE idx = 5"
            }
        };
        let forget_tag = format!("DELETE FROM tag WHERE tag = 'two' AND idx = {tagged}");
        for (table, index, change) in [
            ("idea", Some(5), "UPDATE idea SET title = 'other' WHERE idx = 5"),
            ("idea", Some(6), "DELETE FROM idea WHERE idx = 6"),
            ("tag", Some(tagged), forget_tag.as_str()),
            ("tag", Some(5), "INSERT INTO tag (tag, idx) VALUES ('three', 5)"),
            ("about", None, "DELETE FROM about WHERE idx = (SELECT MAX(idx) FROM about)"),
            (
                "about",
                Some(5),
                "INSERT INTO about (idea, idx) SELECT id, idx FROM idea WHERE idx = 5",
            ),
            ("hidden", None, "UPDATE hidden SET body = entry"),
            ("seen", None, "DELETE FROM seen"),
            ("content", Some(5), "UPDATE content SET sealed = 'x' WHERE idx = 5"),
            ("edge", None, "UPDATE edge SET proposed = 1 - proposed"),
            ("edge", None, "UPDATE edge SET relation = 'unknown'"),
            ("job", None, "UPDATE job SET name = 'other'"),
            ("opinion", None, "UPDATE opinion SET vote = -1"),
            ("near", Some(5), "UPDATE near SET data = 'AAAA' WHERE idx = 5"),
            ("words", Some(5), words),
            ("erased", None, "DELETE FROM erased"),
            ("erased", None, "INSERT INTO erased (subject) VALUES ('somebody')"),
        ] {
            assert!(owner.run(change).await > 0, "{change}");
            let found = finding(&home, change).await;
            assert_eq!(
                (found.what, found.table),
                ("projection", Some(table)),
                "{change}: {found:?}"
            );
            let at = index.or(found.index);
            assert!(found.index == at && found.detail.contains(table), "{change}: {found:?}");
            from_leaves(&home.place).await.unwrap();
            assert_eq!(verified(&home).await.findings, vec![], "{change}");
        }
        owner.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_keys_are_those_that_the_log_names_and_has_not_erased() {
    for home in Home::both().await {
        let registry = home.start().await;
        let gone = sealed_idea(1, "A plan that will be erased", "erased");
        let gone = append(&registry, &gone).await.index.unwrap();
        let erasure = registry.shared.writer.erase("erased".into()).await.unwrap().index;
        let sealed = append(&registry, &sealed_idea(1, "A plan that stays", "kept")).await.index;
        append(&registry, &idea(1, "A plan in the open")).await;
        registry.stop().await;
        assert_eq!(verified(&home).await.findings, vec![], "what was erased may be missing");
        let owner = Owner::of(&home.place).await;
        let data =
            owner.texts(&format!("SELECT data FROM leaf WHERE idx = {gone}")).await.remove(0);
        let entry: Entry = serde_json::from_str(&data).unwrap();
        let undead = entry.say.body().unwrap().hash;
        for (what, index, change, undo) in [
            (
                "body",
                sealed,
                "UPDATE body SET subject = 'other' WHERE subject = 'kept'",
                "UPDATE body SET subject = 'kept' WHERE subject = 'other'".to_owned(),
            ),
            (
                "body",
                sealed,
                "UPDATE body SET sealed = 'AAAA' || sealed WHERE subject = 'kept'",
                "UPDATE body SET sealed = substr(sealed, 5) WHERE subject = 'kept'".to_owned(),
            ),
            (
                "key",
                erasure,
                "INSERT INTO subject_key SELECT 'erased', key, made_at FROM subject_key",
                "DELETE FROM subject_key WHERE subject = 'erased'".to_owned(),
            ),
            (
                "key",
                None,
                "INSERT INTO subject_key SELECT 'nobody', key, made_at FROM subject_key",
                "DELETE FROM subject_key WHERE subject = 'nobody'".to_owned(),
            ),
            (
                "body",
                None,
                "INSERT INTO body (hash, text) VALUES ('00', 'stray')",
                "DELETE FROM body WHERE hash = '00'".to_owned(),
            ),
            (
                "body",
                Some(gone),
                &format!(
                    "INSERT INTO body (hash, sealed, subject) VALUES ('{undead}', 'AAAA', 'erased')"
                ),
                format!("DELETE FROM body WHERE hash = '{undead}'"),
            ),
            (
                "log",
                None,
                &format!("UPDATE log SET author = '{}'", author_of(&kit::key(9))),
                "nothing".to_owned(),
            ),
        ] {
            if what == "log" {
                owner.unguard("log").await;
            }
            assert_eq!(owner.run(change).await, 1, "{change}");
            let found = finding_of(&home, what, change).await;
            assert_eq!(found.index, index, "{change}: {found:?}");
            if what == "log" {
                continue;
            }
            owner.run(&undo).await;
            assert_eq!(verified(&home).await.findings, vec![], "{change}");
        }
        owner.close().await;
    }
}

/// The finding of one kind.
async fn finding_of(home: &Home, what: &str, change: &str) -> Finding {
    let findings = verified(home).await.findings;
    let found = findings.iter().find(|finding| finding.what == what).cloned();
    found.unwrap_or_else(|| panic!("{change}: {findings:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_text_or_a_key_that_is_gone_without_an_erasure_is_missed() {
    for home in Home::both().await {
        let registry = home.start().await;
        append(&registry, &idea(1, &some_text())).await;
        let sealed = append(&registry, &sealed_idea(1, "A plan that stays", "kept")).await.index;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        owner.run("DELETE FROM body WHERE subject = 'kept'").await;
        let found = finding_of(&home, "body", "a deleted text").await;
        assert_eq!(found.index, sealed, "{found:?}");
        owner.run("DELETE FROM subject_key").await;
        assert_eq!(finding_of(&home, "body", "a deleted key").await.index, sealed);
        owner.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_heads_are_of_this_log() {
    for home in Home::both().await {
        let registry = home.start().await;
        for _ in 0..3 {
            append(&registry, &idea(1, &some_text())).await;
        }
        until_signed(&registry).await;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let witness = SignerKey::new("witness.test", KeyKind::Witness, &[7; 32]).unwrap();
        let key = owner.texts("SELECT key FROM log").await.remove(0);
        let log = TrustedLog::from_key(VerifierKey::parse(&key).unwrap()).unwrap();
        let note = std::fs::read(home.place.data.join("v1/checkpoint")).unwrap();
        let signed = log.open(&note).unwrap();
        let line = signed.cosign(&witness, Timestamp::new(1_700_000_000).unwrap()).unwrap();
        let (size, root) = (signed.head().size, Sha256(signed.head().root.0));
        let key = witness.verifier();
        owner
            .run(&format!(
                "INSERT INTO cosignature (log, witness, size, root, line, made_at) \
                 VALUES (1, '{key}', {size}, '{root}', '{line}', 1)"
            ))
            .await;
        let report = verified(&home).await;
        assert_eq!((report.findings, report.checked.cosignatures), (vec![], 1));
        for change in [
            "UPDATE cosignature SET size = 2",
            "UPDATE cosignature SET line = replace(line, 'witness.test', 'other.test')",
            "UPDATE cosignature SET witness = replace(witness, 'witness.test', 'other.test')",
        ] {
            let undo =
                owner.texts("SELECT line || '|' || witness FROM cosignature").await.remove(0);
            let (line, witness) = undo.split_once('|').unwrap();
            assert_eq!(owner.run(change).await, 1);
            assert_eq!(finding(&home, change).await.what, "cosignature");
            owner
                .run(&format!(
                    "UPDATE cosignature SET size = {size}, line = '{line}', witness = '{witness}'"
                ))
                .await;
        }
        owner.unguard("checkpoint").await;
        owner.run(&format!("DELETE FROM checkpoint WHERE size = {size}")).await;
        let found = finding(&home, "no row of the head").await;
        assert_eq!((found.what, found.index), ("checkpoint", Some(size - 1)));
        owner.close().await;
    }
}

/// Goal: nothing is made at a place that was mistyped. Method: a directory, a file and a PostgreSQL database in which
/// there is no ledger.
#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_ledger_none_is_made() {
    let home = Home::sqlite();
    let missing = home.dir.path().join("mistyped");
    let place = Place::in_directory(&missing);
    for refused in [local(&place, None).await.map(drop), from_leaves(&place).await.map(drop)] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, ErrorCode::NotFound, "{refused}");
        assert!(refused.detail.contains("mistyped") && refused.hint.is_some(), "{refused:?}");
        assert!(!missing.exists());
    }
    std::fs::create_dir(&missing).unwrap();
    std::fs::write(missing.join("ideas.db"), "").unwrap();
    let refused = local(&place, None).await.unwrap_err();
    assert_eq!((refused.code, refused.detail.contains("no ledger")), (ErrorCode::NotFound, true));
    assert_eq!(std::fs::metadata(missing.join("ideas.db")).unwrap().len(), 0);

    let home = Home::postgres().await;
    let refused = local(&home.place, None).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound, "{refused}");
    let owner = Owner::of(&home.place).await;
    let schemas = "SELECT nspname FROM pg_namespace WHERE nspname = 'mesh_ideas'";
    assert_eq!(owner.texts(schemas).await, Vec::<String>::new());
    owner.close().await;
}

/// Goal: what a registry adds meanwhile is no finding. Method: verify again and again while eight writers append, so that
/// rows, projections and files change between any two reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_grows_meanwhile_is_verified_in_one_state() {
    for home in Home::both().await {
        let registry = home.start().await;
        append(&registry, &idea(1, &some_text())).await;
        until_signed(&registry).await;
        let writing = async {
            for round in 0..40 {
                let writers = (1..=8).map(|author| {
                    let writer = registry.shared.writer.clone();
                    async move { writer.append(&kit::idea(author, &some_text())).await.unwrap() }
                });
                futures::future::join_all(writers).await;
                if round % 10 == 9 {
                    registry.shared.writer.erase(format!("subject-{round}")).await.unwrap();
                }
            }
        };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let verifying = async {
            let mut stopped = stopped;
            let mut runs = 0;
            while stopped.try_recv().is_err() || runs < 3 {
                assert_eq!(verified(&home).await.findings, vec![], "run {runs}");
                runs += 1;
            }
        };
        let writing = async {
            writing.await;
            stop.send(()).unwrap();
        };
        futures::future::join(writing, verifying).await;
        registry.stop().await;
    }
}
