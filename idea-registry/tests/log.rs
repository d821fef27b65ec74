//! The log over both databases: restarts, tampering, rebuilding, going on with a new origin.

#![allow(clippy::unwrap_used, reason = "tests")]

mod kit;

use std::{fs, path::Path};

use kit::{Home, Owner, answers, idea, say, sealed_idea, some_text, until_signed, with_text};
use mesh_ideas::{
    rebuild::{from_leaves, from_tiles},
    registry::Registry,
    restart::restart_origin,
    verify::{Report, local},
};
use mesh_schemas::{
    ErrorCode, JobId,
    attempt::JobState,
    idea::{
        Appended, IdeaId, IdeaQuery, IdeaStatus, LedgerAnswer, LedgerAsk, Relation, Say,
        SearchQuery, Submission,
    },
};
use mesh_tlog::{Hash, TreeHead, leaf_hash, verify_consistency, verify_inclusion};

async fn append(registry: &Registry, submission: &Submission) -> Appended {
    registry.shared.writer.append(submission).await.unwrap()
}

async fn refused(registry: &Registry, submission: &Submission) -> ErrorCode {
    registry.shared.writer.append(submission).await.unwrap_err().code
}

/// Something of every kind; the last idea.
async fn fill(registry: &Registry) -> IdeaId {
    let first = append(registry, &idea(1, "Keep the caches of builds warm overnight")).await;
    let first_id = first.idea.unwrap();
    let twin = append(registry, &idea(2, "keep the cache of builds warm over night!")).await;
    assert_eq!(twin.similar.first().map(|(idea, _)| *idea), Some(first_id), "{twin:?}");
    let again = append(registry, &idea(3, "KEEP the caches of builds warm overnight")).await;
    assert_eq!((again.created, again.idea), (false, Some(first_id)));
    for _ in 0..20 {
        append(registry, &idea(4, &some_text())).await;
    }
    let other = append(registry, &idea(5, "Write the logs of nodes in colour")).await.idea.unwrap();
    let text = "Write the logs of nodes in colours that everybody can tell apart";
    append(registry, &with_text(5, Say::Revision { idea: other, body: kit::body(text) }, text))
        .await;
    let comment = Say::Comment { idea: other, body: kit::body("No.") };
    let comment = append(registry, &with_text(6, comment, "No.")).await;
    append(registry, &say(6, Say::Tombstone { entry: comment.entry, reason: "rude".into() })).await;
    let relation = Relation::Blocks;
    let link = Say::Link { from: other, to: first_id, relation, proposed: false, likeness: None };
    append(registry, &say(7, link)).await;
    let back = Say::Link { from: first_id, to: other, relation, proposed: false, likeness: None };
    assert_eq!(refused(registry, &say(7, back)).await, ErrorCode::Cycle);
    let release =
        append(registry, &say(5, Say::Release { idea: other, follows: other.into() })).await;
    append(registry, &say(8, Say::Claim { idea: other, follows: release.entry })).await;
    let accepted = Say::Status { idea: other, status: IdeaStatus::Accepted, reason: None };
    assert_eq!(refused(registry, &say(5, accepted.clone())).await, ErrorCode::NotHolder);
    append(registry, &say(8, accepted)).await;
    let rank = Say::Rank { idea: other, impact: Some(80), cost: None, risk: None, vote: Some(1) };
    append(registry, &say(9, rank)).await;
    let job = JobId::from_uuid(uuid::Uuid::from_u128(7));
    for state in [JobState::Running, JobState::Running, JobState::Succeeded] {
        registry.shared.writer.job_state(other, job, state, "colours".into()).await.unwrap();
    }
    append(registry, &sealed_idea(1, "A secret plan of the first", "someone")).await;
    let again = append(registry, &sealed_idea(2, "a secret  plan of the first", "someone")).await;
    assert!(!again.created);
    registry.shared.writer.erase("someone".into()).await.unwrap();
    let after = append(registry, &sealed_idea(1, "A secret plan of the first", "someone")).await;
    assert!(after.created, "what was erased is not remembered");
    other
}

async fn verified(home: &Home) -> Report {
    local(&home.place).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_appended_is_there_after_a_restart_and_verifies() {
    for home in Home::both().await {
        let registry = home.start().await;
        let submission = idea(1, &some_text());
        let first = append(&registry, &submission).await;
        fill(&registry).await;
        let size = registry.shared.writer.size();
        registry.stop().await;

        let registry = home.start().await;
        assert_eq!(registry.shared.writer.size(), size);
        let again = append(&registry, &submission).await;
        assert_eq!((again.index, again.entry, again.created), (first.index, first.entry, false));
        assert_eq!(registry.shared.writer.size(), size);
        registry.stop().await;
        let report = verified(&home).await;
        assert_eq!(report.findings, vec![]);
        assert_eq!(
            (report.signed, report.checked.entries, report.checked.leaves),
            (size, size, size)
        );
        assert!(report.checked.projections > 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_from_the_projections() {
    for home in Home::both().await {
        let registry = home.start().await;
        let other = fill(&registry).await;
        let answers = answers(&registry);
        let LedgerAnswer::Idea(detail) =
            answers.answer(LedgerAsk::Show { idea: other.to_string()[..15].into() }).await
        else {
            panic!("no idea")
        };
        assert_eq!(detail.view.status, IdeaStatus::Accepted);
        assert_eq!(
            detail.text.as_deref(),
            Some("Write the logs of nodes in colours that everybody can tell apart")
        );
        assert_eq!(
            detail.owners.iter().map(|owner| owner.holder.is_some()).collect::<Vec<_>>(),
            [true, false, true]
        );
        assert_eq!((detail.edges.len(), detail.jobs.len(), detail.view.votes), (1, 1, 1));
        assert!(detail.entries.iter().all(|view| view.text.as_deref() != Some("No.")));

        let search = |text: &str, similar| {
            LedgerAsk::Search(SearchQuery { text: text.into(), similar, limit: None })
        };
        for ask in [
            search("COLOURS  logs", false),
            search("write logs of nodes in colours everybody can tell apart", true),
        ] {
            let LedgerAnswer::Ideas { items, .. } = answers.answer(ask).await else { panic!() };
            assert_eq!(items.first().map(|item| item.id), Some(other));
        }
        let LedgerAnswer::Ideas { items, .. } = answers.answer(search("secret", false)).await
        else {
            panic!()
        };
        assert_eq!(items, vec![], "no word of a sealed text is kept");

        let mut cursor = None;
        let mut seen = Vec::new();
        loop {
            let query = IdeaQuery { limit: Some(7), cursor, ..IdeaQuery::default() };
            let LedgerAnswer::Ideas { items, next } = answers.answer(LedgerAsk::List(query)).await
            else {
                panic!()
            };
            seen.extend(items.iter().map(|item| item.index));
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 25);
        assert!(seen.is_sorted_by(|a, b| a > b));
        let LedgerAnswer::Ranking { items } =
            answers.answer(LedgerAsk::Rank(Default::default())).await
        else {
            panic!()
        };
        assert_eq!(items[0].idea.id, other);
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_lead_to_the_signed_root() {
    let home = Home::sqlite();
    let registry = home.start().await;
    let answers = answers(&registry);
    let first = append(&registry, &idea(1, &some_text())).await;
    until_signed(&registry).await;
    let head = |answer: LedgerAnswer| {
        let LedgerAnswer::Proof(proof) = answer else { panic!("{answer:?}") };
        let key = mesh_tlog::VerifierKey::parse(&proof.checkpoint.key).unwrap();
        let log = mesh_tlog::TrustedLog::from_key(key).unwrap();
        (log.open(proof.checkpoint.note.as_bytes()).unwrap().head(), proof)
    };
    let prove = |entry, old_size| LedgerAsk::Prove { entry, old_size };
    let (old, _) = head(answers.answer(prove(Some(first.entry), None)).await);
    for _ in 0..300 {
        append(&registry, &idea(2, &some_text())).await;
    }
    let (new, proof) = head(answers.answer(prove(Some(first.entry), Some(old.size))).await);
    let hashes =
        |proof: &[mesh_schemas::idea::Sha256]| proof.iter().map(|h| Hash(h.0)).collect::<Vec<_>>();
    let entry = proof.entry.unwrap();
    let leaf = leaf_hash(entry.data.as_bytes());
    assert_eq!(verify_inclusion(new, entry.index, leaf, &hashes(&proof.inclusion)), Ok(()));
    assert_eq!(verify_consistency(old, new, &hashes(&proof.consistency)), Ok(()));
    let forged = TreeHead { size: old.size, root: Hash([7; 32]) };
    assert!(verify_consistency(forged, new, &hashes(&proof.consistency)).is_err());
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_databases_owner_is_refused_and_past_the_guard_found() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let forged = "UPDATE leaf SET data = replace(data, 'idea', 'idee') WHERE idx = 7";
        for refused in [
            forged,
            "DELETE FROM leaf WHERE idx = 7",
            "UPDATE checkpoint SET size = 1",
            "DELETE FROM log",
            "INSERT INTO leaf (log, idx, id, hash, data) SELECT 1, 99999, 'x', 'y', 'z'",
            "INSERT INTO leaf (log, idx, id, hash, data) SELECT log, idx, id, hash, data FROM leaf WHERE idx = 7",
        ] {
            assert!(owner.try_run(refused).await.is_err(), "{refused}");
        }
        if matches!(owner, Owner::Postgres(_)) {
            assert!(owner.try_run("TRUNCATE leaf").await.is_err());
        } else {
            let replace = "INSERT OR REPLACE INTO leaf SELECT log, idx, id, hash, '{}' FROM leaf WHERE idx = 7";
            assert!(owner.try_run(replace).await.is_err());
        }
        assert_eq!(verified(&home).await.findings, vec![]);
        owner.unguard("leaf").await;
        assert_eq!(owner.run(forged).await, 1);
        let report = verified(&home).await;
        assert!(!report.ok);
        assert_eq!(
            (report.findings[0].index, report.findings[0].what),
            (Some(7), "leaf"),
            "{report:?}"
        );
    }
}

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_where_it_is() {
    let home = Home::sqlite();
    let registry = home.start().await;
    for _ in 0..300 {
        append(&registry, &idea(1, &some_text())).await;
    }
    registry.stop().await;
    let v1 = home.place.data.join("v1");
    for (file, least) in [
        ("tile/0/000", 128),
        ("tile/entries/000", 100),
        ("tile/0/001.p/44", 256),
        ("tile/1/000.p/1", 0),
    ] {
        let path = v1.join(file);
        flip(&path);
        let report = verified(&home).await;
        let first = &report.findings[0];
        assert_eq!(first.what, "tile", "{file}: {report:?}");
        assert!(first.detail.contains(file) && first.index.unwrap() >= least, "{file}: {first:?}");
        flip(&path);
    }
    assert!(verified(&home).await.ok);
    flip(&v1.join("checkpoint"));
    assert_eq!(verified(&home).await.findings[0].what, "checkpoint");
    flip(&v1.join("checkpoint"));

    let owner = Owner::of(&home.place).await;
    owner.run("UPDATE body SET text = text || '!' WHERE hash = (SELECT hash FROM body ORDER BY rowid LIMIT 1 OFFSET 41)").await;
    let report = verified(&home).await;
    assert_eq!(
        (report.findings[0].index, report.findings[0].what),
        (Some(41), "body"),
        "{report:?}"
    );
    owner
        .run("UPDATE body SET text = substr(text, 1, length(text) - 1) WHERE text LIKE '%!'")
        .await;
    assert!(verified(&home).await.ok);
    owner.run("UPDATE idea SET title = 'other' WHERE idx = 5").await;
    let report = verified(&home).await;
    assert_eq!((report.findings[0].index, report.findings[0].what), (Some(5), "projection"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_projections_come_back_row_by_row() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let before = owner.projections().await;
        assert!(before.len() > 100);
        for table in [
            "idea", "tag", "about", "hidden", "seen", "content", "edge", "job", "opinion", "near",
            "erased", "words",
        ] {
            owner.run(&format!("DELETE FROM {table}")).await;
        }
        fs::remove_dir_all(home.place.data.join("v1/tile")).unwrap();
        let rebuilt = from_leaves(&home.place).await.unwrap();
        let after = owner.projections().await;
        let lost: Vec<_> = before.iter().filter(|row| !after.contains(row)).collect();
        let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
        assert_eq!((lost, new), (vec![], vec![]));
        let report = verified(&home).await;
        assert_eq!((report.findings, report.signed), (vec![], rebuilt.entries));
        let registry = home.start().await;
        let search = SearchQuery { text: "caches warm".into(), similar: false, limit: None };
        let LedgerAnswer::Ideas { items, .. } =
            answers(&registry).answer(LedgerAsk::Search(search)).await
        else {
            panic!()
        };
        assert_eq!(items.len(), 1);
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_back_from_tiles() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        let size = registry.shared.writer.size();
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let before =
            owner.texts("SELECT id || ' ' || hash || ' ' || data FROM leaf ORDER BY idx").await;
        // Another database; the texts are kept, as a backup of the objects would.
        for table in ["leaf", "checkpoint"] {
            owner.unguard(table).await;
            owner.run(&format!("DELETE FROM {table}")).await;
        }
        let rebuilt = from_tiles(&home.place).await.unwrap();
        assert_eq!((rebuilt.entries, rebuilt.leaves_added, rebuilt.signed), (size, size, size));
        let after =
            owner.texts("SELECT id || ' ' || hash || ' ' || data FROM leaf ORDER BY idx").await;
        assert_eq!(after, before);
        assert_eq!(verified(&home).await.findings, vec![]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_yesterday_halts_the_log_and_a_new_origin_goes_on() {
    let home = Home::sqlite();
    let registry = home.start().await;
    let early = append(&registry, &idea(1, &some_text())).await;
    until_signed(&registry).await;
    registry.stop().await;
    let database = home.place.data.join("ideas.db");
    let backup = home.dir.path().join("backup.db");
    fs::copy(&database, &backup).unwrap();
    let registry = home.start().await;
    let lost = idea(2, &some_text());
    append(&registry, &lost).await;
    until_signed(&registry).await;
    registry.stop().await;
    fs::copy(&backup, &database).unwrap();

    let registry = home.start().await;
    assert_eq!(refused(&registry, &lost).await, ErrorCode::LedgerRollback);
    let LedgerAnswer::Stats(stats) = answers(&registry).answer(LedgerAsk::Stats {}).await else {
        panic!()
    };
    assert!(stats.halted.is_some());
    registry.stop().await;
    let note = fs::read_to_string(home.place.data.join("v1/checkpoint")).unwrap();
    assert_eq!(note.lines().nth(1), Some("2"), "nothing was signed behind it");

    let restarted = restart_origin(&home.place).await.unwrap();
    assert!(restarted.origin.ends_with("/ideas/v2"), "{restarted:?}");
    assert_eq!((restarted.old_size, restarted.entries), (2, 2));
    let registry = home.start().await;
    // It is sent again from the spool of who said it.
    assert!(append(&registry, &lost).await.created);
    let LedgerAnswer::Exists { exists } =
        answers(&registry).answer(LedgerAsk::Exists { idea: early.idea.unwrap() }).await
    else {
        panic!()
    };
    assert!(exists);
    registry.stop().await;
    let report = verified(&home).await;
    assert_eq!((report.findings, report.signed), (vec![], 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_log_has_one_writer() {
    for home in Home::both().await {
        let registry = home.start().await;
        let second = Registry::start(&home.place).await.unwrap_err();
        assert_eq!(second.code, ErrorCode::Locked);
        let elsewhere = home.dir.path().join("other");
        let place = mesh_ideas::registry::Place { data: elsewhere, ..home.place.clone() };
        assert_eq!(Registry::start(&place).await.unwrap_err().code, ErrorCode::Locked);
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_is_never_made_anew_for_a_log_with_leaves() {
    let home = Home::sqlite();
    let registry = home.start().await;
    append(&registry, &idea(1, &some_text())).await;
    registry.stop().await;
    let file = home.place.data.join("identity.json");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&file).unwrap();
    assert_eq!(Registry::start(&home.place).await.unwrap_err().code, ErrorCode::Config);
    assert!(!file.exists());
}
