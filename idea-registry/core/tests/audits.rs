//! What an auditor refuses who has the log, the registry's keys and nothing else.
#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

mod kit;

use kit::*;
use mesh_ideas_core::{audit::Auditor, entry::leaf_data, entry_id};
use mesh_schemas::{
    ErrorCode, Problem,
    attempt::JobState,
    idea::{Entry, IdeaId, Relation, Say, Sha256, Signature},
};

/// Goes through a log of these entries.
fn audit(entries: &[Entry]) -> Result<Auditor, Problem> {
    let mut auditor = Auditor::new(registry().to_vec());
    for (index, entry) in (0..).zip(entries) {
        auditor.entry(index, &leaf_data(entry))?;
    }
    Ok(auditor)
}

fn code(entries: &[Entry]) -> ErrorCode {
    audit(entries).unwrap_err().code
}

#[test]
fn what_the_registry_alone_may_say_is_refused_under_any_other_key() {
    let (first, second) = (idea(1, "one").entry, idea(1, "two").entry);
    let (a, b): (IdeaId, IdeaId) = (entry_id(&first).into(), entry_id(&second).into());
    let log = [first.clone(), second];
    let state = JobState::Succeeded;
    let own = [
        Say::Job { idea: a, job: job(1), state, job_name: "build".into() },
        Say::SeenAgain { idea: a, entry: some_entry(9), by: author(2), by_sig: Signature([0; 64]) },
        Say::Erased { subject: "jane".into() },
        Say::Link {
            from: b,
            to: a,
            relation: Relation::Duplicates,
            proposed: true,
            likeness: Some(900),
        },
    ];
    for say in own {
        let log_and = |n| [&log[..], &[said(n, say.clone())]].concat();
        assert!(audit(&log_and(0)).is_ok(), "{say:?} by the registry");
        // Also by who holds the ideas.
        for n in [1, 2] {
            assert_eq!(code(&log_and(n)), ErrorCode::Forbidden, "{say:?} by {n}");
        }
    }
    let origin = Say::Origin {
        old_origin: "x/v1".into(),
        old_size: 1,
        old_root: Sha256([1; 32]),
        key: None,
    };
    assert!(audit(&[said(0, origin.clone()), first.clone()]).is_ok());
    assert_eq!(code(&[said(2, origin.clone()), first.clone()]), ErrorCode::Forbidden);
    assert_eq!(code(&[first, said(0, origin)]), ErrorCode::Integrity, "it is first or nowhere");
}

#[test]
fn nobody_but_its_author_and_the_holder_excuses_that_a_text_is_gone() {
    let filed = idea(1, "rude words").entry;
    let of: IdeaId = entry_id(&filed).into();
    let remark = said(2, Say::Comment { idea: of, body: body("worse") });
    let hide = |entry: &Entry| Say::Tombstone { entry: entry_id(entry), reason: "rude".into() };
    let log_and = |n, hidden: &Entry| [filed.clone(), remark.clone(), said(n, hide(hidden))];
    for (n, hidden, index) in [(1, &filed, 0), (2, &remark, 1), (1, &remark, 1)] {
        assert!(audit(&log_and(n, hidden)).unwrap().may_lack(index));
    }
    for (n, hidden) in [(2, &filed), (3, &filed), (3, &remark), (0, &remark)] {
        assert_eq!(code(&log_and(n, hidden)), ErrorCode::NotHolder, "hidden by {n}");
    }
    let let_go = said(1, Say::Release { idea: of, follows: of.into() });
    let taken = said(3, Say::Claim { idea: of, follows: entry_id(&let_go) });
    let log = [filed.clone(), remark.clone(), let_go, taken, said(3, hide(&remark))];
    assert!(audit(&log).unwrap().may_lack(1), "who holds it now may");
}
