//! What breaks, and who repairs it.

use mesh_ideas_core::{
    Unsigned,
    ledger::{Leaf, Ledger, project},
    sign,
};
use mesh_schemas::idea::{Say, Sha256};
use mesh_tlog::TreeHead;

use super::{
    db::{Log, Tables},
    disk::Name,
    env::{Event, Step},
    keys::{VERSIONS_MAX, row},
    people::State,
    planted::Bug,
    stats::Kind,
    world::World,
};

/// Backups that are kept.
const BACKUPS_MAX: usize = 4;

pub(super) fn strike(world: &mut World) {
    if world.env.calm {
        return;
    }
    let every = world.env.options.fault_every_ms;
    let wait = world.env.rng.between(every / 2, every * 3 / 2);
    world.env.after(wait, Event::Fault);
    let index = world.env.rng.index(world.instances.len());
    match world.env.rng.between(0, 11) {
        0 | 1 => {
            world.env.stats.count(Kind::CrashAtStep);
            world.crash(index);
        }
        2 | 3 => freeze(world, index),
        4 => {
            world.env.stats.count(Kind::PowerCut);
            world.crash(index);
            world.instances[index].disk.power_cut(&mut world.env);
        }
        5 => {
            world.env.stats.count(Kind::DatabaseRestart);
            world.db.restart(&mut world.env);
        }
        6 => {
            world.env.stats.count(Kind::DatabaseDown);
            world.db.restart(&mut world.env);
            world.db.down = true;
            let wait = world.env.rng.between(50, 3_000);
            world.env.after(wait, Event::DatabaseBack);
        }
        7 => world.stream.wipe(&mut world.env),
        8 => lose_spool(world),
        9 => {
            world.env.stats.count(Kind::ClockSet);
            let skews = [-86_400_000, -3_600_000, 0, 3_600_000, 315_360_000_000];
            world.instances[index].skew = skews[world.env.rng.index(skews.len())];
        }
        _ => restore(world),
    }
}

/// It is stopped for a while; the database forgets its session, and another may take over.
fn freeze(world: &mut World, index: usize) {
    world.env.stats.count(Kind::Zombie);
    let instance = &mut world.instances[index];
    instance.frozen_until = world.env.now + world.env.rng.between(50, 4_000);
    if world.db.session == Some((index, instance.life)) && world.env.rng.chance(700) {
        world.db.session = None;
    }
}

/// A machine of an author is lost, with what it had not been told an index of.
fn lose_spool(world: &mut World) {
    let author = world.env.rng.index(world.to_file.len());
    let spooled = world.items.iter_mut().filter(|item| item.author == author);
    for item in spooled.filter(|item| item.state == State::Spooled) {
        world.env.stats.count(Kind::SpoolLost);
        item.state = State::SpoolLost;
    }
}

pub(super) fn backup(world: &mut World) {
    if world.env.calm {
        return;
    }
    let wait = world.env.rng.between(500, 8_000);
    world.env.after(wait, Event::Backup);
    if world.db.down {
        return;
    }
    world.env.stats.count(Kind::Backup);
    world.db.backups.push(world.db.tables.clone());
    if world.db.backups.len() > BACKUPS_MAX {
        world.db.backups.remove(0);
    }
}

/// The database is put back from a backup, at times on machines that lost their disks as well.
fn restore(world: &mut World) {
    if world.restores == 0 {
        return;
    }
    world.restores -= 1;
    world.env.stats.count(Kind::Restored);
    for index in 0..world.instances.len() {
        world.crash(index);
    }
    world.db.restart(&mut world.env);
    let without_disk = world.env.rng.chance(500);
    if without_disk {
        world.env.stats.count(Kind::RestoredWithoutDisk);
        world.instances.iter_mut().for_each(|instance| instance.disk.lose_all());
    }
    let choice = world.env.rng.index(world.db.backups.len());
    world.db.backups.truncate(choice + 1);
    let backup = world.db.backups[choice].clone();
    let was = std::mem::replace(&mut world.db.tables, backup);
    for log in was.logs {
        let left = world.db.log(log.version).map_or(0, Log::size);
        let kept = known_elsewhere(world, log.version).map_or(0, |head| head.size);
        forget_acknowledged(world, log.version, left);
        world.observer.restored(log.version, log.leaves, left, kept);
    }
}

/// The largest head that witness or object store have.
fn known_elsewhere(world: &World, version: u32) -> Option<TreeHead> {
    let note = world.objects.peek((version, Name::Checkpoint));
    let copied = note.and_then(|note| world.keys.trusted(version).open(note).ok());
    let witnessed = world.witness.peek(world.keys.origin(version));
    copied.map(|copied| copied.head()).into_iter().chain(witnessed).max_by_key(|head| head.size)
}

/// The largest head that anybody knows whom the operator can ask.
fn known_anywhere(world: &World, version: u32) -> TreeHead {
    let row = world.db.log(version).map(Log::last_row);
    if world.env.has(Bug::OriginNamesOwnHead) {
        return row.unwrap_or(TreeHead::EMPTY);
    }
    let on_disk = world.instances.iter().filter_map(|instance| {
        let note = instance.disk.read((version, Name::Checkpoint))?;
        Some(world.keys.trusted(version).open(note).ok()?.head())
    });
    let known = on_disk.chain(row).chain(known_elsewhere(world, version));
    known.max_by_key(|head| head.size).unwrap_or(TreeHead::EMPTY)
}

fn forget_acknowledged(world: &mut World, of: u32, left: u64) {
    for item in &mut world.items {
        let State::Acknowledged { version, index, .. } = item.state else { continue };
        if version == of && index >= left {
            world.env.stats.count(Kind::LostByRestore);
            item.state = State::LostByRestore;
        }
    }
}

/// Looks whether a log cannot go on, and lets it go on under a new origin.
pub(super) fn operate(world: &mut World) {
    let wait = world.env.rng.between(200, 2_000);
    world.env.after(wait, Event::Operator);
    let halted = world.instances.iter().any(|one| one.run.as_ref().is_some_and(|run| run.halted));
    if (!halted && !world.mixed_up) || world.db.down || world.identity == VERSIONS_MAX {
        return;
    }
    world.env.stats.count(Kind::NewOrigin);
    world.mixed_up = false;
    for index in 0..world.instances.len() {
        world.stop(index);
        world.step_after(index, 100, Step::Start);
    }
    world.db.restart(&mut world.env);
    let old = world.identity;
    let database = world.db.tables.logs.last().map_or(0, |log| log.version);
    // The database may be from before this origin; its key is never used for another beginning.
    if database == old || !world.env.has(Bug::KeyTakenUpAgain) {
        world.identity += 1;
    }
    let head = known_anywhere(world, old);
    let named = world.observer.began(world.identity, (old, head));
    named.unwrap_or_else(|what| world.env.broken("A11", what));
    let say = Say::Origin {
        old_origin: world.keys.origin(old).to_owned(),
        old_size: head.size,
        old_root: Sha256(head.root.0),
        key: None,
    };
    begin_log(&mut world.db.tables, world.identity, |keys| {
        sign(Unsigned { name: None, time: world.env.time(), say }, &keys.registry)
    });
}

fn begin_log(
    tables: &mut Tables,
    version: u32,
    make: impl FnOnce(&super::keys::Keys) -> mesh_schemas::idea::Entry,
) {
    let entry = make(super::keys::Keys::get());
    let row = row(&entry, None);
    let mut ledger = Ledger::default();
    ledger.apply(&project(&Leaf { index: 0, id: row.id, entry: &entry }, None));
    tables.logs.push(Log { version, leaves: vec![row], ledger, ..Log::default() });
}

pub(super) fn calm_down(world: &mut World) {
    world.env.calm = true;
    world.calm_at = world.env.now;
    world.db.down = false;
    for index in 0..world.instances.len() {
        let instance = &mut world.instances[index];
        instance.skew = 0;
        instance.frozen_until = 0;
        // Who only believes to be the writer is ended by its operator.
        if instance.run.is_some() && world.db.session != Some((index, instance.life)) {
            world.crash(index);
        }
    }
    if world.env.has(Bug::FenceDropped) {
        // Nothing has told the one what the other wrote: both are to read it anew.
        world.db.restart(&mut world.env);
        (0..world.instances.len()).for_each(|index| world.crash(index));
    }
    world.env.after(500, Event::Check);
}
