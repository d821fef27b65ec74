//! Folding for likeness and search: what readers take for the same letter becomes the same.
//!
//! In this order: lower case; NFKD; accents of Latin, Greek and Cyrillic, Arabic vowel marks and Hebrew
//! points are dropped, and so is the tatweel; forms of one letter become one (alef, ya, ta marbuta,
//! Persian kaf and ya, dotless i, sharp s …); digits of other scripts become ASCII; apostrophes are
//! dropped, so that `don't` is one word; NFC. It is no normal form of the ledger: nothing durable but
//! projections is made of it.

use unicode_normalization::UnicodeNormalization as _;

/// The folded text.
pub fn fold(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut letters = String::with_capacity(lower.len());
    for c in lower.nfkd() {
        if !is_dropped(c) {
            push_plain(c, &mut letters);
        }
    }
    letters.nfc().collect()
}

const fn is_dropped(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}' // accents
        | '\u{591}'..='\u{5bd}' | '\u{5bf}'..='\u{5c7}' // Hebrew points
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}' // Arabic marks
        | '\u{640}' // tatweel
        | '\'' | '’' | '‘' | 'ʼ' | '`'
        | '\u{200b}'..='\u{200d}' | '\u{ad}' | '\u{feff}'
    )
}

fn push_plain(c: char, out: &mut String) {
    match c {
        'ß' => out.push_str("ss"),
        'æ' => out.push_str("ae"),
        'œ' => out.push_str("oe"),
        c => out.push(plain(c)),
    }
}

fn plain(c: char) -> char {
    match c {
        'ı' => 'i',
        'ø' => 'o',
        'đ' => 'd',
        'ł' => 'l',
        'ς' => 'σ',
        'ٱ' => 'ا',
        'ى' | 'ی' | 'ې' => 'ي',
        'ة' | 'ہ' | 'ۀ' => 'ه',
        'ک' => 'ك',
        c => digit(c).unwrap_or(c),
    }
}

/// Arabic-Indic, Persian, Devanagari and Bengali digits; NFKD has turned wide ones into ASCII.
fn digit(c: char) -> Option<char> {
    let zero = [0x660, 0x6f0, 0x966, 0x9e6];
    let value = zero.iter().find_map(|zero| u32::from(c).checked_sub(*zero).filter(|d| *d < 10))?;
    char::from_digit(value, 10)
}

/// The script puts no spaces between words: Han, Kana, Thai, Lao, Burmese, Khmer.
pub(crate) const fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}'
    )
}
