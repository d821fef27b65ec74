//! Leading and standing by in turn, for as long as the process lives.

use std::time::Duration;

use mesh_fabric::error::chain;
use mesh_schemas::{ErrorCode, Problem};
use metrics::{counter, gauge};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Parts, StandBy, Standing, open,
    term::{Broken, Term},
};
use crate::{
    lead::{self, Election, Lease, Lost, Seen},
    store::StoreError,
};

/// Longest wait for the database to hear that the lead is free.
const RELEASE_WAIT_MAX: Duration = Duration::from_secs(2);

/// The loop that minds who leads.
#[derive(Debug)]
pub(super) struct Candidate {
    parts: Parts,
    election: Election,
    standing: watch::Sender<Standing>,
    stop_http: CancellationToken,
}

/// How a term ended.
enum Ended {
    /// This process was told to stop.
    Stopped,
    /// Another one leads, or may.
    Lost,
    /// This process cannot go on.
    Broken(Problem),
}

impl Candidate {
    pub(super) const fn new(
        parts: Parts,
        election: Election,
        standing: watch::Sender<Standing>,
        stop_http: CancellationToken,
    ) -> Self {
        Self { parts, election, standing, stop_http }
    }

    /// Runs until `stop`, and then until the lead is given up.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Problem> {
        while let Some(lease) = self.until_elected(&stop).await? {
            match self.lead(&lease, &stop).await {
                Ended::Stopped => {
                    self.release(&lease).await;
                    return Ok(());
                }
                Ended::Lost => {}
                Ended::Broken(problem) => {
                    self.release(&lease).await;
                    return Err(problem);
                }
            }
        }
        Ok(())
    }

    /// Stands by; `None` when told to stop.
    async fn until_elected(&mut self, stop: &CancellationToken) -> Result<Option<Lease>, Problem> {
        loop {
            let Some(seen) = stop.run_until_cancelled(self.election.look()).await else {
                return Ok(None);
            };
            let wait = match seen {
                Ok(Seen::Elected(lease)) => return Ok(Some(lease)),
                Ok(Seen::Another(lead, wait)) => {
                    show_epoch(lead.leader);
                    let leads = !lead.left.is_zero();
                    let now = leads.then_some(StandBy::Behind { url: lead.url });
                    self.stand_by(now.unwrap_or(StandBy::NobodyKnown));
                    wait
                }
                Err(error @ StoreError::Unavailable { .. }) => {
                    if self.stand_by(StandBy::StoreDown) {
                        warn!("Cannot look who leads: {}", chain(&error));
                    }
                    self.election.pause()
                }
                Err(error) => return Err(open::store_problem(&error)),
            };
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Ok(None);
            }
        }
    }

    async fn lead(&self, lease: &Lease, stop: &CancellationToken) -> Ended {
        show_epoch(lease.leader());
        let mut term = match Term::begin(&self.parts, lease.clone(), &self.stop_http).await {
            Ok(term) => term,
            Err(problem) if may_pass(&problem) && !self.election.alone => {
                warn!("Elected, but cannot lead yet: {problem}");
                self.release(lease).await;
                self.stand_by(StandBy::NobodyKnown);
                tokio::time::sleep(self.election.pause()).await;
                return Ended::Lost;
            }
            Err(problem) => return Ended::Broken(problem),
        };
        self.standing.send_replace(Standing::Leads(Box::new(term.leading())));
        gauge!("mesh_leader").set(1.0);
        let store = &*self.election.store;
        let keeping = lead::keep(store, lease, self.election.ttl);
        tokio::pin!(keeping);
        let lost = tokio::select! {
            () = stop.cancelled() => {
                // The last round may take a while, and is written under a lease as any other.
                tokio::select! {
                    () = term.finish() => {}
                    lost = &mut keeping => warn!("Lost the lead while stopping: {lost}"),
                }
                term.abandon().await;
                return Ended::Stopped;
            }
            lost = &mut keeping => Ok(lost),
            broken = term.broken() => match broken {
                Broken::Fenced(_) if !self.election.alone => Ok(Lost::Taken),
                Broken::Fenced(problem) | Broken::Fault(problem) => Err(problem),
            },
        };
        lease.end();
        self.stand_by(StandBy::NobodyKnown);
        term.abandon().await;
        match lost {
            Ok(lost) => {
                counter!("mesh_leads_lost_total", "reason" => lost.as_str()).increment(1);
                warn!(leader = lease.leader(), "Lost the lead: {lost}; standing by");
                Ended::Lost
            }
            Err(problem) => Ended::Broken(problem),
        }
    }

    /// Says so to callers; false when it was said before.
    fn stand_by(&self, now: StandBy) -> bool {
        gauge!("mesh_leader").set(0.0);
        self.standing.send_if_modified(|standing| {
            match standing {
                Standing::StandsBy(before) if *before == now => return false,
                Standing::Undecided | Standing::Leads(_) | Standing::StandsBy(_) => {}
            }
            if let StandBy::Behind { url } = &now {
                info!("Standing by; {url} leads");
            }
            *standing = Standing::StandsBy(now);
            true
        })
    }

    async fn release(&self, lease: &Lease) {
        let released = tokio::time::timeout(RELEASE_WAIT_MAX, self.election.release(lease)).await;
        match released {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("The lead was not given up: {}", chain(&error)),
            Err(_) => warn!("The lead was not given up: the database does not answer"),
        }
    }
}

fn show_epoch(leader: u64) {
    // A gauge is a float: above 2^53 leaders it would be off by one.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    gauge!("mesh_leader_epoch").set(leader as f64);
}

/// What keeps a term from beginning now and may not later.
fn may_pass(problem: &Problem) -> bool {
    matches!(problem.code, ErrorCode::StoreDown | ErrorCode::NotLeader)
}
