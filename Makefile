# Each command installs what is missing on a fresh Debian machine with cargo
# (as root, by apt) and does the whole job.

export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: test demo conformance check document site lint coverage bench bench-quick bench-kernels

# Formatting, lints, the engine's tests, R CMD INSTALL, the R tests.
test:
	@bash tools/test.sh

# Reads real digits with the bundled model and draws them to digits.png.
demo:
	@bash tools/demo.sh

# Golden cases made anew by real Keras, and the R tests that use TensorFlow.
conformance:
	@bash tools/setup.sh
	@bash tools/conformance.sh
	@bash tools/test.sh reticulate

# R CMD check --as-cran of a tarball with vendored crates, without a network.
check:
	@bash tools/check.sh

# Writes the generated files: wrappers, NAMESPACE, man.
document:
	@bash tools/setup.sh
	@Rscript tools/document.R

# The pkgdown site, in docs/.
site:
	@bash tools/setup.sh pkgdown
	@bash tools/site.sh

# lintr over all R code, with the package installed.
lint:
	@bash tools/setup.sh lintr
	@bash tools/install.sh
	@R_LIBS="$$PWD/.rlib" Rscript tools/lint.R

# The share of lines that tests run: of the engine by its own, of the R code by R's.
coverage:
	@bash tools/setup.sh covr llvm
	@bash tools/coverage.sh

# All workloads beside Keras, ONNX Runtime and OpenVINO: writes bench/RESULTS.md
# and a plot. The quick one shows some of them and writes nothing.
bench:
	@bash tools/setup.sh
	@bash tools/bench.sh --out bench/RESULTS.md

bench-quick:
	@bash tools/setup.sh
	@bash tools/bench.sh --quick

# Kernels alone, on one thread: GFLOP/s and the share of the processor's peak.
bench-kernels:
	@bash tools/setup.sh
	@cargo bench --manifest-path bench/kernels/Cargo.toml
