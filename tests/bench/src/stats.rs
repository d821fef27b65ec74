//! What a handful of samples says.

/// The middle one; the mean of the two in the middle when their number is even. Zero of none.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let sorted = sorted(samples);
    let half = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(half)) {
        (_, None) => 0.0,
        (1, Some(middle)) => *middle,
        (_, Some(upper)) => f64::midpoint(*upper, sorted[half - 1]),
    }
}

/// The smallest sample that at least `percent` of all are not above (the nearest rank). Zero of none.
pub(crate) fn percentile(samples: &[f64], percent: usize) -> f64 {
    let sorted = sorted(samples);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// Each dividend by its divisor.
pub(crate) fn ratios(dividends: &[f64], divisors: &[f64]) -> Vec<f64> {
    dividends.iter().zip(divisors).map(|(dividend, divisor)| dividend / divisor).collect()
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert!(close(median(&[9.0, 1.0, 5.0]), 5.0));
        assert!(close(median(&[4.0, 1.0, 2.0, 9.0]), 3.0));
        assert!(close(median(&[]), 0.0));
    }

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let samples: Vec<f64> = (1..=300).rev().map(f64::from).collect();
        assert!(close(percentile(&samples, 50), 150.0));
        assert!(close(percentile(&samples, 99), 297.0));
        assert!(close(percentile(&samples, 100), 300.0));
        assert!(close(percentile(&[7.0], 99), 7.0));
    }
}
