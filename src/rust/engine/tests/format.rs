//! Reading of real Keras files; `fixtures/format/make.py` makes them.

mod fixtures;

use std::path::Path;

use fixtures::{at, bytes, fixture, models, read, scratch, shard_list, tree, write_shards};
use keraspredict_engine::format::{self, LegacyWeights, ModelFile, WeightTree, Weights};
use keraspredict_engine::tensor::{DType, Tensor};

fn legacy(weights: Option<Weights>) -> LegacyWeights {
    match weights {
        Some(Weights::Legacy(l)) => l,
        other => panic!("no legacy weights: {other:?}"),
    }
}

/// The fixtures' weights are 0, 1, 2, ...
fn assert_ramp(t: &Tensor, shape: &[usize]) {
    assert_eq!(t.shape(), shape);
    let want: Vec<f64> = (0..t.numel()).map(|i| i as f64).collect();
    assert_eq!(t.to_f64(), want);
}

fn assert_small_tree(t: &WeightTree) {
    let names: Vec<&String> = t.children.keys().collect();
    assert!(!names.contains(&&"optimizer".to_string()), "{names:?}");
    let first = &at(t, "layers/dense").vars;
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].name, "0");
    assert_ramp(&first[0].tensor, &[3, 4]);
    assert_ramp(&first[1].tensor, &[4]);
    assert_eq!(at(t, "layers/batch_normalization").vars.len(), 4);
    let deep = &at(t, "layers/sequential/layers/dense").vars;
    assert_ramp(&deep[0].tensor, &[4, 2]);
}

fn assert_small_legacy(l: &LegacyWeights) {
    let layers: Vec<(&str, usize)> = l.iter().map(|(n, w)| (n.as_str(), w.len())).collect();
    assert_eq!(layers, [("x", 0), ("first", 2), ("norm", 4), ("inner", 2)]);
    assert_ramp(&l[1].1[0].tensor, &[3, 4]);
    assert_ramp(&l[3].1[0].tensor, &[4, 2]);
    assert!(
        l[3].1[0].name.ends_with("deep/kernel"),
        "{}",
        l[3].1[0].name
    );
}

#[test]
fn an_archive_is_read() {
    for name in ["small.keras", "deflated.keras"] {
        let file = read(name);
        assert_eq!(file.config["class_name"], "Functional");
        assert!(file.keras_version.is_some_and(|v| v.starts_with("3.")));
        assert_small_tree(&tree(file.weights));
    }
}

#[test]
fn a_folder_is_read() {
    let folder = std::env::temp_dir().join(format!("keraspredict-{}", std::process::id()));
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes("small.keras"))).expect("zip");
    zip.extract(&folder).expect("extract");
    let file = format::read(&folder);
    let weights = format::read_weights(&folder);
    std::fs::remove_file(folder.join("config.json")).expect("remove");
    let without = format::read(&folder).map(|_| ());
    std::fs::write(folder.join("saved_model.pb"), b"").expect("write");
    let saved = format::read(&folder).map(|_| ());
    std::fs::remove_dir_all(&folder).expect("remove");
    assert_small_tree(&tree(file.expect("folder").weights));
    assert_small_tree(&tree(weights.ok()));
    assert_eq!(without.expect_err("no config").kind(), "not_a_model");
    assert_eq!(saved.expect_err("saved model").kind(), "unknown_format");
}

#[test]
fn a_legacy_model_is_read() {
    let file = read("small.h5");
    assert_eq!(file.config["class_name"], "Functional");
    assert!(file.keras_version.is_some_and(|v| v.starts_with("3.")));
    assert_small_legacy(&legacy(file.weights));
}

#[test]
fn weights_are_read_from_every_kind_of_file() {
    for name in ["small.weights.h5", "small.keras"] {
        assert_small_tree(&tree(format::read_weights(&fixture(name)).ok()));
    }
    assert_small_legacy(&legacy(format::read_weights(&fixture("small.h5")).ok()));
}

#[test]
fn split_attributes_are_joined() {
    let l = legacy(format::read_weights(&fixture("split_names.h5")).ok());
    let layers: Vec<(&str, usize)> = l.iter().map(|(n, w)| (n.as_str(), w.len())).collect();
    assert_eq!(layers.len(), 7);
    assert_eq!(
        layers[1..6],
        [0, 1, 2, 3, 4].map(|i| {
            (
                ["dense_0", "dense_1", "dense_2", "dense_3", "dense_4"][i],
                2,
            )
        })
    );
}

#[test]
fn json_is_read_without_weights() {
    let file = read("small.json");
    assert_eq!(file.config["config"]["name"], "small");
    assert!(file.weights.is_none());
    let text = String::from_utf8(bytes("small.json")).expect("utf-8");
    let twice = serde_json::to_vec(&text).expect("json");
    let again = format::read_bytes(twice, "twice").expect("JSON in JSON");
    assert_eq!(again.config, file.config);
}

#[test]
fn every_dtype_is_read() {
    let t = tree(format::read_weights(&fixture("dtypes.weights.h5")).ok());
    let vars = &at(&t, "layers/all").vars;
    use DType::*;
    let want = [
        I8, I16, I32, I64, U8, U16, U32, U64, F16, F32, F64, Bool, F32, I16,
    ];
    for (v, want) in vars.iter().zip(want) {
        assert_eq!(v.tensor.dtype(), want);
        let values = match want {
            Bool => [0.0, 1.0, 1.0, 0.0],
            _ => [0.0, 1.0, 2.0, 100.0],
        };
        assert_eq!(v.tensor.to_f64(), values, "{want}");
    }
    assert_eq!(vars[14].tensor.to_f64(), [7.0]);
    assert_eq!(vars[14].tensor.shape(), [0usize; 0]);
    assert_eq!(vars[15].tensor.shape(), [0, 3]);
    let strings: Vec<&str> = vars[16].tensor.strings().iter().map(|s| &**s).collect();
    assert_eq!(strings, ["a", "héllo"]);
    assert_ramp(&vars[17].tensor, &[50, 100]);

    let t = tree(format::read_weights(&fixture("bfloat16.weights.h5")).ok());
    let kernel = &at(&t, "layers/dense").vars[0].tensor;
    assert_eq!(kernel.dtype(), BF16);
    assert_ramp(kernel, &[2, 1]);
}

#[test]
fn the_four_errors_are_told_apart() {
    let kind = |b: &[u8]| {
        format::read_bytes(b.to_vec(), "file")
            .map(|_| ())
            .expect_err("an error")
            .kind()
    };
    let missing = format::read(Path::new("no/such/file.keras")).map(|_| ());
    assert_eq!(missing.expect_err("missing").kind(), "file_missing");
    for text in [&b""[..], b"hello", b"{}", b"[1, 2]", b"\"text\"", b"<html>"] {
        assert_eq!(kind(text), "not_a_model");
    }
    assert_eq!(kind(&bytes("small.weights.h5")), "not_a_model");
    assert_eq!(kind(&bytes("small.json")[..100]), "damaged_file");
    for name in ["small.keras", "deflated.keras", "small.h5"] {
        let whole = bytes(name);
        assert_eq!(kind(&whole[..whole.len() - 600]), "damaged_file", "{name}");
        assert_eq!(kind(&whole[..100]), "damaged_file", "{name}");
    }
    assert_eq!(kind(b"\x1c\0\0\0TFL3...."), "unknown_format");
    assert_eq!(kind(b"\x80\x04\x95..."), "unknown_format");
    let mut future = bytes("small.h5");
    future[8] = 9;
    assert_eq!(kind(&future), "unknown_format");
}

#[test]
fn a_stored_member_is_checked() {
    let mut file = bytes("small.keras");
    let at = file
        .windows(8)
        .position(|w| w == b"\x89HDF\r\n\x1a\n")
        .expect("the weights");
    file[at + 4000] ^= 1;
    let e = format::read_bytes(file, "file")
        .map(|_| ())
        .expect_err("CRC");
    assert_eq!(
        e.to_string(),
        "'file' is damaged: its member 'model.weights.h5' fails its checksum"
    );
}

/// The bytes of the entry of a member in the directory of an archive.
fn entry<'a>(archive: &'a mut [u8], member: &str) -> &'a mut [u8] {
    const NAME: usize = 46;
    let at = (0..archive.len()).find(|&at| {
        archive[at..].starts_with(b"PK\x01\x02")
            && archive[at + NAME..].starts_with(member.as_bytes())
    });
    &mut archive[at.expect(member)..]
}

fn replaced(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes());
    bytes[at.expect(from)..][..to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn what_is_wrong_with_a_file_is_told() {
    const FLAGS: usize = 8;
    const METHOD: usize = 10;
    const SIZE: usize = 24;
    const WEIGHTS: &str = "model.weights.h5";
    let archive = |edit: &dyn Fn(&mut [u8])| {
        let mut file = bytes("deflated.keras");
        edit(entry(&mut file, WEIGHTS));
        file
    };
    let mut unpackable = bytes("deflated.keras");
    let at = unpackable.windows(WEIGHTS.len());
    let at = at
        .clone()
        .position(|w| w == WEIGHTS.as_bytes())
        .expect("a member");
    unpackable[at + WEIGHTS.len()..][..40].fill(0xff);
    let native = || format::native::write(&models()[3]);
    let cases = [
        (
            archive(&|e| e[FLAGS] |= 1),
            "'file' has an unknown format: its member 'model.weights.h5' is encrypted",
        ),
        (
            archive(&|e| e[METHOD] = 14),
            "its member 'model.weights.h5' is compressed in a way that isn't known (",
        ),
        (
            archive(&|e| e[SIZE + 3] = 0x7f),
            "its member 'model.weights.h5' declares an impossible size",
        ),
        (
            archive(&|e| e[SIZE] ^= 1),
            "its member 'model.weights.h5' has another size than it declares",
        ),
        (
            unpackable,
            "its member 'model.weights.h5' can't be unpacked (",
        ),
        (
            replaced(bytes("small.keras"), "{\"module\"", "{'module\""),
            "'file' is damaged: ",
        ),
        (
            bytes("small.json")[..100].to_vec(),
            "its JSON ends too early, in line 1",
        ),
        (
            bytes("broken/config_no_json.h5"),
            "its 'model_config' is no JSON: it ends too early, in line 1",
        ),
        (
            bytes("broken/config_no_text.h5"),
            "its attribute 'model_config' is no text",
        ),
        (
            replaced(native(), "KPRD\u{1}", "KPRD\u{2}"),
            "it was saved by a later version of keraspredict",
        ),
        (replaced(native(), "{\"", "{'"), "its header"),
        (
            replaced(native(), "\"float32\"", "\"float99\""),
            "the index of its weights",
        ),
        (
            replaced(native(), "\"empty\":[", "\"empty\":{"),
            "its header",
        ),
    ];
    let mut wrong = vec![];
    let mut check = |result: keraspredict_engine::Result<()>, told: &str| {
        let e = result.expect_err(told).to_string();
        if !e.contains(told) {
            wrong.push(e);
        }
    };
    for (file, told) in cases {
        check(format::read_bytes(file, "file").map(|_| ()), told);
    }
    let cases = [
        ("loop", "its groups nest without end at '"),
        ("lzf", "its HDF5 can't be read ("),
        (
            "compound",
            "weight '/layers/a/vars/0' has the unknown type Compound",
        ),
        (
            "unwritten",
            "weight '/layers/a/vars/0' declares more than the file holds",
        ),
    ];
    for (name, told) in cases {
        let file = fixture(&format!("broken/{name}.h5"));
        check(format::read_weights(&file).map(|_| ()), told);
    }
    let nowhere = format::read(Path::new("no\0path")).map(|_| ());
    check(nowhere, "it can't be read (");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn same_tensor(a: &Tensor, b: &Tensor) -> bool {
    a.fact() == b.fact() && a.bytes() == b.bytes() && a.strings() == b.strings()
}

fn same_weights(a: &[format::StoredWeight], b: &[format::StoredWeight]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.name == b.name && same_tensor(&a.tensor, &b.tensor))
}

fn same_tree(a: &WeightTree, b: &WeightTree) -> bool {
    same_weights(&a.vars, &b.vars)
        && a.children.len() == b.children.len()
        && a.children
            .iter()
            .zip(&b.children)
            .all(|(a, b)| a.0 == b.0 && same_tree(a.1, b.1))
}

fn same_file(a: &ModelFile, b: &ModelFile) -> bool {
    a.config == b.config
        && a.keras_version == b.keras_version
        && a.backend == b.backend
        && a.assets == b.assets
        && match (&a.weights, &b.weights) {
            (None, None) => true,
            (Some(Weights::Tree(a)), Some(Weights::Tree(b))) => same_tree(a, b),
            (Some(Weights::Legacy(a)), Some(Weights::Legacy(b))) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b)
                        .all(|(a, b)| a.0 == b.0 && same_weights(&a.1, &b.1))
            }
            _ => false,
        }
}

#[test]
fn the_native_container_keeps_everything() {
    for file in models() {
        let bytes = format::native::write(&file);
        let again = format::read_bytes(bytes.clone(), "model").expect("native");
        assert!(same_file(&file, &again), "{:?}", file.config["config"]);
        assert_eq!(format::native::write(&again), bytes);
        assert_eq!(
            file.weights.is_some(),
            format::read_weights_bytes(bytes, "model").is_ok()
        );
    }
}

#[test]
fn another_version_of_the_native_container_is_unknown() {
    let mut bytes = format::native::write(&read("small.json"));
    bytes[4] = 2;
    let e = format::read_bytes(bytes, "model").map(|_| ());
    assert_eq!(e.expect_err("version").kind(), "unknown_format");
}

#[test]
fn what_is_written_is_read_back() {
    let mut small = read("small.keras");
    small.assets.insert(
        "layers/lookup/vocabulary.txt".to_string(),
        (*b"a\nb").into(),
    );
    for (zipped, name) in [(true, "written.keras"), (false, "written")] {
        let path = scratch(name);
        format::write_keras(&small, &path, zipped).expect("write");
        let again = format::read(&path).expect("read");
        match zipped {
            true => std::fs::remove_file(&path).expect("remove"),
            false => std::fs::remove_dir_all(&path).expect("remove"),
        }
        assert!(same_file(&small, &again), "{name}");
    }
    for fixture in [
        "small.weights.h5",
        "dtypes.weights.h5",
        "bfloat16.weights.h5",
    ] {
        let mut file = read("small.json");
        let mut weights = tree(format::read_weights(&fixtures::fixture(fixture)).ok());
        drop_strings(&mut weights);
        file.weights = Some(Weights::Tree(weights.clone()));
        let path = scratch(fixture);
        format::write_weights(&file, &path).expect("write");
        let again = tree(format::read_weights(&path).ok());
        std::fs::remove_file(&path).expect("remove");
        assert!(same_tree(&weights, &again), "{fixture}");
    }
}

/// Weights of text are kept as assets, never in the store.
fn drop_strings(tree: &mut WeightTree) {
    tree.vars.retain(|v| v.tensor.dtype() != DType::Str);
    tree.children.values_mut().for_each(drop_strings);
}

#[test]
fn an_unwritable_place_is_an_error() {
    let e = format::write_keras(
        &read("small.keras"),
        Path::new("no/such/folder/m.keras"),
        true,
    );
    assert_eq!(e.expect_err("no folder").kind(), "cant_write");
    let e = format::write_keras(&read("small.json"), &scratch("m.keras"), true);
    assert_eq!(e.expect_err("no weights").kind(), "not_a_model");
}

#[test]
fn shards_are_joined() {
    let folder = scratch("shards");
    let mut map = write_shards(&folder);
    let list = folder.join("m.weights.json");
    let write = |map: &_| {
        std::fs::write(&list, shard_list(map)).expect("write");
        format::read_weights(&list)
    };
    let joined = write(&map);
    map.insert("/layers/x/vars".to_string(), "../small.weights.h5".into());
    let outside = write(&map);
    map.insert("/layers/x/vars".to_string(), "gone.weights.h5".into());
    let gone = write(&map);
    std::fs::remove_dir_all(&folder).expect("remove");
    assert_small_tree(&tree(joined.ok()));
    assert_eq!(outside.expect_err("outside").kind(), "damaged_file");
    assert_eq!(gone.expect_err("gone").kind(), "file_missing");
}
