iris_model <- function() load_model(keraspredict_example("iris"))

iris_file <- function(fileext = ".csv", ...) {
  file <- tempfile(fileext = fileext)
  utils::write.csv(iris, file, row.names = FALSE, ...)
  file
}

test_that("a file is read in batches", {
  model <- iris_model()
  expected <- predict(model, unname(as.matrix(iris[, 1:4])))
  rows <- csv_batches(iris_file(), columns = names(iris)[1:4])
  expect_identical(predict(model, rows), expected)
  # A path is opened anew.
  expect_identical(predict(model, rows, batch_size = 7), expected)
  expect_identical(
    predict(model, rows, batch_size = 60, steps = 2),
    expected[1:120, ]
  )
  expect_warning(
    all <- predict(model, rows, batch_size = 60, steps = 5),
    class = "keraspredict_warning_input_ran_out"
  )
  expect_identical(all, expected)
  sizes <- integer()
  note <- callback_lambda(on_predict_batch_end = function(batch, logs) {
    sizes <<- c(sizes, nrow(logs$outputs))
  })
  predict(model, rows, batch_size = 64, callbacks = note)
  expect_identical(sizes, c(64L, 64L, 22L))
  expect_identical(
    predict(model, csv_batches(iris_file(), columns = 1:4)),
    expected
  )
  expect_identical(
    predict(
      model,
      csv_batches(iris_file(), transform = function(rows) rows[1:4])
    ),
    expected
  )
})

test_that("all readers read the same", {
  lines <- c("1,2.5,a,\"x, \"\"y\"\"\"", "3,NA,b,\"two", "lines\"", ",4,7,")
  expected <- data.frame(
    n = c(1, 3, NA),
    d = c(2.5, NA, 4),
    s = c("a", "b", "7"),
    t = c("x, \"y\"", "two\nlines", NA)
  )
  for (parser in names(csv_parsers)) {
    if (parser != "base") {
      skip_if_not_installed(parser)
    }
    frame <- parse_csv(lines, names(expected), ",", c("", "NA"), 3:4, parser)
    if (parser != "readr") {
      frame$t <- gsub("\"\"", "\"", frame$t)
    }
    expect_equal(with_doubles(frame), expected, label = parser)
    one <- parse_csv("5", "n", ",", "NA", NULL, parser)
    expect_identical(with_doubles(one), data.frame(n = 5), label = parser)
    expect_error(
      parse_csv(c("1,2", "3"), c("a", "b"), ",", "NA", NULL, parser),
      class = "keraspredict_error_bad_input"
    )
    expect_error(
      parse_csv("1,2,3", c("a", "b"), ",", "NA", NULL, parser),
      class = "keraspredict_error_bad_input"
    )
  }
})

test_that("connections are read from where they are", {
  model <- iris_model()
  expected <- predict(model, unname(as.matrix(iris[, 1:4])))
  con <- file(iris_file())
  rows <- csv_batches(con, columns = 1:4)
  expect_identical(predict(model, rows), expected)
  gz <- tempfile(fileext = ".csv.gz")
  out <- gzfile(gz, "wt")
  utils::write.csv(iris, out, row.names = FALSE)
  close(out)
  expect_identical(predict(model, csv_batches(gz, columns = 1:4)), expected)
  text <- textConnection(c("# a remark", "1;2;3;4", "5;6;7;8"))
  readLines(text, 1)
  rows <- csv_batches(text, header = FALSE, sep = ";")
  expect_identical(
    predict(model, rows),
    predict(model, matrix(as.double(1:8), 2, byrow = TRUE))
  )
  expect_true(isOpen(text))
  close(text)
})

test_that("columns go to inputs by name, text to inputs of text", {
  case <- cases()$columns
  file <- tempfile(fileext = ".csv")
  utils::write.csv(
    data.frame(more = "x", kind = case$x$kind[, 1], age = case$x$age[, 1]),
    file,
    row.names = FALSE
  )
  expect_close(predict(loaded("columns"), csv_batches(file)), case$y)
  writeLines(c("\ufeffa,b", "1,x", "", "02,\"y\nz\""), file, useBytes = TRUE)
  expect_identical(
    predict(loaded("text"), csv_batches(file)),
    matrix(c("1", "02", "x", "y\nz"), 2)
  )
})

test_that("a URL is read, and a file without names one row at a time", {
  model <- iris_model()
  url <- paste0("file://", normalizePath(iris_file(), winslash = "/"))
  expect_identical(
    predict(model, csv_batches(url, columns = 1:4)),
    predict(model, unname(as.matrix(iris[, 1:4])))
  )
  file <- tempfile(fileext = ".csv")
  writeLines(c("1,2,3,4", "", "5,6,7,8"), file)
  expect_identical(
    predict(model, csv_batches(file, header = FALSE), batch_size = 1),
    predict(model, matrix(as.double(1:8), 2, byrow = TRUE), batch_size = 1)
  )
})

test_that("missing numbers stay missing, also where a batch has no others", {
  file <- tempfile(fileext = ".csv")
  writeLines(c("value", "1", "NA", "NA", "2"), file)
  y <- predict(loaded("single"), csv_batches(file), batch_size = 1)
  expect_identical(is.nan(y), matrix(c(FALSE, TRUE, TRUE, FALSE)))
})

test_that("bad files and arguments are errors", {
  model <- iris_model()
  short <- tempfile(fileext = ".csv")
  writeLines(c("a,b,c,d", "1,2,3,4", "1,2,3"), short)
  open <- tempfile(fileext = ".csv")
  writeLines(c("a,b,c,d", "1,2,3,\"4"), open)
  empty <- tempfile(fileext = ".csv")
  file.create(empty)
  header <- tempfile(fileext = ".csv")
  writeLines("a,b,c,d", header)
  expect_error(
    predict(model, csv_batches("nowhere.csv")),
    class = "keraspredict_error_file_missing"
  )
  expect_error(
    predict(model, csv_batches(short)),
    class = "keraspredict_error_bad_input"
  )
  expect_snapshot(error = TRUE, {
    predict(model, csv_batches(iris_file()))
    predict(
      model,
      csv_batches(iris_file(), columns = c("Sepal.Length", "Width"))
    )
    predict(model, csv_batches(iris_file(), columns = 4:7))
    predict(model, csv_batches(open))
    predict(model, csv_batches(empty))
    predict(model, csv_batches(header))
    csv_batches(1)
    csv_batches("x.csv", columns = list())
    csv_batches("x.csv", header = NA)
    csv_batches("x.csv", sep = ", ")
    csv_batches("x.csv", na = 1)
    csv_batches("x.csv", encoding = NULL)
    csv_batches("x.csv", transform = "log")
  })
  expect_output(
    print(csv_batches("x.csv")),
    "<batches of rows from 'x.csv'>",
    fixed = TRUE
  )
})

test_that("the rows of a query are fetched in batches", {
  skip_if_not_installed("DBI")
  skip_if_not_installed("RSQLite")
  db <- DBI::dbConnect(RSQLite::SQLite(), ":memory:")
  on.exit(DBI::dbDisconnect(db))
  DBI::dbWriteTable(
    db,
    "flowers",
    stats::setNames(iris, c("a", "b", "c", "d", "species"))
  )
  model <- iris_model()
  expected <- predict(model, unname(as.matrix(iris[, 1:4])))
  query <- function(...) {
    result <- DBI::dbSendQuery(db, "SELECT a, b, c, d FROM flowers")
    on.exit(DBI::dbClearResult(result))
    predict(model, result, ...)
  }
  expect_identical(query(), expected)
  expect_identical(query(batch_size = 40), expected)
  expect_identical(query(batch_size = 40, steps = 2), expected[1:80, ])
  expect_match(
    utils::capture.output(y <- query(batch_size = 40, verbose = 2)),
    "^4/4 - "
  )

  case <- cases()$columns
  DBI::dbWriteTable(
    db,
    "people",
    data.frame(kind = case$x$kind[, 1], age = case$x$age[, 1])
  )
  result <- DBI::dbSendQuery(db, "SELECT age, kind, 'more' AS text FROM people")
  expect_close(predict(loaded("columns"), result, batch_size = 3), case$y)
  DBI::dbClearResult(result)

  result <- DBI::dbSendQuery(
    db,
    "SELECT a, b, c, NULL AS d FROM flowers LIMIT 3"
  )
  expect_true(all(is.nan(predict(model, result))))
  DBI::dbClearResult(result)

  numbers <- "SELECT column1 FROM (VALUES (1), (NULL), (2))"
  result <- DBI::dbSendQuery(db, numbers)
  y <- predict(loaded("single"), result)
  expect_identical(is.nan(y), matrix(c(FALSE, TRUE, FALSE)))
  DBI::dbClearResult(result)

  result <- DBI::dbSendQuery(db, "SELECT a, b, c, d FROM flowers WHERE a > 100")
  expect_error(
    predict(model, result),
    "gave no data",
    class = "keraspredict_error_bad_input"
  )
  DBI::dbClearResult(result)
  result <- DBI::dbSendQuery(db, "SELECT a, b, c, species FROM flowers")
  expect_error(
    predict(model, result),
    "`species` is <character>",
    class = "keraspredict_error_bad_input"
  )
  DBI::dbClearResult(result)
})
