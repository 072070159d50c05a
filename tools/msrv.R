# Stops where there is no cargo or rustc, or an rustc older than the one that
# DESCRIPTION asks for; prints the versions otherwise.

requirements <- strsplit(
  read.dcf("DESCRIPTION", fields = "SystemRequirements")[[1]],
  ",\\s*"
)[[1]]
wanted <- sub(".*>=\\s*", "", grep("rustc", requirements, value = TRUE))

Sys.setenv(
  PATH = paste(
    Sys.getenv("PATH"),
    file.path(path.expand("~"), ".cargo", "bin"),
    sep = .Platform$path.sep
  )
)

version_of <- function(command) {
  tryCatch(
    suppressWarnings(system2(
      command,
      "--version",
      stdout = TRUE,
      stderr = FALSE
    ))[1],
    error = function(e) NA_character_
  )
}
cargo <- version_of("cargo")
rustc <- version_of("rustc")

if (is.na(cargo) || is.na(rustc)) {
  stop(
    "keraspredict is built with Rust, and ",
    if (is.na(cargo)) "cargo" else "rustc",
    " was not found.\n",
    "Install Rust ",
    wanted,
    " or newer from https://www.rust-lang.org/tools/install.",
    call. = FALSE
  )
}

given <- sub("^rustc ([0-9.]+).*", "\\1", rustc)
if (utils::compareVersion(given, wanted) < 0) {
  stop(
    "keraspredict needs Rust ",
    wanted,
    " or newer, and rustc is ",
    given,
    ".\n",
    "Run `rustup update`, or install it from https://www.rust-lang.org/tools/install.",
    call. = FALSE
  )
}

message("Using ", cargo, "\nUsing ", rustc)
