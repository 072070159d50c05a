"""Writes the pack of models that older Keras versions saved: legacy.zip.

    python legacy.py --out packs

It needs `tf_keras` (Keras 2) beside what generate.py needs. Files of Keras 2.0 and Keras 1 are made from those that tf_keras
writes, by undoing what later versions changed: the layout of weights, the names of keys, the form of the config.
"""

import argparse
import json
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import h5py
import numpy as np
import tensorflow as tf
import tf_keras as K

from common import Pack, npy, reproducible, rng_of

L = K.layers
ROWS = 4


# ---- writing ---------------------------------------------------------------------------------


def randomise(model, rng):
    for w in model.weights:
        shape = tuple(w.shape)
        value = rng.normal(size=shape) * 0.5
        if "variance" in w.name:
            value = rng.uniform(0.3, 2.0, size=shape)
        w.assign(value.astype(w.dtype.as_numpy_dtype))


def plain_nest(structure):
    count = iter(range(1000))
    numbered = tf.nest.map_structure(lambda _: next(count), structure)
    listed = lambda n: {k: listed(v) for k, v in n.items()} if isinstance(n, dict) else [listed(v) for v in n] if isinstance(n, (list, tuple)) else n
    return listed(numbered)


def input_paths(model):
    if isinstance(model.input, dict):
        return [[name] for name in sorted(model.input)]
    return [[i] if len(model.inputs) > 1 else [] for i in range(len(model.inputs))]


def arguments(doc, nodes=False):
    """What a script is called with; `--nodes` turns eager execution off."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    if nodes:
        parser.add_argument("--nodes", action="store_true")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    if nodes and args.nodes:
        # Without eager execution tf_keras makes layers of the nodes of TensorFlow's graph, as it did before TF 2.4.
        tf.compat.v1.disable_eager_execution()
    return args


class Writer:
    def __init__(self, folder, group, seed):
        self.path = os.path.join(folder, f"{group}.zip")
        self.pack, self.group, self.seed, self.names = Pack(self.path), group, seed, []

    def close(self):
        self.pack.close()
        print(f"{self.group}: {len(self.names)} cases, {os.path.getsize(self.path) / 1e6:.2f} MB")

    def add(self, name, build, inputs=None, rewrite=None, suffixes=("h5",), weights=None, mixes=False):
        """`rewrite(config, weights)` makes a file of an older version: (version, backend, config, weights); `mixes` says that rows are mixed."""
        K.backend.clear_session()
        rng = rng_of(self.seed, self.group, name)
        model = build()
        randomise(model, rng)
        maker = inputs or (lambda rng, shape: rng.normal(size=shape))
        arrays = [maker(rng, (ROWS, *(5 if d is None else d for d in t.shape[1:]))).astype(t.dtype.as_numpy_dtype) for t in model.inputs]
        if weights:
            weights(model, rng)
        structure = model.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0)
        outputs = [np.asarray(o) for o in tf.nest.flatten(structure)]
        for suffix in suffixes:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, f"model.{suffix}")
                model.save(path, **({"include_optimizer": False} if suffix == "h5" else {}))
                if rewrite:
                    rewritten(path, rewrite)
                with open(path, "rb") as f:
                    data = f.read()
            if suffix == "keras":
                data = reproducible(data)
            full = f"{name}_{suffix}" if len(suffixes) > 1 else name
            meta = {
                "name": full,
                "group": self.group,
                "keras_version": K.__version__,
                "inputs": [{"name": t.name.split(":")[0], "path": p} for t, p in zip(model.inputs, input_paths(model))],
                "rows": ROWS,
                "batch_size": 32,
                "nest": plain_nest(structure),
                "exact": all(o.dtype.kind not in "f" for o in outputs),
                "row_independent": not mixes,
                "keras_reloads": False,
                "call": "predict",
            }
            self.pack.write(f"{full}/meta.json", json.dumps(meta, indent=1))
            self.pack.write(f"{full}/model.{suffix}", data)
            for kind, values in (("in", arrays), ("out", outputs)):
                for i, a in enumerate(values):
                    self.pack.write(f"{full}/{kind}.{i}.npy", npy(np.ascontiguousarray(a) if a.ndim else a))
            self.names.append(full)


def rewritten(path, rewrite):
    """Replaces a file by one as h5py wrote it years ago: fixed-length strings, chunks of names, foreign groups."""
    with h5py.File(path) as f:
        config = json.loads(f.attrs["model_config"])
        group = f["model_weights"]
        weights = {n: [(w, group[n][w][()]) for w in group[n].attrs["weight_names"]] for n in group.attrs["layer_names"]}
    version, backend, config, weights = rewrite(config, weights)
    with h5py.File(path, "w") as f:
        f.attrs["model_config"] = np.bytes_(json.dumps(config))
        if version:
            f.attrs["keras_version"] = np.bytes_(version)
        if backend:
            f.attrs["backend"] = np.bytes_(backend)
        f.create_dataset("notes/of/the/owner", data=np.arange(3))
        group = f.create_group("model_weights")
        group.attrs["layer_names"] = np.array([n.encode() for n in weights])
        for name, values in weights.items():
            at = group.create_group(name)
            names = [n.encode() for n, _ in values]
            half = len(names) // 2
            if half > 2:
                at.attrs["weight_names0"], at.attrs["weight_names1"] = np.array(names[:half]), np.array(names[half:])
            else:
                at.attrs["weight_names"] = np.array(names) if names else np.array([])
            for n, v in values:
                at.create_dataset(n, data=v)


# ---- undoing ---------------------------------------------------------------------------------


def each_layer(config, change):
    """Calls change(entry) on every layer of a model's config, the innermost first."""
    inner = config["config"]
    for key in ("layer", "backward_layer", "cell"):
        if isinstance(inner, dict) and isinstance(inner.get(key), dict):
            each_layer(inner[key], change)
    for entry in inner.get("layers", []) if isinstance(inner, dict) else inner:
        each_layer(entry, change)
    change(config)


DROPPED = ["dtype", "registered_name", "build_config", "module", "shared_object_id", "time_major"]


def keras_2_0(config, weights):
    """A list for Sequential, Model for Functional, no InputLayer in front, no reset_after, no dtypes."""

    def change(entry):
        inner = entry["config"]
        for key in DROPPED:
            entry.pop(key, None)
            if entry["class_name"] != "InputLayer" and isinstance(inner, dict):
                inner.pop(key, None)
        if entry["class_name"] == "Functional":
            entry["class_name"] = "Model"
        if entry["class_name"] == "Sequential":
            layers = inner["layers"]
            if layers[0]["class_name"] == "InputLayer":
                shape = layers.pop(0)["config"]["batch_input_shape"]
                layers[0]["config"]["batch_input_shape"] = shape
                layers[0]["config"]["dtype"] = "float32"
            for stray in layers[1:]:
                if isinstance(stray["config"], dict):
                    stray["config"].setdefault("batch_input_shape", [None, 99])
            entry["config"] = layers
        elif entry["class_name"].endswith("GRU") and inner.get("reset_after") is False:
            del inner["reset_after"]

    each_layer(config, change)
    return "2.0.8", "tensorflow", config, weights


CUDNN_GONE = ["activation", "recurrent_activation", "use_bias", "implementation", "dropout", "recurrent_dropout", "reset_after", "unroll"]


def to_cudnn(group, gates):
    """The inverse of what Keras does when it reads the weights of a cuDNN layer."""
    (k, kernel), (r, recurrent), (b, bias) = group
    split = lambda m: np.split(m, gates, axis=1)
    kernel = np.concatenate([np.reshape(m.T, m.shape) for m in split(kernel)], axis=1)
    recurrent = np.concatenate([m.T for m in split(recurrent)], axis=1)
    if gates == 4:
        bias = np.concatenate([bias * 0.25, bias * 0.75]).astype("float32")
    return [(k, kernel), (r, recurrent), (b, bias.reshape(-1))]


def cudnn(config, weights):
    gates = {}

    def change(entry):
        if entry["class_name"] in ("LSTM", "GRU"):
            gates[entry["config"]["name"]] = 4 if entry["class_name"] == "LSTM" else 3
            entry["class_name"] = "CuDNN" + entry["class_name"]
            for key in CUDNN_GONE:
                entry["config"].pop(key, None)

    each_layer(config, change)
    turned = {}
    for layer, values in weights.items():
        out, i = [], 0
        while i < len(values):
            owner = [n for n in gates if values[i][0].endswith("kernel:0") and n in values[i][0].replace("forward_", "").replace("backward_", "").split("/")]
            if owner:
                out += to_cudnn(values[i : i + 3], gates[owner[0]])
                i += 3
            else:
                out.append(values[i])
                i += 1
        turned[layer] = out
    version, backend, config, turned = keras_2_0(config, turned)
    return "2.2.4", backend, config, turned


def theano(config, weights):
    flip = lambda v: v[tuple([slice(None, None, -1)] * (v.ndim - 2))]
    turned = {n: [(w, flip(v) if v.ndim > 2 else v) for w, v in values] for n, values in weights.items()}
    _, _, config, turned = keras_2_0(config, turned)
    return "2.1.2", "theano", config, turned


KERAS_1_KEYS = {
    "Dense": {"units": "output_dim", "use_bias": "bias"},
    "Conv1D": {"filters": "nb_filter", "padding": "border_mode", "use_bias": "bias"},
    "Conv2D": {"filters": "nb_filter", "padding": "border_mode", "strides": "subsample", "use_bias": "bias", "data_format": "dim_ordering"},
    "MaxPooling2D": {"padding": "border_mode", "data_format": "dim_ordering"},
    "MaxPooling1D": {"padding": "border_mode"},
    "LSTM": {"units": "output_dim", "recurrent_activation": "inner_activation", "dropout": "dropout_W", "recurrent_dropout": "dropout_U"},
    "GRU": {"units": "output_dim", "recurrent_activation": "inner_activation", "dropout": "dropout_W", "recurrent_dropout": "dropout_U"},
    "Dropout": {"rate": "p"},
}
KERAS_1_GONE = ["data_format", "dilation_rate", "groups", "implementation", "unit_forget_bias", "use_bias", "noise_shape", "seed", "return_state"]


def keras_1(config, weights):
    _, _, config, weights = keras_2_0(config, weights)
    kinds = {}

    def change(entry):
        inner, kind = entry["config"], entry["class_name"]
        if not isinstance(inner, dict):
            return
        kinds[inner.get("name")] = kind
        for key in list(inner):
            if "initializer" in key or "regularizer" in key or "constraint" in key:
                del inner[key]
        for new, old in KERAS_1_KEYS.get(kind, {}).items():
            inner[old] = inner.pop(new)
        if "dim_ordering" in inner:
            inner["dim_ordering"] = {"channels_last": "tf", "channels_first": "th"}[inner["dim_ordering"]]
        for key in KERAS_1_GONE:
            inner.pop(key, None)
        if kind == "Conv1D":
            inner["filter_length"], inner["subsample_length"] = inner.pop("kernel_size")[0], inner.pop("strides")[0]
            inner["input_dim"], inner["input_length"] = None, None
        if kind == "Conv2D":
            inner["nb_row"], inner["nb_col"] = inner.pop("kernel_size")
        if kind == "MaxPooling1D":
            inner["pool_length"], inner["stride"] = inner.pop("pool_size")[0], inner.pop("strides")[0]
        if kind in ("LSTM", "GRU"):
            inner.update(init="glorot_uniform", inner_init="orthogonal", consume_less="cpu", W_regularizer=None, input_dim=3)
        inner["W_regularizer" if kind == "Dense" else "trainable"] = None if kind == "Dense" else True
        entry["class_name"] = {"Conv1D": "Convolution1D", "Conv2D": "Convolution2D"}.get(kind, kind)

    each_layer(config, change)
    turned = {}
    for layer, values in weights.items():
        kind = kinds.get(layer)
        arrays = [v for _, v in values]
        if kind == "Conv1D":
            arrays[0] = arrays[0][:, None]
        elif kind in ("LSTM", "GRU"):
            # a kernel, a recurrent kernel and a bias for each gate; i, c, f, o for LSTM
            gates = 4 if kind == "LSTM" else 3
            parts = [np.split(a, gates, axis=-1) for a in arrays]
            order = [0, 2, 1, 3] if kind == "LSTM" else [0, 1, 2]
            arrays = [p[g] for g in order for p in parts]
        turned[layer] = [(f"{layer}_W_{i}", a) for i, a in enumerate(arrays)]
    return "1.2.2", None, config, turned


# ---- models ----------------------------------------------------------------------------------


def encoder_decoder():
    x = L.Input((5, 4), name="x")
    h = L.Bidirectional(L.LSTM(3, return_sequences=True, recurrent_activation="hard_sigmoid"), name="bi")(x)
    h = L.MultiHeadAttention(2, 2, name="mha")(h, h)
    h = L.TimeDistributed(L.Dense(3, activation="relu"), name="td")(h)
    last, a, b = L.LSTM(3, return_state=True, name="enc")(h)
    h = L.LSTM(3, return_sequences=True, name="dec")(h, initial_state=[a, b])
    h = L.BatchNormalization()(h)
    h = K.Sequential([L.Input((5, 3)), L.Conv1D(2, 2), L.LeakyReLU(0.1)], name="inner")(h)
    h = K.Sequential([L.Conv1D(2, 2), L.ReLU()], name="without_input")(h)
    y = L.Input((3, 2))
    h = K.Model(y, L.Dense(2)(y), name="functional")(h)
    h = L.LayerNormalization()(h)
    return K.Model(x, [L.GRU(2)(h), last])


def nested_twice():
    x = L.Input((4,), name="x")
    y = L.Input((4,))
    pair = K.Model(y, [L.Dense(2)(y), L.Dense(3)(y)], name="pair")
    chain = K.Sequential([L.Dense(4, input_shape=(4,)), L.Dense(4, activation="tanh")], name="chain")
    a, _ = pair(chain(chain(x)))
    _, d = pair(x)
    return K.Model(x, {"b": a, "a": chain(x), "c": d})


def images():
    return K.Sequential(
        [
            L.Conv2D(3, 3, input_shape=(8, 8, 2), activation="swish"),
            L.BatchNormalization(),
            L.DepthwiseConv2D(2),
            L.SeparableConv2D(4, 2),
            L.Conv2DTranspose(2, 2),
            L.ThresholdedReLU(0.3),
            L.PReLU(),
            L.ELU(),
            L.MaxPooling2D(),
            L.GlobalAveragePooling2D(),
            L.Dropout(0.2),
            L.Dense(3, "softmax"),
        ]
    )


def text():
    return K.Sequential(
        [
            L.Embedding(6, 4, mask_zero=True, input_length=7),
            L.GRU(3, return_sequences=True, reset_after=False, recurrent_activation="hard_sigmoid"),
            L.Bidirectional(L.GRU(2, reset_after=False, recurrent_activation="hard_sigmoid")),
            L.Dense(1),
        ]
    )


def operations():
    x, z = L.Input((4, 6), name="x"), L.Input((4, 6), name="z")
    m = tf.constant(np.arange(36).reshape(6, 6) / 10, tf.float32)
    outputs = [
        x * 2 + z,
        1.0 - x,
        tf.nn.relu(x),
        tf.concat([x, z], -1),
        x[:, 1:3],
        x[..., None],
        x[:, 0],
        tf.reduce_mean(x, -1, keepdims=True),
        tf.reduce_sum(x, [1, 2]),
        tf.reduce_max(x, 1),
        tf.reshape(x, (-1, 24)),
        tf.maximum(x, 0.5),
        tf.where(x > 0.1, x, z),
        tf.squeeze(x[:, 0:1], 1),
        tf.transpose(x, [0, 2, 1]),
        tf.matmul(x, z, transpose_b=True),
        tf.matmul(x, m),
        tf.abs(x) ** 2,
        -x / 3.0,
        2.0 / (tf.abs(x) + 1),
        tf.split(x, 2, axis=-1)[1],
        tf.stack([x, z], 1),
        tf.expand_dims(x, 1),
        tf.clip_by_value(x, 0.0, 1.0),
        tf.nn.softmax(x),
        tf.math.squared_difference(x, z),
        x + tf.constant([1.0, 2, 3, 4, 5, 6]),
    ]
    return K.Model([x, z], outputs)


def attention():
    q, v = L.Input((5, 4), name="q"), L.Input((5, 4), name="v")
    outputs = [
        L.Attention(use_scale=True)([q, v]),
        L.AdditiveAttention()([q, v], use_causal_mask=True),
        L.Dot(axes=(2, 2), normalize=True)([q, v]),
        L.Add()([q, v]),
        L.Concatenate(axis=1)([q, v]),
    ]
    return K.Model([q, v], outputs)


def recurrent():
    x = L.Input((5, 3), name="x")
    h = L.Bidirectional(L.LSTM(4, return_sequences=True), name="bi")(x)
    h = L.Bidirectional(L.GRU(3, return_sequences=True), name="big")(h)
    y = L.Input((5, 6))
    inner = K.Model(y, L.Dense(2, name="head")(L.LSTM(3, name="core")(L.GRU(5, return_sequences=True, name="low")(y))), name="inner")
    return K.Model(x, inner(h))


def convolutions():
    x = L.Input((6, 7, 2), name="x")
    y = L.Input((4, 6, 3))
    inner = K.Model(y, L.Conv2D(2, (2, 3), name="deep")(L.BatchNormalization(name="norm")(y)), name="inner")
    h = inner(L.Conv2D(3, (3, 2), name="first")(x))
    h = L.Conv2DTranspose(2, (2, 3), name="up")(h)
    h = L.Reshape((-1, 4))(h)
    return K.Model(x, L.Conv1D(2, 3, name="line")(h))


def first_steps():
    x = L.Input((6, 6, 2), name="x")
    h = L.Conv2D(3, (2, 3), padding="same", activation="relu", name="c2")(x)
    h = L.MaxPooling2D(name="p2")(h)
    h = L.Reshape((9, 3), name="r")(h)
    h = L.Conv1D(4, 3, name="c1")(h)
    h = L.MaxPooling1D(name="p1")(h)
    h = L.LSTM(3, return_sequences=True, recurrent_activation="hard_sigmoid", name="l")(h)
    h = L.GRU(2, reset_after=False, recurrent_activation="hard_sigmoid", name="g")(h)
    return K.Model(x, L.Dense(2, activation="softmax", name="d")(L.Dropout(0.5, name="dr")(h)))


def first_sequence():
    return K.Sequential(
        [
            L.LSTM(3, input_shape=(5, 2), recurrent_activation="hard_sigmoid", name="l"),
            L.Dropout(0.3, name="dr"),
            L.Dense(2, activation="sigmoid", name="d"),
        ]
    )


def tokens(rng, shape):
    x = rng.integers(1, 6, size=shape)
    x[1:, 4:] = 0
    return x


def main():
    args = arguments(__doc__)
    w = Writer(args.out, "legacy", args.seed)
    both = ("h5", "keras")
    w.add("tf_encoder_decoder", encoder_decoder, suffixes=both)
    w.add("tf_nested_twice", nested_twice, suffixes=both)
    w.add("tf_images", images, suffixes=both)
    w.add("tf_text", text, tokens, suffixes=both)
    w.add("tf_attention", attention, suffixes=both)
    w.add("tf_operations", operations)
    w.add("keras_2_0_images", images, rewrite=keras_2_0)
    w.add("keras_2_0_text", text, tokens, rewrite=keras_2_0)
    w.add("keras_2_0_nested", nested_twice, rewrite=keras_2_0)
    w.add("cudnn", recurrent, rewrite=cudnn)
    w.add("theano", convolutions, rewrite=theano)
    w.add("keras_1_functional", first_steps, rewrite=keras_1)
    w.add("keras_1_sequential", first_sequence, rewrite=keras_1)
    w.close()


if __name__ == "__main__":
    main()
