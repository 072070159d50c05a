# Lints all R code with the settings of .lintr: Rscript tools/lint.R

# Tests and helpers use its functions.
library(testthat)

files <- list.files(
  c("R", "tests", "tools", "inst", "bench", "vignettes"),
  "[.](R|Rmd)$",
  recursive = TRUE,
  full.names = TRUE
)
found <- unlist(lapply(files, lintr::lint), recursive = FALSE)
for (lint in found) {
  print(lint)
}
cat(length(files), "files,", length(found), "lints\n")
quit(status = as.integer(length(found) > 0))
