//! One idea, whole.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::parse_leaf;
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{EdgeView, EntryView, IdeaDetail, IdeaId, OwnerView, Say, Sha256},
};

use super::Answers;
use crate::store::read::StoredEntry;

/// Fewest digits of an id that say which is meant.
const DIGITS_MIN: usize = 6;
/// Most bytes of texts in one answer, which must fit one message; the latest text counts first, and each of the
/// others can be asked for by its hash.
const TEXT_BYTES_MAX: usize = 3 << 19;
/// Most bytes of entries in one answer; older ones are left out, and can be asked for by their indices.
const ENTRY_BYTES_MAX: usize = 1 << 20;

impl Answers {
    pub(super) async fn show(&self, wanted: &str) -> Result<IdeaDetail, Problem> {
        let idea = self.find(wanted).await?;
        let store = &self.shared.store;
        let mut view = store.ideas(vec![idea]).await?.pop().ok_or_else(|| not_there(wanted))?;
        let stored = store.entries_about(self.shared.identity.version, idea).await?;
        let mut entries = stored.iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
        // Of all of them, whatever the answer has no room for.
        let owners = owners(&entries);
        let text = match latest_body(idea, &entries, &stored) {
            Some(hash) => self.open(BTreeSet::from([hash])).await?.remove(&hash),
            None => None,
        };
        cut(&mut entries, &stored);
        self.add_texts(&mut entries, &stored, text.as_ref().map_or(0, String::len)).await?;
        if let Some(text) = text.as_deref().filter(|_| view.title.is_empty()) {
            view.title = mesh_ideas_core::text::title(text);
        }
        let edges = store.edges(Some(idea)).await?.into_iter().map(edge_view).collect();
        Ok(IdeaDetail { view, text, entries, owners, edges, jobs: store.jobs_of(idea).await? })
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
            [] => Err(not_there(wanted)),
            _ => Err(Problem::invalid("idea", format!("several ideas begin with {digits}"))
                .hint("give more digits")),
        }
    }

    async fn add_texts(
        &self,
        entries: &mut [EntryView],
        stored: &[StoredEntry],
        taken: usize,
    ) -> Result<(), Problem> {
        let hidden: BTreeMap<u64, bool> = stored.iter().map(|e| (e.index, e.hidden)).collect();
        let shown = |view: &EntryView| hidden.get(&view.index) == Some(&false);
        let hashes = entries.iter().filter(|view| shown(view)).filter_map(hash_of).collect();
        let texts = self.open(hashes).await?;
        let mut room = TEXT_BYTES_MAX.saturating_sub(taken);
        for view in entries.iter_mut().rev() {
            let text = hash_of(view).filter(|_| shown(view)).and_then(|hash| texts.get(&hash));
            if let Some((text, rest)) =
                text.and_then(|text| Some((text, room.checked_sub(text.len())?)))
            {
                room = rest;
                view.text = Some(text.clone());
            }
        }
        Ok(())
    }
}

fn parsed(stored: &StoredEntry) -> Result<EntryView, Problem> {
    let entry = parse_leaf(stored.data.as_bytes()).map_err(|problem| {
        let detail = format!("the leaf {}: {}", stored.index, problem.detail);
        Problem::new(ErrorCode::Integrity, detail)
    })?;
    Ok(EntryView { id: stored.id, index: stored.index, entry, text: None })
}

/// Keeps the idea itself and its newest entries, as many as one message has room for.
fn cut(entries: &mut Vec<EntryView>, stored: &[StoredEntry]) {
    let mut bytes = 0;
    let fits = |entry: &&StoredEntry| {
        bytes += entry.data.len();
        bytes <= ENTRY_BYTES_MAX
    };
    let kept = stored.iter().rev().take_while(fits).count();
    let first = entries.len().saturating_sub(kept);
    if first > 1 {
        entries.drain(1..first);
    }
}

fn hash_of(view: &EntryView) -> Option<Sha256> {
    view.entry.say.body().map(|body| body.hash)
}

/// The text of the newest entry that is the idea or revises it, unless it is hidden.
fn latest_body(idea: IdeaId, entries: &[EntryView], stored: &[StoredEntry]) -> Option<Sha256> {
    let is_text = |view: &EntryView| {
        matches!(view.entry.say, Say::Revision { .. })
            || matches!(view.entry.say, Say::Idea { .. } if IdeaId::from(view.id) == idea)
    };
    let (view, stored) = entries.iter().zip(stored).rev().find(|(view, _)| is_text(view))?;
    if stored.hidden { None } else { hash_of(view) }
}

/// Who held it, from its author on.
fn owners(entries: &[EntryView]) -> Vec<OwnerView> {
    let owner = |view: &EntryView| {
        let author = view.entry.author;
        let holder = if let Say::Transfer { to, .. } = &view.entry.say { *to } else { author };
        let links = matches!(
            view.entry.say,
            Say::Idea { .. } | Say::Claim { .. } | Say::Transfer { .. } | Say::Release { .. }
        );
        let held = !matches!(view.entry.say, Say::Release { .. });
        links.then_some(OwnerView { entry: view.id, holder: held.then_some(holder) })
    };
    entries.iter().filter_map(owner).collect()
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
