//! StringLookup, IntegerLookup and TextVectorization: what goes by a vocabulary.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use serde_json::Value as Json;

use super::categories::{encode, salt, Mode};
use crate::error::{Error, Result};
use crate::format::StoredWeight;
use crate::graph::{Binary, HashAttrs, Keys, Split, Table, TokenOutput, Tokenizer, ValueId};
use crate::keras::cfg::{as_f64, as_int};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Stored};
use crate::memory;
use crate::tensor::{DType, Tensor};

/// The entries of a vocabulary.
#[derive(Clone, Debug, PartialEq)]
enum Terms {
    Strings(Vec<Arc<str>>),
    Ints(Vec<i64>),
}

impl Terms {
    fn len(&self) -> usize {
        match self {
            Terms::Strings(v) => v.len(),
            Terms::Ints(v) => v.len(),
        }
    }

    fn slice(&self, range: Range<usize>) -> Terms {
        match self {
            Terms::Strings(v) => Terms::Strings(v[range].to_vec()),
            Terms::Ints(v) => Terms::Ints(v[range].to_vec()),
        }
    }

    fn starts_with(&self, other: &Terms) -> bool {
        match (self, other) {
            (Terms::Strings(a), Terms::Strings(b)) => a.starts_with(b),
            (Terms::Ints(a), Terms::Ints(b)) => a.starts_with(b),
            _ => false,
        }
    }

    fn tensor(self) -> Tensor {
        match self {
            Terms::Strings(v) => Tensor::from_strings([v.len()], v),
            Terms::Ints(v) => Tensor::from_slice([v.len()], &v),
        }
    }

    fn push(&mut self, other: Terms) {
        match (self, other) {
            (Terms::Strings(a), Terms::Strings(b)) => a.extend(b),
            (Terms::Ints(a), Terms::Ints(b)) => a.extend(b),
            _ => {}
        }
    }

    /// `n` times the one term.
    fn repeated(&self, n: usize) -> Terms {
        match self {
            Terms::Strings(v) => Terms::Strings(memory::filled(v[0].clone(), n)),
            Terms::Ints(v) => Terms::Ints(memory::filled(v[0], n)),
        }
    }
}

/// What hashes values that are in no vocabulary to one of several indices.
enum Spread {
    FloorMod,
    Hash(Option<(u64, u64)>),
}

/// Set by configs of Keras 2, whose vectors of counts are of floats.
pub const COUNTS_IN_FLOATS: &str = "counts_in_floats";

/// Keras' `IndexLookup`.
struct Index {
    /// Whether the vocabulary is of strings, not of integers.
    text: bool,
    mode: Mode,
    /// Of vectors of counts.
    counts: DType,
    invert: bool,
    max_tokens: Option<usize>,
    pad: bool,
    unknown: usize,
    /// One term, where there is one.
    mask: Option<Terms>,
    unknown_term: Option<Terms>,
    spread: Spread,
    given: Option<Terms>,
    given_idf: Option<Vec<f64>>,
    known: OnceLock<Known>,
}

/// What follows from the vocabulary.
struct Known {
    table: Arc<Table>,
    /// The terms by index, then the term of unknown indices (inverse lookups).
    terms: Terms,
    /// Indices in use.
    size: usize,
    idf: Vec<f32>,
}

fn terms(cfg: &Cfg, key: &str, text: bool, items: &[Json]) -> Result<Terms> {
    let bad = || cfg.bad(key, if text { "strings" } else { "whole numbers" });
    if text {
        let strings = items.iter().map(|v| v.as_str().map(Arc::from));
        let strings: Option<_> = strings.collect();
        return Ok(Terms::Strings(strings.ok_or_else(bad)?));
    }
    let ints: Option<_> = items.iter().map(as_int).collect();
    Ok(Terms::Ints(ints.ok_or_else(bad)?))
}

impl Index {
    fn new(cfg: &Cfg, text: bool) -> Result<Index> {
        let modes = [
            Mode::Int,
            Mode::OneHot,
            Mode::MultiHot,
            Mode::Count,
            Mode::TfIdf,
        ];
        let list = |key: &str| match cfg.get(key) {
            None => Ok(None),
            Some(Json::Array(items)) => Ok(Some(items)),
            Some(_) => Err(cfg.bad(key, "a list")),
        };
        let term = |key: &str| match cfg.get(key) {
            None => Ok(None),
            Some(v) => terms(cfg, key, text, std::slice::from_ref(v)).map(Some),
        };
        let given = list("vocabulary")?.map(|v| terms(cfg, "vocabulary", text, v));
        let idf = list("idf_weights")?.map(|v| {
            let numbers: Option<Vec<f64>> = v.iter().map(as_f64).collect();
            numbers.ok_or_else(|| cfg.bad("idf_weights", "numbers"))
        });
        let salt = salt(cfg)?;
        let method = cfg.one_of("oov_method", "floormod", &["floormod", "farmhash"])?;
        cfg.one_of("encoding", "utf-8", &["utf-8", "UTF-8", "utf8"])?;
        let dtype = cfg.str_or("vocabulary_dtype", if text { "string" } else { "int64" })?;
        if text != (dtype == "string") {
            return Err(cfg.bad("vocabulary_dtype", if text { "string" } else { "int64" }));
        }
        cfg.pass_over(&["sparse", "vocabulary_size", "has_input_vocabulary"]);
        let counts = match cfg.bool_or(COUNTS_IN_FLOATS, false)? {
            true => DType::F32,
            false => DType::I64,
        };
        Ok(Index {
            text,
            mode: Mode::of(cfg, "int", &modes)?,
            counts,
            invert: cfg.bool_or("invert", false)?,
            max_tokens: cfg.opt_usize("max_tokens")?,
            pad: cfg.bool_or("pad_to_max_tokens", false)?,
            unknown: cfg.usize_or("num_oov_indices", 1)?,
            mask: term("mask_token")?,
            unknown_term: match cfg.has("oov_token") {
                true => term("oov_token")?,
                false if text => Some(Terms::Strings(vec!["[UNK]".into()])),
                false => Some(Terms::Ints(vec![-1])),
            },
            spread: match text || method == "farmhash" {
                true => Spread::Hash(salt),
                false => Spread::FloorMod,
            },
            given: given.transpose()?,
            given_idf: idf.transpose()?,
            known: OnceLock::new(),
        })
    }

    /// The first index of unknown values: 1 after the mask's.
    fn unknown_start(&self) -> usize {
        usize::from(self.mask.is_some() && self.mode == Mode::Int)
    }

    fn token_start(&self) -> usize {
        self.unknown_start() + self.unknown
    }

    /// Terms by index, and how many come before those of the vocabulary.
    fn vocabulary(&self) -> Option<(Tensor, usize)> {
        let known = self.known.get()?;
        let terms = known.terms.slice(0..known.size);
        Some((terms.tensor(), self.token_start()))
    }

    /// The weights of counts, which Keras saves by name.
    fn stored(&self) -> Option<StoredWeight> {
        let idf = &self.known.get()?.idf;
        (self.mode == Mode::TfIdf).then(|| StoredWeight {
            name: "idf_weights".to_string(),
            tensor: Tensor::from_slice([idf.len()], idf).into(),
        })
    }

    /// Takes the vocabulary of the config, else the one beside the weights.
    fn load(&self, cfg_name: &str, stored: &Stored) -> Result<()> {
        let idf = stored.var("idf_weights").map(|t| t.to_f64());
        let vocabulary = match (&self.given, stored.asset("vocabulary.txt")) {
            (Some(terms), _) => terms.clone(),
            (None, Some(text)) => self.parse(cfg_name, text)?,
            (None, None) => return Ok(()),
        };
        let _ = self.known.set(self.know(cfg_name, vocabulary, idf)?);
        Ok(())
    }

    fn bad(layer: &str, weight: &str, expected: &str, given: String) -> Error {
        Error::BadWeight {
            layer: layer.to_string(),
            weight: weight.to_string(),
            expected: expected.to_string(),
            given,
        }
    }

    /// A vocabulary file: a term a line.
    fn parse(&self, layer: &str, bytes: &[u8]) -> Result<Terms> {
        let bad = |expected, given| Index::bad(layer, "vocabulary", expected, given);
        let text =
            std::str::from_utf8(bytes).map_err(|e| bad("UTF-8 text", format!("bytes: {e}")))?;
        let mut lines = python_lines(text);
        while lines.last().is_some_and(|l| l.is_empty()) {
            lines.pop();
        }
        if self.text {
            return Ok(Terms::Strings(lines.into_iter().map(Arc::from).collect()));
        }
        let number = |l: &str| {
            let value = l.trim().parse();
            value.map_err(|_| bad("of whole numbers", format!("\"{l}\"")))
        };
        let numbers: Result<_> = lines.into_iter().map(number).collect();
        Ok(Terms::Ints(numbers?))
    }

    fn know(&self, layer: &str, vocabulary: Terms, idf: Option<Vec<f64>>) -> Result<Known> {
        let start = self.token_start();
        let mut special = match self.text {
            true => Terms::Strings(vec![]),
            false => Terms::Ints(vec![]),
        };
        if let (Some(mask), 1) = (&self.mask, self.unknown_start()) {
            special.push(mask.clone());
        }
        if let Some(term) = &self.unknown_term {
            special.push(term.repeated(self.unknown));
        }
        let found = special.len() == start && vocabulary.starts_with(&special);
        let tokens = match found {
            true => vocabulary.slice(start..vocabulary.len()),
            false => vocabulary.clone(),
        };
        let size = start + tokens.len();
        let mask_value = match self.mode {
            Mode::Int => 0,
            _ => i64::MAX,
        };
        let default = match self.unknown {
            0 => None,
            1 => Some(self.unknown_start() as i64),
            _ => Some(-1),
        };
        let values = (start..size).map(|v| v as i64);
        let (keys, count) = match &tokens {
            Terms::Strings(tokens) => {
                let mut map: HashMap<Arc<str>, i64> = tokens.iter().cloned().zip(values).collect();
                let count = map.len();
                if let Some(Terms::Strings(mask)) = &self.mask {
                    map.extend(mask.iter().map(|m| (m.clone(), mask_value)));
                }
                (Keys::Strings(map), count)
            }
            Terms::Ints(tokens) => {
                let mut map: HashMap<i64, i64> = tokens.iter().copied().zip(values).collect();
                let count = map.len();
                if let Some(Terms::Ints(mask)) = &self.mask {
                    map.extend(mask.iter().map(|m| (*m, mask_value)));
                }
                (Keys::Ints(map), count)
            }
        };
        if count != tokens.len() {
            let given = "one with repeated terms".to_string();
            return Err(Index::bad(layer, "vocabulary", "of different terms", given));
        }
        let mut terms = special;
        if !found && terms.len() < start {
            let blank = match self.text {
                true => Terms::Strings(vec!["".into()]),
                false => Terms::Ints(vec![0]),
            };
            terms.push(blank.repeated(start - terms.len()));
        }
        terms.push(tokens);
        if let Some(term) = &self.unknown_term {
            terms.push(term.clone());
        }
        let idf = match (idf, &self.given_idf) {
            (Some(stored), _) => stored,
            (None, Some(given)) => self.padded(given, found, vocabulary.len(), layer)?,
            (None, None) => vec![],
        };
        Ok(Known {
            table: Table::new(keys, default),
            terms,
            size,
            idf: idf.into_iter().map(|v| v as f32).collect(),
        })
    }

    /// Inverse document frequencies of a config, for all indices.
    fn padded(&self, idf: &[f64], found: bool, terms: usize, layer: &str) -> Result<Vec<f64>> {
        if idf.len() != terms {
            let expected = format!("of length {terms}");
            let given = idf.len().to_string();
            return Err(Index::bad(layer, "idf_weights", &expected, given));
        }
        let mean = idf.iter().sum::<f64>() / idf.len() as f64;
        let front = if found { 0 } else { self.token_start() };
        let mut all = memory::filled(mean, front);
        all.extend(idf);
        if let (true, Some(max)) = (self.pad, self.max_tokens) {
            all.resize(max.max(all.len()), 0.0);
        }
        Ok(all)
    }

    fn known(&self, cx: &Cx) -> Result<&Known> {
        self.known.get().ok_or_else(|| {
            Index::bad(
                cx.path(),
                "vocabulary",
                "in the file",
                "missing".to_string(),
            )
        })
    }

    /// Where terms are looked up. A model whose weights are to be found out has no
    /// vocabulary either.
    fn table(&self, cx: &Cx) -> Result<Arc<Table>> {
        if cx.lacking.is_none() || self.known.get().is_some() {
            return Ok(self.known(cx)?.table.clone());
        }
        let keys = match self.text {
            true => Keys::Strings(HashMap::new()),
            false => Keys::Ints(HashMap::new()),
        };
        Ok(Table::new(keys, Some(0)))
    }

    /// Entries of a vector of counts.
    fn depth(&self, cx: &Cx) -> Result<usize> {
        match (self.pad, self.max_tokens) {
            (true, Some(max)) => Ok(max),
            (true, None) => Err(cx.call_error("`pad_to_max_tokens` needs `max_tokens`")),
            (false, _) => Ok(self.known(cx)?.size),
        }
    }

    fn indices(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let table = self.table(cx)?;
        let found = cx.lookup(x, &table)?;
        if self.unknown < 2 {
            return Ok(found);
        }
        let bins = self.unknown;
        let other = match self.spread {
            Spread::FloorMod => cx.binary_s(Binary::Mod, x, bins as f64)?,
            Spread::Hash(key) => {
                let bins = bins as u64;
                cx.hash(x, HashAttrs { bins, key })?
            }
        };
        let other = cx.add_s(other, self.unknown_start() as f64)?;
        let unknown = cx.binary_s(Binary::Lt, found, 0.0)?;
        cx.select(unknown, other, found)
    }

    /// From indices to terms.
    fn inverse(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let known = self.known(cx)?;
        let x = cx.cast(x, DType::I64)?;
        let last = known.terms.len() as f64 - 1.0;
        if self.unknown_term.is_none() {
            return Err(cx.call_error("`oov_token` must be set for an inverse lookup"));
        }
        // Keras has no entries for the unknown indices; the mask is entry 0.
        let least = self.token_start() as f64;
        let low = cx.binary_s(Binary::Lt, x, least)?;
        let high = cx.binary_s(Binary::Ge, x, last)?;
        let mut outside = cx.or(low, high)?;
        if self.mask.is_some() {
            let unmasked = cx.binary_s(Binary::Ne, x, 0.0)?;
            outside = cx.and(outside, unmasked)?;
        }
        let end = cx.scalar(DType::I64, last);
        let at = cx.select(outside, end, x)?;
        let terms = cx.constant(known.terms.clone().tensor());
        cx.gather(terms, at, 0, 0)
    }

    /// Vectors of counts, weighted where they are to be; indices stay as they are.
    fn weighted(&self, cx: &mut Cx, counts: ValueId, depth: usize) -> Result<ValueId> {
        match self.mode {
            Mode::TfIdf => {}
            Mode::Int => return Ok(counts),
            _ => return cx.cast(counts, self.counts),
        }
        let idf = &self.known(cx)?.idf;
        if idf.len() != depth {
            let expected = format!("of length {depth}");
            let given = idf.len().to_string();
            return Err(Index::bad(cx.path(), "idf_weights", &expected, given));
        }
        let idf = cx.f32s([depth], idf);
        let counts = cx.cast(counts, DType::F32)?;
        cx.mul(counts, idf)
    }

    fn encoded(&self, cx: &mut Cx, indices: ValueId) -> Result<ValueId> {
        let depth = match self.mode {
            Mode::Int => 0,
            _ => self.depth(cx)?,
        };
        let mode = match self.mode {
            Mode::TfIdf => Mode::Count,
            mode => mode,
        };
        let dtype = match mode {
            Mode::Int => DType::I64,
            _ => self.counts,
        };
        let out = encode(cx, indices, mode, depth, dtype, None)?;
        self.weighted(cx, out, depth)
    }
}

/// Python's `str.splitlines`.
fn python_lines(text: &str) -> Vec<&str> {
    let mut lines = vec![];
    let mut rest = text;
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    while let Some(at) = rest.find(ends) {
        lines.push(&rest[..at]);
        let end = rest[at..].chars().next().map_or(1, char::len_utf8);
        let both = rest[at..].starts_with("\r\n");
        rest = &rest[at + if both { 2 } else { end }..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

struct Lookup {
    name: String,
    index: Index,
}

fn lookup(cfg: &Cfg, text: bool) -> Result<Built> {
    Ok(Built::new(Lookup {
        name: cfg.layer.clone(),
        index: Index::new(cfg, text)?,
    }))
}

/// Strings by their place in a vocabulary, or the other way round.
pub fn string_lookup(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    lookup(cfg, true)
}

/// Whole numbers by their place in a vocabulary, or the other way round.
pub fn integer_lookup(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    lookup(cfg, false)
}

impl Layer for Lookup {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        if self.index.invert {
            if cx.dtype(x) == DType::Str {
                return Err(cx.call_error("expected indices, not strings"));
            }
            return Ok(self.index.inverse(cx, x)?.into());
        }
        let x = match self.index.text || cx.dtype(x) == DType::Str {
            true => x,
            false => cx.cast(x, DType::I64)?,
        };
        let indices = self.index.indices(cx, x)?;
        Ok(self.index.encoded(cx, indices)?.into())
    }

    fn autocast(&self) -> bool {
        false
    }

    fn load(&self, stored: &Stored) -> Result<()> {
        self.index.load(&self.name, stored)
    }

    fn vocabulary(&self) -> Option<(Tensor, usize)> {
        self.index.vocabulary()
    }

    fn named_variables(&self) -> Vec<(&'static str, StoredWeight)> {
        self.index.stored().map(|v| ("", v)).into_iter().collect()
    }
}

struct TextVectorization {
    name: String,
    lower: bool,
    strip: bool,
    split: Split,
    ngrams: Vec<usize>,
    length: Option<usize>,
    index: Index,
}

/// Text as the indices of its tokens, or as counts of them.
/// Words that are taken together, at most.
const MOST_WORDS: i64 = 1000;

pub fn text_vectorization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let standard = match cfg.get("standardize") {
        None => "",
        Some(v) => v.as_str().unwrap_or("?"),
    };
    let (lower, strip) = match standard {
        "" => (false, false),
        "lower" => (true, false),
        "strip_punctuation" => (false, true),
        "lower_and_strip_punctuation" => (true, true),
        _ => {
            let expected =
                "lower, strip_punctuation, lower_and_strip_punctuation or null (Python code is never run)";
            return Err(cfg.bad("standardize", expected));
        }
    };
    let split = match cfg.get("split").map(|v| v.as_str().unwrap_or("?")) {
        None => Split::Nowhere,
        Some("whitespace") => Split::Whitespace,
        Some("character") => Split::Characters,
        Some(_) => {
            let expected = "whitespace, character or null (Python code is never run)";
            return Err(cfg.bad("split", expected));
        }
    };
    let widths = match cfg.get("ngrams") {
        None => vec![],
        Some(Json::Array(_)) => cfg.opt_ints("ngrams")?.unwrap_or_default(),
        Some(_) => (1..=cfg.int_or("ngrams", 1)?.min(MOST_WORDS + 1)).collect(),
    };
    let ngrams: Option<Vec<usize>> = widths
        .iter()
        .map(|&n| (1..=MOST_WORDS).contains(&n).then_some(n as usize))
        .collect();
    let mut index = Index::new(cfg, true)?;
    index.mask = Some(Terms::Strings(vec!["".into()]));
    Ok(Built::new(TextVectorization {
        name: cfg.layer.clone(),
        lower,
        strip,
        split,
        ngrams: ngrams.ok_or_else(|| cfg.bad("ngrams", "whole numbers from 1 to 1000"))?,
        length: cfg.opt_usize("output_sequence_length")?,
        index,
    }))
}

impl TextVectorization {
    /// Tokens of a row of `n` strings that are tokens themselves.
    fn count(&self, n: usize) -> usize {
        match self.ngrams.as_slice() {
            [] => n,
            widths => widths.iter().map(|w| (n + 1).saturating_sub(*w)).sum(),
        }
    }
}

impl Layer for TextVectorization {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let mut x = cx.one(call)?.value;
        let tokenizer = Arc::new(Tokenizer {
            lower: self.lower,
            strip: self.strip,
            split: self.split,
            ngrams: self.ngrams.clone(),
            table: self.index.table(cx)?,
        });
        let rank = cx.rank(x);
        if self.split == Split::Nowhere {
            let tokens = self.count(cx.dim(x, -1)?);
            let length = match self.index.mode {
                Mode::Int => self.length.unwrap_or(tokens),
                _ => tokens,
            };
            let ids = cx.tokenize(x, &tokenizer, TokenOutput::Values(length))?;
            return Ok(self.index.encoded(cx, ids)?.into());
        }
        if rank > 1 {
            if cx.dim(x, -1)? != 1 {
                let fact = cx.fact(x).clone();
                let message =
                    format!("expected strings of rank 1, or a last axis of 1, not {fact}");
                return Err(cx.error(message));
            }
        } else {
            x = cx.expand_dims(x, -1)?;
        }
        if self.index.mode == Mode::Int {
            return Ok(match self.length {
                Some(n) => cx.tokenize(x, &tokenizer, TokenOutput::Values(n))?,
                None => {
                    let strings = cx.squeeze(x, -1)?;
                    cx.padded_tokens(strings, &tokenizer)?
                }
            }
            .into());
        }
        if self.index.mode == Mode::OneHot || rank > 2 {
            return Err(cx.call_error("its result is ragged, which is not supported"));
        }
        let depth = self.index.depth(cx)?;
        let counts = cx.tokenize(x, &tokenizer, TokenOutput::Counts(depth))?;
        let counts = match self.index.mode {
            Mode::MultiHot => cx.clip(counts, None, Some(1.0))?,
            _ => counts,
        };
        Ok(self.index.weighted(cx, counts, depth)?.into())
    }

    fn autocast(&self) -> bool {
        false
    }

    fn load(&self, stored: &Stored) -> Result<()> {
        self.index.load(&self.name, stored)
    }

    fn vocabulary(&self) -> Option<(Tensor, usize)> {
        self.index.vocabulary()
    }

    fn named_variables(&self) -> Vec<(&'static str, StoredWeight)> {
        // Keras saves the lookup within the layer, too.
        let stored = self.index.stored();
        stored
            .map(|v| vec![("", v.clone()), ("_lookup_layer", v)])
            .unwrap_or_default()
    }
}
