//! Who made changes, as messages say it one after another.

use std::sync::Arc;

use centinel_model::Origin;

/// The origin that was told last. Changes of one transaction share it.
#[derive(Debug, Default)]
pub(crate) struct MadeBy(Option<Arc<Origin>>);

/// Bytes of a statement that are kept.
const STATEMENT_BYTES: usize = 1024;

impl MadeBy {
    /// This origin, shared with the change before where it is the same; none where nothing is known.
    pub(crate) fn of(&mut self, origin: Origin) -> Option<&Arc<Origin>> {
        if self.0.as_deref() != Some(&origin) {
            self.0 = (!origin.is_empty()).then(|| Arc::new(origin));
        }
        self.0.as_ref()
    }
}

/// The beginning of a statement.
pub(crate) fn statement(text: &str) -> Option<String> {
    let mut end = text.len().min(STATEMENT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (end > 0).then(|| text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_cut_between_characters() {
        assert_eq!(statement(""), None);
        assert_eq!(statement("UPDATE").as_deref(), Some("UPDATE"));
        let long = "元".repeat(1000);
        let cut = statement(&long).unwrap_or_default();
        assert!(long.starts_with(&cut) && cut.len() == 1023);
    }

    #[test]
    fn changes_of_one_transaction_share_their_origin() {
        let of = |thread| Origin {
            thread,
            ..Origin::default()
        };
        let mut made_by = MadeBy::default();
        let first = made_by.of(of(Some(7))).cloned();
        let second = made_by.of(of(Some(7))).cloned();
        assert!(
            first
                .zip(second)
                .is_some_and(|(first, second)| Arc::ptr_eq(&first, &second))
        );
        assert_eq!(made_by.of(of(None)), None);
    }
}
