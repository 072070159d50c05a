"""What files hold besides the graph: optimizer state, frozen layers, odd names, nested groups."""

import keras
import numpy as np
from common import chain, padded, sequential
from keras import layers as L


def cases(c):
    for make in (trained, trained_functional, frozen_mix, frozen_batch_norm, no_weights_layers, weightless_model, long_names, seeds, shared_nested, bidirectional_frozen,
                 mha_in_nested, many_layers, big_config, prelu_and_norms, separable_and_depthwise, layer_names_collide, float_input_embedding, metrics_and_loss):
        c.add(make.__name__, make, h5=True, inputs=padded(9) if "embedding" in make.__name__ else None)


def fit(model, out):
    model.compile(keras.optimizers.Adam(0.01), "mse")
    shape = (8, *model.input_shape[1:])
    model.fit(np.linspace(-1, 1, int(np.prod(shape)), dtype="float32").reshape(shape), np.zeros((8, *out), "float32"), verbose=0)
    return model


def trained():
    return fit(sequential((5,), L.Dense(4, activation="relu"), L.BatchNormalization(), L.Dense(2)), (2,))


def trained_functional():
    return fit(chain((6, 3), L.Conv1D(4, 2), L.GRU(3), L.Dense(2)), (2,))


def metrics_and_loss():
    model = chain((5,), L.Dense(4, activation="relu"), L.Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), keras.losses.BinaryCrossentropy(), metrics=[keras.metrics.AUC(), "accuracy"], jit_compile=False)
    return model


def frozen_mix():
    model = sequential((5,), L.Dense(4, trainable=False), L.Dense(4), L.BatchNormalization(), L.Dense(3, trainable=False), L.PReLU(), L.Dense(2))
    model.layers[1].trainable = False
    return model


def frozen_batch_norm():
    """Keras lists the weights of a frozen layer in another order."""
    x = keras.Input((5,))
    inner = sequential((5,), L.Dense(5), L.BatchNormalization(), L.Dense(4))
    inner.layers[1].trainable = False
    return keras.Model(x, L.BatchNormalization(trainable=False)(inner(x)))


def no_weights_layers():
    return chain((6, 6, 2), L.ZeroPadding2D(1), L.Conv2D(3, 3), L.ReLU(), L.MaxPooling2D(2), L.Dropout(0.2), L.Flatten(), L.Dense(2))


def weightless_model():
    return chain((6, 2), L.UpSampling1D(2), L.MaxPooling1D(3), L.Flatten())


def long_names():
    return chain((4,), *[L.Dense(4, name="a_layer_with_a_really_long_name_" + "x" * 40 + str(i)) for i in range(4)])


def seeds():
    """Layers that hold random state hold a weight more."""
    return chain((6, 4), L.Dropout(0.2, seed=1), L.GaussianNoise(0.1), L.LSTM(3, dropout=0.2, recurrent_dropout=0.1, return_sequences=True), L.AlphaDropout(0.1),
                 L.SpatialDropout1D(0.1), L.Bidirectional(L.GRU(2, dropout=0.3)), L.Dense(2))


def shared_nested():
    tower = sequential((4,), L.Dense(4, activation="relu"), sequential((4,), L.Dense(3), L.LayerNormalization()))
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    return keras.Model([a, b], L.Dense(1)(L.Concatenate()([tower(a), tower(b)])))


def bidirectional_frozen():
    return chain((5, 3), L.Bidirectional(L.LSTM(3, return_sequences=True), trainable=False), L.Bidirectional(L.GRU(2, reset_after=False), merge_mode="sum"), L.Dense(2))


def mha_in_nested():
    x = keras.Input((5, 6))
    inner = keras.Model(x, L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 3, dropout=0.1)(x, x)])))
    y = keras.Input((5, 6))
    return keras.Model(y, L.GlobalMaxPooling1D()(inner(inner(y))))


def many_layers():
    return sequential((3,), *[layer for i in range(60) for layer in (L.Dense(3), L.Activation("tanh"))])


def big_config():
    """More than 64 kB of config, which an HDF5 attribute can't hold in the compact way."""
    return sequential((3,), *[L.Dense(3, activation="tanh", name=f"dense_{'y' * 60}_{i}") for i in range(90)])


def prelu_and_norms():
    return chain((4, 4, 2), L.Conv2D(4, 2), L.PReLU(shared_axes=[1, 2]), L.GroupNormalization(2), L.LayerNormalization(), L.BatchNormalization(scale=False), L.RMSNormalization())


def separable_and_depthwise():
    return chain((6, 6, 2), L.SeparableConv2D(4, 2, depth_multiplier=2), L.DepthwiseConv2D(2, depth_multiplier=2), L.Conv2DTranspose(2, 2), L.Conv2D(4, 2, groups=2))


def layer_names_collide():
    x = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4, name="dense"), L.Dense(4, name="dense_1")], name="dense_1")
    return keras.Model(x, L.Dense(2, name="dense_2")(inner(L.Dense(4, name="dense")(x))))


def float_input_embedding():
    return sequential((6,), L.Embedding(9, 4), L.Conv1D(3, 2), L.GlobalMaxPooling1D(), L.Dense(1, activation="sigmoid"))
