"""Every other operation of keras.ops that stands as a node in a graph, with its options and dtypes."""

import keras
import numpy as np
from common import bools, ints, normal, uniform, wild
from keras import ops as K

SMALL_INTS = ["uint8", "uint16", "int8", "int16", "int64", "uint32"]


def cases(c):
    def one(name, fn, shape=(4, 3), dtype=None, inputs=None, **kwargs):
        def build():
            x = keras.Input(shape, dtype=dtype)
            return keras.Model(x, fn(x))

        c.add(name, build, inputs=inputs, optional=True, **kwargs)

    def two(name, fn, a=(4, 3), b=(4, 3), dtypes=(None, None), inputs=None, **kwargs):
        def build():
            x, y = keras.Input(a, name="x", dtype=dtypes[0]), keras.Input(b, name="y", dtype=dtypes[1])
            return keras.Model([x, y], fn(x, y))

        c.add(name, build, inputs=inputs, optional=True, **kwargs)

    unary(one)
    binary(two)
    reductions(one)
    moving(one, two)
    products(one, two)
    nn(one, two)
    dtypes(one, two)


def nans(rng, shape, dtype):
    x = rng.normal(size=shape).astype(dtype)
    x[rng.random(size=shape) < 0.25] = np.nan
    return x


def odd(rng, shape, dtype):
    return rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5], size=shape).astype(dtype)


def near(rng, shape, dtype):
    return rng.integers(-2, 3, size=shape).astype(dtype)


def unary(one):
    inside = uniform(-0.95, 0.95)
    positive = uniform(0.05, 4.0)
    for n in "abs absolute fabs negative sign floor ceil trunc round square sin cos tan sinh cosh tanh arcsinh arctan exp expm1 exp2 cbrt sinc deg2rad rad2deg signbit isfinite isinf isnan isneginf isposinf isreal real conj conjugate copy".split():
        one(n, lambda x, n=n: getattr(K, n)(x), inputs=normal(2.0))
        one(f"{n}_int", lambda x, n=n: getattr(K, n)(x), dtype="int32", inputs=ints(5, -5))
    for n in "sqrt log log2 log10 log1p reciprocal rsqrt".split():
        one(n, lambda x, n=n: getattr(K, n)(x), inputs=positive)
    for n in "arcsin arccos arctanh erf erfinv erfc".split():
        one(n, lambda x, n=n: getattr(K, n)(x), inputs=inside)
    one("arccosh", K.arccosh, inputs=uniform(1.01, 5.0))
    for n in "isfinite isinf isnan isneginf isposinf signbit nan_to_num".split():
        one(f"{n}_odd", lambda x, n=n: getattr(K, n)(x), inputs=odd)
    one("nan_to_num_values", lambda x: K.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-3.0), inputs=odd)
    one("round_half", K.round, inputs=lambda r, s, d: (r.integers(-5, 5, size=s) + 0.5).astype(d))
    one("round_decimals", lambda x: K.round(x, 2), inputs=normal(3.0))
    one("clip", lambda x: K.clip(x, -0.5, 0.7))
    one("clip_int", lambda x: K.clip(x, -2, 3), dtype="int32", inputs=ints(9, -9))
    one("bitwise_not", K.bitwise_not, dtype="int32", inputs=ints(9, -9))
    one("ones_like", K.ones_like)
    one("zeros_like", lambda x: K.zeros_like(x, dtype="int32"))
    one("full_like", lambda x: K.full_like(x, 2.5))
    one("digitize", lambda x: K.digitize(x, np.array([-1.0, 0.0, 0.5])))
    one("searchsorted", lambda x: K.searchsorted(np.array([-1.0, 0.0, 0.5], "float32"), x), ())
    one("searchsorted_right", lambda x: K.searchsorted(np.array([-1.0, 0.0, 1.0], "float32"), x, side="right"), (), inputs=near)


def binary(two):
    positive = uniform(0.3, 3.0)
    for n in "maximum minimum fmax fmin subtract multiply divide true_divide add arctan2 hypot logaddexp logaddexp2 divide_no_nan heaviside fmod mod floor_divide".split():
        two(n, lambda x, y, n=n: getattr(K, n)(x, y), inputs=[normal(3.0), positive])
    for n in "maximum minimum hypot arctan2 fmod mod floor_divide heaviside logaddexp divide_no_nan".split():
        two(f"{n}_int", lambda x, y, n=n: getattr(K, n)(x, y), dtypes=("int32", "int32"), inputs=[ints(9, -9), ints(5, 1)])
    for n in "fmax fmin maximum minimum".split():
        two(f"{n}_nan", lambda x, y, n=n: getattr(K, n)(x, y), inputs=[nans, nans])
    two("power", K.power, inputs=[positive, normal()])
    two("divide_no_nan_zero", K.divide_no_nan, inputs=[normal(), ints(2)])
    for n in "bitwise_and bitwise_or bitwise_xor left_shift right_shift bitwise_left_shift bitwise_right_shift".split():
        two(n, lambda x, y, n=n: getattr(K, n)(x, y), dtypes=("int32", "int32"), inputs=[ints(100), ints(5)])
    two("shift_literal", lambda x, y: K.left_shift(x, 3) + K.right_shift(y, 2), dtypes=("int32", "int32"), inputs=[ints(100), ints(100)])
    for n in "logical_and logical_or logical_xor".split():
        two(f"{n}_float", lambda x, y, n=n: getattr(K, n)(x, y), inputs=[near, near])
    two("logical_not_float", lambda x, y: K.logical_not(x), inputs=[near, near])
    two("isclose", lambda x, y: K.isclose(x, y + 1e-9), inputs=[near, near])
    two("isclose_nan", lambda x, y: K.isclose(x, x, equal_nan=True), inputs=[nans, nans])
    two("where", lambda x, y: K.where(x > 0, x, y))
    two("where_literals", lambda x, y: K.where(x > 0, 1, 0.5) + y)
    two("where_ints", lambda x, y: K.where(x > 0, 1, 0) * K.cast(y, "int32"))
    two("select", lambda x, y: K.select([x > 0.5, y > 0], [x, y], default=-1.0))
    two("ldexp", K.ldexp, dtypes=(None, "int32"), inputs=[normal(), ints(5, -5)])
    for n in "equal greater greater_equal less less_equal not_equal".split():
        two(f"{n}_ints", lambda x, y, n=n: getattr(K, n)(x, y), dtypes=("int8", "int32"), inputs=[ints(4), ints(4)])
    two("equal_half_literal", lambda x, y: K.cast(K.equal(x, 0.1), "int32") + y, dtypes=("float16", "int32"), inputs=[lambda r, s, d: np.full(s, 0.1, d), ints(3)])


def reductions(one):
    shape = (2, 3, 4)
    for n in "sum mean max min amax amin prod std var ptp logsumexp count_nonzero any all median nansum nanmean nanmax nanmin nanprod nanstd nanvar".split():
        fn = getattr(K, n)
        keeps = {} if n == "count_nonzero" else {"keepdims": True}
        inputs = nans if n.startswith("nan") else near if n in ("any", "all", "count_nonzero") else normal()
        one(f"{n}_axis", lambda x, f=fn: f(x, axis=1), shape, inputs=inputs)
        one(f"{n}_axes", lambda x, f=fn, k=keeps: f(x, axis=(1, -1), **k), shape, inputs=inputs)
        if n not in ("any", "all", "logsumexp"):
            one(f"{n}_int", lambda x, f=fn: f(x, axis=-1), shape, "int32", inputs=ints(5, -5))
    for n in "argmax argmin nanargmax nanargmin".split():
        fn = getattr(K, n)
        inputs = nans if n.startswith("nan") else normal()
        one(n, lambda x, f=fn: f(x, axis=-1), shape, inputs=inputs)
        one(f"{n}_axis1", lambda x, f=fn: f(x, axis=1, keepdims=True), shape, inputs=inputs)
        one(f"{n}_int", lambda x, f=fn: f(x, axis=-1), shape, "int32", inputs=ints(3))
        one(f"{n}_all", lambda x, f=fn: f(x), shape, inputs=inputs, call={"training": False}, row_independent=False)
    one("max_initial", lambda x: K.max(x, axis=1, initial=0.25), shape)
    one("min_initial", lambda x: K.min(x, axis=1, initial=0.25), shape)
    for n in "cumsum cumprod".split():
        one(n, lambda x, n=n: getattr(K, n)(x, axis=1), shape)
        one(f"{n}_last", lambda x, n=n: getattr(K, n)(x, axis=-1), shape)
        one(f"{n}_int", lambda x, n=n: getattr(K, n)(x, axis=1), shape, "int32", inputs=ints(3))
        one(f"{n}_dtype", lambda x, n=n: getattr(K, n)(x, axis=1, dtype="float32"), shape, "int32", inputs=ints(3))
    for n in "nancumsum nancumprod".split():
        one(n, lambda x, n=n: getattr(K, n)(x, axis=1), shape, inputs=nans)
    one("sort", lambda x: K.sort(x), shape)
    one("sort_axis", lambda x: K.sort(x, axis=1), shape)
    one("sort_int", lambda x: K.sort(x, axis=1), shape, "int32", inputs=ints(9))
    one("argsort", lambda x: K.argsort(x), shape)
    one("argsort_axis", lambda x: K.argsort(x, axis=1), shape)
    one("argsort_ties", lambda x: K.argsort(x), shape, "int32", inputs=ints(3))
    one("top_k", lambda x: list(K.top_k(x, 3)), (6,))
    for method in "linear lower higher midpoint nearest".split():
        one(f"percentile_{method}", lambda x, m=method: K.percentile(x, 30.0, axis=1, method=m), (7, 3))
    one("quantile", lambda x: K.quantile(x, 0.3, axis=1), (7, 3))
    one("quantile_method_unused", lambda x: K.quantile(x, 0.3, axis=(1, 2), method="lower", keepdims=True), (7, 3))
    one("quantile_several", lambda x: K.quantile(x, [0.0, 0.25, 1.0], axis=1), (7, 3), row_independent=False)
    one("percentile", lambda x: K.percentile(x, 35.0, axis=-1, keepdims=True), (7, 3))
    one("average", lambda x: K.average(x, axis=1), shape)
    one("average_weights", lambda x: K.average(x, axis=1, weights=K.exp(x)), shape)
    one("average_weights_rank1", lambda x: K.average(x, axis=2, weights=np.array([1.0, 2.0, 3.0], "float32")), shape)
    one("norm", lambda x: K.norm(x, axis=-1), shape)
    one("norm_1", lambda x: K.norm(x, ord=1, axis=1, keepdims=True), shape)
    one("norm_3", lambda x: K.norm(x, ord=3, axis=1), shape)
    one("norm_inf", lambda x: K.norm(x, ord=float("inf"), axis=1), shape)
    one("norm_fro", lambda x: K.norm(x, ord="fro", axis=(1, 2)), shape)
    one("diff", lambda x: K.diff(x, axis=1), shape)
    one("diff_2", lambda x: K.diff(x, n=2), shape)
    one("trapezoid", lambda x: K.trapezoid(x, dx=0.5), shape)
    one("trapezoid_axis", lambda x: K.trapezoid(x, axis=1), shape)


def moving(one, two):
    shape = (2, 3, 4)
    moves = {
        "transpose": lambda x: K.transpose(x, (0, 3, 1, 2)), "swapaxes": lambda x: K.swapaxes(x, 1, -1), "moveaxis": lambda x: K.moveaxis(x, 1, -1),
        "moveaxis_two": lambda x: K.moveaxis(x, (1, 2), (-1, -2)), "expand_dims": lambda x: K.expand_dims(x, 1), "expand_dims_two": lambda x: K.expand_dims(x, (1, -1)),
        "flip": lambda x: K.flip(x, 1), "flip_two": lambda x: K.flip(x, (1, -1)), "fliplr": K.fliplr, "roll": lambda x: K.roll(x, 2, axis=2), "roll_negative": lambda x: K.roll(x, -1, axis=1),
        "roll_two": lambda x: K.roll(x, (1, 2), axis=(1, 3)), "rot90": lambda x: K.rot90(x, axes=(2, 3)), "rot90_3": lambda x: K.rot90(x, k=3, axes=(2, 3)),
        "repeat": lambda x: K.repeat(x, 3, axis=1), "repeat_each": lambda x: K.repeat(x, [2, 0, 1], axis=2), "tile": lambda x: K.tile(x, (1, 2, 1, 3)),
        "pad": lambda x: K.pad(x, ((0, 0), (1, 2), (0, 0), (3, 0))), "pad_value": lambda x: K.pad(x, ((0, 0), (1, 2), (0, 0), (3, 0)), constant_values=1.5),
        "pad_reflect": lambda x: K.pad(x, ((0, 0), (1, 1), (2, 0), (0, 3)), mode="reflect"), "pad_symmetric": lambda x: K.pad(x, ((0, 0), (2, 1), (2, 0), (0, 3)), mode="symmetric"),
        "tril": K.tril, "triu": K.triu, "tril_1": lambda x: K.tril(x, 1), "tril_m1": lambda x: K.tril(x, -1), "triu_1": lambda x: K.triu(x, 1), "triu_m1": lambda x: K.triu(x, -1),
        "diagonal": lambda x: K.diagonal(x, axis1=2, axis2=3), "diagonal_offset": lambda x: K.diagonal(x, offset=1, axis1=2, axis2=3), "diagonal_negative": lambda x: K.diagonal(x, offset=-1, axis1=1, axis2=3),
        "trace": lambda x: K.trace(x, axis1=2, axis2=3), "take": lambda x: K.take(x, np.array([2, 0]), axis=2), "take_negative": lambda x: K.take(x, np.array([-1, 0]), axis=3),
        "take_matrix": lambda x: K.take(x, np.array([[1, 0], [2, 1]]), axis=2), "take_along_axis": lambda x: K.take_along_axis(x, K.argsort(x, axis=2), axis=2),
        "take_along_axis_literal": lambda x: K.take_along_axis(x, np.array([[[[0, -1]]]]), axis=-1),
        "squeeze": lambda x: K.squeeze(x[:, :1], 1), "unstack": lambda x: K.unstack(x, axis=1), "unstack_last": lambda x: K.unstack(x, axis=-1),
        "split": lambda x: K.split(x, 2, axis=3), "split_at": lambda x: K.split(x, [1, 3], axis=3), "array_split": lambda x: K.array_split(x, 3, axis=3),
        "hsplit": lambda x: K.hsplit(x, 2), "dsplit": lambda x: K.dsplit(x, 3), "slice": lambda x: K.slice(x, (0, 1, 1, 0), (2, 1, 2, 3)), "broadcast_to": lambda x: K.broadcast_to(x[:1, :, :1], (5, 2, 3, 4)),
    }
    for n, fn in moves.items():
        one(n, fn, shape, row_independent=n not in ("slice", "broadcast_to"), **({"call": {"training": False}} if n in ("slice", "broadcast_to") else {}))
    two("stack", lambda x, y: K.stack([x, y], axis=1))
    two("stack_last", lambda x, y: K.stack([x, y, x], axis=-1))
    two("stack_mixed", lambda x, y: K.stack([x, y], axis=-1), dtypes=(None, "int32"), inputs=[normal(), ints(5)])
    two("hstack", lambda x, y: K.hstack([x, y]))
    two("dstack", lambda x, y: K.dstack([x, y]))
    two("append", lambda x, y: K.append(x, y, axis=1))
    two("take_tensor", lambda x, y: K.take(np.arange(15, dtype="float32").reshape(5, 3), y, axis=0), dtypes=(None, "int32"), inputs=[normal(), ints(5)])
    two("linspace", lambda x, y: K.linspace(x, y, num=4, axis=-1))
    two("linspace_open", lambda x, y: K.linspace(x, y, num=4, endpoint=False, axis=1))
    two("logspace", lambda x, y: K.logspace(x, y, num=3, axis=-1))


def products(one, two):
    for n, equation in {
        "matmul": "abc,acd->abd", "outer": "abc,ade->abcde", "trailing": "...bc,...cd->...bd", "inner": "abc,abc->a", "diagonal": "abb,abc->ac", "implicit": "abc,acd", "transposed": "abc,adc->adb",
        "sum": "abc,acd->ad",
    }.items():
        shapes = {"outer": ((2, 3), (4, 2)), "inner": ((2, 3), (2, 3)), "diagonal": ((3, 3), (3, 2)), "transposed": ((2, 3), (4, 3))}.get(n, ((2, 3), (3, 4)))
        two(f"einsum_{n}", lambda x, y, e=equation: K.einsum(e, x, y), *shapes, row_independent=n != "implicit")
    one("einsum_one", lambda x: K.einsum("abc->acb", x))
    one("einsum_one_sum", lambda x: K.einsum("abc->ab", x))
    two("einsum_three", lambda x, y: K.einsum("abc,acd,ade->abe", x, y, K.transpose(y, (0, 2, 1))), (2, 3), (3, 4))
    two("einsum_int", lambda x, y: K.einsum("abc,acd->abd", x, y), (2, 3), (3, 4), ("int32", "int32"), inputs=[ints(9, -9), ints(9, -9)])
    two("matmul_int", K.matmul, (2, 3), (3, 4), ("int32", "int32"), inputs=[ints(9, -9), ints(9, -9)])
    two("matmul_int8", K.matmul, (2, 3), (3, 4), ("int8", "int8"), inputs=[ints(99, -99), ints(99, -99)])
    one("matmul_vector", lambda x: K.matmul(x, np.array([1.0, 2.0, 3.0], "float32")))
    one("matmul_vector_left", lambda x: K.matmul(np.array([1.0, 2.0, 3.0, 4.0], "float32"), x))
    one("dot", lambda x: K.dot(x, np.arange(6, dtype="float32").reshape(3, 2)))
    one("dot_vector", lambda x: K.dot(x, np.arange(3, dtype="float32")))
    one("tensordot", lambda x: K.tensordot(x, np.arange(24, dtype="float32").reshape(4, 3, 2), axes=2))
    one("tensordot_axes", lambda x: K.tensordot(x, np.arange(8, dtype="float32").reshape(2, 4), axes=[[1], [1]]))
    two("cross", lambda x, y: K.cross(x, y))
    two("cross_axis", lambda x, y: K.cross(x, y, axis=1), (3, 2), (3, 2))
    two("cross_2", lambda x, y: K.cross(x, y), (4, 2), (4, 2))
    two("cdist", lambda x, y: K.cdist(x, y), (4, 3), (5, 3))


def nn(one, two):
    for n in "relu relu6 sigmoid sparse_sigmoid softplus softsign sparse_plus silu log_sigmoid hard_sigmoid hard_silu elu selu gelu celu tanh_shrink hard_tanh".split():
        one(n, lambda x, n=n: getattr(K, n)(x), inputs=wild())
    options = {
        "leaky_relu": lambda x: K.leaky_relu(x, 0.3), "elu_alpha": lambda x: K.elu(x, 0.7), "gelu_exact": lambda x: K.gelu(x, approximate=False), "celu_alpha": lambda x: K.celu(x, 0.6),
        "hard_shrink": lambda x: K.hard_shrink(x, 0.8), "soft_shrink": lambda x: K.soft_shrink(x, 0.8), "threshold": lambda x: K.threshold(x, 0.3, -2.0), "squareplus": lambda x: K.squareplus(x, 2),
        "softmax": lambda x: K.softmax(x), "softmax_axis": lambda x: K.softmax(x, axis=1), "log_softmax": lambda x: K.log_softmax(x), "log_softmax_axis": lambda x: K.log_softmax(x, axis=1),
        "sparsemax": lambda x: K.sparsemax(x), "sparsemax_axis": lambda x: K.sparsemax(x, axis=1), "normalize": lambda x: K.normalize(x), "normalize_axis": lambda x: K.normalize(x, axis=1),
        "normalize_order": lambda x: K.normalize(x, order=3), "rms_normalization": lambda x: K.rms_normalization(x, K.abs(x[:1, :1])[0, 0], axis=-1), "layer_normalization": lambda x: K.layer_normalization(x, np.arange(3, dtype="float32"), np.ones(3, "float32")),
        "layer_normalization_axes": lambda x: K.layer_normalization(x, axis=(1, 2)), "moments": lambda x: list(K.moments(x, axes=(1,))), "moments_kept": lambda x: list(K.moments(x, axes=(1, 2), keepdims=True)),
        "batch_normalization": lambda x: K.batch_normalization(x, np.arange(3, dtype="float32"), np.array([1.0, 2.0, 0.5], "float32"), axis=-1, offset=np.ones(3, "float32"), scale=np.array([2.0, 1.0, 0.5], "float32")),
    }
    for n, fn in options.items():
        one(n, fn, row_independent=n != "rms_normalization")
    one("glu", lambda x: K.glu(x), (3, 4))
    one("glu_axis", lambda x: K.glu(x, axis=1), (4, 3))
    one("one_hot", lambda x: K.one_hot(x, 5), (4,), "int32", inputs=ints(6, -1))
    one("one_hot_axis", lambda x: K.one_hot(x, 5, axis=1, dtype="int32"), (4,), "int32", inputs=ints(6, -1))
    one("one_hot_bool", lambda x: K.one_hot(x, 5, dtype="bool"), (4,), "int32", inputs=ints(6, -1))
    one("multi_hot", lambda x: K.multi_hot(x, 6), (4,), "int32", inputs=ints(6))
    one("depth_to_space", lambda x: K.depth_to_space(x, 2), (2, 3, 8))
    one("space_to_depth", lambda x: K.space_to_depth(x, 2), (4, 6, 2))
    one("depth_to_space_first", lambda x: K.depth_to_space(x, 2, data_format="channels_first"), (8, 2, 3))
    two("attention", lambda x, y: K.dot_product_attention(x, y, y), (5, 2, 4), (3, 2, 4))
    two("attention_causal", lambda x, y: K.dot_product_attention(x, y, y, is_causal=True), (5, 2, 4), (5, 2, 4))
    two("attention_grouped", lambda x, y: K.dot_product_attention(x, y, y, scale=0.3), (5, 4, 4), (3, 2, 4))
    two("attention_mask", lambda x, y: K.dot_product_attention(x, y, y, mask=x[:, :, :1, 0][:, None, :, :] > 0), (5, 2, 4), (3, 2, 4))


def back(x, dtype):
    """In float32 by way of a dtype, which shows what was computed in."""
    return K.cast(K.cast(x, dtype), "float32")


def dtypes(one, two):
    for d in SMALL_INTS:
        for n in "sum prod max mean square sqrt abs cumsum argmax sign".split():
            kwargs = {"axis": 1} if n in ("sum", "prod", "max", "mean", "cumsum", "argmax") else {}
            one(f"{n}_{d}", lambda x, n=n, k=kwargs: getattr(K, n)(x, **k), dtype=d, inputs=ints(4))
        two(f"mixed_{d}", lambda x, y: [x + y, x * 2, x / 2, x - 1.5, x // 2, K.equal(x, y)], dtypes=(d, "int16"), inputs=[ints(9, 1), ints(9, 1)])
    for d in ("float16", "bfloat16", "float64"):
        # npy files have no bfloat16
        two(f"mixed_{d}", lambda x, y, d=d: back(x + y, d) + back(K.cast(x, d) + y, d) + back(K.cast(x, d) * 2, d) + back(K.cast(x, d) / 2, d) + back(K.cast(x, d) * x, d), dtypes=(None, "int32"), inputs=[ints(9, 1), ints(9, 1)])
        two(f"literal_{d}", lambda x, y, d=d: back(K.cast(x, d) - 0.1, d) * K.cast(y, "float32"), dtypes=(None, "int32"), inputs=[ints(9, 1), ints(9, 1)])
        one(f"mean_{d}", lambda x, d=d: back(K.mean(K.cast(x, d), axis=1), d), inputs=ints(9))
    for d in ("int8", "uint8", "int32", "int64", "bool", "float16", "float64"):
        one(f"cast_{d}", lambda x, d=d: K.cast(x, d), inputs=uniform(0.0, 100.0))
    one("cast_negative", lambda x: K.cast(x, "int32"), inputs=normal(5.0))
    one("saturate_cast", lambda x: K.saturate_cast(x, "uint8"), inputs=normal(200.0))
    one("convert_to_tensor", lambda x: K.convert_to_tensor(x, dtype="float64"))
    one("stop_gradient", lambda x: K.stop_gradient(x))
    one("bool_sum", lambda x: [K.sum(x, axis=1), K.mean(x, axis=1), K.max(x, axis=1), K.cumsum(x, axis=1), K.prod(x, axis=1), K.any(x, axis=1), x + 1, x * 2.5], dtype="bool", inputs=bools())
