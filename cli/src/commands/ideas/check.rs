//! Checking the ledger without trusting whoever keeps it.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode, time::Duration};

use mesh_ideas_core::audit::Auditor;
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{BodyRef, EntryId, LedgerProof, LedgerStats, Say},
};
use mesh_tlog::{Audit, AuditError, ProofFile, TrustedLog, leaf_hash};
use serde::Serialize;

use crate::{
    Outcome,
    args::{Format, Global},
    client::Client,
    context,
    ideas::{Log, WitnessArgs, Witnesses, log_key},
    output, progress,
};

/// How often and how long a head is waited for that says why a text is gone: heads follow within 10 s.
const SIGNED_EVERY: Duration = Duration::from_secs(1);
const SIGNED_TRIES: u32 = 20;

/// Write a file that proves, to anybody and offline, that an entry is in the log.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas prove idea_3fa1c2 > idea.tlog-proof
  mesh ideas prove idea_3fa1c2 -f idea.tlog-proof --witness witness.example.org+…      with its cosignature")]
pub(crate) struct ProveArgs {
    /// The idea, or an entry.
    entry: String,
    /// The file to write; standard output when not given.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    witnesses: WitnessArgs,
}

/// Check a proof offline, by the log's key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas check idea.tlog-proof
  mesh ideas check idea.tlog-proof --key log.vkey     on a machine that never saw the log; a copy of
                                                      ~/.local/state/deskmesh/ledger/*/key of one that did
  mesh ideas check idea.tlog-proof --witness w1+… --witness w2+… --quorum 1")]
pub(crate) struct CheckArgs {
    /// The proof.
    file: PathBuf,
    /// File with the log's verifier key; the one that `mesh ideas verify` saw first when not given.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    witnesses: WitnessArgs,
}

/// Check the whole log: that it continues what was seen before, and every tile, leaf, entry, signature, chain of
/// holders and text. Names the first fault.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas verify
  mesh ideas verify --no-texts      the log alone, without the texts beside it
  mesh ideas verify --witness witness.example.org+…      nothing that this witness has not cosigned")]
pub(crate) struct VerifyArgs {
    /// Do not fetch the texts.
    #[arg(long)]
    no_texts: bool,
    /// Fetch files anew that were fetched before.
    #[arg(long)]
    afresh: bool,
    #[command(flatten)]
    witnesses: WitnessArgs,
}

#[derive(Debug, Serialize)]
struct Verified {
    origin: String,
    size: u64,
    root: String,
    /// How many of the witnesses that were named must have cosigned the head.
    witnesses: usize,
    ideas: u64,
    texts: u64,
    withheld: u64,
}

pub(super) async fn prove(global: &Global, args: &ProveArgs) -> Outcome {
    let client = context::client(global)?;
    let witnesses = args.witnesses.read()?;
    let entry: EntryId = match args.entry.parse() {
        Ok(entry) => entry,
        Err(_) => crate::ideas::idea_id(&client, &args.entry).await?.into(),
    };
    let found: LedgerProof = client.get(&format!("/ledger/proof?entry={entry}")).await?;
    let found = found.entry.ok_or_else(|| {
        Problem::new(ErrorCode::Integrity, "the answer has a proof and not what it proves")
    })?;
    check_asked(entry, found.data.as_bytes())?;
    let log = Log::open(client, witnesses.clone()).await?.reaching(found.index).await?;
    let file = ProofFile {
        extra: Some(found.data.into_bytes()),
        index: found.index,
        path: log.inclusion(found.index).await?,
        checkpoint: log.head.clone().into(),
    };
    let text = file.to_string();
    checked(text.as_bytes(), log.key(), &witnesses)?;
    match &args.file {
        Some(path) => {
            std::fs::write(path, text).map_err(|error| context::io("write", path, &error))?;
            output::note(format!("{} proves that {entry} is entry {}", path.display(), file.index));
        }
        None => output::bytes(text.as_bytes()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The leaf is that of the entry asked for, or of the one that stands for it.
fn check_asked(asked: EntryId, leaf: &[u8]) -> Result<(), Problem> {
    let entry = mesh_ideas_core::parse_leaf(leaf)?;
    let stands_for = matches!(&entry.say, Say::SeenAgain { entry, .. } if *entry == asked);
    let found = mesh_ideas_core::entry_id(&entry);
    if found == asked || stands_for {
        return Ok(());
    }
    let detail = format!("the answer is about {found}, and {asked} was asked for");
    Err(Problem::new(ErrorCode::Integrity, detail))
}

pub(super) fn check(global: &Global, args: &CheckArgs) -> Outcome {
    let witnesses = args.witnesses.read()?;
    let key = match &args.key {
        Some(file) => context::read_text(file)?,
        None => log_key(&context::client(global)?)?,
    };
    let bytes =
        std::fs::read(&args.file).map_err(|error| context::io("read", &args.file, &error))?;
    let (index, size, data) = checked(&bytes, &key, &witnesses)?;
    if global.output == Format::Json {
        let quorum = witnesses.quorum();
        output::json(&serde_json::json!({
            "index": index, "size": size, "entry": data, "witnesses": quorum
        }));
    } else {
        output::line(&data);
        output::note(format!("it is entry {index} of the log, as signed at size {size}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Index, size and entry of a proof that holds.
fn checked(bytes: &[u8], key: &str, witnesses: &Witnesses) -> Result<(u64, u64, String), Problem> {
    let bad = |error: &dyn std::fmt::Display| {
        Problem::new(ErrorCode::Integrity, format!("the proof does not hold: {error}"))
    };
    let trusted: TrustedLog = crate::ideas::trusted(key)?;
    let file = ProofFile::parse(bytes).map_err(|error| bad(&error))?;
    let data = file.extra.clone().ok_or_else(|| bad(&"it has no entry in it"))?;
    let entry = mesh_ideas_core::parse_leaf(&data)?;
    mesh_ideas_core::verify_signature(&entry)?;
    let index = file.index;
    let checkpoint = file.verify(&trusted, leaf_hash(&data)).map_err(|error| bad(&error))?;
    witnesses.check(&checkpoint)?;
    Ok((index, checkpoint.head().size, String::from_utf8_lossy(&data).into_owned()))
}

pub(super) async fn verify(global: &Global, args: &VerifyArgs) -> Outcome {
    let client = context::client(global)?;
    let mut tries = 0;
    loop {
        match verify_once(global, args, &client).await {
            Err(problem) if problem.code == ErrorCode::Busy && tries < SIGNED_TRIES => {
                tries += 1;
                tokio::time::sleep(SIGNED_EVERY).await;
            }
            outcome => return outcome,
        }
    }
}

async fn verify_once(global: &Global, args: &VerifyArgs, client: &Client) -> Outcome {
    let log = Log::open(client.clone(), args.witnesses.read()?).await?;
    if args.afresh {
        log.forget_files();
    }
    let size = log.head.head().size;
    let bar = progress::count("entries", size);
    let files = log.mirror(|fetched| bar.set_position(fetched)).await?;
    bar.finish_and_clear();
    let mut auditor = Auditor::new(log.authors()?);
    let audit = Audit::begin(&files, log.head.head()).map_err(|error| found(&error, args))?;
    let bar = progress::count("entries", size);
    for bundle in audit {
        let bundle = bundle.map_err(|error| found(&error, args))?;
        for (index, data) in bundle.entries() {
            auditor.entry(index, data).map_err(|problem| at(index, problem))?;
        }
        bar.set_position(auditor.size());
    }
    bar.finish_and_clear();
    let texts = if args.no_texts { (0, 0) } else { texts(client, &auditor).await? };
    report(global, &log, &auditor, texts);
    Ok(ExitCode::SUCCESS)
}

fn report(global: &Global, log: &Log, auditor: &Auditor, (texts, withheld): (u64, u64)) {
    let head = log.head.head();
    let verified = Verified {
        origin: log.head.origin().to_owned(),
        size: head.size,
        root: head.root.to_string(),
        witnesses: log.quorum(),
        ideas: auditor.ideas(),
        texts,
        withheld,
    };
    if global.output == Format::Json {
        return output::json(&verified);
    }
    let Verified { origin, size, root, witnesses, ideas, texts, withheld } = verified;
    output::line(format!("{origin}: {size} entries, root {root}: sound"));
    if witnesses > 0 {
        output::note(format!("cosigned by at least {witnesses} of the witnesses named"));
    }
    output::note(format!(
        "{ideas} ideas, {texts} texts as signed, {withheld} hidden or erased as the log says"
    ));
}

/// Each text is what its entries say; one that is not there is hidden or erased by an entry.
async fn texts(client: &Client, auditor: &Auditor) -> Result<(u64, u64), Problem> {
    let (mut sound, mut withheld, mut seen) = (0, 0, BTreeSet::new());
    let bar = progress::count("texts", auditor.bodies().count() as u64);
    for (index, body) in auditor.bodies() {
        bar.inc(1);
        if !seen.insert(body.hash) {
            continue;
        }
        match client.bytes(&format!("/ledger/texts/{}", body.hash)).await {
            Ok(text) => {
                sound += 1;
                check_text(body, &text).map_err(|problem| at(index, problem))?;
            }
            Err(problem) if problem.code == ErrorCode::NotFound && auditor.may_lack(index) => {
                withheld += 1;
            }
            // The entry that says so may not be signed yet.
            Err(problem)
                if problem.code == ErrorCode::NotFound && grows(client, auditor).await? =>
            {
                return Err(Problem::new(ErrorCode::Busy, "the log's head is behind its entries"));
            }
            Err(problem) if problem.code == ErrorCode::NotFound => {
                let detail = format!("the text {} is not there", body.hash);
                return Err(at(index, Problem::new(ErrorCode::Integrity, detail)));
            }
            Err(problem) => return Err(problem),
        }
    }
    bar.finish_and_clear();
    Ok((sound, withheld))
}

/// The log has more entries than its head has signed.
async fn grows(client: &Client, auditor: &Auditor) -> Result<bool, Problem> {
    let stats: LedgerStats = client.get("/ledger").await?;
    Ok(stats.entries > auditor.size())
}

/// The hash of a sealed text is over a salt that the registry alone has: there only the length is checked.
fn check_text(body: &BodyRef, text: &[u8]) -> Result<(), Problem> {
    let right = match std::str::from_utf8(text) {
        Ok(_) if body.sealed.is_some() => u64::from(body.bytes) == text.len() as u64,
        Ok(text) => mesh_ideas_core::body_hash(text, None) == body.hash,
        Err(_) => false,
    };
    if right {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::Integrity, format!("the text {} is another one", body.hash)))
}

fn at(index: u64, problem: Problem) -> Problem {
    let detail = format!("entry {index}: {}", problem.detail);
    Problem { code: ErrorCode::Integrity, detail, ..problem }
}

fn found<E: std::error::Error>(error: &AuditError<E>, args: &VerifyArgs) -> Problem {
    let problem = Problem::new(ErrorCode::Integrity, error.to_string());
    if args.afresh {
        problem
    } else {
        problem.hint("`mesh ideas verify --afresh` fetches all files again, should the copies here be at fault")
    }
}

#[cfg(test)]
mod tests {
    use mesh_ideas_core::{SigningKey, Unsigned, entry::leaf_data, entry_id, sign};
    use mesh_schemas::{
        Timestamp,
        idea::{AuthorId, IdeaId, Signature},
    };

    use super::*;

    #[test]
    fn an_answer_about_another_entry_proves_nothing() {
        let leaf = |say| {
            let unsigned = Unsigned { name: None, time: Timestamp::from_millis(0), say };
            let entry = sign(unsigned, &SigningKey::from_bytes(&[1; 32]));
            (entry_id(&entry), leaf_data(&entry))
        };
        let [asked, other] = [EntryId([1; 32]), EntryId([2; 32])];
        let (entry, by, by_sig) = (asked, AuthorId([3; 32]), Signature([4; 64]));
        let (stands, data) = leaf(Say::SeenAgain { idea: IdeaId::from(other), entry, by, by_sig });
        check_asked(asked, &data).unwrap();
        check_asked(stands, &data).unwrap();
        let (_, erased) = leaf(Say::Erased { subject: "someone".into() });
        for (asked, data) in [(other, &data), (asked, &erased)] {
            assert_eq!(check_asked(asked, data).unwrap_err().code, ErrorCode::Integrity);
        }
    }
}
