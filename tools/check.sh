#!/usr/bin/env bash
# make check: R CMD build with vendored crates, then R CMD check --as-cran of the
# tarball without a network. No error, no warning; of notes only those that any
# first submission with compiled Rust has.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"
export LC_ALL=${LC_ALL:-C.UTF-8}
bash tools/setup.sh devscripts
bash tools/vendor.sh

work=$(mktemp -d)
root=$PWD
trap 'rm -rf "$work"' EXIT
cd "$work"
# The vignettes run the package.
NOT_CRAN=true R CMD build "$root" >build.log 2>&1 || { cat build.log; exit 1; }
tarball=$(ls keraspredict_*.tar.gz)
echo "$tarball: $(($(stat -c %s "$tarball") / 1024)) KiB"

unset NOT_CRAN
alone=()
if unshare -n true 2>/dev/null; then alone=(unshare -n); fi
_R_CHECK_CRAN_INCOMING_REMOTE_=false _R_CHECK_FORCE_SUGGESTS_=false \
  "${alone[@]}" R CMD check --as-cran --no-manual "$tarball" || true

log=keraspredict.Rcheck/00check.log
install=keraspredict.Rcheck/00install.out
status=0
tail -n 2 "$log" | grep -q '^Status: OK\|^Status: [0-9] NOTEs\?$' || status=1
for flag in '--offline' '-j 2'; do
  grep -q -e "cargo build.*$flag" "$install" || { echo "The install log has no $flag."; status=1; }
done
if grep -q Downloading "$install"; then echo "The build used the network."; status=1; fi
if [ "$status" -ne 0 ]; then
  cat "$install" | tail -n 30
  find keraspredict.Rcheck -name '*.Rout.fail' -exec tail -n 40 {} +
  echo "0 passed, 1 failed"
else
  echo "1 passed, 0 failed"
fi
exit "$status"
