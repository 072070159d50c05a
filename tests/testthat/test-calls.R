# Messages about the arguments of layers and operations, each as it is shown.

test_that("arguments of operations of numpy are told", {
  ellipsis <- '{"class_name": "__ellipsis__", "config": {}}'
  cases <- list(
    c("ops.numpy.Abs", "{\"a\": $x}"),
    c("ops.numpy.Concatenate", "$x", '"axis": 0'),
    c("ops.numpy.Concatenate", "[$x, $y]", '"axis": 7'),
    c("ops.numpy.Concatenate", "[$x, $y]", '"axis": 1', y = "[null, 4, 2]"),
    c("ops.numpy.Stack", "[$x, $y]", '"axis": 0', y = "[null, 5]"),
    c("ops.numpy.Add", "$x"),
    c("ops.numpy.Add", "$x, $y", y = "[null, 5]"),
    c("ops.numpy.Add", "$x, $y", dtype = "string"),
    c("ops.numpy.Negative", "$x", dtype = "string"),
    c("ops.numpy.Exp", "$x", dtype = "string"),
    c("ops.numpy.Sum", "$x", '"axis": [0, 5]'),
    c("ops.numpy.Sum", "$x", dtype = "string"),
    c("ops.numpy.Any", "$x", '"axis": 4'),
    c("ops.numpy.Add", "$x, \"far\""),
    c("ops.numpy.Add", "$x, {\"class_name\": \"Odd\", \"config\": {}}"),
    c("ops.numpy.Add", "$x, [[1, 2], [3]]"),
    c("ops.numpy.BitwiseAnd", "$x, $y"),
    c("ops.numpy.BitwiseNot", "$x"),
    c("ops.numpy.BitwiseLeftShift", "$x, 2"),
    c("ops.numpy.LogicalNot", "$x", dtype = "string"),
    c("ops.numpy.Gcd", "$x, $y"),
    c("ops.numpy.Lcm", "$x, $y"),
    c("ops.numpy.Select", "[$x], [$x, $y]"),
    c("ops.numpy.Where", "$x, $y, $x", y = "[null, 5]"),
    c("ops.numpy.Digitize", "$x, [1, 2]", dtype = "string"),
    c("ops.numpy.GetItem", "$x"),
    c("ops.numpy.GetItem", "$x, \"first\""),
    c("ops.numpy.GetItem", "$x, [1, 2, 3]"),
    c(
      "ops.numpy.GetItem",
      sprintf("$x, [%s, %s]", ellipsis, ellipsis)
    ),
    c("ops.numpy.GetItem", "$x, [0, 9]"),
    c("ops.numpy.Take", "$x, [9]", '"axis": 1'),
    c("ops.numpy.Take", "$x, $y", '"axis": 9'),
    c("ops.numpy.TakeAlongAxis", "$x, $y", '"axis": 1', y = "[null, 4, 2]"),
    c("ops.numpy.TakeAlongAxis", "$x, [[0, 1, 2]]", '"axis": 0'),
    c("ops.numpy.Reshape", "$x", '"newshape": null'),
    c("ops.numpy.Reshape", "$x", '"newshape": [-1, -1]'),
    c("ops.numpy.Reshape", "$x", '"newshape": [-1, 3]'),
    c("ops.numpy.Reshape", "$x", '"newshape": [3, 3]'),
    c("ops.numpy.BroadcastTo", "$x", '"shape": [-1, 3]'),
    c("ops.numpy.BroadcastTo", "$x", '"shape": [2, 3]'),
    c("ops.numpy.Transpose", "$x", '"axes": [0, 0]'),
    c("ops.numpy.Moveaxis", "$x", '"source": [0, 1], "destination": [1]'),
    c("ops.numpy.Moveaxis", "$x", '"source": null, "destination": [1]'),
    c("ops.numpy.Swapaxes", "$x", '"axis1": 0, "axis2": 5'),
    c("ops.numpy.ExpandDims", "$x", '"axis": null'),
    c("ops.numpy.ExpandDims", "$x", '"axis": 9'),
    c("ops.numpy.Squeeze", "$x", '"axis": 1'),
    c("ops.numpy.Split", "$x", '"indices_or_sections": 3, "axis": 1'),
    c("ops.numpy.ArraySplit", "$x", '"indices_or_sections": 0, "axis": 1'),
    c("ops.core.Unstack", "$x", '"num": 3, "axis": 1'),
    c("ops.numpy.Roll", "$x", '"shift": null'),
    c("ops.numpy.Rot90", "$x", '"k": 1, "axes": [0]'),
    c("ops.numpy.Repeat", "$x", '"repeats": [1, 2], "axis": 1'),
    c("ops.numpy.Repeat", "$x", '"repeats": [-1], "axis": 1'),
    c("ops.numpy.Tile", "$x", '"repeats": "all"'),
    c(
      "ops.numpy.Pad",
      "$x, $y",
      '"pad_width": [[0, 0], [1, 1]], "mode": "constant"'
    ),
    c(
      "ops.numpy.Pad",
      "$x",
      '"pad_width": [[0, 0], [1, 1, 1]], "mode": "constant"'
    ),
    c(
      "ops.numpy.Pad",
      "$x",
      '"pad_width": [[0, 0], [9, 9]], "mode": "reflect"'
    ),
    c("ops.numpy.Pad", "$x", '"pad_width": [[0, 0]], "mode": "best"'),
    c(
      "ops.numpy.Diagonal",
      "$x",
      '"offset": 0, "axis1": 0, "axis2": 1',
      x = "[null]"
    ),
    c("ops.numpy.Diag", "$x", '"k": 0', x = "[null, 4, 4]"),
    c("ops.numpy.Linspace", "$x, $y", '"num": 3, "retstep": true'),
    c("ops.numpy.Linspace", "$x, $y", '"num": 3, "dtype": "int32"'),
    c("ops.numpy.Linspace", "$x, $y", '"num": 3', y = "[null, 5]"),
    c("ops.numpy.Geomspace", "$x, $y", '"num": 3, "dtype": "int32"'),
    c("ops.numpy.Matmul", "$x, $y"),
    c("ops.numpy.Matmul", "$x, 3"),
    c(
      "ops.numpy.Matmul",
      "$x, $y",
      x = "[2, 2]",
      y = "[2, 3]",
      dtype = "string"
    ),
    c("ops.numpy.Tensordot", "$x, $y", '"axes": "all"'),
    c("ops.numpy.Tensordot", "$x, $y", '"axes": [[1], [1]]', y = "[null, 5]"),
    c("ops.numpy.Cross", "$x, $y"),
    c("ops.numpy.Cross", "$x, $y", x = "[null, 2]", y = "[null, 5]"),
    c("ops.numpy.Einsum", "$x, $y", '"subscripts": "ab"'),
    c("ops.numpy.Einsum", "$x, $y", '"subscripts": "abc,cd->abd"'),
    c("ops.numpy.Einsum", "$x, $y", '"subscripts": "ab,ab->..b"'),
    c("ops.numpy.Einsum", "$x", '"subscripts": "aa->a"'),
    c("ops.numpy.Quantile", "$x, $y", '"axis": 1, "method": "linear"'),
    c(
      "ops.numpy.Quantile",
      "$x, 0.5",
      '"axis": 1, "method": "linear"',
      x = "[null, 0]"
    ),
    c("ops.numpy.Sort", "$x", '"axis": 9'),
    c("ops.numpy.Bincount", "$x", x = "[null, 4, 2]", dtype = "int32"),
    c("ops.numpy.Trace", "$x", x = "[null]"),
    c("ops.numpy.Histogram", "$x", '"bins": 0'),
    c("ops.numpy.FullLike", "$x"),
    c("ops.numpy.Cumsum", "$x", '"axis": 1', dtype = "string"),
    c("ops.numpy.Where", "$x", dtype = "string"),
    c("ops.numpy.Median", "$x", '"axis": 1', x = "[null, 0]"),
    c("ops.numpy.Take", "$x, \"far\"", '"axis": 1'),
    c("ops.core.Slice", "$x, [0]", '"shape": [1, 1]'),
    c("ops.core.Slice", "$x, [0, 0]", '"shape": [1]'),
    c("ops.core.Slice", "$x, [0, 3]", '"shape": [1, 4]'),
    c("ops.core.SliceUpdate", "$x, [0, 0], $y", y = "[null, 5]"),
    c("ops.core.Scatter", "$x, $y", '"shape": [4]'),
    c("ops.core.ScatterUpdate", "$x, [[0, 1]], [1]", '"reduction": "best"'),
    c("ops.core.ScatterUpdate", "$x, 1, [1]"),
    c("ops.core.Cast", "$x", '"dtype": "float99"'),
    c("ops.core.SaturateCast", "$x", '"dtype": null'),
    c("ops.einops.Rearrange", "$x, 3"),
    c("ops.einops.Rearrange", "$x, \"a b c -> a\""),
    c("ops.numpy.Einsum", "$x, $y", '"subscripts": "ab,ab->a"', y = "[null, 5]"),
    c("ops.numpy.View", "$x", '"dtype": "float64"', x = "[null, 3]"),
    c("ops.numpy.View", "$x", '"dtype": "float64"', dtype = "string"),
    c("ops.numpy.Average", "$x, [1, 2]", '"axis": null'),
    c(
      "ops.numpy.Nanquantile",
      "$x, 0.5",
      '"axis": 1, "method": "linear"',
      dtype = "int32"
    ),
    c("ops.numpy.Argpartition", "$x", '"kth": 9, "axis": 1')
  )
  expect_snapshot(told_calls(cases))
})

test_that("arguments of operations of nn, images and linear algebra are told", {
  cases <- list(
    c("ops.nn.Relu", "{\"a\": $x}"),
    c("ops.nn.Softmax", "$x", '"axis": 5'),
    c("ops.nn.Softmax", "$x", dtype = "int32"),
    c("ops.nn.Glu", "$x", x = "[null, 3]"),
    c("ops.nn.Threshold", "$x", '"threshold": 1, "default_value": null'),
    c("ops.nn.OneHot", "$x", '"num_classes": 3, "sparse": true'),
    c("ops.nn.BatchNorm", "$x", '"axis": 1'),
    c("ops.nn.Moments", "$x", '"axes": [7]'),
    c(
      "ops.nn.DotProductAttention",
      "$x, $x, $y",
      '"flash_attention": true',
      x = "[null, 4, 2, 3]",
      y = "[null, 4, 2, 3]"
    ),
    c(
      "ops.nn.DotProductAttention",
      "$x, $x, $y, null, null, \"far\"",
      x = "[null, 4, 2, 3]",
      y = "[null, 4, 2, 3]"
    ),
    c("ops.nn.DepthToSpace", "$x", '"block_size": 2', x = "[null, 4, 4, 3]"),
    c("ops.nn.SpaceToDepth", "$x", '"block_size": 3', x = "[null, 4, 4, 3]"),
    c("ops.nn.MaxPool", "$x", '"pool_size": 2'),
    c("ops.nn.AveragePool", "$x", '"pool_size": 9', x = "[null, 4, 2]"),
    c("ops.nn.Conv", "$x, $y", x = "[null, 8, 3]", y = "[2, 2, 5]"),
    c("ops.nn.Conv", "$x, $y", x = "[null, 1, 3]", y = "[2, 3, 5]"),
    c("ops.nn.DepthwiseConv", "$x, $y", x = "[null, 8, 3]", y = "[2, 2, 5]"),
    c(
      "ops.nn.Conv",
      "$x, $y",
      x = "[null, 8, 3]",
      y = "[2, 3, 5]",
      dtype = "string"
    ),
    c(
      "ops.nn.SeparableConv",
      "$x, $y, $x",
      x = "[null, 8, 3]",
      y = "[2, 3, 1]"
    ),
    c(
      "ops.nn.ConvTranspose",
      "$x, $y",
      '"strides": 1',
      x = "[null, 8, 3]",
      y = "[2, 5, 2]"
    ),
    c("ops.nn.Unfold", "$x", '"kernel_size": 0', x = "[null, 1, 4, 4]"),
    c("ops.nn.Unfold", "$x", '"kernel_size": 9', x = "[null, 1, 4, 4]"),
    c(
      "ops.nn.Fold",
      "$x",
      '"output_size": [4, 4], "kernel_size": 2',
      x = "[null, 3, 4]"
    ),
    c("ops.nn.SparseCategoricalCrossentropy", "$x, $y", '"axis": 0'),
    c("ops.nn.CategoricalCrossentropy", "$x, $y", '"axis": 1', y = "[null, 5]"),
    c("ops.nn.BinaryCrossentropy", "$x, $y", y = "[null, 5]"),
    c("ops.nn.PSNR", "$x, $y", '"max_val": null'),
    c("ops.nn.MultiHot", "$x", '"num_classes": null'),
    c("ops.nn.Polar", "$x, $y", y = "[null, 5]"),
    c("ops.image.RGBToGrayscale", "$x", x = "[null, 4, 4, 2]"),
    c("ops.image.RGBToHSV", "$x", x = "[null, 4, 4, 3]", dtype = "int32"),
    c("ops.image.RGBToHSV", "$x"),
    c("ops.image.Resize", "$x", '"size": [0, 2]', x = "[null, 4, 4, 3]"),
    c(
      "ops.image.Resize",
      "$x",
      '"size": [2, 2], "interpolation": "best"',
      x = "[null, 4, 4, 3]"
    ),
    c(
      "ops.image.Resize",
      "$x",
      '"size": [2, 2], "crop_to_aspect_ratio": true, "pad_to_aspect_ratio": true',
      x = "[null, 4, 4, 3]"
    ),
    c("ops.image.Resize", "$x", '"size": [2, 2]', x = "[null, 0, 4, 3]"),
    c(
      "ops.image.PadImages",
      "$x",
      '"top_padding": 1, "left_padding": 1',
      x = "[null, 4, 4, 3]"
    ),
    c(
      "ops.image.PadImages",
      "$x",
      '"top_padding": 1, "left_padding": 1, "target_height": 2, "target_width": 2',
      x = "[null, 4, 4, 3]"
    ),
    c(
      "ops.image.CropImages",
      "$x",
      '"top_cropping": 1, "left_cropping": 1',
      x = "[null, 4, 4, 3]"
    ),
    c("ops.image.ExtractPatches", "$x", '"size": 0', x = "[null, 4, 4, 3]"),
    c(
      "ops.image.ExtractPatches",
      "$x",
      '"size": 2, "padding": "full"',
      x = "[null, 4, 4, 3]"
    ),
    c("ops.image.ExtractPatches", "$x", '"size": 9', x = "[null, 4, 4, 3]"),
    c(
      "ops.image.GaussianBlur",
      "$x",
      '"kernel_size": [0, 3], "sigma": [1, 1]',
      x = "[null, 4, 4, 3]"
    ),
    c(
      "ops.image.GaussianBlur",
      "$x",
      '"kernel_size": [3, 3], "sigma": 1',
      x = "[null, 4, 4, 3]"
    ),
    c("ops.image.ElasticTransform", "$x", x = "[null, 4, 4, 3]"),
    c("ops.image.ElasticTransform", "$x", '"seed": 1', x = "[null, 4]"),
    c(
      "ops.image.AffineTransform",
      "$x, $y",
      x = "[null, 4, 4, 3]",
      y = "[null, 3]"
    ),
    c(
      "ops.image.AffineTransform",
      "$x, $y",
      '"interpolation": "best"',
      x = "[null, 4, 4, 3]",
      y = "[null, 8]"
    ),
    c(
      "ops.image.PerspectiveTransform",
      "$x, $y, $y",
      x = "[null, 4, 4, 3]",
      y = "[null, 3]"
    ),
    c(
      "ops.image.MapCoordinates",
      "$x, $y",
      '"order": 2',
      x = "[null, 4]",
      y = "[2, 3]"
    ),
    c(
      "ops.image.MapCoordinates",
      "$x, $y",
      '"order": 1',
      x = "[null, 4, 5]",
      y = "[2, 3]"
    ),
    c(
      "ops.image.MapCoordinates",
      "$x, $y",
      '"order": 1, "fill_mode": "best"',
      x = "[null, 4]",
      y = "[2, 3]"
    ),
    c(
      "ops.image.ScaleAndTranslate",
      "$x, $y, [1, 1], [0, 0]",
      '"spatial_dims": [1, 2], "method": "linear"',
      x = "[null, 4, 4, 3]"
    ),
    c(
      "ops.image.ScaleAndTranslate",
      "$x, [2, 4, 4, 3], [1, 1], [0, 0]",
      '"spatial_dims": [1, 2], "method": "best"',
      x = "[null, 4, 4, 3]"
    ),
    c("ops.linalg.Cholesky", "$x", x = "[null, 4, 3]"),
    c("ops.linalg.Det", "$x", x = "[null]"),
    c("ops.linalg.Solve", "$x, $y", x = "[null, 4, 4]", y = "[null, 3]"),
    c("ops.linalg.Solve", "$x, 3", x = "[null, 4, 4]"),
    c(
      "ops.linalg.SolveTriangular",
      "$x, $y",
      x = "[2, 3, 4, 4]",
      y = "[2, 2, 4, 1]"
    ),
    c("ops.linalg.Solve", "$x, $y", x = "[2, 3, 4, 4]", y = "[2, 2, 4, 1]"),
    c("ops.linalg.Norm", "$x", '"ord": "best", "axis": 1'),
    c("ops.linalg.Norm", "$x", '"ord": "fro", "axis": 1'),
    c("ops.linalg.SVD", "$x", x = "[null]"),
    c("ops.linalg.Eigh", "$x", x = "[null, 4, 3]"),
    c("ops.linalg.Qr", "$x", '"mode": "best"', x = "[null, 4, 3]"),
    c("ops.linalg.Inv", "$x", x = "[null, 4, 3]"),
    c("ops.linalg.LuFactor", "$x", x = "[null]"),
    c("ops.linalg.Cholesky", "$x", x = "[null, 3, 3]"),
    c("ops.linalg.Inv", "$x", x = "[null, 3, 3]"),
    c("ops.math.FFT", "$x"),
    c("ops.math.FFT", "[$x, $y]", y = "[null, 5]"),
    c("ops.math.FFT", "[$x, $y]", dtype = "int32"),
    c("ops.math.FFT2", "[$x, $y]", x = "[null]", y = "[null]"),
    c("ops.math.RFFT", "$x", dtype = "int32"),
    c("ops.math.RFFT", "$x", '"fft_length": 0'),
    c(
      "ops.math.STFT",
      "$x",
      '"sequence_length": 0, "sequence_stride": 1, "fft_length": 4'
    ),
    c(
      "ops.math.STFT",
      "$x",
      '"sequence_length": 4, "sequence_stride": 1, "fft_length": 2'
    ),
    c(
      "ops.math.STFT",
      "$x",
      '"sequence_length": 4, "sequence_stride": 1, "fft_length": 4, "window": "best"'
    ),
    c(
      "ops.math.STFT",
      "$x",
      '"sequence_length": 4, "sequence_stride": 1, "fft_length": 4, "window": [1, 2]'
    ),
    c(
      "ops.math.ISTFT",
      "[$x, $y]",
      '"sequence_length": 0, "sequence_stride": 1, "fft_length": 6'
    ),
    c(
      "ops.math.ISTFT",
      "[$x, $y]",
      '"sequence_length": 4, "sequence_stride": 0, "fft_length": 6',
      x = "[null, 3, 4]",
      y = "[null, 3, 4]"
    ),
    c(
      "ops.math.ExtractSequences",
      "$x",
      '"sequence_length": 0, "sequence_stride": 1'
    ),
    c(
      "ops.math.ExtractSequences",
      "$x",
      '"sequence_length": 2, "sequence_stride": 0'
    ),
    c("ops.math.Logsumexp", "$x", '"axis": 4'),
    c("ops.math.TopK", "$x", '"k": 9'),
    c("ops.math.InTopK", "$x, $y", '"k": 1', x = "[null]", y = "[null]"),
    c("ops.math.SegmentSum", "$x, [0]", '"num_segments": 2'),
    c("ops.math.SegmentSum", "$x, $y", '"num_segments": -1', y = "[null]"),
    c("ops.core.Map", "3, $x"),
    c(
      "ops.nn.AveragePool",
      "$x",
      '"pool_size": 2',
      x = "[null, 4, 2]",
      dtype = "bool"
    ),
    c("ops.nn.Softsign", "$x", dtype = "bool"),
    c(
      "ops.nn.CTCDecode",
      "$x, [2, 2]",
      '"strategy": "best"',
      x = "[null, 4, 3]"
    ),
    c("ops.core.VectorizedMap", "$x", '"function": "best"'),
    c("ops.core.AssociativeScan", "$x"),
    c(
      "ops.nn.CTCDecode",
      "$x, [2, 2, 2]",
      '"strategy": "beam_search"',
      x = "[2, 4, 3]"
    ),
    c("ops.math.FFT", "[$x]"),
    c(
      "ops.math.ISTFT",
      "[$x, $y]",
      '"sequence_length": 4, "sequence_stride": 1, "fft_length": 6',
      x = "[null]",
      y = "[null]"
    ),
    c("ops.core.Map", "\"relu\", 3, $x"),
    c("ops.core.Map", "\"relu\", [$x, $x]")
  )
  expect_snapshot(told_calls(cases))
})

test_that("options of layers that can't be used are told", {
  cases <- list(
    c("layers.Dense", config = '"units": 2, "activation": "best"'),
    c("layers.Dense", config = '"units": 2, "dtype": "float99"'),
    c("layers.Dense", config = '"activation": "relu"'),
    c(
      "layers.Conv2D",
      config = '"filters": 2, "kernel_size": [0, 2]',
      x = "[null, 8, 8, 1]"
    ),
    c(
      "layers.Conv2D",
      config = '"filters": 2, "kernel_size": 3, "padding": "causal"',
      x = "[null, 8, 8, 1]"
    ),
    c(
      "layers.SeparableConv1D",
      config = '"filters": 2, "kernel_size": 3, "groups": 2',
      x = "[null, 8, 1]"
    ),
    c(
      "layers.Conv1DTranspose",
      config = '"filters": 2, "kernel_size": 3, "padding": "causal"',
      x = "[null, 8, 1]"
    ),
    c("layers.MaxPooling1D", config = '"pool_size": 0', x = "[null, 8, 1]"),
    c(
      "layers.MaxPooling1D",
      config = '"pool_size": 2, "strides": 0',
      x = "[null, 8, 1]"
    ),
    c("layers.MaxPooling1D", config = '"padding": "full"', x = "[null, 8, 1]"),
    c(
      "layers.AdaptiveMaxPooling1D",
      config = '"output_size": 0',
      x = "[null, 8, 1]"
    ),
    c("layers.Reshape", config = '"target_shape": "flat"'),
    c("layers.Permute", config = '"dims": "all"', x = "[null, 4, 2]"),
    c(
      "layers.ZeroPadding1D",
      config = '"padding": [1, -1]',
      x = "[null, 4, 2]"
    ),
    c(
      "layers.UpSampling2D",
      config = '"interpolation": "best"',
      x = "[null, 4, 4, 2]"
    ),
    c("layers.Softmax", config = '"axis": []'),
    c("layers.PReLU", config = '"shared_axes": [0]'),
    c("layers.BatchNormalization", config = '"axis": [1, 2]'),
    c("layers.LayerNormalization", config = '"axis": []'),
    c("layers.GroupNormalization", config = '"groups": 0'),
    c("layers.Rescaling", config = '"scale": "big"'),
    c("layers.Normalization", config = '"mean": [1, 2], "variance": [1]'),
    c("layers.Discretization", config = '"bin_boundaries": "few"'),
    c("layers.Hashing", config = '"num_bins": 0'),
    c("layers.Hashing", config = '"num_bins": 2, "salt": "salt"'),
    c("layers.Hashing", config = '"num_bins": 2, "mask_value": [1]'),
    c(
      "layers.CategoryEncoding",
      config = '"num_tokens": 3, "output_mode": "best"'
    ),
    c(
      "layers.StringLookup",
      config = '"vocabulary": 3',
      x = "[null, 1]",
      dtype = "string"
    ),
    c(
      "layers.StringLookup",
      config = '"vocabulary": [1, 2]',
      x = "[null, 1]",
      dtype = "string"
    ),
    c(
      "layers.IntegerLookup",
      config = '"vocabulary": ["a"]',
      x = "[null, 1]",
      dtype = "int64"
    ),
    c(
      "layers.StringLookup",
      config = '"vocabulary": ["a"], "output_mode": "tf_idf", "idf_weights": "no"',
      x = "[null, 1]",
      dtype = "string"
    ),
    c(
      "layers.TextVectorization",
      config = '"standardize": "best"',
      x = "[null, 1]",
      dtype = "string"
    ),
    c(
      "layers.TextVectorization",
      config = '"split": "best"',
      x = "[null, 1]",
      dtype = "string"
    ),
    c(
      "layers.TextVectorization",
      config = '"ngrams": "all"',
      x = "[null, 1]",
      dtype = "string"
    ),
    c(
      "layers.CenterCrop",
      config = '"height": 0, "width": 1',
      x = "[null, 8, 8, 3]"
    ),
    c("layers.RandomFlip", config = '"mode": "best"', x = "[null, 8, 8, 3]"),
    c(
      "layers.RandomRotation",
      config = '"factor": "far"',
      x = "[null, 8, 8, 3]"
    ),
    c("layers.STFTSpectrogram", config = '"mode": "best"', x = "[null, 400]"),
    c(
      "layers.STFTSpectrogram",
      config = '"frame_length": 0',
      x = "[null, 400]"
    ),
    c(
      "layers.EinsumDense",
      config = '"equation": "best", "output_shape": 3',
      x = "[null, 4, 2]"
    ),
    c(
      "layers.EinsumDense",
      config = '"equation": "abc,cd->abd", "output_shape": "x"',
      x = "[null, 4, 2]"
    ),
    c("layers.TimeDistributed", config = '"layer": null', x = "[null, 4, 2]"),
    c("layers.Bidirectional", config = '"layer": 3', x = "[null, 4, 2]"),
    c(
      "layers.Bidirectional",
      config = paste0(
        '"merge_mode": "best", ',
        '"layer": {"class_name": "LSTM", "config": {"name": "l", "units": 2}}'
      ),
      x = "[null, 4, 2]"
    ),
    c("layers.RNN", config = '"cell": null', x = "[null, 4, 2]"),
    c(
      "layers.RNN",
      config = '"cell": {"class_name": "StackedRNNCells", "config": {"name": "s", "cells": 3}}',
      x = "[null, 4, 2]"
    ),
    c(
      "layers.RNN",
      config = '"cell": {"class_name": "Dense", "config": {"name": "d", "units": 3}}',
      x = "[null, 4, 2]"
    ),
    c(
      "layers.LSTM",
      config = '"units": 2, "time_major": true',
      x = "[null, 4, 2]"
    ),
    c("layers.SpectralNormalization", config = '"layer": null'),
    c("layers.Pipeline", config = '"layers": 3'),
    c(
      "layers.LocallyConnected1D",
      config = '"filters": 2, "kernel_size": 2, "implementation": 7',
      x = "[null, 4, 2]"
    ),
    c(
      "layers.StringLookup",
      config = '"vocabulary": ["a", "a"]',
      dtype = "string"
    ),
    c(
      "layers.RandomErasing",
      config = '"factor": 0.5, "scale": 0.5, "fill_value": [1, 2]',
      x = "[null, 4, 4, 3]"
    ),
    c(
      "layers.ReversibleEmbedding",
      config = '"input_dim": 2, "output_dim": 2, "reverse_dtype": "best"'
    ),
    c("layers.FeatureSpace", config = '"features": 3'),
    c("layers.FeatureSpace", config = '"features": {"a": 3}'),
    c(
      "layers.MultiHeadAttention",
      "$x, $x",
      '"num_heads": 2, "key_dim": 2, "output_shape": [1, 2, 3, 4]',
      x = "[null, 4, 3]"
    )
  )
  expect_snapshot(told_calls(cases))
})

test_that("layers that can't take their input are told", {
  cases <- list(
    c("layers.Conv1D", config = '"filters": 2, "kernel_size": 3'),
    c("layers.MaxPooling1D", config = '"pool_size": 2'),
    c("layers.MaxPooling1D", config = '"pool_size": 9', x = "[null, 4, 2]"),
    c("layers.Cropping1D", config = '"cropping": [3, 3]', x = "[null, 4, 2]"),
    c("layers.RepeatVector", config = '"n": -1'),
    c("layers.RepeatVector", config = '"n": 2', x = "[null, 4, 2]"),
    c("layers.Permute", config = '"dims": [2, 1]'),
    c("layers.Reshape", config = '"target_shape": [-1, 3]'),
    c("layers.LSTM", config = '"units": 2'),
    c("layers.CategoryEncoding", config = '"num_tokens": 3', dtype = "string"),
    c(
      "layers.Hashing",
      config = '"num_bins": 3, "mask_value": "x"',
      dtype = "int32"
    ),
    c("layers.Resizing", config = '"height": 2, "width": 2'),
    c("layers.CenterCrop", config = '"height": 2, "width": 2'),
    c("layers.STFTSpectrogram", config = '"frame_length": 8'),
    c("layers.Dot", config = '"axes": 1'),
    c("layers.Normalization", config = '"mean": [1, 2], "variance": [1, 2]'),
    c(
      "layers.StringLookup",
      config = '"vocabulary": ["a"], "invert": true, "oov_token": null',
      dtype = "int64"
    ),
    c("layers.TextVectorization", config = '"vocabulary": ["a"]'),
    c("layers.GroupNormalization", config = '"groups": 2', x = "[null, 3]"),
    c("layers.UnitNormalization", config = '"axis": 3'),
    c("layers.Softmax", config = '"axis": 7')
  )
  expect_snapshot(told_calls(cases))
})

test_that("code in a file is refused by name", {
  cases <- list(
    c(
      "layers.Lambda",
      config = paste0(
        '"function": {"class_name": "__lambda__", ',
        '"config": {"code": "4wEA", "defaults": null, "closure": null}}'
      )
    ),
    c("layers.Dense", config = '"units": 2, "activation": "<lambda>"'),
    c("layers.MyOwnLayer", config = '"n": 3'),
    c("layers.TFSMLayer", config = '"filepath": "model"')
  )
  expect_snapshot(told_calls(cases))
})

test_that("arguments of layers are told", {
  cases <- list(
    c("layers.Concatenate", "[$x, $y]", y = "[null, 5, 2]"),
    c("layers.Add", "[$x, $y]", y = "[null, 5]"),
    c("layers.Subtract", "[$x, $y, $x]"),
    c("layers.Dot", "[$x, $y]", '"axes": 1', y = "[null, 5]"),
    c("layers.Dot", "[$x, $y]", '"axes": 0'),
    c("layers.Dense", "[$x, $y]", '"units": 2'),
    c("layers.Flatten", "[$x, $y]"),
    c("layers.Attention", "$x", x = "[null, 4, 3]"),
    c(
      "layers.Attention",
      "[$x, $y, $x, $y]",
      x = "[null, 4, 3]",
      y = "[null, 4, 3]"
    ),
    c(
      "layers.Attention",
      "[$x, $y]",
      '"score_mode": "best"',
      x = "[null, 4, 3]",
      y = "[null, 4, 3]"
    ),
    c(
      "layers.MultiHeadAttention",
      "$x",
      '"num_heads": 2, "key_dim": 2',
      x = "[null, 4, 3]"
    ),
    c(
      "layers.MultiHeadAttention",
      "$x, 3",
      '"num_heads": 2, "key_dim": 2',
      x = "[null, 4, 3]"
    ),
    c(
      "layers.MultiHeadAttention",
      "$x, $y",
      '"num_heads": 2, "key_dim": 2, "flash_attention": true',
      x = "[null, 4, 3]",
      y = "[null, 4, 3]"
    ),
    c(
      "layers.GroupQueryAttention",
      "$x",
      '"num_query_heads": 3, "num_key_value_heads": 2, "head_dim": 2',
      x = "[null, 4, 3]"
    ),
    c(
      "layers.GroupQueryAttention",
      "$x",
      '"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": 2',
      x = "[null, 4, 3]"
    ),
    c(
      "layers.GroupQueryAttention",
      "$x, $y",
      '"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": 2, "flash_attention": true',
      x = "[null, 4, 3]",
      y = "[null, 4, 3]"
    ),
    c(
      "layers.CategoryEncoding",
      "$x, $y",
      '"num_tokens": 3, "output_mode": "one_hot"'
    ),
    c(
      "layers.CategoryEncoding",
      "$x, [1]",
      '"num_tokens": 3, "output_mode": "count"'
    ),
    c(
      "layers.HashedCrossing",
      "[$x, $y]",
      '"num_bins": 3',
      x = "[null, 2]",
      y = "[null, 2]",
      dtype = "int64"
    ),
    c("layers.HashedCrossing", "$x", '"num_bins": 3', dtype = "int64"),
    c("layers.HashedCrossing", "[$x, $y]", '"num_bins": 3'),
    c(
      "layers.EinsumDense",
      "$x",
      '"equation": "abc,cd->abd", "output_shape": 3'
    ),
    c(
      "layers.EinsumDense",
      "$x",
      '"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "z"'
    ),
    c(
      "layers.Resizing",
      "$x",
      '"height": 2, "width": 2, "crop_to_aspect_ratio": true, "pad_to_aspect_ratio": true',
      x = "[null, 4, 4, 3]"
    ),
    c(
      "layers.Resizing",
      "[$x, $y]",
      '"height": 2, "width": 2',
      x = "[null, 4, 4, 3]",
      y = "[null, 4]"
    ),
    c(
      "layers.Resizing",
      "{\"images\": $x, \"bounding_boxes\": $y}",
      '"height": 2, "width": 2',
      x = "[null, 4, 4, 3]",
      y = "[null, 1, 4]"
    ),
    c(
      "layers.ContrastLimitedAdaptiveHistogramEqualization",
      "$x",
      '"tile_grid_size": [0, 2]',
      x = "[null, 4, 4, 3]"
    ),
    c("layers.MelSpectrogram", "$x", '"fft_length": 4', dtype = "int32"),
    c("layers.MelSpectrogram", "$x", '"fft_length": 4', x = "[null, 4, 2, 3]"),
    c("layers.STFTSpectrogram", "$x", x = "[null, 400, 1]", dtype = "int32"),
    c("layers.Normalization", "$x", '"axis": [1, 2, 3]'),
    c(
      "layers.Normalization",
      "$x",
      '"axis": null, "mean": [1, 2, 3], "variance": [1, 2, 3]'
    ),
    c("layers.LayerNormalization", "$x", '"axis": 4'),
    c(
      "layers.AveragePooling1D",
      "$x",
      '"pool_size": 2, "data_format": "best"',
      x = "[null, 4, 2]"
    ),
    c(
      "layers.AdaptiveAveragePooling1D",
      "$x",
      '"output_size": 2',
      x = "[null, 0, 2]"
    ),
    c(
      "layers.LSTM",
      "$x, [$y]",
      '"units": 2',
      x = "[null, 4, 3]",
      y = "[null, 2]"
    ),
    c(
      "layers.LSTM",
      "$x, [$y, $y]",
      '"units": 2',
      x = "[null, 4, 3]",
      y = "[null, 5]"
    ),
    c("layers.LSTM", "$x", '"units": 2', x = "[null, 0, 3]"),
    c(
      "layers.GRU",
      "$x, $y, $y",
      '"units": 2',
      x = "[null, 4, 3]",
      y = "[null, 5]"
    ),
    c("layers.LSTMCell", "$x, [$y]", '"units": 2', y = "[null, 2]"),
    c(
      "layers.ConvLSTM1D",
      "$x",
      '"filters": 2, "kernel_size": 9',
      x = "[null, 4, 5, 3]"
    ),
    c(
      "layers.ConvLSTM1D",
      "$x",
      '"filters": 2, "kernel_size": 3',
      x = "[null, 4, 3]"
    ),
    c(
      "layers.TimeDistributed",
      "$x",
      '"layer": {"class_name": "Flatten", "config": {"name": "f"}}',
      x = "[null]"
    ),
    c(
      "layers.Bidirectional",
      "$x",
      paste0(
        '"layer": {"class_name": "LSTM", "config": {"name": "a", "units": 2}}, ',
        '"backward_layer": {"class_name": "LSTM", "config": {"name": "b", "units": 2}}'
      ),
      x = "[null, 4, 3]"
    ),
    c(
      "layers.Bidirectional",
      "$x",
      paste0(
        '"layer": {"class_name": "LSTM", "config": {"name": "a", "units": 2}}, ',
        '"backward_layer": {"class_name": "LSTM", "config": ',
        '{"name": "b", "units": 2, "go_backwards": true, "return_sequences": true}}'
      ),
      x = "[null, 4, 3]"
    ),
    c(
      "layers.SpectralNormalization",
      "$x",
      '"layer": {"class_name": "Flatten", "config": {"name": "f"}}'
    ),
    c(
      "layers.Embedding",
      "$x",
      paste0(
        '"input_dim": 3, "output_dim": 2, "dtype": {"class_name": "QuantizedFloat8DTypePolicy", ',
        '"config": {"mode": "float8", "source_name": "float32"}}'
      )
    ),
    c(
      "layers.StringLookup",
      "$x",
      '"vocabulary": ["a"], "output_mode": "count", "pad_to_max_tokens": true',
      dtype = "string"
    ),
    c(
      "layers.StringLookup",
      "$x",
      '"vocabulary": ["a"], "vocabulary_dtype": "best"',
      dtype = "string"
    ),
    c(
      "layers.StringLookup",
      "$x",
      '"vocabulary": ["a"], "invert": true',
      dtype = "string"
    ),
    c(
      "layers.TextVectorization",
      "$x",
      '"vocabulary": ["a"], "ragged": true',
      x = "[null, 1]",
      dtype = "string"
    ),
    c(
      "layers.TextVectorization",
      "$x",
      '"vocabulary": ["a"], "output_mode": "multi_hot", "pad_to_max_tokens": true',
      x = "[null, 1]",
      dtype = "string"
    ),
    c("layers.Activation", "$x", '"activation": "glu"', x = "[null, 3]"),
    c("layers.Activation", "$x", '"activation": 3'),
    c(
      "layers.RandomGaussianBlur",
      "$x",
      '"kernel_size": [1, 2, 3, 4]',
      x = "[null, 4, 4, 3]"
    ),
    c("layers.Dense", "$x", '"units": 2', dtype = "complex64"),
    c("layers.Add", "null, $x"),
    c(
      "layers.HashedCrossing",
      "[$x, $y]",
      '"num_bins": 3',
      x = "[null]",
      y = "[null, 1]",
      dtype = "int64"
    ),
    c(
      "layers.AutoContrast",
      "$x",
      '"value_range": [0, 255], "dtype": "int32"',
      x = "[null, 4, 4, 3]",
      dtype = "int32"
    ),
    c(
      "layers.LocallyConnected1D",
      "$x",
      '"filters": 2, "kernel_size": 9',
      x = "[null, 4, 2]"
    ),
    c(
      "layers.LSTM",
      "$x, null, $y",
      '"units": 2',
      x = "[null, 4, 3]",
      y = "[null, 4, 7]"
    ),
    c(
      "layers.TimeDistributed",
      "$x, false, $y",
      '"layer": {"class_name": "Flatten", "config": {"name": "f"}}',
      x = "[null, 4, 3]",
      y = "[null, 5]"
    ),
    c("layers.Softmax", "$x, $y", y = "[null, 5]")
  )
  expect_snapshot(told_calls(cases))
})

test_that("arguments of functions of TensorFlow are told", {
  image <- "[null, 4, 4, 3]"
  cases <- list(
    c("math.add"),
    c("math.add", '"y": {"a": 1}'),
    c("math.add", '"y": $y', y = "[null, 5]"),
    c("math.nothing"),
    c("reduce_sum", '"axis": 7'),
    c("reduce_sum", '"axis": $y'),
    c("reduce_sum", '"axis": "first"'),
    c("cast", '"dtype": "float99"'),
    c("clip_by_value", '"clip_value_min": 0'),
    c("split", '"num_or_size_splits": 3, "axis": 1'),
    c("split", '"num_or_size_splits": [1, 2], "axis": 1'),
    c("gather", '"indices": [9], "axis": 1'),
    c("gather_nd", '"indices": [[0, 0, 0]]'),
    c("boolean_mask", '"mask": $y'),
    c("boolean_mask", '"mask": [true, 3]'),
    c(
      "reverse_sequence",
      '"seq_lengths": [1, 2], "seq_axis": 0, "batch_axis": 1'
    ),
    c("sequence_mask", dtype = "int32"),
    c("linalg.diag", '"k": [1, 0]'),
    c("linalg.diag", '"num_rows": 1'),
    c("linalg.set_diag", '"diagonal": $y, "k": 1', x = "[null, 4, 4]"),
    c("linalg.norm", '"ord": "best", "axis": 1'),
    c("matmul", '"b": $y'),
    c("range"),
    c("range", '"limit": 3, "delta": 0'),
    c("reshape", '"shape": [3, 3]'),
    c("reshape", '"shape": $y'),
    c("strided_slice", '"begin": [0, 0], "end": [1], "strides": [1, 1]'),
    c("nn.dropout", '"rate": 0.5'),
    c("nn.moments", '"axes": [5]'),
    c("nn.conv2d", '"filters": 3, "strides": 1, "padding": "SAME"', x = image),
    c(
      "nn.max_pool2d",
      '"ksize": 9, "strides": 1, "padding": "VALID"',
      x = image
    ),
    c("image.resize", '"size": 3', x = image),
    c("image.resize", '"size": [2, 2], "method": "best"', x = image),
    c("image.resize", '"size": [2, 2]'),
    c("image.transpose"),
    c(
      "image.crop_to_bounding_box",
      '"offset_height": 0, "offset_width": 0',
      x = image
    ),
    c(
      "image.crop_to_bounding_box",
      '"offset_height": 3, "offset_width": 0, "target_height": 3, "target_width": 2',
      x = image
    ),
    c(
      "image.pad_to_bounding_box",
      '"offset_height": 3, "offset_width": 0, "target_height": 4, "target_width": 4',
      x = image
    ),
    c("image.convert_image_dtype", '"dtype": "int64"', x = image),
    c("image.rgb_to_hsv", x = image, dtype = "int32"),
    c("image.rgb_to_hsv", x = "[null, 4, 4, 2]"),
    c("signal.frame", '"frame_length": 0, "frame_step": 1'),
    c("signal.frame", '"frame_length": 2, "frame_step": 1, "axis": 0'),
    c("signal.stft", '"frame_length": 2, "frame_step": 1, "window_fn": "best"'),
    c("signal.dct", '"type": 5'),
    c("signal.rfft", '"fft_length": [0]'),
    c("signal.rfft", dtype = "int32"),
    c("math.polyval"),
    c("bitcast", '"type": "float64"'),
    c("math.bincount", dtype = "int32"),
    c("math.bincount", '"minlength": 3, "maxlength": 3', dtype = "int32"),
    c("image.rgb_to_yuv", x = image, dtype = "int32"),
    c("signal.fft", dtype = "int32"),
    c(
      "gather",
      '"indices": $y, "batch_dims": 2, "axis": 2',
      x = "[null, 4, 3]",
      y = "[null, 5]",
      dtype = "int32"
    ),
    c("fill", '"value": 3'),
    c("one_hot", '"depth": $y'),
    c("one_hot", '"depth": "a"'),
    c("linspace", '"stop": 3, "num": $y'),
    c("sort", '"direction": "UP"'),
    c(
      "keras.backend.sparse_categorical_crossentropy",
      '"output": $y, "axis": 0'
    ),
    c("nn.sparse_softmax_cross_entropy_with_logits", '"logits": $y')
  )
  expect_snapshot(told_functions(cases))
})

test_that("what layers can't do in training is told", {
  cases <- list(
    c(
      "layers.RandomBrightness",
      config = '"factor": 0.5, "dtype": "int32"',
      x = "[null, 4, 4, 3]",
      dtype = "int32"
    ),
    c(
      "layers.RandomFlip",
      "{\"images\": $x, \"bounding_boxes\": $y}",
      x = "[null, 4, 4, 3]"
    ),
    c("layers.Dropout", config = '"rate": 0.5, "noise_shape": [2, 1, 1]'),
    c("layers.Dropout", config = '"rate": 0.5, "dtype": "int32"', dtype = "int32"),
    c(
      "layers.GaussianNoise",
      config = '"stddev": 1, "dtype": "int32"',
      dtype = "int32"
    ),
    c("layers.GaussianDropout", config = '"rate": 1'),
    c("layers.AlphaDropout", config = '"rate": 1')
  )
  expect_snapshot(told_calls(lapply(cases, c, training = TRUE)))
})

test_that("what is asked for seldom is told", {
  image <- "[null, 4, 4, 3]"
  told <- list(
    c("ops.numpy.Diagonal", "$x", '"offset": 0, "axis1": 1, "axis2": 1'),
    c("ops.numpy.Tensordot", "$x, $y", '"axes": [[1], [1], [1]]'),
    c("ops.core.Map", "$x, $x"),
    c("ops.core.Map", "\"relu\", {\"a\": $x}"),
    c("ops.core.Cond", "$x"),
    c("ops.linalg.Eig", "$x", x = "[null, 2, 2]"),
    c("ops.numpy.Arange", "$x"),
    c("ops.numpy.FullLike", "$x, $y", y = "[null, 5]"),
    c("ops.math.IRFFT", "[$x, $x]", '"fft_length": 0'),
    c(
      "layers.MelSpectrogram",
      config = '"fft_length": 8',
      x = "[null, 4, 4, 4]"
    ),
    c("layers.TextVectorization", x = "[null, 2, 3]", dtype = "string"),
    c(
      "layers.TextVectorization",
      config = '"vocabulary": ["a"], "ngrams": 2000',
      dtype = "string"
    ),
    c("layers.Dot", "[$x, $y]", '"axes": [1, 1, 1]'),
    c(
      "layers.BatchNormalization",
      config = '"renorm": true, "renorm_clipping": {"rmax": "far"}'
    ),
    c(
      "layers.AdaptiveMaxPooling1D",
      config = '"output_size": 100000000',
      x = "[null, 8, 1]"
    ),
    c(
      "layers.Normalization",
      config = '"axis": null, "mean": [1, 2], "variance": [1, 2]'
    ),
    c(
      "layers.AutoContrast",
      config = '"value_range": [3, 3]',
      x = image
    ),
    c("layers.Hashing", config = '"num_bins": 0', dtype = "string"),
    c("layers.Identity", "{\"a\": 3, \"b\": $x}")
  )
  expect_snapshot(told_calls(told))
  functions <- list(
    c("space_to_batch_nd", '"block_shape": [0], "paddings": [[0, 0]]'),
    c("space_to_batch_nd", '"block_shape": [2], "paddings": [[0, 0, 1]]'),
    c("space_to_batch_nd", '"block_shape": [3], "paddings": [[0, 0]]'),
    c("batch_to_space_nd", '"block_shape": [3], "crops": [[0, 0]]'),
    c(
      "nn.dilation2d",
      '"filters": $y, "strides": [1, 0, 1, 1]',
      x = image,
      y = "[2, 2, 3]"
    ),
    c(
      "nn.dilation2d",
      '"filters": $y, "strides": [1, 1, 1, 1], "data_format": "NCHW"',
      x = image,
      y = "[2, 2, 3]"
    ),
    c(
      "nn.dilation2d",
      '"filters": $y, "strides": [1, 1, 1, 1], "padding": "FULL"',
      x = image,
      y = "[2, 2, 3]"
    ),
    c(
      "nn.dilation2d",
      '"filters": $y, "strides": [1, 1, 1, 1], "padding": "SAME"',
      x = image,
      y = "[2, 2, 5]"
    ),
    c(
      "nn.conv2d_transpose",
      '"filters": $y, "output_shape": [2, 9, 9, 5], "strides": 2',
      x = image,
      y = "[2, 2, 5, 3]"
    ),
    c(
      "nn.conv2d_transpose",
      '"filters": $y, "output_shape": [2, 8, 8, 5], "strides": 2',
      x = image,
      y = "[2, 5, 3]"
    ),
    c(
      "image.scale_and_translate",
      '"size": [2, 2], "scale": [1, 1], "translation": [0, 0]',
      x = image
    ),
    c("one_hot", '"depth": 3, "dtype": 3', dtype = "int32"),
    c("gather", '"indices": $y')
  )
  expect_snapshot(told_functions(functions))
})
