//! Ideas out by the many. A sealed text leaves the ledger only when it is asked for: no erasure reaches a file.

use std::process::ExitCode;

use clap::ValueEnum;
use mesh_ideas_core::import::{self, Exported, Sealed};
use mesh_schemas::idea::{IdeaDetail, IdeaView, Say};

use crate::{Outcome, args::Global, context, output, progress};

/// Write all ideas out, oldest first. Sealed texts stay where they are, unless they are asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas export > ideas.ndjson
  mesh ideas export --form markdown > ideas.md      which `mesh ideas import` reads")]
pub(crate) struct ExportArgs {
    /// One JSON document a line, a table, or a list.
    #[arg(long, value_enum, default_value = "json")]
    form: ExportForm,
    /// Write sealed texts as well, in the clear; a JSON line then names in `sealed` for whom it was sealed.
    #[arg(long)]
    with_sealed: bool,
}

/// What an export is written as.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ExportForm {
    /// One JSON document a line.
    Json,
    /// A table with a header.
    Csv,
    /// A Markdown list.
    Markdown,
}

/// How many ideas are not in the export, and why.
#[derive(Debug, Default, Clone, Copy)]
struct LeftOut {
    sealed: u64,
    /// Erased or hidden: the ledger has no text to give.
    gone: u64,
}

pub(super) async fn run(global: &Global, args: &ExportArgs) -> Outcome {
    let client = context::client(global)?;
    let mut ideas: Vec<IdeaView> = client.pages("/ideas", usize::MAX).await?;
    ideas.reverse();
    let bar = progress::count("ideas", ideas.len() as u64);
    let (mut exported, mut left_out) = (Vec::new(), LeftOut::default());
    for listed in &ideas {
        let idea: IdeaDetail = client.get(&format!("/ideas/{}", listed.id)).await?;
        exported.extend(exported_as(listed, idea, args.with_sealed, &mut left_out));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let text = match args.form {
        ExportForm::Json => import::to_json_lines(&exported),
        ExportForm::Csv => import::to_csv(&exported)?,
        ExportForm::Markdown => import::to_markdown(&exported),
    };
    output::bytes(text.as_bytes());
    if let Some(note) = left_out.note() {
        output::note(note);
    }
    Ok(ExitCode::SUCCESS)
}

impl LeftOut {
    /// One line for the person; nothing when all is there.
    fn note(self) -> Option<String> {
        let Self { sealed, gone } = self;
        let total = sealed + gone;
        if total == 0 {
            return None;
        }
        let verb = if total == 1 { "is" } else { "are" };
        let option = if sealed == 0 { "" } else { " (--with-sealed writes them too)" };
        let ideas = output::count(total, "idea");
        Some(format!("{ideas} {verb} left out: {sealed} sealed{option}, {gone} erased or hidden"))
    }
}

/// The idea as it is exported, or one more that is left out.
fn exported_as(
    listed: &IdeaView,
    idea: IdeaDetail,
    with_sealed: bool,
    left_out: &mut LeftOut,
) -> Option<Exported> {
    let sealed = sealed(listed, &idea);
    let first = idea.entries.first().map(|first| &first.entry.say);
    let source = if let Some(Say::Idea { source, .. }) = first { source.clone() } else { None };
    let Some(text) = idea.text else {
        left_out.gone += 1;
        return None;
    };
    if sealed.is_some() && !with_sealed {
        left_out.sealed += 1;
        return None;
    }
    let IdeaView { id, title, status, tags, .. } = idea.view;
    Some(Exported { id, title, text, status, tags, source, sealed })
}

/// For whom the latest text is sealed, as its entry says. That entry may be one of those that a long answer leaves
/// out: a sealed text is then known by its title, which lists do not show.
fn sealed(listed: &IdeaView, idea: &IdeaDetail) -> Option<Sealed> {
    let is_text = |say: &Say| matches!(say, Say::Idea { .. } | Say::Revision { .. });
    let latest = idea.entries.iter().rev().map(|view| &view.entry.say).find(|say| is_text(say));
    let subject = latest.and_then(Say::body).and_then(|body| body.sealed.clone());
    let is_untitled = listed.title.is_empty() && !idea.view.title.is_empty();
    subject.map(Sealed::Subject).or_else(|| is_untitled.then_some(Sealed::Is(true)))
}
