# What Keras' own summary() says, without the empty lines.
kerass <- function(name) {
  lines <- readLines(
    test_path("fixtures", paste0("summary-", name, ".txt")),
    encoding = "UTF-8"
  )
  lines[nzchar(trimws(lines))]
}

ours <- function(model, ...) {
  strsplit(format(model, ...), "\n", fixed = TRUE)[[1]]
}

test_that("the table is Keras', in any width", {
  skip_if_not(l10n_info()[["UTF-8"]])
  for (name in c("mlp", "two", "dict", "words", "image", "nested")) {
    for (width in c(60, 80, 120)) {
      expect_identical(
        ours(loaded(name), line_length = width),
        kerass(paste0(name, "-", width))
      )
    }
  }
})

test_that("nested models can be expanded", {
  skip_if_not(l10n_info()[["UTF-8"]])
  for (width in c(60, 80, 120)) {
    expect_identical(
      ours(loaded("nested"), line_length = width, expand_nested = TRUE),
      kerass(paste0("nested-", width, "-nested"))
    )
  }
})

test_that("print(), summary() and str() show it, as wide as R's lines", {
  model <- loaded("mlp")
  withr_width <- options(width = 70)
  on.exit(options(withr_width))
  text <- ours(model)
  expect_identical(max(nchar(text)), 70L)
  expect_identical(capture.output(shown <- withVisible(print(model))), text)
  expect_false(shown$visible)
  expect_identical(shown$value, model)
  expect_identical(capture.output(shown <- withVisible(summary(model))), text)
  expect_false(shown$visible)
  expect_identical(shown$value, format(model))
  expect_identical(capture.output(str(model)), text)
  expect_identical(
    capture.output(model$summary(line_length = 60)),
    ours(model, line_length = 60)
  )
})

test_that("the columns and rows can be chosen", {
  expect_snapshot({
    summary(loaded("nested"), show_trainable = FALSE, line_length = 60)
    summary(
      loaded("mlp"),
      show_trainable = TRUE,
      line_length = 60,
      positions = c(.5, .7, 1)
    )
    summary(loaded("image"), layer_range = c("conv", "fla"), line_length = 60)
    summary(
      loaded("image"),
      layer_range = c("fla", "conv"),
      line_length = 60,
      compact = FALSE
    )
  })
  expect_snapshot(error = TRUE, {
    summary(loaded("mlp"), line_length = 8)
    summary(loaded("mlp"), line_length = NA)
    summary(loaded("mlp"), positions = c(0.5, 1))
    summary(loaded("mlp"), positions = c(0.5, 0.4, 1))
    summary(loaded("mlp"), expand_nested = NA)
    summary(loaded("mlp"), show_trainable = "yes")
    summary(loaded("mlp"), layer_range = "dense")
    summary(loaded("mlp"), layer_range = c("no", "none"))
  })
})

test_that("columns may end at a number of characters", {
  model <- loaded("mlp")
  expect_identical(
    format(model, line_length = 60, positions = c(30, 42, 60)),
    format(model, line_length = 60, positions = c(0.5, 0.7, 1))
  )
})

test_that("outside of UTF-8 the table is plain", {
  out <- run_r(
    c(
      "library(keraspredict)",
      sprintf(
        "print(load_model(%s), line_length = 60)",
        deparse(normalizePath(fixture("mlp")))
      )
    ),
    env = "LC_ALL=C"
  )
  expect_false(any(grepl("[^ -~]", out)))
  expect_match(out[2], "^\\+-+\\+-+\\+-+\\+$")
})

test_that("weights that are still to be loaded are counted like others", {
  for (name in c("mlp", "order", "space", "table", "stateful")) {
    folder <- tempfile()
    utils::unzip(fixture(name), files = "config.json", exdir = folder)
    bare <- load_model(file.path(folder, "config.json"))
    unlink(folder, recursive = TRUE)
    expect_identical(count_params(bare), count_params(loaded(name)))
  }
})
