//! PostgreSQL behind a network that fails: what becomes of a round is within what the model may do.

use std::{sync::Arc, time::Duration};

use mesh_contract::{Extent, extent, round};
use mesh_orchestrator::store::{self, Store};
use mesh_sim::models::{Faults, Told};
use mesh_tests::{
    postgres::Postgres,
    proxy::{Flow, Link, Proxy, Target},
    wait_until,
};

use super::{
    Lead, laws,
    model::Model,
    sql::{commit, settle},
};
use crate::within::May;

const SOON: Duration = Duration::from_secs(60);
/// How long it takes, as a rule, until a round is in the network.
const BRIEFLY: Duration = Duration::from_millis(300);
/// How long one that is given up is there: longer than it takes to write something else meanwhile.
const LATE: Duration = Duration::from_secs(3);

struct Network {
    proxy: Proxy,
    /// Through the proxy.
    store: Arc<dyn Store>,
    /// Over a network that is well.
    direct: Arc<dyn Store>,
    lead: Lead,
}

impl Network {
    /// A leader who has written for a while, so that each of its connections knows the statement: one that
    /// does not would ask about it first, and give that up.
    async fn new() -> Self {
        let cluster = Postgres::shared().await.unwrap();
        let proxy = Proxy::start(Target::Unix(cluster.socket())).await;
        let (url, password) = (cluster.database().await.unwrap(), cluster.password().to_owned());
        let direct = store::open(&url, Some(password.clone())).await.unwrap();
        let name = url.split(['/', '?']).nth(3).unwrap();
        let url = format!("postgres://mesh@{}/{name}", proxy.address());
        let store = store::open(&url, Some(password)).await.unwrap();
        let leader = store.take_lead().await.unwrap();
        let lead = Lead { leader, load: store.settle(leader).await.unwrap() };
        for number in 10..30 {
            assert_eq!(commit(&*store, lead, &round(number)).await, Told::Done(leader));
        }
        Self { proxy, store, direct, lead }
    }

    async fn extent(&self) -> Extent {
        extent(&self.direct.load().await.unwrap().0, 1)
    }

    /// A round during which the connection is cut, and what is there of it afterwards.
    async fn cut_amid(&self, link: Link) -> laws::Did {
        self.proxy.set(link);
        let changes = round(1);
        let told = commit(&*self.store, self.lead, &changes).await;
        self.proxy.set(Link::GOOD);
        (vec![Some(told)], vec![self.extent().await])
    }

    /// A round that is given up while it is in the network.
    async fn give_up(&self) {
        // The pool asks a connection that comes back whether it is alive, which must not count below.
        tokio::time::sleep(BRIEFLY).await;
        let up = Flow { delay: LATE, ..Flow::GOOD };
        self.proxy.set(Link { up, ..Link::GOOD });
        let (before, changes) = (self.proxy.passed().up_bytes, round(1));
        tokio::select! {
            told = commit(&*self.store, self.lead, &changes) => panic!("too soon: {told:?}"),
            () = async {
                // It asks again before it lends one; then the round is sent.
                let alive = async || self.proxy.passed().up_bytes > before;
                wait_until(SOON, "the question", alive).await;
                tokio::time::sleep(BRIEFLY).await;
            } => {}
        }
        self.proxy.set(Link::GOOD);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_over_a_network_that_is_cut_is_whole_or_not_there() {
    let may = May::of(async |seed| {
        laws::an_answered_round_is_there(&mut Model::new(seed, Faults::Any)).await
    });
    let may = may.await;
    let cut = |bytes| Flow { cut_after: Some(bytes), ..Flow::GOOD };
    // Behind the pool's question whether the connection is alive, and its answer: amid the round, and amid
    // what is said to it.
    let lost = Network::new().await.cut_amid(Link { up: cut(500), ..Link::GOOD }).await;
    let unheard = Network::new().await.cut_amid(Link { down: cut(20), ..Link::GOOD }).await;
    for did in [lost, unheard] {
        assert!(matches!(did.0[..], [Some(Told::Unavailable)]), "{did:?}");
        may.admits(&did);
    }
}

/// What is loaded behind a settling stays, though a round that was given up in the network comes later.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_comes_after_the_next_load_was_begun_is_refused() {
    let may = May::of(async |seed| {
        laws::what_is_loaded_after_a_round_was_given_up_is_final(&mut Model::new(seed, Faults::Any))
            .await
    });
    let may = may.await;
    let network = Network::new().await;
    network.give_up().await;
    let before = network.proxy.passed().down_bytes;
    let settled = settle(&*network.direct, network.lead.leader).await;
    assert!(matches!(settled, Told::Done(_)), "{settled:?}");
    let then = network.extent().await;
    let answered = async || network.proxy.passed().down_bytes > before;
    wait_until(SOON, "what was given up is answered", answered).await;
    let extents = vec![then, network.extent().await];
    assert_eq!(extents, [Extent::None; 2], "loaded before it came, and after");
    may.admits(&(vec![Some(Told::Done(0))], extents));
}

/// Why that is needed: nothing else keeps such a round from landing behind whatever was written meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_given_up_in_the_network_lands_behind_a_later_one() {
    let network = Network::new().await;
    network.give_up().await;
    let later = commit(&*network.direct, network.lead, &round(2)).await;
    assert_eq!(later, Told::Done(network.lead.leader));
    assert_eq!(network.extent().await, Extent::None, "it is still in the network");
    wait_until(SOON, "it lands", async || network.extent().await == Extent::Whole).await;
}
