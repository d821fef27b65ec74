//! What of a text is compared: beginnings of words, trigrams, numbers, negations.

use super::{
    Hashes,
    hash::{fnv, mix},
};
use crate::text::{Run, pairs};

/// The features of a text.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) hashes: Hashes,
    /// Odd or even number of negations.
    pub(super) negations: u8,
    /// Of the set of numbers; 0 for none.
    pub(super) numbers: u32,
}

/// How often the beginning of a word counts, beside its trigrams.
const STEM_COPIES: u8 = 3;
/// Length of a beginning, in characters.
const STEM_CHARS: usize = 5;
/// Words of fewer characters are mostly grammar, and count once.
const FULL_WORD_CHARS: usize = 4;

pub(super) fn features(runs: &[Run]) -> Features {
    let mut found = Features { hashes: Hashes::new(), negations: 0, numbers: 0 };
    for run in runs {
        if run.unspaced {
            found.unspaced(&run.text);
        } else {
            found.word(&run.text);
        }
    }
    found.negations %= 2;
    found
}

impl Features {
    fn add(&mut self, kind: u8, text: &str, copies: u8) {
        let hash = fnv(text.as_bytes());
        for copy in 0..copies {
            self.hashes.insert(mix(
                hash ^ (u64::from(kind) << 8 | u64::from(copy)).wrapping_mul(0x9e37_79b9)
            ));
        }
    }

    fn word(&mut self, word: &str) {
        self.add_numbers(word);
        if NEGATIONS.contains(&word) {
            self.negations = self.negations.wrapping_add(1);
        }
        let stem = stem(word);
        let chars: Vec<char> = stem.chars().collect();
        let begin: String = chars.iter().take(STEM_CHARS).collect();
        if chars.len() < FULL_WORD_CHARS {
            return self.add(b's', &begin, 1);
        }
        self.add(b's', &begin, STEM_COPIES);
        let padded: Vec<char> = [&[' '], &chars[..], &[' ']].concat();
        for three in padded.windows(3) {
            self.add(b't', &String::from_iter(three), 1);
        }
    }

    /// A sum over the numbers, so that order does not count.
    fn add_numbers(&mut self, word: &str) {
        let digits = word.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
        for number in digits {
            self.numbers = self.numbers.wrapping_add(low_half(mix(fnv(number.as_bytes()))) | 1);
        }
    }

    fn unspaced(&mut self, run: &str) {
        for c in run.chars() {
            if NEGATIVE_CHARS.contains(c) {
                self.negations = self.negations.wrapping_add(1);
            }
            self.add(b'c', c.encode_utf8(&mut [0; 4]), 1);
        }
        for pair in pairs(run) {
            self.add(b'p', &pair, 2);
        }
    }
}

const fn low_half(value: u64) -> u32 {
    let bytes = value.to_le_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Arabic words without article, conjunction and the commonest endings; others as they are.
fn stem(word: &str) -> &str {
    if !word.starts_with(|c| ('\u{620}'..='\u{64a}').contains(&c)) {
        return word;
    }
    let long = |rest: &str| rest.chars().nth(2).is_some();
    let mut stem = word;
    for begin in ["وال", "بال", "كال", "فال", "لل", "ال", "و"] {
        if let Some(rest) = stem.strip_prefix(begin).filter(|rest| long(rest)) {
            stem = rest;
            break;
        }
    }
    for end in ["ها", "ان", "ات", "ون", "ين", "يه", "ه", "ي"] {
        if let Some(rest) = stem.strip_suffix(end).filter(|rest| long(rest)) {
            return rest;
        }
    }
    stem
}

/// Folded words that turn a sentence round, in the languages that were looked at.
const NEGATIONS: &[&str] = &[
    "not",
    "no",
    "never",
    "without",
    "dont",
    "doesnt",
    "cannot",
    "cant",
    "wont",
    "shouldnt",
    "isnt",
    "stop",
    "nicht",
    "kein",
    "keine",
    "keinen",
    "keiner",
    "nie",
    "niemals",
    "ohne",
    "pas",
    "jamais",
    "sans",
    "aucun",
    "aucune",
    "nunca",
    "sin",
    "jamas",
    "ningun",
    "ninguna",
    "nao",
    "nunca",
    "sem",
    "non",
    "mai",
    "senza",
    "не",
    "нет",
    "никогда",
    "без",
    "нельзя",
    "degil",
    "yok",
    "olmadan",
    "asla",
    "hic",
    "لا",
    "لم",
    "لن",
    "ليس",
    "ليست",
    "بدون",
    "دون",
    "عدم",
    "غير",
    "ابدا",
    "niet",
    "geen",
    "nooit",
    "zonder",
    "nie",
    "bez",
    "inte",
    "ingen",
    "utan",
];

/// The same, of scripts without spaces.
const NEGATIVE_CHARS: &str = "不没無无别勿未";
