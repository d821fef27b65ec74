//! The figures, as a table beside their targets and as JSON.

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::stats::median;

/// What was measured in one section on one database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The section's name.
    pub(crate) section: String,
    /// The database under it.
    pub(crate) store: String,
    /// When it ended, RFC 3339.
    pub(crate) at: String,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Fewer and smaller runs than the targets are meant for.
    pub(crate) quick: bool,
    /// Built without optimisation: only to see that measuring works.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) debug: bool,
    /// Share of the machine's processors that others used just before and just after, from 0 to 1.
    pub(crate) others_busy: f64,
    /// In the order they were measured.
    pub(crate) figures: Vec<Figure>,
    /// Why it ended early or could not measure something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
}

/// One figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) what: String,
    /// The median of `samples` unless `what` says another.
    pub(crate) value: f64,
    pub(crate) unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
    /// One for each run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) samples: Vec<f64>,
}

/// What is wanted of a figure.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// Above this share of other work on the machine a section is marked: its figures say little.
const BUSY: f64 = 0.1;

impl Measured {
    pub(crate) const fn new(section: String, store: String, quick: bool) -> Self {
        Self {
            section,
            store,
            at: String::new(),
            seconds: 0.0,
            quick,
            debug: cfg!(debug_assertions),
            others_busy: 0.0,
            figures: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The median of one sample for each run.
    pub(crate) fn add(&mut self, what: &str, unit: &str, samples: &[f64], target: Option<Target>) {
        let (value, samples) = (median(samples), samples.to_vec());
        self.push(Figure { what: what.into(), value, unit: unit.into(), target, samples });
    }

    /// A figure that is no median.
    pub(crate) fn one(&mut self, what: &str, unit: &str, value: f64, target: Option<Target>) {
        let samples = Vec::new();
        self.push(Figure { what: what.into(), value, unit: unit.into(), target, samples });
    }

    /// Something that could not be measured, and why.
    pub(crate) fn problem(&mut self, why: impl Into<String>) {
        let why = why.into();
        progress(&format!("! {why}"));
        self.problems.push(why);
    }

    fn push(&mut self, figure: Figure) {
        progress(&figure.line());
        self.figures.push(figure);
    }

    const fn is_busy(&self) -> bool {
        self.others_busy > BUSY
    }

    fn title(&self) -> String {
        let quick = if self.quick { ", quick" } else { "" };
        let debug = if self.debug { ", DEBUG BUILD" } else { "" };
        let busy = if self.is_busy() {
            format!(", BUSY MACHINE: others used {:.0} % of it", self.others_busy * 100.0)
        } else {
            String::new()
        };
        let (section, store, seconds, at) = (&self.section, &self.store, self.seconds, &self.at);
        format!("{section} ({store}{quick}{debug}{busy}; {seconds:.0} s, {at})")
    }
}

impl Figure {
    fn line(&self) -> String {
        let spread = match (self.samples.len(), bounds(&self.samples)) {
            (2.., Some((least, most))) => {
                format!("{}..{} of {}", number(least), number(most), self.samples.len())
            }
            _ => String::new(),
        };
        let verdict = self.target.map_or_else(String::new, |target| target.verdict(self.value));
        let (what, value, unit) = (&self.what, number(self.value), &self.unit);
        format!("  {what:62} {value:>9} {unit:6} {spread:24} {verdict}").trim_end().to_owned()
    }
}

impl Target {
    /// Whether the value will do, and by how much it does not.
    pub(crate) fn verdict(self, value: f64) -> String {
        let (sign, limit, met, over) = match self {
            Self::AtMost(limit) => ("<=", limit, value <= limit, value - limit),
            Self::AtLeast(limit) => (">=", limit, value >= limit, limit - value),
        };
        if met {
            format!("{sign} {}: ok", number(limit))
        } else if limit.abs() < f64::EPSILON {
            format!("{sign} 0: MISSED by {}", number(over))
        } else {
            format!("{sign} {}: MISSED by {:.0} %", number(limit), over / limit * 100.0)
        }
    }
}

/// All sections with their figures.
pub(crate) fn print(sections: &[Measured]) {
    let mut stdout = std::io::stdout().lock();
    for section in sections {
        // A closed pipe is no failure.
        let _ = writeln!(stdout, "{}", section.title());
        for figure in &section.figures {
            let _ = writeln!(stdout, "{}", figure.line());
        }
        for problem in &section.problems {
            let _ = writeln!(stdout, "  not measured: {problem}");
        }
        let _ = writeln!(stdout);
    }
}

/// For whoever watches.
pub(crate) fn progress(text: &str) {
    // A closed pipe is no failure.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn bounds(samples: &[f64]) -> Option<(f64, f64)> {
    let least = samples.iter().copied().min_by(f64::total_cmp)?;
    let most = samples.iter().copied().max_by(f64::total_cmp)?;
    Some((least, most))
}

/// Three digits that matter, as nobody believes more.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.0 => 0,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_by_how_much_it_was_missed() {
        assert_eq!(Target::AtMost(1.5).verdict(1.5), "<= 1.50: ok");
        assert_eq!(Target::AtMost(1.5).verdict(1.8), "<= 1.50: MISSED by 20 %");
        assert_eq!(Target::AtLeast(60.0).verdict(45.0), ">= 60.0: MISSED by 25 %");
        assert_eq!(Target::AtMost(0.0).verdict(3.0), "<= 0: MISSED by 3.00");
        assert_eq!(Target::AtMost(0.0).verdict(0.0), "<= 0: ok");
    }

    #[test]
    fn a_line_shows_the_median_and_how_far_the_runs_lie_apart() {
        let mut measured = Measured::new("tasks".into(), "sqlite".into(), false);
        measured.add("makespan over floor", "x", &[1.0, 3.0, 2.0], Some(Target::AtMost(1.5)));
        let line = measured.figures[0].line();
        for part in ["makespan over floor", "2.00", "1.00..3.00 of 3", "MISSED by 33 %"] {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn a_busy_machine_is_said_in_the_title() {
        let mut measured = Measured::new("tasks".into(), "sqlite".into(), true);
        assert!(!measured.title().contains("BUSY"));
        measured.others_busy = 0.5;
        assert!(measured.title().contains("BUSY MACHINE: others used 50 %"));
    }
}
