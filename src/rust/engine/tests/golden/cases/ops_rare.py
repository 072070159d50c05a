"""Operations that few models hold: linear algebra, complex numbers, losses, segments, sets, dynamic sizes."""

import keras
import numpy as np
from common import bools, ints, normal, uniform
from keras import ops as K


def fixed(shape, dtype=None):
    """An input of a fixed batch size."""
    return {"batch_shape": shape, "dtype": dtype}


def cases(c):
    def node(name, fn, *specs, **options):
        specs = [s if isinstance(s, dict) else {"shape": s} for s in specs]

        def build():
            xs = [keras.Input(name=f"x{i}", **s) for i, s in enumerate(specs)]
            y = fn(*xs)
            return keras.Model(xs, list(y) if isinstance(y, (list, tuple)) else y)

        c.add(name, build, optional=True, **options)

    whole = {"call": {"training": False}, "row_independent": False}
    linalg(node)
    products(node, whole)
    integers(node, whole)
    numbers(node, whole)
    complexes(node)
    losses(node)
    core(node, whole)
    segments(node, whole)
    sets(node, whole)
    beside(node)


def spd(x):
    """A positive definite matrix made of any matrix."""
    n = x.shape[-1]
    t = K.swapaxes(x, -1, -2)
    return K.matmul(x, t) + np.eye(n, dtype=x.dtype) * 2.0


def regular(x):
    return x + np.eye(x.shape[-1], dtype=x.dtype) * 3.0


def linalg(node):
    for d in (None, "float64"):
        t = "" if d is None else "_float64"
        s = {"shape": (3, 3), "dtype": d}
        node(f"cholesky{t}", lambda x: K.cholesky(spd(x)), s)
        node(f"cholesky_upper{t}", lambda x: K.cholesky(spd(x), upper=True), s)
        node(f"cholesky_inverse{t}", lambda x: K.linalg.cholesky_inverse(K.cholesky(spd(x))), s)
        node(f"cholesky_inverse_upper{t}", lambda x: K.linalg.cholesky_inverse(K.cholesky(spd(x), upper=True), upper=True), s)
        node(f"det{t}", K.det, s)
        node(f"inv{t}", lambda x: K.inv(regular(x)), s)
        node(f"qr{t}", lambda x: K.qr(x), {"shape": (4, 3), "dtype": d})
        node(f"qr_wide{t}", lambda x: K.qr(x), {"shape": (3, 5), "dtype": d})
        node(f"qr_complete{t}", lambda x: K.qr(x, mode="complete"), {"shape": (4, 2), "dtype": d})
        node(f"solve{t}", lambda a, b: K.solve(regular(a), b), s, {"shape": (3, 2), "dtype": d})
        node(f"solve_vector{t}", lambda a, b: K.solve(regular(a), b), s, {"shape": (3,), "dtype": d})
        node(f"solve_triangular{t}", lambda a, b: K.solve_triangular(regular(a), b), s, {"shape": (3, 2), "dtype": d})
        node(f"solve_triangular_lower{t}", lambda a, b: K.solve_triangular(regular(a), b, lower=True), s, {"shape": (3,), "dtype": d})
        node(f"eigh{t}", lambda x: K.eigh(spd(x))[0], s)
        node(f"eigh_indefinite{t}", lambda x: K.eigh(x + K.transpose(x, (0, 2, 1)))[0], {"shape": (6, 6), "dtype": d})
        node(f"eigh_lower_only{t}", lambda x: K.eigh(x)[0], s)
        node(f"eigh_rebuilt{t}", lambda x: rebuilt(*K.eigh(spd(x))), s)
        node(f"eigh_vectors{t}", lambda x: K.eigh(spd(x))[1], s)
        node(f"svd_values{t}", lambda x: K.svd(x, compute_uv=False), {"shape": (4, 3), "dtype": d})
        node(f"svd_values_wide{t}", lambda x: K.svd(x, compute_uv=False), {"shape": (2, 5), "dtype": d})
        node(f"svd_middle{t}", lambda x: K.svd(x)[1], {"shape": (4, 3), "dtype": d})
        node(f"svd_rebuilt{t}", lambda x: product(*K.svd(x, full_matrices=False)), {"shape": (4, 3), "dtype": d})
        node(f"svd_vectors{t}", lambda x: list(K.svd(x, full_matrices=False)), {"shape": (4, 3), "dtype": d})
        node(f"svd_orthogonal{t}", lambda x: gram(K.svd(x)), {"shape": (4, 3), "dtype": d})
        node(f"pinv{t}", lambda x: K.linalg.pinv(x), {"shape": (4, 3), "dtype": d})
        node(f"pinv_cut{t}", lambda x: K.linalg.pinv(x, rcond=0.3), {"shape": (2, 5), "dtype": d})
        node(f"matrix_rank{t}", lambda x: K.linalg.matrix_rank(K.concatenate([x, x], axis=1)), {"shape": (2, 5), "dtype": d})
        node(f"matrix_rank_tol{t}", lambda x: K.linalg.matrix_rank(x, tol=1.0), {"shape": (3, 4), "dtype": d})
        node(f"logdet{t}", lambda x: K.logdet(spd(x)), s)
        node(f"slogdet{t}", lambda x: list(K.slogdet(x)), s)
        node(f"lstsq{t}", lambda a, b: K.lstsq(a, b), fixed((5, 3), d), fixed((5, 2), d), rows=5, row_independent=False, call={"training": False})
        node(f"lstsq_vector{t}", lambda a, b: K.lstsq(a, b), fixed((5, 3), d), fixed((5,), d), rows=5, row_independent=False, call={"training": False})
        node(f"norm_nuc{t}", lambda x: K.norm(x, ord="nuc", axis=(1, 2)), {"shape": (4, 3), "dtype": d})
        node(f"norm_2{t}", lambda x: K.norm(x, ord=2, axis=(1, 2)), {"shape": (4, 3), "dtype": d})
        node(f"norm_m2{t}", lambda x: K.norm(x, ord=-2, axis=(-1, -2), keepdims=True), {"shape": (4, 3), "dtype": d})
    node("det_batches", K.det, (2, 4, 4))
    node("det_singular", lambda x: K.det(x * 0.0), (3, 3))
    node("det_one", K.det, (1, 1))
    node("inv_batches", lambda x: K.inv(regular(x)), (2, 5, 5))
    node("inv_half", lambda x: K.inv(K.cast(regular(x), "float16")), (3, 3))
    node("cholesky_batches", lambda x: K.cholesky(spd(x)), (2, 4, 4))
    node("solve_batches", lambda a, b: K.solve(regular(a), b), (2, 4, 4), (2, 4, 3))
    node("lu_one", lambda x: list(K.lu_factor(x)), fixed((4, 4)), call={"training": False}, row_independent=False)
    node("eigh_large", lambda x: K.eigh(spd(x))[0], (12, 12))
    node("svd_large", lambda x: K.svd(x, compute_uv=False), (12, 9))


def rebuilt(w, v):
    return K.matmul(v * K.expand_dims(w, -2), K.swapaxes(v, -1, -2))


def product(u, s, vt):
    return K.matmul(u * K.expand_dims(s, -2), vt)


def gram(usv):
    u, s, vt = usv
    return [K.matmul(K.swapaxes(u, -1, -2), u), s, K.matmul(vt, K.swapaxes(vt, -1, -2))]


def products(node, whole):
    node("kron_two", lambda x, y: K.kron(x, y), (2, 3), (1, 2), **whole)
    node("inner_vector", lambda x: K.inner(x, np.arange(3, dtype="float32")), (4, 3))
    node("inner_two", lambda x, y: K.inner(x, y), (3,), (3,), **whole)
    for mode in ("valid", "same", "full"):
        node(f"correlate_{mode}", lambda x, m=mode: K.correlate(x, np.array([1.0, 2.0, -1.0], "float32"), mode=m), fixed((7,)), rows=7, **whole)
        node(f"correlate_two_{mode}", lambda x, y, m=mode: K.correlate(x, y, mode=m), fixed((6,)), fixed((6,)), rows=6, **whole)
        node(f"correlate_int_{mode}", lambda x, m=mode: K.correlate(x, np.array([1, 2], "int32"), mode=m), fixed((5,), "int32"), rows=5, **whole)


def integers(node, whole):
    pair = [{"shape": (5,), "dtype": "int32"}] * 2
    node("gcd", K.gcd, *pair, inputs=[ints(60, -60), ints(60, -60)])
    node("lcm", K.lcm, *pair, inputs=[ints(60, -60), ints(60, -60)])
    node("gcd_mixed", K.gcd, {"shape": (5,), "dtype": "int8"}, {"shape": (1,), "dtype": "uint8"}, inputs=[ints(60, -60), ints(60)])
    node("gcd_literal", lambda x: K.gcd(x, 12), {"shape": (5,), "dtype": "int32"}, inputs=ints(60))
    node("lcm_literal", lambda x: K.lcm(x, 12), {"shape": (5,), "dtype": "int32"}, inputs=ints(60))
    node("lcm_uint", K.lcm, *[{"shape": (5,), "dtype": "uint16"}] * 2, inputs=[ints(60), ints(60)])
    node("gcd_int64", K.gcd, *[{"shape": (5,), "dtype": "int64"}] * 2, inputs=[ints(600000), ints(600000)])
    tokens = {"shape": (6,), "dtype": "int32"}
    for name, fn in {
        "minlength": lambda x: K.bincount(x, minlength=9), "exact": lambda x: K.bincount(x, minlength=5),
    }.items():
        node(f"bincount_{name}", fn, tokens, inputs=ints(5), **whole)
    node("bincount_vector", lambda x: K.bincount(x, minlength=7), {"shape": (), "dtype": "int32"}, inputs=ints(7), **whole)
    node("bincount_predict", lambda x: K.bincount(x, minlength=9), tokens, inputs=ints(5), row_independent=False)
    node("isin_two", lambda x, y: K.isin(x, y), tokens, {"shape": (1,), "dtype": "int32"}, inputs=[ints(9), ints(9)], **whole)
    node("argpartition", lambda x: K.argpartition(x, 2), fixed((6,), "int32"), inputs=ints(99), rows=6, **whole)
    node("argpartition_rows", lambda x: K.argpartition(x, 2), tokens, inputs=ints(99), **whole)
    node("argpartition_none", lambda x: K.argpartition(x, 2, axis=None), tokens, inputs=ints(99), **whole)
    node("argpartition_float", lambda x: K.argpartition(x, 1), fixed((6,)), rows=6, **whole)
    for a, b in (("float32", "int32"), ("int32", "float32"), ("float32", "uint8"), ("uint8", "float32"), ("int64", "int32"), ("float16", "int16"), ("float32", "float32"), ("int8", "uint8")):
        node(f"view_{a}_{b}", lambda x, b=b: K.view(x, dtype=b), {"shape": (4,), "dtype": a}, inputs=normal(3.0) if "float" in a else ints(100))
    node("view_same", lambda x: K.view(x), (4,))
    node("view_half", lambda x: K.cast(K.view(x, dtype="bfloat16"), "float32"), (4,))


def numbers(node, whole):
    node("i0", K.i0, (5,), inputs=normal(6.0))
    node("i0_int", K.i0, {"shape": (5,), "dtype": "int32"}, inputs=ints(9, -9))
    node("i0_float64", K.i0, {"shape": (5,), "dtype": "float64"}, inputs=normal(9.0))
    node("i0_int64", K.i0, {"shape": (5,), "dtype": "int64"}, inputs=ints(9, -9))
    node("i0_half", K.i0, {"shape": (5,), "dtype": "float16"}, inputs=normal(3.0))
    node("nextafter", K.nextafter, (5,), (5,))
    node("nextafter_literal", lambda x: K.nextafter(x, 1.0), (5,))
    node("nextafter_float64", K.nextafter, *[{"shape": (5,), "dtype": "float64"}] * 2)
    node("nextafter_int", K.nextafter, *[{"shape": (5,), "dtype": "int32"}] * 2)
    positive = uniform(0.3, 9.0)
    node("geomspace_open", lambda x, y: K.geomspace(x, y, num=4, endpoint=False), (2,), (2,), inputs=[positive, positive], **whole)
    node("geomspace_literal", lambda x: K.geomspace(x, 100.0, num=4), (2,), inputs=positive, **whole)
    node("geomspace_negative", lambda x: K.geomspace(x, -50.0, num=4), (2,), inputs=uniform(-9.0, -0.5), **whole)
    node("geomspace_int", lambda x: K.geomspace(x, 100, num=4), {"shape": (2,), "dtype": "int32"}, inputs=ints(9, 1), **whole)
    node("geomspace_float64", lambda x: K.geomspace(x, 100, num=4, dtype="float64"), (2,), inputs=positive, **whole)
    node("ndim", lambda x: K.ndim(x), (3, 2), **whole)
    for name, fn in {"nanmedian": lambda x, **k: K.nanmedian(x, **k), "nanquantile": lambda x, **k: K.nanquantile(x, 0.3, **k), "nanpercentile": lambda x, **k: K.nanpercentile(x, 30.0, **k)}.items():
        node(name, lambda x, f=fn: f(x, axis=1), (7, 3), inputs=nans, **whole)
        node(f"{name}_axes", lambda x, f=fn: f(x, axis=(1, -1)), (7, 3), inputs=nans, **whole)
        node(f"{name}_keepdims", lambda x, f=fn: f(x, axis=-1, keepdims=True), (7, 3), inputs=nans, **whole)
        node(f"{name}_all", lambda x, f=fn: f(x), (7, 3), inputs=nans, **whole)
        node(f"{name}_all_kept", lambda x, f=fn: f(x, keepdims=True), (7, 3), inputs=nans, **whole)
    for method in "linear lower higher midpoint nearest".split():
        node(f"nanquantile_{method}", lambda x, m=method: K.nanquantile(x, 0.4, axis=1, method=m), (9,), inputs=nans, **whole)
        node(f"nanpercentile_{method}", lambda x, m=method: K.nanpercentile(x, 40.0, axis=1, method=m), (9,), inputs=nans, **whole)
    node("nanquantile_several", lambda x: K.nanquantile(x, [0.2, 0.7, 1.0], axis=1), (7, 3), inputs=nans, **whole)
    node("nanpercentile_several", lambda x: K.nanpercentile(x, [20, 70], axis=-1), (7, 3), inputs=nans, **whole)


def nans(rng, shape, dtype):
    x = rng.normal(size=shape)
    x[rng.random(size=shape) < 0.3] = np.nan
    return x.astype(dtype)


def complexes(node):
    node("angle", K.angle, (5,))
    node("angle_int", K.angle, {"shape": (5,), "dtype": "int32"}, inputs=ints(5, -5))
    node("angle_float64", K.angle, {"shape": (5,), "dtype": "float64"})
    node("imag", K.imag, (5,))
    node("imag_int", K.imag, {"shape": (5,), "dtype": "int32"}, inputs=ints(5, -5))
    node("view_as_real_real", lambda x: K.view_as_real(x), (3,))
    node("polar", lambda x, y: K.view_as_real(K.nn.polar(x, y)), (5,), (5,))
    node("polar_abs", lambda x, y: K.abs(K.nn.polar(x, y)), (5,), (5,))
    node("polar_parts", lambda x, y: [K.real(K.nn.polar(x, y)), K.imag(K.nn.polar(x, y))], (5,), (5,))
    node("polar_angle", lambda x, y: K.angle(K.nn.polar(x, y)), (5,), (5,))
    node("polar_conj", lambda x, y: K.view_as_real(K.conj(K.nn.polar(x, y))), (5,), (5,))
    node("polar_cast", lambda x, y: K.cast(K.nn.polar(x, y), "float32"), (5,), (5,))
    node("cast_complex128", lambda x: [K.real(K.cast(x, "complex128")), K.abs(K.cast(x, "complex128"))], (5,))
    node("cast_complex", lambda x: K.real(K.cast(x, "complex64")), (5,))


def losses(node):
    probability = uniform(0.02, 0.98)
    node("binary_crossentropy", K.binary_crossentropy, (4, 3), (4, 3), inputs=[bools(), probability])
    node("binary_crossentropy_logits", lambda t, o: K.binary_crossentropy(t, o, from_logits=True), (4, 3), (4, 3), inputs=[probability, normal(9.0)])
    node("binary_crossentropy_sigmoid", lambda t, o: K.binary_crossentropy(t, K.sigmoid(o)), (4,), (4,), inputs=[probability, normal(20.0)])
    node("binary_crossentropy_layer", lambda t, o: K.binary_crossentropy(t, keras.layers.Activation("sigmoid")(o)), (4,), (4,), inputs=[probability, normal(20.0)])
    node("binary_crossentropy_float64", K.binary_crossentropy, *[{"shape": (4,), "dtype": "float64"}] * 2, inputs=[probability, probability])
    node("categorical_crossentropy", K.categorical_crossentropy, (4, 3), (4, 3), inputs=[probability, probability])
    node("categorical_crossentropy_axis", lambda t, o: K.categorical_crossentropy(t, o, axis=1), (4, 4), (4, 4), inputs=[probability, probability])
    node("categorical_crossentropy_logits", lambda t, o: K.categorical_crossentropy(t, o, from_logits=True), (4, 3), (4, 3), inputs=[probability, normal(9.0)])
    node("categorical_crossentropy_logits_axis", lambda t, o: K.categorical_crossentropy(t, o, from_logits=True, axis=1), (4, 4), (4, 4), inputs=[probability, normal(9.0)])
    node("categorical_crossentropy_softmax", lambda t, o: K.categorical_crossentropy(t, K.softmax(o)), (4,), (4,), inputs=[probability, normal(30.0)])
    node("categorical_crossentropy_softmax_axis", lambda t, o: K.categorical_crossentropy(t, K.softmax(o, axis=1), axis=1), (4, 4), (4, 4), inputs=[probability, normal(30.0)])
    node("categorical_crossentropy_layer", lambda t, o: K.categorical_crossentropy(t, keras.layers.Softmax()(o)), (4,), (4,), inputs=[probability, normal(30.0)])
    target = {"shape": (4,), "dtype": "int32"}
    node("sparse_categorical_crossentropy", K.sparse_categorical_crossentropy, target, (4, 3), inputs=[ints(3), probability])
    node("sparse_categorical_crossentropy_kept", K.sparse_categorical_crossentropy, {"shape": (4, 1), "dtype": "int32"}, (4, 3), inputs=[ints(3), probability])
    node("sparse_categorical_crossentropy_logits", lambda t, o: K.sparse_categorical_crossentropy(t, o, from_logits=True), target, (4, 3), inputs=[ints(3), normal(9.0)])
    node("sparse_categorical_crossentropy_float", K.sparse_categorical_crossentropy, (4,), (4, 3), inputs=[ints(3), probability])
    node("sparse_categorical_crossentropy_softmax", lambda t, o: K.sparse_categorical_crossentropy(t, K.softmax(o)), target, (4, 3), inputs=[ints(3), normal(30.0)])
    lengths = {"shape": (), "dtype": "int32"}
    labels = {"shape": (3,), "dtype": "int32"}
    node("ctc_loss", lambda t, o, m, n: K.ctc_loss(t, o, m, n), labels, (8, 5), lengths, lengths, inputs=[ints(5, 1), normal(2.0), ints(4, 1), ints(9, 6)])
    node("ctc_loss_blank", lambda t, o, m, n: K.ctc_loss(t, o, m, n, mask_index=4), labels, (8, 5), lengths, lengths, inputs=[ints(4), normal(2.0), ints(4, 1), ints(9, 6)])
    node("ctc_loss_float64", lambda t, o, m, n: K.ctc_loss(t, o, m, n), labels, {"shape": (8, 5), "dtype": "float64"}, lengths, lengths, inputs=[ints(5, 1), normal(2.0), ints(4, 1), ints(9, 6)])
    node("ctc_loss_repeats", lambda t, o, m, n: K.ctc_loss(t, o, m, n), labels, (9, 3), lengths, lengths, inputs=[ints(2, 1), normal(2.0), ints(4, 3), ints(10, 7)])
    for i, options in enumerate(({}, {"merge_repeated": False}, {"mask_index": 4}, {"mask_index": None})):
        node(f"ctc_decode_{i}", lambda o, n, k=options: K.ctc_decode(o, n, **k), (8, 5), lengths, inputs=[normal(2.0), ints(9, 3)], **{"call": {"training": False}, "row_independent": False})
    node("ctc_decode_predict", lambda o, n: K.transpose(K.ctc_decode(o, n)[0], (1, 2, 0)), (8, 5), lengths, inputs=[normal(2.0), ints(9, 3)])


def core(node, whole):
    node("slice_update", lambda x, y: K.slice_update(x, (0, 1, 2), y), fixed((4, 5, 6)), fixed((2, 2, 3)), **whole)
    node("slice_update_none", lambda x: K.slice_update(x, (0, 1), np.ones((1, 2), "float32")), (5,), **whole)
    node("slice_update_tensor", lambda x, i: K.slice_update(x, i, np.ones((1, 2), "float32")), (5,), fixed((2,), "int32"), inputs=[normal(), ints(3)], rows=2, **whole)
    node("slice_update_clamped", lambda x: K.slice_update(x, (1, 4), np.ones((1, 2), "float32")), (5,), **whole)
    node("slice_tensor", lambda x, i: K.slice(x, i, (1, 2)), (5,), fixed((2,), "int32"), inputs=[normal(), ints(2)], rows=2, **whole)
    node("slice_tensor_list", lambda x, i: K.slice(x, [0, K.sum(i)], (2, 2)), (5,), {"shape": (), "dtype": "int32"}, inputs=[normal(), ints(2)], rows=2, **whole)
    node("rearrange_batch", lambda x: K.rearrange(x, "b (h1 h) (w1 w) c -> (b h1 w1) h w c", h1=2, w1=2), fixed((4, 4, 6, 2)), **whole)


def segments(node, whole):
    ids = {"shape": (), "dtype": "int32"}
    for n in ("sum", "max", "min", "prod"):
        fn = getattr(K, f"segment_{n}")
        node(f"segment_{n}", lambda x, i, f=fn: f(x, i, num_segments=4), (3,), ids, inputs=[normal(), ints(4)], rows=6, **whole)
        node(f"segment_{n}_literal", lambda x, f=fn: f(x, np.array([0, 0, 1, 3]), num_segments=5), fixed((4, 3)), **whole)
        node(f"segment_{n}_sorted", lambda x, f=fn: f(x, np.array([0, 0, 1, 3]), sorted=True), fixed((4, 3)), **whole)
        node(f"segment_{n}_int", lambda x, i, f=fn: f(x, i, num_segments=4), {"shape": (3,), "dtype": "int32"}, ids, inputs=[ints(9, -9), ints(4)], rows=6, **whole)
        node(f"segment_{n}_negative", lambda x, i, f=fn: f(x, i, num_segments=3), (), ids, inputs=[normal(), ints(4, -1)], rows=6, **whole)


def sets(node, whole):
    x = {"shape": (), "dtype": "int32"}
    some = ints(5)
    node("unique_size", lambda v: K.unique(v, size=8), x, inputs=some, rows=7, **whole)
    node("unique_fill", lambda v: K.unique(v, size=8, fill_value=-1), x, inputs=some, rows=7, **whole)
    node("unique_small", lambda v: K.unique(v, size=2), x, inputs=some, rows=7, **whole)
    node("unique_all", lambda v: list(K.unique(v, size=6, return_index=True, return_inverse=True, return_counts=True)), x, inputs=some, rows=7, **whole)
    node("unique_unsorted", lambda v: list(K.unique(v, sorted=False, size=6, return_index=True, return_inverse=True, return_counts=True)), x, inputs=some, rows=7, **whole)
    node("unique_matrix", lambda v: list(K.unique(v, size=9, return_inverse=True)), {"shape": (3,), "dtype": "int32"}, inputs=some, **whole)
    node("unique_float", lambda v: K.unique(v, size=5, fill_value=0.5), (), inputs=some, rows=7, **whole)


def beside(node):
    """Operations outside of keras.ops."""
    node("activations_relu", lambda x: keras.activations.relu(x, negative_slope=0.2, max_value=1.0, threshold=0.1), {"shape": (5,), "dtype": "float64"})
    node("activations_relu_plain", lambda x: keras.activations.relu(x), (5,))
    node("activations_relu_6", lambda x: keras.activations.relu(x, max_value=6), {"shape": (5,), "dtype": "int32"})
    node("activations_mish", lambda x: keras.src.activations.activations.Mish()(x), (5,))
    node("fake_quant", lambda x: keras.quantizers.fake_quant_with_min_max_vars(x, -1.0, 2.0), (5,))
    node("fake_quant_tensors", lambda x, y: keras.quantizers.fake_quant_with_min_max_vars(x, K.min(y), K.max(y) + 1.0), (5,), (5,), call={"training": False}, row_independent=False)
