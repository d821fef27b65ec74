//! Near duplicates: small signatures of texts, how alike two are, and keys under which the like meet.
//!
//! A text is folded ([`crate::fold`]) and cut into words; each word gives its beginning and its
//! trigrams (scripts without spaces: characters and pairs), so order and inflection matter little and
//! typing errors not much. The set of these is sampled by MinHash: 248 minima, of which a signature
//! keeps 8 bits each, beside the text's numbers and negations, which count for more than their letters.
//!
//! What it cannot see is meaning: a paraphrase without a common word is missed, and two short texts of
//! one template ("add a filter for …") may be proposed. So it only proposes, and a person confirms.
//! Measured on 154 hand-made pairs kept apart from tuning, half of them duplicates
//! (`tests/near_pairs.rs`): precision 92 %, recall 81 %, with Chinese (50 %) and Russian (62 %) recalled
//! worst. Where duplicates are rarer than one in two, proposals are right less often than that.
//!
//! The format, seeds and all, is [`FORMAT`]; signatures of two formats are never compared. Another
//! format is a new number and a rebuild of the projection.

use std::collections::BTreeSet;

use crate::{fold::fold, text::runs};

mod features;
mod hash;

use features::{Features, features};
use hash::{fnv, mix, seed};

/// The format of signatures and bands. It names every constant of this module and of [`crate::fold`].
pub const FORMAT: u8 = 1;
/// Size of a signature.
pub const SIGNATURE_BYTES: usize = 256;
/// From this likeness on, in thousandths, two texts are proposed as duplicates.
pub const THRESHOLD: u16 = 700;
/// Most proposals for one new idea.
pub const PROPOSALS_MAX: usize = 5;
/// How many keys [`bands`] gives.
pub const BANDS: usize = 40;

const HEAD_BYTES: usize = 8;
const MINIMA: usize = SIGNATURE_BYTES - HEAD_BYTES;
const ROWS: usize = 3;
/// Most features of one text: those with the smallest hashes, a fair sample whatever the text.
const FEATURES_MAX: usize = 2048;

/// What is kept of a text to compare it by: [`FORMAT`], negations, numbers, how
/// many features, and minima.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    /// The bytes, as stored.
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }

    /// From stored bytes; nothing when they are of another format.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; SIGNATURE_BYTES] = bytes.try_into().ok()?;
        (bytes[0] == FORMAT).then_some(Self(bytes))
    }

    /// The text has neither letters nor digits: it is like nothing, not even its like.
    pub fn is_empty(&self) -> bool {
        self.features() == 0
    }

    /// How many features the text has; at most 65,535.
    fn features(&self) -> usize {
        usize::from(u16::from_le_bytes([self.0[6], self.0[7]]))
    }
}

/// The signature of a text with its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// To compare with.
    pub signature: Signature,
    /// To find candidates by: texts that share one are worth comparing.
    pub bands: Vec<u64>,
}

/// The signature and the keys of a text.
pub fn near(text: &str) -> Near {
    let found = features(&runs(&fold(text)));
    let minima = minima(&found);
    let mut bytes = [0; SIGNATURE_BYTES];
    bytes[0] = FORMAT;
    bytes[1] = found.negations;
    bytes[2..6].copy_from_slice(&found.numbers.to_le_bytes());
    let features = u16::try_from(found.hashes.len()).unwrap_or(u16::MAX);
    bytes[6..8].copy_from_slice(&features.to_le_bytes());
    for (byte, minimum) in bytes[HEAD_BYTES..].iter_mut().zip(&minima) {
        *byte = minimum.to_le_bytes()[0];
    }
    Near { signature: Signature(bytes), bands: band_keys(&minima) }
}

/// The signature of a text.
pub fn signature(text: &str) -> Signature {
    near(text).signature
}

/// Keys for an index: two texts whose likeness reaches [`THRESHOLD`] most likely share one.
pub fn bands(text: &str) -> Vec<u64> {
    near(text).bands
}

fn minima(found: &Features) -> Vec<u64> {
    let sample: Vec<u64> = found.hashes.iter().copied().take(FEATURES_MAX).collect();
    let least = |place: usize| {
        let seed = seed(place);
        sample.iter().map(|hash| mix(hash ^ seed)).min().unwrap_or(seed)
    };
    (0..MINIMA).map(least).collect()
}

fn band_keys(minima: &[u64]) -> Vec<u64> {
    let key = |(place, rows): (usize, &[u64])| {
        let bytes: Vec<u8> = rows.iter().flat_map(|row| row.to_le_bytes()).collect();
        mix(fnv(&bytes) ^ seed(MINIMA + place))
    };
    minima.chunks_exact(ROWS).take(BANDS).enumerate().map(key).collect()
}

/// How alike two texts are, in thousandths: the mean of two shares, of what both have in all that
/// either has (Dice), and of what both have in the shorter text, so that a sentence that was added
/// does not hide a duplicate. Less when one says no where the other does not, or the numbers differ.
pub fn likeness(a: &Signature, b: &Signature) -> u16 {
    let mut thousandths = shared(a, b);
    let (a, b) = (&a.0, &b.0);
    if a[1] != b[1] {
        thousandths = thousandths * NEGATION_PERCENT / 100;
    }
    if a[2..6] != b[2..6] {
        thousandths = thousandths * NUMBERS_PERCENT / 100;
    }
    u16::try_from(thousandths).map_or(1000, |value| value.min(1000))
}

/// Both shares by the estimate that minima give, all in integers, so that every machine agrees.
fn shared(a: &Signature, b: &Signature) -> usize {
    let pairs = a.0[HEAD_BYTES..].iter().zip(&b.0[HEAD_BYTES..]);
    let equal = pairs.filter(|(a, b)| a == b).count();
    // One in 256 minima agrees by chance.
    let equal = equal.saturating_sub((MINIMA - equal) / 255);
    // Of the features of both, `equal` in `MINIMA` are shared: J. Shared are J / (1 + J) of both counts.
    let (fewer, more) = (a.features().min(b.features()), a.features().max(b.features()));
    let dice = 2000 * equal / (MINIMA + equal);
    if fewer == 0 || more > LONGER_MAX * fewer {
        return dice;
    }
    let within = 1000 * equal * (fewer + more) / ((MINIMA + equal) * fewer);
    (dice + within.min(1000)) / 2
}

/// What is left of the likeness when one text says no where the other does not.
const NEGATION_PERCENT: usize = 60;
/// What is left of the likeness when the numbers differ.
const NUMBERS_PERCENT: usize = 65;
/// How many times longer a text may be for the share in the shorter one to count.
const LONGER_MAX: usize = 3;

/// The likest of some candidates that reach [`THRESHOLD`], likest first, at most [`PROPOSALS_MAX`]. Only of
/// those that are alike it is asked whether they are `wanted`, which may cost more than comparing.
pub fn likest<'a, K: Ord + Copy>(
    signature: &Signature,
    candidates: impl IntoIterator<Item = (K, &'a Signature)>,
    wanted: impl Fn(K) -> bool,
) -> Vec<(K, u16)> {
    if signature.is_empty() {
        return Vec::new();
    }
    let of = |(key, other): (K, &Signature)| (key, likeness(signature, other));
    let alike = |(key, likeness): &(K, u16)| *likeness >= THRESHOLD && wanted(*key);
    let mut found: Vec<_> = candidates.into_iter().map(of).filter(alike).collect();
    found.sort_by_key(|(key, likeness)| (std::cmp::Reverse(*likeness), *key));
    found.dedup_by_key(|(key, _)| *key);
    found.truncate(PROPOSALS_MAX);
    found
}

/// Hashes in order: a set of which the smallest are a sample.
type Hashes = BTreeSet<u64>;
