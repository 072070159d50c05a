//! The engine's own container: what saveRDS keeps of a model.
//!
//! ```text
//! "KPRD"  version u32  header length u64  header (JSON)  padding  data
//! ```
//!
//! Numbers are little-endian. The header tells the config, where it comes from,
//! and for every weight its dtype, shape and place in the data; each weight
//! starts at a multiple of 64 bytes. Strings are a u32 length and UTF-8 each.

use std::sync::Arc;

use serde_json::{json, Map, Value as Json};

use super::bytes::Bytes;
use super::{
    damaged, json, require_model, unknown_format, Assets, LegacyWeights, ModelFile, StoredWeight,
    WeightTree, Weights,
};
use crate::error::{Error, Result};
use crate::tensor::{numel, DType, Fact, Tensor};

/// The first bytes of a container.
pub const SIGNATURE: &[u8] = b"KPRD";

const VERSION: u32 = 1;
const START: usize = 16;
const ALIGN: usize = 64;

/// A model as bytes, which [`super::read_bytes`] reads back.
pub fn write(file: &ModelFile) -> Vec<u8> {
    let mut data = Data::default();
    let weights = match &file.weights {
        None => Json::Null,
        Some(Weights::Tree(tree)) => json!({"tree": data.tree(tree)}),
        Some(Weights::Legacy(layers)) => {
            let layers: Vec<Json> = layers
                .iter()
                .map(|(name, weights)| json!([name, data.weights(weights)]))
                .collect();
            json!({"legacy": layers})
        }
    };
    let assets: Map<String, Json> = file
        .assets
        .iter()
        .map(|(name, bytes)| {
            let place = data.push(Part::Bytes(bytes), bytes.len());
            (name.clone(), json!([place, bytes.len()]))
        })
        .collect();
    // The config is text of its own, so that the header nests no deeper than it must.
    let header = json!({
        "config": file.config.to_string(),
        "keras_version": file.keras_version,
        "backend": file.backend,
        "weights": weights,
        "assets": assets,
    })
    .to_string();

    let data_start = (START + header.len()).next_multiple_of(ALIGN);
    let mut out = Vec::with_capacity(data_start + data.len);
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(header.len() as u64).to_le_bytes());
    out.extend_from_slice(header.as_bytes());
    for (place, part) in data.parts {
        out.resize(data_start + place, 0);
        match part {
            Part::Bytes(bytes) => out.extend_from_slice(bytes),
            Part::Strings(strings) => {
                for s in strings {
                    out.extend_from_slice(&(s.len() as u32).to_le_bytes());
                    out.extend_from_slice(s.as_bytes());
                }
            }
        }
    }
    out
}

enum Part<'a> {
    Bytes(&'a [u8]),
    Strings(&'a [Arc<str>]),
}

/// The data section while it is laid out.
#[derive(Default)]
struct Data<'a> {
    parts: Vec<(usize, Part<'a>)>,
    len: usize,
}

impl<'a> Data<'a> {
    fn push(&mut self, part: Part<'a>, len: usize) -> usize {
        let place = self.len.next_multiple_of(ALIGN);
        self.parts.push((place, part));
        self.len = place + len;
        place
    }

    fn tree(&mut self, tree: &'a WeightTree) -> Json {
        let vars = self.weights(&tree.vars);
        let children: Map<String, Json> = tree
            .children
            .iter()
            .map(|(name, child)| (name.clone(), self.tree(child)))
            .collect();
        json!([vars, children])
    }

    fn weights(&mut self, weights: &'a [StoredWeight]) -> Json {
        weights.iter().map(|w| self.weight(w)).collect()
    }

    fn weight(&mut self, weight: &'a StoredWeight) -> Json {
        let t = weight.tensor.as_ref();
        let (part, len) = match t.dtype() {
            DType::Str => {
                let len = t.strings().iter().map(|s| 4 + s.len()).sum();
                (Part::Strings(t.strings()), len)
            }
            _ => (Part::Bytes(t.bytes()), t.bytes().len()),
        };
        let place = self.push(part, len);
        json!([weight.name, t.dtype().name(), t.shape(), place, len])
    }
}

/// Reads a container.
///
/// # Errors
/// `UnknownFormat` for another version of it, `Damaged` for bytes that no
/// [`write`] made.
pub(super) fn read(bytes: &Bytes, label: &str) -> Result<ModelFile> {
    let cut = || damaged(label, "it is cut short");
    let version = bytes.get(4..8).ok_or_else(cut)?;
    if version != VERSION.to_le_bytes() {
        let reason = "it was saved by a later version of keraspredict";
        return Err(unknown_format(label, reason));
    }
    let len: [u8; 8] = bytes
        .get(8..START)
        .and_then(|b| b.try_into().ok())
        .ok_or_else(cut)?;
    let len = usize::try_from(u64::from_le_bytes(len)).map_err(|_| cut())?;
    let header = START
        .checked_add(len)
        .and_then(|end| bytes.get(START..end))
        .ok_or_else(cut)?;
    let data_start = (START + len).next_multiple_of(ALIGN);
    let reader = Reader {
        data: bytes.get(data_start..).unwrap_or_default(),
        label,
    };
    let header = json::parse(header).map_err(|_| reader.bad("its header"))?;
    let mut budget = reader.data.len();
    let text = |key: &str| header.get(key).and_then(Json::as_str).map(str::to_string);
    let config = text("config").ok_or_else(|| reader.bad("its config"))?;
    let config = json::parse(config.as_bytes()).map_err(|_| reader.bad("its config"))?;
    require_model(&config, label)?;
    let weights = match header.get("weights") {
        None | Some(Json::Null) => None,
        Some(w) => Some(
            reader
                .all(w, &mut budget)
                .ok_or_else(|| reader.bad("the index of its weights"))?,
        ),
    };
    let mut assets = Assets::new();
    for (name, place) in header
        .get("assets")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let bytes = reader
            .slice(place.get(0), place.get(1), &mut budget)
            .ok_or_else(|| reader.bad("the index of its assets"))?;
        assets.insert(name.clone(), Arc::from(bytes));
    }
    Ok(ModelFile {
        config,
        keras_version: text("keras_version"),
        backend: text("backend"),
        weights,
        assets,
    })
}

struct Reader<'a> {
    data: &'a [u8],
    label: &'a str,
}

impl<'a> Reader<'a> {
    fn bad(&self, what: &str) -> Error {
        damaged(self.label, format!("{what} can't be read"))
    }

    fn all(&self, index: &Json, budget: &mut usize) -> Option<Weights> {
        if let Some(tree) = index.get("tree") {
            return Some(Weights::Tree(self.tree(tree, budget)?));
        }
        let layers = index.get("legacy")?.as_array()?;
        let layers: Option<LegacyWeights> = layers
            .iter()
            .map(|l| {
                Some((
                    l.get(0)?.as_str()?.to_string(),
                    self.weights(l.get(1)?, budget)?,
                ))
            })
            .collect();
        Some(Weights::Legacy(layers?))
    }

    fn tree(&self, index: &Json, budget: &mut usize) -> Option<WeightTree> {
        Some(WeightTree {
            vars: self.weights(index.get(0)?, budget)?,
            children: index
                .get(1)?
                .as_object()?
                .iter()
                .map(|(name, child)| Some((name.clone(), self.tree(child, budget)?)))
                .collect::<Option<_>>()?,
        })
    }

    fn weights(&self, index: &Json, budget: &mut usize) -> Option<Vec<StoredWeight>> {
        let weights = index.as_array()?.iter();
        weights.map(|w| self.weight(w, budget)).collect()
    }

    fn weight(&self, index: &Json, budget: &mut usize) -> Option<StoredWeight> {
        let name = index.get(0)?.as_str()?.to_string();
        let dtype = DType::parse(index.get(1)?.as_str()?)?;
        let shape: Vec<usize> = index
            .get(2)?
            .as_array()?
            .iter()
            .map(|d| usize::try_from(d.as_u64()?).ok())
            .collect::<Option<_>>()?;
        let unit = dtype.size().max(1);
        let size = shape.iter().try_fold(unit, |n, &d| n.checked_mul(d))?;
        let bytes = self.slice(index.get(3), index.get(4), budget)?;
        let tensor = match dtype {
            DType::Str => Tensor::from_strings(shape.clone(), strings(bytes, numel(&shape))?),
            _ if size == bytes.len() => Tensor::from_bytes(Fact::new(dtype, shape), bytes),
            _ => return None,
        };
        Some(StoredWeight {
            name,
            tensor: tensor.into(),
        })
    }

    /// A part of the data. All parts together are no longer than the data, so
    /// that a small file can't ask for much memory.
    fn slice(&self, at: Option<&Json>, len: Option<&Json>, budget: &mut usize) -> Option<&'a [u8]> {
        let at = usize::try_from(at?.as_u64()?).ok()?;
        let len = usize::try_from(len?.as_u64()?).ok()?;
        *budget = budget.checked_sub(len)?;
        // An empty part at the very end may lie behind the last byte.
        if len == 0 {
            return Some(&[]);
        }
        self.data.get(at..at.checked_add(len)?)
    }
}

fn strings(mut bytes: &[u8], count: usize) -> Option<Vec<Arc<str>>> {
    let mut out = Vec::new();
    for _ in 0..count {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len) as usize;
        out.push(Arc::from(std::str::from_utf8(rest.get(..len)?).ok()?));
        bytes = &rest[len..];
    }
    bytes.is_empty().then_some(out)
}
