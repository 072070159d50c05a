"""Writes legacy8.zip and legacy9.zip: models made, saved and run by earlier versions of Keras and TensorFlow themselves.

    python legacy8.py --install --pythons DIR --venvs DIR       makes the virtual environments
    python legacy8.py --venvs DIR --out packs                   writes the packs: a choice of cases and forms
    python legacy8.py --venvs DIR --out DIR --all               writes a pack for each version: all cases in all forms

VERSIONS names the versions; `--pythons` is a folder of Pythons as pyenv keeps them (`3.8.18/bin/python`).
`--only tf2.3,keras2.2.4` limits the versions, `--cases conv,pool` the cases. What a version lacks, or can't do itself, is left out and said so.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = 4

# name: (environment, where Keras comes from, a Keras of its own beside the environment)
VERSIONS = {
    "keras2.0.0": ("tf1.4", "keras", "2.0.0"),
    "keras2.0.9": ("tf1.4", "keras", "2.0.9"),
    "keras2.1.6": ("tf1.14", "keras", "2.1.6"),
    "keras2.2.4": ("tf1.14", "keras", "2.2.4"),
    "keras2.3.1": ("tf1.14", "keras", "2.3.1"),
    "tf1.4": ("tf1.4", "tensorflow", None),
    "tf1.14": ("tf1.14", "tensorflow", None),
    "tf1.15": ("tf1.15", "tensorflow", None),
    "tf2.0": ("tf2.0", "tensorflow", None),
    "tf2.1": ("tf2.1", "tensorflow", None),
    "tf2.2": ("tf2.2", "tensorflow", None),
    "tf2.3": ("tf2.3", "tensorflow", None),
    "tf2.4": ("tf2.4", "tensorflow", None),
    "tf2.5": ("tf2.5", "tensorflow", None),
    "tf2.6": ("tf2.6", "tensorflow", None),
    "tf2.8": ("tf2.8", "tensorflow", None),
    "tf2.9": ("tf2.9", "tensorflow", None),
    "tf2.10": ("tf2.10", "tensorflow", None),
    "tf2.11": ("tf2.11", "tensorflow", None),
    "tf2.12": ("tf2.12", "tensorflow", None),
    "tf2.13": ("tf2.13", "tensorflow", None),
    "tf2.15": ("tf2.15", "tensorflow", None),
    "keras3.0.0": ("tf2.16", "keras", "3.0.0"),
    "keras3.0.5": ("tf2.16", "keras", "3.0.5"),
    "keras3.1.1": ("tf2.16", "keras", "3.1.1"),
    "keras3.3.3": ("tf2.16", "keras", None),
    "keras3.5.0": ("tf2.16", "keras", "3.5.0"),
    "keras3.6.0": ("tf2.16", "keras", "3.6.0"),
    "keras3.8.0": ("tf2.16", "keras", "3.8.0"),
    "keras3.10.0": ("tf2.16", "keras", "3.10.0"),
    "keras3.12.0": ("tf2.16", "keras", "3.12.0"),
    "keras3.14.0": ("tf2.16", "keras", "3.14.0"),
}

# environment: (Python, packages)
OLD = ["h5py==2.10", "protobuf<3.20"]
ENVIRONMENTS = {
    "tf1.4": ("3.6.15", ["tensorflow==1.4.1", "numpy<1.17", "scipy<1.4", "pyyaml", "six", *OLD]),
    "tf1.14": ("3.6.15", ["tensorflow==1.14", "numpy<1.17", "scipy<1.4", "pyyaml", "six", "keras_preprocessing", "keras_applications", *OLD]),
    "tf1.15": ("3.7.16", ["tensorflow-cpu==1.15.0", "numpy<1.19", "scipy", *OLD]),
    "tf2.0": ("3.7.16", ["tensorflow==2.0.4", "numpy<1.19", *OLD]),
    "tf2.1": ("3.7.16", ["tensorflow-cpu==2.1.4", "numpy<1.19", *OLD]),
    "tf2.2": ("3.8.18", ["tensorflow-cpu==2.2.3", "numpy<1.19", *OLD]),
    "tf2.3": ("3.8.18", ["tensorflow-cpu==2.3.4", "numpy<1.19", *OLD]),
    "tf2.4": ("3.8.18", ["tensorflow-cpu==2.4.4", "protobuf<3.20"]),
    "tf2.5": ("3.9.18", ["tensorflow-cpu==2.5.3", "protobuf<3.20"]),
    "tf2.6": ("3.9.18", ["tensorflow-cpu==2.6.5", "keras==2.6.0", "protobuf<3.20"]),
    "tf2.8": ("3.10.13", ["tensorflow-cpu==2.8.4", "protobuf<3.20", "numpy<1.24"]),
    "tf2.9": ("3.10.13", ["tensorflow-cpu==2.9.3", "protobuf<3.20", "numpy<1.24"]),
    "tf2.10": ("3.10.13", ["tensorflow-cpu==2.10.1", "protobuf<3.20", "numpy<1.24"]),
    "tf2.11": ("3.10.13", ["tensorflow-cpu==2.11.1", "protobuf<3.20", "numpy<1.24"]),
    "tf2.12": ("3.10.13", ["tensorflow-cpu==2.12.1", "numpy<1.24"]),
    "tf2.13": ("3.11.7", ["tensorflow-cpu==2.13.1"]),
    "tf2.15": ("3.11.7", ["tensorflow-cpu==2.15.1", "numpy<2"]),
    "tf2.16": ("3.11.7", ["tensorflow-cpu==2.16.2", "keras==3.3.3", "dm-tree"]),
}

# of a pack, (version, form): what is chosen
CHOICE = {
    "legacy8": {
        ("keras2.0.0", "h5"): "masked,embedded,text,local_2d,shared,merge",
        ("keras2.1.6", "h5"): "cells,conv_lstm,masked,bidirectional_concat",
        ("keras2.2.4", "h5"): "shapes_image,masked_more,cudnn_lstm,cudnn_gru,cudnn_bidirectional,gru,initial_states,activation_layers",
        ("keras2.2.4", "json"): "conv_2d,nested_again,stateful",
        ("tf2.0", "h5"): "masked,masked_more,bidirectional,shapes_image,tf_compared,tf_reduced,tf_sliced",
        ("tf2.3", "h5"): "cudnn_gru,cudnn_lstm,discretized,dict_inputs,hashed,nested_again,norms,tf_arithmetic,tf_nn,tf_shaped",
        ("tf2.3", "json"): "encoded_binary,names,v1_rnn",
        ("tf2.6", "h5"): "activations,attention_masked,hashed,hashed_int,integer_lookup,masked_more,multi_head,normalized,string_inverse,text_int,tf_backend,tf_reduced,tf_sliced",
        ("tf2.6", "json"): "merge,scaled",
        ("tf2.13", "keras"): "compiled,dense,dict_outputs,masked,nested,normalized,prelu_image,shared,string_lookup",
        ("tf2.13", "weights"): "bidirectional,names",
    },
    "legacy9": {
        ("tf2.6", "h5"): "discretized,discretized_adapted,string_lookup_count",
        ("tf2.13", "h5"): "discretized_adapted,string_lookup_multi_hot",
        ("keras3.0.0", "keras"): "attention_masked,encoded_one_hot",
        ("keras3.1.1", "keras"): "activation_functions,discretized,discretized_modes,masked_more,nested_again,scaled",
        ("keras3.3.3", "h5"): "discretized_adapted,merge",
        ("keras3.6.0", "keras"): "discretized,multi_head,shared",
        ("keras3.10.0", "h5"): "gru,masked",
        ("keras3.14.0", "keras"): "nested_again,string_lookup_multi_hot",
        ("tf2.13", "keras"): "norms,scaled,text_count",
    },
}

# ---- the versions, one after another ---------------------------------------------------------


def install(pythons, venvs, versions):
    for environment in dict.fromkeys(VERSIONS[v][0] for v in versions):
        python, packages = ENVIRONMENTS[environment]
        folder = os.path.join(venvs, environment)
        subprocess.run([os.path.join(pythons, python, "bin", "python"), "-m", "venv", folder], check=True)
        pip = [os.path.join(folder, "bin", "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "--upgrade", "pip<22"], check=True)
        subprocess.run([*pip, *packages], check=True)
    for version in versions:
        environment, _, keras = VERSIONS[version]
        if keras:
            pip = [os.path.join(venvs, environment, "bin", "python"), "-m", "pip", "install", "-q", "--no-deps"]
            extra = ["optree"] if keras > "3" else []
            subprocess.run([*pip, "--target", os.path.join(venvs, "keras-" + keras), "keras==" + keras, *extra], check=True)


def run_version(version, venvs, out, cases, forms):
    """Makes the cases in the version's own Python; gives the pack's path."""
    environment, source, keras = VERSIONS[version]
    env = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", KERAS_BACKEND="tensorflow", PYTHONWARNINGS="ignore")
    env.pop("PYTHONPATH", None)
    if keras:
        env["PYTHONPATH"] = os.path.join(venvs, "keras-" + keras)
    python = os.path.join(venvs, environment, "bin", "python")
    name = version.replace(".", "_")
    command = [python, os.path.abspath(__file__), "--make", version, "--source", source, "--out", os.path.join(out, name), "--cases", cases, "--forms", forms]
    subprocess.run(command, env=env, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythons", help="folder of Pythons")
    parser.add_argument("--venvs", help="folder of virtual environments")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--out")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--made", help="folder of packs that `--all` wrote, to choose from")
    parser.add_argument("--only", default="")
    parser.add_argument("--cases", default="")
    parser.add_argument("--forms", default="")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    parser.add_argument("--source", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        return make(args)
    versions = args.only.split(",") if args.only else list(VERSIONS)
    if args.install:
        return install(args.pythons, args.venvs, versions)
    os.makedirs(args.out, exist_ok=True)
    if args.all:
        for version in versions:
            run_version(version, args.venvs, args.out, args.cases, args.forms)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = args.made or folder
        for group, choice in CHOICE.items():
            for (version, form), cases in choice.items():
                if not args.made:
                    run_version(version, args.venvs, folder, cases, form)
            choose(made, choice, group, args.out)


def choose(made, choice, group, folder):
    """Writes the chosen cases of the packs of all versions as one pack."""
    out = os.path.join(folder, group + ".zip")
    with zipfile.ZipFile(out, "w") as pack:
        for (version, form), cases in choice.items():
            with zipfile.ZipFile(os.path.join(made, pack_name(version, form))) as source:
                for member in source.namelist():
                    case, file = member.split("/")
                    if case not in cases.split(","):
                        continue
                    data = source.read(member)
                    name = "{}_{}_{}".format(version.replace(".", "_"), case, form)
                    if file == "meta.json":
                        data = json.dumps(dict(json.loads(data), name=name, group=group), indent=1)
                    write(pack, name + "/" + file, data)
    print("{}: {:.2f} MB".format(group, os.path.getsize(out) / 1e6))


def pack_name(version, form):
    return "{}_{}.zip".format(version.replace(".", "_"), form)


def write(pack, name, data):
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    pack.writestr(info, data)


# ---- inside a version ------------------------------------------------------------------------
# From here on the code runs in any of them.

K = L = B = np = tf = None
MAJOR, VERSION = 2, ""


def make(args):
    global K, L, B, np, tf, MAJOR, VERSION
    sys.path = [p for p in sys.path if os.path.abspath(p or ".") != HERE]
    import numpy
    import tensorflow

    np, tf = numpy, tensorflow
    if args.source == "tensorflow":
        K = tf.keras
    else:
        import keras

        K = keras
    VERSION = version_of(K)
    L, B, MAJOR = K.layers, K.backend, int(VERSION.split(".")[0])
    w = Writer(args)
    for name, build, options in cases():
        if any(c in name for c in args.cases.split(",")):
            w.add(name, build, **options)
    w.close()


def version_of(module):
    """Keras' version, which `tf.keras` from 2.13 on doesn't tell."""
    if not hasattr(module, "__version__"):
        import keras as module
    return module.__version__


def random(*path):
    return np.random.RandomState(zlib.crc32("/".join(path).encode()) % 2**31)


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def said(e):
    lines = str(e).strip().splitlines() or [""]
    return type(e).__name__ + ": " + lines[0][:150]


def randomise(model, rng):
    values = []
    for w, old in zip(model.weights, model.get_weights()):
        if old.dtype.kind not in "f":
            values.append(old)
            continue
        name = getattr(w, "path", w.name)
        fan_in = max(1, int(np.prod(old.shape[:-1]))) if old.ndim > 1 else 4
        if "variance" in name or "running_std" in name:
            value = rng.uniform(0.3, 2.0, size=old.shape)
        else:
            value = rng.normal(size=old.shape) * np.sqrt(1.5 / fan_in)
        values.append(value.astype(old.dtype))
    model.set_weights(values)


def flat(structure):
    if isinstance(structure, dict):
        return [x for k in sorted(structure) for x in flat(structure[k])]
    if isinstance(structure, (list, tuple)):
        return [x for s in structure for x in flat(s)]
    return [np.asarray(structure)]


def nest(structure, count=None):
    count = count or iter(range(1000))
    if isinstance(structure, dict):
        return {k: nest(structure[k], count) for k in sorted(structure)}
    if isinstance(structure, (list, tuple)):
        return [nest(s, count) for s in structure]
    return next(count)


def dtype_of(tensor):
    dtype = tensor.dtype
    name = dtype if isinstance(dtype, str) else dtype.name
    return name.replace("_ref", "")


def shape_of(tensor):
    shape = getattr(tensor, "_keras_shape", None) or tensor.shape
    return [None if d is None else int(d) for d in (shape.as_list() if hasattr(shape, "as_list") else shape)]


def input_names(model):
    if MAJOR >= 3:
        return [t._keras_history.operation.name for t in model.inputs]
    return list(model.input_names)


def input_paths(model):
    if MAJOR >= 3 and type(model).__name__ == "Sequential":
        return [[]]
    given = model.input if MAJOR < 3 else model._inputs_struct
    if isinstance(given, dict):
        return [[name] for name in sorted(given)]
    # Keras 3 saved a bare input as a list of one.
    saved = model.get_config().get("input_layers") if MAJOR >= 3 else None
    listed = len(model.inputs) > 1 or (saved is not None and isinstance(saved[0], list))
    return [[i] if listed else [] for i in range(len(model.inputs))]


class Writer:
    def __init__(self, args):
        self.version, self.stem, self.forms = args.make, args.out, [f for f in args.forms.split(",") if f]
        self.packs, self.counts = {}, {}

    def write(self, form, name, data):
        if form not in self.packs:
            self.packs[form] = zipfile.ZipFile("{}_{}.zip".format(self.stem, form), "w")
        write(self.packs[form], name, data)

    def close(self):
        for pack in self.packs.values():
            pack.close()
        print(self.version, self.counts, flush=True)

    def add(self, name, build, inputs=None, mixes=False, repeats=1, weights=True, rows=ROWS):
        try:
            B.clear_session()
            rng = random(name)
            built = build()
            model, twin = built if isinstance(built, tuple) else (built, None)
            if weights:
                randomise(model, rng)
            arrays = []
            for tensor in model.inputs:
                shape, dtype = shape_of(tensor), dtype_of(tensor)
                shape = [shape[0] or rows] + [5 if d is None else d for d in shape[1:]]
                if inputs:
                    a = inputs(rng, shape)
                elif dtype == "string":
                    a = rng.choice(["a", "b", "earth", "Wind and", "fire", ""], size=shape).astype(object)
                elif "int" in dtype:
                    a = rng.randint(0, 7, size=shape)
                else:
                    a = rng.normal(size=shape)
                arrays.append(a if dtype == "string" else np.ascontiguousarray(a.astype(dtype)))
            if twin:
                with tempfile.TemporaryDirectory() as folder:
                    path = os.path.join(folder, "w.h5")
                    model.save_weights(path)
                    twin.load_weights(path)
            outputs, structure = [], None
            for _ in range(repeats):
                structure = self.predicted(twin or model, arrays)
                outputs += flat(structure)
        except Exception as e:
            print("dropped {} {}: {}".format(self.version, name, said(e)), flush=True)
            return
        meta = {
            "name": name,
            "keras_version": VERSION,
            "inputs": [{"name": n, "path": p} for n, p in zip(input_names(model), input_paths(model))],
            "rows": len(arrays[0]),
            "batch_size": 32,
            "nest": nest(structure),
            "exact": all(o.dtype.kind not in "fc" for o in outputs),
            "row_independent": not mixes and repeats == 1,
            "keras_reloads": False,
            "repeats": repeats,
            "call": "predict",
        }
        if repeats > 1:
            model.reset_states() if hasattr(model, "reset_states") else None
        for form, members in FORMS.items():
            if self.forms and form not in self.forms:
                continue
            with tempfile.TemporaryDirectory() as folder:
                try:
                    files = members(model, folder)
                except Exception as e:
                    print("unsaved {} {} {}: {}".format(self.version, name, form, said(e)), flush=True)
                    continue
            if not files:
                continue
            group = os.path.basename(self.stem) + "_" + form
            self.write(form, name + "/meta.json", json.dumps(dict(meta, group=group), indent=1))
            for member, data in files.items():
                self.write(form, name + "/" + member, data)
            for kind, values in (("in", arrays), ("out", outputs)):
                for i, a in enumerate(values):
                    stem = "{}/{}.{}".format(name, kind, i)
                    if a.dtype == object:
                        strings = [s.decode() if isinstance(s, bytes) else str(s) for s in a.ravel()]
                        self.write(form, stem + ".json", json.dumps({"shape": list(a.shape), "strings": strings}))
                    else:
                        self.write(form, stem + ".npy", npy(np.ascontiguousarray(a) if a.ndim else a))
            self.counts[form] = self.counts.get(form, 0) + 1

    def predicted(self, model, arrays):
        given = arrays if len(arrays) > 1 else arrays[0]
        named = model.input if MAJOR < 3 else getattr(model, "_inputs_struct", None)
        if isinstance(named, dict):
            given = dict(zip(sorted(named), arrays))
        if hasattr(tf, "executing_eagerly") and tf.executing_eagerly():
            # What predict() gives, without compiling each model.
            tensors = tf.nest.map_structure(tf.constant, given)
            return tf.nest.map_structure(np.asarray, model(tensors, training=False))
        return model.predict(given, batch_size=len(arrays[0]), verbose=0)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def as_h5(model, folder):
    path = os.path.join(folder, "model.h5")
    model.save(path)
    return {"model.h5": read(path)}


def as_keras(model, folder):
    if not saves_keras():
        return None
    path = os.path.join(folder, "model.keras")
    model.save(path)
    data = read(path)
    return {"model.keras": data} if data[:2] == b"PK" else {"model.h5": data}


def saves_keras():
    """Whether `.keras` files and `.weights.h5` are more than other names of h5."""
    version = tuple(int(n) for n in re.findall(r"\d+", VERSION)[:2])
    return version >= (2, 11)


def as_json(model, folder):
    path = os.path.join(folder, "w.weights.h5" if MAJOR >= 3 else "w.h5")
    model.save_weights(path)
    return {"model.json": model.to_json().encode(), "weights.h5": read(path)}


def as_weights(model, folder):
    """Weights by the saving library of Keras 3, which Keras 2.11 to 2.15 have too."""
    if MAJOR >= 3 or not saves_keras():
        return None
    path = os.path.join(folder, "w.weights.h5")
    model.save_weights(path)
    return {"model.json": model.to_json().encode(), "weights.h5": read(path)}


FORMS = {"h5": as_h5, "keras": as_keras, "json": as_json, "weights": as_weights}


# ---- what the cases are made of --------------------------------------------------------------


class Spec:
    """A layer to be made, or nothing where a version has none such."""

    def __init__(self, cls, args, options):
        self.cls, self.args, self.options = cls, args, options

    def __call__(self):
        cls = find(self.cls)
        if cls is None:
            raise AttributeError("not there")
        return cls(*(self.made(a) for a in self.args), **{k: self.made(v) for k, v in self.options.items()})

    def made(self, value):
        if isinstance(value, Spec):
            return value()
        return [self.made(v) for v in value] if isinstance(value, list) else value

    def __repr__(self):
        return "{}({})".format(self.cls, ", ".join([repr(a) for a in self.args] + ["{}={!r}".format(*o) for o in self.options.items()]))


def find(cls):
    places = [L]
    experimental = getattr(L, "experimental", None)
    if experimental is not None:
        places += [experimental, getattr(experimental, "preprocessing", None)]
    if cls.startswith("v1."):
        places, cls = [tf.compat.v1.keras.layers], cls[3:]
    for place in places:
        if place is not None and hasattr(place, cls):
            return getattr(place, cls)
    return None


class Layers:
    def __getattr__(self, cls):
        return lambda *args, **options: Spec(cls, args, options)


l = Layers()
LACKING = set()


def applied(x, specs):
    """The outputs of all the layers that this version has."""
    outputs = []
    for spec in specs:
        one = spec if not isinstance(spec, Spec) else lambda value, spec=spec: spec()(value)
        try:
            if MAJOR >= 3:
                # What a version makes, but can't run, is seen only here.
                one(tf.nest.map_structure(sample, x))
            outputs += spread(one(x))
        except Exception as e:
            text = "lacks {}: {}".format(spec, said(e))
            if text not in LACKING:
                LACKING.add(text)
                print(text, flush=True)
    assert outputs, "no layer of these"
    return outputs


def sample(tensor):
    """Values for a symbolic tensor."""
    shape = [ROWS if d is None else d for d in shape_of(tensor)]
    values = np.full(shape, "a", object) if dtype_of(tensor) == "string" else np.zeros(shape, dtype_of(tensor))
    mask = getattr(tensor, "_keras_mask", None)
    made = tf.constant(values)
    if mask is not None:
        made._keras_mask = tf.ones([ROWS if d is None else d for d in shape_of(mask)], "bool")
    return made


def spread(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def input_of(shape, dtype=None, name=None, **options):
    if dtype:
        options["dtype"] = dtype
    return K.Input(shape=shape, name=name, **options) if hasattr(K, "Input") else L.Input(shape=shape, name=name, **options)


def model_of(inputs, outputs, **options):
    return K.models.Model(inputs, outputs, **options)


def several(shape, *specs, **options):
    """One input, and the outputs of all the layers."""
    before = options.pop("before", None)

    def build():
        x = input_of(shape, name="x", **options)
        h = before()(x) if before else x
        return model_of(x, applied(h, specs))

    return build


def pairs(a, b, *specs):
    def build():
        x, z = input_of(a, name="x"), input_of(b, name="z")
        return model_of([x, z], applied([x, z], specs))

    return build


def stack(*specs):
    return lambda: K.models.Sequential([s() for s in specs])


def tokens(rng, shape):
    x = rng.randint(1, 7, size=shape)
    x[1:, -2:] = 0
    return x


def steps(rng, shape):
    """Sequences whose last steps are masked."""
    x = rng.normal(size=shape)
    x[1:, -2:] = 0
    return x


def images(rng, shape):
    return rng.uniform(0, 255, size=shape)


# ---- the cases -------------------------------------------------------------------------------

ACTIVATIONS = ["elu", "selu", "relu", "tanh", "sigmoid", "hard_sigmoid", "exponential", "linear", "softplus", "softsign", "softmax", "swish", "silu", "gelu", "relu6", "mish", "leaky_relu", "hard_silu", "hard_swish", "log_softmax", "celu", "glu", "squareplus", "hard_tanh", "tanh_shrink", "soft_shrink", "hard_shrink", "threshold", "sparse_plus", "log_sigmoid"]


def cases():
    vector, sequence, image, volume = (5,), (6, 4), (7, 8, 3), (5, 6, 4, 2)
    out = []

    def add(name, build, **options):
        out.append((name, build, options))

    add("dense", several(vector, l.Dense(3), l.Dense(2, use_bias=False), l.Dense(3, kernel_regularizer="l2", bias_regularizer="l1", bias_constraint="non_neg", kernel_initializer="he_normal"), l.RepeatVector(3), l.Dropout(0.4), l.GaussianNoise(0.3), l.GaussianDropout(0.2), l.AlphaDropout(0.2), l.ActivityRegularization(0.1, 0.2), l.Activation("linear")))
    add("activations_dense", several(sequence, *(l.Dense(4, activation=a) for a in ACTIVATIONS)))
    add("activations", several(sequence, *(l.Activation(a) for a in ACTIVATIONS)))
    add("activation_functions", several(sequence, *(lambda x, a=a: L.Activation(getattr(K.activations, a))(x) for a in ACTIVATIONS), *(lambda x, a=a: L.Dense(3, activation=getattr(tf.nn, a))(x) for a in ("relu", "relu6", "swish", "leaky_relu", "gelu", "softmax", "tanh", "sigmoid", "elu", "selu", "softplus"))))
    add("activation_layers", several(sequence, l.ReLU(), l.ReLU(6.0), l.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.3), l.ReLU(negative_slope=0.2), l.ReLU(threshold=0.5), l.LeakyReLU(), l.LeakyReLU(0.1), l.PReLU(), l.PReLU(shared_axes=[1]), l.ELU(), l.ELU(0.5), l.ThresholdedReLU(), l.ThresholdedReLU(0.4), l.Softmax(), l.Softmax(axis=1)))
    add("activation_objects", several(sequence, lambda x: L.Dense(3, activation=find("LeakyReLU")(0.3))(x), lambda x: L.Dense(3, activation=find("ReLU")(2.0))(x), lambda x: L.Conv1D(2, 2, activation=find("ELU")(0.3))(x)))
    add("prelu_image", several(image, l.PReLU(), l.PReLU(shared_axes=[1, 2]), l.LeakyReLU(0.2), l.Softmax(axis=[1, 2])))
    add("shapes", several((4, 6), l.Reshape((3, 8)), l.Reshape((-1, 2)), l.Permute((2, 1)), l.Flatten(), l.TimeDistributed(l.Dense(2)), l.Masking(0.0), l.Cropping1D((1, 2)), l.ZeroPadding1D(1), l.ZeroPadding1D((1, 2)), l.UpSampling1D(2), l.SpatialDropout1D(0.2)))
    add("shapes_image", several(image, l.Flatten(), l.Permute((3, 1, 2)), l.ZeroPadding2D(), l.ZeroPadding2D((1, 2)), l.ZeroPadding2D(((1, 0), (2, 3))), l.Cropping2D(((1, 2), (0, 3))), l.Cropping2D(1), l.UpSampling2D((2, 3)), l.UpSampling2D(2, interpolation="bilinear"), l.UpSampling2D(2, interpolation="nearest"), l.UpSampling2D((2, 3), interpolation="bicubic"), l.UpSampling2D(2, interpolation="area"), l.UpSampling2D(2, interpolation="lanczos3"), l.SpatialDropout2D(0.3)))
    add("shapes_first", several(image, l.Flatten(data_format="channels_first"), l.ZeroPadding2D((1, 2), data_format="channels_first"), l.Cropping2D(((1, 2), (0, 1)), data_format="channels_first"), l.UpSampling2D((2, 3), data_format="channels_first"), l.GlobalAveragePooling2D(data_format="channels_first"), l.GlobalMaxPooling2D(data_format="channels_first")))
    add("shapes_volume", several(volume, l.ZeroPadding3D((1, 0, 2)), l.Cropping3D(((1, 1), (2, 0), (0, 1))), l.UpSampling3D((2, 1, 2)), l.SpatialDropout3D(0.3), l.Flatten()))
    add("conv_1d", several((9, 4), l.Conv1D(3, 3), l.Conv1D(2, 2, strides=2, padding="same", activation="relu"), l.Conv1D(3, 2, dilation_rate=2), l.Conv1D(3, 3, padding="causal", dilation_rate=2), l.Conv1D(2, 2, use_bias=False), l.SeparableConv1D(4, 3), l.SeparableConv1D(3, 2, depth_multiplier=2, strides=2, padding="same", use_bias=False), l.Conv1DTranspose(3, 3, strides=2), l.Conv1DTranspose(3, 3, strides=2, padding="same"), l.DepthwiseConv1D(3, depth_multiplier=2), l.MaxPooling1D(2), l.MaxPooling1D(3, strides=1, padding="same"), l.AveragePooling1D(2, strides=2), l.AveragePooling1D(3, padding="same"), l.GlobalMaxPooling1D(), l.GlobalAveragePooling1D(), l.GlobalAveragePooling1D(keepdims=True)))
    add("conv_2d", several(image, l.Conv2D(4, (3, 2)), l.Conv2D(2, (2, 3), strides=(2, 1), padding="same", activation="relu"), l.Conv2D(2, 2, use_bias=False), l.Conv2D(3, 2, dilation_rate=(2, 2)), l.Conv2DTranspose(3, (3, 4), strides=(2, 2)), l.Conv2DTranspose(2, 3, strides=2, padding="same"), l.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1), l.Conv2DTranspose(2, 2, dilation_rate=2), l.SeparableConv2D(4, (2, 3), depth_multiplier=2), l.SeparableConv2D(4, 3, strides=2, padding="same", activation="relu", use_bias=False), l.DepthwiseConv2D((2, 3)), l.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, activation="relu"), l.DepthwiseConv2D(2, dilation_rate=2, use_bias=False)))
    add("conv_groups", several(image, l.Conv2D(3, 2, groups=3), l.Conv2D(6, (2, 3), groups=3, padding="same", activation="relu")))
    add("separable_dilated", several(image, l.SeparableConv2D(4, 2, dilation_rate=2)))
    add("pool_2d", several(image, l.MaxPooling2D((2, 3), strides=(1, 2)), l.MaxPooling2D(), l.AveragePooling2D(padding="same"), l.AveragePooling2D(3, strides=1), l.GlobalMaxPooling2D(), l.GlobalAveragePooling2D(), l.GlobalMaxPooling2D(keepdims=True)))
    first = {"data_format": "channels_first"}
    for name, spec in [("conv", l.Conv2D(4, (3, 2), **first)), ("same", l.Conv2D(3, 3, strides=2, padding="same", activation="relu", **first)), ("transpose", l.Conv2DTranspose(3, 3, strides=2, **first)), ("separable", l.SeparableConv2D(4, 2, **first)), ("depthwise", l.DepthwiseConv2D(2, **first)), ("max", l.MaxPooling2D(**first)), ("average", l.AveragePooling2D(padding="same", **first)), ("local", l.LocallyConnected2D(3, 2, **first)), ("conv_lstm", l.ConvLSTM2D(2, 2, **first))]:
        add("first_" + name, several((2, 3, 7, 8) if "lstm" in name else (3, 7, 8), spec))
    add("first_conv_3d", several((2, 5, 6, 4), l.Conv3D(3, 2, **first)))
    add("first_pool_3d", several((2, 5, 6, 4), l.MaxPooling3D(**first)))
    add("first_conv_1d", several((4, 9), l.Conv1D(3, 2, **first)))
    add("conv_3d", several(volume, l.Conv3D(3, (2, 3, 2)), l.Conv3D(2, 2, strides=(2, 1, 2), padding="same"), l.Conv3DTranspose(2, 2, strides=2), l.Conv3DTranspose(2, 3, padding="same", use_bias=False), l.MaxPooling3D(), l.AveragePooling3D((2, 2, 1), strides=(1, 1, 1)), l.GlobalMaxPooling3D(), l.GlobalAveragePooling3D()))
    add("local_1d", several((9, 4), l.LocallyConnected1D(3, 2), l.LocallyConnected1D(2, 3, strides=2, activation="relu"), l.LocallyConnected1D(2, 2, use_bias=False), l.LocallyConnected1D(3, 2, implementation=2), l.LocallyConnected1D(3, 2, implementation=3), l.LocallyConnected1D(3, 3, padding="same", implementation=2)))
    add("local_2d", several((5, 6, 2), l.LocallyConnected2D(3, (2, 3)), l.LocallyConnected2D(2, 2, strides=(2, 1), activation="tanh"), l.LocallyConnected2D(2, 2, use_bias=False), l.LocallyConnected2D(3, 2, implementation=2), l.LocallyConnected2D(3, 2, implementation=3), l.LocallyConnected2D(3, 3, padding="same", implementation=3)))
    add("norms", several((4, 3), l.BatchNormalization(), l.BatchNormalization(axis=1, epsilon=0.1), l.BatchNormalization(momentum=0.9, center=False), l.BatchNormalization(scale=False), l.BatchNormalization(renorm=True), l.LayerNormalization(), l.LayerNormalization(axis=[1, 2], epsilon=0.1), l.LayerNormalization(axis=1, center=False), l.UnitNormalization(), l.GroupNormalization(1), l.SyncBatchNormalization(), lambda x: find("v1.BatchNormalization")()(x)))
    add("norms_image", several((3, 4, 6), l.BatchNormalization(axis=-1), l.BatchNormalization(axis=1), l.BatchNormalization(fused=False), l.LayerNormalization(axis=[1, 2]), l.GroupNormalization(3), l.GroupNormalization(2, epsilon=0.1), l.SyncBatchNormalization()))
    # recurrent layers
    add("lstm", several((6, 3), l.LSTM(4), l.LSTM(3, return_sequences=True, go_backwards=True), l.LSTM(3, recurrent_activation="sigmoid", activation="softsign", dropout=0.2, recurrent_dropout=0.1), l.LSTM(2, unroll=True), l.LSTM(3, implementation=2), l.LSTM(3, implementation=1, return_state=True), l.LSTM(3, use_bias=False), l.LSTM(3, unit_forget_bias=False, recurrent_activation="hard_sigmoid"), l.LSTM(2, time_major=False)))
    add("gru", several((6, 3), l.GRU(4), l.GRU(3, return_sequences=True, go_backwards=True), l.GRU(3, reset_after=True), l.GRU(3, reset_after=False), l.GRU(3, reset_after=True, recurrent_activation="sigmoid", return_state=True), l.GRU(3, recurrent_activation="hard_sigmoid", activation="relu"), l.GRU(2, unroll=True), l.GRU(3, implementation=2, dropout=0.3), l.GRU(3, use_bias=False), l.GRU(3, use_bias=False, reset_after=True)))
    add("simple_rnn", several((6, 3), l.SimpleRNN(3), l.SimpleRNN(2, activation="relu", return_sequences=True), l.SimpleRNN(3, use_bias=False, go_backwards=True), l.SimpleRNN(3, return_state=True), l.SimpleRNN(3, unroll=True)))
    add("cells", several((6, 3), l.RNN(l.LSTMCell(3)), l.RNN(l.GRUCell(3), return_sequences=True), l.RNN(l.SimpleRNNCell(2)), l.RNN([l.LSTMCell(3), l.GRUCell(2)], return_sequences=True), l.RNN(l.StackedRNNCells([l.SimpleRNNCell(3), l.LSTMCell(2)])), l.RNN(l.LSTMCell(3, recurrent_activation="sigmoid"), return_state=True, go_backwards=True), l.RNN([l.LSTMCell(2), l.LSTMCell(3)], return_state=True), l.RNN(l.GRUCell(3, reset_after=True))))
    add("v1_rnn", several((6, 3), lambda x: find("v1.LSTM")(3)(x), lambda x: find("v1.GRU")(3)(x), lambda x: L.Bidirectional(find("v1.LSTM")(3))(x)))
    for mode in ("concat", "sum", "mul", "ave", None):
        add("bidirectional_" + str(mode).lower(), several((6, 3), l.Bidirectional(l.LSTM(2), merge_mode=mode), l.Bidirectional(l.GRU(2, return_sequences=True), merge_mode=mode), l.Bidirectional(l.SimpleRNN(2), merge_mode=mode)))
    add("bidirectional", several((6, 3), l.Bidirectional(l.LSTM(2, return_state=True)), l.Bidirectional(l.RNN(l.LSTMCell(2))), l.Bidirectional(l.LSTM(2), backward_layer=l.GRU(2, go_backwards=True)), l.Bidirectional(l.Bidirectional(l.LSTM(2, return_sequences=True))), l.Bidirectional(l.GRU(3, reset_after=True, return_sequences=True, return_state=True))))
    add("conv_lstm", several((3, 5, 6, 2), l.ConvLSTM2D(2, 2), l.ConvLSTM2D(2, 3, padding="same", return_sequences=True, recurrent_activation="sigmoid"), l.ConvLSTM2D(2, 2, strides=2, use_bias=False, go_backwards=True), l.ConvLSTM2D(2, 2, dilation_rate=2), l.ConvLSTM2D(2, 2, return_state=True), l.Bidirectional(l.ConvLSTM2D(2, 2))))
    add("conv_lstm_1d", several((3, 6, 2), l.ConvLSTM1D(2, 2), l.ConvLSTM1D(2, 3, padding="same", return_sequences=True)))
    add("cudnn_lstm", cudnn("CuDNNLSTM", "LSTM", recurrent_activation="sigmoid"))
    add("cudnn_gru", cudnn("CuDNNGRU", "GRU", recurrent_activation="sigmoid", reset_after=True))
    add("cudnn_bidirectional", cudnn_bidirectional)
    add("stateful", stateful, repeats=2)
    add("initial_states", initial_states)
    add("masked", masked, inputs=steps)
    add("masked_more", masked_more, inputs=steps)
    add("embedded", embedded, inputs=tokens)
    add("time_distributed", several((3, 6, 7, 2), l.TimeDistributed(l.Conv2D(3, 2)), l.TimeDistributed(l.Flatten()), l.TimeDistributed(l.BatchNormalization()), l.TimeDistributed(l.GlobalAveragePooling2D()), l.TimeDistributed(l.TimeDistributed(l.LSTM(2))), lambda x: L.TimeDistributed(small_model((6, 7, 2)))(x), lambda x: L.TimeDistributed(small_sequential((6, 7, 2)))(x)))
    # merging
    add("merge", pairs(sequence, sequence, l.Add(), l.Subtract(), l.Multiply(), l.Average(), l.Maximum(), l.Minimum(), l.Concatenate(), l.Concatenate(axis=1), l.Dot(2), l.Dot(1), l.Dot((1, 1), normalize=True), l.Dot(-1), *(lambda x, f=f: getattr(L, f)(x) for f in ("add", "multiply", "average", "maximum", "concatenate", "subtract", "minimum")), lambda x: L.dot(x, 2, normalize=True), lambda x: L.add(x + x)))
    add("merge_broadcast", pairs(sequence, (1, 4), l.Add(), l.Multiply(), l.Maximum(), l.Dot((2, 2)), l.Dot(2)))
    add("merge_ranks", pairs((4,), (3, 4), l.Add(), l.Multiply(), l.Dot((1, 2))))
    add("attention", pairs(sequence, sequence, l.Attention(), l.Attention(use_scale=True), l.Attention(causal=True), l.Attention(score_mode="concat"), l.AdditiveAttention(), l.AdditiveAttention(use_scale=False), l.Attention(dropout=0.2), lambda x: find("Attention")()(x, use_causal_mask=True)))
    add("attention_masked", attention_masked, inputs=tokens)
    add("multi_head", pairs(sequence, (5, 3), lambda x: find("MultiHeadAttention")(2, 3)(*x), lambda x: find("MultiHeadAttention")(2, 3, value_dim=2, output_shape=5, use_bias=False)(x[0], x[1]), lambda x: find("MultiHeadAttention")(1, 4)(x[0], x[0], return_attention_scores=True), lambda x: find("MultiHeadAttention")(2, 2)(query=x[0], value=x[1], key=x[1]), lambda x: find("EinsumDense")("abc,cd->abd", output_shape=(None, 5), bias_axes="d")(x[0])))
    # whole graphs
    add("sequential", stack(l.Conv2D(3, 3, input_shape=(6, 6, 2)), l.Activation("relu"), l.MaxPooling2D(), l.Flatten(), l.Dense(4), l.BatchNormalization(), l.Dropout(0.3), l.Activation("softmax")))
    add("sequential_input", stack(l.InputLayer((5,)), l.Dense(4, activation="relu"), l.Dense(2)))
    add("sequential_dim", stack(l.Dense(4, input_dim=5), l.LeakyReLU(), l.Dense(2)))
    add("sequential_built", sequential_built)
    add("sequential_nested", sequential_nested)
    add("sequential_of_model", lambda: K.models.Sequential([small_model((6, 7, 2)), L.Dense(3)]))
    add("text", stack(*([l.InputLayer((6,))] if MAJOR >= 3 else []), text_embedding, l.Dropout(0.2), l.Conv1D(5, 2), l.MaxPooling1D(2), l.LSTM(3), l.Dense(1, activation="sigmoid")), inputs=tokens)
    add("shared", shared)
    add("nested", nested)
    add("nested_again", nested_again)
    add("residual", residual)
    add("dict_inputs", dict_inputs)
    add("dict_outputs", dict_outputs)
    add("compiled", compiled)
    add("frozen", frozen)
    add("fixed_batch", fixed_batch)
    add("open_sizes", open_sizes)
    add("double", double)
    add("half", half)
    add("mixed", mixed)
    add("names", names)
    # preprocessing
    add("scaled", several((8, 9, 3), l.Rescaling(1 / 127.5, -1), l.Rescaling(2.0), l.Resizing(5, 6), l.Resizing(12, 10, interpolation="nearest"), l.Resizing(5, 12, "bicubic"), l.Resizing(4, 5, "area"), l.Resizing(4, 6, "lanczos3"), l.Resizing(4, 6, "mitchellcubic"), l.Resizing(4, 6, "gaussian"), l.Resizing(4, 9, crop_to_aspect_ratio=True), l.CenterCrop(5, 4), l.RandomFlip(), l.RandomRotation(0.2), l.RandomZoom(0.2), l.RandomTranslation(0.1, 0.1), l.RandomContrast(0.2), l.RandomHeight(0.2), l.RandomWidth(0.2), l.RandomCrop(5, 6), l.RandomBrightness(0.3)), inputs=images)
    add("normalized", normalized, weights=False)
    add("normalized_constant", several((3,), lambda x: find("Normalization")(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 2.0])(x), lambda x: find("Normalization")(axis=None, mean=1.0, variance=4.0)(x), lambda x: find("Normalization")(mean=2.0, variance=2.0, invert=True)(x)))
    add("discretized", several((3,), lambda x: find("Discretization")([-0.5, 0.0, 1.0])(x), lambda x: find("Discretization")(bins=[-0.5, 0.0, 1.0])(x), lambda x: find("Discretization")(bin_boundaries=[-0.5, 0.4])(x)))
    add("discretized_modes", several((3,), *(lambda x, m=m: find("Discretization")([-0.5, 0.0, 1.0], output_mode=m)(x) for m in ("one_hot", "multi_hot", "count"))))
    add("discretized_adapted", discretized, weights=False)
    for mode in ("binary", "count", "multi_hot", "one_hot"):
        add("encoded_" + mode, encoded(mode), inputs=lambda rng, shape: rng.randint(0, 5, size=shape))
    add("hashed", several((3,), lambda x: find("Hashing")(5)(x), lambda x: find("Hashing")(num_bins=7, salt=[3, 4])(x), lambda x: find("Hashing")(6, salt=12)(x), lambda x: find("Hashing")(6, mask_value="")(x), lambda x: find("Hashing")(5, output_mode="one_hot")(x[:, :1]), dtype="string"))
    add("hashed_int", several((3,), lambda x: find("Hashing")(5)(x), lambda x: find("Hashing")(6, salt=12)(x), dtype="int64"))
    words = ["earth", "a", "fire"]
    add("string_lookup", several((3,), lambda x: find("StringLookup")(vocabulary=words)(x), lambda x: find("StringLookup")(vocabulary=words, num_oov_indices=2)(x), lambda x: find("StringLookup")(vocabulary=words, mask_token=None)(x), lambda x: find("StringLookup")(vocabulary=words, mask_token=None, num_oov_indices=0)(x), dtype="string"), weights=False)
    add("string_lookup_known", several((3,), lambda x: find("StringLookup")(vocabulary=["a", "b", "earth", "Wind and", "fire", ""], num_oov_indices=0, mask_token=None)(x), lambda x: find("StringLookup")(vocabulary=["a", "b", "earth", "Wind and", "fire"], num_oov_indices=0)(x), dtype="string"), weights=False)
    for mode in ("binary", "count", "multi_hot", "one_hot", "tf_idf", "tf-idf"):
        add("string_lookup_" + mode.replace("-", "_") + ("_old" if "-" in mode else ""), string_lookup(words, mode), weights=False)
    add("string_inverse", several((3,), lambda x: find("StringLookup")(vocabulary=words, invert=True)(x), lambda x: find("StringLookup")(vocabulary=words, invert=True, mask_token=None)(x), dtype="int64"), weights=False)
    numbers = [12, 3, 1]
    add("integer_lookup", several((3,), lambda x: find("IntegerLookup")(vocabulary=numbers)(x), lambda x: find("IntegerLookup")(vocabulary=numbers, num_oov_indices=2)(x), lambda x: find("IntegerLookup")(vocabulary=numbers, mask_token=None)(x), lambda x: find("IntegerLookup")(vocabulary=numbers, mask_value=None)(x), lambda x: find("IntegerLookup")(vocabulary=numbers, mask_token=0)(x), lambda x: find("IntegerLookup")(vocabulary=numbers, mask_value=3)(x) , dtype="int64"), weights=False)
    add("integer_adapted", integer_adapted, weights=False)
    add("string_adapted", string_adapted, weights=False)
    for mode in ("int", "binary", "count", "multi_hot", "tf_idf", "tf-idf"):
        add("text_" + mode.replace("-", "_") + ("_old" if "-" in mode else ""), text_vectors(mode), mixes=mode == "int", weights=False)
    add("text_split", several((1,), lambda x: vectorized(x, standardize="lower_and_strip_punctuation", ngrams=2), lambda x: vectorized(x, standardize=None), lambda x: vectorized(x, output_sequence_length=4), lambda x: vectorized(x, split=None), lambda x: vectorized(x, split="character"), dtype="string"), mixes=True, weights=False)
    add("crossed", crossed)
    # functions of TensorFlow
    for name, family in TENSORFLOW.items():
        add("tf_" + name, graph_of(family))
    return out


def text_embedding():
    return L.Embedding(7, 4, input_length=6) if MAJOR < 3 else L.Embedding(7, 4)


def small_model(shape):
    x = input_of(shape)
    return model_of(x, L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(3, 2)(x))))


def small_sequential(shape):
    return K.models.Sequential([L.Conv2D(3, 2, input_shape=shape), L.BatchNormalization(), L.Flatten()])


def cudnn(cls, plain, **options):
    def build():
        def of(made):
            x = input_of((6, 3), name="x")
            return model_of(x, [made(4, name="a")(x), made(3, return_sequences=True, name="b")(x), *made(3, return_state=True, name="c")(x), L.Dense(2, name="d")(made(2, return_sequences=True, go_backwards=True, name="e")(x))])

        return of(v1_layer(cls)), of(lambda n, **o: v1_layer(plain)(n, **dict(o, **options)))

    return build


def v1_layer(cls):
    return getattr(L, cls, None) or getattr(tf.compat.v1.keras.layers, cls)


def cudnn_bidirectional():
    def of(lstm, gru):
        x = input_of((6, 3), name="x")
        h = L.Bidirectional(lstm(4, return_sequences=True), name="a")(x)
        h = L.Bidirectional(gru(3, return_sequences=True), name="b", merge_mode="sum")(h)
        y = input_of((6, 3), name="y")
        inner = model_of(y, L.Dense(2, name="d")(gru(2, name="c")(y)), name="inner")
        return model_of(x, inner(h))

    lstm, gru = v1_layer("LSTM"), v1_layer("GRU")
    return of(v1_layer("CuDNNLSTM"), v1_layer("CuDNNGRU")), of(lambda n, **o: lstm(n, recurrent_activation="sigmoid", **o), lambda n, **o: gru(n, recurrent_activation="sigmoid", reset_after=True, **o))


def stateful():
    model = K.models.Sequential()
    if MAJOR >= 3:
        model.add(K.Input(batch_shape=(ROWS, 5, 3)))
        model.add(L.LSTM(4, stateful=True, return_sequences=True))
    else:
        model.add(L.LSTM(4, stateful=True, return_sequences=True, batch_input_shape=(ROWS, 5, 3)))
    model.add(L.GRU(3, stateful=True, return_sequences=True))
    model.add(L.SimpleRNN(3, stateful=True))
    return model


def initial_states():
    x, h, c = input_of((6, 3), name="x"), input_of((4,), name="h"), input_of((4,), name="c")
    outputs = applied([x, h, c], [lambda v: L.LSTM(4, return_sequences=True)(v[0], initial_state=v[1:]), lambda v: L.GRU(4)(v[0], initial_state=v[1]), lambda v: L.SimpleRNN(4)(v[0], initial_state=[v[2]]), lambda v: L.Bidirectional(L.GRU(4))(v[0], initial_state=v[1:]), lambda v: L.LSTM(4)(v)])
    return model_of([x, h, c], outputs)


def masked():
    x = input_of((6, 3), name="x")
    h = L.Masking()(x)
    return model_of(x, applied(h, [l.LSTM(3), l.GRU(2, return_sequences=True), lambda h: L.SimpleRNN(2)(L.Dropout(0.3)(h)), l.Bidirectional(l.LSTM(2, return_sequences=True)), l.TimeDistributed(l.Dense(2)), lambda h: L.LSTM(2)(L.TimeDistributed(L.Dense(3))(h)), lambda h: L.LSTM(2)(L.Activation("tanh")(h)), lambda h: L.LSTM(2)(L.Dense(3)(h)), l.GlobalAveragePooling1D()]))


def masked_more():
    x = input_of((6, 3), name="x")
    h = L.Masking(0.0)(x)
    return model_of(x, applied(h, [lambda h: L.LSTM(2)(L.concatenate([h, h])), lambda h: L.LSTM(2)(L.add([h, h])), lambda h: L.LSTM(2)(L.BatchNormalization()(h)), lambda h: L.LSTM(2)(L.LeakyReLU()(h)), lambda h: L.LSTM(2)(find("LayerNormalization")()(h)), l.RNN(l.LSTMCell(2), return_sequences=True), l.LSTM(3, return_state=True), l.GRU(3, go_backwards=True, return_sequences=True), l.LSTM(2, unroll=True, return_sequences=True), l.LSTM(2, zero_output_for_mask=True, return_sequences=True), lambda h: L.LSTM(2)(L.GaussianNoise(0.1)(h)), lambda h: L.LSTM(2)(L.concatenate([h, L.LSTM(2, return_sequences=True)(h)])), l.Bidirectional(l.GRU(2, return_sequences=True), merge_mode="sum"), lambda h: L.Attention()([h, h]), lambda h: find("MultiHeadAttention")(2, 2)(h, h), lambda h: L.LSTM(2)(L.multiply([h, L.Dense(3)(h)])), lambda h: L.LSTM(2)(find("Softmax")()(h))]))


def embedded():
    x = input_of((6,), name="x")
    h = L.Embedding(7, 4, mask_zero=True)(x)
    q = L.Embedding(7, 4)(x)
    return model_of(x, applied([h, q], [lambda v: L.LSTM(3)(v[0]), lambda v: L.GRU(3)(L.SpatialDropout1D(0.2)(v[0])), lambda v: L.Conv1D(2, 3)(v[1]), lambda v: L.Bidirectional(L.LSTM(2))(v[0]), lambda v: L.Flatten()(v[1]), lambda v: L.GlobalAveragePooling1D()(v[1]), lambda v: find("GlobalAveragePooling1D")()(v[0]), lambda v: L.LSTM(3)(L.Concatenate()(v)), lambda v: L.LSTM(3)(L.Dense(3)(v[0]))]))


def attention_masked():
    a, b = input_of((6,), name="a"), input_of((6,), name="b")
    e = L.Embedding(7, 4, mask_zero=True)
    return model_of([a, b], applied([e(a), e(b)], [lambda v: L.Attention()(v), lambda v: L.AdditiveAttention()(v), lambda v: L.LSTM(2)(L.Attention()(v)), lambda v: L.MultiHeadAttention(2, 2)(*v), lambda v: L.GlobalAveragePooling1D()(L.Attention(use_scale=True)(v))]))


def sequential_built():
    """Built by its first call only: no layer tells the shape of the input."""
    model = K.models.Sequential([L.Dense(4, activation="relu"), L.Dense(2)])
    model.build((None, 5))
    assert model.inputs
    return model


def sequential_nested():
    inner = K.models.Sequential([L.Dense(4, input_shape=(5,), activation="relu"), L.BatchNormalization()])
    innermost = K.models.Sequential([L.Dense(3, input_shape=(4,))])
    inner.add(innermost)
    return K.models.Sequential([inner, L.Dense(2), L.Activation("sigmoid")])


def shared():
    a, b = input_of((5,), name="a"), input_of((5,), name="b")
    d = L.Dense(5, activation="relu")
    s = K.models.Sequential([L.Dense(4, input_dim=5), L.BatchNormalization(), L.Dropout(0.2)])
    inner_in = input_of((4,))
    inner = model_of(inner_in, [L.Dense(2)(inner_in), L.Dense(3)(inner_in)])
    p, q = inner(s(d(a)))
    return model_of([a, b], [p, q, s(b), L.add([d(d(b)), a])])


def nested():
    x, z = input_of((4,)), input_of((3,))
    inner = model_of([x, z], [L.concatenate([L.Dense(2)(x), z]), L.Dense(3)(z)])
    s = K.models.Sequential([L.Dense(4, input_shape=(3,))])
    a, b = input_of((4,), name="a"), input_of((3,), name="b")
    p, q = inner([a, b])
    r, t = inner([s(q), b])
    return model_of([a, b], [p, r, s(t)])


def nested_again():
    x = input_of((6, 6, 2))
    backbone = model_of(x, L.BatchNormalization()(L.Conv2D(3, 3, activation="relu")(x)), name="backbone")
    y = input_of((6, 6, 2))
    middle = model_of(y, L.GlobalAveragePooling2D()(backbone(y)), name="middle")
    z = input_of((6, 6, 2), name="z")
    return model_of(z, [L.Dense(2)(middle(z)), L.Flatten()(backbone.layers[1](z)), middle(z)])


def residual():
    x = input_of((8, 8, 3), name="x")
    h = L.Conv2D(4, 3, padding="same", kernel_initializer="he_normal")(x)
    for _ in range(2):
        y = L.Activation("relu")(L.BatchNormalization(axis=3)(h))
        y = L.Conv2D(4, 3, padding="same")(y)
        h = L.add([h, y])
    h = L.concatenate([h, L.PReLU()(h)], axis=-1)
    return model_of(x, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(h)))


def dict_inputs():
    inputs = {"b": input_of((3,), name="b"), "a": input_of((4,), name="a")}
    return model_of(inputs, L.Dense(2)(L.concatenate([inputs["b"], inputs["a"]])))


def dict_outputs():
    x = input_of((3,), name="x")
    return model_of(x, {"q": L.Dense(2, name="q")(x), "p": L.Dense(3, name="p")(x)})


def compiled():
    model = K.models.Sequential([L.Dense(4, input_dim=5, activation="relu"), L.Dense(2, activation="softmax")])
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    rng = random("compiled")
    model.fit(rng.normal(size=(8, 5)), np.eye(2)[rng.randint(0, 2, size=8)], verbose=0)
    return model


def frozen():
    model = K.models.Sequential([L.Dense(4, input_dim=5, trainable=False), L.BatchNormalization(), L.Dense(2)])
    model.layers[1].trainable = False
    return model


def fixed_batch():
    x = input_of(None, name="x", batch_shape=(ROWS, 5))
    return model_of(x, L.Dense(2)(x))


def open_sizes():
    x, s = input_of((None, None, 3), name="x"), input_of((None, 4), name="s")
    return model_of([x, s], [L.Conv2D(2, 3, padding="same")(x), L.GlobalMaxPooling2D()(x), L.LSTM(3)(s), L.Conv1D(2, 2)(s)])


def double():
    x = input_of((6, 3), dtype="float64", name="x")
    return model_of(x, applied(x, [l.Dense(2, dtype="float64"), l.LSTM(2, dtype="float64"), l.BatchNormalization(dtype="float64")]))


def half():
    x = input_of((6, 3), dtype="float16", name="x")
    return model_of(x, applied(x, [l.Activation("relu", dtype="float16"), l.Reshape((18,), dtype="float16")]))


def mixed():
    """Layers of a mixed policy; sums of few terms, so that rounding to half precision agrees."""
    policy = K.mixed_precision if hasattr(K, "mixed_precision") and hasattr(K.mixed_precision, "Policy") else K.mixed_precision.experimental
    made = policy.Policy("mixed_float16") if MAJOR < 3 else K.dtype_policies.DTypePolicy("mixed_float16")
    x = input_of((3,), name="x")
    h = L.Activation("relu", dtype=made)(x)
    return model_of(x, [L.Activation("linear", dtype="float32")(h), L.Dense(2, dtype="float32")(h)])


def names():
    x = input_of((5,), name="in_put")
    block = "block1." if MAJOR >= 3 else "block1/"
    h = L.Dense(3, name=block + "dense")(x)
    h = L.Dense(3, name=block + "dense_1")(h)
    return model_of(x, L.Dense(2, name="out.put-1")(h), name="a_model")


def normalized():
    x = input_of((3,), name="x")
    data = random("data").normal(size=(20, 3)) * 3 + 1
    outputs = []
    for options in ({}, {"axis": None}, {"axis": -1}):
        try:
            layer = find("Normalization")(**options)
            layer.adapt(data.astype("float32"))
            outputs.append(layer(x))
        except Exception as e:
            print("lacks Normalization({}): {}".format(options, said(e)), flush=True)
    assert outputs
    return model_of(x, outputs)


def discretized():
    x = input_of((3,), name="x")
    layer = find("Discretization")(num_bins=4)
    layer.adapt(random("data").normal(size=(50, 3)).astype("float32"))
    return model_of(x, layer(x))


def encoded(mode):
    def build():
        x, y = input_of((3,), name="x", dtype="int64"), input_of((1,), name="y", dtype="int64")
        one = lambda **o: find("CategoryEncoding")(output_mode=mode, **o)
        specs = [lambda v: one(num_tokens=5)(v[1]), lambda v: one(max_tokens=5)(v[1])]
        if mode != "one_hot":
            specs += [lambda v: one(num_tokens=5)(v[0]), lambda v: one(max_tokens=6)(v[0])]
        return model_of([x, y], applied([x, y], specs))

    return build


def string_lookup(words, mode):
    def build():
        x, y = input_of((3,), name="x", dtype="string"), input_of((1,), name="y", dtype="string")
        more = {"idf_weights": [0.5, 1.0, 2.0]} if mode.startswith("tf") else {}
        one = lambda **o: find("StringLookup")(vocabulary=words, output_mode=mode, **dict(o, **more))
        specs = [lambda v: one()(v[1]), lambda v: one(num_oov_indices=2)(v[1])]
        if mode != "one_hot":
            specs += [lambda v: one()(v[0]), lambda v: one(mask_token="")(v[0])]
        return model_of([x, y], applied([x, y], specs))

    return build


def integer_adapted():
    x = input_of((3,), name="x", dtype="int64")
    layer = find("IntegerLookup")(max_values=3) if VERSION < "2.4" else find("IntegerLookup")()
    layer.adapt(np.array([[1], [5], [5], [3]]))
    return model_of(x, layer(x))


def string_adapted():
    x = input_of((3,), name="x", dtype="string")
    layer = find("StringLookup")()
    layer.adapt(np.array([["a"], ["fire"], ["fire"], ["b"]]))
    return model_of(x, layer(x))


def vectorized(x, **options):
    layer = find("TextVectorization")(**options)
    layer.adapt(np.array([["earth wind and fire"], ["earth and a b"], ["b"]]))
    return layer(x)


def text_vectors(mode):
    more = {} if mode == "int" else {"max_tokens": 6}
    return several((1,), lambda x: vectorized(x, output_mode=mode, **more), lambda x: vectorized(x, output_mode=mode, pad_to_max_tokens=True, **more), dtype="string")


def crossed():
    a, b = input_of((1,), name="a", dtype="string"), input_of((1,), name="b", dtype="string")
    return model_of([a, b], applied([a, b], [lambda v: find("CategoryCrossing")()(v), lambda v: find("HashedCrossing")(5)(tuple(v)), lambda v: find("HashedCrossing")(6, output_mode="one_hot")(tuple(v))]))


# Functions of TensorFlow on (4, 6) tensors x and z, and images u.
TENSORFLOW = {
    "arithmetic": """
        x * 2 + z
        1.0 - x
        x / 3.0
        2.0 / (tf.abs(x) + 1)
        -x
        x ** 2
        tf.abs(x) ** 0.5
        x % 2.0
        x // 0.7
    """,
    "compared": """
        tf.cast(x > z, "float32")
        tf.cast(x >= 0.1, tf.float32)
        tf.where(x > 0.1, x, z)
        tf.cast(tf.logical_and(x > 0, z > 0), "float32")
        tf.maximum(x, 0.5)
        tf.minimum(x, z)
        tf.clip_by_value(x, 0.0, 1.0)
    """,
    "sliced": """
        x[:, 1:3]
        x[..., None]
        x[:, 0]
        x[:, ::2, 1:]
        x[:, -1]
        x[:, :, 2:5]
        u[:, 1:3, ..., 0]
        x[:, tf.newaxis]
    """,
    "reduced": """
        tf.reduce_mean(x, -1, keepdims=True)
        tf.reduce_sum(x, [1, 2])
        tf.reduce_max(x, 1)
        tf.reduce_min(x, axis=-1)
        tf.reduce_prod(x, 1)
        tf.math.reduce_std(x, 1)
        tf.reduce_logsumexp(x, -1)
        tf.argmax(x, -1)
        tf.norm(x, axis=-1)
        tf.math.l2_normalize(x, -1)
    """,
    "shaped": """
        tf.reshape(x, (-1, 24))
        tf.squeeze(x[:, 0:1], 1)
        tf.transpose(x, [0, 2, 1])
        tf.expand_dims(x, 1)
        tf.stack([x, z], 1)
        tf.concat([x, z], -1)
        tf.tile(x, [1, 2, 1])
        tf.split(x, 2, axis=-1)[1]
        tf.unstack(x, axis=1)[2]
        tf.pad(x, [[0, 0], [1, 2], [0, 0]])
        tf.reverse(x, [1])
        tf.repeat(x, 2, axis=1)
    """,
    "dynamic": """
        tf.reshape(x, [tf.shape(x)[0], 24])
        tf.reshape(x, [-1, tf.shape(x)[1] * tf.shape(x)[2]])
        tf.ones_like(x)
        tf.zeros_like(x) + z
        tf.image.resize(u, tf.shape(u)[1:3] * 2)
    """,
    "products": """
        tf.matmul(x, z, transpose_b=True)
        x @ tf.constant(np.arange(36).reshape(6, 6) / 10, tf.float32)
        tf.linalg.matmul(x, z, transpose_a=True)
        tf.tensordot(x, tf.ones((6, 2)), 1)
    """,
    "functions": """
        tf.exp(x)
        tf.math.log(tf.abs(x) + 1)
        tf.sqrt(tf.abs(x))
        tf.square(x)
        tf.sin(x)
        tf.cos(x)
        tf.tanh(x)
        tf.sigmoid(x)
        tf.round(x)
        tf.floor(x)
        tf.sign(x)
        tf.abs(x)
        tf.math.rsqrt(tf.abs(x) + 1)
        tf.math.squared_difference(x, z)
        tf.math.softplus(x)
        tf.math.erf(x)
        tf.cumsum(x, 1)
        tf.math.atan2(x, z)
        tf.pow(tf.abs(x), 1.5)
    """,
    "nn": """
        tf.nn.relu(x)
        tf.nn.relu6(x * 4)
        tf.nn.leaky_relu(x, 0.1)
        tf.nn.elu(x)
        tf.nn.selu(x)
        tf.nn.softmax(x)
        tf.nn.softmax(x, axis=1)
        tf.nn.log_softmax(x)
        tf.nn.softplus(x)
        tf.nn.l2_normalize(x, 1)
        tf.nn.swish(x)
        tf.nn.sigmoid(x)
        tf.nn.bias_add(x, tf.constant([1.0, 2, 3, 4, 5, 6]))
        tf.nn.top_k(x, 2)[0]
    """,
    "nn_image": """
        tf.nn.depth_to_space(tf.concat([u, u[..., :1]], -1), 2)
        tf.nn.space_to_depth(u, 2)
        tf.image.resize(u, (3, 5))
        tf.image.resize(u, (12, 16), method="nearest")
        tf.nn.max_pool2d(u, 2, 2, "SAME")
        tf.nn.avg_pool2d(u, 2, 1, "VALID")
        tf.nn.local_response_normalization(u)
        tf.pad(u, [[0, 0], [1, 1], [2, 2], [0, 0]], "REFLECT")
        tf.image.flip_left_right(u)
        tf.nn.conv2d(u, tf.ones((2, 2, 3, 2)), 1, "SAME")
    """,
    "gathered": """
        tf.gather(x, [2, 0], axis=1)
        tf.one_hot(tf.argmax(x, -1), 6)
        tf.cast(x * 3, "int32")
        tf.cast(tf.cast(x * 3, tf.int32), tf.float32)
        tf.gather(x, [1, 3], axis=-1)
        tf.sort(x, -1)
        tf.argsort(x, -1)
        tf.boolean_mask(x, [True, False, True, True], axis=1)
    """,
    "constants": """
        x + tf.constant([1.0, 2, 3, 4, 5, 6])
        tf.constant(2.0) * x
        x * np.arange(6).astype("float32")
        x + np.float32(0.5)
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] - x
        x + tf.ones((4, 6))
    """,
    "backend": """
        B.sum(x, axis=1)
        B.mean(x, axis=-1, keepdims=True)
        B.max(x, 1)
        B.concatenate([x, z])
        B.expand_dims(x, 1)
        B.l2_normalize(x, -1)
        B.square(x)
        B.sqrt(B.abs(x))
        B.batch_dot(x, z, axes=2)
        B.permute_dimensions(x, (0, 2, 1))
        B.relu(x, alpha=0.1, max_value=2.0)
        B.softmax(x)
        B.sigmoid(x)
        B.hard_sigmoid(x)
        B.dot(x, B.constant(np.ones((6, 2))))
        B.clip(x, -0.5, 0.5)
        B.stack([x, z], 1)
        B.reverse(x, 1)
        B.repeat_elements(x, 2, 1)
        B.squeeze(x[:, :1], 1)
        B.var(x, 1)
        B.std(x, -1)
        B.argmax(x)
        B.cast(x, "int32")
        B.resize_images(u, 2, 2, "channels_last")
        B.spatial_2d_padding(u)
        B.pool2d(u, (2, 2))
        B.conv2d(u, B.constant(np.ones((2, 2, 3, 2))))
        B.exp(x)
        B.log(B.abs(x) + 1)
        B.pow(x, 2)
        B.sign(x)
        B.round(x)
        B.logsumexp(x, 1)
        B.batch_flatten(x)
        B.tile(x, [1, 2, 1])
        B.elu(x)
        B.switch(x > 0, x, z)
        B.one_hot(B.argmax(x), 6)
    """,
}


def graph_of(family):
    def build():
        x, z, u = input_of((4, 6), name="x"), input_of((4, 6), name="z"), input_of((6, 8, 3), name="u")
        given = {"x": x, "z": z, "u": u}
        lines = [line.strip() for line in family.strip().splitlines()]
        outputs = applied(given, [Source(line) for line in lines])
        return model_of([x, z, u], outputs)

    return build


class Source:
    """An expression of tensors x, z and u."""

    def __init__(self, text):
        self.text = text

    def __call__(self, given):
        assert MAJOR < 3 and int(tf.__version__.split(".")[0]) >= 2
        return eval(self.text, globals(), given)

    def __repr__(self):
        return self.text


if __name__ == "__main__":
    main()
