"""Times keraspredict in R beside Keras (TensorFlow) in one run.

    python bench/bench.py [--quick] [--out bench/RESULTS.md]

Needs keras and tensorflow-cpu in this Python, and R with keraspredict
installed. Both sides use the same number of threads, the same models and the
same inputs; the predictions are compared. Rounds are interleaved, so that a
machine that changes its speed changes it for both. The figure of a round is
the wall time of one predict(); a row's figure is the median of the rounds.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

THREADS = 2
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["OMP_NUM_THREADS"] = str(THREADS)
os.environ["KERASPREDICT_THREADS"] = str(THREADS)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)

import keras  # noqa: E402
from keras import layers  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def mlp():
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(1),
        ]
    )


def cnn():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def lstm():
    return keras.Sequential(
        [
            keras.Input((100, 16)),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.LSTM(64),
            layers.Dense(1),
        ]
    )


def application(name):
    return lambda: getattr(keras.applications, name)(weights=None)


# name, model, rows, batch size, in the quick set
WORKLOADS = [
    ("MLP 20-64-64-1, 1 row", mlp, 1, 32, True),
    ("MLP 20-64-64-1, 1e6 rows", mlp, 1_000_000, 32, False),
    ("MLP 20-64-64-1, 1e5 rows", mlp, 100_000, 32, True),
    ("CNN 28x28, 10,000 images", cnn, 10_000, 32, True),
    ("LSTM 2 layers, 1,024 rows of 100 steps", lstm, 1_024, 32, True),
    ("ResNet50 224, 32 images", application("ResNet50"), 32, 32, True),
    ("MobileNetV2 224, 32 images", application("MobileNetV2"), 32, 32, False),
    ("EfficientNetB0 224, 32 images", application("EfficientNetB0"), 32, 32, False),
    ("InceptionV3 299, 16 images", application("InceptionV3"), 16, 16, False),
    ("DenseNet121 224, 16 images", application("DenseNet121"), 16, 16, False),
]


def randomise(model, rng):
    """Batch statistics off their initial values, outputs of a sane size."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            weights = [rng.uniform(0.8, 1.2, w.shape) for w in layer.get_weights()]
            layer.set_weights(weights)


class Engine:
    """An R process that predicts on demand."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            ["Rscript", os.path.join(HERE, "worker.R"), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("answer "):
                return float(line.split()[1])
        sys.exit("the R worker ended")


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def measure(name, build, rows, batch, engine, rounds, rng):
    keras.backend.clear_session()
    model = build()
    randomise(model, rng)
    path = os.path.join(engine.folder, "model.keras")
    model.save(path)
    shape = (rows,) + model.input_shape[1:]
    x = rng.standard_normal(shape, dtype=np.float32)
    # R holds arrays with the first axis fastest.
    np.asfortranarray(x.astype("<f8")).ravel(order="F").tofile(os.path.join(engine.folder, "x.bin"))
    engine.ask(do="load", model=path, shape=list(shape))
    repeat = 200 if rows == 1 else 1
    model.predict(x[:batch], batch_size=batch, verbose=0)
    engine.ask(do="predict", batch=batch, repeat=1)
    theirs, ours, direct = [], [], []
    for _ in range(rounds):
        keras_repeat = 20 if rows == 1 else 1
        t = seconds(lambda: [model.predict(x, batch_size=batch, verbose=0) for _ in range(keras_repeat)])
        theirs.append(t / keras_repeat)
        ours.append(engine.ask(do="predict", batch=batch, repeat=repeat))
        if rows == 1:
            direct.append(engine.ask(do="call", repeat=repeat))
    expected = model.predict(x[:64], verbose=0)
    engine.ask(do="save", rows=min(rows, 64), size=int(expected.size))
    flat = np.fromfile(os.path.join(engine.folder, "y.bin"), "<f8")
    got = flat.reshape(expected.shape, order="F")
    worst = float(np.max(np.abs(got - expected) / (1e-5 + 1e-4 * np.abs(expected))))
    row = dict(
        name=name,
        keras=statistics.median(theirs),
        ours=statistics.median(ours),
        spread=(min(ours), max(ours)),
        worst=worst,
    )
    if direct:
        row["direct"] = statistics.median(direct)
    return row


def cold_start(rounds):
    """Wall time and peak memory of an Rscript that loads and predicts."""
    code = (
        "library(keraspredict); m <- load_model(keraspredict_example('digits')); "
        "invisible(predict(m, array(0, c(1, m$input_shape[-1])), verbose = 0)); "
        "cat(grep('VmHWM', readLines('/proc/self/status'), value = TRUE))"
    )
    walls, peaks = [], []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        out = subprocess.run(["Rscript", "-e", code], stdout=subprocess.PIPE, text=True, check=True)
        walls.append(time.perf_counter() - start)
        peaks.append(int(out.stdout.split("VmHWM:")[1].split()[0]) / 1024)
    return statistics.median(walls[1:]), statistics.median(peaks[1:])


def cpu():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            name = line.split(":")[1].strip()
        if line.startswith("flags"):
            flags = line.split()
            isa = [f for f in ("avx512f", "avx2", "fma") if f in flags]
            return f"{name} ({', '.join(isa)})"
    return platform.processor()


def show(t):
    return f"{t:.2f} s" if t >= 1 else f"{t * 1e3:.1f} ms" if t >= 1e-3 else f"{t * 1e6:.0f} us"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--out")
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    lines = [
        "| workload | Keras | keraspredict | min to max | Keras / keraspredict | deviation |",
        "|---|---|---|---|---|---|",
    ]
    notes = []
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(folder)
        for name, build, rows, batch, quick in WORKLOADS:
            if (args.quick and not quick) or args.only not in name:
                continue
            r = measure(name, build, rows, batch, engine, args.rounds, rng)
            low, high = r["spread"]
            lines.append(
                f"| {r['name']}, batch {batch} | {show(r['keras'])} | {show(r['ours'])} | {show(low)} to {show(high)} "
                f"| {r['keras'] / r['ours']:.2f} | {r['worst']:.2f} |"
            )
            print(lines[-1], flush=True)
            if "direct" in r:
                notes.append(f"`model(x)` on one row of the MLP: {show(r['direct'])}.")
    if not args.only:
        wall, peak = cold_start(args.rounds)
        notes.append(f"Cold start (Rscript: library, load_model, first predict of the digits CNN): {show(wall)}, peak {peak:.0f} MB.")
    head = [
        "# Results",
        "",
        f"{cpu()}, {THREADS} threads on both sides, {platform.system()} {platform.release()}, "
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}. Medians of {args.rounds} interleaved rounds of predict(verbose = 0).",
        "A ratio over 1 means that keraspredict is faster. Deviation: the largest |a - b| / (1e-5 + 1e-4 |b|) against Keras over 64 rows; up to 1 agrees.",
        f"Made by `python bench/bench.py{' --quick' if args.quick else ''}`.",
        "",
    ]
    text = "\n".join(head + lines + [""] + notes) + "\n"
    print(text)
    if args.out:
        with open(args.out, "w") as f:
            f.write(text)


if __name__ == "__main__":
    main()
