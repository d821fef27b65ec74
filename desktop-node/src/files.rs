//! Directories of this node: for its own user alone, and removable whatever a job did to them.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

/// Mode of the node's directories: they hold secrets of jobs.
const PRIVATE_DIR: u32 = 0o700;

/// Makes a directory that only this user may enter; its parent is there.
///
/// # Errors
/// Whatever the system says, `AlreadyExists` included.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_DIR).create(dir)
}

/// Makes a directory that only this user may enter, and its parents, which are as usual. One that is
/// there already is as its owner made it.
///
/// # Errors
/// Whatever the system says.
pub(crate) fn make_private_dir_all(dir: &Path) -> io::Result<()> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    match make_private_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        made => made,
    }
}

/// Removes a directory with all in it, also where a job has made parts of it read-only.
///
/// # Errors
/// Whatever the system says.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(dir);
            fs::remove_dir_all(dir)
        }
        removed => removed,
    }
}

/// Lets this user into each directory of a tree whose processes are gone. Links are not followed;
/// what cannot be changed shows when it is to be removed.
fn open_up(root: &Path) {
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        let Ok(meta) = fs::symlink_metadata(&dir) else { continue };
        if !meta.is_dir() {
            continue;
        }
        let mode = meta.permissions().mode() | PRIVATE_DIR;
        let _unchanged = fs::set_permissions(&dir, fs::Permissions::from_mode(mode));
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        dirs.extend(entries.flatten().filter(is_dir).map(|entry| entry.path()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_private_directory_is_for_its_owner_alone_and_an_old_one_stays_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        make_private_dir_all(&dir).unwrap();
        assert_eq!(mode(&dir), PRIVATE_DIR);
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o750)).unwrap();
        make_private_dir_all(&dir).unwrap();
        assert_eq!(mode(&dir), 0o750);
        fs::write(dir.join("file"), "").unwrap();
        assert!(make_private_dir_all(&dir.join("file")).is_err());
    }

    #[test]
    fn a_tree_that_a_job_made_read_only_is_removed_and_no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let (tree, other) = (root.path().join("tree"), root.path().join("other"));
        let inner = tree.join("inner/most");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(inner.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&other, tree.join("link")).unwrap();
        for dir in [&inner, &tree.join("inner"), &other] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).unwrap();
        }
        // Root needs no permission, so what it needs is looked at on its own.
        open_up(&tree);
        assert_eq!([mode(&inner), mode(&other)], [0o755, 0o555]);
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o555)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
