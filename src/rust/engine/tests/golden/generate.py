"""Writes golden cases with real Keras. README.md tells the format."""

import argparse
import concurrent.futures
import importlib
import os
import subprocess
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

GROUPS = [
    "core",
    "activations",
    "conv",
    "pooling",
    "reshaping",
    "norm",
    "rnn",
    "rnn2",
    "training",
    "attention",
    "attention2",
    "merging",
    "masks",
    "ops",
    "ops_all",
    "graph",
    "graph2",
    "options",
    "formats",
    "image",
    "audio",
    "ops_image",
    "ops_fft",
    "quant",
    "zoo",
    "sweep",
    "text",
    "categorical",
    "convnext",
    "ops_rare",
    "ops_more",
    "ops_left",
    "text2",
    "augment",
    "sweep2",
    "sweep3",
    "sweep4",
    "sweep5",
    "sweep6",
    "sweep7",
    "halves",
    "halves2",
]
FULL_ONLY = ["apps"]
SLOWEST = ["rnn2", "rnn", "conv", "apps", "masks", "graph"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, help="folder for the packs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", help="comma-separated; all by default")
    parser.add_argument("--jobs", type=int, default=1, help="how many groups at a time")
    parser.add_argument("--full", action="store_true", help="more random configurations, and keras.applications")
    args = parser.parse_args()
    groups = args.groups.split(",") if args.groups else GROUPS + (FULL_ONLY if args.full else [])
    if args.jobs > 1:
        return in_processes(groups, args)

    import common

    os.makedirs(args.out, exist_ok=True)
    total, bad = 0, []
    for group in groups:
        begin = time.time()
        collector = common.Collector(group, args.seed, args.full)
        importlib.import_module(f"cases.{group}").cases(collector)
        path = os.path.join(args.out, f"{group}.zip")
        written, dropped, failed = common.write_group(path, group, collector.list, args.seed)
        total += written
        bad += failed
        size = os.path.getsize(path) / 1e6
        print(f"{group}: {written} cases, {len(dropped)} dropped, {len(failed)} failed, {size:.2f} MB, {time.time() - begin:.0f} s", flush=True)
    print(f"{total} cases, {len(bad)} failed", flush=True)
    return 1 if bad else 0


def in_processes(groups, args):
    """One process for each group, `args.jobs` at a time, the longest first."""

    def run(group):
        command = [sys.executable, os.path.abspath(__file__), "--out", args.out, "--seed", str(args.seed), "--groups", group]
        return subprocess.run(command + ["--full"] * args.full).returncode

    order = sorted(groups, key=lambda g: SLOWEST.index(g) if g in SLOWEST else len(SLOWEST))
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        return max(pool.map(run, order))


if __name__ == "__main__":
    sys.exit(main())
