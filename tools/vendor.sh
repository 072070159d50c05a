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
  \( -name test -o -name tests -o -name benches -o -name examples -o -name ci -o -name '.*' \) \
  -exec rm -rf {} +
find vendor -mindepth 3 -type d \
  \( -name tests -o -name test-data -o -name testdata -o -name output_tests \) -prune -exec rm -rf {} +
find vendor -type f \( -name '*.stderr' -o -name '*.mca' -o -name '*.x86-64' -o -name '*.orig' \
  -o -name '*.png' -o -name '*.svg' -o -name 'CHANGELOG*' -o -name '*.yml' \
  -o -name Cargo.lock -o -name Cargo.toml.orig \) -delete

# Of crates that no platform of R builds, the name alone.
platforms="$(printf '%s-unknown-linux-gnu ' x86_64 i686 aarch64 riscv64gc s390x powerpc64le loongarch64)
  armv7-unknown-linux-gnueabihf x86_64-unknown-linux-musl aarch64-unknown-linux-musl
  x86_64-unknown-freebsd x86_64-apple-darwin aarch64-apple-darwin
  x86_64-pc-windows-gnu aarch64-pc-windows-gnullvm wasm32-unknown-emscripten"
built=$(for platform in $platforms; do
  cargo tree --locked --edges normal,build --target "$platform" --prefix none --format '{p}'
done | awk '{ print $1 " " $2 }' | sort -u)
for crate in vendor/*; do
  field() { sed -n "s/^$1 = \"\(.*\)\"/\1/p" "$crate/Cargo.toml" | head -n 1; }
  grep -qxF "$(field name) v$(field version)" <<<"$built" && continue
  find "$crate" -type f ! -name Cargo.toml ! -name '.cargo-checksum.json' ! -iname '*license*' -delete
  mkdir -p "$crate/src"
  : >"$crate/src/lib.rs"
  if grep -q '^build = "build.rs"' "$crate/Cargo.toml"; then echo 'fn main() {}' >"$crate/build.rs"; fi
done

# Of other systems' C library, nothing; of Windows' API, what zip asks for.
for system in aix cygwin espidf fuchsia haiku helenos hermit hermit_abi horizon hurd l4re newlib nto \
  nuttx psp qurt redox relibc rtems sgx solid switch teeos trusty vita vxworks wasi xous; do
  rm -rf vendor/libc/src/{,new/,unix/,unix/linux_like/}"$system"{,.rs}
done
windows=vendor/windows-sys/src/Windows
find $windows -mindepth 1 -maxdepth 1 -type d ! -name Win32 -exec rm -rf {} +
find $windows/Win32 -mindepth 1 -maxdepth 1 -type d \
  ! -name Foundation ! -name Security ! -name Storage -exec rm -rf {} +
find $windows/Win32/* -mindepth 1 -maxdepth 1 -type d \
  ! -name Authorization ! -name FileSystem -exec rm -rf {} +

find vendor -name .cargo-checksum.json -print0 | xargs -0 sed -i 's/"files":{[^}]*}/"files":{}/'

# The same crates give the same archive.
tar --sort=name --mtime='2020-01-01 00:00Z' --owner=0 --group=0 --numeric-owner -cf - vendor |
  xz -9e >vendor.tar.xz
rm -rf vendor
ls -l vendor.tar.xz
