//! How `mesh up` ends: it says what it waits for, and whoever hurries leaves nothing behind.

use std::{fs, time::Duration};

use mesh_schemas::JobSpec;
use mesh_tests::{
    mesh::{Mesh, Options, command_line},
    wait::wait_for,
};
use rustix::process::Signal;

/// Longest wait for anything, on a busy machine; shorter than the drain.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_wait_for_tasks_and_all_that_runs() {
    let mut mesh = Mesh::start(&Options { drain: "10m", ..Options::default() }).await;
    let file = mesh.scratch().join("pid");
    let line = format!("trap '' TERM; echo $$ >{}; while :; do sleep 0.1; done", file.display());
    mesh.submit(&JobSpec::new(["sh", "-c", &line])).await;
    let pid: u32 = wait_for(SOON, "the task runs", async || {
        fs::read_to_string(&file).ok()?.trim().parse().ok()
    })
    .await;
    let parts = mesh.pids();
    mesh.up().signal(Signal::INT);
    let words = "stopping: 1 task still runs and may go on for 10m";
    wait_for(SOON, words, async || mesh.up().log_tail().contains(words).then_some(())).await;
    assert!(command_line(pid).contains("trap"), "the task goes on");
    mesh.up().signal(Signal::INT);
    wait_for(SOON, "mesh up has ended", async || mesh.up().exited()).await;
    assert!(mesh.up().log_tail().contains("ending at once"), "{}", mesh.up().log_tail());
    assert!(!command_line(pid).contains("trap"), "the task is dead");
    for (part, pid) in parts {
        assert!(!command_line(pid).contains("mesh"), "{part} is left");
    }
}
