"""Writes legacy4.zip: masks through merging layers of Keras 2, and recurrent layers in its mixed precision.

    python legacy4.py --out packs

It needs what legacy.py needs.
"""

import tf_keras as K
from legacy import Writer, arguments
from legacy2 import several, steps, tokens

L = K.layers


def merged_masks():
    """Masks of both inputs, of one, and of none."""
    x, y, z = (L.Input((6, 3), name=n) for n in "xyz")
    a, b = L.Masking()(x), L.Masking()(y)
    pairs = [(a, b), (a, z), (z, b)]
    rnn = lambda t: L.LSTM(2)(t)
    merges = [L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Concatenate]
    return K.Model([x, y, z], [rnn(m()(list(p))) for m in merges for p in pairs] + [rnn(L.Add()([a, b, z])), rnn(L.Concatenate()([z, a, b])), rnn(L.Concatenate(1)([a, b])), rnn(L.Dot(2)([a, b])), L.Multiply()([a, b]), L.Maximum()([a, b])])


def positions():
    """Masked tokens with an embedding of places added, as in many models of sequences."""
    x, p = L.Input((6,), name="x"), L.Input((6,), name="p")
    h = L.Add()([L.Embedding(7, 4, mask_zero=True)(x), L.Embedding(7, 4)(p)])
    return K.Model([x, p], [L.GlobalAveragePooling1D()(h), L.GRU(3)(h), L.Bidirectional(L.LSTM(2, return_sequences=True))(L.LayerNormalization()(h))])


def mixed(build):
    def made():
        K.mixed_precision.set_global_policy("mixed_float16")
        try:
            return build()
        finally:
            K.mixed_precision.set_global_policy("float32")

    return made


def recurrent():
    x = L.Input((5,), name="x")
    h = L.Embedding(7, 6)(x)
    return K.Model(x, [L.LSTM(4)(h), L.GRU(4)(h), L.SimpleRNN(3)(h), L.Bidirectional(L.LSTM(3, return_sequences=True))(h), L.GRU(3, reset_after=False)(h), L.Dense(2, dtype="float32")(L.LSTM(4)(h))])


def main():
    args = arguments(__doc__)
    w = Writer(args.out, "legacy4", args.seed)
    w.add("merged_masks", merged_masks, steps())
    w.add("positions", positions, tokens(7))
    w.add("mixed_recurrent", mixed(recurrent), tokens(7))
    w.close()


if __name__ == "__main__":
    main()
