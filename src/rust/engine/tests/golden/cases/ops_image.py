"""keras.ops.image, and the operations of keras.ops.nn over windows, as nodes of graphs."""

import keras
import numpy as np
from common import ints, normal, uniform
from keras import ops as K

I = K.image
BYTES = uniform(0, 255)
UNIT = uniform(0, 1)
INTERPOLATIONS = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"]
FILLS = ["constant", "nearest", "wrap", "reflect"]
IMAGE, FIRST = (7, 9, 3), (3, 7, 9)
POINTS = np.array([[0, 0], [8, 0], [0, 6], [8, 6]], "float32")
MOVED = np.array([[1, 1], [7, 0.5], [0.5, 5], [7.5, 6.5]], "float32")


def cases(c):
    def one(name, fn, shape=IMAGE, dtype=None, inputs=BYTES, **kwargs):
        def build():
            x = keras.Input(shape, dtype=dtype)
            return keras.Model(x, fn(x))

        c.add(name, build, inputs=inputs, optional=True, **{"rows": 2, **kwargs})

    def two(name, fn, a=IMAGE, b=IMAGE, dtypes=(None, None), inputs=None, **kwargs):
        def build():
            x, y = keras.Input(a, name="x", dtype=dtypes[0]), keras.Input(b, name="y", dtype=dtypes[1])
            return keras.Model([x, y], fn(x, y))

        c.add(name, build, inputs=inputs, optional=True, **{"rows": 2, **kwargs})

    colours(one)
    sizes(c, one)
    warps(c, one, two)
    filters(one, two)
    windows(c, one)


def greyish(rng, shape, dtype):
    x = rng.uniform(0, 1, size=shape)
    x[:, 0] = x[:, 0, :, :1]
    x[:, 1, :, 1] = x[:, 1, :, 0]
    x[:, 2] = 0
    return x.astype(dtype)


def colours(one):
    first = {"data_format": "channels_first"}
    for name, fn in [("gray", I.rgb_to_grayscale), ("hsv", I.rgb_to_hsv), ("rgb", I.hsv_to_rgb)]:
        one(name, fn, inputs=greyish)
        one(f"{name}_first", lambda x, f=fn: f(x, **first), FIRST, inputs=UNIT)
        one(f"{name}_half", fn, dtype="float16", inputs=UNIT)
        one(f"{name}_float64", fn, dtype="float64", inputs=UNIT)
        one(f"{name}_negative", fn, inputs=normal(2.0))
        one(f"{name}_image", lambda x, f=fn: f(x), (9, 3), rows=7, inputs=UNIT, row_independent=False)
    one("gray_uint8", I.rgb_to_grayscale, dtype="uint8", inputs=ints(256))
    one("gray_int32", I.rgb_to_grayscale, dtype="int32", inputs=ints(256))
    one("gray_one", I.rgb_to_grayscale, (7, 9, 1))


def sizes(c, one):
    for how in INTERPOLATIONS:
        one(f"resize_{how}", lambda x, h=how: I.resize(x, (4, 12), interpolation=h))
        one(f"resize_{how}_antialias", lambda x, h=how: I.resize(x, (4, 5), interpolation=h, antialias=True))
        one(f"resize_{how}_uint8", lambda x, h=how: I.resize(x, (4, 12), interpolation=h), dtype="uint8", inputs=ints(256))
    one("resize_crop", lambda x: I.resize(x, (6, 4), crop_to_aspect_ratio=True))
    one("resize_pad", lambda x: I.resize(x, (6, 4), pad_to_aspect_ratio=True, fill_value=3.5))
    one("resize_pad_int", lambda x: I.resize(x, (6, 4), pad_to_aspect_ratio=True, fill_value=3), dtype="int32", inputs=ints(256))
    one("resize_first", lambda x: I.resize(x, (6, 4), data_format="channels_first"), FIRST)
    one("resize_half", lambda x: I.resize(x, (6, 4)), dtype="float16")
    one("resize_int64", lambda x: I.resize(x, (6, 4), interpolation="bicubic"), dtype="int64", inputs=ints(256))
    one("resize_int8", lambda x: I.resize(x, (6, 4), interpolation="bicubic"), dtype="int8", inputs=ints(127, -127))
    one("pad", lambda x: I.pad_images(x, top_padding=1, left_padding=2, bottom_padding=3, right_padding=0))
    one("pad_target", lambda x: I.pad_images(x, top_padding=1, right_padding=2, target_height=10, target_width=12))
    one("pad_bottom", lambda x: I.pad_images(x, bottom_padding=1, left_padding=2, target_height=10, target_width=12, data_format="channels_first"), FIRST)
    one("pad_int", lambda x: I.pad_images(x, 1, 2, 3, 4), dtype="int32", inputs=ints(99))
    one("crop", lambda x: I.crop_images(x, top_cropping=1, left_cropping=2, bottom_cropping=3, right_cropping=0))
    one("crop_target", lambda x: I.crop_images(x, top_cropping=1, right_cropping=2, target_height=4, target_width=3))
    one("crop_bottom", lambda x: I.crop_images(x, bottom_cropping=1, left_cropping=2, target_height=4, target_width=3, data_format="channels_first"), FIRST)
    for method in ["linear", "bilinear", "cubic", "lanczos3", "lanczos5"]:
        for antialias in (True, False):
            one(f"scale_{method}_{antialias}".lower(), lambda x, m=method, a=antialias: I.scale_and_translate(
                x, (2, 5, 12, 3), np.array([0.6, 1.3], "float32"), np.array([0.4, -1.2], "float32"), (1, 2), m, antialias=a), row_independent=False)
    one("scale_one_axis", lambda x: I.scale_and_translate(x, (2, 7, 12, 3), np.array([1.3], "float32"), np.array([0.7], "float32"), (2,), "linear"), row_independent=False)
    one("scale_uint8", lambda x: I.scale_and_translate(x, (2, 5, 12, 3), np.array([0.6, 1.3], "float32"), np.array([0.4, 1.2], "float32"), (1, 2), "cubic"),
        dtype="uint8", inputs=ints(256), row_independent=False)


def warps(c, one, two):
    shift = np.array([[1, 0, 1.5, 0, 1, -0.5, 0, 0]], "float32")
    turn = np.array([[0.9, -0.4, 2.1, 0.35, 0.8, -1.3, 0.01, 0.02]], "float32")
    far = np.array([[2.7, 0.3, -9.3, 0.2, 3.1, -7.7, 0, 0]], "float32")
    for fill in FILLS:
        for how in ("bilinear", "nearest"):
            for name, t in [("turn", turn), ("far", far)]:
                one(f"affine_{fill}_{how}_{name}", lambda x, t=t, f=fill, h=how: I.affine_transform(x, t, interpolation=h, fill_mode=f, fill_value=7.5))
    one("affine_shift", lambda x: I.affine_transform(x, shift))
    one("affine_rank1", lambda x: I.affine_transform(x, turn[0]))
    one("affine_first", lambda x: I.affine_transform(x, turn, data_format="channels_first", fill_mode="reflect"), FIRST)
    two("affine_tensor", lambda x, t: I.affine_transform(x, t), IMAGE, (8,), inputs=[BYTES, lambda r, s, d: (turn + r.normal(size=s) * 0.02).astype(d)])
    for dtype in ["uint8", "int32", "float16", "float64"]:
        one(f"affine_{dtype}", lambda x: I.affine_transform(x, turn, fill_value=9), dtype=dtype, inputs=ints(200))
    one("perspective", lambda x: I.perspective_transform(x, POINTS, MOVED))
    one("perspective_nearest", lambda x: I.perspective_transform(x, POINTS, MOVED, interpolation="nearest", fill_value=5))
    one("perspective_back", lambda x: I.perspective_transform(x, MOVED, POINTS))
    one("perspective_first", lambda x: I.perspective_transform(x, POINTS, MOVED, data_format="channels_first"), FIRST)
    two("perspective_tensor", lambda x, p: I.perspective_transform(x, K.zeros_like(p) + POINTS, p), IMAGE, (4, 2),
        inputs=[BYTES, lambda r, s, d: (MOVED + r.normal(size=s) * 0.2).astype(d)])
    coordinates = np.random.default_rng(5).uniform(-4, 10, size=(3, 4, 5)).astype("float32")
    coordinates[0] = np.random.default_rng(6).uniform(0, 1, size=(4, 5))
    for fill in FILLS:
        for order in (0, 1):
            one(f"map_{fill}_{order}", lambda x, f=fill, o=order: I.map_coordinates(x, coordinates, o, fill_mode=f, fill_value=2.5), (6, 7),
                row_independent=False, call={"training": False})
    one("map_int", lambda x: I.map_coordinates(x, coordinates, 1), (6, 7), "int32", ints(99), row_independent=False, call={"training": False})


def filters(one, two):
    first = {"data_format": "channels_first"}
    one("blur", lambda x: I.gaussian_blur(x))
    one("blur_wide", lambda x: I.gaussian_blur(x, (5, 5), (1.4, 0.6)))
    one("blur_rectangle", lambda x: I.gaussian_blur(x, (3, 5), (0.7, 1.2)))
    one("blur_even", lambda x: I.gaussian_blur(x, (4, 2), (0.7, 1.2)))
    one("blur_first", lambda x: I.gaussian_blur(x, data_format="channels_first"), FIRST)
    one("blur_image", lambda x: I.gaussian_blur(x), (9, 3), rows=7, row_independent=False)
    one("blur_float64", lambda x: I.gaussian_blur(x), dtype="float64")
    one("sobel", I.sobel_edges)
    one("sobel_first", lambda x: I.sobel_edges(x, **first), FIRST)
    near = [UNIT, UNIT]
    two("ssim", lambda x, y: I.ssim(x, y), (13, 12, 2), (13, 12, 2), inputs=near)
    two("ssim_small", lambda x, y: I.ssim(x, y, max_val=2.0, filter_size=4, filter_sigma=0.8, k1=0.02, k2=0.05), inputs=near)
    two("ssim_first", lambda x, y: I.ssim(x, y, filter_size=3, data_format="channels_first"), FIRST, FIRST, inputs=near)
    two("ssim_bytes", lambda x, y: I.ssim(x, y * 0.5 + x * 0.5, max_val=255.0, filter_size=5), inputs=[BYTES, BYTES])
    two("psnr", lambda x, y: K.psnr(x, y, 2.0), (5,), (5,), inputs=near, row_independent=False, call={"training": False})


def windows(c, one):
    for padding in ("valid", "same"):
        one(f"patches_{padding}", lambda x, p=padding: I.extract_patches(x, 3, padding=p))
        one(f"patches_{padding}_strides", lambda x, p=padding: I.extract_patches(x, (3, 2), strides=(1, 2), padding=p))
        one(f"patches_{padding}_dilation", lambda x, p=padding: I.extract_patches(x, (2, 3), strides=1, dilation_rate=2, padding=p))
        one(f"patches_{padding}_first", lambda x, p=padding: I.extract_patches(x, (3, 2), padding=p, data_format="channels_first"), FIRST)
        one(f"patches3d_{padding}", lambda x, p=padding: I.extract_patches(x, (3, 2, 2), strides=(1, 2, 2), padding=p), (6, 7, 5, 2))
        one(f"patches3d_{padding}_fn", lambda x, p=padding: I.extract_patches_3d(x, 2, padding=p), (6, 7, 5, 2))
        for shape, n in [((9, 3), 1), ((9, 8, 3), 2), ((6, 5, 7, 2), 3)]:
            one(f"max_pool{n}_{padding}", lambda x, p=padding: K.max_pool(x, 2, padding=p), shape, inputs=normal())
            one(f"average_pool{n}_{padding}", lambda x, p=padding: K.average_pool(x, 3, strides=2, padding=p), shape, inputs=normal())
            r = np.random.default_rng(n)
            kernel = r.normal(size=(3,) * n + (shape[-1], 4)).astype("float32") * 0.3
            one(f"conv{n}_{padding}", lambda x, p=padding, k=kernel: K.conv(x, k, padding=p), shape, inputs=normal())
            one(f"conv{n}_{padding}_strides", lambda x, p=padding, k=kernel: K.conv(x, k, strides=2, padding=p), shape, inputs=normal())
            one(f"conv{n}_{padding}_dilation", lambda x, p=padding, k=kernel: K.conv(x, k, dilation_rate=2, padding=p), shape, inputs=normal())
            if n < 3:
                deep = r.normal(size=(3,) * n + (3, 2)).astype("float32") * 0.3
                point = r.normal(size=(1,) * n + (6, 4)).astype("float32")
                one(f"depthwise{n}_{padding}", lambda x, p=padding, k=deep: K.depthwise_conv(x, k, padding=p), shape, inputs=normal())
                one(f"depthwise{n}_{padding}_strides", lambda x, p=padding, k=deep: K.depthwise_conv(x, k, strides=2, padding=p), shape, inputs=normal())
                one(f"separable{n}_{padding}", lambda x, p=padding, k=deep, q=point: K.separable_conv(x, k, q, padding=p), shape, inputs=normal())
                one(f"separable{n}_{padding}_dilation", lambda x, p=padding, k=deep, q=point: K.separable_conv(x, k, q, dilation_rate=2, padding=p), shape, inputs=normal())
    one("max_pool_first", lambda x: K.max_pool(x, (2, 3), strides=(1, 2), data_format="channels_first"), FIRST, inputs=normal())
    one("average_pool_first", lambda x: K.average_pool(x, (2, 3), strides=(1, 2), padding="same", data_format="channels_first"), FIRST, inputs=normal())
    one("patches_int", lambda x: I.extract_patches(x, 3), dtype="int32", inputs=ints(99))
    one("unfold", lambda x: K.unfold(x, 2), (2, 5, 6), inputs=normal())
    one("unfold_all", lambda x: K.unfold(x, (2, 3), dilation=(2, 1), padding=(1, 2), stride=(2, 3)), (3, 9, 8), inputs=normal())
    one("fold", lambda x: K.fold(x, (6, 6), 2), (12, 25), inputs=normal())
    one("fold_all", lambda x: K.fold(x, (9, 8), (2, 3), dilation=(2, 1), padding=(1, 2), stride=(2, 3)), (12, 20), inputs=normal())
