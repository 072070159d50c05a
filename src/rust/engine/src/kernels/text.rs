//! Values of tables, and tokens of text.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Kernel, Par, Plain, Request};
use crate::error::{Error, Result};
use crate::graph::{Keys, Split, Table, TokenOutput, Tokenizer};
use crate::tensor::{Line, Tensor, View, ViewMut};

/// Strings worth a second thread.
const PARALLEL: usize = 4096;

impl Table {
    fn of_text(&self, key: &str) -> Option<i64> {
        match &self.keys {
            Keys::Strings(map) => map.get(key).copied().or(self.default),
            Keys::Ints(_) => self.default,
        }
    }

    fn of_int(&self, key: i64) -> Option<i64> {
        match &self.keys {
            Keys::Ints(map) => map.get(&key).copied().or(self.default),
            Keys::Strings(_) => self.default,
        }
    }
}

/// The kernel of `Lookup`.
pub struct Lookup {
    table: Arc<Table>,
    path: String,
}

impl Lookup {
    pub fn new(table: &Arc<Table>, req: &Request) -> Lookup {
        Lookup {
            table: table.clone(),
            path: req.path.to_string(),
        }
    }

    fn unknown(&self, value: String) -> Error {
        Error::OutOfVocabulary {
            layer: self.path.clone(),
            value,
        }
    }
}

impl Plain for Lookup {
    fn compute(&self, ins: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let out = outs[0].as_mut::<i64>();
        match &self.table.keys {
            Keys::Strings(_) => {
                for (o, s) in out.iter_mut().zip(ins[0].strings()) {
                    let value = self.table.of_text(s);
                    *o = value.ok_or_else(|| self.unknown(format!("\"{s}\"")))?;
                }
            }
            Keys::Ints(_) => {
                for (o, &k) in out.iter_mut().zip(ins[0].as_slice::<i64>()) {
                    let value = self.table.of_int(k);
                    *o = value.ok_or_else(|| self.unknown(k.to_string()))?;
                }
            }
        }
        Ok(())
    }
}

impl Tokenizer {
    fn standard<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.lower && !self.strip {
            return Cow::Borrowed(text);
        }
        let mut out = text.to_string();
        if self.lower {
            out.make_ascii_lowercase();
        }
        if self.strip {
            out.retain(|c| !c.is_ascii_punctuation());
        }
        Cow::Owned(out)
    }

    /// Calls `f` with the table's value of each token of a row, in order.
    pub fn each(&self, row: &[Arc<str>], mut f: impl FnMut(i64)) {
        let texts: Vec<Cow<str>> = row.iter().map(|s| self.standard(s)).collect();
        let mut value = |token: &str| f(self.table.of_text(token).unwrap_or(0));
        let mut buffer = [0; 4];
        if self.ngrams.is_empty() {
            for text in &texts {
                match self.split {
                    Split::Nowhere => value(text),
                    Split::Whitespace => text.split_ascii_runs().for_each(&mut value),
                    Split::Characters => {
                        text.chars().for_each(|c| value(c.encode_utf8(&mut buffer)));
                    }
                }
            }
            return;
        }
        let mut tokens: Vec<&str> = vec![];
        for text in &texts {
            match self.split {
                Split::Nowhere => tokens.push(text),
                Split::Whitespace => tokens.extend(text.split_ascii_runs()),
                Split::Characters => tokens.extend(
                    text.char_indices()
                        .map(|(at, c)| &text[at..at + c.len_utf8()]),
                ),
            }
        }
        for &n in &self.ngrams {
            tokens.windows(n).for_each(|gram| value(&gram.join(" ")));
        }
    }

    /// The values of every string's tokens, filled up with 0 to the most there are:
    /// the strings' shape with one axis more.
    pub fn padded(&self, strings: &View) -> Tensor {
        let rows: Vec<Vec<i64>> = strings
            .strings()
            .iter()
            .map(|s| {
                let mut values = vec![];
                self.each(std::slice::from_ref(s), |v| values.push(v));
                values
            })
            .collect();
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut flat = Vec::with_capacity(rows.len() * length);
        for mut row in rows {
            row.resize(length, 0);
            flat.extend(row);
        }
        Tensor::from_slice([strings.shape, &[length]].concat(), &flat)
    }
}

trait AsciiRuns {
    /// The parts between runs of what C calls a space.
    fn split_ascii_runs(&self) -> impl Iterator<Item = &str>;
}

impl AsciiRuns for str {
    fn split_ascii_runs(&self) -> impl Iterator<Item = &str> {
        let space = |c: char| matches!(c, ' ' | '\t'..='\r');
        self.split(space).filter(|s| !s.is_empty())
    }
}

/// The kernel of `Tokenize`.
pub struct Tokenize {
    tokenizer: Arc<Tokenizer>,
    output: TokenOutput,
    /// Strings of a row.
    width: usize,
}

impl Tokenize {
    pub fn new(tokenizer: &Arc<Tokenizer>, output: TokenOutput, req: &Request) -> Tokenize {
        Tokenize {
            tokenizer: tokenizer.clone(),
            output,
            width: req.ins[0].fact.shape.last().copied().unwrap_or(1),
        }
    }
}

impl Kernel for Tokenize {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let strings = ins[0].strings();
        let out = outs[0].as_mut::<i64>();
        out.fill(0);
        let (TokenOutput::Values(size) | TokenOutput::Counts(size)) = self.output;
        if size == 0 || self.width == 0 {
            return Ok(());
        }
        let row = |i: usize, out: &mut [i64]| {
            let strings = &strings[i * self.width..(i + 1) * self.width];
            match self.output {
                TokenOutput::Values(_) => {
                    let mut cells = out.iter_mut();
                    self.tokenizer.each(strings, |v| {
                        if let Some(cell) = cells.next() {
                            *cell = v;
                        }
                    });
                }
                TokenOutput::Counts(_) => self.tokenizer.each(strings, |v| {
                    if let Some(n) = usize::try_from(v).ok().and_then(|v| out.get_mut(v)) {
                        *n += 1;
                    }
                }),
            }
        };
        par.worth(strings.len() >= PARALLEL).pieces(out, size, row);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, Fact};

    #[test]
    fn what_is_no_key_is_an_error_without_a_default() {
        let strings = Tensor::from_strings([2], vec!["red".into(), "green".into()]);
        let ints = Tensor::from_slice([2], &[3i64, 4]);
        let cases = [
            (
                Keys::Strings([("red".into(), 1)].into()),
                strings,
                "\"green\"",
            ),
            (Keys::Ints([(3, 1)].into()), ints, "4"),
        ];
        for (keys, x, unknown) in cases {
            let lookup = Lookup {
                table: Table::new(keys, None),
                path: "model/strict".to_string(),
            };
            let mut out = Tensor::zeros(Fact::new(DType::I64, [2]));
            let error = lookup
                .compute(&[x.view()], &mut [out.view_mut()])
                .unwrap_err();
            let (layer, value) = ("model/strict".to_string(), unknown.to_string());
            assert_eq!(error, Error::OutOfVocabulary { layer, value });
            assert_eq!(error.kind(), "out_of_vocabulary");
        }
    }
}
