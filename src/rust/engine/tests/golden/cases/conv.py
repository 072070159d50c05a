"""Convolutions of all kinds."""

import keras
import numpy as np
from common import chain
from keras import layers as L

SPATIAL = {1: (11,), 2: (7, 8), 3: (5, 6, 4)}
# TensorFlow adds a bias along the wrong axis where the last dim is as long as the channels' one: it is not, here
SPATIAL_FIRST = {1: (11,), 2: (7, 10), 3: (5, 6, 7)}


def image(rank, channels=3, data_format="channels_last", spatial=None):
    spatial = spatial or (SPATIAL_FIRST if data_format == "channels_first" else SPATIAL)[rank]
    return (channels, *spatial) if data_format == "channels_first" else (*spatial, channels)


def twin(cls, config):
    """TensorFlow is wrong for some channels_first convolutions: the channels_last twin must agree."""

    def check(model, arrays, outputs):
        last = dict(config, data_format="channels_last")
        moved = np.moveaxis(arrays[0], 1, -1)
        layer = cls(**last)
        layer.build(moved.shape)
        layer.set_weights(model.layers[1].get_weights())
        expected = np.moveaxis(layer(moved).numpy(), -1, 1)
        if not np.allclose(expected, outputs[0], rtol=1e-4, atol=1e-5):
            raise RuntimeError("Keras contradicts its own channels_last result")

    return check


def cases(c):
    def add(name, cls, rank, config, channels=3, spatial=None, **options):
        data_format = config.get("data_format", "channels_last")
        shape = image(rank, channels, data_format, spatial)
        if data_format == "channels_first":
            options.setdefault("check", twin(cls, config))
        if data_format == "channels_first" or "Transpose" in cls.__name__:
            options.setdefault("jit", True)
        c.add(name, lambda: chain(shape, cls(**config)), rows=options.pop("rows", 2), **options)

    convs = {1: L.Conv1D, 2: L.Conv2D, 3: L.Conv3D}
    for rank, cls in convs.items():
        n = f"conv{rank}d"
        add(n, cls, rank, dict(filters=4, kernel_size=3), h5=True)
        add(f"{n}_same", cls, rank, dict(filters=4, kernel_size=3, padding="same"))
        add(f"{n}_same_even", cls, rank, dict(filters=4, kernel_size=2, padding="same"))
        add(f"{n}_strides", cls, rank, dict(filters=4, kernel_size=3, strides=2))
        add(f"{n}_strides_same", cls, rank, dict(filters=4, kernel_size=3, strides=2, padding="same"), h5=True)
        add(f"{n}_strides_over", cls, rank, dict(filters=4, kernel_size=2, strides=3, padding="same"))
        add(f"{n}_dilation", cls, rank, dict(filters=4, kernel_size=2, dilation_rate=2))
        add(f"{n}_dilation_same", cls, rank, dict(filters=4, kernel_size=2, dilation_rate=2, padding="same"))
        add(f"{n}_no_bias", cls, rank, dict(filters=4, kernel_size=3, use_bias=False, activation="relu"))
        add(f"{n}_activation", cls, rank, dict(filters=4, kernel_size=1, activation="tanh"))
        add(f"{n}_channels_first", cls, rank, dict(filters=4, kernel_size=3, data_format="channels_first", padding="same"))
        add(f"{n}_channels_first_strides", cls, rank, dict(filters=4, kernel_size=2, strides=2, data_format="channels_first", activation="relu"))
        add(f"{n}_groups", cls, rank, dict(filters=6, kernel_size=3, groups=2), channels=4, optional=rank == 3)
        add(f"{n}_groups_strides", cls, rank, dict(filters=6, kernel_size=3, groups=2, strides=2, padding="same"), channels=4, optional=rank == 3)
        add(f"{n}_groups_depthwise", cls, rank, dict(filters=8, kernel_size=2, groups=4, padding="same"), channels=4, optional=rank == 3)
        add(f"{n}_channels_many", cls, rank, dict(filters=17, kernel_size=2, padding="same"), channels=9)
        add(f"{n}_none", cls, rank, dict(filters=4, kernel_size=3, padding="same"), spatial=(None,) * rank, dims=SPATIAL[rank])
        add(f"{n}_kernel_is_image", cls, rank, dict(filters=4, kernel_size=SPATIAL[rank]))
    add("conv1d_causal", L.Conv1D, 1, dict(filters=4, kernel_size=3, padding="causal"), h5=True)
    add("conv1d_causal_dilation", L.Conv1D, 1, dict(filters=4, kernel_size=3, padding="causal", dilation_rate=2))
    add("conv1d_causal_strides", L.Conv1D, 1, dict(filters=4, kernel_size=3, padding="causal", strides=2))
    add("conv1d_causal_channels_first", L.Conv1D, 1, dict(filters=4, kernel_size=3, padding="causal", data_format="channels_first"))
    add("conv1d_causal_groups", L.Conv1D, 1, dict(filters=4, kernel_size=3, padding="causal", groups=2), channels=4)
    add("conv1d_long", L.Conv1D, 1, dict(filters=8, kernel_size=9, padding="same", activation="relu"), channels=1, spatial=(200,))
    add("conv2d_rectangle", L.Conv2D, 2, dict(filters=4, kernel_size=(1, 4), strides=(2, 1)))
    add("conv2d_rectangle_same", L.Conv2D, 2, dict(filters=4, kernel_size=(4, 1), strides=(1, 3), padding="same"), h5=True)
    add("conv2d_dilation_rectangle", L.Conv2D, 2, dict(filters=4, kernel_size=(2, 3), dilation_rate=(3, 2), padding="same"))
    add("conv2d_pointwise_strides", L.Conv2D, 2, dict(filters=5, kernel_size=1, strides=2))
    add("conv2d_one_channel", L.Conv2D, 2, dict(filters=8, kernel_size=5, activation="relu"), channels=1, spatial=(12, 12))
    add("conv2d_channels_first_dilation", L.Conv2D, 2, dict(filters=4, kernel_size=2, dilation_rate=2, data_format="channels_first"))
    add("conv2d_channels_first_groups", L.Conv2D, 2, dict(filters=4, kernel_size=2, groups=2, data_format="channels_first"), channels=4)
    add("conv2d_bigger", L.Conv2D, 2, dict(filters=33, kernel_size=3, padding="same", activation="relu"), channels=19, spatial=(13, 11))
    add("conv3d_rectangle", L.Conv3D, 3, dict(filters=4, kernel_size=(1, 3, 2), strides=(2, 1, 1), padding="same"))
    c.add("conv1d_batch_dims", lambda: chain((2, 7, 3), L.TimeDistributed(L.Conv1D(4, 3))), rows=2)
    c.add("conv2d_bn_relu", lambda: chain((7, 7, 3), L.Conv2D(4, 3, use_bias=False), L.BatchNormalization(), L.ReLU(6.0)), rows=2, h5=True)
    c.add("conv2d_bn_channels_first", lambda: chain((3, 7, 7), L.Conv2D(4, 3, data_format="channels_first"), L.BatchNormalization(axis=1), L.ReLU()), rows=2, jit=True)
    c.add("conv2d_residual", residual, rows=2, h5=True)
    c.add("conv2d_pad_conv", lambda: chain((7, 7, 3), L.ZeroPadding2D(((0, 1), (0, 1))), L.Conv2D(4, 3, strides=2), L.BatchNormalization()), rows=2)

    for cls, rank in [(L.DepthwiseConv1D, 1), (L.DepthwiseConv2D, 2)]:
        n = f"depthwise{rank}d"
        add(n, cls, rank, dict(kernel_size=3), h5=True)
        add(f"{n}_multiplier", cls, rank, dict(kernel_size=3, depth_multiplier=3, padding="same"), h5=True)
        add(f"{n}_strides", cls, rank, dict(kernel_size=3, strides=2, padding="same", depth_multiplier=2))
        add(f"{n}_strides_valid", cls, rank, dict(kernel_size=2, strides=2))
        add(f"{n}_dilation", cls, rank, dict(kernel_size=2, dilation_rate=2))
        add(f"{n}_dilation_same", cls, rank, dict(kernel_size=3, dilation_rate=2, padding="same"))
        add(f"{n}_no_bias", cls, rank, dict(kernel_size=3, use_bias=False, activation="relu6"))
        add(f"{n}_channels_first", cls, rank, dict(kernel_size=3, data_format="channels_first", depth_multiplier=2))
        add(f"{n}_channels_many", cls, rank, dict(kernel_size=3, padding="same"), channels=35)
    add("depthwise2d_rectangle", L.DepthwiseConv2D, 2, dict(kernel_size=(1, 3), padding="same"))
    add("depthwise2d_rectangle_strides", L.DepthwiseConv2D, 2, dict(kernel_size=(3, 2), strides=(1, 1), dilation_rate=(1, 2), padding="same"), optional=True)

    for cls, rank in [(L.SeparableConv1D, 1), (L.SeparableConv2D, 2)]:
        n = f"separable{rank}d"
        add(n, cls, rank, dict(filters=4, kernel_size=3), h5=True)
        add(f"{n}_same", cls, rank, dict(filters=4, kernel_size=3, padding="same", depth_multiplier=2), h5=True)
        add(f"{n}_strides", cls, rank, dict(filters=4, kernel_size=3, strides=2, padding="same"))
        add(f"{n}_strides_valid", cls, rank, dict(filters=4, kernel_size=3, strides=2))
        add(f"{n}_dilation", cls, rank, dict(filters=4, kernel_size=2, dilation_rate=2, padding="same"))
        add(f"{n}_no_bias", cls, rank, dict(filters=4, kernel_size=3, use_bias=False, activation="relu"))
        add(f"{n}_channels_first", cls, rank, dict(filters=4, kernel_size=3, data_format="channels_first"))

    transposed = {1: L.Conv1DTranspose, 2: L.Conv2DTranspose, 3: L.Conv3DTranspose}
    for rank, cls in transposed.items():
        n = f"transpose{rank}d"
        small = {1: (5,), 2: (4, 3), 3: (3, 2, 4)}[rank]
        for padding in ["valid", "same"]:
            for kernel, stride in [(3, 1), (3, 2), (2, 2), (4, 2), (2, 3), (5, 3)]:
                if rank == 3 and kernel == 5:
                    continue
                add(f"{n}_{padding}_k{kernel}_s{stride}", cls, rank, dict(filters=2, kernel_size=kernel, strides=stride, padding=padding), spatial=small,
                    h5=kernel == 3)
            add(f"{n}_{padding}_output_padding", cls, rank, dict(filters=2, kernel_size=3, strides=2, padding=padding, output_padding=1), spatial=small)
            add(f"{n}_{padding}_output_padding0", cls, rank, dict(filters=2, kernel_size=3, strides=2, padding=padding, output_padding=0), spatial=small)
            add(f"{n}_{padding}_output_padding_even", cls, rank, dict(filters=2, kernel_size=4, strides=3, padding=padding, output_padding=2), spatial=small)
            add(f"{n}_{padding}_dilation", cls, rank, dict(filters=2, kernel_size=3, padding=padding, dilation_rate=2), spatial=small, optional=True)
            add(f"{n}_{padding}_channels_first", cls, rank, dict(filters=2, kernel_size=3, strides=2, padding=padding, data_format="channels_first"), spatial=small)
        add(f"{n}_no_bias", cls, rank, dict(filters=2, kernel_size=3, use_bias=False, activation="relu"), spatial=small)
        add(f"{n}_none", cls, rank, dict(filters=2, kernel_size=3, strides=2, padding="same"), spatial=(None,) * rank, dims=small, jit=False)
    add("transpose2d_rectangle", L.Conv2DTranspose, 2, dict(filters=3, kernel_size=(3, 2), strides=(2, 1), padding="same"))
    add("transpose2d_rectangle_output_padding", L.Conv2DTranspose, 2, dict(filters=3, kernel_size=(3, 4), strides=(2, 3), output_padding=(1, 1), padding="same"))

    for cls, rank in [(L.Conv1D, 1), (L.Conv2D, 2), (L.Conv3D, 3), (L.DepthwiseConv1D, 1), (L.DepthwiseConv2D, 2), (L.SeparableConv1D, 1),
                      (L.SeparableConv2D, 2), (L.Conv1DTranspose, 1), (L.Conv2DTranspose, 2), (L.Conv3DTranspose, 3)]:
        for i, r in c.random(cls.__name__, 2, 25):
            config, channels, spatial = random_config(cls, rank, r)
            add(f"random_{cls.__name__.lower()}_{i}", cls, rank, config, channels=channels, spatial=spatial, optional=True, rows=int(r.integers(1, 4)))


def random_config(cls, rank, r):
    kernel = [int(k) for k in r.integers(1, 5, size=rank)]
    config = dict(kernel_size=kernel, padding=str(r.choice(["valid", "same"])), use_bias=bool(r.integers(2)))
    config["data_format"] = str(r.choice(["channels_last", "channels_last", "channels_first"]))
    config["activation"] = str(r.choice(["linear", "relu", "tanh", "elu", "gelu"]))
    channels = int(r.integers(1, 9))
    spatial = tuple(int(s) for s in r.integers(5, 14 if rank < 3 else 8, size=rank))
    if r.integers(2):
        step = r.integers(1, 4)
        # depthwise convolutions take square strides only
        config["strides"] = [int(step)] * rank if "Conv2D" in cls.__name__ and cls is not L.Conv2D else [int(s) for s in r.integers(1, 4, size=rank)]
    elif cls not in (L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose):
        config["dilation_rate"] = [int(s) for s in r.integers(1, 4, size=rank)]
    if "Depthwise" in cls.__name__ or "Separable" in cls.__name__:
        config["depth_multiplier"] = int(r.integers(1, 4))
    if "Depthwise" not in cls.__name__:
        config["filters"] = int(r.integers(1, 9))
    if cls in (L.Conv1D, L.Conv2D) and r.integers(3) == 0:
        groups = int(r.integers(2, 4))
        channels, config["filters"], config["groups"] = groups * int(r.integers(1, 4)), groups * int(r.integers(1, 4)), groups
    if "Transpose" in cls.__name__ and r.integers(2) and "strides" in config:
        config["output_padding"] = [int(r.integers(0, s)) for s in config["strides"]]
    if cls is L.Conv1D and r.integers(3) == 0:
        config["padding"] = "causal"
    return config, channels, spatial


def residual():
    x = keras.Input((6, 6, 4))
    y = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(x))
    y = L.Activation("relu")(y)
    y = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(y))
    return keras.Model(x, L.Activation("relu")(L.Add()([x, y])))
