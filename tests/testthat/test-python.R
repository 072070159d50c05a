# A stand-in for what reticulate gives; the real thing is in test-reticulate.R.
test_that("what Python exports becomes an R array", {
  bytes <- function(x) writeBin(x, raw())
  expect_identical(
    from_export(list(
      kind = "f",
      shape = list(2L, 2L),
      data = bytes(c(1, 2, 3, 4))
    )),
    matrix(c(1, 2, 3, 4), 2)
  )
  expect_identical(
    from_export(list(kind = "i", shape = 3L, data = bytes(1:3))),
    array(1:3, 3)
  )
  expect_identical(
    from_export(list(
      kind = "b",
      shape = list(1L, 2L),
      data = bytes(c(0L, 1L))
    )),
    matrix(c(FALSE, TRUE), 1)
  )
  expect_identical(
    from_export(list(kind = "s", shape = 2L, data = list("a", "b"))),
    array(c("a", "b"), 2)
  )
  expect_identical(
    from_export(list(kind = "f", shape = list(), data = bytes(5))),
    5
  )
})

test_that("nested batches become nested lists", {
  one <- list(kind = "i", shape = 1L, data = writeBin(7L, raw()))
  expect_identical(
    from_exports(list(a = one, b = list(one, one))),
    list(a = array(7L, 1), b = list(array(7L, 1), array(7L, 1)))
  )
})
