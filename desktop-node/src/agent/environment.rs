//! What is handed to the supervisor: the command with its clean environment.

use mesh_node_core::Attempt;
use mesh_schemas::{AttemptKey, spec::Resources};

use super::place::Place;
use crate::{
    config::NodeConfig,
    protocol::{ATTEMPT_VARIABLE, Spawn},
};

/// The request that runs an attempt.
pub(super) fn spawn(config: &NodeConfig, attempt: &Attempt) -> Spawn {
    let key = attempt.key();
    let place = Place::new(&config.data_dir, key);
    let run = &attempt.job.run;
    Spawn {
        attempt: key,
        argv: run.command.clone(),
        env: environment(config, attempt, &place, key),
        cwd: run.workdir.as_ref().map(Into::into).unwrap_or_default(),
        dir: place.dir,
        resources: run.resources.clone(),
        enforce: wants_limits(&run.resources),
    }
}

/// Limits cost time at the start of each command; one that asks for the defaults gets none.
fn wants_limits(resources: &Resources) -> bool {
    resources.memory.0 > 0 || resources.cpu != mesh_schemas::Cpu::ONE
}

/// Nothing of the node's own environment is passed on.
fn environment(
    config: &NodeConfig,
    attempt: &Attempt,
    place: &Place,
    key: AttemptKey,
) -> Vec<(String, String)> {
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let work = place.work();
    let trace = attempt.job.trace.child(mesh_fabric::ids::span_id());
    let user = rustix::process::getuid().as_raw();
    let user = if user == 0 { "root".to_owned() } else { format!("uid{user}") };
    let mut env = vec![
        ("PATH", config.path.clone()),
        ("HOME", text(work.clone())),
        ("TMPDIR", text(place.tmp())),
        ("LANG", "C.UTF-8".into()),
        ("USER", user),
        ("MESH_JOB_ID", key.job.to_string()),
        ("MESH_TASK_INDEX", key.task.to_string()),
        ("MESH_EPOCH", key.epoch.to_string()),
        (ATTEMPT_VARIABLE, key.to_string()),
        ("TRACEPARENT", trace.to_string()),
    ];
    env.extend(attempt.start.item.clone().map(|item| ("MESH_ITEM", item)));
    let checkpoint = attempt.job.run.checkpoint.as_ref();
    env.extend(checkpoint.map(|dir| ("MESH_CHECKPOINT_DIR", text(work.join(dir)))));
    let given = attempt.job.run.env.iter().map(|(name, value)| (name.clone(), value.clone()));
    env.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(given).collect()
}
