//! The link from a job to its idea, when the idea comes to the ledger later than the end of the job.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod ideas_kit;

use std::time::Duration;

use ideas_kit::Person;
use mesh_schemas::{
    JobSpec,
    attempt::JobState,
    idea::{EntryId, IdeaId, IdeaWork, JobIdeas},
};
use mesh_tests::{
    mesh::{Mesh, Options},
    wait::wait_for,
};
use serde_json::Value;

/// Longest wait for anything, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// The value of a metric of the orchestrator.
async fn metric(mesh: &Mesh, name: &str) -> Option<String> {
    let ports = std::fs::read(mesh.data().join("ports.json")).unwrap();
    let ports: Value = serde_json::from_slice(&ports).unwrap();
    let address = ports["orchestrator_metrics"].as_str().unwrap();
    let text = reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(str::to_owned)
}

async fn parked(mesh: &Mesh, jobs: &str) {
    wait_for(SOON, "so many jobs are parked", async || {
        (metric(mesh, "mesh_ledger_parked_jobs").await? == jobs).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_idea_comes_after_its_end_is_linked_all_the_same() {
    let mut mesh = Mesh::start(&Options::default()).await;
    let (idea, job) = {
        let ann = Person::new(&mesh, "ann");
        let minder = mesh.frozen_minder();
        mesh.kill("ideas");
        // The stream would keep it in the clear for ever: it waits in the spool alone.
        let waits = ann.does(&["add", "An idea that comes late", "--sealed", "ann"]).await;
        let idea = IdeaId::from(waits.parse::<EntryId>().unwrap());
        let mut spec = JobSpec::new(["true"]);
        spec.idea = Some(idea);
        let job = mesh.submit(&spec).await.job;
        assert_eq!(mesh.finished(job, SOON).await.state, JobState::Succeeded);
        drop(minder);
        (idea, job)
    };
    parked(&mesh, "1").await;
    // It lies in the database, not in a process.
    mesh.restart().await;
    parked(&mesh, "1").await;

    let ann = Person::new(&mesh, "ann");
    ann.does(&["sync"]).await;
    let work: Vec<IdeaWork> = wait_for(SOON, "the ledger knows the job", async || {
        let work: Vec<IdeaWork> = ann.reads(&["work", &idea.to_string()]).await;
        (!work.is_empty()).then_some(work)
    })
    .await;
    assert_eq!((work[0].idea.job, work[0].idea.state), (job, JobState::Succeeded));
    let back: JobIdeas = ann.reads(&["work", "--job", &job.to_string()]).await;
    assert_eq!((back.idea.unwrap().view.id, back.told.len()), (idea, 1));
    parked(&mesh, "0").await;
}
