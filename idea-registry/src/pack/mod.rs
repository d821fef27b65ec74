//! Texts beside the log's files: packs of what entries name, for who has the files and not the database.
//!
//! A pack is of a run of entries of one bundle and is named by the first of them, as tiles are: `bodies/x001/024` once
//! it is closed, `bodies/x001/024.p/7` while it has 7 entries and more may come. It is closed with its bundle, or
//! earlier when its texts have become long; where follows from the entries alone, so that who has the bundles knows
//! which packs there are. A run whose entries name no text has no file.
//!
//! It promises: a pack is durable before the bundle whose entries name its texts, and a file once written is replaced by
//! none that has less, but for what was erased. It deliberately holds no keys: a sealed text lies here as the ciphertext
//! that it is in the database, and stays noise when its key is destroyed. A text that a tombstone hides is in its
//! pack, so packs are for the registry's user alone, as the database is, and are not served with the tiles.

mod check;
mod cut;
mod file;
mod read;
mod write;

pub(crate) use check::{Erasures, check, is_sound};
pub(crate) use cut::{Named, Pack, cut};
pub(crate) use file::{decode, encode};
pub(crate) use read::{ReadFiles, read};
pub(crate) use write::Packer;
