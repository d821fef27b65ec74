//! What may be appended: one history after the other, each ending in something that must be refused.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

mod kit;
#[path = "kit/log.rs"]
mod log;

use kit::*;
use log::{Log, Outcome, SUBJECT_KEY};
use mesh_ideas_core::{entry_id, ledger::TextFacts, near::near, text};
use mesh_schemas::{
    ErrorCode,
    attempt::JobState,
    idea::{IdeaId, IdeaStatus, Relation, Say, Sha256, Submission},
};

fn refused(outcome: Outcome) -> (ErrorCode, String) {
    let problem = outcome.unwrap_err();
    (problem.code, problem.field.unwrap())
}

fn not_holder(field: &str) -> (ErrorCode, String) {
    (ErrorCode::NotHolder, field.into())
}

fn claim(idea: IdeaId, follows: mesh_schemas::idea::EntryId) -> Say {
    Say::Claim { idea, follows }
}

#[test]
fn the_same_entry_is_appended_once() {
    let mut log = Log::default();
    let submission = idea(1, "One idea");
    assert_eq!(log.submit(&submission).unwrap(), (0, true));
    assert_eq!(log.submit(&submission).unwrap(), (0, false));
    assert_eq!(log.ledger.size, 1);
}

#[test]
fn the_same_text_is_one_idea_however_often_it_is_filed() {
    let mut log = Log::default();
    let first = log.file(1, "Sort the  Queue");
    let again = idea(2, "sort THE queue\n");
    assert_eq!(log.submit(&again).unwrap(), (1, false));
    // A repeat of what was not appended counts no second time.
    assert_eq!(log.submit(&again).unwrap(), (1, false));
    for n in 3..20 {
        log.submit(&idea(n, "sort the queue")).unwrap();
    }
    assert_eq!((log.ledger.ideas.len(), log.ledger.ideas[&first].seen_again), (1, 18));
    assert_eq!(log.leaves[1].author, author(0));
    assert!(matches!(log.leaves[1].say, Say::SeenAgain { by, .. } if by == author(2)));
}

#[test]
fn a_text_that_an_idea_once_had_is_still_that_ideas() {
    let mut log = Log::default();
    let first = log.file(1, "old words");
    let revise = |n, idea, text: &str| with_text(n, Say::Revision { idea, body: body(text) }, text);
    log.submit(&revise(1, first, "new words")).unwrap();
    assert_eq!(log.ledger.ideas[&first].title, "new words");
    assert!(!log.submit(&idea(2, "old words")).unwrap().1);
    assert!(!log.submit(&idea(2, "new words")).unwrap().1);
    let other = log.file(3, "third words");
    let taken = log.submit(&revise(3, other, "NEW words"));
    assert_eq!(refused(taken), (ErrorCode::WrongState, "body".into()));
    assert_eq!(refused(log.submit(&revise(2, first, "x"))), not_holder("author"));
}

#[test]
fn what_is_named_must_be_there() {
    let mut log = Log::default();
    let known = log.file(1, "known");
    let (gone, follows) = (some_idea(9), some_entry(9));
    let orphan = with_text(1, idea_say("orphan", &[known, gone]), "orphan");
    assert_eq!(refused(log.submit(&orphan)), (ErrorCode::NotFound, "say.parents[1]".into()));
    let remark = with_text(1, Say::Comment { idea: gone, body: body("x") }, "x");
    assert_eq!(refused(log.submit(&remark)), (ErrorCode::NotFound, "say.idea".into()));
    let says = [
        ("say.from", link(gone, known, Relation::Blocks)),
        ("say.to", link(known, gone, Relation::Blocks)),
        ("say.idea", claim(gone, follows)),
        ("say.idea", Say::Status { idea: gone, status: IdeaStatus::Open, reason: None }),
        ("say.idea", Say::Rank { idea: gone, impact: Some(1), cost: None, risk: None, vote: None }),
        ("say.entry", Say::Tombstone { entry: follows, reason: "x".into() }),
    ];
    for (field, say) in says {
        assert_eq!(refused(log.say(1, say)), (ErrorCode::NotFound, field.into()));
    }
    assert_eq!(log.ledger.size, 1);
}

#[test]
fn an_idea_changes_hands_by_its_chain_alone() {
    let mut log = Log::default();
    let idea = log.file(1, "mine");
    let head = |log: &Log| log.ledger.ideas[&idea].holder.head;
    let at = head(&log);
    assert_eq!(refused(log.say(2, claim(idea, at))), not_holder("author"));
    let give = |to, follows| Say::Transfer { idea, to: author(to), follows };
    assert_eq!(refused(log.say(2, give(3, at))), not_holder("author"));
    log.say(1, give(2, at)).unwrap();
    // The giver has given it, and the chain has gone on.
    assert_eq!(refused(log.say(1, give(3, at))), not_holder("author"));
    assert_eq!(refused(log.say(2, give(3, at))), not_holder("say.follows"));
    let now = head(&log);
    log.say(2, Say::Release { idea, follows: now }).unwrap();
    assert_eq!(log.ledger.ideas[&idea].holder.author, None);
    let status = Say::Status { idea, status: IdeaStatus::Shipped, reason: None };
    assert_eq!(refused(log.say(2, status.clone())), not_holder("author"));
    // Of two claims at once only the first is appended.
    let free = head(&log);
    log.say(3, claim(idea, free)).unwrap();
    assert_eq!(refused(log.say(4, claim(idea, free))), not_holder("author"));
    log.say(3, status).unwrap();
    assert_eq!(log.ledger.ideas[&idea].status, IdeaStatus::Shipped);
    assert_eq!(log.ledger.ideas[&idea].author, author(1));
    let stale = Say::Release { idea, follows: free };
    assert_eq!(refused(log.say(3, stale)), not_holder("say.follows"));
}

#[test]
fn relations_go_round_nowhere_but_in_refuting() {
    let mut log = Log::default();
    let [a, b, c] = ["a", "b", "c"].map(|text| log.file(1, text));
    for relation in
        [Relation::Derives, Relation::Duplicates, Relation::Blocks, Relation::Implements]
    {
        log.say(1, link(a, b, relation)).unwrap();
        log.say(1, link(b, c, relation)).unwrap();
        let round = log.say(2, link(c, a, relation));
        assert_eq!(refused(round), (ErrorCode::Cycle, "say.to".into()));
        assert_eq!(refused(log.say(2, link(a, b, relation))).0, ErrorCode::WrongState);
    }
    for (from, to) in [(a, b), (b, c), (c, a), (b, a)] {
        log.say(1, link(from, to, Relation::Refutes)).unwrap();
    }
    let child = with_text(1, idea_say("child", &[a]), "child");
    log.submit(&child).unwrap();
    let up = log.say(1, link(c, entry_id(&child.entry).into(), Relation::Derives));
    assert_eq!(refused(up), (ErrorCode::Cycle, "say.to".into()));
}

#[test]
fn a_persons_link_confirms_a_proposal_and_a_proposal_binds_nobody() {
    let mut log = Log::default();
    let (a, b) = (log.file(1, "a"), log.file(1, "b"));
    let proposal = mesh_ideas_core::ledger::proposal(b, a, 900);
    log.say(0, proposal.clone()).unwrap();
    let edge = |log: &Log| {
        log.ledger.edges.values().map(|row| (row.proposed, row.likeness)).collect::<Vec<_>>()
    };
    assert_eq!(edge(&log), [(true, Some(900))]);
    assert_eq!(log.say(0, proposal).unwrap(), (2, false));
    let twice = mesh_ideas_core::ledger::proposal(b, a, 901);
    assert_eq!(refused(log.say(0, twice)).0, ErrorCode::WrongState);
    log.say(2, link(b, a, Relation::Duplicates)).unwrap();
    assert_eq!(edge(&log), [(false, None)]);
    assert_eq!(refused(log.say(3, link(a, b, Relation::Duplicates))).0, ErrorCode::Cycle);

    let mut log = Log::default();
    let (a, b) = (log.file(1, "a"), log.file(1, "b"));
    log.say(0, mesh_ideas_core::ledger::proposal(b, a, 900)).unwrap();
    log.say(2, link(a, b, Relation::Duplicates)).unwrap();
    // The other way round was only proposed; to confirm it now would close the circle.
    assert_eq!(refused(log.say(3, link(b, a, Relation::Duplicates))).0, ErrorCode::Cycle);
}

#[test]
fn a_text_is_hidden_by_its_author_or_the_holder_and_once() {
    let mut log = Log::default();
    let idea_id = log.file(1, "rude words");
    let remark = with_text(2, Say::Comment { idea: idea_id, body: body("worse") }, "worse");
    log.submit(&remark).unwrap();
    let hide = |entry| Say::Tombstone { entry, reason: "rude".into() };
    let remark = entry_id(&remark.entry);
    assert_eq!(refused(log.say(3, hide(remark))), not_holder("author"));
    log.say(1, hide(remark)).unwrap();
    assert_eq!(refused(log.say(2, hide(remark))), (ErrorCode::WrongState, "say.entry".into()));
    log.say(1, hide(idea_id.into())).unwrap();
    assert_eq!(log.ledger.ideas[&idea_id].title, "");
    assert!(log.ledger.near.is_empty() && log.ledger.contents.is_empty());
    let no_text = entry_id(log.leaves.last().unwrap());
    assert_eq!(refused(log.say(1, hide(no_text))), (ErrorCode::NotFound, "say.entry".into()));
    // Whoever hides a text does not keep it from others.
    assert!(log.submit(&idea(2, "rude words")).unwrap().1);
}

#[test]
fn erasing_leaves_nothing_that_was_made_of_the_text() {
    let mut log = Log::default();
    let salt = Sha256([3; 32]);
    let filed = |n| {
        let body = sealed("a secret plan", salt, "team-a");
        let say = Say::Idea { body, parents: vec![], tags: vec![], source: None };
        Submission { salt: Some(salt), ..with_text(n, say, "a secret plan") }
    };
    log.submit(&filed(1)).unwrap();
    assert!(!log.submit(&filed(2)).unwrap().1, "a sealed text is found again while its key lives");
    assert!(
        log.submit(&idea(1, "a secret plan")).unwrap().1,
        "a plain text says nothing of a sealed one"
    );
    assert!(
        !log.ledger.contents.contains_key(&text::sealed_content_hash("a secret plan", &[0; 32]))
    );
    assert_eq!(log.ledger.near.len(), 1);
    let secret: IdeaId = entry_id(&filed(1).entry).into();
    assert_eq!(log.ledger.ideas[&secret].title, "", "it would outlive its key");
    log.say(0, Say::Erased { subject: "team-a".into() }).unwrap();
    assert_eq!(log.ledger.ideas[&secret].title, "");
    assert!(
        !log.ledger
            .contents
            .contains_key(&TextFacts::sealed("a secret plan", &SUBJECT_KEY).content)
    );
    assert_eq!(log.rebuilt(), log.ledger);
}

#[test]
fn a_job_is_told_once_in_each_state() {
    let mut log = Log::default();
    let idea = log.file(1, "work");
    let told = |state, millis| {
        let say = Say::Job { idea, job: job(1), state, job_name: "build".into() };
        let time = mesh_schemas::Timestamp::from_millis(millis);
        let entry =
            mesh_ideas_core::sign(mesh_ideas_core::Unsigned { name: None, time, say }, &key(0));
        Submission { entry, body: None, salt: None }
    };
    assert_eq!(log.submit(&told(JobState::Running, 1)).unwrap(), (1, true));
    assert_eq!(log.submit(&told(JobState::Running, 2)).unwrap(), (1, false));
    assert_eq!(log.submit(&told(JobState::Succeeded, 3)).unwrap(), (2, true));
    assert_eq!(log.ledger.jobs[&(idea, job(1))].state, JobState::Succeeded);
}

#[test]
fn the_latest_ranking_of_each_author_counts() {
    let mut log = Log::default();
    let idea = log.file(1, "ranked");
    let rank = |impact, vote| Say::Rank { idea, impact, cost: None, risk: None, vote };
    log.say(1, rank(Some(50), Some(1))).unwrap();
    log.say(2, rank(None, Some(-1))).unwrap();
    log.say(1, rank(Some(70), None)).unwrap();
    let rows: Vec<_> = log.ledger.ranks.values().map(|row| (row.impact, row.vote)).collect();
    assert!(
        rows.len() == 2 && rows.contains(&(Some(70), None)) && rows.contains(&(None, Some(-1)))
    );
}

#[test]
fn an_origin_is_the_first_entry_or_none() {
    let origin = Say::Origin {
        old_origin: "x/v1".into(),
        old_size: 3,
        old_root: Sha256([0; 32]),
        key: None,
    };
    let mut log = Log::default();
    log.say(0, origin.clone()).unwrap();
    let other = Say::Origin {
        old_origin: "y/v1".into(),
        old_size: 3,
        old_root: Sha256([0; 32]),
        key: None,
    };
    assert_eq!(refused(log.say(0, other)), (ErrorCode::WrongState, "say.kind".into()));
}

#[test]
fn what_is_alike_is_found_among_what_is_loaded() {
    let mut log = Log::default();
    let old = log.file(1, "Retry failed uploads with exponential backoff");
    let other = log.file(1, "Add a dark theme to the settings page");
    let near = near("retry failed upload with an exponential back-off");
    let found = log.ledger.alike(some_idea(1), &near, []);
    assert_eq!(found.first().map(|(idea, _)| *idea), Some(old));
    assert!(found.iter().all(|(idea, _)| *idea != other));
    assert!(log.ledger.alike(old, &near, []).is_empty(), "an idea is no duplicate of itself");
    let new = log.file(2, "retry failed upload with an exponential back-off");
    log.say(2, link(new, old, Relation::Duplicates)).unwrap();
    assert!(log.ledger.alike(new, &near, []).is_empty(), "what is linked is not proposed");
}

#[test]
fn a_parent_that_was_seen_again_is_the_idea_that_has_its_text() {
    let mut log = Log::default();
    let first = log.file(1, "one text");
    let again = idea(2, "One  text");
    let id: IdeaId = entry_id(&again.entry).into();
    let child = with_text(2, idea_say("a child", &[id, first]), "a child");
    assert_eq!(refused(log.submit(&child)), (ErrorCode::NotFound, "say.parents[0]".into()));
    log.submit(&again).unwrap();
    log.submit(&child).unwrap();
    let child: IdeaId = entry_id(&child.entry).into();
    let edges: Vec<_> = log.ledger.edges.keys().map(|key| (key.from, key.to)).collect();
    assert_eq!(edges, [(child, first)]);
    assert_eq!(log.rebuilt(), log.ledger);
    let mut auditor = mesh_ideas_core::audit::Auditor::new(registry().to_vec());
    for (index, entry) in (0..).zip(&log.leaves) {
        auditor.entry(index, &mesh_ideas_core::entry::leaf_data(entry)).unwrap();
    }
}

#[test]
fn a_text_without_a_letter_or_digit_has_nothing_to_be_like() {
    let mut log = Log::default();
    log.file(1, "!!!");
    assert!(log.ledger.near.is_empty());
    assert!(near("?").signature.is_empty() && !near("a").signature.is_empty());
    let nothing = near("\u{2026}").signature;
    assert_eq!(mesh_ideas_core::near::likest(&nothing, [(1, &nothing)], |_| true), vec![]);
}
