#' Draw a model
#'
#' Draws the graph of a model's layers, by base graphics alone: each layer with
#' its class and name, with the shapes of the tensors at the edges. A long model
#' is cut into columns, as a text in a newspaper, so that it fills the device;
#' of a very long one, only the classes are shown, so that they can be read. A model
#' with links all along between its halves, such as a U-Net, goes down and up again.
#' Of one that can't be read at all, an overview is drawn: a box for each run of
#' layers that few tensors lead into and out of.
#'
#' @param x A model: see [load_model()].
#' @param show_shapes Whether the shapes of the tensors are shown. `NA` shows
#'   them where there is room for texts of a size that can be read.
#' @param show_dtype Whether the type of each layer's computation is shown.
#' @param show_layer_names Whether the names of the layers are shown; `NA` as in
#'   `show_shapes`.
#' @param ... Not used; arguments here are an error.
#' @param rankdir The direction: `"TB"` is down, `"LR"` to the right.
#' @param expand_nested Whether nested models are drawn with the layers in them.
#' @param overview Whether runs of layers are drawn as one box. `NA` does so where
#'   the layers are too many for the device, but never in a file.
#' @param dpi The dots per inch of a file.
#' @param layer_range `NULL`, or two names (or regular expressions): the first
#'   and the last layer drawn.
#' @param show_layer_activations Whether the activation of layers that have one
#'   is shown.
#' @param show_trainable Whether layers with weights say if they are trainable.
#'   `NA` shows it where some layers aren't.
#' @param to_file `NULL` for the device that is open, or the path of a `.png`,
#'   `.pdf` or `.svg` file, which gets the size that the drawing needs.
#' @returns The model, invisibly.
#' @importFrom grDevices adjustcolor dev.off pdf png svg
#' @importFrom graphics lines par plot.new plot.window polygon rect strheight strwidth text
#' @export
#' @examples
#' model <- load_model(keraspredict_example("digits"))
#' plot(model)
#' plot(model, rankdir = "LR", show_layer_names = FALSE)
plot.keraspredict_model <- function(
  x,
  show_shapes = NA,
  show_dtype = FALSE,
  show_layer_names = NA,
  ...,
  rankdir = "TB",
  expand_nested = FALSE,
  dpi = 200,
  layer_range = NULL,
  show_layer_activations = FALSE,
  show_trainable = NA,
  overview = NA,
  to_file = NULL
) {
  if (...length()) {
    check_plot_dots(...)
  }
  check_flag_or_na(show_shapes, "show_shapes")
  check_flag(show_dtype, "show_dtype")
  check_flag_or_na(show_layer_names, "show_layer_names")
  check_flag(expand_nested, "expand_nested")
  check_flag(show_layer_activations, "show_layer_activations")
  check_flag_or_na(show_trainable, "show_trainable")
  check_flag_or_na(overview, "overview")
  if (!(identical(rankdir, "TB") || identical(rankdir, "LR"))) {
    abort(
      "bad_argument",
      paste0(
        "`rankdir` must be \"TB\" or \"LR\", not ",
        show_value(rankdir),
        "."
      ),
      arg = "rankdir"
    )
  }
  self <- environment(x)
  rows <- select_rows(model_rows(self), layer_range)
  configs <- if (show_layer_activations) get_config(x)$layers else list()
  graph <- model_graph(rows, configs)
  if (is.na(show_trainable)) {
    show_trainable <- any_frozen(rows)
  }
  style <- list(
    shapes = show_shapes,
    dtype = show_dtype,
    names = show_layer_names,
    nested = expand_nested,
    right = rankdir == "LR",
    activations = show_layer_activations,
    trainable = show_trainable
  )
  if (isTRUE(overview)) {
    graph <- overview_graph(graph)
  }
  if (is.null(to_file)) {
    draw_graph(graph, style, overview = overview)
  } else {
    plot_to_file(graph, style, to_file, dpi)
  }
  invisible(x)
}

check_plot_dots <- function(...) {
  names <- ...names()
  abort(
    "unknown_argument",
    if (is.null(names) || !any(nzchar(names))) {
      "Arguments of plot() must be given by name."
    } else {
      paste0(
        "Unknown argument",
        if (sum(nzchar(names)) > 1) "s",
        ": ",
        enumerate(names[nzchar(names)]),
        "."
      )
    }
  )
}

plot_to_file <- function(graph, style, file, dpi) {
  check_text(file, "to_file", "NULL or the path of a file")
  dpi <- check_count(dpi, "dpi")
  device <- switch(
    tolower(sub(".*\\.", "", basename(file))),
    png = function(size) {
      png(file, size[[1]], size[[2]], units = "in", res = dpi)
    },
    pdf = function(size) pdf(file, size[[1]], size[[2]]),
    svg = function(size) svg(file, size[[1]], size[[2]]),
    abort(
      "bad_argument",
      paste0(
        "`to_file` must end in .png, .pdf or .svg, not '",
        basename(file),
        "'."
      ),
      arg = "to_file"
    )
  )
  # Texts are measured on a device of the same kind.
  scratch <- tempfile()
  pdf(scratch)
  plot.new()
  # A file is as large as it takes to show all.
  style[c("shapes", "names")] <- lapply(
    style[c("shapes", "names")],
    function(shown) shown || is.na(shown)
  )
  plan <- tryCatch(arrange_graph(graph, style, c(1.4, 1)), finally = {
    dev.off()
    unlink(scratch)
  })
  device(plan$size + 0.4)
  on.exit(dev.off())
  draw_graph(graph, style, plan$columns)
}

# The layers as nodes, with the edges between them: list(nodes, from, to). A
# node's `graph` is that of its nested layers. `configs` are those of the
# layers, where activations are wanted.
model_graph <- function(rows, configs = list()) {
  names <- vapply(rows, `[[`, "", "name")
  connected <- lapply(rows, function(row) {
    sub("\\[[0-9]+\\]\\[[0-9]+\\]$", "", as.character(row$connected))
  })
  at <- lapply(connected, match, names)
  to <- rep(seq_along(at), lengths(at))
  from <- as.integer(unlist(at))
  known <- !is.na(from)
  names(configs) <- vapply(
    configs,
    function(layer) c(layer$config$name, "")[[1]],
    ""
  )
  nodes <- lapply(rows, function(row) {
    config <- configs[[row$name]]$config
    list(
      name = row$name,
      class = row$class,
      shape = row$shape,
      dtype = row$dtype,
      activation = activation_name(config$activation),
      trainable = if (isTRUE(row$params > 0)) row$trainable,
      graph = if (length(row$layers)) {
        model_graph(row$layers, as.list(config$layers))
      }
    )
  })
  list(nodes = nodes, from = from[known], to = to[known])
}

# What a config calls an activation: a name, or an object with a class.
activation_name <- function(activation) {
  if (is.list(activation)) {
    name <- if (is.character(activation$config)) {
      activation$config
    } else {
      activation$class_name
    }
    return(name)
  }
  activation
}

any_frozen <- function(rows) {
  any(vapply(
    rows,
    function(row) row$params > 0 && !row$trainable || any_frozen(row$layers),
    NA
  ))
}

# So many layers are never readable on a device.
too_many <- 300

# Draws on the open device, as large as fits, but no larger than natural; where that
# can't be read and `overview` is NA, an overview.
draw_graph <- function(graph, style, columns = NULL, overview = FALSE) {
  old <- par(mar = c(0, 0, 0, 0), xpd = NA)
  on.exit(par(old))
  plot.new()
  given <- par("pin")
  room <- pmax(given - 0.2, 0.2)
  planned <- function(graph) {
    style <- readable_style(graph, style, room, columns)
    plan <- arrange_graph(graph, style, room, columns)
    list(plan = plan, style = style, scale = min(room / plan$size, 1))
  }
  layers <- length(graph$nodes)
  if (is.na(overview) && layers > too_many) {
    graph <- overview_graph(graph)
  }
  drawn <- planned(graph)
  if (is.na(overview) && drawn$scale < 0.3 && length(graph$nodes) == layers) {
    graph <- overview_graph(graph)
    if (length(graph$nodes) < layers) {
      drawn <- planned(graph)
    }
  }
  if (drawn$scale < 0.3) {
    message(
      "The drawing is too small to read on this device: `to_file = \"model.pdf\"` ",
      "gives it the room it needs, and `layer_range` draws a part."
    )
  } else if (length(graph$nodes) < layers) {
    message(
      "An overview: ",
      layers,
      " layers in ",
      length(graph$nodes),
      " boxes. `to_file = \"model.pdf\"` draws all, and `layer_range` a part."
    )
  }
  plan <- drawn$plan
  scale <- drawn$scale
  # Inches of the plan, from the top left corner, in the middle of the device.
  shown <- plan$size * scale
  left <- (given[[1]] - shown[[1]]) / 2
  top <- (given[[2]] - shown[[2]]) / 2
  plot.window(
    c(-left, given[[1]] - left) / scale,
    c(given[[2]] - top, -top) / scale,
    xaxs = "i",
    yaxs = "i"
  )
  draw_plan(plan, drawn$style, text_size * scale)
}

# The fullest of the styles that the user leaves open in which texts are large
# enough to be read, or else the barest.
readable_style <- function(graph, style, room, columns) {
  open <- names(Filter(is.na, style[c("shapes", "names")]))
  if (length(graph$nodes) > too_many) {
    style[open] <- FALSE
    return(style)
  }
  for (bare in list(character(), "shapes", c("shapes", "names"))) {
    tried <- style
    tried[open] <- !open %in% bare
    size <- arrange_graph(graph, tried, room, columns)$size
    if (min(room / size) >= 0.6) break
  }
  tried
}

text_size <- 0.75

# Widths and heights of texts in inches at natural size.
text_width <- function(text, bold = FALSE, size = 1) {
  max(
    0,
    strwidth(text, "inches", cex = text_size * size, font = if (bold) 2 else 1)
  )
}

text_height <- function(size = 1) {
  strheight("X", "inches", cex = text_size * size)
}

small <- 0.8

# Where everything goes, in inches at natural size: boxes with their texts and,
# for nested models, a plan in them; edges as points (x, y); labels of shapes.
# `room` is the width and height that there are.
arrange_graph <- function(graph, style, room, columns = NULL) {
  line <- text_height()
  boxes <- lapply(graph$nodes, arrange_node, style = style)
  width <- vapply(boxes, `[[`, 0, "width")
  height <- vapply(boxes, `[[`, 0, "height")
  shapes <- vapply(
    graph$nodes,
    function(node) if (is.null(node$shape)) "" else node$shape,
    ""
  )
  gap <- if (!style$right) {
    line *
      (if (style$shapes) {
        3.2
      } else if (style$names) {
        2.2
      } else {
        1.4
      })
  } else if (style$shapes && length(graph$from)) {
    max(vapply(shapes[graph$from], text_width, 0, size = small)) + 3 * line
  } else {
    3 * line
  }
  # Room for the labels beside the edges.
  space <- 2 * line
  room_for <- height
  if (!style$right) {
    # As wide as a label on either side needs.
    taken <- unique(graph$from)
    labels <- if (style$shapes) {
      vapply(shapes[taken], text_width, 0, size = small) + text_height(small)
    } else {
      0
    }
    room_for <- width
    room_for[taken] <- pmax(width[taken], 2 * labels)
  }
  sizes <- list(
    main = if (style$right) width else height,
    cross = room_for,
    box = if (style$right) height else width,
    from = graph$from,
    to = graph$to
  )
  drawn <- layout_graph(
    sizes,
    gap,
    space,
    columns,
    if (style$right) room else rev(room)
  )
  xy <- function(points) {
    if (style$right) points else points[, 2:1, drop = FALSE]
  }
  centres <- xy(cbind(drawn$main, drawn$cross))
  for (i in seq_along(boxes)) {
    boxes[[i]]$x <- centres[i, 1]
    boxes[[i]]$y <- centres[i, 2]
  }
  edges <- lapply(drawn$edges, xy)
  list(
    boxes = boxes,
    edges = edges,
    columns = drawn$columns,
    size = if (style$right) drawn$size else rev(drawn$size),
    labels = if (style$shapes) edge_labels(graph, edges, shapes, style, gap)
  )
}

# One label of a shape for each node that something takes, at its first edge, on
# the side where fewer edges pass.
edge_labels <- function(graph, edges, shapes, style, gap) {
  first <- which(!duplicated(graph$from) & nzchar(shapes[graph$from]))
  points <- do.call(rbind, edges)
  high <- text_height(small)
  lapply(first, function(e) {
    text <- shapes[[graph$from[[e]]]]
    wide <- text_width(text, size = small)
    start <- edges[[e]][1, ]
    way <- sign(edges[[e]][2, ] - start)
    sides <- if (style$right) {
      lapply(c(-1, 1), function(side) {
        start + c(way[[1]] * gap / 2 - wide / 2, side * 1.1 * high)
      })
    } else {
      lapply(c(0.6 * high, -0.6 * high - wide), function(side) {
        start + c(side, way[[2]] * gap * 0.42)
      })
    }
    passing <- vapply(
      sides,
      function(at) {
        sum(
          points[, 1] > at[[1]] &
            points[, 1] < at[[1]] + wide &
            abs(points[, 2] - at[[2]]) < high
        )
      },
      0
    )
    at <- sides[[which.min(passing)]]
    list(text = text, x = at[[1]], y = at[[2]], width = wide, height = high)
  })
}

arrange_node <- function(node, style) {
  line <- text_height()
  inside <- if (style$nested && !is.null(node$graph)) {
    arrange_graph(node$graph, style, c(6, 6))
  }
  detail <- paste(
    c(
      if (style$names && is.null(node$layers)) node$name,
      if (style$dtype) node$dtype,
      if (style$activations && !is.null(node$activation)) {
        paste("activation:", node$activation)
      },
      if (style$trainable && !is.null(node$trainable)) {
        if (node$trainable) "trainable" else "not trainable"
      }
    ),
    collapse = ", "
  )
  detail <- c(detail[nzchar(detail)], node$layers)
  if (style$names && !is.null(node$layers)) {
    detail <- c(detail, node$name)
  }
  width <- max(text_width(node$class, TRUE), text_width(detail, size = small)) +
    2 * line
  height <- line * (if (length(detail)) 2.6 + 1.8 * length(detail) else 2.2)
  box <- list(
    title = node$class,
    detail = detail,
    colour = layer_colour(if (is.null(node$kind)) node$class else node$kind),
    width = width,
    height = height
  )
  if (!is.null(inside)) {
    box$inside <- inside
    box$head <- height
    box$width <- max(width, inside$size[[1]] + 2.4 * line)
    box$height <- height + inside$size[[2]] + 1.4 * line
  }
  box
}

draw_plan <- function(plan, style, cex, x = 0, y = 0) {
  line <- text_height()
  ink <- "#5F6B7A"
  for (points in plan$edges) {
    lines(
      points[, 1] + x,
      points[, 2] + y,
      col = ink,
      lwd = 1.2 * cex / text_size
    )
    draw_arrow(points, line * 0.75, ink, x, y)
  }
  for (box in plan$boxes) {
    left <- box$x - box$width / 2 + x
    top <- box$y - box$height / 2 + y
    colour <- if (is.null(box$inside)) box$colour else "#8894A4"
    fill <- adjustcolor(colour, if (is.null(box$inside)) 0.22 else 0.08)
    round_box(
      left,
      top,
      left + box$width,
      top + box$height,
      line * 0.6,
      "white",
      NA,
      1
    )
    round_box(
      left,
      top,
      left + box$width,
      top + box$height,
      line * 0.6,
      fill,
      colour,
      1.2 * cex / text_size
    )
    detail <- box$detail
    text(
      box$x + x,
      top + line * (if (length(detail)) 1.496 else 1.1),
      box$title,
      cex = cex,
      font = 2,
      col = "#1F2933"
    )
    if (length(detail)) {
      text(
        box$x + x,
        top + line * (1.496 + 1.584 * seq_along(detail)),
        detail,
        cex = cex * small,
        col = "#52606D"
      )
    }
    if (!is.null(box$inside)) {
      draw_plan(
        box$inside,
        style,
        cex,
        left + (box$width - box$inside$size[[1]]) / 2,
        top + box$head
      )
    }
  }
  for (label in plan$labels) {
    # Over a line, the text stays readable.
    rect(
      label$x + x,
      label$y + y - label$height * 0.75,
      label$x + x + label$width,
      label$y + y + label$height * 0.75,
      col = adjustcolor("white", 0.8),
      border = NA
    )
    text(
      label$x + x,
      label$y + y,
      label$text,
      cex = cex * small,
      adj = c(0, 0.5),
      col = "#52606D"
    )
  }
}

# A tip at the end of a line.
draw_arrow <- function(points, size, colour, x, y) {
  n <- nrow(points)
  tip <- points[n, ]
  way <- tip - points[n - 1, ]
  way <- way / sqrt(sum(way^2))
  back <- tip - way * size
  side <- c(-way[[2]], way[[1]]) * size * 0.42
  corners <- rbind(tip, back + side, back - side)
  polygon(corners[, 1] + x, corners[, 2] + y, col = colour, border = NA)
}

round_box <- function(left, top, right, bottom, radius, fill, border, lwd) {
  a <- seq(0, pi / 2, length.out = 7)
  corner <- function(cx, cy, turn) {
    cbind(cx + radius * cos(a + turn), cy + radius * sin(a + turn))
  }
  outline <- rbind(
    corner(right - radius, bottom - radius, 0),
    corner(left + radius, bottom - radius, pi / 2),
    corner(left + radius, top + radius, pi),
    corner(right - radius, top + radius, 1.5 * pi)
  )
  polygon(outline[, 1], outline[, 2], col = fill, border = border, lwd = lwd)
}

# What layers do tells their colour.
layer_colour <- function(class) {
  for (i in seq_along(layer_colours)) {
    if (grepl(layer_colours[[i]], class)) {
      return(names(layer_colours)[[i]])
    }
  }
  "#8894A4"
}

layer_colours <- c(
  "#52606D" = "^InputLayer$",
  "#D64545" = "Pool",
  "#2F80C2" = "Conv",
  "#7C5CC4" = "LSTM|GRU|RNN|Bidirectional|TimeDistributed",
  "#C2478D" = "Attention",
  "#E08A1E" = "ReLU|ELU|Activation|Softmax",
  "#C9A400" = "Normalization",
  "#2E9E6B" = "Dense|Embedding",
  "#12938B" = "^(Add|Average|Concatenate|Dot|Maximum|Minimum|Multiply|Subtract)$"
)

#' The layers of a model as a data frame
#'
#' A row for each layer, as `summary()` shows them.
#'
#' @param x A model: see [load_model()].
#' @param row.names,optional Passed on to [as.data.frame()].
#' @param expand_nested Whether the layers of nested models follow them, with
#'   names such as `"inner/dense"`.
#' @param ... Not used.
#' @returns A data frame with the columns `name`, `class`, `output_shape` (text,
#'   as Keras shows it), `params`, `trainable`, `dtype` (of the computation) and
#'   `connected_to` (a list of names).
#' @export
#' @examples
#' as.data.frame(load_model(keraspredict_example("digits")))
as.data.frame.keraspredict_model <- function(
  x,
  row.names = NULL,
  optional = FALSE,
  ...,
  expand_nested = FALSE
) {
  check_flag(expand_nested, "expand_nested")
  rows <- flat_rows(model_rows(environment(x)), "", expand_nested)
  column <- function(name, type) vapply(rows, function(row) row[[name]], type)
  frame <- data.frame(
    name = column("name", ""),
    class = column("class", ""),
    output_shape = column("shape", ""),
    params = column("params", 0),
    trainable = column("trainable", NA),
    dtype = column("dtype", ""),
    row.names = row.names
  )
  frame$connected_to <- lapply(rows, function(row) as.character(row$connected))
  frame
}

flat_rows <- function(rows, path, expand_nested) {
  out <- list()
  for (row in rows) {
    row$name <- paste0(path, row$name)
    out <- c(out, list(row))
    if (expand_nested) {
      out <- c(out, flat_rows(row$layers, paste0(row$name, "/"), TRUE))
    }
  }
  out
}
