"""Odd graphs: nests of inputs and outputs, models in models in wrappers, shared layers, masks as nodes, open sizes."""

import keras
import numpy as np
from common import bools, chain, ints, masked, normal, padded, sequential
from keras import layers as L
from keras import ops


def cases(c):
    nests(c)
    models(c)
    masks(c)
    shapes(c)


def nests(c):
    add = c.add

    def deep():
        i = {"a": keras.Input((3,), name="x1"), "b": [keras.Input((2,), name="x2"), {"c": keras.Input((4,), name="x3")}]}
        d, e = L.Dense(2)(i["a"]), L.Dense(2)(i["b"][0])
        return keras.Model(i, {"sum": d + e, "list": [L.Dense(1)(i["b"][1]["c"]), {"z": d}]})

    add("deep", deep)
    add("deep_in", lambda: inner_of(deep()))

    def inner_of(m):
        a, b, x = keras.Input((3,)), keras.Input((2,)), keras.Input((4,))
        y = m({"a": a, "b": [b, {"c": x}]})
        return keras.Model([a, b, x], [y["sum"], y["list"][1]["z"], L.Dense(2)(y["list"][0])])

    def tuples():
        a, b, x = keras.Input((3,)), keras.Input((3,)), keras.Input((3,))
        return keras.Model((a, (b, x)), (a + b, (x, [a * x])))

    add("tuples", tuples)

    def one_dict():
        a = keras.Input((3,), name="only")
        return keras.Model({"only": a}, {"out": L.Dense(2)(a)})

    add("one_dict", one_dict)

    def one_list():
        a = keras.Input((3,))
        return keras.Model([a], [L.Dense(2)(a)])

    add("one_list", one_list)

    def input_as_output():
        a, b = keras.Input((3,)), keras.Input((2,))
        return keras.Model([a, b], [b, a, L.Dense(2)(a), b])

    add("input_as_output", input_as_output)

    def same_output():
        a = keras.Input((3,))
        y = L.Dense(2)(a)
        return keras.Model(a, [y, y, {"again": y}])

    add("same_output", same_output)

    def unused():
        a, b = keras.Input((3,)), keras.Input((2,))
        return keras.Model([a, b], L.Dense(2)(a))

    add("unused_input", unused)

    def dict_list_model():
        a, b = keras.Input((3,), name="left"), keras.Input((2,), name="right")
        inner = keras.Model([a, b], L.Concatenate()([a, b]))
        x, y = keras.Input((3,)), keras.Input((2,))
        return keras.Model([x, y], inner({"left": x, "right": y}))

    add("list_model_takes_dict", dict_list_model, optional=True)

    def optional(given):
        a, b = keras.Input((3,)), keras.Input((3,), optional=True)
        inner = keras.Model([a, b], L.Dense(2)(a))
        x = keras.Input((3,))
        return keras.Model(x, inner([x, x if given else None]))

    add("optional_given", lambda: optional(True), optional=True)
    add("optional_none", lambda: optional(False), optional=True)

    def multi_layer_out():
        a = keras.Input((5, 3))
        s, h, k = L.LSTM(2, return_sequences=True, return_state=True)(a)
        return keras.Model(a, {"h": h, "rest": (s, k)})

    add("multi_layer_out", multi_layer_out)
    add("split_list", lambda: split())

    def split():
        a = keras.Input((6,))
        x, y, z = ops.split(a, 3, axis=-1)
        return keras.Model(a, [L.Dense(2)(z), x * y])


def models(c):
    add = c.add
    mlp = lambda n=3, name=None: chain((4,), L.Dense(n, activation="relu"), L.Dense(n), name=name)

    add("three_deep", lambda: chain((4,), chain((4,), mlp(4), L.Dense(2)), L.Dense(2)), h5=True)
    add("sequential_of_models", lambda: sequential((4,), mlp(4), sequential((4,), L.Dense(3)), L.Dense(2)), h5=True)
    add("sequential_in_functional", lambda: chain((4,), sequential((4,), L.Dense(3), L.Dropout(0.5)), L.Dense(2)), h5=True)
    add("model_twice", lambda: twice())
    add("siamese", lambda: siamese())
    add("model_in_time", lambda: chain((3, 4), L.TimeDistributed(mlp())))
    add("model_in_time_masked", lambda: chain((3, 4), L.Masking(), L.TimeDistributed(mlp(4)), L.GRU(2)), inputs=masked())
    add("mask_model_in_time", lambda: chain((3, 5, 2), L.TimeDistributed(chain((5, 2), L.Masking(), L.LSTM(3)))), inputs=normal())
    add("embedding_model_in_time", lambda: chain((3, 5), L.TimeDistributed(chain((5,), L.Embedding(6, 2, mask_zero=True), L.GRU(3), dtype="int32")), dtype="int32"), inputs=ints(6))
    add("model_of_masks", lambda: chain((5,), chain((5,), L.Embedding(6, 3, mask_zero=True), dtype="int32"), L.LSTM(2), dtype="int32"), inputs=padded(6))
    add("mask_into_model", lambda: chain((5, 3), L.Masking(), chain((5, 3), L.Dense(4), L.LSTM(2))), inputs=masked())
    add("mask_through_models", lambda: chain((5, 3), L.Masking(), chain((5, 3), L.Dense(4)), chain((5, 4), L.Dropout(0.2)), L.GRU(2)), inputs=masked())
    add("mask_into_sequential", lambda: chain((5, 3), L.Masking(), sequential((5, 3), L.Dense(4), L.LSTM(2))), inputs=masked())
    add("sequential_masks", lambda: chain((5, 3), sequential((5, 3), L.Masking()), L.LSTM(2)), inputs=masked())
    add("two_outputs_used", lambda: two_outputs())
    add("inner_layer_tapped", lambda: tapped())

    def twice():
        m = mlp(4)
        x = keras.Input((4,))
        return keras.Model(x, m(m(x)))

    def siamese():
        m = mlp(3, name="tower")
        a, b = keras.Input((4,)), keras.Input((4,))
        return keras.Model([a, b], [L.Dot(1)([m(a), m(b)]), m(a)])

    def two_outputs():
        i = keras.Input((4,))
        inner = keras.Model(i, [L.Dense(2)(i), L.Dense(3)(i)])
        x = keras.Input((4,))
        a, b = inner(x)
        p, q = inner(x * 2.0)
        return keras.Model(x, [b, L.Concatenate()([a, q]), p])

    def tapped():
        base = chain((4,), L.Dense(3, name="first"), L.Dense(2, name="second"))
        return keras.Model(base.input, [base.get_layer("first").output, base.output])


def masks(c):
    add = c.add

    def embed(n=5, **k):
        x = keras.Input((n,), dtype="int32")
        return x, L.Embedding(6, 3, mask_zero=True, **k)(x)

    def through(*stack):
        def build():
            x, y = embed()
            for layer in stack:
                y = layer()(y)
            return keras.Model(x, y)

        return build

    pieces = {
        "activation": lambda: L.Activation("tanh"), "dropout": lambda: L.Dropout(0.3), "layernorm": lambda: L.LayerNormalization(), "batchnorm": lambda: L.BatchNormalization(),
        "noise": lambda: L.GaussianNoise(0.1), "dense": lambda: L.Dense(3), "identity": lambda: L.Identity(), "td": lambda: L.TimeDistributed(L.Dense(3)), "unit": lambda: L.UnitNormalization(),
        "conv": lambda: L.Conv1D(3, 1), "rescale": lambda: L.Rescaling(0.5), "rms": lambda: L.RMSNormalization(), "group": lambda: L.GroupNormalization(1), "prelu": lambda: L.PReLU(),
        "softmax": lambda: L.Softmax(), "spatial": lambda: L.SpatialDropout1D(0.2), "einsum": lambda: L.EinsumDense("abc,cd->abd", (None, 3)), "gru": lambda: L.GRU(3, return_sequences=True),
        "bi": lambda: L.Bidirectional(L.GRU(3, return_sequences=True)), "regularize": lambda: L.ActivityRegularization(0.1), "relu": lambda: L.ReLU(), "elu": lambda: L.ELU(), "leaky": lambda: L.LeakyReLU(),
        "pad": lambda: L.ZeroPadding1D(1), "crop": lambda: L.Cropping1D(1), "upsample": lambda: L.UpSampling1D(2), "permute": lambda: L.Permute((1, 2)), "reshape": lambda: L.Reshape((5, 3)),
    }
    for name, piece in pieces.items():
        add(f"mask_{name}", through(piece, lambda: L.LSTM(2)), inputs=padded(6), optional=True)
        add(f"mask_{name}_pool", through(piece, lambda: L.GlobalAveragePooling1D()), inputs=padded(6), optional=True)

    def merged(layer, second_masked=True):
        def build():
            a, x = embed()
            b, y = embed() if second_masked else (keras.Input((5, 3)),) * 2
            return keras.Model([a, b], L.LSTM(2)(layer()([x, y])))

        return build

    for name, layer in {"add": lambda: L.Add(), "concat": lambda: L.Concatenate(), "concat_time": lambda: L.Concatenate(axis=1), "max": lambda: L.Maximum(), "average": lambda: L.Average(), "multiply": lambda: L.Multiply(), "subtract": lambda: L.Subtract()}.items():
        add(f"mask_merge_{name}", merged(layer), inputs=[padded(6), padded(6)], optional=True)
        add(f"mask_merge_{name}_half", merged(layer, False), inputs=[padded(6), None], optional=True)

    def explicit(layer):
        def build():
            x, m = keras.Input((5, 3)), keras.Input((5,), dtype="bool")
            return keras.Model([x, m], layer()(x, mask=m))

        return build

    for name, layer in {"lstm": lambda: L.LSTM(2), "softmax": lambda: L.Softmax(axis=1), "pool": lambda: L.GlobalAveragePooling1D(), "td": lambda: L.TimeDistributed(L.Dense(2)), "bn": lambda: L.BatchNormalization()}.items():
        add(f"explicit_{name}", explicit(layer), optional=True)

    def computed():
        x = keras.Input((5,), dtype="int32")
        m = ops.logical_or(ops.not_equal(x, 0), ops.equal(x, 3))
        return keras.Model(x, L.GRU(2)(L.Embedding(6, 3)(x), mask=m))

    add("mask_computed", computed, inputs=padded(6))

    def op_between():
        x, y = embed()
        return keras.Model(x, L.LSTM(2)(y * 2.0 + 1.0))

    add("mask_op_between", op_between, inputs=padded(6))

    def slice_between():
        x, y = embed()
        return keras.Model(x, L.LSTM(2)(y[:, 1:]))

    add("mask_slice_between", slice_between, inputs=padded(6))


def shapes(c):
    add = c.add

    def rank1():
        x = keras.Input(())
        return keras.Model(x, [x * 2.0, ops.expand_dims(x, -1)])

    add("rank1", rank1)
    add("rank1_mean", lambda: reduced(lambda x: ops.mean(x, axis=-1)))
    add("rank1_squeeze", lambda: reduced(lambda x: ops.squeeze(L.Dense(1)(x), -1)))

    def reduced(f):
        x = keras.Input((4,))
        return keras.Model(x, f(x))

    add("scalar", lambda: reduced(ops.mean), row_independent=False, call={})
    add("scalar_pair", lambda: reduced(lambda x: [ops.sum(x), L.Dense(2)(x)]), row_independent=False, call={})
    add("all_open", lambda: open_all(), dims=[6, 5, 4])
    add("open_pool", lambda: chain((None, None, 3), L.Conv2D(2, 3, padding="same"), L.MaxPooling2D(), L.GlobalAveragePooling2D()), dims=[6, 7])
    add("open_reshape", lambda: chain((None, 4), L.Reshape((-1, 2)), L.Dense(3)), dims=[4])
    add("open_flatten_sum", lambda: chain((None, 4), L.Dense(3), L.GlobalMaxPooling1D(), L.Dense(1)), dims=[3])
    add("open_attention", lambda: open_attention(), dims=[4, 6])
    add("one_row", lambda: chain((4,), L.Dense(3), L.BatchNormalization()), rows=1)
    add("last_batch_small", lambda: chain((4,), L.Dense(3)), rows=7, batch_size=3)
    add("integer_output", lambda: reduced(lambda x: ops.argmax(x, axis=-1)))
    add("bool_output", lambda: reduced(lambda x: x > 0.0))
    add("batch_axis", lambda: reduced(lambda x: x - ops.mean(x, axis=0, keepdims=True)), row_independent=False)
    add("batch_flip", lambda: reduced(lambda x: ops.flip(x, axis=0)), row_independent=False)

    def open_all():
        x = keras.Input((None, None, None))
        return keras.Model(x, ops.mean(x, axis=(1, 2, 3)))

    def open_attention():
        q, v = keras.Input((None, 4)), keras.Input((None, 4))
        return keras.Model([q, v], L.MultiHeadAttention(2, 3)(q, v))
