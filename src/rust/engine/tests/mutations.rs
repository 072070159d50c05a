//! Models with changed configs and weights: what loads must predict or be refused,
//! never panic.
//!
//! KERASPREDICT_MUTATIONS: how many models are changed. KERASPREDICT_SEED: other
//! changes. GOLDEN_FILTER: only cases whose `group/name` contains it.

mod dice;
#[allow(dead_code)]
#[path = "golden/pack.rs"]
mod pack;

use std::time::{Duration, Instant};

use dice::{setting, Dice};
use keraspredict_engine::format::{self, ModelFile, StoredWeight, WeightTree, Weights};
use keraspredict_engine::tensor::{DType, Fact, Tensor};
use keraspredict_engine::{memory, Model, RunOptions};
use pack::{names, open, packs, predict, read_case, Arrays, Case};
use serde_json::{json, Value as Json};

// ---- configs -------------------------------------------------------------------------------

/// How many values a value holds, with itself.
fn size(value: &Json) -> usize {
    1 + match value {
        Json::Array(a) => a.iter().map(size).sum(),
        Json::Object(o) => o.values().map(size).sum(),
        _ => 0,
    }
}

/// The value at a place, counted from 0 for the whole.
fn at(value: &mut Json, place: usize) -> &mut Json {
    if place == 0 {
        return value;
    }
    let mut before = 1;
    let inside: Box<dyn Iterator<Item = &mut Json>> = match value {
        Json::Array(a) => Box::new(a.iter_mut()),
        Json::Object(o) => Box::new(o.values_mut()),
        _ => unreachable!("the place is inside"),
    };
    for child in inside {
        let n = size(child);
        if place < before + n {
            return at(child, place - before);
        }
        before += n;
    }
    unreachable!("the place is inside")
}

fn telling(dice: &mut Dice) -> Json {
    let all = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(2),
        json!(-1),
        json!(7),
        json!(1_000_000_007_u64),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.5),
        json!(-3.25),
        json!(1e300),
        json!("NaN"),
        json!("Infinity"),
        json!(""),
        json!("relu"),
        json!("channels_first"),
        json!("float16"),
        json!([]),
        json!({}),
        json!([1, 2]),
        json!([null, 3, 4]),
        json!([0, 0, 0]),
    ];
    all[dice.roll(all.len())].clone()
}

fn nested(value: Json, depth: usize) -> Json {
    (0..depth).fold(value, |inner, _| Json::Array(vec![inner]))
}

fn change_config(config: &mut Json, dice: &mut Dice) {
    let whole = size(config);
    let other = at(config, dice.roll(whole)).clone();
    let here = at(config, dice.roll(whole));
    match dice.roll(9) {
        0 => match here {
            Json::Array(a) if !a.is_empty() => {
                a.remove(dice.roll(a.len()));
            }
            Json::Object(o) if !o.is_empty() => {
                let key = o.keys().nth(dice.roll(o.len())).expect("a key").clone();
                o.remove(&key);
            }
            value => *value = Json::Null,
        },
        1 => match here {
            Json::Array(a) if !a.is_empty() => {
                let again = a[dice.roll(a.len())].clone();
                a.insert(dice.roll(a.len()), again);
            }
            value => *value = telling(dice),
        },
        2 => *here = other,
        3 => match here {
            Json::Number(n) => {
                let n = n.as_f64().unwrap_or(0.0);
                let near = [n + 1.0, n - 1.0, n * 2.0, -n, n / 2.0, n * 1e6];
                *here = match near[dice.roll(near.len())] {
                    x if x.fract() == 0.0 && x.abs() < 1e15 => json!(x as i64),
                    x => json!(x),
                };
            }
            value => *value = telling(dice),
        },
        4 => {
            // JSON that nests deeper than 128 is not read.
            let depth = 1 + dice.roll(40);
            *here = nested(here.take(), depth);
        }
        _ => *here = telling(dice),
    }
}

// ---- weights -------------------------------------------------------------------------------

/// The lists of weights of a file.
fn lists<'a>(weights: &'a mut Weights, out: &mut Vec<&'a mut Vec<StoredWeight>>) {
    fn tree<'a>(t: &'a mut WeightTree, out: &mut Vec<&'a mut Vec<StoredWeight>>) {
        if !t.vars.is_empty() {
            out.push(&mut t.vars);
        }
        t.children.values_mut().for_each(|c| tree(c, out));
    }
    match weights {
        Weights::Tree(t) => tree(t, out),
        Weights::Legacy(layers) => {
            let all = layers.iter_mut().map(|l| &mut l.1);
            out.extend(all.filter(|l| !l.is_empty()));
        }
    }
}

fn change_weights(weights: &mut Weights, dice: &mut Dice) {
    if let (Weights::Tree(t), 0) = (&mut *weights, dice.roll(6)) {
        let mut here = t;
        while !here.children.is_empty() {
            let key = here.children.keys().nth(dice.roll(here.children.len()));
            let key = key.expect("a key").clone();
            if dice.roll(2) == 0 {
                let gone = here.children.remove(&key);
                if dice.roll(2) == 0 {
                    let gone = gone.expect("it is there");
                    here.children.insert(format!("{key}_1"), gone);
                }
                return;
            }
            here = here.children.get_mut(&key).expect("it is there");
        }
    }
    let mut all = vec![];
    lists(weights, &mut all);
    if all.is_empty() {
        return;
    }
    let which = dice.roll(all.len());
    let list = &mut *all[which];
    let i = dice.roll(list.len());
    let tensor = &list[i].tensor;
    let shape = tensor.shape().to_vec();
    let changed = match dice.roll(8) {
        0 => {
            list.remove(i);
            return;
        }
        1 => {
            let again = list[i].clone();
            list.push(again);
            return;
        }
        2 => {
            let last = list.len() - 1;
            list.swap(i, last);
            return;
        }
        3 => {
            let all = [DType::F16, DType::F64, DType::I32, DType::Bool, DType::Str];
            Tensor::zeros(Fact::new(all[dice.roll(all.len())], shape))
        }
        4 => {
            let mut turned = shape;
            turned.reverse();
            (**tensor).clone().reshaped(turned)
        }
        5 => {
            let n = tensor.numel();
            (**tensor).clone().reshaped([n])
        }
        6 => Tensor::zeros(Fact::new(tensor.dtype(), [&shape[..], &[0]].concat())),
        _ => {
            let mut full = (**tensor).clone();
            full.bytes_mut().fill(0xff);
            full
        }
    };
    list[i].tensor = changed.into();
}

// ---- the test ------------------------------------------------------------------------------

fn told(e: &keraspredict_engine::Error) -> String {
    format!("{}: {e}", e.kind())
}

/// Loads and predicts; the kind of the error if there is one.
fn outcome(file: ModelFile, case: &Case) -> Result<(), String> {
    let model = Model::new(file).map_err(|e| told(&e))?;
    if model.inputs().len() != case.inputs.len() {
        return Err("bad_input: other inputs".to_string());
    }
    let fits = |(input, given): (&keraspredict_engine::keras::model::InputSpec, &Tensor)| {
        input.dtype == given.dtype()
    };
    if !model.inputs().iter().zip(&case.inputs).all(fits) {
        return Err("bad_input: other dtypes".to_string());
    }
    let (rows, options) = (case.rows(), RunOptions::default());
    let facts = model.result_facts(&Arrays(&case.inputs), rows, case.batch_size(), &options);
    let facts = facts.map_err(|e| told(&e))?;
    let bytes = facts.iter().map(Fact::bytes).fold(0, usize::saturating_add);
    memory::ask(bytes, Default::default).map_err(|e| e.to_string())?;
    predict(
        &model,
        case,
        case.batch_size(),
        case.rows(),
        RunOptions::default(),
    )
    .map(|_| ())
}

#[test]
fn changed_models_never_panic() {
    const SLOW: Duration = Duration::from_secs(20);
    let filter = std::env::var("GOLDEN_FILTER").unwrap_or_default();
    let rounds = setting("KERASPREDICT_MUTATIONS", 300) as usize;
    let mut dice = Dice(setting("KERASPREDICT_SEED", 1));
    let verbose = std::env::var_os("KERASPREDICT_VERBOSE").is_some();
    let mut cases = vec![];
    for path in packs() {
        let group = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        let archive = open(&path);
        let names = names(&archive);
        let names = names.into_iter().map(|name| (group.to_string(), name));
        cases.extend(
            names
                .filter(|(g, n)| format!("{g}/{n}").contains(&filter))
                .map(|c| (path.clone(), c)),
        );
    }
    // Configs may ask for much, which takes long to compute.
    memory::set_most(256 << 20);
    let (mut predicted, mut refused, mut wrong) = (0, 0, vec![]);
    let mut done = 0;
    while done < rounds {
        let (path, (group, name)) = &cases[dice.roll(cases.len())];
        let case = read_case(&mut open(path), group, name);
        let Ok(whole) = format::read_bytes(case.model.clone(), &case.id) else {
            continue;
        };
        // Reading takes longer than changing.
        for _ in 0..20 {
            done += 1;
            let mut file = whole.clone();
            let seed = dice.0;
            for _ in 0..=dice.roll(3) {
                match (&mut file.weights, dice.roll(4)) {
                    (Some(weights), 0) => change_weights(weights, &mut dice),
                    _ => change_config(&mut file.config, &mut dice),
                }
            }
            if verbose {
                println!("{} {seed}: {}", case.id, file.config);
            }
            let start = Instant::now();
            let result = std::panic::catch_unwind(|| outcome(file.clone(), &case));
            let result = result.unwrap_or_else(|panic| Err(told(&memory::caught(panic))));
            match result {
                Err(e) if e.starts_with("internal") => {
                    wrong.push(format!("{} {seed}: {e}: {}", case.id, file.config));
                }
                Ok(()) => predicted += 1,
                Err(_) => refused += 1,
            }
            if start.elapsed() > SLOW {
                wrong.push(format!(
                    "{} {seed}: takes {:?}: {}",
                    case.id,
                    start.elapsed(),
                    file.config
                ));
            }
        }
    }
    println!(
        "{predicted} predicted, {refused} refused, {} wrong",
        wrong.len()
    );
    for text in &wrong {
        println!("{text}");
    }
    assert!(wrong.is_empty(), "{} of {done} are wrong", wrong.len());
    assert!(predicted > rounds / 20 && refused > rounds / 20);
}

#[test]
fn weights_of_strings_are_refused() {
    let mut refused = 0;
    for path in packs() {
        let group = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        let mut archive = open(&path);
        let Some(name) = names(&archive).into_iter().next() else {
            continue;
        };
        let case = read_case(&mut archive, group, &name);
        let Ok(whole) = format::read_bytes(case.model.clone(), &case.id) else {
            continue;
        };
        let each = |file: &mut ModelFile, set: Option<usize>| {
            let mut all = vec![];
            file.weights.iter_mut().for_each(|w| lists(w, &mut all));
            let all: Vec<&mut StoredWeight> = all.into_iter().flatten().collect();
            let n = all.len();
            if let Some(w) = set.and_then(|i| all.into_iter().nth(i)) {
                let shape = w.tensor.shape().to_vec();
                w.tensor = Tensor::zeros(Fact::new(DType::Str, shape)).into();
            }
            n
        };
        let n = each(&mut whole.clone(), None);
        for i in 0..n {
            let mut file = whole.clone();
            each(&mut file, Some(i));
            if let Err(e) = outcome(file, &case) {
                assert!(!e.starts_with("internal"), "{}: weight {i}: {e}", case.id);
                refused += 1;
            }
        }
    }
    assert!(refused > 50);
}
