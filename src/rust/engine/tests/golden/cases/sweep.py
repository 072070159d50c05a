"""Corners found by a sweep over all layers: arrays as arguments, masks that get lost, sums that TensorFlow takes for biases, half precision."""

import keras
import numpy as np
from common import chain, masked, padded
from keras import layers as L
from keras import ops


def array(*shape):
    return (np.arange(int(np.prod(shape))) / 7.0 - 1).reshape(shape).astype("float32")


def cases(c):
    arrays(c)
    biases(c)
    masks(c)
    states(c)
    halves(c)
    functions(c)
    integers(c)


def arrays(c):
    """numpy arrays and tensors where layers take tensors."""
    for cls in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Concatenate):
        c.add(f"array_{cls.__name__}".lower(), lambda cls=cls: of((3, 4), lambda x: cls()([x, array(1, 3, 4) if cls is not L.Concatenate else x, *([array(1, 3, 4)] if cls not in (L.Subtract, L.Concatenate) else [])])))
    c.add("array_dense", lambda: of((4,), lambda x: L.Add()([x, L.Dense(4)(ops.convert_to_tensor(array(1, 4)))])), optional=True)
    c.add("array_mask", lambda: of((4, 3), lambda x: L.MultiHeadAttention(2, 2)(x, x, attention_mask=np.tril(np.ones((1, 4, 4), "bool")))))
    c.add("array_mask_int", lambda: of((4, 3), lambda x: L.MultiHeadAttention(2, 2)(x, x, attention_mask=ops.cast(ops.arange(4)[:, None] >= ops.arange(4), "int32")[None])))
    c.add("array_half", lambda: of((3, 4), lambda x: ops.cast(L.Multiply(dtype="float16")([x, array(1, 3, 4)]), "float32")))


def of(shape, f):
    x = keras.Input(shape)
    return keras.Model(x, f(x))


def biases(c):
    """Keras adds what looks like a bias along the last axis of its size, or along the first."""
    for name, shape, bias in [
        ("square", (4, 4), (4, 1)), ("square_batch", (4, 4), (1, 4, 1)), ("cube", (4, 4, 4), (4, 1, 1)), ("last", (4, 5, 4), (4, 1, 1)), ("middle", (5, 4, 4), (1, 1, 4, 1)), ("first", (5, 5, 4), (5, 1)), ("other", (4, 5), (4, 1)),
        ("vector", (5, 4), (4,)), ("one", (3, 4), (1,)),
    ]:
        c.add(f"bias_{name}", lambda s=shape, b=bias: of(s, lambda x: [x + array(*b), L.Add()([x, L.Identity()(x) * 0.5, array(*([1] * (len(s) + 1 - len(b))), *b)])]))
        c.add(f"bias_{name}_average", lambda s=shape, b=bias: of(s, lambda x: L.Average()([x, array(*([1] * (len(s) + 1 - len(b))), *b)])))
    c.add("bias_einsum", lambda: chain((3, 5), L.EinsumDense("abc,cd->abd", (3, 3), bias_axes="b")))
    c.add("bias_heads", lambda: of((3, 4), lambda x: L.MultiHeadAttention(3, 1)(x, x)))


def masks(c):
    """MultiHeadAttention takes the masks off its inputs."""

    def residual(after, norm=False):
        def build():
            t = keras.Input((5,), dtype="int32")
            x = L.Embedding(7, 4, mask_zero=True)(t)
            y = L.LayerNormalization()(x) if norm else x
            z = L.Add()([x, L.MultiHeadAttention(2, 3)(y, y)])
            return keras.Model(t, after(z))

        return build

    for name, after in {"gru": lambda z: L.GRU(3)(z), "pool": lambda z: L.GlobalAveragePooling1D()(z), "again": lambda z: L.MultiHeadAttention(2, 2)(z, z, return_attention_scores=True)}.items():
        c.add(f"mask_residual_{name}", residual(after), inputs=padded(7, empty=True))
        c.add(f"mask_residual_norm_{name}", residual(after, True), inputs=padded(7, empty=True))

    def beside():
        t = keras.Input((5,), dtype="int32")
        x = L.Embedding(7, 4, mask_zero=True)(t)
        r, d = L.GRU(3)(x), L.Dropout(0.1)(x)
        y = L.MultiHeadAttention(2, 3)(d, d)
        return keras.Model(t, [r, L.GRU(3)(L.Add()([x, y])), L.GlobalAveragePooling1D()(L.Dense(4)(x)), L.GRU(2)(y)])

    c.add("mask_beside", beside, inputs=padded(7))

    def cross():
        a, b = keras.Input((5,), dtype="int32"), keras.Input((4,), dtype="int32")
        e = L.Embedding(7, 4, mask_zero=True)
        x, y = e(a), e(b)
        x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 2)(query=x, value=x, key=x, use_causal_mask=True)]))
        x = L.Add()([x, L.MultiHeadAttention(2, 2)(query=x, value=y, key=y)])
        return keras.Model([a, b], [L.GRU(3)(x), L.GRU(3)(y)])

    c.add("mask_cross", cross, inputs=[padded(7, empty=True), padded(7)])

    def mixed():
        t = keras.Input((5,), dtype="int32")
        x = L.Embedding(7, 4, mask_zero=True)(t)
        y = L.MultiHeadAttention(2, 3, dtype="float64")(x, x)
        return keras.Model(t, L.GRU(3, dtype="float64")(L.Add(dtype="float64")([x, y])))

    c.add("mask_cast_keeps", mixed, inputs=padded(7))

    def inner():
        t = keras.Input((5,), dtype="int32")
        x = L.Embedding(7, 4, mask_zero=True)(t)
        i = keras.Input((5, 4))
        block = keras.Model(i, L.Add()([i, L.MultiHeadAttention(2, 3)(i, i)]))
        return keras.Model(t, [L.GRU(3)(block(x)), L.GlobalAveragePooling1D()(L.Activation("tanh")(x))])

    c.add("mask_inner", inner, inputs=padded(7))


def states(c):
    """States go on from step to step of TimeDistributed."""
    for name, layer in {"gru": lambda: L.GRU(3, stateful=True), "lstm": lambda: L.LSTM(2, stateful=True), "bi": lambda: L.Bidirectional(L.SimpleRNN(2, stateful=True))}.items():
        c.add(f"steps_{name}", lambda layer=layer: fixed(layer()), rows=4, batch_size=2, repeats=2, row_independent=False, optional=True)


def fixed(layer):
    x = keras.Input(batch_shape=(2, 3, 4, 2))
    return keras.Model(x, L.TimeDistributed(layer)(x))


HALF = "elu selu leaky_relu sigmoid softplus silu gelu hard_sigmoid hard_silu mish log_sigmoid glu softmax log_softmax softsign tanh exponential relu6 celu squareplus sparse_sigmoid".split()


def halves(c):
    for policy in ("mixed_float16", "mixed_bfloat16"):
        for name in HALF:
            c.add(f"{policy}_{name}", lambda p=policy, n=name: of((6,), lambda x: ops.cast(L.Activation(n, dtype=p)(x), "float32")), rows=30)
        c.add(f"{policy}_layers", lambda p=policy: of((6,), lambda x: [ops.cast(l(x), "float32") for l in (L.ELU(0.7, dtype=p), L.LeakyReLU(0.3, dtype=p), L.ReLU(2.0, dtype=p), L.PReLU(dtype=p), L.Softmax(dtype=p), L.Rescaling(0.3, 0.1, dtype=p))]), rows=10)


def functions(c):
    """Layers of all kinds as activations, weights included."""
    layers = {
        "prelu": lambda: L.PReLU(), "softmax": lambda: L.Softmax(axis=[1, 2]), "rescaling": lambda: L.Rescaling(0.5, 1.0), "unit": lambda: L.UnitNormalization(), "dropout": lambda: L.Dropout(0.5), "flatten": lambda: L.Flatten(),
        "half": lambda: L.ReLU(1.0, dtype="mixed_float16"), "sequential": lambda: keras.Sequential([L.ReLU(), L.Dense(4)]), "batch": lambda: L.BatchNormalization(), "layer": lambda: L.LayerNormalization(), "dense": lambda: L.Dense(4),
    }
    for name, layer in layers.items():
        c.add(f"function_{name}", lambda l=layer: chain((3, 6), L.Dense(4, activation=l())), optional=True)
        c.add(f"function_conv_{name}", lambda l=layer: chain((3, 6), L.Conv1D(4, 1, activation=l())), optional=True)
        if name in ("prelu", "half", "batch"):
            c.add(f"function_einsum_{name}", lambda l=layer: chain((3, 6), L.EinsumDense("abc,cd->abd", (None, 4), activation=l())), optional=True)
            c.add(f"function_activation_{name}", lambda l=layer: chain((3, 6), L.Activation(l())), optional=True)


def integers(c):
    for dtype in ("uint8", "int8", "int32", "bool"):
        c.add(f"{dtype}_tanh", lambda d=dtype: chain((3, 4), L.Activation("tanh"), dtype=d), optional=True)
        c.add(f"{dtype}_masked_mean", lambda d=dtype: chain((4, 4), L.Masking(), L.GlobalAveragePooling1D(), dtype=d), inputs=masked() if dtype != "bool" else None, optional=True)
        c.add(f"{dtype}_dot", lambda d=dtype: dot(d), optional=True)
    c.add("sparse_input", lambda: keras.Model(*(lambda x: (x, L.Dense(2)(x)))(keras.Input((4,), sparse=True))), optional=True)


def dot(dtype):
    x, y = keras.Input((4,), dtype=dtype), keras.Input((4,), dtype=dtype)
    return keras.Model([x, y], L.Dot(axes=1)([x, y]))
