"""Dense, EinsumDense, Embedding, Rescaling, Masking and the layers that do nothing in predict."""

import keras
import numpy as np
from common import chain, ints, padded, sequential, wild
from keras import layers as L


def cases(c):
    c.add("dense", lambda: chain((6,), L.Dense(5)), h5=True)
    c.add("dense_no_bias", lambda: chain((6,), L.Dense(5, use_bias=False)), h5=True)
    c.add("dense_one_unit", lambda: chain((3,), L.Dense(1, activation="sigmoid")))
    c.add("dense_one_feature", lambda: chain((1,), L.Dense(4, activation="relu")))
    c.add("dense_rank3", lambda: chain((5, 6), L.Dense(4, activation="tanh")), h5=True)
    c.add("dense_rank4", lambda: chain((2, 3, 6), L.Dense(4, activation="softmax")))
    c.add("dense_rank3_none", lambda: chain((None, 6), L.Dense(4)))
    c.add("dense_wide", lambda: chain((37,), L.Dense(65, activation="relu"), L.Dense(33)), rows=9)
    c.add("dense_int_input", lambda: chain((4,), L.Dense(3), dtype="int32"))
    c.add("dense_wild", lambda: chain((6,), L.Dense(5, activation="gelu")), inputs=wild(), rows=8)
    c.add("dense_batches", lambda: chain((6,), L.Dense(5)), rows=7, batch_size=3)
    c.add("dense_one_row", lambda: chain((6,), L.Dense(5)), rows=1)
    c.add("dense_fixed_batch", fixed_batch, rows=6, batch_size=3)
    c.add("dense_layer_as_activation", lambda: chain((6,), L.Dense(5, activation=L.LeakyReLU(negative_slope=0.2))), optional=True)
    c.add("dense_config_extras", config_extras)
    c.add("dense_sequential", lambda: sequential((6,), L.Dense(7, activation="relu"), L.Dense(3, activation="softmax")), h5=True)
    c.add("dense_sequential_deferred", deferred, h5=True)
    for i, r in c.random("dense", 3, 20):
        shape = tuple(r.integers(1, 9, size=r.integers(1, 4)))
        config = dict(units=int(r.integers(1, 20)), use_bias=bool(r.integers(2)), activation=r.choice(["relu", "selu", "tanh", "linear", "elu", "silu"]))
        c.add(f"dense_random{i}", lambda shape=shape, config=config: chain(tuple(map(int, shape)), L.Dense(**config)), rows=int(r.integers(1, 40)))

    equations = [
        ("ab,bc->ac", (6,), 4, "c"),
        ("abc,cd->abd", (3, 5), (None, 4), "d"),
        ("abc,cd->abd", (3, 5), (3, 4), "bd"),
        ("...x,xy->...y", (3, 5), 4, "y"),
        ("...x,xy->...y", (2, 3, 5), (None, None, 4), None),
        ("abc,cde->abde", (3, 6), (None, 2, 4), "de"),
        ("abc,cde->abde", (3, 6), (None, 2, 4), "e"),
        ("abc,cde->abde", (3, 6), (None, 2, 4), "d"),
        ("abde,dec->abc", (3, 2, 4), (None, 5), "c"),
        ("abc,bcd->ad", (3, 5), 4, "d"),
        ("abc,bd->acd", (3, 5), (5, 4), "cd"),
        ("abc,bde->acde", (3, 5), (5, 2, 4), None),
        ("bnd,nde->bne", (3, 5), (3, 4), "ne"),
        ("bsnh,nhd->bsd", (4, 2, 3), (None, 5), "d"),
        ("abc,dc->abd", (3, 5), (None, 4), "d"),
        ("abc,cd->adb", (3, 5), (4, 3), "d"),
        ("...abc,cd->...abd", (2, 3, 5), (2, 3, 4), "d"),
        ("ab...c,cd->ab...d", (2, 3, 5), (2, 3, 4), "d"),
        ("abcd,d->abc", (2, 3, 5), (None, 3), None),
    ]
    for i, (equation, shape, output, bias) in enumerate(equations):
        c.add(f"einsum_dense_{i:02}", lambda e=equation, s=shape, o=output, b=bias: chain(s, L.EinsumDense(e, output_shape=o, bias_axes=b)),
              h5=i % 3 == 0, optional=True)
    c.add("einsum_dense_activation", lambda: chain((3, 5), L.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d", activation="relu")))

    c.add("embedding", lambda: chain((6,), L.Embedding(11, 4), dtype="int32"), inputs=ints(11), h5=True)
    c.add("embedding_float_input", lambda: chain((6,), L.Embedding(11, 4)), inputs=ints(11), h5=True)
    c.add("embedding_int64", lambda: chain((6,), L.Embedding(11, 4), dtype="int64"), inputs=ints(11))
    c.add("embedding_uint8", lambda: chain((6,), L.Embedding(11, 4), dtype="uint8"), inputs=ints(11))
    c.add("embedding_rank0", lambda: chain((), L.Embedding(11, 4), dtype="int32"), inputs=ints(11))
    c.add("embedding_rank2", lambda: chain((2, 3), L.Embedding(11, 4), dtype="int32"), inputs=ints(11))
    c.add("embedding_none", lambda: chain((None,), L.Embedding(11, 4), dtype="int32"), inputs=ints(11), dims=[7])
    c.add("embedding_flatten_dense", lambda: chain((6,), L.Embedding(11, 4), L.Flatten(), L.Dense(3), dtype="int32"), inputs=ints(11), h5=True)
    c.add("embedding_mask_zero_alone", lambda: chain((6,), L.Embedding(11, 4, mask_zero=True), dtype="int32"), inputs=padded(11))

    c.add("rescaling", lambda: chain((5,), L.Rescaling(1 / 127.5, offset=-1.0)), h5=True)
    c.add("rescaling_int", lambda: chain((4, 4, 3), L.Rescaling(1 / 255), dtype="uint8"), inputs=ints(256))
    c.add("rescaling_list", lambda: chain((4, 4, 3), L.Rescaling([0.5, 2.0, -1.0], offset=[1.0, 0.0, 3.0])))
    c.add("rescaling_array", lambda: chain((4, 4, 3), L.Rescaling(np.array([0.5, 2.0, -1.0]), offset=np.array([1.0, 0.0, 3.0]))), optional=True)
    c.add("masking_alone", lambda: chain((5, 3), L.Masking(0.0), L.Dense(2)))
    c.add("identity", lambda: chain((5, 3), L.Identity(), L.Dense(2)), h5=True)
    c.add("identity_only", lambda: chain((5, 3), L.Identity()))
    c.add("identity_int", lambda: chain((5,), L.Identity(), dtype="int32"))
    c.add("activity_regularization", lambda: chain((5,), L.Dense(4), L.ActivityRegularization(l1=0.1, l2=0.2)), h5=True)
    for name, layer in {
        "dropout": L.Dropout(0.5),
        "dropout_noise_shape": L.Dropout(0.5, noise_shape=(None, 1, 3), seed=3),
        "alpha_dropout": L.AlphaDropout(0.3),
        "gaussian_dropout": L.GaussianDropout(0.3),
        "gaussian_noise": L.GaussianNoise(0.3),
        "spatial_dropout1d": L.SpatialDropout1D(0.3),
    }.items():
        config = layer.get_config()
        cls = type(layer)
        c.add(name, lambda cls=cls, config=config: chain((5, 3), L.Dense(3), cls.from_config(config), L.Dense(2)), h5=True)
    c.add("spatial_dropout2d", lambda: chain((4, 4, 3), L.SpatialDropout2D(0.3, data_format="channels_first"), L.Dense(2)))
    c.add("spatial_dropout3d", lambda: chain((2, 4, 4, 3), L.SpatialDropout3D(0.3), L.Dense(2)))
    c.add("training_false", lambda: chain((6,), L.Dense(5), L.Dropout(0.5), L.BatchNormalization()), call={"training": False})


def fixed_batch():
    x = keras.Input(batch_shape=(3, 6))
    return keras.Model(x, L.Dense(5)(x))


def deferred():
    model = keras.Sequential([L.Dense(7, activation="relu"), L.Dense(3)])
    model.build((None, 6))
    return model


def config_extras():
    """Everything in a config that only training uses."""
    return chain((6,), L.Dense(
        5, kernel_initializer=keras.initializers.VarianceScaling(2.0), bias_initializer=keras.initializers.Constant(0.3),
        kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2), bias_regularizer="l2", activity_regularizer="l1",
        kernel_constraint="max_norm", bias_constraint=keras.constraints.NonNeg(), trainable=False))
