//! What the primitives of text and categories go by: tables, tokenizers, hashes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// The keys of a table, each with its value.
pub enum Keys {
    Strings(HashMap<Arc<str>, i64>),
    Ints(HashMap<i64, i64>),
}

/// A map to int64. Tables are told apart by identity, not by contents.
pub struct Table {
    id: u64,
    pub keys: Keys,
    /// The value of what is no key; without one, that is an error.
    pub default: Option<i64>,
}

static NEXT_TABLE: AtomicU64 = AtomicU64::new(1);

impl Table {
    pub fn new(keys: Keys, default: Option<i64>) -> Arc<Table> {
        let id = NEXT_TABLE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Table { id, keys, default })
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.id)
    }
}

/// Where a string comes apart.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// It is one token.
    Nowhere,
    /// Tokens stand between runs of ASCII whitespace.
    Whitespace,
    /// Each character is a token.
    Characters,
}

/// From strings to the table's values of their tokens.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    /// ASCII letters become lower case.
    pub lower: bool,
    /// ASCII punctuation goes.
    pub strip: bool,
    pub split: Split,
    /// Tokens are joined by a space: so many neighbours, for each length in turn.
    /// Empty: tokens stand alone.
    pub ngrams: Vec<usize>,
    /// Of strings, with a default.
    pub table: Arc<Table>,
}

/// What becomes of the values of a row's tokens.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenOutput {
    /// So many of them: the rest is cut, or filled up with 0.
    Values(usize),
    /// How often each of `0..bins` is there; other values do not count.
    Counts(usize),
}

/// How text is hashed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct HashAttrs {
    pub bins: u64,
    /// SipHash-2-4 with this key; without one, FarmHash's 64-bit fingerprint.
    pub key: Option<(u64, u64)>,
}
