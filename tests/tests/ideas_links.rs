//! The link from a job to its idea, when the idea comes to the ledger later than the end of the job; and links by the many.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod ideas_kit;

use std::time::Duration;

use futures::future::join_all;
use ideas_kit::Person;
use mesh_ideas_core::{SigningKey, Unsigned, body_hash, entry_id, sign};
use mesh_schemas::{
    JobSpec,
    attempt::JobState,
    idea::{
        BodyRef, EntryId, IdeaDetail, IdeaGraph, IdeaId, IdeaPart, IdeaWork, JobIdeas, Say,
        Submission,
    },
};
use mesh_tests::{
    http::Http,
    mesh::{Mesh, Options},
    wait::wait_for,
};
use reqwest::{Method, StatusCode};
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

/// A program may be called as no job of the ledger may be: that keeps the news of others from nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_program_has_an_unusable_name_is_told_with_another() {
    let mesh = Mesh::start(&Options { nodes: 0, ..Options::default() }).await;
    let ann = Person::new(&mesh, "ann");
    let idea = ann.does(&["add", "An idea with strange programs"]).await;
    let long = "x".repeat(1_500);
    for program in ["/bin/", "/bin/\u{202e}a\nb", &long, "/bin/true"] {
        let mut spec = JobSpec::new([program]);
        spec.idea = Some(idea.parse().unwrap());
        mesh.submit(&spec).await;
    }
    let work: Vec<IdeaWork> = wait_for(SOON, "the ledger knows all four", async || {
        let work: Vec<IdeaWork> = ann.reads(&["work", &idea]).await;
        (work.len() == 4).then_some(work)
    })
    .await;
    let mut names: Vec<&str> = work.iter().map(|work| work.idea.job_name.as_str()).collect();
    names.sort_unstable();
    assert_eq!((&names[..3], names[3].trim_matches('x')), (&["ab", "job", "true"][..], ""));
}

/// Says something of a text like no other; the entry's id.
async fn says(mesh: &Mesh, say: impl FnOnce(BodyRef) -> Say) -> EntryId {
    let text = mesh_fabric::ids::secret("");
    let bytes = u32::try_from(text.len()).unwrap();
    let say = say(BodyRef { hash: body_hash(&text, None), bytes, sealed: None });
    let unsigned = Unsigned { name: None, time: mesh_fabric::time::now(), say };
    let entry = sign(unsigned, &SigningKey::from_bytes(&[7; 32]));
    let id = entry_id(&entry);
    let submission = Submission { entry, body: Some(text), salt: None };
    let request = mesh.http().request(Method::POST, "/api/v1/ideas").json(&submission);
    let (status, body) = Http::answer(request).await.unwrap();
    assert!(status.is_success(), "{status} {body}");
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idea_with_more_than_an_answer_has_room_for_is_shown_whole() {
    const CHILDREN: usize = 520;
    const REMARKS: usize = 210;
    let mesh = Mesh::start(&Options { nodes: 0, ..Options::default() }).await;
    let idea = |parents| move |body| Say::Idea { body, parents, tags: Vec::new(), source: None };
    let hub = IdeaId::from(says(&mesh, idea(Vec::new())).await);
    for _ in 0..CHILDREN / 40 {
        join_all((0..40).map(|_| says(&mesh, idea(vec![hub])))).await;
    }
    let remarks = (0..REMARKS).map(|_| says(&mesh, |body| Say::Comment { idea: hub, body }));
    join_all(remarks).await;
    let ann = Person::new(&mesh, "ann");
    let hub = hub.to_string();
    let shown: IdeaDetail = ann.reads(&["show", &hub]).await;
    assert_eq!(shown.truncated, [IdeaPart::Entries, IdeaPart::Edges]);
    let output = ann.tries(&["show", &hub]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("not all entries, edges are shown; --all"), "{said}");
    let whole: IdeaDetail = ann.reads(&["show", &hub, "--all"]).await;
    let counts = (whole.entries.len(), whole.edges.len(), whole.owners.len());
    assert_eq!((counts, whole.truncated), ((1 + REMARKS, CHILDREN, 1), Vec::new()));
    let graph: IdeaGraph = ann.reads(&["graph", &hub, "--depth", "1"]).await;
    let counts = (graph.ideas.len(), graph.edges.len(), graph.components.len());
    assert_eq!((counts, graph.truncated), ((1 + CHILDREN, CHILDREN, 1), false));
    let dot = ann.does(&["graph", "--dot"]).await;
    assert_eq!(dot.matches(" -> ").count(), CHILDREN);
    ann.is_refused(&["graph", &hub, "--depth", "17"], "E_USAGE", 2).await;
}

/// Goal: what the ledger does for somebody is in the trace of the command that led to it. Method: the registry's log tells of
/// what an idea's author asked, and of a job that began and ended by itself, each with its trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_on_in_the_ledger() {
    let log = Some("info,async_nats=warn,mesh_ideas=debug");
    let mesh = Mesh::start(&Options { log, ..Options::default() }).await;
    let trace = mesh_fabric::ids::trace_parent();
    let nowhere = mesh.http().request(Method::GET, "/api/v1/ideas/idea_00000000");
    let nowhere = nowhere.header("traceparent", trace.to_string());
    assert_eq!(Http::answer(nowhere).await.unwrap().0, StatusCode::NOT_FOUND);
    let told = |trace_id: &str, of: &str| {
        let said = std::fs::read_to_string(mesh.data().join("ideas.log")).unwrap();
        said.lines().filter(|line| line.contains(trace_id) && line.contains(of)).count()
    };
    wait_for(SOON, "the refusal is told of with its trace", async || {
        (told(&trace.trace_id(), "E_NOT_FOUND") == 1).then_some(())
    })
    .await;
    let ann = Person::new(&mesh, "ann");
    let mut spec = JobSpec::new(["true"]);
    spec.idea = Some(ann.does(&["add", "An idea with a trace"]).await.parse().unwrap());
    let job = mesh.submit(&spec).await;
    mesh.finished(job.job, SOON).await;
    // That it waits, and that it has ended.
    wait_for(SOON, "the job's ends are told of with its trace", async || {
        (told(&job.trace_id, "job_state") >= 2).then_some(())
    })
    .await;
}
