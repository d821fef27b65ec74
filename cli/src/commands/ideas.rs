//! `mesh ideas`: the ledger in which no idea is lost.

mod act;
mod add;
mod carry;
mod check;
mod export;
mod look;
mod whole;

use std::process::ExitCode;

use mesh_schemas::idea::{Appended, IdeaView, RankedIdea};

use crate::{
    Outcome,
    args::{Format, Global},
    ideas::Sent,
    output::{self, Row},
};

/// File, find, rank and check ideas.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    Show(look::ShowArgs),
    #[command(visible_alias = "ls")]
    List(look::ListArgs),
    Search(look::SearchArgs),
    Rank(look::RankArgs),
    Graph(look::GraphArgs),
    Work(look::WorkArgs),
    Comment(act::TextArgs),
    Revise(act::ReviseArgs),
    Link(act::LinkArgs),
    Claim(act::ClaimArgs),
    Transfer(act::TransferArgs),
    Release(act::ReleaseArgs),
    Status(act::StatusArgs),
    Rate(act::RateArgs),
    Hide(act::HideArgs),
    Erase(act::EraseArgs),
    Import(carry::ImportArgs),
    Export(export::ExportArgs),
    Sync(carry::SyncArgs),
    Key(carry::KeyArgs),
    Prove(check::ProveArgs),
    Check(check::CheckArgs),
    Verify(check::VerifyArgs),
}

pub(crate) async fn run(global: &Global, command: Command) -> Outcome {
    match command {
        Command::Add(args) => add::run(global, args).await,
        Command::Show(args) => look::show(global, &args).await,
        Command::List(args) => look::list(global, &args).await,
        Command::Search(args) => look::search(global, args).await,
        Command::Rank(args) => look::rank(global, &args).await,
        Command::Graph(args) => look::graph(global, &args).await,
        Command::Work(args) => look::work(global, &args).await,
        Command::Comment(args) => act::comment(global, args).await,
        Command::Revise(args) => act::revise(global, args).await,
        Command::Link(args) => act::link(global, &args).await,
        Command::Claim(args) => act::claim(global, &args).await,
        Command::Transfer(args) => act::transfer(global, &args).await,
        Command::Release(args) => act::release(global, &args).await,
        Command::Status(args) => act::status(global, args).await,
        Command::Rate(args) => act::rate(global, &args).await,
        Command::Hide(args) => act::hide(global, args).await,
        Command::Erase(args) => act::erase(global, args).await,
        Command::Import(args) => carry::import(global, &args).await,
        Command::Export(args) => export::run(global, &args).await,
        Command::Sync(args) => carry::sync(global, &args).await,
        Command::Key(args) => carry::key(global, &args),
        Command::Prove(args) => check::prove(global, &args).await,
        Command::Check(args) => check::check(global, &args),
        Command::Verify(args) => check::verify(global, &args).await,
    }
}

/// Prints what became of an entry.
fn print_sent(format: Format, sent: &Sent) -> ExitCode {
    match sent {
        Sent::Appended(appended) => print_appended(format, appended),
        Sent::Waits(entry) => {
            if format == Format::Json {
                output::json(&serde_json::json!({ "entry": entry, "waits": true }));
            } else {
                output::line(entry);
            }
            output::note("it is kept and waits for the ledger; `mesh ideas sync` sends it");
        }
    }
    ExitCode::SUCCESS
}

fn print_appended(format: Format, appended: &Appended) {
    if format == Format::Json {
        return output::json(appended);
    }
    match appended.idea {
        Some(idea) => output::line(idea),
        None => output::line(appended.entry),
    }
    if format == Format::Quiet {
        return;
    }
    let index = appended.index.map(|index| format!(" at {index}")).unwrap_or_default();
    let new = if appended.created { "in the log" } else { "was there already; seen again" };
    output::note(format!("{new}{index}"));
    for (idea, likeness) in &appended.similar {
        output::note(format!("  {}.{} % like {idea}", likeness / 10, likeness % 10));
    }
}

impl Row for IdeaView {
    const COLUMNS: &'static [&'static str] =
        &["idea", "title", "status", "holder", "votes", "seen", "filed"];

    fn cells(&self) -> Vec<String> {
        vec![
            short(&self.id.to_string(), 17),
            if self.title.is_empty() { "(hidden)".into() } else { self.title.clone() },
            self.status.to_string(),
            self.holder.map(|holder| short(&holder.to_string(), 15)).unwrap_or_default(),
            self.votes.to_string(),
            (self.seen_again + 1).to_string(),
            self.time.to_string(),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Row for RankedIdea {
    const COLUMNS: &'static [&'static str] = &["score", "idea", "title", "terms"];

    fn cells(&self) -> Vec<String> {
        let term = |term: &mesh_schemas::idea::RankTerm| {
            format!("{} {:.2}×{}", term.name, term.value, term.weight)
        };
        vec![
            format!("{:.3}", self.score),
            short(&self.idea.id.to_string(), 17),
            self.idea.title.clone(),
            self.terms.iter().map(term).collect::<Vec<_>>().join("  "),
        ]
    }

    fn id(&self) -> String {
        self.idea.id.to_string()
    }
}

/// The beginning of an id, which is enough for any command.
fn short(id: &str, characters: usize) -> String {
    id.chars().take(characters).collect()
}
