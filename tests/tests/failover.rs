//! Two orchestrators on one PostgreSQL: the leader is killed, frozen and stopped under load, with real
//! processes. The other one leads in time, nothing acknowledged is lost, and nothing ends twice.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]
#![expect(clippy::print_stdout, reason = "the times are measured to be read")]

mod failover_kit;

use std::time::{Duration, Instant};

use mesh_tests::{
    mesh::kill_pid,
    process::Frozen,
    standby::health,
    wait::{wait_for, wait_until},
};
use rustix::process::{Pid, Signal, kill_process};

use failover_kit::{Duo, turn};

/// By then the standby must serve when the leader was killed or frozen.
const FAILOVER_MAX: Duration = Duration::from_secs(10);
/// And when it was told to stop.
const HANDOVER_MAX: Duration = Duration::from_secs(2);
/// `timing.lead_ttl` when it is not set.
const LEASE: Duration = Duration::from_secs(6);
/// How long the leader is frozen.
const FROZEN_FOR: Duration = Duration::from_secs(20);
/// Longest wait for anything that has no bound of its own here.
const LONG: Duration = Duration::from_secs(120);
/// Requests that a frozen leader finds when it wakes up.
const ASKED_WHILE_FROZEN: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced_and_comes_back_as_standby() {
    let _turn = turn().await;
    let mut duo = Duo::start().await;
    let client = duo.submitter();
    duo.until_done(300).await;

    let minder = duo.mesh.frozen_minder();
    let killed = Instant::now();
    kill_pid(duo.mesh.pids()["orchestrator"]);
    let served = duo.until_standby_leads(killed).await;
    let acknowledged = client.acknowledged_after(killed).await;
    println!(
        "failover, leader killed (-9): the standby leads after {served:.2?}, and has acknowledged a \
         submit after {acknowledged:.2?}"
    );
    assert!(served < FAILOVER_MAX, "{served:?}");
    assert!(acknowledged < FAILOVER_MAX, "{acknowledged:?}");

    let first = duo.mesh.http().clone();
    drop(minder);
    wait_until(LONG, "the killed one is back as standby", async || {
        health(&first).await.as_deref() == Some("standby")
    })
    .await;
    duo.talk_to_standby();
    let jobs = client.stop().await;
    duo.all_ended_once(&jobs).await;
    let leads = duo.standby_metric("mesh_leader").await;
    assert_eq!(leads, 1, "the first one has not taken the lead back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_leader_wakes_up_as_standby_and_nothing_of_it_is_taken() {
    let _turn = turn().await;
    let mut duo = Duo::start().await;
    duo.watch_writers().await;
    let client = duo.submitter();
    duo.until_done(300).await;

    let frozen_at = Instant::now();
    let frozen = Frozen::new(duo.mesh.pids()["orchestrator"]);
    let asked = duo.ask_the_first(ASKED_WHILE_FROZEN);
    let served = duo.until_standby_leads(frozen_at).await;
    let acknowledged = client.acknowledged_after(frozen_at).await;
    println!(
        "failover, leader frozen (SIGSTOP): the standby leads after {served:.2?}, and has acknowledged a \
         submit after {acknowledged:.2?}"
    );
    assert!(served < FAILOVER_MAX, "{served:?}");
    tokio::time::sleep_until((frozen_at + FROZEN_FOR).into()).await;
    let woken = Instant::now();
    drop(frozen);

    let first = duo.mesh.http().clone();
    wait_until(LONG, "the frozen one stands by", async || {
        health(&first).await.as_deref() == Some("standby")
    })
    .await;
    println!("failover, leader woken (SIGCONT): it stands by after {:.2?}", woken.elapsed());
    // Connections that were open before may be closed for their silence; the others are answered.
    let asked = asked.await.unwrap();
    let refused: Vec<&(u16, String)> = asked.iter().flatten().collect();
    println!("  {} of {} submits to the frozen one were refused by it", refused.len(), asked.len());
    assert!(!refused.is_empty());
    for (status, code) in refused {
        let not_leading = matches!(code.as_str(), "E_STANDBY" | "E_NOT_LEADER");
        assert!(*status == 503 && not_leading, "{status} {code}");
    }
    wait_for(LONG, "the loss is counted", async || {
        (duo.first_metric("mesh_leads_lost_total").await >= 1).then_some(())
    })
    .await;
    assert_eq!(duo.first_metric("mesh_leader").await, 0);

    duo.talk_to_standby();
    let jobs = client.stop().await;
    duo.all_ended_once(&jobs).await;
    duo.only_the_standby_wrote_since_it_leads().await;
    assert_eq!(health(&first).await.as_deref(), Some("standby"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_told_to_stop_hands_over_at_once() {
    let _turn = turn().await;
    let mut duo = Duo::start().await;
    let client = duo.submitter();
    duo.until_done(100).await;

    let minder = duo.mesh.frozen_minder();
    let told = Instant::now();
    let pid = i32::try_from(duo.mesh.pids()["orchestrator"]).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    let served = duo.until_standby_leads(told).await;
    let acknowledged = client.acknowledged_after(told).await;
    println!(
        "handover, leader told to stop (SIGTERM): the standby leads after {served:.2?}; the next submit was \
         acknowledged, by either, after {acknowledged:.2?}"
    );
    assert!(served < HANDOVER_MAX, "{served:?}");
    drop(minder);
    duo.talk_to_standby();
    let jobs = client.stop().await;
    duo.all_ended_once(&jobs).await;
}

/// Also what the leader stands on goes and comes back with it: broker, object store and node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_that_starts_again_behind_another_leader_is_up_and_its_nodes_work() {
    let _turn = turn().await;
    let mut duo = Duo::start().await;
    duo.until_done(100).await;
    // Not before the other leads: otherwise it is a matter of speed who does.
    duo.mesh.stop();
    duo.until_standby_leads(Instant::now()).await;
    duo.mesh.start_again().await;
    assert!(duo.mesh.said().contains("stands by"), "{}", duo.mesh.said());
    assert_eq!(health(duo.mesh.http()).await.as_deref(), Some("standby"));
    duo.talk_to_standby();
    let job = duo.mesh.submit(&mesh_schemas::JobSpec::new(["true"])).await.job;
    duo.all_ended(&[job]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_touches_nothing_and_says_who_leads_also_when_that_one_starts_again() {
    let _turn = turn().await;
    let duo = Duo::start().await;
    duo.watch_writers().await;
    duo.until_done(50).await;
    let (status, code, hint) = duo.ask_the_standby().await;
    assert_eq!((status, code.as_str()), (503, "E_STANDBY"));
    assert!(hint.contains(duo.mesh.server()), "{hint}");
    assert_eq!(duo.standby_metric("mesh_leader").await, 0);
    let epochs = (
        duo.standby_metric("mesh_leader_epoch").await,
        duo.first_metric("mesh_leader_epoch").await,
    );
    assert_eq!(epochs.0, epochs.1);
    let writers = duo.writers().await;
    assert!(writers.first > 0 && writers.standby == 0, "{writers:?}");

    let epoch = duo.first_metric("mesh_leader_epoch").await;
    let killed = Instant::now();
    kill_pid(duo.mesh.pids()["orchestrator"]);
    wait_for(LONG, "the killed one leads again", async || {
        let (status, body) = duo.mesh.http().get("/api/v1/info").await.ok()?;
        (status.is_success() && body["leader"].as_u64() == Some(epoch + 1)).then_some(())
    })
    .await;
    let back = killed.elapsed();
    println!("restart, leader killed (-9) and started again: it leads after {back:.2?}");
    assert!(back < LEASE, "it waited for its own lease: {back:?}");
    assert_eq!(duo.standby_metric("mesh_leader").await, 0);
    assert_eq!(duo.writers().await.standby, 0);
}
