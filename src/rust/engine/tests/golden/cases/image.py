"""Image preprocessing layers as they are in predict(): some act, most only cast."""

import keras
import numpy as np
from common import chain, ints, normal, uniform
from keras import layers as L

BYTES = uniform(0, 255)
UNIT = uniform(0, 1)
INTERPOLATIONS = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"]
DTYPES = ["uint8", "int32", "float16", "int16"]


def flat_channel(rng, shape, dtype):
    x = rng.uniform(10, 200, size=shape)
    x[0, :, :, 0] = 7
    return x.astype(dtype)


def cases(c):
    def one(name, layer, shape=(7, 9, 3), dtype=None, inputs=BYTES, **options):
        c.add(name, lambda: chain(shape, layer(), dtype=dtype), inputs=options.pop("maker", inputs), rows=options.pop("rows", 2), **options)

    resizing(c, one)
    crops(c, one)
    contrast(c, one)
    augmentation(c, one)
    other(c, one)


def first(config):
    return dict(config, data_format="channels_first")


def resizing(c, one):
    for how in INTERPOLATIONS:
        one(f"resizing_{how}_down", lambda h=how: L.Resizing(4, 5, interpolation=h), h5=how == "bilinear")
        one(f"resizing_{how}_up", lambda h=how: L.Resizing(13, 12, interpolation=h))
        one(f"resizing_{how}_mixed", lambda h=how: L.Resizing(11, 4, interpolation=h))
        one(f"resizing_{how}_antialias", lambda h=how: L.Resizing(4, 5, interpolation=h, antialias=True))
        one(f"resizing_{how}_antialias_up", lambda h=how: L.Resizing(10, 17, interpolation=h, antialias=True))
        one(f"resizing_{how}_same", lambda h=how: L.Resizing(7, 9, interpolation=h))
        one(f"resizing_{how}_channels_first", lambda h=how: L.Resizing(5, 6, interpolation=h, data_format="channels_first"), (3, 7, 9))
        if not c.full and how in ("nearest", "bilinear", "lanczos5"):
            continue
        one(f"resizing_{how}_crop", lambda h=how: L.Resizing(6, 5, interpolation=h, crop_to_aspect_ratio=True))
        one(f"resizing_{how}_pad", lambda h=how: L.Resizing(6, 5, interpolation=h, pad_to_aspect_ratio=True, fill_value=12.5))
        one(f"resizing_{how}_uint8", lambda h=how: L.Resizing(4, 5, interpolation=h, dtype="uint8"), dtype="uint8", inputs=ints(256), optional=True)
        one(f"resizing_{how}_one", lambda h=how: L.Resizing(1, 1, interpolation=h))
        one(f"resizing_{how}_from_one", lambda h=how: L.Resizing(3, 4, interpolation=h), (1, 1, 2))
    for dtype in DTYPES:
        one(f"resizing_from_{dtype}", lambda: L.Resizing(4, 5), dtype=dtype, inputs=ints(256))
        one(f"resizing_in_{dtype}", lambda d=dtype: L.Resizing(5, 4, interpolation="bicubic", dtype=d), dtype=dtype, inputs=ints(120), optional=True)
    one("resizing_mixed", lambda: L.Resizing(4, 5, dtype="mixed_float16"))
    one("resizing_float64", lambda: L.Resizing(4, 5, dtype="float64"), dtype="float64")
    one("resizing_none", lambda: L.Resizing(4, 5), (None, None, 3), dims=(6, 11))
    one("resizing_none_crop", lambda: L.Resizing(4, 5, crop_to_aspect_ratio=True), (None, None, 3), dims=(6, 11))
    one("resizing_pad_tall", lambda: L.Resizing(8, 8, pad_to_aspect_ratio=True), (9, 4, 1))
    one("resizing_pad_first", lambda: L.Resizing(8, 8, pad_to_aspect_ratio=True, fill_value=-1.0, data_format="channels_first"), (2, 4, 9))
    one("resizing_crop_first", lambda: L.Resizing(8, 8, crop_to_aspect_ratio=True, data_format="channels_first"), (2, 4, 9))
    one("resizing_pad_uint8", lambda: L.Resizing(8, 8, pad_to_aspect_ratio=True, fill_value=9, dtype="uint8"), (9, 4, 1), "uint8", ints(256), optional=True)
    one("resizing_image", lambda: L.Resizing(3, 5), (6, 3), row_independent=False, rows=7)
    c.add("resizing_nested", lambda: chain((6, 6, 3), L.Rescaling(1 / 255.0), keras.Sequential([keras.Input((6, 6, 3)), L.Resizing(4, 4), L.Conv2D(2, 3)])),
          inputs=BYTES, rows=3)
    c.add("resizing_time_distributed", lambda: chain((2, 5, 6, 1), L.TimeDistributed(L.Resizing(3, 3))), rows=2, optional=True)
    for i, r in c.random("resizing", 6, 60):
        n, shape = [int(v) for v in r.integers(1, 20, size=2)], tuple(int(v) for v in r.integers(1, 20, size=2)) + (int(r.integers(1, 4)),)
        fit = str(r.choice(["", "crop_to_aspect_ratio", "pad_to_aspect_ratio"]))
        config = dict(interpolation=str(r.choice(INTERPOLATIONS)), antialias=bool(r.integers(2)))
        if fit:
            config[fit] = True
        if r.integers(2):
            config["data_format"] = "channels_first"
            shape = (shape[2],) + shape[:2]
        one(f"resizing_random{i}", lambda n=n, k=config: L.Resizing(*n, **k), shape, optional=True)


def crops(c, one):
    for name, size, shape in [("inside", (4, 5), (7, 9, 3)), ("odd", (4, 4), (7, 9, 3)), ("same", (7, 9), (7, 9, 3)), ("higher", (9, 5), (7, 9, 3)),
                              ("wider", (5, 12), (7, 9, 3)), ("larger", (10, 12), (7, 9, 3)), ("one", (1, 1), (2, 2, 1))]:
        one(f"center_crop_{name}", lambda s=size: L.CenterCrop(*s), shape, h5=name == "inside")
        one(f"center_crop_{name}_first", lambda s=size: L.CenterCrop(*s, data_format="channels_first"), (shape[2],) + shape[:2])
    for dtype in DTYPES:
        one(f"center_crop_from_{dtype}", lambda: L.CenterCrop(4, 5), dtype=dtype, inputs=ints(256))
    one("center_crop_uint8", lambda: L.CenterCrop(4, 5, dtype="uint8"), dtype="uint8", inputs=ints(256))
    one("center_crop_uint8_larger", lambda: L.CenterCrop(9, 11, dtype="uint8"), dtype="uint8", inputs=ints(256), optional=True)
    one("center_crop_none", lambda: L.CenterCrop(4, 5), (None, None, 3), dims=(6, 11))
    one("center_crop_half_larger", lambda: L.CenterCrop(9, 11, dtype="float16"), optional=True)
    one("center_crop_image", lambda: L.CenterCrop(3, 5), (6, 3), row_independent=False, rows=7, optional=True)
    for i, r in c.random("center_crop", 3, 30):
        size, shape = [int(v) for v in r.integers(1, 14, size=2)], tuple(int(v) for v in r.integers(1, 14, size=2)) + (2,)
        one(f"center_crop_random{i}", lambda s=size: L.CenterCrop(*s), shape)


def contrast(c, one):
    one("auto_contrast", lambda: L.AutoContrast(), h5=True)
    one("auto_contrast_unit", lambda: L.AutoContrast(value_range=(0, 1)), inputs=UNIT)
    one("auto_contrast_signed", lambda: L.AutoContrast(value_range=[-1, 1]), inputs=uniform(-0.7, 0.9))
    one("auto_contrast_reversed_range", lambda: L.AutoContrast(value_range=[1, 0]), inputs=UNIT)
    one("auto_contrast_flat", lambda: L.AutoContrast(), inputs=flat_channel)
    one("auto_contrast_first", lambda: L.AutoContrast(data_format="channels_first"), (3, 5, 6))
    one("auto_contrast_uint8", lambda: L.AutoContrast(), dtype="uint8", inputs=ints(200, 30))
    one("auto_contrast_half", lambda: L.AutoContrast(dtype="float16"), optional=True)
    one("auto_contrast_float64", lambda: L.AutoContrast(value_range=(0, 1), dtype="float64"), dtype="float64", inputs=UNIT)
    one("auto_contrast_outside", lambda: L.AutoContrast(value_range=(0, 1)), inputs=normal(2.0))
    for grid in [(2, 2), (8, 8), (3, 2), (1, 1)]:
        one(f"clahe_{grid[0]}_{grid[1]}", lambda g=grid: L.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=g), (9, 8, 2))
    clahe = L.ContrastLimitedAdaptiveHistogramEqualization
    one("clahe_unlimited", lambda: clahe(clip_limit=0.0, tile_grid_size=(2, 3)), (8, 9, 3))
    one("clahe_limited", lambda: clahe(clip_limit=40.0, tile_grid_size=(2, 2)), (16, 16, 1), inputs=ints(60))
    one("clahe_unit", lambda: clahe(value_range=(0, 1), tile_grid_size=(2, 2)), (8, 9, 3), inputs=UNIT)
    one("clahe_first", lambda: clahe(tile_grid_size=(2, 2), data_format="channels_first"), (3, 8, 9))
    one("clahe_uint8", lambda: clahe(tile_grid_size=(2, 2), dtype="uint8"), (8, 9, 3), "uint8", ints(256), optional=True)
    one("clahe_from_uint8", lambda: clahe(tile_grid_size=(2, 2)), (8, 9, 3), "uint8", ints(256))
    one("clahe_outside", lambda: clahe(tile_grid_size=(2, 2)), (8, 9, 3), inputs=normal(200.0))
    one("clahe_none", lambda: clahe(tile_grid_size=(2, 2)), (None, None, 3), dims=(7, 8), optional=True)


def factors(r):
    low, high = sorted(float(v) for v in r.uniform(0, 0.5, size=2))
    return [low, high] if r.integers(2) else high


AUGMENTATIONS = {
    "AugMix": [dict(), dict(num_chains=2, chain_depth=1, factor=0.5, alpha=0.5, all_ops=False, interpolation="nearest", seed=3)],
    "CutMix": [dict(), dict(factor=0.3, seed=1)],
    "MixUp": [dict(), dict(alpha=0.4, seed=1)],
    "RandAugment": [dict(), dict(num_ops=1, factor=(0.1, 0.4), interpolation="nearest", value_range=(0, 1))],
    "RandomBrightness": [dict(factor=0.2), dict(factor=(-0.1, 0.3), value_range=[0.0, 1.0], seed=5)],
    "RandomColorDegeneration": [dict(factor=0.5), dict(factor=(0.1, 0.4), value_range=(0, 1))],
    "RandomColorJitter": [dict(), dict(brightness_factor=0.2, contrast_factor=(0.1, 0.3), saturation_factor=0.3, hue_factor=0.1)],
    "RandomContrast": [dict(factor=0.3), dict(factor=(0.1, 0.2), value_range=(0, 1))],
    "RandomCrop": [dict(height=4, width=5), dict(height=7, width=9, seed=3), dict(height=12, width=4)],
    "RandomElasticTransform": [dict(), dict(factor=0.4, scale=0.3, interpolation="nearest", fill_mode="constant", fill_value=2.0)],
    "RandomErasing": [dict(), dict(factor=0.4, scale=(0.1, 0.2), fill_value=3.0)],
    "RandomFlip": [dict(), dict(mode="horizontal"), dict(mode="vertical", seed=2)],
    "RandomGaussianBlur": [dict(), dict(factor=0.5, kernel_size=(3, 5), sigma=0.7)],
    "RandomGrayscale": [dict(), dict(factor=0.2)],
    "RandomHue": [dict(factor=0.2), dict(factor=(0.1, 0.3), value_range=[0, 1])],
    "RandomInvert": [dict(), dict(factor=0.3, value_range=(0, 1))],
    "RandomPerspective": [dict(), dict(factor=0.5, scale=0.3, interpolation="nearest", fill_value=1.0)],
    "RandomPosterization": [dict(factor=4), dict(factor=(2, 6), value_range=(0, 1))],
    "RandomRotation": [dict(factor=0.2), dict(factor=(-0.1, 0.3), fill_mode="constant", fill_value=3.0, interpolation="nearest")],
    "RandomSaturation": [dict(factor=0.3), dict(factor=(0.1, 0.6))],
    "RandomSharpness": [dict(factor=0.3), dict(factor=(0.1, 0.6), value_range=(0, 1))],
    "RandomShear": [dict(x_factor=0.2, y_factor=0.1), dict(x_factor=(0.1, 0.3), fill_mode="wrap")],
    "RandomTranslation": [dict(height_factor=0.2, width_factor=0.1), dict(height_factor=(-0.2, 0.3), width_factor=0.0, fill_mode="nearest", interpolation="nearest")],
    "RandomZoom": [dict(height_factor=0.2), dict(height_factor=(-0.3, 0.2), width_factor=(-0.1, 0.1), fill_mode="wrap", fill_value=1.0)],
    "Solarization": [dict(), dict(addition_factor=0.2, threshold_factor=(0.1, 0.5), value_range=(0, 1), seed=2)],
}


def augmentation(c, one):
    for name, configs in AUGMENTATIONS.items():
        cls, lower = getattr(L, name), name.lower()
        for i, config in enumerate(configs):
            one(f"{lower}{i}", lambda cls=cls, k=config: cls(**k), (4, 5, 3), optional=True)
        if not c.full and name not in ("RandomFlip", "RandomCrop", "RandomZoom", "Solarization"):
            continue
        config = configs[-1]
        one(f"{lower}_uint8", lambda cls=cls, k=configs[0]: cls(**k), (4, 5, 3), "uint8", ints(256), optional=True)
        one(f"{lower}_half_first", lambda cls=cls, k=config: cls(dtype="float16", data_format="channels_first", **k), (3, 4, 5), optional=True)
        if c.full:
            for dtype in ["uint8", "int32", "float64"]:
                one(f"{lower}_in_{dtype}", lambda cls=cls, k=config, d=dtype: cls(dtype=d, **k), (4, 5, 3), optional=True)


def other(c, one):
    def parts():
        return {
            "images": keras.Input((6, 7, 3), name="images"),
            "labels": keras.Input((4,), name="labels"),
            "segmentation_masks": keras.Input((6, 7, 1), name="segmentation_masks"),
            "bounding_boxes": {"boxes": keras.Input((5, 4), name="boxes"), "labels": keras.Input((5,), name="box_labels")},
        }

    def dicts(name, layer, keys=("images", "labels", "segmentation_masks", "bounding_boxes")):
        def build():
            data = {k: v for k, v in parts().items() if k in keys}
            return keras.Model(data, layer()(keras.tree.map_structure(lambda x: x, data)))

        c.add(name, build, rows=2, optional=True)

    dicts("max_boxes_cut", lambda: L.MaxNumBoundingBoxes(3, bounding_box_format="xyxy"))
    dicts("max_boxes_fill", lambda: L.MaxNumBoundingBoxes(7, fill_value=-3, bounding_box_format="rel_xywh"))
    dicts("max_boxes_images", lambda: L.MaxNumBoundingBoxes(7), ("images", "labels"))
    dicts("flip_dict", lambda: L.RandomFlip(bounding_box_format="xyxy"))
    dicts("zoom_dict", lambda: L.RandomZoom(0.2, bounding_box_format="xywh"), ("images", "segmentation_masks"))
    dicts("auto_contrast_dict", lambda: L.AutoContrast(bounding_box_format="center_xywh"))
    one("max_boxes_tensor", lambda: L.MaxNumBoundingBoxes(2))
    one("pipeline", lambda: L.Pipeline([L.AutoContrast(), L.RandomFlip(), L.Rescaling(1 / 255.0), L.Dense(3), L.Dense(2)]))
    one("pipeline_one", lambda: L.Pipeline([L.Resizing(4, 4)]), dtype="uint8", inputs=ints(256))
    one("pipeline_nested", lambda: L.Pipeline([L.Pipeline([L.RandomZoom(0.2), L.CenterCrop(4, 4)]), L.Rescaling(1 / 127.5, offset=-1)]))
    c.add("pipeline_normalization", lambda: chain((5, 3), L.Pipeline([L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 0.5]), L.Dense(2)])), optional=True)
    one("rescaling_lists", lambda: L.Rescaling([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]))
    one("rescaling_list_scale", lambda: L.Rescaling([0.1, 0.2, 0.3], 2.0))
    one("rescaling_first_lists", lambda: L.Rescaling([[[0.1]], [[0.2]], [[0.3]]], [[[1.0]], [[2.0]], [[3.0]]]), (3, 4, 5), optional=True)
    one("rescaling_uint8", lambda: L.Rescaling(1 / 255.0), dtype="uint8", inputs=ints(256))
    one("rescaling_half", lambda: L.Rescaling([0.1, 0.2, 0.3], [1.0, 2.0, 3.0], dtype="float16"))

    one("rescaling_array", lambda: L.Rescaling(np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])), optional=True)
    if c.full:
        one("rescaling_integers", lambda: L.Rescaling(2, 1, dtype="int32"), dtype="int32", inputs=ints(99), optional=True)
