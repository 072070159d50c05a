"""Writes legacy6*.zip: special functions, boxes, decompositions, diagonals, signals, segments and steps of quantization by TensorFlow in models of Keras 2.

    python legacy6.py --out packs              legacy6.zip: as functions
    python legacy6.py --out packs --nodes      legacy6_nodes.zip: as the `TensorFlowOpLayer`s of TF 2.0 to 2.3

It needs what legacy.py needs.
"""

import numpy as np
import tensorflow as tf
import tf_keras as K
from legacy import Writer, arguments

L, M, nn, la, im, sg, q = K.layers, tf.math, tf.nn, tf.linalg, tf.image, tf.signal, tf.quantization
SP = M.special


def values(*shape):
    return (np.arange(np.prod(shape)).reshape(shape) * 7 % 11 / 5 - 1).astype("float32")


def positive(rng, shape):
    return rng.uniform(0.2, 3, shape)


def turned(x):
    return tf.reverse(x, [1])


def square(x):
    return tf.matmul(x, x, transpose_b=True) + tf.eye(4)


def corners(x):
    return tf.concat([x[..., :2], x[..., :2] + tf.abs(x[..., 2:])], -1)


# ---- cases: the shape of the input, and what is made of it ------------------------------------


def special(x):
    names = ["bessel_j0", "bessel_j1", "bessel_k0", "bessel_k1", "bessel_k0e", "bessel_k1e", "bessel_y0", "bessel_y1", "fresnel_sin", "fresnel_cos", "dawsn", "expint", "spence"]
    return [getattr(SP, n)(u) for n in names for u in (x, x * 6.0)] + [SP.expint(x * 20.0)]


def gammas(x):
    two = [M.igamma, M.igammac]
    return [f(u, turned(u)) for f in two for u in (x, x * 7.0)] + [
        M.igamma(1.5, x), M.zeta(x + 1.5, x), M.polygamma(2.0, x), M.lbeta(x), M.betainc(x, turned(x), tf.sigmoid(x - 1.0)), M.betainc(x * 30.0, turned(x) * 20.0, tf.sigmoid(x - 1.0)), M.betainc(2.0 * x, x + 0.5, x / 4.0)]


def inverses(x):
    return [M.erfcinv(x / 2.0), M.ndtri(x / 4.0)]


def cropped(x):
    at = tf.range(tf.shape(x)[0])
    box = lambda b: tf.tile([b], [tf.shape(x)[0], 1])
    return [
        im.crop_and_resize(x, box([0.0, 0.0, 0.5, 0.5]), at, [4, 3]), im.crop_and_resize(x, box([0.1, 0.1, 1.2, 1.3]), at, [4, 5], "nearest", 0.5), im.crop_and_resize(x, box([0.9, 0.8, 0.1, 0.2]), at, [3, 3]),
        im.crop_and_resize(x, box([0.2, 0.1, 0.9, 0.3]), at, [1, 1]), im.crop_and_resize(x, tf.reduce_mean(x, 1)[:, :4, 0], at, [4, 3])]


def chosen(x):
    both = tf.stack([corners(x), corners(x) * 1.1], 2)
    return [
        *im.combined_non_max_suppression(corners(x)[:, :, None], x[..., :2], 3, 5, 0.4, -0.5, clip_boxes=False), *im.combined_non_max_suppression(both, x[..., :2], 3, 5, 0.4, -0.5, True, True),
        *im.combined_non_max_suppression(both, x[..., :2], 7, 20, 0.1, 0.2)]


def padded(x):
    return list(im.non_max_suppression_padded(corners(x), tf.reduce_sum(x, -1), 4, 0.3, 0.0, True, canonicalized_coordinates=True))


def of_one(x):
    scores = tf.reduce_sum(x[1], -1)
    return [im.non_max_suppression(corners(x[0]), scores, 4), im.non_max_suppression(corners(x[0]), scores, 6, 0.3, 0.0), im.non_max_suppression(x[2], scores, 6, 0.1)]


def decomposed(x):
    s, u, v = la.svd(x)
    e, w = la.eigh(square(x))
    spd = square(x)
    return [
        la.svd(x, compute_uv=False), tf.matmul(u * s[:, None, :], v, transpose_b=True), tf.abs(la.svd(x[:, :, :3], full_matrices=True)[1]), tf.abs(la.svd(x[:, :3])[2]),
        tf.abs(la.qr(x[:, :, :3])[1]), tf.matmul(*la.qr(x[:, :, :3], full_matrices=True)), e, tf.abs(w), la.eigvalsh(x + la.matrix_transpose(x)),
        la.cholesky_solve(la.cholesky(spd), x), la.solve(spd + x, x, adjoint=True), la.triangular_solve(x + 5.0 * tf.eye(4), x, lower=False), la.triangular_solve(x + 5.0 * tf.eye(4), x, adjoint=True), la.inv(spd + x, adjoint=True)]


def factored(x):
    lu, p = la.lu(square(x))
    return [lu, p, la.lu_solve(lu, p, x), la.lu_matrix_inverse(lu, p), la.lu_reconstruct(*la.lu(x))]


def solved(x):
    return [la.lstsq(x, x[:, :, :2] + 1.0), la.lstsq(x, x[:, :, :2] + 1.0, fast=False), la.lstsq(x[:, :3], x[:, :3, :2] + 1.0), la.lstsq(x, x[:, :, :2] + 1.0, 0.5), la.pinv(x), la.pinv(x[:, :, :2]), la.matrix_rank(x)]


def powers(x):
    return [la.expm(x), la.expm(x * 0.1), *la.normalize(x, axis=-1), la.norm(x, 1, axis=[-2, -1]), la.norm(x, 2, axis=[-2, -1]), la.norm(x, 0.5, axis=-1)]


def clipped(x):
    return [*tf.clip_by_global_norm([x, x * 2.0], 1.0)[0], la.normalize(x)[0]]


def diagonals(x):
    v = x[:, 0]
    return [
        la.diag(v, k=1), la.diag(v, k=-2), la.diag(x[:, :2], k=(-1, 0)), la.diag(v, padding_value=2.0), la.diag(v, k=1, num_rows=4, num_cols=7), la.diag_part(x, k=1), la.diag_part(x, k=(-1, 1)), la.diag_part(x, k=(0, 2), padding_value=9.0, align="LEFT_RIGHT"),
        la.diag_part(x[:, :3], k=(-2, 1)), la.set_diag(x, v[:, :3], k=1), la.set_diag(x, v[:, :2], k=-2)]


def signals(x):
    return [
        sg.frame(x, 5, 2, pad_end=True, pad_value=1.0), tf.abs(sg.stft(x, 8, 4, fft_length=16, pad_end=True)), tf.abs(sg.stft(x, 8, 4, window_fn=None)), sg.inverse_stft(sg.stft(x, 8, 4), 8, 4), sg.inverse_stft(sg.stft(x, 8, 4), 8, 4, window_fn=None),
        sg.dct(x, 1), sg.dct(x, 3), sg.dct(x, 3, norm="ortho"), sg.dct(x, 4), sg.dct(x, 4, norm="ortho"), sg.idct(x), sg.idct(x, norm="ortho"), sg.dct(x, n=20), sg.fftshift(x, 1), sg.ifftshift(x[:, 1:], [1]), sg.mfccs_from_log_mel_spectrograms(x)]


def planes(x):
    c = tf.cast(x, "complex64")
    return [tf.abs(sg.fft2d(c)), tf.abs(sg.ifft2d(c)), M.real(sg.fft3d(c)), M.imag(sg.ifft3d(c)), tf.abs(tf.complex(x, x * 2.0)), M.angle(tf.complex(x, x + 1.0))]


def segments(x):
    of = [f"unsorted_segment_{k}" for k in ("sum", "max", "min", "prod", "mean", "sqrt_n")]
    return [getattr(M, n)(x, [0, 2, 2, 0], 4) for n in of] + [getattr(M, f"segment_{k}")(x, [0, 0, 2, 2]) for k in ("sum", "max", "min", "prod", "mean")]


def statistics(x):
    return [
        M.cumulative_logsumexp(x * 9.0, 1), M.cumulative_logsumexp(x, 1, exclusive=True, reverse=True), *nn.weighted_moments(x, [1], tf.abs(x)), nn.weighted_moments(x, [1], [[1.0, 2.0, 3.0, 4.0, 5.0]], keepdims=True)[1], tf.histogram_fixed_width_bins(x, [-1.0, 1.0], 5),
        tf.searchsorted(tf.sort(x), x), tf.searchsorted(tf.sort(x), x, side="right", out_type="int64")]


def quantized(x):
    return [
        q.fake_quant_with_min_max_args(x, -2, 2), q.fake_quant_with_min_max_args(x, -2, 3, 4, True), q.fake_quant_with_min_max_vars(x, -1.0, 2.0), q.fake_quant_with_min_max_vars_per_channel(x, [-1.0] * 5, [2.0, 1.0, 1.5, 3.0, 0.5]),
        q.quantize_and_dequantize_v2(x, -2.0, 2.0, range_given=True), q.quantize_and_dequantize_v2(x, -2.0, 1.5, range_given=True, num_bits=4, narrow_range=True), q.quantize_and_dequantize_v2(x, 0.0, 1.5, signed_input=False, range_given=True, round_mode="HALF_UP")]


def images(x):
    whole = tf.cast(x * 255.0, "uint8")
    return [
        im.convert_image_dtype(x, tf.uint8), im.convert_image_dtype(whole, tf.float32), im.adjust_contrast(whole, 2.0), im.adjust_brightness(whole, 0.2), im.resize_with_pad(x, 6, 10, "nearest"), im.resize_with_pad(x, 3, 10, antialias=True),
        im.extract_patches(x, [1, 3, 3, 1], [1, 1, 1, 1], [1, 2, 2, 1], "VALID"), im.extract_patches(x, [1, 2, 3, 1], [1, 2, 1, 1], [1, 2, 1, 1], "SAME"), *nn.max_pool_with_argmax(x, 2, 2, "SAME"), *nn.max_pool_with_argmax(x, [3, 2], [1, 2], "VALID", output_dtype="int32")]


def transposed(x):
    at = tf.shape(x)[0]
    return [
        nn.conv1d_transpose(x, values(3, 4, 3), tf.stack([at, 16, 4]), 2), nn.conv1d_transpose(x, values(2, 4, 3), tf.stack([at, 9, 4]), 1, "VALID"),
        nn.conv3d_transpose(tf.reshape(x, [-1, 2, 2, 2, 3]), values(2, 2, 2, 4, 3), tf.stack([at, 4, 4, 4, 4]), 2)]


def chains(x):
    return [tf.identity_n([x, x + 1.0])[1], K.backend.switch(x > 0, x, -x), tf.ensure_shape(x, [None, 5]), nn.embedding_lookup(tf.constant(values(3, 2)), tf.cast(x > 0, "int32"))]


def subtracted(x):
    return tf.tensor_scatter_nd_sub(x, [[0, 1], [2, 3]], [9.0, -9.0])


def labels(x):
    lengths = tf.fill([tf.shape(x)[0]], 6)
    return [K.backend.ctc_decode(nn.softmax(x), lengths)[0][0], K.backend.ctc_decode(nn.softmax(x), lengths, greedy=False, beam_width=5)[0][0]]


# What is no single node.
FUNCTIONS = [padded, factored, solved, powers, signals, segments, labels]
MIXED = [of_one, clipped, segments, subtracted]
CASES = {
    special: (5,), gammas: (5,), inverses: (5,), cropped: (8, 8, 3), chosen: (6, 4), padded: (6, 4), of_one: (6, 4), decomposed: (4, 4), factored: (4, 4), solved: (5, 3), powers: (4, 4), clipped: (5,), diagonals: (4, 4), signals: (16,), planes: (4, 6, 4), segments: (5,), statistics: (5,),
    quantized: (5,), images: (8, 9, 3), transposed: (8, 3), chains: (5,), subtracted: (5,), labels: (6, 4)}


def main():
    args = arguments(__doc__, nodes=True)
    w = Writer(args.out, "legacy6" + ("_nodes" if args.nodes else ""), args.seed)
    for case, shape in CASES.items():
        if args.nodes and case in FUNCTIONS:
            continue

        def build():
            x = L.Input(shape, name="x")
            return K.Model(x, case(x))

        spread = positive if case in (special, gammas, inverses) else (lambda rng, shape: rng.uniform(0, 1, shape)) if case in (cropped, images) else None
        w.add(case.__name__, build, spread, mixes=case in MIXED)
    w.close()


if __name__ == "__main__":
    main()
