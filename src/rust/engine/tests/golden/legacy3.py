"""Writes legacy3*.zip: functions of TensorFlow that stand as layers in functional models of Keras 2.

    python legacy3.py --out packs              legacy3_families.zip: a case for each family of functions
    python legacy3.py --out packs --nodes      legacy3_nodes.zip: the `TensorFlowOpLayer`s of TF 2.0 to 2.3
    python legacy3.py --out DIR --single       a case for each function; legacy3.zip holds a part
    python legacy3.py --out packs --more       legacy3_more.zip: a case for each of those left out of legacy3.zip

It needs what legacy.py needs. Functions that tf_keras can't save as a layer are dropped, and said so.
"""

import argparse
import os

import numpy as np
import tensorflow as tf
import tf_keras as K
from legacy import Writer

L, B, M, nn = K.layers, K.backend, tf.math, tf.nn
C = tf.constant
F = lambda c: tf.cast(c, "float32")

# x, z: (4, 6) floats; i: (3,) integers from 0 to 3; u: (5, 6, 3) images; s: (4, 6) of which one axis varies in size.
FAMILIES = {
    "operators": lambda x, z, **_: [
        x + z, x + 1, 1 + x, x - z, 2.0 - x, x * z, 3 * x, x / z, 1 / (x * x + 1.0), x / 2, x // z, x // 2, 7.0 // (M.abs(x) + 1.0), x % z, 3.0 % (M.abs(x) + 1.0), x ** 2, 2.0 ** x, abs(x), -x,
        x @ tf.transpose(z, [0, 2, 1]), F(x > z), F(x >= z), F(x < z), F(x <= 0.5), F(0.5 > x), F((x > 0) & (z > 0)), F((x > 0) | (z > 0)), F((x > 0) ^ (z > 0)), F(~(x > 0)), F(x == z), F(x != z),
        x + np.arange(6, dtype="float32"), np.ones((4, 1), "float32") * x, x * [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], x - C([[1.0], [2.0], [3.0], [4.0]])],
    "integers": lambda i, **_: [
        i + 1, i * i, i - 5, i // 2, -i // 2, (i - 2) // 2, (i - 2) % 3, i / 2, i ** 2, M.abs(i - 2), M.sign(i - 1), tf.cast(i, "float32") / 3.0, tf.cast(i, "int64") * 2, M.maximum(i, 1), tf.reduce_sum(i, 1), tf.reduce_mean(i, 1), tf.reduce_max(i, -1), tf.one_hot(i, 4), tf.one_hot(i, 4, 2.0, -1.0), tf.one_hot(i, 5, axis=1),
        tf.one_hot(i, 4, dtype="int32"), F(i == 1), F(i > 1), F(tf.equal(i, 2)), tf.where(i > 1, i, 0), M.square(i), M.cumsum(i, 1), M.argmax(i, 1), tf.clip_by_value(i, 1, 2), tf.sequence_mask(i[:, 0], 5), F(tf.sequence_mask(i, 4)), tf.sequence_mask(i[:, 1], 4, dtype="float32"), tf.bitcast(i, "float32") * 0.0, tf.bitwise.bitwise_and(i, 1), tf.bitwise.left_shift(i, 1), M.floormod(i, 2), M.mod(i, 2), tf.squeeze(tf.expand_dims(i, 1), 1), M.truediv(i, 2), M.divide(i, 2), M.multiply(i, 2), tf.gather(C([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), i), nn.embedding_lookup(C([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), i), M.bincount(i, minlength=4, maxlength=4, axis=-1), M.negative(i), tf.cast(i, tf.bool), F(M.count_nonzero(i, 1)), tf.reverse(i, [1]), tf.sort(i, direction="DESCENDING"), tf.argsort(i, stable=True), M.reduce_prod(i, 1)],
    "arithmetic": lambda x, z, **_: [
        M.add(x, z), M.subtract(x, z), tf.subtract(1.0, x), M.multiply(x, 2.0), M.divide(x, z), M.truediv(x, z), M.divide_no_nan(x, z), M.multiply_no_nan(x, z), M.floordiv(x, z), M.floormod(x, z), tf.truncatediv(x, z), tf.truncatemod(x, z), M.pow(M.abs(x), z), M.maximum(x, z), M.minimum(x, 0.1), M.squared_difference(x, z), M.scalar_mul(2.5, x), M.add_n([x, z, x]), M.accumulate_n([x, z]), M.abs(x), M.negative(x), M.sign(x), M.square(x), M.reciprocal(x), M.reciprocal_no_nan(x), M.atan2(x, z), M.xdivy(x, z), M.xlogy(x, M.abs(z)), M.xlog1py(x, M.abs(z)), M.nextafter(x, z), tf.add(x, 1), tf.multiply(x, z), tf.maximum(0.0, x), M.igamma(M.abs(x) + 1.0, M.abs(z)), M.polyval([1.0, 2.0, 3.0], x), M.rint(x), tf.math.l2_normalize(x, [1, 2]), M.angle(x), M.real(x), M.imag(x), M.conj(x)],
    "functions": lambda x, z, **_: [
        M.exp(x), M.expm1(x), M.log(M.abs(x)), M.log1p(M.abs(x)), M.sqrt(M.abs(x)), M.rsqrt(M.abs(x)), M.sin(x), M.cos(x), M.tan(x), M.asin(tf.tanh(x)), M.acos(tf.tanh(x)), M.atan(x), M.sinh(x), M.cosh(x), M.tanh(x), M.asinh(x), M.acosh(M.abs(x) + 1.0), M.atanh(tf.tanh(x) * 0.9), M.sigmoid(x), M.log_sigmoid(x), M.softplus(x), nn.softsign(x), M.erf(x), M.erfc(x), M.erfinv(tf.tanh(x) * 0.9), M.ndtri(tf.sigmoid(x)), M.lgamma(M.abs(x) + 0.5), M.digamma(M.abs(x) + 0.5), M.bessel_i0(x), M.bessel_i0e(x), M.bessel_i1(x), M.bessel_i1e(x),
        M.special.expint(M.abs(x) + 0.1), M.floor(x), M.ceil(x), M.round(x), tf.round(x * 2.0), F(M.is_nan(x)), F(M.is_inf(x)), F(M.is_finite(x)), M.sobol_sample(2, 3) * 0.0 + x[:, :1, :1], M.log(M.exp(x) + 1.0), M.softsign(x) if hasattr(M, "softsign") else x, M.sigmoid(x) * x, F(M.is_non_decreasing(x)) + x, M.zero_fraction(x) + 0 * x, M.cumulative_logsumexp(x, 1)],
    "activations": lambda x, u, **_: [
        nn.relu(x), nn.relu6(x * 5), nn.leaky_relu(x), nn.leaky_relu(x, alpha=0.3), nn.elu(x), nn.selu(x), nn.gelu(x), nn.gelu(x, approximate=True), nn.silu(x), nn.swish(x), nn.silu(x, beta=1.5), nn.softmax(x), nn.softmax(x, axis=1), nn.log_softmax(x), nn.log_softmax(x, 1), nn.softplus(x), nn.softsign(x), nn.tanh(x), nn.sigmoid(x), nn.crelu(x), nn.l2_normalize(x, -1), nn.l2_normalize(x, axis=[1, 2], epsilon=0.5), nn.bias_add(x, [1.0, 2, 3, 4, 5, 6]), nn.bias_add(u, [1.0, 2, 3]), nn.dropout(x, 0.0), nn.moments(x, [1])[0], nn.moments(x, [1], keepdims=True)[1], nn.lrn(u), nn.lrn(u, depth_radius=1, bias=2.0, alpha=0.5, beta=0.7), nn.local_response_normalization(u), nn.zero_fraction(x) + 0 * x, nn.batch_normalization(x, 0.1, 2.0, 0.5, 3.0, 1e-3), nn.normalize_moments(2.0, x, x * x, None)[0], nn.weighted_moments(x, [1], [[[1.0]]])[0],
        K.activations.relu(x, 0.1, 2.0, 0.2), K.activations.relu(x), K.activations.elu(x, 0.5), K.activations.selu(x), K.activations.softplus(x), K.activations.softsign(x), K.activations.swish(x), K.activations.gelu(x), K.activations.gelu(x, True), K.activations.tanh(x), K.activations.sigmoid(x), K.activations.exponential(x), K.activations.hard_sigmoid(x), K.activations.linear(x), K.activations.mish(x), K.activations.softmax(x), K.activations.softmax(x, 1)],
    "reductions": lambda x, z, **_: [
        tf.reduce_mean(x, 1), tf.reduce_mean(x, axis=[1, 2]), tf.reduce_mean(x, [1, 2], keepdims=True), tf.reduce_sum(x, -1), tf.reduce_sum(x, [-1], True), tf.reduce_max(x, 2), tf.reduce_min(x, axis=1), tf.reduce_prod(x, 1), F(tf.reduce_any(x > 1, 1)), F(tf.reduce_all(x > -1, [1])), M.reduce_std(x, 1), M.reduce_variance(x, [1, 2]), M.reduce_variance(x, -1, True), M.reduce_logsumexp(x, 1), M.reduce_logsumexp(x, [2], True), M.reduce_euclidean_norm(x, 1), M.count_nonzero(x, 1), tf.norm(x, axis=-1), tf.norm(x, axis=1, keepdims=True), tf.norm(x, 1, axis=1), tf.norm(x, np.inf, axis=-1), tf.norm(x, "fro", axis=[1, 2]), tf.norm(x, 3, axis=1), tf.argmax(x, 1), tf.argmax(x, -1, output_type="int32"), tf.argmin(x, axis=2), M.cumsum(x, 1), M.cumsum(x, 1, exclusive=True), M.cumsum(x, 2, reverse=True), M.cumsum(x, -1, exclusive=True, reverse=True), M.cumprod(x, 1), M.cumprod(x, 1, exclusive=True), M.cumprod(x, 1, reverse=True), M.top_k(x, 2)[0], M.top_k(x, 3)[1], nn.top_k(x, k=2).values, tf.sort(x), tf.sort(x, 1, "DESCENDING"), tf.argsort(x, 1), tf.argsort(x, direction="DESCENDING"), M.segment_sum(C([1.0, 2.0, 3.0]), [0, 0, 1])[0] + x, nn.in_top_k(C([1, 0, 1, 2]), x[:, 0]) if False else F(nn.in_top_k(tf.cast(M.abs(x[:, 0, 0]), "int32"), x[:, 1], 3)),
        tf.reduce_mean(x) * 0.0 + x[:, 0] if False else tf.reduce_mean(x, axis=(2,)), tf.reduce_sum(x, axis=(1, 2)), tf.linalg.norm(x, axis=1), tf.linalg.trace(x), M.reduce_max(x, [1, 2]), tf.histogram_fixed_width(C([1.0, 2.0]), [0.0, 3.0], 3)[0] + tf.cast(x[:, 0], "int32") * 0, tf.nn.l2_loss(z) * 0.0 + x],
    "shapes": lambda x, z, u, **_: [
        tf.concat([x, z], 1), tf.concat([x, z], axis=-1), tf.concat([x], 1), tf.concat([x, tf.ones((1, 1, 6)) * z], 1), tf.stack([x, z], -1), tf.stack([x, z], 1), tf.stack([x[:, 0], z[:, 1], x[:, 2]], axis=1), tf.unstack(x, axis=1)[1], tf.unstack(x, 4, 1)[3], tf.split(x, 2, 1)[1], tf.split(x, 3, axis=-1)[0], tf.split(x, [1, 2, 3], 2)[2], tf.split(x, [1, -1], axis=2)[1], tf.expand_dims(x, 1), tf.expand_dims(x, -1), tf.expand_dims(x, axis=2), tf.squeeze(tf.expand_dims(x, 1), 1), tf.squeeze(tf.expand_dims(x, -1), [-1]), tf.squeeze(x[:, :1]) if False else tf.squeeze(x[:, :1], 1), tf.transpose(x, [0, 2, 1]), tf.transpose(u, perm=[0, 3, 1, 2]), tf.linalg.matrix_transpose(x), tf.reshape(x, [-1, 24]), tf.reshape(x, (-1, 3, 8)), tf.tile(x, [1, 2, 3]), tf.tile(x, [1, 1, 2]), tf.repeat(x, 2, 1), tf.repeat(x, [1, 2, 0, 3], axis=1), tf.reverse(x, [1]), tf.reverse(x, [-1, 1]), tf.roll(x, 1, 1), tf.roll(x, [1, -2], [1, 2]),
        tf.pad(x, [[0, 0], [1, 2], [0, 3]]), tf.pad(x, [[0, 0], [1, 2], [0, 3]], "REFLECT"), tf.pad(x, [[0, 0], [1, 2], [0, 3]], mode="SYMMETRIC"), tf.pad(x, C([[0, 0], [0, 0], [1, 1]]), constant_values=2.5), tf.gather(x, [2, 0], axis=1), tf.gather(x, 1, axis=2), tf.gather(x, C([[0, 1], [2, 3]]), axis=1), tf.gather(x, tf.argmax(x, 1), axis=1, batch_dims=1), tf.gather(x, tf.argmax(x, 2), batch_dims=1, axis=2), tf.gather_nd(x, tf.reshape(tf.argmax(x, 1), (-1, 6, 1)) * 0 + 1, batch_dims=1), tf.gather_nd(x, C([[0, 1], [1, 0]])), tf.boolean_mask(x, [True, False, True, True], axis=1), tf.slice(x, [0, 1, 2], [-1, 2, 3]), tf.strided_slice(x, [0, 1, 0], [2, 4, 6], [1, 2, 2]), tf.strided_slice(x, [0, 0], [0, 3], begin_mask=1, end_mask=1), tf.identity(x), tf.stop_gradient(x), tf.ones_like(x), tf.zeros_like(x), tf.zeros_like(x, dtype="int32"), tf.broadcast_to(x[:1], [4, 4, 6]), tf.cast(x, "int32"), tf.cast(x, tf.float64), tf.cast(x, "float16"), tf.saturate_cast(x * 100, "uint8"), tf.linalg.diag(x[:, 0]), tf.linalg.diag_part(x), tf.linalg.band_part(x, 1, 1), tf.linalg.band_part(x, -1, 0), tf.linalg.set_diag(x, z[:, :, 0]), tf.space_to_depth(u[:, :4], 2), tf.nn.depth_to_space(tf.tile(u, [1, 1, 1, 4]), 2), tf.space_to_batch(u[:, :4], [2, 2], [[0, 0], [0, 0]]) if False else tf.nn.space_to_depth(u[:, :4], 2), tf.meshgrid(C([1.0, 2.0]), C([3.0]))[0] + x[:, :1, :1], tf.reverse_sequence(x, [4, 2, 1, 3], seq_axis=1, batch_axis=0), tf.ensure_shape(x, (None, 4, 6)), tf.clip_by_value(x, -0.5, 0.5), tf.clip_by_value(x, z - 1.0, z + 1.0), tf.clip_by_norm(x, 1.5, axes=[1, 2]), tf.where(x > z, x, z), tf.where(x > 0, 1.0, x), tf.where(x > 0, x, tf.zeros_like(x)), tf.fill([4, 6], 2.0) * x, tf.linspace(0.0, 1.0, 6) + x, tf.range(6.0) * x, tf.eye(4) @ x, tf.unique(C([1, 1, 2]))[0][0] * 0 + tf.cast(x[:, 0], "int32"), tf.image.flip_left_right(u), tf.image.flip_up_down(u), tf.rank(x) + tf.cast(x[:, 0], "int32") * 0, tf.nn.softmax(tf.transpose(x, [0, 2, 1])), tf.scatter_nd([[1], [3]], C([9.0, 10.0]), [6]) + x, tf.tensor_scatter_nd_update(x, [[0, 1], [2, 3]], x[:2, 0]), tf.tensor_scatter_nd_add(x, [[0], [1]], z[:2]), tf.sparse.to_dense(tf.sparse.from_dense([[1.0, 0.0]]))[0, 0] + x, tf.vectorized_map(lambda a: a * 2, x) if False else x],
    "slices": lambda x, u, **_: [
        x[:, 0], x[:, -1], x[:, 1:3], x[:, ::2], x[..., 0], x[..., 1:], x[:, ..., 2], x[:, :, None], x[:, None], x[..., tf.newaxis], x[:, tf.newaxis, 1:, :-1], x[:, ::-1], x[:, -2:, 1], x[:, 1, 2], x[:, 2:1], x[:, 3:0:-1, ::2], u[..., ::-1], u[:, 1:-1, 2:, :], u[..., :1], u[:, ..., None, 0], u[:, :3, :3], x[0], x[-1], x[1:], x[::2], x[:, 0][:, 1], x[:, C(1)], x[:, :C(2)]],
    "products": lambda x, z, u, **_: [
        tf.matmul(x, tf.transpose(z, [0, 2, 1])), tf.matmul(x, z, transpose_b=True), tf.matmul(x, z, transpose_a=True), tf.linalg.matmul(x, z, adjoint_b=True), tf.matmul(x, np.ones((6, 2), "float32")), tf.matmul(x, x, False, True), tf.linalg.matvec(x, z[:, 0]), tf.linalg.matvec(x, z[:, :, 0], transpose_a=True), tf.tensordot(x, np.ones((6, 2), "float32"), 1), tf.tensordot(x, np.ones((4, 6), "float32"), [[1, 2], [0, 1]]), tf.tensordot(x, np.ones((6, 2, 3), "float32"), axes=[[2], [0]]), tf.einsum("bij,bkj->bik", x, z), tf.einsum("bij,bij->b", x, z), tf.einsum("...ij,...ij->...i", x, z), tf.einsum("bij->bji", x), tf.einsum("bij,jk->bik", x, np.ones((6, 2), "float32")), tf.linalg.einsum("bij,bij->bj", x, z), tf.linalg.tensordot(x, np.ones((6, 2), "float32"), 1), tf.linalg.det(tf.matmul(x, x, transpose_b=True) + tf.eye(4)), tf.linalg.inv(tf.matmul(x, x, transpose_b=True) + tf.eye(4)), tf.linalg.cholesky(tf.matmul(x, x, transpose_b=True) + tf.eye(4)), tf.linalg.solve(tf.matmul(x, x, transpose_b=True) + tf.eye(4), z), tf.linalg.cross(x[:, 0, :3], z[:, 0, :3]), tf.linalg.l2_normalize(x, -1), tf.linalg.logdet(tf.matmul(x, x, transpose_b=True) + tf.eye(4)), tf.linalg.adjoint(x), tf.linalg.triangular_solve(tf.linalg.cholesky(tf.matmul(x, x, transpose_b=True) + tf.eye(4)), z), tf.linalg.tensor_diag(x[0, 0]) if False else tf.linalg.diag(x), tf.linalg.pinv(x) if False else x, B.batch_dot(x, z, axes=2), B.batch_dot(x, z, axes=[1, 1]), B.batch_dot(x[:, 0], z[:, 0], 1), B.dot(x, np.ones((6, 2), "float32") if False else B.ones((6, 2)))],
    "backend": lambda x, z, i, u, **_: [
        B.concatenate([x, z]), B.concatenate([x, z], 1), B.expand_dims(x), B.expand_dims(x, 1), B.squeeze(B.expand_dims(x, 1), 1), B.permute_dimensions(x, (0, 2, 1)), B.reshape(x, (-1, 24)), B.repeat_elements(x, 2, 1), B.repeat(x[:, 0], 3), B.tile(x, [1, 2, 1]), B.flatten(x) if False else B.batch_flatten(x), B.stack([x, z], 1), B.reverse(x, 1), B.mean(x, 1), B.mean(x, axis=[1, 2], keepdims=True), B.sum(x, -1), B.prod(x, 1), B.max(x, 1), B.min(x, 1, True), B.std(x, 1), B.var(x, [1, 2]), B.argmax(x, 1), B.argmin(x), B.any(x > 1, 1), B.all(x > -1, 1), B.logsumexp(x, 1) if hasattr(B, "logsumexp") else x, B.cumsum(x, 1), B.cumprod(x, 1), B.square(x), B.sqrt(B.abs(x)), B.exp(x), B.log(B.abs(x)), B.round(x), B.sign(x), B.pow(x, 2), B.clip(x, 0.0, 1.0), B.clip(x, -1, None) if False else B.clip(x, -1, 1), B.equal(x, z), B.not_equal(x, z), B.greater(x, z), B.greater_equal(x, 0.0), B.less(x, z), B.less_equal(x, z), B.maximum(x, z), B.minimum(x, z), B.sin(x), B.cos(x), B.softmax(x), B.softmax(x, 1), B.relu(x), B.relu(x, 0.1), B.relu(x, max_value=1.0), B.relu(x, threshold=0.5), B.relu(x, 0.2, 1.5, 0.3), B.elu(x), B.elu(x, 0.5), B.sigmoid(x), B.hard_sigmoid(x), B.tanh(x), B.softplus(x), B.softsign(x), B.l2_normalize(x, -1), B.l2_normalize(x, axis=1), B.one_hot(i, 4), B.cast(x, "int32"), B.cast(x, "float16"), B.switch(x > 0, x, z), B.gather(C([[1.0], [2.0], [3.0], [4.0]]), i), B.ones_like(x), B.zeros_like(x), B.bias_add(x, B.constant(np.arange(6.0))), B.bias_add(u, B.constant([1.0, 2.0, 3.0]), "channels_last"), B.resize_images(u, 2, 2, "channels_last"), B.resize_images(u, 2, 3, "channels_last", "bilinear"), B.spatial_2d_padding(u, ((1, 2), (0, 1))), B.temporal_padding(x, (1, 2)), B.pool2d(u, (2, 2), (1, 1), "same"), B.pool2d(u, (2, 2), (2, 2), pool_mode="avg"), B.conv1d(x, B.constant(np.ones((2, 6, 3)))), B.conv2d(u, B.constant(np.ones((2, 2, 3, 2))), (1, 2), "same"), B.depthwise_conv2d(u, B.constant(np.ones((2, 2, 3, 2)))), B.in_top_k(x[:, 0], tf.cast(M.abs(x[:, 1, 1]), "int32"), 2), B.dropout(x, 0.0), B.stop_gradient(x), B.identity(x), B.dot(x, B.constant(np.ones((6, 2)))), B.batch_normalization(x, B.zeros(6), B.ones(6), B.ones(6), B.ones(6)), B.sparse_categorical_crossentropy(tf.cast(M.abs(x[:, :, 0]), "int32"), B.softmax(x)), B.categorical_crossentropy(B.softmax(z), B.softmax(x)), B.binary_crossentropy(B.sigmoid(z), B.sigmoid(x)), B.arange(0, 6, dtype="float32") + x, B.slice(x, [0, 1, 1], [-1, 2, 2]) if hasattr(B, "slice") else x],
    "layers": lambda x, z, u, **_: [
        L.add([x, z]), L.subtract([x, z]), L.multiply([x, z]), L.average([x, z]), L.maximum([x, z]), L.minimum([x, z]), L.concatenate([x, z], 1), L.dot([x, z], 2), L.dot([x, z], 2, normalize=True), K.utils.normalize(np.ones(6)).astype("float32") * x, K.losses.mean_squared_error(x, z), K.losses.mean_absolute_error(x, z), K.losses.cosine_similarity(x, z), K.losses.huber(x, z), K.losses.log_cosh(x, z), K.losses.binary_crossentropy(tf.sigmoid(x), tf.sigmoid(z))],
    "images": lambda u, **_: [
        tf.image.resize(u, [10, 9]), tf.image.resize(u, (3, 4)), tf.image.resize(u, [7, 8], "nearest"), tf.image.resize(u, [10, 9], method="bicubic"), tf.image.resize(u, [8, 8], "area"), tf.image.resize(u, [8, 11], "lanczos3"), tf.image.resize(u, [8, 11], "lanczos5"), tf.image.resize(u, [8, 11], "gaussian"), tf.image.resize(u, [8, 11], "mitchellcubic"), tf.image.resize(u, [3, 3], antialias=True), tf.image.resize(u, [3, 3], "bicubic", antialias=True), tf.image.resize(u, [10, 10], preserve_aspect_ratio=True), tf.image.resize_with_pad(u, 8, 9), tf.image.resize_with_crop_or_pad(u, 7, 4), tf.image.central_crop(u, 0.6), tf.image.crop_to_bounding_box(u, 1, 2, 3, 2), tf.image.pad_to_bounding_box(u, 1, 2, 9, 9), tf.image.per_image_standardization(u), tf.image.adjust_brightness(u, 0.1), tf.image.adjust_contrast(u, 2.0), tf.image.adjust_saturation(M.sigmoid(u), 0.5), tf.image.adjust_hue(M.sigmoid(u), 0.1), tf.image.adjust_gamma(M.sigmoid(u), 2.0), tf.image.rgb_to_grayscale(u), tf.image.grayscale_to_rgb(u[..., :1]), tf.image.rgb_to_hsv(M.sigmoid(u)), tf.image.hsv_to_rgb(M.sigmoid(u)), tf.image.rgb_to_yuv(u), tf.image.yuv_to_rgb(u), tf.image.rgb_to_yiq(u), tf.image.yiq_to_rgb(u), tf.image.transpose(u), tf.image.rot90(u), tf.image.rot90(u, 3), tf.image.sobel_edges(u), tf.image.image_gradients(u)[0], tf.image.extract_patches(u, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"), tf.image.extract_patches(u, [1, 3, 3, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME"), tf.image.convert_image_dtype(u, "float64"), tf.image.total_variation(u), tf.image.flip_left_right(u), tf.compat.v1.image.resize_bilinear(u, [10, 12]), tf.compat.v1.image.resize_bilinear(u, [10, 12], align_corners=True), tf.compat.v1.image.resize_nearest_neighbor(u, [10, 12]), tf.compat.v1.image.resize_nearest_neighbor(u, [10, 12], half_pixel_centers=True), tf.compat.v1.image.resize_images(u, [10, 12]), tf.compat.v1.image.resize_images(u, [10, 12], align_corners=True), tf.image.crop_and_resize(u, [[0.1, 0.2, 0.8, 0.9]], [1], [3, 4])],
    "convolutions": lambda x, u, **_: [
        nn.conv1d(x, np.ones((2, 6, 3), "float32"), 1, "VALID"), nn.conv1d(x, np.ones((2, 6, 3), "float32"), 2, "SAME"), nn.conv2d(u, np.ones((2, 2, 3, 2), "float32"), 1, "SAME"), nn.conv2d(u, np.ones((2, 2, 3, 2), "float32"), [1, 2, 1, 1], "VALID"), nn.conv2d(u, np.ones((2, 2, 3, 2), "float32"), 1, "VALID", dilations=2), nn.conv2d(u, np.ones((2, 2, 3, 2), "float32"), 1, [[0, 0], [1, 1], [1, 0], [0, 0]]), nn.depthwise_conv2d(u, np.ones((2, 2, 3, 2), "float32"), [1, 1, 1, 1], "SAME"), nn.separable_conv2d(u, np.ones((2, 2, 3, 1), "float32"), np.ones((1, 1, 3, 2), "float32"), [1, 1, 1, 1], "VALID"), nn.conv2d_transpose(u, np.ones((2, 2, 2, 3), "float32"), [4, 10, 12, 2], 2, "SAME"), nn.max_pool(u, 2, 2, "VALID"), nn.max_pool2d(u, 3, 1, "SAME"), nn.avg_pool(u, [1, 2, 2, 1], [1, 2, 2, 1], "SAME"), nn.avg_pool2d(u, 2, 1, "VALID"), nn.max_pool1d(x, 2, 2, "SAME"), nn.avg_pool1d(x, 2, 1, "VALID"), nn.pool(u, [2, 2], "MAX", strides=[1, 1], padding="SAME"), nn.convolution(u, np.ones((2, 2, 3, 2), "float32"), padding="SAME"), nn.convolution(x, np.ones((2, 6, 3), "float32"), strides=[2]), nn.dilation2d(u, np.ones((2, 2, 3), "float32"), [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]), nn.erosion2d(u, np.ones((2, 2, 3), "float32"), [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]), nn.atrous_conv2d(u, np.ones((2, 2, 3, 2), "float32"), 2, "VALID")],
    "losses": lambda x, z, **_: [
        nn.sigmoid_cross_entropy_with_logits(M.sigmoid(z), x), nn.softmax_cross_entropy_with_logits(nn.softmax(z), x), nn.sparse_softmax_cross_entropy_with_logits(tf.cast(M.abs(z[:, :, 0]), "int32"), x), nn.log_poisson_loss(z, x), nn.weighted_cross_entropy_with_logits(M.sigmoid(z), x, 2.0), nn.compute_average_loss(x[:, 0, 0], global_batch_size=4) * 0 + x if False else x],
    "sizes": lambda x, z, s, u, i, **_: [
        tf.reshape(x, [tf.shape(x)[0], 24]), tf.reshape(x, [-1, tf.shape(x)[1] * tf.shape(x)[2]]), tf.reshape(s, [tf.shape(s)[0], tf.shape(s)[1] * 6]), tf.reshape(x, tf.concat([tf.shape(x)[:1], [24]], 0)), tf.reshape(x, tf.shape(z)), tf.reshape(s, tf.stack([tf.shape(s)[0], -1])), tf.reshape(x, (-1, x.shape[1], 2, 3)), tf.tile(x[:, :1], [1, tf.shape(x)[1], 1]), tf.tile(x[:1], [tf.shape(x)[0], 1, 1]), tf.broadcast_to(x[:, :1], tf.shape(x)), tf.zeros(tf.shape(x)) + x, tf.ones([tf.shape(x)[0], 2]), tf.fill([tf.shape(x)[0], 3], 7.0), tf.fill(tf.shape(x), 2.0), tf.shape(s)[1] + tf.cast(x[:, 0], "int32") * 0, x / tf.cast(tf.shape(x)[1], "float32"), x * tf.cast(tf.shape(s)[1], tf.float32), tf.range(tf.shape(x)[1]), tf.range(0, tf.shape(s)[1], 2), tf.range(tf.shape(s)[1], dtype="float32"), x[:, :tf.shape(s)[1] - 2], x[:, tf.shape(x)[1] - 1], s[:, tf.shape(s)[1] // 2:], tf.slice(s, [0, 1, 0], [tf.shape(s)[0], tf.shape(s)[1] - 1, 6]), tf.image.resize(u, tf.shape(u)[1:3] * 2), tf.image.resize(u, [tf.shape(u)[1] + 1, 4], "nearest"), tf.one_hot(i, tf.shape(x)[1]), tf.size(x[0]) + tf.cast(x[:, 0], "int32") * 0, tf.pad(s, [[0, 0], [0, 8 - tf.shape(s)[1]], [0, 0]]), tf.gather(x, tf.range(tf.shape(s)[1] - 1, -1, -1), axis=1) if False else x, tf.eye(tf.shape(x)[1]) @ x, tf.reshape(x, [B.shape(x)[0], 24]), B.int_shape(x)[1] + x, tf.sequence_mask(i[:, 0], tf.shape(x)[1]), tf.split(x, 2, -1)[0], tf.unstack(tf.shape(x))[1] + tf.cast(x[:, 0], "int32") * 0, tf.shape(x, out_type="int64")[2] + tf.cast(x[:, 0], "int64") * 0, tf.linspace(0.0, 1.0, tf.shape(x)[2]) + x, tf.expand_dims(tf.range(tf.shape(x)[1]), 0), tf.repeat(x, tf.shape(x)[1], axis=1), tf.tile(tf.expand_dims(x, 1), tf.stack([1, tf.shape(x)[1], 1, 1])), tf.strided_slice(tf.shape(x), [1], [2])[0] + tf.cast(x[:, 0], "int32") * 0, tf.maximum(tf.shape(x)[1], 9) + tf.cast(x[:, 0], "int32") * 0, tf.reverse_sequence(s, tf.fill([tf.shape(s)[0]], tf.shape(s)[1]), 1, 0), tf.linalg.band_part(tf.ones((tf.shape(s)[1], tf.shape(s)[1])), -1, 0), tf.transpose(x, [0, 2, 1])[:, :tf.shape(x)[2] - 1], tf.cond(tf.shape(x)[0] > 1, lambda: x, lambda: z) if False else x],
    "signals": lambda x, **_: [
        tf.signal.frame(x, 3, 2), tf.signal.hann_window(6) * x, M.real(tf.signal.rfft(x)), M.abs(tf.signal.rfft(x)), M.imag(tf.signal.fft(tf.cast(x, "complex64"))), tf.signal.irfft(tf.signal.rfft(x)), M.abs(tf.signal.stft(x, 4, 2)), tf.signal.dct(x), tf.signal.overlap_and_add(x, 2), M.abs(tf.signal.rfft2d(x)), M.angle(tf.signal.rfft(x)), tf.signal.linear_to_mel_weight_matrix(4, 6, 8000, 100.0, 3000.0)[0, 0] + x],
}

# What came later than the pack, what the engine refuses, and what mixes rows.
LEFT_OUT = {
    "tf.bitcast(i, 'float32') * 0.0",
    'M.bincount(i, minlength=4, maxlength=4, axis=-1)',
    'M.igamma(M.abs(x) + 1.0, M.abs(z))',
    'M.polyval([1.0, 2.0, 3.0], x)',
    'M.angle(x)',
    'M.imag(x)',
    'M.lgamma(M.abs(x) + 0.5)',
    'M.digamma(M.abs(x) + 0.5)',
    'M.bessel_i0e(x)',
    'M.bessel_i1(x)',
    'M.bessel_i1e(x)',
    'M.special.expint(M.abs(x) + 0.1)',
    'F(M.is_non_decreasing(x)) + x',
    'M.zero_fraction(x) + 0 * x',
    'M.cumulative_logsumexp(x, 1)',
    'nn.zero_fraction(x) + 0 * x',
    'nn.weighted_moments(x, [1], [[[1.0]]])[0]',
    "nn.in_top_k(C([1, 0, 1, 2]), x[:, 0]) if False else F(nn.in_top_k(tf.cast(M.abs(x[:, 0, 0]), 'int32'), x[:, 1], 3))",
    'tf.nn.l2_loss(z) * 0.0 + x',
    'tf.gather_nd(x, C([[0, 1], [1, 0]]))',
    'tf.strided_slice(x, [0, 1, 0], [2, 4, 6], [1, 2, 2])',
    'tf.broadcast_to(x[:1], [4, 4, 6])',
    "tf.saturate_cast(x * 100, 'uint8')",
    'tf.reverse_sequence(x, [4, 2, 1, 3], seq_axis=1, batch_axis=0)',
    'tf.tensor_scatter_nd_update(x, [[0, 1], [2, 3]], x[:2, 0])',
    'tf.tensor_scatter_nd_add(x, [[0], [1]], z[:2])',
    'x[0]',
    'x[-1]',
    'x[1:]',
    'x[::2]',
    'B.flatten(x) if False else B.batch_flatten(x)',
    'B.switch(x > 0, x, z)',
    "B.conv2d(u, B.constant(np.ones((2, 2, 3, 2))), (1, 2), 'same')",
    'B.depthwise_conv2d(u, B.constant(np.ones((2, 2, 3, 2))))',
    "B.in_top_k(x[:, 0], tf.cast(M.abs(x[:, 1, 1]), 'int32'), 2)",
    "B.sparse_categorical_crossentropy(tf.cast(M.abs(x[:, :, 0]), 'int32'), B.softmax(x))",
    'B.categorical_crossentropy(B.softmax(z), B.softmax(x))',
    'B.binary_crossentropy(B.sigmoid(z), B.sigmoid(x))',
    'K.losses.mean_squared_error(x, z)',
    'K.losses.mean_absolute_error(x, z)',
    'K.losses.log_cosh(x, z)',
    'K.losses.binary_crossentropy(tf.sigmoid(x), tf.sigmoid(z))',
    "tf.image.resize(u, [8, 11], 'gaussian')",
    "tf.image.resize(u, [8, 11], 'mitchellcubic')",
    'tf.image.resize_with_pad(u, 8, 9)',
    'tf.image.adjust_saturation(M.sigmoid(u), 0.5)',
    'tf.image.adjust_hue(M.sigmoid(u), 0.1)',
    'tf.image.adjust_gamma(M.sigmoid(u), 2.0)',
    'tf.image.rgb_to_yuv(u)',
    'tf.image.yuv_to_rgb(u)',
    'tf.image.rgb_to_yiq(u)',
    'tf.image.yiq_to_rgb(u)',
    'tf.image.crop_and_resize(u, [[0.1, 0.2, 0.8, 0.9]], [1], [3, 4])',
    "nn.conv2d(u, np.ones((2, 2, 3, 2), 'float32'), 1, [[0, 0], [1, 1], [1, 0], [0, 0]])",
    "nn.separable_conv2d(u, np.ones((2, 2, 3, 1), 'float32'), np.ones((1, 1, 3, 2), 'float32'), [1, 1, 1, 1], 'VALID')",
    "nn.conv2d_transpose(u, np.ones((2, 2, 2, 3), 'float32'), [4, 10, 12, 2], 2, 'SAME')",
    "nn.pool(u, [2, 2], 'MAX', strides=[1, 1], padding='SAME')",
    "nn.dilation2d(u, np.ones((2, 2, 3), 'float32'), [1, 1, 1, 1], 'SAME', 'NHWC', [1, 1, 1, 1])",
    "nn.erosion2d(u, np.ones((2, 2, 3), 'float32'), [1, 1, 1, 1], 'SAME', 'NHWC', [1, 1, 1, 1])",
    "nn.atrous_conv2d(u, np.ones((2, 2, 3, 2), 'float32'), 2, 'VALID')",
    'nn.sigmoid_cross_entropy_with_logits(M.sigmoid(z), x)',
    'nn.softmax_cross_entropy_with_logits(nn.softmax(z), x)',
    "nn.sparse_softmax_cross_entropy_with_logits(tf.cast(M.abs(z[:, :, 0]), 'int32'), x)",
    'nn.log_poisson_loss(z, x)',
    'nn.weighted_cross_entropy_with_logits(M.sigmoid(z), x, 2.0)',
    'tf.tile(x[:1], [tf.shape(x)[0], 1, 1])',
    'tf.range(tf.shape(x)[1])',
    'tf.range(0, tf.shape(s)[1], 2)',
    "tf.range(tf.shape(s)[1], dtype='float32')",
    'tf.expand_dims(tf.range(tf.shape(x)[1]), 0)',
    'tf.linalg.band_part(tf.ones((tf.shape(s)[1], tf.shape(s)[1])), -1, 0)',
    'tf.signal.frame(x, 3, 2)',
    "M.imag(tf.signal.fft(tf.cast(x, 'complex64')))",
    'M.abs(tf.signal.stft(x, 4, 2))',
    'tf.signal.dct(x)',
    'tf.signal.overlap_and_add(x, 2)',
}


def inputs():
    return {
        "x": L.Input((4, 6), name="x"),
        "z": L.Input((4, 6), name="z"),
        "i": L.Input((3,), dtype="int32", name="i"),
        "u": L.Input((5, 6, 3), name="u"),
        "s": L.Input((None, 6), name="s"),
    }


def arguments(family):
    code = FAMILIES[family].__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def parts(family):
    """The source of each expression, which compiles to one function on its own."""
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(inspect.getmodule(parts)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                if isinstance(key, ast.Constant) and key.value == family and isinstance(value, ast.Lambda):
                    return [ast.unparse(e) for e in value.body.elts]
    raise KeyError(family)


def numbers(rng, shape):
    return rng.integers(0, 4, size=shape) if len(shape) == 2 else rng.normal(size=shape)


def model_of(sources, names):
    used = {n: t for n, t in inputs().items() if n in names}
    outputs = [eval(source, globals(), dict(used)) for source in sources]
    return K.Model(list(used.values()), outputs)


def works(source, names):
    """Whether tf_keras makes a layer of it, saves it and reads it back."""
    try:
        model = model_of([source], names)
        K.Model.from_config(model.get_config())
        return True
    except Exception as e:
        print(f"dropped {source}: {type(e).__name__}: {str(e).strip().splitlines()[0][:120] if str(e).strip() else ''}", flush=True)
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--nodes", action="store_true")
    parser.add_argument("--single", action="store_true")
    parser.add_argument("--more", action="store_true")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    if args.nodes:
        # Without eager execution tf_keras makes layers of the nodes of TensorFlow's graph, as it did before TF 2.4.
        tf.compat.v1.disable_eager_execution()
    args.single |= args.more
    suffix = "_nodes" if args.nodes else "_more" if args.more else "" if args.single else "_families"
    w = Writer(args.out, "legacy3" + suffix, args.seed)
    for family in FAMILIES:
        if args.only not in family:
            continue
        names = arguments(family)
        good = [s for s in parts(family) if (s in LEFT_OUT if args.more else args.single or s not in LEFT_OUT) and works(s, names)]
        for at, sources in enumerate([[s] for s in good] if args.single else [good]):
            name = family + (f"_{at}" if args.single else "")
            if args.single:
                print(name, sources[0], flush=True)
            try:
                w.add(name, lambda: model_of(sources, names), inputs=numbers)
            except Exception as e:
                print(f"dropped {name}: {type(e).__name__}: {str(e).strip()[:300]}", flush=True)
    w.close()


if __name__ == "__main__":
    main()
