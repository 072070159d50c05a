"""Writes legacy2.zip: every layer of Keras 2 with its options, as tf_keras saves it.

    python legacy2.py --out packs

It needs what legacy.py needs. Cases that tf_keras itself can't save are dropped, and said so.
"""

import argparse
import os

import numpy as np
import tensorflow as tf
import tf_keras as K
from legacy import Writer, keras_2_0

L = K.layers
BOTH = ("h5", "keras")


def chain(shape, *stack, dtype=None):
    x = inp = L.Input(shape, dtype=dtype, name="x")
    for layer in stack:
        x = layer(x)
    return K.Model(inp, x)


def several(shape, *layers, dtype=None):
    """One input, and an output for each layer."""
    x = L.Input(shape, dtype=dtype, name="x")
    return K.Model(x, [layer(x) for layer in layers])


def tokens(high):
    def make(rng, shape):
        x = rng.integers(1, high, size=shape)
        x[1:, -2:] = 0
        return x

    return make


def steps(value=0.0):
    """Sequences whose last steps are masked."""

    def make(rng, shape):
        x = rng.normal(size=shape)
        x[1:, -2:] = value
        x[0, 1] = value
        return x

    return make


# ---- layers of Keras 2 -----------------------------------------------------------------------


def dense():
    return several((5, 4), L.Dense(3), L.Dense(3, "hard_sigmoid"), L.Dense(2, use_bias=False, activation="softplus"), L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"),
                   L.Dense(3, K.activations.gelu), L.Dense(3, "swish"), L.Dense(3, "selu"), L.Dense(3, "exponential"), L.Dense(3, "linear"), L.Dense(3, "mish"),
                   L.Dense(3, "elu"), L.Dense(3, "softsign"), L.Dense(3, "tanh"))


def activations():
    return several((5, 4), L.ReLU(6.0, 0.1, 0.2), L.ReLU(), L.LeakyReLU(), L.LeakyReLU(0.05), L.ELU(0.7), L.ThresholdedReLU(0.4), L.Softmax(), L.Softmax(axis=1), L.PReLU(),
                   L.PReLU(shared_axes=[1]), L.Activation("hard_sigmoid"), L.Activation("sigmoid"), L.Activation(tf.nn.relu),
                   L.Activation(tf.nn.leaky_relu), L.Activation(tf.nn.relu6), L.Activation(tf.nn.swish))


def convolutions():
    return several((7, 8, 4), L.Conv2D(3, 3, 2, "same"), L.Conv2D(3, (2, 3), dilation_rate=2), L.Conv2D(4, 2, groups=2), L.SeparableConv2D(3, 2, depth_multiplier=2),
                   L.DepthwiseConv2D(3, padding="same", depth_multiplier=2), L.Conv2DTranspose(3, 3, 2, "same"), L.Conv2DTranspose(3, 2, 3, output_padding=1), L.Conv2D(2, 1, use_bias=False, activation="relu"),
                   L.DepthwiseConv2D(2, 2, use_bias=False), L.Conv2DTranspose(2, 3, dilation_rate=2), L.LocallyConnected2D(3, (2, 3)), L.LocallyConnected2D(2, 2, strides=(2, 3), activation="tanh"),
                   L.LocallyConnected2D(2, 3, padding="same", implementation=2), L.LocallyConnected2D(2, 3, implementation=3, use_bias=False))


def convolutions_1d():
    return several((9, 4), L.Conv1D(3, 3, padding="causal", dilation_rate=2), L.Conv1D(4, 2, 2, groups=2), L.SeparableConv1D(3, 3, padding="same"), L.SeparableConv1D(3, 2, padding="causal"), L.DepthwiseConv1D(2, depth_multiplier=2),
                   L.Conv1DTranspose(3, 3, 2), L.LocallyConnected1D(3, 2), L.LocallyConnected1D(2, 3, strides=2, activation="relu"), L.LocallyConnected1D(2, 3, padding="same", implementation=2), L.LocallyConnected1D(3, 2, implementation=3))


def pooling():
    return several((6, 7, 3), L.MaxPooling2D(2, 1, "same"), L.AveragePooling2D(3, 2, "same"), L.GlobalMaxPooling2D(), L.GlobalAveragePooling2D(keepdims=True), L.UpSampling2D((2, 3)), L.UpSampling2D(2, interpolation="bilinear"),
                   L.ZeroPadding2D(((1, 0), (2, 1))), L.Cropping2D((1, 2)), L.Flatten(), L.Permute((2, 3, 1)), L.Reshape((3, -1)), L.SpatialDropout2D(0.2), L.Resizing(4, 9), L.CenterCrop(3, 4), L.Rescaling(0.5, [1.0, 2.0, 3.0]))


def pooling_1d():
    return several((6, 3), L.MaxPooling1D(2, 1, "same"), L.AveragePooling1D(3), L.GlobalMaxPooling1D(), L.GlobalAveragePooling1D(), L.UpSampling1D(3), L.ZeroPadding1D((1, 2)), L.Cropping1D(1), L.SpatialDropout1D(0.2))


def norms():
    return several((5, 6), L.BatchNormalization(), L.BatchNormalization(1, epsilon=0.1), L.BatchNormalization(center=False, scale=False), L.LayerNormalization(), L.LayerNormalization([1, 2]), L.GroupNormalization(3), L.UnitNormalization(),
                   L.BatchNormalization(synchronized=True), L.LayerNormalization(axis=1, center=False))


def regularization():
    return several((5, 4), L.Dropout(0.3), L.GaussianNoise(0.2), L.GaussianDropout(0.2), L.AlphaDropout(0.2), L.ActivityRegularization(0.1), L.Dense(2, kernel_regularizer="l2", kernel_constraint="max_norm", activity_regularizer="l1"), L.Identity())


def merging():
    a, b = L.Input((4, 3), name="a"), L.Input((4, 3), name="b")
    return K.Model([a, b], [L.Add()([a, b]), L.Subtract()([a, b]), L.Multiply()([a, b, a]), L.Average()([a, b]), L.Maximum()([a, b]), L.Minimum()([a, b]), L.Concatenate(1)([a, b]), L.Dot(2)([a, b]), L.Dot((1, 2), normalize=True)([a, L.Permute((2, 1))(b)]), L.RepeatVector(2)(L.Flatten()(a))])


def rnns():
    return several((6, 3), L.LSTM(4), L.LSTM(4, return_sequences=True, go_backwards=True), L.GRU(3), L.GRU(3, reset_after=False, return_sequences=True), L.SimpleRNN(3, "relu"), L.LSTM(3, "softsign", "hard_sigmoid", use_bias=False), L.GRU(3, recurrent_activation="hard_sigmoid", unroll=True),
                   L.Bidirectional(L.LSTM(2, return_sequences=True), merge_mode="sum"), L.Bidirectional(L.GRU(2), merge_mode="ave"), L.Bidirectional(L.SimpleRNN(2, return_sequences=True), merge_mode=None), L.Bidirectional(L.GRU(2), merge_mode="mul"),
                   L.Bidirectional(L.LSTM(2), backward_layer=L.GRU(2, go_backwards=True)), L.LSTM(2, return_state=True), L.GRU(2, return_sequences=True, return_state=True), L.Bidirectional(L.LSTM(2, return_state=True)), L.LSTM(3, dropout=0.2, recurrent_dropout=0.1))


def cells():
    return several((6, 3), L.RNN(L.LSTMCell(3)), L.RNN(L.GRUCell(3), return_sequences=True), L.RNN([L.LSTMCell(3), L.GRUCell(2)]), L.RNN(L.StackedRNNCells([L.SimpleRNNCell(3), L.SimpleRNNCell(2)]), return_sequences=True), L.RNN(L.GRUCell(2, reset_after=False), go_backwards=True),
                   L.Bidirectional(L.RNN(L.LSTMCell(2))))


def conv_lstm():
    return several((3, 5, 6, 2), L.ConvLSTM2D(2, 2), L.ConvLSTM2D(2, 3, padding="same", return_sequences=True, go_backwards=True), L.TimeDistributed(L.Conv2D(2, 2)), L.TimeDistributed(L.BatchNormalization()), L.TimeDistributed(L.Flatten()))


def conv_lstm_others():
    a, b = L.Input((3, 5, 2), name="a"), L.Input((2, 4, 4, 3, 2), name="b")
    return K.Model([a, b], [L.ConvLSTM1D(2, 2)(a), L.ConvLSTM3D(2, 2, padding="same")(b)])


def masking():
    x = L.Input((6, 3), name="x")
    h = L.Masking(-1.0)(x)
    y = L.Input((6, 3))
    return K.Model(x, [L.LSTM(3)(h), L.Bidirectional(L.GRU(2, return_sequences=True))(h), L.TimeDistributed(L.Dense(2))(h), L.GlobalAveragePooling1D()(h), L.SimpleRNN(2)(L.Dropout(0.3)(L.Dense(3, "tanh")(h))),
                       L.LSTM(2)(L.Concatenate()([h, h])), L.GRU(2)(L.Add()([h, L.Dense(3)(h)])), L.LSTM(2)(L.Activation("relu")(L.BatchNormalization()(h))), L.LSTM(2, return_sequences=True, go_backwards=True)(h), L.Attention()([h, h])])


def embedding():
    x = L.Input((6,), name="x")
    h = L.Embedding(7, 4, mask_zero=True)(x)
    q = L.Embedding(7, 4, input_length=6)(x)
    return K.Model(x, [L.LSTM(3)(h), L.GRU(3)(L.SpatialDropout1D(0.2)(h)), L.Conv1D(2, 3)(q), L.Bidirectional(L.LSTM(2, return_sequences=True))(h), L.MultiHeadAttention(2, 3)(h, h), L.MultiHeadAttention(2, 3)(q, h, use_causal_mask=True), L.Flatten()(q),
                       L.AdditiveAttention(use_scale=True)([h, h]), L.GlobalMaxPooling1D()(h), L.Attention(score_mode="concat")([q, h])])


def integer_embedding():
    return chain((6,), L.Embedding(7, 3), L.GlobalAveragePooling1D(), L.Dense(2), dtype="int32")


def attention():
    q, v = L.Input((5, 4), name="q"), L.Input((6, 4), name="v")
    m = L.MultiHeadAttention(2, 3, value_dim=2, output_shape=5, use_bias=False)
    y, s = L.MultiHeadAttention(2, 2)(q, v, return_attention_scores=True)
    return K.Model([q, v], [L.Attention()([q, v]), L.Attention(use_scale=True)([q, v, v]), L.AdditiveAttention()([q, v]), m(q, v), y, s, L.MultiHeadAttention(1, 2, attention_axes=1)(q, v), L.Attention(dropout=0.2)([q, v])])


def shared():
    a, b = L.Input((4,), name="a"), L.Input((4,), name="b")
    d = L.Dense(4, "relu", name="d")
    inner = K.Sequential([L.Dense(3, input_shape=(4,)), L.BatchNormalization(), L.Dropout(0.1)], name="tower")
    y = L.Input((3,))
    outer = K.Model(y, [L.Dense(2)(y), L.Dense(1)(y)], name="two")
    p, q = outer(inner(d(a)))
    r, s = outer(inner(b))
    return K.Model({"a": a, "b": b}, {"p": p, "q": q, "r": r, "s": s, "d": d(d(b))})


def deep_nesting():
    x = L.Input((5, 4), name="x")
    low = K.Sequential([L.Conv1D(3, 2, input_shape=(5, 4)), L.BatchNormalization()], name="low")
    mid_in = L.Input((5, 4))
    mid = K.Model(mid_in, L.LSTM(3, return_sequences=True)(low(mid_in)), name="mid")
    mid.layers[1].trainable = False
    top = K.Sequential([mid, L.GRU(2), L.Dense(2)], name="top")
    return K.Model(x, [top(x), L.Flatten()(mid(x))])


def distributed_model():
    y = L.Input((4, 4, 2))
    inner = K.Model(y, L.Dense(3)(L.Flatten()(L.MaxPooling2D()(L.BatchNormalization()(L.Conv2D(3, 2, padding="same")(y))))), name="inner")
    s = K.Sequential([L.Dense(4, "relu"), L.LayerNormalization()], name="s")
    return chain((3, 4, 4, 2), L.TimeDistributed(inner), L.TimeDistributed(s), L.Bidirectional(L.LSTM(2)))


def sequential_of_models():
    base = K.Sequential([L.Conv2D(3, 3, input_shape=(6, 6, 2)), L.ReLU(), K.Sequential([L.Conv2D(2, 2), L.BatchNormalization()], name="block")], name="base")
    return K.Sequential([base, L.GlobalAveragePooling2D(), L.Dense(2)])


def frozen():
    model = K.Sequential([L.Dense(4, input_shape=(5,), trainable=False), L.BatchNormalization(), L.Dense(4), L.BatchNormalization(trainable=False), K.Sequential([L.Dense(3), L.BatchNormalization(), L.Dense(2)], name="in")])
    return model


def part_frozen():
    model = frozen()
    model.layers[-1].layers[0].trainable = False
    model.layers[2].trainable = False
    return model


def frozen_rnn():
    return chain((5, 3), L.Bidirectional(L.LSTM(2, return_sequences=True), trainable=False), L.Bidirectional(L.LSTM(3, return_sequences=True)), L.TimeDistributed(L.Dense(2), trainable=False), L.GRU(2))


def normalizations():
    return several((4,), L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 2.0]), L.Normalization(mean=0.5, variance=2.0, axis=None), L.Normalization(mean=0.5, variance=2.0, axis=None, invert=True))


def normalization():
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(1).normal(size=(50, 4)) * 3 + 1)
    return chain((4,), layer, L.Dense(2))


def adapted(model, rng):
    layer = model.layers[1]
    layer.adapt(np.random.default_rng(1).normal(size=(50, 4)) * 3 + 1)


def augmentation():
    return chain((6, 6, 3), L.RandomFlip(), L.RandomRotation(0.2), L.RandomZoom(0.1), L.RandomContrast(0.2), L.RandomTranslation(0.1, 0.1), L.RandomBrightness(0.2, value_range=(0, 1)), L.RandomHeight(0.2), L.RandomWidth(0.2), L.RandomCrop(4, 4), L.Conv2D(2, 2), L.GlobalAveragePooling2D())


def dtypes():
    a, b = L.Input((4,), dtype="float64", name="a"), L.Input((4,), dtype="float16", name="b")
    return K.Model([a, b], [L.Dense(3, dtype="float64")(a), L.Dense(3, dtype="float16")(b), L.Dense(2)(L.BatchNormalization(dtype="float64")(a))])


def variable_length():
    x = L.Input((None, 3), name="x")
    return K.Model(x, [L.Conv1D(2, 3)(x), L.GlobalMaxPooling1D()(L.Conv1D(4, 2)(x)), L.LSTM(2)(x), L.Dense(2)(x), L.UpSampling1D(2)(x)])


def separate_states():
    x, h = L.Input((5, 3), name="x"), L.Input((4,), name="h")
    y, a, b = L.LSTM(4, return_sequences=True, return_state=True)(x)
    z = L.LSTM(4)(x, initial_state=[h, h])
    u = L.GRU(4, return_sequences=True)(y, initial_state=a)
    f = L.Bidirectional(L.GRU(4))(y, initial_state=[a, b])
    return K.Model([x, h], [z, u, f])


def big():
    """Names of weights that don't fit one attribute."""
    return K.Sequential([L.Input((3,))] + [L.Dense(2, "tanh", name="dense_" + "y" * 250 + f"_{i}") for i in range(120)])


def resnet_block():
    x = L.Input((16, 16, 3), name="x")
    h = L.ZeroPadding2D(1)(x)
    h = L.Conv2D(4, 3, 2, use_bias=False)(h)
    h = L.BatchNormalization(momentum=0.9, epsilon=1e-3)(h)
    h = L.Activation("relu")(h)
    for _ in range(2):
        r = h
        h = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same", use_bias=False)(h)))
        h = L.add([L.BatchNormalization()(L.Conv2D(4, 1, use_bias=False)(h)), r])
        s = L.Reshape((1, 1, 4))(L.GlobalAveragePooling2D()(h))
        h = L.multiply([h, L.Conv2D(4, 1, activation="hard_sigmoid")(s)])
    return K.Model(x, L.Dense(3, "softmax")(L.GlobalAveragePooling2D()(h)))


def hard_swish():
    """As MobileNetV3 writes it: functions of tensors between the layers."""
    x = L.Input((8, 8, 3), name="x")
    h = L.Rescaling(1 / 127.5, -1)(x)
    h = L.Conv2D(4, 3)(h)
    h = L.Multiply()([h, L.ReLU(6.0)(h + 3.0) * (1.0 / 6.0)])
    return K.Model(x, [L.GlobalAveragePooling2D(keepdims=True)(h), tf.nn.relu6(h), tf.image.resize(h, (4, 5)), tf.pad(h, [[0, 0], [1, 1], [2, 0], [0, 0]])])


# ---- functions of TensorFlow -----------------------------------------------------------------


def arithmetic():
    x, z = L.Input((4, 6), name="x"), L.Input((4, 6), name="z")
    return K.Model([x, z], [x + z, x - 2.0, 3.0 - x, x * z, x / 4.0, -x, x**2.0, 2.0**x, tf.add(x, z), tf.subtract(x, z), tf.multiply(x, z), tf.divide(x, 3.0), tf.math.add_n([x, z, x]), tf.math.pow(tf.abs(x), 1.5), tf.minimum(x, z), tf.maximum(x, 0.1), tf.square(x),
                            tf.sqrt(tf.abs(x)), tf.exp(x), tf.math.log(tf.abs(x) + 1.0), tf.math.log1p(tf.abs(x)), tf.sin(x), tf.cos(x), tf.tanh(x), tf.sigmoid(x), tf.nn.elu(x), tf.nn.selu(x), tf.nn.softplus(x), tf.nn.gelu(x), tf.nn.leaky_relu(x, 0.3), tf.nn.swish(x), tf.sign(x), tf.floor(x), tf.math.ceil(x),
                            tf.round(x), tf.math.rsqrt(tf.abs(x) + 1.0), tf.math.reciprocal(x + 10.0), tf.math.erf(x), tf.nn.l2_normalize(x, axis=-1), tf.math.l2_normalize(x, 1), x // 2.0, x % 3.0])


def comparisons():
    x, z = L.Input((4, 6), name="x"), L.Input((4, 6), name="z")
    f = lambda c: tf.cast(c, "float32")
    return K.Model([x, z], [f(x > z), f(x >= 0.0), f(x < z), f(tf.less_equal(x, z)), f(tf.equal(x, x)), f(tf.not_equal(x, 0.0)), f(tf.logical_and(x > 0.0, z > 0.0)), f(tf.logical_or(x > 0.0, z > 0.0)), f(tf.logical_not(x > 0.0)), tf.where(x > z, x, 0.0), tf.cast(x, "int32"), tf.ones_like(x), tf.zeros_like(x)])


def reductions():
    x = L.Input((4, 6), name="x")
    return K.Model(x, [tf.reduce_mean(x, 1), tf.reduce_mean(x, axis=[1, 2]), tf.reduce_sum(x, axis=-1, keepdims=True), tf.reduce_max(x, axis=2), tf.reduce_min(x, axis=1), tf.reduce_prod(x, 1), tf.argmax(x, -1), tf.argmin(x, 1), tf.math.reduce_std(x, 1), tf.math.reduce_variance(x, -1), tf.cumsum(x, 1), tf.norm(x, axis=-1), tf.sort(x, axis=-1),
                       tf.reduce_logsumexp(x, 1), K.backend.mean(x, axis=1), K.backend.sum(x, axis=-1), K.backend.max(x, axis=1)])


def shapes():
    x, z = L.Input((4, 6), name="x"), L.Input((4, 6), name="z")
    a, b = tf.split(x, 2, axis=1)
    c, d, e = tf.split(x, [1, 2, 3], axis=2)
    parts = tf.unstack(x, axis=1)
    return K.Model([x, z], [tf.concat([x, z], 1), tf.concat(axis=-1, values=[x, z]), tf.stack([x, z], axis=-1), tf.expand_dims(x, -1), tf.squeeze(tf.expand_dims(x, 1), axis=1), tf.transpose(x, perm=[0, 2, 1]), tf.reshape(x, [-1, 2, 12]), tf.tile(x, [1, 2, 1]), tf.reverse(x, axis=[1]), a, b, c, e, parts[2], tf.gather(x, [2, 0], axis=1), tf.repeat(x, 2, axis=1),
                            tf.pad(x, [[0, 0], [1, 2], [0, 1]]), tf.matmul(x, z, transpose_b=True), tf.matmul(x, tf.transpose(z, [0, 2, 1])), tf.linalg.matmul(x, z, transpose_a=True), tf.tensordot(x, tf.ones((6, 2)), 1), tf.identity(x), tf.stop_gradient(x)])


def slices():
    x = L.Input((4, 6), name="x")
    return K.Model(x, [x[:, 0], x[:, -1], x[:, 1:3], x[:, ::2], x[:, :, None], x[:, tf.newaxis, 1:, :-1], x[:, ::-1], x[:, -2:, 1]])


def backend():
    x, z = L.Input((4, 6), name="x"), L.Input((4, 6), name="z")
    B = K.backend
    return K.Model([x, z], [B.concatenate([x, z], -1), B.expand_dims(x, 1), B.permute_dimensions(x, (0, 2, 1)), B.batch_dot(x, B.permute_dimensions(z, (0, 2, 1))), B.square(x), B.exp(x), B.softmax(x), B.sigmoid(x), B.hard_sigmoid(x), B.relu(x), B.clip(x, 0.0, 1.0), B.l2_normalize(x, -1), B.maximum(x, z), B.abs(x), B.reshape(x, (-1, 24)), B.squeeze(B.expand_dims(x, 1), 1)])


def layers_as_functions():
    x, z = L.Input((4, 6), name="x"), L.Input((4, 6), name="z")
    return K.Model([x, z], [L.add([x, z]), L.concatenate([x, z], axis=1), L.dot([x, z], axes=2), L.average([x, z]), L.maximum([x, z]), K.activations.softmax(x), K.activations.relu(x, 0.1, 2.0), K.activations.hard_sigmoid(x), K.activations.gelu(x, approximate=True), tf.nn.softmax(x, axis=1), tf.nn.log_softmax(x), tf.nn.bias_add(x, tf.ones(6)), x * tf.constant([1.0, 2, 3, 4, 5, 6])])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    w = Writer(args.out, "legacy2", args.seed)

    def add(build, name=None, **options):
        name = name or build.__name__
        if args.only not in name:
            return
        try:
            w.add(name, build, **options)
        except Exception as e:
            print(f"dropped legacy2/{name}: {type(e).__name__}: {str(e).strip().splitlines()[0][:160]}", flush=True)

    # the form of a `.keras` file is the same for all layers, so that some are enough
    for build in (dense, shared, part_frozen, hard_swish):
        add(build, suffixes=BOTH)
    for build in (activations, convolutions, convolutions_1d, pooling, pooling_1d, norms, regularization, merging, rnns, cells, conv_lstm, conv_lstm_others, attention, distributed_model, sequential_of_models,
                  frozen, frozen_rnn, normalizations, augmentation, dtypes, variable_length, separate_states, resnet_block, big, deep_nesting, arithmetic, comparisons, reductions, shapes, slices, backend, layers_as_functions):
        add(build)
    add(masking, inputs=steps(-1.0))
    add(embedding, inputs=tokens(7), suffixes=BOTH)
    add(integer_embedding, inputs=tokens(7))
    add(normalization, weights=adapted)
    for build in (shared, deep_nesting, distributed_model, separate_states, frozen, part_frozen):
        add(build, f"keras_2_0_{build.__name__}", rewrite=keras_2_0)
    w.close()


if __name__ == "__main__":
    main()
