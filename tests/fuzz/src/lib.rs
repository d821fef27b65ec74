//! What reads foreign bytes, as functions from bytes to nothing that must not panic: one target each.
//!
//! `./run test` feeds them their corpus and thousands of mutations of it (`tests/corpus.rs`); `./run fuzz
//! TARGET` lets libFuzzer search for more. Beyond not panicking, a target says what must hold of what was
//! read: that it can be written and read again as the same, or that cutting the bytes changes nothing.

mod ideas;
mod targets;

/// One decoder.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, also that of its folder in `corpus/`.
    pub name: &'static str,
    /// Reads bytes; panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 12] = [
    Target { name: "job_spec", run: targets::job_spec },
    Target { name: "node_message", run: targets::node_message },
    Target { name: "manifest", run: targets::manifest },
    Target { name: "chunk", run: targets::chunk },
    Target { name: "artifact_path", run: targets::artifact_path },
    Target { name: "supervisor_line", run: targets::supervisor_line },
    Target { name: "node_config", run: targets::node_config },
    Target { name: "words", run: targets::words },
    Target { name: "ledger_entry", run: ideas::ledger_entry },
    Target { name: "log_file", run: ideas::log_file },
    Target { name: "idea_text", run: ideas::idea_text },
    Target { name: "idea_import", run: ideas::idea_import },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
