cells <- local({
  value <- NULL
  function(name = NULL) {
    if (is.null(value)) {
      value <<- source(test_path("fixtures", "cells.R"))$value
    }
    if (is.null(name)) value else value[[name]]
  }
})

leaky <- function(inputs, states, config, weights) {
  before <- states[[1]]
  new <- tanh(inputs %*% weights[[1]] + before %*% weights[[2]])
  new <- config$rate * before + (1 - config$rate) * new
  list(new, new)
}

trend <- function(inputs, states, config, weights) {
  dense <- sweep(inputs %*% weights[[2]], 2, weights[[3]], `+`)
  level <- states[[1]] + dense
  count <- states[[2]] + 1
  output <- (level %*% weights[[1]]) / as.vector(count)
  list(output = output, states = list(level, count))
}
attr(trend, "state_size") <- c(3, 1)

gate <- function(inputs, config, weights, mask) {
  a <- inputs[[1]]
  kept <- a * array(mask * 1, dim(a))
  scaled <- sweep(kept, 3, weights[[1]], `*`)
  attr(scaled, "mask") <- mask
  list(scaled, apply(kept, c(1, 3), sum) + inputs[[2]])
}

warm <- leaky
attr(warm, "initial_state") <- function(batch_size, config) {
  start <- (seq_len(config$units) - 1) * config$rate - 1
  matrix(start, batch_size, config$units, byrow = TRUE)
}

cell_objects <- list(Leaky = leaky, Trend = trend, Gate = gate, Warm = warm)

cell_model <- function(name, objects = cell_objects) {
  load_model(test_path("fixtures", paste0(name, ".keras")), objects)
}

test_that("functions stand in for recurrent cells, as in Keras", {
  for (name in setdiff(names(cells()), "gate")) {
    model <- cell_model(name)
    case <- cells(name)
    expect_close(predict(model, case$x), case$y)
    expect_close(predict(model, case$x, batch_size = 2), case$y)
  }
  model <- cell_model("cell")
  again <- unserialize(serialize(model, NULL))
  expect_close(predict(again, cells("cell")$x), cells("cell")$y)
})

test_that("functions take and give several arrays, and masks", {
  model <- cell_model("gate")
  expect_close(predict(model, cells("gate")$x), cells("gate")$y)
})

test_that("a cell's function is told what it must give", {
  without_size <- trend
  attr(without_size, "state_size") <- NULL
  one_state <- function(inputs, states) list(inputs, states[[1]])
  attr(one_state, "state_size") <- c(3, 1)
  expect_snapshot(error = TRUE, {
    cell_model("cell_states", list(Trend = without_size))
    cell_model("cell", list(Leaky = function(inputs, config, weights) inputs))
    cell_model("cell_states", list(Trend = one_state))
    cell_model("cell", list(Leaky = function(inputs, states) inputs))
    cell_model(
      "cell",
      list(Leaky = function(inputs, states) {
        list(inputs, inputs)
      })
    )
    cell_model(
      "cell_each",
      list(Leaky = function(inputs, states) {
        stop("no {luck} at 100%")
      })
    )
  })
})

test_that("a cell's own initial states must fit", {
  cold <- leaky
  attr(cold, "initial_state") <- function(batch_size) matrix(0, batch_size, 7)
  expect_snapshot(error = TRUE, {
    cell_model("cell_warm", list(Warm = cold))
    predict(
      edited("cell_warm", '"stateful": false', '"stateful": true', cell_objects),
      cells("cell_warm")$x
    )
  })
  attr(cold, "initial_state") <- function(batch_size) stop("it is cold")
  expect_error(cell_model("cell_warm", list(Warm = cold)), "it is cold")
  attr(cold, "initial_state") <- NULL
  model <- cell_model("cell_warm", list(Warm = cold))
  y <- predict(model, cells("cell_warm")$x)[[1]]
  expect_gt(max(abs(y - cells("cell_warm")$y[[1]])), 0.1)
})
