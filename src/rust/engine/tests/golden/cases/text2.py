"""Categories as sparse tensors (whose numbers are what is compared), one-hot texts, weights of counts."""

import keras
from cases.text import VOCABULARY, sentences, strings
from common import chain, ints, normal, uniform, words
from keras import layers as L


def cases(c):
    base = {"vocabulary": ["ka", "mi", "ü", "語", "n"]}
    hard = words(base["vocabulary"], unknown=0.4)
    for mode in ("one_hot", "multi_hot", "count"):
        for name, more in {"plain": {}, "mask": {"mask_token": "mi2"}, "many": {"num_oov_indices": 3}, "none": {"num_oov_indices": 0}, "pad": {"max_tokens": 9, "pad_to_max_tokens": True}}.items():
            known = words(base["vocabulary"], unknown=0, empty=0) if name == "none" else hard
            c.add(f"lookup_sparse_{mode}_{name}", lambda m=mode, k=more: strings((3,), L.StringLookup(output_mode=m, sparse=True, **base, **k)), inputs=known, optional=True)
        c.add(f"numbers_sparse_{mode}", lambda m=mode: chain((3,), L.IntegerLookup(vocabulary=[3, 5, 8], output_mode=m, sparse=True, num_oov_indices=2), dtype="int64"), inputs=ints(10), optional=True)
        c.add(f"encoding_sparse_{mode}", lambda m=mode: chain((3,), L.CategoryEncoding(6, output_mode=m, sparse=True), dtype="int32"), inputs=ints(6), optional=True)
        c.add(f"hashing_sparse_{mode}", lambda m=mode: strings((3,), L.Hashing(5, output_mode=m, sparse=True)), inputs=hard, optional=True)
        c.add(f"hashing_salt_sparse_{mode}", lambda m=mode: chain((3,), L.Hashing(5, output_mode=m, sparse=True, salt=[3, 7]), dtype="int64"), inputs=ints(99), optional=True)
        c.add(f"bins_sparse_{mode}", lambda m=mode: chain((3,), L.Discretization([-1.0, 0.0, 2.0], output_mode=m, sparse=True)), inputs=normal(2.0), optional=True)
        c.add(f"text_sparse_{mode}", lambda m=mode: strings((1,), L.TextVectorization(output_mode=m, sparse=True, **base)), inputs=sentences(VOCABULARY), optional=True)
        c.add(f"text_sparse_unsplit_{mode}", lambda m=mode: strings((3,), L.TextVectorization(output_mode=m, sparse=True, split=None, **base)), inputs=hard, optional=True)
        c.add(f"weights_{mode}", lambda m=mode: weighted(m), inputs=[ints(6), uniform()], optional=True)
    c.add("lookup_sparse_idf", lambda: strings((4,), L.StringLookup(output_mode="tf_idf", idf_weights=[0.5, 1.5, 0.25, 2.0, 3.0], sparse=True, **base)), inputs=hard, optional=True)
    c.add("text_sparse_idf", lambda: strings((1,), L.TextVectorization(output_mode="tf_idf", idf_weights=[0.5, 1.5, 0.25, 2.0, 3.0], sparse=True, **base)), inputs=sentences(VOCABULARY), optional=True)
    c.add("crossing_sparse", lambda: crossed(output_mode="one_hot", sparse=True), inputs=[hard, hard], optional=True)
    c.add("sparse_dense", lambda: strings((3,), L.StringLookup(output_mode="multi_hot", sparse=True, **base), L.Dense(2)), inputs=hard, optional=True)
    for shape in ((), (1,), (3,), (2, 3)):
        tag = "x".join(map(str, shape)) or "rank1"
        for standardize in (None, "lower"):
            c.add(f"text_one_hot_{tag}_{standardize}".lower(), lambda s=shape, z=standardize: strings(s, L.TextVectorization(output_mode="one_hot", split=None, standardize=z, **base)), inputs=hard, optional=True)
    c.add("text_one_hot_pad", lambda: strings((3,), L.TextVectorization(output_mode="one_hot", split=None, max_tokens=9, pad_to_max_tokens=True, **base)), inputs=hard, optional=True)
    c.add("numbers_none_inverse", lambda: chain((3,), L.IntegerLookup(vocabulary=[3, 5, 8], num_oov_indices=0, invert=True), dtype="int64"), inputs=ints(9, -2), optional=True)


def weighted(mode):
    a, b = keras.Input((3,), dtype="int32"), keras.Input((3,))
    return keras.Model([a, b], L.CategoryEncoding(6, output_mode=mode)(a, count_weights=b))


def crossed(**options):
    a, b = keras.Input((1,), dtype="string"), keras.Input((1,), dtype="string")
    return keras.Model([a, b], L.HashedCrossing(7, **options)((a, b)))
