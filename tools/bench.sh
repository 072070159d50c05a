#!/usr/bin/env bash
# Sets up the peers in their own virtual environment, installs the package, and
# runs bench/bench.py with the arguments given.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${KERASPREDICT_BENCH_VENV:-$PWD/bench/.venv}
if [ ! -e "$venv/done" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q 'keras==3.15.*' 'tensorflow-cpu==2.21.*' onnxruntime openvino onnx tf2onnx
  touch "$venv/done"
fi
bash tools/install.sh
export R_LIBS="$PWD/.rlib${R_LIBS:+:$R_LIBS}"
exec "$venv/bin/python" bench/bench.py "$@"
