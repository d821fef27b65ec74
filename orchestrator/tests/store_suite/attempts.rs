//! Attempts: from their lease to their recorded end, and back.

use mesh_core::{AttemptEnd, Change};
use mesh_schemas::{
    AttemptKey, EndClass, Timestamp, api::AttemptView, manifest::ManifestSummary, message::Usage,
    quantity::ByteSize,
};

use super::{
    build::{accepted, at, end, ended, job, key, leased, manifest, node_id},
    database::{Database, Leader},
};

async fn attempts(leader: &Leader) -> Vec<AttemptView> {
    leader.store.attempts(&job(1), 0).await.unwrap()
}

fn fresh_view(attempt: AttemptKey) -> AttemptView {
    AttemptView {
        attempt,
        node: node_id(1),
        trace_id: job(1).trace.trace_id(),
        leased_at: at(1),
        started_at: None,
        ended_at: None,
        class: None,
        exit_code: None,
        signal: None,
        message: None,
        manifest: None,
        usage: None,
    }
}

pub(crate) async fn an_attempt_that_ended_has_a_manifest(database: Database) {
    let leader = database.lead().await;
    let (first, second) = (key(1, 0, 1), key(1, 0, 2));
    leader.commit(&[accepted(&job(1)), leased(first)]).await;
    assert_eq!(attempts(&leader).await, [fresh_view(first)]);
    leader
        .commit(&[
            ended(first, EndClass::NodeLost),
            leased(second),
            ended(second, EndClass::Cancelled),
        ])
        .await;
    let all = attempts(&leader).await;
    assert_eq!(all.iter().map(|a| a.attempt).collect::<Vec<_>>(), [first, second]);
    for view in all {
        assert_eq!(view.manifest, Some(ManifestSummary::empty()), "{}", view.attempt);
        assert_eq!(view.ended_at, Some(at(9)));
    }
}

pub(crate) async fn an_end_keeps_what_was_stored_before(database: Database) {
    let leader = database.lead().await;
    let attempt = key(1, 0, 1);
    leader.commit(&[accepted(&job(1)), leased(attempt)]).await;
    leader.commit(&[Change::AttemptStarted { attempt, at: at(4) }]).await;
    leader.commit(&[Change::AttemptManifest { attempt, manifest: Box::new(manifest(3)) }]).await;
    leader.commit(&[ended(attempt, EndClass::NodeLost)]).await;
    let view = &attempts(&leader).await[0];
    assert_eq!((view.started_at, view.manifest.clone()), (Some(at(4)), Some(manifest(3))));

    let usage = Usage { wall_ms: 1, cpu_ms: u64::MAX, memory_peak: ByteSize::mib(3) };
    let full = AttemptEnd {
        started_at: Some(at(5)),
        exit_code: Some(-1),
        signal: Some(9),
        message: Some("killed".into()),
        manifest: Some(manifest(4)),
        usage: Some(usage),
        ..end(attempt, EndClass::Timeout)
    };
    leader.commit(&[Change::AttemptEnded(Box::new(full))]).await;
    let expected = AttemptView {
        started_at: Some(at(5)),
        ended_at: Some(at(9)),
        class: Some(EndClass::Timeout),
        exit_code: Some(-1),
        signal: Some(9),
        message: Some("killed".into()),
        manifest: Some(manifest(4)),
        usage: Some(usage),
        ..fresh_view(attempt)
    };
    assert_eq!(attempts(&leader).await, [expected]);
}

pub(crate) async fn a_reopened_attempt_has_no_end_and_can_end_again(database: Database) {
    let leader = database.lead().await;
    let (empty, stored) = (key(1, 0, 1), key(1, 0, 2));
    let loss = |attempt| {
        let message = Some("silent".into());
        let usage = Some(Usage::default());
        let end = AttemptEnd {
            exit_code: Some(1),
            signal: Some(2),
            message,
            usage,
            ..end(attempt, EndClass::NodeLost)
        };
        Change::AttemptEnded(Box::new(end))
    };
    leader.commit(&[accepted(&job(1)), leased(empty), leased(stored)]).await;
    let attempt = stored;
    leader.commit(&[Change::AttemptManifest { attempt, manifest: Box::new(manifest(1)) }]).await;
    leader.commit(&[loss(empty), loss(stored)]).await;
    leader
        .commit(&[
            Change::AttemptReopened { attempt: empty },
            Change::AttemptReopened { attempt: stored },
        ])
        .await;
    let kept = AttemptView { manifest: Some(manifest(1)), ..fresh_view(stored) };
    assert_eq!(attempts(&leader).await, [fresh_view(empty), kept]);

    leader.commit(&[ended(empty, EndClass::Success)]).await;
    let again = &attempts(&leader).await[0];
    assert_eq!(
        (again.class, again.exit_code, again.message.clone()),
        (Some(EndClass::Success), None, None)
    );
    assert_eq!(again.manifest, Some(ManifestSummary::empty()));
}

/// Whatever a node says ends up in a row: it must come back, or be made harmless, on both stores alike.
pub(crate) async fn strange_texts_and_numbers_harm_nothing(database: Database) {
    let leader = database.lead().await;
    leader.commit(&[accepted(&job(1))]).await;
    let texts = [
        ("", ""),
        ("it's \"quoted\" \\ \\u0000 $1 {}", "it's \"quoted\" \\ \\u0000 $1 {}"),
        ("nul\0nul", "nul\u{fffd}nul"),
        ("\u{1}\u{7f}\u{202e}\u{feff}🦀\r\n\t", "\u{1}\u{7f}\u{202e}\u{feff}🦀\r\n\t"),
    ];
    for (epoch, (said, kept)) in (1..).zip(texts) {
        let attempt = key(1, 0, epoch);
        let mut left = manifest(epoch);
        left.bytes = u64::MAX;
        if let mesh_schemas::manifest::ManifestPlace::Object(object) = &mut left.place {
            object.key = said.into();
        }
        let end = AttemptEnd {
            started_at: Some(Timestamp::from_millis(i64::MIN)),
            message: Some(said.into()),
            exit_code: Some(i32::MIN),
            signal: Some(i32::MAX),
            manifest: Some(left.clone()),
            ..end(attempt, EndClass::UserError)
        };
        leader.commit(&[leased(attempt), Change::AttemptEnded(Box::new(end))]).await;
        let view = attempts(&leader).await.pop().unwrap();
        assert_eq!(view.message.as_deref(), Some(kept));
        assert_eq!(view.manifest, Some(left), "a manifest is kept to the letter");
        assert_eq!((view.exit_code, view.signal), (Some(i32::MIN), Some(i32::MAX)));
        assert_eq!(view.started_at, Some(Timestamp::from_millis(i64::MIN)));
    }
}
