#!/usr/bin/env bash
# make site: the pkgdown site in docs/, of the package in .rlib, without a network.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=${LC_ALL:-C.UTF-8}
bash tools/install.sh
R_LIBS="$PWD/.rlib" Rscript -e '
  options(pkgdown.internet = FALSE)
  # Packages that are not installed get no links: their addresses are on CRAN.
  none <- function() data.frame(Package = character(), URL = character())
  utils::assignInNamespace("CRAN_urls", none, "downlit")
  pkgdown::build_site(".", devel = FALSE, preview = FALSE, install = FALSE, new_process = FALSE)'
# The README's plot, which pkgdown looks for in man/figures only.
mkdir -p docs/bench
cp bench/ratios.svg docs/bench/
