# The lines of a vignette, knit from the sources.
knit_vignette <- function(name) {
  dir <- Sys.getenv("KERASPREDICT_SOURCE")
  skip_if(!nzchar(dir), "needs the source folder (KERASPREDICT_SOURCE)")
  skip_if_not_installed("knitr")
  here <- setwd(tempdir())
  on.exit(setwd(here))
  readLines(knitr::knit(
    file.path(dir, "vignettes", name),
    tempfile(fileext = ".md"),
    quiet = TRUE,
    envir = new.env()
  ))
}

test_that("the vignette runs", {
  errors <- grep("^#> Error", knit_vignette("keraspredict.Rmd"), value = TRUE)
  expect_length(errors, 1)
  expect_match(errors, "not \\(150, 3\\)")
})

test_that("the vignette of supported layers is made of the tables", {
  text <- paste(knit_vignette("supported-layers.Rmd"), collapse = "\n")
  expect_no_match(text, "#> Error")
  for (class in c(supported_layers()$class, supported_ops()$class)) {
    expect_match(text, class, fixed = TRUE)
  }
})
