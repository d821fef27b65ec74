//! `mesh ideas add`: file an idea.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{BODY_BYTES_MAX, Say},
};

use super::print_sent;
use crate::{
    Outcome,
    args::Global,
    context,
    ideas::{Body, Sender, keep_unless},
};

/// File an idea; it is in the log when its id is printed, and kept until it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh ideas add 'Warm the build cache of idle nodes at night'
  mesh ideas add -f proposal.md --tag builds --derives idea_3fa1c2
  echo 'Ask for a reason on cancel' | mesh ideas add -f -
  mesh ideas add -f interview.md --sealed jane      erased for ever by `mesh ideas erase jane`")]
pub(crate) struct Args {
    /// The text; its first line is the title. For standard input: `-f -`.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    text: Option<String>,
    /// Read the text from a file; `-` is standard input.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A word to find it by; may be repeated.
    #[arg(long, short, value_name = "WORD")]
    tag: Vec<String>,
    /// An idea that it derives from; may be repeated.
    #[arg(long, value_name = "IDEA")]
    derives: Vec<String>,
    /// Where it came from, such as a URL.
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Keep the text encrypted for this subject, whose key can be destroyed.
    #[arg(long, value_name = "SUBJECT")]
    sealed: Option<String>,
}

pub(super) async fn run(global: &Global, args: Args) -> Outcome {
    let text = text_of(args.text, args.file)?;
    let sender = Sender::new(global)?;
    let mut parents = Vec::new();
    for parent in &args.derives {
        parents.push(keep_unless(sender.idea_id(parent).await, &text)?);
    }
    let body = Body::new(text, args.sealed);
    let say = Say::Idea { body: body.by_ref.clone(), parents, tags: args.tag, source: args.source };
    let sent = sender.say(say, Some(body)).await?;
    Ok(print_sent(global.output, &sent))
}

/// The text that was given, or that of a file without the line end at its end.
pub(super) fn text_of(text: Option<String>, file: Option<PathBuf>) -> Result<String, Problem> {
    match file {
        // With the line end that is taken off.
        Some(file) => read_text(&file, BODY_BYTES_MAX + 1),
        None if text.as_deref() == Some("-") => {
            let detail = "the text is \"-\" alone, which says nothing";
            Err(Problem::new(ErrorCode::Usage, detail).hint("`-f -` reads it from standard input"))
        }
        None => Ok(text.unwrap_or_default()),
    }
}

/// The text of a file or of standard input without its last line end, of at most so many bytes.
pub(super) fn read_text(file: &Path, bytes_max: usize) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let most = bytes_max as u64 + 1;
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|error| context::io("read", file, &error))?;
    if bytes.len() > bytes_max {
        let detail = format!("{} has more than {bytes_max} bytes", file.display());
        return Err(Problem::new(ErrorCode::TooLarge, detail).at("body"));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let detail = format!("{} is not UTF-8: byte {at}", file.display());
        Problem::new(ErrorCode::Syntax, detail).at("body")
    })?;
    if text.ends_with('\n') {
        text.pop();
    }
    // Line ends of other systems.
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text })
}
