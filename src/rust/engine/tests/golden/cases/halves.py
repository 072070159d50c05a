"""Masks in attention of half precision, which hides scores by the lowest number of its own."""

import keras
from common import bools, padded
from keras import layers as L


def attention(cls, dtype, masks=(False, True), call=None, **config):
    """A model around one of the attention layers that take a list, with masks of query and value."""
    def build():
        query, value = keras.Input((4, 6), name="query"), keras.Input((5, 6), name="value")
        inputs, mask = [query, value], [None, None]
        for i, n in enumerate((4, 5)):
            if masks[i]:
                mask[i] = keras.Input((n,), dtype="bool", name=f"mask_{i}")
                inputs.append(mask[i])
        y = cls(dtype=dtype, **config)([query, value], mask=mask, **(call or {}))
        return keras.Model(inputs, keras.ops.cast(y, "float32"))

    return build


def heads(dtype, call=None, **config):
    """Self-attention over embeddings whose mask comes along."""
    def build():
        x = keras.Input((5,), dtype="int32")
        e = L.Embedding(9, 6, mask_zero=True)(x)
        y = L.MultiHeadAttention(2, 3, dtype=dtype, **config)(e, e, **(call or {}))
        return keras.Model(x, keras.ops.cast(y, "float32"))

    return build


def cases(c):
    for dtype in ("float16", "mixed_float16"):
        for name, cls in (("attention", L.Attention), ("additive", L.AdditiveAttention)):
            kind = f"{name}_{dtype}"
            c.add(f"{kind}_value", attention(cls, dtype), inputs=[None, None, bools(0.6, first=True)])
            c.add(f"{kind}_empty", attention(cls, dtype), inputs=[None, None, bools(0.1)], rows=5)
            c.add(f"{kind}_both", attention(cls, dtype, (True, True)), inputs=[None, None, bools(0.6), bools(0.6, first=True)])
            c.add(f"{kind}_causal", attention(cls, dtype, call=dict(use_causal_mask=True)), inputs=[None, None, bools(0.6, first=True)])
        c.add(f"heads_{dtype}", heads(dtype), inputs=padded(9))
        c.add(f"heads_{dtype}_empty", heads(dtype), inputs=padded(9, empty=True))
        c.add(f"heads_{dtype}_causal", heads(dtype, dict(use_causal_mask=True)), inputs=padded(9))
