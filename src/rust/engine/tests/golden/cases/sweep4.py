"""Found by random models: arguments by position, adapters, dtypes and stores of wrappers."""

import os

import keras
import numpy as np
from common import bools, chain, padded
from keras import layers as L
from keras import ops


def cases(c):
    calls(c)
    adapters(c)
    wrappers(c)
    channels_first(c)
    varying(c)
    along(c)


def calls(c):
    """What `call` takes besides its first argument, by position; the first argument by name."""

    def masked(f, width=3, mask=(4,)):
        def build():
            x, m = keras.Input((4, width)), keras.Input(mask, dtype="bool")
            return keras.Model([x, m], f(x, m))

        return build

    c.add("softmax_mask", masked(lambda x, m: L.Softmax()(x, m), mask=(4, 3)))
    c.add("softmax_mask_axes", masked(lambda x, m: L.Softmax(axis=[1, 2])(x, m), mask=(4, 3)))
    c.add("average_mask", masked(lambda x, m: L.GlobalAveragePooling1D()(x, m)), inputs=[None, bools(first=True)])
    c.add("gru_mask", masked(lambda x, m: L.GRU(2)(x, None, m)))
    c.add("bidirectional_mask", masked(lambda x, m: L.Bidirectional(L.LSTM(2))(x, None, m)))
    c.add("attention_mask", masked(lambda x, m: L.Attention()([x, x], [None, m], return_attention_scores=True)), inputs=[None, bools(first=True)])
    c.add("heads_all", masked(lambda x, m: L.MultiHeadAttention(2, 2)(x, x, x, m, m, use_causal_mask=True)), inputs=[None, bools(first=True)])
    c.add("first_by_name", lambda: of((4, 3), lambda x: L.GRU(2)(sequences=L.RMSNormalization()(x=L.Dense(4)(inputs=x)))))
    c.add("heads_by_name", lambda: of((4, 3), lambda x: L.MultiHeadAttention(2, 2)(value=x, query=L.Dense(3)(x))))
    c.add("model_by_name", lambda: of((4, 3), lambda x: keras.Sequential([keras.Input((4, 3)), L.Dense(3)])(inputs=x)))


def of(shape, f, dtype=None):
    x = keras.Input(shape, dtype=dtype)
    return keras.Model(x, f(x))


def adapters(c):
    """LoRA: merged into kernels in a .keras file, beside them in an h5 file, and counted as parameters in both."""
    layers = {
        "dense": ((4,), lambda **k: L.Dense(3, **k)), "dense_plain": ((2, 4), lambda **k: L.Dense(3, use_bias=False, **k)), "dense_frozen": ((4,), lambda **k: L.Dense(3, trainable=False, **k)),
        "dense_alpha": ((4,), lambda **k: L.Dense(3, lora_alpha=5, **k)), "einsum": ((3, 4), lambda **k: L.EinsumDense("abc,cde->abde", (None, 2, 5), bias_axes="de", lora_alpha=3, **k)),
        "conv": ((6, 2), lambda **k: L.Conv1D(3, 2, **k)), "conv_groups": ((4, 4, 4), lambda **k: L.Conv2D(4, 2, groups=2, **k)),
    }
    for name, (shape, layer) in layers.items():
        c.add(f"adapter_{name}", lambda s=shape, l=layer: chain(s, l(lora_rank=2), L.Dense(2)) if len(s) < 3 else chain(s, l(lora_rank=2)), h5=True, optional=True)
    c.add("adapter_embedding", lambda: of((4,), lambda x: L.Embedding(7, 3, lora_rank=2)(x), dtype="int32"), h5=True)

    def nested():
        inner = keras.Sequential([keras.Input((4,)), L.Dense(3, lora_rank=1), L.Dense(4)])
        return of((4,), lambda x: L.Dense(2, lora_rank=2)(inner(x)))

    c.add("adapter_nested", nested, h5=True)


def wrappers(c):
    layers = {
        "batch": lambda d: L.BatchNormalization(dtype=d), "layer": lambda d: L.LayerNormalization(dtype=d), "group": lambda d: L.GroupNormalization(2, dtype=d), "rescaling": lambda d: L.Rescaling(0.5, 1.0, dtype=d), "dense": lambda d: L.Dense(3, dtype=d),
        "unit": lambda d: L.UnitNormalization(dtype=d), "softmax": lambda d: L.Softmax(dtype=d),
    }
    for outer, inner in (("float64", "float32"), ("float32", "float64")):
        for name, layer in layers.items():
            c.add(f"steps_{name}_{inner}", lambda l=layer, o=outer, i=inner: chain((3, 4), L.TimeDistributed(l(i), dtype=o)), optional=True)
        c.add(f"steps_embedding_{inner}", lambda o=outer, i=inner: of((3, 2), lambda x: L.TimeDistributed(L.Embedding(7, 2, dtype=i), dtype=o)(x), dtype="int32"), optional=True)
    for name, layer in {"dense": lambda **k: L.Dense(3, **k), "transpose": lambda **k: L.Conv2DTranspose(2, 2, strides=2, **k)}.items():
        shape = (4,) if name == "dense" else (3, 3, 2)
        c.add(f"spectral_{name}_frozen", lambda l=layer, s=shape: chain(s, L.SpectralNormalization(l(), trainable=False)), h5=True)
        c.add(f"spectral_{name}_inner_frozen", lambda l=layer, s=shape: chain(s, L.SpectralNormalization(l(trainable=False))), h5=True)


def channels_first(c):
    """A bias as long as the last axis: TensorFlow adds it along that one, but for plain convolutions where predict()
    makes one operation of both. Without oneDNN, TensorFlow runs no convolution with channels first on a CPU."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "1":
        return
    first = dict(data_format="channels_first")
    shapes = {
        "square": ((2, 3, 3), lambda: L.Conv2D(3, 2, padding="same", activation="tanh", **first)), "width": ((2, 5, 3), lambda: L.Conv2D(3, 2, padding="same", **first)), "height": ((2, 3, 5), lambda: L.Conv2D(3, 2, padding="same", **first)),
        "one": ((2, 3, 1), lambda: L.Conv2D(1, 2, padding="same", **first)), "line": ((2, 4), lambda: L.Conv1D(4, 2, padding="same", **first)), "solid": ((2, 4, 3, 3), lambda: L.Conv3D(3, 2, padding="same", **first)),
        "dilated": ((2, 5, 3), lambda: L.Conv2D(3, 2, padding="same", dilation_rate=2, **first)), "grouped": ((2, 5, 4), lambda: L.Conv2D(4, 2, padding="same", groups=2, **first)),
        "transpose": ((2, 3, 3), lambda: L.Conv2DTranspose(3, 2, padding="same", **first)), "depthwise": ((2, 5, 4), lambda: L.DepthwiseConv2D(2, padding="same", depth_multiplier=2, **first)), "separable": ((2, 3, 3), lambda: L.SeparableConv2D(3, 2, padding="same", **first)),
    }
    for name, (shape, layer) in shapes.items():
        c.add(f"bias_{name}", lambda s=shape, l=layer: chain(s, l()))


def along(c):
    """A mask that only runs along in prediction, after states that are given."""

    def build():
        t = keras.Input((5,), dtype="int32")
        x = L.Embedding(7, 4, mask_zero=True)(t)
        x = L.GRU(4, return_sequences=True)(x, initial_state=L.Dense(4)(ops.cast(t, "float32")))
        return keras.Model(t, L.GRU(2)(L.SpectralNormalization(L.Dense(3))(x)))

    c.add("spectral_along", build, inputs=padded(7, empty=True))


def varying(c):
    """A mean of data that had one size of an axis where the model takes any; softmax of a number a row, over the batch."""

    def adapted(shape, axis):
        layer = L.Normalization(axis=axis)
        layer.adapt(np.random.default_rng(1).normal(size=(7, 4, 3)) * 2 + 1)
        return chain(shape, layer, L.Dense(2))

    c.add("adapted_varying", lambda: adapted((None, 3), 1), dims=[4])
    c.add("adapted_varying_both", lambda: adapted((None, 3), (1, 2)), dims=[4])
    c.add("softmax_batch", lambda: of((4,), lambda x: L.Activation("softmax")(L.Reshape(())(L.Dense(1)(x)))), row_independent=False)
