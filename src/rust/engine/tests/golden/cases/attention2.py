"""GroupQueryAttention, spectral normalization, and attention within wrappers and models."""

import keras
import numpy as np
from common import bools, chain, ints, masked, padded, sequential
from keras import layers as L


def cases(c):
    grouped(c)
    spectral(c)
    sweep(c)


def group(call=None, key=False, shapes=((3, 4), (5, 4)), mask=None, extra=(), **k):
    """A model of query and value (and key)."""
    k = {"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": 3, **k}
    inputs = [keras.Input(s) for s in shapes] + ([keras.Input(shapes[1])] if key else [])
    xs = [L.Masking()(x) for x in inputs] if mask else inputs
    more = {name: keras.Input(shape, dtype="bool") for name, shape in extra}
    y = L.GroupQueryAttention(**k)(*xs, **(call or {}), **more)
    return keras.Model([*inputs, *more.values()], y)


def grouped(c):
    add = c.add
    add("group_plain", lambda: group(), h5=True)
    add("group_key", lambda: group(key=True))
    add("group_one", lambda: group(num_key_value_heads=1))
    add("group_all", lambda: group(num_key_value_heads=4))
    add("group_nobias", lambda: group(use_bias=False))
    add("group_gate", lambda: group(use_gate=True))
    add("group_gate_scores", lambda: group({"return_attention_scores": True}, use_gate=True, use_bias=False))
    add("group_window", lambda: group(sliding_window=2))
    add("group_window_causal", lambda: group({"use_causal_mask": True}, sliding_window=2))
    add("group_dropout", lambda: group(dropout=0.3))
    add("group_dropout_causal", lambda: group({"use_causal_mask": True}, dropout=0.3))
    add("group_causal", lambda: group({"use_causal_mask": True}))
    add("group_causal_scores", lambda: group({"use_causal_mask": True, "return_attention_scores": True}))
    add("group_scores", lambda: group({"return_attention_scores": True}))
    add("group_masked", lambda: group(mask=True), inputs=[masked(), masked()])
    add("group_masked_key", lambda: group(mask=True, key=True), inputs=[masked()] * 3)
    add("group_masked_scores", lambda: group({"return_attention_scores": True}, mask=True), inputs=[masked(), masked()])
    add("group_masked_causal", lambda: group({"use_causal_mask": True}, mask=True), inputs=[masked(), masked()])
    add("group_attention_mask", lambda: group(extra=(("attention_mask", (3, 5)),)))
    add("group_attention_mask_causal", lambda: group({"use_causal_mask": True}, extra=(("attention_mask", (3, 5)),)))
    add("group_attention_mask_scores", lambda: group({"return_attention_scores": True}, extra=(("attention_mask", (3, 5)),)))
    add("group_query_mask", lambda: group(extra=(("query_mask", (3,)), ("value_mask", (5,)))))
    add("group_key_mask", lambda: group(key=True, extra=(("key_mask", (5,)),)))
    add("group_mask_passed_on", lambda: chained())
    add("group_self", lambda: itself())
    add("group_float64", lambda: group(dtype="float64"))
    add("group_twice", lambda: itself(2))

    def itself(n=1):
        x = inp = keras.Input((None, 4))
        for _ in range(n):
            x = L.LayerNormalization()(x + L.GroupQueryAttention(2, 4, 2)(x, x, use_causal_mask=True))
        return keras.Model(inp, x)

    def chained():
        x = keras.Input((5, 4))
        y = L.Masking()(x)
        return keras.Model(x, L.GRU(2)(L.GroupQueryAttention(3, 2, 1)(y, y)))


def spectral(c):
    add = c.add
    add("spectral_dense", lambda: chain((4,), L.SpectralNormalization(L.Dense(3))), h5=True)
    add("spectral_conv", lambda: chain((5, 5, 2), L.SpectralNormalization(L.Conv2D(3, 2, activation="relu"), power_iterations=2)), h5=True)
    add("spectral_embedding", lambda: chain((4,), L.SpectralNormalization(L.Embedding(6, 3)), dtype="int32"), inputs=ints(6), optional=True)
    add("spectral_embedding_floats", lambda: chain((4,), L.SpectralNormalization(L.Embedding(6, 3))), inputs=ints(6), optional=True)
    add("spectral_depthwise", lambda: chain((5, 5, 2), L.SpectralNormalization(L.DepthwiseConv2D(2))), optional=True)
    add("spectral_separable", lambda: chain((5, 5, 2), L.SpectralNormalization(L.SeparableConv2D(3, 2))), optional=True)
    add("spectral_transpose", lambda: chain((5, 5, 2), L.SpectralNormalization(L.Conv2DTranspose(3, 2))), optional=True)
    add("spectral_einsum", lambda: chain((5, 4), L.SpectralNormalization(L.EinsumDense("abc,cd->abd", (None, 3)))), optional=True)
    add("spectral_in_time", lambda: chain((3, 4), L.TimeDistributed(L.SpectralNormalization(L.Dense(2)))), optional=True)
    add("spectral_shared", lambda: shared())
    add("spectral_float64", lambda: chain((4,), L.SpectralNormalization(L.Dense(3, dtype="float64"), dtype="float64")), optional=True)

    def shared():
        layer = L.SpectralNormalization(L.Dense(4))
        x = keras.Input((4,))
        return keras.Model(x, layer(layer(x)))


def sweep(c):
    for i, r in c.random("group", 6, 60):
        groups = int(r.integers(1, 4))
        k = {"num_key_value_heads": groups, "num_query_heads": groups * int(r.integers(1, 4)), "head_dim": int(r.integers(1, 5)), "use_bias": bool(r.integers(2)),
             "use_gate": bool(r.integers(2)), "sliding_window": [None, 1, 2, 3][int(r.integers(4))], "dropout": [0.0, 0.2][int(r.integers(2))]}
        call = {"use_causal_mask": bool(r.integers(2)), "return_attention_scores": bool(r.integers(2))}
        mask = bool(r.integers(2))
        c.add(f"random_group_{i}", lambda k=k, call=call, mask=mask: group(call, mask=mask, shapes=((4, 5), (4, 5)), **k), inputs=[masked(), masked()] if mask else None)
