//! Who may use an SQLite database, and who leads.

use mesh_orchestrator::{app::App, config::Config};
use mesh_schemas::ErrorCode;

use super::cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_orchestrator_on_one_sqlite_file_is_refused_and_told_who_has_it() {
    let cluster = Cluster::start().await;
    let config = Config::load(Some(&cluster.config())).unwrap();
    let problem = App::start(config).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::Locked);
    let holder = format!("process {} ", std::process::id());
    assert!(problem.detail.contains(&holder), "{problem}");
    assert!(cluster.state.lease.holds(), "the first one still leads");
    assert!(cluster.state.engine.totals().await.is_ok());
}
