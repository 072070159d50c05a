test_that("the vignette runs", {
  dir <- Sys.getenv("KERASPREDICT_SOURCE")
  skip_if(!nzchar(dir), "needs the source folder (KERASPREDICT_SOURCE)")
  skip_if_not_installed("knitr")
  here <- setwd(tempdir())
  on.exit(setwd(here))
  file <- knitr::knit(
    file.path(dir, "vignettes", "keraspredict.Rmd"), tempfile(fileext = ".md"),
    quiet = TRUE, envir = new.env()
  )
  errors <- grep("^#> Error", readLines(file), value = TRUE)
  expect_length(errors, 1)
  expect_match(errors, "not \\(150, 3\\)")
})
