"""What all groups of golden cases share: building, randomising, saving and packing."""

import gc
import io
import itertools
import json
import os
import re
import tempfile
import traceback
import zipfile
import zlib

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

FIXED_TIME = (1980, 1, 1, 0, 0, 0)
ATOL, RTOL = 1e-5, 1e-4


# ---- building -------------------------------------------------------------------------------


def chain(shape, *stack, dtype=None, name=None):
    """A functional model: one input, layers one after another."""
    x = inp = keras.Input(shape, dtype=dtype)
    for layer in stack:
        x = layer(x)
    return keras.Model(inp, x, name=name) if name else keras.Model(inp, x)


def sequential(shape, *stack, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *stack])


# ---- inputs ---------------------------------------------------------------------------------
# An input maker is called as maker(rng, shape, dtype), where shape has the rows in front.


def normal(scale=1.0, shift=0.0):
    return lambda rng, shape, dtype: (rng.normal(size=shape) * scale + shift).astype(dtype)


def uniform(low=0.0, high=1.0):
    return lambda rng, shape, dtype: rng.uniform(low, high, size=shape).astype(dtype)


SPECIAL = [0.0, -0.0, 1e-8, -1e-8, 1e-3, -1e-3, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, -6.0, 20.0, -20.0, 88.0, -88.0, 1e3, -1e3]


def wild(special=SPECIAL):
    """Numbers of all sizes, and exactly the points where activations bend."""

    def make(rng, shape, dtype):
        x = rng.normal(size=shape) * rng.choice([0.01, 1.0, 5.0], size=shape)
        where = rng.random(size=shape) < 0.5
        return np.where(where, rng.choice(special, size=shape), x).astype(dtype)

    return make


def ints(high, low=0):
    return lambda rng, shape, dtype: rng.integers(low, high, size=shape).astype(dtype)


def padded(high, left=False, empty=False, holes=False):
    """Token numbers with zeros as padding: rows of different lengths. The last row is empty where asked."""

    def make(rng, shape, dtype):
        x = rng.integers(1, high, size=shape)
        steps = shape[1]
        for row in range(shape[0]):
            length = steps if row == 0 else int(rng.integers(1, steps + 1))
            if left:
                x[row, : steps - length] = 0
            else:
                x[row, length:] = 0
        if holes:
            x[:, steps // 2] = 0
        if empty:
            x[-1] = 0
        return x.astype(dtype)

    return make


def masked(value=0.0, left=False, empty=False):
    """Sequences of features with whole steps equal to the mask value."""

    def make(rng, shape, dtype):
        x = rng.normal(size=shape)
        steps = shape[1]
        for row in range(shape[0]):
            length = steps if row == 0 else int(rng.integers(1, steps + 1))
            if left:
                x[row, : steps - length] = value
            else:
                x[row, length:] = value
        x[0, steps // 2] = value
        if empty:
            x[-1] = value
        return x.astype(dtype)

    return make


def bools(p=0.7, first=False):
    """Random booleans; with `first`, the first of the last axis is always true."""

    def make(rng, shape, dtype):
        x = rng.random(size=shape) < p
        if first:
            x[..., 0] = True
        return x.astype(dtype)

    return make


def literal(values):
    return lambda rng, shape, dtype: np.resize(np.asarray(values), shape).astype(dtype)


SYLLABLES = ["ka", "Mi", "tO", "ße", "ü", "n", "ру", "語", "👍", "e\u0301"]
MARKS = [" ", "  ", "\t", "\n", " - ", ", ", ".", "!", "_", "\u00a0", "'s "]


def words(known=(), unknown=0.3, empty=0.05):
    """Single strings: known ones, others, and empty ones."""

    def make(rng, shape, dtype):
        def one():
            if rng.random() < empty:
                return ""
            if len(known) == 0 or rng.random() < unknown:
                return "".join(rng.choice(SYLLABLES, size=rng.integers(1, 5)))
            return str(rng.choice(known))

        return np.array([one() for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape)

    return make


def sentences(known, most=7, empty=True):
    """Strings of several known and other words between all kinds of marks: some of none, and the last empty, where asked."""
    word = words(known, unknown=0.2, empty=0)

    def make(rng, shape, dtype):
        def one():
            parts = [word(rng, (1,), dtype)[0] + str(rng.choice(MARKS)) for _ in range(rng.integers(0 if empty else 1, most + 1))]
            return "".join(parts)

        flat = [one() for _ in range(int(np.prod(shape)))]
        if empty:
            flat[-1] = ""
        return np.array(flat, dtype=object).reshape(shape)

    return make


def left_out(rng, shape, dtype):
    """For an optional input: None."""
    return None


# ---- weights --------------------------------------------------------------------------------


def randomise(model, rng):
    """Gives every weight a value that no other weight has."""
    for w in model.weights:
        value = random_weight(w.name, tuple(w.shape), rng)
        if value is not None:
            w.assign(value.astype(w.dtype))


def random_weight(name, shape, rng):
    # mean and variance of Normalization come from adapt(), which also derives other values from them
    if "seed" in name or name in ("count", "iteration", "mean", "variance"):
        return None
    if name == "moving_variance":
        return rng.uniform(0.3, 2.0, size=shape)
    if name in ("gamma", "scale", "concat_score_weight"):
        return rng.uniform(0.5, 1.5, size=shape) * np.where(rng.random(size=shape) < 0.3, -1, 1)
    if name in ("beta", "bias", "moving_mean", "alpha"):
        return rng.uniform(-1.0, 1.0, size=shape)
    if name == "embeddings":
        return rng.normal(size=shape)
    if len(shape) < 2:
        return rng.uniform(0.2, 1.0, size=shape)
    fan_in = max(1, int(np.prod(shape[:-1])))
    return rng.normal(size=shape) * np.sqrt(1.5 / fan_in)


def rounds_bfloat16():
    """Whether TensorFlow rounds products of bfloat16 matrices once, to nearest, which it leaves to
    oneDNN where there is AVX-512. Elsewhere MatMul cuts the float32 result off, and Einsum adds in bfloat16."""
    try:
        with open("/proc/cpuinfo") as f:
            return "avx512f" in f.read()
    except OSError:
        return False


# ---- cases ----------------------------------------------------------------------------------


class Skip(Exception):
    """Raised by build where a random configuration makes no sense."""


class Case:
    def __init__(self, name, build, inputs=None, rows=4, batch_size=32, h5=False, call="predict", optional=False,
                 row_independent=True, check=None, weights=randomise, dims=None, jit=False, repeats=1):
        self.name = name
        self.build = build
        self.inputs = inputs
        self.rows = rows
        self.batch_size = batch_size
        self.h5 = h5
        self.call = call
        self.optional = optional
        self.row_independent = row_independent
        self.check = check
        self.weights = weights
        self.dims = dims
        # XLA computes what TensorFlow's own CPU kernels lack: channels_first, dilated transposed convolutions
        self.jit = jit
        # stateful models: the same inputs are predicted several times, from the state in the file on
        self.repeats = repeats


class Collector:
    """Collects the cases of one group."""

    def __init__(self, group, seed, full):
        self.group, self.seed, self.full = group, seed, full
        self.list = []

    def add(self, name, build, **options):
        assert re.fullmatch(r"[a-z0-9_]+", name), name
        assert all(c.name != name for c in self.list), f"{self.group}/{name} is there twice"
        self.list.append(Case(name, build, **options))

    def random(self, topic, few, many):
        """(index, generator) pairs for random configurations: `few` of them, `many` with --full."""
        for i in range(many if self.full else few):
            yield i, rng_of(self.seed, self.group, topic, i)


def rng_of(seed, *path):
    key = "/".join(str(p) for p in path)
    return np.random.default_rng([seed, zlib.crc32(key.encode())])


def make_inputs(case, model, rng):
    """One array for each of model.inputs. None dims come from case.dims in turn, else they are 5."""
    makers = case.inputs or []
    makers = makers if isinstance(makers, (list, tuple)) else [makers]
    dims = itertools.chain(case.dims or [], itertools.repeat(5))
    arrays = []
    for i, tensor in enumerate(model.inputs):
        shape = (case.rows, *(next(dims) if d is None else d for d in tensor.shape[1:]))
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        maker = makers[i] if i < len(makers) else None
        if maker is None:
            maker = {"bool": bools(), "string": words()}.get(dtype) or (ints(7) if "int" in dtype else normal())
        made = maker(rng, shape, dtype)
        arrays.append(None if made is None else np.ascontiguousarray(made))
    return arrays


def nested_inputs(model, arrays):
    # Keras takes strings as tensors only
    arrays = [tf.constant(a) if a is not None and a.dtype == object else a for a in arrays]
    return arrays[0] if isinstance(model, keras.Sequential) else keras.tree.pack_sequence_as(model._inputs_struct, arrays)


def dense(tensor):
    """The numbers of a sparse tensor; anything else as it is."""
    return keras.ops.convert_to_numpy(tensor) if isinstance(tensor, tf.SparseTensor) else tensor


def run(model, case, arrays):
    x = nested_inputs(model, arrays)
    if case.call == "predict":
        if case.jit:
            model.jit_compile = True
        return keras.tree.map_structure(dense, model.predict(x, batch_size=case.batch_size, verbose=0))
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(x, **case.call))


def run_quickly(model, case, arrays):
    """What run() gives, within rounding, without building a data pipeline: batch by batch."""
    if case.call != "predict":
        return run(model, case, arrays)
    if case.jit:
        model.jit_compile = True
    batches = [model.predict_on_batch(nested_inputs(model, [a if a is None else a[i : i + case.batch_size] for a in arrays])) for i in range(0, case.rows, case.batch_size)]
    return keras.tree.map_structure(lambda *parts: np.concatenate([dense(p) for p in parts]), *batches)


def is_float(array):
    return array.dtype.kind in "fc" or array.dtype.name == "bfloat16"


def close(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if not is_float(a):
        return bool(np.array_equal(a, b))
    if a.dtype.name == "bfloat16":
        a, b = a.astype("float32"), b.astype("float32")
    return np.allclose(a, b, rtol=RTOL / 10, atol=ATOL / 10, equal_nan=True)


def nest_of(structure):
    counter = itertools.count()
    numbered = keras.tree.map_structure(lambda _: next(counter), structure)

    def plain(node):
        if isinstance(node, dict):
            return {str(k): plain(v) for k, v in node.items()}
        return [plain(v) for v in node] if isinstance(node, (list, tuple)) else node

    return plain(numbered)


def input_paths(model):
    if isinstance(model, keras.Sequential):
        return [[]]
    return [list(path) for path, _ in keras.tree.flatten_with_path(model._inputs_struct)]


# ---- files ----------------------------------------------------------------------------------


def saved(model, suffix):
    """(bytes, the model that Keras loads from them). Keras can't load some of its own .h5 files: None then."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model" + suffix)
        model.save(path)
        with open(path, "rb") as f:
            data = f.read()
        if suffix == ".keras":
            return reproducible(data), keras.models.load_model(path, compile=False)
        try:
            return data, keras.models.load_model(path, compile=False)
        except Exception:
            return data, None


def reproducible(data):
    """The same .keras file with a fixed date and small object ids, which are memory addresses otherwise."""
    source = zipfile.ZipFile(io.BytesIO(data))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for info in source.infolist():
            member = source.read(info)
            if info.filename == "metadata.json":
                meta = json.loads(member)
                meta["date_saved"] = "2026-01-01@00:00:00"
                member = json.dumps(meta).encode()
            elif info.filename == "config.json":
                ids = {}
                member = re.sub(
                    rb'("shared_object_id": )(\d+)',
                    lambda m: m[1] + str(ids.setdefault(m[2], len(ids) + 1)).encode(),
                    member,
                )
            target.writestr(zipfile.ZipInfo(info.filename, FIXED_TIME), member)
    return out.getvalue()


def string_json(array):
    """A string array as JSON: its shape, and its elements in C order."""
    text = [s.decode("utf-8") if isinstance(s, bytes) else s for s in np.ravel(array)]
    return json.dumps({"shape": list(np.shape(array)), "strings": text}, ensure_ascii=False).encode("utf-8")


def member_of(array):
    """Suffix and contents of an array's member."""
    array = np.asarray(array)
    return ("json", string_json(array)) if array.dtype == object else ("npy", npy(array))


def npy(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


class Pack:
    def __init__(self, path):
        self.zip = zipfile.ZipFile(path, "w")

    def write(self, name, data):
        info = zipfile.ZipInfo(name, FIXED_TIME)
        info.compress_type = zipfile.ZIP_DEFLATED
        self.zip.writestr(info, data, compresslevel=9)

    def close(self):
        self.zip.close()


def write_case(pack, group, case, seed):
    """Makes one case and writes it; returns the names written. Raises where Keras fails."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(zlib.crc32(f"{seed}/{group}/{case.name}".encode()) % 2**31)
    rng = rng_of(seed, group, case.name)
    model = case.build()
    if case.weights:
        case.weights(model, rng)
    arrays = make_inputs(case, model, rng)
    changes = case.repeats > 1 or (case.call != "predict" and case.call.get("training"))
    if changes:
        first, model = saved(model, ".keras")
    structures = [run(model, case, arrays) for _ in range(case.repeats)]
    structure = structures[0]
    outputs = [np.ascontiguousarray(o) if np.ndim(o) else np.asarray(o) for o in keras.tree.flatten(structures)]
    if case.check:
        case.check(model, arrays, outputs)
    written = []
    for suffix in [".keras"] + ([".h5"] if case.h5 else []):
        if changes:
            data, again = first, None
        else:
            data, again = saved(model, suffix)
        for a, b in zip(keras.tree.flatten(run_quickly(again, case, arrays)) if again else outputs, outputs, strict=True):
            if not close(a, b):
                raise RuntimeError(f"Keras predicts otherwise after loading its own {suffix} file")
        name = case.name + ("_h5" if suffix == ".h5" else "")
        meta = {
            "name": name,
            "group": group,
            "keras_version": keras.__version__,
            "inputs": [{"name": t._keras_history.operation.name, "path": p} for t, p in zip(model.inputs, input_paths(model), strict=True)],
            "rows": case.rows,
            "batch_size": case.batch_size,
            "nest": nest_of(structure),
            "exact": not any(is_float(o) for o in outputs),
            "row_independent": case.row_independent,
            "keras_reloads": again is not None or changes,
            "params": model.count_params(),
            "call": case.call,
        }
        if case.repeats > 1:
            meta["repeats"] = case.repeats
        pack.write(f"{name}/meta.json", json.dumps(meta, indent=1))
        pack.write(f"{name}/model{suffix}", data)
        for i, a in enumerate(arrays):
            suffix, data = member_of(np.zeros(()) if a is None else a)
            pack.write(f"{name}/in.{i}.{suffix}", data)
        for i, a in enumerate(outputs):
            suffix, data = member_of(a)
            pack.write(f"{name}/out.{i}.{suffix}", data)
        written.append(name)
    return written


def write_group(path, group, cases, seed):
    """Writes a pack; returns (cases written, cases dropped, cases failed)."""
    pack = Pack(path)
    written, dropped, failed = 0, [], []
    for number, case in enumerate(cases):
        if number % 50 == 49:
            gc.collect()
        try:
            written += len(write_case(pack, group, case, seed))
        except Skip:
            pass
        except Exception as e:
            (dropped if case.optional else failed).append(case.name)
            reason = (str(e).strip().splitlines() or [type(e).__name__])[0][:160]
            print(f"{'dropped' if case.optional else 'FAILED'} {group}/{case.name}: {type(e).__name__}: {reason}", flush=True)
            if not case.optional and os.environ.get("GOLDEN_TRACEBACK"):
                traceback.print_exc()
    pack.close()
    return written, dropped, failed
