"""Times keraspredict in R beside Keras, ONNX Runtime and OpenVINO in one run.

    python bench/bench.py [--quick] [--only KEYS] [--rounds N] [--prepare] [--stage table|extras] [--out bench/RESULTS.md]

`make bench` sets up what it needs. All engines use the same number of threads,
the same models (exported from Keras) and the same inputs, and their values are
compared with Keras'. Rounds are interleaved, so that a machine that changes
its speed changes it for all. The time of a round is that of all rows: Keras'
and our predict(), the peers' loops over batches with results joined. OpenVINO
is run both ways it offers (one batch after the other, and the throughput hint
with a queue of requests), and the better one counts. A figure is the median
of the rounds.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
import warnings

THREADS = 2
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["OMP_NUM_THREADS"] = str(THREADS)
os.environ["KERASPREDICT_THREADS"] = str(THREADS)
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(HERE, ".cache")
# Rows whose values are compared.
CHECKED = 64
QUICK = {"mlp256", "mlp32", "mnist", "text", "series", "transformer", "unet", "row"}


# --- preparing: models, exports and inputs in the cache ---


def prepare(entry):
    """Makes the folder of a workload: the model for each engine, and inputs."""
    import keras
    import workloads

    key, name, build, rows, batch = entry
    folder = os.path.join(CACHE, key)
    done = os.path.join(folder, "done.json")
    if os.path.exists(done):
        return
    print(f"preparing {name}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    rng = np.random.default_rng(1)
    keras.utils.set_random_seed(1)
    keras.backend.clear_session()
    model = build()
    workloads.randomise(model, rng)
    model.save(os.path.join(folder, "model.keras"))
    x = workloads.inputs(model, rows, rng)
    np.save(os.path.join(folder, "x.npy"), x)
    # R holds doubles, and arrays with the first axis fastest.
    wide = x.astype("<i4" if x.dtype == np.int32 else "<f8")
    wide.ravel(order="F").tofile(os.path.join(folder, "x.bin"))
    np.save(os.path.join(folder, "y.npy"), model.predict(x[:CHECKED], verbose=0))
    fails = {}
    for engine, export in (("onnx", export_onnx), ("openvino", export_openvino)):
        try:
            export(model, folder)
        except Exception as e:  # what a peer can't do is a result
            fails[engine] = reason(e)
            print(f"  {engine} export fails: {fails[engine]}", flush=True)
    with open(done, "w") as f:
        json.dump(fails, f)


def reason(error):
    """The first line of an error, without this machine's paths."""
    line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {line.replace(HERE + os.sep, '')[:200]}"


def export_onnx(model, folder):
    import keras
    import onnxruntime

    path = os.path.join(folder, "model.onnx")
    shape = [None] + list(model.input_shape[1:])
    signature = [keras.InputSpec(shape=shape, dtype=model.inputs[0].dtype, name="x")]
    model.export(path, format="onnx", input_signature=signature, verbose=False)
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def export_openvino(model, folder):
    import openvino

    saved = os.path.join(folder, "saved")
    model.export(saved, format="tf_saved_model", verbose=False)
    converted = openvino.convert_model(saved)
    openvino.save_model(converted, os.path.join(folder, "model.xml"), compress_to_fp16=False)
    shutil.rmtree(saved)


# --- engines: each runs all rows ---


class Keras:
    name = "Keras"

    def __init__(self, folder, x, batch):
        import keras
        import tensorflow as tf

        keras.backend.clear_session()
        self.model = keras.models.load_model(os.path.join(folder, "model.keras"), compile=False)
        self.x, self.batch = x, batch
        self.version = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"

    def run(self):
        return self.model.predict(self.x, batch_size=self.batch, verbose=0)


class OnnxRuntime:
    name = "ONNX Runtime"

    def __init__(self, folder, x, batch):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        path = os.path.join(folder, "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.x, self.batch = x, batch
        self.version = f"ONNX Runtime {onnxruntime.__version__}"

    def run(self):
        parts = range(0, len(self.x), self.batch)
        return np.concatenate([self.session.run(None, {self.input: self.x[i : i + self.batch]})[0] for i in parts])


class OpenVino:
    name = "OpenVINO"

    def __init__(self, folder, x, batch, hint="LATENCY"):
        import openvino

        core = openvino.Core()
        config = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": "f32"}
        self.compiled = core.compile_model(os.path.join(folder, "model.xml"), "CPU", config)
        self.request = self.compiled.create_infer_request()
        self.x, self.batch = x, batch
        self.version = f"OpenVINO {openvino.__version__.split('-')[0]}"

    def run(self):
        parts = range(0, len(self.x), self.batch)
        return np.concatenate([self.request.infer({0: self.x[i : i + self.batch]})[0].copy() for i in parts])


class OpenVinoQueue(OpenVino):
    name = "OpenVINO"

    def __init__(self, folder, x, batch):
        super().__init__(folder, x, batch, "THROUGHPUT")
        import openvino

        self.queue = openvino.AsyncInferQueue(self.compiled)
        self.queue.set_callback(lambda request, at: self.parts.__setitem__(at, request.get_output_tensor().data.copy()))

    def run(self):
        self.parts = {}
        for i in range(0, len(self.x), self.batch):
            self.queue.start_async({0: self.x[i : i + self.batch]}, i)
        self.queue.wait_all()
        return np.concatenate([self.parts[i] for i in sorted(self.parts)])


class Ours:
    """An R process that predicts on demand."""

    name = "keraspredict"

    def __init__(self, threads=THREADS):
        env = dict(os.environ, KERASPREDICT_THREADS=str(threads))
        command = ["Rscript", os.path.join(HERE, "worker.R")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, *request):
        self.process.stdin.write("\t".join(map(str, request)) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("answer "):
                return float(line.split()[1])
        sys.exit("the R worker ended")

    def load(self, folder, x):
        kind = "integer" if x.dtype == np.int32 else "double"
        return self.ask("load", folder, kind, ",".join(map(str, x.shape)))

    def values(self, folder, expected):
        self.ask("save", len(expected))
        flat = np.fromfile(os.path.join(folder, "y.bin"), "<f8")
        # Row after row, each column-major.
        rows = flat.reshape(len(expected), -1)
        return np.stack([row.reshape(expected.shape[1:], order="F") for row in rows])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# --- measuring ---


def deviation(got, expected):
    return float(np.max(np.abs(got - expected) / (1e-5 + 1e-4 * np.abs(expected))))


def seconds(f, repeat=1):
    start = time.perf_counter()
    for _ in range(repeat):
        f()
    return (time.perf_counter() - start) / repeat


def load(key):
    folder = os.path.join(CACHE, key)
    x = np.load(os.path.join(folder, "x.npy"))
    with open(os.path.join(folder, "done.json")) as f:
        return folder, x, np.load(os.path.join(folder, "y.npy")), json.load(f)


def measure(entry, ours, rounds, with_keras=True):
    """Times of one workload by engine; what an engine can't do is a text."""
    key, name, _, rows, batch = entry
    folder, x, expected, fails = load(key)
    engines = [Keras] if with_keras else []
    engines += [OnnxRuntime] if "onnx" not in fails else []
    engines += [OpenVino, OpenVinoQueue] if "openvino" not in fails else []
    result = dict(key=key, name=name, rows=rows, batch=batch, times={}, worst={}, versions=[], fails=fails)
    single = rows == 1
    repeat = 20 if single else 1
    ours.load(folder, x)
    ours.ask("predict", batch, 1)
    result["worst"]["keraspredict"] = deviation(ours.values(folder, expected), expected)
    live = []
    for engine in engines:
        try:
            made = engine(folder, x, batch)
            worst = deviation(made.run()[:CHECKED], expected)
        except Exception as e:
            fails[engine.name] = reason(e)
            continue
        result["worst"][engine.name] = max(worst, result["worst"].get(engine.name, 0))
        result["versions"].append(made.version)
        live.append(made)
    times = {}
    for _ in range(rounds):
        for engine in live:
            times.setdefault(type(engine).__name__, []).append(seconds(engine.run, repeat))
            time.sleep(0.02)
        fast = 200 if key == "row" else repeat
        times.setdefault("Ours", []).append(ours.ask("predict", batch, fast))
        if single:
            times.setdefault("Call", []).append(ours.ask("call", fast))
    labels = dict(Keras="Keras", OnnxRuntime="ONNX Runtime", OpenVino="OpenVINO", OpenVinoQueue="OpenVINO", Ours="keraspredict", Call="direct call")
    for which, ts in times.items():
        median = statistics.median(ts)
        label = labels[which]
        if label not in result["times"] or median < result["times"][label]:
            result["times"][label] = median
            result.setdefault("spread", {})[label] = (min(ts), max(ts))
    return result


def rscript(code, threads=THREADS):
    env = dict(os.environ, KERASPREDICT_THREADS=str(threads))
    start = time.perf_counter()
    out = subprocess.run(["Rscript", "-e", code], stdout=subprocess.PIPE, text=True, check=True, env=env)
    return time.perf_counter() - start, out.stdout


def cold_start(rounds):
    """Wall times of an Rscript that loads and predicts, and of one that loads stats4."""
    ours = (
        "library(keraspredict); m <- load_model(keraspredict_example('digits')); "
        "invisible(predict(m, array(0, c(1, m$input_shape[-1])), verbose = 0))"
    )
    walls, base = [], []
    for _ in range(rounds + 1):
        walls.append(rscript(ours)[0])
        base.append(rscript("library(stats4)")[0])
    return statistics.median(walls[1:]), statistics.median(base[1:])


MEMORY = """
status <- function(what) as.numeric(sub("\\\\D*(\\\\d+).*", "\\\\1", grep(what, readLines("/proc/self/status"), value = TRUE))) / 1024
library(keraspredict)
shape <- c({shape})
x <- readBin("{folder}/x.bin", "{kind}", prod(shape), size = {size}); dim(x) <- shape
invisible(gc())
writeLines("5", "/proc/self/clear_refs")
before <- status("VmRSS")
y <- predict(load_model("{folder}/model.keras"), x, batch_size = {batch}, verbose = 0)
cat("memory", status("VmHWM") - before - as.numeric(object.size(y)) / 2^20 - file.size("{folder}/model.keras") / 2^20, "\\n")
"""


def memory(entry):
    """Peak memory beyond input, output and the weights as they are in the file, in MB."""
    key, _, _, _, batch = entry
    folder, x, _, _ = load(key)
    integer = x.dtype == np.int32
    code = MEMORY.format(
        shape=", ".join(map(str, x.shape)),
        folder=folder,
        kind="integer" if integer else "double",
        size=4 if integer else 8,
        batch=batch,
    )
    return float(re.search(r"memory (\S+)", rscript(code)[1]).group(1))


def scaling(entry, rounds):
    """How much faster two threads are than one, interleaved."""
    key, _, _, _, batch = entry
    folder, x, _, _ = load(key)
    one, two = Ours(1), Ours(2)
    times = {}
    for engine in (one, two):
        engine.load(folder, x)
        engine.ask("predict", batch, 1)
    for _ in range(rounds):
        for engine in (one, two):
            times.setdefault(engine, []).append(engine.ask("predict", batch, 1))
    one.close()
    two.close()
    return statistics.median(times[one]) / statistics.median(times[two])


def linear(rounds):
    """Time per row of 50,000 rows over that of 200,000, of the same model."""
    ours = Ours()
    per_row = []
    for key in ("mlp32", "mlp256"):
        folder, x, _, _ = load(key)
        ours.load(folder, x)
        ours.ask("predict", 32, 1)
        per_row.append(statistics.median(ours.ask("predict", 32, 1) for _ in range(3 * rounds)) / len(x))
    ours.close()
    return per_row[1] / per_row[0]


def extras(by_key, rounds, quick):
    """What is measured beside the table, as lines of text."""
    wall, base = cold_start(rounds)
    notes = [
        f"* Cold start, an Rscript that loads the package and the digits model (CNN) and predicts: {show(wall)}; "
        f"`Rscript -e 'library(stats4)'`: {show(base)}; ratio {wall / base:.2f}."
    ]
    if quick:
        return notes
    notes.append(f"* Linear cost: a row of 200,000 takes {linear(rounds):.2f} times a row of 50,000 (MLP, batch 32).")
    scales = {k: scaling(by_key[k], rounds) for k in ("mlp256", "mnist", "mobilenet", "text", "transformer") if k in by_key}
    notes.append("* Two threads over one: " + ", ".join(f"{k} {s:.2f}" for k, s in scales.items()) + ".")
    measured = ("mlp256", "mnist", "mobilenet", "resnet", "transformer", "dilated", "unet")
    peaks = {k: memory(by_key[k]) for k in measured if k in by_key}
    notes.append(
        "* Peak memory beyond input, output and the size of the model's file, in MB: "
        + ", ".join(f"{k} {p:.0f}" for k, p in peaks.items())
        + "."
    )
    return notes


# --- the report ---


def cpu():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            name = line.split(":")[1].strip()
        if line.startswith("flags"):
            flags = line.split()
            isa = [f for f in ("avx512f", "avx2", "fma") if f in flags]
            return f"{name} ({', '.join(isa)})"
    return platform.processor()


PEERS = ["Keras", "ONNX Runtime", "OpenVINO"]


def show(t):
    return f"{t:.2f} s" if t >= 1 else f"{t * 1e3:.1f} ms" if t >= 1e-3 else f"{t * 1e6:.0f} us"


def rate(x):
    return f"{x / 1e3:,.0f} k" if x >= 1e5 else f"{x / 1e3:.1f} k" if x >= 1e4 else f"{x:,.0f}" if x >= 100 else f"{x:.1f}"


def best(result):
    return min(t for label, t in result["times"].items() if label in PEERS)


def row(result):
    n, times = result["rows"], result["times"]
    single = n == 1
    cell = (lambda t: show(t)) if single else (lambda t: rate(n / t))
    cells = [cell(times[p]) if p in times else "fails" for p in PEERS] + [cell(times["keraspredict"])]
    if not single:
        low, high = result["spread"]["keraspredict"]
        cells[-1] += f" ({rate(n / high)} to {rate(n / low)})"
    ratio = best(result) / times["keraspredict"]
    label = result["name"] if single else f"{result['name']}, batch {result['batch']}"
    worst = ", ".join(f"{result['worst'][p]:.2f}" for p in PEERS + ["keraspredict"] if p in result["worst"])
    return f"| {label} | {' | '.join(cells)} | **{ratio:.2f}** | {worst} |"


def table(results):
    head = [
        "| workload | " + " | ".join(PEERS) + " | keraspredict (slowest to fastest round) | ratio to the best peer | deviations |",
        "|---|" + "---|" * 6,
    ]
    return head + [row(r) for r in results]


def plot(results, path):
    """Bars of the ratio to the best peer, as SVG."""
    width, bar, left = 720, 22, 300
    top = max(2.0, max(best(r) / r["times"]["keraspredict"] for r in results))
    scale = (width - left - 60) / top
    height = bar * len(results) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="18" font-weight="bold">Speed of keraspredict relative to the best of {", ".join(PEERS)}</text>',
    ]
    for i, r in enumerate(results):
        y = 30 + i * bar
        ratio = best(r) / r["times"]["keraspredict"]
        color = "#2a7f4f" if ratio >= 1 else "#b5542c"
        name = r["name"].split(",")[0] + ("" if r["rows"] == 1 else f", batch {r['batch']}")
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{name}</text>')
        parts.append(f'<rect x="{left}" y="{y + 2}" width="{ratio * scale:.1f}" height="{bar - 5}" fill="{color}"/>')
        parts.append(f'<text x="{left + ratio * scale + 5:.1f}" y="{y + 14}">{ratio:.2f}</text>')
    x = left + scale
    parts.append(f'<line x1="{x:.1f}" y1="26" x2="{x:.1f}" y2="{height - 14}" stroke="#444" stroke-dasharray="4 3"/></svg>')
    with open(path, "w") as f:
        f.write("\n".join(parts) + "\n")


def main():
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    import workloads

    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", default="", help="keys of workloads, with commas between")
    parser.add_argument("--prepare", action="store_true", help="make models and inputs only")
    parser.add_argument("--no-keras", action="store_true", help="leave Keras out, which is slow")
    parser.add_argument("--stage", choices=["all", "table", "extras"], default="all")
    parser.add_argument("--out")
    args = parser.parse_args()
    rounds = args.rounds or (3 if args.quick else 5)
    wanted = set(args.only.split(",")) if args.only else QUICK if args.quick else None
    entries = [e for e in workloads.WORKLOADS + workloads.SINGLE if wanted is None or e[0] in wanted]
    for entry in entries:
        prepare(entry)
    if args.prepare:
        return
    kept = os.path.join(CACHE, "quick.json" if args.quick else "results.json")
    data = {}
    if args.stage == "extras" and os.path.exists(kept):
        with open(kept) as f:
            data = json.load(f)
    if args.stage != "extras":
        ours = Ours()
        data["results"] = []
        for entry in entries:
            fast = entry[0].startswith("mlp") or entry[3] == 1
            data["results"].append(measure(entry, ours, 3 * rounds if fast else rounds, not args.no_keras))
            print(row(data["results"][-1]), flush=True)
        ours.close()
    if args.stage != "table":
        data["notes"] = extras({e[0]: e for e in entries}, rounds, args.quick)
    with open(kept, "w") as f:
        json.dump(data, f)
    results, notes = data["results"], data.get("notes", [])
    many = [r for r in results if r["rows"] > 1]
    single = [r for r in results if r["rows"] == 1]
    for r in single:
        if "direct call" in r["times"]:
            notes.append(f"* `model(x)`, {r['name']}: {show(r['times']['direct call'])}.")
    versions = sorted({v for r in results for v in r["versions"]})
    text = [
        "# Results",
        "",
        f"{cpu()}, {THREADS} threads for every engine, {platform.system()} {platform.release()}; {', '.join(versions)}.",
        f"Made by `make bench{'-quick' if args.quick else ''}`: medians of {rounds} interleaved rounds (three times as many of the MLPs and of single calls) "
        "over all rows, from R's arrays to R's arrays for keraspredict, from numpy to numpy for the others. "
        "OpenVINO is run one batch after the other and with the throughput hint and a queue of requests; the better counts.",
        "Deviations: the largest |a - b| / (1e-5 + 1e-4 |b|) against Keras' own values of the first 64 rows, by engine in the order of the columns; up to 1 agrees.",
        "",
        "Samples a second:",
        "",
        *table(many),
        "",
    ]
    if single:
        text += ["Single calls, time of one `predict()`:", "", *table(single), ""]
    if args.out:
        text += ["![Ratios](ratios.svg)", ""]
    text += notes
    for r in results:
        for engine, why in r["fails"].items():
            text.append(f"* {r['name']}: {engine} fails ({why}).")
    text = "\n".join(text) + "\n"
    print(text)
    if args.out:
        with open(args.out, "w") as f:
            f.write(text)
        plot(results, os.path.join(os.path.dirname(args.out), "ratios.svg"))


if __name__ == "__main__":
    main()
