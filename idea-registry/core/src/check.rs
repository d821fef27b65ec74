//! What must be true of a submission whatever the ledger holds: version, sizes, characters, ranges,
//! hashes, the signature, and which kinds are the registry's own.

use ed25519_dalek::SigningKey;
use mesh_schemas::{
    ErrorCode, Problem, Timestamp,
    idea::{
        AuthorId, ENTRY_VERSION, Entry, EntryId, FUTURE_MILLIS_MAX, IdeaId, Say, Sha256, Submission,
    },
};

use crate::{
    entry::{
        Signable, Unsigned, check_author, check_integers, check_size, entry_id, leaf_data, sign,
    },
    ledger::TextFacts,
    near::Near,
    text,
};

mod body;
pub(crate) mod words;

pub use body::check_body;
use body::check_ref;
pub use words::check_tag;
use words::{check_count, check_line, check_note, check_tags, check_word};

/// A submission that breaks no rule by itself. Whether it may be appended, the ledger decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    entry: Entry,
    id: EntryId,
    data: Vec<u8>,
    text: Option<String>,
    salt: Option<Sha256>,
    /// Of an open text from which something follows.
    facts: Option<TextFacts>,
}

impl Checked {
    /// The entry.
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Its id.
    pub const fn id(&self) -> EntryId {
        self.id
    }

    /// The leaf's data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The text that it refers to.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// What finds near duplicates of the text, of an idea or a revision that is not sealed.
    pub fn near(&self) -> Option<&Near> {
        self.facts.as_ref()?.near.as_ref()
    }

    /// The hash by which exact duplicates are found, of an idea or a revision; `key` is the subject's
    /// when the text is sealed, and without it there is none.
    pub fn content(&self, key: Option<&[u8; 32]>) -> Option<Sha256> {
        match &self.salt {
            None => self.facts.as_ref().map(|facts| facts.content),
            Some(_) => Some(text::sealed_content_hash(self.sealed_text()?, key?)),
        }
    }

    /// What follows from the text, under the same conditions.
    pub fn facts(&self, key: Option<&[u8; 32]>) -> Option<TextFacts> {
        match &self.salt {
            None => self.facts.clone(),
            Some(_) => Some(TextFacts::sealed(self.sealed_text()?, key?)),
        }
    }

    fn sealed_text(&self) -> Option<&str> {
        self.text.as_deref().filter(|_| TextFacts::follow_from(&self.entry.say))
    }

    /// The salt of a sealed text.
    pub const fn salt(&self) -> Option<&Sha256> {
        self.salt.as_ref()
    }
}

/// Checks a submission. `registry` are the keys that the registry has or had: only they may write
/// the registry's own kinds.
///
/// # Errors
/// The first rule that is broken, with its field.
pub fn check(
    submission: &Submission,
    now: Timestamp,
    registry: &[AuthorId],
) -> Result<Checked, Problem> {
    let Submission { entry, body, salt } = submission;
    let latest = now.as_millis().saturating_add(FUTURE_MILLIS_MAX);
    if entry.time.as_millis() > latest {
        return Err(Problem::invalid(
            "time",
            format!("time is {}; allowed is up to {}", entry.time, Timestamp::from_millis(latest)),
        )
        .hint("set the clock of the machine that signed it"));
    }
    let (data, id) = check_entry(entry, registry)?;
    check_body(entry.say.body(), body.as_deref(), salt.as_ref())?;
    let (text, salt) = (body.clone(), *salt);
    let open = text.as_ref().filter(|_| salt.is_none() && TextFacts::follow_from(&entry.say));
    let facts = open.map(|text| TextFacts::plain(text));
    Ok(Checked { entry: entry.clone(), id, data, text, salt, facts })
}

/// Signs what the owner of `key` says without a text, and checks it but for the signature and the clock, which are
/// its own.
///
/// # Errors
/// The first rule that is broken, with its field.
pub fn sign_own(
    unsigned: Unsigned,
    key: &SigningKey,
    registry: &[AuthorId],
) -> Result<Checked, Problem> {
    let entry = sign(unsigned, key);
    let data = check_unverified(&entry, registry)?;
    check_body(entry.say.body(), None, None)?;
    let id = entry_id(&entry);
    Ok(Checked { entry, id, data, text: None, salt: None, facts: None })
}

/// Checks an entry without its text and without a clock, as a reader of the log does. Returns the
/// leaf's data and the id.
///
/// # Errors
/// The first rule that is broken, with its field.
pub fn check_entry(entry: &Entry, registry: &[AuthorId]) -> Result<(Vec<u8>, EntryId), Problem> {
    let data = check_unverified(entry, registry)?;
    let signable = Signable::of(entry);
    signable.verify(&entry.author, &entry.sig)?;
    Ok((data, signable.id()))
}

/// All but the signature.
fn check_unverified(entry: &Entry, registry: &[AuthorId]) -> Result<Vec<u8>, Problem> {
    if entry.v != ENTRY_VERSION {
        return Err(Problem::invalid("v", format!("v is {}; known is {ENTRY_VERSION}", entry.v)));
    }
    check_integers(entry)?;
    let data = leaf_data(entry);
    check_size(data.len())?;
    check_time(entry.time)?;
    if let Some(name) = &entry.name {
        check_word("name", name)?;
    }
    check_say(&entry.say, entry)?;
    check_writer(entry, registry)?;
    Ok(data)
}

/// Times that RFC 3339 can write, from 1970 on.
fn check_time(time: Timestamp) -> Result<(), Problem> {
    const YEAR_10_000: i64 = 253_402_300_800_000;
    if (0..YEAR_10_000).contains(&time.as_millis()) {
        return Ok(());
    }
    Err(Problem::invalid("time", format!("time is {time}; allowed are the years 1970 to 9999")))
}

/// The registry alone may say this.
pub const fn is_registrys(say: &Say) -> bool {
    match say {
        Say::Job { .. } | Say::SeenAgain { .. } | Say::Erased { .. } | Say::Origin { .. } => true,
        Say::Link { proposed, .. } => *proposed,
        Say::Idea { .. }
        | Say::Revision { .. }
        | Say::Comment { .. }
        | Say::Claim { .. }
        | Say::Transfer { .. }
        | Say::Release { .. }
        | Say::Status { .. }
        | Say::Rank { .. }
        | Say::Tombstone { .. } => false,
    }
}

fn check_writer(entry: &Entry, registry: &[AuthorId]) -> Result<(), Problem> {
    if !is_registrys(&entry.say) || registry.contains(&entry.author) {
        return Ok(());
    }
    let what = match entry.say.kind() {
        "link" => "a proposed link",
        kind => kind,
    };
    Err(Problem::new(ErrorCode::Forbidden, format!("{what} is written by the registry alone"))
        .at("say.kind"))
}

fn check_say(say: &Say, entry: &Entry) -> Result<(), Problem> {
    match say {
        Say::Idea { body, parents, tags, source } => {
            check_ref(body)?;
            check_parents(parents, entry)?;
            check_tags("say.tags", tags)?;
            source.as_deref().map_or(Ok(()), |source| check_line("say.source", source))
        }
        Say::Revision { body, .. } | Say::Comment { body, .. } => check_ref(body),
        Say::Link { from, to, proposed, likeness, .. } => {
            check_link(from, to, *proposed, *likeness)
        }
        Say::Claim { .. } | Say::Release { .. } => Ok(()),
        Say::Transfer { to, .. } if *to == entry.author => {
            Err(Problem::invalid("say.to", "say.to is the author: nothing would change hands"))
        }
        Say::Transfer { to, .. } => check_author("say.to", to).map(drop),
        Say::Status { reason, .. } => {
            reason.as_deref().map_or(Ok(()), |reason| check_note("say.reason", reason))
        }
        Say::Rank { impact, cost, risk, vote, .. } => check_rank([*impact, *cost, *risk], *vote),
        Say::Job { job_name, .. } => check_line("say.job_name", job_name),
        Say::SeenAgain { idea, entry, by, .. } => {
            if entry.0 == idea.0 {
                return Err(Problem::invalid("say.entry", "say.entry is the idea itself"));
            }
            check_author("say.by", by).map(drop)
        }
        Say::Tombstone { reason, .. } => check_note("say.reason", reason),
        Say::Erased { subject } => mesh_schemas::text::check_name("say.subject", subject),
        Say::Origin { old_origin, key, .. } => {
            check_line("say.old_origin", old_origin)?;
            key.as_deref().map_or(Ok(()), |key| check_line("say.key", key))
        }
    }
}

fn check_parents(parents: &[IdeaId], entry: &Entry) -> Result<(), Problem> {
    check_count("say.parents", parents.len())?;
    if parents.is_empty() {
        return Ok(());
    }
    let own = IdeaId::from(entry_id(entry));
    for (place, parent) in parents.iter().enumerate() {
        let field = format!("say.parents[{place}]");
        if *parent == own {
            return Err(Problem::invalid(&field, format!("{field} is the idea itself")));
        }
        if parents[..place].contains(parent) {
            return Err(Problem::invalid(&field, format!("{field} is named twice: {parent}")));
        }
    }
    Ok(())
}

fn check_link(
    from: &IdeaId,
    to: &IdeaId,
    proposed: bool,
    likeness: Option<u16>,
) -> Result<(), Problem> {
    if from == to {
        return Err(Problem::invalid("say.to", "an idea cannot be linked with itself"));
    }
    match likeness {
        Some(_) if !proposed => {
            Err(Problem::invalid("say.likeness", "say.likeness is for proposed links alone"))
        }
        Some(value) if value > 1000 => Err(Problem::invalid(
            "say.likeness",
            format!("say.likeness is {value}; allowed are 0 to 1000"),
        )),
        Some(_) | None => Ok(()),
    }
}

fn check_rank(numbers: [Option<u8>; 3], vote: Option<i8>) -> Result<(), Problem> {
    if numbers.iter().all(Option::is_none) && vote.is_none() {
        let hint = "give one or more of impact, cost, risk and vote";
        return Err(Problem::invalid("say", "the ranking says nothing").hint(hint));
    }
    for (field, number) in ["say.impact", "say.cost", "say.risk"].into_iter().zip(numbers) {
        if let Some(number) = number.filter(|number| *number > 100) {
            return Err(Problem::invalid(
                field,
                format!("{field} is {number}; allowed are 0 to 100"),
            ));
        }
    }
    match vote {
        Some(vote) if !(-1..=1).contains(&vote) => Err(Problem::invalid(
            "say.vote",
            format!("say.vote is {vote}; allowed are -1, 0 and 1"),
        )),
        Some(_) | None => Ok(()),
    }
}
