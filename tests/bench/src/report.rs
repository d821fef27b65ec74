//! The figures, as a table and as JSON.

use std::io::Write as _;

use serde::Serialize;

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    store: String,
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    /// At most this is wanted.
    target: Option<f64>,
}

impl Report {
    pub(crate) const fn new(store: String) -> Self {
        Self { store, figures: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: &str, value: f64, unit: &'static str, target: Option<f64>) {
        self.figures.push(Figure { what: what.to_owned(), value, unit, target });
        let mut stderr = std::io::stderr().lock();
        // Progress for whoever watches.
        let _ = writeln!(stderr, "  {what}: {value:.3} {unit}");
    }

    pub(crate) fn print(&self) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "store: {}, durable before every answer", self.store);
        for figure in &self.figures {
            let target = figure.target.map_or_else(String::new, |target| {
                let met = if figure.value <= target { "met" } else { "MISSED" };
                format!("  target <= {target} {}: {met}", figure.unit)
            });
            // A closed pipe is no failure.
            let _ = writeln!(
                stdout,
                "{:58} {:>10.3} {:4}{target}",
                figure.what, figure.value, figure.unit
            );
        }
    }
}
