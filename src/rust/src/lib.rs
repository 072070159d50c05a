//! The R side of keraspredict: R values in, R values out; no arithmetic.

mod ahead;
mod bind;
mod console;
mod failure;
mod handle;
mod host;
mod json;
mod layout;
mod parts;
mod sink;
mod source;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use extendr_api::prelude::*;
use keraspredict_engine::format::{self, read_weights, write_keras, write_weights, ModelFile};
use keraspredict_engine::keras::layer::Support;
use keraspredict_engine::keras::layers::LAYERS;
use keraspredict_engine::keras::ops::OPS;
use keraspredict_engine::nest::Nest;
use keraspredict_engine::run::pool;
use keraspredict_engine::summary::{Dims, LayerRow};
use keraspredict_engine::tensor::DType;
use keraspredict_engine::{Error, Model, Result, RunOptions};

use ahead::{Owned, Task};
use failure::guard;
use handle::model_of;
use sink::{allocate, Outputs};
use source::{Input, Inputs};

/// Loads a model from a file or folder; `functions` is a named list of R
/// functions that may stand in for layers, or NULL.
/// @noRd
#[extendr]
fn engine_load(path: &str, functions: Robj) -> Robj {
    guard(|| new_model(format::read(Path::new(path))?, &functions))
}

/// Loads a model from the bytes of a file, or from a handle's.
/// @noRd
#[extendr]
fn engine_load_raw(bytes: Robj, label: &str, functions: Robj) -> Robj {
    guard(|| {
        let bytes = bytes.as_raw_slice().unwrap_or(&[]).to_vec();
        new_model(format::read_bytes(bytes, label)?, &functions)
    })
}

fn new_model(file: ModelFile, functions: &Robj) -> Result<Robj> {
    let _functions = handle::with_functions(functions);
    let names = functions.names().into_iter().flatten();
    let names: Vec<String> = names.map(str::to_string).collect();
    let model = Model::with_functions(file, &names)?;
    Ok(handle::new_handle(model, functions))
}

/// The R functions that a model's handle keeps.
/// @noRd
#[extendr]
fn engine_functions(handle: Robj) -> Robj {
    guard(|| Ok(handle::functions_of(&handle)))
}

/// The layers of a model with their calls and the tensors of these.
/// @noRd
#[extendr]
fn engine_layers(handle: Robj) -> Robj {
    guard(|| parts::layers(&*model_of(&handle)?))
}

/// The tensors that a model takes and gives, and which graph they are of.
/// @noRd
#[extendr]
fn engine_ends(handle: Robj) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        Ok(list!(
            inputs = parts::symbols(&model.input_symbols()?),
            outputs = parts::symbols(&model.output_symbols()?)
        )
        .into())
    })
}

/// A text that is equal for tensors of one graph, in this session.
/// @noRd
#[extendr]
fn engine_graph_id(handle: Robj) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        Ok(format!("{:p}", std::ptr::from_ref(model.calls())).into_robj())
    })
}

/// The model between some tensors of a model.
/// @noRd
#[extendr]
fn engine_between(handle: Robj, name: &str, inputs: Robj, outputs: Robj) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        let inputs = parts::read_symbols(&inputs)?;
        let outputs = parts::read_symbols(&outputs)?;
        let outputs = outputs.map(&mut |s| Ok::<_, Error>(s.history.clone()))?;
        let made = model.between(name, &inputs, &outputs)?;
        Ok(handle::new_handle(made, &handle::functions_of(&handle)))
    })
}

/// A nested model as a model of its own.
/// @noRd
#[extendr]
fn engine_nested(handle: Robj, layer: &str) -> Robj {
    guard(|| {
        let nested = model_of(&handle)?.nested(layer);
        let nested = nested.ok_or_else(|| Error::internal("the layer is no model"))?;
        Ok(handle::new_handle(nested, &handle::functions_of(&handle)))
    })
}

/// The config of a model (where `layer` is NULL) or of one of its layers.
/// @noRd
#[extendr]
fn engine_config(handle: Robj, layer: Robj) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        let spec = match layer.as_str() {
            Some(name) => model.layer_config(name).cloned().unwrap_or_default(),
            None => model.config(),
        };
        Ok(json::from_json(&spec["config"]))
    })
}

/// The JSON text of a model.
/// @noRd
#[extendr]
fn engine_json(handle: Robj) -> Robj {
    guard(|| Ok(model_of(&handle)?.config().to_string().into_robj()))
}

/// The weights of a model (where `layer` is NULL) or of one of its layers.
/// @noRd
#[extendr]
fn engine_weights(handle: Robj, layer: Robj) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        match layer.as_str() {
            Some(name) => match model.layer(name) {
                Some(node) => parts::weights(node),
                None => Ok(List::new(0).into()),
            },
            None => parts::weights(model.root()),
        }
    })
}

/// The vocabulary of a layer, where it has one: list(terms, how many are special).
/// @noRd
#[extendr]
fn engine_vocabulary(handle: Robj, layer: &str) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        let known = model.layer(layer).and_then(|node| node.layer.vocabulary());
        match known {
            Some((terms, special)) => {
                Ok(list!(sink::array_of(terms.view())?, special as f64).into())
            }
            None => Ok(().into()),
        }
    })
}

/// Writes a model as a `.keras` archive or folder.
/// @noRd
#[extendr]
fn engine_save(handle: Robj, path: &str, zipped: bool) -> Robj {
    guard(|| {
        write_keras(&model_of(&handle)?.modern()?, Path::new(path), zipped)?;
        Ok(().into())
    })
}

/// Writes a model's weights as `.weights.h5`.
/// @noRd
#[extendr]
fn engine_save_weights(handle: Robj, path: &str) -> Robj {
    guard(|| {
        write_weights(&model_of(&handle)?.modern()?, Path::new(path))?;
        Ok(().into())
    })
}

/// The model with the weights of a file: list(handle, skipped).
/// @noRd
#[extendr]
fn engine_load_weights(handle: Robj, path: &str, skip_mismatch: bool) -> Robj {
    guard(|| {
        let weights = read_weights(Path::new(path))?;
        let (model, skipped) = model_of(&handle)?.with_weights(weights, skip_mismatch)?;
        Ok(list!(
            handle = handle::new_handle(model, &handle::functions_of(&handle)),
            skipped = skipped
        )
        .into())
    })
}

/// Whether a model's handle can be used as it is.
/// @noRd
#[extendr]
fn engine_is_handle(handle: Robj) -> bool {
    handle::is_handle(&handle)
}

/// What R wants to know of a model before it predicts.
/// @noRd
#[extendr]
fn engine_info(handle: Robj) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        let inputs = model.inputs().iter().map(|input| {
            list!(
                name = input.name.as_str(),
                shape = dims_with_na(&input.shape),
                dtype = input.dtype.name(),
                optional = input.optional
            )
        });
        let inputs = List::from_values(inputs);
        Ok(list!(
            name = model.name(),
            class = model.class(),
            inputs = inputs,
            input_nest = nest(model.input_nest()),
            output_names = model.output_names(),
            trains = model.records_training(),
            batch = model.stateful_batch().map(|n| n as i32)
        )
        .into())
    })
}

/// The number of threads that predictions use; sets it where `n` isn't negative
/// (0 is the default), with the number of cores that the default keeps to.
/// @noRd
#[extendr]
fn engine_threads(n: f64, cores: f64) -> i32 {
    let before = pool::threads();
    if n >= 0.0 {
        pool::set_threads(n as usize);
        pool::set_cores(cores as usize);
        THREADS.store(n as usize, Ordering::Relaxed);
        CORES.store(cores as usize, Ordering::Relaxed);
    }
    before as i32
}

/// Keeps to one core where no option tells how many are this process', which is
/// one worker of several.
/// @noRd
#[extendr]
fn engine_worker() {
    UNTOLD.store(1, Ordering::Relaxed);
    CORES.store(1, Ordering::Relaxed);
    pool::set_cores(1);
}

/// How many characters go on a line of the terminal that R writes to, or 0 where
/// that isn't known.
/// @noRd
#[extendr]
fn engine_columns() -> i32 {
    console::columns()
}

/// The number of threads that R asked for last; 0 for the default.
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// The number of cores that R told last; 0 for all.
static CORES: AtomicUsize = AtomicUsize::new(0);
/// The number of cores where R tells none; 0 for all.
static UNTOLD: AtomicUsize = AtomicUsize::new(0);

// R values are opaque here.
#[allow(improper_ctypes)]
extern "C" {
    fn Rf_GetOption1(tag: extendr_ffi::SEXP) -> extendr_ffi::SEXP;
}

/// The number that an option is; `None` where it isn't set, NaN for other values.
fn number_option(name: &std::ffi::CStr) -> Option<f64> {
    // SAFETY: main thread; options are protected by R.
    let option = unsafe {
        let tag = extendr_ffi::Rf_install(name.as_ptr());
        Robj::from_sexp(Rf_GetOption1(tag))
    };
    match option.as_real() {
        None if option.is_null() => None,
        None => Some(option.as_integer().map_or(f64::NAN, f64::from)),
        n => n,
    }
}

/// Whether the options about threads are as R told them last.
fn threads_are_as_asked() -> bool {
    let threads = number_option(c"keraspredict.threads").unwrap_or(0.0);
    let cores = match number_option(c"mc.cores") {
        Some(n) if n.is_finite() => n.floor().max(1.0),
        Some(_) => 0.0,
        None => UNTOLD.load(Ordering::Relaxed) as f64,
    };
    threads == THREADS.load(Ordering::Relaxed) as f64
        && cores == CORES.load(Ordering::Relaxed) as f64
}

/// Times of the steps of one batch: list(layer, operation, seconds).
/// @noRd
#[extendr]
fn engine_profile(handle: Robj, x: List, dims: List, n: f64, repeats: f64) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        let rows = n as usize;
        let inputs = read_inputs(&model, &x, &dims, 0..rows)?;
        let steps = model.profile(&inputs, rows, repeats as usize)?;
        Ok(list!(
            layer = steps.iter().map(|s| &*s.path).collect::<Vec<_>>(),
            operation = steps.iter().map(|s| &*s.operation).collect::<Vec<_>>(),
            seconds = steps.iter().map(|s| s.seconds).collect::<Vec<_>>()
        )
        .into())
    })
}

/// Sets the states of stateful layers to zero.
/// @noRd
#[extendr]
fn engine_reset_state(handle: Robj) -> Robj {
    guard(|| {
        model_of(&handle)?.reset_states();
        Ok(().into())
    })
}

/// The number of missing values of a vector.
/// @noRd
#[extendr]
fn engine_count_na(x: Robj) -> f64 {
    source::count_na(&x) as f64
}

/// Allocates the arrays of a prediction: list(arrays, nest).
/// @noRd
#[extendr]
fn engine_prepare(handle: Robj, x: List, dims: List, n: f64, batch: f64) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        // Texts of the first batch may decide the shapes of all.
        let (n, batch) = (n as usize, batch as usize);
        let inputs = read_inputs(&model, &x, &dims, 0..n.min(batch))?;
        let (arrays, nest) = prepare(&model, &inputs, n, batch, &RunOptions::default())?;
        Ok(with_nest(arrays, &nest))
    })
}

/// Predicts rows from..to (counted from 0) into the arrays.
/// @noRd
#[extendr]
fn engine_run(
    handle: Robj,
    x: List,
    dims: List,
    arrays: List,
    from: f64,
    to: f64,
    batch: f64,
) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        let rows = from as usize..to as usize;
        let inputs = read_inputs(&model, &x, &dims, rows.clone())?;
        let arrays: Vec<Robj> = arrays.values().collect();
        let options = RunOptions::default();
        run(&model, &inputs, &arrays, rows, batch as usize, &options)?;
        Ok(().into())
    })
}

/// Predicts all rows as one batch: the array where the output is one, else
/// list(arrays, nest). `training` is NULL where the model's own calls decide.
/// @noRd
#[extendr]
fn engine_batch(handle: Robj, x: List, dims: List, n: f64, training: Robj, seed: f64) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        let n = n as usize;
        let inputs = read_inputs(&model, &x, &dims, 0..n)?;
        one_batch(&model, &inputs, n, &training, seed as u64)
    })
}

/// Predicts the rows of a plain array of doubles as one batch, the usual case of
/// few rows: the array, or NULL where the model or the input isn't that simple,
/// there are no rows or more than `most`, or the engine is to be told of options.
/// @noRd
#[extendr]
fn engine_array(handle: Robj, x: Robj, most: f64, training: Robj) -> Robj {
    guard(|| {
        if !handle::is_handle(&handle) || !threads_are_as_asked() {
            return Ok(().into());
        }
        let model = model_of(&handle)?;
        let [spec] = model.inputs() else {
            return Ok(().into());
        };
        let dim = x.get_attrib(dim_symbol());
        let Some(dim) = dim.as_ref().and_then(Robj::as_integer_slice) else {
            return Ok(().into());
        };
        let shape: Vec<usize> = dim.iter().map(|&d| d as usize).collect();
        let n = shape[0];
        let is_usual = x.rtype() == Rtype::Doubles
            && spec.dtype.is_float()
            && spec.shape.len() == shape.len()
            && spec.shape[0].is_none()
            && spec.shape[1..]
                .iter()
                .zip(&shape[1..])
                .all(|(s, d)| *s == Some(*d))
            && (1.0..=most).contains(&(n as f64));
        if !is_usual {
            return Ok(().into());
        }
        let input = Input::new(&x, spec.dtype, &shape, 0..n)?;
        let inputs = Inputs {
            inputs: vec![Some(input)],
            masks: false,
        };
        one_batch(&model, &inputs, n, &training, 0)
    })
}

/// Starts to compute one batch while R goes on: list(task, arrays, nest), or NULL
/// where that isn't worth while, or needs R itself.
/// @noRd
#[extendr]
fn engine_start(handle: Robj, x: List, dims: List, n: f64) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        let n = n as usize;
        let options = RunOptions::default();
        let inputs = read_inputs(&model, &x, &dims, 0..n)?;
        // What the next batch does first may look at the states of a stateful model.
        if n == 0 || inputs.has_text() || model.stateful_batch().is_some() {
            return Ok(().into());
        }
        let plan = &model.compile_batch(&inputs, 0..n, n, &options)?.plan;
        if plan.on_caller || plan.flops < ahead::WORTH_A_THREAD {
            return Ok(().into());
        }
        let (arrays, nested) = prepare(&model, &inputs, n, n, &options)?;
        let outputs = Outputs::new(&arrays)?;
        let arrays: Robj = List::from_values(arrays).into();
        let task = Task::start(model.shared(), Owned::new(&inputs)?, outputs, n)?;
        let task = ahead::wrap(task, &arrays);
        Ok(list!(task = task, arrays = arrays, nest = nest(&nested)).into())
    })
}

/// Waits for what was started, but not longer than `seconds`: whether it has ended.
/// @noRd
#[extendr]
fn engine_wait(started: List, seconds: f64) -> Robj {
    guard(|| {
        let lost = || Error::internal("there is no task");
        let pointer = started.dollar("task").map_err(|_| lost())?;
        let Some(task) = ahead::task_of(&pointer) else {
            return Ok(true.into());
        };
        let done = task.wait(Duration::from_secs_f64(seconds));
        if matches!(done, Ok(None)) {
            return Ok(false.into());
        }
        ahead::end(&pointer);
        if let Some(outputs) = done? {
            let arrays = started.dollar("arrays").ok().and_then(|a| a.as_list());
            let arrays: Vec<Robj> = arrays.ok_or_else(lost)?.values().collect();
            outputs.finish(&arrays);
        }
        Ok(true.into())
    })
}

/// Ends what was started, done or not.
/// @noRd
#[extendr]
fn engine_end(started: List) -> Robj {
    guard(|| {
        if let Ok(task) = started.dollar("task") {
            ahead::end(&task);
        }
        Ok(().into())
    })
}

/// The layers and the counts of a model.
/// @noRd
#[extendr]
fn engine_summary(handle: Robj) -> Robj {
    guard(|| {
        let model = model_of(&handle)?;
        let params = model.params();
        let bytes = params.trainable_bytes + params.frozen_bytes;
        Ok(list!(
            rows = layer_rows(&model.summary()),
            counts = list!(
                total = params.total() as f64,
                trainable = params.trainable as f64,
                total_bytes = bytes as f64,
                trainable_bytes = params.trainable_bytes as f64
            )
        )
        .into())
    })
}

/// The shapes of a model's outputs, with NA for open sizes.
/// @noRd
#[extendr]
fn engine_output_shapes(handle: Robj) -> Robj {
    guard(|| {
        let shapes = model_of(&handle)?.output_shapes()?;
        Ok(List::from_values(shapes.iter().map(|s| dims_with_na(s))).into())
    })
}

/// Binds arrays along their first axis.
/// @noRd
#[extendr]
fn engine_bind(arrays: List) -> Robj {
    guard(|| bind::bind(&arrays.values().collect::<Vec<_>>()))
}

/// Rows from..to (counted from 0) of an array.
/// @noRd
#[extendr]
fn engine_rows(array: Robj, from: f64, to: f64) -> Robj {
    guard(|| bind::rows(&array, from as usize..to as usize))
}

/// The inputs of one call from R, which masks may follow; strings are read for
/// the given rows.
fn read_inputs(model: &Model, x: &List, dims: &List, rows: Range<usize>) -> Result<Inputs> {
    let specs = model.inputs();
    let masks = x.len() == 2 * specs.len();
    if x.len() != dims.len() || !(masks || x.len() == specs.len()) {
        return Err(Error::internal(
            "not as many arrays as the model has inputs",
        ));
    }
    let dtypes = specs.iter().map(|spec| spec.dtype);
    let dtypes = dtypes.chain(std::iter::repeat(DType::Bool));
    let inputs = x.values().zip(dims.values()).zip(dtypes);
    let inputs = inputs.map(|((x, dims), dtype)| match x.is_null() {
        true => Ok(None),
        false => Input::new(&x, dtype, &sizes(&dims), rows.clone()).map(Some),
    });
    Ok(Inputs {
        inputs: inputs.collect::<Result<_>>()?,
        masks,
    })
}

fn prepare(
    model: &Model,
    inputs: &Inputs,
    n: usize,
    batch: usize,
    options: &RunOptions,
) -> Result<(Vec<Robj>, Nest<usize>)> {
    // Without rows there is nothing to plan for: one row tells the other dims.
    let rows = n.max(1);
    let mut results = model.result_facts(inputs, rows, batch, options)?;
    if n == 0 {
        for fact in &mut results {
            match fact.shape.first_mut() {
                Some(d) => *d = 0,
                None => fact.shape = vec![0],
            }
        }
    }
    let compiled = model.compile_batch(inputs, 0..rows.min(batch), batch, options)?;
    let arrays = results
        .iter()
        .zip(model.output_names())
        .map(|(fact, name)| {
            let array = allocate(fact.dtype, &fact.shape);
            array.map_err(|e| e.in_layer(name))
        });
    Ok((arrays.collect::<Result<_>>()?, compiled.output_nest.clone()))
}

/// All rows as one batch: the array where the output is one, else list(arrays, nest).
fn one_batch(model: &Model, inputs: &Inputs, n: usize, training: &Robj, seed: u64) -> Result<Robj> {
    let options = RunOptions {
        training: training.as_bool(),
        seed,
        ..RunOptions::default()
    };
    let (mut arrays, nest) = prepare(model, inputs, n, n.max(1), &options)?;
    if n > 0 {
        run(model, inputs, &arrays, 0..n, n, &options)?;
    }
    match (&nest, arrays.pop()) {
        (Nest::Leaf(_), Some(array)) => Ok(array),
        (_, last) => {
            arrays.extend(last);
            Ok(with_nest(arrays, &nest))
        }
    }
}

fn with_nest(arrays: Vec<Robj>, structure: &Nest<usize>) -> Robj {
    list!(arrays = List::from_values(arrays), nest = nest(structure)).into()
}

fn run(
    model: &Model,
    inputs: &Inputs,
    arrays: &[Robj],
    rows: Range<usize>,
    batch: usize,
    options: &RunOptions,
) -> Result<()> {
    let outputs = Outputs::new(arrays)?;
    model.predict(inputs, &outputs, rows, batch, options)?;
    outputs.finish(arrays);
    Ok(())
}

/// Sizes that R gives as numbers.
fn sizes(x: &Robj) -> Vec<usize> {
    if let Some(values) = x.as_integer_slice() {
        values.iter().map(|&v| v.max(0) as usize).collect()
    } else {
        let values = x.as_real_slice().unwrap_or(&[]);
        values.iter().map(|&v| v as usize).collect()
    }
}

fn dims_with_na(shape: &[Option<usize>]) -> Robj {
    let dims = shape.iter().map(|d| match d {
        Some(d) => Rint::from(*d as i32),
        None => Rint::na(),
    });
    dims.collect::<Integers>().into()
}

/// Sizes that R gives with NA for open ones.
fn sizes_with_na(x: &Robj) -> Vec<Option<usize>> {
    let values = x.as_integer_slice().unwrap_or(&[]);
    values.iter().map(|&v| usize::try_from(v).ok()).collect()
}

fn layer_rows(rows: &[LayerRow]) -> Robj {
    let rows = rows.iter().map(|row| {
        list!(
            name = row.name.as_str(),
            class = row.class.as_str(),
            shape = row.output.as_ref().map_or("?".into(), show_shapes),
            params = row.params.total() as f64,
            trainable = row.trainable,
            dtype = row.dtype,
            connected = row.connected_to.clone(),
            layers = layer_rows(&row.children)
        )
    });
    List::from_values(rows).into()
}

/// Shapes as Keras' summary shows them.
fn show_shapes(shapes: &Nest<Dims>) -> String {
    fn show(nest: &Nest<Dims>) -> String {
        match nest {
            Nest::Leaf(dims) => {
                let dims = dims.iter();
                let dims = dims.map(|d| d.map_or("None".to_string(), |d| d.to_string()));
                format!("({})", dims.collect::<Vec<_>>().join(", "))
            }
            Nest::List(items) => {
                let items: Vec<String> = items.iter().map(show).collect();
                format!("[{}]", items.join(", "))
            }
            Nest::Dict(items) => {
                let items = items.iter().map(|(k, v)| format!("{k}: {}", show(v)));
                format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
            }
            Nest::Null => "None".to_string(),
        }
    }
    match shapes.flatten().as_slice() {
        [one] => show(&Nest::Leaf((*one).clone())),
        _ => show(shapes),
    }
}

/// A nest as R sees it: numbers from 1 for the leaves, lists, named lists.
fn nest(nest: &Nest<usize>) -> Robj {
    match nest {
        Nest::Leaf(i) => (*i as i32 + 1).into_robj(),
        Nest::List(items) => List::from_values(items.iter().map(self::nest)).into(),
        Nest::Dict(items) => {
            let mut list = List::from_values(items.iter().map(|(_, item)| self::nest(item)));
            let _ = list.set_names(items.iter().map(|(name, _)| name.as_str()));
            list.into()
        }
        Nest::Null => ().into_robj(),
    }
}

/// The columns of a table of classes: class, group, whether it runs, note.
fn support(rows: impl Iterator<Item = (&'static str, &'static str, bool, &'static str)>) -> Robj {
    let rows: Vec<_> = rows.collect();
    list!(
        class = rows.iter().map(|r| r.0).collect::<Vec<_>>(),
        group = rows.iter().map(|r| r.1).collect::<Vec<_>>(),
        runs = rows.iter().map(|r| r.2).collect::<Vec<_>>(),
        note = rows.iter().map(|r| r.3).collect::<Vec<_>>()
    )
    .into()
}

/// The engine's table of layers.
/// @noRd
#[extendr]
fn engine_supported_layers() -> Robj {
    guard(|| {
        let rows = LAYERS.iter();
        Ok(support(rows.map(|d| {
            let runs = !matches!(d.support, Support::Refused);
            (d.class, d.concept, runs, d.note)
        })))
    })
}

/// The engine's table of operations.
/// @noRd
#[extendr]
fn engine_supported_ops() -> Robj {
    guard(|| {
        let rows = OPS.iter();
        Ok(support(
            rows.map(|d| (d.class, d.module, d.lower.is_some(), d.note)),
        ))
    })
}

extendr_module! {
    mod keraspredict;
    fn engine_load;
    fn engine_load_raw;
    fn engine_save;
    fn engine_save_weights;
    fn engine_load_weights;
    fn engine_is_handle;
    fn engine_info;
    fn engine_count_na;
    fn engine_reset_state;
    fn engine_threads;
    fn engine_worker;
    fn engine_columns;
    fn engine_profile;
    fn engine_prepare;
    fn engine_run;
    fn engine_batch;
    fn engine_start;
    fn engine_wait;
    fn engine_end;
    fn engine_array;
    fn engine_bind;
    fn engine_rows;
    fn engine_summary;
    fn engine_output_shapes;
    fn engine_functions;
    fn engine_layers;
    fn engine_ends;
    fn engine_graph_id;
    fn engine_between;
    fn engine_nested;
    fn engine_config;
    fn engine_json;
    fn engine_weights;
    fn engine_vocabulary;
    fn engine_supported_layers;
    fn engine_supported_ops;
}
