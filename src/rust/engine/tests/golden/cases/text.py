"""Strings through models, lookups of strings, TextVectorization."""

import keras
import numpy as np
from common import chain, ints, sentences, sequential, words
from keras import layers as L
from keras import ops

VOCABULARY = ["ka", "mi", "to", "kami", "ü", "n", "語", "a b", "ka mi", "it's", "MI", "_x_", "ß", "[UNK]x"]


def strings(shape, *stack):
    return chain(shape, *stack, dtype="string")


def cases(c):
    passing(c)
    lookups(c)
    vectorization(c)
    whole_models(c)


def passing(c):
    """Layers and operations that hand strings on."""
    for name, layer in {
        "identity": lambda: L.Identity(),
        "reshape": lambda: L.Reshape((3, 2)),
        "flatten": lambda: L.Flatten(),
        "permute": lambda: L.Permute((2, 1)),
        "dropout": lambda: L.Dropout(0.5),
    }.items():
        c.add(f"pass_{name}", lambda layer=layer: strings((2, 3), layer()), inputs=words())
    c.add("pass_repeat_vector", lambda: strings((3,), L.RepeatVector(2)), inputs=words())
    c.add("pass_cropping", lambda: strings((4, 2), L.Cropping1D(1)), inputs=words())
    c.add("pass_input", lambda: strings((2,), L.Identity()), inputs=words(), rows=7, batch_size=3)
    functions = {
        "concatenate": lambda x: ops.concatenate([x, x], axis=-1),
        "stack": lambda x: ops.stack([x, x], axis=1),
        "getitem": lambda x: x[:, 1],
        "getitem_slice": lambda x: x[:, ::-1][:, 1:],
        "newaxis": lambda x: x[:, None, :, None],
        "expand_dims": lambda x: ops.expand_dims(x, 1),
        "squeeze": lambda x: ops.squeeze(x[:, :1], 1),
        "take": lambda x: ops.take(x, [2, 0, -1], axis=1),
        "where": lambda x: ops.where(ops.equal(x, "ka"), x, ops.flip(x, 1)),
        "equal": lambda x: ops.equal(x, "ka"),
        "not_equal": lambda x: ops.not_equal(x, ops.flip(x, 1)),
        "tile": lambda x: ops.tile(x, (1, 2)),
        "repeat": lambda x: ops.repeat(x, 2, axis=1),
        "flip": lambda x: ops.flip(x, 1),
        "roll": lambda x: ops.roll(x, 1, axis=1),
        "split": lambda x: ops.split(x, 3, axis=1),
        "unstack": lambda x: ops.unstack(x, axis=1),
        "swapaxes": lambda x: ops.swapaxes(x[:, :, None], 1, 2),
        "moveaxis": lambda x: ops.moveaxis(x[:, :, None], 1, 2),
        "broadcast_to": lambda x: ops.broadcast_to(x[:, :1], (4, 3)),
        "reshape": lambda x: ops.reshape(x, (-1, 3, 1)),
    }
    for name, f in functions.items():
        def build(f=f):
            x = keras.Input((3,), dtype="string")
            return keras.Model(x, f(x))

        c.add(f"op_{name}", build, inputs=words(["ka", "mi"]), row_independent=name != "broadcast_to")

    def several():
        a, b = keras.Input((2,), dtype="string", name="a"), keras.Input((2,), dtype="string", name="b")
        n = keras.Input((2,), name="n")
        return keras.Model({"a": a, "b": b, "n": n}, {"both": L.Concatenate()([a, b]), "n": L.Dense(2)(n), "b": b})

    c.add("several_inputs", several, rows=5, batch_size=2)


def lookups(c):
    base = dict(vocabulary=["ka", "mi", "ü", "語", "n"])
    hard = words(base["vocabulary"] + ["[UNK]", "m"], unknown=0.4)
    known = words(base["vocabulary"], unknown=0, empty=0)
    for mode in ["int", "one_hot", "multi_hot", "count"]:
        for name, more in {
            "plain": {},
            "mask": dict(mask_token="m"),
            "empty_mask": dict(mask_token=""),
            "many": dict(num_oov_indices=3),
            "many_mask": dict(num_oov_indices=4, mask_token="m"),
            "salt": dict(num_oov_indices=5, salt=[3, 2**40 + 1]),
        }.items():
            c.add(f"lookup_{mode}_{name}", lambda mode=mode, more=more: strings((3,), L.StringLookup(output_mode=mode, **base, **more)), inputs=hard, h5=name == "mask")
        c.add(f"lookup_{mode}_none", lambda mode=mode: strings((3,), L.StringLookup(output_mode=mode, num_oov_indices=0, **base)), inputs=known)
        c.add(f"lookup_{mode}_none_mask", lambda mode=mode: strings((3,), L.StringLookup(output_mode=mode, num_oov_indices=0, mask_token="m", **base)),
              inputs=words(base["vocabulary"] + ["m"], unknown=0, empty=0))
        for shape in [(1,), (), (2, 3), (2, 1)]:
            text = "x".join(map(str, shape)) or "rank1"
            independent = len(shape) > 0 or mode in ("int", "one_hot")
            c.add(f"lookup_{mode}_{text}", lambda mode=mode, shape=shape: strings(shape, L.StringLookup(output_mode=mode, **base)), inputs=hard, row_independent=independent)
    for mode in ["multi_hot", "count"]:
        c.add(f"lookup_{mode}_pad", lambda mode=mode: strings((3,), L.StringLookup(output_mode=mode, max_tokens=9, pad_to_max_tokens=True, **base)), inputs=hard)
    idf = dict(output_mode="tf_idf", idf_weights=[0.5, 1.5, 0.25, 2.0, 3.0], **base)
    c.add("lookup_idf", lambda: strings((4,), L.StringLookup(**idf)), inputs=hard, h5=True)
    c.add("lookup_idf_pad", lambda: strings((4,), L.StringLookup(max_tokens=9, pad_to_max_tokens=True, **idf)), inputs=hard)
    c.add("lookup_idf_many", lambda: strings((4,), L.StringLookup(num_oov_indices=2, mask_token="m", **idf)), inputs=hard)
    c.add("lookup_special_tokens", lambda: strings((3,), L.StringLookup(vocabulary=["m", "[UNK]", "ka", "mi"], mask_token="m")), inputs=hard)
    c.add("lookup_oov_token", lambda: strings((3,), L.StringLookup(vocabulary=["ka", "mi"], oov_token="mi2")), inputs=hard)
    c.add("lookup_sparse", lambda: strings((3,), L.StringLookup(output_mode="multi_hot", sparse=True, **base)), inputs=hard, optional=True)

    def adapted(**more):
        layer = L.StringLookup(**more)
        layer.adapt(np.array([["ka", "mi"], ["ka", "ü"], ["語 x", "mi"], ["ka", "n"]]))
        return strings((3,), layer)

    for name, more in {
        "int": {}, "mask": dict(mask_token="n"), "empty_mask": dict(mask_token=""), "multi_hot": dict(output_mode="multi_hot"), "idf": dict(output_mode="tf_idf"),
        "max": dict(max_tokens=3), "pad": dict(max_tokens=12, output_mode="count", pad_to_max_tokens=True), "none": dict(num_oov_indices=0), "many": dict(num_oov_indices=2),
    }.items():
        inputs = words(["ka", "mi", "ü", "n"], unknown=0, empty=0) if name == "none" else words(["ka", "mi", "ü", "語 x", "n"])
        c.add(f"adapted_{name}", lambda more=more: adapted(**more), inputs=inputs)

    for name, more in {"plain": {}, "mask": dict(mask_token="m"), "many": dict(num_oov_indices=2, mask_token=""), "none": dict(num_oov_indices=0), "token": dict(oov_token="?")}.items():
        c.add(f"inverse_{name}", lambda more=more: chain((4,), L.StringLookup(vocabulary=["ka", "mi", "ü"], invert=True, **more), dtype="int64"), inputs=ints(9, -2), rows=9)

    def there_and_back():
        there = L.StringLookup(vocabulary=["ka", "mi"], mask_token="")
        return strings((3,), there, L.StringLookup(vocabulary=there.get_vocabulary(), mask_token="", invert=True))

    c.add("there_and_back", there_and_back, inputs=hard)
    for i, r in c.random("lookup", 7, 60):
        config = dict(
            vocabulary=[str(w) for w in r.permutation(VOCABULARY)[: r.integers(1, 12)]],
            output_mode=str(r.choice(["int", "one_hot", "multi_hot", "count", "tf_idf"])),
            num_oov_indices=int(r.integers(1, 5)),
            mask_token=[None, "", "m", "語2"][r.integers(4)],
            salt=[None, int(r.integers(1000)), [int(v) for v in r.integers(2**40, size=2)]][r.integers(3)],
        )
        if r.random() < 0.4:
            config.update(max_tokens=25, pad_to_max_tokens=config["output_mode"] not in ("int", "one_hot"))
        if config["output_mode"] == "tf_idf":
            config["idf_weights"] = [float(v) for v in r.uniform(0.1, 3, size=len(config["vocabulary"]))]
        shape = [(1,), (3,), (2, 3)][r.integers(3 if config["output_mode"] != "tf_idf" else 2)]
        c.add(f"lookup_random{i}", lambda config=config, shape=shape: strings(shape, L.StringLookup(**config)),
              inputs=words(config["vocabulary"] + ["", "m", "語2"], unknown=0.4), rows=int(r.integers(1, 9)))


def vectorization(c):
    text = sentences(VOCABULARY)
    for i, standardize in enumerate(["lower_and_strip_punctuation", "lower", "strip_punctuation", None]):
        for split in ["whitespace", "character", None]:
            for mode in ["int", "multi_hot", "count"]:
                for ngrams in [None, 2, (3, 1)]:
                    if i > 0 and ngrams not in (None, 2):
                        continue
                    name = f"text_{standardize}_{split}_{mode}_{ngrams}".lower().replace("_and_strip_punctuation", "_strip").translate({ord(k): None for k in "(), "})
                    config = dict(standardize=standardize, split=split, output_mode=mode, ngrams=ngrams, vocabulary=VOCABULARY[:12] if standardize is None else ["ka", "mi", "to", "ka mi", "ü", "k", "a", "m i", "語", "mi to ka"])
                    shape = (1,) if split else (3,)
                    c.add(name, lambda config=config, shape=shape: strings(shape, L.TextVectorization(**config)), inputs=text, rows=5,
                          row_independent=mode != "int" or split is None)
    base = dict(vocabulary=["ka", "mi", "to", "n", "ka mi"])
    for length in [1, 4, 12]:
        for ngrams in [None, 2]:
            c.add(f"length_{length}_{ngrams}".lower(), lambda length=length, ngrams=ngrams: strings((1,), L.TextVectorization(output_sequence_length=length, ngrams=ngrams, **base)),
                  inputs=text, rows=7, batch_size=3)
        c.add(f"length_{length}_unsplit", lambda length=length: strings((3,), L.TextVectorization(output_sequence_length=length, split=None, **base)), inputs=text)
    for shape in [(), (1,), (2, 1), (2, 2, 1)]:
        rank = len(shape) + 1
        c.add(f"rank{rank}_int", lambda shape=shape: strings(shape, L.TextVectorization(**base)), inputs=text, row_independent=False)
        c.add(f"rank{rank}_length", lambda shape=shape: strings(shape, L.TextVectorization(output_sequence_length=4, **base)), inputs=text)
    c.add("rank1_count", lambda: strings((), L.TextVectorization(output_mode="count", **base)), inputs=text)
    c.add("rank1_count_unsplit", lambda: strings((), L.TextVectorization(output_mode="count", split=None, **base)), inputs=text, row_independent=False)
    c.add("rank1_int_unsplit", lambda: strings((), L.TextVectorization(split=None, **base)), inputs=text)
    c.add("all_empty", lambda: strings((1,), L.TextVectorization(output_sequence_length=3, **base)), inputs=words(empty=1.0))
    c.add("text_pad", lambda: strings((1,), L.TextVectorization(output_mode="count", max_tokens=12, pad_to_max_tokens=True, **base)), inputs=text)
    c.add("text_max_tokens", lambda: strings((1,), L.TextVectorization(max_tokens=30, **base)), inputs=text, row_independent=False)
    c.add("text_idf", lambda: strings((1,), L.TextVectorization(output_mode="tf_idf", idf_weights=[1.0, 0.5, 2.0, 3.0, 0.125], **base)), inputs=text, h5=True)
    c.add("text_h5", lambda: strings((1,), L.TextVectorization(output_sequence_length=5, **base)), inputs=text, h5=True)
    c.add("text_sequential", lambda: sequential((1,), L.TextVectorization(output_mode="multi_hot", **base), L.Dense(2), dtype="string"), inputs=text)

    def adapted(**more):
        layer = L.TextVectorization(**more)
        layer.adapt(["Ka mi, to!", "ka ü 語", "mi ka n_n", "to to"])
        return strings((1,), layer)

    for name, more in {
        "int": {}, "length": dict(output_sequence_length=4), "multi_hot": dict(output_mode="multi_hot"), "idf": dict(output_mode="tf_idf"),
        "max": dict(max_tokens=4), "bigrams": dict(ngrams=2, output_mode="count"), "character": dict(split="character", output_sequence_length=9),
    }.items():
        c.add(f"text_adapted_{name}", lambda more=more: adapted(**more), inputs=sentences(["ka", "mi", "to", "ü", "nn"]), row_independent=name not in ("int", "max"))
    for i, r in c.random("text", 9, 80):
        mode = str(r.choice(["int", "multi_hot", "count", "tf_idf"]))
        config = dict(
            vocabulary=[str(w) for w in r.permutation(VOCABULARY[:-1])[: r.integers(1, 12)]],
            standardize=[None, "lower", "strip_punctuation", "lower_and_strip_punctuation"][r.integers(4)],
            split=["whitespace", "character", None][r.integers(3)],
            ngrams=[None, 1, 2, 3, (1,), (2, 3), (2, 1, 2)][r.integers(7)],
            output_mode=mode,
        )
        if mode == "int" and r.random() < 0.5:
            config["output_sequence_length"] = int(r.integers(1, 9))
        if mode == "tf_idf":
            config["idf_weights"] = [float(v) for v in r.uniform(0.1, 3, size=len(config["vocabulary"]))]
        if mode != "int" and r.random() < 0.4:
            config.update(max_tokens=25, pad_to_max_tokens=True)
        shape = (1,) if config["split"] else (int(r.integers(1, 5)),)
        open_length = mode == "int" and config["split"] is not None and "output_sequence_length" not in config
        c.add(f"text_random{i}", lambda config=config, shape=shape: strings(shape, L.TextVectorization(**config)),
              inputs=sentences(config["vocabulary"]), rows=int(r.integers(2, 8)), row_independent=not open_length)


def whole_models(c):
    """Texts of open length, batch by batch, in models of a fixed output."""
    base = dict(vocabulary=["ka", "mi", "to", "n", "ü"])
    text = sentences(base["vocabulary"], empty=False)

    def classifier(*stack, **more):
        return strings((1,), L.TextVectorization(**base, **more), L.Embedding(8, 4, mask_zero=True), *stack)

    c.add("model_pooling", lambda: classifier(L.GlobalAveragePooling1D(), L.Dense(2)), inputs=text, rows=9, batch_size=2, row_independent=False)
    c.add("model_max_pooling", lambda: classifier(L.GlobalMaxPooling1D(), L.Dense(2)), inputs=text, rows=9, batch_size=4, row_independent=False)
    c.add("model_lstm", lambda: classifier(L.LSTM(3), L.Dense(2)), inputs=text, rows=7, batch_size=3, row_independent=False)
    c.add("model_bidirectional", lambda: classifier(L.Bidirectional(L.GRU(3)), L.Dense(2)), inputs=text, rows=7, batch_size=3, row_independent=False)
    c.add("model_sequences", lambda: classifier(L.LSTM(3, return_sequences=True)), inputs=text, rows=4, row_independent=False)
    c.add("model_fixed", lambda: classifier(L.Flatten(), L.Dense(2), output_sequence_length=6), inputs=text, rows=7, batch_size=3)

    def two_texts():
        a, b = keras.Input((1,), dtype="string", name="a"), keras.Input((), dtype="string", name="b")
        layer = L.TextVectorization(**base)
        table = L.Embedding(8, 3)
        x = L.Concatenate()([L.GlobalAveragePooling1D()(table(layer(t))) for t in (a, b)])
        return keras.Model([a, b], [L.Dense(2)(x), layer(b)])

    c.add("model_two_texts", two_texts, inputs=[text, text], rows=5, row_independent=False)

    def nested():
        x = keras.Input((1,), dtype="string")
        inner = strings((1,), L.TextVectorization(**base), L.Embedding(8, 4), L.GlobalMaxPooling1D())
        return keras.Model(x, L.Dense(2)(inner(x)))

    c.add("model_nested", nested, inputs=text, rows=7, batch_size=3, row_independent=False)

    def shapes():
        x = keras.Input((1,), dtype="string")
        ids = L.TextVectorization(**base)(x)
        onehot = ops.one_hot(ids, 8)
        return keras.Model(x, ops.sum(onehot, axis=1))

    c.add("model_ops", shapes, inputs=text, rows=7, batch_size=3, row_independent=False)
