//! The file that keeps the figures: a run replaces the sections that it measured and leaves the others.

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{machine::Machine, report::Measured};

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Where it was measured.
    pub(crate) machine: Machine,
    /// The last measurement of each section on each database.
    pub(crate) sections: Vec<Measured>,
}

impl Kept {
    /// Reads the file; a missing one holds nothing. Figures of another machine are left out, as they would
    /// stand beside ones that they cannot be compared with.
    pub(crate) fn load(file: &Path, machine: &Machine) -> anyhow::Result<Self> {
        let none = Self { machine: machine.clone(), sections: Vec::new() };
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(none),
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        };
        let kept: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} does not hold figures of ./run bench", file.display()))?;
        let sections = if kept.machine.is(machine) { kept.sections } else { Vec::new() };
        Ok(Self { sections, ..none })
    }

    /// Puts a measurement in the place of the last one of its kind.
    pub(crate) fn put(&mut self, measured: Measured) {
        let same = |kept: &&mut Measured| {
            (&kept.section, &kept.store) == (&measured.section, &measured.store)
        };
        match self.sections.iter_mut().find(same) {
            Some(kept) => *kept = measured,
            None => self.sections.push(measured),
        }
    }

    /// Writes the file and the directory around it.
    pub(crate) fn save(&self, file: &Path) -> anyhow::Result<()> {
        if let Some(dir) = file.parent() {
            std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        }
        let bytes = serde_json::to_vec_pretty(self)?;
        std::fs::write(file, bytes).with_context(|| format!("writing {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cores: usize) -> Machine {
        Machine { cores, processor: "p".into(), memory_mib: 1, kernel: "k".into(), fsync_ms: 0.1 }
    }

    fn measured(section: &str, store: &str, value: f64) -> Measured {
        let mut measured = Measured::new(section.into(), store.into(), false);
        measured.one("x", "s", value, None);
        measured
    }

    #[test]
    fn a_run_replaces_what_it_measured_and_nothing_else() {
        let dir = mesh_tests::tmp::dir("kept");
        let file = dir.path().join("data/bench.json");
        let mut kept = Kept::load(&file, &machine(2)).unwrap();
        kept.put(measured("tasks", "sqlite", 1.0));
        kept.put(measured("tasks", "postgres", 2.0));
        kept.save(&file).unwrap();
        let mut kept = Kept::load(&file, &machine(2)).unwrap();
        kept.put(measured("tasks", "sqlite", 3.0));
        let values: Vec<f64> = kept.sections.iter().map(|s| s.figures[0].value).collect();
        assert_eq!(format!("{values:?}"), "[3.0, 2.0]");
    }

    #[test]
    fn figures_of_another_machine_do_not_stay() {
        let dir = mesh_tests::tmp::dir("kept");
        let file = dir.path().join("bench.json");
        let mut kept = Kept::load(&file, &machine(2)).unwrap();
        kept.put(measured("tasks", "sqlite", 1.0));
        kept.save(&file).unwrap();
        assert!(Kept::load(&file, &machine(8)).unwrap().sections.is_empty());
    }

    #[test]
    fn a_file_of_something_else_is_not_overwritten() {
        let dir = mesh_tests::tmp::dir("kept");
        let file = dir.path().join("notes.json");
        std::fs::write(&file, "{\"mine\": 1}").unwrap();
        assert!(Kept::load(&file, &machine(2)).is_err());
    }
}
