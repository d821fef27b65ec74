//! The JSON Schema files in `schemas/json/` are made from the types; this fails when they drift.
//! `UPDATE_SCHEMAS=1 cargo test -p mesh-schemas` writes them anew.

use std::{fs, path::PathBuf};

use mesh_schemas::{
    JobSpec, Problem,
    api::{ArtifactsView, EventView, JobDetail, LogPiece, NodeView, TaskView, Why},
    idea::{Entry, IdeaDetail, LedgerAnswer, LedgerAsk, Submission},
    manifest::Manifest,
    message::{AgentAnswer, AgentAsk, NodeAnswer, NodeAsk, NodeBeat, NodeCommands, NodeEvents},
};
use schemars::{JsonSchema, Schema, generate::SchemaSettings};

fn schema<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("job-spec", schema::<JobSpec>()),
        ("problem", schema::<Problem>()),
        ("manifest", schema::<Manifest>()),
        ("node-commands", schema::<NodeCommands>()),
        ("node-events", schema::<NodeEvents>()),
        ("node-beat", schema::<NodeBeat>()),
        ("node-ask", schema::<NodeAsk>()),
        ("node-answer", schema::<NodeAnswer>()),
        ("agent-ask", schema::<AgentAsk>()),
        ("agent-answer", schema::<AgentAnswer>()),
        ("job", schema::<JobDetail>()),
        ("task", schema::<TaskView>()),
        ("node", schema::<NodeView>()),
        ("event", schema::<EventView>()),
        ("artifacts", schema::<ArtifactsView>()),
        ("log-piece", schema::<LogPiece>()),
        ("why", schema::<Why>()),
        ("idea-entry", schema::<Entry>()),
        ("idea-submission", schema::<Submission>()),
        ("idea", schema::<IdeaDetail>()),
        ("ledger-ask", schema::<LedgerAsk>()),
        ("ledger-answer", schema::<LedgerAnswer>()),
    ]
}

#[test]
fn schema_files_are_those_of_the_types() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("json");
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    for (name, schema) in all() {
        let file = folder.join(format!("{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if update {
            fs::write(&file, &text).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == text, "{name} has drifted: run with UPDATE_SCHEMAS=1 and look at the diff");
    }
}
