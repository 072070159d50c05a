"""Float16 in the order of TensorFlow's sums, and weights that operations call."""

import keras
import numpy as np
from keras import layers as L
from keras import ops

from common import chain, ints, normal


def cases(c):
    half = "float16"
    for channels, multiplier in ((2, 1), (3, 2), (16, 1)):
        c.add(f"depthwise_{channels}_{multiplier}", lambda n=channels, m=multiplier: chain((6, 6, n), L.DepthwiseConv2D(3, padding="same", depth_multiplier=m, dtype=half)))
    c.add("depthwise_strides", lambda: chain((7, 6, 3), L.DepthwiseConv2D((3, 2), strides=2, dtype=half)))
    c.add("depthwise_1d", lambda: chain((7, 3), L.DepthwiseConv1D(3, padding="same", activation="relu", dtype=half)))
    c.add("depthwise_mixed", lambda: chain((6, 6, 3), L.DepthwiseConv2D(3, dtype="mixed_float16")))
    c.add("separable", lambda: chain((6, 6, 3), L.SeparableConv2D(5, 3, dtype=half)))
    c.add("separable_1d", lambda: chain((6, 3), L.SeparableConv1D(5, 3, padding="same", dtype=half)))
    for filters in (3, 16, 19):
        c.add(f"conv3d_{filters}", lambda n=filters: chain((4, 4, 4, 2), L.Conv3D(n, 2, dtype=half)))
    c.add("conv3d_same", lambda: chain((4, 5, 3, 2), L.Conv3D(2, (2, 3, 1), strides=(1, 2, 1), padding="same", activation="tanh", dtype=half)))
    for filters, size, strides in ((3, 2, 2), (3, 3, 2), (4, 3, 1), (16, 2, 2)):
        c.add(f"transpose_{filters}_{size}_{strides}", lambda f=filters, k=size, s=strides: chain((5, 4, 3), L.Conv2DTranspose(f, k, strides=s, dtype=half)))
    c.add("transpose_same", lambda: chain((5, 3, 6), L.Conv2DTranspose(5, (3, 2), strides=(1, 2), padding="same", activation="relu", dtype="mixed_float16")))
    c.add("transpose_output_padding", lambda: chain((5, 3, 2), L.Conv2DTranspose(2, 3, strides=3, output_padding=1, dtype=half)))
    c.add("transpose_1d", lambda: chain((6, 3), L.Conv1DTranspose(2, 3, strides=2, padding="same", dtype=half)))
    for padding in ("valid", "same"):
        c.add(f"average_{padding}", lambda p=padding: chain((7, 5, 3), L.AveragePooling2D(3, 2, padding=p, dtype=half)))
        c.add(f"average_1d_{padding}", lambda p=padding: chain((7, 3), L.AveragePooling1D(3, 1, padding=p, dtype=half)))
    # sequences, heads, size of a head
    for steps, heads, size in ((5, 2, 3), (9, 2, 16), (16, 1, 8), (13, 2, 11), (21, 3, 4), (17, 2, 24)):
        def attention(steps=steps, heads=heads, size=size, causal=False):
            x = keras.Input((steps, 4))
            return keras.Model(x, L.MultiHeadAttention(heads, size, dtype=half)(x, x, use_causal_mask=causal))

        c.add(f"heads_{steps}_{heads}_{size}", attention)
        c.add(f"heads_{steps}_{heads}_{size}_causal", lambda f=attention: f(causal=True))

    def across():
        x, y = keras.Input((9, 4)), keras.Input((14, 4))
        return keras.Model([x, y], L.MultiHeadAttention(2, 5, dtype="mixed_float16")(x, y))

    c.add("heads_across", across)

    def groups():
        x = keras.Input((9, 4))
        return keras.Model(x, L.GroupQueryAttention(5, 4, 2, dtype=half)(x, x))

    c.add("groups", groups)
    for n in (7, 12, 20, 37, 100):
        c.add(f"softmax_{n}", lambda n=n: chain((3, n), L.Softmax(dtype=half)))
        c.add(f"sum_{n}", lambda n=n: total((3, n), 2))
        c.add(f"sum_columns_{n}", lambda n=n: total((n, 8), 1))
        c.add(f"sum_narrow_{n}", lambda n=n: total((n, 5), 1))

    def node(name, f, *inputs, **options):
        def build():
            xs = [keras.Input(**i) if isinstance(i, dict) else keras.Input(i) for i in inputs]
            return keras.Model(xs if len(xs) > 1 else xs[0], f(*xs))

        c.add(name, build, **options)

    node("vectorized_map_counts", lambda x: L.Dense(2)(ops.vectorized_map(L.Dense(3), x)), (3, 4))
    for f in ("sum", "max", "min", "prod"):
        segments = getattr(ops, f"segment_{f}")
        node(f"segment_{f}_large", lambda x, i, f=segments: f(x, i, num_segments=9), (3,), {"shape": (), "dtype": "int32"}, inputs=[normal(), ints(9, -2)], rows=6, row_independent=False)


def total(shape, axis):
    x = keras.Input(shape, dtype="float16")
    return keras.Model(x, ops.sum(x, axis=axis))
