#!/usr/bin/env bash
# make test: everything. With "reticulate": only the R tests that need Python,
# with the virtual environment of tools/venv.sh.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin"
export LC_ALL=${LC_ALL:-C.UTF-8}
only=${1:-}
bash tools/setup.sh || exit 1

passed=0
failed=0
count() { # name, command...: one check
  echo "== $1"
  if "${@:2}"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

if [ -z "$only" ]; then
  # As R CMD INSTALL sets them: crates that look at them are then built once.
  R_HOME=$(R RHOME)
  R_INCLUDE_DIR=$(Rscript -e 'cat(R.home("include"))')
  export R_HOME R_INCLUDE_DIR
  cd src/rust
  count "cargo fmt" cargo fmt --all -- --check
  count "cargo clippy" cargo clippy --release --workspace --all-targets --quiet -- -D warnings
  echo "== cargo test"
  log=$(mktemp)
  # Build problems are shown as they come; the tests' own lines are counted.
  cargo test --release --workspace 2>&1 | tee "$log" | grep -v -E '^(test .* \.\.\. ok|\s+Compiling .*)$'
  ran=${PIPESTATUS[0]}
  p=$(sed -n 's/^test result: .* \([0-9]*\) passed.*/\1/p' "$log" | awk "{ n += \$1 } END { print n + 0 }")
  f=$(sed -n 's/^test result: .* \([0-9]*\) failed.*/\1/p' "$log" | awk "{ n += \$1 } END { print n + 0 }")
  passed=$((passed + ${p:-0}))
  failed=$((failed + ${f:-0}))
  if [ "$ran" -ne 0 ] && [ "${f:-0}" -eq 0 ]; then failed=$((failed + 1)); fi
  rm -f "$log"
  cd ../..
  unset R_HOME R_INCLUDE_DIR
else
  venv=$(bash tools/venv.sh) || exit 1
  export KERASPREDICT_VENV="$venv"
fi

count "R CMD INSTALL" bash tools/install.sh
echo "== testthat"
counts=$(mktemp)
R_LIBS="$PWD/.rlib" NOT_CRAN=true KERASPREDICT_SOURCE="$PWD" \
  Rscript tools/testthat.R "$counts" $only
if [ -s "$counts" ]; then
  read -r p f <"$counts"
  passed=$((passed + p))
  failed=$((failed + f))
else
  failed=$((failed + 1))
fi
rm -f "$counts"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
