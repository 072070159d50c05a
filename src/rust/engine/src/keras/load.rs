//! From a model file to layers with weights.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::layer::{
    Built, Call, Cx, Layer, LayerNode, Nested, Out, Stored, Support, ENDS_MASKS, STORED_CLASS,
};
use super::lora::Lora;
use super::model::{self, Graph, Target};
use super::policy::Policy;
use super::{feature_space, layers, ops, Cfg};
use crate::error::{Error, Result, Unsupported};
use crate::format::{Assets, LegacyWeights, StoredWeight, WeightTree, Weights, CHECKPOINT_LAYERS};
use crate::graph::Const;
use crate::host::Functions;

/// Builds layers from configs, remembering what is shared and what is missing.
#[derive(Default)]
pub struct Loader {
    shared: RefCell<HashMap<i64, Arc<LayerNode>>>,
    /// Layers by what their configs say, where any layer of the model is shared.
    alike: Option<RefCell<HashMap<String, Arc<LayerNode>>>>,
    unsupported: RefCell<Vec<Unsupported>>,
    graphs: RefCell<Vec<Arc<Graph>>>,
    functions: Functions,
    /// Names of the layers that are being built, from the root on.
    path: RefCell<Vec<String>>,
}

/// Stands for a layer that can't be run, so that all of them are found.
struct Missing;

impl Layer for Missing {
    fn call(&self, cx: &mut Cx, _: &LayerNode, _: &Call) -> Result<Out> {
        Err(cx.defect("this layer is not supported"))
    }
}

/// Whether a layer says that it is another one, too. Keras writes that into one of their
/// configs only, where the other is in a model that has been written before.
fn shares_layers(value: &Json) -> bool {
    match value {
        Json::Object(o) => {
            let named = || value["config"]["name"].is_string();
            (o.contains_key("shared_object_id") && named()) || o.values().any(shares_layers)
        }
        Json::Array(a) => a.iter().any(shares_layers),
        _ => false,
    }
}

/// What the configs of one layer, written twice, have in common.
fn identity(spec: &Json) -> String {
    let mut config = spec["config"].clone();
    apart(&mut config);
    format!("{} {config}", spec["class_name"])
}

/// Takes away what tells that objects are one.
pub fn apart(value: &mut Json) {
    match value {
        Json::Object(o) => {
            o.remove("shared_object_id");
            o.values_mut().for_each(apart);
        }
        Json::Array(a) => a.iter_mut().for_each(apart),
        _ => {}
    }
}

impl Nested for Loader {
    fn layer(&self, spec: &Json) -> Result<Arc<LayerNode>> {
        self.layer_node(spec)
    }
}

fn text<'a>(spec: &'a Json, key: &str) -> Option<&'a str> {
    spec.get(key).and_then(Json::as_str)
}

/// Whether a serialized object is of user code, whatever its name.
fn is_custom(spec: &Json) -> bool {
    match text(spec, "module") {
        Some(m) => {
            !(m == "keras"
                || m.starts_with("keras.")
                || m == "builtins"
                || m.starts_with("tensorflow."))
        }
        None => text(spec, "registered_name").is_some_and(|r| r.contains('>')),
    }
}

/// Names under which the caller may give a function for a layer.
fn function_names<'s>(spec: &'s Json, name: &'s str, class: &'s str) -> Vec<&'s str> {
    let short = |s: &'s str| s.rsplit('>').next().unwrap_or(s);
    if class == "Lambda" {
        return vec![name, class];
    }
    let registered = text(spec, "registered_name");
    let registered = registered.into_iter().flat_map(|r| [r, short(r)]);
    registered.chain([class, short(class)]).collect()
}

impl Loader {
    /// The root model and its graph of calls. Functions of the caller may stand in
    /// for layers.
    ///
    /// # Errors
    /// All layers that can't be run in one error, or what is wrong in a config.
    pub fn root(config: &Json, functions: &Functions) -> Result<(Arc<LayerNode>, Arc<Graph>)> {
        let loader = Loader {
            functions: functions.clone(),
            alike: shares_layers(config).then(RefCell::default),
            ..Loader::default()
        };
        let root = loader.layer_node(config)?;
        if root.layer.takes_any_weights() {
            loader.report(config, &root.name, &root.class);
        }
        let layers = loader.unsupported.take();
        if !layers.is_empty() {
            return Err(Error::UnsupportedLayers { layers });
        }
        match loader.graphs.take().pop() {
            Some(graph) => Ok((root, graph)),
            None => Err(Error::BadConfig {
                layer: root.name.clone(),
                class: root.class.clone(),
                key: "class_name".to_string(),
                expected: "that of a model".to_string(),
                given: root.class.clone(),
            }),
        }
    }

    /// Keeps a model's graph; the root's is the last one kept.
    pub fn keep(&self, graph: Graph) -> Arc<Graph> {
        let graph = Arc::new(graph);
        self.graphs.borrow_mut().push(graph.clone());
        graph
    }

    /// A layer (or nested model) from its serialized form.
    pub fn layer_node(&self, spec: &Json) -> Result<Arc<LayerNode>> {
        let id = spec.get("shared_object_id").and_then(Json::as_i64);
        if let Some(found) = id.and_then(|id| self.shared.borrow().get(&id).cloned()) {
            return Ok(found);
        }
        let mut node = self.build(spec)?;
        // A layer that is an activation has variables of its own wherever it stands.
        let in_graph = spec.get("inbound_nodes").is_some() || spec["config"]["layers"].is_array();
        let known = self.alike.as_ref().filter(|_| in_graph);
        let known = known.map(|known| (known, identity(spec)));
        if let (Some((known, identity)), Some(_)) = (&known, id) {
            node.twin = known.borrow().get(identity).cloned();
        }
        let node = Arc::new(node);
        if let Some((known, identity)) = known {
            known.borrow_mut().entry(identity).or_insert(node.clone());
        }
        if let Some(id) = id {
            self.shared.borrow_mut().insert(id, node.clone());
        }
        Ok(node)
    }

    fn build(&self, spec: &Json) -> Result<LayerNode> {
        let empty = Map::new();
        let class = text(spec, "class_name").unwrap_or("?").to_string();
        let config = spec
            .get("config")
            .and_then(Json::as_object)
            .unwrap_or(&empty);
        let name = text(spec, "name")
            .or_else(|| config.get("name").and_then(Json::as_str))
            .unwrap_or(&class)
            .to_string();
        let cfg = Cfg::new(&name, &class, config).with_functions(&self.functions);
        let policy = Policy::of(&cfg)?;
        self.path.borrow_mut().push(name.clone());
        let built = self.built(spec, &cfg);
        let ends_masks = cfg.bool_or(ENDS_MASKS, false)?;
        let stored_class = cfg.opt_str(STORED_CLASS)?.map(str::to_string);
        self.path.borrow_mut().pop();
        let built = match built {
            Ok(Some(built)) => built,
            Ok(None) => return Ok(self.missing(spec, name, class)),
            // What is missing within the layer joins what is missing elsewhere.
            Err(Error::UnsupportedLayers { layers }) => {
                for mut entry in layers {
                    entry.name = self.path_of(&entry.name);
                    self.list(entry);
                }
                return Ok(LayerNode::new(
                    &name,
                    &class,
                    policy,
                    true,
                    Built::new(Missing),
                ));
            }
            Err(other) => return Err(other),
        };
        if !built.layer.takes_any_weights() {
            cfg.finish()?;
        }
        let trainable = config
            .get("trainable")
            .and_then(Json::as_bool)
            .unwrap_or(true);
        let mut node = LayerNode::new(&name, &class, policy, trainable, built);
        node.ends_masks = ends_masks;
        node.stored_class = stored_class;
        node.lora = Lora::read(config).filter(|_| !node.vars.is_empty());
        Ok(node)
    }

    /// What a class makes of its config; `None` for a class that is not known.
    fn built(&self, spec: &Json, cfg: &Cfg) -> Result<Option<Built>> {
        let class = cfg.class.as_str();
        if class == "Sequential" && !is_custom(spec) {
            return model::sequential(cfg, self).map(Some);
        }
        if class == "FeatureSpace" && !is_custom(spec) {
            return feature_space::feature_space(cfg, self).map(Some);
        }
        let custom = || {
            let key = self
                .functions
                .take(function_names(spec, &cfg.layer, class))?;
            let config = spec.get("config").cloned().unwrap_or_default();
            Some(layers::custom(key, config))
        };
        if model::is_functional(class) && cfg.has("layers") {
            return model::functional(cfg, self).map(Some);
        }
        match layers::find(class).map(|def| def.support) {
            Some(Support::Runs(build)) if !is_custom(spec) => build(cfg, self).map(Some),
            _ => match custom() {
                None if class == "Lambda" => layers::lambda(cfg),
                own => Ok(own),
            },
        }
    }

    /// The path of a layer within the one that is being built.
    fn path_of(&self, name: &str) -> String {
        let path = self.path.borrow();
        let outer = path.iter().skip(1).map(String::as_str);
        outer.chain([name]).collect::<Vec<_>>().join("/")
    }

    fn missing(&self, spec: &Json, name: String, class: String) -> LayerNode {
        self.report(spec, &name, &class);
        LayerNode::new(&name, &class, Policy::default(), true, Built::new(Missing))
    }

    fn report(&self, spec: &Json, name: &str, class: &str) {
        let refused = match self.is_op(spec) {
            true => ops::find(class).map(|def| def.note),
            false => layers::find(class)
                .filter(|def| matches!(def.support, Support::Refused))
                .map(|def| def.note),
        };
        let hint = match refused {
            Some(note) => note,
            _ if is_custom(spec) => "is a custom class, whose code is not in the file",
            _ => "is not supported by this version",
        };
        let entry = Unsupported {
            name: self.path_of(name),
            class: class.to_string(),
            hint: hint.to_string(),
            key: (!self.is_op(spec)).then(|| match class {
                "Lambda" => name.to_string(),
                _ => class.rsplit('>').next().unwrap_or(class).to_string(),
            }),
        };
        self.list(entry);
    }

    fn list(&self, entry: Unsupported) {
        let mut list = self.unsupported.borrow_mut();
        if !list.contains(&entry) {
            list.push(entry);
        }
    }

    /// Whether a node of a functional graph is an operation, not a layer.
    pub fn is_op(&self, spec: &Json) -> bool {
        let module = text(spec, "module").unwrap_or("");
        let modules = [
            "keras.src.ops",
            "keras.ops",
            "keras.src.activations",
            "keras.src.quantizers",
        ];
        modules.iter().any(|m| module.starts_with(m))
    }

    /// The operation of a functional graph's node.
    pub fn op(&self, spec: &Json, name: &str, config: &Map<String, Json>) -> Result<Target> {
        let class = text(spec, "class_name").unwrap_or("?");
        Ok(match ops::find(class) {
            Some(def) if def.lower.is_some() => Target::Op {
                name: name.to_string(),
                def,
                config: config.clone(),
            },
            _ => Target::Layer(Arc::new(self.missing(
                spec,
                name.to_string(),
                class.to_string(),
            ))),
        })
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A weight's constant, with an identity of its own.
fn constant(stored: &StoredWeight) -> Arc<Const> {
    Const::new(
        NEXT_ID.fetch_add(1, Ordering::Relaxed),
        stored.tensor.clone(),
    )
}

fn missing_weight(path: &str, weight: &str, given: String) -> Error {
    Error::BadWeight {
        layer: path.to_string(),
        weight: weight.to_string(),
        expected: "in the file".to_string(),
        given,
    }
}

/// What happens where the weights of a file don't fit a layer.
pub enum Misfit {
    Fail,
    /// The layer gets none.
    Skip,
}

impl Misfit {
    fn handle(&self, e: Error) -> Result<()> {
        match self {
            Misfit::Fail => Err(e),
            Misfit::Skip => Ok(()),
        }
    }
}

/// Gives every layer its weights.
///
/// # Errors
/// `BadWeight` for the first layer that the weights don't fit.
pub fn assign(root: &LayerNode, weights: &Weights) -> Result<()> {
    match weights {
        // Keras 2 goes by order alone: a nested model may have no name in its config.
        Weights::Legacy(layers) => {
            let layers = in_names_of(root, layers.clone());
            assign_legacy(root, &layers, &Misfit::Fail)?;
        }
        Weights::Tree(_) => assign_fitting(root, weights, &Misfit::Fail)?,
    }
    complete(root, "")
}

/// Gives layers those weights of a file that are as many as theirs.
fn assign_fitting(root: &LayerNode, weights: &Weights, misfit: &Misfit) -> Result<()> {
    match weights {
        Weights::Tree(tree) => assign_tree(root, Some(tree), misfit),
        Weights::Legacy(layers) => assign_legacy(root, layers, misfit),
    }
}

/// Gives every layer its weights from a file, or, where these don't fit, those it
/// has in another copy of the model. Returns the names of the layers concerned.
///
/// # Errors
/// `BadWeight` where neither has weights for a layer.
pub fn assign_over(
    root: &LayerNode,
    old: &LayerNode,
    read: &LayerNode,
    weights: &Weights,
) -> Result<Vec<String>> {
    assign_fitting(read, weights, &Misfit::Skip)?;
    let mut skipped = vec![];
    choose(root, old, read, &mut skipped);
    complete(root, "")?;
    Ok(skipped)
}

/// Takes weights from either of two copies of a layer.
fn choose(node: &LayerNode, old: &LayerNode, read: &LayerNode, skipped: &mut Vec<String>) {
    if node.weights.get().is_some() {
        return;
    }
    let (before, now) = (old.weights.get(), read.weights.get());
    let fits = |before: &Vec<Arc<Const>>, now: &Vec<Arc<Const>>| {
        let pairs = before.iter().zip(now);
        before.len() == now.len()
            && pairs
                .into_iter()
                .all(|(a, b)| a.tensor.shape() == b.tensor.shape())
    };
    let chosen = match (before, now) {
        (Some(before), Some(now)) if !fits(before, now) => Some(before),
        (before, None) => before,
        (_, now) => now,
    };
    let is_old = chosen.is_some_and(|c| before.is_some_and(|b| std::ptr::eq(b, c)));
    if is_old && !node.vars.is_empty() {
        skipped.push(node.name.clone());
    }
    if let Some(chosen) = chosen {
        let _ = node.weights.set(chosen.clone());
    }
    let others = old.children.iter().zip(&read.children);
    for ((_, node), ((_, old), (_, read))) in node.children.iter().zip(others) {
        choose(node, old, read, skipped);
    }
}

/// Weights in the names of a model's layers, where a file of as many layers has
/// other names.
pub fn in_names_of(root: &LayerNode, mut layers: LegacyWeights) -> LegacyWeights {
    let weighted: Vec<&str> = root
        .children
        .iter()
        .filter(|(_, child)| has_vars(child))
        .map(|(_, child)| child.name.as_str())
        .collect();
    let stored: Vec<usize> = (0..layers.len())
        .filter(|&i| !layers[i].1.is_empty())
        .collect();
    let known = |name: &str| layers.iter().any(|l| l.0 == name);
    if weighted.len() == stored.len() && !weighted.iter().all(|name| known(name)) {
        layers = stored
            .into_iter()
            .zip(weighted)
            .map(|(i, name)| (name.to_string(), std::mem::take(&mut layers[i].1)))
            .collect();
    }
    layers
}

fn has_vars(node: &LayerNode) -> bool {
    !node.vars.is_empty() || node.children.iter().any(|(_, child)| has_vars(child))
}

/// Gives every layer what the file keeps for it beside its weights.
pub fn restore(root: &LayerNode, weights: Option<&Weights>, assets: &Assets) -> Result<()> {
    let tree = match weights {
        Some(Weights::Tree(tree)) => Some(tree),
        _ => None,
    };
    restore_tree(root, tree, assets, "")
}

fn restore_tree(
    node: &LayerNode,
    tree: Option<&WeightTree>,
    assets: &Assets,
    path: &str,
) -> Result<()> {
    node.layer.load(&Stored {
        vars: tree.map_or(&[], |t| t.vars.as_slice()),
        assets,
        path,
    })?;
    for ((key, child), old_keys) in node.children.iter().zip(old_keys(node)) {
        let found = tree.and_then(|t| child_tree(t, key, &old_keys));
        let path = folder(assets, path, key, &old_keys);
        restore_tree(child, found, assets, &path)?;
    }
    Ok(())
}

/// Where the assets of a layer below `path` are: where Keras 2 put them, if there are
/// any.
fn folder(assets: &Assets, path: &str, key: &str, old_keys: &[String]) -> String {
    let holds = |folder: &String| {
        let inside = |k: &String| k.strip_prefix(folder).is_some_and(|k| k.starts_with('/'));
        assets.keys().any(inside)
    };
    let old = old_keys.iter().map(|k| join(path, k)).find(holds);
    old.unwrap_or_else(|| join(path, key))
}

/// Where Keras 2.12 to 2.14 put the layers of a model in `.keras` files: what is a
/// layer's place if those with weights count twice, as they do, and what if not.
fn old_keys(node: &LayerNode) -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut keys = vec![];
    for (key, child) in &node.children {
        let Some(name) = key.strip_prefix("layers/") else {
            keys.push(vec![]);
            continue;
        };
        let class = match name.rsplit_once('_') {
            Some((class, n)) if seen.contains(class) && n.parse::<usize>().is_ok() => class,
            _ => name,
        };
        seen.insert(class);
        let stored = child.stored_class.as_deref().map(model::snake_case);
        let class = stored.unwrap_or_else(|| class.to_string());
        let count = counts.entry(class.clone()).or_default();
        let counted = match *count {
            0 => class,
            n => format!("{class}_{n}"),
        };
        *count += if has_weights(child) { 2 } else { 1 };
        let below = |name: &str| format!("{CHECKPOINT_LAYERS}/{name}");
        keys.push(vec![below(&counted), below(name)]);
    }
    keys
}

/// Whether Keras 2 lists weights of a layer: so it does the tables of lookups.
fn has_weights(node: &LayerNode) -> bool {
    const LOOKUPS: [&str; 3] = ["IntegerLookup", "StringLookup", "TextVectorization"];
    !node.vars.is_empty()
        || LOOKUPS.contains(&node.class.as_str())
        || node.children.iter().any(|(_, child)| has_weights(child))
}

/// The store of a sublayer, by its attribute or by a property that shows it.
fn child_tree<'a>(tree: &'a WeightTree, key: &str, old_keys: &[String]) -> Option<&'a WeightTree> {
    descend(tree, key)
        .or_else(|| old_keys.iter().find_map(|k| descend(tree, k)))
        .or_else(|| descend(tree, &other_name(key)))
}

/// What is public in some versions of Keras is private in others.
fn other_name(key: &str) -> String {
    match key.strip_prefix('_') {
        Some(public) => public.to_string(),
        None => format!("_{key}"),
    }
}

/// Puts the names of today in a store.
pub fn rename_children(node: &LayerNode, tree: &mut WeightTree) {
    for (key, child) in &node.children {
        if !tree.children.contains_key(key) {
            if let Some(found) = tree.children.remove(&other_name(key)) {
                tree.children.insert(key.clone(), found);
            }
        }
        let below = key
            .split('/')
            .try_fold(&mut *tree, |t, part| t.children.get_mut(part));
        if let Some(below) = below {
            rename_children(child, below);
        }
    }
}

/// Every variable must have been found somewhere.
fn complete(node: &LayerNode, path: &str) -> Result<()> {
    if let Some(twin) = &node.twin {
        share_weights(node, twin);
    }
    if node.vars.is_empty() {
        let _ = node.weights.set(vec![]);
        let _ = node.names.set(vec![]);
    }
    if node.weights.get().is_none() {
        return Err(missing_weight(
            path,
            node.vars[0].name,
            "missing".to_string(),
        ));
    }
    for (_, child) in &node.children {
        complete(child, &join(path, &child.name))?;
    }
    Ok(())
}

fn join(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_string(),
        false => format!("{path}/{name}"),
    }
}

fn descend<'a>(tree: &'a WeightTree, key: &str) -> Option<&'a WeightTree> {
    key.split('/')
        .try_fold(tree, |t, part| t.children.get(part))
}

/// All weights of a part of the store, by their paths in it: a group's own before
/// those of the groups in it.
fn every_weight<'a>(tree: &'a WeightTree, path: &str, out: &mut Vec<(String, &'a StoredWeight)>) {
    out.extend(tree.vars.iter().map(|w| (join(path, &w.name), w)));
    for (key, child) in &tree.children {
        every_weight(child, &join(path, key), out);
    }
}

/// Gives a layer that takes any weights those there are.
fn assign_any(node: &LayerNode, weights: Vec<(String, &StoredWeight)>) {
    if node.weights.get().is_none() {
        let (names, weights): (Vec<_>, Vec<_>) = weights.into_iter().unzip();
        let _ = node.names.set(names);
        let _ = node
            .weights
            .set(weights.into_iter().map(constant).collect());
    }
}

/// Weights by the path of the store. A layer met twice is stored where it was
/// met first.
fn assign_tree(node: &LayerNode, tree: Option<&WeightTree>, misfit: &Misfit) -> Result<()> {
    if let Some(tree) = tree {
        if node.layer.takes_any_weights() {
            let mut all = vec![];
            every_weight(tree, "", &mut all);
            assign_any(node, all);
            return Ok(());
        }
        if node.weights.get().is_none() && !node.vars.is_empty() && !tree.vars.is_empty() {
            let stored = tree.vars.get(node.layer.borrowed()..).unwrap_or_default();
            if stored.len() == node.vars.len() {
                let _ = node.weights.set(stored.iter().map(constant).collect());
            } else {
                misfit.handle(missing_weight(
                    &node.name,
                    node.vars.last().map_or("", |v| v.name),
                    format!("{} of {} weights", tree.vars.len(), node.vars.len()),
                ))?;
            }
        }
        for ((key, child), old_keys) in node.children.iter().zip(old_keys(node)) {
            assign_tree(child, child_tree(tree, key, &old_keys), misfit)?;
        }
    }
    Ok(())
}

/// Gives a part of a model the weights of the whole, which has layers of the
/// same names.
pub fn share_weights(part: &LayerNode, whole: &LayerNode) {
    if let Some(weights) = whole.weights.get() {
        let _ = part.weights.set(weights.clone());
    }
    if let Some(names) = whole.names.get() {
        let _ = part.names.set(names.clone());
    }
    for (_, child) in &part.children {
        if let Some(own) = whole.child_named(&child.name) {
            share_weights(child, own);
        }
    }
}

/// Where a layer is in the store.
pub struct Place {
    pub path: String,
    node: *const LayerNode,
    weights: Option<u64>,
    name: String,
}

impl Place {
    /// Whether two places, of a model and of a part of it, hold one layer.
    pub fn same_layer(&self, other: &Place) -> bool {
        self.node == other.node || (self.name == other.name && self.weights == other.weights)
    }
}

/// The places of all sublayers among some assets.
pub fn places(node: &LayerNode, path: &str, assets: &Assets, out: &mut Vec<Place>) {
    for ((key, child), old_keys) in node.children.iter().zip(old_keys(node)) {
        let path = folder(assets, path, key, &old_keys);
        places(child, &path, assets, out);
        let first = child.weights.get().and_then(|w| w.first());
        out.push(Place {
            path,
            node: Arc::as_ptr(child),
            weights: first.map(|w| w.id),
            name: child.name.clone(),
        });
    }
}

/// The variables of a layer in the order of a legacy file: trainable ones, then
/// the rest. Those of an adapter follow the layer's own.
fn legacy_order<'a>(
    node: &'a LayerNode,
    trainable: bool,
    frozen: bool,
    out: &mut Vec<(&'a LayerNode, usize)>,
) {
    let frozen = frozen || !node.trainable;
    // A wrapper keeps variables of the layer in it before its own.
    if let (count @ 1.., Some((_, child))) = (node.layer.borrowed(), node.children.first()) {
        let mut lent = vec![];
        legacy_order(child, trainable, frozen, &mut lent);
        lent.retain(|e| std::ptr::eq(e.0, Arc::as_ptr(child)) && e.1 < count);
        out.extend(lent);
    }
    let adapted = node.lora.is_some();
    let own = node.vars.iter().enumerate();
    let own = own.map(|(i, var)| var.trainable && !(adapted && i == 0));
    let adapter = [true; 2].into_iter().filter(|_| adapted);
    for (i, var_trains) in own.chain(adapter).enumerate() {
        if (var_trains && !frozen) == trainable
            && !out.iter().any(|(n, k)| std::ptr::eq(*n, node) && *k == i)
        {
            out.push((node, i));
        }
    }
    for (_, child) in &node.children {
        legacy_order(child, trainable, frozen, out);
    }
}

/// The layer that takes any weights, or the first one in it that does.
fn any_weights(node: &LayerNode) -> Option<&LayerNode> {
    if node.layer.takes_any_weights() {
        return Some(node);
    }
    node.children
        .iter()
        .find_map(|(_, child)| any_weights(child))
}

/// `kernel` of `my_layer/kernel:0`.
fn legacy_name(name: &str, layer: &str) -> String {
    let name = name.strip_suffix(":0").unwrap_or(name);
    let inner = name.strip_prefix(layer).and_then(|n| n.strip_prefix('/'));
    inner.unwrap_or(name).to_string()
}

fn assign_legacy(root: &LayerNode, layers: &LegacyWeights, misfit: &Misfit) -> Result<()> {
    for (_, child) in &root.children {
        let mut order = vec![];
        legacy_order(child, true, false, &mut order);
        legacy_order(child, false, false, &mut order);
        let stored = layers
            .iter()
            .find(|(name, _)| *name == child.name)
            .map(|(_, w)| w.as_slice())
            .unwrap_or_default();
        // How many weights are whose is not known where a custom layer has others
        // beside it: then the count does not fit.
        if let (Some(any), true) = (any_weights(child), order.is_empty()) {
            let named = stored
                .iter()
                .map(|w| (legacy_name(&w.name, &child.name), w));
            assign_any(any, named.collect());
            continue;
        }
        if order.is_empty() {
            continue;
        }
        if stored.len() != order.len() {
            misfit.handle(missing_weight(
                &child.name,
                order[0].0.vars.get(order[0].1).map_or("", |v| v.name),
                format!("{} of {} weights", stored.len(), order.len()),
            ))?;
            continue;
        }
        // Weights by layer: the order of the file interleaves them.
        let mut found: Vec<(&LayerNode, Vec<Option<Arc<Const>>>)> = vec![];
        for ((node, at), weight) in order.into_iter().zip(stored) {
            let known = found.iter().position(|f| std::ptr::eq(f.0, node));
            let i = known.unwrap_or_else(|| {
                let adapter = if node.lora.is_some() { 2 } else { 0 };
                found.push((node, vec![None; node.vars.len() + adapter]));
                found.len() - 1
            });
            found[i].1[at] = Some(constant(weight));
        }
        for (node, weights) in found {
            let all: Option<Vec<_>> = weights.into_iter().collect();
            let mut all = all.ok_or_else(|| Error::internal("a weight without a place"))?;
            if let Some(lora) = node.lora {
                let adapter = all.split_off(node.vars.len());
                let kernel = &all[0].tensor;
                let Some(merged) = lora.merged(kernel, &adapter[0].tensor, &adapter[1].tensor)
                else {
                    misfit.handle(Error::BadWeight {
                        layer: node.name.clone(),
                        weight: node.vars[0].name.to_string(),
                        expected: "one that its adapter fits".to_string(),
                        given: kernel.fact().to_string(),
                    })?;
                    continue;
                };
                all[0] = Const::new(NEXT_ID.fetch_add(1, Ordering::Relaxed), merged);
            }
            let _ = node.weights.set(all);
        }
    }
    Ok(())
}
