//! Texts that the pages of many targets have in common, kept once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What nobody holds any more is thrown out when the set has grown by this factor since it was last
/// looked through.
const GROWTH: usize = 2;
const LEAST: usize = 1024;

/// Shared by the targets of a pool: exporters of one kind send the same names and comments.
#[derive(Debug, Default)]
pub(crate) struct Interned(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    texts: HashSet<Arc<[u8]>>,
    /// How many there were after the last look.
    left: usize,
}

impl Interned {
    pub(crate) fn get(&self, text: &[u8]) -> Arc<[u8]> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.texts.get(text) {
            return Arc::clone(known);
        }
        if kept.texts.len() >= (kept.left * GROWTH).max(LEAST) {
            kept.texts.retain(|text| Arc::strong_count(text) > 1);
            kept.left = kept.texts.len();
        }
        let text: Arc<[u8]> = text.into();
        kept.texts.insert(Arc::clone(&text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_until_nobody_holds_them() {
        let interned = Interned::default();
        let text = interned.get(b"up");
        assert!(Arc::ptr_eq(&text, &interned.get(b"up")));
        for number in 0..2 * LEAST {
            interned.get(number.to_string().as_bytes());
        }
        assert!(interned.0.lock().unwrap().texts.len() <= LEAST);
        assert!(Arc::ptr_eq(&text, &interned.get(b"up")));
    }
}
