//! `mesh run -- cmd`.

use std::fs;

use mesh_tests::mesh::Mesh;

pub(crate) async fn ships_streams_and_brings_back(mesh: &Mesh) {
    let dir = mesh.scratch().join(format!("project-{}", mesh_fabric::ids::new_uuid()));
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::create_dir_all(dir.join("junk")).unwrap();
    fs::write(dir.join(".gitignore"), "junk/\n").unwrap();
    fs::write(dir.join("junk/secret"), "not to be shipped").unwrap();
    fs::write(dir.join("src/words"), "shipped words\n").unwrap();
    let line = "cat src/words; test ! -e junk/secret; echo made >made.txt; exit 3";
    let path = dir.to_string_lossy();
    let args = ["run", "--dir", &path, "--keep", "made.txt", "--", "sh", "-ec", line];
    let output = mesh.cli(&args).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "shipped words\n", "{stderr}");
    assert_eq!(fs::read_to_string(dir.join("made.txt")).unwrap(), "made\n");
}
