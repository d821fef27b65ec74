//! Erasing what is sealed for a subject, when something is.

use mesh_schemas::{ErrorCode, Problem, idea::Appended, text::check_name};

use super::Answers;

impl Answers {
    /// Destroys a subject's key and texts. An erasure of nothing is refused: behind a misspelt name everything would stay,
    /// and the log would say that it went.
    pub(super) async fn erase(&self, subject: String) -> Result<Appended, Problem> {
        check_name("subject", &subject)?;
        let store = &self.shared.store;
        if store.is_sealed_for(&subject).await? {
            return self.shared.writer.erase(subject).await;
        }
        Err(nothing_for(&subject, store.is_erased(&subject).await?))
    }
}

fn nothing_for(subject: &str, erased: bool) -> Problem {
    let (detail, hint) = if erased {
        let detail = format!("what was sealed for {subject} is erased already");
        (detail, "the entry of that erasure is in the log; nothing is left to do")
    } else {
        let detail = format!("nothing is sealed for {subject}");
        (detail, "look at the spelling: it is the name that `--sealed` was given")
    };
    Problem::new(ErrorCode::NotFound, detail).at("subject").hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_erasure_is_told_apart_from_a_misspelt_name() {
        for (erased, expected) in [(true, "is erased already"), (false, "nothing is sealed for")] {
            let problem = nothing_for("jane", erased);
            assert_eq!(problem.code, ErrorCode::NotFound);
            assert!(problem.detail.contains(expected), "{problem}");
        }
    }
}
