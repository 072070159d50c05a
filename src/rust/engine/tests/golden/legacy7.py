"""Writes legacy7.zip: whole models as people built them with Keras 2, saved as .keras files of that time (h5 where tf_keras can't).

    python legacy7.py --out packs

It needs what legacy.py needs.
"""

import tensorflow as tf
import tf_keras as K
from legacy import Writer, arguments

L, B = K.layers, K.backend


def siamese_cos():
    a, b = (L.Input((10,), dtype='int32', name='a'), L.Input((10,), dtype='int32', name='b'))
    e = L.Embedding(20, 8, mask_zero=True)
    l = L.Bidirectional(L.LSTM(6))
    u, v = (l(e(a)), l(e(b)))
    return K.Model([a, b], L.Dense(1, activation='sigmoid')(L.Concatenate()([L.Dot(1, normalize=True)([u, v]), L.Subtract()([u, v]), L.Multiply()([u, v])])))


def seq2seq_gru_masked():
    e = L.Input((7,), dtype='int32')
    d = L.Input((6,), dtype='int32')
    ee = L.Embedding(20, 6, mask_zero=True)(e)
    s, h = L.GRU(8, return_sequences=True, return_state=True)(ee)
    dd = L.Embedding(20, 6, mask_zero=True)(d)
    y = L.GRU(8, return_sequences=True)(dd, initial_state=h)
    a = L.Attention(use_scale=True)([y, s])
    return K.Model([e, d], L.TimeDistributed(L.Dense(20, activation='softmax'))(L.Concatenate()([y, a])))


def seq2seq_both_ways():
    e = L.Input((7,), dtype='int32')
    d = L.Input((6,), dtype='int32')
    ee = L.Embedding(20, 6, mask_zero=True)(e)
    _, *states = L.Bidirectional(L.LSTM(4, return_state=True))(ee)
    dd = L.Embedding(20, 6, mask_zero=True)(d)
    y = L.Bidirectional(L.LSTM(4, return_sequences=True))(dd, initial_state=states)
    z = L.Bidirectional(L.GRU(3))(dd, initial_state=[L.Dense(3)(s) for s in states[:2]])
    return K.Model([e, d], [L.Dense(20)(y), z])


def luong_dot():
    e = L.Input((7, 5))
    d = L.Input((6, 5))
    s = L.Bidirectional(L.LSTM(4, return_sequences=True))(e)
    y = L.LSTM(8, return_sequences=True)(d)
    sc = L.Dot([2, 2])([y, s])
    w = L.Activation('softmax')(sc)
    c = L.Dot([2, 1])([w, s])
    return K.Model([e, d], L.Dense(3)(L.Concatenate()([c, y])))


def attention_pool():
    x = L.Input((7, 5))
    h = L.Bidirectional(L.GRU(6, return_sequences=True))(x)
    a = L.Dense(1, activation='tanh')(h)
    a = L.Flatten()(a)
    a = L.Activation('softmax')(a)
    a = L.RepeatVector(12)(a)
    a = L.Permute([2, 1])(a)
    m = L.Multiply()([h, a])
    return K.Model(x, L.Dense(2, activation='softmax')(tf.reduce_sum(m, 1)))


def decoded_text():
    x = L.Input((8, 5))
    y = L.Bidirectional(L.LSTM(4, return_sequences=True))(x)
    y = L.Dense(6, activation='softmax')(y)
    n = tf.ones_like(y[:, 0, 0]) * tf.cast(tf.shape(y)[1], 'float32')
    return K.Model(x, [y, B.ctc_decode(y, n, greedy=True)[0][0]])


def yolo_nms():
    x = L.Input((4, 4, 18))
    f = tf.reshape(x, [-1, 48, 6])
    c = tf.sigmoid(f[..., :2])
    s = tf.exp(f[..., 2:4]) * 0.1
    b = tf.concat([c - s / 2, c + s / 2], -1)
    p = tf.sigmoid(f[..., 4:5]) * tf.sigmoid(f[..., 5:])
    o = tf.image.combined_non_max_suppression(tf.expand_dims(b, 2), p, 10, 10, 0.5, 0.3)
    return K.Model(x, list(o))


def wavenet():
    x = L.Input((32, 1))
    y = L.Conv1D(6, 2, padding='causal')(x)
    sk = []
    for d in (1, 2, 4):
        t = L.Conv1D(6, 2, padding='causal', dilation_rate=d, activation='tanh')(y)
        s = L.Conv1D(6, 2, padding='causal', dilation_rate=d, activation='sigmoid')(y)
        z = L.Multiply()([t, s])
        o = L.Conv1D(6, 1)(z)
        sk.append(o)
        y = L.Add()([y, o])
    y = L.Add()(sk)
    y = L.Activation('relu')(y)
    return K.Model(x, L.Conv1D(1, 1)(L.Conv1D(6, 1, activation='relu')(y)))


def tcn():
    x = L.Input((20, 3))
    y = x
    for d in (1, 2, 4):
        z = L.SpatialDropout1D(0.1)(L.LayerNormalization()(L.Activation('relu')(L.Conv1D(8, 3, dilation_rate=d, padding='causal', kernel_initializer='he_normal')(y))))
        y = L.add([L.Conv1D(8, 1, padding='same')(y), z])
        y = L.Activation('relu')(y)
    return K.Model(x, L.Dense(2)(y[:, -1, :]))


def unetpp_resize():
    x = L.Input((None, None, 3))
    c = L.Conv2D(4, 3, padding='same')(x)
    d = L.MaxPooling2D(padding='same')(c)
    u = tf.image.resize(d, tf.shape(c)[1:3])
    u2 = tf.compat.v1.image.resize_bilinear(d, tf.shape(c)[1:3], align_corners=True)
    return K.Model(x, tf.concat([c, u, u2], -1))


def sparse_choice():
    x = L.Input((8,))
    f = L.BatchNormalization(momentum=0.98)(x)
    agg = 0
    prior = tf.ones_like(f)
    outs = []
    ent = 0.0
    sh = L.Dense(12, use_bias=False)
    for i in range(2):
        m = L.Dense(8, use_bias=False)(f)
        m = L.BatchNormalization()(m) * prior
        z = m - tf.reduce_max(m, -1, keepdims=True)
        s = tf.sort(z, -1, 'DESCENDING')
        c = tf.cumsum(s, -1)
        k = tf.range(1, 9, dtype='float32')
        t = 1 + k * s > c
        kz = tf.reduce_sum(tf.cast(t, 'float32'), -1, keepdims=True)
        tau = (tf.reduce_sum(tf.where(t, s, tf.zeros_like(s)), -1, keepdims=True) - 1) / kz
        mask = tf.maximum(z - tau, 0.0)
        prior = prior * (1.3 - mask)
        h = sh(mask * f)
        h = h[:, :6] * tf.sigmoid(h[:, 6:])
        outs.append(tf.nn.relu(h[:, :3]))
        ent += tf.reduce_mean(tf.reduce_sum(-mask * tf.math.log(mask + 1e-05), 1, keepdims=True)) * 0.0
    return K.Model(x, L.Dense(1)(sum(outs)))


def deepfm():
    x = L.Input((5,), dtype='int32')
    e = L.Embedding(20, 4)(x)
    s = tf.square(tf.reduce_sum(e, 1))
    q = tf.reduce_sum(tf.square(e), 1)
    fm = 0.5 * tf.reduce_sum(s - q, 1, keepdims=True)
    w = tf.reduce_sum(L.Embedding(20, 1)(x), 1)
    d = L.Dense(1)(L.Dense(8, activation='relu')(L.Flatten()(e)))
    return K.Model(x, tf.sigmoid(fm + w + d))


def transformer():
    x = L.Input((8,), dtype='int32')
    p = tf.range(0, tf.shape(x)[-1], 1)
    y = L.Embedding(20, 8)(x) + L.Embedding(8, 8)(p)
    a = L.MultiHeadAttention(2, 4)(y, y)
    a = L.Dropout(0.1)(a)
    y = L.LayerNormalization(epsilon=1e-06)(y + a)
    f = L.Dense(8)(L.Dense(16, activation='relu')(y))
    y = L.LayerNormalization(epsilon=1e-06)(y + f)
    return K.Model(x, L.Dense(2, activation='softmax')(L.GlobalAveragePooling1D()(y)))


def manual_mha():
    x = L.Input((6, 8))
    q, k, v = [L.Dense(8, use_bias=False)(x) for _ in range(3)]
    sp = lambda t: tf.transpose(tf.reshape(t, [-1, 6, 2, 4]), [0, 2, 1, 3])
    q, k, v = (sp(q), sp(k), sp(v))
    a = tf.matmul(q, k, transpose_b=True) / tf.math.sqrt(tf.cast(4, 'float32'))
    m = 1 - tf.linalg.band_part(tf.ones((6, 6)), -1, 0)
    a = tf.nn.softmax(a + m * -1000000000.0, -1)
    o = tf.reshape(tf.transpose(tf.matmul(a, v), [0, 2, 1, 3]), [-1, 6, 8])
    return K.Model(x, L.Dense(8)(o))


def vit():
    x = L.Input((8, 8, 3))
    p = tf.image.extract_patches(x, [1, 4, 4, 1], [1, 4, 4, 1], [1, 1, 1, 1], 'VALID')
    p = tf.reshape(p, [-1, 4, 48])
    y = L.Dense(8)(p) + L.Embedding(4, 8)(tf.range(0, 4))
    z = L.LayerNormalization()(y)
    y = L.Add()([L.MultiHeadAttention(2, 8)(z, z), y])
    z = L.Dense(8, activation=tf.nn.gelu)(L.LayerNormalization()(y))
    return K.Model(x, L.Dense(3)(L.Flatten()(y + z)))


def capsule():
    x = L.Input((8, 8, 1))
    y = L.Conv2D(16, 3, strides=2, activation='relu')(x)
    y = L.Reshape((-1, 8))(y)
    sq = lambda v: v * (tf.reduce_sum(tf.square(v), -1, keepdims=True) / (1 + tf.reduce_sum(tf.square(v), -1, keepdims=True))) / tf.sqrt(tf.reduce_sum(tf.square(v), -1, keepdims=True) + 1e-07)
    u = sq(y)
    u = L.Reshape((18, 3, 4))(L.Dense(12)(u))
    b = tf.zeros_like(u[..., 0])
    for _ in range(2):
        c = tf.nn.softmax(b, 2)
        v = sq(tf.reduce_sum(c[..., None] * u, 1))
        b = b + tf.reduce_sum(u * v[:, None], -1)
    return K.Model(x, tf.norm(v, axis=-1))


def pix2pix_in():
    x = L.Input((8, 8, 3))
    y = L.Conv2D(4, 4, strides=2, padding='same')(x)
    m, v = tf.nn.moments(y, [1, 2], keepdims=True)
    y = (y - m) * tf.math.rsqrt(v + 1e-05)
    y = L.ZeroPadding2D()(y)
    return K.Model(x, L.Conv2D(1, 4)(L.LeakyReLU(0.2)(y)))


def words_and_letters():
    w = L.Input((7,), dtype='int32', name='word')
    c = L.Input((7, 5), dtype='int32', name='char')
    e = L.Embedding(20, 6, mask_zero=True)(w)
    ce = L.TimeDistributed(L.Embedding(20, 4, mask_zero=True))(c)
    ch = L.TimeDistributed(L.LSTM(3))(ce)
    y = L.Concatenate()([e, ch])
    y = L.SpatialDropout1D(0.3)(y)
    y = L.Bidirectional(L.LSTM(5, return_sequences=True, recurrent_dropout=0.1))(y)
    return K.Model([w, c], L.TimeDistributed(L.Dense(4, activation='softmax'))(y))


def graph_conv():
    x = L.Input((5, 4))
    a = L.Input((5, 5))
    d = tf.linalg.diag(tf.math.rsqrt(tf.reduce_sum(tf.abs(a), -1) + 1.0))
    n = tf.matmul(tf.matmul(d, a), d)
    h = L.ReLU()(tf.matmul(n, L.Dense(6)(x)))
    return K.Model([x, a], tf.reduce_max(h, 1))


def positions_of_rays():
    x = L.Input((4, 3))
    r = [x] + [f(2.0 ** i * x) for i in range(3) for f in (tf.sin, tf.cos)]
    y = tf.concat(r, -1)
    y = L.Dense(6, activation='relu')(y)
    return K.Model(x, [tf.nn.relu(y[..., -1]), tf.math.cumprod(1.0 - tf.sigmoid(y) + 1e-10, -1, exclusive=True)])


def mdn():
    x = L.Input((3,))
    h = L.Dense(6, activation='tanh')(x)
    return K.Model(x, L.Concatenate()([L.Activation('softmax')(L.Dense(2)(h)), L.Dense(2)(h), tf.nn.elu(L.Dense(2)(h)) + 1 + 1e-08]))


def fftmix():
    x = L.Input((6, 8))
    y = tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64)))
    return K.Model(x, L.LayerNormalization()(x + y))


def of_letters(masked, alone):
    """Words by their letters, of which 0 is none: the mask is that of the layer inside."""
    words, letters = (L.Input((7,), dtype='int32', name='words'), L.Input((7, 5), dtype='int32', name='letters'))
    y = L.TimeDistributed(L.LSTM(3))(L.TimeDistributed(L.Embedding(20, 4, mask_zero=True))(letters))
    if not alone:
        y = L.Concatenate()([L.Embedding(20, 6, mask_zero=masked)(words), y])
    return K.Model(letters if alone else [words, letters], L.LSTM(5, return_sequences=True)(y))


def letters_alone():
    return of_letters(False, True)


def letters_and_words():
    return of_letters(False, False)


def letters_and_masked_words():
    return of_letters(True, False)


def steps_of_steps():
    x = L.Input((4, 5, 3))
    y = L.TimeDistributed(L.Masking(0.5))(tf.where(x[..., :1] > 0, x, 0.5 * tf.ones_like(x)))
    y = L.TimeDistributed(L.LSTM(4, return_sequences=True))(y)
    return K.Model(x, L.TimeDistributed(L.GRU(3))(L.TimeDistributed(L.Dropout(0.1))(y)))


def added_loss():
    x = L.Input((12,))
    m, v = (L.Dense(2, name='mean')(x), L.Dense(2, name='variance')(x))
    model = K.Model(x, [L.Dense(12, activation='sigmoid')(m), v])
    model.add_loss(-0.5 * B.mean(1 + v - B.square(m) - B.exp(v)))
    model.add_metric(B.mean(m), name='mean_of_means')
    return model


# What tf_keras saves as h5 only.
OLD = [yolo_nms, capsule, positions_of_rays, steps_of_steps]
CASES = [siamese_cos, seq2seq_gru_masked, luong_dot, attention_pool, decoded_text, yolo_nms, wavenet, tcn, unetpp_resize, sparse_choice, deepfm, transformer, manual_mha, vit, capsule, pix2pix_in, words_and_letters, graph_conv, positions_of_rays, mdn, fftmix, letters_alone, letters_and_words, letters_and_masked_words, steps_of_steps, added_loss, seq2seq_both_ways]
# Inputs that are whole numbers below a bound.
WHOLE = {siamese_cos: 20, seq2seq_gru_masked: 20, seq2seq_both_ways: 20, deepfm: 20, transformer: 20, words_and_letters: 20, letters_alone: 3, letters_and_words: 3, letters_and_masked_words: 3}


def main():
    args = arguments(__doc__)
    w = Writer(args.out, "legacy7", args.seed)
    for case in CASES:
        bound = WHOLE.get(case)
        inputs = (lambda rng, shape: rng.integers(0, bound, size=shape)) if bound else None
        w.add(case.__name__, case, inputs, suffixes=("h5" if case in OLD else "keras",))
    w.close()


if __name__ == "__main__":
    main()
