//! Cursor pages: `limit` rows and an opaque cursor for the following ones.
//!
//! A cursor is the place after the last row, tied to the list and the filters it came from. Its check
//! sum finds mistakes and mix-ups; it guards nothing, as a cursor gives no right to see anything.

use std::{fmt::Display, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use mesh_schemas::{
    ErrorCode, Problem,
    api::{PAGE_ROWS_MAX, Page},
};

/// Rows of a page when the caller does not say.
pub(super) const PAGE_ROWS_DEFAULT: u32 = 100;
/// Longest cursor text worth decoding.
const CURSOR_BYTES_MAX: usize = 256;
const CHECK_BYTES: usize = 8;

/// The list and the filters that a cursor belongs to.
#[derive(Debug, Clone)]
pub(super) struct Listing(String);

impl Listing {
    /// The name of the list and each filter's value, in a fixed order.
    pub(super) fn new(name: &str, filters: &[Option<&dyn Display>]) -> Self {
        let mut text = name.to_owned();
        for filter in filters {
            text.push('\0');
            if let Some(value) = filter {
                text.push('=');
                text.push_str(&value.to_string());
            }
        }
        Self(text)
    }

    fn check(&self, place: &str) -> [u8; CHECK_BYTES] {
        let mut hasher = blake3::Hasher::new_derive_key("deskmesh 2026 page cursor v1");
        hasher.update(self.0.as_bytes());
        hasher.update(b"\0\0");
        hasher.update(place.as_bytes());
        let mut check = [0; CHECK_BYTES];
        hasher.finalize_xof().fill(&mut check);
        check
    }

    /// The cursor of a place.
    pub(super) fn cursor(&self, place: &impl Display) -> String {
        let place = place.to_string();
        let mut bytes = self.check(&place).to_vec();
        bytes.extend_from_slice(place.as_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The place of a cursor of this list.
    ///
    /// # Errors
    /// `E_CURSOR` when the text was not made by [`Listing::cursor`] of the same list and filters.
    pub(super) fn place<P: FromStr>(&self, cursor: &str) -> Result<P, Problem> {
        self.read(cursor).ok_or_else(|| {
            Problem::new(
                ErrorCode::Cursor,
                "the cursor does not belong to this list and its filters",
            )
            .at("cursor")
            .hint("pass `next` of the page before, with the same filters")
        })
    }

    fn read<P: FromStr>(&self, cursor: &str) -> Option<P> {
        if cursor.len() > CURSOR_BYTES_MAX {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let (check, place) = bytes.split_at_checked(CHECK_BYTES)?;
        let place = std::str::from_utf8(place).ok()?;
        (self.check(place) == check).then(|| place.parse().ok())?
    }

    /// A page of `rows`, of which there may be one more than `limit`; `place` names the place from
    /// which the next page goes on, given the last row of this one.
    pub(super) fn page<T, P: Display>(
        &self,
        mut rows: Vec<T>,
        limit: u32,
        place: impl Fn(&T) -> P,
    ) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| self.cursor(&place(row)));
        Page { items: rows, next }
    }
}

/// The number of rows asked for.
///
/// # Errors
/// `E_INVALID` when it is not from 1 to [`PAGE_ROWS_MAX`].
pub(super) fn rows(limit: Option<u32>) -> Result<u32, Problem> {
    match limit {
        None => Ok(PAGE_ROWS_DEFAULT),
        Some(limit) if (1..=PAGE_ROWS_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::invalid(
            "limit",
            format!("limit is {limit}; allowed are 1 to {PAGE_ROWS_MAX}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_holds_for_its_own_list_and_filters_alone() {
        let jobs = Listing::new("jobs", &[Some(&"default"), None]);
        let cursor = jobs.cursor(&17_u32);
        assert_eq!(jobs.place::<u32>(&cursor), Ok(17));
        for other in [
            Listing::new("jobs", &[None, Some(&"default")]),
            Listing::new("jobs", &[Some(&"other"), None]),
            Listing::new("tasks", &[Some(&"default"), None]),
        ] {
            assert_eq!(other.place::<u32>(&cursor).unwrap_err().code, ErrorCode::Cursor);
        }
        for forged in
            ["", "17", "AAAA", "%%%", &"A".repeat(1_000), &cursor[1..], &format!("{cursor}A")]
        {
            assert_eq!(jobs.place::<u32>(forged).unwrap_err().code, ErrorCode::Cursor, "{forged}");
        }
    }

    #[test]
    fn only_a_page_with_followers_has_a_next() {
        let list = Listing::new("numbers", &[]);
        assert_eq!(list.page(vec![1, 2], 2, |n| *n).next, None);
        let page = list.page(vec![1, 2, 3], 2, |n| *n);
        assert_eq!(page.items, [1, 2]);
        assert_eq!(list.place::<i32>(&page.next.unwrap()), Ok(2));
    }
}
