"""Writes legacy5*.zip: resizing, blocks of pixels and choices by TensorFlow in models of Keras 2.

    python legacy5.py --out packs              legacy5.zip: as functions
    python legacy5.py --out packs --nodes      legacy5_nodes.zip: as the `TensorFlowOpLayer`s of TF 2.0 to 2.3

It needs what legacy.py needs.
"""

import numpy as np
import tensorflow as tf
import tf_keras as K
from legacy import Writer, arguments

L, nn, old = K.layers, tf.nn, tf.compat.v1


def values(*shape):
    return (np.arange(np.prod(shape)).reshape(shape) * 7 % 11 / 5 - 1).astype("float32")


def resized(u):
    sizes = [(8, 11), (3, 2)]
    return [tf.image.resize(u, s, m, antialias=a) for m in ("gaussian", "mitchellcubic", "lanczos3", "bilinear", "bicubic") for s in sizes for a in (False, True)]


def resized_before(u):
    sizes = [(8, 11), (3, 2), (6, 7)]
    ways = [old.image.resize_bicubic, old.image.resize_area]
    return [way(u, s, align_corners=c) for way in ways for s in sizes for c in (False, True)] + [old.image.resize(u, (4, 9), method=m) for m in (2, 3)]


def half_pixels(u):
    return [old.image.resize_bicubic(u, (8, 11), half_pixel_centers=True), tf.image.resize(u, (7, 3), "area"), tf.image.resize(u, (7, 3), "bicubic")]


def batches(u):
    return [
        tf.batch_to_space(tf.space_to_batch(u, [2, 3], [[1, 0], [0, 0]]) * 2.0, [2, 3], [[0, 1], [1, 2]]),
        tf.batch_to_space(tf.space_to_batch_nd(u, [5], [[0, 0]]) + 1.0, [5], [[1, 1]]),
        nn.atrous_conv2d(u, values(2, 2, 3, 4), 2, "SAME"),
        nn.atrous_conv2d(u, values(2, 2, 3, 2), 2, "VALID"),
    ]


def dilated(u):
    one, two = [1, 1, 1, 1], [1, 2, 1, 1]
    return [
        nn.dilation2d(u, values(2, 3, 3), one, "SAME", "NHWC", one),
        nn.dilation2d(u, values(2, 2, 3), two, "VALID", "NHWC", [1, 1, 2, 1]),
        nn.dilation2d(u, np.zeros((3, 3, 3), "float32"), [1, 3, 2, 1], "SAME", "NHWC", one),
        nn.erosion2d(u, values(2, 3, 3), one, "SAME", "NHWC", one),
        nn.erosion2d(u, values(2, 2, 3), two, "VALID", "NHWC", [1, 1, 2, 1]),
        old.nn.dilation2d(u, values(2, 3, 3), one, one, "SAME"),
    ]


def transposed(u):
    at = tf.shape(u)[0]
    return [
        nn.conv2d_transpose(u, values(3, 3, 4, 3), tf.stack([at, 10, 12, 4]), 2),
        nn.conv2d_transpose(u, values(3, 2, 4, 3), tf.stack([at, 9, 11, 4]), [2, 2], "SAME"),
        nn.conv2d_transpose(u, values(2, 4, 2, 3), tf.stack([at, 11, 20, 2]), [1, 2, 3, 1], "VALID"),
    ]


def chosen(u):
    rows = u[:, 0, 0, 0] > 0
    return [
        tf.where(u > 0, u, -u), tf.where(u[:, :1, :1] > 0, u, 0.0), tf.where(u > 0, [1.0, 2.0, 3.0], u[:, :, :, :1]),
        old.where(u > 0, u, -u), old.where(rows, u, -u), old.where(rows, u[:, 0, 0], u[:, 1, 1]), old.where(rows, u[:, 0, 0, 1], u[:, 1, 1, 1]),
    ]


def main():
    args = arguments(__doc__, nodes=True)
    w = Writer(args.out, "legacy5" + ("_nodes" if args.nodes else ""), args.seed)
    for case in (resized, resized_before, half_pixels, batches, dilated, transposed, chosen):
        def build():
            u = L.Input((5, 6, 3), name="u")
            return K.Model(u, case(u))

        w.add(case.__name__, build)
    w.close()


if __name__ == "__main__":
    main()
