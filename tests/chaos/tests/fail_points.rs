//! Each fail point kills, and nothing that was accepted is lost by it.

use std::time::Duration;

use mesh_chaos::{
    cluster::StoreKind,
    report,
    run::{Plan, run},
};
use mesh_fabric::fail_point::FailPoint;

/// How long parts die.
const LENGTH: Duration = Duration::from_secs(30);
/// Of this one all three scenarios strike within the first nine seconds.
const SEED: u64 = 20;
/// Those of orchestrator and registry, whose deaths are seen from outside as well.
const OF_PARTS: u32 = 5;

/// Goal: the named instants are real, and survived. Method: a run of these scenarios alone, in which processes
/// write down where they die and the run sees them die, and the checker over what is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fail_point_kills_and_nothing_accepted_is_lost() {
    let dir = mesh_tests::tmp::dir("fail-points");
    let plan = Plan {
        root: dir.path().to_owned(),
        length: LENGTH,
        seed: SEED,
        nodes: 2,
        store: StoreKind::Sqlite,
        lease_ttl: Duration::from_secs(6),
        only: ["C1b", "C2e", "C15c"].map(str::to_owned).into(),
    };
    let outcome = run(&plan).await.unwrap();
    let text = report::of_run(&outcome);
    assert!(outcome.is_good(), "{text}");
    for point in FailPoint::ALL {
        let counts = outcome.points.get(point).copied().unwrap_or_default();
        assert!(counts.fired > 0, "nothing died at {}:\n{text}", point.name());
    }
    assert!(outcome.point_deaths >= OF_PARTS, "{} were seen to die:\n{text}", outcome.point_deaths);
}
