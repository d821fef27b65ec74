//! How long the same work took lately: what granting ahead rests on.
//!
//! The same work is the same command line, environment, working directory and input in the same project.
//! So a job that repeats what others have done is known to be short before any attempt of its own has
//! ended. Kept in memory only: after a start it is learnt anew.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use mesh_schemas::JobSpec;

/// Most works that are remembered; the one that was first heard of longest ago is forgotten.
const WORKS_MAX: usize = 16_384;

/// Names a kind of work. A hash without a key: whoever makes two works collide spoils an estimate of
/// their own jobs and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Work(u64);

impl From<&JobSpec> for Work {
    fn from(spec: &JobSpec) -> Self {
        let mut hasher = DefaultHasher::new();
        let input = spec.input.as_ref().map(|input| &input.blake3);
        (&spec.project, &spec.command, &spec.env, &spec.workdir, input).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Mean durations of attempts that ran to their own end, in microseconds; later ones weigh more.
#[derive(Debug, Default)]
pub(crate) struct History {
    means_us: BTreeMap<Work, u64>,
    by_age: VecDeque<Work>,
}

impl History {
    /// An attempt ran to its own end in so many milliseconds; less than one counts as one.
    pub(crate) fn learn(&mut self, work: Work, wall_ms: u64) {
        let sample = wall_ms.clamp(1, 1 << 40) * 1_000;
        if let Some(mean) = self.means_us.get_mut(&work) {
            *mean = (*mean * 7 + sample) / 8;
            return;
        }
        if self.by_age.len() >= WORKS_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.means_us.remove(&oldest);
        }
        self.by_age.push_back(work);
        self.means_us.insert(work, sample);
    }

    pub(crate) fn mean_us(&self, work: Work) -> Option<u64> {
        self.means_us.get(&work).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_later_samples_weigh_more() {
        let mut history = History::default();
        for work in 0..=WORKS_MAX as u64 {
            history.learn(Work(work), 8);
        }
        assert_eq!((history.mean_us(Work(0)), history.means_us.len()), (None, WORKS_MAX));
        history.learn(Work(1), 16);
        assert_eq!(history.mean_us(Work(1)), Some(9_000));
    }

    #[test]
    fn another_command_environment_input_or_project_is_other_work() {
        let spec = JobSpec::new(["a", "b"]);
        let mut others = vec![JobSpec::new(["ab"]), JobSpec::new(["a", "b", ""]), spec.clone()];
        others[2].project = "other".into();
        others.push(spec.clone());
        others[3].env.insert("A".into(), "1".into());
        for other in &others {
            assert_ne!(Work::from(other), Work::from(&spec), "{other:?}");
        }
        let named = JobSpec { name: Some("x".into()), priority: 3, ..spec.clone() };
        assert_eq!(Work::from(&named), Work::from(&spec));
    }
}
