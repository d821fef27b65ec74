//! What is said about ideas that are there: every command appends one signed entry.

use std::{path::PathBuf, process::ExitCode};

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{Appended, AuthorId, EntryId, IdeaDetail, IdeaId, IdeaStatus, Relation, Say},
};

use super::{add::text_of, print_appended, print_sent};
use crate::{
    Outcome,
    args::Global,
    context,
    ideas::{Body, Sender, keep_unless},
};

/// Say something about an idea.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  mesh ideas comment idea_3fa1c2 'Measured: 4 min less each morning'"
)]
pub(crate) struct TextArgs {
    /// The idea, or the beginning of its id.
    idea: String,
    /// The text. For standard input: `-f -`.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    text: Option<String>,
    /// Read the text from a file; `-` is standard input.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Give an idea that you hold a newer text; the older ones stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mesh ideas revise idea_3fa1c2 -f proposal.md")]
pub(crate) struct ReviseArgs {
    #[command(flatten)]
    of: TextArgs,
}

/// Link two ideas.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas link idea_3fa1c2 duplicates idea_77ab01
  mesh ideas link idea_9c0d11 implements idea_3fa1c2")]
pub(crate) struct LinkArgs {
    /// From this one,
    from: String,
    /// derives, duplicates, blocks, refutes or implements
    relation: Relation,
    /// that one.
    to: String,
}

/// Take an idea that nobody holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mesh ideas claim idea_3fa1c2")]
pub(crate) struct ClaimArgs {
    /// The idea, or the beginning of its id.
    idea: String,
}

/// Give an idea that you hold to somebody else.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  mesh ideas transfer idea_3fa1c2 author_…   (`mesh ideas key` prints theirs)"
)]
pub(crate) struct TransferArgs {
    /// The idea, or the beginning of its id.
    idea: String,
    /// Their public key.
    to: AuthorId,
}

/// Let an idea that you hold go, for anybody to claim.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mesh ideas release idea_3fa1c2")]
pub(crate) struct ReleaseArgs {
    /// The idea, or the beginning of its id.
    idea: String,
}

/// Say where an idea that you hold stands.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  mesh ideas status idea_3fa1c2 accepted --reason 'for the next release'"
)]
pub(crate) struct StatusArgs {
    /// The idea, or the beginning of its id.
    idea: String,
    /// open, accepted, started, shipped or rejected
    status: IdeaStatus,
    /// Why.
    #[arg(long)]
    reason: Option<String>,
}

/// Say what you think of an idea; your latest word counts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mesh ideas rate idea_3fa1c2 --impact 80 --cost 20 --vote 1")]
pub(crate) struct RateArgs {
    /// The idea, or the beginning of its id.
    idea: String,
    /// How much it would change, 0 to 100.
    #[arg(long, value_name = "N")]
    impact: Option<u8>,
    /// What it would cost, 0 to 100.
    #[arg(long, value_name = "N")]
    cost: Option<u8>,
    /// How likely it is to fail or harm, 0 to 100.
    #[arg(long, value_name = "N")]
    risk: Option<u8>,
    /// -1, 0 or 1.
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    vote: Option<i8>,
}

/// Hide a text of yours, or of an idea that you hold; its hash stays in the log.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mesh ideas hide entry_… --reason 'a password was in it'")]
pub(crate) struct HideArgs {
    /// The entry whose text it is, or the idea.
    entry: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

/// Destroy a subject's key, and with it every text sealed for it, for ever; refused when nothing is sealed for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mesh ideas erase jane --yes")]
pub(crate) struct EraseArgs {
    /// The subject.
    subject: String,
    /// It cannot be undone: say that you know.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn comment(global: &Global, args: TextArgs) -> Outcome {
    let text = text_of(args.text, args.file)?;
    let sender = Sender::new(global)?;
    let idea = keep_unless(sender.idea_id(&args.idea).await, &text)?;
    let body = Body::new(text, None);
    let say = Say::Comment { idea, body: body.by_ref.clone() };
    Ok(print_sent(global.output, &sender.say(say, Some(body)).await?))
}

pub(super) async fn revise(global: &Global, args: ReviseArgs) -> Outcome {
    let TextArgs { idea, text, file } = args.of;
    let text = text_of(text, file)?;
    let sender = Sender::new(global)?;
    let found = keep_unless(sender.idea(&idea).await, &text)?;
    let body = Body::new(text, sealed_for(&found));
    let say = Say::Revision { idea: found.view.id, body: body.by_ref.clone() };
    Ok(print_sent(global.output, &sender.say(say, Some(body)).await?))
}

/// A newer text of a sealed idea is sealed as well.
fn sealed_for(idea: &IdeaDetail) -> Option<String> {
    let first = idea.entries.first()?;
    first.entry.say.body()?.sealed.clone()
}

pub(super) async fn link(global: &Global, args: &LinkArgs) -> Outcome {
    let sender = Sender::new(global)?;
    let (from, to) = (sender.idea_id(&args.from).await?, sender.idea_id(&args.to).await?);
    let relation = args.relation;
    let say = Say::Link { from, to, relation, proposed: false, likeness: None };
    Ok(print_sent(global.output, &sender.say(say, None).await?))
}

pub(super) async fn claim(global: &Global, args: &ClaimArgs) -> Outcome {
    handed(global, &args.idea, |idea, follows| Say::Claim { idea, follows }).await
}

pub(super) async fn transfer(global: &Global, args: &TransferArgs) -> Outcome {
    let to = args.to;
    handed(global, &args.idea, |idea, follows| Say::Transfer { idea, to, follows }).await
}

pub(super) async fn release(global: &Global, args: &ReleaseArgs) -> Outcome {
    handed(global, &args.idea, |idea, follows| Say::Release { idea, follows }).await
}

pub(super) async fn status(global: &Global, args: StatusArgs) -> Outcome {
    let StatusArgs { idea, status, reason } = args;
    said(global, &idea, |idea| Say::Status { idea, status, reason }).await
}

pub(super) async fn rate(global: &Global, args: &RateArgs) -> Outcome {
    let RateArgs { impact, cost, risk, vote, .. } = *args;
    said(global, &args.idea, |idea| Say::Rank { idea, impact, cost, risk, vote }).await
}

pub(super) async fn hide(global: &Global, args: HideArgs) -> Outcome {
    let sender = Sender::new(global)?;
    let entry = match args.entry.parse::<EntryId>() {
        Ok(entry) => entry,
        Err(_) => sender.idea_id(&args.entry).await?.into(),
    };
    let say = Say::Tombstone { entry, reason: args.reason };
    Ok(print_sent(global.output, &sender.say(say, None).await?))
}

pub(super) async fn erase(global: &Global, args: EraseArgs) -> Outcome {
    if !args.yes {
        let detail = format!("the texts of {:?} would be gone for ever", args.subject);
        return Err(Problem::new(ErrorCode::Usage, detail).hint("pass --yes to erase them"));
    }
    let client = context::client(global)?;
    let body = serde_json::json!({ "subject": args.subject });
    let appended: Appended = client.post("/ledger/erase", &body).await?;
    print_appended(global.output, &appended);
    Ok(ExitCode::SUCCESS)
}

async fn said(global: &Global, idea: &str, say: impl FnOnce(IdeaId) -> Say) -> Outcome {
    let sender = Sender::new(global)?;
    let say = say(sender.idea_id(idea).await?);
    Ok(print_sent(global.output, &sender.say(say, None).await?))
}

/// A step of the chain of holders names the step before, so that of two at once one is refused.
async fn handed(global: &Global, idea: &str, say: impl FnOnce(IdeaId, EntryId) -> Say) -> Outcome {
    let sender = Sender::new(global)?;
    let found = sender.idea(idea).await?;
    let follows = found.owners.last().map_or_else(|| found.view.id.into(), |owner| owner.entry);
    let say = say(found.view.id, follows);
    Ok(print_sent(global.output, &sender.say(say, None).await?))
}
