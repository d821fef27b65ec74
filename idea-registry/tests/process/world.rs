//! A registry's process among its servers.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use async_nats::Client;
use mesh_schemas::{
    idea::{Appended, LedgerAnswer, LedgerAsk, LedgerStats, Submission},
    subject::ledger_ask,
};
use mesh_tests::{nats::NatsServer, process::Process, wait_for, wait_until};

use crate::kit::Home;

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A registry's process with its servers.
pub(crate) struct World {
    pub(crate) nats: NatsServer,
    pub(crate) home: Home,
    config: PathBuf,
    /// `MESH_LOG` of the registry.
    pub(crate) log: &'static str,
    pub(crate) process: Option<Process>,
    pub(crate) client: Client,
}

impl World {
    pub(crate) async fn new(home: Home, extra: &str) -> Self {
        let nats = NatsServer::start();
        let dir = home.dir.path();
        fs::write(dir.join("ideas.creds"), nats.keys().ledger_creds()).unwrap();
        let config = dir.join("ideas.toml");
        let mut text =
            format!("data = {:?}\ndatabase = {:?}\n", home.place.data, home.place.database);
        if let Some(password) = &home.place.login.password {
            fs::write(dir.join("password"), password).unwrap();
            text.push_str(&format!("database_password_file = {:?}\n", dir.join("password")));
        }
        text.push_str(extra);
        text.push_str(&format!(
            "\n[nats]\nurls = [{:?}]\ncreds_file = {:?}\n",
            nats.url(),
            dir.join("ideas.creds")
        ));
        fs::write(&config, text).unwrap();
        let client = nats.service("asker").await;
        Self { nats, home, config, log: "info,async_nats=warn", process: None, client }
    }

    /// From now on another database of the same server.
    pub(crate) fn use_database(&mut self, database: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, text.replace(&self.home.place.database, database)).unwrap();
        self.home.place.database = database.to_owned();
    }

    pub(crate) fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-ideas"));
        command.args(["serve", "--config"]).arg(&self.config).env("MESH_LOG", self.log);
        self.process = Some(Process::start(&mut command, &self.home.dir.path().join("ideas.log")));
    }

    /// Another command on this configuration: its exit code, what it printed, and its words.
    pub(crate) fn command(&self, arguments: &[&str]) -> (Option<i32>, serde_json::Value, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-ideas"));
        command.args(arguments).arg("--config").arg(&self.config);
        let output = command.output().unwrap();
        let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), json, String::from_utf8(output.stderr).unwrap())
    }

    /// Starts and waits until it answers.
    pub(crate) async fn serve(&mut self) {
        self.start();
        wait_until(SOON, "the registry answers", async || self.stats().await.is_some()).await;
    }

    pub(crate) async fn ask(&self, ask: LedgerAsk) -> Option<LedgerAnswer> {
        ask_over(&self.client, &ask).await
    }

    pub(crate) async fn stats(&self) -> Option<LedgerStats> {
        match self.ask(LedgerAsk::Stats {}).await? {
            LedgerAnswer::Stats(stats) => Some(stats),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn append(&self, submission: Submission) -> Appended {
        match self.ask(LedgerAsk::Append(Box::new(submission))).await {
            Some(LedgerAnswer::Appended(appended)) => appended,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn until(
        &self,
        what: &str,
        look: impl Fn(&LedgerStats) -> bool,
    ) -> LedgerStats {
        wait_for(SOON, what, async || self.stats().await.filter(&look)).await
    }

    /// What it has logged.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.home.dir.path().join("ideas.log")).unwrap()
    }

    pub(crate) fn stop(&mut self) {
        let status = self.process.take().unwrap().stop(SOON);
        let log = self.said();
        assert!(status.unwrap().success(), "{log}");
        assert!(!log.contains("ermissions Violation"), "{log}");
    }
}

pub(crate) async fn ask_over(client: &Client, ask: &LedgerAsk) -> Option<LedgerAnswer> {
    let payload = serde_json::to_vec(ask).unwrap();
    let request = client.request(ledger_ask(ask.name()), payload.into());
    let answer = tokio::time::timeout(Duration::from_secs(3), request).await.ok()?.ok()?;
    Some(serde_json::from_slice(&answer.payload).unwrap())
}
