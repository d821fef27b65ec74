//! What must be true of an entry whatever lies around it.

use mesh_ideas_core::{check::check_entry, entry_id, parse_leaf};
use mesh_schemas::idea::{AuthorId, Entry, Say};

/// The entry in a leaf, when it breaks no rule. The registry's own kinds are believed when one author writes all of
/// them: of a log alone nobody knows the registry's keys.
pub(super) fn sound(data: &[u8], registry: &mut Vec<AuthorId>) -> Result<Entry, String> {
    let entry = parse_leaf(data).map_err(|problem| problem.detail)?;
    if registry.is_empty() && is_own(&entry.say) {
        registry.push(entry.author);
    }
    check_entry(&entry, registry).map_err(|problem| problem.detail)?;
    Ok(entry)
}

fn is_own(say: &Say) -> bool {
    mesh_ideas_core::check::is_registrys(say)
}

/// The id in a row is that of the entry.
pub(super) fn has_id(entry: &Entry, id: mesh_schemas::idea::EntryId) -> bool {
    entry_id(entry) == id
}
