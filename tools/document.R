# Writes all files that are generated: R/extendr-wrappers.R, NAMESPACE, man/.
# Run it at the top of the repository after changing the binding crate or any
# roxygen comment: Rscript tools/document.R

run <- function(...) {
  status <- system2(file.path(R.home("bin"), "R"), c(...))
  if (status != 0) {
    stop("R ", paste(..., collapse = " "), " failed.", call. = FALSE)
  }
}

Sys.setenv(NOT_CRAN = "true")
library <- tempfile("library")
dir.create(library)
wrappers <- "R/extendr-wrappers.R"

# The wrappers are made from the shared object, which has to be built first;
# lazy loading would need the wrappers.
run(
  "CMD",
  "INSTALL",
  "--no-test-load",
  "--no-docs",
  "--no-byte-compile",
  "--no-multiarch",
  paste0("--library=", library),
  "."
)
dll <- dyn.load(file.path(
  library,
  "keraspredict",
  "libs",
  paste0("keraspredict", .Platform$dynlib.ext)
))
text <- .Call(
  getNativeSymbolInfo("wrap__make_keraspredict_wrappers", dll),
  TRUE,
  "keraspredict"
)
writeLines(
  c(
    "# Written by tools/document.R from the binding crate.",
    "",
    sub("\n+$", "", text)
  ),
  wrappers
)
dyn.unload(dll[["path"]])

roxygen2::roxygenise(".", load_code = function(path) {
  run(
    "CMD",
    "INSTALL",
    "--no-docs",
    "--no-multiarch",
    paste0("--library=", library),
    path
  )
  loadNamespace("keraspredict", lib.loc = library)
})
