# Generated files are committed; these tests say when they are stale.

source_dir <- function() {
  dir <- Sys.getenv("KERASPREDICT_SOURCE")
  skip_if(!nzchar(dir), "needs the source folder (KERASPREDICT_SOURCE)")
  dir
}

test_that("R/extendr-wrappers.R is current (run tools/document.R)", {
  dir <- source_dir()
  text <- .Call("wrap__make_keraspredict_wrappers", TRUE, "keraspredict",
    PACKAGE = "keraspredict")
  committed <- readLines(file.path(dir, "R", "extendr-wrappers.R"))
  expect_identical(
    committed[-(1:2)],
    strsplit(sub("\n+$", "", text), "\n", fixed = TRUE)[[1]]
  )
})
