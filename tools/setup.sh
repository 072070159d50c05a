#!/usr/bin/env bash
# Makes sure that Rust is there and new enough, and installs R and the R
# packages that the tests need, by apt, where they are missing; and what the
# arguments name: R packages, devscripts or llvm.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' src/rust/Cargo.toml | head -1)
how="keraspredict is built with Rust $wanted or newer: get it from https://rustup.rs"
if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
  echo "$how" >&2
  exit 1
fi
given=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
if [ "$(printf '%s\n%s\n' "$wanted" "$given" | sort -V | head -1)" != "$wanted" ]; then
  echo "$how (rustc here is $given)" >&2
  exit 1
fi

missing=()
need() { # package, file that shows that it is there
  [ -e "$2" ] || missing+=("$1")
}
need_r() {
  need "r-cran-$1" "/usr/lib/R/site-library/${2:-$1}/DESCRIPTION"
}
if ! command -v apt-get >/dev/null; then
  command -v Rscript >/dev/null || { echo "R is missing: install it first." >&2; exit 1; }
  exit 0
fi
need r-base-dev /usr/share/doc/r-base-dev
need_r testthat
need_r knitr
need_r rmarkdown
need_r reticulate
need_r roxygen2
# What the package works with when it is there.
for package in bit64 callr data.table dbi:DBI future generics jpeg magrittr plumber png progressr readr \
  rsqlite:RSQLite shiny tibble units vdiffr; do
  need_r "${package%%:*}" "${package##*:}"
done
for package in "$@"; do
  case "$package" in
    # checkbashisms, for R CMD check.
    devscripts) need devscripts /usr/bin/checkbashisms ;;
    # For coverage: the version that rustc has, where there is a package of it.
    llvm)
      llvm=llvm-$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
      if apt-cache show "$llvm" >/dev/null 2>&1; then need "$llvm" "/usr/lib/$llvm/bin/llvm-cov"; fi
      ;;
    *) need_r "$package" ;;
  esac
done
need r-cran-matrix /usr/lib/R/library/Matrix/DESCRIPTION
need pandoc /usr/bin/pandoc
need python3-venv /usr/share/doc/python3-venv
# reticulate loads Python as a shared library.
need libpython3-dev /usr/share/doc/libpython3-dev
need bsdutils /usr/bin/script
if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
  rm -f "$log"
fi
