test_that("live models of Keras are ours only while keras3 isn't loaded", {
  out <- run_r(c(
    "library(keraspredict)",
    "live <- structure(list(), class = 'keras.src.models.model.Model')",
    "ours <- getS3method('predict', 'keraspredict_model')",
    "cat(identical(getS3method('predict', class(live)), ours), '\\n')"
  ))
  expect_identical(trimws(out), "TRUE")
})

test_that("the package loads little", {
  out <- run_r(c(
    "before <- loadedNamespaces()",
    "library(keraspredict)",
    sprintf(
      "y <- predict(load_model(%s), matrix(0, 2, 4), verbose = 0)",
      deparse(normalizePath(fixture("mlp")))
    ),
    "cat(setdiff(loadedNamespaces(), before))"
  ))
  expect_identical(out, "keraspredict")
})

test_that("the pipe hides none that is the same", {
  skip_if_not_installed("magrittr")
  expect_identical(
    run_r(c(
      "loadNamespace('magrittr') |> invisible()",
      "library(keraspredict)",
      "cat(identical(keraspredict::`%>%`, magrittr::`%>%`))"
    )),
    "TRUE"
  )
})
