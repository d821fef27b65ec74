//! The `mesh` command as a process, as far as it needs no cluster: what it prints where, and what it
//! ends with.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

use std::{
    fs::File,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// An address of loopback where nothing listens.
const NOBODY: &str = "http://127.0.0.1:9";

/// Nobody's home, nobody's cluster.
fn mesh(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.args(args).stdin(Stdio::null()).env_clear().env("TERM", "xterm");
    command.env("MESH_CONTEXT", "no-such-context");
    command
}

fn run(args: &[&str]) -> Output {
    mesh(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn without_cluster(args: &[&str], dir: &Path) -> Output {
    let token = dir.join("token");
    std::fs::write(&token, "dmk_x").unwrap();
    let mut command = mesh(args);
    command.env("MESH_SERVER", NOBODY).env("MESH_TOKEN_FILE", token);
    command.output().unwrap()
}

#[test]
fn what_cannot_be_printed_is_an_error_and_a_closed_pipe_is_not() {
    for args in [&["completions", "bash"][..], &["--help"], &["--version"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = mesh(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert!(stderr(&output).contains("error[E_FILE]: standard output"), "{args:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = mesh(args).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{args:?}");
    }
}

#[test]
fn help_in_a_pipe_has_no_colours() {
    let output = run(&["run", "--help"]);
    assert!(output.status.success());
    assert!(output.stdout.len() > 1_000);
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn the_users_own_files_are_no_reason_to_try_again() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().unwrap();
    for args in [
        &["submit", missing][..],
        &["submit", "--array-file", missing, "--", "true"],
        &["--token-file", missing, "--server", NOBODY, "jobs"],
        &["--ca-file", missing, "--server", NOBODY, "jobs"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("error[E_FILE]: cannot read"), "{}", stderr(&output));
    }
}

#[test]
fn words_that_are_none_are_told_those_that_are() {
    let job = "job_0190f3a1b2c37d4e8f5061728394a5b6";
    for (args, word) in [
        (&["jobs", "--state", "done"][..], "quarantined"),
        (&["job", "show", job, "--state", "done"], "leased"),
        (&["logs", job, "--stream", "out"], "stderr"),
        (&["token", "new", "x", "--scope", "all"], "submit"),
        (&["run", "--retry", "crash=1", "--", "true"], "out_of_memory"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(word), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_cluster_that_is_away_is_named_without_our_insides() {
    let dir = tempfile::tempdir().unwrap();
    let output = without_cluster(&["jobs"], dir.path());
    assert_eq!(output.status.code(), Some(7));
    let said = stderr(&output);
    assert!(said.contains(&format!("{NOBODY} does not answer: Connection refused")), "{said}");
    assert!(said.contains("mesh doctor"), "{said}");
    assert!(!said.contains("limit") && !said.contains("api/v1"), "{said}");
    let said = stderr(&without_cluster(&["doctor"], dir.path()));
    assert!(!said.contains("mesh doctor"), "doctor sends to itself: {said}");
    assert!(said.contains("mesh up"), "{said}");
}

/// The process has a handler for SIGINT by now.
fn catches_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
}

#[test]
fn ctrl_c_ends_what_waits_for_standard_input() {
    let mut child = mesh(&["submit", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !catches_interrupts(child.id()) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never got so far");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(code, Some(130), "standard input was open all the time");
}

#[test]
fn both_words_for_a_list_are_known() {
    for noun in ["artifacts", "token", "job", "node"] {
        for verb in ["ls", "list"] {
            assert!(run(&[noun, verb, "--help"]).status.success(), "{noun} {verb}");
        }
    }
}
