x <- aperm(array((0:23) / 10, c(2, 3, 4)), c(3, 2, 1))
first <- matrix(
  c(
    -0.5674566626548767,
    0.07142164558172226,
    0.6535119414329529,
    0.9077051281929016,
    -0.30542564392089844,
    -0.8190314769744873,
    -0.9745743870735168,
    -0.9974368214607239
  ),
  4
)
second <- matrix(
  c(
    -0.5713105797767639,
    0.05916338041424751,
    0.6535935401916504,
    0.9077074527740479,
    -0.3541216254234314,
    -0.8101975321769714,
    -0.9743998050689697,
    -0.9974256157875061
  ),
  4
)

test_that("states go on from batch to batch and from predict() to predict()", {
  model <- loaded("stateful")
  expect_close(predict(model, x, verbose = 0), first)
  expect_close(predict(model, x, verbose = 0), second)
  expect_identical(reset_state(model), model)
  expect_close(predict(model, x[1:2, , ], verbose = 0), first[1:2, ])
  expect_close(model(x[3:4, , ]), first[3:4, ])
})

test_that("a model that R has saved starts from zero", {
  model <- loaded("stateful")
  predict(model, x, verbose = 0)
  expect_close(
    predict(unserialize(serialize(model, NULL)), x, verbose = 0),
    first
  )
})

test_that("stateful models take batches of their size only", {
  model <- loaded("stateful")
  expect_snapshot(error = TRUE, {
    predict(model, x, batch_size = 4, verbose = 0)
    predict(model, x[1:3, , ], verbose = 0)
  })
})

test_that("reset_state() does nothing to models without states", {
  model <- loaded("mlp")
  expect_identical(reset_state(model), model)
  expect_error(reset_state(1), class = "keraspredict_error_bad_argument")
})
