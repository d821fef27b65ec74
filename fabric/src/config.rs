//! Configuration: a TOML file, then environment variables over it.
//! The target type refuses unknown keys (`#[serde(deny_unknown_fields)]`); this module says where the
//! mistake is and which key was probably meant. Ranges are the target's own `validate()`.

use std::{ops::Range, path::Path};

use figment::{Figment, error::Kind, providers::Serialized};
use mesh_schemas::{ErrorCode, Problem};
use serde::de::DeserializeOwned;
use toml::de::DeTable;

/// What separates the parts of a variable's name: `MESH_NODE__DISCONNECT_GRACE`, `MESH_X__NATS__NAME`.
const SEPARATOR: &str = "__";

/// Names farther from a known one than this are not taken for a slip of the finger.
const SIMILARITY_MIN: f64 = 0.7;

/// Reads the file, when there is one, and the variables `PREFIX__SECTION__KEY` over it.
///
/// # Errors
/// `E_CONFIG`, with line and column when the mistake is in the file.
pub fn load<T: DeserializeOwned>(file: Option<&Path>, env_prefix: &str) -> Result<T, Problem> {
    let text = file.map(read).transpose()?.unwrap_or_default();
    let name = file.map_or_else(|| "the configuration".to_owned(), |f| f.display().to_string());
    // A variable that is not Unicode cannot be one of ours: all of our values are text.
    let vars = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    Source { name: &name, text: &text, vars: ours(vars, env_prefix) }.extract()
}

fn read(file: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(file).map_err(|error| {
        config_problem(format!("cannot read the configuration {}: {error}", file.display()))
    })
}

/// The variables with the prefix, as (name, path of keys, value).
fn ours(
    vars: impl Iterator<Item = (String, String)>,
    prefix: &str,
) -> Vec<(String, Vec<String>, String)> {
    let prefix = format!("{}{SEPARATOR}", prefix.trim_end_matches('_'));
    let path = |name: &str| -> Option<Vec<String>> {
        let rest = name.strip_prefix(&prefix)?;
        Some(rest.split(SEPARATOR).map(str::to_lowercase).collect())
    };
    let mut found: Vec<_> =
        vars.filter_map(|(name, value)| path(&name).map(|path| (name, path, value))).collect();
    found.sort();
    found
}

/// Everything that a configuration is put together from.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
    vars: Vec<(String, Vec<String>, String)>,
}

impl Source<'_> {
    fn extract<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let file: toml::Table = toml::from_str(self.text).map_err(|error| self.syntax(&error))?;
        let mut figment = Figment::from(Serialized::defaults(file));
        for (_, path, value) in &self.vars {
            figment = figment.merge(Serialized::defaults(nested(path, value)));
        }
        figment.extract().map_err(|error| {
            // One mistake at a time: the first one named is often the cause of the others.
            let first = error.clone().into_iter().next().unwrap_or(error);
            self.explain(&first)
        })
    }

    fn syntax(&self, error: &toml::de::Error) -> Problem {
        let at = error.span().map_or_else(String::new, |span| self.position(&span));
        config_problem(format!("{}{at}: {}", self.name, error.message()))
    }

    fn explain(&self, error: &figment::Error) -> Problem {
        let mut path = error.path.clone();
        if let Some(key) = named_key(&error.kind).filter(|key| path.last() != Some(key)) {
            path.push(key);
        }
        let field = path.join(".");
        let problem = config_problem(format!("{}: {}", self.place(&path), reason(error, &field)));
        let problem = if field.is_empty() { problem } else { problem.at(field) };
        match hint(&error.kind) {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }

    /// The variable that set it, or else where in the file it is.
    fn place(&self, path: &[String]) -> String {
        if let Some((name, ..)) = self.vars.iter().find(|(_, set, _)| set == path) {
            return format!("the environment variable {name}");
        }
        let span = DeTable::parse(self.text).ok().and_then(|doc| span_of(doc.get_ref(), path));
        let at = span.map_or_else(String::new, |span| self.position(&span));
        format!("{}{at}", self.name)
    }

    /// `:line:column`, both from 1, the column in characters.
    fn position(&self, span: &Range<usize>) -> String {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!(":{line}:{column}")
    }
}

/// The key that the error is about when its path does not end with it.
fn named_key(kind: &Kind) -> Option<String> {
    if let Kind::UnknownField(key, _) = kind {
        return Some(key.clone());
    }
    if let Kind::MissingField(key) = kind { Some(key.to_string()) } else { None }
}

/// The value inside tables named by the path.
fn nested(path: &[String], value: &str) -> toml::Value {
    let table =
        |inner, key: &String| toml::Value::Table([(key.clone(), inner)].into_iter().collect());
    path.iter().rev().fold(value_of(value), table)
}

/// A variable's value as TOML: a number, a boolean, a list or an inline table; or else a string.
fn value_of(text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"));
    match parsed.ok().and_then(|mut table| table.remove("value")) {
        // No key takes a TOML date; whoever writes one means its text.
        Some(toml::Value::Datetime(_)) | None => toml::Value::String(text.to_owned()),
        Some(value) => value,
    }
}

/// Where the last key of the path is written, or the last one that is.
fn span_of(table: &DeTable<'_>, path: &[String]) -> Option<Range<usize>> {
    let (key, rest) = path.split_first()?;
    let (written, value) = table.iter().find(|(written, _)| written.get_ref() == key)?;
    let deeper = value.get_ref().as_table().and_then(|inner| span_of(inner, rest));
    deeper.or_else(|| Some(written.span()))
}

fn reason(error: &figment::Error, field: &str) -> String {
    if let Kind::UnknownField(..) = &error.kind {
        return format!("there is no key {field}");
    }
    if let Kind::MissingField(_) = &error.kind {
        return format!("the key {field} is missing");
    }
    let of = if field.is_empty() { String::new() } else { format!("{field}: ") };
    format!("{of}{}", error.kind)
}

fn hint(kind: &Kind) -> Option<String> {
    let (Kind::UnknownField(given, known) | Kind::UnknownVariant(given, known)) = kind else {
        return None;
    };
    let similarity = |name: &&str| strsim::jaro_winkler(given, name);
    let nearest = known.iter().copied().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    Some(if similarity(&nearest) >= SIMILARITY_MIN {
        format!("did you mean {nearest}?")
    } else {
        format!("known are {}", known.join(", "))
    })
}

fn config_problem(detail: String) -> Problem {
    Problem::new(ErrorCode::Config, detail)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        listen: std::net::SocketAddr,
        #[serde(default)]
        name: String,
        #[serde(default)]
        timing: Timing,
    }

    #[derive(Debug, PartialEq, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Timing {
        lease_ttl_secs: u16,
        beats: Vec<u8>,
    }

    fn parse(text: &str, vars: &[(&str, &str)]) -> Result<Config, Problem> {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Source { name: "mesh.toml", text, vars: ours(vars, "MESH_X") }.extract()
    }

    #[track_caller]
    fn refused(text: &str, vars: &[(&str, &str)]) -> (String, Option<String>) {
        let problem = parse(text, vars).unwrap_err();
        assert_eq!(problem.code, ErrorCode::Config);
        (problem.detail, problem.hint)
    }

    const GOOD: &str = "listen = \"127.0.0.1:1\"\n";

    #[test]
    fn variables_win_over_the_file_which_wins_over_defaults() {
        let text = format!("{GOOD}name = \"file\"\n[timing]\nlease_ttl_secs = 5\nbeats = [1]\n");
        let vars = [
            ("MESH_X__TIMING__LEASE_TTL_SECS", "7"),
            ("MESH_X__NAME", "var"),
            ("MESH_XY__NAME", "another program's"),
            ("MESH_X_NAME", "not ours"),
        ];
        let timing = Timing { lease_ttl_secs: 7, beats: vec![1] };
        let listen = "127.0.0.1:1".parse().unwrap();
        assert_eq!(parse(&text, &vars), Ok(Config { listen, name: "var".into(), timing }));
        assert_eq!(parse(GOOD, &[]).unwrap().timing, Timing::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
        let text = format!("{GOOD}[timing]\n  lease_tll_secs = 5\n");
        let (detail, hint) = refused(&text, &[]);
        assert_eq!(detail, "mesh.toml:3:3: there is no key timing.lease_tll_secs");
        assert_eq!(hint.unwrap(), "did you mean lease_ttl_secs?");
        let (detail, hint) = refused(&format!("{GOOD}qqq = 1\n"), &[]);
        assert_eq!(detail, "mesh.toml:2:1: there is no key qqq");
        assert_eq!(hint.unwrap(), "known are listen, name, timing");
    }

    #[test]
    fn a_mistake_in_a_variable_names_the_variable() {
        let (detail, _) = refused(GOOD, &[("MESH_X__TIMING__LEASE", "5")]);
        assert_eq!(
            detail,
            "the environment variable MESH_X__TIMING__LEASE: there is no key timing.lease"
        );
        let (detail, _) = refused(GOOD, &[("MESH_X__TIMING__LEASE_TTL_SECS", "soon")]);
        assert!(detail.starts_with("the environment variable MESH_X__TIMING__"), "{detail}");
    }

    #[test]
    fn bad_values_are_refused_with_their_place() {
        for (text, place) in [
            ("listen = \"127.0.0.1:65536\"", "mesh.toml:1:1: listen: "),
            ("\n listen = 7", "mesh.toml:2:2: listen: "),
            ("listen = \"127.0.0.1:1\"\n[timing]\nlease_ttl_secs = -1", "mesh.toml:3:1: "),
            ("listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:1\"", "mesh.toml:2:1: "),
            ("listen = ", "mesh.toml:1:10: "),
            ("listen = \"127.0.0.1:1\"\n]", "mesh.toml:2:1: "),
            ("", "mesh.toml: the key listen is missing"),
            ("\0", "mesh.toml:1:"),
        ] {
            let (detail, _) = refused(text, &[]);
            assert!(detail.starts_with(place), "{text:?}: {detail}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("binary");
        std::fs::write(&binary, [0xff, 0xfe, 0]).unwrap();
        for path in [dir.path(), &dir.path().join("missing"), &binary] {
            let problem = load::<Config>(Some(path), "MESH_NO_SUCH_PREFIX").unwrap_err();
            assert_eq!(problem.code, ErrorCode::Config);
            assert!(problem.detail.contains(&path.display().to_string()), "{problem}");
        }
    }
}
