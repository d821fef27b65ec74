//! Whatever can be configured stands in docs/configuration.md.

use std::fs;

use mesh_tests::bins::root;

/// Where what can be configured is declared, and the title below which it is documented.
const FILES: [(&str, &str); 5] = [
    ("orchestrator/src/config.rs", "## The orchestrator"),
    ("desktop-node/src/config.rs", "## A node"),
    ("idea-registry/src/config.rs", "## The ledger"),
    ("idea-registry/src/embeddings/config.rs", "## The ledger"),
    ("idea-registry/src/witness/config.rs", "## A witness"),
];

/// The fields of the structs that are read from a file.
fn keys(source: &str) -> Vec<String> {
    let structs = source.split("Deserialize)]").skip(1);
    let body = |text: &str| text.split_once("\n}\n").map_or("", |(body, _)| body).to_owned();
    let field = |line: &str| {
        let (name, _) = line.strip_prefix("    pub ")?.split_once(':')?;
        Some(name.to_owned())
    };
    structs.map(body).flat_map(|body| body.lines().filter_map(field).collect::<Vec<_>>()).collect()
}

#[test]
fn each_key_is_documented() {
    let text = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut missing = Vec::new();
    for (file, title) in FILES {
        let found = keys(&fs::read_to_string(root().join(file)).unwrap());
        assert!(found.len() > 5, "{file} has {} keys", found.len());
        let section = text.split_once(title).unwrap().1;
        let section = section.split("\n## ").next().unwrap();
        let is_named = |key: &String| {
            [format!("`{key}`"), format!(".{key}`"), format!("`{key}."), format!("[{key}]")]
                .iter()
                .any(|form| section.contains(form))
        };
        missing.extend(found.into_iter().filter(|key| !is_named(key)).map(|key| (file, key)));
    }
    assert_eq!(missing, Vec::new());
}
