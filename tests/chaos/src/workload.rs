//! What clients submit: small jobs whose every byte of output is known beforehand.

use std::collections::BTreeMap;

use mesh_schemas::{
    ByteSize, Cpu, JobSpec, Span,
    attempt::JobState,
    spec::{ArrayRange, ArraySpec},
};

use crate::{history::Wanted, rng::Rng};

/// Losses that a task may bear, and failures that a full disk makes: faults come oftener here than in life.
const LOST_MAX: u16 = 100;
/// The variable that holds a secret of the run.
pub const CANARY_VARIABLE: &str = "CHAOS_CANARY";

/// A job and what must come of it.
#[derive(Debug, Clone)]
pub struct Work {
    /// The spec, with its key.
    pub spec: JobSpec,
    /// What must come of it.
    pub wanted: Wanted,
}

impl Work {
    /// The idempotency key.
    pub fn key(&self) -> &str {
        self.spec.idempotency_key.as_deref().unwrap_or_default()
    }

    /// Names the body: the same for the same spec.
    pub fn body(&self) -> String {
        let text = serde_json::to_vec(&self.spec).unwrap_or_default();
        blake3::hash(&text).to_hex()[..16].to_owned()
    }
}

/// Some job with this key. `canary` is a secret that one kind of them is given.
pub fn draw(rng: &mut Rng, key: &str, canary: &str) -> Work {
    match rng.between(0, 99) {
        0..40 => array(rng, key),
        40..55 => report(key),
        55..63 => large(key),
        63..72 => checkpoint(key),
        72..80 => long(rng, key),
        80..92 => failing(key),
        _ => with_secret(key, canary),
    }
}

fn work(key: &str, script: &str) -> Work {
    let mut spec = JobSpec::new(["sh", "-c", script, key]);
    spec.idempotency_key = Some(key.to_owned());
    spec.resources.cpu = Cpu(250);
    spec.retries.lost = LOST_MAX;
    spec.retries.user_error = LOST_MAX;
    spec.upload.every = Span::from_secs(1);
    spec.timeouts.kill_grace = Span::from_secs(1);
    let end = Some(JobState::Succeeded);
    Work { spec, wanted: Wanted { tasks: 1, end, ..Wanted::default() } }
}

/// Many short tasks.
fn array(rng: &mut Rng, key: &str) -> Work {
    let tasks = u32::try_from(rng.between(2, 20)).unwrap_or(2);
    let mut work = work(key, "sleep 0.$((MESH_TASK_INDEX % 4)); echo \"$0 $MESH_TASK_INDEX\"");
    work.spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last: tasks - 1 }));
    work.wanted.tasks = tasks;
    work.wanted.stdout = Some(format!("{key} {{task}}\n"));
    work
}

/// A file that grows while it is uploaded, the same as what is printed.
fn report(key: &str) -> Work {
    let mut work = work(
        key,
        "n=0; while [ $n -lt 120 ]; do n=$((n+1)); echo \"$0 line $n\"; \
         if [ $((n % 20)) = 0 ]; then sleep 0.3; fi; done | tee report.txt",
    );
    let text: String = (1..=120).map(|n| format!("{key} line {n}\n")).collect();
    work.spec.outputs = vec!["report.txt".into()];
    work.wanted.files = BTreeMap::from([("report.txt".into(), hash(&text))]);
    work.wanted.stdout = Some(text);
    work
}

/// A few megabytes.
fn large(key: &str) -> Work {
    let mut work = work(key, "seq -f \"$0 %.0f\" 1 60000 > large.txt && { sleep 2; echo done; }");
    let text: String = (1..=60_000).map(|n| format!("{key} {n}\n")).collect();
    work.spec.outputs = vec!["large.txt".into()];
    work.wanted.files = BTreeMap::from([("large.txt".into(), hash(&text))]);
    work.wanted.stdout = Some("done\n".into());
    work
}

/// Counts in its checkpoint and goes on where an earlier attempt stopped.
fn checkpoint(key: &str) -> Work {
    let mut work = work(
        key,
        "cd \"$MESH_CHECKPOINT_DIR\"; n=$(cat n 2>/dev/null || echo 0); \
         while [ \"$n\" -lt 15 ]; do n=$((n+1)); echo $n >new && mv new n || exit 1; sleep 0.3; done; \
         echo \"$0 counted to $n\"",
    );
    work.spec.checkpoint = Some("state".into());
    work.wanted.stdout = Some(format!("{key} counted to 15\n"));
    work
}

/// Runs for seconds, so that most faults meet it.
fn long(rng: &mut Rng, key: &str) -> Work {
    let ticks = rng.between(20, 60);
    let script = format!(
        "n=0; while [ $n -lt {ticks} ]; do n=$((n+1)); echo \"$0 $n\" || exit 1; sleep 0.25; done"
    );
    let mut work = work(key, &script);
    work.wanted.stdout = Some((1..=ticks).map(|n| format!("{key} {n}\n")).collect());
    work
}

/// Fails, and fails again.
fn failing(key: &str) -> Work {
    let mut work = work(key, "echo \"$0\"; exit 3");
    work.spec.retries.user_error = 1;
    work.wanted.end = Some(JobState::Failed);
    work
}

/// Knows a secret and does not tell.
fn with_secret(key: &str, canary: &str) -> Work {
    let mut work = work(key, "test -n \"$CHAOS_CANARY\" && echo \"$0 knows\"");
    work.spec.env.insert(CANARY_VARIABLE.into(), canary.to_owned());
    work.wanted.stdout = Some(format!("{key} knows\n"));
    work
}

/// Jobs that behave badly: too much memory, too many processes, too many files, too long a log.
pub fn nasty(rng: &mut Rng, key: &str) -> Work {
    let scripts = [
        "head -c 300000000 /dev/zero | tail >/dev/null; echo survived",
        "n=0; while [ $n -lt 60 ]; do n=$((n+1)); setsid sleep 86399 & done; echo left them",
        "mkdir many; n=0; while [ $n -lt 3000 ]; do n=$((n+1)); : >many/$n; done",
        "yes \"$0 is a flood\" | head -c 48000000",
        "trap '' TERM; kill -STOP $$",
    ];
    let script = rng.pick(&scripts).copied().unwrap_or_default();
    let mut work = work(key, script);
    work.spec.resources.memory = ByteSize::mib(64);
    work.spec.outputs = vec!["many/**".into()];
    work.spec.timeouts.run = Some(Span::from_secs(20));
    work.wanted.end = None;
    work
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Each script does by itself what the checker will ask for.
    #[test]
    fn scripts_do_what_is_wanted_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let rng = &mut Rng::new(1);
        let works = [report("k"), large("k"), checkpoint("k"), failing("k"), with_secret("k", "c")];
        for work in works.into_iter().chain([array(rng, "k")]) {
            assert!(work.spec.check().is_ok(), "{:?}", work.spec);
            let mut command = Command::new("sh");
            command.args(&work.spec.command[1..]).envs(&work.spec.env).current_dir(dir.path());
            command.env("MESH_TASK_INDEX", "3").env("MESH_CHECKPOINT_DIR", dir.path());
            let output = command.output().unwrap();
            let good = work.wanted.end == Some(JobState::Succeeded);
            assert_eq!(output.status.success(), good, "{:?}", work.spec.command);
            if let Some(stdout) = work.wanted.stdout {
                let stdout = stdout.replace("{task}", "3");
                assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
            }
            for (path, wanted) in work.wanted.files {
                let bytes = std::fs::read_to_string(dir.path().join(path)).unwrap();
                assert_eq!(hash(&bytes), wanted);
            }
        }
    }
}
