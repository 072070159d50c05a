"""Quantized layers, and adapters, which are saved merged."""

import os
import tempfile

import keras
from keras import layers as L
from keras.quantizers import AbsMaxQuantizer, Int4QuantizationConfig, Int8QuantizationConfig

from common import chain, random_weight, rng_of, rounds_bfloat16, sequential

POLICIES = ["float32", "mixed_bfloat16", "bfloat16", "float64"]


def no_weights(model, rng):
    """Weights are random already: quantization comes after."""


def randomise(model, rng):
    for w in model.weights:
        value = random_weight(w.name, tuple(w.shape), rng)
        if value is not None:
            w.assign(value.astype("float32").astype(keras.backend.standardize_dtype(w.dtype) if w.dtype != "bfloat16" else "float32"))


def configs():
    quantizer = AbsMaxQuantizer
    return {
        "int8": Int8QuantizationConfig(),
        "int8_weights": Int8QuantizationConfig(activation_quantizer=None),
        "int8_ranges": Int8QuantizationConfig(
            weight_quantizer=None, activation_quantizer=quantizer(value_range=(-63, 40), epsilon=1e-2)
        ),
        "int4": Int4QuantizationConfig(),
        "int4_block2": Int4QuantizationConfig(block_size=2),
        "int4_block3": Int4QuantizationConfig(block_size=3),
        "int4_channel": Int4QuantizationConfig(block_size=None),
        "int4_channel_acts": Int4QuantizationConfig(block_size=-1, activation_quantizer=quantizer()),
        "float8": keras.quantizers.Float8QuantizationConfig(),
    }


def mlp(rng, policy=None):
    activation = str(rng.choice(["relu", "tanh", "gelu", "linear"]))
    return chain(
        (7,),
        L.Dense(int(rng.integers(2, 9)), activation=activation, use_bias=bool(rng.random() < 0.7), dtype=policy),
        L.Dense(3, use_bias=bool(rng.random() < 0.7), dtype=policy),
    )


def sequence(rng, policy=None):
    return chain((4, 6), L.Dense(5, activation="relu", dtype=policy), L.Dense(3, dtype=policy))


def einsum(equation, shape, output, bias_axes, activation=None):
    def build(rng, policy=None):
        return chain(shape, L.EinsumDense(equation, output, bias_axes=bias_axes, activation=activation, dtype=policy))

    return build


def embedding(mask_zero):
    def build(rng, policy=None):
        x = inp = keras.Input((5,), dtype="int32")
        x = L.Embedding(9, int(rng.integers(3, 8)), mask_zero=mask_zero, dtype=policy)(x)
        return keras.Model(inp, L.LSTM(3)(x) if mask_zero else x)

    return build


def reversible(**options):
    def build(rng, policy=None):
        inp = keras.Input((5,), dtype="int32")
        layer = L.ReversibleEmbedding(9, 5, dtype=policy, **options)
        x = layer(inp)
        y = L.Dense(5, activation="tanh")(x)
        return keras.Model(inp, [x, layer(y, reverse=True)])

    return build


BUILDERS = {
    "mlp": mlp,
    "sequence": sequence,
    "einsum": einsum("abc,cd->abd", (4, 6), (None, 5), "d", "relu"),
    "einsum_heads": einsum("abc,cde->abde", (4, 6), (None, 2, 3), "de"),
    "einsum_from_heads": einsum("abcd,cde->abe", (4, 2, 3), (None, 5), "e"),
    "einsum_time": einsum("abc,bd->adc", (4, 6), (5, 6), "dc"),
    "einsum_swapped": einsum("abc,dc->abd", (4, 6), (None, 5), None),
    "einsum_last_first": einsum("abc,cd->adb", (4, 6), (5, 4), "d"),
    "einsum_two": einsum("ab,bcd->acd", (6,), (3, 2), "cd"),
    "embedding": embedding(False),
    "embedding_masked": embedding(True),
    "reversible": reversible(),
    "reversible_untied": reversible(tie_weights=False, logit_soft_cap=2.0),
}


def quantized(build, rng, config, policy=None, lora=None, filters=None):
    model = build(rng, policy)
    randomise(model, rng)
    model.quantize(config=config, filters=filters)
    if lora:
        adapt(model, rng, lora)
        # merging quantizes anew: what is saved is not what was
        with_lora = reloaded(model)
        return with_lora
    return model


def reloaded(model):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.keras")
        model.save(path)
        return keras.models.load_model(path)


def adapt(model, rng, rank):
    for layer in model._flatten_layers():
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(rank, lora_alpha=int(rng.integers(1, 5)))
    for w in model.weights:
        if "lora" in w.name:
            w.assign(rng.normal(size=w.shape) * 0.3)


def scales(model, rng):
    """Scales of float8, which training would have moved."""
    for w in model.weights:
        if w.name in ("inputs_scale", "kernel_scale") and not w.shape:
            w.assign(float(rng.uniform(0.002, 0.3)))


def nested(rng):
    inner = chain((6,), L.Dense(4, activation="relu"), name="inner")
    x = inp = keras.Input((5, 6))
    x = L.TimeDistributed(L.Dense(6, activation="tanh"))(x)
    x = L.TimeDistributed(inner)(x)
    return keras.Model(inp, L.Dense(3)(L.Flatten()(x)))


def policy_map(rng, policies, default):
    inp = keras.Input((4, 6))
    policy = keras.dtype_policies.DTypePolicyMap(default)
    for key, value in policies.items():
        policy[key] = value
    x = L.MultiHeadAttention(2, 3, dtype=policy, name="mha")(inp, inp)
    return keras.Model(inp, x)


def fill(model, rng):
    """Integers and scales for layers that were made quantized, not quantized afterwards."""
    for w in model.weights:
        dtype = keras.backend.standardize_dtype(w.dtype)
        if dtype == "int8":
            w.assign(rng.integers(-128, 128, size=w.shape).astype("int8"))
        elif dtype == "uint8":
            w.assign(rng.integers(0, 256, size=w.shape).astype("uint8"))
        elif w.name == "g_idx":
            pass
        elif "scale" in w.name:
            w.assign(rng.uniform(20, 90, size=w.shape))
        else:
            value = random_weight(w.name, tuple(w.shape), rng)
            if value is not None:
                w.assign(value)


def fill_groups(model, rng):
    """GPTQ and AWQ: codes from 0 on, small scales, groups in any order."""
    fill(model, rng)
    for w in model.weights:
        if w.name == "g_idx":
            groups = max(v.shape[-1] for v in model.weights if v.name == "kernel_scale")
            w.assign(rng.integers(0, groups, size=w.shape).astype("float32"))
        elif w.name in ("kernel_zero", "zero_point"):
            w.assign(rng.integers(0, 16, size=w.shape).astype("uint8"))
        elif w.name == "kernel_scale":
            w.assign(rng.uniform(0.01, 0.1, size=w.shape))
        elif w.name == "awq_scales":
            w.assign(rng.uniform(0.5, 2, size=w.shape))


def calibrated(build):
    """What GPTQ leaves behind: a layer that Keras takes for calibrated. Keras 3.15 forgets
    to save the zeros, which Keras before it did."""

    def made():
        model = build()
        for layer in model._flatten_layers():
            layer.is_gptq_calibrated = layer.is_awq_calibrated = True
            if hasattr(layer, "kernel_zero"):
                layer._get_kernel_with_merged_lora = lambda zero=layer.kernel_zero: (None, None, zero)
        return model

    return made


def cases(c):
    for key in configs():
        for name, build in BUILDERS.items():
            if key == "float8" and ("embedding" in name or "reversible" in name):
                continue
            full = key in ("int8_ranges", "int4_block3", "int4_channel_acts") and "einsum_" in name
            if full and not c.full:
                continue
            c.add(
                f"{key}_{name}",
                lambda key=key, build=build, name=name: quantized(build, rng_for(c, key, name), configs()[key]),
                weights=scales if key == "float8" else no_weights,
                optional=True,
            )
    for policy in POLICIES[1:]:
        for key in ["int8", "int4_block2", "int4_channel", "float8", "int8_weights"]:
            for name in ["mlp", "einsum_heads", "embedding", "reversible", "reversible_untied"]:
                if key == "float8" and name not in ("mlp", "einsum_heads"):
                    continue
                if policy == "mixed_bfloat16" and name == "mlp" and key not in ("int8", "int8_weights") and not c.full:
                    continue
                if policy == "bfloat16" and not c.full:
                    continue
                # sums of products of int8 are exact everywhere
                if "bfloat16" in policy and key != "int8" and name in ("mlp", "einsum_heads") and not rounds_bfloat16():
                    continue
                c.add(
                    f"{policy}_{key}_{name}",
                    lambda key=key, name=name, policy=policy: quantized(
                        BUILDERS[name], rng_for(c, policy, key, name), configs()[key], policy
                    ),
                    weights=scales if key == "float8" else no_weights,
                    optional=True,
                )
    for key in ["int8", "int4_channel"]:
        for name in ["mlp", "einsum_heads", "embedding"]:
            c.add(
                f"lora_{key}_{name}",
                lambda key=key, name=name: quantized(BUILDERS[name], rng_for(c, "lora", key, name), configs()[key], lora=2),
                weights=no_weights,
                optional=True,
            )
    plain = {
        "mlp": mlp,
        "einsum": BUILDERS["einsum_heads"],
        "embedding": embedding(False),
        "conv1d": lambda rng: chain((8, 3), L.Conv1D(4, 3)),
        "conv2d": lambda rng: chain((8, 8, 3), L.Conv2D(4, 3, strides=2, padding="same")),
        "conv3d": lambda rng: chain((4, 4, 4, 3), L.Conv3D(4, 3)),
    }
    for name, build in plain.items():

        def with_lora(name=name, build=build):
            rng = rng_for(c, "plain", name)
            model = build(rng)
            randomise(model, rng)
            adapt(model, rng, 2)
            return model

        c.add(f"lora_{name}", with_lora, weights=no_weights)

    c.add("nested", lambda: quantized(lambda rng, _: nested(rng), rng_for(c, "nested"), configs()["int8"]), weights=no_weights)
    c.add("nested4", lambda: quantized(lambda rng, _: nested(rng), rng_for(c, "nested4"), configs()["int4"]), weights=no_weights)
    c.add(
        "filtered",
        lambda: quantized(lambda rng, _: nested(rng), rng_for(c, "filtered"), configs()["int8"], filters="^dense"),
        weights=no_weights,
    )
    for name, policies, default in [
        ("pattern", {"mha/.*": "float64"}, "float64"),
    ]:
        c.add(f"map_{name}", lambda p=policies, d=default: policy_map(None, p, d), weights=fill, optional=True)
    for policy in ["int8_from_float32", "int8_from_mixed_bfloat16", "int4/2_from_float32", "int4/-1_from_float32", "float8_from_float32", "float8_from_mixed_float16", "int4/4_from_mixed_float16"]:
        tag = policy.replace("/", "_").replace("-", "m")
        c.add(f"made_{tag}_dense", lambda p=policy: sequential((6,), L.Dense(5, dtype=p, activation="relu"), L.Dense(2, dtype=p)), weights=fill, optional=True)
        c.add(
            f"made_{tag}_einsum",
            lambda p=policy: sequential((4, 6), L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", dtype=p)),
            weights=fill,
            optional=True,
        )
    for policy in ["gptq/4/2_from_float32", "gptq/4/-1_from_float32", "gptq/8/3_from_float32", "gptq/2/4_from_float32", "gptq/3/2_from_mixed_bfloat16", "awq/4/2_from_float32", "awq/4/-1_from_float32", "awq/4/4_from_mixed_bfloat16"]:
        tag = policy.replace("/", "_").replace("-", "m")
        if "bfloat16" in policy and not rounds_bfloat16():
            continue
        # TensorFlow rounds a fused product and bias in bfloat16 once
        dense = "mixed" not in policy or c.full
        dense and c.add(
            f"made_{tag}_dense",
            calibrated(lambda p=policy: sequential((6,), L.Dense(5, dtype=p, activation="relu"), L.Dense(2, use_bias=False, dtype=p))),
            weights=fill_groups,
            optional=True,
        )
        c.add(
            f"made_{tag}_einsum",
            calibrated(lambda p=policy: sequential((4, 6), L.EinsumDense("abc,cde->abde", (None, 2, 2), bias_axes="de", dtype=p))),
            weights=fill_groups,
            optional=True,
        )
    c.add("reversible_plain", lambda: reversible()(None))
    c.add("reversible_untied_plain", lambda: reversible(tie_weights=False, logit_soft_cap=1.5)(None))
    c.add("reversible_masked", lambda: masked_reversible(None))
    for dtype in ["float16", "mixed_float16", "mixed_bfloat16", "float64"]:
        c.add(f"reversible_{dtype}", lambda d=dtype: reversible(reverse_dtype="float32")(None, d), optional=True)
        c.add(f"reversible_{dtype}_default", lambda d=dtype: reversible()(None, d), optional=True)
    c.add("int8_h5", lambda: quantized(mlp, rng_for(c, "h5"), configs()["int8"]), weights=no_weights, h5=True, optional=True)
    c.add("wide", lambda: quantized(lambda rng, _: chain((1500,), L.Dense(2)), rng_for(c, "wide"), configs()["int8"]), weights=no_weights, rows=2)


def masked_reversible(rng):
    inp = keras.Input((5,), dtype="int32")
    layer = L.ReversibleEmbedding(9, 5, mask_zero=True)
    x = L.GRU(5, return_sequences=True)(layer(inp))
    return keras.Model(inp, layer(x, reverse=True))


def rng_for(c, *path):
    return rng_of(c.seed, "quant", *path)
