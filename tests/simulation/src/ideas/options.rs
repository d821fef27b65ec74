//! One seed's world of the ledger: how much of what goes wrong in it, and which bug is planted in it.

use super::planted::Bug;
use crate::rng::Rng;

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident = $low:literal ..= $high:literal,)*) => {
        /// One seed's world. Chances are per mille.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Options {
            /// What all chance comes from.
            pub seed: u64,
            /// A bug to plant.
            pub bug: Option<Bug>,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Options {
            /// The world of this seed.
            pub fn of(seed: u64, bug: Option<Bug>) -> Self {
                let mut rng = Rng::new(seed ^ 0x0069_6465_6173_7369);
                let mut options = Self { seed, bug, $($name: rng.between($low, $high),)* };
                bug.iter().for_each(|bug| bug.make_room(&mut options));
                options
            }

            /// Sets one figure by its name; false when there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => return false,
                }
                true
            }

            /// Every figure with its name.
            pub fn figures(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

options! {
    /// Registries that may write; one at a time is to.
    instances = 1..=2,
    /// Authors, each with a spool.
    authors = 2..=4,
    /// Entries that each of them files.
    entries = 3..=10,
    /// Clients that remember heads.
    followers = 1..=3,
    /// The log begins with so many tenths of a nearly full tile; most begin empty.
    grown = 0..=9,
    /// How long faults go on, in milliseconds.
    faults_ms = 5_000..=25_000,
    /// Time from one fault to the next, on average, in milliseconds.
    fault_every_ms = 400..=3_000,
    /// Steps of a registry at which it dies.
    crash = 0..=12,
    /// Questions and answers that vanish.
    drop = 0..=200,
    /// Questions that come twice.
    double = 0..=150,
    /// Transactions that do not come to pass.
    commit_fails = 0..=60,
    /// Transactions that come to pass, sooner or later, and whose answer is lost.
    commit_unknown = 0..=60,
    /// Writes to the disk that fail.
    disk_fails = 0..=40,
    /// Uploads and looks that the object store answers with 503.
    store_unavailable = 0..=150,
    /// Uploads that come to pass, some of them late, and whose answer is lost.
    store_unknown = 0..=100,
    /// Uploads that are answered with success and are not there.
    store_lies = 0..=60,
    /// Questions to the witness that it does not answer, or of which the answer is lost.
    witness_lost = 0..=200,
    /// Messages of the stream that come out of their order or once more.
    stream_mixed = 0..=300,
    /// Times that a database is put back from a backup.
    restores = 0..=2,
}

impl Options {
    /// The command that runs this world again.
    pub fn replay(&self) -> String {
        let mut command = format!("./run sim --world ideas --seed {}", self.seed);
        if let Some(bug) = self.bug {
            command.push_str(&format!(" --bug {}", bug.name()));
        }
        let usual = Self::of(self.seed, self.bug);
        for ((name, value), (_, expected)) in self.figures().into_iter().zip(usual.figures()) {
            if value != expected {
                command.push_str(&format!(" --set {name}={value}"));
            }
        }
        command
    }

    /// Every figure as text.
    pub fn text(&self) -> String {
        let bug = self.bug.map(|bug| format!("bug = {}\n", bug.name())).unwrap_or_default();
        let figures = self.figures().into_iter().map(|(name, value)| format!("{name} = {value}\n"));
        format!("seed = {}\n{bug}{}", self.seed, figures.collect::<String>())
    }
}
