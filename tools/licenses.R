# Writes inst/AUTHORS and LICENSE.note: authors and licences of all crates that
# are linked into the package, from cargo's metadata. Run at the top of the
# repository after a crate was added or updated: Rscript tools/licenses.R

cargo <- function(...) {
  system2(
    "cargo",
    c(..., "--manifest-path", "src/rust/Cargo.toml"),
    stdout = TRUE
  )
}
metadata <- jsonlite::fromJSON(
  paste(
    cargo("metadata", "--format-version", "1", "--locked"),
    collapse = "\n"
  ),
  simplifyVector = FALSE
)
linked <- unique(sub(
  " .*",
  "",
  grep(
    "^keraspredict",
    cargo("tree", "-e", "normal", "--prefix", "none", "--locked", "-f", "{p}"),
    value = TRUE,
    invert = TRUE
  )
))

crates <- Filter(function(p) p$name %in% linked, metadata$packages)
crates <- crates[order(
  vapply(crates, function(p) paste(p$name, p$version), ""),
  method = "radix"
)]
authors <- function(crate) {
  names <- trimws(sub("<.*", "", unlist(crate$authors)))
  if (length(names) > 0) {
    paste(names, collapse = ", ")
  } else {
    paste("The", crate$name, "developers")
  }
}

names <- unique(vapply(
  crates,
  function(p) paste0(p$name, ": ", authors(p)),
  ""
))
writeLines(
  c(
    "The authors of the crates that are linked into this package:",
    "",
    names
  ),
  "inst/AUTHORS"
)

note <- vapply(
  crates,
  function(p) {
    paste0(
      "Name:        ",
      p$name,
      " ",
      p$version,
      "\n",
      "Repository:  ",
      if (is.null(p$repository)) "-" else p$repository,
      "\n",
      "Authors:     ",
      authors(p),
      "\n",
      "License:     ",
      p$license,
      "\n"
    )
  },
  ""
)
writeLines(
  c(
    "The engine contains code of these crates, each under its own licence:",
    "",
    paste(
      note,
      collapse = "\n------------------------------------------------------------\n\n"
    )
  ),
  "LICENSE.note"
)
