"""Found by random models: when a mask is on a tensor, and when it is taken off."""

import keras
import numpy as np
from common import padded
from keras import layers as L
from keras import ops


def cases(c):
    order(c)
    same_tensor(c)
    numbers(c)


def of(f):
    """A model of masked embeddings whose second row is all mask."""
    i = keras.Input((6,), dtype="int32")
    return keras.Model(i, f(L.Embedding(9, 4, mask_zero=True)(i)))


def heads(x, y=None):
    return L.MultiHeadAttention(2, 2)(x, x if y is None else y)


def block():
    """Its mask is not recorded with the calls of what takes its output."""
    return keras.Sequential([L.Dense(4), L.ELU()])


def order(c):
    """Attention takes the mask off its inputs: layers that run after it don't see it."""
    forks = {
        "before": lambda y: [heads(y), L.LSTM(2)(y)], "after": lambda y: [L.LSTM(2)(y), heads(y)], "dict": lambda y: {"b": L.LSTM(2)(y), "a": heads(y)},
        "farther": lambda y: [L.LSTM(2)(y), L.Dense(2)(heads(y))], "nearer": lambda y: [L.Dense(2)(L.LSTM(2)(y)), heads(y)],
        "add": lambda y: L.Add()([L.LSTM(4, return_sequences=True)(y), heads(y)]), "add_turned": lambda y: L.Add()([heads(y), L.LSTM(4, return_sequences=True)(y)]),
        "twice": lambda y: [L.GRU(2)(y), heads(y, L.Dense(4)(y)), heads(L.Dense(4)(y), y)], "by_name": lambda y: [L.GRU(2)(y), L.MultiHeadAttention(1, 2)(value=L.Dense(4)(y), query=y)],
        "grouped": lambda y: [L.GRU(2)(y), L.GroupQueryAttention(2, 2, 1)(y, y)], "cast": lambda y: [L.GRU(2)(y), L.MultiHeadAttention(1, 2, dtype="float64")(y, y)],
        "pooled": lambda y: [L.GlobalAveragePooling1D()(y), heads(y)],
    }
    for name, fork in forks.items():
        c.add(f"order_{name}", lambda f=fork: of(lambda x: f(block()(x))), inputs=padded(9, empty=True))

    def shared(x):
        # The dense layer's call on x runs as early as its call on what follows it.
        dense, y = L.Dense(4), block()(x)
        return [dense(y), L.LSTM(2)(y), heads(y), L.Dense(3)(dense(dense(heads(y))))]

    c.add("order_shared", lambda: of(shared), inputs=padded(9, empty=True))
    for turned in (False, True):

        def nested(x, turned=turned):
            a = keras.Input((6, 4))
            inner, y = keras.Model(a, L.Add()([a, heads(a)])), block()(x)
            outs = [inner(y), L.LSTM(2)(y), L.GRU(2)(inner(block()(y)))]
            return outs[::-1] if turned else outs

        c.add(f"order_nested_{int(turned)}", lambda f=nested: of(f), inputs=padded(9, empty=True))


def same_tensor(c):
    """Operations that hand their tensor on leave the mask on it, others don't; a call with nothing to do makes a tensor of its own."""
    through = {
        "cast": lambda x: ops.cast(x, "float32"), "convert": ops.convert_to_tensor, "real": ops.real, "conj": ops.conj, "array": ops.array, "moveaxis": lambda x: ops.moveaxis(x, 1, 1),
        "swapaxes": lambda x: ops.swapaxes(x, 1, 1), "copy": ops.copy, "stop_gradient": ops.stop_gradient, "transpose": lambda x: ops.transpose(x, (0, 1, 2)), "cast_other": lambda x: ops.cast(x, "float64"),
        "reshape": L.Reshape((6, 4)), "permute": L.Permute((1, 2)), "cropping": L.Cropping1D(0), "dropout": L.Dropout(0.2), "linear": L.Activation("linear"), "add_one": lambda x: L.Add()([x]),
    }
    for name, f in through.items():
        c.add(f"same_{name}", lambda f=f: of(lambda x: [L.LSTM(2)(f(x)), L.LSTM(2)(f(block()(x)))]), inputs=padded(9, empty=True))
        c.add(f"taken_{name}", lambda f=f: of(lambda x: taken(f, block()(x))), inputs=padded(9, empty=True))


def taken(f, y):
    z = f(y)
    return [L.LSTM(2)(y), L.LSTM(2)(z), heads(z)]


def numbers(c):
    """Literals as the dtype of the tensor holds them, bounds in the wrong order, casts that saturate, deviations in half precision."""

    def around(rng, shape, dtype):
        return rng.integers(0 if dtype.startswith("u") else -6, 7, size=shape).astype(dtype)

    def one(shape, dtype, f):
        x = keras.Input(shape, dtype=dtype)
        y = f(x)
        return keras.Model(x, list(y) if isinstance(y, tuple) else y)

    bounds = {
        "float32": [(3, -2), (0, True), (2.5, False)], "int32": [(2, -1), (True, 4), (0, 3000000000)], "int8": [(0, 200), (-300, 3), (False, True)], "uint8": [(-1, 3), (2, -1)], "uint32": [(-5, 5), (0, -1)],
        "int16": [(0, 40000)], "int64": [(0, -1)], "bool": [(2, 3), (0, 2)], "float16": [(1, -1), (0, 70000)],
    }
    for dtype, pairs in bounds.items():
        c.add(f"clip_{dtype}", lambda d=dtype, p=pairs: one((4,), d, lambda x: [ops.clip(x, *b) for b in p]), inputs=None if dtype in ("bool", "float32", "float16") else around)
    for dtype, values in {"uint8": [-2, True], "int8": [200], "int16": [70000], "uint32": [-1], "float32": [True, False], "bool": [True], "float16": [1e6, True]}.items():
        c.add(f"pad_{dtype}", lambda d=dtype, vs=values: one((4,), d, lambda x: [ops.pad(x, ((0, 0), (1, 2)), constant_values=v) for v in vs]), inputs=None if dtype in ("bool", "float32", "float16") else around)

    floats = [-np.inf, -3e38, -1e10, -70000, -300, -1, -0.4, 0, 0.6, 300]
    wholes = [-2147483648, -70000, -32768, -129, -1, 0, 1, 127, 255, 2147483647]
    for dtype in ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64"):
        targets = ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "bool"]

        def extremes(rng, shape, dtype):
            values = floats if "float" in dtype else np.clip(wholes, np.iinfo(dtype).min, np.iinfo(dtype).max)
            return np.tile(np.asarray(ops.convert_to_numpy(ops.cast(np.array(values), dtype))), (shape[0], 1))

        c.add(f"saturate_{dtype}", lambda d=dtype, t=targets: one((10,), d, lambda x: [ops.saturate_cast(x, to) for to in t]), inputs=extremes)
    for dtype in ("float16", "bfloat16"):
        for size in (3, 4, 7, 16, 37):
            c.add(f"std_{dtype}_{size}", lambda d=dtype, n=size: one((n, 5), d, lambda x: [ops.std(x, axis=1), ops.std(x, axis=[1, 2]), ops.std(ops.swapaxes(x, 1, 2), axis=-1, keepdims=True), ops.var(x, axis=1)]))
