//! The order of the faults: each scenario once, shuffled, before any comes again, so that even a short run
//! has seen most of them.

use std::collections::BTreeMap;

use crate::{
    cluster::Cluster,
    rng::Rng,
    scenarios::{ALL, Scenario},
};

/// The scenarios that fit this mesh.
#[derive(Debug)]
pub(super) struct Deck {
    all: Vec<&'static Scenario>,
    left: Vec<&'static Scenario>,
    fired: BTreeMap<&'static str, u32>,
    unfit: Vec<(&'static str, String)>,
}

impl Deck {
    pub(super) fn new(cluster: &Cluster, only: &[String], rng: &mut Rng) -> Self {
        let wanted =
            |scenario: &&Scenario| only.is_empty() || only.iter().any(|id| is(scenario.id, id));
        let (mut all, mut unfit) = (Vec::new(), Vec::new());
        for scenario in ALL.iter().filter(wanted) {
            match (scenario.unfit)(cluster) {
                None => all.push(scenario),
                Some(why) => unfit.push((scenario.id, why.to_owned())),
            }
        }
        let fired = all.iter().map(|scenario| (scenario.id, 0)).collect();
        let mut deck = Self { all, left: Vec::new(), fired, unfit };
        deck.shuffle(rng);
        deck
    }

    fn shuffle(&mut self, rng: &mut Rng) {
        self.left = self.all.clone();
        rng.shuffle(&mut self.left);
    }

    /// The next one.
    pub(super) fn draw(&mut self, rng: &mut Rng) -> Option<&'static Scenario> {
        if self.left.is_empty() {
            self.shuffle(rng);
        }
        let scenario = self.left.pop()?;
        *self.fired.entry(scenario.id).or_default() += 1;
        Some(scenario)
    }

    /// How often each struck; zero for those that never did.
    pub(super) const fn fired(&self) -> &BTreeMap<&'static str, u32> {
        &self.fired
    }

    /// Those that cannot strike here, and why.
    pub(super) fn unfit(&self) -> &[(&'static str, String)] {
        &self.unfit
    }
}

/// `C7` means all of C7's ways, `C7b` the one; `C1` does not mean C10.
fn is(id: &str, wanted: &str) -> bool {
    let rest = id.to_ascii_lowercase();
    let rest = rest.strip_prefix(&wanted.to_ascii_lowercase());
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_means_all_of_its_ways_and_no_longer_number() {
        assert!(is("C7b", "c7") && is("C7b", "C7b") && is("C1", "C1"));
        assert!(!is("C10", "C1") && !is("C7b", "C7a"));
    }

    #[test]
    fn ids_are_all_different() {
        let mut ids: Vec<_> = ALL.iter().map(|scenario| scenario.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
    }
}
