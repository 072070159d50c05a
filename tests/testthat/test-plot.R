test_that("models are drawn", {
  skip_if_not_installed("vdiffr")
  vdiffr::expect_doppelganger("sequential", function() {
    plot(load_model(keraspredict_example("digits")))
  })
  vdiffr::expect_doppelganger("functional", function() plot(loaded("dict")))
  vdiffr::expect_doppelganger("to the right", function() {
    plot(loaded("dict"), rankdir = "LR", show_shapes = FALSE)
  })
  vdiffr::expect_doppelganger("nested", function() {
    plot(loaded("nested"), expand_nested = TRUE, show_dtype = TRUE)
  })
  vdiffr::expect_doppelganger("no names", function() {
    plot(loaded("two"), show_layer_names = FALSE)
  })
  vdiffr::expect_doppelganger("activations", function() {
    plot(
      loaded("nested"),
      show_shapes = FALSE,
      expand_nested = TRUE,
      show_layer_activations = TRUE,
      show_trainable = TRUE
    )
  })
})

# A graph of layers of these classes, with the edges between them.
drawn_graph <- function(classes, from, to, right = FALSE) {
  nodes <- lapply(seq_along(classes), function(i) {
    list(name = paste0("l", i), class = classes[[i]], shape = "(None, 8)")
  })
  style <- list(
    shapes = TRUE,
    names = TRUE,
    dtype = FALSE,
    nested = FALSE,
    right = right,
    activations = FALSE,
    trainable = FALSE
  )
  draw_graph(list(nodes = nodes, from = from, to = to), style)
}

# Classes and edges of a U-Net with so many levels.
unet_graph <- function(levels) {
  down <- rep(c("Conv2D", "Conv2D", "MaxPooling2D"), levels)
  up <- rep(c("Conv2DTranspose", "Concatenate", "Conv2D"), levels)
  classes <- c("InputLayer", down, "Conv2D", up)
  n <- length(classes)
  skip <- rev(3 * seq_len(levels))
  merge <- 1 + length(down) + 1 + 3 * seq_len(levels) - 1
  list(classes, c(seq_len(n - 1), skip), c(seq_len(n - 1) + 1, merge))
}

test_that("branches, skips and several inputs are drawn", {
  skip_if_not_installed("vdiffr")
  convolution <- rep("Conv2D", 6)
  inception <- list(
    c("InputLayer", convolution, "MaxPooling2D", "Concatenate", "Dense"),
    c(1, 1, 2, 1, 4, 5, 1, 8, 3, 6, 7, 9),
    c(2, 3, 9, 4, 5, 9, 8, 6, 7, 9, 9, 10)
  )
  vdiffr::expect_doppelganger("inception", function() {
    do.call(drawn_graph, inception)
  })
  vdiffr::expect_doppelganger("inception to the right", function() {
    do.call(drawn_graph, c(inception, right = TRUE))
  })
  vdiffr::expect_doppelganger("u-net", function() {
    drawn_graph(
      c(
        "InputLayer",
        rep(c("Conv2D", "MaxPooling2D"), 2),
        "Conv2D",
        rep(c("Conv2DTranspose", "Concatenate"), 2),
        "Conv2D"
      ),
      c(1:10, 4, 2),
      c(2:11, 8, 10)
    )
  })
  vdiffr::expect_doppelganger("u-net to the right", function() {
    do.call(drawn_graph, c(unet_graph(3), right = TRUE))
  })
  vdiffr::expect_doppelganger("deep u-net", function() {
    do.call(drawn_graph, unet_graph(3))
  })
  vdiffr::expect_doppelganger("inputs", function() {
    drawn_graph(
      c("InputLayer", "InputLayer", "Embedding", "LSTM", "Dense", "Add", "Dense"),
      c(1, 3, 2, 4, 5, 6),
      c(3, 4, 5, 6, 6, 7)
    )
  })
})

test_that("a long model on a small device shows classes alone", {
  layers <- rep("", 60)
  names(layers) <- rep("Flatten", 60)
  rows <- model_rows(environment(json_model("[null, 4]", layers)))
  graph <- model_graph(rows)
  style <- list(
    shapes = NA,
    names = NA,
    dtype = FALSE,
    nested = FALSE,
    right = FALSE,
    activations = FALSE,
    trainable = FALSE
  )
  grDevices::pdf(tempfile())
  on.exit(grDevices::dev.off())
  graphics::plot.new()
  shown <- function(room, style) {
    unlist(readable_style(graph, style, room, NULL)[c("shapes", "names")])
  }
  expect_identical(shown(c(30, 30), style), c(shapes = TRUE, names = TRUE))
  expect_identical(shown(c(3, 3), style), c(shapes = FALSE, names = FALSE))
  # What the user asks for is shown.
  style$names <- TRUE
  expect_identical(shown(c(3, 3), style), c(shapes = FALSE, names = TRUE))
})

test_that("activations are named as the config has them", {
  expect_null(activation_name(NULL))
  expect_identical(activation_name("relu"), "relu")
  expect_identical(
    activation_name(list(class_name = "LeakyReLU", config = list(alpha = 0.1))),
    "LeakyReLU"
  )
  expect_identical(
    activation_name(list(class_name = "function", config = "my_act")),
    "my_act"
  )
})

test_that("a model is drawn to a file of its size", {
  model <- loaded("two")
  for (type in c(".pdf", ".png", ".svg")) {
    if (type != ".pdf" && !capabilities("cairo")) {
      next
    }
    file <- tempfile(fileext = type)
    expect_identical(plot(model, to_file = file), model)
    expect_gt(file.size(file), 1000)
  }
})

test_that("bad arguments of plot() are errors", {
  model <- loaded("two")
  expect_snapshot(error = TRUE, {
    plot(model, rankdir = "up")
    plot(model, show_shapes = 1)
    plot(model, overview = 1)
    plot(model, colour = "red")
    plot(model, TRUE, TRUE, TRUE, 1)
    plot(model, to_file = "model.txt")
    plot(model, to_file = "model.png", dpi = 0)
    plot(model, layer_range = c("a", "nowhere"))
  })
})

test_that("a model as a data frame has a row for each layer", {
  frame <- as.data.frame(loaded("dict"))
  expect_identical(frame$name[1:3], c("a", "left", "b"))
  expect_identical(frame$class[[2]], "Dense")
  expect_identical(frame$output_shape[[2]], "(None, 5)")
  expect_identical(frame$params[[2]], 25)
  expect_identical(frame$dtype[[2]], "float32")
  expect_identical(frame$connected_to[[4]], c("left[0][0]", "b[0][0]"))
  nested <- as.data.frame(loaded("nested"), expand_nested = TRUE)
  expect_true(any(startsWith(nested$name, "inner/")))
  expect_false(all(nested$trainable))
  expect_lt(nrow(as.data.frame(loaded("nested"))), nrow(nested))
})

test_that("of a model that can't be read, an overview is drawn", {
  chain <- rep(c("Conv2D", "BatchNormalization", "ReLU"), 110)
  graph <- function(size) {
    nodes <- lapply(seq_along(chain), function(i) {
      list(name = paste0("l", i), class = chain[[i]], shape = "(None, 8)")
    })
    # A skip past every six.
    skips <- seq(1, length(chain) - 6, by = 6)
    from <- c(seq_along(chain)[-1] - 1, skips)
    to <- c(seq_along(chain)[-1], skips + 6)
    list(nodes = nodes, from = from, to = to)
  }
  short <- overview_graph(graph())
  expect_identical(short$nodes[[1]]$class, "13 layers")
  expect_identical(
    short$nodes[[1]]$layers,
    "5 Conv2D, 4 BatchNormalization, 4 ReLU"
  )
  expect_identical(short$nodes[[1]]$name, "l1 ... l13")
  expect_identical(short$from, seq_along(short$from))
  style <- list(
    shapes = NA,
    names = NA,
    dtype = FALSE,
    nested = FALSE,
    right = FALSE,
    activations = FALSE,
    trainable = FALSE
  )
  draw <- function(...) {
    grDevices::pdf(NULL, 12, 9)
    on.exit(grDevices::dev.off())
    draw_graph(graph(), style, ...)
  }
  expect_snapshot(draw(overview = NA))
  expect_silent(draw(overview = FALSE))
  skip_if_not_installed("vdiffr")
  model <- loaded("nested")
  vdiffr::expect_doppelganger("overview", function() {
    suppressMessages(draw_graph(graph(), style, overview = NA))
  })
  vdiffr::expect_doppelganger("overview of few", function() {
    plot(model, overview = TRUE)
  })
})

test_that("a drawing that is too small says what to do", {
  draw <- function() {
    grDevices::pdf(NULL, 0.4, 0.4)
    on.exit(grDevices::dev.off())
    plot(loaded("nested"))
  }
  told <- tryCatch(draw(), message = conditionMessage)
  expect_snapshot(cat(told))
})
