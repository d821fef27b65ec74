//! Looking at ideas.

use std::process::ExitCode;

use mesh_schemas::{
    Problem,
    api::Page,
    idea::{
        AuthorId, Direction, IdeaDetail, IdeaGraph, IdeaId, IdeaStatus, IdeaView, IdeaWork,
        RankedIdea, Relation, SearchQuery,
    },
};

use super::whole::{self, Around};
use crate::{
    Outcome,
    args::{Format, Global},
    client::Client,
    context,
    ideas::path_part,
    output,
};

/// Show an idea with all that was said about it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mesh ideas show idea_3fa1c2\n  mesh ideas show idea_3fa1c2 --all -o json | jq .owners"
)]
pub(crate) struct ShowArgs {
    /// The idea, or the beginning of its id.
    idea: String,
    /// Also what is too long for one answer: every entry, edge and job instead of the newest.
    #[arg(long)]
    all: bool,
}

/// List ideas, newest first.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mesh ideas list\n  mesh ideas list --status accepted --tag builds -n 20"
)]
pub(crate) struct ListArgs {
    /// open, accepted, started, shipped or rejected
    #[arg(long)]
    status: Option<IdeaStatus>,
    /// Held by this author.
    #[arg(long)]
    holder: Option<AuthorId>,
    /// Filed by this author.
    #[arg(long)]
    author: Option<AuthorId>,
    /// With this tag.
    #[arg(long)]
    tag: Option<String>,
    /// With an edge of this kind.
    #[arg(long)]
    relation: Option<Relation>,
    /// Most rows.
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
}

/// Find ideas by their words, or what is like a text.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas search build cache
  mesh ideas search --similar 'Warm up the build caches of idle nodes during the night'")]
pub(crate) struct SearchArgs {
    /// The words, all of which must be there; or the text.
    #[arg(required = true)]
    words: Vec<String>,
    /// Find near duplicates of the text.
    #[arg(long)]
    similar: bool,
    /// Most rows.
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: u32,
}

/// Ideas by score, best first, with each term of the score.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mesh ideas rank -n 10\n  mesh ideas rank --status open -o json"
)]
pub(crate) struct RankArgs {
    /// Only these.
    #[arg(long)]
    status: Option<IdeaStatus>,
    /// Most rows.
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: u32,
}

/// The edges around an idea, or all of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas graph idea_3fa1c2 --depth 3
  mesh ideas graph --dot | dot -Tsvg > ideas.svg
  mesh ideas graph idea_3fa1c2 --direction out      its ancestors
  mesh ideas graph -o json > ideas.json             all of it, however large")]
pub(crate) struct GraphArgs {
    /// Around this one, by id or the beginning of it.
    idea: Option<String>,
    /// How many edges far, 1 to 16.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=16))]
    depth: u32,
    /// out, in or both
    #[arg(long, default_value = "both")]
    direction: Direction,
    /// As Graphviz DOT.
    #[arg(long)]
    dot: bool,
}

/// What came of an idea: its jobs, newest first, and what these stored; or the idea of a job.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mesh ideas work idea_3fa1c2 -n 500\n  mesh ideas work --job job_…      the way back"
)]
pub(crate) struct WorkArgs {
    /// The idea, or the beginning of its id.
    #[arg(required_unless_present = "job", conflicts_with = "job")]
    idea: Option<String>,
    /// The idea of this job instead.
    #[arg(long)]
    job: Option<mesh_schemas::JobId>,
    /// Most jobs.
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
}

pub(super) async fn show(global: &Global, args: &ShowArgs) -> Outcome {
    let client = context::client(global)?;
    let mut idea: IdeaDetail = client.get(&format!("/ideas/{}", path_part(&args.idea)?)).await?;
    if args.all {
        whole::complete(&client, &mut idea).await?;
    }
    match global.output {
        Format::Json => output::json(&idea),
        Format::Quiet => output::line(idea.view.id),
        Format::Table => print(&idea),
    }
    if !idea.truncated.is_empty() {
        let parts: Vec<&str> = idea.truncated.iter().map(|part| part.as_str()).collect();
        output::note(format!("not all {} are shown; --all shows them", parts.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

fn print(idea: &IdeaDetail) {
    output::list(Format::Table, std::slice::from_ref(&idea.view));
    output::line("");
    match &idea.text {
        Some(text) => text.lines().for_each(|line| output::line(output::inert(line))),
        None => output::line("(the text is hidden or erased)"),
    }
    output::line("");
    let entries = idea.entries.iter().map(|view| {
        let who = view.entry.name.clone().unwrap_or_else(|| view.entry.author.to_string());
        let title = view.text.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
        vec![
            view.index.to_string(),
            view.entry.say.kind().to_owned(),
            who,
            view.entry.time.to_string(),
            title.to_owned(),
        ]
    });
    output::table(&["index", "kind", "by", "at", "text"], entries.collect());
    if !idea.edges.is_empty() {
        output::line("");
        print_edges(&idea.edges);
    }
    if !idea.jobs.is_empty() {
        output::line("");
        let jobs = idea.jobs.iter();
        let rows =
            jobs.map(|job| vec![job.job.to_string(), job.job_name.clone(), job.state.to_string()]);
        output::table(&["job", "name", "state"], rows.collect());
    }
}

fn print_edges(edges: &[mesh_schemas::idea::EdgeView]) {
    let rows = edges.iter().map(|edge| {
        let likeness =
            edge.likeness.map(|l| format!("{}.{} %", l / 10, l % 10)).unwrap_or_default();
        vec![
            edge.from.to_string(),
            edge.relation.to_string(),
            edge.to.to_string(),
            if edge.proposed { "proposed".into() } else { String::new() },
            likeness,
        ]
    });
    output::table(&["from", "relation", "to", "", "like"], rows.collect());
}

pub(super) async fn list(global: &Global, args: &ListArgs) -> Outcome {
    let mut filters = Vec::new();
    let mut filter = |name: &str, value: Option<String>| {
        filters.extend(value.map(|value| format!("{name}={}", encoded(&value))));
    };
    filter("status", args.status.map(|status| status.to_string()));
    filter("holder", args.holder.map(|holder| holder.to_string()));
    filter("author", args.author.map(|author| author.to_string()));
    filter("tag", args.tag.clone());
    filter("relation", args.relation.map(|relation| relation.to_string()));
    let joint = if filters.is_empty() { "" } else { "?" };
    let path = format!("/ideas{joint}{}", filters.join("&"));
    let rows: Vec<IdeaView> = context::client(global)?.pages(&path, args.limit).await?;
    output::list(global.output, &rows);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn search(global: &Global, args: SearchArgs) -> Outcome {
    let SearchArgs { words, similar, limit } = args;
    let query = SearchQuery { text: words.join(" "), similar, limit: Some(limit) };
    let page: Page<IdeaView> = context::client(global)?.post("/ideas/search", &query).await?;
    output::list(global.output, &page.items);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn rank(global: &Global, args: &RankArgs) -> Outcome {
    let status = args.status.map(|status| format!("&status={status}")).unwrap_or_default();
    let path = format!("/ideas/ranking?limit={}{status}", args.limit);
    let rows: Vec<RankedIdea> = context::client(global)?.get(&path).await?;
    output::list(global.output, &rows);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn graph(global: &Global, args: &GraphArgs) -> Outcome {
    let client = context::client(global)?;
    let graph = match &args.idea {
        Some(idea) => {
            let found: IdeaDetail = client.get(&format!("/ideas/{}", path_part(idea)?)).await?;
            around(&client, args, found.view.id).await?
        }
        None => whole::graph(&client, None).await?,
    };
    match global.output {
        _ if args.dot => output::line(mesh_ideas_core::graph::dot(&graph).trim_end()),
        Format::Json => output::json(&graph),
        Format::Quiet => graph.ideas.iter().for_each(|idea| output::line(idea.id)),
        Format::Table => {
            output::list(Format::Table, &graph.ideas);
            output::line("");
            print_edges(&graph.edges);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// As the registry answers, or, of what is too large for an answer, made here of all edges.
async fn around(client: &Client, args: &GraphArgs, idea: IdeaId) -> Result<IdeaGraph, Problem> {
    let GraphArgs { depth, direction, .. } = args;
    let path = format!("/ideas/graph?depth={depth}&direction={direction}&idea={idea}");
    let graph: IdeaGraph = client.get(&path).await?;
    if !graph.truncated {
        return Ok(graph);
    }
    whole::graph(client, Some(Around { idea, depth: *depth, direction: *direction })).await
}

pub(super) async fn work(global: &Global, args: &WorkArgs) -> Outcome {
    let client = context::client(global)?;
    if let Some(job) = args.job {
        let ideas: mesh_schemas::idea::JobIdeas = client.get(&format!("/jobs/{job}/ideas")).await?;
        match (global.output, &ideas.idea) {
            (Format::Json, _) => output::json(&ideas),
            (Format::Table, Some(idea)) => print(idea),
            (Format::Quiet, Some(idea)) => output::line(idea.view.id),
            (_, None) => match ideas.names {
                Some(idea) => {
                    output::note(format!("{job} names {idea}, which is not in the ledger yet"))
                }
                None => output::note(format!("{job} names no idea")),
            },
        }
        return Ok(ExitCode::SUCCESS);
    }
    let idea = args.idea.as_deref().unwrap_or_default();
    let path = format!("/ideas/{}/work", path_part(idea)?);
    let work: Vec<IdeaWork> = client.pages(&path, args.limit).await?;
    match global.output {
        Format::Json => output::json(&work),
        Format::Quiet => work.iter().for_each(|work| output::line(work.idea.job)),
        Format::Table => print_work(&work),
    }
    Ok(ExitCode::SUCCESS)
}

fn print_work(work: &[IdeaWork]) {
    let rows = work.iter().map(|work| {
        let stored = work
            .tasks
            .iter()
            .filter(|task| task.last.as_ref().is_some_and(|attempt| attempt.manifest.is_some()));
        vec![
            work.idea.job.to_string(),
            work.idea.job_name.clone(),
            work.job.as_ref().map_or(work.idea.state, |job| job.state).to_string(),
            work.tasks.len().to_string(),
            stored.count().to_string(),
        ]
    });
    output::table(&["job", "name", "state", "tasks", "with artifacts"], rows.collect());
}

/// A value in a query: everything but letters, digits and a few marks is escaped.
fn encoded(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    let each = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    value.bytes().map(each).collect()
}
