#!/usr/bin/env bash
# Writes src/rust/vendor.tar.xz (the sources of all crates, for a build without a
# network) and src/rust/vendor-config.toml (which points cargo at them). R CMD
# build takes both along; git does not.
set -euo pipefail
cd "$(dirname "$0")/../src/rust"
PATH="$PATH:$HOME/.cargo/bin"

rm -rf vendor vendor.tar.xz
cargo vendor --locked --quiet vendor >/dev/null
cat >vendor-config.toml <<'END'
[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
END

# What no build reads. Cargo checks the sums of the files that are listed: none is.
find vendor -mindepth 2 -maxdepth 2 -type d \
  \( -name tests -o -name benches -o -name examples -o -name ci -o -name '.*' \) \
  -exec rm -rf {} +
find vendor -type f \( -name '*.stderr' -o -name '*.mca' -o -name '*.x86-64' -o -name '*.orig' \
  -o -name '*.png' -o -name '*.svg' -o -name 'CHANGELOG*' -o -name '*.yml' \) -delete
# Of Windows' API, what zip asks for; of crates for browsers, the name alone.
find vendor/windows-sys/src/Windows -mindepth 1 -maxdepth 1 -type d ! -name Win32 -exec rm -rf {} +
find vendor/windows-sys/src/Windows/Win32 -mindepth 1 -maxdepth 1 -type d \
  ! -name Foundation ! -name Security ! -name Storage -exec rm -rf {} +
for crate in vendor/js-sys vendor/wasm-bindgen*; do
  find "$crate" -name '*.rs' -delete
  mkdir -p "$crate/src"
  : >"$crate/src/lib.rs"
  [ ! -e "$crate/build.rs" ] && grep -q '^build = "build.rs"' "$crate/Cargo.toml" && echo 'fn main() {}' >"$crate/build.rs"
done
find vendor -name .cargo-checksum.json -print0 | xargs -0 sed -i 's/"files":{[^}]*}/"files":{}/'

# The same crates give the same archive.
tar --sort=name --mtime='2020-01-01 00:00Z' --owner=0 --group=0 --numeric-owner -cf - vendor |
  xz -9e >vendor.tar.xz
rm -rf vendor
ls -l vendor.tar.xz
