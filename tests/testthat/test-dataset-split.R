test_that("arrays and datasets are split as Keras does", {
  x <- matrix(as.numeric(0:21), 11, byrow = TRUE)
  splits <- function(name, ...) {
    halves <- split_dataset(...)
    expect_length(halves, 2)
    for (i in 1:2) {
      expected <- dataset_cases(paste("split", name, i))
      expect_batches(halves[[i]], expected, paste(name, i))
    }
  }
  splits("left", x, left_size = 0.7)
  splits("right", list(x, 0:10), right_size = 3)
  splits("both", list(x, 0:10), left_size = 2, right_size = 0.25)
  splits("shuffled", x, left_size = 0.5, shuffle = TRUE, seed = 5)
  windows <- timeseries_dataset_from_array(x, NULL, 3, batch_size = 2)
  splits("dataset", windows, left_size = 5)
})

test_that("files that are read in batches are split by batches", {
  skip_if_not_installed("png")
  files <- function(...) {
    image_dataset_from_directory(
      data_folder("images", parent.frame()),
      image_size = c(2, 3),
      batch_size = 2,
      shuffle = FALSE,
      verbose = FALSE,
      ...
    )
  }
  pairs <- files(class_names = c("b", "a-c"))
  halves <- split_dataset(pairs, left_size = 1)
  for (i in 1:2) {
    expect_batches(halves[[i]], dataset_cases(paste("split files", i)), "files", 2e-3)
  }
  expect_identical(halves[[1]]$file_paths, pairs$file_paths[1:2])
  # Keras can't split batches of different sizes.
  uneven <- split_dataset(files(), right_size = 2)
  expect_identical(vapply(uneven, length, 1), c(2, 2))
  expect_identical(uneven[[2]]$count, 3L)
})

test_that("halves of arrays are predicted in batches", {
  case <- cases()$mlp
  c(left, right) %<-% split_dataset(list(case$x, 1:7), left_size = 4)
  expect_close(predict(loaded("mlp"), left$batch(3)), case$y[1:4, ])
  expect_close(predict(loaded("mlp"), right$batch(32)), case$y[5:7, ])
  frame <- split_dataset(as.data.frame(case$x), right_size = 0.5)[[1]]
  expect_close(predict(loaded("mlp"), frame$batch(2)), case$y[1:3, ])
  weighted <- split_dataset(list(case$x, 1:7, 7:1), left_size = 1)[[1]]
  expect_identical(iterate(weighted)[[1]][2:3], list(1L, 7L))
  expect_snapshot(left)
})

test_that("what can't be split is an error", {
  expect_snapshot(error = TRUE, {
    split_dataset(1:9)
    split_dataset(1:9, left_size = 9)
    split_dataset(1:9, left_size = 0.01)
    split_dataset(1:9, left_size = 5, right_size = 5)
    split_dataset(1:9, left_size = 1.5)
    split_dataset(1:9, right_size = -1)
    split_dataset(list(1:9, 1:8), 0.5)
    split_dataset(list(), 0.5)
    split_dataset(mean, 0.5)
    split_dataset(1:9, 0.5, shuffle = NA)
    split_dataset(1:9, 0.5, shuffle = TRUE, seed = -1)
  })
})
