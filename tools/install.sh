#!/usr/bin/env bash
# Installs the package into .rlib, for the tests and the demo. Crates built by
# cargo in src/rust/target are used as they are.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .rlib
log=$(mktemp)
if ! NOT_CRAN=true R CMD INSTALL --no-multiarch --library=.rlib . >"$log" 2>&1; then
  cat "$log"
  exit 1
fi
rm -f "$log"
