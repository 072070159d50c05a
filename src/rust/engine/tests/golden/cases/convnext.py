"""Layers that keras.applications define for themselves, and ConvNeXt as they build it."""

import keras
from common import chain, uniform
from keras import layers as L
from keras.src.applications.convnext import ConvNeXt, LayerScale, StochasticDepth


def cases(c):
    c.add("scale", lambda: chain((4, 4, 3), LayerScale(0.1, 3), L.Dense(2)), h5=True)
    c.add("scale_rank3", lambda: chain((5, 3), LayerScale(1e-6, 3)))
    c.add("depth", lambda: chain((4, 4, 3), StochasticDepth(0.3), L.Dense(2)))
    for top in (True, False):
        c.add(f"convnext_{top}".lower(), lambda top=top: ConvNeXt([1, 1, 2, 1], [4, 6, 8, 8], drop_path_rate=0.1, default_size=32, name="small", include_top=top, include_preprocessing=top, weights=None, input_shape=(32, 32, 3), classes=3, pooling="avg", weights_name="small"),
              inputs=uniform(0, 255), rows=2)
