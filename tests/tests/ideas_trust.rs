//! What a person's own copy of `mesh` believes of the log: heads that witnesses cosigned, and a log that was begun anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod ideas_kit;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use ideas_kit::{Person, copy_dir};
use mesh_tests::{
    bins,
    mesh::{Mesh, Options},
    ports,
    process::Process,
    wait::{wait_for, wait_until},
};
use serde_json::Value;

/// Longest wait for anything, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A mesh without nodes.
async fn mesh() -> Mesh {
    Mesh::start(&Options { nodes: 0, ..Options::default() }).await
}

/// `mesh-ideas …`, which must do it: its standard output.
fn registry(args: &[&str], config: &Path) -> String {
    let mut command = Command::new(bins::path("mesh-ideas"));
    let Output { status, stdout, stderr } =
        command.args(args).arg("--config").arg(config).output().unwrap();
    assert!(status.success(), "mesh-ideas {args:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The bare key on one line, and no word of serving.
fn shown_key(config: &Path) -> String {
    let output = Command::new(bins::path("mesh-ideas"))
        .args(["witness", "--show-key", "--config"])
        .arg(config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("Witnessing"), "{said}");
    let key = String::from_utf8(output.stdout).unwrap().strip_suffix('\n').unwrap().to_owned();
    assert!(!key.contains(['"', '\n']), "{key}");
    key
}

/// A witness of a log, on a port of its own.
struct Witness {
    config: PathBuf,
    url: String,
    key: String,
    process: Option<Process>,
}

impl Witness {
    fn new(dir: &Path, name: &str, log_key: &str) -> Self {
        let (config, port) = (dir.join(format!("{name}.toml")), ports::free());
        let text = format!(
            "data = {:?}\nname = \"{name}.test\"\nlisten = \"127.0.0.1:{port}\"\nlogs = [{{ key = {log_key:?} }}]\n",
            dir.join(name)
        );
        fs::write(&config, text).unwrap();
        let key = shown_key(&config);
        Self { config, url: format!("http://127.0.0.1:{port}"), key, process: None }
    }

    fn start(&mut self) {
        let mut command = Command::new(bins::path("mesh-ideas"));
        command.arg("witness").arg("--config").arg(&self.config);
        self.process = Some(Process::start(&mut command, &self.config.with_extension("log")));
    }

    fn stop(&mut self) {
        self.process.take().unwrap().kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_too_few_witnesses_cosigned_is_refused() {
    let mut mesh = mesh().await;
    let shown: Value = mesh.get("/ledger/checkpoint").await;
    let log_key = shown["key"].as_str().unwrap().to_owned();
    let mut near = Witness::new(mesh.scratch(), "near", &log_key);
    let far = Witness::new(mesh.scratch(), "far", &log_key);
    near.start();
    mesh.stop();
    let config = mesh.data().join("ideas.toml");
    let owners = format!("[[witnesses]]\nurl = {:?}\nkey = {:?}\n", near.url, near.key);
    fs::write(&config, fs::read_to_string(&config).unwrap() + &owners).unwrap();
    mesh.start_again().await;
    assert!(fs::read_to_string(&config).unwrap().contains(&near.key), "the owner's lines stay");

    let ann = Person::new(&mesh, "ann");
    let idea = ann.does(&["add", "An idea that somebody else has seen"]).await;
    let verified: Value = ann.reads(&["verify", "--witness", &near.key]).await;
    assert_eq!(shown_key(&near.config), near.key, "it is shown while the witness runs");
    assert_eq!((&verified["size"], &verified["witnesses"]), (&1.into(), &1.into()));
    let unwitnessed = "E_LEDGER_UNWITNESSED";
    let both = ["--witness", &near.key, "--witness", &far.key];
    let said = ann.is_refused(&[&["verify"][..], &both].concat(), unwitnessed, 8).await;
    assert!(said.contains("far.test") && said.contains("hint:"), "{said}");
    ann.does(&[&["verify", "--quorum", "1"][..], &both].concat()).await;
    ann.is_refused(&["verify", "--witness", &near.key, "--quorum", "2"], "E_INVALID", 3).await;
    ann.is_refused(&["verify", "--witness", &log_key], "E_INVALID", 3).await;

    // The proof has the cosignature in it, for whoever relies on the witness and never saw the log.
    let (proof, key) = (ann.home().join("idea.tlog-proof"), ann.home().join("log.vkey"));
    let (proof, key_file) = (proof.to_str().unwrap(), key.to_str().unwrap());
    fs::write(&key, &log_key).unwrap();
    ann.does(&["prove", &idea, "-f", proof, "--witness", &near.key]).await;
    let bob = Person::new(&mesh, "bob");
    bob.does(&["check", proof, "--key", key_file, "--witness", &near.key]).await;
    bob.is_refused(&["check", proof, "--key", key_file, "--witness", &far.key], unwitnessed, 8)
        .await;

    // A head without it is refused, whoever was asked before; the variable and the context file say the same.
    near.stop();
    bob.does(&["add", "Looms by moonlight"]).await;
    wait_until(SOON, "it is signed", async || mesh.get::<Value>("/ledger").await["signed"] == 2)
        .await;
    let context = ann.home().join("context.toml");
    let lines = format!("server = \"\"\ntoken_file = \"\"\nwitnesses = [{:?}]\n", near.key);
    fs::write(&context, lines).unwrap();
    for variable in
        [("MESH_WITNESSES", near.key.as_str()), ("MESH_CONTEXT", context.to_str().unwrap())]
    {
        let ann = Person::new(&mesh, "ann").with_env(variable);
        ann.is_refused(&["verify"], unwitnessed, 8).await;
        ann.does(&["check", proof]).await;
    }
    ann.is_refused(&["prove", &idea, "--witness", &near.key], unwitnessed, 8).await;
    ann.does(&["verify"]).await;
    ann.does(&["prove", &idea, "-f", proof]).await;
    bob.is_refused(&["check", proof, "--key", key_file, "--witness", &near.key], unwitnessed, 8)
        .await;
    near.start();
    wait_for(SOON, "it is cosigned", async || {
        ann.tries(&["verify", "--witness", &near.key]).await.status.success().then_some(())
    })
    .await;
}

/// Waits until this person has seen a head of so many entries.
async fn sees(person: &Person<'_>, size: u64) {
    wait_for(SOON, "all is signed", async || {
        let verified: Value = person.reads(&["verify"]).await;
        (verified["size"] == size).then_some(())
    })
    .await;
}

/// Begins the log anew, as its operator does while the mesh is off.
fn begin_anew(mesh: &Mesh) -> Value {
    let config = mesh.data().join("ideas.toml");
    let said = registry(&["restart-origin", "--pass-over-silent"], &config);
    serde_json::from_str(&said).unwrap()
}

/// Ann saw two ideas, and there is a copy from when there was one. Returns the registry's directory and the copy; the mesh
/// is off.
async fn backed_up_before_the_second_idea(mesh: &mut Mesh) -> (PathBuf, PathBuf) {
    Person::new(mesh, "ann").does(&["add", "The first idea"]).await;
    mesh.stop();
    let (data, copy) = (mesh.data().join("ideas"), mesh.scratch().join("backup"));
    copy_dir(&data, &copy);
    mesh.start_again().await;
    Person::new(mesh, "ann").does(&["add", "The second idea"]).await;
    sees(&Person::new(mesh, "ann"), 2).await;
    mesh.stop();
    (data, copy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_begun_anew_is_followed_by_whoever_saw_what_it_goes_on_from() {
    let mut mesh = mesh().await;
    {
        let [ann, bob] = ["ann", "bob"].map(|name| Person::new(&mesh, name));
        ann.does(&["add", "The first idea"]).await;
        sees(&bob, 1).await;
        for text in ["The second idea, of cats", "The third idea, of looms"] {
            ann.does(&["add", text]).await;
        }
        sees(&ann, 3).await;
    }
    mesh.stop();
    begin_anew(&mesh);
    // Nobody ever saw a head of that one: it is the log before that the next one goes on from.
    let named = begin_anew(&mesh);
    assert_eq!((&named["old_size"], &named["entries"]), (&3.into(), &4.into()));
    assert!(named["old_origin"].as_str().unwrap().ends_with("/v1"), "{named}");
    mesh.start_again().await;
    sees(&Person::new(&mesh, "dan"), 4).await;
    mesh.stop();
    // Once more, before the others look: their way back leads through the log between.
    assert_eq!(begin_anew(&mesh)["old_origin"], named["origin"]);
    mesh.start_again().await;
    // The one saw the head that is named, the other one before it, which the old log's files lead to.
    // The third one saw a log whose own first entry is not carried over.
    for (name, version) in [("ann", 1), ("bob", 1), ("dan", 3)] {
        let person = Person::new(&mesh, name);
        let output = person.tries(&["verify"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let goes_on = said.contains(&format!("/v{version} goes on as "));
        assert!(output.status.success() && goes_on, "{name}: {said}");
        let kept = said.split(" is kept in ").nth(1).expect("it names the place").lines();
        let kept = PathBuf::from(kept.map(str::trim).next().unwrap());
        for file in ["key", "checkpoint", "authors", "origins", "files"] {
            assert!(kept.join(file).exists(), "{name}: {file} is kept in {}", kept.display());
        }
        let output = person.tries(&["verify"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("goes on as"), "{name}: {said}");
    }
    let carol = Person::new(&mesh, "carol");
    carol.does(&["add", "An idea of the new log"]).await;
    carol.does(&["verify"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_begun_anew_without_what_was_seen_is_refused() {
    let mut mesh = mesh().await;
    let (data, copy) = backed_up_before_the_second_idea(&mut mesh).await;

    // Put back, and begun anew from there: what ann saw is not in it.
    fs::remove_dir_all(&data).unwrap();
    copy_dir(&copy, &data);
    assert_eq!(begin_anew(&mesh)["old_size"], 1);
    mesh.start_again().await;
    for _ in 0..2 {
        let ann = Person::new(&mesh, "ann");
        let said = ann.is_refused(&["verify"], "E_LEDGER_ROLLBACK", 8).await;
        assert!(said.contains("goes on from 1 entries") && said.contains("evidence"), "{said}");
    }
}

/// The head that it names is the one that was seen; the entries behind that are another matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_names_the_head_that_was_seen_and_lacks_an_entry_of_it_is_refused() {
    let mut mesh = mesh().await;
    let (data, copy) = backed_up_before_the_second_idea(&mut mesh).await;
    // The database of before, beside the checkpoint of now, as a witness would have it; the tiles are lost.
    let checkpoint = fs::read(data.join("v1/checkpoint")).unwrap();
    fs::remove_dir_all(&data).unwrap();
    copy_dir(&copy, &data);
    fs::remove_dir_all(data.join("v1/tile")).unwrap();
    fs::write(data.join("v1/checkpoint"), checkpoint).unwrap();
    let begun = begin_anew(&mesh);
    assert_eq!((&begun["old_size"], &begun["entries"]), (&2.into(), &2.into()));
    mesh.start_again().await;
    let said = Person::new(&mesh, "ann").is_refused(&["verify"], "E_LEDGER_ROLLBACK", 8).await;
    assert!(said.contains("without entry 1 of") && said.contains("evidence"), "{said}");
    // Another entry in its place is no better.
    Person::new(&mesh, "bob").does(&["add", "An idea in the place of the second"]).await;
    sees(&Person::new(&mesh, "bob"), 3).await;
    let said = Person::new(&mesh, "ann").is_refused(&["verify"], "E_LEDGER_FORK", 8).await;
    assert!(said.contains("evidence"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_begun_anew_without_the_registrys_key_is_refused() {
    let mut mesh = mesh().await;
    Person::new(&mesh, "ann").does(&["add", "The first idea"]).await;
    sees(&Person::new(&mesh, "eve"), 1).await;
    mesh.stop();
    // Whoever answers could begin any log so.
    fs::remove_file(mesh.data().join("ideas/identity.json")).unwrap();
    assert_eq!(begin_anew(&mesh)["old_size"], 1);
    mesh.start_again().await;
    let said = Person::new(&mesh, "eve").is_refused(&["verify"], "E_LEDGER_FORK", 8).await;
    assert!(said.contains("is not the registry's") && said.contains("evidence"), "{said}");
}
