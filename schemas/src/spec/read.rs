//! From bytes to a spec, under limits of size and depth.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, SeqAccess, Visitor},
};
use serde_saphyr::options;

use super::{JobSpec, SPEC_BYTES_MAX};
use crate::{
    error::{ErrorCode, Problem},
    text::shown,
};

/// What is said of a command that is a line.
const LINE_FOR_LIST: &str = "command is a list of the program and its arguments";
/// Deepest nesting of a spec.
const DEPTH_MAX: usize = 16;

impl JobSpec {
    /// Reads YAML, of which JSON is a part, and checks each rule. Aliases are refused.
    ///
    /// # Errors
    /// `E_TOO_LARGE`, `E_TOO_DEEP`, `E_SYNTAX`, `E_UNKNOWN_FIELD`, and those of [`JobSpec::check`].
    pub fn from_text(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.len() > SPEC_BYTES_MAX {
            return Err(Problem::new(
                ErrorCode::TooLarge,
                format!(
                    "the job spec has {} bytes; at most {SPEC_BYTES_MAX} are allowed",
                    bytes.len()
                ),
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Problem::new(
                ErrorCode::Syntax,
                format!("the job spec is not UTF-8: byte {} is wrong", error.valid_up_to()),
            )
            .hint("save the file as UTF-8 without a byte order mark")
        })?;
        let says_nothing = |line: &str| line.is_empty() || line == "---" || line.starts_with('#');
        if text.lines().map(str::trim).all(says_nothing) {
            return Err(Problem::new(ErrorCode::Syntax, "the job spec is empty")
                .hint("it needs at least a command, such as command: [echo, hello]"));
        }
        let first = text.trim_start().chars().next();
        let spec = if first == Some('{') { from_json(text)? } else { from_yaml(text)? };
        spec.check()?;
        Ok(spec)
    }
}

/// Reads the field `command`, and tells whoever wrote a line instead of a list how to write it.
pub(super) fn command<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<String>, D::Error> {
    // Not `deserialize_seq`: JSON's reader would refuse a line before it could be seen.
    reader.deserialize_any(Words)
}

struct Words;

impl<'de> Visitor<'de> for Words {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of the program and its arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Vec<String>, A::Error> {
        let mut command = Vec::new();
        while let Some(word) = words.next_element()? {
            command.push(word);
        }
        Ok(command)
    }

    fn visit_str<E: de::Error>(self, line: &str) -> Result<Vec<String>, E> {
        Err(E::custom(format!("{LINE_FOR_LIST}, such as [sh, -c, {}]", shown(line))))
    }
}

fn from_json(text: &str) -> Result<JobSpec, Problem> {
    check_json_depth(text)?;
    serde_json::from_str(text).map_err(|error| syntax(&error.to_string()))
}

/// Counts brackets outside strings, so that a deep text never reaches the recursive reader.
fn check_json_depth(text: &str) -> Result<(), Problem> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
    }
    Ok(())
}

fn from_yaml(text: &str) -> Result<JobSpec, Problem> {
    let options = options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: DEPTH_MAX,
            max_documents: 1,
            max_nodes: 2_000_000,
            max_events: 4_000_000,
            max_total_scalar_bytes: SPEC_BYTES_MAX,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| syntax(&error.to_string()))
}

fn too_deep() -> Problem {
    Problem::new(ErrorCode::TooDeep, format!("the job spec nests deeper than {DEPTH_MAX} levels"))
}

fn syntax(message: &str) -> Problem {
    let one_line = message.lines().next().unwrap_or(message);
    if let Some(rest) = one_line.split("unknown field `").nth(1) {
        let field = rest.split('`').next().unwrap_or(rest);
        return Problem::new(
            ErrorCode::UnknownField,
            format!("the job spec has no field {}", shown(field)),
        )
        .at(field.chars().take(64).collect::<String>())
        .hint(allowed_fields(rest));
    }
    if ["depth", "recursion"].iter().any(|word| message.to_ascii_lowercase().contains(word)) {
        return too_deep();
    }
    let problem =
        Problem::new(ErrorCode::Syntax, format!("the job spec cannot be read: {one_line}"));
    if one_line.contains("expected idea_") {
        return problem.at("idea").hint(
            "give the whole id (`mesh ideas show ID -o quiet` prints it); `mesh submit --idea` takes its beginning",
        );
    }
    problem
}

/// The fields that there are, as the readers list them: `expected one of a, b`.
fn allowed_fields(rest: &str) -> String {
    let list = rest.split("expected one of ").nth(1).unwrap_or_default();
    let list = list.split(" at line").next().unwrap_or(list);
    let names: Vec<&str> = list.split(", ").map(|name| name.trim_matches('`')).collect();
    if list.is_empty() {
        return "`mesh submit --help` lists the fields".into();
    }
    format!("allowed here: {}", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_read_the_same() {
        let yaml = JobSpec::from_text(
            b"command: [echo, hi]\nresources: {cpu: 0.5, memory: 1GiB}\narray: 0-9\n",
        )
        .unwrap();
        let json = JobSpec::from_text(
            br#"{"command":["echo","hi"],"resources":{"cpu":0.5,"memory":"1GiB"},"array":"0-9"}"#,
        )
        .unwrap();
        assert_eq!(yaml, json);
        assert_eq!(yaml.task_range().count(), 10);
        let again = JobSpec::from_text(serde_json::to_string(&yaml).unwrap().as_bytes()).unwrap();
        assert_eq!(again, yaml);
    }

    #[test]
    fn what_people_often_write_instead_gets_a_plain_answer() {
        for text in ["command: echo hi\n", "{\"command\": \"echo hi\"}"] {
            let problem = JobSpec::from_text(text.as_bytes()).unwrap_err();
            assert_eq!(problem.code, ErrorCode::Syntax);
            let wanted = "arguments, such as [sh, -c, \"echo hi\"]";
            assert!(problem.detail.contains(wanted), "{}", problem.detail);
        }
        for text in ["", " \n", "# nothing yet\n\n", "---\n"] {
            let problem = JobSpec::from_text(text.as_bytes()).unwrap_err();
            assert_eq!(problem.detail, "the job spec is empty", "{text:?}");
        }
        let problem = JobSpec::from_text(b"command: [a]\nretries: {oom: 1}\n").unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("oom"));
        let hint = problem.hint.unwrap();
        assert_eq!(hint, "allowed here: user_error out_of_memory timeout stalled lost");
        let json = br#"{"command": ["a"], "retries": {"oom": 1}}"#;
        assert_eq!(JobSpec::from_text(json).unwrap_err().hint.as_ref(), Some(&hint));
        let numbers = JobSpec::from_text(b"command: [sleep, 7, yes]\n").unwrap();
        assert_eq!(numbers.command, ["sleep", "7", "yes"]);
    }

    #[test]
    fn the_beginning_of_an_ideas_id_is_refused_with_what_to_write() {
        for text in
            ["command: [a]\nidea: idea_4456c9\n", r#"{"command":["a"],"idea":"idea_4456c9"}"#]
        {
            let problem = JobSpec::from_text(text.as_bytes()).unwrap_err();
            assert_eq!(problem.code, ErrorCode::Syntax);
            assert_eq!(problem.field.as_deref(), Some("idea"), "{}", problem.detail);
            assert!(problem.hint.unwrap().contains("the whole id"));
        }
    }

    #[test]
    fn hostile_texts_get_one_code_each() {
        let deep_json = format!("{{\"command\":{}", "[".repeat(100_000));
        let deep_yaml = format!("command: {}", "[".repeat(100_000));
        let laughs = "command: [&a x, *a, *a]\n".to_owned();
        let large = "#".repeat(SPEC_BYTES_MAX + 1);
        for (text, code) in [
            (deep_json.as_bytes(), ErrorCode::TooDeep),
            (deep_yaml.as_bytes(), ErrorCode::TooDeep),
            (laughs.as_bytes(), ErrorCode::Syntax),
            (large.as_bytes(), ErrorCode::TooLarge),
            (b"\xff\xfe", ErrorCode::Syntax),
            (b"command: [a]\nbogus: 1\n", ErrorCode::UnknownField),
            (b"{\"command\":[\"a\"],}", ErrorCode::Syntax),
            (b"", ErrorCode::Syntax),
            (b"command: [a]\ncommand: [b]\n", ErrorCode::Syntax),
        ] {
            let problem = JobSpec::from_text(text).unwrap_err();
            assert_eq!(problem.code, code, "{}", problem.detail);
        }
    }
}
