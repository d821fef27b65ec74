//! One idea, whole.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::parse_leaf;
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{EdgeView, EntryId, EntryView, IdeaDetail, IdeaId, IdeaPart, OwnerView, Sha256},
};

use super::Answers;
use crate::store::read::StoredEntry;

/// Fewest digits of an id that say which is meant.
const DIGITS_MIN: usize = 6;
/// Most bytes of texts in one answer, which must fit one message with each character escaped; the latest text counts
/// first, and each of the others can be asked for by its hash.
const TEXT_BYTES_MAX: usize = 3 << 19;
/// Most bytes of entries in one answer.
const ENTRY_BYTES_MAX: usize = 1 << 19;
/// Most entries, edges and jobs in one answer. The others can be asked for page by page.
const ROWS_MAX: u32 = 200;
/// Most links of a chain of holders in one answer, beside the first.
const OWNERS_MAX: usize = 64;

impl Answers {
    pub(super) async fn show(&self, wanted: &str) -> Result<IdeaDetail, Problem> {
        let idea = self.find(wanted).await?;
        let store = &self.shared.store;
        let mut view = store.ideas(vec![idea]).await?.pop().ok_or_else(|| not_there(wanted))?;
        let (text, head) = store.text_and_head(idea).await?.ok_or_else(|| not_there(wanted))?;
        let mut truncated = Vec::new();
        let mut cut_off = |part: IdeaPart, is: bool| truncated.extend(is.then_some(part));
        let (stored, whole) = self.first_and_newest(idea).await?;
        cut_off(IdeaPart::Entries, !whole);
        let mut entries = stored.iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
        let (owners, whole) = self.owners(head, &entries).await?;
        cut_off(IdeaPart::Owners, !whole);
        let text = self.latest_text(text).await?;
        self.add_texts(&mut entries, &stored, text.as_ref().map_or(0, String::len)).await?;
        if let Some(text) = text.as_deref().filter(|_| view.title.is_empty()) {
            view.title = mesh_ideas_core::text::title(text);
        }
        let most = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
        let mut edges = store.edges(Some(idea), None, ROWS_MAX + 1).await?;
        cut_off(IdeaPart::Edges, edges.len() > most);
        edges.truncate(most);
        let mut jobs = store.jobs_of(idea, None, ROWS_MAX + 1).await?;
        cut_off(IdeaPart::Jobs, jobs.len() > most);
        jobs.truncate(most);
        // As they began.
        jobs.reverse();
        let edges = edges.into_iter().map(edge_view).collect();
        Ok(IdeaDetail { view, text, entries, owners, edges, jobs, truncated })
    }

    /// The entry of the idea itself and its newest ones, as many as there is room for; whether that is all of them.
    async fn first_and_newest(&self, idea: IdeaId) -> Result<(Vec<StoredEntry>, bool), Problem> {
        let (log, store) = (self.shared.identity.version, &self.shared.store);
        let mut stored = store.newest_entries(log, idea, ROWS_MAX + 1).await?;
        let most = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
        let fits = fitting(stored.iter()).min(most);
        let whole = fits == stored.len();
        stored.truncate(fits);
        if !whole && let Some(first) = store.entry(log, idea.into()).await? {
            stored.retain(|entry| entry.id != first.id);
            stored.push(first);
        }
        stored.reverse();
        Ok((stored, whole))
    }

    /// Who held it, followed back from the end of the chain to its author, or so many steps and its author; whether that is
    /// the whole chain.
    async fn owners(
        &self,
        head: EntryId,
        known: &[EntryView],
    ) -> Result<(Vec<OwnerView>, bool), Problem> {
        let (mut owners, mut next) = (Vec::new(), Some(head));
        while let Some(id) = next {
            let at_hand = known.iter().find(|view| view.id == id).cloned();
            let entry = match at_hand {
                Some(view) => view,
                None => self.entry_view(id).await?,
            };
            let (owner, before) = owner(&entry)?;
            owners.push(owner);
            next = before;
            if owners.len() == OWNERS_MAX && next.is_some() {
                let first = known.first().map(owner_of_first);
                owners.extend(first);
                owners.reverse();
                return Ok((owners, false));
            }
        }
        owners.reverse();
        Ok((owners, true))
    }

    async fn entry_view(&self, id: EntryId) -> Result<EntryView, Problem> {
        let found = self.shared.store.entry(self.shared.identity.version, id).await?;
        let missing = || Problem::new(ErrorCode::Integrity, format!("the log has no entry {id}"));
        parsed(&found.ok_or_else(missing)?)
    }

    /// The text that an idea has now, unless it is hidden or erased.
    async fn latest_text(&self, entry: EntryId) -> Result<Option<String>, Problem> {
        let found = self.shared.store.entry(self.shared.identity.version, entry).await?;
        let Some(stored) = found.filter(|stored| !stored.hidden) else { return Ok(None) };
        let Some(hash) = hash_of(&parsed(&stored)?) else { return Ok(None) };
        Ok(self.open(BTreeSet::from([hash])).await?.remove(&hash))
    }

    /// The idea whose id begins so.
    pub(super) async fn find(&self, wanted: &str) -> Result<IdeaId, Problem> {
        let digits = wanted.strip_prefix(IdeaId::PREFIX).unwrap_or(wanted);
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digits.len() < DIGITS_MIN || digits.len() > 64 || !digits.bytes().all(is_digit) {
            let detail = format!(
                "idea is {}; allowed are the first {DIGITS_MIN} to 64 digits of an id",
                mesh_schemas::text::shown(wanted)
            );
            return Err(Problem::invalid("idea", detail));
        }
        let found = self.shared.store.ideas_like(&format!("{}{digits}", IdeaId::PREFIX)).await?;
        match found.as_slice() {
            [idea] => Ok(*idea),
            [] => match format!("{}{digits}", IdeaId::PREFIX).parse() {
                // Filed once more by somebody who could know its own id alone.
                Ok(whole) => self.standing(whole).await?.ok_or_else(|| not_there(wanted)),
                Err(_) => Err(not_there(wanted)),
            },
            _ => Err(Problem::invalid("idea", format!("several ideas begin with {digits}"))
                .hint("give more digits")),
        }
    }

    /// The idea that has the text of one that was filed and not appended.
    pub(super) async fn standing(&self, idea: IdeaId) -> Result<Option<IdeaId>, Problem> {
        Ok(self.shared.store.stands_for(self.shared.identity.version, idea.into()).await?)
    }

    /// Adds the texts that are not hidden, the newest first while there is room.
    pub(super) async fn add_texts(
        &self,
        entries: &mut [EntryView],
        stored: &[StoredEntry],
        taken: usize,
    ) -> Result<(), Problem> {
        let hidden: BTreeSet<u64> =
            stored.iter().filter(|entry| entry.hidden).map(|entry| entry.index).collect();
        let mut room = TEXT_BYTES_MAX.saturating_sub(taken);
        // By the lengths that were signed, so that no more is read than is shown.
        let mut chosen = BTreeMap::new();
        for view in entries.iter().rev().filter(|view| !hidden.contains(&view.index)) {
            let Some(body) = view.entry.say.body() else { continue };
            let bytes = usize::try_from(body.bytes).unwrap_or(usize::MAX);
            if let Some(rest) = room.checked_sub(bytes) {
                room = rest;
                chosen.insert(view.index, body.hash);
            }
        }
        let texts = self.open(chosen.values().copied().collect()).await?;
        for view in entries.iter_mut() {
            let text = chosen.get(&view.index).and_then(|hash| texts.get(hash));
            view.text = text.cloned();
        }
        Ok(())
    }
}

pub(super) fn parsed(stored: &StoredEntry) -> Result<EntryView, Problem> {
    let entry = parse_leaf(stored.data.as_bytes()).map_err(|problem| {
        let detail = format!("the leaf {}: {}", stored.index, problem.detail);
        Problem::new(ErrorCode::Integrity, detail)
    })?;
    Ok(EntryView { id: stored.id, index: stored.index, entry, text: None })
}

/// How many of these, from the first on, there is room for; one in any case.
pub(super) fn fitting<'a>(entries: impl Iterator<Item = &'a StoredEntry>) -> usize {
    let mut bytes = 0;
    let fits = |(place, entry): &(usize, &StoredEntry)| {
        bytes += entry.data.len();
        *place == 0 || bytes <= ENTRY_BYTES_MAX
    };
    entries.enumerate().take_while(fits).count()
}

fn hash_of(view: &EntryView) -> Option<Sha256> {
    view.entry.say.body().map(|body| body.hash)
}

/// Who holds an idea from this entry on, and the entry of the chain before it.
fn owner(view: &EntryView) -> Result<(OwnerView, Option<EntryId>), Problem> {
    let step = view.entry.say.holding(view.entry.author).ok_or_else(|| {
        let detail = format!("{} is no link of a chain of holders", view.id);
        Problem::new(ErrorCode::Integrity, detail)
    })?;
    Ok((OwnerView { entry: view.id, holder: step.holder }, step.follows))
}

/// The author of the idea, whose entry comes first.
const fn owner_of_first(view: &EntryView) -> OwnerView {
    OwnerView { entry: view.id, holder: Some(view.entry.author) }
}

pub(super) fn edge_view(
    (key, row): (mesh_ideas_core::ledger::EdgeKey, mesh_ideas_core::ledger::EdgeRow),
) -> EdgeView {
    let (from, to, relation) = (key.from, key.to, key.relation);
    EdgeView { from, to, relation, proposed: row.proposed, likeness: row.likeness }
}

fn not_there(wanted: &str) -> Problem {
    let shown = mesh_schemas::text::shown(wanted);
    Problem::new(ErrorCode::NotFound, format!("there is no idea {shown}")).at("idea")
}
