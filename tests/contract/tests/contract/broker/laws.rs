//! The laws.

use std::collections::BTreeSet;

use super::{Broker, Cut, Trace, Whose, unaltered};

const UP: Whose = Whose::OrchestratorsFrom(0);

async fn heard(broker: &mut impl Broker) -> Trace {
    unaltered(broker.arrivals().await)
}

/// Nothing but these.
fn assert_only(heard: &Trace, sent: &[(Whose, u64)]) {
    assert!(heard.iter().all(|word| sent.contains(word)), "{heard:?} of {sent:?}");
}

/// Exactly these, in any order.
fn assert_each_once(heard: &Trace, sent: &[(Whose, u64)]) {
    let set = |words: &[(Whose, u64)]| words.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!((set(heard), heard.len()), (set(sent), sent.len()), "{heard:?} of {sent:?}");
}

pub(super) async fn while_nothing_fails_each_word_arrives_once(broker: &mut impl Broker) -> Trace {
    broker.say(0, 1).await;
    broker.say(0, 2).await;
    broker.tell(1, 3).await;
    let trace = heard(broker).await;
    assert_each_once(&trace, &[(UP, 1), (UP, 2), (Whose::Nodes(1), 3)]);
    broker.say(1, 1).await;
    broker.tell(0, 4).await;
    let rest = heard(broker).await;
    assert_each_once(&rest, &[(Whose::OrchestratorsFrom(1), 1), (Whose::Nodes(0), 4)]);
    trace
}

pub(super) async fn what_the_broker_took_outlives_its_kill(broker: &mut impl Broker) -> Trace {
    broker.say(0, 1).await;
    broker.say(0, 2).await;
    broker.taken(2).await;
    broker.restart().await;
    broker.say(0, 3).await;
    let trace = heard(broker).await;
    assert_each_once(&trace, &[(UP, 1), (UP, 2), (UP, 3)]);
    trace
}

async fn over_a_cut(broker: &mut impl Broker, how: Cut) -> Trace {
    broker.cut(0, how).await;
    broker.say(0, 1).await;
    broker.say(0, 2).await;
    assert_eq!(heard(broker).await, [], "it passed a cut");
    broker.heal(0).await;
    broker.say(0, 3).await;
    let trace = heard(broker).await;
    assert_only(&trace, &[(UP, 1), (UP, 2), (UP, 3)]);
    trace
}

pub(super) async fn over_a_silent_cut_words_are_lost_or_late(broker: &mut impl Broker) -> Trace {
    over_a_cut(broker, Cut::Silent).await
}

pub(super) async fn over_a_reset_words_are_lost_or_late(broker: &mut impl Broker) -> Trace {
    over_a_cut(broker, Cut::Reset).await
}

async fn commands_over(broker: &mut impl Broker, how: Cut) -> Trace {
    broker.cut(0, how).await;
    broker.tell(0, 1).await;
    assert_eq!(heard(broker).await, [], "it passed a cut");
    broker.heal(0).await;
    broker.tell(0, 2).await;
    let trace = heard(broker).await;
    assert_only(&trace, &[(Whose::Nodes(0), 1), (Whose::Nodes(0), 2)]);
    trace
}

pub(super) async fn commands_over_a_cut_are_lost_or_late(broker: &mut impl Broker) -> Trace {
    commands_over(broker, Cut::Silent).await
}

pub(super) async fn commands_over_a_reset_are_lost_or_late(broker: &mut impl Broker) -> Trace {
    commands_over(broker, Cut::Reset).await
}

pub(super) async fn a_wiped_broker_forgets_what_it_took(broker: &mut impl Broker) -> Trace {
    broker.say(0, 1).await;
    broker.taken(1).await;
    broker.wipe().await;
    broker.say(0, 2).await;
    let trace = heard(broker).await;
    assert_only(&trace, &[(UP, 2)]);
    trace
}

pub(super) async fn what_a_sender_could_not_send_outlives_a_wipe(
    broker: &mut impl Broker,
) -> Trace {
    broker.cut(0, Cut::Reset).await;
    broker.say(0, 1).await;
    broker.wipe().await;
    broker.heal(0).await;
    let trace = heard(broker).await;
    assert_only(&trace, &[(UP, 1)]);
    trace
}

pub(super) async fn a_reader_that_begins_again_hears_again(
    broker: &mut impl Broker,
) -> (Trace, Trace) {
    broker.say(0, 1).await;
    broker.say(0, 2).await;
    let first = heard(broker).await;
    broker.replay().await;
    let again = heard(broker).await;
    assert_only(&first, &[(UP, 1), (UP, 2)]);
    assert_only(&again, &[(UP, 1), (UP, 2)]);
    (first, again)
}
