//! What is measured: one file for each line of targets.

mod artifacts;
mod cpu;
mod fleet;
mod ideas;
mod idle;
mod latency;
mod peers;
mod recovery;
mod submit;
mod tasks;

use mesh_schemas::{
    JobSpec,
    spec::{ArrayRange, ArraySpec},
};

use crate::Run;

/// A group of figures that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Section {
    /// Makespan of many short tasks over the floor.
    Tasks,
    /// One short task, from the call to the recorded result.
    Latency,
    /// Processor time of our processes for each task.
    Cpu,
    /// Accepting large arrays and many jobs, and what they cost later.
    Submit,
    /// Many simulated nodes on one orchestrator.
    Fleet,
    /// Uploads, appends and logs beside what a plain client reaches.
    Artifacts,
    /// Memory and processor time without work.
    Idle,
    /// The ledger: appends, proofs, memory and checking at a million entries.
    Ideas,
    /// From a kill -9 to work again.
    Recovery,
    /// Other systems that are installed here, by the same measure.
    Peers,
}

impl Section {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        <Self as clap::ValueEnum>::value_variants().iter().copied()
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Latency => "latency",
            Self::Cpu => "cpu",
            Self::Submit => "submit",
            Self::Fleet => "fleet",
            Self::Artifacts => "artifacts",
            Self::Idle => "idle",
            Self::Ideas => "ideas",
            Self::Recovery => "recovery",
            Self::Peers => "peers",
        }
    }

    /// Measured on each database; the others on one.
    pub(crate) const fn depends_on_the_store(self) -> bool {
        match self {
            Self::Tasks | Self::Latency | Self::Cpu | Self::Submit | Self::Idle | Self::Ideas => {
                true
            }
            Self::Fleet | Self::Artifacts | Self::Recovery | Self::Peers => false,
        }
    }

    pub(crate) fn run(self, run: &mut Run<'_>) -> anyhow::Result<()> {
        match self {
            Self::Tasks => tasks::run(run),
            Self::Latency => latency::run(run),
            Self::Cpu => cpu::run(run),
            Self::Submit => submit::run(run),
            Self::Fleet => fleet::run(run),
            Self::Artifacts => artifacts::run(run),
            Self::Idle => idle::run(run),
            Self::Ideas => ideas::run(run),
            Self::Recovery => recovery::run(run),
            Self::Peers => peers::run(run),
        }
    }
}

/// So many `/bin/true` as one submission.
fn array(count: u32) -> JobSpec {
    let mut spec = JobSpec::new(["/bin/true"]);
    spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last: count - 1 }));
    spec
}

/// The same for nobody: no node carries its label, so that it waits.
fn waiting(mut spec: JobSpec) -> JobSpec {
    spec.labels.insert("bench".into(), "nobody".into());
    spec
}
