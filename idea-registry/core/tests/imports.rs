//! Ideas from lists, tables and issues: what is read, and where it is wrong when it is not.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

use mesh_ideas_core::import::{
    Exported, Imported, Sealed, from_csv, from_github, from_markdown, to_csv, to_json_lines,
    to_markdown,
};
use mesh_schemas::{
    Problem,
    idea::{IdeaId, IdeaStatus},
};
use proptest::prelude::*;

fn texts(imported: &Imported) -> Vec<(&str, Option<usize>)> {
    imported.drafts.iter().map(|draft| (draft.text.as_str(), draft.parent)).collect()
}

fn wrong(read: Result<Imported, Problem>) -> String {
    let problem = read.unwrap_err();
    let field = problem.field.unwrap();
    assert!(problem.detail.contains(&field), "{}", problem.detail);
    field
}

#[test]
fn nested_items_derive_from_the_item_above() {
    let list = "# Plan\r\n\r\n- one\r\n  more of one\r\n\r\n  - [ ] two\r\n    1. three\r\n  * four\r\n\r\nA word between\n\n+ five\n\t- خمسة\n-\tsix";
    let imported = from_markdown(list).unwrap();
    assert_eq!(
        texts(&imported),
        [
            ("one\nmore of one", None),
            ("two", Some(0)),
            ("three", Some(1)),
            ("four", Some(0)),
            ("five", None),
            ("خمسة", Some(4)),
            ("six", None),
        ]
    );
    assert_eq!(imported.skipped, [1, 10]);
}

#[test]
fn code_in_an_item_is_its_text_and_a_rule_is_no_item() {
    let imported = from_markdown("- a\n  ```\n  - no item\n  ```\n- b\n\n* * *\n---\n").unwrap();
    assert_eq!(texts(&imported), [("a\n```\n- no item\n```", None), ("b", None)]);
    assert_eq!(imported.skipped, [7, 8]);
}

#[test]
fn a_list_that_is_wrong_names_its_line() {
    assert_eq!(wrong(from_markdown("# only\n\nwords")), "line 1");
    assert_eq!(wrong(from_markdown("")), "line 1");
    assert!(from_markdown("- a\n-\n").unwrap_err().detail.contains("line 2"));
    assert!(from_markdown("- a\n- b\u{202e}\n").unwrap_err().detail.contains("line 2"));
    let deep: String = (0..70).map(|depth| format!("{}- x\n", " ".repeat(2 * depth))).collect();
    assert_eq!(wrong(from_markdown(&deep)), "line 65");
}

#[test]
fn a_table_is_read_by_its_header() {
    let table = "\u{feff}Tags,title,source,body\r\n\"a b,c;a\",One,issue 4,\"line 1\r\nline 2\"\r\n,فكرة,,\r\n";
    let imported = from_csv(table).unwrap();
    let first = &imported.drafts[0];
    assert_eq!(
        (first.text.as_str(), first.source.as_deref()),
        ("One\n\nline 1\nline 2", Some("issue 4"))
    );
    assert_eq!(first.tags, ["a", "b", "c"]);
    assert_eq!(imported.drafts[1].text, "فكرة");
    assert_eq!(from_csv("body\nx\n").unwrap().drafts.len(), 1);
}

#[test]
fn a_table_that_is_wrong_names_its_line() {
    assert_eq!(wrong(from_csv("")), "line 1");
    assert_eq!(wrong(from_csv("title,colour\n")), "line 1");
    assert_eq!(wrong(from_csv("title,title\n")), "line 1");
    assert_eq!(wrong(from_csv("tags\n")), "line 1");
    assert_eq!(wrong(from_csv("title,body\na,b\nc\n")), "line 3");
    assert_eq!(wrong(from_csv("title,body\na,\"b\nb\"\n , \n")), "line 4");
    assert_eq!(wrong(from_csv("title,source\na,b\u{7}\n")), "line 2");
}

#[test]
fn issues_are_read_with_labels_and_urls() {
    let issues = r#"[
        {"title": " One ", "body": "a\r\nb", "labels": [{"id": "x", "name": "good first issue"}], "url": "https://x.example/1", "number": 1},
        {"title": "Two", "body": null, "number": 2, "state": "OPEN"}
    ]"#;
    let drafts = from_github(issues).unwrap().drafts;
    assert_eq!(
        (drafts[0].text.as_str(), drafts[0].tags.as_slice()),
        ("One\n\na\nb", &["good-first-issue".to_owned()][..])
    );
    assert_eq!(drafts[0].source.as_deref(), Some("https://x.example/1"));
    assert_eq!((drafts[1].text.as_str(), drafts[1].source.as_deref()), ("Two", Some("issue 2")));
}

#[test]
fn issues_that_are_wrong_are_named() {
    for (text, place) in [
        ("[{\"title\": \"a\"}, {\"body\": \"b\"}]", "[1]"),
        ("[{\"title\": \" \"}]", "[0].title"),
        ("[{\"title\": \"a\", \"labels\": [1]}]", "[0]"),
        ("[{\"title\": \"a\u{202e}\"}]", "[0]"),
    ] {
        assert_eq!(wrong(from_github(text)), place, "{text}");
    }
    assert_eq!(from_github("[\n{").unwrap_err().field.as_deref(), Some("line 2"));
    assert!(from_github("{}").is_err());
}

fn exported(text: &str) -> Exported {
    let (title, status) = (mesh_ideas_core::text::title(text), IdeaStatus::Open);
    let (tags, source) = (vec!["a".into(), "b".into()], Some("issue 1".into()));
    let (id, text) = (IdeaId([1; 32]), text.into());
    Exported { id, title, text, status, tags, source, sealed: None }
}

#[test]
fn what_goes_out_comes_in_again() {
    let ideas = [exported("One, \"two\"\n\nthree"), exported("=1+1"), exported("")];
    let back = from_csv(&to_csv(&ideas).unwrap()).unwrap().drafts;
    assert_eq!((back[0].text.as_str(), back[0].tags.len()), ("One, \"two\"\n\nthree", 2));
    assert_eq!((back.len(), back[1].text.as_str()), (2, "=1+1"));
    let back = from_markdown(&to_markdown(&ideas)).unwrap().drafts;
    assert_eq!((back.len(), back[0].text.as_str()), (2, "One, \"two\"\n\nthree"));
    assert_eq!(to_json_lines(&ideas).lines().count(), 3);
}

#[test]
fn marks_within_a_text_are_the_same_text_again() {
    let texts = [
        "# Plan\n\nWhy:\n\n- one\n  - deeper\n* two\n\n## How\n\n1. first\n2) second\n\n\\- kept\n1\\. kept\n+ ",
        "- a list at once\n---\n* * *",
        "* * *\n[ ] no box here\n[x](y)",
        "[x](https://x.example) is a link",
        "Code:\n\n```sh\n- no item\n\\- as it is\n  1. nor this\n```\n\n- an item",
        "```\n- code at once\n```\nmore",
        "never closed:\n```\n- x\n~~~ \n\t- y\n```",
        "12345\\\\\\. and \\\\ and\n\\\n\\x\n1.5 times\n1234567890. no mark",
        "the last one",
    ];
    let ideas: Vec<Exported> = texts.iter().map(|text| exported(text)).collect();
    let list = to_markdown(&ideas);
    let back = from_markdown(&list).unwrap();
    let ends = |text: &&str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let wanted: Vec<String> = texts.iter().map(ends).collect();
    let read: Vec<_> = back.drafts.iter().map(|draft| draft.text.clone()).collect();
    assert_eq!(read, wanted, "{list}");
    assert_eq!(back.skipped, Vec::<usize>::new());
}

#[test]
fn an_item_that_begins_with_code_ends_with_it() {
    let imported = from_markdown("- ```\n  - code\n  ```\n- b\n").unwrap();
    assert_eq!(texts(&imported), [("```\n- code\n```", None), ("b", None)]);
}

#[test]
fn a_sealed_text_is_marked_in_its_line() {
    let sealed = |sealed| {
        let line = to_json_lines(&[Exported { sealed, ..exported("One") }]);
        serde_json::from_str::<serde_json::Value>(&line).unwrap().get("sealed").cloned()
    };
    assert_eq!(sealed(None), None);
    assert_eq!(sealed(Some(Sealed::Subject("jane".into()))), Some(serde_json::json!("jane")));
    assert_eq!(sealed(Some(Sealed::Is(true))), Some(serde_json::json!(true)));
}

proptest! {
    #[test]
    fn no_file_makes_a_reader_panic_and_drafts_keep_to_the_rules(text in "(?s)([-*+#`1. \\t\\n\",a-cäخ\u{202e}]{0,80}|.{0,80})") {
        for imported in [from_markdown(&text), from_csv(&text), from_github(&text)].into_iter().flatten() {
            for (place, draft) in imported.drafts.iter().enumerate() {
                prop_assert!(draft.parent.is_none_or(|parent| parent < place));
                prop_assert!(!draft.text.trim().is_empty());
                prop_assert!(!draft.text.contains(mesh_schemas::text::is_unsafe_char));
            }
        }
    }

    #[test]
    fn any_text_survives_the_list(text in "[-*+#`~1.)\\\\\\[\\]x \t\n]{0,60}") {
        prop_assume!(!text.trim().is_empty());
        let back = from_markdown(&to_markdown(&[exported(&text), exported("b")])).unwrap();
        let lines: Vec<_> = text.trim().lines().map(str::trim_end).collect();
        let read: Vec<_> = back.drafts.iter().map(|draft| draft.text.as_str()).collect();
        let wanted = lines.join("\n");
        prop_assert_eq!(read, [wanted.as_str(), "b"]);
    }

    #[test]
    fn any_text_survives_the_table(text in "[^\\p{C}\\s]\\PC{0,40}[^\\p{C}\\s]") {
        prop_assume!(!text.contains(mesh_schemas::text::is_unsafe_char));
        let back = from_csv(&to_csv(&[exported(&text)]).unwrap()).unwrap();
        prop_assert_eq!(back.drafts[0].text.as_str(), text.trim());
    }
}
