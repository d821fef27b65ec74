//! Each error code has its line in `docs/errors.md`, with its status and exit code.

use mesh_schemas::ErrorCode;

#[test]
fn the_page_of_errors_is_complete_and_right() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    let page = std::fs::read_to_string(page).unwrap();
    for code in ErrorCode::ALL {
        let line = format!("| `{code}` | {} | {} | ", code.http_status(), code.exit_code());
        assert!(page.contains(&line), "docs/errors.md lacks {line}");
    }
}
