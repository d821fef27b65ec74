//! Ids, signatures and the one spelling of an entry: whatever is changed in one, it is refused.

mod kit;

use kit::*;
use mesh_ideas_core::{
    Unsigned, author_of, check,
    entry::{SIGNING_CONTEXT, leaf_data},
    entry_id, parse_leaf, sign, verify_signature,
};
use mesh_schemas::{
    ErrorCode, Timestamp,
    idea::{AuthorId, Say, Sha256, Signature, Submission},
};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256 as Sha2};

#[test]
fn an_entry_is_spelled_as_documented_and_its_id_is_the_hash_of_that() {
    let entry = sign(
        Unsigned {
            name: Some("Ada \"x\"".into()),
            time: NOW,
            say: idea_say("hello", &[some_idea(7)]),
        },
        &key(1),
    );
    let text = String::from_utf8(leaf_data(&entry)).unwrap();
    let wanted = format!(
        "{{\"author\":\"{}\",\"name\":\"Ada \\\"x\\\"\",\"say\":{{\"body\":{{\"bytes\":5,\"hash\":\
         \"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"}},\"kind\":\"idea\",\
         \"parents\":[\"idea_{}\"]}},\"sig\":\"{}\",\"time\":\"2027-01-15T08:00:00.000Z\",\"v\":1}}",
        author(1),
        "07".repeat(32),
        entry.sig
    );
    assert_eq!(text, wanted);
    let unsigned = wanted.replace(&format!("\"sig\":\"{}\",", entry.sig), "");
    assert_eq!(entry_id(&entry).0, <[u8; 32]>::from(Sha2::digest(unsigned)));
    // An id is promised for ever: this value must not change.
    assert_eq!(
        entry_id(&entry).to_string(),
        "entry_d91a3a42bb584f9d1c7b753b71a21c4d523bbc8dc9f05459f9dee05d2cae6f83"
    );
    assert!(SIGNING_CONTEXT.ends_with(b"\n"));
}

#[test]
fn a_changed_byte_of_the_signature_is_refused() {
    let entry = said(1, idea_say("a text", &[]));
    verify_signature(&entry).unwrap();
    for place in 0..64 {
        for bit in 0..8 {
            let mut bad = entry.clone();
            bad.sig.0[place] ^= 1 << bit;
            let problem = verify_signature(&bad).unwrap_err();
            assert_eq!(problem.code, ErrorCode::Signature);
        }
    }
}

#[test]
fn another_key_an_absent_signature_and_a_weak_key_are_refused() {
    let entry = said(1, idea_say("a text", &[]));
    let stolen = mesh_schemas::idea::Entry { author: author(2), ..entry.clone() };
    let absent = mesh_schemas::idea::Entry { sig: Signature([0; 64]), ..entry.clone() };
    // The neutral element: whatever is signed, some signature of it fits.
    let mut one = [0; 32];
    one[0] = 1;
    let weak = mesh_schemas::idea::Entry { author: AuthorId(one), ..entry.clone() };
    let no_point = mesh_schemas::idea::Entry { author: AuthorId([2; 32]), ..entry };
    for (bad, field) in [(stolen, "sig"), (absent, "sig"), (weak, "author"), (no_point, "author")] {
        let problem = verify_signature(&bad).unwrap_err();
        assert_eq!((problem.code, problem.field.as_deref()), (ErrorCode::Signature, Some(field)));
    }
}

/// Goal: no byte of a leaf can be changed without notice. Method: each byte becomes each of a few
/// others; either it does not parse, is not canonical, or its signature is wrong.
#[test]
fn a_changed_byte_of_the_leaf_is_refused() {
    let data = leaf_data(&said(1, idea_say("a text", &[some_idea(3)])));
    assert!(verify_signature(&parse_leaf(&data).unwrap()).is_ok());
    for place in 0..data.len() {
        for other in [b'0', b'1', b'a', b'A', b' ', b'"', b'}', data[place] ^ 1, data[place] ^ 0x20]
        {
            let mut bad = data.clone();
            bad[place] = other;
            if bad != data {
                let read = parse_leaf(&bad).and_then(|entry| verify_signature(&entry));
                assert!(read.is_err(), "byte {place} became {other}");
            }
        }
        assert!(parse_leaf(&data[..place]).is_err());
    }
}

#[test]
fn a_second_spelling_of_an_entry_is_refused() {
    let entry = said(1, idea_say("a text", &[]));
    let text = String::from_utf8(leaf_data(&entry)).unwrap();
    let more = text.replacen("{\"author\"", "{\"aaa\":1,\"author\"", 1);
    let doubled = text.replacen(",\"v\":1", ",\"v\":1,\"v\":1", 1);
    let spaced = text.replacen(':', ": ", 1);
    let escaped = text.replacen("idea", "\\u0069dea", 1);
    let explicit = text.replacen("\"kind\"", "\"parents\":[],\"kind\"", 1);
    let unsorted = text.replacen(",\"v\":1}", "}", 1).replacen('{', "{\"v\":1,", 1);
    let time = text.replacen(".000Z", "Z", 1);
    let finer = text.replacen(".000Z", ".0004Z", 1);
    let shifted = text.replacen("T08:00:00.000Z", "T09:00:00.000+01:00", 1);
    let float = text.replacen("\"v\":1", "\"v\":1.0", 1);
    let after = format!("{text}\n");
    let mark = format!("\u{feff}{text}");
    let deep = "[".repeat(8000);
    for bad in [
        more, doubled, spaced, escaped, explicit, unsorted, time, finer, shifted, float, after,
        mark, deep,
    ] {
        assert_ne!(bad, text);
        assert!(parse_leaf(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(parse_leaf(&[0xff; 10]).is_err());
    assert_eq!(parse_leaf(&[b' '; 16 * 1024 + 1]).unwrap_err().code, ErrorCode::TooLarge);
}

#[test]
fn two_signatures_of_one_entry_are_one_id() {
    let entry = said(1, idea_say("a text", &[]));
    let other = mesh_schemas::idea::Entry { sig: Signature([9; 64]), ..entry.clone() };
    assert_eq!(entry_id(&entry), entry_id(&other));
    let later = Timestamp::from_millis(NOW.as_millis() + 1);
    let later = sign(Unsigned { name: None, time: later, say: entry.say.clone() }, &key(1));
    assert_ne!(entry_id(&entry), entry_id(&later));
}

proptest! {
    #[test]
    fn what_is_signed_reads_back_the_same(
        n in 1_u8..9,
        text in "\\PC{1,80}",
        tags in proptest::collection::vec("[a-zäß\u{627}-\u{64a}\u{4e00}-\u{4e10}]{1,6}", 0..4),
        name in proptest::option::of("[^\\p{C}\\s]{1,12}"),
        millis in 0_i64..253_402_300_800_000,
        source in proptest::option::of("\\PC{1,40}"),
    ) {
        let say = Say::Idea { body: body(&text), parents: vec![some_idea(n)], tags, source };
        let entry = sign(Unsigned { name, time: Timestamp::from_millis(millis), say }, &key(n));
        let data = leaf_data(&entry);
        let read = parse_leaf(&data).unwrap();
        prop_assert_eq!(&read, &entry);
        prop_assert_eq!(leaf_data(&read), data);
        prop_assert_eq!(entry_id(&read), entry_id(&entry));
        prop_assert!(verify_signature(&read).is_ok());
        prop_assert_eq!(read.author, author_of(&key(n)));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse_leaf(&data).is_err());
    }

    #[test]
    fn no_submission_makes_the_check_panic(
        kind in 0_usize..3, text in any::<String>(), more in any::<String>(), time in any::<i64>(),
    ) {
        let say = match kind {
            0 => Say::Idea { body: body(&text), parents: vec![], tags: vec![more.clone()], source: Some(more) },
            1 => Say::Erased { subject: more },
            _ => Say::Tombstone { entry: some_entry(1), reason: more },
        };
        let entry = sign(
            Unsigned { name: Some(text.clone()), time: Timestamp::from_millis(time), say }, &key(1));
        let submission = Submission { entry, body: Some(text), salt: Some(Sha256([1; 32])) };
        let _ = check(&submission, NOW, &registry());
    }
}
