//! The normal form, hashes of contents, titles and words.

use mesh_ideas_core::text::{
    TITLE_CHARS_MAX, content_hash, normal, query_words, sealed_content_hash, title, words,
};
use proptest::prelude::*;

#[test]
fn case_space_and_composition_do_not_make_a_new_text() {
    let same = [
        ("Hello  World", " hello\n\tworld "),
        ("CAF\u{c9}", "cafe\u{301}"),
        ("ΟΔΟΣ", "οδος"),
        ("\u{212b}ngstr\u{f6}m", "ångström"),
        ("a\u{3000}b\u{a0}c", "a b c"),
        ("ПРИВЕТ", "привет"),
        ("STRAẞE", "straße"),
    ];
    for (a, b) in same {
        assert_eq!(normal(a), normal(b));
        assert_eq!(content_hash(a), content_hash(b));
    }
}

#[test]
fn accents_points_marks_and_words_make_a_new_text() {
    for (a, b) in [
        ("resume", "résumé"),
        ("a b", "ab"),
        ("done.", "done"),
        ("كَتب", "كتب"),
        ("straße", "strasse"),
        ("ｗｉｄｅ", "wide"),
        ("a b", "b a"),
        ("ı", "i"),
    ] {
        assert_ne!(content_hash(a), content_hash(b), "{a} {b}");
    }
}

#[test]
fn hashes_of_contents_are_promised() {
    // sha256("deskmesh ideas content v1\n" + "hello world"), and its HMAC under 32 bytes of 7.
    assert_eq!(
        content_hash("Hello World").to_string(),
        "7acd48a9dbee59185b027d5e0207d256f6c45b9de872d53a85e678a3cbda8fea"
    );
    assert_eq!(
        sealed_content_hash("Hello World", &[7; 32]).to_string(),
        "b302b7d11b97e29dfecf69a26d2a93239f570d72031d4ada43fe103c3d67501b"
    );
    assert_ne!(sealed_content_hash("a", &[7; 32]), sealed_content_hash("a", &[8; 32]));
}

#[test]
fn the_title_is_the_first_line_that_says_something() {
    for (text, wanted) in [
        ("\n \n# A  plan ##\nmore", "A plan"),
        ("###### deep", "deep"),
        ("####### seven", "####### seven"),
        ("#hash tag", "#hash tag"),
        ("#\n##\nreal", "real"),
        ("C#", "C#"),
        ("# C#", "C#"),
        ("- item", "- item"),
        ("خطة\nتفاصيل", "خطة"),
        ("  ", ""),
    ] {
        assert_eq!(title(text), wanted, "{text:?}");
    }
    let long = title(&"ä".repeat(200));
    assert_eq!((long.chars().count(), long.ends_with('…')), (TITLE_CHARS_MAX, true));
    assert_eq!(title(&"ä".repeat(120)), "ä".repeat(120));
}

#[test]
fn words_are_found_whatever_their_case_marks_and_width() {
    for (text, query) in [
        ("The Résumé-parser, v2", "resume V2"),
        ("إِضَافَةُ الوَضْعِ الدَّاكِن", "اضافة الوضع"),
        ("مدرسة على", "مدرسه علي"),
        ("支持深色模式", "深色"),
        ("支持深色模式", "色"),
        ("ＦＵＬＬ width", "full"),
        ("İstanbul ışık", "istanbul isik"),
        ("Don’t stop", "dont"),
        ("٣ نسخ", "3"),
    ] {
        let have = words(text);
        assert!(query_words(query).is_subset(&have), "{query}: {have:?}");
    }
    assert!(!query_words("色深").is_subset(&words("支持深色模式")));
    assert!(words("… !? —").is_empty());
    assert!(words(&"一二三".repeat(100_000)).len() < 10_000);
}

proptest! {
    #[test]
    fn the_normal_form_is_its_own(text in any::<String>()) {
        prop_assert_eq!(normal(&normal(&text)), normal(&text));
    }

    #[test]
    fn titles_are_short_and_one_line(text in any::<String>()) {
        let title = title(&text);
        prop_assert!(title.chars().count() <= TITLE_CHARS_MAX);
        prop_assert!(!title.contains('\n'));
    }

    #[test]
    fn a_text_has_its_own_words(text in "\\PC{0,60}") {
        prop_assert!(query_words(&text).is_subset(&words(&text)));
    }
}
