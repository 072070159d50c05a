#!/usr/bin/env bash
# make coverage: the share of lines that tests run. The engine's by its own tests
# (unit, format, golden) and by R's, where LLVM's tools are there; the R code's by
# the R tests. With "engine": the engine's own tests only.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"
export LC_ALL=${LC_ALL:-C.UTF-8}
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# LLVM's tools must read what this rustc writes.
tools=/usr/lib/llvm-$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')/bin
objects=()
if [ -x "$tools/llvm-cov" ]; then
  target=$root/src/rust/target/coverage
  export RUSTFLAGS="-C instrument-coverage" CARGO_PROFILE_RELEASE_OPT_LEVEL=0
  export LLVM_PROFILE_FILE="$work/%p-%m.profraw"
  cargo test --release --manifest-path src/rust/engine/Cargo.toml --target-dir "$target" \
    --message-format=json-render-diagnostics >"$work/messages" || tail -n 20 "$work/messages"
  # The programs that ran, among what cargo tells.
  while read -r program; do
    objects+=(--object "$program")
  done < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$work/messages" | sort -u)
fi

# What the engine's lines are counted by, in one table.
engine() {
  "$tools/llvm-profdata" merge -sparse "$work"/*.profraw -o "$work/all.profdata"
  "$tools/llvm-cov" export --summary-only --instr-profile "$work/all.profdata" \
    --ignore-filename-regex '(/registry/|/rustc/|/engine/(tests|examples)/|src/rust/src/)' \
    "${objects[@]}" >"$work/summary.json"
  python3 - "$1" "$work/summary.json" <<'END'
import json, sys

data = json.load(open(sys.argv[2]))["data"][0]
for file in data["files"]:
    lines = file["summary"]["lines"]
    name = file["filename"].split("/engine/src/")[-1]
    print(f"{name:<34} {lines['percent']:5.1f} % of {lines['count']}")
lines = data["totals"]["lines"]
print(f"Engine, {sys.argv[1]}: {lines['percent']:.1f} % of {lines['count']} lines")
END
}

if [ ${#objects[@]} -gt 0 ]; then
  engine "by its own tests"
else
  echo "The engine isn't measured: there is no $tools/llvm-cov."
fi
if [ "${1:-}" = engine ]; then exit; fi

library=$work/library
mkdir "$library"
install=(R CMD INSTALL --with-keep.source --no-multiarch --no-test-load "--library=$library")
if [ ${#objects[@]} -gt 0 ]; then
  # The same engine, with the binding crate built beside it. The runtime that
  # writes the counts is linked by name.
  echo 'LDFLAGS += -Wl,-u,__llvm_profile_runtime' >"$work/Makevars"
  R_MAKEVARS_USER=$work/Makevars NOT_CRAN=true MAKEFLAGS="TARGET_DIR=$target" "${install[@]}" . >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
  objects+=(--object "$library/keraspredict/libs/keraspredict.so")
else
  bash tools/install.sh
  "${install[@]}" --no-libs --no-configure . >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  cp -r .rlib/keraspredict/libs "$library/keraspredict/"
fi
R_LIBS="$library" NOT_CRAN=true KERASPREDICT_SOURCE="$root" Rscript tools/coverage.R
if [ ${#objects[@]} -gt 0 ]; then engine "by all tests"; fi
