//! Appending the same text, from many at once; one writer.

use std::collections::BTreeSet;

use futures::future::join_all;
use mesh_fabric::time;
use mesh_ideas::registry::{Place, Registry};
use mesh_ideas_core::{Unsigned, sign};
use mesh_schemas::{
    ErrorCode,
    idea::{Appended, Submission},
};

use crate::kit::{Home, idea, key, some_text};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_text_a_thousand_times_is_one_idea_and_999_sightings() {
    for home in Home::both().await {
        let registry = home.start().await;
        let submissions: Vec<_> = (0..1_000)
            .map(|n| {
                idea(
                    u8::try_from(n % 200).unwrap(),
                    if n % 2 == 0 { "One  text" } else { "one Text" },
                )
            })
            .collect();
        let appends = submissions.iter().map(|s| registry.shared.writer.append(s));
        let answers: Vec<Appended> =
            join_all(appends).await.into_iter().collect::<Result<_, _>>().unwrap();
        let ids: BTreeSet<_> = answers.iter().map(|answer| answer.idea.unwrap()).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.created).count(), 1);
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_log_has_one_writer() {
    for home in Home::both().await {
        let registry = home.start().await;
        let second = Registry::start(&home.place).await.unwrap_err();
        assert_eq!(second.code, ErrorCode::Locked);
        let elsewhere = home.dir.path().join("other");
        let place = Place { data: elsewhere, ..home.place.clone() };
        assert_eq!(Registry::start(&place).await.unwrap_err().code, ErrorCode::Locked);
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_time_by_the_brokers_clock_is_taken_though_this_machines_is_behind() {
    let home = Home::sqlite();
    let registry = home.start().await;
    let submission = idea(1, &some_text());
    let time = time::now() + std::time::Duration::from_secs(3_600);
    let unsigned = Unsigned { name: None, time, say: submission.entry.say.clone() };
    let early = Submission { entry: sign(unsigned, &key(1)), ..submission };
    let writer = &registry.shared.writer;
    let problem = writer.append(&early).await.unwrap_err();
    assert_eq!((problem.code, problem.field.as_deref()), (ErrorCode::Invalid, Some("time")));
    // So is what the broker says to have taken long before.
    assert!(writer.append_filed(&early, time::now()).await.is_err());
    assert!(writer.append_filed(&early, time).await.unwrap().created);
    registry.stop().await;
}
