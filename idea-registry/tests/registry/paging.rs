//! Ideas with more than one answer has room for: what is left out is said, and every page together is all of it.

use std::collections::BTreeSet;

use futures::future::join_all;
use mesh_ideas::{ask::Answers, registry::Registry};
use mesh_ideas_core::entry_id;
use mesh_schemas::{
    ErrorCode, JobId,
    attempt::JobState,
    idea::{
        Direction, EdgeQuery, EdgeView, EntryId, EntryView, IdeaDetail, IdeaId, IdeaJob, IdeaPart,
        LedgerAnswer, LedgerAsk, PartQuery, Relation, Say,
    },
};
use uuid::Uuid;

use crate::{
    filling::append,
    kit::{Home, answers, body, idea, key, say, some_text, with_text},
};

/// More rows of each kind than an answer shows.
const MANY: usize = 260;
/// More steps of the chain of holders than an answer follows.
const STEPS: u8 = 70;

fn link(from: IdeaId, to: IdeaId) -> Say {
    let relation = Relation::Derives;
    Say::Link { from, to, relation, proposed: false, likeness: None }
}

async fn show(answers: &Answers, idea: &str) -> IdeaDetail {
    match answers.answer(LedgerAsk::Show { idea: idea.into() }).await {
        LedgerAnswer::Idea(detail) => *detail,
        other => panic!("{other:?}"),
    }
}

/// All pages of a list, each of at most `limit` rows.
async fn pages<T>(
    answers: &Answers,
    limit: u32,
    ask: impl Fn(Option<String>) -> LedgerAsk,
    rows: impl Fn(LedgerAnswer) -> (Vec<T>, Option<String>),
) -> Vec<T> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let (items, next) = rows(answers.answer(ask(cursor)).await);
        assert!(items.len() <= limit as usize);
        assert!(!items.is_empty() || next.is_none(), "a page that is followed has a row");
        all.extend(items);
        cursor = next;
        if cursor.is_none() {
            return all;
        }
    }
}

fn part(idea: IdeaId, limit: u32) -> impl Fn(Option<String>) -> PartQuery {
    move |cursor| PartQuery { idea, cursor, limit: Some(limit) }
}

async fn entries(answers: &Answers, idea: IdeaId, limit: u32) -> Vec<EntryView> {
    let query = part(idea, limit);
    let ask = |cursor| LedgerAsk::About(query(cursor));
    pages(answers, limit, ask, |answer| match answer {
        LedgerAnswer::About { items, next } => (items, next),
        other => panic!("{other:?}"),
    })
    .await
}

async fn jobs(answers: &Answers, idea: IdeaId, limit: u32) -> Vec<IdeaJob> {
    let query = part(idea, limit);
    let ask = |cursor| LedgerAsk::Jobs(query(cursor));
    pages(answers, limit, ask, |answer| match answer {
        LedgerAnswer::Jobs { items, next } => (items, next),
        other => panic!("{other:?}"),
    })
    .await
}

async fn edges(answers: &Answers, idea: Option<IdeaId>, limit: u32) -> Vec<EdgeView> {
    let ask = |cursor| LedgerAsk::Edges(EdgeQuery { idea, cursor, limit: Some(limit) });
    pages(answers, limit, ask, |answer| match answer {
        LedgerAnswer::Edges { items, next } => (items, next),
        other => panic!("{other:?}"),
    })
    .await
}

/// Ideas that derive from one, remarks on it, jobs of it, and a long chain of holders.
async fn grow(registry: &Registry, hub: IdeaId) -> (BTreeSet<IdeaId>, Vec<EntryId>) {
    let children: Vec<_> = (0..MANY).map(|_| idea(1, &some_text())).collect();
    join_all(children.iter().map(|child| append(registry, child))).await;
    let ids: BTreeSet<IdeaId> =
        children.iter().map(|child| entry_id(&child.entry).into()).collect();
    let links: Vec<_> = ids.iter().map(|id| say(2, link(*id, hub))).collect();
    join_all(links.iter().map(|link| append(registry, link))).await;
    let remarks: Vec<_> = (0..MANY)
        .map(|_| {
            let text = some_text();
            with_text(3, Say::Comment { idea: hub, body: body(&text) }, &text)
        })
        .collect();
    join_all(remarks.iter().map(|remark| append(registry, remark))).await;
    let writer = &registry.shared.writer;
    let begun = (0..MANY).map(|n| {
        let job = JobId::from_uuid(Uuid::from_u128(n as u128 + 1));
        writer.job_state(hub, job, JobState::Succeeded, format!("job {n}"))
    });
    for begun in join_all(begun).await {
        begun.unwrap();
    }
    let mut chain = vec![EntryId::from(hub)];
    for n in 1..STEPS {
        let follows = chain.last().copied().unwrap();
        let to = mesh_ideas_core::author_of(&key(n + 1));
        let transfer = say(n, Say::Transfer { idea: hub, to, follows });
        chain.push(append(registry, &transfer).await.entry);
    }
    (ids, chain)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_has_no_room_for_is_named_and_had_page_by_page() {
    for home in Home::both().await {
        let registry = home.start().await;
        let filed = append(&registry, &idea(1, &some_text())).await;
        let hub = filed.idea.unwrap();
        let (children, chain) = grow(&registry, hub).await;
        let answers = answers(&registry);
        let shown = show(&answers, &hub.to_string()).await;
        assert_eq!(shown.truncated, IdeaPart::ALL);
        assert_eq!(shown.entries[0].id, hub.into(), "the idea itself");
        assert_eq!(shown.entries.last().unwrap().id, *chain.last().unwrap(), "and the newest");
        assert_eq!(shown.owners[0].entry, hub.into());
        assert_eq!(shown.owners.last().unwrap().entry, *chain.last().unwrap());
        assert_eq!(shown.owners.last().unwrap().holder, shown.view.holder);
        assert!(shown.owners.len() < chain.len());
        assert_eq!(shown.jobs.last().unwrap().job_name, format!("job {}", MANY - 1));

        for limit in [1_000, 97] {
            let all = entries(&answers, hub, limit).await;
            assert_eq!(all.len(), 1 + 3 * MANY + chain.len() - 1);
            assert!(all.is_sorted_by(|a, b| a.index < b.index));
            assert!(shown.entries.iter().all(|view| all.iter().any(|other| other.id == view.id)));
            let all = jobs(&answers, hub, limit).await;
            let names: BTreeSet<String> = all.iter().map(|job| job.job_name.clone()).collect();
            assert_eq!((all.len(), names.len()), (MANY, MANY));
            let all = edges(&answers, Some(hub), limit).await;
            let ends: BTreeSet<IdeaId> = all.iter().map(|edge| edge.from).collect();
            assert_eq!((all.len(), ends), (MANY, children.clone()));
            assert_eq!(edges(&answers, None, limit).await.len(), MANY);
        }
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_that_is_too_large_is_a_part_that_says_so() {
    let home = Home::sqlite();
    let registry = home.start().await;
    let hub = append(&registry, &idea(1, &some_text())).await.idea.unwrap();
    let small = append(&registry, &idea(1, &some_text())).await.idea.unwrap();
    let children: Vec<_> = (0..600).map(|_| idea(1, &some_text())).collect();
    join_all(children.iter().map(|child| append(&registry, child))).await;
    let ids: Vec<IdeaId> = children.iter().map(|child| entry_id(&child.entry).into()).collect();
    let links: Vec<_> = ids.iter().map(|id| say(2, link(*id, hub))).collect();
    join_all(links.iter().map(|link| append(&registry, link))).await;
    append(&registry, &say(1, link(hub, small))).await;
    let answers = answers(&registry);
    for (idea, direction, whole) in [
        (None, Direction::Both, false),
        (Some(hub), Direction::Both, false),
        (Some(hub), Direction::In, false),
        (Some(hub), Direction::Out, true),
        (Some(small), Direction::Out, true),
    ] {
        let ask = LedgerAsk::Graph { idea, depth: 1, direction };
        let LedgerAnswer::Graph(graph) = answers.answer(ask).await else { panic!() };
        assert_eq!(graph.truncated, !whole, "{idea:?} {direction}");
        assert!(graph.ideas.len() <= 500 && !graph.ideas.is_empty());
        let ids: BTreeSet<IdeaId> = graph.ideas.iter().map(|idea| idea.id).collect();
        assert!(graph.edges.iter().all(|e| ids.contains(&e.from) && ids.contains(&e.to)));
        assert!(idea.is_none_or(|idea| ids.contains(&idea)));
    }
    assert_eq!(edges(&answers, None, 100).await.len(), 601);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_nothing_and_from_nowhere_are_refused() {
    let home = Home::sqlite();
    let registry = home.start().await;
    let filed = append(&registry, &idea(1, &some_text())).await.idea.unwrap();
    let answers = answers(&registry);
    let of = |idea, cursor: Option<&str>, limit| PartQuery {
        idea,
        cursor: cursor.map(Into::into),
        limit,
    };
    let kinds = |query: PartQuery| {
        let PartQuery { idea, cursor, limit } = query.clone();
        let edges = EdgeQuery { idea: Some(idea), cursor, limit };
        [LedgerAsk::About(query.clone()), LedgerAsk::Jobs(query), LedgerAsk::Edges(edges)]
    };
    let nobody = IdeaId([9; 32]);
    for (query, code) in [
        (of(nobody, None, None), ErrorCode::NotFound),
        (of(filed, None, Some(0)), ErrorCode::Invalid),
        (of(filed, None, Some(1_001)), ErrorCode::Invalid),
        (of(filed, Some("x"), None), ErrorCode::Cursor),
        (of(filed, Some("-1"), None), ErrorCode::Cursor),
        (of(filed, Some("a.b.c.d"), None), ErrorCode::Cursor),
    ] {
        for ask in kinds(query.clone()) {
            let name = ask.name();
            match answers.answer(ask).await {
                LedgerAnswer::Problem(problem) => {
                    assert_eq!(problem.code, code, "{name} {query:?}")
                }
                other => panic!("{name} {query:?}: {other:?}"),
            }
        }
    }
    registry.stop().await;
}

/// Whoever filed it while the mesh was away knows its own id alone, and may have named it in a job.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_text_that_was_there_is_a_job_of_its_idea() {
    for home in Home::both().await {
        let registry = home.start().await;
        let text = some_text();
        let first = append(&registry, &idea(1, &text)).await.idea.unwrap();
        let again = idea(2, &text);
        let id: IdeaId = entry_id(&again.entry).into();
        let answers = answers(&registry);
        let told = || {
            let job = JobId::from_uuid(Uuid::from_u128(7));
            LedgerAsk::JobState { idea: id, job, state: JobState::Queued, job_name: "x".into() }
        };
        let exists = || answers.answer(LedgerAsk::Exists { idea: id });
        assert_eq!(exists().await, LedgerAnswer::Exists { exists: false });
        let early = answers.answer(told()).await;
        assert!(matches!(&early, LedgerAnswer::Problem(p) if p.code == ErrorCode::NotFound));
        append(&registry, &again).await;
        assert_eq!(exists().await, LedgerAnswer::Exists { exists: true });
        let taken = answers.answer(told()).await;
        assert!(matches!(&taken, LedgerAnswer::Appended(a) if a.idea == Some(first)), "{taken:?}");
        let shown = show(&answers, &id.to_string()).await;
        assert_eq!((shown.view.id, shown.jobs.len(), shown.truncated), (first, 1, vec![]));
        registry.stop().await;
    }
}
