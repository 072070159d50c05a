"""model(x, training=True) of augmentation layers with factors that leave nothing to chance."""

import keras
from common import chain, uniform
from keras import layers as L

TRAIN = {"training": True}
BYTES = uniform(0, 255)
UNIT = uniform(0, 1)
FILLS = ["constant", "nearest", "wrap", "reflect"]


def cases(c):
    def one(name, layer, shape=(6, 7, 3), inputs=BYTES, dtype=None, rows=3, **options):
        c.add(name.replace(".", ""), lambda: chain(shape, layer(), dtype=dtype), inputs=inputs, rows=rows, call=TRAIN, row_independent=False, **options)

    for fill in FILLS:
        for how in ("bilinear", "nearest"):
            k = {"fill_mode": fill, "interpolation": how, "fill_value": 3.0}
            one(f"translation_{fill}_{how}", lambda k=k: L.RandomTranslation((0.31, 0.31), (-0.23, -0.23), **k))
            one(f"rotation_{fill}_{how}", lambda k=k: L.RandomRotation((0.13, 0.13), **k))
            one(f"zoom_{fill}_{how}", lambda k=k: L.RandomZoom((0.37, 0.37), (-0.21, -0.21), **k))
    one("rotation_quarter", lambda: L.RandomRotation((0.25, 0.25)), shape=(6, 6, 1))
    one("rotation_first", lambda: L.RandomRotation((0.1, 0.1), data_format="channels_first"), shape=(3, 6, 7))
    one("zoom_both", lambda: L.RandomZoom((-0.3, -0.3)))
    one("shear_none", lambda: L.RandomShear(0.0, 0.0))
    one("perspective_none", lambda: L.RandomPerspective(0.0, 0.5))
    one("perspective_still", lambda: L.RandomPerspective(1.0, 0.0))
    one("crop_same", lambda: L.RandomCrop(6, 7))
    one("crop_small", lambda: L.RandomCrop(9, 4))
    one("crop_larger", lambda: L.RandomCrop(9, 8))
    one("crop_one_side", lambda: L.RandomCrop(6, 3))
    for name, inputs, range in (("bytes", BYTES, (0, 255)), ("unit", UNIT, (0, 1))):
        r = {"value_range": range}
        one(f"hue_none_{name}", lambda r=r: L.RandomHue((0.0, 0.0), **r), inputs=inputs)
        for f in (0.0, 0.3, 0.5, 0.8):
            one(f"saturation_{f}_{name}", lambda f=f, r=r: L.RandomSaturation((f, f), **r), inputs=inputs)
            one(f"degeneration_{f}_{name}", lambda f=f, r=r: L.RandomColorDegeneration((f, f), **r), inputs=inputs)
            one(f"sharpness_{f}_{name}", lambda f=f, r=r: L.RandomSharpness((f, f), **r), inputs=inputs)
        for bits in (1, 3, 7):
            one(f"posterization_{bits}_{name}", lambda b=bits, r=r: L.RandomPosterization((b, b), **r), inputs=inputs)
        one(f"brightness_{name}", lambda r=r: L.RandomBrightness((0.2, 0.2), **r), inputs=inputs)
        one(f"contrast_{name}", lambda r=r: L.RandomContrast((0.0, 0.0), **r), inputs=inputs)
        one(f"invert_{name}", lambda r=r: L.RandomInvert((1.0, 1.0), **r), inputs=inputs)
        one(f"invert_none_{name}", lambda r=r: L.RandomInvert((0.0, 0.0), **r), inputs=inputs)
        one(f"solarization_{name}", lambda r=r: L.Solarization(0.0, 0.0, **r), inputs=inputs)
        # By itself, Keras takes it for a cycle of the graph.
        one(f"equalization_{name}", lambda r=r: L.Pipeline([L.Equalization(**r)]), inputs=inputs)
        one(f"equalization_{name}_bins", lambda r=r: L.Pipeline([L.Equalization(bins=16, **r)]), inputs=inputs)
        one(f"jitter_{name}", lambda r=r: L.RandomColorJitter(brightness_factor=(0.1, 0.1), saturation_factor=(0.7, 0.7), **r), inputs=inputs)
        one(f"erasing_none_{name}", lambda r=r: L.RandomErasing(0.0, **r), inputs=inputs)
        one(f"erasing_all_{name}", lambda r=r: L.RandomErasing((1.0, 1.0), scale=(1.0, 1.0), fill_value=0.5, **r), inputs=inputs)
        one(f"erasing_colour_{name}", lambda r=r: L.RandomErasing((1.0, 1.0), scale=(1.0, 1.0), fill_value=(0.1, 0.5, 0.9), **r), inputs=inputs)
        one(f"blur_{name}", lambda r=r: L.RandomGaussianBlur((1.0, 1.0), kernel_size=3, sigma=(0.8, 0.8), **r), inputs=inputs)
        one(f"blur_wide_{name}", lambda r=r: L.RandomGaussianBlur((1.0, 1.0), kernel_size=(3, 5), sigma=(0.5, 0.5), **r), inputs=inputs)
        one(f"blur_none_{name}", lambda r=r: L.RandomGaussianBlur((0.0, 0.0), **r), inputs=inputs)
    one("grayscale", lambda: L.RandomGrayscale(1.0))
    one("grayscale_none", lambda: L.RandomGrayscale(0.0))
    one("grayscale_first", lambda: L.RandomGrayscale(1.0, data_format="channels_first"), shape=(3, 6, 7))
    one("flip_none_row", lambda: L.RandomInvert((0.0, 0.0)), rows=1)

    def pipeline():
        x = keras.Input((6, 7, 3))
        steps = [L.RandomRotation((0.25, 0.25)), L.RandomBrightness((0.1, 0.1)), L.RandomGrayscale(1.0)]
        return keras.Model(x, L.Pipeline(steps)(x))

    c.add("pipeline", pipeline, inputs=BYTES, rows=2, call=TRAIN, row_independent=False)
