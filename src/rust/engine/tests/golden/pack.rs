//! Packs of golden cases: how they are read and run. `README.md` tells what they hold.

use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use keraspredict_engine::error::Error;
use keraspredict_engine::format::read_weights_bytes;
use keraspredict_engine::results::Results;
use keraspredict_engine::tensor::{DType, Fact, Tensor, ViewMut};
use keraspredict_engine::{Model, RunOptions, Source};
use serde_json::Value as Json;

pub struct Case {
    pub id: String,
    pub meta: Json,
    pub model: Vec<u8>,
    /// The weights of a model that is JSON.
    pub weights: Option<Vec<u8>>,
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
    /// What random numbers come from.
    pub seed: u64,
}

impl Case {
    pub fn load(&self) -> Result<Model, Error> {
        let model = Model::from_bytes(self.model.clone(), &self.id)?;
        match &self.weights {
            Some(weights) => {
                let weights = read_weights_bytes(weights.clone(), &self.id)?;
                Ok(model.with_weights(weights, false)?.0)
            }
            None => Ok(model),
        }
    }

    pub fn rows(&self) -> usize {
        self.meta["rows"].as_u64().expect("rows") as usize
    }

    /// Whether layers train; predictions say that they don't.
    pub fn training(&self) -> Option<bool> {
        match self.meta["call"].is_string() {
            true => Some(false),
            false => self.meta["call"]["training"].as_bool(),
        }
    }

    /// How often the same inputs are predicted, one after another.
    pub fn repeats(&self) -> usize {
        self.meta["repeats"].as_u64().unwrap_or(1) as usize
    }

    /// Rows of a batch; a model that was called, not predicted with, takes all at once.
    pub fn batch_size(&self) -> usize {
        match self.meta["call"].as_str() {
            Some("predict") => self.meta["batch_size"].as_u64().expect("batch_size") as usize,
            _ => self.rows(),
        }
    }
}

// ---- packs ---------------------------------------------------------------------------------

pub fn packs() -> Vec<PathBuf> {
    let folder = std::env::var_os("KERASPREDICT_GOLDEN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/packs"),
        PathBuf::from,
    );
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|f| f.expect("a folder entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "zip"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no packs in {}", folder.display());
    files
}

pub type Archive = zip::ZipArchive<Cursor<Vec<u8>>>;

pub fn open(path: &Path) -> Archive {
    zip::ZipArchive::new(Cursor::new(std::fs::read(path).expect("a pack"))).expect("a zip")
}

fn member(archive: &mut Archive, name: &str) -> Option<Vec<u8>> {
    let mut file = archive.by_name(name).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect(name);
    Some(bytes)
}

/// Names of the cases of a pack, in its order.
pub fn names(archive: &Archive) -> Vec<String> {
    archive
        .file_names()
        .filter_map(|n| Some(n.ok()?.strip_suffix("/meta.json")?.to_string()))
        .collect()
}

pub fn read_case(archive: &mut Archive, group: &str, name: &str) -> Case {
    let meta = member(archive, &format!("{name}/meta.json")).expect("meta.json");
    let mut arrays = |kind: &str| -> Vec<Tensor> {
        (0..)
            .map_while(|i| {
                let stem = format!("{name}/{kind}.{i}");
                let numbers = member(archive, &format!("{stem}.npy")).map(|b| read_npy(&b));
                numbers.or_else(|| Some(read_strings(&member(archive, &format!("{stem}.json"))?)))
            })
            .collect()
    };
    let (inputs, outputs) = (arrays("in"), arrays("out"));
    let model = ["keras", "h5", "json"]
        .iter()
        .find_map(|suffix| member(archive, &format!("{name}/model.{suffix}")))
        .expect("a model");
    let weights = member(archive, &format!("{name}/weights.h5"));
    Case {
        id: format!("{group}/{name}"),
        meta: serde_json::from_slice(&meta).expect("JSON"),
        model,
        weights,
        inputs,
        outputs,
        seed: 0,
    }
}

/// An array as numpy saves it, in C order.
fn read_npy(bytes: &[u8]) -> Tensor {
    assert!(bytes.starts_with(b"\x93NUMPY\x01"), "npy version 1");
    let end = 10 + u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let header = std::str::from_utf8(&bytes[10..end]).expect("an ASCII header");
    assert!(header.contains("'fortran_order': False"), "C order");
    let field = |key: &str| header.split(key).nth(1).expect("a npy header");
    let dtype = match field("'descr': '").split('\'').next() {
        Some("|b1") => DType::Bool,
        Some("|u1") => DType::U8,
        Some("|i1") => DType::I8,
        Some("<u2") => DType::U16,
        Some("<i2") => DType::I16,
        Some("<u4") => DType::U32,
        Some("<i4") => DType::I32,
        Some("<u8") => DType::U64,
        Some("<i8") => DType::I64,
        Some("<f2") => DType::F16,
        Some("<V2" | "|V2") => DType::BF16,
        Some("<f4") => DType::F32,
        Some("<f8") => DType::F64,
        Some("<c8") => DType::C64,
        Some("<c16") => DType::C128,
        other => panic!("dtype {other:?}"),
    };
    let shape: Vec<usize> = field("'shape': (")
        .split(')')
        .next()
        .into_iter()
        .flat_map(|dims| dims.split(','))
        .filter_map(|d| d.trim().parse().ok())
        .collect();
    Tensor::from_bytes(Fact::new(dtype, shape), &bytes[end..])
}

/// A string array: its shape, and its elements in C order.
fn read_strings(bytes: &[u8]) -> Tensor {
    let json: Json = serde_json::from_slice(bytes).expect("JSON");
    let list = |key: &str| json[key].as_array().expect(key).iter();
    let shape: Vec<usize> = list("shape")
        .map(|d| d.as_u64().expect("a size") as usize)
        .collect();
    let strings = list("strings").map(|s| s.as_str().expect("a string").into());
    Tensor::from_strings(shape, strings.collect())
}

// ---- running -------------------------------------------------------------------------------

/// Those of rank 0 stand for inputs that are left out.
pub struct Arrays<'a>(pub &'a [Tensor]);

impl Source for Arrays<'_> {
    fn fact(&self, input: usize) -> Option<Fact> {
        let fact = self.0[input].fact();
        (!fact.shape.is_empty()).then(|| fact.clone())
    }

    fn together(&self) -> usize {
        2
    }

    fn fill(&self, input: usize, rows: Range<usize>, mut dst: ViewMut) {
        let from = &self.0[input];
        if from.dtype() == DType::Str {
            let row = from.numel() / from.shape()[0];
            let strings = &from.strings()[rows.start * row..rows.end * row];
            return dst.strings().clone_from_slice(strings);
        }
        let row = from.bytes().len() / from.shape()[0];
        dst.bytes()
            .copy_from_slice(&from.bytes()[rows.start * row..rows.end * row]);
    }
}

/// Predicts all rows, `step` of them in each call of the engine. Whether layers
/// train and the seed are the case's.
pub fn predict(
    model: &Model,
    case: &Case,
    batch_size: usize,
    step: usize,
    options: RunOptions,
) -> Result<Vec<Tensor>, String> {
    let options = RunOptions {
        training: case.training(),
        seed: case.seed,
        ..options
    };
    let source = Arrays(&case.inputs);
    let mut outputs = model
        .result_facts(&source, case.rows(), batch_size, &options)
        .map_err(|e| e.to_string())?;
    if !case.meta["call"].is_string() {
        // one call gives rank 0 as it is
        for (have, want) in outputs.iter_mut().zip(&case.outputs) {
            if want.shape().is_empty() && have.numel() == 1 {
                have.shape.clear();
            }
        }
    }
    let results = Results::new(outputs);
    let mut all = vec![];
    for _ in 0..case.repeats() {
        for start in (0..case.rows()).step_by(step) {
            let rows = start..(start + step).min(case.rows());
            model
                .predict(&source, &results, rows, batch_size, &options)
                .map_err(|e| e.to_string())?;
        }
        all.extend(results.tensors());
    }
    Ok(all)
}
