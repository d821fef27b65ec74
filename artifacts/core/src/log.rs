//! Cuts append-only logs into segments, with marks of when they grew.
//!
//! A log that trickles would make a segment per upload for ever; so runs of small segments are
//! replaced by one that is read again. Replacing costs at most one segment's bytes in
//! [`SMALL_RUN`] uploads.

use mesh_schemas::{
    manifest::{LogSegment, LogStream, TimeMark},
    time::Timestamp,
};

/// Largest segment, in raw bytes.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 20;
/// Most marks in one segment; beyond it every second one goes.
pub const MARKS_PER_SEGMENT_MAX: usize = 256;
/// Most marks waiting to be stored; beyond it every second one goes.
pub const MARKS_WAITING_MAX: usize = 4_096;
/// So many small segments in a row become one.
pub const SMALL_RUN: usize = 16;

/// How a log grew since it was stored last.
#[derive(Debug, Clone, Default)]
pub struct Growth {
    seen: u64,
    marks: Vec<TimeMark>,
}

impl Growth {
    /// Begins where the stored bytes end.
    pub const fn after(stored: u64) -> Self {
        Self { seen: stored, marks: Vec::new() }
    }

    /// The log has `size` bytes now.
    pub fn observe(&mut self, size: u64, now: Timestamp) {
        if size <= self.seen {
            return;
        }
        self.marks.push(TimeMark { offset: self.seen, at: now });
        self.seen = size;
        thin(&mut self.marks, MARKS_WAITING_MAX);
    }

    /// Bytes seen so far.
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Marks that wait.
    pub fn marks(&self) -> &[TimeMark] {
        &self.marks
    }

    /// Forgets marks of bytes that are stored; the last of them stays, as it may reach beyond.
    pub fn stored_up_to(&mut self, offset: u64) {
        let before = self.marks.partition_point(|mark| mark.offset < offset);
        self.marks.drain(..before.saturating_sub(1));
    }
}

/// Keeps the first and every second of the others, until they fit.
fn thin(marks: &mut Vec<TimeMark>, most: usize) {
    while marks.len() > most {
        let mut index = 0;
        marks.retain(|_| {
            index += 1;
            index % 2 == 1
        });
    }
}

/// What to store of a log: the first `kept` segments stay, and these pieces follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Segments that stay.
    pub kept: usize,
    /// Pieces to read and store.
    pub pieces: Vec<Piece>,
}

/// One segment to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Number within its stream.
    pub seq: u32,
    /// First byte.
    pub offset: u64,
    /// Length in bytes, at most [`SEGMENT_BYTES_MAX`].
    pub len: u32,
    /// When which byte was seen.
    pub marks: Vec<TimeMark>,
}

/// Plans the segments of a log that has `size` bytes now. Nothing to do when none are new.
pub fn plan(stored: &LogStream, growth: &Growth, size: u64, now: Timestamp) -> Plan {
    if size <= stored.size {
        return Plan { kept: stored.segments.len(), pieces: Vec::new() };
    }
    let kept = kept_segments(&stored.segments);
    let (staying, replaced) = stored.segments.split_at(kept);
    let start = replaced.first().map_or(stored.size, |segment| segment.offset);
    let old = replaced.iter().flat_map(|segment| segment.marks.iter().copied());
    let mut marks: Vec<TimeMark> = old.collect();
    marks.extend(growth.marks().iter().filter(|mark| mark.offset >= stored.size));
    let carried = growth.marks().iter().rfind(|mark| mark.offset <= stored.size);
    if !marks.iter().any(|mark| mark.offset == stored.size) {
        let at = carried.map_or(now, |mark| mark.at);
        let index = marks.partition_point(|mark| mark.offset < stored.size);
        marks.insert(index, TimeMark { offset: stored.size, at });
    }
    Plan { kept, pieces: pieces(staying.len(), start, size, &marks) }
}

/// All but the last run of small segments, when it is long and one segment can hold it.
fn kept_segments(segments: &[LogSegment]) -> usize {
    let Some(from) = segments.len().checked_sub(SMALL_RUN) else { return segments.len() };
    let run = segments.get(from..).unwrap_or(&[]);
    let bytes: u64 = run.iter().map(|segment| u64::from(segment.len)).sum();
    if bytes < SEGMENT_BYTES_MAX / 2 { from } else { segments.len() }
}

fn pieces(first_seq: usize, start: u64, end: u64, marks: &[TimeMark]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut offset = start;
    while offset < end {
        let len = (end - offset).min(SEGMENT_BYTES_MAX);
        pieces.push(Piece {
            seq: u32::try_from(first_seq + pieces.len()).unwrap_or(u32::MAX),
            offset,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            marks: marks_of(marks, offset, offset + len),
        });
        offset += len;
    }
    pieces
}

/// The marks of `start..end`, the first of them at `start`. `marks` begin at or before `start`.
fn marks_of(marks: &[TimeMark], start: u64, end: u64) -> Vec<TimeMark> {
    let from = marks.partition_point(|mark| mark.offset <= start);
    let first = from.checked_sub(1).and_then(|index| marks.get(index));
    let first = first.map(|mark| TimeMark { offset: start, at: mark.at });
    let rest = marks.iter().skip(from).take_while(|mark| mark.offset < end).copied();
    let mut within: Vec<TimeMark> = first.into_iter().chain(rest).collect();
    thin(&mut within, MARKS_PER_SEGMENT_MAX);
    within
}

#[cfg(test)]
mod tests {
    use mesh_schemas::manifest::{SegmentData, StreamName};
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn empty() -> LogStream {
        LogStream { stream: StreamName::Stdout, size: 0, segments: Vec::new() }
    }

    fn carry_out(stream: &mut LogStream, growth: &mut Growth, size: u64, now: Timestamp) {
        let plan = plan(stream, growth, size, now);
        stream.segments.truncate(plan.kept);
        for piece in plan.pieces {
            stream.size = piece.offset + u64::from(piece.len);
            let Piece { seq, offset, len, marks } = piece;
            let data = SegmentData::Inline(String::new());
            stream.segments.push(LogSegment { seq, offset, len, marks, data });
        }
        growth.stored_up_to(stream.size);
    }

    fn assert_gapless(stream: &LogStream) {
        let mut end = 0;
        for (index, segment) in stream.segments.iter().enumerate() {
            assert_eq!(segment.seq as usize, index);
            assert_eq!(segment.offset, end);
            assert!(segment.len > 0 && u64::from(segment.len) <= SEGMENT_BYTES_MAX);
            end += u64::from(segment.len);
            assert_eq!(segment.marks[0].offset, segment.offset);
            assert!(segment.marks.is_sorted_by(|a, b| a.offset < b.offset));
            assert!(segment.marks.iter().all(|mark| mark.offset < end));
            assert!(segment.marks.len() <= MARKS_PER_SEGMENT_MAX);
        }
        assert_eq!(end, stream.size);
    }

    proptest! {
        #[test]
        fn segments_have_no_gaps_whatever_is_written_when(
            steps in prop::collection::vec((0_u64..2_500_000, any::<bool>(), any::<bool>()), 1..60),
        ) {
            let (mut stream, mut growth, mut size) = (empty(), Growth::default(), 0);
            for (step, (bytes, observed, stored)) in steps.into_iter().enumerate() {
                size += if bytes % 3 == 0 { bytes } else { bytes % 2_000 };
                let now = at(i64::try_from(step).unwrap());
                if observed { growth.observe(size, now); }
                if stored { carry_out(&mut stream, &mut growth, size, now); assert_gapless(&stream); }
            }
        }
    }

    #[test]
    fn a_mark_says_when_the_log_grew() {
        let (mut stream, mut growth) = (empty(), Growth::default());
        growth.observe(10, at(1));
        growth.observe(10, at(2));
        growth.observe(25, at(3));
        carry_out(&mut stream, &mut growth, 20, at(9));
        growth.observe(40, at(4));
        carry_out(&mut stream, &mut growth, 40, at(9));
        let marks = |index: usize| {
            let pairs = stream.segments[index].marks.iter().map(|m| (m.offset, m.at.as_millis()));
            pairs.collect::<Vec<_>>()
        };
        assert_eq!(marks(0), [(0, 1), (10, 3)]);
        assert_eq!(marks(1), [(20, 3), (25, 4)]);
    }

    #[test]
    fn a_trickling_log_keeps_few_segments_and_few_marks() {
        let (mut stream, mut growth) = (empty(), Growth::default());
        for step in 1..5_000_u32 {
            growth.observe(u64::from(step) * 100, at(i64::from(step)));
            carry_out(&mut stream, &mut growth, u64::from(step) * 100, at(0));
        }
        assert_gapless(&stream);
        assert!(stream.segments.len() <= 2 * SMALL_RUN, "{}", stream.segments.len());
        for step in 5_000..50_000_u32 {
            growth.observe(u64::from(step) * 100, at(i64::from(step)));
        }
        assert!(growth.marks().len() <= MARKS_WAITING_MAX);
    }

    #[test]
    fn a_log_that_shrank_is_left_alone() {
        let (mut stream, mut growth) = (empty(), Growth::default());
        carry_out(&mut stream, &mut growth, 100, at(1));
        let before = stream.clone();
        carry_out(&mut stream, &mut growth, 50, at(2));
        assert_eq!(stream, before);
    }
}
