//! What a node can and cannot do on a real nats-server (RELIABILITY.md §4, T2, T3, T5).
//!
//! A refusal is proved twice: by the violation that the server logs with the subject, and by its lack
//! of effect, seen behind a permitted message sent after it on the same connection.

#![expect(clippy::unwrap_used, reason = "a test without its answer has failed")]

use std::time::Duration;

use async_nats::{Client, Subscriber, connection::State};
use futures::StreamExt as _;
use mesh_fabric::{
    nats::{Connect, Credential, connect, ensure_stream},
    nats_auth::{ClusterKeys, Revocations, push_account},
    tls::CertAuthority,
};
use mesh_schemas::subject;
use mesh_tests::{
    nats::{NatsServer, NodeUser},
    wait_until,
};

/// How long anything that should happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Within which a revoked node must be cut off (RELIABILITY.md §4, T27).
const REVOKED_WITHIN: Duration = Duration::from_secs(5);
/// Answered by the server itself to anybody with the right to ask.
const BARRIER: &str = "$SYS.REQ.USER.INFO";

async fn next(subscriber: &mut Subscriber) -> async_nats::Message {
    tokio::time::timeout(PATIENCE, subscriber.next()).await.unwrap().unwrap()
}

/// The server has read everything that this service's connection sent: `flush` alone does not say so.
async fn settled(service: &Client) {
    service.request(BARRIER, "".into()).await.unwrap();
}

/// Waits until the server has logged a violation of this kind (`Publish` or `Subscription`) on it.
async fn violation(server: &NatsServer, kind: &str, on: &str) {
    let what = format!("a {kind} violation on {on}");
    wait_until(PATIENCE, &what, async || {
        let logged = |line: &str| {
            line.contains(&format!("{kind} Violation")) && line.contains(&format!("\"{on}\""))
        };
        server.log().lines().any(logged)
    })
    .await;
}

async fn is_down(client: &Client, within: Duration) {
    wait_until(within, "the server cuts the connection", async || {
        client.connection_state() != State::Connected
    })
    .await;
}

#[tokio::test]
async fn a_node_cannot_publish_beyond_its_own_subjects() {
    let server = NatsServer::start();
    let service = server.service("orchestrator").await;
    let jetstream = async_nats::jetstream::new(service.clone());
    ensure_stream(&jetstream, &subject::NODE_EVENT).await.unwrap();
    let (one, two) = (server.new_node(), server.new_node());
    let client = server.connect_node(&one).await.unwrap();
    let mut heard = service.subscribe(">").await.unwrap();
    settled(&service).await;

    let forbidden = [
        subject::node_event(two.node),
        subject::node_beat(two.node),
        subject::node_commands(two.node),
        subject::node_commands(one.node),
        format!("{}.x", subject::node_inbox(two.node)),
        "mesh.v1.up".to_owned(),
        "_INBOX.x.y".to_owned(),
        "$JS.API.STREAM.DELETE.NODE_EVENT".to_owned(),
        "$JS.API.STREAM.PURGE.NODE_EVENT".to_owned(),
        "$JS.API.CONSUMER.MSG.NEXT.NODE_EVENT.c".to_owned(),
        "$JS.ACK.NODE_EVENT.c.1.1.1.1700000000000000000.0".to_owned(),
        "$JS.ACK._.hash.NODE_EVENT.c.1.1.1.1700000000000000000.0".to_owned(),
        "$SYS.REQ.CLAIMS.UPDATE".to_owned(),
    ];
    for subject in &forbidden {
        client.publish(subject.clone(), "forged".into()).await.unwrap();
    }
    client.publish(subject::node_beat(one.node), "own".into()).await.unwrap();

    let last = loop {
        let message = next(&mut heard).await;
        assert_ne!(message.payload, "forged", "{message:?}");
        if message.payload == "own" {
            break message;
        }
    };
    assert_eq!(last.subject.as_str(), subject::node_beat(one.node));
    for subject in &forbidden {
        violation(&server, "Publish", subject).await;
    }
    assert!(jetstream.get_stream(subject::NODE_EVENT.name).await.is_ok());
}

#[tokio::test]
async fn a_node_cannot_listen_beyond_its_own_subjects() {
    let server = NatsServer::start();
    let service = server.service("orchestrator").await;
    let (one, two) = (server.new_node(), server.new_node());
    let client = server.connect_node(&one).await.unwrap();

    let other = subject::node_commands(two.node);
    let forbidden =
        [">", "_INBOX.>", "mesh.>", "mesh.v1.cmd.*", "mesh.v1.cmd.*.>", &other, "$SYS.>"];
    // Before the forbidden ones: when their violations are logged, this one is in place.
    let mut own = client.subscribe(subject::node_commands(one.node)).await.unwrap();
    let mut overheard = Vec::new();
    for subject in forbidden {
        overheard.push(client.subscribe(subject.to_owned()).await.unwrap());
        let queue = client.queue_subscribe(subject.to_owned(), "q".to_owned()).await;
        overheard.push(queue.unwrap());
    }
    for subject in forbidden {
        violation(&server, "Subscription", subject).await;
    }

    let (inbox, asked) = ("_INBOX.secret.x", subject::agent_ask(two.node));
    for subject in [other.as_str(), inbox, &asked, &subject::node_event(two.node)] {
        service.publish(subject.to_owned(), "not for one".into()).await.unwrap();
    }
    service.publish(subject::node_commands(one.node), "for one".into()).await.unwrap();
    assert_eq!(next(&mut own).await.payload, "for one");
    for subscriber in &mut overheard {
        let heard = futures::FutureExt::now_or_never(subscriber.next());
        assert!(!matches!(heard, Some(Some(_))), "{heard:?}");
    }
}

#[tokio::test]
async fn a_node_asks_and_is_asked_over_its_own_subjects() {
    let server = NatsServer::start();
    let service = server.service("orchestrator").await;
    let user = server.new_node();
    let client = server.connect_node(&user).await.unwrap();

    // Before the request: when that is answered, this one is in place.
    let mut asked = client.subscribe(subject::agent_ask(user.node)).await.unwrap();
    let mut asks = service.subscribe(subject::NODE_ASKS).await.unwrap();
    let mut replies = service.subscribe(subject::AGENT_REPLIES).await.unwrap();
    settled(&service).await;
    let answer = async {
        let ask = next(&mut asks).await;
        assert_eq!(subject::node_of(&ask.subject), Some(user.node));
        let reply = ask.reply.unwrap();
        assert!(reply.starts_with(&subject::node_inbox(user.node)), "{reply}");
        service.publish(reply, "answer".into()).await.unwrap();
    };
    let request = client.request(subject::node_ask(user.node), "ask".into());
    let (answered, ()) = tokio::join!(request, answer);
    assert_eq!(answered.unwrap().payload, "answer");

    let reply_to = subject::agent_reply(user.node, "c1");
    let ask = subject::agent_ask(user.node);
    service.publish_with_reply(ask, reply_to.clone(), "?".into()).await.unwrap();
    let question = next(&mut asked).await;
    client.publish(question.reply.unwrap(), "!".into()).await.unwrap();
    let reply = next(&mut replies).await;
    assert_eq!((reply.subject.as_str(), &reply.payload[..]), (reply_to.as_str(), &b"!"[..]));
}

#[tokio::test]
async fn a_nodes_event_is_kept_and_confirmed_without_rights_on_jetstream() {
    let server = NatsServer::start();
    let service = server.service("orchestrator").await;
    let jetstream = async_nats::jetstream::new(service);
    // Twice: the second finds it as it should be.
    ensure_stream(&jetstream, &subject::NODE_EVENT).await.unwrap();
    let mut stream = ensure_stream(&jetstream, &subject::NODE_EVENT).await.unwrap();
    let user = server.new_node();
    let client = server.connect_node(&user).await.unwrap();
    let event = subject::node_event(user.node);
    let node = async_nats::jetstream::new(client);
    let taken = node.publish(event, "event".into()).await.unwrap();
    assert_eq!(taken.await.unwrap().stream, subject::NODE_EVENT.name);
    assert_eq!(stream.info().await.unwrap().state.messages, 1);
}

/// Revokes the node in the running server.
async fn revoke(server: &NatsServer, user: &NodeUser) {
    let now = mesh_fabric::time::now().as_millis() / 1_000;
    let revocations = Revocations([(user.public_key.clone(), now)].into());
    let jwt = server.keys().account_jwt(&revocations);
    push_account(&server.system().await, &jwt).await.unwrap();
}

#[tokio::test]
async fn a_revoked_node_is_cut_off_within_seconds_and_stays_out() {
    let mut server = NatsServer::start();
    let service = server.service("orchestrator").await;
    let (good, bad) = (server.new_node(), server.new_node());
    let good_client = server.connect_node(&good).await.unwrap();
    let bad_client = server.connect_node(&bad).await.unwrap();

    revoke(&server, &bad).await;
    is_down(&bad_client, REVOKED_WITHIN).await;
    assert!(server.connect_node(&bad).await.is_err(), "a revoked node may not come back");
    assert_eq!(good_client.connection_state(), State::Connected);
    assert_eq!(service.connection_state(), State::Connected);

    // The configuration preloads the account without revocations: the pushed one must win.
    server.restart();
    assert!(server.connect_node(&bad).await.is_err(), "a restart lets nobody in again");
    assert!(server.connect_node(&good).await.is_ok());
    assert_ne!(bad_client.connection_state(), State::Connected);
}

#[tokio::test]
async fn a_wiped_server_is_told_again_who_was_revoked() {
    let mut server = NatsServer::start();
    let bad = server.new_node();
    revoke(&server, &bad).await;
    server.kill();
    server.wipe();
    server.restart();
    let client = server.connect_node(&bad).await.unwrap();
    revoke(&server, &bad).await;
    is_down(&client, REVOKED_WITHIN).await;
    assert!(server.connect_node(&bad).await.is_err());
}

#[tokio::test]
async fn an_account_jwt_that_cannot_be_read_changes_nothing() {
    let server = NatsServer::start();
    let system = server.system().await;
    let revoked = server.new_node();
    revoke(&server, &revoked).await;
    for bad in ["", "a.b.c", "\0", &server.keys().operator_jwt()] {
        assert!(push_account(&system, bad).await.is_err(), "{bad}");
        assert!(server.connect_node(&revoked).await.is_err(), "{bad}");
    }
}

/// Today's behaviour of the server, which its users must know: so one orchestrator pushes at a time.
#[tokio::test]
async fn the_account_jwt_pushed_last_counts_even_when_it_is_older() {
    let server = NatsServer::start();
    let old = server.keys().account_jwt(&Revocations::default());
    let node = server.new_node();
    revoke(&server, &node).await;
    assert!(server.connect_node(&node).await.is_err());
    push_account(&server.system().await, &old).await.unwrap();
    assert!(server.connect_node(&node).await.is_ok());
}

#[tokio::test]
async fn a_renewed_jwt_is_used_when_the_old_one_ends() {
    let server = NatsServer::start();
    let user = server.new_node();
    let jwt = |secs| {
        server.keys().node_jwt(user.node, &user.public_key, Duration::from_secs(secs)).unwrap()
    };
    *user.jwt.write().unwrap() = jwt(2);
    let client = server.connect_node(&user).await.unwrap();
    *user.jwt.write().unwrap() = jwt(600);
    is_down(&client, PATIENCE).await;
    wait_until(PATIENCE, "the client comes back", async || {
        client.connection_state() == State::Connected
    })
    .await;
    let service = server.service("orchestrator").await;
    let mut beats = service.subscribe(subject::NODE_BEATS).await.unwrap();
    settled(&service).await;
    client.publish(subject::node_beat(user.node), "back".into()).await.unwrap();
    assert_eq!(next(&mut beats).await.payload, "back");
}

#[tokio::test]
async fn nobody_gets_in_without_this_clusters_credentials() {
    let server = NatsServer::start();
    assert!(async_nats::connect(server.url()).await.is_err(), "nobody is anonymous");

    let stranger = ClusterKeys::generate().service_creds("orchestrator");
    let stranger = Connect::new(vec![server.url()], Credential::Creds(stranger), "stranger");
    assert!(connect(stranger).await.is_err());

    let (one, two) = (server.new_node(), server.new_node());
    let stolen_jwt = NodeUser { seed: two.seed, ..one };
    assert!(server.connect_node(&stolen_jwt).await.is_err(), "a JWT is no use without its seed");
}

#[tokio::test]
async fn a_client_outlives_a_killed_server() {
    let mut server = NatsServer::start();
    let user = server.new_node();
    let client = server.connect_node(&user).await.unwrap();
    server.kill();
    is_down(&client, PATIENCE).await;
    server.restart();
    let service = server.service("orchestrator").await;
    let mut beats = service.subscribe(subject::NODE_BEATS).await.unwrap();
    settled(&service).await;
    client.publish(subject::node_beat(user.node), "still here".into()).await.unwrap();
    assert_eq!(next(&mut beats).await.payload, "still here");
}

#[tokio::test]
async fn a_connection_may_be_asked_for_before_there_is_a_server() {
    let mut server = NatsServer::start();
    let user = server.new_node();
    server.kill();
    let options = server.node_options(&user);
    assert!(connect(options.clone()).await.is_err());
    let client = connect(Connect { wait_for_server: true, ..options }).await.unwrap();
    server.restart();
    wait_until(PATIENCE, "the connection", async || client.connection_state() == State::Connected)
        .await;
}

#[tokio::test]
async fn a_server_with_tls_is_trusted_through_its_own_authority_alone() {
    let server = NatsServer::start_with_tls();
    let user = server.new_node();
    assert!(server.connect_node(&user).await.is_ok());
    let options = server.node_options(&user);
    let other = CertAuthority::generate("other").unwrap();
    for ca_pem in [None, Some(other.ca_pem().to_owned())] {
        assert!(connect(Connect { ca_pem, ..options.clone() }).await.is_err());
    }
}

#[tokio::test]
async fn a_client_told_to_trust_one_authority_never_speaks_without_tls() {
    let server = NatsServer::start();
    let user = server.new_node();
    let authority = CertAuthority::generate("test").unwrap();
    let ca_pem = Some(authority.ca_pem().to_owned());
    let options = Connect { ca_pem, ..server.node_options(&user) };
    assert!(connect(options).await.is_err());
}
