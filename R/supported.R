#' What the engine runs
#'
#' The engine's own tables of layers and of operations: what a model file may
#' hold.
#'
#' @returns A data frame with a row for each class. `class` is the name that
#'   Keras saves it by, `runs` whether the engine runs it, and `note` what there
#'   is to say: what a restricted class needs, or why a refused one can't be
#'   run. Layers have the `concept` they are about, operations the `module` of
#'   `keras.ops` they are in.
#' @export
#' @examples
#' layers <- supported_layers()
#' table(layers$concept)
#' layers[!layers$runs, ]
#'
#' "Einsum" %in% supported_ops()$class
supported_layers <- function() {
  support_table(engine_supported_layers(), "concept")
}

#' @rdname supported_layers
#' @export
supported_ops <- function() {
  support_table(engine_supported_ops(), "module")
}

# The engine's table as a data frame, by group and class.
support_table <- function(columns, group) {
  table <- data.frame(
    class = columns$class,
    group = columns$group,
    runs = columns$runs,
    note = columns$note,
    stringsAsFactors = FALSE
  )
  names(table)[[2]] <- group
  table <- table[order(table[[group]], table$class, method = "radix"), ]
  rownames(table) <- NULL
  table
}
