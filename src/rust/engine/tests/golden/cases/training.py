"""model(x, training=True), where it is not random; and what calls are recorded with."""

import keras
import numpy as np
from common import bools, chain, ints, masked, padded
from keras import layers as L

TRAIN = {"training": True}


def cases(c):
    def add(name, build, call=TRAIN, **k):
        c.add(name, build, call=call, row_independent=False, **k)

    for axis in (-1, 1, 2):
        add(f"batchnorm_axis{axis}".replace("-", "m"), lambda a=axis: chain((4, 3), L.BatchNormalization(axis=a)))
    for center in (True, False):
        for scale in (True, False):
            add(f"batchnorm_{center}_{scale}".lower(), lambda a=center, b=scale: chain((5,), L.BatchNormalization(center=a, scale=b, epsilon=0.1)))
    add("batchnorm_images", lambda: chain((4, 5, 3), L.Conv2D(2, 2), L.BatchNormalization(), L.Activation("relu")))
    add("batchnorm_first", lambda: chain((3, 4, 5), L.BatchNormalization(axis=1)))
    add("batchnorm_one_row", lambda: chain((3, 4), L.BatchNormalization()), rows=1)
    add("batchnorm_masked", lambda: chain((6, 3), L.Masking(), L.BatchNormalization()), inputs=masked())
    add("batchnorm_masked_empty", lambda: chain((6, 3), L.Masking(), L.BatchNormalization()), inputs=masked(empty=True))
    add("batchnorm_embedding", lambda: chain((6,), L.Embedding(7, 3, mask_zero=True), L.BatchNormalization(), L.LSTM(2), dtype="int32"), inputs=padded(7))
    add("batchnorm_synchronized", lambda: chain((4,), L.BatchNormalization(synchronized=True)), optional=True)
    add("batchnorm_float64", lambda: chain((4,), L.BatchNormalization(dtype="float64")))
    add("batchnorm_frozen", lambda: chain((4,), L.BatchNormalization(trainable=False)))
    add("batchnorm_momentum", lambda: chain((4,), L.BatchNormalization(momentum=0.5)))
    for i, clip in enumerate((None, {"rmax": 2.0, "rmin": 0.5, "dmax": 1.0}, {"dmax": 0.1}, {"rmax": 1.1})):
        add(f"renorm_{i}", lambda k=clip: chain((4, 3), L.BatchNormalization(renorm=True, renorm_clipping=k)), optional=True)
        add(f"renorm_{i}_plain", lambda k=clip: chain((4,), L.BatchNormalization(renorm=True, renorm_clipping=k, center=False, scale=False)), optional=True)
    add("renorm_inference", lambda: chain((4, 3), L.BatchNormalization(renorm=True)), call={})

    def frozen_model():
        m = chain((4,), L.Dense(3), L.BatchNormalization())
        m.trainable = False
        return m

    add("frozen_model", frozen_model)

    def frozen_inner():
        inner = chain((4,), L.BatchNormalization())
        inner.trainable = False
        return chain((4,), inner, L.BatchNormalization())

    add("frozen_inner", frozen_inner)
    add("nested", lambda: chain((4,), chain((4,), L.Dense(3), L.BatchNormalization()), L.BatchNormalization()))
    add("time_distributed", lambda: chain((3, 4), L.TimeDistributed(L.BatchNormalization())))
    add("time_distributed_model", lambda: chain((3, 4), L.TimeDistributed(chain((4,), L.Dense(3), L.BatchNormalization()))))

    def recorded(training, layer=L.BatchNormalization):
        x = keras.Input((4,))
        return keras.Model(x, layer()(L.Dense(3)(x), training=training))

    for training in (True, False):
        for name, call in (("predict", "predict"), ("call", {}), ("train", TRAIN), ("infer", {"training": False})):
            add(f"recorded_{training}_{name}".lower(), lambda t=training: recorded(t), call=call)

    def recorded_inner(training):
        inner = chain((4,), L.BatchNormalization())
        x = keras.Input((4,))
        return keras.Model(x, inner(x, training=training))

    for training in (True, False):
        for name, call in (("predict", "predict"), ("call", {}), ("train", TRAIN)):
            add(f"recorded_inner_{training}_{name}".lower(), lambda t=training: recorded_inner(t), call=call)

    for name, layer in (
        ("dropout0", lambda: L.Dropout(0.0)),
        ("dropout1", lambda: L.Dropout(1.0)),
        ("spatial0", lambda: L.SpatialDropout1D(0.0)),
        ("spatial1", lambda: L.SpatialDropout1D(1.0)),
        ("alpha0", lambda: L.AlphaDropout(0.0)),
        ("gaussian0", lambda: L.GaussianDropout(0.0)),
        ("noise0", lambda: L.GaussianNoise(0.0)),
        ("lstm", lambda: L.LSTM(3)),
        ("lstm_dropout1", lambda: L.LSTM(3, dropout=1.0)),
        ("simple_dropout1", lambda: L.SimpleRNN(3, dropout=1.0)),
        ("simple_recurrent1", lambda: L.SimpleRNN(3, recurrent_dropout=1.0)),
        ("gru_recurrent1", lambda: L.GRU(3, recurrent_dropout=1.0)),
        ("activity", lambda: L.ActivityRegularization(0.1)),
        ("layernorm", lambda: L.LayerNormalization()),
        ("groupnorm", lambda: L.GroupNormalization(1)),
        ("spectral", lambda: L.SpectralNormalization(L.Dense(3))),
        ("spectral_conv", lambda: L.SpectralNormalization(L.Conv1D(3, 2), power_iterations=3)),
        ("bidirectional", lambda: L.Bidirectional(L.GRU(3))),
    ):
        add(name, lambda layer=layer: chain((4, 3), layer()))

    def attention(layer):
        q, v = keras.Input((3, 4)), keras.Input((5, 4))
        return keras.Model([q, v], layer()([q, v]))

    add("attention_dropout1", lambda: attention(lambda: L.Attention(dropout=1.0)))
    add("additive_dropout1", lambda: attention(lambda: L.AdditiveAttention(dropout=1.0)))

    def heads(cls, **k):
        q, v = keras.Input((3, 4)), keras.Input((5, 4))
        return keras.Model([q, v], cls(**k)(q, v, return_attention_scores=True))

    add("heads_dropout1", lambda: heads(L.MultiHeadAttention, num_heads=2, key_dim=3, dropout=1.0))
    add("groups_dropout1", lambda: heads(L.GroupQueryAttention, num_query_heads=4, num_key_value_heads=2, head_dim=3, dropout=1.0))
