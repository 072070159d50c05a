# Runs the R tests against the installed package and writes how many passed and
# failed: Rscript tools/testthat.R <file> [filter]

args <- commandArgs(TRUE)
results <- as.data.frame(testthat::test_dir(
  "tests/testthat",
  filter = if (length(args) > 1) args[[2]],
  package = "keraspredict",
  load_package = "installed",
  reporter = "check",
  stop_on_failure = FALSE
))
failed <- sum(results$failed) + sum(results$error)
writeLines(paste(sum(results$passed), failed), args[[1]])
