//! Texts as small numbers: a detector's day repeats few texts millions of times.
//!
//! Owns: the numbering. Refuses: meaning. Invariant: equal texts have equal names; a name never changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

/// A map that is asked millions of times a day. Its order means nothing, and nothing may depend on it.
pub type Map<K, V> = HashMap<K, V, RandomState>;

/// See [`Map`].
pub type Set<K> = HashSet<K, RandomState>;

/// A text of a [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

/// Numbered texts.
#[derive(Debug, Default)]
pub struct Names {
    numbers: Map<Arc<str>, Name>,
    texts: Vec<Arc<str>>,
}

impl Names {
    /// The name of a text, which is numbered if it is new.
    pub fn of(&mut self, text: &str) -> Name {
        if let Some(name) = self.numbers.get(text) {
            return *name;
        }
        let name = Name(u32::try_from(self.texts.len()).expect("fewer than four billion different texts"));
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, name);
        name
    }

    /// The name of a text that is numbered already.
    pub fn find(&self, text: &str) -> Option<Name> {
        self.numbers.get(text).copied()
    }

    /// The text of a name.
    pub fn text(&self, name: Name) -> &str {
        &self.texts[name.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_name() {
        let mut names = Names::default();
        let (a, b) = (names.of("a"), names.of("b"));
        assert_eq!((names.of("a"), names.text(b)), (a, "b"));
        assert_ne!(a, b);
    }
}
