//! Which cluster a command talks to: flags, then `MESH_*`, then the context file that `mesh up` wrote.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use mesh_schemas::{ErrorCode, Problem};
use serde::{Deserialize, Serialize};

use crate::{args::Global, client::Client};

/// The last cluster that `mesh up` started for this user.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// The orchestrator's address; several with commas between them.
    pub(crate) server: String,
    /// File with the API token.
    pub(crate) token_file: PathBuf,
    /// PEM of the cluster's certificate authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Keys of witnesses without whose cosignatures no head of the ledger is believed; written by the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) witnesses: Vec<String>,
    /// How many of them must have cosigned; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) witness_quorum: Option<NonZeroUsize>,
}

impl Context {
    /// Writes it for the commands that follow; without a home directory there is nowhere to. What the user wrote about
    /// this cluster stays.
    pub(crate) fn save(mut self) -> Result<(), Problem> {
        let Some(path) = path() else { return Ok(()) };
        if let Some(kept) = Self::load()? {
            if kept.server == self.server {
                (self.witnesses, self.witness_quorum) = (kept.witnesses, kept.witness_quorum);
            } else if !kept.witnesses.is_empty() {
                crate::output::note(format!(
                    "the witnesses that {} named were those of {}: {}",
                    path.display(),
                    kept.server,
                    kept.witnesses.join(", ")
                ));
            }
        }
        let text = toml::to_string(&self)
            .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?;
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|error| io("create", dir, &error))?;
        }
        mesh_fabric::files::write_private(&path, text.as_bytes())
            .map_err(|error| io("write", &path, &error))
    }

    fn load() -> Result<Option<Self>, Problem> {
        let Some(path) = path() else { return Ok(None) };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("read", &path, &error)),
        };
        toml::from_str(&text).map(Some).map_err(|error| {
            Problem::new(ErrorCode::Config, format!("{} cannot be read: {error}", path.display()))
                .hint("delete the file; `mesh up` writes it anew")
        })
    }
}

/// `$MESH_CONTEXT`, or `deskmesh/context.toml` in the user's configuration directory.
fn path() -> Option<PathBuf> {
    config_file("MESH_CONTEXT", "context.toml")
}

/// The file that a variable names, or one in `deskmesh/` of the user's configuration directory.
pub(crate) fn config_file(variable: &str, name: &str) -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    var(variable).or_else(|| {
        let config = var("XDG_CONFIG_HOME").or_else(|| Some(var("HOME")?.join(".config")))?;
        Some(config.join("deskmesh").join(name))
    })
}

/// A client for the cluster that the flags, the environment or the context name.
pub(crate) fn client(global: &Global) -> Result<Client, Problem> {
    let context = Context::load()?.unwrap_or_default();
    let server = global.server.clone().unwrap_or(context.server);
    if server.is_empty() {
        return Err(Problem::new(ErrorCode::Config, "no cluster is known")
            .hint("start one with `mesh up`, or pass --server and --token-file"));
    }
    let ca_file = global.ca_file.clone().or(context.ca_file);
    let ca_pem = ca_file.as_deref().map(read_text).transpose()?;
    let (token, source) = match std::env::var("MESH_TOKEN") {
        Ok(token) if !token.is_empty() && global.token_file.is_none() => {
            (token, "the variable MESH_TOKEN".to_owned())
        }
        _ => {
            let file = global.token_file.as_deref().unwrap_or(&context.token_file);
            (read_text(file)?, file.display().to_string())
        }
    };
    Ok(Client::new(&server, token.trim(), ca_pem.as_deref())?.with_token_from(source))
}

/// The witnesses that the context file names, and how many of them must have cosigned.
pub(crate) fn witnesses() -> Result<(Vec<String>, Option<NonZeroUsize>), Problem> {
    let context = Context::load()?.unwrap_or_default();
    Ok((context.witnesses, context.witness_quorum))
}

/// The text of a file that the user named.
pub(crate) fn read_text(path: &Path) -> Result<String, Problem> {
    if path.as_os_str().is_empty() {
        return Err(Problem::new(ErrorCode::Unauthenticated, "no token file is known")
            .hint("pass --token-file, or set MESH_TOKEN_FILE or MESH_TOKEN"));
    }
    std::fs::read_to_string(path).map_err(|error| io("read", path, &error))
}

/// What could not be done to which file.
pub(crate) fn io(verb: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(ErrorCode::File, format!("cannot {verb} {}: {error}", path.display()))
}

/// For what happened to files right here: the user's own, and so nothing that waiting would mend.
pub(crate) fn own_file(problem: Problem) -> Problem {
    let code = if problem.code == ErrorCode::Io { ErrorCode::File } else { problem.code };
    Problem { code, ..problem }
}
