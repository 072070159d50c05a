# The R side of bench.py: one request a line (fields separated by tabs), one
# "answer <seconds>" a line.
suppressMessages(library(keraspredict))
requests <- file("stdin", "r")

while (length(line <- readLines(requests, n = 1L))) {
  request <- strsplit(line, "\t")[[1]]
  answer <- 0
  switch(
    request[1],
    load = {
      folder <- request[2]
      shape <- as.integer(strsplit(request[4], ",")[[1]])
      x <- readBin(
        file.path(folder, "x.bin"),
        request[3],
        prod(shape),
        size = if (request[3] == "integer") 4 else 8
      )
      dim(x) <- shape
      gc()
      answer <- system.time(
        model <- load_model(file.path(folder, "model.keras"))
      )[["elapsed"]]
    },
    predict = {
      batch <- as.integer(request[2])
      repeats <- as.integer(request[3])
      start <- Sys.time()
      for (i in seq_len(repeats)) {
        y <- predict(model, x, batch_size = batch, verbose = 0)
      }
      answer <- as.numeric(difftime(Sys.time(), start, units = "secs")) /
        repeats
    },
    call = {
      repeats <- as.integer(request[2])
      start <- Sys.time()
      for (i in seq_len(repeats)) {
        y <- model(x)
      }
      answer <- as.numeric(difftime(Sys.time(), start, units = "secs")) /
        repeats
    },
    # The first rows of the predictions.
    save = {
      rows <- seq_len(as.integer(request[2]))
      head <- do.call(
        `[`,
        c(list(x, rows), rep(list(TRUE), length(dim(x)) - 1), drop = FALSE)
      )
      y <- asplit(predict(model, head, verbose = 0), 1)
      writeBin(unlist(lapply(y, as.vector)), file.path(folder, "y.bin"))
    }
  )
  cat("answer", format(answer, digits = 10), "\n")
  flush(stdout())
}
