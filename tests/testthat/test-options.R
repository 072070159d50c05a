test_that("options are listed", {
  old <- options(keras.verbose = NULL, keraspredict.class_index = NULL)
  on.exit(options(old))
  expect_named(
    keraspredict_options(),
    c(
      "keras.verbose",
      "keraspredict.class_index",
      "keraspredict.threads",
      "KERASPREDICT_THREADS"
    )
  )
  options(keras.verbose = 2, keraspredict.class_index = "x.json")
  expect_identical(
    keraspredict_options()[1:2],
    list(keras.verbose = 2, keraspredict.class_index = "x.json")
  )
})

test_that("values that can't be used are errors", {
  old <- options(keras.verbose = 7)
  threads <- Sys.getenv("KERASPREDICT_THREADS", NA)
  on.exit({
    options(old)
    if (is.na(threads)) {
      Sys.unsetenv("KERASPREDICT_THREADS")
    } else {
      Sys.setenv(KERASPREDICT_THREADS = threads)
    }
  })
  expect_snapshot(error = TRUE, {
    keraspredict_options()
    options(keras.verbose = NULL, keraspredict.class_index = 1)
    keraspredict_options()
    options(keraspredict.class_index = NULL)
    Sys.setenv(KERASPREDICT_THREADS = "many")
    keraspredict_options()
  })
})
