#!/usr/bin/env bash
# make coverage: the share of lines that tests run. The engine's lines by its own
# tests (unit, format, golden), the R code's by the R tests. The second takes the
# engine of .rlib, which isn't built anew.
# With "engine" or "R": that part only.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"
export LC_ALL=${LC_ALL:-C.UTF-8}
only=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

engine() {
  # LLVM's tools must read what this rustc writes.
  local llvm tools target=$PWD/src/rust/target/coverage
  llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
  tools=/usr/lib/llvm-$llvm/bin
  if [ ! -x "$tools/llvm-cov" ]; then
    echo "The engine isn't measured: llvm-cov $llvm is missing."
    return
  fi
  cd src/rust/engine
  RUSTFLAGS="-C instrument-coverage" LLVM_PROFILE_FILE="$work/%p-%m.profraw" \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    cargo test --release --target-dir "$target" --no-fail-fast \
    --message-format=json-render-diagnostics >"$work/messages" || true
  cd ../../..
  "$tools/llvm-profdata" merge -sparse "$work"/*.profraw -o "$work/all.profdata"
  # The programs that ran, among what cargo tells.
  mapfile -t programs < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$work/messages" | sort -u)
  local objects=()
  for program in "${programs[@]}"; do objects+=(--object "$program"); done
  "$tools/llvm-cov" export --summary-only --instr-profile "$work/all.profdata" \
    --ignore-filename-regex '(/registry/|/rustc/|/engine/tests/)' "${objects[@]}" \
    >"$work/summary.json"
  python3 - "$work/summary.json" <<'END'
import json, sys

data = json.load(open(sys.argv[1]))["data"][0]
for file in data["files"]:
    lines = file["summary"]["lines"]
    name = file["filename"].split("/engine/src/")[-1]
    print(f"{name:<34} {lines['percent']:5.1f} % of {lines['count']}")
lines = data["totals"]["lines"]
print(f"Engine: {lines['percent']:.1f} % of {lines['count']} lines")
END
}

r_code() {
  mkdir "$work/library"
  R CMD INSTALL --no-libs --no-configure --no-test-load --with-keep.source --no-multiarch \
    --library="$work/library" . >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  cp -r .rlib/keraspredict/libs "$work/library/keraspredict/"
  R_LIBS="$work/library" NOT_CRAN=true KERASPREDICT_SOURCE="$PWD" Rscript tools/coverage.R
}

if [ "$only" != R ]; then engine; fi
if [ "$only" != engine ]; then r_code; fi
