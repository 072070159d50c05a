"""Shapes of models: nests of inputs and outputs, models in models, shared layers, unknown dims."""

import keras
import numpy as np
from common import ints, padded, sequential
from keras import layers as L


def cases(c):
    for make in (one_in_list, two_in, dict_in, nested_in, mixed_in, two_out, dict_out, nested_out, list_of_one_out, dict_both, same_output_twice, input_is_output,
                 unused_layer_output, rank1_out, unordered_dict, unicode_keys, names_with_dots, three_towers, layer_three_times, shared_across,
                 residual_deep, diamond, inception, unknown_image, tuple_in):
        c.add(make.__name__, make, optional=make is shared_across, h5=make.__name__ in (
            "two_in", "two_out", "dict_in", "dict_out", "layer_three_times", "three_towers", "diamond", "inception", "one_in_list", "unknown_image", "same_output_twice"))
    for make in (sequential_in_functional, functional_in_functional, functional_in_sequential, sequential_in_sequential, three_deep, inner_called_twice, inner_many_outputs,
                 inner_many_inputs, inner_dicts, inner_time_distributed, inner_shared_with_outer, inner_passes_input_through, inner_with_ops, inner_frozen, inner_bidirectional,
                 wrapped_twice, same_class_many, inner_in_bidirectional_sequence, inner_output_used_twice, input_layer_shared_names):
        c.add(make.__name__, make, h5=make.__name__ not in ("inner_with_ops",), optional=make is inner_shared_with_outer)
    c.add("text_and_numbers", text_and_numbers, inputs=[padded(20), None, ints(5)], h5=True)
    c.add("long_sequential", lambda: sequential((4,), *[L.Dense(4, activation="tanh") for _ in range(30)]), h5=True)
    c.add("mlp_batches", lambda: sequential((20,), L.Dense(16, activation="relu"), L.Dense(16, activation="relu"), L.Dense(1)), rows=70, batch_size=32, h5=True)
    c.add("cnn", lambda: sequential((12, 12, 1), L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(2), L.Conv2D(6, 3, activation="relu"), L.Flatten(), L.Dropout(0.3),
                                    L.Dense(5, activation="softmax")), rows=5, batch_size=2, h5=True)
    c.add("autoencoder", lambda: sequential((8, 8, 2), L.Conv2D(4, 3, strides=2, padding="same", activation="relu"), L.BatchNormalization(), L.UpSampling2D(2),
                                            L.Conv2DTranspose(2, 3, padding="same", activation="sigmoid")), h5=True)
    c.add("compiled", compiled, h5=True)
    c.add("many_rows", lambda: sequential((3,), L.Dense(4, activation="relu"), L.Dense(2)), rows=131, batch_size=64)


def inp(*shape, name=None, dtype=None):
    return keras.Input(shape, name=name, dtype=dtype)


def one_in_list():
    x = inp(4)
    return keras.Model([x], L.Dense(3)(x))


def tuple_in():
    x, y = inp(4, name="x"), inp(3, name="y")
    return keras.Model((x, y), L.Concatenate()([L.Dense(2)(y), x]))


def two_in():
    x, y = inp(4, name="zeta"), inp(3, name="alpha")
    return keras.Model([x, y], L.Dense(2)(L.Concatenate()([x, y])))


def dict_in():
    x, y = inp(4, name="in_one"), inp(3, name="in_two")
    return keras.Model({"zeta": x, "alpha": y}, L.Dense(2)(L.Concatenate()([x, y])))


def unordered_dict():
    x, y, z = inp(4, name="c"), inp(3, name="a"), inp(2, name="b")
    return keras.Model({"c": x, "a": y, "b": z}, {"q": L.Dense(2)(x), "p": L.Dense(2)(y), "r": L.Dense(2)(z)})


def nested_in():
    x, y, z = inp(4, name="x"), inp(3, name="y"), inp(2, name="z")
    return keras.Model({"b": [x, y], "a": {"k": z}}, L.Concatenate()([x, y, z]))


def mixed_in():
    x, y, z = inp(4, name="x"), inp(3, name="y", dtype="int32"), inp(2, name="z", dtype="bool")
    return keras.Model([x, {"y": y, "z": z}], [L.Dense(2)(x), L.Dense(2)(y), z])


def two_out():
    x = inp(4)
    y = L.Dense(3)(x)
    return keras.Model(x, [L.Dense(2, name="second")(y), L.Dense(1, name="first")(y)])


def dict_out():
    x = inp(4)
    y = L.Dense(3)(x)
    return keras.Model(x, {"zeta": L.Dense(2)(y), "alpha": L.Dense(1)(y)})


def nested_out():
    x = inp(4)
    a, b, d = L.Dense(3)(x), L.Dense(2)(x), L.Dense(1)(x)
    return keras.Model(x, {"b": [a, b], "a": {"k": d, "c": a}})


def list_of_one_out():
    x = inp(4)
    return keras.Model(x, [L.Dense(3)(x)])


def dict_both():
    x, y = inp(4, name="x"), inp(4, name="y")
    layer = L.Dense(3)
    return keras.Model({"x": x, "y": y}, {"x": layer(x), "y": layer(y), "sum": L.Add()([layer(x), layer(y)])})


def same_output_twice():
    x = inp(4)
    y = L.Dense(3)(x)
    return keras.Model(x, [y, y, L.Dense(2)(y)])


def input_is_output():
    x, y = inp(4, name="x"), inp(3, name="y")
    return keras.Model([x, y], [y, L.Dense(2)(x), x])


def unused_layer_output():
    x = inp(5, 3)
    _, h, _ = L.LSTM(4, return_state=True, return_sequences=True)(x)
    return keras.Model(x, h)


def rank1_out():
    x = inp(4)
    return keras.Model(x, [L.Reshape(())(L.Dense(1)(x)), L.Dense(2)(x)])


def unicode_keys():
    x = inp(4)
    return keras.Model(x, {"größe": L.Dense(3)(x), "Ärger": L.Dense(2)(x), "zahl": L.Dense(1)(x)})


def names_with_dots():
    x = inp(4, name="block1_in")
    return keras.Model(x, L.Dense(2, name="block1.dense-b")(L.Dense(3, name="block1.dense-a")(x)))


def three_towers():
    xs = [inp(4, name=f"in{i}") for i in range(3)]
    towers = [L.Dense(3, activation="relu", name=f"tower{i}")(x) for i, x in enumerate(xs)]
    return keras.Model(xs, [L.Dense(1)(L.Add()(towers)), L.Average()(towers[1:])])


def layer_three_times():
    x = inp(4)
    layer = L.Dense(4, activation="tanh")
    return keras.Model(x, layer(layer(layer(x))))


def shared_across():
    """One layer used in an inner model and outside of it."""
    layer = L.Dense(4, activation="tanh")
    a = inp(4)
    inner = keras.Model(a, layer(a))
    x = inp(4)
    return keras.Model(x, L.Subtract()([L.Dense(4)(inner(x)), layer(x)]))


def residual_deep():
    x = h = inp(4)
    for _ in range(6):
        h = L.Add()([h, L.Dense(4, activation="relu")(L.LayerNormalization()(h))])
    return keras.Model(x, h)


def diamond():
    x = inp(4)
    a = L.Dense(4, name="a")(x)
    b, d = L.Dense(4, name="b")(a), L.Dense(4, name="d")(a)
    return keras.Model(x, L.Concatenate()([L.Multiply()([b, d]), a]))


def inception():
    x = inp(8, 8, 3)
    parts = [L.Conv2D(2, 1, activation="relu")(x), L.Conv2D(2, 3, padding="same", activation="relu")(x), L.Conv2D(2, 5, padding="same")(x),
             L.Conv2D(2, 1)(L.MaxPooling2D(3, strides=1, padding="same")(x))]
    return keras.Model(x, L.GlobalAveragePooling2D()(L.Concatenate()(parts)))


def unknown_image():
    x = inp(None, None, 2)
    y = L.Conv2D(3, 3, strides=2, padding="same")(x)
    return keras.Model(x, L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2DTranspose(2, 3, strides=2)(y))))


# ---- models in models -------------------------------------------------------------------------


def sequential_in_functional():
    x = inp(4)
    inner = keras.Sequential([inp(4), L.Dense(5, activation="relu"), L.Dense(3)], name="inner")
    return keras.Model(x, L.Dense(2)(inner(x)))


def functional_in_functional():
    a = inp(4)
    inner = keras.Model(a, L.Add()([L.Dense(4)(a), a]), name="inner")
    x = inp(4)
    return keras.Model(x, L.Dense(2)(inner(L.Dense(4)(x))))


def functional_in_sequential():
    a = inp(4)
    inner = keras.Model(a, L.Multiply()([L.Dense(4)(a), a]))
    return keras.Sequential([inp(4), L.Dense(4), inner, L.Dense(2)])


def sequential_in_sequential():
    return keras.Sequential([inp(4), keras.Sequential([L.Dense(5), L.Dense(4)]), keras.Sequential([L.Dense(3), keras.Sequential([L.Dense(2)])])])


def three_deep():
    a = inp(4)
    first = keras.Model(a, L.BatchNormalization()(L.Dense(4)(a)), name="first")
    b = inp(4)
    second = keras.Model(b, first(L.Dense(4, name="same_name")(b)), name="second")
    x = inp(4)
    return keras.Model(x, L.Dense(2, name="same_name")(second(x)))


def inner_called_twice():
    inner = keras.Sequential([inp(4), L.Dense(3, activation="tanh")])
    x, y = inp(4, name="x"), inp(4, name="y")
    return keras.Model([x, y], L.Concatenate()([inner(x), inner(y), inner(L.Add()([x, y]))]))


def inner_many_outputs():
    a = inp(4)
    inner = keras.Model(a, [L.Dense(3)(a), L.Dense(2)(a), L.Dense(1)(a)])
    x = inp(4)
    p, q, r = inner(x)
    return keras.Model(x, [L.Dense(2)(r), p, L.Concatenate()([q, p])])


def inner_many_inputs():
    a, b = inp(4, name="a"), inp(3, name="b")
    inner = keras.Model([a, b], L.Concatenate()([L.Dense(2)(a), L.Dense(3)(b)]))
    x, y = inp(3, name="x"), inp(4, name="y")
    return keras.Model([x, y], L.Dense(2)(inner([y, x])))


def inner_dicts():
    a, b = inp(4, name="a"), inp(3, name="b")
    inner = keras.Model({"b": b, "a": a}, {"q": L.Dense(2)(a), "p": L.Dense(3)(b)})
    x, y = inp(4, name="x"), inp(3, name="y")
    out = inner({"a": x, "b": y})
    return keras.Model([x, y], L.Concatenate()([out["p"], out["q"]]))


def inner_time_distributed():
    a = inp(4)
    inner = keras.Model(a, L.Dense(2)(L.BatchNormalization()(L.Dense(3)(a))))
    x = inp(5, 4)
    return keras.Model(x, L.LSTM(3)(L.TimeDistributed(inner)(x)))


def inner_shared_with_outer():
    a = inp(4)
    inner = keras.Model(a, L.Dense(4, activation="relu")(a))
    x, y = inp(5, 4, name="x"), inp(4, name="y")
    z = L.TimeDistributed(inner)(x)
    return keras.Model([x, y], [L.GlobalAveragePooling1D()(z), inner(y)])


def inner_passes_input_through():
    a, b = inp(4, name="a"), inp(4, name="b")
    inner = keras.Model([a, b], [b, L.Dense(3)(a)])
    x = inp(4)
    p, q = inner([x, L.Dense(4)(x)])
    return keras.Model(x, L.Concatenate()([p, q]))


def inner_with_ops():
    a = inp(4)
    inner = keras.Model(a, L.Dense(3)(1.0 - a) * 2.0)
    x = inp(4)
    return keras.Model(x, inner(x + 1.0) - 0.5)


def inner_frozen():
    a = inp(4)
    inner = keras.Model(a, L.Dense(3)(L.BatchNormalization()(L.Dense(4)(a))))
    inner.trainable = False
    x = inp(4)
    h = L.Dense(4, trainable=False)(L.Dense(4)(x))
    return keras.Model(x, L.Dense(2)(inner(L.BatchNormalization()(h))))


def inner_bidirectional():
    inner = keras.Sequential([inp(5, 3), L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Bidirectional(L.GRU(2))])
    x = inp(5, 3)
    return keras.Model(x, L.Dense(2)(inner(x)))


def wrapped_twice():
    inner = keras.Sequential([inp(4), L.Dense(2)])
    x = inp(2, 3, 4)
    return keras.Model(x, L.TimeDistributed(L.TimeDistributed(inner))(x))


def same_class_many():
    """Counters of weight paths: two of each class, in an order that sorting by name would change."""
    x = inp(6, 3)
    y = L.Dense(4, name="zz")(x)
    y = L.Dense(4, name="aa")(y)
    y = L.BatchNormalization(name="n10")(y)
    y = L.BatchNormalization(name="n9")(y)
    y = L.LSTM(4, return_sequences=True, name="r2")(y)
    y = L.LSTM(4, name="r1")(y)
    for i in range(11):
        y = L.Dense(4, name=f"d{10 - i}")(y)
    return keras.Model(x, y)


def inner_in_bidirectional_sequence():
    inner = keras.Sequential([inp(5, 3), L.Conv1D(4, 2, padding="same"), L.BatchNormalization()])
    x = inp(5, 3)
    return keras.Model(x, L.Bidirectional(L.LSTM(3))(inner(x)))


def inner_output_used_twice():
    a = inp(4)
    inner = keras.Model(a, [L.Dense(3)(a), L.Dense(3)(a)])
    x = inp(4)
    p, q = inner(x)
    r, s = inner(L.Dense(4)(x))
    return keras.Model(x, [L.Add()([p, s]), L.Multiply()([q, r])])


def input_layer_shared_names():
    a = inp(4, name="same")
    inner = keras.Model(a, L.Dense(3, name="dense")(a), name="inner")
    x = inp(4, name="same")
    return keras.Model(x, L.Dense(2, name="dense")(inner(x)))


def text_and_numbers():
    words, numbers, category = inp(6, name="words"), inp(3, name="numbers"), inp(1, name="category", dtype="int32")
    w = L.LSTM(4)(L.Embedding(20, 5, mask_zero=True)(words))
    k = L.Flatten()(L.Embedding(5, 2)(category))
    h = L.Dense(6, activation="relu")(L.Concatenate()([w, numbers, k]))
    return keras.Model([words, numbers, category], {"score": L.Dense(1, activation="sigmoid")(h), "class": L.Dense(3, activation="softmax")(h)})


def compiled():
    model = sequential((4,), L.Dense(3, activation="relu"), L.Dense(1))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 4), "float32"), np.ones((4, 1), "float32"), verbose=0)
    return model
