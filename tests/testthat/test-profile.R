test_that("a profile has a row for each step", {
  model <- load_model(keraspredict_example("digits"))
  times <- profile(model, array(0, c(4, 8, 8, 1)), repeats = 2)
  expect_s3_class(times, c("keraspredict_profile", "data.frame"), exact = TRUE)
  expect_named(times, c("layer", "operation", "seconds", "share"))
  expect_true(all(times$seconds >= 0))
  expect_equal(sum(times$share), 1)
  expect_true("Conv" %in% times$operation)
})

test_that("a profile can be drawn", {
  model <- load_model(keraspredict_example("iris"))
  times <- profile(model, as.matrix(iris[1:3, 1:4]))
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_identical(plot(times), times)
  # Layers that are computed together have long names.
  times$layer[1] <- paste(rep("dense", 40), collapse = " + ")
  expect_identical(plot(times), times)
})

test_that("a profile needs an input that fits", {
  model <- load_model(keraspredict_example("iris"))
  expect_error(profile(model), class = "keraspredict_error_bad_input")
  expect_error(profile(model, matrix(0, 1, 3)), class = "keraspredict_error")
  expect_error(
    profile(model, iris[1:2, 1:4], 3),
    "The argument after `x` is repeats, by name.",
    class = "keraspredict_error_unknown_argument"
  )
})
