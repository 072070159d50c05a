"""The workloads: models that people score in batches."""

import keras
import numpy as np
from keras import layers


def mlp():
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(128, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dense(1),
        ]
    )


def small_mlp():
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(1),
        ]
    )


def mnist():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def application(name):
    return lambda: getattr(keras.applications, name)(weights=None)


def text():
    return keras.Sequential(
        [
            keras.Input((200,), dtype="int32"),
            layers.Embedding(20_000, 128),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(64)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def series():
    return keras.Sequential(
        [
            keras.Input((96, 16)),
            layers.GRU(128, return_sequences=True),
            layers.GRU(128),
            layers.Dense(1),
        ]
    )


def transformer(tokens=128, width=256, heads=8, blocks=4):
    x = inputs = keras.Input((tokens,), dtype="int32")
    x = layers.Embedding(20_000, width)(x)
    for _ in range(blocks):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.MultiHeadAttention(heads, width // heads)(y, y)
        x = layers.Add()([x, y])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(4 * width, activation="gelu")(y)
        y = layers.Dense(width)(y)
        x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def dilated(bases=6_000, channels=32):
    """A residual net over DNA, as for splice sites."""
    inputs = keras.Input((bases, 4))
    x = layers.Conv1D(channels, 1, padding="same")(inputs)
    skip = layers.Conv1D(channels, 1, padding="same")(x)
    for i, (window, dilation) in enumerate([(11, 1)] * 4 + [(11, 4)] * 4 + [(21, 10)] * 4 + [(41, 25)] * 4):
        y = x
        for _ in range(2):
            y = layers.BatchNormalization()(y)
            y = layers.Activation("relu")(y)
            y = layers.Conv1D(channels, window, dilation_rate=dilation, padding="same")(y)
        x = layers.Add()([x, y])
        if i % 4 == 3:
            skip = layers.Add()([skip, layers.Conv1D(channels, 1, padding="same")(x)])
    return keras.Model(inputs, layers.Conv1D(3, 1, activation="softmax")(skip))


def unet():
    def twice(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    x = inputs = keras.Input((128, 128, 3))
    kept = []
    for filters in (16, 32, 64):
        x = twice(x, filters)
        kept.append(x)
        x = layers.MaxPooling2D()(x)
    x = twice(x, 128)
    for filters, other in zip((64, 32, 16), reversed(kept)):
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(x)
        x = twice(layers.Concatenate()([x, other]), filters)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


# key, name, model, rows, batch size
WORKLOADS = [
    ("mlp256", "MLP 20-128-128-1, 200,000 rows", mlp, 200_000, 256),
    ("mlp32", "MLP 20-128-128-1, 50,000 rows", mlp, 50_000, 32),
    ("mnist", "MNIST CNN (32 and 64 filters), 10,000 images", mnist, 10_000, 32),
    ("mobilenet", "MobileNetV2 224, 64 images", application("MobileNetV2"), 64, 16),
    ("resnet", "ResNet50 224, 64 images", application("ResNet50"), 64, 16),
    ("efficientnet", "EfficientNetB0 224, 64 images", application("EfficientNetB0"), 64, 16),
    ("text", "text: Embedding, 2 x Bidirectional(LSTM 64), 200 tokens, 1,024 rows", text, 1_024, 32),
    ("series", "series: 2 x GRU 128, 96 steps x 16, 2,048 rows", series, 2_048, 32),
    ("transformer", "Transformer, 4 blocks, d 256, 8 heads, 128 tokens, 256 rows", transformer, 256, 32),
    ("dilated", "dilated Conv1D residual net, 32 channels, 6,000 bases, 16 rows", dilated, 16, 2),
    ("unet", "U-Net 128x128x3, 16 to 128 filters, 32 images", unet, 32, 8),
]

# Measured call by call.
SINGLE = [
    ("row", "MLP 20-64-64-1, one row", small_mlp, 1, 32),
    ("image", "MobileNetV2 224, one image", application("MobileNetV2"), 1, 32),
]


def randomise(model, rng):
    """Weights off their initial values where those would make layers trivial."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.8, 1.2, w.shape) for w in layer.get_weights()])


def inputs(model, rows, rng):
    """Random inputs: tokens for integers, else normal numbers."""
    shape = (rows,) + model.input_shape[1:]
    if model.inputs[0].dtype == "int32":
        return rng.integers(0, 20_000, shape, dtype=np.int32)
    return rng.standard_normal(shape, dtype=np.float32)
