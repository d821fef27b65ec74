//! A real nats-server with the stream NODE_EVENT as the product makes it, nodes behind a proxy each.

use std::time::Duration;

use async_nats::{
    Client, Subscriber,
    connection::State,
    jetstream::{
        self,
        consumer::{DeliverPolicy, pull::OrderedConfig},
        stream::Stream,
    },
};
use futures::{FutureExt as _, StreamExt as _};
use mesh_fabric::nats::{Connect, connect, ensure_stream};
use mesh_schemas::{
    NodeId,
    message::{MESSAGE_BYTES_MAX, NodeCommands, NodeEvents},
    subject::{self, NODE_EVENT},
};
use mesh_sim::models::Arrived;
use mesh_tests::{
    nats::NatsServer,
    proxy::{Accept, Link, Proxy, Target},
    wait_for, wait_until,
};

use super::{Broker, Cut, Trace, commands, events, unaltered};

/// Long enough for anything that is to come, on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// After so long without it a mark is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(300);
/// Numbers from here on are marks: what was sent before one over the same connection has come before it.
const MARKS: u64 = 1_000_000;

struct Node {
    id: NodeId,
    client: Client,
    proxy: Proxy,
    told: Subscriber,
    cut: Option<Cut>,
}

pub(super) struct Nats {
    server: NatsServer,
    service: Client,
    nodes: Vec<Node>,
    /// The last number read from the stream.
    position: u64,
    marks: u64,
}

impl Nats {
    pub(super) async fn start() -> Self {
        let server = NatsServer::start();
        let service = server.service("orchestrator").await;
        let mut nats = Self { server, service, nodes: Vec::new(), position: 0, marks: MARKS };
        nats.stream().await;
        for _ in 0..2 {
            let node = nats.join().await;
            nats.nodes.push(node);
        }
        // A mark that a node hears shows that its subscription has reached the server.
        assert_eq!(nats.arrivals().await, []);
        nats
    }

    async fn join(&self) -> Node {
        let address = self.server.url().strip_prefix("nats://").unwrap().parse().unwrap();
        let proxy = Proxy::start(Target::Tcp(address)).await;
        let user = self.server.new_node();
        let urls = vec![format!("nats://{}", proxy.address())];
        let options = Connect { urls, ..self.server.node_options(&user) };
        let client = connect(options).await.unwrap();
        let told = client.subscribe(subject::node_commands(user.node)).await.unwrap();
        Node { id: user.node, client, proxy, told, cut: None }
    }

    async fn stream(&self) -> Stream {
        let jetstream = jetstream::new(self.service.clone());
        let stream = async || ensure_stream(&jetstream, &NODE_EVENT).await.ok();
        wait_for(SOON, "the stream NODE_EVENT", stream).await
    }

    fn index(&self, subject: &str) -> usize {
        let id = subject::node_of(subject).unwrap();
        self.nodes.iter().position(|node| node.id == id).unwrap()
    }

    /// Everybody who is not cut off has found the broker again.
    async fn reconnected(&self) {
        let reachable = self.nodes.iter().filter(|node| node.cut.is_none());
        for client in reachable.map(|node| &node.client).chain([&self.service]) {
            wait_until(SOON, "the broker is found again", async || client.flush().await.is_ok())
                .await;
        }
    }

    /// Reads the stream from where it stopped up to a mark, which a node sends when it can, and which is
    /// sent again until it comes: the first may have been lost.
    async fn read_to_mark(&mut self, marker: Option<usize>) -> Vec<Arrived> {
        self.marks += 1;
        let mark = self.marks;
        let deliver_policy = match self.position {
            0 => DeliverPolicy::All,
            position => DeliverPolicy::ByStartSequence { start_sequence: position + 1 },
        };
        let config = OrderedConfig { deliver_policy, ..OrderedConfig::default() };
        let consumer = self.stream().await.create_consumer(config).await.unwrap();
        let mut messages = consumer.messages().await.unwrap();
        let by = &self.nodes[marker.unwrap_or(0)];
        let client = if marker.is_some() { &by.client } else { &self.service };
        let mut found = Vec::new();
        let reading = async {
            loop {
                let payload = serde_json::to_vec(&events(0, mark)).unwrap();
                client.publish(subject::node_event(by.id), payload.into()).await.unwrap();
                while let Ok(next) = tokio::time::timeout(AGAIN_AFTER, messages.next()).await {
                    let message = next.unwrap().unwrap();
                    let sequence = message.info().unwrap().stream_sequence;
                    let heard: NodeEvents = serde_json::from_slice(&message.payload).unwrap();
                    if heard.first_seq < MARKS {
                        found.push(Arrived::Up(self.index(&message.subject), heard));
                    } else if heard.first_seq == mark {
                        return sequence;
                    }
                }
            }
        };
        self.position = tokio::time::timeout(SOON, reading).await.expect("the mark comes");
        found
    }

    /// What a node was told up to a mark; what it has heard anyway when it is cut off.
    async fn told_to_mark(&mut self, index: usize) -> Vec<Arrived> {
        self.marks += 1;
        let (mark, node) = (self.marks, &mut self.nodes[index]);
        let mut found = Vec::new();
        let reading = async {
            loop {
                let payload = serde_json::to_vec(&commands(index, mark)).unwrap();
                let subject = subject::node_commands(node.id);
                self.service.publish(subject, payload.into()).await.unwrap();
                let next = match node.cut {
                    None => tokio::time::timeout(AGAIN_AFTER, node.told.next()).await.ok(),
                    Some(_) => node.told.next().now_or_never(),
                };
                let Some(message) = next else {
                    if node.cut.is_some() {
                        return;
                    }
                    continue;
                };
                let heard: NodeCommands =
                    serde_json::from_slice(&message.unwrap().payload).unwrap();
                if heard.leader < MARKS {
                    found.push(Arrived::Down(index, heard));
                } else if heard.leader == mark {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, reading).await.expect("the mark comes");
        found
    }
}

impl Broker for Nats {
    async fn say(&mut self, node: usize, number: u64) {
        let payload = serde_json::to_vec(&events(node, number)).unwrap();
        let node = &self.nodes[node];
        node.client.publish(subject::node_event(node.id), payload.into()).await.unwrap();
    }

    async fn tell(&mut self, node: usize, number: u64) {
        let payload = serde_json::to_vec(&commands(node, number)).unwrap();
        let subject = subject::node_commands(self.nodes[node].id);
        self.service.publish(subject, payload.into()).await.unwrap();
        self.service.flush().await.unwrap();
    }

    async fn taken(&mut self, count: u64) {
        wait_until(SOON, "the stream has it", async || {
            self.stream().await.get_info().await.is_ok_and(|info| info.state.messages >= count)
        })
        .await;
    }

    async fn cut(&mut self, node: usize, how: Cut) {
        let node = &mut self.nodes[node];
        node.cut = Some(how);
        match how {
            Cut::Silent => node.proxy.set(Link::PARTITION),
            Cut::Reset => {
                node.proxy.set(Link { accept: Accept::Refuse, ..Link::GOOD });
                node.proxy.reset_all();
                wait_until(SOON, "the node sees the reset", async || {
                    node.client.connection_state() != State::Connected
                })
                .await;
            }
        }
    }

    async fn heal(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.cut = None;
        node.proxy.set(Link::GOOD);
        self.reconnected().await;
    }

    async fn wipe(&mut self) {
        self.server.kill();
        self.server.wipe();
        self.server.restart();
        self.position = 0;
        self.reconnected().await;
    }

    async fn restart(&mut self) {
        self.server.restart();
        self.reconnected().await;
    }

    async fn replay(&mut self) {
        self.position = 0;
    }

    async fn arrivals(&mut self) -> Vec<Arrived> {
        let mut found = Vec::new();
        for index in 0..self.nodes.len() {
            let marker = self.nodes[index].cut.is_none().then_some(index);
            found.extend(self.read_to_mark(marker).await);
        }
        for index in 0..self.nodes.len() {
            found.extend(self.told_to_mark(index).await);
        }
        found
    }
}

/// Beyond the stream's limit and beyond the server's: neither is kept, and the words around them are.
pub(super) async fn too_large_is_lost_alone(mut nats: Nats) -> Trace {
    nats.say(0, 1).await;
    let node = &nats.nodes[0];
    let large = vec![b'x'; MESSAGE_BYTES_MAX + 1];
    node.client.publish(subject::node_event(node.id), large.into()).await.unwrap();
    let huge = vec![b'x'; 4 * MESSAGE_BYTES_MAX + 1];
    let refused = node.client.publish(subject::node_event(node.id), huge.into()).await;
    assert!(refused.is_err(), "the client is to know the server's limit");
    nats.say(0, 3).await;
    let trace = unaltered(nats.arrivals().await);
    assert_eq!(trace.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [1, 3]);
    trace
}

/// A beat that nobody listened to does not come when somebody does; the next one does.
pub(super) async fn nobody_listens(mut nats: Nats) {
    let (client, id) = (nats.nodes[0].client.clone(), nats.nodes[0].id);
    client.publish(subject::node_beat(id), "before".into()).await.unwrap();
    // What comes later over the same connection has come: so has the beat.
    nats.arrivals().await;
    let mut beats = nats.service.subscribe(subject::NODE_BEATS).await.unwrap();
    let listening = async || {
        client.publish(subject::node_beat(id), "after".into()).await.unwrap();
        tokio::time::timeout(AGAIN_AFTER, beats.next()).await.ok().flatten()
    };
    let first = wait_for(SOON, "a beat", listening).await;
    assert_eq!(first.payload, "after");
}
