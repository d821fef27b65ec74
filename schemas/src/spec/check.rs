//! The rules of a spec, each with one sentence for whoever broke it.

use super::{
    AFTER_MAX, ArraySpec, COMMAND_BYTES_MAX, ENV_BYTES_MAX, ENV_VARS_MAX,
    IDEMPOTENCY_KEY_BYTES_MAX, JobSpec, OUTPUTS_MAX, Resources, Retries, TASKS_MAX, TIMEOUT_MAX,
    Timeouts, UploadPolicy,
};
use crate::{
    artifact_path::ArtifactPath,
    error::{ErrorCode, Problem},
    quantity::{Cpu, Span},
    text::{check_label, check_name, shown},
};

/// Variables that change what a program is, rather than what it is told: a node sets them or nobody.
const ENV_FORBIDDEN: [&str; 10] = [
    "BASH_ENV",
    "ENV",
    "GIT_SSH_COMMAND",
    "IFS",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PATH",
    "PROMPT_COMMAND",
    "SHELLOPTS",
];

impl JobSpec {
    /// Proves each rule of the spec.
    ///
    /// # Errors
    /// `E_INVALID`, `E_ENV_FORBIDDEN` or `E_PATH_ESCAPE`, naming the first field that breaks its rule.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(name) = &self.name {
            check_name("name", name)?;
        }
        check_name("project", &self.project)?;
        check_command(&self.command)?;
        self.check_env()?;
        self.check_paths()?;
        for (key, value) in &self.labels {
            check_label("labels", key, value)?;
        }
        self.resources.check()?;
        bounded("priority", i64::from(self.priority), -100, 100)?;
        self.timeouts.check()?;
        self.retries.check()?;
        self.upload.check()?;
        self.check_array()?;
        self.check_after()?;
        self.check_idea()?;
        self.idempotency_key.as_deref().map_or(Ok(()), check_idempotency_key)
    }

    fn check_env(&self) -> Result<(), Problem> {
        bounded_len("env", self.env.len(), 0, ENV_VARS_MAX)?;
        let bytes = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        bounded_len("env", bytes, 0, ENV_BYTES_MAX)?;
        self.env.iter().try_for_each(|(name, value)| check_variable(name, value))
    }

    fn check_paths(&self) -> Result<(), Problem> {
        for (field, path) in [("workdir", &self.workdir), ("checkpoint", &self.checkpoint)] {
            if let Some(path) = path {
                path.parse::<ArtifactPath>().map_err(|problem| problem.at(field))?;
            }
        }
        bounded_len("outputs", self.outputs.len(), 0, OUTPUTS_MAX)?;
        for pattern in &self.outputs {
            // A pattern obeys the rules of a path; only its wildcards are more.
            pattern.parse::<ArtifactPath>().map_err(|problem| problem.at("outputs"))?;
            check_wildcards(pattern)?;
        }
        Ok(())
    }

    fn check_array(&self) -> Result<(), Problem> {
        let Some(ArraySpec::Items(items)) = &self.array else { return Ok(()) };
        bounded_len("array", items.len(), 1, TASKS_MAX as usize)?;
        match items.iter().find(|item| item.contains('\0') || item.len() > COMMAND_BYTES_MAX) {
            None => Ok(()),
            Some(item) => Err(Problem::invalid(
                "array",
                format!("the item {} has a NUL or over {COMMAND_BYTES_MAX} bytes", shown(item)),
            )),
        }
    }

    fn check_idea(&self) -> Result<(), Problem> {
        if !self.autonomous || self.idea.is_some() {
            return Ok(());
        }
        let detail = "the job is marked autonomous and names no idea; one in the ledger is needed";
        Err(Problem::new(ErrorCode::NoIdea, detail).at("idea"))
    }

    fn check_after(&self) -> Result<(), Problem> {
        bounded_len("after", self.after.len(), 0, AFTER_MAX)?;
        let distinct: std::collections::BTreeSet<_> = self.after.iter().collect();
        if distinct.len() == self.after.len() {
            return Ok(());
        }
        Err(Problem::invalid("after", "after names a job twice"))
    }
}

/// `*`, `?`, `**` and `{a,b}` are the wildcards; classes in brackets are not, so that no pattern that was
/// accepted fails on a node.
fn check_wildcards(pattern: &str) -> Result<(), Problem> {
    let step = |open: Option<bool>, c: char| match (open?, c) {
        (false, '{') => Some(true),
        (true, '}') => Some(false),
        (true, '{') | (false, '}') | (_, '[' | ']') => None,
        (open, _) => Some(open),
    };
    if pattern.chars().fold(Some(false), step) == Some(false) {
        return Ok(());
    }
    Err(Problem::invalid(
        "outputs",
        format!("the pattern {} may use '*', '?', '**' and '{{a,b}}', not nested", shown(pattern)),
    ))
}

fn check_command(command: &[String]) -> Result<(), Problem> {
    if command.first().is_none_or(String::is_empty) {
        return Err(Problem::invalid("command", "command is empty; it needs a program")
            .hint("command: [echo, hello]"));
    }
    let bytes = command.iter().map(|part| part.len() + 1).sum();
    bounded_len("command", bytes, 1, COMMAND_BYTES_MAX)?;
    if command.iter().any(|part| part.contains('\0')) {
        return Err(Problem::invalid("command", "command has a NUL character"));
    }
    Ok(())
}

fn check_variable(name: &str, value: &str) -> Result<(), Problem> {
    let field = || format!("env.{}", name.chars().take(64).collect::<String>());
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let good = !name.is_empty()
        && name.bytes().all(inner)
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !good {
        return Err(Problem::invalid(
            field(),
            format!("{} is no name of a variable: letters, digits and '_' only", shown(name)),
        ));
    }
    if value.contains('\0') {
        return Err(Problem::invalid(field(), format!("the value of {name} has a NUL character")));
    }
    if ENV_FORBIDDEN.contains(&name) || name.starts_with("MESH_") {
        return Err(Problem::new(
            ErrorCode::EnvForbidden,
            format!(
                "a job may not set {name}: it changes which program runs, or is the mesh's own"
            ),
        )
        .at(field())
        .hint(format!("set it inside the job, e.g. sh -c '{name}=… exec program'")));
    }
    Ok(())
}

/// 1 to 255 visible ASCII characters.
pub(crate) fn check_idempotency_key(key: &str) -> Result<(), Problem> {
    let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
    if fits && key.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Problem::invalid(
        "idempotency_key",
        format!(
            "the idempotency key {} must be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters",
            shown(key)
        ),
    ))
}

impl Resources {
    fn check(&self) -> Result<(), Problem> {
        let (least, most) = (Cpu(1), Cpu(1_024_000));
        if !(least..=most).contains(&self.cpu) {
            return Err(Problem::invalid(
                "resources.cpu",
                format!("resources.cpu is {}; allowed are {least} to {most} processors", self.cpu),
            ));
        }
        bounded("resources.gpu", i64::from(self.gpu), 0, 1_024)?;
        bounded_len("resources.pools", self.pools.len(), 0, 32)?;
        for (pool, units) in &self.pools {
            check_name("resources.pools", pool)?;
            bounded(&format!("resources.pools.{pool}"), i64::from(*units), 1, 1_000_000)?;
        }
        Ok(())
    }
}

impl Timeouts {
    fn check(&self) -> Result<(), Problem> {
        let least = Span::from_millis(1);
        for (field, span) in [
            ("timeouts.queue", self.queue),
            ("timeouts.run", self.run),
            ("timeouts.stall", self.stall),
        ] {
            span.map_or(Ok(()), |span| bounded_span(field, span, least, TIMEOUT_MAX))?;
        }
        bounded_span(
            "timeouts.kill_grace",
            self.kill_grace,
            Span::default(),
            Span::from_secs(3_600),
        )
    }
}

impl Retries {
    fn check(&self) -> Result<(), Problem> {
        for (field, count) in [
            ("retries.user_error", self.user_error),
            ("retries.out_of_memory", self.out_of_memory),
            ("retries.timeout", self.timeout),
            ("retries.stalled", self.stalled),
            ("retries.lost", self.lost),
        ] {
            bounded(field, i64::from(count), 0, 100)?;
        }
        Ok(())
    }
}

impl UploadPolicy {
    fn check(&self) -> Result<(), Problem> {
        bounded_span("upload.every", self.every, Span::from_secs(1), Span::from_secs(3_600))?;
        let bytes = i64::try_from(self.bytes.0).unwrap_or(i64::MAX);
        bounded("upload.bytes", bytes, 64 << 10, 1 << 30)
    }
}

fn bounded(field: &str, got: i64, least: i64, most: i64) -> Result<(), Problem> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(Problem::invalid(field, format!("{field} is {got}; allowed is {least} to {most}")))
}

fn bounded_len(field: &str, got: usize, least: usize, most: usize) -> Result<(), Problem> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(Problem::invalid(
        field,
        format!("{field} has the size {got}; allowed is {least} to {most}"),
    ))
}

fn bounded_span(field: &str, got: Span, least: Span, most: Span) -> Result<(), Problem> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(Problem::invalid(field, format!("{field} is {got}; allowed is {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut JobSpec)) -> (ErrorCode, String) {
        let mut spec = JobSpec::new(["true"]);
        change(&mut spec);
        let problem = spec.check().unwrap_err();
        (problem.code, problem.field.unwrap_or_default())
    }

    #[test]
    fn good_specs_are_good() {
        let mut spec = JobSpec::new(["true"]);
        assert!(spec.check().is_ok());
        spec.outputs = ["a/*.txt", "**", "b?.{c,d}"].map(str::to_owned).to_vec();
        assert!(spec.check().is_ok());
    }

    #[test]
    fn each_rule_names_its_field() {
        let invalid = |field: &str| (ErrorCode::Invalid, field.to_owned());
        assert_eq!(refused(|s| s.command.clear()), invalid("command"));
        assert_eq!(refused(|s| s.command.push("a\0b".into())), invalid("command"));
        assert_eq!(refused(|s| s.command.push("x".repeat(129 << 10))), invalid("command"));
        assert_eq!(refused(|s| s.name = Some("-x".into())), invalid("name"));
        assert_eq!(refused(|s| s.resources.cpu.0 = 0), invalid("resources.cpu"));
        assert_eq!(refused(|s| s.priority = 101), invalid("priority"));
        assert_eq!(refused(|s| s.retries.lost = 101), invalid("retries.lost"));
        assert_eq!(refused(|s| s.timeouts.run = Some(Span::default())), invalid("timeouts.run"));
        assert_eq!(refused(|s| s.upload.every = Span::default()), invalid("upload.every"));
        assert_eq!(refused(|s| s.array = Some(ArraySpec::Items(vec![]))), invalid("array"));
        assert_eq!(
            refused(|s| s.idempotency_key = Some(String::new())),
            invalid("idempotency_key")
        );
        assert_eq!(
            refused(|s| s.workdir = Some("../x".into())),
            (ErrorCode::PathEscape, "workdir".into())
        );
        assert_eq!(
            refused(|s| s.outputs.push("/etc/*".into())),
            (ErrorCode::PathEscape, "outputs".into())
        );
    }

    #[test]
    fn processors_are_spoken_of_as_people_write_them() {
        let mut spec = JobSpec::new(["true"]);
        spec.resources.cpu.0 = 0;
        let detail = spec.check().unwrap_err().detail;
        assert_eq!(detail, "resources.cpu is 0; allowed are 0.001 to 1024 processors");
    }

    #[test]
    fn variables_that_choose_the_program_are_forbidden() {
        for name in ["PATH", "LD_PRELOAD", "BASH_ENV", "GIT_SSH_COMMAND", "MESH_X"] {
            let (code, field) = refused(|s| {
                s.env.insert(name.into(), "x".into());
            });
            assert_eq!((code, field), (ErrorCode::EnvForbidden, format!("env.{name}")));
        }
        let (code, _) = refused(|s| {
            s.env.insert("A=B".into(), "x".into());
        });
        assert_eq!(code, ErrorCode::Invalid);
    }
}
