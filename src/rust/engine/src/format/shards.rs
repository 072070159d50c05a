//! Weights in several HDF5 files, and the `.weights.json` that lists them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value as Json;

use super::source::Source;
use super::{damaged, hdf5, io_error, json, open, WeightTree, Weights};
use crate::error::Result;

/// A list of shards is text that is read whole: no longer than this.
const MAX_LIST: u64 = 64 << 20;

/// The weights that the file at `path` lists, or `None` where it is no such list.
///
/// # Errors
/// `Damaged` for a list of no form that Keras writes; what [`super::read_weights`]
/// gives for a shard.
pub(super) fn read(path: &Path, source: &Source, label: &str) -> Result<Option<Weights>> {
    let mut first = [0];
    let is_text = source.read_at(0, &mut first).is_ok() && first[0].is_ascii();
    if !is_text || source.size() > MAX_LIST {
        return Ok(None);
    }
    let text = source.bytes().map_err(|e| io_error(&e, label))?;
    let Ok(list) = json::parse(&text) else {
        return Ok(None);
    };
    let Some(Json::Object(map)) = list.get("weight_map") else {
        return Ok(None);
    };
    let mut names = BTreeSet::new();
    for files in map.values() {
        let files = match files {
            Json::Array(files) => files.as_slice(),
            one => std::slice::from_ref(one),
        };
        for file in files {
            let name = file.as_str().filter(|n| is_plain(n));
            names.insert(name.ok_or_else(|| damaged(label, "its list of shards can't be read"))?);
        }
    }
    let mut all = WeightTree::default();
    for name in names {
        let shard = path.with_file_name(name);
        let label = shard.display().to_string();
        match hdf5::read_weights(open(&shard, &label)?, &label)? {
            Weights::Tree(tree) => merge(&mut all, tree),
            Weights::Legacy(_) => return Err(damaged(&label, "it is no shard of weights")),
        }
    }
    Ok(Some(Weights::Tree(all)))
}

/// Whether a name is that of a file in the same folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != ".." && !name.contains(['/', '\\', ':'])
}

/// Adds a tree to another; the variables of one group may be in several.
fn merge(into: &mut WeightTree, from: WeightTree) {
    into.vars.extend(from.vars);
    into.vars
        .sort_by_key(|v| v.name.parse::<u64>().unwrap_or(u64::MAX));
    for (key, child) in from.children {
        merge(into.children.entry(key).or_default(), child);
    }
}
