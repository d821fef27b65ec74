//! Vectors of recent ideas, and which of them point the same way.

use std::collections::VecDeque;

use mesh_schemas::idea::IdeaId;

/// Most numbers of a vector.
pub(super) const DIMENSIONS_MAX: usize = 4_096;
/// Most bytes of all vectors.
const BYTES_MAX: usize = 64 << 20;
/// Most ideas that one text is proposed to be a duplicate of.
const ALIKE_MAX: usize = 3;

/// A vector of length one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vector(Box<[f32]>);

impl Vector {
    /// The direction of these numbers; none where one of them is no number, or all are zero.
    pub(super) fn new(numbers: &[f32]) -> Option<Self> {
        let length = numbers.iter().map(|n| f64::from(*n) * f64::from(*n)).sum::<f64>().sqrt();
        if !length.is_normal() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a part of a whole fits")]
        let part = |n: &f32| (f64::from(*n) / length) as f32;
        Some(Self(numbers.iter().map(part).collect()))
    }

    pub(super) fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// The cosine in thousandths; 0 for what points elsewhere.
    fn likeness(&self, other: &Self) -> u16 {
        let cosine: f32 = self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and 1,000"
        )]
        let likeness = (cosine * 1_000.0).round().clamp(0.0, 1_000.0) as u16;
        likeness
    }
}

/// The newest ideas, oldest first, each with the vector of its latest text.
#[derive(Debug)]
pub(super) struct Vectors {
    recent: usize,
    of: VecDeque<(IdeaId, Vector)>,
}

impl Vectors {
    /// Of so many ideas at most.
    pub(super) const fn new(recent: usize) -> Self {
        Self { recent, of: VecDeque::new() }
    }

    /// How many numbers the vectors have; unknown before the first.
    pub(super) fn dimensions(&self) -> Option<usize> {
        self.of.front().map(|(_, vector)| vector.dimensions())
    }

    /// Takes one in, in place of an older one of the same idea; the oldest go.
    pub(super) fn insert(&mut self, idea: IdeaId, vector: Vector) {
        self.remove(idea);
        let bytes = (vector.dimensions() * size_of::<f32>()).max(1);
        self.of.push_back((idea, vector));
        while self.of.len() > self.recent.min(BYTES_MAX / bytes).max(1) {
            self.of.pop_front();
        }
    }

    /// Forgets an idea.
    pub(super) fn remove(&mut self, idea: IdeaId) {
        self.of.retain(|(other, _)| *other != idea);
    }

    /// The other ideas whose likeness is at least so many thousandths, likest first.
    pub(super) fn alike(&self, idea: IdeaId, vector: &Vector, least: u16) -> Vec<(IdeaId, u16)> {
        let others = self.of.iter().filter(|(other, _)| *other != idea);
        let mut alike: Vec<(IdeaId, u16)> =
            others.map(|(other, of)| (*other, vector.likeness(of))).collect();
        alike.retain(|(_, likeness)| *likeness >= least);
        alike.sort_by_key(|(other, likeness)| (std::cmp::Reverse(*likeness), *other));
        alike.truncate(ALIKE_MAX);
        alike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idea(n: u8) -> IdeaId {
        IdeaId([n; 32])
    }

    fn vector(numbers: &[f32]) -> Vector {
        Vector::new(numbers).unwrap()
    }

    #[test]
    fn what_is_no_direction_is_no_vector() {
        for bad in
            [&[][..], &[0.0, 0.0], &[f32::NAN, 1.0], &[f32::INFINITY], &[1.0, f32::NEG_INFINITY]]
        {
            assert_eq!(Vector::new(bad), None, "{bad:?}");
        }
        assert!(Vector::new(&[f32::MAX, f32::MAX]).is_some());
    }

    #[test]
    fn the_likest_are_found_and_the_oldest_forgotten() {
        let mut vectors = Vectors::new(3);
        assert_eq!(vectors.dimensions(), None);
        vectors.insert(idea(1), vector(&[1.0, 0.0]));
        vectors.insert(idea(2), vector(&[3.0, 0.3]));
        vectors.insert(idea(3), vector(&[0.0, 1.0]));
        let same_way = vector(&[9.0, 0.0]);
        assert_eq!(vectors.alike(idea(9), &same_way, 900), [(idea(1), 1_000), (idea(2), 995)]);
        assert_eq!(vectors.alike(idea(1), &same_way, 900), [(idea(2), 995)], "not with itself");
        assert_eq!(vectors.alike(idea(9), &vector(&[-1.0, 0.0]), 1), []);
        vectors.insert(idea(4), vector(&[1.0, 0.0]));
        vectors.insert(idea(2), vector(&[0.0, 1.0]));
        assert_eq!(vectors.alike(idea(9), &same_way, 900), [(idea(4), 1_000)]);
        assert_eq!((vectors.of.len(), vectors.dimensions()), (3, Some(2)));
    }
}
