#!/usr/bin/env bash
# make site: the pkgdown site in docs/, of the package in .rlib, without a network.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=${LC_ALL:-C.UTF-8}
bash tools/install.sh

# Links to functions of other packages are looked up in a list of CRAN's packages:
# here, an empty one.
web=$(mktemp -d)
trap 'rm -rf "$web"' EXIT
mkdir -p "$web/web/packages"
WEB=$web Rscript -e 'saveRDS(data.frame(Package = character(), URL = character()),
  file.path(Sys.getenv("WEB"), "web", "packages", "packages.rds"))'

R_LIBS="$PWD/.rlib" R_CRAN_WEB="file://$web" Rscript -e '
  options(pkgdown.internet = FALSE)
  pkgdown::build_site(".", devel = FALSE, preview = FALSE, install = FALSE, new_process = FALSE)'
