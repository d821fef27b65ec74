//! One seed's world: how much of what goes wrong in it, and which bug is planted in it.

use std::time::Duration;

use mesh_core::Config;

use crate::{planted::Bug, rng::Rng};

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
                let mut rng = Rng::new(seed ^ 0x006d_6573_685f_7369);
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
    /// Orchestrators, of which one leads.
    orchestrators = 1..=2,
    /// Machines.
    nodes = 1..=4,
    /// Users, each with requests of their own.
    clients = 1..=3,
    /// Jobs that each of them submits.
    jobs = 1..=4,
    /// How long faults go on, in milliseconds.
    faults_ms = 20_000..=80_000,
    /// Time from one fault to the next, on average, in milliseconds.
    fault_every_ms = 1_500..=8_000,
    /// Messages that vanish.
    drop = 0..=120,
    /// Messages that come twice.
    double = 0..=100,
    /// Messages that take seconds.
    slow = 0..=60,
    /// Transactions that do not come to pass.
    commit_fails = 0..=25,
    /// Transactions that come to pass, sooner or later, and whose answer is lost.
    commit_unknown = 0..=25,
    /// Transactions around which the orchestrator dies.
    commit_crash = 0..=15,
    /// Uploads that the object store answers with 503.
    put_unavailable = 0..=150,
    /// Uploads that come to pass and whose answer is lost.
    put_unknown = 0..=100,
    /// Uploads that are answered with success and are not there.
    put_lies = 0..=40,
    /// Uploads and looks at objects that take seconds.
    store_slow = 0..=60,
    /// Appends to a node's journal in or after which the agent dies.
    append_crash = 0..=8,
    /// Appends after which the journal is compacted.
    compact = 0..=40,
    /// How far a clock runs fast or slow, in parts per million.
    drift_ppm = 0..=50_000,
    /// How long a lease lasts, in seconds.
    lease_s = 12..=30,
    /// How long a node works on without a word from the orchestrator, in seconds.
    contact_s = 20..=300,
    /// Messages over a cut way that come when it is whole again.
    held = 0..=500,
    /// Uploads that come to pass long after they were given up.
    put_late = 0..=60,
    /// 1 for a store that cannot refuse to overwrite.
    store_overwrites = 0..=1,
}

/// A chance per mille, or a number of things, as an index.
pub(crate) fn count(figure: u64) -> usize {
    usize::try_from(figure).unwrap_or(usize::MAX)
}

impl Options {
    /// The orchestrator's figures: the product's, with shorter leases so that more happens in a seed.
    pub fn config(&self) -> Config {
        let lease_ttl = Duration::from_secs(self.lease_s);
        let startup_grace = lease_ttl + Duration::from_secs(5);
        let config = Config { startup_grace, lease_ttl, ..Config::default() };
        match self.bug {
            // The core is to come too late, so that the planted loop does the rescuing.
            Some(Bug::RescueWithoutCas | Bug::RescueWithCas) => {
                Config { lease_ttl: config.lease_ttl * 4, ..config }
            }
            Some(_) | None => config,
        }
    }

    /// The command that runs this world again.
    pub fn replay(&self) -> String {
        let mut command = format!("./run sim --seed {}", self.seed);
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

    /// Every figure as text, as [`Options::read`] takes it.
    pub fn text(&self) -> String {
        let mut text = format!("seed = {}\n", self.seed);
        if let Some(bug) = self.bug {
            text.push_str(&format!("bug = {}\n", bug.name()));
        }
        for (name, value) in self.figures() {
            text.push_str(&format!("{name} = {value}\n"));
        }
        text
    }

    /// Reads lines of `name = value`; `#` begins a comment.
    ///
    /// # Errors
    /// What cannot be read, for people.
    pub fn read(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let pairs: Vec<(&str, &str)> = lines
            .filter(|line| !line.is_empty())
            .map(|line| line.split_once('=').map(|(name, value)| (name.trim(), value.trim())))
            .map(|pair| pair.ok_or_else(|| "a line is not `name = value`".to_owned()))
            .collect::<Result<_, _>>()?;
        let find = |wanted: &str| pairs.iter().find(|(name, _)| *name == wanted).map(|(_, v)| *v);
        let seed = find("seed").and_then(|value| value.parse().ok()).ok_or("no seed")?;
        let bug = find("bug").map(Bug::named).transpose()?;
        let mut options = Self::of(seed, bug);
        for (name, value) in pairs.into_iter().filter(|(name, _)| !["seed", "bug"].contains(name)) {
            let value = value.parse().map_err(|_| format!("{name} is not a number"))?;
            if !options.set(name, value) {
                return Err(format!("there is no figure {name}"));
            }
        }
        Ok(options)
    }
}
