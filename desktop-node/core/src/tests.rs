//! Each rule of the core as a claim, and random lives with crashes.

mod claims;
mod harness;
mod journal_claims;
mod random_lives;
