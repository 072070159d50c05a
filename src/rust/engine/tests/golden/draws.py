"""Compares what this engine draws in training with what Keras draws: the distributions of
pixels, of their spread within a row and of their differences between the rows of a batch.

    python draws.py --draw target/release/examples/draw [--only dropout ...] [--times 400]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import keras
import numpy as np
import tensorflow as tf
from common import Pack, chain, npy, saved
from keras import layers as L

ROWS = 8
# How likely draws of the same distribution must be to differ as much.
LEVEL = 1e-7


def cases():
    """name -> (build, shapes of the inputs, their range, whether all rows are the same)"""
    found = {}

    def add(name, layer, shape=(6, 7, 3), top=255.0, alike=True):
        found[name] = (lambda: chain(shape, layer()), [shape], top, alike)

    for rate in (0.1, 0.5, 0.8):
        add(f"dropout_{rate}", lambda r=rate: L.Dropout(r), (4, 3), 1.0)
        add(f"alpha_{rate}", lambda r=rate: L.AlphaDropout(r), (4, 3), 1.0)
        add(f"gaussian_dropout_{rate}", lambda r=rate: L.GaussianDropout(r), (4, 3), 1.0)
        add(f"noise_{rate}", lambda r=rate: L.GaussianNoise(r), (4, 3), 1.0)
        add(f"spatial1d_{rate}", lambda r=rate: L.SpatialDropout1D(r), (4, 3), 1.0)
        add(f"spatial2d_{rate}", lambda r=rate: L.SpatialDropout2D(r), (2, 3, 3), 1.0)
        add(f"spatial3d_{rate}", lambda r=rate: L.SpatialDropout3D(r), (2, 2, 2, 3), 1.0)
    add("spatial2d_first", lambda: L.SpatialDropout2D(0.4, data_format="channels_first"), (3, 2, 2), 1.0)
    for i, noise in enumerate([(None, 1, 3), (1, 4, 3), (None, 4, 1), (1, 1, None), (None, None, 3)]):
        add(f"dropout_shape{i}", lambda n=noise: L.Dropout(0.4, noise_shape=n), (4, 3), 1.0)
        add(f"alpha_shape{i}", lambda n=noise: L.AlphaDropout(0.4, noise_shape=n), (4, 3), 1.0)
    for dtype in ("float16", "bfloat16", "float64"):
        add(f"dropout_{dtype}", lambda d=dtype: L.Dropout(0.3, dtype=d), (4, 3), 1.0)
        add(f"noise_{dtype}", lambda d=dtype: L.GaussianNoise(0.3, dtype=d), (4, 3), 1.0)
        add(f"brightness_{dtype}", lambda d=dtype: L.RandomBrightness(0.3, dtype=d))
        add(f"rotation_{dtype}", lambda d=dtype: L.RandomRotation(0.3, dtype=d))
    for cls in (L.SimpleRNN, L.GRU, L.LSTM):
        name = cls.__name__.lower()
        for k in ({"dropout": 0.4}, {"recurrent_dropout": 0.4}, {"dropout": 0.2, "recurrent_dropout": 0.5, "return_sequences": True}):
            add(f"{name}_{'_'.join(k)}", lambda c=cls, k=k: c(3, kernel_initializer=keras.initializers.RandomNormal(seed=1), recurrent_initializer=keras.initializers.RandomNormal(seed=2), **k), (4, 3), 1.0)
    add("gru_reset_before", lambda: L.GRU(3, recurrent_dropout=0.4, reset_after=False), (4, 3), 1.0)
    add("bidirectional", lambda: L.Bidirectional(L.LSTM(2, dropout=0.4)), (4, 3), 1.0)
    add("convlstm", lambda: L.ConvLSTM1D(2, 2, dropout=0.4, recurrent_dropout=0.3), (3, 4, 2), 1.0)
    add("convlstm2d", lambda: L.ConvLSTM2D(2, 2, dropout=0.4, recurrent_dropout=0.3), (2, 3, 3, 2), 1.0)
    add("stacked", lambda: L.RNN(L.StackedRNNCells([L.GRUCell(2, dropout=0.3), L.LSTMCell(2, dropout=0.4, recurrent_dropout=0.2)])), (3, 2), 1.0)
    add("distributed", lambda: L.TimeDistributed(L.Dropout(0.4)), (3, 2), 1.0)
    add("distributed_spatial", lambda: L.TimeDistributed(L.SpatialDropout1D(0.4)), (3, 2, 2), 1.0)

    def attention(layer):
        x = keras.Input((4, 3))
        return keras.Model(x, layer(x))

    for name, layer in (
        ("attention", lambda x: L.Attention(dropout=0.4)([x, x])),
        ("additive", lambda x: L.AdditiveAttention(dropout=0.4)([x, x])),
        ("heads", lambda x: L.MultiHeadAttention(2, 3, dropout=0.4)(x, x)),
        ("groups", lambda x: L.GroupQueryAttention(2, 4, 2, dropout=0.4)(x, x)),
    ):
        found[name] = (lambda f=layer: attention(f), [(4, 3)], 1.0, True)

    for fill in ("constant", "nearest", "wrap", "reflect"):
        for how in ("bilinear", "nearest"):
            k = {"fill_mode": fill, "interpolation": how, "fill_value": 9.0}
            add(f"rotation_{fill}_{how}", lambda k=k: L.RandomRotation(0.3, **k))
            add(f"translation_{fill}_{how}", lambda k=k: L.RandomTranslation((-0.3, 0.2), 0.4, **k))
            add(f"zoom_{fill}_{how}", lambda k=k: L.RandomZoom((-0.4, 0.3), **k))
            add(f"shear_{fill}_{how}", lambda k=k: L.RandomShear((0.0, 0.4), (0.1, 0.3), **k))
            add(f"elastic_{fill}_{how}", lambda k=k: L.RandomElasticTransform(0.7, (0.2, 0.9), **k))
    add("elastic_large", lambda: L.RandomElasticTransform(1.0, 1.0), (24, 22, 1))
    add("elastic_range", lambda: L.RandomElasticTransform(1.0, (0.5, 1.0)), (45, 44, 1))
    add("elastic_default", lambda: L.RandomElasticTransform())
    add("elastic_unit", lambda: L.RandomElasticTransform(0.5, 0.5, value_range=(0, 1)), top=1.0)
    add("rotation_default", lambda: L.RandomRotation(0.1))
    add("rotation_first", lambda: L.RandomRotation(0.1, data_format="channels_first"), (3, 6, 7))
    add("translation_int", lambda: L.RandomTranslation(0.2, (0.1, 0.3)))
    add("zoom_two", lambda: L.RandomZoom((-0.4, 0.3), (0.1, 0.4)))
    add("zoom_one", lambda: L.RandomZoom(0.4))
    add("shear_default", lambda: L.RandomShear((0.2, 0.4)))
    for how in ("bilinear", "nearest"):
        add(f"perspective_{how}", lambda h=how: L.RandomPerspective(0.7, 0.5, interpolation=h, fill_value=9.0))
    add("perspective_default", lambda: L.RandomPerspective())
    for mode in ("horizontal", "vertical", "horizontal_and_vertical"):
        add(f"flip_{mode}", lambda m=mode: L.RandomFlip(m))
    add("crop", lambda: L.RandomCrop(4, 3))
    add("crop_one", lambda: L.RandomCrop(5, 6))
    add("mixup", lambda: L.MixUp(), alike=False)
    add("mixup_alpha", lambda: L.MixUp(2.0), alike=False)
    add("cutmix", lambda: L.CutMix(), alike=False)
    add("cutmix_factor", lambda: L.CutMix((0.4, 0.9)), alike=False)
    add("cutmix_first", lambda: L.CutMix(data_format="channels_first"), (3, 6, 7), alike=False)
    for name, top in (("bytes", 255.0), ("unit", 1.0)):
        r = {"value_range": (0, int(top))}

        def color(kind, layer, top=top, range=name):
            add(f"{kind}_{range}", layer, top=top)

        color("brightness", lambda r=r: L.RandomBrightness(0.3, **r))
        color("brightness_two", lambda r=r: L.RandomBrightness((-0.1, 0.4), **r))
        color("contrast", lambda r=r: L.RandomContrast(0.4, **r))
        color("contrast_two", lambda r=r: L.RandomContrast((0.2, 0.6), **r))
        color("hue", lambda r=r: L.RandomHue(0.4, **r))
        color("hue_two", lambda r=r: L.RandomHue((0.2, 0.9), **r))
        color("saturation", lambda r=r: L.RandomSaturation(0.4, **r))
        color("saturation_two", lambda r=r: L.RandomSaturation((0.3, 0.8), **r))
        color("grayscale", lambda r=r: L.RandomGrayscale(0.3))
        color("degeneration", lambda r=r: L.RandomColorDegeneration(0.7, **r))
        color("posterization", lambda r=r: L.RandomPosterization(5, **r))
        color("posterization_two", lambda r=r: L.RandomPosterization((3, 6), **r))
        color("sharpness", lambda r=r: L.RandomSharpness(0.7, **r))
        color("sharpness_two", lambda r=r: L.RandomSharpness((0.2, 0.9), **r))
        color("solarization", lambda r=r: L.Solarization(0.3, 0.4, **r))
        color("solarization_two", lambda r=r: L.Solarization((0.1, 0.3), (0.2, 0.8), **r))
        color("invert", lambda r=r: L.RandomInvert(0.7, **r))
        color("invert_two", lambda r=r: L.RandomInvert((0.3, 0.7), **r))
        color("erasing", lambda r=r: L.RandomErasing(0.7, **r))
        color("erasing_fill", lambda r=r: L.RandomErasing(1.0, scale=(0.1, 0.6), fill_value=0.4, **r))
        color("blur", lambda r=r: L.RandomGaussianBlur(0.7, 3, 1.0, **r))
        color("blur_two", lambda r=r: L.RandomGaussianBlur((0.5, 1.0), (3, 5), (0.3, 2.0), **r))
        color("jitter", lambda r=r: L.RandomColorJitter(brightness_factor=0.3, contrast_factor=0.3, saturation_factor=0.4, hue_factor=0.2, **r))
        for part in ("brightness", "contrast", "saturation", "hue"):
            color(f"jitter_{part}", lambda r=r, p=part: L.RandomColorJitter(**{f"{p}_factor": 0.4}, **r))
        color("rand_augment", lambda r=r: L.RandAugment(**r))
        color("rand_augment_three", lambda r=r: L.RandAugment(num_ops=3, factor=(0.2, 0.8), interpolation="nearest", **r))
        color("aug_mix", lambda r=r: L.AugMix(**r))
        color("aug_mix_some", lambda r=r: L.AugMix(num_chains=2, chain_depth=1, factor=0.6, alpha=0.5, all_ops=False, interpolation="nearest", **r))
    add("aug_mix_single", lambda: L.AugMix(num_chains=1, chain_depth=1, factor=0.5))
    add("rand_augment_single", lambda: L.RandAugment(num_ops=1, factor=0.5))
    add("pipeline", lambda: L.Pipeline([L.RandomFlip(), L.RandomBrightness(0.2)]))

    def dict_of(layer, shapes):
        parts = {key: keras.Input(shape, name=key) for key, shape in shapes.items()}
        return keras.Model(parts, layer(dict(parts)))

    for name, layer in {
        "flip": lambda **k: L.RandomFlip(**k),
        "rotation": lambda **k: L.RandomRotation(0.3, **k),
        "translation": lambda **k: L.RandomTranslation(0.3, 0.2, **k),
        "zoom": lambda **k: L.RandomZoom(0.4, **k),
        "perspective": lambda **k: L.RandomPerspective(0.7, 0.5, **k),
        "elastic": lambda **k: L.RandomElasticTransform(0.7, 0.5, **k),
        "brightness": lambda **k: L.RandomBrightness(0.3, **k),
        "erasing": lambda **k: L.RandomErasing(0.7, **k),
        "mixup": lambda **k: L.MixUp(2.0, **k),
        "cutmix": lambda **k: L.CutMix(**k),
        "rand_augment": lambda **k: L.RandAugment(**k),
        "aug_mix": lambda **k: L.AugMix(**k),
        "pipeline": lambda **k: L.Pipeline([L.RandomFlip(**k), L.RandomZoom(0.2, **k)]),
    }.items():
        for first in (False, True)[: 2 if name in ("flip", "rotation", "cutmix") else 1]:
            shapes = {"images": (3, 6, 7), "labels": (4,), "segmentation_masks": (1, 6, 7)} if first else {"images": (6, 7, 3), "labels": (4,), "segmentation_masks": (6, 7, 1)}
            layout = {"data_format": "channels_first"} if first else {}
            build = lambda f=layer, k=layout, s=shapes: dict_of(f(**k), s)
            found[f"dict_{name}{'_first' * first}"] = (build, list(shapes.values()), 255.0, name not in ("mixup", "cutmix"))
    return found


def keras_draws(model, arrays, times):
    """The outputs, each as (times, rows, ...)."""

    def call(x):
        return keras.tree.flatten(model(x, training=True))

    # The steps of AugMix are drawn by Python, and MixUp takes numbers out of the graph.
    if not any(isinstance(layer, (L.AugMix, L.MixUp)) for layer in model.layers):
        call = tf.function(call)
    x = keras.tree.pack_sequence_as(model._inputs_struct, [tf.convert_to_tensor(a) for a in arrays])
    draws = [call(x) for _ in range(times)]
    return [np.stack([np.asarray(tf.cast(y, "float64")) for y in ys]) for ys in zip(*draws)]


def in_rows(outputs):
    """All outputs of a row together."""
    return np.concatenate([y.reshape(*y.shape[:2], -1) for y in outputs], axis=2)


def distance(a, b):
    """The two-sample Kolmogorov-Smirnov statistic, and how likely a larger one is."""
    a, b = np.sort(a), np.sort(b)
    # What differs by rounding is the same.
    step = max(1e-9, 1e-4 * max(np.abs(a).max(), np.abs(b).max()))
    a, b = np.round(a / step), np.round(b / step)
    points = np.unique(np.concatenate([a, b]))

    def cdf(v, p):
        return np.searchsorted(v, p, side="right") / len(v)

    # A step further, since rounding may have put the same on either side.
    over = cdf(a, points) - cdf(b, points + 1)
    under = cdf(b, points) - cdf(a, points + 1)
    d = max(over.max(), under.max(), 0.0)
    n = len(a) * len(b) / (len(a) + len(b))
    t = (np.sqrt(n) + 0.12 + 0.11 / np.sqrt(n)) * d
    p = 2 * sum((-1) ** (k - 1) * np.exp(-2 * k * k * t * t) for k in range(1, 101)) if t > 0.3 else 1.0
    return d, float(np.clip(p, 0, 1))


def views(y, rng):
    """What is compared of draws (times, rows, ...): name -> numbers that are independent of each other."""
    times, rows = y.shape[:2]
    flat = y.reshape(times, rows, -1)
    places = rng.choice(flat.shape[2], size=min(6, flat.shape[2]), replace=False)
    found = {f"element {int(p)}": flat[:, 0, p] for p in places}
    for i in range(3):
        along = rng.normal(size=flat.shape[2])
        found[f"row along {i}"] = flat[:, 0] @ along
        found[f"rows apart along {i}"] = (flat[:, 0] - flat[:, 1]) @ along
        found[f"rows together along {i}"] = flat.mean(axis=1) @ along
    centred = flat[:, 0] - flat[:, 0].mean(axis=1, keepdims=True)
    found["deviation in a row"] = np.sqrt((centred**2).mean(axis=1))
    found["range in a row"] = np.ptp(flat[:, 0], axis=1)
    found["most"] = flat.max(axis=(1, 2))
    found["least"] = flat.min(axis=(1, 2))
    found["zeros"] = (flat == 0).mean(axis=(1, 2))
    found["rows that differ"] = np.abs(np.diff(flat, axis=1)).mean(axis=(1, 2))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", required=True)
    parser.add_argument("--only", nargs="*", help="parts of names")
    parser.add_argument("--times", type=int, default=400)
    args = parser.parse_args()
    chosen = {k: v for k, v in cases().items() if not args.only or any(o in k for o in args.only)}
    failed = 0
    for name, (build, shapes, top, alike) in chosen.items():
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(1)
        rng = np.random.default_rng(5)
        arrays = [rng.uniform(0, top, size=(1 if alike else ROWS, *shape)).astype("float32") for shape in shapes]
        arrays = [np.repeat(x, ROWS, axis=0) if alike else x for x in arrays]
        data, model = saved(build(), ".keras")
        random.seed(3)
        outputs = keras_draws(model, arrays, args.times)
        want = in_rows(outputs)
        meta = {"name": name, "rows": ROWS, "call": {"training": True}, "inputs": []}
        with tempfile.TemporaryDirectory() as folder:
            pack = Pack(os.path.join(folder, "draw.zip"))
            pack.write(f"{name}/model.keras", data)
            for i, x in enumerate(arrays):
                pack.write(f"{name}/in.{i}.npy", npy(x))
            pack.write(f"{name}/meta.json", json.dumps(meta))
            pack.close()
            said = subprocess.run([args.draw, os.path.join(folder, "draw.zip"), str(args.times), folder], capture_output=True, text=True)
            have = np.fromfile(os.path.join(folder, name)) if said.returncode == 0 else np.zeros(0)
        if have.size != want.size:
            failed += 1
            print(f"FAILED {name}: {have.size} numbers where Keras draws {want.size}: {said.stdout}{said.stderr[-300:]}", flush=True)
            continue
        ends = np.cumsum([y[0].size for y in outputs])
        parts = np.split(have.reshape(args.times, -1), ends[:-1], axis=1)
        have = in_rows([part.reshape(y.shape) for part, y in zip(parts, outputs)])
        seen = [(*distance(a, b), key, a, b) for (key, a), b in zip(views(have, np.random.default_rng(7)).items(), views(want, np.random.default_rng(7)).values())]
        wrong = sorted((s for s in seen if s[1] < LEVEL), key=lambda s: s[1])
        for d, p, key, a, b in wrong[:4]:
            print(f"  {name}, {key}: {a.mean():.5g} +- {a.std():.5g} from {a.min():.5g} to {a.max():.5g} where Keras has {b.mean():.5g} +- {b.std():.5g} from {b.min():.5g} to {b.max():.5g} (distance {d:.3f})")
        failed += bool(wrong)
        print(f"{'FAILED' if wrong else 'ok'} {name}", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
