#!/usr/bin/env bash
# Makes the full set of golden cases with another seed and real Keras, and checks the engine against them.
# KERASPREDICT_VENV: a virtual environment to use or make. KERASPREDICT_SEED: the seed.
# KERASPREDICT_GROUPS: some groups only, separated by commas.
# KERASPREDICT_FULL: empty for the configurations of the committed packs only.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
venv=$(bash "$root/tools/venv.sh")
seed=${KERASPREDICT_SEED:-1}
full=${KERASPREDICT_FULL-1}
groups=${KERASPREDICT_GROUPS:-}
engine=$root/src/rust/engine

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

PYTHONWARNINGS=ignore "$venv/bin/python" "$engine/tests/golden/generate.py" --out "$work/packs" --seed "$seed" ${full:+--full} ${groups:+--groups "$groups"} --jobs 2 2>"$work/log" || {
    tail -n 40 "$work/log" >&2
    exit 1
}
# As tools/test.sh builds it: what that has built is not built again.
R_HOME=$(R RHOME)
R_INCLUDE_DIR=$(Rscript -e 'cat(R.home("include"))')
export R_HOME R_INCLUDE_DIR
cd "$root/src/rust"
KERASPREDICT_GOLDEN=$work/packs cargo test --release --workspace --test golden -- --nocapture
