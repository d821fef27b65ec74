//! What attempts write: bytes that anybody can make again, so that what is read back can be compared.

use mesh_schemas::{AttemptKey, JobId};

/// Length of one line of a log, in bytes.
const LINE: u64 = 20;

fn mix(seed: u64, number: u64) -> u64 {
    let mixed = (seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(29);
    mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn seed(job: JobId, task: u32) -> u64 {
    let bits = job.uuid().as_u128().to_le_bytes();
    bits.iter().fold(u64::from(task), |seed, byte| mix(seed, u64::from(*byte)))
}

/// The bytes `from..to` of an attempt's standard output.
pub(crate) fn log(attempt: AttemptKey, from: u64, to: u64) -> Vec<u8> {
    let seed = mix(seed(attempt.job, attempt.task), u64::from(attempt.epoch.0));
    let mut bytes = Vec::new();
    for line in from / LINE..to.div_ceil(LINE) {
        let text = format!("{:016x} ok\n", mix(seed, line));
        let begin = line * LINE;
        let cut = |at: u64| usize::try_from(at.clamp(begin, begin + LINE) - begin).unwrap_or(0);
        bytes.extend_from_slice(&text.as_bytes()[cut(from)..cut(to)]);
    }
    bytes
}

/// A version of a file that an attempt of the task writes; the same whichever attempt wrote it.
pub(crate) fn file(job: JobId, task: u32, name: &str, version: u32) -> Vec<u8> {
    let seed = mix(seed(job, task), u64::from(version));
    let lines = 2 + seed % 4;
    let line = |line| format!("{name} {:016x}\n", mix(seed, line));
    (0..lines).map(line).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use mesh_schemas::Epoch;

    use super::*;

    #[test]
    fn pieces_of_a_log_are_the_log() {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(5));
        let attempt = AttemptKey { job, task: 1, epoch: Epoch(2) };
        let whole = log(attempt, 0, 100);
        assert_eq!(whole.len(), 100);
        let pieces = [log(attempt, 0, 7), log(attempt, 7, 40), log(attempt, 40, 100)].concat();
        assert_eq!(pieces, whole);
    }
}
