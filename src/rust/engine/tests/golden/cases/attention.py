"""MultiHeadAttention, Attention, AdditiveAttention."""

import keras
from common import bools, padded
from keras import layers as L


def mha(q=(4, 6), v=None, k=None, call=None, attention_mask=None, both=False, **config):
    """A model around one MultiHeadAttention: v and k are shapes, or None for self-attention."""
    def build():
        query = keras.Input(q, name="query")
        inputs, args, kwargs = [query], [query, query], dict(call or {})
        if v:
            args[1] = keras.Input(v, name="value")
            inputs.append(args[1])
        if k:
            kwargs["key"] = keras.Input(k, name="key")
            inputs.append(kwargs["key"])
        if attention_mask:
            kwargs["attention_mask"] = keras.Input(attention_mask, dtype="bool", name="mask")
            inputs.append(kwargs["attention_mask"])
        return keras.Model(inputs, L.MultiHeadAttention(**config)(*args, **kwargs))

    return build


def cases(c):
    base = dict(num_heads=2, key_dim=3)
    c.add("mha", mha(**base), h5=True)
    c.add("mha_cross", mha(v=(5, 6), **base), h5=True)
    c.add("mha_cross_other_dims", mha(v=(5, 7), **base))
    c.add("mha_key", mha(v=(5, 6), k=(5, 4), **base), h5=True)
    c.add("mha_value_dim", mha(value_dim=5, **base))
    c.add("mha_output_shape", mha(output_shape=7, **base))
    c.add("mha_output_shape_tuple", mha(output_shape=(2, 3), **base))
    c.add("mha_no_bias", mha(use_bias=False, **base), h5=True)
    c.add("mha_one_head", mha(num_heads=1, key_dim=4))
    c.add("mha_dropout", mha(dropout=0.3, **base))
    c.add("mha_causal", mha(call=dict(use_causal_mask=True), **base))
    c.add("mha_causal_cross", mha(v=(6, 6), call=dict(use_causal_mask=True), **base))
    c.add("mha_scores", mha(v=(5, 6), call=dict(return_attention_scores=True), **base))
    c.add("mha_scores_causal", mha(call=dict(return_attention_scores=True, use_causal_mask=True), **base))
    c.add("mha_mask", mha(v=(5, 6), attention_mask=(4, 5), **base), inputs=[None, None, bools(0.6, first=True)])
    c.add("mha_mask_broadcast", mha(v=(5, 6), attention_mask=(1, 5), **base), inputs=[None, None, bools(0.6, first=True)])
    c.add("mha_mask_heads", mha(v=(5, 6), attention_mask=(2, 4, 5), **base), inputs=[None, None, bools(0.6, first=True)])
    c.add("mha_mask_full_row", mha(v=(5, 6), attention_mask=(4, 5), **base), inputs=[None, None, bools(0.2)], rows=6)
    c.add("mha_mask_full_row_scores", mha(v=(5, 6), attention_mask=(4, 5), call=dict(return_attention_scores=True), **base), inputs=[None, None, bools(0.2)], rows=6)
    c.add("mha_mask_full_row_dropout", mha(v=(5, 6), attention_mask=(4, 5), dropout=0.1, **base), inputs=[None, None, bools(0.2)], rows=6)
    c.add("mha_mask_causal", mha(attention_mask=(4, 4), call=dict(use_causal_mask=True), **base), inputs=[None, bools(0.7, first=True)])
    c.add("mha_axes", mha(q=(3, 4, 6), attention_axes=(2,), **base), h5=True)
    c.add("mha_axes_first", mha(q=(3, 4, 6), attention_axes=(1,), **base))
    c.add("mha_axes_both", mha(q=(3, 4, 6), attention_axes=(1, 2), **base))
    c.add("mha_axes_int", mha(q=(3, 4, 6), attention_axes=1, **base), optional=True)
    c.add("mha_rank4_default", mha(q=(3, 4, 6), **base))
    c.add("mha_axes_scores", mha(q=(3, 4, 6), attention_axes=(2,), call=dict(return_attention_scores=True), **base))
    c.add("mha_window", mha(q=(7, 6), sliding_window=2, **base), optional=True)
    c.add("mha_gate", mha(use_gate=True, **base), optional=True)
    c.add("mha_gate_value_dim", mha(use_gate=True, value_dim=4, **base), optional=True)
    c.add("mha_wide", mha(q=(9, 24), num_heads=4, key_dim=8))
    c.add("mha_none", mha(q=(None, 6), **base), dims=[5])
    c.add("mha_big_values", mha(**base), inputs=lambda rng, shape, dtype: (rng.normal(size=shape) * 30).astype(dtype))
    c.add("mha_embedding", lambda: embedded(lambda q, v: L.MultiHeadAttention(**base)(q, v)), inputs=[padded(9), padded(9)], h5=True)
    c.add("mha_embedding_scores", lambda: embedded(lambda q, v: L.MultiHeadAttention(**base)(q, v, return_attention_scores=True)), inputs=[padded(9), padded(9)])
    c.add("mha_embedding_causal", lambda: embedded(lambda q, v: L.MultiHeadAttention(**base)(q, v, use_causal_mask=True)), inputs=[padded(9), padded(9)])
    c.add("mha_embedding_self", lambda: embedded(lambda q, v: L.MultiHeadAttention(**base)(q, q)), inputs=[padded(9), padded(9)])
    c.add("mha_embedding_empty", lambda: embedded(lambda q, v: L.MultiHeadAttention(**base)(q, v)), inputs=[padded(9, empty=True), padded(9, empty=True)])
    c.add("mha_embedding_then_lstm", lambda: embedded(lambda q, v: L.LSTM(3)(L.MultiHeadAttention(**base)(q, v))), inputs=[padded(9), padded(9)])
    c.add("mha_shared", shared)
    c.add("transformer_block", transformer, inputs=padded(9), h5=True)
    c.add("transformer_decoder", decoder, inputs=[padded(9), padded(9)])

    def attention(name, cls, shapes=((4, 5), (6, 5)), call=None, masks=None, inputs=None, **config):
        def build():
            xs = [keras.Input(s, name=f"x{i}") for i, s in enumerate(shapes)]
            kwargs, extra = dict(call or {}), []
            if masks:
                extra = [keras.Input((s[0],), dtype="bool", name=f"m{i}") for i, s in enumerate(shapes)]
                kwargs["mask"] = [m if use else None for m, use in zip(extra, masks)]
                extra = [m for m, use in zip(extra, masks) if use]
            return keras.Model([*xs, *extra], cls(**config)(xs, **kwargs))

        c.add(name, build, inputs=inputs or [None] * len(shapes) + [bools(0.6, first=True)] * 3, h5=name in ("attention", "attention_scale", "additive"))

    for n, cls in (("attention", L.Attention), ("additive", L.AdditiveAttention)):
        attention(n, cls)
        attention(f"{n}_key", cls, shapes=((4, 5), (6, 5), (6, 5)))
        attention(f"{n}_key_other_dim", cls, shapes=((4, 5), (6, 3), (6, 5)))
        attention(f"{n}_scale", cls, use_scale=True)
        attention(f"{n}_no_scale", cls, use_scale=False)
        attention(f"{n}_dropout", cls, dropout=0.3)
        attention(f"{n}_causal", cls, call=dict(use_causal_mask=True))
        attention(f"{n}_scores", cls, call=dict(return_attention_scores=True))
        attention(f"{n}_masks", cls, masks=(True, True))
        attention(f"{n}_mask_value", cls, masks=(False, True), call=dict(return_attention_scores=True))
        attention(f"{n}_mask_query", cls, masks=(True, False))
        attention(f"{n}_mask_causal", cls, masks=(True, True), call=dict(use_causal_mask=True))
        attention(f"{n}_mask_full", cls, masks=(True, True), inputs=[None, None, bools(0.3), bools(0.2)])
        c.add(f"{n}_embedding", lambda cls=cls: embedded(lambda q, v: cls()([q, v])), inputs=[padded(9), padded(9, empty=True)], h5=True)
        c.add(f"{n}_embedding_then_pool", lambda cls=cls: embedded(lambda q, v: L.GlobalAveragePooling1D()(cls()([q, v]))), inputs=[padded(9), padded(9)])
        c.add(f"{n}_embedding_then_lstm", lambda cls=cls: embedded(lambda q, v: L.GRU(3)(cls(use_scale=True)([q, v]))), inputs=[padded(9), padded(9)])
    attention("attention_rank4", L.Attention, shapes=((2, 4, 5), (2, 6, 5)))
    attention("attention_concat", L.Attention, score_mode="concat")
    attention("attention_concat_scale", L.Attention, score_mode="concat", use_scale=True)
    attention("attention_big", L.Attention, inputs=lambda rng, shape, dtype: (rng.normal(size=shape) * 20).astype(dtype))

    for i, r in c.random("mha", 3, 30):
        # Heads of size 1 are left out: Keras on TensorFlow adds their bias along time where heads and steps are equally many.
        config = dict(num_heads=int(r.integers(1, 5)), key_dim=max(2, int(r.integers(1, 9))), use_bias=bool(r.integers(2)))
        if r.integers(2):
            config["value_dim"] = max(2, int(r.integers(1, 7)))
        if r.integers(3) == 0:
            config["output_shape"] = int(r.integers(1, 9))
        q, v = (int(r.integers(1, 7)), int(r.integers(1, 9))), (int(r.integers(1, 7)), int(r.integers(1, 9)))
        call = dict(use_causal_mask=bool(r.integers(2)), return_attention_scores=bool(r.integers(2)))
        c.add(f"mha_random{i}", mha(q=q, v=v, call=call, attention_mask=(q[0], v[0]), **config), inputs=[None, None, bools(0.7, first=True)])


def embedded(make):
    a, b = keras.Input((5,), dtype="int32", name="a"), keras.Input((6,), dtype="int32", name="b")
    q, v = L.Embedding(9, 4, mask_zero=True)(a), L.Embedding(9, 4, mask_zero=True)(b)
    return keras.Model([a, b], make(q, v))


def shared():
    a, b = keras.Input((4, 6), name="a"), keras.Input((5, 6), name="b")
    layer = L.MultiHeadAttention(2, 3)
    return keras.Model([a, b], [layer(a, b), layer(b, a)])


def block(x, context=None, causal=False):
    y = L.MultiHeadAttention(2, 4, dropout=0.1)(x, context if context is not None else x, use_causal_mask=causal)
    x = L.LayerNormalization(epsilon=1e-6)(x + L.Dropout(0.1)(y))
    y = L.Dense(6)(L.Dense(16, activation="gelu")(x))
    return L.LayerNormalization(epsilon=1e-6)(L.Add()([x, y]))


def transformer():
    tokens = keras.Input((7,), dtype="int32")
    x = L.Embedding(9, 6, mask_zero=True)(tokens)
    x = block(block(x))
    return keras.Model(tokens, L.Dense(3, activation="softmax")(L.GlobalAveragePooling1D()(x)))


def decoder():
    source, target = keras.Input((7,), dtype="int32", name="source"), keras.Input((5,), dtype="int32", name="target")
    context = block(L.Embedding(9, 6, mask_zero=True)(source))
    x = L.Embedding(9, 6, mask_zero=True)(target)
    x = block(x, causal=True)
    return keras.Model([source, target], L.Dense(9, activation="softmax")(block(x, context)))
