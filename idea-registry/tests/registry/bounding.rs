//! Answers and texts at their bounds: a long history, texts without a letter, two texts of one hash, parents that were
//! seen again.

use futures::future::join_all;
use mesh_ideas_core::body_hash;
use mesh_schemas::{
    ErrorCode,
    idea::{
        BodyRef, IdeaQuery, IdeaStatus, LedgerAnswer, LedgerAsk, Relation, Say, SearchQuery,
        Sha256, Submission,
    },
};

use crate::{
    filling::{append, refused, verified},
    kit::{self, Home, answers, idea, say, some_text, with_text},
};

#[tokio::test(flavor = "multi_thread")]
async fn owners_and_the_latest_text_are_told_of_an_idea_with_a_long_history() {
    let home = Home::sqlite();
    let registry = home.start().await;
    let idea = append(&registry, &idea(1, &some_text())).await.idea.unwrap();
    let text = some_text();
    let revision = Say::Revision { idea, body: kit::body(&text) };
    append(&registry, &with_text(1, revision, &text)).await;
    let release =
        append(&registry, &say(1, Say::Release { idea, follows: idea.into() })).await.entry;
    append(&registry, &say(2, Say::Claim { idea, follows: release })).await;
    let status = |n: usize| {
        let reason = Some(format!("{n} {}", "x".repeat(1_000)));
        say(2, Say::Status { idea, status: IdeaStatus::Accepted, reason })
    };
    let all: Vec<Submission> = (0..900).map(status).collect();
    join_all(all.iter().map(|submission| append(&registry, submission))).await;
    let answer = answers(&registry).answer(LedgerAsk::Show { idea: idea.to_string() }).await;
    let LedgerAnswer::Idea(detail) = answer else { panic!("{answer:?}") };
    assert!(detail.entries.len() < 900, "what it has no room for is left out");
    assert_eq!(detail.owners.len(), 3, "{:?}", detail.owners);
    assert_eq!(detail.owners.last().unwrap().holder, detail.view.holder);
    assert_eq!(detail.text.as_deref(), Some(text.as_str()));
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_without_a_letter_are_like_nothing() {
    let home = Home::sqlite();
    let registry = home.start().await;
    for text in ["!!!", "\u{2026}", "\u{1f600} \u{1f600}"] {
        assert_eq!(append(&registry, &idea(1, text)).await.similar, vec![], "{text}");
    }
    for text in ["", "?!"] {
        let search = SearchQuery { text: text.into(), similar: true, limit: None };
        let answer = answers(&registry).answer(LedgerAsk::Search(search)).await;
        let LedgerAnswer::Problem(problem) = answer else { panic!("{answer:?}") };
        assert_eq!((problem.code, problem.field.as_deref()), (ErrorCode::Invalid, Some("text")));
    }
    let query = IdeaQuery { tag: Some("\0".into()), ..IdeaQuery::default() };
    let answer = answers(&registry).answer(LedgerAsk::List(query)).await;
    let LedgerAnswer::Problem(problem) = answer else { panic!("{answer:?}") };
    assert_eq!((problem.code, problem.field.as_deref()), (ErrorCode::Invalid, Some("tag")));
    registry.stop().await;
}

/// An open text that begins with the salt of a sealed one has its hash.
#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_and_an_open_text_never_share_a_hash() {
    for home in Home::both().await {
        let registry = home.start().await;
        let salt = Sha256([b'a'; 32]);
        let pair = |secret: &str| {
            let hash = body_hash(secret, Some(&salt.0));
            let body = BodyRef { hash, sealed: Some("someone".into()), ..kit::body(secret) };
            let what = Say::Idea { body, parents: vec![], tags: vec![], source: None };
            let sealed = Submission { salt: Some(salt), ..with_text(1, what, secret) };
            let open = idea(2, &format!("{}{secret}", "a".repeat(32)));
            let of = |submission: &Submission| submission.entry.say.body().unwrap().hash;
            assert_eq!(of(&sealed), of(&open));
            (sealed, open)
        };
        let (sealed, open) = pair("a plan");
        append(&registry, &sealed).await;
        assert_eq!(refused(&registry, &open).await, ErrorCode::Invalid);
        let (sealed, open) = pair("another plan");
        append(&registry, &open).await;
        assert_eq!(refused(&registry, &sealed).await, ErrorCode::Invalid);
        let (sealed, open) = pair("a third plan");
        let writer = &registry.shared.writer;
        let both = tokio::join!(writer.append(&sealed), writer.append(&open));
        assert_eq!(u8::from(both.0.is_ok()) + u8::from(both.1.is_ok()), 1, "{both:?}");
        registry.stop().await;
        assert_eq!(verified(&home).await.findings, vec![]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_a_text_that_was_there_is_a_child_of_its_idea() {
    for home in Home::both().await {
        let registry = home.start().await;
        let text = some_text();
        let first = append(&registry, &idea(1, &text)).await.idea.unwrap();
        let again = idea(2, &text);
        let id = mesh_ideas_core::entry_id(&again.entry).into();
        let child = |text: &str| {
            let body = kit::body(text);
            with_text(2, Say::Idea { body, parents: vec![id], tags: vec![], source: None }, text)
        };
        let early = child(&some_text());
        assert_eq!(refused(&registry, &early).await, ErrorCode::NotFound);
        assert!(!append(&registry, &again).await.created);
        let early = append(&registry, &early).await.idea.unwrap();
        registry.stop().await;

        // From the rows, and from the leaves.
        let registry = home.start().await;
        let late = append(&registry, &child(&some_text())).await.idea.unwrap();
        let link = |from, to| Say::Link {
            from,
            to,
            relation: Relation::Derives,
            proposed: false,
            likeness: None,
        };
        assert_eq!(refused(&registry, &say(3, link(first, late))).await, ErrorCode::Cycle);
        let show = LedgerAsk::Show { idea: first.to_string() };
        let LedgerAnswer::Idea(detail) = answers(&registry).answer(show).await else { panic!() };
        let children: Vec<_> = detail.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        assert_eq!(children.len(), 2, "{children:?}");
        assert!(children.contains(&(early, first)) && children.contains(&(late, first)));
        registry.stop().await;
        assert_eq!(verified(&home).await.findings, vec![]);
        mesh_ideas::rebuild::from_leaves(&home.place).await.unwrap();
        assert_eq!(verified(&home).await.findings, vec![]);
    }
}
