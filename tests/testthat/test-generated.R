# Generated files are committed; these tests say when they are stale.

source_dir <- function() {
  dir <- Sys.getenv("KERASPREDICT_SOURCE")
  skip_if(!nzchar(dir), "needs the source folder (KERASPREDICT_SOURCE)")
  dir
}

test_that("R/extendr-wrappers.R is current (run tools/document.R)", {
  dir <- source_dir()
  text <- .Call(
    "wrap__make_keraspredict_wrappers",
    TRUE,
    "keraspredict",
    PACKAGE = "keraspredict"
  )
  committed <- readLines(file.path(dir, "R", "extendr-wrappers.R"))
  expect_identical(
    committed[-(1:2)],
    strsplit(sub("\n+$", "", text), "\n", fixed = TRUE)[[1]]
  )
})

test_that("NAMESPACE and man/ are current (run tools/document.R)", {
  dir <- source_dir()
  skip_if_not_installed("roxygen2")
  copy <- file.path(tempfile(), "keraspredict")
  dir.create(copy, recursive = TRUE)
  on.exit(unlink(dirname(copy), recursive = TRUE))
  file.copy(
    file.path(dir, c("DESCRIPTION", "NAMESPACE", "R", "man")),
    copy,
    recursive = TRUE
  )
  wanted <- read.dcf(file.path(dir, "DESCRIPTION"), "RoxygenNote")[[1]]
  skip_if(
    utils::packageVersion("roxygen2") != wanted,
    paste("needs roxygen2", wanted)
  )
  capture.output(
    suppressMessages(roxygen2::roxygenise(copy, load_code = function(path) {
      asNamespace("keraspredict")
    })),
    type = "output"
  )
  text <- function(root, name) readLines(file.path(root, name))
  expect_identical(text(copy, "NAMESPACE"), text(dir, "NAMESPACE"))
  pages <- sort(list.files(file.path(dir, "man")))
  expect_identical(sort(list.files(file.path(copy, "man"))), pages)
  for (page in pages) {
    expect_identical(
      text(copy, file.path("man", page)),
      text(dir, file.path("man", page)),
      label = page
    )
  }
})

test_that("help pages document the arguments that there are", {
  dir <- source_dir()
  expect_length(unclass(tools::checkDocFiles(dir = dir)), 0)
  expect_length(unclass(tools::codoc(dir = dir)), 0)
})
