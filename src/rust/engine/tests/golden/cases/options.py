"""Options of layers that other groups leave out: activations as objects, dtypes of every layer, odd values."""

import keras
import numpy as np
from common import bools, chain, ints, masked, normal, padded, sequential
from keras import layers as L
from keras import ops

ACTIVATIONS = {
    "leaky": lambda: L.LeakyReLU(negative_slope=0.1),
    "relu": lambda: L.ReLU(max_value=1.5, negative_slope=0.2, threshold=0.1),
    "elu": lambda: L.ELU(alpha=0.7),
    "softmax": lambda: L.Softmax(axis=1),
    "activation": lambda: L.Activation("gelu"),
    "function": lambda: keras.activations.mish,
    "ops": lambda: ops.tanh,
    "ops_silu": lambda: ops.silu,
    "none": lambda: None,
    "linear": lambda: "linear",
    "glu": lambda: "glu",
    "log_softmax": lambda: "log_softmax",
    "sparsemax": lambda: "sparsemax",
    "soft_shrink": lambda: "soft_shrink",
    "squareplus": lambda: "squareplus",
    "identity": lambda: L.Identity(),
}


def cases(c):
    for name, f in ACTIVATIONS.items():
        c.add(f"dense_{name}", lambda f=f: chain((5, 4), L.Dense(4, activation=f())), optional=True)
        c.add(f"conv_{name}", lambda f=f: chain((5, 4), L.Conv1D(4, 2, activation=f())), optional=True)
        c.add(f"layer_{name}", lambda f=f: chain((5, 4), L.Activation(f())), optional=True)
        c.add(f"lstm_{name}", lambda f=f: chain((5, 4), L.LSTM(4, activation=f() if name != "glu" else "tanh")), optional=True)
        if c.full or name in ("leaky", "softmax", "ops"):
            c.add(f"einsum_{name}", lambda f=f: chain((5, 4), L.EinsumDense("abc,cd->abd", (None, 4), activation=f(), bias_axes="d")), optional=True)
            c.add(f"depthwise_{name}", lambda f=f: chain((5, 5, 2), L.DepthwiseConv2D(2, depth_multiplier=2, activation=f())), optional=True)
            c.add(f"separable_{name}", lambda f=f: chain((5, 2), L.SeparableConv1D(4, 2, activation=f())), optional=True)
            c.add(f"transpose_{name}", lambda f=f: chain((5, 2), L.Conv1DTranspose(4, 2, activation=f())), optional=True)
    dtypes(c)
    odd(c)


LAYERS = {
    "dense": ((4,), lambda d: L.Dense(3, activation="tanh", dtype=d)),
    "conv": ((5, 5, 2), lambda d: L.Conv2D(3, 2, dtype=d)),
    "depthwise": ((5, 5, 2), lambda d: L.DepthwiseConv2D(2, dtype=d)),
    "separable": ((5, 5, 2), lambda d: L.SeparableConv2D(3, 2, dtype=d)),
    "transpose": ((5, 5, 2), lambda d: L.Conv2DTranspose(3, 2, dtype=d)),
    "batchnorm": ((4, 3), lambda d: L.BatchNormalization(dtype=d)),
    "layernorm": ((4, 3), lambda d: L.LayerNormalization(dtype=d)),
    "groupnorm": ((4, 4), lambda d: L.GroupNormalization(2, dtype=d)),
    "rms": ((4, 3), lambda d: L.RMSNormalization(dtype=d)),
    "unit": ((4, 3), lambda d: L.UnitNormalization(dtype=d)),
    "spectral": ((4,), lambda d: L.SpectralNormalization(L.Dense(3, dtype=d), dtype=d)),
    "attention": ((5, 4), lambda d: Self(L.Attention(use_scale=True, dtype=d))),
    "additive": ((5, 4), lambda d: Self(L.AdditiveAttention(dtype=d))),
    "heads": ((5, 4), lambda d: Heads(L.MultiHeadAttention(2, 3, dtype=d))),
    "groups": ((5, 4), lambda d: Heads(L.GroupQueryAttention(3, 4, 2, dtype=d))),
    "maxpool": ((4, 4, 2), lambda d: L.MaxPooling2D(dtype=d)),
    "avgpool": ((5, 2), lambda d: L.AveragePooling1D(2, padding="same", dtype=d)),
    "globalpool": ((5, 2), lambda d: L.GlobalAveragePooling1D(dtype=d)),
    "flatten": ((5, 2), lambda d: L.Flatten(dtype=d)),
    "reshape": ((4, 2), lambda d: L.Reshape((8,), dtype=d)),
    "upsample": ((4, 4, 2), lambda d: L.UpSampling2D(interpolation="bilinear", dtype=d)),
    "pad": ((4, 2), lambda d: L.ZeroPadding1D(1, dtype=d)),
    "prelu": ((4, 2), lambda d: L.PReLU(dtype=d)),
    "softmax": ((4, 2), lambda d: L.Softmax(dtype=d)),
    "relu": ((4, 2), lambda d: L.ReLU(max_value=1.0, dtype=d)),
    "elu": ((4, 2), lambda d: L.ELU(dtype=d)),
    "rescaling": ((4, 2), lambda d: L.Rescaling(0.3, 0.1, dtype=d)),
    "dropout": ((4, 2), lambda d: L.Dropout(0.3, dtype=d)),
    "masking": ((4, 2), lambda d: L.Masking(dtype=d)),
    "identity": ((4, 2), lambda d: L.Identity(dtype=d)),
    "embedding": ((4,), lambda d: L.Embedding(6, 3, dtype=d)),
    "einsum": ((5, 4), lambda d: L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", dtype=d)),
    "repeat": ((4,), lambda d: L.RepeatVector(2, dtype=d)),
    "convlstm": ((3, 4, 4, 2), lambda d: L.ConvLSTM2D(2, 2, dtype=d)),
}


def Self(layer):
    return lambda x: layer([x, x])


def Heads(layer):
    return lambda x: layer(x, x)


def dtypes(c):
    for name, (shape, layer) in LAYERS.items():
        maker = ints(6) if name == "embedding" else None
        for dtype in ("float64",):
            c.add(f"{dtype}_{name}", lambda l=layer, s=shape, d=dtype: chain(s, l(d)), inputs=maker, optional=True)
        c.add(f"float64_in_{name}", lambda l=layer, s=shape: chain(s, l("float32"), dtype="float64"), inputs=maker, optional=True)
        if name not in ("embedding",):
            c.add(f"int_in_{name}", lambda l=layer, s=shape: chain(s, l("float32"), dtype="int32"), optional=True)


def odd(c):
    add = lambda name, *a, **k: c.add(name, lambda: chain(*a, **k.pop("chain", {})), optional=True, **k)
    add("dense_rank5", (2, 3, 2, 4), L.Dense(3))
    add("dense_one", (1,), L.Dense(1, use_bias=False))
    add("conv_one", (5, 1), L.Conv1D(1, 1))
    add("conv_groups", (6, 4), L.Conv1D(6, 3, groups=2, strides=2, padding="same"))
    add("conv_causal_groups", (6, 4), L.Conv1D(4, 3, groups=4, dilation_rate=2, padding="causal"))
    add("conv3d_dilated", (5, 5, 5, 2), L.Conv3D(2, 2, dilation_rate=(1, 2, 2), use_bias=False))
    add("depthwise_dilated", (7, 7, 2), L.DepthwiseConv2D(3, dilation_rate=2, padding="same"))
    add("depthwise1d_strides", (7, 2), L.DepthwiseConv1D(3, strides=2, depth_multiplier=3))
    add("separable_dilated", (7, 7, 2), L.SeparableConv2D(2, 3, dilation_rate=2, depth_multiplier=2))
    for p in (None, 0, 1):
        for pad in ("valid", "same"):
            add(f"transpose_{p}_{pad}".lower(), (4, 5, 2), L.Conv2DTranspose(3, 3, strides=2, padding=pad, output_padding=p))
    add("transpose3d", (3, 3, 3, 2), L.Conv3DTranspose(2, 2, strides=2, use_bias=False))
    add("maxpool_same", (5, 5, 2), L.MaxPooling2D(3, strides=1, padding="same"))
    add("avgpool_strides", (7, 2), L.AveragePooling1D(3, strides=5))
    add("layernorm_axes", (3, 4, 2), L.LayerNormalization(axis=[1, 2], epsilon=0.01))
    add("layernorm_axis1", (3, 4), L.LayerNormalization(axis=1, center=False))
    add("groupnorm_instance", (4, 4, 6), L.GroupNormalization(-1))
    add("groupnorm_axis1", (4, 3), L.GroupNormalization(2, axis=1, scale=False))
    add("unit_axes", (3, 4), L.UnitNormalization(axis=[1, 2]))
    add("rms_axes", (3, 4), L.RMSNormalization(axis=-1, epsilon=0.1))
    add("softmax_axes", (3, 4), L.Softmax(axis=[1, 2]))
    add("prelu_shared", (3, 4, 2), L.PReLU(shared_axes=[1, 2]))
    add("relu_all", (4,), L.ReLU(2.0, 0.1, 0.5))
    add("cropping_asym", (7, 2), L.Cropping1D((2, 1)))
    add("padding_asym", (4, 5, 2), L.ZeroPadding2D(((1, 0), (2, 3))))
    add("padding_first", (2, 4, 5), L.ZeroPadding2D((1, 2), data_format="channels_first"))
    for m in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
        add(f"upsample_{m}", (3, 4, 2), L.UpSampling2D((2, 3), interpolation=m))
    add("upsample_first", (2, 3, 4), L.UpSampling2D(2, data_format="channels_first"))
    add("flatten_first", (2, 3, 4), L.Flatten(data_format="channels_first"))
    add("flatten_scalar", (), L.Flatten())
    add("permute", (2, 3, 4), L.Permute((3, 1, 2)))
    add("reshape_to_scalar", (1,), L.Reshape(()))
    add("masking_value", (4, 2), L.Masking(-1.0), L.LSTM(2), inputs=masked(-1.0))
    add("embedding_mask_sum", (4,), L.Embedding(5, 2, mask_zero=True), L.GlobalAveragePooling1D(), inputs=padded(5))
    add("embedding_2d", (3, 4), L.Embedding(5, 2), inputs=ints(5))
    add("embedding_float_input", (4,), L.Embedding(5, 2), inputs=ints(5))
    add("global_keepdims", (4, 3), L.GlobalMaxPooling1D(keepdims=True))
    add("global_first", (4, 3, 2), L.GlobalAveragePooling2D(data_format="channels_first"))
    add("global_masked", (4, 3), L.Masking(), L.GlobalAveragePooling1D(keepdims=True), inputs=masked())

    def pair(f, a=(3, 4), b=(3, 4)):
        def build():
            x, y = keras.Input(a), keras.Input(b)
            return keras.Model([x, y], f(x, y))

        return build

    for name, f in {
        "dot_axes": lambda x, y: L.Dot((1, 1))([x, y]),
        "dot_normalized": lambda x, y: L.Dot(-1, normalize=True)([x, y]),
        "add_mixed": lambda x, y: L.Add()([x, L.Dense(4, dtype="float64")(y)]),
        "concat_mixed": lambda x, y: L.Concatenate()([x, ops.cast(y, "int32")]),
        "multiply_bool": lambda x, y: L.Multiply()([x, y > 0]),
        "heads_axes": lambda x, y: L.MultiHeadAttention(2, 3, value_dim=2, output_shape=5)(x, y),
        "heads_all": lambda x, y: L.MultiHeadAttention(2, 3, use_bias=False)(x, y, y, return_attention_scores=True, use_causal_mask=True),
        "attention_concat": lambda x, y: L.Attention(score_mode="concat", use_scale=True)([x, y], return_attention_scores=True),
        "attention_causal": lambda x, y: L.Attention()([x, y, y], use_causal_mask=True),
    }.items():
        c.add(name, pair(f), optional=True)
    for cls in (L.Add, L.Average, L.Maximum, L.Minimum, L.Multiply):
        c.add(f"broadcast_{cls.__name__}".lower(), pair(lambda x, y, cls=cls: cls()([x, y]), (3, 4), (1, 4)), optional=True)
        c.add(f"ranks_{cls.__name__}".lower(), pair(lambda x, y, cls=cls: cls()([x, y]), (3, 4), (4,)), optional=True)
