"""Found by random models: when a mask is on a tensor, and when it is taken off."""

import keras
from common import padded
from keras import layers as L
from keras import ops


def cases(c):
    order(c)
    same_tensor(c)


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
