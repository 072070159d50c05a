"""Found by random models: data of images in dicts, quantized weights that aren't there, optional inputs."""

import keras
import numpy as np
from common import bools, left_out, normal, uniform
from keras import layers as L
from keras.quantizers import AbsMaxQuantizer, Float8QuantizationConfig, Int4QuantizationConfig, Int8QuantizationConfig


def cases(c):
    dicts(c)
    counts(c)
    optional(c)


def boxes(rng, shape, dtype):
    """Corners in order, some outside of the image."""
    return np.sort(rng.uniform(-1, 10, size=(*shape[:-1], 2, 2)), axis=-2).reshape(shape).astype(dtype)


def dicts(c):
    """Layers over dicts of images and what belongs to them; boxes are float32 in any policy."""

    def model(layer, keys, dtype=None):
        parts = {"images": keras.Input((6, 7, 3), name="images"), "labels": keras.Input((4,), name="labels"), "segmentation_masks": keras.Input((6, 7, 1), name="segmentation_masks"),
                 "bounding_boxes": {"boxes": keras.Input((5, 4)), "labels": keras.Input((5,))}}
        parts = {key: part for key, part in parts.items() if key in keys}
        return keras.Model(parts, layer(dict(parts)))

    makers = {"bounding_boxes": [boxes, uniform(0, 3)], "images": [uniform(0, 255)], "labels": [uniform()], "segmentation_masks": [uniform(0, 4)]}
    layers = {
        "flip": lambda: L.RandomFlip(bounding_box_format="xyxy"), "bright": lambda: L.RandomBrightness(0.2, bounding_box_format="rel_xywh"), "half": lambda: L.RandomRotation(0.2, bounding_box_format="xyxy", dtype="float16"),
        "most": lambda: L.MaxNumBoundingBoxes(3, bounding_box_format="xyxy"), "more": lambda: L.MaxNumBoundingBoxes(7, bounding_box_format="xyxy", dtype="float16"),
        "contrast": lambda: L.AutoContrast(bounding_box_format="xyxy"), "pipeline": lambda: L.Pipeline([L.RandomFlip(bounding_box_format="xyxy"), L.RandomZoom(0.2, bounding_box_format="xyxy", dtype="bfloat16")]),
    }
    for name, layer in layers.items():
        for keys in (["bounding_boxes", "images"], ["images", "labels", "segmentation_masks"], list(makers)):
            inputs = [maker for key in keys for maker in makers[key]]
            c.add(f"dict_{name}_{len(keys)}", lambda f=layer, k=keys: model(f(), k), inputs=inputs, optional=True)


def counts(c):
    """The weights of quantized layers, which a model without weights must count too."""
    configs = {
        "int8": Int8QuantizationConfig, "int4": Int4QuantizationConfig, "blocks": lambda: Int4QuantizationConfig(block_size=3),
        "channels": lambda: Int4QuantizationConfig(block_size=-1, activation_quantizer=AbsMaxQuantizer()), "float8": Float8QuantizationConfig,
    }

    def einsum():
        x = keras.Input((5, 7))
        y = L.EinsumDense("abc,cde->abde", output_shape=(None, 3, 5), bias_axes="de")(x)
        return keras.Model(x, L.EinsumDense("abde,def->abf", output_shape=(None, 9))(y))

    def table(**options):
        x = keras.Input((5,), dtype="int32")
        layer = L.ReversibleEmbedding(9, 7, **options)
        return keras.Model(x, layer(layer(x), reverse=True))

    def forward():
        x = keras.Input((5,), dtype="int32")
        return keras.Model(x, [L.ReversibleEmbedding(9, 7, tie_weights=False)(x), L.Embedding(8, 5)(x)])

    def quantized(build, config, lora=None):
        model = build()
        model.quantize(config=config)
        for layer in model.layers if lora else []:
            if hasattr(layer, "enable_lora"):
                layer.enable_lora(lora)
        return model

    builds = {"einsum": einsum, "table": table, "untied": lambda: table(tie_weights=False), "forward": forward}
    for key, config in configs.items():
        for name, build in builds.items():
            c.add(f"counts_{key}_{name}", lambda b=build, q=config: quantized(b, q()), weights=None, optional=True)
            if key in ("int8", "channels"):
                c.add(f"counts_{key}_{name}_lora", lambda b=build, q=config: quantized(b, q(), lora=2), weights=None, optional=True)


def optional(c):
    """Optional inputs, given and left out, alone and through nested models."""

    def steps(layer, shape, dtype="bool", keys=False, nested=False):
        def model():
            x, z = keras.Input((4, 3), name="x"), keras.Input(shape, dtype=dtype, optional=True, name="z")
            return keras.Model({"x": x, "z": z} if keys else [x, z], layer(x, z))

        if not nested:
            return model()
        x, z = keras.Input((4, 3), name="x"), keras.Input(shape, dtype=dtype, optional=True, name="z")
        return keras.Model([x, z], model()([x, z]))

    masks = {
        "lstm": lambda x, z: L.LSTM(2, return_sequences=True)(x, mask=z), "rnn": lambda x, z: L.RNN([L.GRUCell(2), L.SimpleRNNCell(3)])(x, mask=z), "bidirectional": lambda x, z: L.Bidirectional(L.GRU(2))(x, mask=z),
        "pooling": lambda x, z: L.GlobalAveragePooling1D()(x, mask=z), "norm": lambda x, z: L.BatchNormalization()(x, mask=z), "attention": lambda x, z: L.Attention()([x, x], mask=[z, z]),
        "additive": lambda x, z: L.AdditiveAttention()([x, x], mask=[None, z]), "query": lambda x, z: L.MultiHeadAttention(1, 2)(x, x, query_mask=z), "value": lambda x, z: L.MultiHeadAttention(1, 2)(x, x, value_mask=z),
        "distributed": lambda x, z: L.TimeDistributed(L.Dense(2))(x, mask=z), "unused": lambda x, z: L.Dense(2)(x), "two": lambda x, z: [L.GRU(2)(x, mask=z), L.MultiHeadAttention(1, 2)(x, x, key_mask=z)],
    }
    others = {
        "heads": (lambda x, z: L.MultiHeadAttention(2, 2)(x, x, attention_mask=z), (4, 4), "bool"), "groups": (lambda x, z: L.GroupQueryAttention(2, 2, 1)(x, x, attention_mask=z), (4, 4), "bool"),
        "key": (lambda x, z: L.MultiHeadAttention(1, 2)(x, x, key=z), (4, 3), "float32"), "state": (lambda x, z: L.GRU(2)(x, initial_state=z), (2,), "float32"), "softmax": (lambda x, z: L.Softmax()(x, mask=z), (4, 3), "bool"),
    }
    layers = {name: (layer, (4,), "bool") for name, layer in masks.items()} | others
    for name, (layer, shape, dtype) in layers.items():
        for given in (False, True):
            maker = (bools(0.7, True) if dtype == "bool" else normal()) if given else left_out
            for way in ("list", "nested", "keys")[: 3 if name in ("lstm", "heads") else 2]:
                c.add(f"optional_{name}_{way}_{int(given)}", lambda f=layer, s=shape, d=dtype, w=way: steps(f, s, d, w == "keys", w == "nested"), inputs=[normal(), maker], rows=3, optional=True)
