"""Operations whose sizes the data decide, complex tensors, mapped layers, beam search, elastic transforms, and layers as activations of cells."""

import keras
import numpy as np
from common import bools, ints, masked, normal, uniform
from keras import layers as L
from keras import ops as K

WHOLE = {"call": {"training": False}, "row_independent": False}
# one batch of all rows, whose data decide sizes
OPEN = {"row_independent": False}


def cases(c):
    def node(name, fn, *inputs, **options):
        c.add(name, lambda: graph(fn, inputs), **options)

    sizes(node)
    complexes(node)
    mapped(node)
    beams(node)
    elastic(node)
    functions(c)
    masks(c)


def graph(fn, inputs):
    xs = [keras.Input(**spec) if isinstance(spec, dict) else keras.Input(spec) for spec in inputs]
    y = fn(*xs)
    return keras.Model(xs if len(xs) > 1 else xs[0], list(y) if isinstance(y, (list, tuple)) else y)


def of(shape, dtype):
    return {"shape": shape, "dtype": dtype}


def sizes(node):
    some = ints(3)
    node("nonzero", lambda x: K.nonzero(x), of((4,), "int32"), inputs=some, **OPEN)
    node("nonzero_rank_1", lambda x: K.nonzero(x), of((), "float32"), inputs=some, rows=7, **OPEN)
    node("nonzero_rank_3", lambda x: K.stack(K.nonzero(x), -1), of((2, 3), "bool"), inputs=bools(0.4), **OPEN)
    node("nonzero_none", lambda x: K.nonzero(x), (3,), inputs=ints(1), **OPEN)
    node("nonzero_taken", lambda x: K.take(K.ravel(x), K.nonzero(K.ravel(x) > 0)[0]), (5,), **OPEN)
    node("where_alone", lambda x: K.where(x > 0), (3,), **OPEN)
    node("unique_open", lambda x: K.unique(x), of((), "int32"), inputs=ints(5), rows=9, **OPEN)
    everything = {"return_index": True, "return_inverse": True, "return_counts": True}
    for kind in (True, False):
        tag = "sorted" if kind else "unsorted"
        node(f"unique_open_{tag}", lambda x, k=kind: K.unique(x, sorted=k, **everything), of((3,), "int32"), inputs=ints(5), **OPEN)
        node(f"unique_floats_{tag}", lambda x, k=kind: K.unique(x, sorted=k, **everything), (2,), inputs=ints(3, -2), **OPEN)
        for axis in (0, 1, -1):
            name = f"unique_axis_{'last' if axis < 0 else axis}_{tag}"
            node(name, lambda x, k=kind, a=axis: K.unique(x, sorted=k, axis=a, **everything), of((3, 2), "int32"), inputs=ints(2), rows=6, **OPEN)
        node(f"unique_axis_sized_{tag}", lambda x, k=kind: K.unique(x, sorted=k, axis=0, size=5, fill_value=7, **everything), of((2,), "int32"), inputs=ints(3), rows=8, **OPEN)
        node(f"unique_axis_cut_{tag}", lambda x, k=kind: K.unique(x, sorted=k, axis=1, size=2, **everything), of((5,), "int32"), inputs=ints(2), rows=2, **OPEN)
    for n in ("sum", "max", "min", "prod"):
        fn = getattr(K, f"segment_{n}")
        dense = sequence if n == "sum" else ints(4)
        node(f"segment_{n}_open", lambda x, i, f=fn: f(x, i), (3,), of((), "int32"), inputs=[normal(), dense], rows=7, **OPEN)
        node(f"segment_{n}_open_sorted", lambda x, i, f=fn: f(x, i, sorted=True), (3,), of((), "int32"), inputs=[normal(), rising], rows=7, **OPEN)
        node(f"segment_{n}_open_int", lambda x, i, f=fn: f(x, i), of((), "int32"), of((), "int64"), inputs=[ints(5, -5), dense], rows=7, **OPEN)
    node("bincount_open", lambda x: K.bincount(x), of((5,), "int32"), inputs=ints(6), **OPEN)
    node("bincount_minlength_below", lambda x: K.bincount(x, minlength=3), of((5,), "int32"), inputs=ints(6), **OPEN)
    node("bincount_minlength_above", lambda x: K.bincount(x, minlength=9), of((5,), "int32"), inputs=ints(6), **OPEN)
    node("bincount_rank_1", lambda x: K.bincount(x), of((), "int32"), inputs=ints(6), rows=9, **OPEN)
    node("bincount_uint8", lambda x: K.bincount(x), of((5,), "uint8"), inputs=ints(6), **OPEN)
    node("two_sizes", lambda x: [K.sum(K.nonzero(x)[1]), K.unique(x)], of((4,), "int32"), inputs=ints(3), **WHOLE)


def sequence(rng, shape, dtype):
    """All of 0 to 3, in any order."""
    return rng.permutation(np.resize(np.arange(4), shape)).astype(dtype)


def rising(rng, shape, dtype):
    return np.sort(rng.integers(0, 6, size=shape)).astype(dtype)


def z(rng, shape, dtype):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


def complexes(node):
    x, y = of((4,), "complex64"), of((3, 4), "complex64")
    one = {
        "parts": lambda x: [K.real(x), K.imag(x)],
        "abs": K.abs,
        "angle": K.angle,
        "conj": K.conj,
        "negative": lambda x: -x,
        "square": K.square,
        "exp": K.exp,
        "log": K.log,
        "sqrt": K.sqrt,
        "reciprocal": K.reciprocal,
        "sum": lambda x: K.sum(x, axis=-1),
        "mean": lambda x: K.mean(x, axis=1, keepdims=True),
        "cumsum": lambda x: K.cumsum(x, axis=1),
        "reshape": lambda x: K.reshape(x, (-1, 2, 6)),
        "transpose": lambda x: K.transpose(x, (0, 2, 1)),
        "expand_dims": lambda x: K.expand_dims(x, -1),
        "squeeze": lambda x: K.squeeze(K.expand_dims(x, 1), 1),
        "item": lambda x: x[:, 1, ::2],
        "flip": lambda x: K.flip(x, axis=-1),
        "roll": lambda x: K.roll(x, 1, axis=1),
        "tile": lambda x: K.tile(x, (1, 2, 1)),
        "repeat": lambda x: K.repeat(x, 2, axis=1),
        "pad": lambda x: K.pad(x, ((0, 0), (1, 0), (0, 2))),
        "split": lambda x: K.split(x, 2, axis=-1),
        "take": lambda x: K.take(x, [2, 0], axis=1),
        "diagonal": lambda x: K.diagonal(x, axis1=1, axis2=2),
        "moveaxis": lambda x: K.moveaxis(x, 1, 2),
        "swapaxes": lambda x: K.swapaxes(x, 1, 2),
        "unstack": lambda x: K.unstack(x, axis=1),
        "view_as_real": K.view_as_real,
        "cast": lambda x: K.cast(x, "float32"),
        "add_number": lambda x: x + 2,
        "subtract_number": lambda x: 1.5 - x,
        "multiply_number": lambda x: x * -2.5,
        "divide_number": lambda x: x / 4,
        "identity": lambda x: L.Identity()(x),
        "flatten": lambda x: L.Flatten()(x),
    }
    for name, fn in one.items():
        node(f"complex_{name}", fn, y, inputs=z, optional=True)
    two = {
        "add": lambda x, y: x + y,
        "subtract": lambda x, y: x - y,
        "multiply": lambda x, y: x * y,
        "divide": lambda x, y: x / y,
        "equal": lambda x, y: [K.equal(x, y), K.not_equal(x, y)],
        "matmul": lambda x, y: K.matmul(x, K.transpose(y, (0, 2, 1))),
        "concatenate": lambda x, y: K.concatenate([x, y], axis=1),
        "stack": lambda x, y: K.stack([x, y], axis=-1),
        "where": lambda x, y: K.where(K.abs(x) > 1.0, x, y),
    }
    for name, fn in two.items():
        node(f"complex_{name}", fn, y, y, inputs=[z, z], optional=True)
    node("complex_plus_real", lambda x, r: x + r, x, (4,), inputs=[z, normal()], optional=True)
    node("complex_times_int", lambda x, r: x * r, x, of((4,), "int32"), inputs=[z, ints(5)], optional=True)
    node("complex_matmul_vectors", lambda x, y: K.matmul(x, y), y, of((4, 2), "complex64"), inputs=[z, z], optional=True)
    node("complex_output", lambda x: K.cast(x, "complex64"), (3,))
    node("complex_output_64", lambda x: K.cast(x, "complex128"), (3,))
    node("complex_output_scalars", lambda x: K.sum(K.cast(x, "complex64"), axis=-1), (3,))
    node("complex_output_polar", lambda x, y: K.nn.polar(x, y), (3,), (3,))
    node("complex_input_64", lambda x: [K.real(x), K.abs(x)], of((3,), "complex128"), inputs=z)
    node("complex_input_rows", lambda x: K.abs(x), of((), "complex64"), inputs=z, rows=5)
    node("complex_batches", lambda x: [x * x, K.real(x)], x, inputs=z, rows=7, batch_size=3)
    node("complex_spectrum", lambda x: K.abs(K.nn.polar(*K.rfft(x))), (8,), optional=True)
    node("complex_nested", lambda x: inner()(x), x, inputs=z, optional=True)


def inner():
    x = keras.Input((4,), dtype="complex64")
    return keras.Model(x, x * x + 1)


def mapped(node):
    node("vectorized_map_dense", lambda x: K.vectorized_map(L.Dense(2), x), (3, 4))
    node("vectorized_map_deep", lambda x: L.Dense(3)(K.vectorized_map(L.Dense(2, activation="relu"), L.Dense(5)(x))), (3, 4))
    node("vectorized_map_twice", lambda x: [K.vectorized_map(L.Dense(2), x), K.vectorized_map(L.Dense(3), x), K.vectorized_map(L.Dense(4), K.vectorized_map(L.Dense(2), x))], (3, 4))
    node("vectorized_map_model", lambda x: K.vectorized_map(keras.Sequential([keras.Input((4,)), L.Dense(3, "tanh"), L.Dense(2)]), x), (3, 4))
    node("vectorized_map_function", lambda x: K.vectorized_map(keras.activations.gelu, x), (3, 4))
    node("vectorized_map_activation", lambda x: K.vectorized_map(L.Activation("softmax"), x), (3, 4))
    node("vectorized_map_conv", lambda x: K.vectorized_map(L.Conv1D(2, 3), x), (2, 6, 4), optional=True)
    node("map_function", lambda x: K.map(keras.activations.relu, x), (3, 4))
    node("map_softmax", lambda x: K.map(keras.activations.softmax, x), (3, 4))
    node("map_activation", lambda x: K.map(L.Activation("tanh"), x), (3, 4))
    node("map_reshape", lambda x: K.map(L.Reshape((2, 2)), x), (3, 4))
    node("map_shared", shared, (3, 4))


def shared(x):
    layer = L.Dense(4)
    return [layer(x), K.map(layer, x)]


def beams(node):
    length = of((), "int32")
    for i, options in enumerate(({}, {"beam_width": 5}, {"beam_width": 3, "top_paths": 3}, {"beam_width": 8, "top_paths": 2, "mask_index": 4}, {"beam_width": 4, "mask_index": 2}, {"beam_width": 6, "top_paths": 2, "mask_index": None})):
        node(f"ctc_beam_{i}", lambda o, n, k=options: K.ctc_decode(o, n, strategy="beam_search", **k), (9, 5), length, inputs=[normal(2.0), ints(10, 4)], **WHOLE)
    node("ctc_beam_flat", lambda o, n: K.ctc_decode(o, n, strategy="beam_search", beam_width=7, top_paths=4), (12, 4), length, inputs=[normal(0.3), ints(13, 5)], **WHOLE)
    node("ctc_beam_float64", lambda o, n: K.ctc_decode(o, n, strategy="beam_search", beam_width=7), of((6, 4), "float64"), length, inputs=[normal(), ints(7, 3)], **WHOLE)
    node("ctc_beam_float16", lambda o, n: K.ctc_decode(o, n, strategy="beam_search", beam_width=7), of((6, 4), "float16"), length, inputs=[normal(), ints(7, 3)], **WHOLE)


def elastic(node):
    image = uniform(0.0, 1.0)
    ways = {
        0: {"seed": 3},
        1: {"seed": 77, "alpha": 5.0, "sigma": 1.5},
        2: {"seed": 1, "interpolation": "nearest", "alpha": 3.0, "sigma": 1.0},
        3: {"seed": 2, "fill_mode": "constant", "fill_value": 0.5},
        4: {"seed": 2, "fill_mode": "wrap"},
        6: {"seed": 2, "fill_mode": "nearest"},
        7: {"seed": -4},
    }
    for name, options in ways.items():
        node(f"elastic_{name}", lambda x, k=options: K.image.elastic_transform(x, **k), (9, 8, 2), inputs=image, rows=3, **WHOLE)
    node("elastic_float64", lambda x: K.image.elastic_transform(x, seed=5, sigma=2.0), of((6, 5, 1), "float64"), inputs=image, rows=3, **WHOLE)
    node("elastic_first", lambda x: K.image.elastic_transform(x, seed=5, sigma=2.0, data_format="channels_first"), (2, 6, 5), inputs=image, rows=3, **WHOLE)


def functions(c):
    """Layers as activations."""
    layers = {
        "relu": lambda: L.ReLU(max_value=1.0),
        "leaky": lambda: L.LeakyReLU(negative_slope=0.2),
        "elu": lambda: L.ELU(alpha=0.7),
        "prelu": lambda: L.PReLU(),
        "softmax": lambda: L.Softmax(),
        "activation": lambda: L.Activation("gelu"),
        "layer_norm": lambda: L.LayerNormalization(),
        "dense": lambda: L.Dense(3),
        "function": lambda: keras.activations.silu,
        "text": lambda: "hard_tanh",
    }
    recurrent = {
        "lstm": lambda **k: L.LSTM(3, **k),
        "gru": lambda **k: L.GRU(3, **k),
        "simple": lambda **k: L.SimpleRNN(3, **k),
    }
    for kind, make in recurrent.items():
        for name, layer in layers.items():
            if kind == "simple" and name in ("elu", "activation", "function", "text"):
                continue
            c.add(f"{kind}_{name}", lambda m=make, f=layer: graph(m(activation=f(), return_sequences=True), [(4, 2)]), optional=True)
        if kind != "simple":
            c.add(f"{kind}_gate_prelu", lambda m=make: graph(m(recurrent_activation=L.PReLU()), [(4, 2)]), optional=True)
            c.add(f"{kind}_gate_relu", lambda m=make: graph(m(recurrent_activation=L.ReLU(max_value=1.0), activation=L.ReLU()), [(4, 2)]), optional=True)
    c.add("cells_leaky", lambda: graph(L.RNN([L.LSTMCell(3, activation=L.LeakyReLU()), L.GRUCell(2, activation=L.PReLU())]), [(4, 2)]), optional=True)
    c.add("bidirectional_leaky", lambda: graph(L.Bidirectional(L.LSTM(3, activation=L.LeakyReLU())), [(4, 2)]), optional=True)
    c.add("bidirectional_prelu", lambda: graph(L.Bidirectional(L.GRU(3, activation=L.PReLU())), [(4, 2)]), optional=True)
    c.add("masked_prelu", lambda: graph(lambda x: L.LSTM(3, activation=L.PReLU())(L.Masking()(x)), [(5, 2)]), inputs=masked(), optional=True)
    c.add("conv_lstm_leaky", lambda: graph(L.ConvLSTM1D(2, 3, activation=L.LeakyReLU()), [(3, 5, 2)]), optional=True)
    c.add("conv_lstm_relu", lambda: graph(L.ConvLSTM2D(2, 2, activation=L.ReLU(), recurrent_activation=L.ReLU(max_value=1.0)), [(2, 4, 4, 1)]), optional=True)
    others = {
        "einsum_dense": (lambda f: L.EinsumDense("abc,cd->abd", (None, 3), activation=f), (4, 2)),
        "conv1d": (lambda f: L.Conv1D(3, 2, activation=f), (4, 2)),
        "conv1d_transpose": (lambda f: L.Conv1DTranspose(3, 2, activation=f), (4, 2)),
        "depthwise": (lambda f: L.DepthwiseConv1D(2, activation=f), (4, 3)),
        "separable": (lambda f: L.SeparableConv1D(3, 2, activation=f), (4, 2)),
        "time": (lambda f: L.TimeDistributed(L.Dense(3, activation=f)), (4, 2)),
    }
    for kind, (make, shape) in others.items():
        for name in ("leaky", "prelu", "dense"):
            c.add(f"{kind}_{name}", lambda m=make, s=shape, f=layers[name]: graph(m(f()), [s]), optional=True)


def masks(c):
    """Attention masks of heads beside implicit masks, which broadcast over heads as they are."""

    def attention(layer, heads, call):
        x = keras.Input((4, 3))
        m = keras.Input((heads, 4, 4), dtype="bool")
        y = L.Masking()(x)
        return keras.Model([x, m], layer()(y, y, attention_mask=m, **call))

    for heads in (1, 2):
        for tag, call in {"plain": {}, "causal": {"use_causal_mask": True}, "scores": {"return_attention_scores": True}}.items():
            for name, layer in {"mha": lambda: L.MultiHeadAttention(2, 3), "gqa": lambda: L.GroupQueryAttention(3, 2, 1)}.items():
                c.add(f"{name}_masked_{tag}_{heads}", lambda l=layer, h=heads, k=call: attention(l, h, k), inputs=[masked(), bools(0.7, True)], rows=2, optional=True, **OPEN)
