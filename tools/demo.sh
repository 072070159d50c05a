#!/usr/bin/env bash
# make demo: reads real handwritten digits with the bundled model.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"
bash tools/setup.sh
bash tools/install.sh
R_LIBS="$PWD/.rlib" Rscript tools/demo.R
