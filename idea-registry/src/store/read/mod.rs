//! Reading for who asks: views, entries, edges, opinions. Nothing here goes through the writer.

mod entries;
mod graph;
mod ideas;
mod recent;
mod tables;

pub(crate) use entries::StoredEntry;
pub(crate) use ideas::Listing;
pub(crate) use tables::Table;
