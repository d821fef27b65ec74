//! Fail points that parts are started with, and which of them fired.

use std::{collections::BTreeMap, fs, io::Write as _, path::PathBuf};

use mesh_fabric::fail_point::{FailPoint, LOG_VARIABLE, POINTS_VARIABLE};

/// Points with their passings. Each fires once, in whichever of the parts that are armed with them.
#[derive(Debug, Clone)]
pub struct Arming {
    points: Vec<(FailPoint, u64)>,
    /// Where a process writes a point before it dies of it.
    log: PathBuf,
}

/// How often a point was armed, and how often a process died there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fired {
    /// In so many strikes.
    pub armed: u32,
    /// So often.
    pub fired: u32,
}

impl Arming {
    /// Not armed yet.
    pub const fn new(points: Vec<(FailPoint, u64)>, log: PathBuf) -> Self {
        Self { points, log }
    }

    /// What a part is started with.
    pub(super) fn env(&self) -> [(&'static str, String); 2] {
        let point = |(point, passing): &(FailPoint, u64)| format!("{}={passing}", point.name());
        let points: Vec<String> = self.points.iter().map(point).collect();
        let log = self.log.to_string_lossy().into_owned();
        [(POINTS_VARIABLE, points.join(",")), (LOG_VARIABLE, log)]
    }

    /// The points that fired.
    fn fired(&self) -> Vec<FailPoint> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let names: Vec<&str> = log.lines().collect();
        let points = self.points.iter().map(|(point, _)| *point);
        points.filter(|point| names.contains(&point.name())).collect()
    }

    /// Those that have not fired never will: a process takes what stands in the file for fired.
    fn end(&self) -> std::io::Result<()> {
        let mut file = fs::File::options().create(true).append(true).open(&self.log)?;
        self.points.iter().try_for_each(|(point, _)| writeln!(file, "{}", point.name()))
    }
}

/// All that were armed in a run.
#[derive(Debug, Default)]
pub(super) struct Armings {
    live: Vec<Arming>,
    counts: BTreeMap<FailPoint, Fired>,
}

impl Armings {
    pub(super) fn add(&mut self, arming: Arming) {
        self.live.push(arming);
    }

    /// No point fires any more.
    pub(super) fn end(&mut self) -> std::io::Result<()> {
        for arming in std::mem::take(&mut self.live) {
            arming.points.iter().for_each(|(point, _)| self.count(*point).armed += 1);
            arming.fired().into_iter().for_each(|point| self.count(point).fired += 1);
            arming.end()?;
        }
        Ok(())
    }

    fn count(&mut self, point: FailPoint) -> &mut Fired {
        self.counts.entry(point).or_default()
    }

    /// What became of those that were ended.
    pub(super) const fn counts(&self) -> &BTreeMap<FailPoint, Fired> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fired_before_the_end_is_counted_and_nothing_fires_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let points = vec![(FailPoint::UploadStored, 2), (FailPoint::AgentExitHeard, 1)];
        let arming = Arming::new(points, log.clone());
        assert_eq!(arming.env()[0].1, "upload.stored=2,agent.exit-heard=1");
        fs::write(&log, "agent.exit-heard\n").unwrap();
        let mut armings = Armings::default();
        armings.add(arming.clone());
        armings.end().unwrap();
        armings.end().unwrap();
        let counts = |armed, fired| Fired { armed, fired };
        assert_eq!(armings.counts()[&FailPoint::AgentExitHeard], counts(1, 1));
        assert_eq!(armings.counts()[&FailPoint::UploadStored], counts(1, 0));
        assert_eq!(arming.fired().len(), 2, "a process takes both for fired");
    }
}
