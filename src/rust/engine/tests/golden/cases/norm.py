"""Normalisation layers."""

import keras
import numpy as np
from common import chain, ints, masked, normal, randomise, sequential
from keras import layers as L


def cases(c):
    bn = L.BatchNormalization
    c.add("batch", lambda: chain((5,), bn()), h5=True)
    c.add("batch_image", lambda: chain((4, 5, 3), bn()), h5=True)
    c.add("batch_axis1", lambda: chain((3, 4, 5), bn(axis=1)), h5=True)
    c.add("batch_axis2_of_3", lambda: chain((3, 4, 5), bn(axis=2)))
    c.add("batch_sequence", lambda: chain((4, 3), bn(axis=1, epsilon=0.01)))
    c.add("batch_no_center", lambda: chain((5,), bn(center=False)), h5=True)
    c.add("batch_no_scale", lambda: chain((5,), bn(scale=False)), h5=True)
    c.add("batch_neither", lambda: chain((5,), bn(center=False, scale=False, epsilon=1e-5)))
    c.add("batch_frozen", lambda: chain((5,), bn(trainable=False)))
    c.add("batch_renorm", lambda: chain((5,), bn(renorm=True)), optional=True)
    c.add("batch_masked", lambda: chain((5, 3), L.Masking(), bn(), L.LSTM(2)), inputs=masked())
    c.add("batch_dense_before", lambda: chain((5,), L.Dense(6), bn(), L.Activation("relu"), L.Dense(2)), h5=True)
    c.add("batch_before_dense", lambda: chain((5,), bn(), L.Dense(6, activation="relu")))
    c.add("batch_after_activation", lambda: chain((5,), L.Dense(6, activation="relu"), bn(), L.Dense(2)))
    c.add("batch_twice", lambda: chain((4, 4, 2), L.Conv2D(3, 2), bn(), bn(scale=False), L.DepthwiseConv2D(2), bn(), L.Conv2DTranspose(2, 2), bn()), h5=True)
    c.add("batch_conv_shared", shared_conv)
    c.add("batch_separable", lambda: chain((4, 4, 2), L.SeparableConv2D(3, 2), bn(), L.ReLU()))
    c.add("batch_tiny_variance", lambda: chain((5,), bn(epsilon=1e-3)), weights=tiny_variance)

    ln = L.LayerNormalization
    c.add("layer", lambda: chain((4, 6), ln()), h5=True)
    c.add("layer_axis1", lambda: chain((4, 6), ln(axis=1)))
    c.add("layer_axes", lambda: chain((3, 4, 5), ln(axis=[1, 3])), h5=True)
    c.add("layer_axes_last", lambda: chain((3, 4, 5), ln(axis=[-2, -1])))
    c.add("layer_axes_all", lambda: chain((3, 4, 5), ln(axis=[1, 2, 3])))
    c.add("layer_axes_unsorted", lambda: chain((3, 4, 5), ln(axis=[3, 1])), optional=True)
    c.add("layer_no_center", lambda: chain((4, 6), ln(center=False)))
    c.add("layer_no_scale", lambda: chain((4, 6), ln(scale=False)))
    c.add("layer_neither", lambda: chain((4, 6), ln(center=False, scale=False)))
    c.add("layer_epsilon", lambda: chain((4, 6), ln(epsilon=0.1)))
    c.add("layer_rank2", lambda: chain((6,), ln()))
    c.add("layer_offset", lambda: chain((4, 6), ln()), inputs=normal(1.0, 100.0))
    c.add("layer_large", lambda: chain((4, 130), ln()), inputs=normal(100.0))
    c.add("layer_constant", lambda: chain((4, 6), ln()), inputs=ints(1))

    gn = L.GroupNormalization
    for groups in (1, 2, 3, 6, -1):
        c.add(f"group_{groups}".replace("-", "m"), lambda g=groups: chain((4, 5, 6), gn(groups=g)), h5=groups == 2)
    c.add("group_axis1", lambda: chain((6, 4, 5), gn(groups=3, axis=1)))
    c.add("group_axis2", lambda: chain((4, 6, 5), gn(groups=2, axis=2)))
    c.add("group_rank2", lambda: chain((6,), gn(groups=2)))
    c.add("group_sequence", lambda: chain((5, 6), gn(groups=3)))
    c.add("group_no_center", lambda: chain((4, 6), gn(groups=2, center=False)))
    c.add("group_no_scale", lambda: chain((4, 6), gn(groups=2, scale=False)))
    c.add("group_epsilon", lambda: chain((4, 6), gn(groups=2, epsilon=0.1, center=False, scale=False)))
    c.add("group_3d", lambda: chain((2, 3, 4, 4), gn(groups=2)))
    c.add("group_none", lambda: chain((None, None, 6), gn(groups=2)), dims=[3, 4])

    un = L.UnitNormalization
    c.add("unit", lambda: chain((4, 6), un()), h5=True)
    c.add("unit_axis1", lambda: chain((4, 6), un(axis=1)))
    c.add("unit_axes", lambda: chain((3, 4, 5), un(axis=[1, 2])))
    c.add("unit_zeros", lambda: chain((6,), un()), inputs=ints(2))
    rn = L.RMSNormalization
    c.add("rms", lambda: chain((4, 6), rn()), h5=True)
    c.add("rms_axis1", lambda: chain((5, 5), rn(axis=1)), optional=True)
    c.add("rms_axes", lambda: chain((4, 6), rn(axis=[1, 2])), optional=True)
    c.add("rms_epsilon", lambda: chain((4, 6), rn(epsilon=0.5)))

    c.add("normalization_adapt", lambda: adapted((4,)), h5=True)
    c.add("normalization_adapt_axis_none", lambda: adapted((4,), axis=None), h5=True)
    c.add("normalization_adapt_axes", lambda: adapted((3, 4), axis=(1, 2)))
    c.add("normalization_adapt_axis1", lambda: adapted((3, 4), axis=1), h5=True)
    c.add("normalization_adapt_image", lambda: adapted((4, 4, 3)))
    c.add("normalization_adapt_invert", lambda: adapted((4,), invert=True))
    c.add("normalization_zero_variance", lambda: adapted((4,), constant=True))
    c.add("normalization_given", lambda: chain((3,), L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 0.25, 1.0])), weights=None)
    c.add("normalization_given_scalar", lambda: chain((4, 3), L.Normalization(axis=None, mean=2.0, variance=9.0)), weights=None, h5=True)
    c.add("normalization_given_invert", lambda: chain((3,), L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 0.25, 1.0], invert=True)), weights=None)
    c.add("normalization_given_zero", lambda: chain((3,), L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 0.0, 1e-16])), weights=None)
    c.add("normalization_int", lambda: chain((3,), L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 0.25, 1.0]), dtype="int32"), weights=None)
    c.add("normalization_dense", normalized_dense, h5=True)
    for i, r in c.random("norm", 2, 20):
        shape = tuple(int(v) for v in r.integers(2, 7, size=3))
        axis = int(r.integers(1, 4))
        c.add(f"batch_random{i}", lambda s=shape, a=axis: chain(s, bn(axis=a)))
        c.add(f"layer_random{i}", lambda s=shape, a=axis: chain(s, ln(axis=a)))
        c.add(f"group_random{i}", lambda s=shape, a=axis: chain(s, gn(groups=-1 if s[a - 1] % 2 else 2, axis=a)))


def tiny_variance(model, rng):
    randomise(model, rng)
    for w in model.weights:
        if w.name == "moving_variance":
            w.assign(np.array([0.0, 1e-8, 1e-4, 1.0, 1e4]))


def adapted(shape, constant=False, **config):
    rng = np.random.default_rng(5)
    layer = L.Normalization(**config)
    data = rng.normal(size=(50, *shape)) * rng.uniform(0.5, 4.0, size=shape) + rng.uniform(-5, 5, size=shape)
    if constant:
        data[:, 1] = 3.0
    layer.adapt(data.astype("float32"))
    return chain(shape, layer)


def normalized_dense():
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(6).normal(3.0, 2.0, size=(40, 5)).astype("float32"))
    return sequential((5,), layer, L.Dense(8, activation="relu"), L.Dense(1))


def shared_conv():
    """A convolution with two users, one of them a normalisation: it can't be folded away."""
    x = keras.Input((5, 5, 2))
    y = L.Conv2D(3, 2)(x)
    return keras.Model(x, [L.BatchNormalization()(y), L.Activation("relu")(y)])
