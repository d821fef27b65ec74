//! A small file system of its own, to be filled up. Mounting needs root; without it there is none, and
//! scenarios that need one say so.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

/// Below the mount: what fills it.
const FILLER: &str = "filler-of-the-chaos-run";

/// A mounted tmpfs; unmounted with its value.
#[derive(Debug)]
pub struct Tmpfs {
    at: PathBuf,
}

impl Tmpfs {
    /// Mounts so many MiB on a directory, which is made.
    ///
    /// # Errors
    /// When this user or this machine cannot mount.
    pub fn mount(at: &Path, mib: u32) -> anyhow::Result<Self> {
        fs::create_dir_all(at)?;
        let options = format!("size={mib}m,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .stdin(Stdio::null())
            .output()
            .context("running mount")?;
        let why = String::from_utf8_lossy(&mounted.stderr);
        ensure!(mounted.status.success(), "mounting a tmpfs failed: {}", why.trim());
        Ok(Self { at: at.to_owned() })
    }

    /// Fills it to the last byte, but for what is given.
    ///
    /// # Errors
    /// When it cannot be filled for another reason than being full.
    pub fn fill(&self) -> io::Result<u64> {
        let mut file = File::options().create(true).append(true).open(self.at.join(FILLER))?;
        let (mut filled, mut piece) = (0, 1 << 20);
        let zeros = vec![0_u8; piece];
        while piece > 0 {
            match file.write(zeros.get(..piece).unwrap_or_default()) {
                Ok(0) => piece /= 2,
                Ok(written) => filled += written as u64,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => piece /= 2,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Takes away what filled it.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn empty_filler(&self) -> io::Result<()> {
        match fs::remove_file(self.at.join(FILLER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Moves what it holds into a plain directory, so that it can be read after the unmounting.
    ///
    /// # Errors
    /// When the copy fails; then it stays mounted.
    pub fn settle(self) -> anyhow::Result<()> {
        self.empty_filler()?;
        let aside = self.at.with_extension("settled");
        let copied = Command::new("cp").arg("-a").args([&self.at, &aside]).status()?;
        ensure!(copied.success(), "cannot copy {}", self.at.display());
        let at = self.at.clone();
        drop(self);
        fs::remove_dir(&at).with_context(|| format!("{} is still mounted", at.display()))?;
        fs::rename(&aside, &at)?;
        Ok(())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process that still has a file open there must not keep the mount in the tree.
        let _gone = Command::new("umount").arg("-l").arg(&self.at).stdin(Stdio::null()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the right to mount there is nothing to be shown; the run then says the same.
    #[test]
    fn it_fills_empties_and_settles_or_says_why_it_cannot_be_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("small");
        let tmpfs = match Tmpfs::mount(&at, 1) {
            Ok(tmpfs) => tmpfs,
            Err(error) => return assert!(!error.to_string().is_empty()),
        };
        fs::write(at.join("kept"), "bytes").unwrap();
        assert!(tmpfs.fill().unwrap() > 500_000);
        let full = fs::write(at.join("more"), vec![1; 8_192]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        tmpfs.empty_filler().unwrap();
        fs::write(at.join("more"), vec![1; 8_192]).unwrap();
        tmpfs.settle().unwrap();
        assert_eq!(fs::read(at.join("kept")).unwrap(), b"bytes");
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(&*at.to_string_lossy()));
    }
}
