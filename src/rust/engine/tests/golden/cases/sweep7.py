"""Found by random models: several tensors from layer to layer of a Sequential, dicts with more than a model takes, ragged inputs, functions of Keras in Lambda, unsorted top_k."""

import keras
from common import bools, chain, ints, padded
from keras import activations
from keras import layers as L
from keras import ops


def cases(c):
    several(c)
    dicts(c)
    c.add("ragged", lambda: ragged((None, 4), L.LSTM(3)), dims=[6])
    c.add("ragged_dense", lambda: ragged((4,), L.Dense(3)), h5=True)
    lambdas(c)
    numbers(c)
    through(c)


def several(c):
    """A layer of a Sequential hands all that it gives to the next one."""
    forks = {
        "list": (lambda x: [x, 2 * x], L.Add), "tuple": (lambda x: (x, L.Dense(4)(x)), lambda: L.Concatenate(axis=-1)),
        "three": (lambda x: [x, x * x, -x], L.Average), "dot": (lambda x: [x, L.Dense(4)(x)], lambda: L.Dot(axes=1)), "dict": (lambda x: {"b": x, "a": 2 * x}, lambda: named(lambda a, b: a - 3 * b)),
    }
    for name, (fork, join) in forks.items():

        def build(fork=fork, join=join):
            x = keras.Input((4,))
            return keras.Sequential([keras.Input((4,)), keras.Model(x, fork(x)), join(), L.Activation("tanh")])

        c.add(f"several_{name}", build)
        c.add(f"several_{name}_nested", lambda f=build: chain((4,), f(), L.Dense(2)))

    def masked():
        x = keras.Input((6, 4))
        return keras.Sequential([keras.Input((6,)), L.Embedding(9, 4, mask_zero=True), keras.Model(x, [x, L.Dense(4)(x)]), L.Add(), L.LSTM(3)])

    c.add("several_masked", masked, inputs=padded(9, empty=True))


def named(f):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    return keras.Model({"a": a, "b": b}, f(a, b))


def dicts(c):
    """Of a dict with more keys than the model has, Keras takes the first ones in their order."""
    for name, more in {"last": "c", "between": "aa", "first": "A"}.items():

        def build(more=more):
            x, y, z = (keras.Input((4,)) for _ in range(3))
            return keras.Model([x, y, z], named(lambda a, b: a - 3 * b)({"b": y, more: z, "a": x}))

        c.add(f"dict_more_{name}", build)


def ragged(shape, layer):
    x = keras.Input(shape, ragged=True)
    return keras.Model(x, layer(x))


def lambdas(c):
    """A function of `keras.activations` is saved by its name."""
    functions = {
        "relu": {"negative_slope": 0.2, "max_value": 1.5, "threshold": 0.1}, "leaky_relu": {"negative_slope": 0.4}, "elu": {"alpha": 0.3}, "celu": {"alpha": 0.6}, "gelu": {"approximate": True},
        "softmax": {"axis": 1}, "log_softmax": {"axis": -2}, "glu": {"axis": 1}, "sparsemax": {"axis": -1}, "hard_shrink": {"threshold": 0.2}, "soft_shrink": {"threshold": 0.1},
        "squareplus": {"b": 2}, "threshold": {"threshold": 0.3, "default_value": -2.0},
    }
    for name, arguments in functions.items():
        f = getattr(activations, name)
        c.add(f"lambda_{name}", lambda f=f, a=arguments: chain((6, 4), L.Lambda(f, arguments=a)))
        if name != "threshold":
            c.add(f"lambda_{name}_plain", lambda f=f: chain((6, 4), L.Lambda(f)))
    for name in ("relu6", "tanh", "linear", "hard_tanh", "exponential"):
        c.add(f"lambda_{name}", lambda f=getattr(activations, name): chain((6, 4), L.Lambda(f, output_shape=(6, 4), dtype="mixed_float16")), h5=name == "tanh")
    for name in ("relu", "linear"):

        def masked(f=getattr(activations, name)):
            i = keras.Input((6,), dtype="int32")
            return keras.Model(i, L.LSTM(3)(L.Lambda(f)(L.Embedding(9, 4, mask_zero=True)(i))))

        c.add(f"lambda_{name}_masked", masked, inputs=padded(9, empty=True))
    c.add("lambda_many", lambda: chain((6, 4), L.TimeDistributed(L.Lambda(activations.silu)), L.Bidirectional(L.GRU(2)), L.Lambda(ops.tanh)), optional=True)


def numbers(c):
    """Integers and booleans where floats are usual, and the order of a heap."""
    for dtype in ("int32", "uint8", "int64"):
        c.add(f"leaky_{dtype}", lambda d=dtype: chain((4,), L.LeakyReLU(0.2), dtype=d), inputs=ints(100) if dtype == "uint8" else ints(9, -9))
        c.add(f"leaky_op_{dtype}", lambda d=dtype: node((4,), lambda x: [ops.leaky_relu(x), activations.relu(x, negative_slope=0.3)], d), inputs=ints(100) if dtype == "uint8" else ints(9, -9))
    c.add("masking_bool", lambda: chain((5, 2), L.Masking(), L.LSTM(3), dtype="bool"), inputs=bools(0.4))
    c.add("masking_bool_out", lambda: chain((5, 2), L.Masking(), dtype="bool"), inputs=bools(0.4))
    c.add("masking_bool_value", lambda: chain((5, 2), L.Masking(-1), dtype="bool"), inputs=bools(0.4))
    for n, k in ((3, 2), (5, 3), (7, 3), (8, 5), (12, 11), (40, 9), (4, 4), (6, 1), (100, 20)):
        c.add(f"top_unsorted_{n}_{k}", lambda n=n, k=k: node((n,), lambda x: ops.top_k(x, k, sorted=False)))
    c.add("top_unsorted_ties", lambda: node((3, 15), lambda x: ops.top_k(x, k=6, sorted=False), "int32"), inputs=ints(6))
    c.add("top_unsorted_half", lambda: node((15,), lambda x: ops.top_k(x, 4, False), "float16"))
    for name, shape in {"scalar": (), "matrix": (2, 3)}.items():
        c.add(f"unravel_{name}", lambda s=shape: node((6, 4), lambda x: ops.unravel_index(ops.argmax(x) if s == () else ops.cast(ops.abs(x[:, :2, :3] * 9), "int32"), (3, 4, 5))), row_independent=False, call={"training": False})


def node(shape, f, dtype=None):
    x = keras.Input(shape, dtype=dtype)
    return keras.Model(x, f(x))


def through(c):
    """Layers that act in training only hand on what they are given, be it lists or dicts."""
    layers = {"dropout": lambda: L.Dropout(0.3), "noise": lambda: L.GaussianNoise(0.2), "alpha": lambda: L.AlphaDropout(0.3), "factor": lambda: L.GaussianDropout(0.3), "penalty": lambda: L.ActivityRegularization(0.1)}
    for name, layer in layers.items():

        def build(layer=layer, keys=None):
            x, y = keras.Input((4,)), keras.Input((3,))
            return keras.Model([x, y], layer()(dict(zip(keys, [x, y])) if keys else [x, y]))

        c.add(f"through_{name}", build)
        c.add(f"through_{name}_dict", lambda f=build: f(keys="ba"))
