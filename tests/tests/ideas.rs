//! Ideas, end to end: from the command line through API and broker into the log, and back, while parts are away.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod ideas_kit;

use std::{fs, time::Duration};

use ideas_kit::{Person, copy_dir};
use mesh_schemas::{
    JobSpec,
    attempt::JobState,
    idea::{
        IdeaDetail, IdeaGraph, IdeaId, IdeaStatus, IdeaView, IdeaWork, JobIdeas, RankedIdea,
        Relation,
    },
};
use mesh_tests::{
    http::Http,
    mesh::{Mesh, Options},
    wait::wait_for,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Longest wait for anything, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ideas_live_in_the_ledger() {
    let mesh = Mesh::start(&Options::default()).await;
    let ann = Person::new(&mesh, "ann");
    let bob = Person::new(&mesh, "bob");
    one_text_is_one_idea(&ann, &bob).await;
    ideas_are_found_linked_and_ranked(&ann, &bob).await;
    an_idea_changes_hands_by_its_holder_alone(&ann, &bob).await;
    bad_input_appends_nothing(&mesh, &ann).await;
    lists_are_imported_once(&ann).await;
    what_was_erased_is_gone_and_the_log_is_sound(&mesh, &ann).await;
    anybody_can_check(&ann, &bob).await;
    from_an_idea_to_its_work_and_back(&mesh, &ann).await;
}

async fn one_text_is_one_idea(ann: &Person<'_>, bob: &Person<'_>) {
    let first =
        ann.does(&["add", "Warm the build cache of idle nodes at night", "--tag", "builds"]).await;
    assert!(first.starts_with("idea_"), "{first}");
    let again = bob.does(&["add", "warm  the BUILD cache of idle nodes\tat night"]).await;
    assert_eq!(again, first);
    let shown: IdeaDetail = ann.reads(&["show", &first[..12]]).await;
    assert_eq!(shown.view.seen_again, 1);
    assert_eq!(shown.view.tags, ["builds"]);
    assert_eq!(shown.text.as_deref(), Some("Warm the build cache of idle nodes at night"));
    let kinds: Vec<_> = shown.entries.iter().map(|view| view.entry.say.kind()).collect();
    assert_eq!(kinds, ["idea", "seen_again"]);
}

async fn ideas_are_found_linked_and_ranked(ann: &Person<'_>, bob: &Person<'_>) {
    let cache = ann.reads::<Vec<IdeaView>>(&["search", "build", "cache"]).await[0].id;
    let near = bob.does(&["add", "Warm up the build caches of idle nodes at night, please"]).await;
    let similar = ann
        .reads::<Vec<IdeaView>>(&[
            "search",
            "--similar",
            "Warm the build cache of idle nodes at night!",
        ])
        .await;
    assert!(similar.iter().any(|idea| idea.id == cache), "{similar:?}");
    let graph: IdeaGraph = ann.reads(&["graph", &near]).await;
    let proposed =
        graph.edges.iter().find(|edge| edge.proposed).expect("a near duplicate is proposed");
    assert_eq!((proposed.relation, proposed.to), (Relation::Duplicates, cache));
    assert!(proposed.likeness.is_some());

    let child = ann
        .does(&[
            "add",
            "Warm caches by replaying yesterday's builds",
            "--derives",
            &cache.to_string(),
        ])
        .await;
    bob.does(&["link", &child, "blocks", &near]).await;
    let dot = ann.does(&["graph", "--dot"]).await;
    assert!(dot.starts_with("digraph") && dot.contains("blocks"), "{dot}");
    let ancestors: IdeaGraph =
        ann.reads(&["graph", &child, "--direction", "out", "--depth", "1"]).await;
    assert!(ancestors.ideas.iter().any(|idea| idea.id == cache));

    bob.does(&["rate", &child, "--impact", "90", "--cost", "10", "--vote", "1"]).await;
    let ranking: Vec<RankedIdea> = ann.reads(&["rank"]).await;
    let best = &ranking[0];
    assert_eq!(best.idea.id.to_string(), child);
    let sum: f64 = best.terms.iter().map(|term| term.value * term.weight).sum();
    assert!((sum - best.score).abs() < 1e-9, "the terms are the score: {best:?}");
}

async fn an_idea_changes_hands_by_its_holder_alone(ann: &Person<'_>, bob: &Person<'_>) {
    let idea = ann.does(&["add", "Ask for a reason when a job is cancelled"]).await;
    bob.is_refused(&["claim", &idea], "E_NOT_HOLDER", 6).await;
    assert_eq!(bob.kept("spool").len(), 0);
    assert_eq!(bob.kept("refused").len(), 1, "what will never be in the log is kept beside");
    bob.is_refused(&["status", &idea, "accepted"], "E_NOT_HOLDER", 6).await;
    let to_bob = bob.does(&["key"]).await;
    ann.does(&["transfer", &idea, &to_bob]).await;
    ann.is_refused(&["release", &idea], "E_NOT_HOLDER", 6).await;
    bob.does(&["status", &idea, "accepted", "--reason", "small and useful"]).await;
    bob.does(&["release", &idea]).await;
    ann.does(&["claim", &idea]).await;
    let shown: IdeaDetail = ann.reads(&["show", &idea]).await;
    assert_eq!(shown.owners.len(), 4);
    assert_eq!(shown.view.holder, Some(shown.view.author));
    assert_eq!(shown.view.status, IdeaStatus::Accepted);
}

async fn bad_input_appends_nothing(mesh: &Mesh, ann: &Person<'_>) {
    let before = ann.entries().await;
    let idea = ann.reads::<Vec<IdeaView>>(&["list"]).await[0].id.to_string();
    let long = ann.home().join("long.md");
    fs::write(&long, "x".repeat((1 << 20) + 2)).unwrap();
    let bytes = ann.home().join("bytes.md");
    fs::write(&bytes, b"\xff\xfe").unwrap();
    for (args, code, exit) in [
        (&["add", ""][..], "E_INVALID", 3),
        (&["add", "-"], "E_USAGE", 2),
        (&["add", " \t\n "], "E_INVALID", 3),
        (&["add", "turned \u{202e}txet"], "E_INVALID", 3),
        (&["add", "bell \u{7}"], "E_INVALID", 3),
        (&["add", "-f", long.to_str().unwrap()], "E_TOO_LARGE", 3),
        (&["add", "-f", bytes.to_str().unwrap()], "E_SYNTAX", 3),
        (&["add", "an orphan", "--derives", &format!("idea_{}", "0".repeat(64))], "E_NOT_FOUND", 4),
        (&["link", &idea, "derives", &idea], "E_INVALID", 3),
        (&["rate", &idea, "--impact", "101"], "E_INVALID", 3),
        (&["rate", &idea], "E_INVALID", 3),
        (&["show", "idea_000000"], "E_NOT_FOUND", 4),
        (&["show", "../x"], "E_INVALID", 3),
    ] {
        ann.is_refused(args, code, exit).await;
    }
    for (body, status) in [
        (json!({}), StatusCode::BAD_REQUEST),
        (json!({"entry": {"v": 1}}), StatusCode::BAD_REQUEST),
        (json!([1]), StatusCode::BAD_REQUEST),
    ] {
        let request = mesh.http().request(Method::POST, "/api/v1/ideas").json(&body);
        let (got, answer) = Http::answer(request).await.unwrap();
        assert!(got == status || got == StatusCode::UNPROCESSABLE_ENTITY, "{body}: {got} {answer}");
    }
    for query in ["ledger/entries?count=0", "ledger/entries?count=257", "ideas?tag=%00"] {
        let request = mesh.http().request(Method::GET, &format!("/api/v1/{query}"));
        let (status, answer) = Http::answer(request).await.unwrap();
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}: {answer}");
    }
    let request = mesh.http().request(Method::DELETE, &format!("/api/v1/ideas/{idea}"));
    let (status, _) = Http::answer(request).await.unwrap();
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ann.entries().await, before, "nothing was appended");
    // What the orphan derives from may yet come: only its author takes it back.
    let waits = ann.kept("spool");
    assert_eq!(waits.len(), 1);
    let output = ann.tries(&["sync"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(ann.kept("spool"), waits);
    let orphan = ann.does(&["sync", "--list", "-o", "quiet"]).await;
    assert!(waits[0].ends_with(format!("{orphan}.json")), "{orphan}");
    ann.does(&["sync", "--drop", &orphan]).await;
    ann.is_refused(&["sync", "--drop", &orphan], "E_NOT_FOUND", 4).await;
    ann.does(&["sync"]).await;
}

async fn lists_are_imported_once(ann: &Person<'_>) {
    let list = ann.home().join("backlog.md");
    fs::write(&list, "# Backlog\n\n- Show the price of each job\n  - Show it per project\n- Sort nodes by warmth\n").unwrap();
    let list = list.to_str().unwrap();
    let first: Value = ann.reads(&["import", list, "--tag", "backlog"]).await;
    assert_eq!(first["filed"], 3, "{first}");
    let before = ann.entries().await;
    let again: Value = ann.reads(&["import", list, "--tag", "backlog"]).await;
    assert_eq!((again["filed"].as_u64(), again["known"].as_u64()), (Some(0), Some(3)), "{again}");
    assert_eq!(ann.entries().await, before + 3, "each repeat is an entry");
    let exported = ann.does(&["export", "--form", "markdown"]).await;
    assert!(exported.contains("- Sort nodes by warmth"), "{exported}");
}

async fn what_was_erased_is_gone_and_the_log_is_sound(mesh: &Mesh, ann: &Person<'_>) {
    let secret = "Jane said that the office door is never locked";
    let idea = ann.does(&["add", secret, "--sealed", "jane"]).await;
    let shown: IdeaDetail = ann.reads(&["show", &idea]).await;
    assert_eq!(shown.text.as_deref(), Some(secret));
    sealed_texts_are_exported_only_when_asked_for(ann, secret).await;
    ann.is_refused(&["erase", "jane"], "E_USAGE", 2).await;
    ann.does(&["erase", "jane", "--yes"]).await;
    let entries = ann.entries().await;
    let said = ann.is_refused(&["erase", "jane", "--yes"], "E_NOT_FOUND", 4).await;
    assert!(said.contains("erased already"), "{said}");
    let said = ann.is_refused(&["erase", "nobody", "--yes"], "E_NOT_FOUND", 4).await;
    assert!(said.contains("nothing is sealed for"), "{said}");
    assert_eq!(ann.entries().await, entries, "an erasure of nothing is not in the log");
    let shown: IdeaDetail = ann.reads(&["show", &idea]).await;
    assert_eq!((shown.text, shown.view.title.as_str()), (None, ""));
    let output = ann.tries(&["export", "--with-sealed"]).await;
    assert!(!String::from_utf8_lossy(&output.stdout).contains(&idea), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("0 sealed, 1 erased or hidden"), "{said}");
    for file in walk(&mesh.data().join("ideas")) {
        let bytes = fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the text is still in {}", file.display());
    }
}

async fn sealed_texts_are_exported_only_when_asked_for(ann: &Person<'_>, secret: &str) {
    for form in ["json", "csv", "markdown"] {
        let output = ann.tries(&["export", "--form", form]).await;
        let (out, said) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && !out.contains(secret), "{form}: {out}");
        assert!(said.contains("1 idea is left out") && said.contains("--with-sealed"), "{said}");
    }
    let out = ann.does(&["export", "--with-sealed"]).await;
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sealed: Vec<&Value> = lines.iter().filter(|line| !line["sealed"].is_null()).collect();
    assert_eq!(sealed.len(), 1, "{out}");
    assert_eq!((&sealed[0]["sealed"], &sealed[0]["text"]), (&json!("jane"), &json!(secret)));
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    entries
        .flat_map(
            |entry| {
                if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] }
            },
        )
        .collect()
}

async fn anybody_can_check(ann: &Person<'_>, bob: &Person<'_>) {
    let entries = ann.entries().await;
    let verified: Value = wait_for(SOON, "all entries are signed", async || {
        let verified: Value = ann.reads(&["verify"]).await;
        (verified["size"].as_u64()? >= entries).then_some(verified)
    })
    .await;
    assert_eq!(verified["withheld"], 1, "the erased text: {verified}");
    let idea = ann.reads::<Vec<IdeaView>>(&["search", "cancelled"]).await[0].id.to_string();
    let file = ann.home().join("idea.tlog-proof");
    let file = file.to_str().unwrap();
    ann.does(&["prove", &idea, "-f", file]).await;
    bob.does(&["verify", "--no-texts"]).await;
    bob.does(&["check", file]).await;
    let bytes = fs::read(file).unwrap();
    for at in (0..bytes.len()).step_by(97) {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        fs::write(file, &bad).unwrap();
        let output = bob.tries(&["check", file]).await;
        assert!(!output.status.success(), "byte {at} was changed and nobody minds");
    }
}

async fn from_an_idea_to_its_work_and_back(mesh: &Mesh, ann: &Person<'_>) {
    let idea = ann.reads::<Vec<IdeaView>>(&["search", "warmth"]).await[0].id;
    let mut spec = JobSpec::new(["sh", "-c", "echo warm > out.txt"]);
    spec.autonomous = true;
    refused(mesh, &spec, "E_NO_IDEA").await;
    spec.idea = Some(IdeaId([9; 32]));
    refused(mesh, &spec, "E_NO_IDEA").await;
    spec.idea = Some(idea);
    spec.outputs = vec!["out.txt".into()];
    let job = mesh.submit(&spec).await.job;
    assert_eq!(mesh.finished(job, SOON).await.state, JobState::Succeeded);
    let work: Vec<IdeaWork> = wait_for(SOON, "the ledger knows the end of the job", async || {
        let work: Vec<IdeaWork> = ann.reads(&["work", &idea.to_string()]).await;
        (work.first()?.idea.state == JobState::Succeeded).then_some(work)
    })
    .await;
    assert_eq!(work[0].idea.job, job);
    let stored = work[0].tasks[0].last.as_ref().and_then(|attempt| attempt.manifest.as_ref());
    assert!(stored.is_some(), "its artifacts are told: {work:?}");
    let back: JobIdeas = ann.reads(&["work", "--job", &job.to_string()]).await;
    assert_eq!(back.idea.unwrap().view.id, idea);
    assert_eq!(back.told.len(), 1);
    the_beginning_of_an_id_is_enough_to_submit(mesh, ann, idea).await;
}

async fn the_beginning_of_an_id_is_enough_to_submit(mesh: &Mesh, ann: &Person<'_>, idea: IdeaId) {
    let begins = idea.to_string()[..14].to_owned();
    let output =
        mesh.cli(&["submit", "--idea", &begins, "--autonomous", "-o", "json", "--", "true"]).await;
    assert!(output.status.success(), "{output:?}");
    let submitted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let job = submitted["job"].as_str().unwrap();
    let back: JobIdeas = ann.reads(&["work", "--job", job]).await;
    assert_eq!(back.names, Some(idea));
    for (wrong, code) in [("idea_000000", "E_NOT_FOUND"), ("a/b", "E_INVALID")] {
        let output = mesh.cli(&["submit", "--idea", wrong, "--", "true"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(code), "{said}");
    }
}

async fn refused(mesh: &Mesh, spec: &JobSpec, code: &str) {
    let request = mesh.http().request(Method::POST, "/api/v1/jobs").json(spec);
    let (status, body) = Http::answer(request).await.unwrap();
    assert_eq!((status, body["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some(code)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_idea_is_lost_while_parts_are_away() {
    let mut mesh = Mesh::start(&Options { nodes: 0, ..Options::default() }).await;
    {
        let ann = Person::new(&mesh, "ann");
        ann.does(&["add", "An idea before anything broke"]).await;
        ann.does(&["verify"]).await;
        the_stream_keeps_what_the_registry_cannot_take(&mesh, &ann).await;
        autonomous_jobs_wait_for_the_registry(&mesh).await;
    }
    mesh.stop();
    {
        let ann = Person::new(&mesh, "ann");
        let waits = ann.does(&["add", "An idea while the mesh was off"]).await;
        assert!(waits.starts_with("entry_"), "{waits}");
        // Nobody can say which idea that is: the text is kept, to be said again.
        let derived = ["add", "What derives from some idea", "--derives", "idea_abcdef"];
        ann.is_refused(&derived, "E_UNREACHABLE", 7).await;
        ann.is_refused(&["comment", "idea_abcdef", "A remark"], "E_UNREACHABLE", 7).await;
        let kept = ann.kept("drafts");
        let texts: Vec<_> = kept.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        assert!(texts.iter().any(|text| text == derived[1]) && texts.len() == 2, "{texts:?}");
    }
    mesh.start_again().await;
    let ann = Person::new(&mesh, "ann");
    ann.does(&["sync"]).await;
    let titles: Vec<_> =
        ann.reads::<Vec<IdeaView>>(&["list"]).await.into_iter().map(|idea| idea.title).collect();
    for title in ["before anything broke", "while the registry was away", "while the mesh was off"]
    {
        assert_eq!(titles.iter().filter(|t| t.ends_with(title)).count(), 1, "{title}: {titles:?}");
    }
    assert!(ann.kept("spool").is_empty() && ann.kept("refused").is_empty());
    assert_eq!(ann.reads::<Vec<IdeaView>>(&["list"]).await.len(), 4, "and the sealed one");
    ann.does(&["verify"]).await;
}

async fn the_stream_keeps_what_the_registry_cannot_take(mesh: &Mesh, ann: &Person<'_>) {
    let minder = mesh.frozen_minder();
    mesh.kill("ideas");
    // The stream would keep it in the clear for ever: it waits in the spool alone.
    ann.does(&["add", "A secret while the registry was away", "--sealed", "ann"]).await;
    let waits = ann.does(&["add", "An idea while the registry was away"]).await;
    assert!(waits.starts_with("entry_"), "{waits}");
    drop(minder);
    // Nobody sends it again: it comes from the stream.
    wait_for(SOON, "the registry has read the stream", async || {
        let stats = mesh.http().get("/api/v1/ledger").await.ok()?;
        (stats.1["ideas"].as_u64()? == 2).then_some(())
    })
    .await;
}

async fn autonomous_jobs_wait_for_the_registry(mesh: &Mesh) {
    let minder = mesh.frozen_minder();
    mesh.kill("ideas");
    let mut spec = JobSpec::new(["true"]);
    spec.autonomous = true;
    spec.idea = Some(IdeaId([9; 32]));
    let request = mesh.http().request(Method::POST, "/api/v1/jobs").json(&spec);
    let (status, body) = Http::answer(request).await.unwrap();
    let answer = (status, body["code"].as_str());
    assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, Some("E_LEDGER_DOWN")), "{body}");
    drop(minder);
    wait_for(SOON, "the registry is back", async || {
        mesh.http().get("/api/v1/ledger").await.ok().filter(|(status, _)| status.is_success())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_set_back_is_refused_with_the_evidence() {
    let mut mesh = Mesh::start(&Options { nodes: 0, ..Options::default() }).await;
    Person::new(&mesh, "ann").does(&["add", "The first idea"]).await;
    mesh.stop();
    let (data, copy) = (mesh.data().join("ideas"), mesh.scratch().join("backup"));
    copy_dir(&data, &copy);
    mesh.start_again().await;
    {
        let ann = Person::new(&mesh, "ann");
        ann.does(&["add", "The second idea"]).await;
        wait_for(SOON, "both ideas are signed", async || {
            let verified: Value = ann.reads(&["verify"]).await;
            (verified["ideas"].as_u64()? == 2).then_some(())
        })
        .await;
    }
    mesh.stop();
    fs::remove_dir_all(&data).unwrap();
    copy_dir(&copy, &data);
    mesh.start_again().await;
    let ann = Person::new(&mesh, "ann");
    let said = ann.is_refused(&["verify"], "E_LEDGER_ROLLBACK", 8).await;
    let kept = said.split("the evidence is in ").nth(1).expect("it names the evidence");
    let kept = std::path::Path::new(kept.lines().next().unwrap().trim());
    for file in ["remembered.checkpoint", "seen.checkpoint", "proof"] {
        assert!(kept.join(file).exists(), "{file} is kept");
    }
    ann.does(&["add", "Another second idea"]).await;
    let forked = wait_for(SOON, "the other history is as long", async || {
        let output = ann.tries(&["verify"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.contains("E_LEDGER_FORK").then_some(said)
    })
    .await;
    assert!(forked.contains("evidence"), "{forked}");
}
