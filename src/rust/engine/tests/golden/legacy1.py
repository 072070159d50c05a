"""Writes legacy1.zip: layers of Keras 1 with their options, made, saved and run by Keras 1.2.2 itself.

    python legacy1.py --keras DIR --out packs        DIR is the unpacked source of `Keras==1.2.2` (PyPI)

It needs `tensorflow` (its version 1 interface) and `h5py`. Cases that Keras 1 can't make are dropped, and said so.
"""

import argparse
import collections
import collections.abc
import inspect
import json
import os
import sys
import tempfile
import types

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy as np
import tensorflow
import tensorflow.compat.v1 as tf
from tensorflow.python.ops import control_flow_ops

from common import Pack, npy, rng_of

ROWS = 4


def old_world(folder):
    """Python and TensorFlow as they were."""
    tf.disable_v2_behavior()
    control_flow_ops.while_loop = tf.while_loop
    for name in ("Iterable", "Mapping", "Sequence", "Callable"):
        setattr(collections, name, getattr(collections.abc, name))
    spec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")
    inspect.getargspec = lambda f: spec(*inspect.getfullargspec(f)[:4])

    class Old(types.ModuleType):
        def __getattr__(self, name):
            return getattr(tf, name)

    old = Old("tensorflow")
    old.__path__, old.__version__ = list(tensorflow.__path__), "1.15.0"
    for name in [m for m in sys.modules if m == "keras" or m.startswith("keras.")]:
        del sys.modules[name]
    sys.modules["tensorflow"] = old
    sys.path.insert(0, folder)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--keras", required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--only", default="")
args = parser.parse_args()
old_world(args.keras)

import keras
from keras import backend as B
from keras.layers import *
from keras.layers import merge
from keras.models import Model, Sequential

assert keras.__version__ == "1.2.2"


def randomise(model, rng):
    values = []
    for w in model.weights:
        shape = B.get_value(w).shape
        positive = "running_std" in w.name
        values.append(rng.uniform(0.3, 2.0, size=shape) if positive else rng.normal(size=shape) * 0.5)
    # A layer that is shared has its weights in the list once for each place.
    for w, v in zip(model.weights, values):
        B.set_value(w, v.astype("float32"))


def predicted(model, arrays):
    outs = model.predict(arrays if len(arrays) > 1 else arrays[0])
    return outs if isinstance(outs, list) else [outs]


def input_name(tensor):
    """Its name as later versions give it: after the layer, not the class, of a Sequential."""
    layer = tensor._keras_history[0]
    if "_input_" in layer.name:
        return layer.outbound_nodes[0].outbound_layer.name + "_input"
    return layer.name


class Writer:
    def __init__(self):
        self.path = os.path.join(args.out, "legacy1.zip")
        self.pack, self.count = Pack(self.path), 0

    def add(self, name, build, inputs=None, reload=True, mixes_rows=False):
        if args.only not in name:
            return
        B.clear_session()
        rng = rng_of(args.seed, "legacy1", name)
        try:
            model = build()
            randomise(model, rng)
            tensors = model.inputs
            shapes = [tuple(5 if d is None else d for d in B.int_shape(t)[1:]) for t in tensors]
            arrays = [(inputs or numbers)(rng, (ROWS, *s)).astype("float32") for s in shapes]
            outs = predicted(model, arrays)
            if reload:
                again = model.__class__.from_config(model.get_config())
                again.set_weights(model.get_weights())
                for a, b in zip(outs, predicted(again, arrays)):
                    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "model.h5")
                model.save(path)
                with open(path, "rb") as f:
                    data = f.read()
        except Exception as e:
            print(f"dropped {name}: {type(e).__name__}: {str(e)[:200]}", flush=True)
            return
        listed = len(outs) > 1
        meta = {
            "name": name,
            "group": "legacy1",
            "keras_version": keras.__version__,
            "inputs": [{"name": input_name(t), "path": [i] if len(tensors) > 1 else []} for i, t in enumerate(tensors)],
            "rows": ROWS,
            "batch_size": 32,
            "nest": list(range(len(outs))) if listed else 0,
            "exact": False,
            "row_independent": not mixes_rows,
            "keras_reloads": False,
            "call": "predict",
        }
        self.pack.write(f"{name}/meta.json", json.dumps(meta, indent=1))
        self.pack.write(f"{name}/model.h5", data)
        for kind, values in (("in", arrays), ("out", outs)):
            for i, a in enumerate(values):
                self.pack.write(f"{name}/{kind}.{i}.npy", npy(np.ascontiguousarray(a)))
        self.count += 1

    def close(self):
        self.pack.close()
        print(f"legacy1: {self.count} cases, {os.path.getsize(self.path) / 1e6:.2f} MB")


def numbers(rng, shape):
    return rng.normal(size=shape)


def tokens(rng, shape):
    x = rng.integers(1, 7, size=shape)
    x[1:, -2:] = 0
    return x


def steps(rng, shape):
    """Sequences whose last steps are masked."""
    x = rng.normal(size=shape)
    x[1:, -2:] = 0
    return x


def several(shape, *layers):
    """One input, and an output for each layer."""
    x = Input(shape, name="x")
    return Model(x, [layer(x) for layer in layers])


def pairs(a, b, *merges):
    x, z = Input(a, name="x"), Input(b, name="z")
    return Model([x, z], [Merge(mode=mode, **options)([x, z]) for mode, options in merges])


def conv_2d(order):
    o = {"dim_ordering": order}
    shape = (3, 7, 8) if order == "th" else (7, 8, 3)
    rows = (None, 3, 15, 18) if order == "th" else (None, 15, 18, 3)
    return several(shape, Convolution2D(4, 3, 2, **o), Convolution2D(2, 2, 3, subsample=(2, 1), border_mode="same", activation="relu", **o), Convolution2D(2, 2, 2, bias=False, **o),
                   AtrousConvolution2D(3, 2, 2, atrous_rate=(2, 2), **o), Deconvolution2D(3, 3, 4, output_shape=rows, subsample=(2, 2), **o),
                   *([SeparableConvolution2D(4, 2, 3, depth_multiplier=2, **o)] if order == "tf" else []),
                   MaxPooling2D((2, 3), strides=(1, 2), **o), AveragePooling2D(border_mode="same", **o), GlobalMaxPooling2D(**o), GlobalAveragePooling2D(**o),
                   UpSampling2D((2, 3), **o), ZeroPadding2D((1, 2), **o), ZeroPadding2D((1, 2, 0, 3), **o), ZeroPadding2D({"top_pad": 1, "right_pad": 2}, **o),
                   Cropping2D(((1, 2), (0, 3)), **o), SpatialDropout2D(0.3, **o))


def conv_3d(order):
    o = {"dim_ordering": order}
    return several((2, 5, 6, 4) if order == "th" else (5, 6, 4, 2), Convolution3D(3, 2, 3, 2, **o), Convolution3D(2, 2, 2, 2, subsample=(2, 1, 2), border_mode="same", **o), MaxPooling3D(**o), AveragePooling3D((2, 2, 1), strides=(1, 1, 1), **o),
                   GlobalMaxPooling3D(**o), GlobalAveragePooling3D(**o), UpSampling3D((2, 1, 2), **o), ZeroPadding3D((1, 0, 2), **o), Cropping3D(((1, 1), (2, 0), (0, 1)), **o), SpatialDropout3D(0.3, **o))


def local(order):
    o = {"dim_ordering": order}
    return several((2, 5, 6) if order == "th" else (5, 6, 2), LocallyConnected2D(3, 2, 3, **o), LocallyConnected2D(2, 2, 2, subsample=(2, 1), activation="tanh", **o), LocallyConnected2D(2, 2, 2, bias=False, **o))


def merged_sequentials():
    def tower(n):
        m = Sequential()
        m.add(Dense(n, input_dim=5, activation="tanh"))
        return m

    m = Sequential()
    m.add(Merge([tower(3), tower(4)], mode="concat", concat_axis=1))
    m.add(Highway(activation="relu"))
    m.add(MaxoutDense(2))
    return m


def shared():
    a, b = Input((5,), name="a"), Input((5,), name="b")
    d = Dense(5, activation="relu")
    s = Sequential([Dense(4, input_dim=5), BatchNormalization(), SReLU(), Dropout(0.2)])
    inner_in = Input((4,))
    inner = Model(inner_in, [Dense(2)(inner_in), Highway()(inner_in)])
    p, q = inner(s(d(a)))
    return Model([a, b], [p, q, s(b), merge([d(d(b)), a], mode="sum")])


def residual():
    x = Input((8, 8, 3), name="x")
    h = Convolution2D(4, 3, 3, border_mode="same", init="he_normal")(x)
    for _ in range(2):
        y = Activation("relu")(BatchNormalization(axis=3)(h))
        y = Convolution2D(4, 3, 3, border_mode="same")(y)
        h = merge([h, y], mode="sum")
    h = merge([h, PReLU()(h)], mode="concat", concat_axis=-1)
    return Model(x, Dense(3, activation="softmax")(GlobalAveragePooling2D()(h)))


def masked():
    x = Input((6, 3), name="x")
    h = Masking()(x)
    return Model(x, [LSTM(3)(h), GRU(2, return_sequences=True)(h), SimpleRNN(2)(Dropout(0.3)(h)), Bidirectional(LSTM(2, return_sequences=True))(h), TimeDistributed(Dense(2))(h), LSTM(2)(TimeDistributed(Dense(3))(h)), LSTM(2)(Activation("tanh")(h)),
                     LSTM(2)(merge([h, h], mode="concat")), LSTM(2)(merge([h, h], mode="sum")), LSTM(2)(BatchNormalization()(h)), LSTM(2)(LeakyReLU()(h)), LSTM(2)(ParametricSoftplus()(h))])


def embedded():
    x = Input((6,), name="x")
    h = Embedding(7, 4, mask_zero=True, dropout=0.2)(x)
    q = Embedding(7, 4, input_length=6)(x)
    return Model(x, [LSTM(3)(h), GRU(3)(SpatialDropout1D(0.2)(h)), Convolution1D(2, 3)(q), Bidirectional(LSTM(2))(h), Flatten()(q), GlobalAveragePooling1D()(q)])


def cases(w):
    sequence, vector = (6, 4), (5,)
    w.add("dense", lambda: several(vector, Dense(3), Dense(2, activation="hard_sigmoid"), Dense(3, bias=False, activation="softplus"), Dense(4, activation="softmax", W_regularizer="l2", b_constraint="nonneg"), Dense(3, activation="softsign"), Dense(3, activation="elu" if hasattr(keras.activations, "elu") else "tanh"), RepeatVector(3), Dropout(0.4), GaussianNoise(0.3), GaussianDropout(0.2)))
    w.add("maxout", lambda: several(vector, MaxoutDense(3), MaxoutDense(2, nb_feature=2, bias=False), MaxoutDense(1, nb_feature=5)))
    w.add("highway", lambda: several(vector, Highway(), Highway(activation="relu"), Highway(activation="tanh", bias=False), Highway(activation="hard_sigmoid")))
    w.add("activations", lambda: several(sequence, LeakyReLU(), LeakyReLU(0.1), PReLU(), ELU(), ELU(0.5), ThresholdedReLU(0.4), ParametricSoftplus(), SReLU(), *(Activation(a) for a in ("relu", "tanh", "sigmoid", "hard_sigmoid", "softplus", "softsign", "softmax", "elu"))))
    w.add("activations_4d", lambda: several((3, 4, 2), PReLU(), SReLU(), ParametricSoftplus(), LeakyReLU(0.2)))
    w.add("srelu_steep", lambda: several(vector, SReLU()), lambda rng, s: rng.normal(size=s) * 5)
    w.add("shapes", lambda: several((4, 6), Reshape((3, 8)), Reshape((-1, 2)), Permute((2, 1)), Flatten(), TimeDistributed(Dense(2)), TimeDistributedDense(3), TimeDistributedDense(2, activation="tanh", bias=False), TimeDistributed(MaxoutDense(2)), TimeDistributed(Highway())))
    w.add("norms", lambda: several((4, 3), BatchNormalization(), BatchNormalization(axis=1, epsilon=0.1), BatchNormalization(momentum=0.9)))
    w.add("norm_2", lambda: several((4, 3), BatchNormalization(mode=2), BatchNormalization(mode=2, axis=1, epsilon=0.01)), mixes_rows=True)
    w.add("norm_1", lambda: several((5,), BatchNormalization(mode=1), BatchNormalization(mode=1, epsilon=0.01)))
    w.add("norm_4d", lambda: several((3, 4, 2), BatchNormalization(axis=-1), BatchNormalization(axis=1)))
    w.add("conv_1d", lambda: several((9, 4), Convolution1D(3, 3), Convolution1D(2, 2, subsample_length=2, border_mode="same", activation="relu"), AtrousConvolution1D(3, 2, atrous_rate=2), Convolution1D(2, 2, bias=False), MaxPooling1D(2), MaxPooling1D(3, stride=1, border_mode="same"), AveragePooling1D(2, stride=2), GlobalMaxPooling1D(), GlobalAveragePooling1D(), UpSampling1D(2), ZeroPadding1D(1), ZeroPadding1D((1, 2)), ZeroPadding1D({"left_pad": 2}), Cropping1D((1, 2)), LocallyConnected1D(3, 2), LocallyConnected1D(2, 3, subsample_length=2, activation="relu"), SpatialDropout1D(0.2)))
    for order in ("tf", "th"):
        w.add(f"conv_2d_{order}", lambda: conv_2d(order), reload=order == "tf")
        w.add(f"conv_3d_{order}", lambda: conv_3d(order), reload=order == "tf")
        w.add(f"local_{order}", lambda: local(order))
        w.add(f"conv_lstm_{order}", lambda: several((3, 2, 5, 6) if order == "th" else (3, 5, 6, 2), ConvLSTM2D(2, 2, 2, dim_ordering=order, border_mode="same"), ConvLSTM2D(2, 3, 3, dim_ordering=order, border_mode="same", return_sequences=True, inner_activation="sigmoid")))
    w.add("rnn", lambda: several((6, 3), LSTM(4), LSTM(3, return_sequences=True, go_backwards=True), LSTM(3, inner_activation="sigmoid", activation="softsign", dropout_W=0.2, dropout_U=0.1), GRU(3), GRU(3, return_sequences=True), SimpleRNN(3), SimpleRNN(2, activation="relu", return_sequences=True), LSTM(2, unroll=True), LSTM(3, consume_less="mem"), GRU(2, consume_less="mem")))
    w.add("rnn_gpu", lambda: several((6, 3), LSTM(4, consume_less="gpu"), GRU(3, consume_less="gpu"), GRU(3, consume_less="gpu", return_sequences=True), Bidirectional(LSTM(2, consume_less="gpu"))))
    w.add("bidirectional", lambda: several((6, 3), Bidirectional(LSTM(2)), Bidirectional(GRU(2, return_sequences=True), merge_mode="sum"), Bidirectional(SimpleRNN(2), merge_mode="mul"), Bidirectional(LSTM(2), merge_mode="ave"), Bidirectional(GRU(2, return_sequences=True))))
    w.add("masked", masked, steps)
    w.add("embedded", embedded, tokens)
    w.add("merge", lambda: pairs(sequence, sequence, *((m, {}) for m in ("sum", "mul", "ave", "max", "concat")), ("concat", {"concat_axis": 1}), ("concat", {"concat_axis": 2})))
    w.add("merge_dot", lambda: pairs(sequence, sequence, ("dot", {"dot_axes": 2}), ("dot", {"dot_axes": 1}), ("dot", {"dot_axes": -1}), ("dot", {"dot_axes": [2, 2]}), ("dot", {"dot_axes": [1, 1]}), ("dot", {"dot_axes": (2, 2)})))
    w.add("merge_cos", lambda: pairs(sequence, sequence, ("cos", {"dot_axes": 2}), ("cos", {"dot_axes": 1}), ("cos", {"dot_axes": [2, 2]}), ("cos", {"dot_axes": -1})))
    w.add("merge_vectors", lambda: pairs(vector, vector, ("dot", {"dot_axes": 1}), ("cos", {"dot_axes": 1}), ("cos", {}), ("dot", {}), ("dot", {"dot_axes": [1, 1]}), ("sum", {}), ("concat", {})))
    w.add("merge_uneven", lambda: pairs((4, 3), (3, 5), ("dot", {"dot_axes": [2, 1]}), ("dot", {"dot_axes": (2, 1)})))
    w.add("merged_sequentials", merged_sequentials)
    w.add("shared", shared, reload=False)
    w.add("residual", residual)
    w.add("sequential", lambda: Sequential([Convolution2D(3, 3, 3, input_shape=(6, 6, 2)), Activation("relu"), MaxPooling2D(), Flatten(), Dense(4), BatchNormalization(), MaxoutDense(3), Activation("softmax")]))
    w.add("chain", lambda: Sequential([Dense(4, input_dim=5), ActivityRegularization(0.1), Activation("linear"), Dropout(0.1), Dense(2)]))
    w.add("text", lambda: Sequential([Embedding(7, 4, input_length=6), Dropout(0.2), Convolution1D(5, 2), MaxPooling1D(2), LSTM(3), Dense(1, activation="sigmoid")]), tokens)


os.makedirs(args.out, exist_ok=True)
writer = Writer()
cases(writer)
writer.close()
