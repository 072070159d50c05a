//! Models made, saved and run by real Keras: this engine must answer the same.
//! `golden/README.md` tells what a pack holds.
//!
//! KERASPREDICT_GOLDEN: another folder of packs.
//! GOLDEN_FILTER: only cases whose `group/name` contains it.

#[path = "golden/pack.rs"]
mod pack;

use keraspredict_engine::format::ModelFile;
use keraspredict_engine::nest::Nest;
use keraspredict_engine::optimize::Passes;
use keraspredict_engine::plan::Banding;
use keraspredict_engine::run::pool::set_threads;
use keraspredict_engine::tensor::{DType, Tensor};
use keraspredict_engine::{Model, RunOptions};
use pack::{names, open, packs, predict, read_case, Arrays, Case};
use serde_json::Value as Json;

const ATOL: f64 = 1e-5;
const RTOL: f64 = 1e-4;

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

/// Weights that aren't there must be counted like those that are, and quantized ones
/// have their sizes. Where sizes are open, so may be theirs.
fn check_bare(model: &Model) -> Result<(), String> {
    let is_open = |s: &[Option<usize>]| s.iter().skip(1).any(Option::is_none);
    if model.inputs().iter().any(|i| is_open(&i.shape)) {
        return Ok(());
    }
    let file = ModelFile {
        weights: None,
        ..model.file().clone()
    };
    let bare = Model::new(file).map_err(|e| e.to_string())?;
    let (have, want) = (bare.params(), model.params());
    let config = model.config().to_string();
    let quantized = config.contains(r#""quantization_config":{"#);
    let counts = (have.trainable, have.frozen) == (want.trainable, want.frozen);
    match counts && (have == want || !quantized) {
        true => Ok(()),
        false => Err(format!("{have:?} where the weights make {want:?}")),
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
    let mut outputs = predict(&again, case, batch, rows, RunOptions::default())?;
    let config = model.config().to_string();
    if config.contains("encodes_by_dtype") || config.contains("counts_in_floats") {
        // Keras 3 has bins and counts of its own dtypes, whatever they were before.
        for (have, want) in outputs.iter_mut().zip(&case.outputs) {
            let shape = have.shape().to_vec();
            match (have.dtype(), want.dtype()) {
                (DType::I32, DType::I64) => {
                    let bins: Vec<i64> = have.to_f64().iter().map(|v| *v as i64).collect();
                    *have = Tensor::from_slice(shape, &bins);
                }
                (DType::I64, DType::F32) => {
                    let counts: Vec<f32> = have.to_f64().iter().map(|v| *v as f32).collect();
                    *have = Tensor::from_slice(shape, &counts);
                }
                _ => {}
            }
        }
    }
    all_close(&outputs, &case.outputs)
}

/// The model between its own inputs and outputs, read back from its bytes, must answer
/// the same, unless it takes sizes that no probe finds.
fn check_parts(model: &Model, case: &Case) -> Result<(), String> {
    let outputs = match model.output_symbols() {
        Err(e) if e.kind() == "shape" => return Ok(()),
        outputs => outputs,
    };
    let whole = || {
        let outputs = outputs?.map(&mut |s| Ok(s.history.clone()))?;
        model.between("part", &model.input_symbols()?, &outputs)
    };
    let part = whole().map_err(|e| format!("between: {e}"))?;
    if part.params().total() != model.params().total() || part.summary().is_empty() {
        return Err("between: other layers".to_string());
    }
    let kept = Model::from_bytes(part.to_bytes(), &case.id).map_err(|e| format!("kept: {e}"))?;
    let (rows, batch) = (case.rows(), case.batch_size());
    let outputs = predict(&kept, case, batch, rows, RunOptions::default())?;
    all_close(&outputs, &case.outputs)
}

/// Runs all checks of a case; gives (check, what is wrong) for those that fail.
fn check(case: &Case) -> Vec<(&'static str, String)> {
    let model = match case.load() {
        Ok(model) => model,
        Err(e) => return vec![("load", e.to_string())],
    };
    let run = |batch_size: usize, step: usize, options: RunOptions| {
        // A model with states starts anew.
        let again = match case.repeats() {
            1 => None,
            _ => Some(case.load().map_err(|e| e.to_string())?),
        };
        let model = again.as_ref().unwrap_or(&model);
        predict(model, case, batch_size, step, options)
    };
    let (rows, batch) = (case.rows(), case.batch_size());
    set_threads(2);
    let outputs = match run(batch, rows, RunOptions::default()) {
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
    note("bare", check_bare(&model));
    set_threads(1);
    note(
        "threads",
        run(batch, rows, RunOptions::default()).and_then(|o| all_same(&o, &outputs)),
    );
    set_threads(2);
    let plain = RunOptions {
        without: Passes::ALL,
        banding: Banding::Never,
        ..RunOptions::default()
    };
    note(
        "optimiser",
        run(batch, rows, plain).and_then(|o| all_close(&o, &case.outputs)),
    );
    let bands = RunOptions {
        banding: Banding::Always,
        ..RunOptions::default()
    };
    note(
        "bands",
        run(batch, rows, bands).and_then(|o| all_close(&o, &case.outputs)),
    );
    if case.id.starts_with("legacy") {
        note("saved", check_saved(&model, case));
    }
    note("parts", check_parts(&model, case));
    if case.meta["row_independent"].as_bool() == Some(true) {
        note(
            "rows",
            run(1, 1, RunOptions::default()).and_then(|o| all_same(&o, &outputs)),
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
