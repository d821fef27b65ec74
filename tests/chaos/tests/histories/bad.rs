//! Bad histories: the good one with one thing spoiled, and the invariant that must be named.

use mesh_chaos::{
    check::Invariant::{self, *},
    history::*,
};
use mesh_schemas::{
    EndClass, Epoch, JobId, TaskState, Timestamp,
    api::{EventKind, EventView},
    attempt::JobState,
};

use crate::story::{adopted, attempt, cancelled, job, lost, node, plain, retried};

type Bad = (&'static str, Invariant, fn(&mut History));

/// All of them.
pub(crate) fn all() -> Vec<Bad> {
    let mut all = jobs_and_tasks();
    all.extend(keys_and_leases());
    all.extend(stored());
    all.extend(around());
    all.extend(ideas());
    all
}

fn jobs_and_tasks() -> Vec<Bad> {
    vec![
        ("an accepted job is gone", I1, |h| h.jobs.retain(|job| job.id != plain())),
        ("a job was accepted twice", I1, |h| {
            let event = first(h, plain(), EventKind::JobAccepted).clone();
            insert_after(h, event.seq, event);
        }),
        ("a job finished twice", I1, |h| {
            let event = first(h, plain(), EventKind::JobFinished).clone();
            insert_after(h, event.seq, event);
        }),
        ("a job is live in its row and finished in the log", I1, |h| {
            let job = h.jobs.iter_mut().find(|job| job.id == plain()).unwrap();
            (job.state, job.finished_at) = (JobState::Running, None);
        }),
        ("a task is gone", I1, |h| h.tasks.retain(|task| task.job != lost())),
        ("a task's row says another end than the log", I1, |h| {
            h.tasks.iter_mut().find(|task| task.job == plain()).unwrap().state = TaskState::Failed;
        }),
        ("a task succeeded twice", I2, second_success),
        ("a zombie's end was recorded", I2, |h| {
            // The first attempt, long lost, ends again while the second holds the lease.
            let zombie = ended(h, lost(), 1).clone();
            let after = leased(h, lost(), 2).seq;
            insert_after(h, after, zombie);
        }),
        ("the task's row is of an epoch that never was", I2, |h| {
            h.tasks.iter_mut().find(|task| task.job == lost()).unwrap().epoch = 3;
        }),
        ("a success was recorded as nothing", I2, |h| {
            let row = h.attempts.iter_mut().find(|row| row.key == attempt(plain(), 1)).unwrap();
            row.class = Some(EndClass::UserError);
        }),
        ("a cancelled job was leased", I4, |h| {
            let mut event = leased(h, plain(), 1).clone();
            event.job = Some(cancelled());
            let after = first(h, cancelled(), EventKind::JobFinished).seq;
            insert_after(h, after, event);
        }),
        ("a finished task was queued again without a retry", I4, |h| {
            let event = first(h, lost(), EventKind::TaskQueued).clone();
            let after = first(h, lost(), EventKind::TaskFinished).seq;
            insert_after(h, after, event);
        }),
        ("a failed job ran again though nobody retried it", I4, |h| {
            h.events.retain(|event| event.kind != EventKind::JobRetried);
        }),
        ("a client saw an end that is no more", I4, |h| {
            let op = h.ops.iter_mut().find(|op| op.action == Action::Look(plain())).unwrap();
            op.done.as_mut().unwrap().outcome = Outcome::Ok(Answer::Seen(JobState::Failed));
        }),
    ]
}

fn keys_and_leases() -> Vec<Bad> {
    vec![
        ("one key has two jobs", I3, |h| h.jobs[1].key = h.jobs[0].key.clone()),
        ("one key was answered with two jobs", I3, |h| {
            let mut again = h.ops[0].clone();
            again.done.as_mut().unwrap().outcome =
                Outcome::Ok(Answer::Submitted { job: lost(), created: false });
            h.ops.push(again);
        }),
        ("one key made two new jobs", I3, |h| h.ops.push(h.ops[0].clone())),
        ("one key was accepted with two bodies", I3, |h| {
            let mut again = h.ops[0].clone();
            if let Action::Submit { body, .. } = &mut again.action {
                *body = "another body".into();
            }
            again.done.as_mut().unwrap().outcome =
                Outcome::Ok(Answer::Submitted { job: plain(), created: false });
            h.ops.push(again);
        }),
        ("the same body was refused as another", I3, |h| {
            let mut again = h.ops[0].clone();
            again.done.as_mut().unwrap().outcome = Outcome::Fail("E_IDEM_MISMATCH".into());
            h.ops.push(again);
        }),
        ("a submit was refused, and yet there is a job", I3, |h| {
            h.ops[0].done.as_mut().unwrap().outcome = Outcome::Fail("E_STORE_DOWN".into());
        }),
        ("two leases overlap", I5, |h| {
            h.events.retain(|event| {
                let end = event.kind == EventKind::AttemptEnded && event.epoch == Some(Epoch(1));
                !(end && event.job == Some(lost()))
            });
        }),
        ("an epoch did not grow", I5, |h| {
            let at = leased(h, lost(), 2).seq;
            h.events.iter_mut().find(|event| event.seq == at).unwrap().epoch = Some(Epoch(1));
        }),
        ("a lease was adopted after another had been granted", I5, |h| {
            let mut event = first(h, adopted(), EventKind::AttemptAdopted).clone();
            event.job = Some(lost());
            let after = leased(h, lost(), 2).seq;
            insert_after(h, after, event);
        }),
        ("another node than the owner reported a start", I5, |h| {
            let at = first(h, plain(), EventKind::AttemptStarted).seq;
            h.events.iter_mut().find(|event| event.seq == at).unwrap().node = Some(node(2));
        }),
        ("a lease has no row", I5, |h| h.attempts.retain(|row| row.key != attempt(lost(), 1))),
    ]
}

fn stored() -> Vec<Bad> {
    vec![
        ("a chunk has other bytes", I8, |h| {
            h.manifests[0].damage.push("chunk 3 of out: its BLAKE3 is 00".into());
        }),
        ("a recorded manifest is gone", I8, |h| {
            h.manifests.retain(|manifest| manifest.attempt != attempt(plain(), 1));
        }),
        ("a log became shorter", I8, |h| {
            let of = |m: &&mut StoredManifest| m.attempt == attempt(plain(), 1) && m.version == 1;
            h.manifests.iter_mut().find(of).unwrap().log_bytes = [9, 0];
        }),
        ("a version was given to two manifests", I8, |h| {
            let of = |m: &&StoredManifest| m.attempt == attempt(plain(), 1) && m.version == 1;
            let mut again = h.manifests.iter().find(of).unwrap().clone();
            again.key = again.key.map(|key| key.replace("-0123", "-4567"));
            h.manifests.push(again);
        }),
        ("a line of versions began anew in the middle of another", I8, |h| {
            // What became of C11b with a full disk: of two lines the one reaches beyond the other's end.
            let of = |m: &&mut StoredManifest| m.attempt == attempt(plain(), 1);
            for (manifest, bytes) in h.manifests.iter_mut().filter(of).zip([5, 9]) {
                manifest.log_bytes = [bytes, 0];
            }
            let mut other = h.manifests[1].clone();
            other.key = other.key.map(|key| key.replace("-0123", "-4567"));
            (other.log_bytes, other.recorded) = ([7, 0], false);
            h.manifests.push(other);
        }),
        ("a success whose last manifest was forgotten", I8, |h| {
            h.manifests[1].complete = false;
        }),
        ("a result names a pack of another job", I9, |h| {
            h.manifests[0].packs.push(format!("a/{}/0/1/p1", job(9)));
        }),
        ("a result names a pack of an earlier attempt without a checkpoint", I9, |h| {
            let of = |m: &&mut StoredManifest| m.attempt == attempt(lost(), 2);
            let later = h.manifests.iter_mut().find(of).unwrap();
            later.packs.push(format!("a/{}/0/1/p1", lost()));
        }),
        ("a success printed something else", Results, |h| {
            h.manifests[1].stdout = Some("hello 1\n".into());
        }),
        ("a success left another file", Results, |h| {
            h.manifests[1].files.insert("out".into(), "00".repeat(32));
        }),
        ("a job that must succeed failed", Results, |h| {
            let job = h.jobs.iter_mut().find(|job| job.id == plain()).unwrap();
            job.state = JobState::Failed;
        }),
    ]
}

fn ledger(history: &mut History) -> &mut Ledger {
    history.ledger.as_mut().unwrap()
}

fn ideas() -> Vec<Bad> {
    vec![
        ("an acknowledged idea is gone", I6, |h| drop(ledger(h).entries.pop())),
        ("an acknowledged idea is at another place", I6, |h| ledger(h).entries.swap(0, 1)),
        ("an idea is there twice", I6, |h| ledger(h).entries.push("entry_1".into())),
        ("the auditor finds something", I6, |h| ledger(h).findings.push("a leaf".into())),
        ("a head was seen that is none of the log", I7, |h| ledger(h).roots[1] = "other".into()),
        ("the log is shorter than a head", I7, |h| drop(ledger(h).roots.pop())),
        ("two heads are of two keys", I7, |h| {
            let op = h.ops.iter_mut().find(|op| op.action == Action::Head).unwrap();
            let (size, root) = (1, "root 1".into());
            op.done.as_mut().unwrap().outcome =
                Outcome::Ok(Answer::Head { size, root, key: "another".into() });
        }),
    ]
}

fn around() -> Vec<Bad> {
    vec![
        ("a success has no owner node", I10, |h| h.tasks[0].node = None),
        ("an ended attempt has no result", I10, |h| h.attempts[0].manifest = None),
        ("a job has no trace", I10, |h| h.jobs[0].trace = String::new()),
        ("a revoked node got work", I12, |h| {
            let mut event = leased(h, plain(), 1).clone();
            event.node = Some(node(3));
            let after = h.events.last().unwrap().seq;
            insert_after(h, after, event);
        }),
        ("a revoked node was still heard", I12, |h| {
            let mut event = first(h, plain(), EventKind::AttemptStarted).clone();
            let revoked = h.events.last().unwrap().clone();
            event.node = Some(node(3));
            event.at = Timestamp::from_millis(revoked.at.as_millis() + 5_001);
            insert_after(h, revoked.seq, event);
        }),
        ("a job is still queued after the drain", I13, |h| {
            let job = h.jobs.iter_mut().find(|job| job.id == plain()).unwrap();
            (job.state, job.finished_at) = (JobState::Queued, None);
        }),
        ("a lease is left after the drain", I13, |h| h.attempts[0].ended_at = None),
        ("a node still holds an event that was never recorded", I13, |h| {
            h.journals[0].unrecorded.push("job_…/0#1 attempt_ended".into());
        }),
        ("the drain took too long", I13, |h| h.ending.drained = Some(false)),
        ("work of a dead node was given up late", Requeue, |h| {
            let death = h.faults[0].at;
            for event in h.events.iter_mut().filter(|event| event.at > death) {
                event.at = Timestamp::from_millis(event.at.as_millis() + 100_000);
            }
        }),
        ("a retry has no audit line", I14, |h| {
            h.audit.as_mut().unwrap().retain(|line| line.subject != retried().to_string());
        }),
        ("a secret is in a log", I15, |h| {
            let found = &mut h.scan.as_mut().unwrap().found;
            found.push(("the admin token".into(), "orchestrator.log".into()));
        }),
        ("memory did not come back", I16, |h| h.samples[1].pss_kib = 90_000),
        ("descriptors did not come back", I16, |h| h.samples[1].fds = 60),
    ]
}

/// The second success is recorded under the same lease, as if the fence had let both through.
pub(crate) fn second_success(history: &mut History) {
    let end = ended(history, plain(), 1).clone();
    let after = end.seq;
    insert_after(history, after, end);
}

fn first(history: &History, job: JobId, kind: EventKind) -> &EventView {
    history.events.iter().find(|event| event.job == Some(job) && event.kind == kind).unwrap()
}

fn of_epoch(history: &History, job: JobId, kind: EventKind, epoch: u32) -> &EventView {
    let wanted = |event: &&EventView| {
        event.job == Some(job) && event.kind == kind && event.epoch == Some(Epoch(epoch))
    };
    history.events.iter().find(wanted).unwrap()
}

fn leased(history: &History, job: JobId, epoch: u32) -> &EventView {
    of_epoch(history, job, EventKind::AttemptLeased, epoch)
}

fn ended(history: &History, job: JobId, epoch: u32) -> &EventView {
    of_epoch(history, job, EventKind::AttemptEnded, epoch)
}

/// Puts an event behind the one with this number; all later ones move up.
fn insert_after(history: &mut History, seq: u64, mut event: EventView) {
    for later in history.events.iter_mut().filter(|event| event.seq > seq) {
        later.seq += 1;
    }
    event.seq = seq + 1;
    let index =
        history.events.iter().position(|event| event.seq > seq).unwrap_or(history.events.len());
    history.events.insert(index, event);
}
