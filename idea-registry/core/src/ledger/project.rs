//! One leaf as changes. It needs nothing but the leaf and, where there is one, its text.

use mesh_schemas::idea::{Entry, EntryId, IdeaId, IdeaStatus, Relation, Say};

use super::{
    chain::Holder,
    change::{Change, TextFacts},
    rows::{EdgeKey, EdgeRow, EntryRow, IdeaRow, RankRow},
};

/// A leaf of the log.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    /// Its index.
    pub index: u64,
    /// The id of its entry.
    pub id: EntryId,
    /// Its entry.
    pub entry: &'a Entry,
}

/// What the leaf changes. Of a text that is not at hand nothing follows.
pub fn project(leaf: &Leaf<'_>, text: Option<TextFacts>) -> Vec<Change> {
    let mut changes = vec![entry_change(leaf)];
    add(leaf, text, &mut changes);
    changes
}

fn entry_change(leaf: &Leaf<'_>) -> Change {
    let body = leaf.entry.say.body();
    let row = EntryRow {
        index: leaf.index,
        author: leaf.entry.author,
        kind: leaf.entry.say.kind(),
        about: about(leaf),
        body: body.map(|body| body.hash),
        sealed: body.and_then(|body| body.sealed.clone()),
        hidden: None,
    };
    Change::Entry { id: leaf.id, row }
}

fn about(leaf: &Leaf<'_>) -> Vec<IdeaId> {
    match &leaf.entry.say {
        Say::Idea { .. } => vec![leaf.id.into()],
        Say::Link { from, to, .. } => vec![*from, *to],
        Say::Revision { idea, .. }
        | Say::Comment { idea, .. }
        | Say::Claim { idea, .. }
        | Say::Transfer { idea, .. }
        | Say::Release { idea, .. }
        | Say::Status { idea, .. }
        | Say::Rank { idea, .. }
        | Say::Job { idea, .. }
        | Say::SeenAgain { idea, .. } => vec![*idea],
        Say::Tombstone { .. } | Say::Erased { .. } | Say::Origin { .. } => Vec::new(),
    }
}

fn add(leaf: &Leaf<'_>, text: Option<TextFacts>, out: &mut Vec<Change>) {
    let Leaf { index, id, entry } = *leaf;
    let author = entry.author;
    match &entry.say {
        Say::Idea { parents, tags, source, .. } => {
            out.push(Change::Idea(Box::new(idea_row(leaf, tags, source.as_deref()))));
            out.push(text_change(leaf, id.into(), text));
            out.extend(parents.iter().map(|to| parent_edge(id.into(), *to)));
        }
        Say::Revision { idea, .. } => out.push(text_change(leaf, *idea, text)),
        Say::Comment { .. } | Say::Origin { .. } => {}
        Say::Link { from, to, relation, proposed, likeness } => {
            let key = EdgeKey { relation: *relation, from: *from, to: *to };
            out.push(Change::Edge {
                key,
                row: EdgeRow { proposed: *proposed, likeness: *likeness },
            });
        }
        Say::Claim { idea, .. } => {
            out.push(Change::Holder { idea: *idea, author: Some(author), head: id });
        }
        Say::Transfer { idea, to, .. } => {
            out.push(Change::Holder { idea: *idea, author: Some(*to), head: id });
        }
        Say::Release { idea, .. } => {
            out.push(Change::Holder { idea: *idea, author: None, head: id });
        }
        Say::Status { idea, status, .. } => {
            out.push(Change::Status { idea: *idea, status: *status });
        }
        Say::Rank { idea, impact, cost, risk, vote } => {
            let row = RankRow { impact: *impact, cost: *cost, risk: *risk, vote: *vote };
            out.push(Change::Rank { idea: *idea, author, row });
        }
        Say::Job { idea, job, state, job_name } => {
            let (name, state) = (job_name.clone(), *state);
            out.push(Change::Job { idea: *idea, job: *job, name, state, entry: id, index });
        }
        Say::SeenAgain { idea, entry, .. } => {
            out.push(Change::SeenAgain { idea: *idea, entry: *entry, index });
        }
        Say::Tombstone { entry, .. } => out.push(Change::Hidden { entry: *entry, by: id }),
        Say::Erased { subject } => out.push(Change::Erased { subject: subject.clone() }),
    }
}

fn parent_edge(from: IdeaId, to: IdeaId) -> Change {
    let key = EdgeKey { relation: Relation::Derives, from, to };
    Change::Edge { key, row: EdgeRow { proposed: false, likeness: None } }
}

fn idea_row(leaf: &Leaf<'_>, tags: &[String], source: Option<&str>) -> IdeaRow {
    IdeaRow {
        id: leaf.id.into(),
        index: leaf.index,
        author: leaf.entry.author,
        author_name: leaf.entry.name.clone(),
        time: leaf.entry.time,
        tags: tags.to_vec(),
        source: source.map(Into::into),
        text_entry: leaf.id,
        sealed: None,
        title: String::new(),
        holder: Holder::first(leaf.entry.author, leaf.id),
        status: IdeaStatus::Open,
        seen_again: 0,
    }
}

fn text_change(leaf: &Leaf<'_>, idea: IdeaId, text: Option<TextFacts>) -> Change {
    let sealed = leaf.entry.say.body().and_then(|body| body.sealed.clone());
    // Of a sealed text nothing is kept in the clear, whatever the caller took it for.
    let kept = |facts: TextFacts| if sealed.is_none() { facts } else { facts.without_traces() };
    let text = text.map(kept).map(Box::new);
    Change::Text { idea, entry: leaf.id, sealed, text }
}
