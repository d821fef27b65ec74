//! The chain of ownership, checked from its entries alone: whatever is forged, left out, put elsewhere
//! or taken from another chain shows.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

mod kit;

use kit::*;
use mesh_ideas_core::{
    entry_id,
    ledger::{ChainFaultKind, verify_chain},
    parse_leaf,
};
use mesh_schemas::idea::{Entry, IdeaId, Say};

/// Filed by 1, given to 2, released, claimed by 3, given to 1.
fn chain(text: &str) -> Vec<Entry> {
    let first = said(1, idea_say(text, &[]));
    let idea: IdeaId = entry_id(&first).into();
    let mut entries = vec![first];
    let steps: [(u8, Option<u8>, bool); 4] =
        [(1, Some(2), false), (2, None, false), (3, None, true), (3, Some(1), false)];
    for (n, to, claims) in steps {
        let follows = entry_id(entries.last().unwrap());
        let say = match to {
            Some(to) => Say::Transfer { idea, to: author(to), follows },
            None if claims => Say::Claim { idea, follows },
            None => Say::Release { idea, follows },
        };
        entries.push(said(n, say));
    }
    entries
}

#[test]
fn a_whole_chain_names_its_holder_at_each_length() {
    let entries = chain("a");
    let holders = [Some(author(1)), Some(author(2)), None, Some(author(3)), Some(author(1))];
    for (place, holder) in holders.into_iter().enumerate() {
        let end = verify_chain(&entries[..=place]).unwrap();
        assert_eq!((end.author, end.head), (holder, entry_id(&entries[place])));
    }
    assert!(verify_chain(&[]).is_err());
}

#[test]
fn a_link_that_is_left_out_doubled_or_moved_shows() {
    let entries = chain("a");
    for place in 0..entries.len() {
        let mut without = entries.clone();
        without.remove(place);
        // The last one alone may be missing: that is an older end of the same chain.
        assert_eq!(verify_chain(&without).is_ok(), place == entries.len() - 1, "{place}");
        let mut twice = entries.clone();
        twice.insert(place, entries[place].clone());
        assert!(verify_chain(&twice).is_err(), "{place}");
        for other in (0..entries.len()).filter(|other| *other != place) {
            let mut moved = entries.clone();
            moved.swap(place, other);
            assert!(verify_chain(&moved).is_err(), "{place} {other}");
        }
    }
}

#[test]
fn a_link_of_another_chain_or_kind_shows() {
    let (entries, others) = (chain("a"), chain("b"));
    for place in 0..entries.len() {
        let mut mixed = entries.clone();
        mixed[place] = others[place].clone();
        assert!(verify_chain(&mixed).is_err(), "{place}");
    }
    let idea = entry_id(&entries[0]).into();
    let status = Say::Status { idea, status: mesh_schemas::idea::IdeaStatus::Open, reason: None };
    let fault = verify_chain(&[entries[0].clone(), said(1, status)]).unwrap_err();
    assert_eq!((fault.place, fault.kind), (1, ChainFaultKind::NotOfThisIdea));
}

#[test]
fn a_link_signed_by_another_key_shows() {
    let entries = chain("a");
    for place in 1..entries.len() {
        let mut forged = entries.clone();
        // Signed by a thief in the thief's own name.
        forged[place] = said(9, entries[place].say.clone());
        let fault = verify_chain(&forged).unwrap_err();
        let claims = matches!(entries[place].say, Say::Claim { .. });
        // Anybody may claim what nobody holds; then it is the next link that does not follow.
        assert_eq!(fault.place, if claims { place + 1 } else { place });
        // Signed by a thief in the holder's name.
        forged[place] = Entry { author: entries[place].author, ..forged[place].clone() };
        let fault = verify_chain(&forged).unwrap_err();
        assert!(matches!(fault.kind, ChainFaultKind::Forged(_)) && fault.place == place);
    }
}

#[test]
fn a_changed_bit_of_any_link_shows() {
    let entries = chain("a");
    for place in 0..entries.len() {
        let data = mesh_ideas_core::entry::leaf_data(&entries[place]);
        for byte in 0..data.len() {
            let mut changed = data.clone();
            changed[byte] ^= 1;
            if let Ok(entry) = parse_leaf(&changed) {
                let mut mixed = entries.clone();
                mixed[place] = entry;
                assert!(verify_chain(&mixed).is_err(), "entry {place}, byte {byte}");
            }
        }
    }
}

#[test]
fn leaving_out_what_changed_nothing_in_the_end_shows() {
    let mut entries = vec![said(1, idea_say("a", &[]))];
    let idea: IdeaId = entry_id(&entries[0]).into();
    for claims in [false, true, false, true] {
        let follows = entry_id(entries.last().unwrap());
        let say =
            if claims { Say::Claim { idea, follows } } else { Say::Release { idea, follows } };
        entries.push(said(1, say));
    }
    assert_eq!(verify_chain(&entries).unwrap().author, Some(author(1)));
    // Without the first release and claim the author holds it all the same; only `follows` tells.
    entries.drain(1..3);
    let fault = verify_chain(&entries).unwrap_err();
    assert!(matches!(fault.kind, ChainFaultKind::NotAllowed(_)) && fault.place == 1);
}
