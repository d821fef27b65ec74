//! A person with a key and a memory of their own, who types `mesh ideas …`.

#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use mesh_tests::mesh::Mesh;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) struct Person<'a> {
    mesh: &'a Mesh,
    home: PathBuf,
    env: Vec<(String, String)>,
}

impl<'a> Person<'a> {
    pub(crate) fn new(mesh: &'a Mesh, name: &str) -> Self {
        Self { mesh, home: mesh.scratch().join(name), env: Vec::new() }
    }

    /// With a variable of their own.
    pub(crate) fn with_env(mut self, (name, value): (&str, &str)) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The entries that wait in the spool, or were put aside.
    pub(crate) fn kept(&self, place: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.home.join("state").join(place)).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.mesh.command(args);
        command.env("MESH_STATE_DIR", self.home.join("state"));
        command.env("MESH_AUTHOR_KEY_FILE", self.home.join("author.key"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `mesh ideas …`, whatever it ends with.
    pub(crate) async fn tries(&self, args: &[&str]) -> Output {
        let args: Vec<&str> = ["ideas"].iter().chain(args).copied().collect();
        tokio::process::Command::from(self.command(&args)).output().await.unwrap()
    }

    /// `mesh ideas …` that must do it: its standard output.
    pub(crate) async fn does(&self, args: &[&str]) -> String {
        let output = self.tries(args).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mesh ideas {args:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// `mesh ideas … -o json`, read.
    pub(crate) async fn reads<T: DeserializeOwned>(&self, args: &[&str]) -> T {
        let args: Vec<&str> = args.iter().chain(&["-o", "json"]).copied().collect();
        serde_json::from_str(&self.does(&args).await).unwrap()
    }

    /// `mesh ideas …` that must be refused with this code.
    pub(crate) async fn is_refused(&self, args: &[&str], code: &str, exit: i32) -> String {
        let output = self.tries(args).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(&format!("error[{code}]")), "mesh ideas {args:?}: {said}");
        assert_eq!(output.status.code(), Some(exit), "mesh ideas {args:?}: {said}");
        said
    }

    /// How many entries the log has, as the ledger says.
    pub(crate) async fn entries(&self) -> u64 {
        let stats: Value = self.mesh.get("/ledger").await;
        stats["entries"].as_u64().unwrap()
    }
}

/// Everything below a directory, into another one.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_dir(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}
