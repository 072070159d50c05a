# Writes src/Makevars (or Makevars.win) from its template.
#
# NOT_CRAN: builds with the user's own cargo home and keeps the target folder.
# DEBUG: the same, without optimisation.
# Otherwise the build leaves nothing behind and, with vendored crates, uses two
# jobs and no network.

source("tools/msrv.R")

debug <- nzchar(Sys.getenv("DEBUG"))
cran <- !debug && !nzchar(Sys.getenv("NOT_CRAN"))
vendored <- file.exists("src/rust/vendor.tar.xz")

values <- c(
  CRAN_FLAGS = if (cran && vendored) "-j 2 --offline" else "",
  PROFILE = if (debug) "" else "--release",
  LIBDIR = if (debug) "debug" else "release",
  CLEAN_TARGET = if (cran) "$(TARGET_DIR)" else "",
  CARGO_HOME_EXPORT = if (cran || vendored) {
    "export CARGO_HOME=$(CARGOTMP) && "
  } else {
    ""
  }
)

file <- if (.Platform$OS.type == "windows") {
  "src/Makevars.win"
} else {
  "src/Makevars"
}
text <- readLines(paste0(file, ".in"))
for (name in names(values)) {
  text <- gsub(paste0("@", name, "@"), values[[name]], text, fixed = TRUE)
}

con <- file(file, open = "wb")
writeLines(text, con)
close(con)
