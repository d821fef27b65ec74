//! Reading for who asks: views, entries, edges, opinions. Nothing here goes through the writer.

mod entries;
mod graph;
mod ideas;
mod recent;

pub(crate) use entries::StoredEntry;
pub(crate) use ideas::Listing;
