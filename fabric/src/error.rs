//! One way to print an error with its causes.

use std::error::Error;

/// The error and its causes on one line. A cause that the text before already ends with is left out:
/// some libraries print their own source.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Layer {
        let source = (texts.len() > 1).then(|| Box::new(layers(&texts[1..])));
        Layer { text: texts[0], source }
    }

    #[test]
    fn every_cause_is_named_once() {
        assert_eq!(chain(&layers(&["a failed", "b failed", "c"])), "a failed: b failed: c");
        assert_eq!(chain(&layers(&["a failed: b", "b"])), "a failed: b");
    }
}
