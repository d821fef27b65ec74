//! Appending, over both databases.

#![allow(clippy::unwrap_used, reason = "tests")]

mod kit;

use std::collections::BTreeSet;

use futures::future::join_all;
use kit::{Home, idea, some_text};
use mesh_schemas::idea::Appended;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_text_a_thousand_times_is_one_idea_and_999_sightings() {
    for home in Home::both().await {
        let registry = home.start().await;
        let submissions: Vec<_> = (0..1_000)
            .map(|n| idea((n % 200) as u8, if n % 2 == 0 { "One  text" } else { "one Text" }))
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
async fn throughput() {
    for home in Home::both().await {
        let registry = home.start().await;
        let texts: Vec<Vec<_>> =
            (0..16).map(|n| (0..400).map(|_| idea(n, &some_text())).collect()).collect();
        let begun = std::time::Instant::now();
        let writers = texts.into_iter().map(|texts| {
            let writer = registry.shared.writer.clone();
            tokio::spawn(async move {
                let mut took = vec![];
                for text in &texts {
                    let begun = std::time::Instant::now();
                    assert!(writer.append(text).await.unwrap().created);
                    took.push(begun.elapsed());
                }
                took
            })
        });
        let mut took: Vec<_> =
            join_all(writers).await.into_iter().flat_map(Result::unwrap).collect();
        took.sort();
        let rate = 6400.0 / begun.elapsed().as_secs_f64();
        eprintln!(
            "{} {rate:.0}/s p50 {:?} p99 {:?} size {}",
            home.place.database,
            took[3200],
            took[6336],
            registry.shared.writer.size()
        );
        let mut one = vec![];
        for _ in 0..200 {
            let text = idea(1, &some_text());
            let begun = std::time::Instant::now();
            registry.shared.writer.append(&text).await.unwrap();
            one.push(begun.elapsed());
        }
        one.sort();
        eprintln!("single p50 {:?} p99 {:?}", one[100], one[197]);
        registry.stop().await;
    }
}
