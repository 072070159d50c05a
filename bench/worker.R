# The R side of bench.py: one request a line (JSON), one "answer <seconds>" a line.
suppressMessages(library(keraspredict))
folder <- commandArgs(TRUE)[1]
requests <- file("stdin", "r")

field <- function(line, name) {
  found <- regmatches(line, regexec(sprintf('"%s": ("([^"]*)"|\\[([^]]*)\\]|[0-9]+)', name), line))[[1]]
  if (nzchar(found[3])) found[3] else if (nzchar(found[4])) as.numeric(strsplit(found[4], ",")[[1]]) else as.numeric(found[2])
}

while (length(line <- readLines(requests, n = 1L))) {
  what <- field(line, "do")
  seconds <- 0
  if (what == "load") {
    model <- load_model(field(line, "model"))
    shape <- field(line, "shape")
    x <- array(readBin(file.path(folder, "x.bin"), "double", prod(shape)), shape)
  } else if (what %in% c("predict", "call")) {
    repeats <- field(line, "repeat")
    if (what == "predict") batch <- field(line, "batch")
    start <- Sys.time()
    if (what == "predict") {
      for (i in seq_len(repeats)) y <- predict(model, x, batch_size = batch, verbose = 0)
    } else {
      for (i in seq_len(repeats)) y <- model(x)
    }
    seconds <- as.numeric(difftime(Sys.time(), start, units = "secs")) / repeats
  } else if (what == "save") {
    rows <- seq_len(field(line, "rows"))
    y <- predict(model, x, verbose = 0)
    head <- if (length(dim(y)) == 2) y[rows, , drop = FALSE] else y[rows, , , drop = FALSE]
    writeBin(as.vector(head), file.path(folder, "y.bin"))
  }
  cat("answer", format(seconds, digits = 10), "\n")
  flush(stdout())
}
