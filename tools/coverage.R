# Runs the R tests with each line of the installed package counted, and prints
# the share of lines that ran, by file, and the lines that didn't.

library(testthat)
library(keraspredict)
invisible(covr:::trace_environment(asNamespace("keraspredict")))
test_dir(
  "tests/testthat",
  package = "keraspredict",
  load_package = "installed",
  reporter = "check",
  stop_on_failure = FALSE
)
counts <- lapply(as.list(covr:::.counters), function(counter) {
  data.frame(
    file = basename(attr(counter$srcref, "srcfile")$filename),
    line = counter$srcref[[1]],
    ran = counter$value > 0
  )
})
counts <- do.call(rbind, counts)
counts <- counts[counts$file != "extendr-wrappers.R", ]
by_file <- tapply(counts$ran, counts$file, mean)
cat(sprintf("%-24s %5.1f %%\n", names(by_file), 100 * by_file), sep = "")
missed <- counts[!counts$ran, ]
cat(
  "Not run:",
  paste0(
    names(split(missed$line, missed$file)),
    ": ",
    vapply(
      split(missed$line, missed$file),
      function(x) {
        paste(sort(unique(x)), collapse = ", ")
      },
      ""
    )
  ),
  sep = "\n"
)
cat(sprintf("All: %.1f %% of %d\n", 100 * mean(counts$ran), nrow(counts)))
