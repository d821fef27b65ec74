//! Hashing for signatures: fixed for ever within a format, fast, and not for secrets.

/// FNV-1a, 64 bits.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The finalizer of SplitMix64: a permutation that spreads each bit.
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The seed of the permutation at a place.
pub(super) const fn seed(place: usize) -> u64 {
    mix((place as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
