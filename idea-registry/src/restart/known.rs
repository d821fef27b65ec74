//! What is known of the log that cannot go on: here, at its witnesses, and in the object store.

use mesh_schemas::{ErrorCode, Problem, idea::Say};
use mesh_tlog::{CHECKPOINT_PATH, Hash, SignedCheckpoint, TreeHead};
use tracing::warn;

use crate::{
    config::{Config, ObjectsConfig},
    identity::{Identity, name_of},
    publish::Objects,
    rebuild::{signed, trusted},
    registry::Place,
    replay,
    store::{LogRow, Store},
    tiles::TileDir,
    witnesses::Witness,
};

/// Versions that are tried; more are not in use by any log.
const TRIES_MAX: usize = 64;

/// What is done when somebody does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silent {
    /// The new log is not begun: they may know of a later head.
    Refuse,
    /// It is begun without them.
    PassOver,
}

/// Who is asked.
#[derive(Debug)]
pub struct Others {
    witnesses: Vec<Witness>,
    objects: Option<ObjectsConfig>,
    silent: Silent,
}

impl Others {
    /// Nobody: what lies here is all there is.
    pub const fn none() -> Self {
        Self { witnesses: Vec::new(), objects: None, silent: Silent::Refuse }
    }

    /// Those of a configuration.
    ///
    /// # Errors
    /// `E_CONFIG`.
    pub fn of(config: &Config, silent: Silent) -> Result<Self, Problem> {
        mesh_fabric::tls::install_provider();
        let witnesses = config.witnesses.iter().map(Witness::open).collect::<Result<_, _>>()?;
        Ok(Self { witnesses, objects: config.objects.clone(), silent })
    }

    /// The checkpoints that they have of a log, and where.
    async fn checkpoints(
        &self,
        origin: &str,
        version: u32,
    ) -> Result<Vec<(String, Vec<u8>)>, Problem> {
        let mut found = Vec::new();
        for witness in &self.witnesses {
            let answer = self.answer(witness.checkpoint(origin).await)?;
            found.extend(answer.map(|note| (format!("the witness {}", witness.key.name()), note)));
        }
        if let Some(config) = &self.objects {
            let answer = self.answer(Objects::open(config, version)?.get(CHECKPOINT_PATH).await)?;
            found.extend(answer.map(|note| ("the object store".to_owned(), note)));
        }
        Ok(found)
    }

    fn answer<T>(&self, answer: Result<Option<T>, Problem>) -> Result<Option<T>, Problem> {
        match (answer, self.silent) {
            (Ok(answer), _) => Ok(answer),
            (Err(problem), Silent::PassOver) => {
                warn!("Going on without an answer: {}", problem.detail);
                Ok(None)
            }
            (Err(problem), Silent::Refuse) => {
                Err(problem
                    .hint("it may know of a later head; `--pass-over-silent` goes on without"))
            }
        }
    }
}

/// The origin of the last log, and the largest head of it that anybody may have seen. The key that lies here may be of a
/// later log than the database knows, which was put back. Of a log that nothing was signed of there is none to go on from:
/// it is the log before that people know.
pub(super) async fn last_head(
    store: &Store,
    place: &Place,
    others: &Others,
    kept: &LogRow,
) -> Result<(String, TreeHead), Problem> {
    let logs = store.logs().await?;
    let file = Identity::of_file(&place.data, &logs)?;
    if let Some(later) = file.filter(|file| file.version > kept.version) {
        let row = later.row();
        let head = largest(store, place, others, &row).await?;
        if head.size > 0 {
            return Ok((row.origin, head));
        }
    }
    let head = largest(store, place, others, kept).await?;
    if head.size == 0
        && let Some(first) = replay::leaves(store, kept.version, 0).await?.into_iter().next()
        && let Say::Origin { old_origin, old_size, old_root, .. } = first.entry.say
    {
        return Ok((old_origin, TreeHead { size: old_size, root: Hash(old_root.0) }));
    }
    Ok((kept.origin.clone(), head))
}

async fn largest(
    store: &Store,
    place: &Place,
    others: &Others,
    log: &LogRow,
) -> Result<TreeHead, Problem> {
    let key = trusted(log)?;
    let mut heads = vec![TreeHead::EMPTY];
    let row = store.last_checkpoint(log.version).await?;
    heads.extend(row.map(|row| TreeHead { size: row.size, root: Hash(row.root.0) }));
    let cosigned = store.cosigned(log.version).await?;
    heads.extend(cosigned.iter().map(|seen| TreeHead { size: seen.size, root: Hash(seen.root.0) }));
    match signed(&TileDir::of_log(&place.data, log.version), &key) {
        Ok(checkpoint) => heads.push(checkpoint.head()),
        Err(problem) if problem.code == ErrorCode::NotFound => {}
        // It may be of a larger head than anybody else knows.
        Err(problem) => {
            return Err(
                problem.hint("put the file back, or remove it to go on without what it says")
            );
        }
    }
    for (place, note) in others.checkpoints(&log.origin, log.version).await? {
        match key.open(&note).as_ref().map(SignedCheckpoint::head) {
            Ok(head) => heads.push(head),
            Err(error) => warn!("What {place} has of {} is not its: {error}", log.origin),
        }
    }
    Ok(heads.into_iter().max_by_key(|head| head.size).unwrap_or(TreeHead::EMPTY))
}

/// The next version of which nothing lies here, and of whose origin nobody has a checkpoint: two logs of one
/// origin would be a fork, whatever their keys.
pub(super) async fn unseen_version(
    place: &Place,
    others: &Others,
    kept: &LogRow,
) -> Result<u32, Problem> {
    let last = Identity::last_version(&place.data)?.max(kept.version);
    for version in (last.saturating_add(1)..).take(TRIES_MAX) {
        let origin = format!("{}/v{version}", name_of(&kept.origin));
        let seen = others.checkpoints(&origin, version).await?;
        let Some((place, _)) = seen.first() else { return Ok(version) };
        warn!("{place} has a checkpoint of {origin}, which the database has forgotten");
    }
    let detail =
        format!("somebody has a checkpoint of each of the {TRIES_MAX} versions behind v{last}");
    Err(Problem::new(ErrorCode::Integrity, detail).hint("look at what the witnesses answer"))
}
