//! What a layer is to the model: config turned into a [`Layer`], with its
//! variables, its sublayers, and a call that writes primitives.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value as Json};

use super::cfg::Cfg;
use super::lora::Lora;
use super::policy::Policy;
use crate::error::{Error, Result};
use crate::format::{Assets, StoredWeight};
use crate::graph::{Builder, Const, RandomKind, Tokenizer, ValueId};
use crate::keras::legacy::FunctionCall;
use crate::nest::Nest;
use crate::tensor::{show_shape, DType, Fact, Tensor};

/// Set for layers that take lists by configs of Keras before 3.4, which looked for masks
/// on the list.
pub const ENDS_MASKS: &str = "masks_of_lists_end";

/// Names the class of Keras 2 that stores of its time know a layer by, where it has
/// become another one.
pub const STORED_CLASS: &str = "stored_class";

/// A tensor and the mask that Keras would carry on it: bool, usually (batch, time).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct T {
    pub value: ValueId,
    pub mask: Option<ValueId>,
}

impl From<ValueId> for T {
    fn from(value: ValueId) -> Self {
        T { value, mask: None }
    }
}

/// What a call returns: one tensor, or lists and dicts of them.
pub type Out = Nest<T>;

impl From<T> for Out {
    fn from(t: T) -> Self {
        Nest::Leaf(t)
    }
}
impl From<ValueId> for Out {
    fn from(value: ValueId) -> Self {
        Nest::Leaf(value.into())
    }
}

/// An argument of a call: tensors and literals, nested.
#[derive(Clone, Debug)]
pub enum Arg {
    Tensor(T),
    /// Anything that is not a tensor, as Keras serialized it (also slices and
    /// ellipses, as `{"class_name": "__slice__", ...}`). Null is None.
    Lit(Json),
    List(Vec<Arg>),
    Dict(Vec<(String, Arg)>),
}

impl Arg {
    pub fn is_none(&self) -> bool {
        matches!(self, Arg::Lit(Json::Null))
    }

    /// All tensors in it, in flattening order.
    pub fn tensors(&self) -> Vec<T> {
        match self {
            Arg::Tensor(t) => vec![*t],
            Arg::Lit(_) => vec![],
            Arg::List(items) => items.iter().flat_map(Arg::tensors).collect(),
            Arg::Dict(items) => {
                let mut sorted: Vec<_> = items.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                sorted.into_iter().flat_map(|(_, v)| v.tensors()).collect()
            }
        }
    }

    /// The argument as an output; `None` if it holds literals.
    pub fn as_out(&self) -> Option<Out> {
        Some(match self {
            Arg::Tensor(t) => Nest::Leaf(*t),
            Arg::Lit(Json::Null) => Nest::Null,
            Arg::Lit(_) => return None,
            Arg::List(items) => Nest::List(items.iter().map(Arg::as_out).collect::<Option<_>>()?),
            Arg::Dict(items) => Nest::Dict(
                items
                    .iter()
                    .map(|(k, v)| Some((k.clone(), v.as_out()?)))
                    .collect::<Option<_>>()?,
            ),
        })
    }

    /// The same argument with each tensor replaced.
    pub fn map(&self, f: &mut impl FnMut(T) -> Result<T>) -> Result<Arg> {
        Ok(match self {
            Arg::Tensor(t) => Arg::Tensor(f(*t)?),
            Arg::Lit(j) => Arg::Lit(j.clone()),
            Arg::List(items) => Arg::List(items.iter().map(|i| i.map(f)).collect::<Result<_>>()?),
            Arg::Dict(items) => Arg::Dict(
                items
                    .iter()
                    .map(|(k, v)| Ok((k.clone(), v.map(f)?)))
                    .collect::<Result<_>>()?,
            ),
        })
    }
}

impl From<&Out> for Arg {
    fn from(out: &Out) -> Self {
        match out {
            Nest::Leaf(t) => Arg::Tensor(*t),
            Nest::List(items) => Arg::List(items.iter().map(Arg::from).collect()),
            Nest::Dict(items) => {
                Arg::Dict(items.iter().map(|(k, v)| (k.clone(), v.into())).collect())
            }
            Nest::Null => Arg::Lit(Json::Null),
        }
    }
}

/// The argument with arrays among its literals as tensors.
fn with_arrays(cx: &mut Cx, arg: &Arg) -> Result<Arg> {
    let array = |v: &Json| matches!(v["class_name"].as_str(), Some("__numpy__" | "__tensor__"));
    Ok(match arg {
        Arg::Lit(v) if array(v) => Arg::Tensor(super::ops::convert(cx, arg)?.into()),
        Arg::List(items) => Arg::List(
            items
                .iter()
                .map(|i| with_arrays(cx, i))
                .collect::<Result<_>>()?,
        ),
        Arg::Dict(items) => Arg::Dict(
            items
                .iter()
                .map(|(k, v)| Ok((k.clone(), with_arrays(cx, v)?)))
                .collect::<Result<_>>()?,
        ),
        other => other.clone(),
    })
}

/// The arguments of one call.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub args: Vec<Arg>,
    pub kwargs: Vec<(String, Arg)>,
}

impl Call {
    /// A call on one tensor.
    pub fn on(x: impl Into<T>) -> Call {
        Call {
            args: vec![Arg::Tensor(x.into())],
            kwargs: vec![],
        }
    }

    /// All tensors among the arguments.
    pub fn tensors(&self) -> Vec<T> {
        let named = self.kwargs.iter().map(|(_, a)| a);
        self.args
            .iter()
            .chain(named)
            .flat_map(Arg::tensors)
            .collect()
    }

    pub fn with(mut self, name: &str, arg: Arg) -> Call {
        self.kwargs.push((name.to_string(), arg));
        self
    }

    /// The argument at a position or of a name; `None` where it is absent or None.
    pub fn arg(&self, position: usize, name: &str) -> Option<&Arg> {
        let by_name = || self.kwargs.iter().find(|(k, _)| k == name).map(|(_, v)| v);
        self.args
            .get(position)
            .or_else(by_name)
            .filter(|a| !a.is_none())
    }

    /// A keyword argument; `None` where it is absent or None.
    pub fn kwarg(&self, name: &str) -> Option<&Arg> {
        self.arg(usize::MAX, name)
    }

    /// The first argument by position, all others by name.
    fn named<'a>(&'a self, parameters: &[&str]) -> Cow<'a, Call> {
        let [first, others @ ..] = parameters else {
            return Cow::Borrowed(self);
        };
        if self.args.len() == 1 {
            return Cow::Borrowed(self);
        }
        let mut call = self.clone();
        if let Some(at) = call.kwargs.iter().position(|(k, _)| k == first) {
            let arg = call.kwargs.remove(at).1;
            call.args.insert(0, arg);
        }
        let count = call.args.len().saturating_sub(1).min(others.len());
        for name in others.iter().take(count) {
            let arg = call.args.remove(1);
            call.kwargs.push((name.to_string(), arg));
        }
        Cow::Owned(call)
    }

    /// The mask passed as `mask =`, else the one the first tensor carries.
    pub fn mask(&self) -> Option<ValueId> {
        match self.kwarg("mask") {
            Some(Arg::Tensor(t)) => Some(t.value),
            _ => self.args.first().and_then(|a| match a {
                Arg::Tensor(t) => t.mask,
                _ => None,
            }),
        }
    }
}

/// A variable of a layer, in the order Keras keeps them.
#[derive(Clone, Debug)]
pub struct Var {
    pub name: &'static str,
    pub trainable: bool,
}

impl Var {
    pub const fn new(name: &'static str) -> Var {
        Var {
            name,
            trainable: true,
        }
    }

    pub const fn frozen(name: &'static str) -> Var {
        Var {
            name,
            trainable: false,
        }
    }
}

/// What a file keeps of a layer besides its config and its weights.
pub struct Stored<'a> {
    pub vars: &'a [StoredWeight],
    pub assets: &'a Assets,
    /// The layer's folder among the assets.
    pub path: &'a str,
}

impl Stored<'_> {
    /// A variable that is saved by name.
    pub fn var(&self, name: &str) -> Option<&Tensor> {
        let found = self.vars.iter().find(|v| v.name == name);
        found.map(|v| v.tensor.as_ref())
    }

    /// A file of the layer's.
    pub fn asset(&self, name: &str) -> Option<&[u8]> {
        let bytes = self.assets.get(&format!("{}/{name}", self.path))?;
        Some(bytes)
    }
}

/// The behaviour of one layer class, made from its config.
pub trait Layer: Send + Sync {
    /// Writes the layer's primitives. `me` gives weights and sublayers.
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out>;

    /// What Keras' `call` names its arguments, by position; none where positions
    /// stay as they are.
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "training"]
    }

    /// Whether Keras casts the call's float tensors to the compute dtype.
    fn autocast(&self) -> bool {
        true
    }

    /// What the layer does of complex tensors.
    fn of_complex(&self) -> OfComplex {
        OfComplex::Refuse
    }

    /// Takes what the file keeps for the layer beside its weights. A layer with
    /// several places in the file is asked for each.
    fn load(&self, _: &Stored) -> Result<()> {
        Ok(())
    }

    /// Whether the layer has whatever weights are stored for it and its sublayers.
    fn takes_any_weights(&self) -> bool {
        false
    }

    /// Variables that the layer saves by name, with the group below its own that
    /// each is in (empty for its own).
    fn named_variables(&self) -> Vec<(&'static str, StoredWeight)> {
        vec![]
    }

    /// The terms that a lookup knows, by index, and how many of them stand for what
    /// is masked or unknown.
    fn vocabulary(&self) -> Option<(Tensor, usize)> {
        None
    }

    /// Whether Keras knows of the sublayers' weights; those that an operation
    /// calls are in no list of weights and in no count.
    fn tracks_sublayers(&self) -> bool {
        true
    }

    /// How many variables the layer's store begins with that are a sublayer's.
    fn borrowed(&self) -> usize {
        0
    }

    /// The layer itself, for those that callers look into (nested models).
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }
}

/// What a layer does of complex tensors.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OfComplex {
    /// It knows of them.
    Take,
    /// It only moves elements: of the real and of the imaginary parts.
    ByParts,
    Refuse,
}

/// What a class makes of its config.
pub struct Built {
    pub layer: Box<dyn Layer>,
    /// The layer's own variables.
    pub vars: Vec<Var>,
    /// Sublayers under the path of the weight store they are saved at,
    /// such as `cell` or `layers/dense_1`, in Keras' order of variables.
    pub children: Vec<(String, Arc<LayerNode>)>,
}

impl Built {
    pub fn new(layer: impl Layer + 'static) -> Built {
        Built {
            layer: Box::new(layer),
            vars: vec![],
            children: vec![],
        }
    }

    pub fn var(mut self, name: &'static str) -> Built {
        self.vars.push(Var::new(name));
        self
    }

    /// Adds a variable if the condition holds.
    pub fn var_if(self, condition: bool, name: &'static str) -> Built {
        if condition {
            self.var(name)
        } else {
            self
        }
    }

    pub fn frozen(mut self, name: &'static str) -> Built {
        self.vars.push(Var::frozen(name));
        self
    }

    pub fn child(mut self, key: &str, node: Arc<LayerNode>) -> Built {
        self.children.push((key.to_string(), node));
        self
    }
}

/// A layer of a model: shared by every place that calls it.
pub struct LayerNode {
    pub name: String,
    pub class: String,
    pub policy: Policy,
    pub trainable: bool,
    pub layer: Box<dyn Layer>,
    pub vars: Vec<Var>,
    pub children: Vec<(String, Arc<LayerNode>)>,
    /// The adapter of the first variable.
    pub lora: Option<Lora>,
    /// One per entry of `vars`, set once when the weights are loaded.
    pub weights: OnceLock<Vec<Arc<Const>>>,
    /// The weights' names in the store, of a layer that takes any.
    pub names: OnceLock<Vec<String>>,
    /// What it makes of lists of tensors has no masks.
    pub ends_masks: bool,
    /// The class that a store of Keras 2 knows it by, if another.
    pub stored_class: Option<String>,
    /// A layer before it that may be the same one: what a store lacks is there.
    pub twin: Option<Arc<LayerNode>>,
}

impl LayerNode {
    /// A layer that a class made from its config.
    pub fn new(
        name: &str,
        class: &str,
        policy: Policy,
        trainable: bool,
        built: Built,
    ) -> LayerNode {
        LayerNode {
            name: name.to_string(),
            class: class.to_string(),
            policy,
            trainable,
            layer: built.layer,
            vars: built.vars,
            children: built.children,
            lora: None,
            weights: OnceLock::new(),
            names: OnceLock::new(),
            ends_masks: false,
            stored_class: None,
            twin: None,
        }
    }

    /// The sublayers whose weights are the layer's, too.
    pub fn tracked(&self) -> impl Iterator<Item = &Arc<LayerNode>> {
        let all = match self.layer.tracks_sublayers() {
            true => self.children.as_slice(),
            false => &[],
        };
        all.iter().map(|(_, child)| child)
    }

    /// The sublayer saved at `key`.
    ///
    /// # Errors
    /// If there is none, which is a defect of the layer's code.
    pub fn child(&self, key: &str) -> Result<&Arc<LayerNode>> {
        self.children
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, n)| n)
            .ok_or_else(|| Error::internal(format!("{} has no sublayer {key}", self.class)))
    }

    /// The first sublayer of a name.
    pub fn child_named(&self, name: &str) -> Option<&Arc<LayerNode>> {
        self.children.iter().map(|c| &c.1).find(|n| n.name == name)
    }
}

/// A state that a layer keeps from batch to batch: the layer's address, and
/// the state's position.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct StateKey {
    layer: usize,
    pub at: usize,
}

impl StateKey {
    pub fn new(me: &LayerNode, at: usize) -> StateKey {
        StateKey {
            layer: std::ptr::from_ref(me) as usize,
            at,
        }
    }
}

/// An input of the graph that is no input of the model: the run fills it.
#[derive(Clone, Debug)]
pub enum Hidden {
    /// int64: the seed of the run and the number of the batch.
    Seed,
    /// What a state held after the batch before; zeros at first.
    State(StateKey),
    /// What was read of a [`Stage`], by number.
    Stage(usize),
}

/// A tensor that must be known before the rest can be lowered, since it decides
/// shapes.
pub struct Stage {
    pub input: ValueId,
    pub reading: Reading,
}

/// What is read of the tensor of a [`Stage`].
#[derive(Clone)]
pub enum Reading {
    /// The tokens of strings: how many there are is a size.
    Tokens(Arc<Tokenizer>),
    /// A number (int64, rank 0), which is a size: as many zeros.
    Size,
}

/// Facts of what was read of stages, as far as they are known.
#[derive(Clone, Debug)]
pub enum Staged {
    /// Of the first stages; lowering ends at the next.
    Known(Vec<Fact>),
    /// Of all: this is the size that each decides.
    Assumed(usize),
}

/// The outputs of one call: the layer's path, the slot of the outermost graph,
/// what is known of the tensors.
pub type Traced<K> = (Arc<str>, Option<usize>, Nest<K>);

/// Where a layer writes: the builder, and what holds for the whole lowering.
pub struct Cx {
    b: Builder,
    /// Whether the current call trains.
    pub training: bool,
    /// Whether an outer call said so, be it true or false: it goes before what
    /// the calls of a graph were recorded with.
    training_given: bool,
    /// Outputs of every call of a model's layers, when asked for.
    pub trace: Option<Vec<Traced<T>>>,
    /// The weights that layers ask for and don't have, when they are to be found out,
    /// by the address of the layer and the position among its variables.
    pub lacking: Option<Rc<RefCell<Lacking>>>,
    /// Calls of TensorFlow's functions, when asked for.
    pub functions: Option<Vec<FunctionCall>>,
    /// Inputs of the graph after those of the model, in order.
    pub hidden: Vec<Hidden>,
    staged: Staged,
    /// Stages met so far.
    stages: usize,
    /// The stage that lowering ended at.
    pub waiting: Option<Stage>,
    seed: Option<ValueId>,
    /// Streams of random numbers in use.
    streams: u32,
    states: Vec<(StateKey, ValueId)>,
    /// Weights that another layer has replaced for a call: address of the layer, name.
    replaced: Vec<(usize, &'static str, ValueId)>,
    /// Complex tensors: real and imaginary parts along a last axis of their own.
    complex: Vec<ValueId>,
    /// Whether this is the body of a loop, which has no hidden inputs.
    body: bool,
    /// Whether the current layer was called past `Layer.__call__`.
    direct: bool,
    /// The masks of tensors whose mask a layer has changed.
    masks: Vec<(ValueId, Option<ValueId>)>,
}

impl Deref for Cx {
    type Target = Builder;
    fn deref(&self) -> &Builder {
        &self.b
    }
}
impl DerefMut for Cx {
    fn deref_mut(&mut self) -> &mut Builder {
        &mut self.b
    }
}

impl Cx {
    /// `training` is None where the caller leaves it to the calls of the graph.
    pub fn new(training: impl Into<Option<bool>>) -> Cx {
        let training = training.into();
        Cx {
            b: Builder::default(),
            training: training.unwrap_or(false),
            training_given: training.is_some(),
            trace: None,
            lacking: None,
            functions: None,
            hidden: vec![],
            staged: Staged::Known(vec![]),
            stages: 0,
            waiting: None,
            seed: None,
            streams: 0,
            states: vec![],
            replaced: vec![],
            complex: vec![],
            body: false,
            direct: false,
            masks: vec![],
        }
    }

    /// The same with what is known of the tokens of stages.
    pub fn with_staged(mut self, staged: Staged) -> Cx {
        self.staged = staged;
        self
    }

    /// The table's values of the tokens of strings, filled up with 0 to the most
    /// there are: an axis more, of a size that the data decides.
    ///
    /// # Errors
    /// Where that size is not known yet: `waiting` then tells what it takes.
    pub fn padded_tokens(&mut self, x: ValueId, tokenizer: &Arc<Tokenizer>) -> Result<ValueId> {
        let Fact { dtype, shape } = self.fact(x).clone();
        if dtype != DType::Str {
            return Err(self.call_error(format!("expected strings, not a {dtype} tensor")));
        }
        let reading = Reading::Tokens(tokenizer.clone());
        let fact = self.read(x, reading, |n| {
            Fact::new(DType::I64, [&shape[..], &[n]].concat())
        })?;
        self.hidden_input(Hidden::Stage(self.stages - 1), fact)
    }

    /// The value of a number, which decides a size.
    ///
    /// # Errors
    /// Where it is not known yet: `waiting` then tells what it takes.
    pub fn open_size(&mut self, count: ValueId) -> Result<usize> {
        if self.body {
            return Err(self.call_error("a size that depends on the data can't be in a loop"));
        }
        let count = self.cast(count, DType::I64)?;
        let count = self.reshape(count, &[])?;
        let fact = self.read(count, Reading::Size, |n| Fact::new(DType::Bool, [n]))?;
        Ok(fact.numel())
    }

    /// The fact of what is read of a tensor; `assumed` makes it of a size.
    fn read(
        &mut self,
        input: ValueId,
        reading: Reading,
        assumed: impl FnOnce(usize) -> Fact,
    ) -> Result<Fact> {
        let fact = match &self.staged {
            Staged::Known(facts) => facts.get(self.stages).cloned(),
            Staged::Assumed(n) => Some(assumed(*n)),
        };
        let Some(fact) = fact else {
            self.waiting = Some(Stage { input, reading });
            return Err(self.error("a size depends on data that are not known yet"));
        };
        self.stages += 1;
        Ok(fact)
    }

    pub fn into_builder(self) -> Builder {
        self.b
    }

    /// A context for the body of a loop: another graph, the same settings.
    pub fn for_body(&self) -> Cx {
        let mut cx = Cx::new(self.training);
        cx.set_path(self.path().clone());
        cx.lacking = self.lacking.clone();
        cx.body = true;
        cx
    }

    /// A complex tensor of its parts, which operations that know of it alone take.
    pub fn complex(&mut self, real: ValueId, imaginary: ValueId) -> Result<ValueId> {
        let real = self.expand_dims(real, -1)?;
        let imaginary = self.expand_dims(imaginary, -1)?;
        let both = self.concat(&[real, imaginary], -1)?;
        self.complex.push(both);
        Ok(both)
    }

    /// The complex tensor that an input of a complex dtype is.
    pub fn complex_input(&mut self, x: ValueId) -> Result<ValueId> {
        let Some(part) = self.dtype(x).part() else {
            return Ok(x);
        };
        let both = self.bitcast(x, part)?;
        self.complex.push(both);
        Ok(both)
    }

    /// The tensor as an output: of a complex dtype, if it is complex.
    pub fn complex_output(&mut self, x: ValueId) -> Result<ValueId> {
        match self.dtype(x).complex().filter(|_| self.is_complex(x)) {
            Some(dtype) => self.bitcast(x, dtype),
            None => Ok(x),
        }
    }

    pub fn is_complex(&self, x: ValueId) -> bool {
        self.complex.contains(&x)
    }

    /// The dtype and shape that Keras sees.
    pub fn keras_fact(&self, x: ValueId) -> Fact {
        let mut fact = self.fact(x).clone();
        if let Some(dtype) = fact.dtype.complex().filter(|_| self.is_complex(x)) {
            fact.dtype = dtype;
            fact.shape.pop();
        }
        fact
    }

    /// The real and imaginary parts of a complex tensor.
    pub fn parts(&mut self, x: ValueId) -> Result<Option<(ValueId, ValueId)>> {
        if !self.is_complex(x) {
            return Ok(None);
        }
        Ok(Some((
            self.index_axis(x, -1, 0)?,
            self.index_axis(x, -1, 1)?,
        )))
    }

    /// What `f` makes of the real parts of tensors and of the imaginary ones, of
    /// which real numbers have none, as complex tensors.
    pub fn by_parts(
        &mut self,
        call: &Call,
        f: impl Fn(&mut Cx, &Call) -> Result<Out>,
    ) -> Result<Out> {
        let half = |cx: &mut Cx, imaginary: bool| -> Result<Out> {
            let mut part = |t: T| {
                let value = match cx.parts(t.value)? {
                    Some((re, im)) => [re, im][usize::from(imaginary)],
                    None if imaginary && cx.dtype(t.value).is_float() => {
                        let fact = cx.fact(t.value).clone();
                        cx.full(fact, 0.0)?
                    }
                    None => t.value,
                };
                Ok(T { value, ..t })
            };
            let args = call.args.iter().map(|a| a.map(&mut part));
            let mut own = Call {
                args: args.collect::<Result<_>>()?,
                kwargs: vec![],
            };
            for (name, arg) in &call.kwargs {
                own.kwargs.push((name.clone(), arg.map(&mut part)?));
            }
            f(cx, &own)
        };
        let (re, im) = (half(self, false)?, half(self, true)?);
        let mut im = im.flatten().into_iter();
        re.map(&mut |re: &T| match im.next() {
            Some(im) => {
                let value = self.complex(re.value, im.value)?;
                Ok(T { value, ..*re })
            }
            None => Err(self.defect("other parts than expected")),
        })
    }

    /// An error if any of the tensors is complex.
    pub fn check_real(&self, tensors: impl IntoIterator<Item = T>) -> Result<()> {
        match tensors.into_iter().any(|t| self.is_complex(t.value)) {
            true => Err(self.call_error("complex numbers are not supported here")),
            false => Ok(()),
        }
    }

    fn hidden_input(&mut self, hidden: Hidden, fact: Fact) -> Result<ValueId> {
        if self.body {
            return Err(self.call_error(
                "a layer with random numbers, states or tokens without number can't be in a loop",
            ));
        }
        self.hidden.push(hidden);
        Ok(self.input(fact))
    }

    /// Random numbers of a float dtype that no other call draws.
    pub fn random(&mut self, kind: RandomKind, shape: &[usize], dtype: DType) -> Result<ValueId> {
        let wide = if dtype == DType::F64 {
            dtype
        } else {
            DType::F32
        };
        let x = self.draw(kind, &[], Fact::new(wide, shape))?;
        self.cast(x, dtype)
    }

    /// The logarithms (float32) of gamma numbers with a shape parameter, float32 of
    /// rank 0, and scale 1.
    pub fn log_gamma(&mut self, alpha: ValueId, shape: &[usize]) -> Result<ValueId> {
        self.draw(RandomKind::LogGamma, &[alpha], Fact::f32(shape))
    }

    fn draw(&mut self, kind: RandomKind, parameters: &[ValueId], fact: Fact) -> Result<ValueId> {
        let seed = match self.seed {
            Some(seed) => seed,
            None => self.hidden_input(Hidden::Seed, Fact::new(DType::I64, [2]))?,
        };
        self.seed = Some(seed);
        self.streams += 1;
        let stream = self.streams;
        self.random_of(kind, stream, seed, parameters, fact)
    }

    /// How many streams of random numbers are in use.
    pub fn streams(&self) -> u32 {
        self.streams
    }

    /// Lets `f` draw what was drawn after `streams` were in use once more.
    pub fn redraw<R>(&mut self, streams: u32, f: impl FnOnce(&mut Cx) -> R) -> R {
        let used = std::mem::replace(&mut self.streams, streams);
        let result = f(self);
        self.streams = self.streams.max(used);
        result
    }

    /// What the layer's state at a position holds from the batch before (or from
    /// a call before, in this batch).
    pub fn state(&mut self, me: &LayerNode, at: usize, fact: &Fact) -> Result<ValueId> {
        let key = StateKey::new(me, at);
        if let Some((_, value)) = self.states.iter().find(|(k, _)| *k == key) {
            return Ok(*value);
        }
        let value = self.hidden_input(Hidden::State(key), fact.clone())?;
        self.states.push((key, value));
        Ok(value)
    }

    /// Sets a state for the next batch, in the state's dtype.
    pub fn set_state(
        &mut self,
        me: &LayerNode,
        at: usize,
        fact: &Fact,
        value: ValueId,
    ) -> Result<()> {
        self.state(me, at, fact)?;
        let value = self.cast(value, fact.dtype)?;
        let key = StateKey::new(me, at);
        self.states
            .iter_mut()
            .filter(|(k, _)| *k == key)
            .for_each(|s| s.1 = value);
        Ok(())
    }

    /// The states after the batch.
    pub fn states(&self) -> &[(StateKey, ValueId)] {
        &self.states
    }

    /// Calls a layer as Keras' `Layer.__call__` does: sets the path, casts float
    /// tensors to the compute dtype.
    pub fn call(&mut self, node: &LayerNode, call: &Call) -> Result<Out> {
        let call = call.named(node.layer.parameters());
        let path: Arc<str> = match self.path().is_empty() {
            true => Arc::from(node.name.as_str()),
            false => Arc::from(format!("{}/{}", self.path(), node.name)),
        };
        let outer = self.set_path(path);
        let complex = call.tensors().iter().any(|t| self.is_complex(t.value));
        let by_parts = complex && node.layer.of_complex() == OfComplex::ByParts;
        if complex && node.layer.of_complex() == OfComplex::Refuse {
            self.check_real(call.tensors())?;
        }
        let direct = std::mem::take(&mut self.direct);
        let training = (self.training, self.training_given);
        if let (false, Some(Arg::Lit(Json::Bool(trains)))) = (training.1, call.kwarg("training")) {
            (self.training, self.training_given) = (*trains, true);
        }
        let out = match by_parts {
            true => self.by_parts(&call, |cx, call| cx.call_here(node, call)),
            false => self.call_here(node, &call),
        };
        (self.training, self.training_given) = training;
        self.direct = direct;
        self.set_path(outer);
        out
    }

    /// Runs another layer's `call`, past its `__call__`, as TimeDistributed does:
    /// quantized layers compute as if they were not.
    pub fn call_directly(&mut self, node: &LayerNode, call: &Call) -> Result<Out> {
        let path = format!("{}/{}", self.path(), node.name);
        let outer = self.set_path(Arc::from(path));
        let direct = std::mem::replace(&mut self.direct, true);
        let out = self.call_here(node, call);
        self.direct = direct;
        self.set_path(outer);
        out
    }

    /// Whether the current layer's `call` runs past its `__call__`.
    pub fn called_directly(&self) -> bool {
        self.direct
    }

    /// Changes the mask of a tensor for all that take it from now on. A mask is an
    /// attribute of the tensor in Keras: MultiHeadAttention takes it off its
    /// inputs, and a model that is called with a mask leaves it on them.
    pub fn set_mask(&mut self, value: ValueId, mask: Option<ValueId>) {
        self.masks.retain(|(v, _)| *v != value);
        self.masks.push((value, mask));
    }

    /// The tensor with the mask that it has by now.
    pub fn masked(&self, t: T) -> T {
        let changed = self.masks.iter().find(|(v, _)| *v == t.value);
        T {
            mask: changed.map_or(t.mask, |(_, mask)| *mask),
            ..t
        }
    }

    fn call_here(&mut self, node: &LayerNode, call: &Call) -> Result<Out> {
        let compute = node.policy.compute;
        let casts = node.layer.autocast();
        let cast = |cx: &mut Cx, a: &Arg| {
            let a = with_arrays(cx, a)?;
            if !casts {
                return Ok(a);
            }
            a.map(&mut |t| {
                let dtype = cx.dtype(t.value);
                let value = match dtype.is_float() && compute.is_float() {
                    true => cx.cast(t.value, compute)?,
                    false => t.value,
                };
                Ok(T { value, ..t })
            })
        };
        let mut made = Call::default();
        for a in &call.args {
            made.args.push(cast(self, a)?);
        }
        for (k, a) in &call.kwargs {
            made.kwargs.push((k.clone(), cast(self, a)?));
        }
        let out = node.layer.call(self, node, &made)?;
        match made.args.first() {
            Some(Arg::List(_)) if node.ends_masks => out.map(&mut |&t| Ok(T { mask: None, ..t })),
            _ => Ok(out),
        }
    }

    /// Calls an operation of `keras.ops`.
    pub fn call_op(
        &mut self,
        name: &str,
        def: &OpDef,
        config: &Map<String, Json>,
        call: &Call,
    ) -> Result<Out> {
        let path: Arc<str> = match self.path().is_empty() {
            true => Arc::from(name),
            false => Arc::from(format!("{}/{name}", self.path())),
        };
        let outer = self.set_path(path.clone());
        let cfg = Cfg::new(&path, def.class, config);
        let complex = call.tensors().iter().any(|t| self.is_complex(t.value));
        if complex && def.complex.is_none() {
            self.check_real(call.tensors())?;
        }
        let out = match if complex { def.complex } else { def.lower } {
            Some(lower) => lower(self, &cfg, call),
            None => Err(self.call_error(format!("{} {}", def.class, def.note))),
        };
        self.set_path(outer);
        let out = out?;
        cfg.finish()?;
        Ok(out)
    }

    /// Calls a layer on one tensor that gives one tensor.
    pub fn call_one(&mut self, node: &LayerNode, x: impl Into<T>) -> Result<T> {
        let out = self.call(node, &Call::on(x))?;
        out.single()
            .copied()
            .ok_or_else(|| self.call_error(format!("`{}` must give one tensor", node.name)))
    }

    /// The call's only tensor (the first argument).
    pub fn one(&self, call: &Call) -> Result<T> {
        match call.args.first() {
            Some(Arg::Tensor(t)) => Ok(*t),
            Some(Arg::List(items)) if items.len() == 1 => match items[0] {
                Arg::Tensor(t) => Ok(t),
                _ => Err(self.call_error("expected one tensor")),
            },
            _ => {
                let n = call.args.first().map_or(0, |a| a.tensors().len());
                Err(self.call_error(format!("expected one tensor, not {n}")))
            }
        }
    }

    /// The call's list of tensors (the first argument).
    pub fn many(&self, call: &Call) -> Result<Vec<T>> {
        match call.args.first() {
            Some(a) if !a.tensors().is_empty() => Ok(a.tensors()),
            _ => Err(self.call_error("expected a list of tensors")),
        }
    }

    /// A weight of the layer, checked against the shape it must have, in the
    /// layer's compute dtype, if that is a float.
    pub fn weight(&mut self, me: &LayerNode, name: &str, shape: &[usize]) -> Result<ValueId> {
        let v = self.stored_weight(me, name, shape)?;
        match self.dtype(v) != DType::Str && me.policy.compute.is_float() {
            true => self.cast(v, me.policy.compute),
            false => Ok(v),
        }
    }

    /// A weight of the layer as stored, checked against the shape it must have.
    pub fn stored_weight(
        &mut self,
        me: &LayerNode,
        name: &str,
        shape: &[usize],
    ) -> Result<ValueId> {
        if let Some(v) = self.lacking_weight(me, name, shape)? {
            return Ok(v);
        }
        let v = self.raw_weight(me, name)?;
        let have = self.shape(v);
        if have != shape {
            return Err(Error::BadWeight {
                layer: self.path().to_string(),
                weight: name.to_string(),
                expected: format!("of shape {}", show_shape(shape)),
                given: show_shape(&have),
            });
        }
        Ok(v)
    }

    /// Zeros in the place of a weight that is not there, where such are to be found out.
    fn lacking_weight(
        &mut self,
        me: &LayerNode,
        name: &str,
        shape: &[usize],
    ) -> Result<Option<ValueId>> {
        let at = me.vars.iter().position(|v| v.name == name);
        let (Some(lacking), Some(at), None) = (&self.lacking, at, me.weights.get()) else {
            return Ok(None);
        };
        let fact = Fact::new(me.policy.variable, shape);
        lacking.borrow_mut().insert((address(me), at), fact.clone());
        self.full(fact, 0.0).map(Some)
    }

    /// Tells of a weight that a layer has and doesn't use here.
    pub fn has_weight(&self, me: &LayerNode, name: &str, fact: Fact) {
        let at = me.vars.iter().position(|v| v.name == name);
        if let (Some(lacking), Some(at)) = (&self.lacking, at) {
            lacking.borrow_mut().insert((address(me), at), fact);
        }
    }

    /// Dtype and shape of a layer's weight, or of the one that it lacks.
    pub fn weight_fact(&self, me: &LayerNode, name: &str) -> Option<Fact> {
        let at = me.vars.iter().position(|v| v.name == name)?;
        match me.weights.get() {
            Some(weights) => weights.get(at).map(|w| w.tensor.fact().clone()),
            None => {
                let lacking = self.lacking.as_ref()?.borrow();
                lacking.get(&(address(me), at)).cloned()
            }
        }
    }

    /// Whether a layer's weights are not there, and are to be found out.
    pub fn lacks_weights(&self, node: &LayerNode) -> bool {
        self.lacking.is_some() && node.weights.get().is_none() && !node.vars.is_empty()
    }

    /// Has a layer see another tensor in place of a weight; `None` ends that.
    /// Gives what was seen before.
    pub fn replace_weight(
        &mut self,
        node: &LayerNode,
        name: &'static str,
        value: Option<ValueId>,
    ) -> Option<ValueId> {
        let address = address(node);
        let at = self
            .replaced
            .iter()
            .position(|r| (r.0, r.1) == (address, name));
        let before = at.map(|at| self.replaced.swap_remove(at).2);
        self.replaced.extend(value.map(|v| (address, name, v)));
        before
    }

    /// A weight of the layer as stored.
    pub fn raw_weight(&mut self, me: &LayerNode, name: &str) -> Result<ValueId> {
        let address = address(me);
        if let Some(r) = self.replaced.iter().find(|r| (r.0, r.1) == (address, name)) {
            return Ok(r.2);
        }
        let missing = |cx: &Cx| Error::BadWeight {
            layer: cx.path().to_string(),
            weight: name.to_string(),
            expected: "there".to_string(),
            given: "missing".to_string(),
        };
        let at = me
            .vars
            .iter()
            .position(|v| v.name == name)
            .ok_or_else(|| missing(self))?;
        let stored = me.weights.get().ok_or(Error::NoWeights)?;
        let weight = stored.get(at).cloned().ok_or_else(|| missing(self))?;
        if weight.tensor.fact().dtype == DType::Str {
            return Err(Error::BadWeight {
                layer: self.path().to_string(),
                weight: name.to_string(),
                expected: "of numbers".to_string(),
                given: "strings".to_string(),
            });
        }
        Ok(self.b.weight(&weight))
    }

    /// An error unless the tensor's rank is the one given.
    pub fn check_rank(&self, x: ValueId, rank: usize) -> Result<()> {
        let fact = self.fact(x);
        if fact.rank() != rank {
            return Err(self.error(format!(
                "expected a tensor of rank {rank}, not one of shape {}",
                show_shape(&fact.shape)
            )));
        }
        Ok(())
    }

    /// A mask `(batch, time)` spread over the trailing axes of a tensor of `rank`.
    pub fn spread_mask(&mut self, mask: ValueId, rank: usize) -> Result<ValueId> {
        let mut shape = self.shape(mask);
        shape.resize(rank.max(shape.len()), 1);
        self.reshape(mask, &shape)
    }
}

/// What tells a layer from others, while it is there.
pub fn address(node: &LayerNode) -> usize {
    std::ptr::from_ref(node) as usize
}

/// Facts of weights by [`address`] and position.
pub type Lacking = HashMap<(usize, usize), Fact>;

/// Builds sublayers from serialized layers within configs.
pub trait Nested {
    /// A layer from `{"class_name", "config", ...}`.
    fn layer(&self, spec: &Json) -> Result<Arc<LayerNode>>;
}

/// Makes a layer from its config.
pub type Build = fn(&Cfg, &dyn Nested) -> Result<Built>;

/// What the loader does with a layer class.
#[derive(Copy, Clone)]
pub enum Support {
    Runs(Build),
    /// It is read with the model that it is in.
    OfModels,
    /// It can't be run: the entry's note says why.
    Refused,
}

/// A layer class. One entry of the table.
pub struct LayerDef {
    /// Keras class name, as in `class_name`.
    pub class: &'static str,
    /// What it is about: the file of its code.
    pub concept: &'static str,
    pub support: Support,
    /// What users should know; empty where there is nothing.
    pub note: &'static str,
}

impl LayerDef {
    pub const fn note(self, note: &'static str) -> LayerDef {
        LayerDef { note, ..self }
    }
}

/// Lowers a call of an operation; the config holds what the operation was made with.
pub type Lower = fn(&mut Cx, &Cfg, &Call) -> Result<Out>;

/// An operation of `keras.ops` as a graph node. One entry of the table.
pub struct OpDef {
    /// Keras class name, such as `Add` or `GetItem`.
    pub class: &'static str,
    /// The module of `keras.ops` that it is in.
    pub module: &'static str,
    /// `None` for what can't be run: the note says why.
    pub lower: Option<Lower>,
    /// What users should know; empty where there is nothing.
    pub note: &'static str,
    /// The same for calls with complex tensors, if it takes them.
    pub complex: Option<Lower>,
    /// Whether Keras gives the very tensor where there is nothing to do.
    pub hands_on: bool,
}

impl OpDef {
    pub const fn note(self, note: &'static str) -> OpDef {
        OpDef { note, ..self }
    }

    pub const fn hands_on(self) -> OpDef {
        OpDef {
            hands_on: true,
            ..self
        }
    }

    pub const fn complex(self, lower: Lower) -> OpDef {
        OpDef {
            complex: Some(lower),
            ..self
        }
    }

    /// Of an operation that looks at what its tensors are.
    pub const fn of_complex(self) -> OpDef {
        OpDef {
            complex: self.lower,
            ..self
        }
    }
}
