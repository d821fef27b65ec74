//! What happens in the demo: submit, watch, pull a plug, watch on, check.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use mesh_schemas::{
    JobId, NodeId,
    api::{JobView, NodeView, Submitted},
    attempt::JobState,
};

use crate::{cluster::Cluster, say, source, table, until, verify};

/// Tasks of the array.
const ARRAY_TASKS: u32 = 200;
/// Longest time for all of it, on a slow machine too.
const LIMIT: Duration = Duration::from_secs(900);
/// Progress is shown at most this often.
const SHOW_EVERY: Duration = Duration::from_secs(2);

/// One job of the demo.
pub(crate) struct DemoJob {
    pub(crate) title: &'static str,
    pub(crate) job: JobId,
    /// The file that it must leave behind.
    pub(crate) artifact: Option<&'static str>,
}

pub(crate) fn tell(
    begun: Instant,
    cluster: &mut Cluster,
    source: &Path,
    root: &Path,
) -> anyhow::Result<()> {
    let jobs = submit_all(begun, cluster, source)?;
    let victim = pull_the_plug(begun, cluster, &jobs)?;
    watch(begun, cluster, &jobs)?;
    let rows = verify::jobs(cluster, &jobs)?;
    table::print(&rows);
    let again = rows.iter().map(|row| row.lost_on(victim)).sum::<usize>();
    ensure!(again > 0, "the killed node held nothing, so nothing was shown");
    say(
        begun,
        format_args!("{again} attempt(s) were lost with the killed node and ran again elsewhere"),
    );
    verify::artifacts(begun, cluster, &jobs, root)
}

fn submit_all(begun: Instant, cluster: &Cluster, source: &Path) -> anyhow::Result<Vec<DemoJob>> {
    // A node's owner decides the PATH of its jobs; these bring the directory of cargo along.
    let path = format!("PATH={}:$PATH", source::cargo_directory()?.display());
    let report = |filter: &str, file: &str| {
        format!(
            "{path}; mkdir -p report; cargo test --locked {filter} >report/{file} 2>&1; code=$?; \
             cat report/{file}; exit $code"
        )
    };
    let unit = report("--lib --bins", "unit.txt");
    let integration = report("--test integration_tests", "integration.txt");
    let build = format!("{path}; cargo build --release --locked");
    let mut jobs = Vec::new();
    for (title, keep, command) in [
        ("build", "target/release/hexyl", build.as_str()),
        ("unit tests", "report/unit.txt", unit.as_str()),
        ("integration tests", "report/integration.txt", integration.as_str()),
    ] {
        let submitted = submit_real(cluster, source, title, keep, command)
            .with_context(|| format!("submitting {title}"))?;
        say(begun, format_args!("submitted {title}: {}", submitted.job));
        jobs.push(DemoJob { title, job: submitted.job, artifact: Some(keep) });
    }
    let range = format!("0-{}", ARRAY_TASKS - 1);
    let submitted: Submitted = cluster.ask(&[
        "submit",
        "--name",
        "array",
        "--array",
        &range,
        "--cpu",
        "0.25",
        "--",
        "sh",
        "-c",
        "sleep 0.4; echo task $MESH_TASK_INDEX on $(hostname)",
    ])?;
    say(begun, format_args!("submitted an array of {ARRAY_TASKS} short tasks: {}", submitted.job));
    jobs.push(DemoJob { title: "array", job: submitted.job, artifact: None });
    Ok(jobs)
}

/// A job over the shipped source. Cargo's own caches are the machine's: a node's owner shares them.
fn submit_real(
    cluster: &Cluster,
    source: &Path,
    title: &str,
    keep: &str,
    command: &str,
) -> anyhow::Result<Submitted> {
    let name = title.replace(' ', "-");
    let dir = source.to_string_lossy();
    let mut args =
        vec!["submit", "--name", &name, "--dir", &dir, "--keep", keep, "--upload-every", "5s"];
    let caches = caches();
    args.extend(caches.iter().flat_map(|variable| ["--env", variable.as_str()]));
    args.extend(["--", "sh", "-c", command]);
    cluster.ask(&args)
}

fn caches() -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let named = |name: &str, default: &str| {
        let value = std::env::var(name).unwrap_or_else(|_| format!("{home}/{default}"));
        format!("{name}={value}")
    };
    vec![named("CARGO_HOME", ".cargo"), named("RUSTUP_HOME", ".rustup")]
}

/// Kills a joined node that runs one of the real jobs and holds tasks of the array.
fn pull_the_plug(
    begun: Instant,
    cluster: &mut Cluster,
    jobs: &[DemoJob],
) -> anyhow::Result<NodeId> {
    let array = jobs.last().context("there is an array")?.job;
    let (node, held) = until(Duration::from_secs(120), "a joined node is well at work", || {
        let done = cluster
            .ask::<JobView>(&["job", "show", &array.to_string(), "-n", "1"])?
            .counts
            .succeeded;
        let nodes = cluster.nodes()?;
        let mut busy: Vec<&NodeView> = nodes
            .iter()
            .filter(|node| cluster.joined.iter().any(|joined| joined.name == node.name))
            .filter(|node| node.held > 0 && done > 5)
            .collect();
        busy.sort_by_key(|node| node.held);
        Ok(busy.last().map(|node| ((*node).clone(), node.held)))
    })?;
    let victim = cluster.joined.iter().position(|joined| joined.name == node.name);
    let mut victim = cluster.joined.remove(victim.context("the victim is one of ours")?);
    let killed = victim.kill();
    say(
        begun,
        format_args!(
            "KILLED {} (kill -9 of {killed} processes) while it held {held} task(s)",
            victim.name
        ),
    );
    say(begun, "its leases end 30 s after its last sign of life; then others take its work");
    Ok(node.id)
}

/// Shows how far everything is until all jobs have ended; the first that fails ends the demo.
fn watch(begun: Instant, cluster: &Cluster, jobs: &[DemoJob]) -> anyhow::Result<()> {
    let mut shown = (String::new(), Instant::now());
    until(LIMIT, "all jobs have ended", || {
        let views: Vec<JobView> = cluster.ask(&["jobs"])?;
        let mut line = Vec::new();
        let mut open = 0;
        for job in jobs {
            let view = views.iter().find(|view| view.id == job.job).context("a job is gone")?;
            let bad = view.state.is_terminal() && view.state != JobState::Succeeded;
            ensure!(!bad, "{} is {}: {}", job.title, view.state, log_of(cluster, job));
            open += usize::from(!view.state.is_terminal());
            line.push(format!("{} {}/{}", job.title, view.counts.succeeded, view.counts.total));
        }
        let line = line.join(" · ");
        if open == 0 || (line != shown.0 && shown.1.elapsed() > SHOW_EVERY) {
            say(begun, &line);
            shown = (line, Instant::now());
        }
        Ok((open == 0).then_some(()))
    })
}

/// What the job wrote.
fn log_of(cluster: &Cluster, job: &DemoJob) -> String {
    let output = cluster.mesh(["logs", &job.job.to_string()]).output();
    let text = |output: std::process::Output| {
        [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat()
    };
    output.map_or_else(|error| error.to_string(), text)
}
