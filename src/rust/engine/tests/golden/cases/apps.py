"""Architectures of keras.applications with random weights."""

import keras
import numpy as np
from common import uniform


def cases(c):
    apps = keras.applications
    for cls, size in ((apps.ResNet50, 64), (apps.MobileNetV2, 96), (apps.EfficientNetB0, 64), (apps.InceptionV3, 75), (apps.DenseNet121, 64)):
        c.add(cls.__name__.lower(), lambda cls=cls, size=size: cls(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation="softmax" if cls is apps.ResNet50 else None),
              inputs=uniform(-1, 1) if cls is not apps.EfficientNetB0 else uniform(0, 255), rows=2, weights=modest, h5=cls is apps.MobileNetV2)
    # the smallest of every other family
    for cls, size, raw in (
        (apps.Xception, 71, False), (apps.VGG16, 64, False), (apps.ResNet50V2, 64, False), (apps.MobileNet, 64, False), (apps.MobileNetV3Small, 64, True), (apps.NASNetMobile, 64, False),
        (apps.InceptionResNetV2, 75, False), (apps.EfficientNetV2B0, 64, True), (apps.ConvNeXtTiny, 64, True),
    ):
        c.add(cls.__name__.lower(), lambda cls=cls, size=size: cls(weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3)), inputs=uniform(0, 255) if raw else uniform(-1, 1), rows=2, weights=modest)
    c.add("resnet50_top", lambda: apps.ResNet50(weights=None, include_top=False, pooling="avg", input_shape=(None, None, 3)), dims=[80, 48], rows=2, weights=modest)


def modest(model, rng):
    """Deep networks blow up with the usual random weights: statistics close to the initial ones, and He-like kernels."""
    for w in model.weights:
        shape = tuple(w.shape)
        if w.name in ("mean", "variance", "count"):
            continue
        if w.name == "moving_variance":
            value = rng.uniform(0.7, 1.4, size=shape)
        elif w.name == "gamma":
            value = rng.uniform(0.6, 1.1, size=shape)
        elif len(shape) == 1:
            value = rng.uniform(-0.2, 0.2, size=shape)
        elif len(shape) > 1:
            fan_in = np.prod(shape[:2]) if "depthwise" in w.path else np.prod(shape[:-1])
            value = rng.normal(size=shape) * np.sqrt(1.6 / fan_in)
        else:
            continue
        w.assign(value.astype(w.dtype))
