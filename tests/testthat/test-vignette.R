test_that("the vignette runs", {
  dir <- Sys.getenv("KERASPREDICT_SOURCE")
  skip_if(!nzchar(dir), "needs the source folder (KERASPREDICT_SOURCE)")
  skip_if_not_installed("knitr")
  here <- setwd(tempdir())
  on.exit(setwd(here))
  file <- knitr::knit(
    file.path(dir, "vignettes", "keraspredict.Rmd"),
    tempfile(fileext = ".md"),
    quiet = TRUE,
    envir = new.env()
  )
  errors <- grep("^#> Error", readLines(file), value = TRUE)
  expect_length(errors, 1)
  expect_match(errors, "not \\(150, 3\\)")
})

test_that("the vignette of supported layers is made of the tables", {
  dir <- Sys.getenv("KERASPREDICT_SOURCE")
  skip_if(!nzchar(dir), "needs the source folder (KERASPREDICT_SOURCE)")
  skip_if_not_installed("knitr")
  here <- setwd(tempdir())
  on.exit(setwd(here))
  file <- knitr::knit(
    file.path(dir, "vignettes", "supported-layers.Rmd"),
    tempfile(fileext = ".md"),
    quiet = TRUE,
    envir = new.env()
  )
  text <- paste(readLines(file), collapse = "\n")
  expect_no_match(text, "#> Error")
  for (class in c(supported_layers()$class, supported_ops()$class)) {
    expect_match(text, class, fixed = TRUE)
  }
})
