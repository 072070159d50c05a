#!/usr/bin/env bash
# make coverage: the R tests over the R code, traced by covr. The engine is that of
# .rlib, which isn't built anew.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=${LC_ALL:-C.UTF-8}
library=$(mktemp -d)
trap 'rm -rf "$library"' EXIT
R CMD INSTALL --no-libs --no-configure --no-test-load --with-keep.source --no-multiarch \
  --library="$library" . >"$library/log" 2>&1 || { cat "$library/log"; exit 1; }
cp -r .rlib/keraspredict/libs "$library/keraspredict/"
R_LIBS="$library" NOT_CRAN=true KERASPREDICT_SOURCE="$PWD" Rscript tools/coverage.R
