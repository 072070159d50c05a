#!/usr/bin/env bash
# make demo: reads real handwritten digits with the bundled model.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"
export LC_ALL=${LC_ALL:-C.UTF-8}
bash tools/setup.sh
bash tools/install.sh
R_LIBS="$PWD/.rlib" Rscript tools/demo.R
