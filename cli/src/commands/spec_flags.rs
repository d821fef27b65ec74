//! The flags that make or change a job spec; `submit` and `run` share them.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use mesh_schemas::{
    ByteSize, Cpu, ErrorCode, JobId, JobSpec, Problem, Span,
    idea::IdeaId,
    spec::{ArrayRange, ArraySpec, SPEC_BYTES_MAX},
};

use tokio_util::sync::CancellationToken;

use crate::{args::Global, context, ideas::idea_id};

/// What the job asks for; each flag overrides the field of the same name in the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SpecFlags {
    /// A name for people.
    #[arg(long)]
    name: Option<String>,
    /// The project it belongs to.
    #[arg(long, env = "MESH_PROJECT")]
    project: Option<String>,
    /// A variable for the tasks; may be repeated.
    #[arg(long, short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Directory to start in, relative to the attempt's directory.
    #[arg(long, value_name = "DIR")]
    workdir: Option<String>,
    /// A label that the node must carry; may be repeated.
    #[arg(long, short, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Processors of a task, such as 0.5 or 2.
    #[arg(long, value_name = "N")]
    cpu: Option<Cpu>,
    /// Memory of a task, such as 2GiB.
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// Disk of a task.
    #[arg(long, value_name = "SIZE")]
    disk: Option<ByteSize>,
    /// Whole graphics processors of a task.
    #[arg(long, value_name = "N")]
    gpu: Option<u32>,
    /// Units of a pool that nodes declare; may be repeated.
    #[arg(long, value_name = "NAME=UNITS")]
    pool: Vec<String>,
    /// From -100 to 100; higher goes first.
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    priority: Option<i16>,
    /// Longest wait for the first grant.
    #[arg(long, value_name = "TIME")]
    queue_timeout: Option<Span>,
    /// Longest run of one attempt.
    #[arg(long, short = 't', value_name = "TIME")]
    timeout: Option<Span>,
    /// Longest silence on stdout and stderr.
    #[arg(long, value_name = "TIME")]
    stall_timeout: Option<Span>,
    /// Time between asking a task to end and killing it.
    #[arg(long, value_name = "TIME")]
    kill_grace: Option<Span>,
    /// More attempts when the command fails; --retry oom=2, timeout=1, stalled=1, lost=5 for the rest.
    #[arg(long, value_name = "[CLASS=]N")]
    retry: Vec<String>,
    /// Many tasks: a range of indices such as 0-99999.
    #[arg(long, value_name = "FIRST-LAST", conflicts_with = "array_file")]
    array: Option<ArrayRange>,
    /// Many tasks: one for each line of this file (`-` is standard input).
    #[arg(long, value_name = "FILE")]
    array_file: Option<PathBuf>,
    /// Files to keep, such as `target/release/app` or `report/**`; may be repeated.
    #[arg(long = "keep", visible_alias = "outputs", value_name = "PATTERN")]
    outputs: Vec<String>,
    /// Directory that the next attempt starts with.
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<String>,
    /// Longest time until output leaves the node.
    #[arg(long, value_name = "TIME")]
    upload_every: Option<Span>,
    /// Most log bytes until output leaves the node.
    #[arg(long, value_name = "SIZE")]
    upload_bytes: Option<ByteSize>,
    /// A job that must have succeeded first; may be repeated.
    #[arg(long, value_name = "JOB")]
    after: Vec<JobId>,
    /// The idea in the ledger that this job works on, by its id or the beginning of it, 6 digits or more.
    #[arg(long, value_name = "IDEA")]
    idea: Option<String>,
    /// The same as its whole id, once it is found.
    #[arg(skip)]
    found: Option<IdeaId>,
    /// Mark the job as started by a program: it needs an idea in the ledger.
    #[arg(long)]
    autonomous: bool,
    /// The same key with the same spec is the same job, for ever; made anew when not given.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl SpecFlags {
    /// As [`Self::spec`], with the whole id of the idea; `None` when Ctrl-C comes first, as standard input may never end.
    pub(crate) async fn read(
        &self,
        global: &Global,
        file: Option<&Path>,
        command: &[String],
        stop: &CancellationToken,
    ) -> Result<Option<JobSpec>, Problem> {
        let mut flags = self.clone();
        tokio::select! {
            found = self.whole_idea(global) => flags.found = found?,
            () = stop.cancelled() => return Ok(None),
        }
        if file.is_none() && flags.array_file.is_none() {
            return flags.spec(None, command).map(Some);
        }
        let (file, command) = (file.map(Path::to_owned), command.to_vec());
        let reading = tokio::task::spawn_blocking(move || flags.spec(file.as_deref(), &command));
        tokio::select! {
            spec = reading => match spec {
                Ok(spec) => spec.map(Some),
                Err(error) => Err(Problem::new(ErrorCode::Internal, error.to_string())),
            },
            () = stop.cancelled() => Ok(None),
        }
    }

    /// The whole id of the idea that is named; asked for when it is only the beginning of one.
    async fn whole_idea(&self, global: &Global) -> Result<Option<IdeaId>, Problem> {
        let Some(idea) = &self.idea else { return Ok(None) };
        if let Ok(whole) = idea.parse() {
            return Ok(Some(whole));
        }
        idea_id(&context::client(global)?, idea).await.map(Some)
    }

    /// The spec of the file, if any, changed by the flags and the command.
    fn spec(&self, file: Option<&Path>, command: &[String]) -> Result<JobSpec, Problem> {
        let mut spec = match file {
            Some(path) => JobSpec::from_text(&read_bounded(path)?)?,
            None => JobSpec::new(command.iter().cloned()),
        };
        if file.is_some() && !command.is_empty() {
            spec.command = command.to_vec();
        }
        self.apply(&mut spec)?;
        spec.check()?;
        // Retried submits of one command must not make two jobs.
        spec.idempotency_key.get_or_insert_with(|| mesh_fabric::ids::new_uuid().to_string());
        Ok(spec)
    }

    fn apply(&self, spec: &mut JobSpec) -> Result<(), Problem> {
        self.apply_plain(spec);
        for (name, value) in pairs("--env", &self.env)? {
            spec.env.insert(name, value);
        }
        for (key, value) in pairs("--label", &self.label)? {
            spec.labels.insert(key, value);
        }
        for (pool, units) in pairs("--pool", &self.pool)? {
            spec.resources.pools.insert(pool, number("--pool", &units)?);
        }
        for text in &self.retry {
            apply_retry(spec, text)?;
        }
        if let Some(path) = &self.array_file {
            spec.array = Some(ArraySpec::Items(lines(path)?));
        }
        Ok(())
    }

    fn apply_plain(&self, spec: &mut JobSpec) {
        fn set<T: Clone>(field: &mut T, flag: Option<&T>) {
            if let Some(value) = flag {
                field.clone_from(value);
            }
        }
        fn set_some<T: Clone>(field: &mut Option<T>, flag: Option<&T>) {
            if flag.is_some() {
                *field = flag.cloned();
            }
        }
        set_some(&mut spec.name, self.name.as_ref());
        set(&mut spec.project, self.project.as_ref());
        set_some(&mut spec.workdir, self.workdir.as_ref());
        set(&mut spec.resources.cpu, self.cpu.as_ref());
        set(&mut spec.resources.memory, self.memory.as_ref());
        set(&mut spec.resources.disk, self.disk.as_ref());
        set(&mut spec.resources.gpu, self.gpu.as_ref());
        set(&mut spec.priority, self.priority.as_ref());
        set_some(&mut spec.timeouts.queue, self.queue_timeout.as_ref());
        set_some(&mut spec.timeouts.run, self.timeout.as_ref());
        set_some(&mut spec.timeouts.stall, self.stall_timeout.as_ref());
        set(&mut spec.timeouts.kill_grace, self.kill_grace.as_ref());
        set_some(&mut spec.array, self.array.map(ArraySpec::Range).as_ref());
        set_some(&mut spec.checkpoint, self.checkpoint.as_ref());
        set(&mut spec.upload.every, self.upload_every.as_ref());
        set(&mut spec.upload.bytes, self.upload_bytes.as_ref());
        set_some(&mut spec.idempotency_key, self.key.as_ref());
        set_some(&mut spec.idea, self.found.as_ref());
        spec.autonomous |= self.autonomous;
        spec.outputs.extend(self.outputs.iter().cloned());
        spec.after.extend(self.after.iter().copied());
    }
}

fn apply_retry(spec: &mut JobSpec, text: &str) -> Result<(), Problem> {
    let (class, count) = text.split_once('=').unwrap_or(("fail", text));
    let retries = &mut spec.retries;
    let field = match class {
        "fail" | "user_error" => &mut retries.user_error,
        "oom" | "out_of_memory" => &mut retries.out_of_memory,
        "timeout" => &mut retries.timeout,
        "stalled" => &mut retries.stalled,
        "lost" => &mut retries.lost,
        _ => {
            return Err(Problem::new(
                ErrorCode::Usage,
                format!(
                    "--retry {text:?}: the classes are fail (user_error), oom (out_of_memory), \
                     timeout, stalled and lost"
                ),
            ));
        }
    };
    *field = number("--retry", count)?;
    Ok(())
}

/// Each text cut at its first `=`.
pub(crate) fn pairs(flag: &str, texts: &[String]) -> Result<Vec<(String, String)>, Problem> {
    let cut = |text: &String| {
        let (key, value) = text.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    };
    let wrong = |text| Problem::new(ErrorCode::Usage, format!("{flag} {text:?} lacks a '='"));
    texts.iter().map(|text| cut(text).ok_or_else(|| wrong(text))).collect()
}

fn number<T: std::str::FromStr>(flag: &str, text: &str) -> Result<T, Problem> {
    let wrong = |_| Problem::new(ErrorCode::Usage, format!("{flag}: {text:?} is no whole number"));
    text.parse().map_err(wrong)
}

fn lines(path: &Path) -> Result<Vec<String>, Problem> {
    let text = String::from_utf8(read_bounded(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::new(ErrorCode::Syntax, format!("{} is not UTF-8 at byte {at}", path.display()))
    })?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The bytes of a file or of standard input (`-`), never more than the limit.
fn read_bounded(path: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |error| context::io("read", path, &error);
    let mut bytes = Vec::new();
    let limit = u64::try_from(SPEC_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let meta = std::fs::metadata(path).map_err(failed)?;
        if !meta.is_file() {
            return Err(Problem::new(ErrorCode::File, format!("{} is no file", path.display())));
        }
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() > SPEC_BYTES_MAX {
        return Err(Problem::new(
            ErrorCode::TooLarge,
            format!("{} has over {SPEC_BYTES_MAX} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("job.yaml");
        std::fs::write(&file, "command: [a]\npriority: 1\nenv: {X: old, Y: kept}\n").unwrap();
        let flags = SpecFlags {
            priority: Some(7),
            env: vec!["X=new".into()],
            retry: vec!["2".into(), "oom=3".into()],
            ..SpecFlags::default()
        };
        let spec = flags.spec(Some(&file), &[]).unwrap();
        assert_eq!((spec.priority, spec.retries.user_error, spec.retries.out_of_memory), (7, 2, 3));
        assert_eq!((spec.env["X"].as_str(), spec.env["Y"].as_str()), ("new", "kept"));
        assert!(spec.idempotency_key.is_some());
    }

    #[test]
    fn what_is_no_spec_file_gets_one_error() {
        let dir = tempfile::tempdir().unwrap();
        let flags = SpecFlags::default();
        let code = |path: &Path| flags.spec(Some(path), &[]).unwrap_err().code;
        assert_eq!(code(&dir.path().join("missing")), ErrorCode::File);
        assert_eq!(code(dir.path()), ErrorCode::File);
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        assert_eq!(code(&empty), ErrorCode::Syntax);
        assert_eq!(flags.spec(None, &[]).unwrap_err().field.as_deref(), Some("command"));
    }
}
