//! I8 and I9: what was stored can be read and is right, and it is the attempt's own.

use mesh_schemas::{AttemptKey, EndClass, Epoch, subject};

use super::{Invariant, Look, Verdict, index::Index};
use crate::history::StoredManifest;

/// I8.
pub(super) fn readable(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I8);
    for (&attempt, versions) in &index.manifests {
        for manifest in versions {
            look.see();
            for damage in &manifest.damage {
                let what = format!("{attempt} version {}: {damage}", manifest.version);
                look.wrong(Some(attempt.job), what, slice(index, attempt));
            }
        }
        one_line(index, attempt, versions, &mut look);
        is_final(index, attempt, versions, &mut look);
    }
    for attempt in index.attempts.values().filter(|attempt| attempt.manifest.is_some()) {
        let followed = index.manifests.get(&attempt.key);
        if !followed.is_some_and(|all| all.iter().any(|manifest| manifest.recorded)) {
            let what = format!("{} has a manifest that nobody has followed", attempt.key);
            look.wrong(Some(attempt.key.job), what, slice(index, attempt.key));
        }
    }
    look.verdict("no attempt left a manifest")
}

/// A version names one manifest; where it does, the attempt's manifests are one line by their versions,
/// and along it no log ever becomes shorter. Some versions name nothing: a number is taken before its
/// manifest is stored. An attempt that kept nothing has no manifest, whatever its row says.
fn one_line(index: &Index<'_>, attempt: AttemptKey, versions: &[&StoredManifest], look: &mut Look) {
    let is_one = |manifest: &&&StoredManifest| {
        let kept_nothing = manifest.key.is_none() && manifest.verified_bytes == 0;
        manifest.damage.is_empty() && !kept_nothing
    };
    let line: Vec<&StoredManifest> = versions.iter().filter(is_one).copied().collect();
    for (before, after) in line.iter().zip(line.iter().skip(1)) {
        let what = if before.version == after.version {
            let shown = |manifest: &StoredManifest| {
                manifest.key.clone().unwrap_or_else(|| "the one in its row".to_owned())
            };
            let (one, other) = (shown(before), shown(after));
            format!("{attempt}: version {} was given twice, {one} and {other}", before.version)
        } else if before.log_bytes.iter().zip(&after.log_bytes).any(|(b, a)| a < b) {
            format!(
                "{attempt}: version {} has logs of {:?} bytes, the later {} of {:?}",
                before.version, before.log_bytes, after.version, after.log_bytes
            )
        } else {
            continue;
        };
        look.wrong(Some(attempt.job), what, slice(index, attempt));
    }
}

/// A good end names the final manifest.
fn is_final(index: &Index<'_>, attempt: AttemptKey, versions: &[&StoredManifest], look: &mut Look) {
    let Some(recorded) = versions.iter().find(|manifest| manifest.recorded) else { return };
    let class = index.attempts.get(&attempt).and_then(|attempt| attempt.class);
    if class == Some(EndClass::Success) && !recorded.complete {
        let what = format!("{attempt} succeeded, its manifest is not the final one");
        look.wrong(Some(attempt.job), what, slice(index, attempt));
    }
}

/// I9. An attempt that began with a checkpoint may name packs of the attempts before it: it has the same
/// bytes, and does not store them twice.
pub(super) fn own_bytes(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I9);
    for manifest in &index.history.manifests {
        let attempt = manifest.attempt;
        let own = subject::attempt_prefix(attempt);
        let with_checkpoint = |epoch: u32| {
            let earlier = AttemptKey { epoch: Epoch(epoch), ..attempt };
            index.manifests.get(&earlier).is_some_and(|all| all.iter().any(|m| m.checkpoint))
        };
        for key in manifest.packs.iter().chain(&manifest.key) {
            look.see();
            let lent = (1..attempt.epoch.0).any(|epoch| {
                let prefix = subject::attempt_prefix(AttemptKey { epoch: Epoch(epoch), ..attempt });
                key.starts_with(&prefix) && with_checkpoint(epoch)
            });
            let is_pack = Some(key) != manifest.key.as_ref();
            let may = key.starts_with(&own) || (lent && is_pack);
            if !may {
                let what = format!("{attempt} names {key}, which is another's");
                look.wrong(Some(attempt.job), what, slice(index, attempt));
            }
        }
    }
    look.verdict("no manifest names an object")
}

fn slice(index: &Index<'_>, attempt: AttemptKey) -> Vec<String> {
    let events = index.task_events.get(&(attempt.job, attempt.task));
    let own = events.into_iter().flatten().filter(|event| event.epoch == Some(attempt.epoch));
    let witnesses: Vec<u64> = own.map(|event| event.seq).collect();
    index.slice(attempt.job, Some(attempt.task), &witnesses)
}
