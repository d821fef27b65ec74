//! New texts on their way from the writer, which never waits for them.

use mesh_schemas::idea::IdeaId;
use metrics::counter;
use tokio::sync::mpsc;

/// Texts that wait; what comes beside them is not compared.
const WAITING_MAX: usize = 1_024;
/// So many bytes of a text are sent: models read no more, and most say what they are about at the beginning.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// A text to be embedded.
#[derive(Debug)]
pub(crate) struct NewText {
    pub(super) idea: IdeaId,
    pub(super) text: String,
}

impl NewText {
    /// The beginning of a text of an idea.
    pub(super) fn new(idea: IdeaId, text: &str) -> Self {
        Self { idea, text: text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned() }
    }
}

/// The writer's end; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Feed(mpsc::Sender<NewText>);

/// The other end.
#[derive(Debug)]
pub(crate) struct Texts(mpsc::Receiver<NewText>);

/// Both ends.
pub(crate) fn feed() -> (Feed, Texts) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Feed(sender), Texts(receiver))
}

impl Feed {
    /// Tells of an open text that is durable.
    pub(crate) fn tell(&self, idea: IdeaId, text: &str) {
        if self.0.try_send(NewText::new(idea, text)).is_err() {
            skipped("no_room", 1);
        }
    }
}

impl Texts {
    /// The next ones, as many as are there; never returns once there can be none.
    pub(super) async fn next(&mut self, max: usize) -> Vec<NewText> {
        let mut texts = Vec::new();
        if self.0.recv_many(&mut texts, max).await == 0 {
            // The writer has ended; so does the process.
            std::future::pending::<()>().await;
        }
        texts
    }
}

/// Counts texts that are not compared.
pub(super) fn skipped(outcome: &'static str, texts: usize) {
    let texts = u64::try_from(texts).unwrap_or(u64::MAX);
    counter!("mesh_ideas_embeddings_total", "outcome" => outcome).increment(texts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_passed_by_and_a_long_text_is_cut_between_letters() {
        let (feed, mut texts) = feed();
        let long = "\u{20ac}".repeat(5_000);
        for _ in 0..WAITING_MAX + 5 {
            feed.tell(IdeaId([1; 32]), &long);
        }
        let waiting = texts.next(WAITING_MAX * 2).await;
        assert_eq!(waiting.len(), WAITING_MAX);
        assert!(waiting[0].text.len() <= TEXT_BYTES_MAX && long.starts_with(&waiting[0].text));
    }
}
