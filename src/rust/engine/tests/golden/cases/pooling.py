"""Pooling in one, two and three dimensions."""

import keras
from common import chain, masked, padded, wild
from keras import layers as L

from cases.conv import SPATIAL, image


def cases(c):
    for rank in (1, 2, 3):
        for kind in ("Max", "Average"):
            cls = getattr(L, f"{kind}Pooling{rank}D")
            n = f"{kind.lower()}{rank}d"

            def add(name, config, spatial=None, cls=cls, rank=rank, **options):
                shape = image(rank, 3, config.get("data_format", "channels_last"), spatial)
                c.add(name, lambda: chain(shape, cls(**config)), rows=2, **options)

            add(n, dict(pool_size=2), h5=True)
            add(f"{n}_same", dict(pool_size=2, padding="same"), inputs=wild())
            add(f"{n}_overlap", dict(pool_size=3, strides=2))
            add(f"{n}_overlap_same", dict(pool_size=3, strides=2, padding="same"), h5=True)
            add(f"{n}_strides1_same", dict(pool_size=3, strides=1, padding="same"))
            add(f"{n}_gaps", dict(pool_size=2, strides=3, padding="same"))
            add(f"{n}_channels_first", dict(pool_size=2, data_format="channels_first"), optional=True)
            add(f"{n}_channels_first_same", dict(pool_size=3, strides=2, padding="same", data_format="channels_first"), optional=True)
            add(f"{n}_none", dict(pool_size=2), spatial=(None,) * rank, dims=SPATIAL[rank])
            if rank > 1:
                add(f"{n}_rectangle", dict(pool_size=(1, 3, 2)[:rank], strides=(2, 1, 1)[:rank], padding="same"))
            for i, r in c.random(n, 1, 15):
                config = dict(pool_size=[int(k) for k in r.integers(1, 5, size=rank)], strides=[int(k) for k in r.integers(1, 4, size=rank)],
                              padding=str(r.choice(["valid", "same"])), data_format=str(r.choice(["channels_last", "channels_first"])))
                if kind == "Max" and rank == 3 and config["padding"] == "same":
                    # TensorFlow's CPU kernel goes astray where strides skip elements; XLA and plain loops agree with each other.
                    config["strides"] = [min(s, k) for s, k in zip(config["strides"], config["pool_size"])]
                add(f"{n}_random{i}", config, spatial=tuple(int(s) for s in r.integers(5, 10, size=rank)), optional=True)

            cls = getattr(L, f"Adaptive{kind}Pooling{rank}D")
            n = f"adaptive_{kind.lower()}{rank}d"
            add(n, dict(output_size=2), cls=cls, h5=True)
            add(f"{n}_overlap", dict(output_size=(3, 4, 2)[:rank]), cls=cls)
            add(f"{n}_channels_first", dict(output_size=3, data_format="channels_first"), cls=cls)
            add(f"{n}_up", dict(output_size=(5, 9, 4)[:rank]), cls=cls, spatial=(4, 6, 3)[:rank])
            for i, r in c.random(n, 1, 10):
                add(f"{n}_random{i}", dict(output_size=[int(k) for k in r.integers(1, 9, size=rank)]), cls=cls,
                    spatial=tuple(int(s) for s in r.integers(3, 12, size=rank)), optional=True)

            cls = getattr(L, f"Global{kind}Pooling{rank}D")
            n = f"global_{kind.lower()}{rank}d"
            add(n, {}, cls=cls, h5=True)
            add(f"{n}_keepdims", dict(keepdims=True), cls=cls)
            add(f"{n}_channels_first", dict(data_format="channels_first"), cls=cls)
            add(f"{n}_channels_first_keepdims", dict(data_format="channels_first", keepdims=True), cls=cls)
            add(f"{n}_none", {}, cls=cls, spatial=(None,) * rank, dims=SPATIAL[rank])
    c.add("global_average1d_masked", lambda: chain((5, 3), L.Masking(), L.GlobalAveragePooling1D()), inputs=masked(), h5=True)
    c.add("global_average1d_masked_keepdims", lambda: chain((5, 3), L.Masking(), L.GlobalAveragePooling1D(keepdims=True)), inputs=masked())
    c.add("global_average1d_masked_channels_first", lambda: chain((5, 3), L.Masking(), L.GlobalAveragePooling1D(data_format="channels_first")),
          inputs=masked(), optional=True)
    c.add("global_average1d_embedding", lambda: chain((6,), L.Embedding(9, 4, mask_zero=True), L.GlobalAveragePooling1D(), dtype="int32"),
          inputs=padded(9))
    c.add("global_average1d_empty_row", lambda: chain((6,), L.Embedding(9, 4, mask_zero=True), L.GlobalAveragePooling1D(), dtype="int32"),
          inputs=padded(9, empty=True))
    c.add("max_int", lambda: chain((6, 6, 2), L.MaxPooling2D(2, dtype="int32"), dtype="int32"), optional=True)
