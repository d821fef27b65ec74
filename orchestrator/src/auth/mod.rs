//! Who is asking, and what they may do.
//!
//! A token is a 256-bit secret, `dmk_…`; the database has its SHA-256 alone. A wrong, expired or
//! deleted one gets the same answer. What a token may do is one word that includes the lesser ones.
//! There are no people, passwords or projects in here yet.

mod join_limit;
mod tokens;

pub use join_limit::JoinLimit;
pub use tokens::{Caller, MakeTokenError, TOKEN_PREFIX, Tokens};
