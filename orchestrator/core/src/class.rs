//! Classes: all jobs that ask for the same priority, resources and labels. What fits nowhere for one job
//! of a class fits nowhere for any, so a round asks once for each class, however many jobs wait.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use mesh_schemas::{JobSpec, spec::Resources};

use crate::{amounts::Amounts, job::Order};

/// A short name for a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClassId(u64);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ClassKey {
    priority: i16,
    resources: Resources,
    labels: BTreeMap<String, String>,
}

/// One class and those of its jobs that wait for a node.
#[derive(Debug)]
pub(crate) struct Class {
    key: ClassKey,
    /// Live jobs of the class.
    jobs: u32,
    /// What each task needs.
    pub(crate) needs: Amounts,
    /// Jobs with a task that waits for nothing but a node.
    pub(crate) ready: BTreeSet<Order>,
    /// No node has room, except perhaps those that gained some since the last round.
    pub(crate) tried: bool,
}

impl Class {
    pub(crate) const fn priority(&self) -> Reverse<i16> {
        Reverse(self.key.priority)
    }

    /// The job that waits next after this one.
    pub(crate) fn next_ready(&self, after: Option<Order>) -> Option<Order> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.ready.range((from, Bound::Unbounded)).next().copied()
    }

    pub(crate) const fn labels(&self) -> &BTreeMap<String, String> {
        &self.key.labels
    }
}

/// All classes of live jobs.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    next: u64,
    ids: BTreeMap<ClassKey, ClassId>,
    classes: BTreeMap<ClassId, Class>,
}

impl Classes {
    /// A job of this spec joins its class.
    pub(crate) fn join(&mut self, spec: &JobSpec) -> ClassId {
        let key = ClassKey {
            priority: spec.priority,
            resources: spec.resources.clone(),
            labels: spec.labels.clone(),
        };
        let id = *self.ids.entry(key.clone()).or_insert_with(|| {
            self.next += 1;
            ClassId(self.next)
        });
        let class = self.classes.entry(id).or_insert_with(|| Class {
            needs: Amounts::from(&key.resources),
            key,
            jobs: 0,
            ready: BTreeSet::new(),
            tried: false,
        });
        class.jobs += 1;
        id
    }

    /// A job that has ended leaves its class; the last one ends the class.
    pub(crate) fn leave(&mut self, id: ClassId, order: Order) {
        let Some(class) = self.classes.get_mut(&id) else { return };
        class.ready.remove(&order);
        class.jobs -= 1;
        if class.jobs == 0 {
            self.ids.remove(&class.key);
            self.classes.remove(&id);
        }
    }

    pub(crate) fn get(&self, id: ClassId) -> Option<&Class> {
        self.classes.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ClassId) -> Option<&mut Class> {
        self.classes.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        self.classes.iter().map(|(id, class)| (*id, class))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Class> {
        self.classes.values_mut()
    }
}
