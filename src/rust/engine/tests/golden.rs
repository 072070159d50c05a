//! Models made, saved and run by real Keras: this engine must answer the same.
//! `golden/README.md` tells what a pack holds.
//!
//! KERASPREDICT_GOLDEN: another folder of packs.
//! GOLDEN_FILTER: only cases whose `group/name` contains it.

use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use keraspredict_engine::nest::Nest;
use keraspredict_engine::optimize::Passes;
use keraspredict_engine::run::pool::set_threads;
use keraspredict_engine::tensor::{DType, Fact, Tensor, View, ViewMut};
use keraspredict_engine::{Model, RunOptions, Sink, Source};
use serde_json::Value as Json;

const ATOL: f64 = 1e-5;
const RTOL: f64 = 1e-4;

struct Case {
    id: String,
    meta: Json,
    model: Vec<u8>,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

impl Case {
    fn rows(&self) -> usize {
        self.meta["rows"].as_u64().expect("rows") as usize
    }

    /// Whether layers train; predictions say that they don't.
    fn training(&self) -> Option<bool> {
        match self.meta["call"].is_string() {
            true => Some(false),
            false => self.meta["call"]["training"].as_bool(),
        }
    }

    /// How often the same inputs are predicted, one after another.
    fn repeats(&self) -> usize {
        self.meta["repeats"].as_u64().unwrap_or(1) as usize
    }

    /// Rows of a batch; a model that was called, not predicted with, takes all at once.
    fn batch_size(&self) -> usize {
        match self.meta["call"].as_str() {
            Some("predict") => self.meta["batch_size"].as_u64().expect("batch_size") as usize,
            _ => self.rows(),
        }
    }
}

// ---- packs ---------------------------------------------------------------------------------

fn packs() -> Vec<PathBuf> {
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

type Archive = zip::ZipArchive<Cursor<Vec<u8>>>;

fn open(path: &Path) -> Archive {
    zip::ZipArchive::new(Cursor::new(std::fs::read(path).expect("a pack"))).expect("a zip")
}

fn member(archive: &mut Archive, name: &str) -> Option<Vec<u8>> {
    let mut file = archive.by_name(name).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect(name);
    Some(bytes)
}

/// Names of the cases of a pack, in its order.
fn names(archive: &Archive) -> Vec<String> {
    archive
        .file_names()
        .filter_map(|n| Some(n.ok()?.strip_suffix("/meta.json")?.to_string()))
        .collect()
}

fn read_case(archive: &mut Archive, group: &str, name: &str) -> Case {
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
    let model = member(archive, &format!("{name}/model.keras"))
        .or_else(|| member(archive, &format!("{name}/model.h5")))
        .expect("a model");
    Case {
        id: format!("{group}/{name}"),
        meta: serde_json::from_slice(&meta).expect("JSON"),
        model,
        inputs,
        outputs,
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

struct Arrays<'a>(&'a [Tensor]);

impl Source for Arrays<'_> {
    fn fact(&self, input: usize) -> Option<Fact> {
        Some(self.0[input].fact().clone())
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

struct Results(Vec<Mutex<Tensor>>);

impl Sink for Results {
    fn put(&self, output: usize, rows: Range<usize>, src: View) {
        let mut to = self.0[output].lock().expect("no panic elsewhere");
        if src.dtype == DType::Str {
            let row = src.numel() / rows.len().max(1);
            to.view_mut().strings()[rows.start * row..rows.end * row]
                .clone_from_slice(src.strings());
            return;
        }
        let row = src.bytes().len() / rows.len().max(1);
        to.bytes_mut()[rows.start * row..rows.end * row].copy_from_slice(src.bytes());
    }
}

/// Predicts all rows, `step` of them in each call of the engine.
fn predict(
    model: &Model,
    case: &Case,
    batch_size: usize,
    step: usize,
    without: Passes,
) -> Result<Vec<Tensor>, String> {
    let options = RunOptions {
        without,
        training: case.training(),
        ..RunOptions::default()
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
    let sink = Results(
        outputs
            .into_iter()
            .map(Tensor::zeros)
            .map(Mutex::new)
            .collect(),
    );
    let mut all = vec![];
    for _ in 0..case.repeats() {
        for start in (0..case.rows()).step_by(step) {
            let rows = start..(start + step).min(case.rows());
            model
                .predict(&source, &sink, rows, batch_size, &options)
                .map_err(|e| e.to_string())?;
        }
        let results = sink.0.iter();
        all.extend(results.map(|t| t.lock().expect("no panic elsewhere").clone()));
    }
    Ok(all)
}

// ---- comparing -----------------------------------------------------------------------------

/// Where `have` is farthest from `want`, if anywhere beyond the tolerance.
fn differ(have: &Tensor, want: &Tensor) -> Option<String> {
    if have.fact() != want.fact() {
        return Some(format!("{} where Keras gives {}", have.fact(), want.fact()));
    }
    if want.dtype() == DType::Str {
        let (a, b) = (have.strings(), want.strings());
        let at = a.iter().zip(b).position(|(a, b)| a != b)?;
        let place = position(at, want.shape());
        return Some(format!(
            "{:?} at {place:?} where Keras gives {:?}",
            a[at], b[at]
        ));
    }
    let (a, b) = (have.to_f64(), want.to_f64());
    let float = want.dtype().is_float() || want.dtype().is_complex();
    let excess = |i: usize| -> f64 {
        let (a, b) = (a[i], b[i]);
        if a == b || (a.is_nan() && b.is_nan()) {
            0.0
        } else if !float || !a.is_finite() || !b.is_finite() {
            f64::INFINITY
        } else {
            (a - b).abs() / (ATOL + RTOL * b.abs())
        }
    };
    let wrong = (0..a.len()).filter(|&i| excess(i) > 1.0).count();
    let worst = (0..a.len()).max_by(|&i, &j| excess(i).total_cmp(&excess(j)))?;
    (wrong > 0).then(|| {
        format!(
            "{wrong} of {} differ, most at {:?}: {} where Keras gives {}",
            a.len(),
            position(worst, want.shape()),
            a[worst],
            b[worst]
        )
    })
}

fn position(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (p, &d) in at.iter_mut().zip(shape).rev() {
        *p = index % d;
        index /= d;
    }
    at
}

fn all_close(have: &[Tensor], want: &[Tensor]) -> Result<(), String> {
    if have.len() != want.len() {
        return Err(format!(
            "{} outputs where Keras gives {}",
            have.len(),
            want.len()
        ));
    }
    have.iter()
        .zip(want)
        .enumerate()
        .find_map(|(i, (a, b))| differ(a, b).map(|d| format!("output {i}: {d}")))
        .map_or(Ok(()), Err)
}

fn all_same(have: &[Tensor], want: &[Tensor]) -> Result<(), String> {
    for (i, (a, b)) in have.iter().zip(want).enumerate() {
        if a.fact() != b.fact() {
            return Err(format!("output {i}: {} and {}", a.fact(), b.fact()));
        }
        if a.strings() != b.strings() {
            return Err(format!("output {i}: other strings"));
        }
        let size = a.dtype().size().max(1);
        let at = a
            .bytes()
            .chunks(size)
            .zip(b.bytes().chunks(size))
            .position(|(x, y)| x != y);
        if let Some(at) = at {
            let (x, y) = (a.to_f64()[at], b.to_f64()[at]);
            return Err(format!(
                "output {i} at {:?}: {x} and {y}",
                position(at, a.shape())
            ));
        }
    }
    Ok(())
}

// ---- the checks ----------------------------------------------------------------------------

/// The structure of a model's outputs, and names and places of its inputs.
fn check_structure(model: &Model, case: &Case) -> Result<(), String> {
    let inputs: Vec<&str> = model.inputs().iter().map(|i| i.name.as_str()).collect();
    let wanted: Vec<&str> = case.meta["inputs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|i| i["name"].as_str().expect("a name"))
        .collect();
    if inputs != wanted {
        return Err(format!("inputs {inputs:?} where Keras has {wanted:?}"));
    }
    for (i, input) in case.meta["inputs"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let path = input["path"].as_array().expect("a path");
        let found = path.iter().try_fold(model.input_nest(), step_into);
        if found != Some(&Nest::Leaf(i)) {
            return Err(format!(
                "input {i} is not at {path:?} of {:?}",
                model.input_nest()
            ));
        }
    }
    if let Some(want) = case.meta["params"].as_u64() {
        let have = model.params().total() as u64;
        if have != want {
            return Err(format!("{have} parameters where Keras counts {want}"));
        }
    }
    let rows = case.rows();
    let compiled = model
        .compile_batch(&Arrays(&case.inputs), 0..rows, rows, &RunOptions::default())
        .map_err(|e| e.to_string())?;
    match same_nest(&compiled.output_nest, &case.meta["nest"]) {
        true => Ok(()),
        false => Err(format!(
            "outputs {:?} where Keras has {}",
            compiled.output_nest, case.meta["nest"]
        )),
    }
}

fn step_into<'a>(nest: &'a Nest<usize>, key: &Json) -> Option<&'a Nest<usize>> {
    match (nest, key) {
        (Nest::List(items), Json::Number(n)) => items.get(n.as_u64()? as usize),
        (Nest::Dict(items), Json::String(k)) => {
            items.iter().find(|(name, _)| name == k).map(|i| &i.1)
        }
        _ => None,
    }
}

fn same_nest(nest: &Nest<usize>, json: &Json) -> bool {
    match (nest, json) {
        (Nest::Leaf(i), Json::Number(n)) => n.as_u64() == Some(*i as u64),
        (Nest::List(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_nest(a, b))
        }
        (Nest::Dict(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(k, v)| b.get(k).is_some_and(|b| same_nest(v, b)))
        }
        _ => false,
    }
}

/// The model as Keras 3 saves it must answer the same, unless it can't be saved.
fn check_saved(model: &Model, case: &Case) -> Result<(), String> {
    let file = match model.modern() {
        Ok(file) => file,
        Err(e) if e.kind() == "cant_save" => return Ok(()),
        Err(e) => return Err(e.to_string()),
    };
    let again = Model::new(file).map_err(|e| e.to_string())?;
    let (rows, batch) = (case.rows(), case.batch_size());
    let outputs = predict(&again, case, batch, rows, Passes::default())?;
    all_close(&outputs, &case.outputs)
}

/// Runs all checks of a case; gives (check, what is wrong) for those that fail.
fn check(case: &Case) -> Vec<(&'static str, String)> {
    let model = match Model::from_bytes(case.model.clone(), &case.id) {
        Ok(model) => model,
        Err(e) => return vec![("load", e.to_string())],
    };
    let run = |batch_size: usize, step: usize, without: Passes| {
        // A model with states starts anew.
        let again = match case.repeats() {
            1 => None,
            _ => Some(Model::from_bytes(case.model.clone(), &case.id).map_err(|e| e.to_string())?),
        };
        let model = again.as_ref().unwrap_or(&model);
        predict(model, case, batch_size, step, without)
    };
    let (rows, batch) = (case.rows(), case.batch_size());
    set_threads(2);
    let outputs = match run(batch, rows, Passes::default()) {
        Ok(outputs) => outputs,
        Err(e) => return vec![("run", e)],
    };
    let mut failed = vec![];
    let mut note = |check: &'static str, result: Result<(), String>| {
        if let Err(e) = result {
            failed.push((check, e));
        }
    };
    note("values", all_close(&outputs, &case.outputs));
    note("structure", check_structure(&model, case));
    set_threads(1);
    note(
        "threads",
        run(batch, rows, Passes::default()).and_then(|o| all_same(&o, &outputs)),
    );
    set_threads(2);
    note(
        "optimiser",
        run(batch, rows, Passes::ALL).and_then(|o| all_close(&o, &case.outputs)),
    );
    if case.id.starts_with("legacy") {
        note("saved", check_saved(&model, case));
    }
    if case.meta["row_independent"].as_bool() == Some(true) {
        note(
            "rows",
            run(1, 1, Passes::default()).and_then(|o| all_same(&o, &outputs)),
        );
    }
    failed
}

#[test]
fn engine_answers_as_keras_does() {
    let filter = std::env::var("GOLDEN_FILTER").unwrap_or_default();
    let (mut passed, mut failed) = (0, 0);
    for path in packs() {
        let group = path
            .file_stem()
            .and_then(|s| s.to_str())
            .expect("a name")
            .to_string();
        let mut archive = open(&path);
        for name in names(&archive) {
            if !format!("{group}/{name}").contains(&filter) {
                continue;
            }
            let case = read_case(&mut archive, &group, &name);
            let problems = std::panic::catch_unwind(|| check(&case))
                .unwrap_or_else(|_| vec![("panic", String::new())]);
            for (check, problem) in &problems {
                let problem: String = problem.replace('\n', " ").chars().take(400).collect();
                println!("{} [{check}]: {problem}", case.id);
            }
            match problems.is_empty() {
                true => passed += 1,
                false => failed += 1,
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    assert!(passed + failed > 0, "no case matches {filter:?}");
    assert_eq!(failed, 0, "cases fail");
}
