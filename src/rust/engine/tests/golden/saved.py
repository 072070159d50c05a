"""Checks with real Keras what this engine saves: every golden model is loaded, saved, loaded by Keras, and must predict the same.

    python saved.py --save target/release/examples/save [--packs packs] [--groups core conv ...]
"""

import argparse
import glob
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import keras
import numpy as np
from common import ATOL, RTOL, dense, is_float


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if b.dtype == object:
        return [v.decode() if isinstance(v, bytes) else v for v in a.ravel()] == list(b.ravel())
    if not is_float(a):
        return bool(np.array_equal(a, b))
    return np.allclose(a.astype("float64"), b.astype("float64"), rtol=RTOL, atol=ATOL, equal_nan=True)


def nested(model, arrays):
    # Keras takes strings as tensors only, and then all inputs.
    if any(a.dtype == object for a in arrays):
        arrays = [keras.ops.convert_to_tensor(a.tolist() if a.dtype == object else a) for a in arrays]
    if isinstance(model, keras.Sequential):
        return arrays[0]
    # Those of rank 0 are left out.
    arrays = [a if len(a.shape) else None for a in arrays]
    return keras.tree.pack_sequence_as(model._inputs_struct, arrays)


def read(pack, case, kind):
    def array(name):
        if name.endswith(".npy"):
            return np.load(io.BytesIO(pack.read(name)))
        found = json.loads(pack.read(name))
        return np.array(found["strings"], dtype=object).reshape(found["shape"])

    names = [n for n in pack.namelist() if n.startswith(f"{case}/{kind}.")]
    return [array(n) for n in sorted(names, key=lambda n: int(n.split(".")[-2]))]


def predict(model, arrays, batch_size):
    rows = len(arrays[0])
    batches = [model.predict_on_batch(nested(model, [a[i : i + batch_size] if a.ndim else a for a in arrays])) for i in range(0, rows, batch_size)]
    return keras.tree.flatten(keras.tree.map_structure(lambda *parts: np.concatenate([np.atleast_1d(dense(p)) for p in parts]), *batches))


def problem_of(path, inputs, outputs, batch_size, eagerly=False, jit=False):
    try:
        model = keras.models.load_model(path, compile=False)
        model.run_eagerly, model.jit_compile = eagerly, jit
        out = predict(model, inputs, batch_size)
        wrong = [i for i, (a, b) in enumerate(zip(out, outputs, strict=True)) if not same(a, b)]
        return f"outputs {wrong} differ" if wrong else None
    except Exception as e:
        return f"{type(e).__name__}: {(str(e).strip().splitlines() or [''])[-1][:300]}"


def check_pack(path, save):
    pack = zipfile.ZipFile(path)
    names = [n.split("/")[0] for n in pack.namelist() if n.endswith("/meta.json")]
    failed = 0
    checked = 0
    with tempfile.TemporaryDirectory() as given, tempfile.TemporaryDirectory() as written:
        metas = {}
        for name in names:
            meta = json.loads(pack.read(f"{name}/meta.json"))
            if meta["call"] != "predict" or meta.get("repeats", 1) > 1:
                continue
            metas[name] = meta
            model = [n for n in pack.namelist() if n.startswith(f"{name}/model.")][0]
            with open(os.path.join(given, name + os.path.splitext(model)[1]), "wb") as f:
                f.write(pack.read(model))
        refused = subprocess.run([save, given, written], capture_output=True, text=True).stdout
        print(refused, end="", flush=True)
        for name, meta in metas.items():
            if not os.path.exists(os.path.join(written, f"{name}.keras")):
                continue
            inputs, outputs = read(pack, name, "in"), read(pack, name, "out")
            if any(a.dtype.kind == "V" for a in inputs + outputs):
                continue
            checked += 1
            saved = os.path.join(written, f"{name}.keras")
            # What TensorFlow's kernels can't do, its graphs often can, or XLA, which take longer to make.
            for way in ({"eagerly": True}, {}, {"jit": True}):
                problem = problem_of(saved, inputs, outputs, meta["batch_size"], **way)
                if not problem:
                    break
            if problem:
                failed += 1
                print(f"FAILED {os.path.basename(path)[:-4]}/{name}: {problem}", flush=True)
            keras.utils.clear_session(free_memory=False)
    print(f"{os.path.basename(path)[:-4]}: {checked - failed} of {checked}, {len(refused.splitlines())} refused", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", required=True)
    parser.add_argument("--packs", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "packs"))
    parser.add_argument("--groups", nargs="*")
    args = parser.parse_args()
    paths = sorted(glob.glob(os.path.join(args.packs, "*.zip")))
    failed = sum(check_pack(p, args.save) for p in paths if not args.groups or os.path.basename(p)[:-4] in args.groups)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
