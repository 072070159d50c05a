"""Half precision, found by a second sweep: what TensorFlow rounds in between, and what it does not.

Rows of float16 are shorter than 8 and columns shorter than 16: TensorFlow sums longer ones in packets, whose size
depends on the processor."""

import keras
from common import chain, masked
from keras import layers as L
from keras import ops

REDUCTIONS = "sum nansum mean nanmean prod var std nanvar max logsumexp norm".split()


def cases(c):
    reductions(c)
    normalizations(c)
    recurrent(c)


def of(shape, dtype, f):
    x = keras.Input(shape, dtype=dtype)
    return keras.Model(x, f(x))


def reductions(c):
    for dtype in ("float16", "bfloat16"):
        for name in REDUCTIONS:
            f = getattr(ops, name)
            for where, shape, axis in (("row", (3, 5), -1), ("column", (4, 5), 1), ("two", (2, 3), (1, 2)), ("long", (40,), -1)):
                rough = dtype == "float16" and (where == "long" or name == "std")
                # the products of a long row of bfloat16 come in packets too
                if name in ("mean", "var", "max") or not (rough or (where == "long" and name == "prod") or (name == "norm" and where == "two")):
                    c.add(f"{name}_{dtype}_{where}", lambda f=f, s=shape, a=axis, d=dtype: of(s, d, lambda x: f(x, axis=a)))
        for name in ("cumsum", "cumprod"):
            f = getattr(ops, name)
            for where, shape, axis in (("row", (3, 5), -1), ("column", (4, 5), 1), ("long", (40,), -1)):
                c.add(f"{name}_{dtype}_{where}", lambda f=f, s=shape, a=axis, d=dtype: of(s, d, lambda x: f(x, axis=a)))


def normalizations(c):
    layers = {
        "layer": lambda d: L.LayerNormalization(dtype=d), "layer_axes": lambda d: L.LayerNormalization(axis=(1, 2), dtype=d), "batch": lambda d: L.BatchNormalization(dtype=d), "group": lambda d: L.GroupNormalization(3, dtype=d),
        "unit": lambda d: L.UnitNormalization(dtype=d), "rms": lambda d: L.RMSNormalization(dtype=d), "average": lambda d: L.GlobalAveragePooling2D(dtype=d), "softmax": lambda d: L.Softmax(dtype=d),
    }
    for policy in ("float16", "mixed_float16", "mixed_bfloat16"):
        for name, layer in layers.items():
            c.add(f"{policy}_{name}", lambda p=policy, l=layer: chain((4, 4, 6), l(p)))


def recurrent(c):
    """Cells that round every step. Products of bfloat16 depend on the processor."""
    layers = {
        "lstm": lambda **k: L.LSTM(2, return_sequences=True, **k), "lstm_plain": lambda **k: L.LSTM(3, use_bias=False, activation="relu", **k), "lstm_dropout": lambda **k: L.LSTM(2, recurrent_dropout=0.3, **k),
        "gru": lambda **k: L.GRU(2, return_sequences=True, **k), "gru_before": lambda **k: L.GRU(3, reset_after=False, **k), "simple": lambda **k: L.SimpleRNN(3, return_sequences=True, **k), "back": lambda **k: L.GRU(3, go_backwards=True, **k),
    }
    for policy in ("float16", "mixed_float16"):
        for name, layer in layers.items():
            c.add(f"{policy}_{name}", lambda p=policy, l=layer: chain((4, 3), l(dtype=p)))
        c.add(f"{policy}_masked", lambda p=policy: chain((5, 3), L.Masking(dtype=p), L.LSTM(3, dtype=p)), inputs=masked())
        c.add(f"{policy}_both", lambda p=policy: chain((4, 3), L.Bidirectional(L.GRU(2, dtype=p), dtype=p)))
