# Each text of an error is shown by some test, as the user sees it or, where no model
# can be made to say it here, by a test of the engine. fixtures/untold.txt has those
# that aren't told, with the reason.

# The string constants of a file of Rust with the code before each, and those of its
# unit tests.
rust_strings <- function(file) {
  text <- paste(readLines(file, encoding = "UTF-8"), collapse = "\n")
  tests <- regexpr("#\\[cfg\\(test\\)\\]\\s*(pub(\\(\\w+\\))? )?mod \\w+ \\{", text)
  token <- paste0(
    "(?s)//[^\n]*|r(#+)\".*?\"\\1|b?\"(?:[^\"\\\\]|\\\\.)*\"|",
    "'(?:[^'\\\\\n]|\\\\[^'\n]+|\\\\')'(?!\\w)"
  )
  at <- gregexpr(token, text, perl = TRUE)
  token <- regmatches(text, at)[[1]]
  at <- as.integer(at[[1]])
  before <- substring(text, pmax(at - 80, 1), at - 1)
  is_text <- grepl("^(b|r#+)?\"", token)
  token <- gsub("^(b|r#+)?\"|\"#*$", "", token)
  token <- gsub("\\\\\n\\s*", "", token)
  token <- gsub("\\\\n", " ", token)
  token <- gsub("\\\\(.)", "\\1", token)
  data.frame(text = token, before, tested = tests > 0 & at > tests)[is_text, ]
}

# What no user is told: defects, and what tests and notes say.
untold_calls <- paste0(
  "(expect|assert\\w*!|panic!|unreachable!|internal|defect|note)",
  "\\((format!\\()?[^()]*$"
)

engine_texts <- function(dir) {
  folders <- file.path(dir, "src", "rust", c("engine/src", "src"))
  files <- list.files(folders, "[.]rs$", recursive = TRUE, full.names = TRUE)
  names <- substring(files, nchar(file.path(dir, "src", "rust", "")) + 1)
  found <- lapply(seq_along(files), function(i) {
    strings <- rust_strings(files[[i]])
    if (grepl("/(tests|testing)[.]rs$", files[[i]])) {
      strings$tested <- rep(TRUE, nrow(strings))
    }
    data.frame(file = rep(names[[i]], nrow(strings)), strings)
  })
  do.call(rbind, found)
}

# The texts in calls of abort() and the like, which sprintf() may fill.
r_texts <- function(dir) {
  files <- list.files(file.path(dir, "R"), "[.]R$", full.names = TRUE)
  found <- lapply(files, function(file) {
    data <- utils::getParseData(parse(file, keep.source = TRUE))
    text <- vapply(
      data$text[data$token == "STR_CONST"],
      function(text) eval(str2lang(text)),
      ""
    )
    text <- gsub("%[0-9$.]*[a-z]", "{}", text)
    data.frame(file = rep(file.path("R", basename(file)), length(text)), text)
  })
  do.call(rbind, found)
}

plain <- function(text) tolower(gsub("\\s+", " ", text))

# Which texts stand in some line, with anything where they are filled in.
is_shown <- function(texts, lines) {
  parts <- strsplit(plain(gsub("{{", "\001", texts, fixed = TRUE)), "\\{[^{}]*\\}")
  vapply(
    parts,
    function(parts) {
      parts <- gsub("}}", "}", gsub("\001", "{", parts), fixed = TRUE)
      parts <- trimws(parts[grepl("[a-z]", parts)])
      longest <- parts[which.max(nchar(parts))]
      lines <- lines[grepl(longest, lines, fixed = TRUE)]
      any(grepl(paste0("\\Q", parts, "\\E", collapse = ".*"), lines, perl = TRUE))
    },
    NA
  )
}

test_that("calls that hardly any model makes are told", {
  image <- "[null, 4, 4, 3]"
  cases <- list(
    c("ops.numpy.Einsum", "$x, $y", '"subscripts": "ab,ab->abc"'),
    c("ops.numpy.Einsum", "$x, $y", '"subscripts": "ab,ab->aab"'),
    c("ops.core.ScatterUpdate", "$x, [[0, 0, 0]], [1]"),
    c("ops.numpy.SearchSorted", "$x, $y"),
    c("ops.numpy.SearchSorted", "[1, 2], \"a\", $x"),
    c("ops.nn.Conv", "$x, $y", '"strides": 1', x = image, y = "[2, 2, 2, 5]"),
    c("ops.core.Map", "$x"),
    c("ops.core.VectorizedMap", "$x", '"function": "best"'),
    c("ops.numpy.Tensordot", "$x, $y", '"axes": 5'),
    c("ops.core.Slice", "$x, $y", '"shape": [-1, 2]', y = "[2]", dtype = "int32"),
    c("ops.core.Slice", "$y, $x", '"shape": [-1, 2]', x = "[2]", dtype = "int32"),
    c("ops.math.IRFFT", "[$x, $x]", '"fft_length": 0'),
    c("ops.math.ISTFT", "[$x, $x]", '"sequence_length": 0, "sequence_stride": 1, "fft_length": 0'),
    c(
      "layers.MelSpectrogram",
      config = '"fft_length": 8, "sequence_stride": 4, "sequence_length": 8',
      x = "[null, 4, 4]"
    ),
    c("layers.RandomGrayscale", config = '"factor": 0.5', training = TRUE),
    c("layers.MixUp", config = '"alpha": 0', x = image, training = TRUE),
    c("layers.Cosine", "[$x, $y]", '"axes": [0, 0]'),
    c("layers.PReLU", config = '"shared_axes": [3]'),
    c("layers.ParametricSoftplus", config = '"shared_axes": [3]'),
    c("layers.SReLU", config = '"shared_axes": [3]'),
    c(
      "layers.TextVectorization",
      config = '"vocabulary": ["a"], "split": "whitespace"',
      x = "[null, 2]",
      dtype = "string"
    ),
    c(
      "layers.TextVectorization",
      config = '"vocabulary": ["a"], "split": "whitespace", "output_mode": "count"',
      x = "[null, 2, 1]",
      dtype = "string"
    ),
    c(
      "layers.TextVectorization",
      config = '"vocabulary": ["a"], "split": "whitespace"',
      x = "[null, 1]"
    ),
    c(
      "layers.StringLookup",
      config = '"vocabulary": ["a"], "output_mode": "tf_idf", "idf_weights": [1, 2, 3]',
      x = "[null, 1]",
      dtype = "string"
    ),
    c("ops.math.TopK", "$x", '"k": 1', total = TRUE),
    c("ops.core.Map", "\"relu\", $x", total = TRUE),
    c("layers.Add", "[$x, $y]", total = TRUE),
    c(
      "ops.nn.CTCDecode",
      "$x, [1, 1]",
      '"strategy": "beam_search", "beam_width": 9, "top_paths": 9',
      x = "[null, 1, 3]"
    ),
    c(
      "layers.Dense",
      config = paste0(
        '"units": 2, "dtype": {"class_name": "QuantizedDTypePolicy", "config": ',
        '{"mode": "int8", "source_name": "float32"}}, "quantization_config": ',
        '{"class_name": "Int8QuantizationConfig", "config": {"activation_quantizer": ',
        '{"class_name": "Odd", "config": {}}}}'
      )
    ),
    c("layers.RandomWidth", config = '"factor": 0.5', x = image, training = TRUE),
    c("layers.RandomFlip", "{\"labels\": $x}", x = image, training = TRUE),
    c("layers.TextVectorization", config = '"vocabulary": ["a"]', x = "[null, 1]"),
    c("layers.Normalization", config = '"axis": 1, "mean": [1, 2, 3], "variance": [1, 2, 3]'),
    c("layers.LSTM", "[], $x", '"units": 2'),
    c(
      "ops.core.Map",
      paste0(
        '{"class_name": "Dropout", "module": "keras.layers", ',
        '"config": {"name": "d", "rate": 0.5}}, $x'
      ),
      training = TRUE
    )
  )
  expect_snapshot(told_calls(cases))
  functions <- list(
    c("batch_to_space_nd", '"block_shape": [2], "crops": [[3, 3]]', x = "[2, 2, 1]"),
    c(
      "nn.dilation2d",
      '"filters": $y, "strides": [1, 1, 1]',
      x = image,
      y = "[2, 2, 3]"
    ),
    c(
      "nn.dilation2d",
      '"filters": $y, "strides": [1, 1, 1, 1], "padding": "SAME"',
      x = image,
      y = "[2, 0, 3]"
    ),
    c("nn.max_pool_with_argmax", '"ksize": 0, "strides": 1, "padding": "SAME"', x = image),
    c("image.crop_and_resize", '"boxes": $y, "box_indices": [0]', x = image),
    c(
      "image.crop_and_resize",
      '"boxes": $y, "box_indices": [0], "crop_size": [2, 2], "method": "best"',
      x = image
    ),
    c(
      "image.crop_and_resize",
      '"boxes": $y, "box_indices": [0, 1, 2], "crop_size": [2, 2]',
      x = image
    ),
    c("image.non_max_suppression", '"scores": [1, 2]'),
    c(
      "image.non_max_suppression",
      '"scores": $y, "max_output_size": 3',
      x = "[null, 5]",
      y = "[null]"
    ),
    c(
      "image.non_max_suppression_with_scores",
      '"scores": $y, "max_output_size": 3, "soft_nms_sigma": 0.5',
      y = "[2]"
    ),
    c("image.combined_non_max_suppression", '"scores": $y'),
    c(
      "image.combined_non_max_suppression",
      '"scores": $y, "max_output_size_per_class": 2, "max_total_size": 2'
    ),
    c(
      "image.combined_non_max_suppression",
      '"scores": $y, "max_output_size_per_class": 2, "max_total_size": 2',
      x = "[null, 5, 1, 4]",
      y = "[null, 6, 2]"
    ),
    c("linalg.diag_part", '"align": "LEFT"', x = "[null, 3, 3]"),
    c("linalg.diag_part", '"k": 9', x = "[null, 3, 3]"),
    c(
      "image.scale_and_translate",
      '"size": [4, 4], "scale": [1, 1], "translation": [0, 0], "kernel_type": "best"',
      x = image
    ),
    c("ensure_shape", '"shape": [null, 5]'),
    c("quantization.fake_quant_with_min_max_vars", '"min": $y, "max": 1'),
    c("quantization.fake_quant_with_min_max_args", '"num_bits": 99'),
    c("quantization.fake_quant_with_min_max_args", '"min": "low"'),
    c(
      "quantization.fake_quant_with_min_max_vars_per_channel",
      '"min": [1, 2], "max": [3, 4]'
    ),
    c("quantization.quantize_and_dequantize_v2", '"input_min": -1, "input_max": 1'),
    c(
      "quantization.quantize_and_dequantize_v2",
      '"input_min": -1, "input_max": 1, "range_given": true, "round_mode": "UP"'
    ),
    c("math.segment_sum", '"segment_ids": $y', y = "[null, 5]"),
    c("range", '"limit": 1e12, "delta": 1', first = "0"),
    c("complex", '"imag": $y', y = "[null, 5]"),
    c("math.betainc", '"b": $y, "x": $y', y = "[null, 5]"),
    c("histogram_fixed_width_bins"),
    c("searchsorted", '"values": $y, "side": "middle"'),
    c(
      "nn.conv2d",
      '"filters": $y, "strides": 1, "padding": "SAME"',
      x = image,
      y = "[2, 2, 2, 5]"
    )
  )
  expect_snapshot(told_functions(functions))
})

test_that("what takes too much memory is told", {
  image <- "[null, 4, 4, 3]"
  hide <- function(lines) lines[!grepl("B left.$", lines)]
  cases <- list(
    c("ops.image.GaussianBlur", config = '"kernel_size": [999999999999, 3]', x = image),
    c("ops.math.SegmentSum", "$x, [0, 1]", '"num_segments": 1000000000000'),
    c("ops.image.Resize", config = '"size": [1000000000000, 1]', x = image)
  )
  expect_snapshot(told_calls(cases), transform = hide)
  functions <- list(
    c("linalg.diag", '"num_rows": 4, "num_cols": 1000000000000'),
    c("image.resize", '"size": [1000000000000, 1]', x = image)
  )
  expect_snapshot(told_functions(functions), transform = hide)
})

test_that("models that hardly anyone has are told", {
  graph <- function(inner, args) {
    tensor <- '{"class_name": "__keras_tensor__", "config": {"shape": [null, 2],
      "dtype": "float32", "keras_history": ["%s", 0, 0]}}'
    load_model(charToRaw(sprintf(
      '{"class_name": "Functional", "config": {"name": "outer", "layers": [
        {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
          "config": {"name": "x", "batch_shape": [null, 2]}},
        {"class_name": "Functional", "name": "inner", "config": {"name": "inner", "layers": [
          {"class_name": "InputLayer", "name": "a", "inbound_nodes": [],
            "config": {"name": "a", "batch_shape": [null, 2]}},
          {"class_name": "InputLayer", "name": "b", "inbound_nodes": [],
            "config": {"name": "b", "batch_shape": [null, 2]}},
          {"class_name": "Add", "name": "sum", "config": {"name": "sum"},
            "inbound_nodes": [{"args": [[%s, %s]], "kwargs": {}}]}],
          "input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["sum", 0, 0]]},
          "inbound_nodes": [{"args": [%s], "kwargs": {}}]}],
        "input_layers": [["x", 0, 0]], "output_layers": [["inner", 1, 0]]}}',
      sprintf(tensor, "a"),
      sprintf(tensor, "b"),
      gsub("$x", sprintf(tensor, "x"), args, fixed = TRUE)
    )))
  }
  x <- matrix(0, 1, 2)
  vocabulary <- "assets/layers/string_lookup/vocabulary.txt"
  expect_snapshot(error = TRUE, {
    load_model(charToRaw(
      '{"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "Dense", "config": {"name": "d", "units": 2}}]}}'
    ))
    load_model(charToRaw('{"class_name": "Dense", "config": {"name": "d", "units": 2}}'))
    predict(graph(args = "[$x]"), x)
    predict(graph(args = "{\"a\": $x}"), x)
    predict(json_model("[]", c(ReLU = "")), 0)
    edited("space", '"crosses": [{', '"crosses": [3, {')
    edited("table", "{", "{", file = vocabulary, bytes = as.raw(c(0x61, 0xff)))
  })
})

test_that("what functions give is told", {
  none <- function(inputs) NULL
  two <- function(x) list(x, x)
  run <- function(...) predict(json_model("[null, 2]", ...), matrix(0, 1, 2))
  expect_snapshot(error = TRUE, {
    run(c(None = ""), custom_objects = list(None = none))
    run(
      c(Activation = '"activation": "two"'),
      custom_objects = list(two = two)
    )
  })
})

test_that("outputs that can't be joined are told", {
  open <- json_model("[null, null]", c(ReLU = ""))
  batches <- list(matrix(0, 2, 3), matrix(0, 2, 4))
  source <- function() {
    batch <- batches[1]
    batches <<- batches[-1]
    if (length(batch)) batch[[1]]
  }
  nonzero <- load_model(charToRaw(call_json("ops.numpy.Nonzero")$json))
  rows <- list(array(0, c(3, 3, 2)))
  three <- function() {
    batch <- rows
    rows <<- NULL
    if (length(batch)) batch[[1]]
  }
  long <- json_model("[null, 0]", c(Reshape = '"target_shape": [0, 3000000000]'))
  expect_snapshot(error = TRUE, {
    predict(open, source)
    predict(long, matrix(0, 2, 0))
    predict(nonzero, rbind(c(1, 0, 0, 0), 1), batch_size = 1)
    predict(loaded("stateful"), three)
  })
})

test_that("arguments of other kinds are told", {
  model <- loaded("mlp")
  text <- matrix(c("\xff", "\xfe"), 1)
  Encoding(text) <- "UTF-8"
  old <- options(keraspredict.threads = "all")
  on.exit(options(old))
  expect_snapshot(error = TRUE, {
    image_dataset_from_directory(3)
    application_decode_predictions(preds = matrix(0, 1, 1000), class_index = 3)
    image_load(test_path("helper.R"))
    image_array_save(array(0, c(2, 2, 3)), "image.png", file_format = 3)
    plot(model, to_file = 3)
    predict(loaded("text"), text)
    predict(model, matrix(0, 1, 4), 32)
    get_layer(model, "nothing like it")
    predict(model, matrix(0, 1, 4))
  })
  expect_snapshot(install_keras())
})

test_that("rows of small tables are told", {
  row <- function(table) {
    args <- paste0(table, ", $x")
    json <- call_json("ops.numpy.Take", args, '"axis": 0', "[null]", dtype = "int32")
    predict(load_model(charToRaw(json$json)), 3)
  }
  expect_snapshot(error = TRUE, {
    row("[7]")
    row("[]")
    row("[7, 8, 9]")
  })
})

test_that("what Keras 3 doesn't have can't be saved", {
  model <- json_model("[null, 4, 4, 3]", c(RandomWidth = '"factor": 0.2'))
  expect_snapshot(error = TRUE, {
    save_model(model, "model.keras")
  })
})

test_that("models need inputs and outputs", {
  model <- loaded("mlp")
  expect_snapshot(error = TRUE, {
    keras_model(list(), model$output)
    keras_model(model$input, list())
  })
})

test_that("each text of an error is shown by a test", {
  dir <- Sys.getenv("KERASPREDICT_SOURCE")
  skip_if(!nzchar(dir), "needs the source folder (KERASPREDICT_SOURCE)")
  engine <- engine_texts(dir)
  of_tests <- list.files(
    file.path(dir, "src", "rust", "engine", "tests"),
    "[.]rs$",
    recursive = TRUE,
    full.names = TRUE
  )
  tested <- unlist(lapply(of_tests, function(file) rust_strings(file)$text))
  snaps <- list.files(test_path("_snaps"), "[.]md$", full.names = TRUE)
  snaps <- unlist(lapply(snaps, readLines, encoding = "UTF-8"))
  shown <- unique(plain(c(snaps, tested, engine$text[engine$tested])))
  texts <- engine[!engine$tested & !grepl(untold_calls, engine$before), ]
  texts <- rbind(texts[c("file", "text")], r_texts(dir))
  texts <- texts[grepl("[a-z] | [a-z]", texts$text) & !grepl("^\\s*\\{\"", texts$text), ]
  texts <- unique(texts[!is_shown(texts$text, shown), ])
  lines <- readLines(test_path("fixtures", "untold.txt"), encoding = "UTF-8")
  known <- lines[nzchar(lines) & !startsWith(lines, "#")]
  untold <- paste0(texts$file, ": ", trimws(gsub("\\s+", " ", texts$text)))
  expect_identical(sort(setdiff(untold, known)), character(), info = "not shown")
  expect_identical(sort(setdiff(known, untold)), character(), info = "shown, or gone")
})
