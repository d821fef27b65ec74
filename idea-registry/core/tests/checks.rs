//! Each rule that needs no ledger, with the field that its problem names.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

mod kit;

use kit::*;
use mesh_ideas_core::{Unsigned, check, sign};
use mesh_schemas::{
    ErrorCode, Timestamp,
    attempt::JobState,
    idea::{AuthorId, BodyRef, Entry, IdeaStatus, Relation, Say, Sha256, Submission},
};

fn refused(submission: &Submission) -> (ErrorCode, String) {
    let problem = check(submission, NOW, &registry()).unwrap_err();
    assert!(!problem.detail.contains(mesh_schemas::text::is_unsafe_char), "{}", problem.detail);
    (problem.code, problem.field.unwrap())
}

fn invalid(field: &str) -> (ErrorCode, String) {
    (ErrorCode::Invalid, field.into())
}

fn idea_with(change: impl FnOnce(&mut Vec<String>, &mut Option<String>)) -> Submission {
    let (mut tags, mut source) = (Vec::new(), None);
    change(&mut tags, &mut source);
    with_text(1, Say::Idea { body: body("t"), parents: vec![], tags, source }, "t")
}

#[test]
fn a_good_submission_passes_with_its_text_as_it_is() {
    let text = "<b>مرحبا</b>\n\t**x** <script>alert(1)</script>";
    let checked = check(&idea(1, text), NOW, &registry()).unwrap();
    assert_eq!(checked.text(), Some(text));
    assert_eq!(checked.data(), mesh_ideas_core::entry::leaf_data(checked.entry()));
    assert!(check(&idea_with(|tags, _| tags.push("تقنية".into())), NOW, &registry()).is_ok());
}

#[test]
fn bodies_keep_to_their_sizes() {
    let most = "é".repeat(1 << 19);
    assert!(check(&idea(1, &most), NOW, &registry()).is_ok());
    assert_eq!(
        refused(&idea(1, &format!("{most}x"))),
        (ErrorCode::TooLarge, "say.body.bytes".into())
    );
    assert_eq!(refused(&idea(1, "")), invalid("say.body.bytes"));
    for blank in [" ", "\n\t ", "\u{3000}\u{a0}", "\u{200b}\u{feff}"] {
        assert_eq!(refused(&idea(1, blank)), invalid("body"), "{blank:?}");
    }
}

#[test]
fn characters_that_hide_or_turn_text_are_refused_everywhere() {
    for bad in [
        "a\u{0}",
        "a\u{1b}[2J",
        "a\r\n",
        "a\u{7f}",
        "a\u{202e}b",
        "a\u{2066}b",
        "\u{200f}a",
        "\u{85}a",
    ] {
        assert_eq!(refused(&idea(1, bad)), invalid("body"), "{bad:?}");
        assert_eq!(refused(&idea_with(|tags, _| tags.push(bad.into()))), invalid("say.tags[0]"));
        assert_eq!(
            refused(&idea_with(|_, source| *source = Some(bad.into()))),
            invalid("say.source")
        );
        let reason = Some(bad.to_owned());
        let say = Say::Status { idea: some_idea(1), status: IdeaStatus::Rejected, reason };
        assert_eq!(refused(&bare(1, say)), invalid("say.reason"));
        let say = Say::Tombstone { entry: some_entry(1), reason: bad.into() };
        assert_eq!(refused(&bare(1, say)), invalid("say.reason"));
        let unsigned = Unsigned { name: Some(bad.into()), time: NOW, say: idea_say("t", &[]) };
        let entry = sign(unsigned, &key(1));
        assert_eq!(
            refused(&Submission { entry, body: Some("t".into()), salt: None }),
            invalid("name")
        );
    }
}

#[test]
fn tags_are_few_short_and_different() {
    for bad in ["", "a b", "a,b", "a\u{a0}b", &"x".repeat(64)] {
        assert_eq!(refused(&idea_with(|tags, _| tags.push(bad.into()))), invalid("say.tags[0]"));
    }
    let twice = idea_with(|tags, _| tags.extend(["a".into(), "a".into()]));
    assert_eq!(refused(&twice), invalid("say.tags[1]"));
    let many = |count: usize| idea_with(|tags, _| tags.extend((0..count).map(|n| n.to_string())));
    assert!(check(&many(32), NOW, &registry()).is_ok());
    assert_eq!(refused(&many(33)), (ErrorCode::TooLarge, "say.tags".into()));
}

#[test]
fn the_text_is_the_one_that_the_entry_names() {
    let good = idea(1, "text");
    let other = Submission { body: Some("texT".into()), ..good.clone() };
    let missing = Submission { body: None, ..good.clone() };
    let salted = Submission { salt: Some(Sha256([1; 32])), ..good };
    let longer = BodyRef { bytes: 5, ..body("text") };
    let say = Say::Comment { idea: some_idea(1), body: longer };
    assert_eq!(refused(&other), invalid("body"));
    assert_eq!(refused(&missing), invalid("body"));
    assert_eq!(refused(&salted), invalid("salt"));
    assert_eq!(refused(&with_text(1, say, "text")), invalid("body"));
    let claim = Say::Claim { idea: some_idea(1), follows: some_entry(1) };
    assert_eq!(refused(&with_text(1, claim, "text")), invalid("body"));
}

#[test]
fn a_sealed_text_needs_its_own_salt_and_a_plain_subject() {
    let salt = Sha256([7; 32]);
    let filed = |subject: &str, salt_given: Option<Sha256>| {
        let body = sealed("secret", salt, subject);
        let say = Say::Idea { body, parents: vec![], tags: vec![], source: None };
        Submission { salt: salt_given, ..with_text(1, say, "secret") }
    };
    assert!(check(&filed("team-a", Some(salt)), NOW, &registry()).is_ok());
    assert_eq!(refused(&filed("team-a", None)), invalid("salt"));
    assert_eq!(refused(&filed("team-a", Some(Sha256([8; 32])))), invalid("body"));
    assert_eq!(refused(&filed("a b", Some(salt))), invalid("say.body.sealed"));
}

#[test]
fn parents_and_links_are_of_other_ideas() {
    let parents = |ids: &[u8]| {
        let ids: Vec<_> = ids.iter().map(|n| some_idea(*n)).collect();
        with_text(1, idea_say("t", &ids), "t")
    };
    assert!(check(&parents(&[1, 2]), NOW, &registry()).is_ok());
    assert_eq!(refused(&parents(&[1, 2, 1])), invalid("say.parents[2]"));
    let many: Vec<u8> = (0..33).collect();
    assert_eq!(refused(&parents(&many)), (ErrorCode::TooLarge, "say.parents".into()));
    let to_itself = link(some_idea(1), some_idea(1), Relation::Derives);
    assert_eq!(refused(&bare(1, to_itself)), invalid("say.to"));
}

#[test]
fn an_entry_from_the_future_or_no_time_at_all_is_refused() {
    let at = |millis: i64| {
        let time = Timestamp::from_millis(millis);
        let entry = sign(Unsigned { name: None, time, say: idea_say("t", &[]) }, &key(1));
        Submission { entry, body: Some("t".into()), salt: None }
    };
    let now = NOW.as_millis();
    assert!(check(&at(now + 300_000), NOW, &registry()).is_ok());
    for millis in [now + 300_001, -1, i64::MIN, i64::MAX] {
        assert_eq!(refused(&at(millis)), invalid("time"));
    }
    assert!(check(&at(i64::MAX), Timestamp::from_millis(i64::MAX), &registry()).is_err());
}

#[test]
fn the_registrys_kinds_are_the_registrys() {
    let (idea, entry) = (some_idea(1), some_entry(2));
    let job_name = "build".to_owned();
    let proposed = Say::Link {
        from: idea,
        to: some_idea(2),
        relation: Relation::Duplicates,
        proposed: true,
        likeness: Some(900),
    };
    let kinds = [
        Say::Job { idea, job: job(1), state: JobState::Running, job_name },
        Say::SeenAgain { idea, entry, by: author(1), by_sig: said(1, idea_say("t", &[])).sig },
        Say::Erased { subject: "team-a".into() },
        Say::Origin {
            old_origin: "x/v1".into(),
            old_size: 3,
            old_root: Sha256([0; 32]),
            key: None,
        },
        proposed,
    ];
    for say in kinds {
        assert!(check(&bare(0, say.clone()), NOW, &registry()).is_ok(), "{}", say.kind());
        assert_eq!(refused(&bare(1, say)), (ErrorCode::Forbidden, "say.kind".into()));
    }
}

#[test]
fn likeness_is_for_proposals_and_in_thousandths() {
    let say = |proposed, likeness| {
        let (from, to) = (some_idea(1), some_idea(2));
        Say::Link { from, to, relation: Relation::Duplicates, proposed, likeness }
    };
    assert_eq!(refused(&bare(1, say(false, Some(1)))), invalid("say.likeness"));
    assert_eq!(refused(&bare(0, say(true, Some(1001)))), invalid("say.likeness"));
}

#[test]
fn rankings_say_something_within_range() {
    let rank = |impact, cost, risk, vote| {
        bare(1, Say::Rank { idea: some_idea(1), impact, cost, risk, vote })
    };
    assert!(check(&rank(Some(0), Some(100), None, Some(-1)), NOW, &registry()).is_ok());
    assert_eq!(refused(&rank(None, None, None, None)), invalid("say"));
    assert_eq!(refused(&rank(Some(101), None, None, None)), invalid("say.impact"));
    assert_eq!(refused(&rank(None, Some(255), None, None)), invalid("say.cost"));
    assert_eq!(refused(&rank(None, None, Some(101), None)), invalid("say.risk"));
    assert_eq!(refused(&rank(None, None, None, Some(2))), invalid("say.vote"));
    assert_eq!(refused(&rank(None, None, None, Some(-2))), invalid("say.vote"));
}

#[test]
fn an_idea_is_not_given_to_its_holder_or_to_nobody() {
    let give = |to| bare(1, Say::Transfer { idea: some_idea(1), to, follows: some_entry(1) });
    assert!(check(&give(author(2)), NOW, &registry()).is_ok());
    assert_eq!(refused(&give(author(1))), invalid("say.to"));
    assert_eq!(refused(&give(AuthorId([2; 32]))), (ErrorCode::Signature, "say.to".into()));
}

#[test]
fn versions_sizes_and_signatures_are_looked_at() {
    let good = idea(1, "t");
    let newer = Entry { v: 2, ..good.entry.clone() };
    assert_eq!(refused(&Submission { entry: newer, ..good.clone() }), invalid("v"));
    let stolen = Entry { author: author(2), ..good.entry.clone() };
    assert_eq!(
        refused(&Submission { entry: stolen, ..good }),
        (ErrorCode::Signature, "sig".into())
    );
    let wide = idea_with(|tags, source| {
        tags.extend((0..32).map(|n| format!("{n:02}{}", "\"".repeat(61))));
        *source = Some("x".repeat(1024));
    });
    assert!(check(&wide, NOW, &registry()).is_ok());
    let mut long =
        idea_with(|tags, _| tags.extend((0..300).map(|n| format!("{n:03}{}", "x".repeat(60)))));
    assert_eq!(refused(&long), (ErrorCode::TooLarge, "entry".into()));
    let say = Say::Origin {
        old_origin: "x".into(),
        old_size: 1 << 53,
        old_root: Sha256([0; 32]),
        key: None,
    };
    long = bare(0, say);
    assert_eq!(refused(&long), invalid("say.old_size"));
}
