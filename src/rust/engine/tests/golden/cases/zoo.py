"""Architectures as Keras' documentation and code examples build them, small."""

import keras
import numpy as np
from common import bools, chain, ints, masked, normal, padded, sequential, uniform
from keras import layers as L
from keras import ops


def cases(c):
    vision(c)
    text(c)
    series(c)
    tables(c)
    graphs(c)


# ---- images ---------------------------------------------------------------------------------


def vision(c):
    image = uniform(0, 1)
    add = lambda name, build, **k: c.add(name, build, **{"inputs": image, "rows": 2, **k})
    add("mnist_convnet", lambda: sequential((14, 14, 1), L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(2), L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten(), L.Dropout(0.5), L.Dense(10, activation="softmax")))
    add("mini_xception", mini_xception)
    add("vit", vit)
    add("compact_transformer", compact_transformer)
    add("swin_windows", swin_windows)
    add("mlp_mixer", mlp_mixer)
    add("conv_mixer", conv_mixer)
    add("convnext_block", convnext_block)
    add("g_mlp", g_mlp)
    add("fnet", fnet)
    add("external_attention", external_attention)
    add("unet", unet, inputs=normal(), dims=[8, 12])
    add("unet_xception", unet_xception)
    add("deeplab", deeplab)
    add("fcn_heads", fcn_heads)
    add("autoencoder", autoencoder)
    add("vae_encoder", vae_encoder)
    add("vae_decoder", vae_decoder, inputs=normal())
    add("dcgan_generator", dcgan_generator, inputs=normal())
    add("dcgan_discriminator", dcgan_discriminator)
    add("conditional_gan", conditional_gan, inputs=[normal(), ints(4)])
    add("super_resolution", super_resolution)
    add("zero_dce", zero_dce)
    add("mirnet_block", mirnet_block)
    add("siamese_images", siamese_images, inputs=[image, image])
    add("triplet_distances", triplet_distances, inputs=[image, image, image])
    add("captcha_ocr", captcha_ocr)
    add("squeeze_excite", squeeze_excite)
    add("dense_block", dense_block)
    add("involution", involution)
    add("retina_heads", retina_heads)
    add("keypoints", keypoints)
    add("voxels", voxels)
    add("point_net", point_net, inputs=normal())
    add("nerf", nerf, inputs=normal())
    add("video_vit", video_vit)
    add("conv_lstm_frames", conv_lstm_frames)
    add("cnn_rnn_video", cnn_rnn_video, inputs=[normal(), bools(first=True)])
    add("augmented", augmented)
    add("focal_modulation", focal_modulation)
    add("patch_convnet", patch_convnet)
    add("involuted_space_to_depth", space_to_depth)


def mini_xception():
    x = inp = keras.Input((16, 16, 3))
    x = L.Rescaling(1.0 / 255)(x)
    x = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(8, 3, strides=2, padding="same")(x)))
    before = x
    for size in (8, 12):
        x = L.Activation("relu")(x)
        x = L.BatchNormalization()(L.SeparableConv2D(size, 3, padding="same")(x))
        x = L.Activation("relu")(x)
        x = L.BatchNormalization()(L.SeparableConv2D(size, 3, padding="same")(x))
        x = L.MaxPooling2D(3, strides=2, padding="same")(x)
        before = L.Conv2D(size, 1, strides=2, padding="same")(before)
        x = before = L.add([x, before])
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(inp, L.Dense(1, activation="sigmoid")(L.Dropout(0.25)(x)))


def patches_of(x, size, width):
    x = L.Conv2D(width, size, strides=size)(x)
    return L.Reshape((-1, width))(x)


def positions(x):
    """A position embedding of a constant range, as the examples build it from ops."""
    steps, width = x.shape[1], x.shape[2]
    return x + L.Embedding(steps, width)(ops.arange(0, steps, 1) + ops.cast(x[:, :, 0] * 0.0, "int32"))


def encoder_block(x, heads, width, hidden, activation="gelu"):
    y = L.LayerNormalization(epsilon=1e-6)(x)
    y = L.MultiHeadAttention(num_heads=heads, key_dim=width // heads, dropout=0.1)(y, y)
    x = L.Add()([y, x])
    y = L.LayerNormalization(epsilon=1e-6)(x)
    for units in (hidden, width):
        y = L.Dropout(0.1)(L.Dense(units, activation=getattr(keras.activations, activation))(y))
    return L.Add()([y, x])


def vit():
    inp = keras.Input((12, 12, 3))
    x = positions(patches_of(inp, 4, 8))
    for _ in range(2):
        x = encoder_block(x, 2, 8, 16)
    x = L.Flatten()(L.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(inp, L.Dense(5)(L.Dropout(0.5)(x)))


def compact_transformer():
    """CCT: convolutional tokens and a pooling by attention."""
    inp = keras.Input((12, 12, 3))
    x = inp
    for filters in (6, 8):
        x = L.Conv2D(filters, 3, padding="valid", use_bias=False, activation="relu")(x)
        x = L.ZeroPadding2D(1)(x)
        x = L.MaxPooling2D(3, 2, "same")(x)
    x = ops.reshape(x, (-1, ops.shape(x)[1] * ops.shape(x)[2], ops.shape(x)[-1]))
    x = encoder_block(x, 2, 8, 8)
    x = L.LayerNormalization(epsilon=1e-5)(x)
    weights = keras.activations.softmax(L.Dense(1)(x), axis=1)
    x = ops.squeeze(ops.matmul(ops.transpose(weights, (0, 2, 1)), x), 1)
    return keras.Model(inp, L.Dense(4)(x))


def swin_windows():
    """Windows cut, attended to and put together again, shifted by a roll."""
    inp = keras.Input((8, 8, 4))
    x = inp
    for shift in (0, 2):
        y = L.LayerNormalization(epsilon=1e-5)(x)
        y = ops.roll(y, shift=(-shift, -shift), axis=(1, 2)) if shift else y
        y = ops.reshape(y, (-1, 2, 4, 2, 4, 4))
        y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, 16, 4))
        y = L.MultiHeadAttention(2, 2)(y, y)
        y = ops.transpose(ops.reshape(y, (-1, 2, 2, 4, 4, 4)), (0, 1, 3, 2, 4, 5))
        y = ops.reshape(y, (-1, 8, 8, 4))
        y = ops.roll(y, shift=(shift, shift), axis=(1, 2)) if shift else y
        x = x + y
        x = x + L.Dense(4)(L.Dense(8, activation="gelu")(L.LayerNormalization(epsilon=1e-5)(x)))
    even = ops.concatenate([x[:, 0::2, 0::2, :], x[:, 1::2, 0::2, :], x[:, 0::2, 1::2, :], x[:, 1::2, 1::2, :]], axis=-1)
    x = L.Dense(8, use_bias=False)(even)
    return keras.Model(inp, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def mlp_mixer():
    inp = keras.Input((12, 12, 3))
    x = patches_of(inp, 4, 8)
    for _ in range(2):
        y = L.LayerNormalization()(x)
        y = L.Permute((2, 1))(y)
        y = L.Dense(9)(L.Dense(6, activation="gelu")(y))
        x = L.Add()([x, L.Permute((2, 1))(y)])
        y = L.LayerNormalization()(x)
        x = L.Add()([x, L.Dense(8)(L.Dense(16, activation="gelu")(y))])
    return keras.Model(inp, L.Dense(4)(L.GlobalAveragePooling1D()(x)))


def conv_mixer():
    inp = keras.Input((12, 12, 3))
    x = L.BatchNormalization()(L.Activation("gelu")(L.Conv2D(8, 2, strides=2)(L.Rescaling(1.0 / 255)(inp))))
    for _ in range(2):
        y = L.BatchNormalization()(L.Activation("gelu")(L.DepthwiseConv2D(5, padding="same")(x)))
        x = L.Add()([y, x])
        x = L.BatchNormalization()(L.Activation("gelu")(L.Conv2D(8, 1)(x)))
    return keras.Model(inp, L.Dense(4, activation="softmax")(L.GlobalAvgPool2D()(x)))


def convnext_block():
    inp = keras.Input((12, 12, 4))
    x = inp
    for width in (4, 8):
        if width != 4:
            x = L.Conv2D(width, 2, strides=2)(L.LayerNormalization(epsilon=1e-6)(x))
        y = L.Conv2D(width, 7, padding="same", groups=width)(x)
        y = L.LayerNormalization(epsilon=1e-6)(y)
        y = L.Dense(width)(L.Activation("gelu")(L.Dense(4 * width)(y)))
        x = x + y * 0.1
    return keras.Model(inp, L.Dense(3)(L.LayerNormalization(epsilon=1e-6)(L.GlobalAveragePooling2D()(x))))


def g_mlp():
    inp = keras.Input((9, 8))
    y = L.Dense(16, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(inp))
    u, v = ops.split(y, indices_or_sections=2, axis=2)
    v = L.LayerNormalization(epsilon=1e-6)(v)
    v = ops.transpose(v, (0, 2, 1))
    v = ops.transpose(L.Dense(9, bias_initializer="ones")(v), (0, 2, 1))
    return keras.Model(inp, inp + L.Dense(8)(u * v))


def fnet():
    inp = keras.Input((8, 6))
    real, imag = ops.fft2((inp, ops.zeros_like(inp)))
    x = L.LayerNormalization(epsilon=1e-6)(inp + real)
    x = L.LayerNormalization(epsilon=1e-6)(x + L.Dense(6)(L.Dropout(0.1)(L.Dense(12, activation="gelu")(x))))
    return keras.Model(inp, [L.GlobalAveragePooling1D()(x), ops.mean(imag, axis=(1, 2))])


def external_attention():
    inp = keras.Input((9, 8))
    x = L.Dense(16)(inp)
    x = ops.transpose(ops.reshape(x, (-1, 9, 2, 8)), (0, 2, 1, 3))
    a = L.Dense(6)(x)
    a = L.Activation("softmax")(a)
    a = a / (1e-9 + ops.sum(a, axis=2, keepdims=True))
    x = L.Dense(8)(a)
    x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, 9, 16))
    return keras.Model(inp, L.Dense(8)(x) + inp)


def unet():
    def double(x, filters):
        for _ in range(2):
            x = L.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return x

    x = inp = keras.Input((None, None, 2))
    skips = []
    for filters in (4, 6):
        x = double(x, filters)
        skips.append(x)
        x = L.Dropout(0.3)(L.MaxPool2D(2)(x))
    x = double(x, 8)
    for filters, skip in zip((6, 4), skips[::-1]):
        x = L.Conv2DTranspose(filters, 3, 2, padding="same")(x)
        x = double(L.Dropout(0.3)(L.concatenate([x, skip])), filters)
    return keras.Model(inp, L.Conv2D(3, 1, padding="same", activation="softmax")(x), name="U-Net")


def unet_xception():
    x = inp = keras.Input((16, 16, 3))
    x = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(6, 3, strides=2, padding="same")(x)))
    before = x
    for filters in (6, 8):
        for _ in range(2):
            x = L.BatchNormalization()(L.SeparableConv2D(filters, 3, padding="same")(L.Activation("relu")(x)))
        x = L.MaxPooling2D(3, strides=2, padding="same")(x)
        x = before = L.add([x, L.Conv2D(filters, 1, strides=2, padding="same")(before)])
    for filters in (8, 6, 4):
        for _ in range(2):
            x = L.BatchNormalization()(L.Conv2DTranspose(filters, 3, padding="same")(L.Activation("relu")(x)))
        x = L.UpSampling2D(2)(x)
        x = before = L.add([x, L.Conv2D(filters, 1, padding="same")(L.UpSampling2D(2)(before))])
    return keras.Model(inp, L.Conv2D(2, 3, activation="softmax", padding="same")(x))


def deeplab():
    def block(x, kernel=3, rate=1, bias=False):
        x = L.Conv2D(6, kernel, dilation_rate=rate, padding="same", use_bias=bias, kernel_initializer=keras.initializers.HeNormal())(x)
        return ops.nn.relu(L.BatchNormalization()(x))

    inp = keras.Input((16, 16, 3))
    low = block(L.Conv2D(6, 3, strides=2, padding="same")(inp))
    x = block(L.Conv2D(6, 3, strides=2, padding="same")(low))
    pooled = block(L.AveragePooling2D((x.shape[-3], x.shape[-2]))(x), 1, bias=True)
    pooled = L.UpSampling2D((x.shape[-3] // pooled.shape[1], x.shape[-2] // pooled.shape[2]), interpolation="bilinear")(pooled)
    x = L.Concatenate(axis=-1)([pooled, *(block(x, 3 if rate > 1 else 1, rate) for rate in (1, 2, 3))])
    x = L.UpSampling2D(2, interpolation="bilinear")(block(x, 1))
    x = block(L.Concatenate(axis=-1)([x, block(low, 1)]))
    return keras.Model(inp, L.Conv2D(3, 1, padding="same")(L.UpSampling2D(2, interpolation="bilinear")(x)))


def fcn_heads():
    inp = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(inp)
    y = L.Conv2D(6, 3, strides=2, padding="same", activation="relu")(x)
    up = lambda t, n, how: L.UpSampling2D(n, data_format="channels_last", interpolation=how)(t)
    both = L.Add()([up(L.Conv2D(3, 1)(y), 2, "bilinear"), L.Conv2D(3, 1)(x)])
    return keras.Model(inp, {"fcn32s": up(L.Conv2D(3, 1)(y), 4, "bilinear"), "fcn16s": L.Conv2D(3, 1, activation="softmax")(up(both, 2, "nearest"))})


def autoencoder():
    x = inp = keras.Input((12, 12, 1))
    for _ in range(2):
        x = L.MaxPooling2D(2, padding="same")(L.Conv2D(4, 3, activation="relu", padding="same")(x))
    encoder = keras.Model(inp, x, name="encoder")
    z = x = keras.Input(x.shape[1:])
    for _ in range(2):
        x = L.Conv2DTranspose(4, 3, strides=2, activation="relu", padding="same")(x)
    decoder = keras.Model(z, L.Conv2D(1, 3, activation="sigmoid", padding="same")(x), name="decoder")
    inp = keras.Input((12, 12, 1))
    return keras.Model(inp, decoder(encoder(inp)), name="autoencoder")


def vae_encoder():
    inp = keras.Input((12, 12, 1))
    x = L.Conv2D(4, 3, activation="relu", strides=2, padding="same")(inp)
    x = L.Dense(6, activation="relu")(L.Flatten()(x))
    mean, log_var = L.Dense(2, name="z_mean")(x), L.Dense(2, name="z_log_var")(x)
    return keras.Model(inp, [mean, log_var, mean + ops.exp(0.5 * log_var) * 0.1], name="encoder")


def vae_decoder():
    inp = keras.Input((2,))
    x = L.Reshape((3, 3, 4))(L.Dense(3 * 3 * 4, activation="relu")(inp))
    for _ in range(2):
        x = L.Conv2DTranspose(4, 3, activation="relu", strides=2, padding="same")(x)
    return keras.Model(inp, L.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x), name="decoder")


def dcgan_generator():
    return keras.Sequential([keras.Input((6,)), L.Dense(4 * 4 * 4), L.Reshape((4, 4, 4)), L.Conv2DTranspose(6, 4, strides=2, padding="same"), L.LeakyReLU(negative_slope=0.2),
                             L.Conv2DTranspose(4, 4, strides=2, padding="same"), L.LeakyReLU(negative_slope=0.2), L.Conv2D(3, 5, padding="same", activation="sigmoid")], name="generator")


def dcgan_discriminator():
    return keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(4, 4, strides=2, padding="same"), L.LeakyReLU(negative_slope=0.2), L.Conv2D(6, 4, strides=2, padding="same"), L.LeakyReLU(negative_slope=0.2),
                             L.Flatten(), L.Dropout(0.2), L.Dense(1, activation="sigmoid")], name="discriminator")


def conditional_gan():
    noise, label = keras.Input((6,)), keras.Input((1,), dtype="int32")
    e = L.Reshape((4, 4, 1))(L.Dense(16)(L.Flatten()(L.Embedding(4, 5)(label))))
    x = L.Reshape((4, 4, 3))(L.LeakyReLU(negative_slope=0.2)(L.Dense(48)(noise)))
    x = L.Concatenate()([x, e])
    x = L.Conv2DTranspose(4, 4, strides=2, padding="same")(x)
    x = L.LeakyReLU(negative_slope=0.2)(L.BatchNormalization(momentum=0.8)(x))
    one_hot = ops.one_hot(ops.squeeze(label, -1), 4)
    maps = ops.repeat(ops.repeat(one_hot[:, None, None, :], 8, axis=1), 8, axis=2)
    return keras.Model([noise, label], L.Conv2D(1, 7, activation="tanh", padding="same")(L.Concatenate()([x, maps])))


def super_resolution():
    """Sub-pixel convolution from reshapes."""
    inp = keras.Input((6, 5, 1))
    x = L.Conv2D(8, 5, padding="same", activation="relu", kernel_initializer="orthogonal")(inp)
    x = L.Conv2D(9, 3, padding="same", activation="relu")(x)
    x = ops.transpose(ops.reshape(x, (-1, 6, 5, 3, 3, 1)), (0, 1, 3, 2, 4, 5))
    return keras.Model(inp, ops.reshape(x, (-1, 18, 15, 1)))


def zero_dce():
    inp = keras.Input((8, 8, 3))
    conv = lambda t: L.Conv2D(4, 3, strides=1, activation="relu", padding="same")(t)
    a = conv(inp)
    b = conv(a)
    d = conv(L.Concatenate(axis=-1)([b, a]))
    curves = L.Conv2D(24, 3, strides=1, activation="tanh", padding="same")(L.Concatenate(axis=-1)([d, a]))
    x = inp
    for i in range(8):
        r = curves[:, :, :, 3 * i : 3 * i + 3]
        x = x + r * (ops.square(x) - x)
    return keras.Model(inp, x)


def mirnet_block():
    inp = keras.Input((8, 8, 4))
    pooled = L.Concatenate(axis=-1)([ops.mean(inp, axis=-1, keepdims=True), ops.max(inp, axis=-1, keepdims=True)])
    spatial = inp * L.Conv2D(1, 1, activation="sigmoid")(pooled)
    squeezed = ops.reshape(L.GlobalAveragePooling2D()(inp), (-1, 1, 1, 4))
    channels = inp * L.Conv2D(4, 1, activation="sigmoid")(L.Conv2D(2, 1, activation="relu")(squeezed))
    x = L.Conv2D(4, 1)(L.Concatenate(axis=-1)([spatial, channels]))
    down = L.Conv2D(4, 3, padding="same", activation="relu")(L.MaxPooling2D()(x))
    up = L.UpSampling2D()(down)
    weights = ops.softmax(ops.stack([L.GlobalAveragePooling2D(keepdims=True)(t) for t in (x, up)], axis=1), axis=1)
    return keras.Model(inp, inp + x * weights[:, 0] + up * weights[:, 1])


def tower(shape=(10, 10, 1)):
    x = inp = keras.Input(shape)
    x = L.BatchNormalization()(x)
    x = L.AveragePooling2D(2)(L.Conv2D(4, 3, activation="tanh")(x))
    x = L.Dense(5, activation="tanh")(L.BatchNormalization()(L.Flatten()(x)))
    return keras.Model(inp, x)


def siamese_images():
    net = tower()
    a, b = keras.Input((10, 10, 1)), keras.Input((10, 10, 1))
    x, y = net(a), net(b)
    distance = ops.sqrt(ops.maximum(ops.sum(ops.square(x - y), axis=1, keepdims=True), keras.config.epsilon()))
    return keras.Model(inputs=[a, b], outputs=L.Dense(1, activation="sigmoid")(L.BatchNormalization()(distance)))


def triplet_distances():
    net = tower()
    anchor, positive, negative = (keras.Input((10, 10, 1), name=n) for n in ("anchor", "positive", "negative"))
    a, p, n = net(anchor), net(positive), net(negative)
    return keras.Model([anchor, positive, negative], (ops.sum(ops.square(a - p), -1), ops.sum(ops.square(a - n), -1)))


def captcha_ocr():
    x = inp = keras.Input((20, 10, 1), name="image", dtype="float32")
    for filters in (4, 6):
        x = L.MaxPooling2D(2)(L.Conv2D(filters, 3, activation="relu", kernel_initializer="he_normal", padding="same")(x))
    x = L.Dropout(0.2)(L.Dense(8, activation="relu")(L.Reshape((5, -1))(x)))
    for units in (6, 4):
        x = L.Bidirectional(L.LSTM(units, return_sequences=True, dropout=0.25))(x)
    return keras.Model(inp, L.Dense(7, activation="softmax")(x))


def squeeze_excite():
    inp = keras.Input((8, 8, 6))
    s = L.Dense(6, activation="sigmoid")(L.Dense(2, activation="relu")(L.GlobalAveragePooling2D()(inp)))
    x = L.Multiply()([inp, L.Reshape((1, 1, 6))(s)])
    y = L.multiply([inp, L.Conv2D(6, 1, activation="hard_sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))])
    return keras.Model(inp, L.Concatenate()([x, y]))


def dense_block():
    x = inp = keras.Input((8, 8, 4))
    for _ in range(3):
        y = L.Conv2D(6, 1, use_bias=False)(L.Activation("relu")(L.BatchNormalization(axis=3, epsilon=1.001e-5)(x)))
        y = L.Conv2D(3, 3, padding="same", use_bias=False)(L.Activation("relu")(L.BatchNormalization(axis=3, epsilon=1.001e-5)(y)))
        x = L.Concatenate(axis=3)([x, y])
    return keras.Model(inp, L.AveragePooling2D(2, strides=2)(L.Conv2D(4, 1, use_bias=False)(x)))


def involution():
    """Kernels made of the image itself: patches taken by an op."""
    inp = keras.Input((8, 8, 4))
    k = L.Conv2D(9, 1)(L.ReLU()(L.BatchNormalization()(L.Conv2D(2, 1)(inp))))
    k = k[:, :, :, :, None]
    patches = ops.image.extract_patches(inp, size=(3, 3), strides=(1, 1), padding="same")
    x = ops.sum(k * ops.reshape(patches, (-1, 8, 8, 9, 4)), axis=3)
    return keras.Model(inp, L.Dense(3)(L.GlobalAveragePooling2D()(x)))


def retina_heads():
    inp = keras.Input((16, 16, 3))
    c3 = L.Conv2D(6, 3, 2, "same", activation="relu")(inp)
    c4 = L.Conv2D(8, 3, 2, "same", activation="relu")(c3)
    p4 = L.Conv2D(5, 1, 1, "same")(c4)
    p3 = L.Conv2D(5, 1, 1, "same")(c3) + L.UpSampling2D(2)(p4)
    p5 = L.Conv2D(5, 3, 2, "same")(ops.nn.relu(L.Conv2D(5, 3, 2, "same")(c4)))

    def head(filters):
        return keras.Sequential([keras.Input((None, None, 5)), L.Conv2D(5, 3, padding="same"), L.ReLU(), L.Conv2D(filters, 3, padding="same", bias_initializer=keras.initializers.Constant(-np.log(99.0)))])

    classes, boxes = head(2 * 3), head(2 * 4)
    out = [(ops.reshape(classes(p), (-1, p.shape[1] * p.shape[2] * 2, 3)), ops.reshape(boxes(p), (-1, p.shape[1] * p.shape[2] * 2, 4))) for p in (p3, p4, p5)]
    return keras.Model(inp, ops.concatenate([ops.concatenate([o[1] for o in out], 1), ops.concatenate([o[0] for o in out], 1)], axis=-1))


def keypoints():
    inp = keras.Input((16, 16, 3))
    x = L.Conv2D(8, 3, strides=2, activation="relu")(inp)
    x = L.SeparableConv2D(6, 3, strides=1, activation="relu")(L.Dropout(0.3)(x))
    return keras.Model(inp, L.SeparableConv2D(4, 5, strides=1, activation="sigmoid")(x), name="keypoint_detector")


def voxels():
    x = inp = keras.Input((8, 8, 6, 1))
    x = L.BatchNormalization()(L.MaxPool3D(pool_size=2)(L.Conv3D(filters=4, kernel_size=3, padding="same", activation="relu")(x)))
    x = L.BatchNormalization()(L.AveragePooling3D(2)(L.Conv3D(filters=5, kernel_size=2, activation="relu", padding="same")(x)))
    x = L.Dropout(0.3)(L.Dense(units=6, activation="relu")(L.GlobalAveragePooling3D()(x)))
    return keras.Model(inp, L.Dense(units=1, activation="sigmoid")(x), name="3dcnn")


def point_net():
    def conv(x, n):
        return L.Activation("relu")(L.BatchNormalization(momentum=0.0)(L.Conv1D(n, kernel_size=1, padding="valid")(x)))

    def t_net(x, n):
        y = L.GlobalMaxPooling1D()(conv(conv(x, 4), 6))
        y = L.Activation("relu")(L.BatchNormalization(momentum=0.0)(L.Dense(5)(y)))
        y = L.Dense(n * n, kernel_initializer="zeros")(y)
        return L.Dot(axes=(2, 1))([x, L.Reshape((n, n))(y)])

    x = inp = keras.Input((12, 3))
    x = conv(t_net(x, 3), 4)
    x = conv(t_net(x, 4), 6)
    x = L.Dropout(0.3)(L.Dense(5, activation="relu")(L.GlobalMaxPooling1D()(x)))
    return keras.Model(inp, L.Dense(3, activation="softmax")(x))


def nerf():
    """Positions encoded by sines, and a residual at the depth of 2."""
    inp = keras.Input((6, 3))
    parts = [inp]
    for i in range(3):
        for f in (ops.sin, ops.cos):
            parts.append(f(2.0**i * inp))
    code = x = ops.concatenate(parts, axis=-1)
    for i in range(4):
        x = L.Dense(8, activation="relu")(x)
        if i % 2 == 0 and i > 0:
            x = L.concatenate([x, code], axis=-1)
    y = L.Dense(4)(x)
    rgb, sigma = ops.sigmoid(y[..., :-1]), ops.relu(y[..., -1])
    alpha = 1.0 - ops.exp(-sigma * 0.5)
    through = ops.cumprod(1.0 - alpha + 1e-10, axis=-1)
    weights = alpha * through
    return keras.Model(inp, [ops.sum(weights[..., None] * rgb, axis=-2), weights])


def video_vit():
    inp = keras.Input((4, 8, 8, 1))
    x = L.Reshape((-1, 8))(L.Conv3D(filters=8, kernel_size=(2, 4, 4), strides=(2, 4, 4), padding="valid")(inp))
    x = positions(x)
    y = L.LayerNormalization(epsilon=1e-6)(x)
    x = L.Add()([L.MultiHeadAttention(num_heads=2, key_dim=4, dropout=0.1)(y, y), x])
    y = L.LayerNormalization(epsilon=1e-6)(x)
    x = L.Add()([keras.Sequential([L.Dense(units=32, activation=keras.activations.gelu), L.Dense(units=8, activation=keras.activations.gelu)])(y), x])
    x = L.GlobalAvgPool1D()(L.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(inp, L.Dense(3, activation="softmax")(x))


def conv_lstm_frames():
    x = inp = keras.Input((None, 6, 6, 1))
    for kernel in (3, 1):
        x = L.BatchNormalization()(L.ConvLSTM2D(filters=3, kernel_size=kernel, padding="same", return_sequences=True, activation="relu")(x))
    return keras.Model(inp, L.Conv3D(filters=1, kernel_size=3, activation="sigmoid", padding="same")(x))


def cnn_rnn_video():
    features, mask = keras.Input((5, 6)), keras.Input((5,), dtype="bool")
    x = L.GRU(6, return_sequences=True)(features, mask=mask)
    x = L.Dropout(0.4)(L.GRU(4)(x))
    return keras.Model([features, mask], L.Dense(3, activation="softmax")(L.Dense(4, activation="relu")(x)))


def augmented():
    augment = keras.Sequential([L.RandomFlip("horizontal_and_vertical"), L.RandomRotation(0.2), L.RandomZoom(0.1), L.RandomContrast(0.1), L.RandomTranslation(0.1, 0.1)], name="data_augmentation")
    return chain((10, 10, 3), augment, L.Resizing(8, 8), L.Rescaling(1 / 127.5, offset=-1), L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(2))


def focal_modulation():
    inp = keras.Input((8, 8, 4))
    x = L.Dense(2 * 4 + 3)(inp)
    q, ctx, gates = ops.split(x, [4, 8], axis=-1)
    total = 0.0
    for i in range(2):
        ctx = L.Activation("gelu")(L.DepthwiseConv2D(3 + 2 * i, padding="same", use_bias=False)(ctx))
        total = total + ctx * gates[..., i : i + 1]
    total = total + ops.gelu(ops.mean(ctx, axis=(1, 2), keepdims=True)) * gates[..., 2:]
    return keras.Model(inp, L.Dense(4)(q * L.Conv2D(4, 1)(total)))


def patch_convnet():
    inp = keras.Input((8, 8, 3))
    x = L.Conv2D(6, 3, strides=2, padding="same", activation="gelu")(inp)
    y = L.LayerNormalization(epsilon=1e-6)(x)
    y = L.Activation("gelu")(L.Conv2D(6, 1)(y))
    y = L.Activation("gelu")(L.DepthwiseConv2D(3, padding="same")(y))
    s = L.Conv2D(6, 1, activation="sigmoid")(L.Conv2D(2, 1, activation="relu")(L.GlobalAvgPool2D(keepdims=True)(y)))
    x = x + L.Conv2D(6, 1)(y * s)
    tokens = L.LayerNormalization(epsilon=1e-6)(ops.reshape(x, (-1, 16, 6)))
    query = ops.expand_dims(ops.max(tokens, axis=1), 1)
    y, scores = L.MultiHeadAttention(1, 6, dropout=0.2)(query=query, value=tokens, key=tokens, return_attention_scores=True)
    return keras.Model(inp, [L.Dense(3)(ops.squeeze(y, axis=1)), scores])


def space_to_depth():
    inp = keras.Input((8, 6, 2))
    x = ops.reshape(inp, (-1, 4, 2, 3, 2, 2))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 4, 3, 8))
    return keras.Model(inp, L.Conv2D(3, 3, padding="same")(x))


# ---- text -----------------------------------------------------------------------------------


def text(c):
    tokens = padded(12)
    add = lambda name, build, **k: c.add(name, build, **{"inputs": tokens, "rows": 3, **k})
    add("imdb_bilstm", lambda: chain((None,), L.Embedding(12, 4), L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Bidirectional(L.LSTM(3)), L.Dense(1, activation="sigmoid"), dtype="int32"), dims=[7])
    add("text_cnn", text_cnn)
    add("text_transformer", text_transformer)
    add("mini_gpt", mini_gpt)
    add("nanogpt_rms_rope", rms_rope)
    add("translation_transformer", translation, inputs=[padded(12), padded(12)])
    add("seq2seq_attention", seq2seq_attention, inputs=[padded(12), padded(12)])
    add("char_seq2seq", char_seq2seq, inputs=[uniform(), uniform()], dims=[4, 6])
    add("seq2seq_decoder_step", decoder_step, inputs=[ints(12), normal(), normal()])
    add("ner", ner)
    add("bert_mlm", bert_mlm)
    add("t5_bias", t5_bias)
    add("switch_experts", switch_experts)
    add("fnet_seq2seq", fnet_seq2seq, inputs=[padded(12), padded(12)])
    add("matching", matching, inputs=[padded(12), padded(12)])
    add("babi_memory", babi_memory, inputs=[padded(12), padded(12)])
    add("captions", captions, inputs=[normal(), padded(12)])
    add("visual_question", visual_question, inputs=[uniform(), padded(12)])
    add("word2vec", word2vec, inputs=[ints(12), ints(12)])
    add("hierarchical", hierarchical, inputs=ints(12))


def token_position(x, vocabulary, steps, width, mask_zero=False):
    positions = ops.arange(0, steps, 1)
    return L.Embedding(vocabulary, width, mask_zero=mask_zero)(x) + L.Embedding(steps, width)(positions + 0 * x)


def text_cnn():
    inp = keras.Input((None,), dtype="int64")
    x = L.Dropout(0.5)(L.Embedding(12, 6)(inp))
    x = L.Conv1D(8, 3, padding="valid", activation="relu", strides=2)(x)
    branches = [L.GlobalMaxPooling1D()(L.Conv1D(4, k, padding="same", activation="relu")(x)) for k in (2, 3)]
    return keras.Model(inp, L.Dense(1, activation="sigmoid", name="predictions")(L.Dropout(0.5)(L.concatenate(branches))))


def text_transformer():
    inp = keras.Input((7,), dtype="int32")
    x = token_position(inp, 12, 7, 8)
    y = L.MultiHeadAttention(num_heads=2, key_dim=8)(x, x)
    x = L.LayerNormalization(epsilon=1e-6)(x + L.Dropout(0.1)(y))
    y = keras.Sequential([L.Dense(8, activation="relu"), L.Dense(8)])(x)
    x = L.LayerNormalization(epsilon=1e-6)(x + L.Dropout(0.1)(y))
    return keras.Model(inp, L.Dense(2, activation="softmax")(L.Dropout(0.1)(L.Dense(5, activation="relu")(L.GlobalAveragePooling1D()(x)))))


def mini_gpt():
    inp = keras.Input((6,), dtype="int32")
    x = token_position(inp, 12, 6, 8)
    y = L.MultiHeadAttention(2, 8)(x, x, use_causal_mask=True)
    x = L.LayerNormalization(epsilon=1e-6)(x + y)
    x = L.LayerNormalization(epsilon=1e-6)(x + L.Dense(8)(L.Dense(12, activation="relu")(x)))
    return keras.Model(inp, [L.Dense(12)(x), x])


def rms_rope():
    """RMS norms, rotary positions, grouped queries, a gated feed-forward and tied embeddings."""
    inp = keras.Input((6,), dtype="int32")
    embedding = L.ReversibleEmbedding(12, 8, tie_weights=True)
    x = embedding(inp)
    y = L.RMSNormalization(epsilon=1e-6)(x)
    angles = ops.outer(np.arange(6, dtype="float32"), 1.0 / 100.0 ** (np.arange(0, 8, 2, dtype="float32") / 8))
    sin, cos = ops.concatenate([ops.sin(angles)] * 2, -1), ops.concatenate([ops.cos(angles)] * 2, -1)
    a, b = ops.split(y, 2, axis=-1)
    y = y * cos + ops.concatenate([-b, a], axis=-1) * sin
    x = x + L.GroupQueryAttention(4, 4, 2, use_bias=False)(y, y, use_causal_mask=True)
    y = L.RMSNormalization(epsilon=1e-6)(x)
    x = x + L.Dense(8, use_bias=False)(ops.silu(L.Dense(12, use_bias=False)(y)) * L.Dense(12, use_bias=False)(y))
    return keras.Model(inp, embedding(L.RMSNormalization()(x), reverse=True))


def translation():
    source, target = keras.Input((None,), dtype="int64", name="encoder_inputs"), keras.Input((None,), dtype="int64", name="decoder_inputs")
    x = L.Embedding(12, 8, mask_zero=True)(source)
    y = L.MultiHeadAttention(2, 8)(x, x)
    x = L.LayerNormalization()(L.Add()([x, y]))
    memory = L.LayerNormalization()(L.Add()([x, keras.Sequential([L.Dense(12, activation="relu"), L.Dense(8)])(x)]))
    encoder = keras.Model(source, memory)
    z, memory = L.Embedding(12, 8, mask_zero=True)(target), encoder(source)
    z = L.LayerNormalization()(L.Add()([z, L.MultiHeadAttention(2, 8)(query=z, value=z, key=z, use_causal_mask=True)]))
    y, scores = L.MultiHeadAttention(2, 8)(query=z, value=memory, key=memory, return_attention_scores=True)
    z = L.LayerNormalization()(L.Add()([z, y]))
    return keras.Model([source, target], {"logits": L.Dense(12)(L.Dropout(0.5)(z)), "scores": scores})


def seq2seq_attention():
    source, target = keras.Input((6,), dtype="int32"), keras.Input((5,), dtype="int32")
    embed = L.Embedding(12, 5, mask_zero=True)
    sequence, fh, bh = L.Bidirectional(L.GRU(4, return_sequences=True, return_state=True), merge_mode="sum")(embed(source))
    x = L.GRU(4, return_sequences=True)(embed(target), initial_state=L.Average()([fh, bh]))
    context, weights = L.AdditiveAttention()([x, sequence, sequence], return_attention_scores=True)
    x = L.Dense(6, activation="tanh", use_bias=False)(L.Concatenate(axis=-1)([x, context]))
    return keras.Model([source, target], [L.Dense(12)(x), weights])


def char_seq2seq():
    source = keras.Input((None, 5))
    _, h, s = L.LSTM(4, return_state=True)(source)
    target = keras.Input((None, 6))
    y, _, _ = L.LSTM(4, return_sequences=True, return_state=True)(target, initial_state=[h, s])
    return keras.Model([source, target], L.Dense(6, activation="softmax")(y))


def decoder_step():
    token = keras.Input((1,), dtype="int32")
    states = [keras.Input((4,), name="state_h"), keras.Input((4,), name="state_c")]
    y, h, s = L.LSTM(4, return_sequences=True, return_state=True)(L.Embedding(12, 5)(token), initial_state=states)
    return keras.Model([token] + states, [L.Dense(12, activation="softmax")(y)] + [h, s])


def ner():
    inp = keras.Input((7,), dtype="int32")
    x = L.Embedding(12, 6, mask_zero=True)(inp)
    x = L.SpatialDropout1D(0.1)(x)
    x = L.Bidirectional(L.LSTM(4, return_sequences=True, recurrent_dropout=0.1))(x)
    return keras.Model(inp, [L.TimeDistributed(L.Dense(4, activation="softmax"))(x), ops.argmax(x, axis=-1)])


def bert_mlm():
    inp, segments = keras.Input((7,), dtype="int64"), None
    words = L.Embedding(12, 8, name="word_embedding")(inp)
    table = np.array([[np.sin(p / 10.0 ** (2 * (j // 2) / 8)) if j % 2 == 0 else np.cos(p / 10.0 ** (2 * (j // 2) / 8)) for j in range(8)] for p in range(7)], dtype="float32")
    x = words + table
    padding = ops.not_equal(inp, 0)
    y = L.MultiHeadAttention(2, 4, name="encoder_0_multiheadattention")(x, x, x, attention_mask=ops.cast(padding[:, None, :], "bool"))
    x = L.LayerNormalization(epsilon=1e-6)(x + L.Dropout(0.1)(y))
    f = keras.Sequential([L.Dense(8, activation="relu"), L.Dense(8)], name="encoder_0_ffn")
    x = L.LayerNormalization(epsilon=1e-6)(x + f(x))
    return keras.Model(inp, [L.Dense(12, name="mlm_cls", activation="softmax")(x), L.Dense(2, activation="tanh")(x[:, 0])])


def t5_bias():
    """Relative position buckets from ops, gathered from an embedding, added to scores."""
    inp = keras.Input((6,), dtype="int32")
    x = L.Embedding(12, 8)(inp)
    q, k, v = (ops.transpose(ops.reshape(L.Dense(8, use_bias=False)(x), (-1, 6, 2, 4)), (0, 2, 1, 3)) for _ in range(3))
    distance = np.arange(6)[None, :] - np.arange(6)[:, None]
    bias = L.Embedding(11, 2)(0 * inp[:, :, None] + (distance + 5))
    scores = ops.einsum("bhqd,bhkd->bhqk", q, k) + ops.transpose(bias, (0, 3, 1, 2))
    mask = ops.where(ops.equal(inp, 0), -1e9, 0.0)[:, None, None, :]
    y = ops.einsum("bhqk,bhkd->bqhd", ops.softmax(scores + mask, axis=-1), v)
    return keras.Model(inp, L.Dense(8, use_bias=False)(ops.reshape(y, (-1, 6, 8))))


def switch_experts():
    """Tokens routed by their highest gate; experts are applied densely and chosen by one_hot."""
    inp = keras.Input((5,), dtype="int32")
    x = L.Embedding(12, 6)(inp)
    gates = L.Dense(3, activation="softmax")(x)
    best = ops.one_hot(ops.argmax(gates, axis=-1), 3)
    outs = ops.stack([L.Dense(6, activation="relu")(x) for _ in range(3)], axis=2)
    y = ops.sum(outs * (best * gates)[..., None], axis=2)
    top, where = ops.top_k(gates, 2)
    return keras.Model(inp, [y, top, where])


def fnet_seq2seq():
    source, target = keras.Input((6,), dtype="int32"), keras.Input((5,), dtype="int32")
    x = token_position(source, 12, 6, 8)
    real, _ = ops.fft2((x, ops.zeros_like(x)))
    x = L.LayerNormalization()(x + real)
    x = L.LayerNormalization()(x + L.Dense(8)(L.Dense(12, activation="relu")(x)))
    y = token_position(target, 12, 5, 8)
    i, j = ops.arange(5)[:, None], ops.arange(5)
    causal = ops.cast(i >= j, "int32")
    y = L.LayerNormalization()(y + L.MultiHeadAttention(2, 8)(query=y, value=y, key=y, attention_mask=ops.reshape(causal, (1, 5, 5))))
    y = L.LayerNormalization()(y + L.MultiHeadAttention(2, 8)(query=y, value=x, key=x))
    return keras.Model([source, target], L.Dense(12, activation="softmax")(y))


def matching():
    a, b = keras.Input((6,), dtype="int32", name="question1"), keras.Input((6,), dtype="int32", name="question2")
    encode = keras.Sequential([L.Embedding(12, 6, mask_zero=True), L.Bidirectional(L.LSTM(3))], name="encode")
    x, y = encode(a), encode(b)
    return keras.Model({"question1": a, "question2": b}, L.Dense(1, activation="sigmoid")(L.Concatenate()([x, y, ops.abs(x - y), x * y, L.Dot(axes=1, normalize=True)([x, y])])))


def babi_memory():
    story, question = keras.Input((6,), dtype="int32"), keras.Input((4,), dtype="int32")
    m = keras.Sequential([L.Embedding(12, 5), L.Dropout(0.3)])(story)
    u = keras.Sequential([L.Embedding(12, 5), L.Dropout(0.3)])(question)
    c = keras.Sequential([L.Embedding(12, 4), L.Dropout(0.3)])(story)
    match = L.Activation("softmax")(L.dot([m, u], axes=(2, 2)))
    response = L.Permute((2, 1))(L.add([match, c]))
    answer = L.LSTM(6)(L.concatenate([response, u]))
    return keras.Model([story, question], L.Activation("softmax")(L.Dense(12)(L.Dropout(0.3)(answer))))


def captions():
    features, tokens = keras.Input((9, 6), name="image"), keras.Input((5,), dtype="int32", name="caption")
    memory = L.Dense(8, activation="relu")(L.LayerNormalization()(features))
    memory = L.LayerNormalization()(memory + L.MultiHeadAttention(1, 8)(memory, memory))
    x = L.Embedding(12, 8, mask_zero=True)(tokens)
    x = L.Bidirectional(L.LSTM(4, return_sequences=True))(x)
    y = L.MultiHeadAttention(2, 4)(query=x, value=memory, key=memory)
    x = L.LayerNormalization()(L.add([x, y]))
    return keras.Model({"image": features, "caption": tokens}, L.TimeDistributed(L.Dense(12, activation="softmax"))(x))


def visual_question():
    image, question = keras.Input((12, 12, 3), name="image"), keras.Input((6,), dtype="int32", name="question")
    vision = keras.Sequential([L.Conv2D(4, 3, activation="relu", padding="same"), L.MaxPooling2D(2), L.Flatten()])
    return keras.Model([image, question], L.Dense(5, activation="softmax")(L.concatenate([L.LSTM(4)(L.Embedding(12, 5)(question)), vision(image)])))


def word2vec():
    target, context = keras.Input((1,), dtype="int32"), keras.Input((3,), dtype="int32")
    w = ops.squeeze(L.Embedding(12, 5, name="w2v_embedding")(target), axis=1)
    return keras.Model([target, context], ops.einsum("be,bce->bc", w, L.Embedding(12, 5)(context)))


def hierarchical():
    """Words to sentences to a document."""
    words = keras.Input((5,), dtype="int32")
    sentence = keras.Model(words, L.Bidirectional(L.GRU(3))(L.Embedding(12, 4, mask_zero=True)(words)))
    doc = keras.Input((4, 5), dtype="int32")
    x = L.TimeDistributed(sentence)(doc)
    scores = L.Softmax(axis=1)(L.Dense(1)(L.Dense(4, activation="tanh")(L.Bidirectional(L.GRU(3, return_sequences=True))(x))))
    return keras.Model(doc, L.Dense(2, activation="softmax")(ops.sum(scores * x, axis=1)))


# ---- series ---------------------------------------------------------------------------------


def series(c):
    add = lambda name, build, **k: c.add(name, build, **{"inputs": normal(), "rows": 3, **k})
    add("fcn_classifier", fcn_classifier)
    add("series_transformer", series_transformer)
    add("wavenet", wavenet, dims=[16])
    add("tcn", tcn)
    add("resnet1d", resnet1d)
    add("anomaly_autoencoder", anomaly_autoencoder)
    add("lstm_autoencoder", lambda: chain((6, 2), L.LSTM(5), L.RepeatVector(6), L.LSTM(5, return_sequences=True), L.TimeDistributed(L.Dense(2))))
    add("stacked_lstm", lambda: chain((8, 3), L.LSTM(6, return_sequences=True), L.LSTM(5, return_sequences=True, go_backwards=True), L.LSTM(4), L.Dense(1)))
    add("weather_gru", lambda: chain((8, 3), L.GRU(6, recurrent_dropout=0.5, return_sequences=True), L.GRU(6, recurrent_dropout=0.5), L.Dropout(0.5), L.Dense(1)))
    add("n_beats", n_beats)
    add("deep_ar_heads", deep_ar_heads, inputs=[normal(), ints(4)])
    add("traffic_gcn_lstm", traffic_gcn_lstm)
    add("speech_ctc", speech_ctc)
    add("conformer_block", conformer_block)
    add("crnn_audio", crnn_audio)
    add("padded_series", lambda: chain((None, 3), L.Masking(-10.0), L.LSTM(5, return_sequences=True), L.LayerNormalization(), L.LSTM(4), L.Dense(1)), inputs=masked(-10.0), dims=[7])
    add("actor_critic", actor_critic)
    add("dueling_q", dueling_q)
    add("ecg_inception", ecg_inception)
    add("patch_tst", patch_tst)


def fcn_classifier():
    x = inp = keras.Input((10, 1))
    for _ in range(3):
        x = L.ReLU()(L.BatchNormalization()(L.Conv1D(filters=6, kernel_size=3, padding="same")(x)))
    return keras.Model(inp, L.Dense(2, activation="softmax")(L.GlobalAveragePooling1D()(x)))


def series_transformer():
    inp = keras.Input((10, 1))
    x = inp
    for _ in range(2):
        y = L.Dropout(0.25)(L.MultiHeadAttention(key_dim=4, num_heads=2, dropout=0.25)(x, x))
        x = L.LayerNormalization(epsilon=1e-6)(y) + x
        y = L.Conv1D(filters=x.shape[-1], kernel_size=1)(L.Dropout(0.25)(L.Conv1D(filters=4, kernel_size=1, activation="relu")(x)))
        x = L.LayerNormalization(epsilon=1e-6)(y) + x
    x = L.GlobalAveragePooling1D(data_format="channels_last")(x)
    return keras.Model(inp, L.Dense(2, activation="softmax")(L.Dropout(0.4)(L.Dense(6, activation="relu")(x))))


def wavenet():
    inp = keras.Input((None, 1))
    x = L.Conv1D(4, 2, padding="causal")(inp)
    skips = []
    for rate in (1, 2, 4):
        gate = L.Multiply()([L.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="tanh")(x), L.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="sigmoid")(x)])
        y = L.Conv1D(4, 1)(gate)
        skips.append(y)
        x = L.Add()([x, y])
    x = L.Activation("relu")(L.Add()(skips))
    return keras.Model(inp, L.Conv1D(5, 1, activation="softmax")(L.Conv1D(4, 1, activation="relu")(x)))


def tcn():
    x = inp = keras.Input((12, 2))
    for rate in (1, 2):
        y = x
        for _ in range(2):
            y = L.SpatialDropout1D(0.1)(L.Activation("relu")(L.LayerNormalization()(L.Conv1D(4, 3, padding="causal", dilation_rate=rate)(y))))
        x = L.add([L.Conv1D(4, 1, padding="same")(x), y])
    return keras.Model(inp, L.Dense(1)(x[:, -1, :]))


def resnet1d():
    x = inp = keras.Input((16, 2))
    for filters in (4, 6):
        y = x
        for i in range(2):
            y = L.BatchNormalization()(L.Conv1D(filters, 3, strides=2 if i == 0 else 1, padding="same", use_bias=False)(y))
            y = L.Activation("relu")(y) if i == 0 else y
        x = L.ReLU()(y + L.BatchNormalization()(L.Conv1D(filters, 1, strides=2, use_bias=False)(x)))
    return keras.Model(inp, L.Dense(3)(L.Flatten()(x)))


def anomaly_autoencoder():
    return sequential((16, 1), L.Conv1D(filters=6, kernel_size=7, padding="same", strides=2, activation="relu"), L.Dropout(rate=0.2), L.Conv1D(filters=4, kernel_size=7, padding="same", strides=2, activation="relu"),
                      L.Conv1DTranspose(filters=4, kernel_size=7, padding="same", strides=2, activation="relu"), L.Dropout(rate=0.2), L.Conv1DTranspose(filters=6, kernel_size=7, padding="same", strides=2, activation="relu"),
                      L.Conv1DTranspose(filters=1, kernel_size=7, padding="same"))


def n_beats():
    inp = keras.Input((8,))
    rest, total = inp, 0.0
    for i in range(3):
        y = rest
        for _ in range(2):
            y = L.Dense(6, activation="relu")(y)
        y = L.Dense(8 + 3)(y)
        back, ahead = ops.split(y, [8], axis=-1)
        rest, total = L.subtract([rest, back], name=f"subtract_{i}"), total + ahead
    return keras.Model(inp, total, name="NBEATS")


def deep_ar_heads():
    past, series_id = keras.Input((6, 2)), keras.Input((1,), dtype="int32")
    e = L.RepeatVector(6)(L.Flatten()(L.Embedding(4, 3)(series_id)))
    x = L.LSTM(5, return_sequences=True)(L.Concatenate()([past, e]))
    return keras.Model([past, series_id], {"mu": L.Dense(1)(x), "sigma": ops.softplus(L.Dense(1)(x)) + 1e-6})


def traffic_gcn_lstm():
    """Graph convolution by a constant adjacency matrix, then an LSTM over time for each node."""
    adjacency = (np.abs(np.subtract.outer(np.arange(4), np.arange(4))) <= 1).astype("float32")
    adjacency /= adjacency.sum(1, keepdims=True)
    inp = keras.Input((5, 4, 2))
    x = ops.relu(ops.einsum("nm,btmf->btnf", adjacency, L.Dense(3, use_bias=False)(inp)))
    x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, 5, 3))
    x = L.Dense(3)(L.LSTM(4, activation="relu")(x))
    return keras.Model(inp, ops.transpose(ops.reshape(x, (-1, 4, 3)), (0, 2, 1)))


def speech_ctc():
    x = inp = keras.Input((None, 9), name="input")
    x = L.Reshape((-1, 9, 1), name="expand_dim")(x)
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(filters=3, kernel_size=[5, 5], strides=[2, 2], padding="same", use_bias=False)(x)))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(filters=3, kernel_size=[3, 5], strides=[1, 2], padding="same", use_bias=False)(x)))
    x = L.Reshape((-1, x.shape[-2] * x.shape[-1]))(x)
    x = L.Bidirectional(L.GRU(units=4, activation="tanh", recurrent_activation="sigmoid", use_bias=True, return_sequences=True, reset_after=True), merge_mode="concat")(x)
    return keras.Model(inp, L.Dense(6, activation="softmax")(L.Dropout(rate=0.5)(L.ReLU()(L.Dense(units=8)(x)))), name="DeepSpeech_2")


def conformer_block():
    inp = keras.Input((8, 6))
    y = L.Dense(6)(L.Dropout(0.1)(L.Dense(12, activation="swish")(L.LayerNormalization()(inp))))
    x = inp + 0.5 * y
    x = x + L.MultiHeadAttention(2, 3)(x, x)
    y, gate = ops.split(L.Conv1D(12, 1)(L.LayerNormalization()(x)), 2, axis=-1)
    y = y * ops.sigmoid(gate)
    y = L.Activation("silu")(L.BatchNormalization()(L.DepthwiseConv1D(3, padding="same")(y)))
    return keras.Model(inp, L.LayerNormalization()(x + L.Conv1D(6, 1)(y)))


def crnn_audio():
    x = inp = keras.Input((64, 1))
    x = L.STFTSpectrogram(mode="log", frame_length=16, frame_step=8, fft_length=16)(x)
    x = ops.expand_dims(x, -1)
    x = L.MaxPooling2D((1, 2))(L.Conv2D(3, 3, padding="same", activation="relu")(x))
    x = L.TimeDistributed(L.Flatten())(x)
    return keras.Model(inp, L.Dense(3, activation="softmax")(L.GRU(4)(x)))


def actor_critic():
    inp = keras.Input((4,))
    x = L.Dense(8, activation="relu")(inp)
    return keras.Model(inputs=inp, outputs=[L.Dense(2, activation="softmax")(x), L.Dense(1)(x)])


def dueling_q():
    inp = keras.Input((4, 8, 8))
    x = ops.transpose(inp, [0, 2, 3, 1])
    x = L.Flatten()(L.Conv2D(4, 3, strides=2, activation="relu")(x))
    value, advantage = L.Dense(1)(x), L.Dense(3)(x)
    q = value + advantage - ops.mean(advantage, axis=1, keepdims=True)
    return keras.Model(inp, [q, ops.argmax(q, axis=1)])


def ecg_inception():
    inp = keras.Input((16, 2))
    y = L.Conv1D(3, 1, padding="same", use_bias=False)(inp)
    branches = [L.Conv1D(3, k, padding="same", use_bias=False)(y) for k in (9, 5, 3)] + [L.Conv1D(3, 1, padding="same", use_bias=False)(L.MaxPool1D(pool_size=3, strides=1, padding="same")(inp))]
    x = L.Activation("relu")(L.BatchNormalization()(L.Concatenate(axis=2)(branches)))
    return keras.Model(inp, L.Dense(2, activation="softmax")(L.GlobalAveragePooling1D()(x)))


def patch_tst():
    """Each channel alone, normalised by its own statistics and scaled back."""
    inp = keras.Input((12, 2))
    mean, std = ops.mean(inp, axis=1, keepdims=True), ops.std(inp, axis=1, keepdims=True) + 1e-5
    x = ops.transpose((inp - mean) / std, (0, 2, 1))
    x = ops.reshape(x, (-1, 2, 3, 4))
    x = encoder_block(L.Dense(6)(x), 2, 6, 8)
    x = L.Dense(5)(ops.reshape(x, (-1, 2, 18)))
    return keras.Model(inp, ops.transpose(x, (0, 2, 1)) * std + mean)


# ---- tables, recommenders -------------------------------------------------------------------


def tables(c):
    add = lambda name, build, **k: c.add(name, build, **{"rows": 4, **k})
    add("two_towers", two_towers, inputs=[ints(8), ints(8)])
    add("matrix_factorization", matrix_factorization, inputs=[ints(8), ints(9)])
    add("neural_collaborative", neural_collaborative, inputs=[ints(8), ints(9)])
    add("wide_deep", wide_deep, inputs=[normal(), normal(), ints(5)])
    add("deep_cross", deep_cross, inputs=[normal(), ints(5)])
    add("dlrm", dlrm, inputs=[normal(), ints(5), ints(6)])
    add("factorization_machine", factorization_machine, inputs=[ints(5), ints(6), normal()])
    add("tab_transformer", tab_transformer, inputs=[ints(5), ints(6), ints(4), normal()])
    add("ft_transformer", ft_transformer)
    add("gated_residual", gated_residual, inputs=[normal(), ints(5)])
    add("neural_forest", neural_forest)
    add("behavior_sequence", behavior_sequence, inputs=[padded(9), ints(9), normal()])
    add("multi_gate_experts", multi_gate_experts)
    add("adapted_features", adapted_features, inputs=[normal(2, 3), ints(4)], weights=None)
    add("quantile_heads", quantile_heads)
    add("mixture_density", mixture_density)
    add("autoint", autoint, inputs=[ints(5), ints(6)])
    add("maxout", lambda: maxout())


def two_towers():
    user, item = keras.Input((1,), dtype="int32", name="user"), keras.Input((1,), dtype="int32", name="item")
    tower = lambda x, n: L.UnitNormalization()(L.Dense(4)(L.Dense(6, activation="relu")(L.Flatten()(L.Embedding(n, 5)(x)))))
    u, i = tower(user, 8), tower(item, 9)
    return keras.Model({"user": user, "item": item}, {"score": L.Dot(axes=1)([u, i]) / 0.1, "user_vector": u, "item_vector": i})


def matrix_factorization():
    user, item = keras.Input((), dtype="int64"), keras.Input((), dtype="int64")
    dot = ops.sum(L.Embedding(8, 4)(user) * L.Embedding(9, 4)(item), axis=-1, keepdims=True)
    return keras.Model([user, item], ops.sigmoid(dot + L.Embedding(8, 1)(user) + L.Embedding(9, 1)(item)))


def neural_collaborative():
    user, item = keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32")
    flat = lambda x, n: L.Flatten()(L.Embedding(n, 4, embeddings_initializer="he_normal", embeddings_regularizer=keras.regularizers.l2(1e-6))(x))
    gmf = L.Multiply()([flat(user, 8), flat(item, 9)])
    mlp = L.Concatenate()([flat(user, 8), flat(item, 9)])
    for units in (6, 4):
        mlp = L.Dropout(0.2)(L.Dense(units, activation="relu")(mlp))
    return keras.Model([user, item], L.Dense(1, activation="sigmoid")(L.Concatenate()([gmf, mlp])))


def wide_deep():
    wide, deep, category = keras.Input((3,), name="wide"), keras.Input((4,), name="deep"), keras.Input((2,), dtype="int32", name="category")
    x = L.concatenate([deep, L.Flatten()(L.Embedding(5, 3)(category))])
    for units in (8, 4):
        x = L.Dropout(0.3)(L.ReLU()(L.BatchNormalization()(L.Dense(units)(x))))
    return keras.Model([wide, deep, category], L.Dense(1, activation="sigmoid")(L.concatenate([L.BatchNormalization()(wide), x])))


def deep_cross():
    dense, category = keras.Input((3,)), keras.Input((2,), dtype="int32")
    x0 = L.concatenate([dense, L.Flatten()(L.Embedding(5, 2)(category))])
    cross = x0
    for _ in range(2):
        cross = x0 * L.Dense(x0.shape[-1])(cross) + cross
    return keras.Model([dense, category], L.Dense(1)(L.concatenate([cross, L.Dense(5, activation="relu")(x0)])))


def dlrm():
    dense, a, b = keras.Input((3,)), keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    bottom = L.Dense(4, activation="relu")(dense)
    stacked = ops.stack([bottom, L.Embedding(5, 4)(a), L.Embedding(6, 4)(b)], axis=1)
    products = ops.matmul(stacked, ops.transpose(stacked, (0, 2, 1)))
    rows, columns = np.tril_indices(3, -1)
    flat = ops.take(ops.reshape(products, (-1, 9)), rows * 3 + columns, axis=1)
    return keras.Model([dense, a, b], L.Dense(1, activation="sigmoid")(L.Concatenate()([bottom, flat])))


def factorization_machine():
    a, b, x = keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32"), keras.Input((2,))
    v = L.Concatenate(axis=1)([L.Embedding(5, 4)(a), L.Embedding(6, 4)(b), ops.expand_dims(L.Dense(4, use_bias=False)(x), 1)])
    second = 0.5 * ops.sum(ops.square(ops.sum(v, axis=1)) - ops.sum(ops.square(v), axis=1), axis=1, keepdims=True)
    return keras.Model([a, b, x], ops.sigmoid(second + L.Dense(1)(x)))


def tab_transformer():
    names, sizes = ["a", "b", "c"], [5, 6, 4]
    inputs = {n: keras.Input((1,), name=n, dtype="int32") for n in names}
    numbers = keras.Input((3,), name="numbers")
    e = ops.concatenate([L.Embedding(s, 4)(inputs[n]) for n, s in zip(names, sizes)], axis=1)
    e = e + L.Embedding(3, 4)(ops.arange(3))
    for i in range(2):
        y = L.MultiHeadAttention(num_heads=2, key_dim=4, dropout=0.2, name=f"attention_{i}")(e, e)
        x = L.LayerNormalization(epsilon=1e-6)(L.Add()([y, e]))
        e = L.LayerNormalization(epsilon=1e-6)(L.Add()([keras.Sequential([L.LayerNormalization(), L.Dense(4, activation="gelu"), L.Dropout(0.2)])(x), x]))
    x = L.concatenate([L.Flatten()(e), L.LayerNormalization(epsilon=1e-6)(numbers)])
    x = keras.Sequential([L.BatchNormalization(), L.Dense(6, activation="selu"), L.Dropout(0.2)], name="mlp")(x)
    return keras.Model({**inputs, "numbers": numbers}, L.Dense(1, activation="sigmoid")(x))


def ft_transformer():
    inp = keras.Input((5,))
    x = L.EinsumDense("bf,fd->bfd", (5, 6), bias_axes="fd")(inp)
    x = encoder_block(x, 2, 6, 8, "relu")
    y = L.LayerNormalization()(x)
    return keras.Model(inp, L.Dense(1)(ops.relu(y[:, 0, :])))


def gated_residual():
    numbers, category = keras.Input((3,)), keras.Input((1,), dtype="int32")
    features = [ops.expand_dims(L.Dense(4)(numbers[:, i : i + 1]), 1) for i in range(3)] + [L.Embedding(5, 4)(category)]

    def grn(x):
        y = L.Dropout(0.1)(L.Dense(4)(L.Dense(4, activation="elu")(x)))
        gate = L.Dense(4)(y) * L.Dense(4, activation="sigmoid")(y)
        x = x if x.shape[-1] == 4 else L.Dense(4)(x)
        return L.LayerNormalization()(x + gate)

    v = L.Concatenate(axis=1)(features)
    weights = L.Softmax()(L.Dense(4)(grn(L.Flatten()(v))))
    return keras.Model([numbers, category], [ops.sum(ops.expand_dims(weights, -1) * grn(v), axis=1), weights])


def neural_forest():
    """A soft decision tree of depth 3."""
    inp = keras.Input((5,))
    d = ops.expand_dims(L.Dense(8, activation="sigmoid", name="decisions")(L.BatchNormalization()(inp)), axis=2)
    d = ops.concatenate([d, 1 - d], axis=2)
    mu = ops.ones_like(inp[:, :1])[..., None]
    begin, end = 1, 2
    for level in range(3):
        mu = ops.reshape(mu, (-1, 2**level, 1))
        mu = ops.tile(mu, (1, 1, 2)) * d[:, begin:end, :]
        begin, end = end, end + 2 ** (level + 1)
    return keras.Model(inp, L.Dense(3, use_bias=False)(ops.reshape(mu, (-1, 8))))


def behavior_sequence():
    history, target, user = keras.Input((5,), dtype="int32"), keras.Input((1,), dtype="int32"), keras.Input((3,))
    embed = L.Embedding(9, 6, mask_zero=True)
    both = ops.concatenate([embed(history), embed(target)], axis=1)
    y = L.Dropout(0.1)(L.MultiHeadAttention(2, 6, dropout=0.1)(both, both))
    x = L.LayerNormalization()(L.Add()([both, y]))
    y = L.Dense(units=6)(L.LeakyReLU()(x))
    x = L.Flatten()(L.LayerNormalization()(L.Add()([x, L.Dropout(0.1)(y)])))
    return keras.Model([history, target, user], L.Dense(units=1)(L.LeakyReLU()(L.BatchNormalization()(L.Dense(6)(L.concatenate([x, user]))))))


def multi_gate_experts():
    inp = keras.Input((5,))
    experts = ops.stack([L.Dense(4, activation="relu")(inp) for _ in range(3)], axis=1)
    outs = {}
    for task in ("click", "buy"):
        gate = L.Dense(3, activation="softmax", name=f"gate_{task}")(inp)
        outs[task] = L.Dense(1, activation="sigmoid", name=task)(ops.sum(experts * gate[..., None], axis=1))
    return keras.Model(inp, outs)


def adapted_features():
    numbers, category = keras.Input((3,), name="numbers"), keras.Input((1,), dtype="int32", name="category")
    norm = L.Normalization()
    norm.adapt(np.random.default_rng(3).normal(3, 2, size=(50, 3)).astype("float32"))
    coded = ops.one_hot(ops.squeeze(category, -1), 4)
    return keras.Model([numbers, category], L.Dense(2)(L.Dense(6, activation="relu")(L.concatenate([norm(numbers), coded]))))


def quantile_heads():
    inp = keras.Input((4,))
    x = L.Dense(6, activation="swish")(inp)
    middle = L.Dense(1)(x)
    down, up = L.Dense(1, activation="softplus")(x), L.Dense(1, activation="softplus")(x)
    return keras.Model(inp, L.Concatenate(name="quantiles")([middle - down, middle, middle + up]))


def mixture_density():
    inp = keras.Input((1,))
    x = L.Dense(8, activation="relu")(inp)
    mus, sigmas, pi = L.Dense(3)(x), L.Dense(3, activation=keras.activations.elu)(x) + 1 + 1e-7, L.Softmax()(L.Dense(3)(x))
    return keras.Model(inp, L.Concatenate()([mus, sigmas, pi]))


def autoint():
    a, b = keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32")
    x = L.Concatenate(axis=1)([L.Embedding(5, 4)(a), L.Embedding(6, 4)(b)])
    for _ in range(2):
        y, scores = L.MultiHeadAttention(2, 2)(x, x, return_attention_scores=True)
        x = L.ReLU()(L.Add()([y, L.Dense(4, use_bias=False)(x)]))
    return keras.Model([a, b], (L.Dense(1)(L.Flatten()(x)), scores))


def maxout():
    inp = keras.Input((5,))
    x = ops.max(L.Reshape((4, 3))(L.Dense(12)(inp)), axis=-1)
    return keras.Model(inp, [L.Dense(2)(x), L.maximum([L.Dense(3)(x), L.Dense(3)(x)]), L.minimum([L.Dense(3)(x), L.Dense(3)(x)]), L.average([x, x * 2])])


# ---- graphs ---------------------------------------------------------------------------------


def graphs(c):
    add = lambda name, build, **k: c.add(name, build, **{"rows": 2, **k})
    add("gcn", gcn, inputs=[normal(), adjacency])
    add("gat", gat, inputs=[normal(), adjacency])
    add("message_passing", message_passing, inputs=[normal(), normal(), adjacency])
    add("set_transformer", set_transformer)
    add("deep_sets", deep_sets, inputs=[normal(), bools(first=True)])
    add("capsules", capsules)
    add("hypernetwork", hypernetwork, inputs=[normal(), normal()])
    add("spatial_transformer", spatial_transformer, inputs=uniform())


def adjacency(rng, shape, dtype):
    a = rng.random(size=shape) < 0.4
    return (a | np.swapaxes(a, -1, -2) | np.eye(shape[-1], dtype=bool)).astype(dtype)


def gcn():
    nodes, a = keras.Input((5, 3)), keras.Input((5, 5))
    degree = ops.sum(a, axis=-1)
    scaled = a * ops.expand_dims(ops.rsqrt(degree), -1) * ops.expand_dims(ops.rsqrt(degree), -2)
    x = nodes
    for units in (4, 3):
        x = ops.relu(ops.matmul(scaled, L.Dense(units)(x)))
    return keras.Model([nodes, a], [L.Softmax()(x), ops.mean(x, axis=1)])


def gat():
    nodes, a = keras.Input((5, 3)), keras.Input((5, 5))
    h = L.Dense(4, use_bias=False)(nodes)
    scores = L.LeakyReLU(0.2)(L.Dense(1)(h) + ops.transpose(L.Dense(1)(h), (0, 2, 1)))
    weights = ops.softmax(ops.where(a > 0, scores, -1e9), axis=-1)
    return keras.Model([nodes, a], ops.elu(weights @ h))


def message_passing():
    nodes, edges, a = keras.Input((4, 3)), keras.Input((4, 4, 2)), keras.Input((4, 4))
    x = L.Dense(5)(nodes)
    cell = L.GRU(5, return_state=False)
    for _ in range(2):
        kernels = ops.reshape(L.Dense(25)(edges), (-1, 4, 4, 5, 5))
        message = ops.einsum("bijkl,bjl->bijk", kernels, x)
        message = ops.sum(message * a[..., None], axis=2)
        y = cell(ops.reshape(message, (-1, 1, 5)))
        x = ops.reshape(y, (-1, 4, 5)) + x
    return keras.Model([nodes, edges, a], L.Dense(1, activation="sigmoid")(L.GlobalAveragePooling1D()(x)))


def set_transformer():
    inp = keras.Input((None, 3))
    x = L.Dense(4)(inp)
    y = L.LayerNormalization()(x + L.MultiHeadAttention(2, 2)(x, x))
    seed = ops.tile(ops.mean(y, axis=1, keepdims=True), (1, 2, 1)) * ops.reshape(np.array([0.5, -0.7], "float32"), (1, 2, 1))
    return keras.Model(inp, L.Flatten()(L.MultiHeadAttention(2, 2)(seed, y)))


def deep_sets():
    inp, mask = keras.Input((6, 3)), keras.Input((6,), dtype="bool")
    x = L.Dense(5, activation="relu")(inp)
    keep = ops.cast(mask, "float32")[..., None]
    pooled = ops.sum(x * keep, axis=1) / ops.sum(keep, axis=1)
    top = ops.max(ops.where(mask[..., None], x, -ops.ones_like(x) * 1e9), axis=1)
    return keras.Model([inp, mask], L.Dense(2)(L.Concatenate()([pooled, top, L.GlobalAveragePooling1D()(x, mask=mask)])))


def capsules():
    inp = keras.Input((6, 4))

    def squash(s):
        n = ops.sum(ops.square(s), axis=-1, keepdims=True)
        return n / (1 + n) * s / ops.sqrt(n + 1e-7)

    votes = ops.reshape(L.EinsumDense("bid,idm->bim", (6, 6), bias_axes=None)(squash(inp)), (-1, 6, 2, 3))
    logits = ops.zeros_like(votes[..., 0])
    for _ in range(3):
        v = squash(ops.sum(ops.softmax(logits, axis=2)[..., None] * votes, axis=1))
        logits = logits + ops.sum(votes * v[:, None], axis=-1)
    return keras.Model(inp, [v, ops.norm(v, axis=-1)])


def hypernetwork():
    x, context = keras.Input((4,)), keras.Input((3,))
    kernel, bias = L.Reshape((4, 2))(L.Dense(8)(context)), L.Dense(2)(context)
    y = ops.squeeze(ops.matmul(ops.expand_dims(x, 1), kernel), 1) + bias
    gamma, beta = ops.split(L.Dense(4)(context), 2, axis=-1)
    return keras.Model([x, context], (1 + gamma) * ops.tanh(y) + beta)


def spatial_transformer():
    inp = keras.Input((8, 8, 2))
    t = L.Dense(6, activation="tanh")(L.Flatten()(L.AveragePooling2D(4)(inp)))
    t = ops.pad(t * np.array([0.2, 0.2, 1.0, 0.2, 0.2, 1.0], "float32") + np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0], "float32"), [[0, 0], [0, 2]])
    return keras.Model(inp, ops.image.affine_transform(inp, t, interpolation="bilinear"))
