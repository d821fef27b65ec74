//! Errors that people meet: one stable code, one sentence, one hint.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:literal, $exit:literal;)*) => {
        /// A stable code. It never changes its meaning; `docs/errors.md` has a line on each.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            JsonSchema,
        )]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of `docs/errors.md`.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The text of the code, `E_…`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The status of an HTTP answer that carries it.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The exit code of a command that ends with it: 2 usage, 3 invalid, 4 not found,
            /// 5 who are you, 6 conflict or fenced, 7 unavailable (safe to retry), 8 integrity, 70 bug.
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$variant => $exit,)* }
            }
        }
    };
}

error_codes! {
    /// The command line cannot be understood.
    Usage = "E_USAGE", 400, 2;
    /// A value breaks its rule; `field` names it.
    Invalid = "E_INVALID", 422, 3;
    /// The text is not well-formed JSON, YAML or TOML.
    Syntax = "E_SYNTAX", 400, 3;
    /// A field that does not exist.
    UnknownField = "E_UNKNOWN_FIELD", 400, 3;
    /// More bytes, items or files than the limit.
    TooLarge = "E_TOO_LARGE", 413, 3;
    /// Nested deeper than the limit.
    TooDeep = "E_TOO_DEEP", 400, 3;
    /// A variable that a job may not set.
    EnvForbidden = "E_ENV_FORBIDDEN", 422, 3;
    /// A path that leaves its directory or cannot exist on every system.
    PathEscape = "E_PATH_ESCAPE", 422, 3;
    /// The content type is not the one wanted.
    MediaType = "E_MEDIA_TYPE", 415, 3;
    /// The method is not allowed here.
    Method = "E_METHOD", 405, 3;
    /// A page cursor that was not made by this cluster.
    Cursor = "E_CURSOR", 400, 3;
    /// No such job, task, node, token or route.
    NotFound = "E_NOT_FOUND", 404, 4;
    /// A dependency that does not exist.
    UnknownDependency = "E_UNKNOWN_DEPENDENCY", 422, 3;
    /// No token, or one that is wrong, expired or revoked.
    Unauthenticated = "E_UNAUTHENTICATED", 401, 5;
    /// The token's scopes do not allow it.
    Forbidden = "E_FORBIDDEN", 403, 5;
    /// A join code that is wrong, used or expired.
    JoinToken = "E_JOIN_TOKEN", 401, 5;
    /// The node was revoked.
    NodeRevoked = "E_NODE_REVOKED", 403, 5;
    /// The same idempotency key with another body.
    IdempotencyMismatch = "E_IDEM_MISMATCH", 409, 6;
    /// The state does not allow it, e.g. retrying a job that still runs.
    WrongState = "E_WRONG_STATE", 409, 6;
    /// The attempt's lease is not the current one.
    Fenced = "E_FENCED", 409, 6;
    /// The same chunk or object with other bytes.
    ChunkConflict = "E_CHUNK_CONFLICT", 409, 6;
    /// Another process holds the data directory.
    Locked = "E_LOCKED", 409, 6;
    /// Too much at once; `Retry-After` says when to come back.
    Busy = "E_BUSY", 429, 7;
    /// The database is out of reach; nothing was accepted.
    StoreDown = "E_STORE_DOWN", 503, 7;
    /// NATS is out of reach.
    BusDown = "E_BUS_DOWN", 503, 7;
    /// The object store is out of reach.
    ObjectsDown = "E_OBJECTS_DOWN", 503, 7;
    /// The orchestrator does not answer.
    Unreachable = "E_UNREACHABLE", 503, 7;
    /// It did not come to pass in the time given.
    Timeout = "E_TIMEOUT", 504, 7;
    /// This orchestrator lost the lead meanwhile.
    NotLeader = "E_NOT_LEADER", 503, 7;
    /// This orchestrator stands by: another one leads.
    Standby = "E_STANDBY", 503, 7;
    /// Bytes are not what their hash says.
    Integrity = "E_INTEGRITY", 500, 8;
    /// The entry's signature is not its author's.
    Signature = "E_SIGNATURE", 422, 3;
    /// The author does not hold the idea, or the chain has gone on.
    NotHolder = "E_NOT_HOLDER", 409, 6;
    /// The link would close a circle.
    Cycle = "E_CYCLE", 409, 6;
    /// A job marked autonomous whose idea is not in the ledger.
    NoIdea = "E_NO_IDEA", 422, 3;
    /// The ledger's registry does not answer.
    LedgerDown = "E_LEDGER_DOWN", 503, 7;
    /// The log's head is older than one seen before.
    LedgerRollback = "E_LEDGER_ROLLBACK", 500, 8;
    /// Two heads of the log that no one history has.
    LedgerFork = "E_LEDGER_FORK", 500, 8;
    /// Fewer of the named witnesses have cosigned the log's head than must have.
    LedgerUnwitnessed = "E_LEDGER_UNWITNESSED", 500, 8;
    /// A listener beyond loopback without TLS and tokens.
    InsecureBind = "E_INSECURE_BIND", 400, 2;
    /// A configuration file or variable that cannot be used.
    Config = "E_CONFIG", 400, 2;
    /// A program or version that is missing.
    MissingTool = "E_MISSING_TOOL", 500, 2;
    /// A file of the user's own, or standard output, could not be read or written.
    File = "E_FILE", 400, 3;
    /// A file of this machine could not be read or written.
    Io = "E_IO", 500, 7;
    /// A fault of ours.
    Internal = "E_INTERNAL", 500, 70;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What was wrong, for a person; RFC 9457 problem details when sent over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Problem {
    /// The stable code.
    pub code: ErrorCode,
    /// One sentence: what, what was given, what is allowed.
    pub detail: String,
    /// The field that breaks its rule, as a path such as `resources.cpu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Trace id of the request, to find it in the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl Problem {
    /// A problem with no field and no hint.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, hint: None, trace_id: None }
    }

    /// A value that breaks its rule.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, detail).at(field)
    }

    /// Names the field.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
