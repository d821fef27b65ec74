//! Ideas in by the many, what waits, and who signs.

use std::{path::PathBuf, process::ExitCode};

use clap::ValueEnum;
use mesh_ideas_core::import::{self, Draft, Imported};
use mesh_schemas::{
    Problem,
    idea::{EntryId, IdeaId, Say, Submission},
};
use serde::Serialize;

use super::add::read_text;
use crate::{
    Outcome,
    args::{Format, Global},
    ideas::{Body, Flushed, Sender, Sent},
    output,
};

/// Longest file of ideas, in bytes.
const IMPORT_BYTES_MAX: usize = 64 << 20;

/// File many ideas at once: a Markdown list, a CSV, or issues exported as JSON. Doing it again files nothing
/// twice.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas import backlog.md --tag backlog         items below an item derive from it
  mesh ideas import ideas.csv                        columns: title, body, tags, source
  gh issue list --json number,title,body,labels,url | mesh ideas import --form issues -")]
pub(crate) struct ImportArgs {
    /// The file; `-` is standard input.
    file: PathBuf,
    /// What it is; guessed from the name's end when not given.
    #[arg(long, value_enum)]
    form: Option<FormArg>,
    /// A tag for all of them; may be repeated.
    #[arg(long, short, value_name = "WORD")]
    tag: Vec<String>,
    /// Only say what would be filed.
    #[arg(long)]
    dry_run: bool,
}

/// What an imported file is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FormArg {
    /// A Markdown list.
    Markdown,
    /// A table with a header.
    Csv,
    /// An array of issues as JSON.
    Issues,
}

/// Send what waits in the spool.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas sync
  mesh ideas sync --list
  mesh ideas sync --drop entry_…      such as one that names an idea that there never was")]
pub(crate) struct SyncArgs {
    /// Send nothing: show what waits.
    #[arg(long, conflicts_with = "drop")]
    list: bool,
    /// Send nothing: take this entry out of what waits; it is kept with what was refused.
    #[arg(long, value_name = "ENTRY")]
    drop: Option<EntryId>,
}

/// Show who signs your ideas.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mesh ideas key")]
pub(crate) struct KeyArgs {}

#[derive(Debug, Default, Serialize)]
struct Count {
    filed: usize,
    known: usize,
    waiting: usize,
}

pub(super) async fn import(global: &Global, args: &ImportArgs) -> Outcome {
    let text = read_text(&args.file, IMPORT_BYTES_MAX)?;
    let Imported { drafts, skipped } = read(form(args)?, &text)?;
    if !skipped.is_empty() {
        let lines: Vec<String> = skipped.iter().take(20).map(usize::to_string).collect();
        output::note(format!(
            "{} belong to no idea: {}",
            output::count(skipped.len() as u64, "line"),
            lines.join(", ")
        ));
    }
    if args.dry_run {
        let titles: Vec<String> =
            drafts.iter().map(|draft| mesh_ideas_core::text::title(&draft.text)).collect();
        match global.output {
            Format::Json => output::json(&serde_json::json!({ "would_file": titles })),
            Format::Table | Format::Quiet => titles.iter().for_each(output::line),
        }
        output::note(format!("{} would be filed", output::count(drafts.len() as u64, "idea")));
        return Ok(ExitCode::SUCCESS);
    }
    let sender = Sender::new(global)?;
    let (mut imported, mut ids) = (Count::default(), Vec::new());
    for draft in drafts {
        ids.push(file(&sender, args, draft, &ids, &mut imported).await?);
    }
    match global.output {
        Format::Json => output::json(&imported),
        Format::Quiet => ids.iter().for_each(output::line),
        Format::Table => {
            let Count { filed, known, waiting } = imported;
            output::note(format!("{filed} filed, {known} were there already, {waiting} wait"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Files one draft; the ids are those of the drafts before it.
async fn file(
    sender: &Sender,
    args: &ImportArgs,
    draft: Draft,
    ids: &[IdeaId],
    imported: &mut Count,
) -> Result<IdeaId, Problem> {
    let body = Body::new(draft.text, None);
    let mut tags = draft.tags;
    tags.extend(args.tag.iter().filter(|tag| !tags.contains(tag)).cloned().collect::<Vec<_>>());
    let parents = draft.parent.and_then(|parent| ids.get(parent)).copied().into_iter().collect();
    let say = Say::Idea { body: body.by_ref.clone(), parents, tags, source: draft.source };
    match sender.say(say, Some(body)).await? {
        Sent::Appended(appended) => {
            if appended.created {
                imported.filed += 1;
            } else {
                imported.known += 1;
            }
            Ok(appended.idea.unwrap_or_else(|| appended.entry.into()))
        }
        Sent::Waits(entry) => {
            imported.waiting += 1;
            Ok(entry.into())
        }
    }
}

fn read(form: FormArg, text: &str) -> Result<Imported, Problem> {
    match form {
        FormArg::Markdown => import::from_markdown(text),
        FormArg::Csv => import::from_csv(text),
        FormArg::Issues => import::from_github(text),
    }
}

fn form(args: &ImportArgs) -> Result<FormArg, Problem> {
    if let Some(form) = args.form {
        return Ok(form);
    }
    match args.file.extension().and_then(|end| end.to_str()) {
        Some("md" | "markdown") => Ok(FormArg::Markdown),
        Some("csv") => Ok(FormArg::Csv),
        Some("json") => Ok(FormArg::Issues),
        Some(_) | None => Err(Problem::invalid(
            "form",
            format!("what {} is cannot be told from its name", args.file.display()),
        )
        .hint("pass --form markdown, csv or issues")),
    }
}

pub(super) async fn sync(global: &Global, args: &SyncArgs) -> Outcome {
    let sender = Sender::new(global)?;
    if let Some(entry) = args.drop {
        let file = sender.drop_waiting(entry)?;
        output::note(format!("{entry} waits no more; it is kept in {}", file.display()));
        return Ok(ExitCode::SUCCESS);
    }
    if args.list {
        return list_waiting(global.output, &sender.waiting()?);
    }
    let Flushed { sent, waiting, refused } = sender.flush().await?;
    if global.output == Format::Json {
        let counts = serde_json::json!({ "sent": sent, "waiting": waiting, "refused": refused });
        output::json(&counts);
    } else {
        output::note(format!("{sent} sent, {waiting} wait, {refused} refused"));
    }
    if refused > 0 {
        output::note(format!("what was refused is kept in {}", sender.refused().display()));
    }
    Ok(if waiting + refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What waits, each with its kind and the beginning of its text.
fn list_waiting(format: Format, waiting: &[(EntryId, Submission)]) -> Outcome {
    for (entry, Submission { entry: said, body, .. }) in waiting {
        let kind = said.say.kind();
        let title = mesh_ideas_core::text::title(body.as_deref().unwrap_or_default());
        match format {
            Format::Json => output::json(
                &serde_json::json!({ "entry": entry, "kind": kind, "time": said.time, "title": title }),
            ),
            Format::Quiet => output::line(entry),
            Format::Table => output::line(format!("{entry}  {kind}  {title}")),
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn key(global: &Global, _: &KeyArgs) -> Outcome {
    let author = crate::ideas::Author::load_or_make()?;
    if global.output == Format::Json {
        output::json(&serde_json::json!({ "author": author.id(), "file": author.file }));
    } else {
        output::line(author.id());
        output::note(format!("the key lies in {}; keep a copy", author.file.display()));
    }
    Ok(ExitCode::SUCCESS)
}
