"""Categories and numbers: CategoryEncoding, Discretization, Hashing, HashedCrossing, IntegerLookup, FeatureSpace models."""

import keras
import numpy as np
import tensorflow as tf
from common import chain, ints, normal, words
from keras import layers as L
from keras.utils import FeatureSpace

WORDS = ["ka", "mi", "ü", "語", "n", ""]


def cases(c):
    encoding(c)
    discretization(c)
    hashing(c)
    crossing(c)
    integers(c)
    feature_spaces(c)


def encoding(c):
    for mode in ["one_hot", "multi_hot", "count"]:
        for dtype in ["int32", "int64", "float32", "uint8", "bool"]:
            c.add(f"encoding_{mode}_{dtype}", lambda mode=mode, dtype=dtype: chain((4,), L.CategoryEncoding(6, output_mode=mode), dtype=dtype), inputs=ints(2 if dtype == "bool" else 8))
        for shape in [(), (1,), (2, 3), (2, 1), (2, 3, 2)]:
            text = "x".join(map(str, shape)) or "rank1"
            c.add(f"encoding_{mode}_{text}", lambda mode=mode, shape=shape: chain(shape, L.CategoryEncoding(6, output_mode=mode), dtype="int32"), inputs=ints(6),
                  row_independent=mode == "one_hot" or shape != (), optional=True)
        for dtype in ["float64", "mixed_float16", "int32"]:
            c.add(f"encoding_{mode}_as_{dtype}", lambda mode=mode, dtype=dtype: chain((4,), L.CategoryEncoding(6, output_mode=mode, dtype=dtype), dtype="int32"), inputs=ints(6), optional=True)

    def weighted(shape=(4,), dtype="float32", **more):
        x, w = keras.Input(shape, dtype="int32", name="x"), keras.Input(shape, dtype=dtype, name="w")
        return keras.Model([x, w], L.CategoryEncoding(6, output_mode="count", **more)(x, count_weights=w))

    c.add("encoding_weights", weighted, inputs=[ints(7), normal()])
    c.add("encoding_weights_float64", lambda: weighted(dtype="float64"), inputs=[ints(7), normal()], optional=True)
    c.add("encoding_weights_rank3", lambda: weighted((2, 3)), inputs=[ints(6), normal()], optional=True)
    c.add("encoding_weights_dense", lambda: encoded_dense(), inputs=[ints(6)])


def encoded_dense():
    return chain((4,), L.CategoryEncoding(6, output_mode="multi_hot"), L.Dense(3), dtype="int32")


def discretization(c):
    bounds = [-1.0, 0.0, 0.5, 0.5, 2.0]
    values = lambda rng, shape, dtype: rng.choice([-9, -1, -0.5, 0, 0.25, 0.5, 1, 2, 3, np.nan if dtype.startswith("float") else 0], size=shape).astype(dtype)
    for mode in ["int", "one_hot", "multi_hot", "count"]:
        for dtype in ["float32", "int32", "float64"]:
            c.add(f"bins_{mode}_{dtype}", lambda mode=mode, dtype=dtype: chain((4,), L.Discretization(bin_boundaries=bounds, output_mode=mode), dtype=dtype), inputs=values, rows=9, optional=True)
        for shape in [(), (1,), (2, 3), (2, 1)]:
            text = "x".join(map(str, shape)) or "rank1"
            c.add(f"bins_{mode}_{text}", lambda mode=mode, shape=shape: chain(shape, L.Discretization(bin_boundaries=bounds, output_mode=mode)), inputs=values,
                  row_independent=mode in ("int", "one_hot") or shape != (), optional=True)

        def adapted(mode=mode):
            layer = L.Discretization(num_bins=5, epsilon=0.05, output_mode=mode)
            layer.adapt(np.random.default_rng(3).normal(size=(200, 4)))
            return chain((4,), layer)

        c.add(f"bins_adapted_{mode}", adapted, inputs=normal(2.0), h5=mode == "int")
    c.add("bins_dtype", lambda: chain((4,), L.Discretization(bin_boundaries=bounds, output_mode="one_hot", dtype="float64"), dtype="float64"), inputs=values, optional=True)
    c.add("bins_one", lambda: chain((4,), L.Discretization(bin_boundaries=[0.1])), inputs=normal())
    c.add("bins_half", lambda: chain((4,), L.Discretization(bin_boundaries=bounds, dtype="float16")), inputs=normal(), optional=True)


def hashing(c):
    long = lambda rng, shape, dtype: np.array(["aü" * int(n) + "x" * int(n % 3) for n in rng.integers(0, 60, size=int(np.prod(shape)))], dtype=object).reshape(shape)
    for salt in [None, 133, [133, 137]]:
        tag = {None: "plain"}.get(salt if not isinstance(salt, list) else 0, "salt" if isinstance(salt, int) else "salts")
        for mode in ["int", "one_hot", "multi_hot", "count"]:
            c.add(f"hash_{tag}_{mode}", lambda salt=salt, mode=mode: chain((3,), L.Hashing(7, salt=salt, output_mode=mode), dtype="string"), inputs=words(WORDS), h5=mode == "int")
            c.add(f"hash_{tag}_{mode}_mask", lambda salt=salt, mode=mode: chain((3,), L.Hashing(7, salt=salt, output_mode=mode, mask_value="ka"), dtype="string"), inputs=words(WORDS))
        c.add(f"hash_{tag}_long", lambda salt=salt: chain((40,), L.Hashing(10**9, salt=salt), dtype="string"), inputs=long, rows=9)
        for dtype in ["int32", "int64", "float32", "uint8", "bool"]:
            c.add(f"hash_{tag}_{dtype}", lambda salt=salt, dtype=dtype: chain((5,), L.Hashing(1000, salt=salt), dtype=dtype),
                  inputs=ints(2 if dtype == "bool" else 200, 0 if dtype in ("bool", "uint8") else -200))
    for mode in ["int", "one_hot", "multi_hot", "count"]:
        for shape in [(), (1,), (2, 3), (2, 1)]:
            text = "x".join(map(str, shape)) or "rank1"
            c.add(f"hash_{mode}_{text}", lambda mode=mode, shape=shape: chain(shape, L.Hashing(5, output_mode=mode), dtype="string"), inputs=words(WORDS),
                  row_independent=mode in ("int", "one_hot") or shape != (), optional=True)
    c.add("hash_int_mask", lambda: chain((5,), L.Hashing(6, mask_value=3), dtype="int64"), inputs=ints(7, -3))
    c.add("hash_float_mask", lambda: chain((5,), L.Hashing(6, mask_value=3.5)), inputs=lambda rng, shape, dtype: rng.choice([3.5, 3.0, -2.7, 1e6], size=shape).astype(dtype), optional=True)
    c.add("hash_one_bin", lambda: chain((5,), L.Hashing(1, mask_value=3), dtype="int64"), inputs=ints(7, -3))
    c.add("hash_int32", lambda: chain((5,), L.Hashing(6, dtype="int32"), dtype="int64"), inputs=ints(7, -3))
    c.add("hash_empty_mask", lambda: chain((5,), L.Hashing(6, mask_value=""), dtype="string"), inputs=words(WORDS, empty=0.4))
    c.add("hash_embedding", lambda: chain((5,), L.Hashing(6), L.Embedding(6, 3), dtype="string"), inputs=words(WORDS))
    c.add("hash_sparse", lambda: chain((5,), L.Hashing(6, output_mode="multi_hot", sparse=True), dtype="string"), inputs=words(WORDS), optional=True)


def crossing(c):
    def cross(shape, dtypes, **more):
        xs = [keras.Input(shape, dtype=d, name=f"x{i}") for i, d in enumerate(dtypes)]
        return keras.Model(xs, L.HashedCrossing(**more)(xs))

    for mode in ["int", "one_hot"]:
        for shape in [(), (1,)]:
            for dtypes in [["string", "string"], ["string", "int32"], ["int64", "int64", "string"], ["int32", "int64"]]:
                name = f"cross_{mode}_{len(shape) + 1}_{'_'.join(dtypes)}"
                inputs = [words(WORDS) if d == "string" else ints(9, -9) for d in dtypes]
                c.add(name, lambda shape=shape, dtypes=dtypes, mode=mode: cross(shape, dtypes, num_bins=11, output_mode=mode), inputs=inputs, rows=7, optional=len(dtypes) > 2)
    c.add("cross_many_bins", lambda: cross((1,), ["string", "int64"], num_bins=10**12), inputs=[words(WORDS), ints(10**9)], rows=30)
    c.add("cross_int32", lambda: cross((1,), ["string", "int64"], num_bins=100, dtype="int32"), inputs=[words(WORDS), ints(10**9)], rows=30)


def integers(c):
    base = dict(vocabulary=[5, -3, 12, 7])
    values = ints(14, -5)
    known = lambda rng, shape, dtype: rng.choice(base["vocabulary"], size=shape).astype(dtype)
    for mode in ["int", "one_hot", "multi_hot", "count"]:
        for name, more in {
            "plain": {}, "mask": dict(mask_token=0), "many": dict(num_oov_indices=3), "many_mask": dict(num_oov_indices=4, mask_token=1),
            "farmhash": dict(num_oov_indices=3, oov_method="farmhash"), "salt": dict(num_oov_indices=3, oov_method="farmhash", salt=[1, 2]),
        }.items():
            c.add(f"int_{mode}_{name}", lambda mode=mode, more=more: chain((4,), L.IntegerLookup(output_mode=mode, **base, **more), dtype="int64"), inputs=values, rows=6)
        c.add(f"int_{mode}_none", lambda mode=mode: chain((4,), L.IntegerLookup(output_mode=mode, num_oov_indices=0, **base), dtype="int64"), inputs=known)
        for dtype in ["int32", "float32", "uint8"]:
            c.add(f"int_{mode}_{dtype}", lambda mode=mode, dtype=dtype: chain((4,), L.IntegerLookup(output_mode=mode, **base), dtype=dtype), inputs=ints(14))
        for shape in [(), (1,), (2, 3), (2, 1)]:
            text = "x".join(map(str, shape)) or "rank1"
            c.add(f"int_{mode}_{text}", lambda mode=mode, shape=shape: chain(shape, L.IntegerLookup(output_mode=mode, **base), dtype="int64"), inputs=values,
                  row_independent=mode in ("int", "one_hot") or shape != ())
    c.add("int_pad", lambda: chain((4,), L.IntegerLookup(output_mode="count", max_tokens=9, pad_to_max_tokens=True, **base), dtype="int64"), inputs=values)
    c.add("int_idf", lambda: chain((4,), L.IntegerLookup(output_mode="tf_idf", idf_weights=[1.0, 2.0, 0.5, 0.25], **base), dtype="int64"), inputs=values, h5=True)
    c.add("int_special", lambda: chain((4,), L.IntegerLookup(vocabulary=[0, -1, 5, 7], mask_token=0), dtype="int64"), inputs=values)
    for name, more in {"plain": {}, "mask": dict(mask_token=0), "many": dict(num_oov_indices=2, oov_token=-7, mask_token=99), "none": dict(num_oov_indices=0)}.items():
        c.add(f"int_inverse_{name}", lambda more=more: chain((4,), L.IntegerLookup(vocabulary=[5, -3, 12], invert=True, **more), dtype="int64"), inputs=ints(9, -2), rows=9)

    def adapted(**more):
        layer = L.IntegerLookup(**more)
        layer.adapt(np.array([[5, 7], [5, -3], [12, 7], [5, 0]]))
        return chain((4,), layer, dtype="int64")

    for name, more in {"int": {}, "mask": dict(mask_token=0), "idf": dict(output_mode="tf_idf"), "max": dict(max_tokens=3, output_mode="count")}.items():
        c.add(f"int_adapted_{name}", lambda more=more: adapted(**more), inputs=values)
    c.add("int_embedding", lambda: chain((4,), L.IntegerLookup(**base), L.Embedding(5, 3), dtype="int64"), inputs=values)
    for i, r in c.random("integers", 6, 40):
        config = dict(
            vocabulary=[int(v) for v in r.permutation(np.arange(-20, 40))[: r.integers(1, 20)]],
            output_mode=str(r.choice(["int", "one_hot", "multi_hot", "count", "tf_idf"])),
            num_oov_indices=int(r.integers(1, 6)),
            mask_token=[None, 50, 0][r.integers(3)],
            oov_method=str(r.choice(["floormod", "farmhash"])),
        )
        config["vocabulary"] = [v for v in config["vocabulary"] if v != config["mask_token"]] or [3]
        if config["output_mode"] == "tf_idf":
            config["idf_weights"] = [float(v) for v in r.uniform(0.1, 3, size=len(config["vocabulary"]))]
        c.add(f"int_random{i}", lambda config=config: chain((4,), L.IntegerLookup(**config), dtype="int64"), inputs=ints(60, -30), rows=int(r.integers(1, 9)))


TABLE = {
    "age": np.arange(24) % 7 * 1.5,
    "size": np.linspace(-3, 8, 24),
    "price": np.linspace(1, 90, 24),
    "height": np.linspace(0, 1, 24) ** 2,
    "kind": np.array(["ka", "mi", "ü", "ka", "語 x", "mi"] * 4),
    "code": np.array([3, 5, 5, 9, 3, 77] * 4),
    "city": np.array(["a", "bb", "ccc", "dddd"] * 6),
    "zip": np.arange(24) * 37,
}


def feature_spaces(c):
    def model(features, head=True, **more):
        fs = FeatureSpace(features, **more)
        fs.adapt(tf.data.Dataset.from_tensor_slices({k: TABLE[k] for k in features}))
        encoded = fs.get_encoded_features()
        return keras.Model(fs.get_inputs(), L.Dense(2)(encoded) if head else encoded)

    makers = {"kind": words(["ka", "mi", "ü", "語 x"]), "city": words(["a", "bb", "q"]), "code": ints(12), "zip": ints(900), "age": normal(3), "size": normal(4), "price": normal(40), "height": normal()}

    def inputs(names):
        return [makers[n] for n in sorted(names)]

    fresh = lambda: {
        "age": "float", "size": "float_normalized", "price": FeatureSpace.float_rescaled(scale=1 / 50, offset=-1.0), "height": FeatureSpace.float_discretized(num_bins=4),
        "kind": FeatureSpace.string_categorical(num_oov_indices=2), "code": FeatureSpace.integer_categorical(), "city": FeatureSpace.string_hashed(num_bins=6), "zip": FeatureSpace.integer_hashed(num_bins=5),
    }
    c.add("space_all", lambda: model(fresh(), crosses=[("kind", "code"), FeatureSpace.cross(("city", "zip"), crossing_dim=8)], crossing_dim=16), inputs=inputs(fresh()), rows=9)
    c.add("space_encoded", lambda: model(fresh(), head=False, crosses=[("kind", "code")], crossing_dim=5), inputs=inputs(fresh()), rows=9)
    c.add("space_dict", lambda: model(fresh(), head=False, output_mode="dict", crosses=[FeatureSpace.cross(("kind", "city"), crossing_dim=7, output_mode="int")]), inputs=inputs(fresh()), rows=5, optional=True)
    for name in makers:
        c.add(f"space_{name}", lambda name=name: model({name: fresh()[name]}, head=False), inputs=inputs([name]), rows=6)
    c.add("space_int_kind", lambda: model({"kind": FeatureSpace.string_categorical(output_mode="int"), "code": FeatureSpace.integer_categorical(max_tokens=3, output_mode="int")}, head=False, output_mode="dict"),
          inputs=inputs(["kind", "code"]), rows=6)
