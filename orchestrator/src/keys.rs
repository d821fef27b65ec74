//! Keys of objects: who owns what a caller, person or node, asks for. A key that is not of exactly one
//! of these shapes belongs to nobody; comparing beginnings would let `..` reach another's objects.

use mesh_schemas::{AttemptKey, Epoch, JobId, UploadId};

/// Longest name of an object below its owner's prefix.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// The job and attempt that a key `a/<job>/<task>/<epoch>/<name>` belongs to.
pub(crate) fn attempt_of(key: &str) -> Option<AttemptKey> {
    let mut parts = key.split('/');
    if parts.next() != Some("a") {
        return None;
    }
    let job: JobId = parts.next()?.parse().ok()?;
    let (task, epoch) = (number(parts.next()?)?, number(parts.next()?)?);
    let name = parts.next()?;
    (is_name(name) && parts.next().is_none()).then_some(AttemptKey {
        job,
        task,
        epoch: Epoch(epoch),
    })
}

/// The upload that a key `u/<upload>/<name>` belongs to.
pub(crate) fn upload_of(key: &str) -> Option<UploadId> {
    let (upload, name) = key.strip_prefix("u/")?.split_once('/')?;
    upload.parse().ok().filter(|_| is_name(name))
}

/// Letters, digits, `-`, `_` and `.`, not beginning with a dot.
pub(crate) fn is_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(inner)
}

/// A number in its one spelling, so that two keys never name one object.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_owner_or_nobody() {
        let attempt = AttemptKey { job: mesh_fabric::ids::job_id(), task: 3, epoch: Epoch(2) };
        let prefix = mesh_schemas::subject::attempt_prefix(attempt);
        assert_eq!(attempt_of(&format!("{prefix}p-1.pack")), Some(attempt));
        for bad in ["", "..", "a/b", "a%2fb", ".hidden", "a b", "ä", &"x".repeat(129)] {
            assert_eq!(attempt_of(&format!("{prefix}{bad}")), None, "{bad}");
        }
        assert_eq!(attempt_of(&format!("a/{}/03/2/p", attempt.job)), None);
        assert_eq!(attempt_of(&format!("a/{}/+3/2/p", attempt.job)), None);
        assert_eq!(upload_of(&format!("{prefix}p")), None);
    }
}
