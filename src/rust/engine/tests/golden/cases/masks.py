"""Masks on their way through all layers that pass, use or drop them."""

import keras
from common import chain, masked, padded
from keras import layers as L


def tail():
    """Layers that show what mask has reached them."""
    return L.LSTM(3)


def tokens(*stack, embed=4, steps=6, mask_zero=True):
    return chain((steps,), L.Embedding(9, embed, mask_zero=mask_zero), *stack, dtype="int32")


def branches(merge, dim2=4, second_mask=True, after=tail):
    def build():
        a, b = keras.Input((6,), dtype="int32", name="a"), keras.Input((6,), dtype="int32", name="b")
        x = L.Embedding(9, 4, mask_zero=True)(a)
        y = L.Embedding(9, dim2, mask_zero=second_mask)(b)
        return keras.Model([a, b], after()(merge()([x, y])))

    return build


def cases(c):
    both = [padded(9), padded(9, left=True)]
    through = {
        "dense": lambda: L.Dense(3), "dropout": lambda: L.Dropout(0.4), "activation": lambda: L.Activation("tanh"), "identity": lambda: L.Identity(),
        "layer_norm": lambda: L.LayerNormalization(), "batch_norm": lambda: L.BatchNormalization(), "unit_norm": lambda: L.UnitNormalization(),
        "rms_norm": lambda: L.RMSNormalization(), "group_norm": lambda: L.GroupNormalization(2), "relu": lambda: L.ReLU(), "leaky_relu": lambda: L.LeakyReLU(),
        "prelu": lambda: L.PReLU(), "elu": lambda: L.ELU(),
        "rescaling": lambda: L.Rescaling(2.0), "noise": lambda: L.GaussianNoise(0.1), "spatial_dropout": lambda: L.SpatialDropout1D(0.1),
        "activity": lambda: L.ActivityRegularization(0.1), "masking_again": lambda: L.Masking(0.0), "time_distributed": lambda: L.TimeDistributed(L.Dense(3)),
        "einsum_dense": lambda: L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), "lstm": lambda: L.LSTM(3, return_sequences=True),
        "bidirectional": lambda: L.Bidirectional(L.GRU(3, return_sequences=True)),
        "conv1d_same": lambda: L.Conv1D(3, 3, padding="same"), "padding": lambda: L.ZeroPadding1D(1), "cropping": lambda: L.Cropping1D(1),
        "upsampling": lambda: L.UpSampling1D(2), "max_pooling": lambda: L.MaxPooling1D(2), "permute": lambda: L.Permute((2, 1)),
        "reshape": lambda: L.Reshape((6, 4)), "normalization": lambda: L.Normalization(mean=[0.0] * 4, variance=[1.0] * 4),
        "alpha_dropout": lambda: L.AlphaDropout(0.1), "gaussian_dropout": lambda: L.GaussianDropout(0.1),
    }
    for n, layer in through.items():
        c.add(f"through_{n}", lambda layer=layer: tokens(layer(), tail()), inputs=padded(9), optional=True, h5=n in ("dense", "dropout"))
        c.add(f"pool_{n}", lambda layer=layer: tokens(layer(), L.GlobalAveragePooling1D()), inputs=padded(9), optional=True)
    c.add("flatten_drops", lambda: tokens(L.Flatten(), L.Dense(2)), inputs=padded(9))
    c.add("global_max", lambda: tokens(L.GlobalMaxPooling1D()), inputs=padded(9))
    c.add("repeat_vector", lambda: tokens(L.LSTM(3), L.RepeatVector(3), tail()), inputs=padded(9))

    for cls in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum):
        n = cls.__name__.lower()
        c.add(f"merge_{n}", branches(cls), inputs=both, optional=True)
        c.add(f"merge_{n}_one_mask", branches(cls, second_mask=False), inputs=both, optional=True)
        c.add(f"merge_{n}_alone", branches(cls, after=L.Identity), inputs=both, optional=True)
        c.add(f"merge_{n}_pool", branches(cls, after=L.GlobalAveragePooling1D), inputs=both, optional=True)
    c.add("merge_concatenate", branches(L.Concatenate, dim2=3), inputs=both)
    c.add("merge_concatenate_one_mask", branches(L.Concatenate, dim2=3, second_mask=False), inputs=both)
    c.add("merge_concatenate_steps", branches(lambda: L.Concatenate(axis=1)), inputs=both)
    c.add("merge_concatenate_steps_one_mask", branches(lambda: L.Concatenate(axis=1), second_mask=False), inputs=both, optional=True)
    c.add("merge_concatenate_pool", branches(L.Concatenate, dim2=3, after=L.GlobalAveragePooling1D), inputs=both)
    c.add("merge_dot", branches(lambda: L.Dot(axes=2), after=L.Identity), inputs=both)
    c.add("merge_operator", lambda: operator(), inputs=both)

    c.add("masking_value", lambda: chain((5, 3), L.Masking(-4200000.0), L.Bidirectional(L.LSTM(3, return_sequences=True)), L.TimeDistributed(L.Dense(2))), inputs=masked(-4200000.0))
    c.add("masking_minus_one", lambda: chain((5, 3), L.Masking(-1.0), L.GRU(3, return_sequences=True), L.LSTM(2)), inputs=masked(-1.0, empty=True), h5=True)
    c.add("masking_rank4", lambda: chain((5, 2, 3), L.Masking(0.0), L.TimeDistributed(L.Dense(2)), L.Flatten()), inputs=masked())
    c.add("softmax_mask_input", softmax_mask, optional=True)
    c.add("nested_model", nested, inputs=padded(9), h5=True)
    c.add("nested_sequential", lambda: tokens(keras.Sequential([L.Dense(3), L.Dropout(0.2)]), tail()), inputs=padded(9), optional=True)
    c.add("explicit_mask_argument", explicit, optional=True)
    c.add("shared_embedding", shared_embedding, inputs=both, h5=True)
    c.add("empty_rows_everywhere", lambda: tokens(L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Bidirectional(L.GRU(2)), L.Dense(2)), inputs=padded(9, empty=True))
    c.add("holes", lambda: tokens(L.Bidirectional(L.SimpleRNN(3, return_sequences=True)), L.GRU(2)), inputs=padded(9, holes=True))
    c.add("state_from_masked", state_from_masked, inputs=both)
    c.add("attention_pool", attention_pool, inputs=both)


def operator():
    """An op is no layer: it drops the mask."""
    a, b = keras.Input((6,), dtype="int32", name="a"), keras.Input((6,), dtype="int32", name="b")
    e = L.Embedding(9, 4, mask_zero=True)
    return keras.Model([a, b], L.LSTM(3)(e(a) + e(b)))


def softmax_mask():
    x, m = keras.Input((5, 4)), keras.Input((5, 4), dtype="bool")
    return keras.Model([x, m], L.Softmax()(x, mask=m))


def explicit():
    x, m = keras.Input((5, 4), name="x"), keras.Input((5,), dtype="bool", name="m")
    return keras.Model([x, m], [L.LSTM(3)(x, mask=m), L.GlobalAveragePooling1D()(x, mask=m), L.Bidirectional(L.GRU(2))(x, mask=m)])


def nested():
    x = keras.Input((None, 4))
    inner = keras.Model(x, L.Dense(3)(L.Dropout(0.1)(x)), name="inner")
    t = keras.Input((6,), dtype="int32")
    return keras.Model(t, L.LSTM(3)(inner(L.Embedding(9, 4, mask_zero=True)(t))))


def shared_embedding():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    e, r = L.Embedding(9, 4, mask_zero=True), L.LSTM(3)
    return keras.Model([a, b], L.Dense(2)(L.Concatenate()([r(e(a)), r(e(b))])))


def state_from_masked():
    a, b = keras.Input((6,), dtype="int32", name="a"), keras.Input((6,), dtype="int32", name="b")
    e = L.Embedding(9, 4, mask_zero=True)
    _, h, s = L.LSTM(3, return_state=True)(e(a))
    y = L.LSTM(3, return_sequences=True)(e(b), initial_state=[h, s])
    return keras.Model([a, b], L.TimeDistributed(L.Dense(2, activation="softmax"))(y))


def attention_pool():
    a, b = keras.Input((6,), dtype="int32", name="a"), keras.Input((6,), dtype="int32", name="b")
    e = L.Embedding(9, 4, mask_zero=True)
    q, v = L.Conv1D(3, 2, padding="same")(e(a)), L.Conv1D(3, 2, padding="same")(e(b))
    y = L.Attention()([q, v])
    return keras.Model([a, b], L.Concatenate()([L.GlobalAveragePooling1D()(q), L.GlobalAveragePooling1D()(y)]))
