//! Which files a job wants to keep.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use mesh_schemas::{error::Problem, text::shown};

/// Patterns of files, relative to the work directory. `*` stays within a part, `**` crosses parts,
/// and a plain directory means everything below it.
#[derive(Debug, Clone)]
pub struct Selection {
    set: GlobSet,
    roots: Vec<String>,
}

impl Selection {
    /// Reads patterns.
    ///
    /// # Errors
    /// `E_INVALID` for a pattern that cannot be read or that leaves the directory.
    pub fn new(patterns: &[String]) -> Result<Self, Problem> {
        let mut set = GlobSetBuilder::new();
        let mut roots = Vec::new();
        for given in patterns {
            let pattern = given.trim_start_matches("./").trim_end_matches('/');
            if given.starts_with('/') || pattern.split('/').any(|part| part == "..") {
                return Err(unusable(given, "it leaves the work directory"));
            }
            let all_below = if is_plain(pattern) { below(pattern) } else { None };
            for text in std::iter::once(pattern.to_owned()).chain(all_below) {
                let glob = GlobBuilder::new(&text).literal_separator(true).build();
                set.add(glob.map_err(|error| unusable(given, &error.kind().to_string()))?);
            }
            roots.push(root_of(pattern));
        }
        let set = set.build().map_err(|error| unusable("", &error.kind().to_string()))?;
        Ok(Self { set, roots: outermost(roots) })
    }

    /// The file is wanted.
    pub fn is_match(&self, path: &str) -> bool {
        self.set.is_match(path)
    }

    /// Where to look: files or directories, none below another; the work directory is empty.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }
}

fn unusable(pattern: &str, why: &str) -> Problem {
    Problem::invalid("outputs", format!("the pattern {} cannot be used: {why}", shown(pattern)))
}

fn is_plain(part: &str) -> bool {
    !part.contains(['*', '?', '[', ']', '{', '}', '\\'])
}

fn below(pattern: &str) -> Option<String> {
    Some(if pattern == "." || pattern.is_empty() { "**".into() } else { format!("{pattern}/**") })
}

/// The leading parts without wildcards.
fn root_of(pattern: &str) -> String {
    let parts: Vec<&str> = pattern.split('/').filter(|part| *part != ".").collect();
    let plain = parts.iter().take_while(|part| is_plain(part)).count();
    parts.get(..plain).unwrap_or(&[]).join("/")
}

fn outermost(mut roots: Vec<String>) -> Vec<String> {
    roots.sort_unstable();
    roots.dedup();
    let inside = |root: &str, other: &str| {
        root != other && (other.is_empty() || root.starts_with(&format!("{other}/")))
    };
    let all = roots.clone();
    roots.retain(|root| !all.iter().any(|other| inside(root, other)));
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(patterns: &[&str]) -> Selection {
        let owned: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        Selection::new(&owned).unwrap()
    }

    #[test]
    fn stars_stay_within_a_part_and_double_stars_do_not() {
        let selection = select(&["out/*.txt", "logs/**/*.log"]);
        for wanted in ["out/a.txt", "logs/a.log", "logs/x/y/a.log"] {
            assert!(selection.is_match(wanted), "{wanted}");
        }
        for other in ["a.txt", "out/x/a.txt", "out/a.txtx", "logs", "a.log"] {
            assert!(!selection.is_match(other), "{other}");
        }
        assert_eq!(selection.roots(), ["logs", "out"]);
    }

    #[test]
    fn a_plain_directory_means_everything_below_it() {
        let selection = select(&["./dist/", "report.txt"]);
        assert!(selection.is_match("dist/a/b") && selection.is_match("report.txt"));
        assert!(!selection.is_match("distx/a") && !selection.is_match("x/report.txt"));
        let everything = select(&["."]);
        assert!(everything.is_match("a") && everything.is_match("a/.b/c"));
        assert_eq!(everything.roots(), [""]);
    }

    #[test]
    fn the_search_begins_at_the_outermost_plain_parts() {
        assert_eq!(select(&["a/b/*", "a/b/c/**", "ab/*", "a/b"]).roots(), ["a/b", "ab"]);
        assert_eq!(select(&["a/b", "*.txt"]).roots(), [""]);
        assert!(select(&[]).roots().is_empty());
    }

    #[test]
    fn patterns_that_leave_the_directory_or_cannot_be_read_are_refused() {
        for bad in ["/etc/*", "../x", "a/../b", "a[", "{a"] {
            assert!(Selection::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
