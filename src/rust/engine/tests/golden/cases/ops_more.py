"""Every operation with random dtypes, shapes, axes and ways to pass arguments."""

import keras
import numpy as np
from common import Skip
from keras import ops as K

FLOATS = ["float32", "float64", "float16", "bfloat16"]
INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
KINDS = {
    "any": ["float32"] * 3 + FLOATS + INTS + ["bool"] * 2,
    "number": ["float32"] * 3 + FLOATS + INTS,
    "signed": ["float32"] * 3 + FLOATS + ["int8", "int16", "int32", "int64"],
    "float": ["float32"] * 3 + FLOATS,
    "wide": ["float32", "float32", "float64"],
    "int": INTS,
    "index": ["int32", "int64"],
    "bool": ["bool"],
    "f32": ["float32"],
}


def cases(c):
    for name, make in OPERATIONS.items():
        for i, r in c.random(name, 1, 8):
            state = r.integers(2**31)
            c.add(f"{name}_{i}", lambda make=make, s=state: model(make, s), inputs=[values] * 4, optional=True, **options(make, state))


class Node:
    """Draws the inputs' shapes and dtypes, and whatever else a call is made of."""

    def __init__(self, r):
        self.r = r
        self.inputs = []

    def one(self, *options):
        return options[int(self.r.integers(len(options)))]

    def size(self, low=1, high=5):
        return int(self.r.integers(low, high))

    def shape(self, low=1, high=4):
        return tuple(self.size(1, 5) for _ in range(self.size(low, high)))

    def input(self, kind="any", shape=None):
        self.inputs.append((self.shape() if shape is None else shape, self.one(*KINDS[kind])))

    def like(self, shape):
        """A shape that broadcasts with another one's."""
        return tuple(1 if self.r.random() < 0.3 else d for d in shape)

    def axis(self, rank):
        """An axis of a tensor of a rank, the batch's excepted; from either end."""
        a = self.size(1, rank)
        return self.one(a, a - rank)


def drawn(make, state):
    node = Node(np.random.default_rng(state))
    return node, make(node)


def model(make, state):
    node, (fn, _) = drawn(make, state)
    xs = [keras.Input(s, dtype=d, name=f"x{i}") for i, (s, d) in enumerate(node.inputs)]
    y = fn(*xs)
    y = list(y) if isinstance(y, (list, tuple)) else y
    if any(not isinstance(t, keras.KerasTensor) for t in keras.tree.flatten(y)):
        raise Skip
    return keras.Model(xs if len(xs) > 1 else xs[0], y)


def options(make, state):
    return drawn(make, state)[1][1]


def values(rng, shape, dtype):
    if dtype == "bool":
        return rng.random(size=shape) < 0.5
    if "int" in dtype:
        return rng.integers(0 if dtype[0] == "u" else -4, 7, size=shape).astype(dtype)
    x = rng.normal(size=shape) * 1.5
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(x.astype("float32"), dtype))) if dtype == "bfloat16" else x.astype(dtype)


WHOLE = {"call": {"training": False}, "row_independent": False}
ROWS = {}


def unary(name, kind="any", before=lambda x: x):
    def make(n):
        n.input(kind)
        return (lambda x: getattr(K, name)(before(x))), ROWS

    return make


def inside(x):
    """Between -0.9 and 0.9, in the dtype of a float; other dtypes stay."""
    return K.clip(x, -0.9, 0.9) if "float" in x.dtype else x


def positive(x):
    return K.abs(x) + (0.5 if "float" in x.dtype else 1)


def binary(name, kind="any", second=lambda y: y):
    def make(n):
        shape = n.shape()
        n.input(kind, shape)
        way = n.one("two", "two", "two", "literal", "reversed", "float", "array")
        f = getattr(K, name)
        if way == "two":
            n.input(kind, n.like(shape))
            return (lambda x, y: f(x, second(y))), ROWS
        literal = {"literal": n.size(1, 5), "reversed": n.size(1, 4), "float": 1.5, "array": np.arange(1, shape[-1] + 1).astype(n.one("float32", "int32", "float64", "int8"))}[way]
        if kind in ("int", "bool") and way == "float":
            literal = 2
        if way == "reversed" and name not in ("hypot", "heaviside", "nextafter", "bitwise_and", "bitwise_or", "bitwise_xor"):
            return (lambda x: f(literal, second(x))), ROWS
        return (lambda x: f(x, literal)), ROWS

    return make


def reduction(name, kind="any", keeps=True, extra=lambda n: {}):
    def make(n):
        shape = n.shape(1, 4)
        rank = len(shape) + 1
        n.input(kind, shape)
        which = n.one("one", "one", "several", "all")
        axis = {"one": n.axis(rank), "several": tuple(range(1, rank)) if rank > 2 else n.axis(rank), "all": None}[which]
        kwargs = dict(extra(n))
        if keeps and n.r.random() < 0.5:
            kwargs["keepdims"] = True
        f = getattr(K, name)
        if which != "all" and "q" not in kwargs and n.r.random() < 0.5:
            return (lambda x: f(x, axis, **kwargs)), ROWS
        return (lambda x: f(x, axis=axis, **kwargs)), WHOLE if which == "all" else ROWS

    return make


def along(name, kind="any", extra=lambda n: {}):
    """One axis."""

    def make(n):
        shape = n.shape(1, 4)
        n.input(kind, shape)
        axis, kwargs = n.axis(len(shape) + 1), extra(n)
        return (lambda x: getattr(K, name)(x, axis=axis, **kwargs)), ROWS

    return make


def of(kind, shape, fn, whole=False):
    def make(n):
        n.input(kind, shape)
        return (lambda x: fn(x, n)) if fn.__code__.co_argcount == 2 else fn, WHOLE if whole else ROWS

    return make


def pairs(kinds, shapes, fn, whole=False):
    def make(n):
        for k, s in zip(kinds, shapes):
            n.input(k, s)
        return fn, WHOLE if whole else ROWS

    return make


def cast_maker(name):
    def make(n):
        n.input("any")
        d = n.one(*KINDS["any"])
        return (lambda x: getattr(K, name)(x, d)), ROWS

    return make


def like_maker(name):
    def make(n):
        n.input("any")
        d = n.one(None, *KINDS["any"])
        return (lambda x: getattr(K, name)(x, 3, dtype=d) if name == "full_like" else getattr(K, name)(x, dtype=d)), ROWS

    return make


def joined(name, new_axis):
    def make(n):
        shape = n.shape(1, 3)
        count = n.size(1, 4)
        for _ in range(count):
            n.input("any", shape)
        rank = len(shape) + 1 + new_axis
        axis = n.axis(rank)
        return (lambda *xs: getattr(K, name)(list(xs), axis=axis)), ROWS

    return make


def stacked(name):
    def make(n):
        shape = n.shape(1, 3)
        for _ in range(n.size(1, 4)):
            n.input("any", shape)
        return (lambda *xs: getattr(K, name)(list(xs))), WHOLE

    return make


def item(n):
    """Any mixture of indices, slices, ellipsis and new axes."""
    shape = n.shape(1, 4)
    n.input("any", shape)
    parts, rest = [slice(None)], list(shape)
    ellipsis = False
    while rest:
        way = n.one("slice", "slice", "step", "index", "new", "ellipsis", "end")
        if way == "new":
            parts.append(None)
            if len(parts) > 7:
                break
            continue
        if way == "end":
            break
        if way == "ellipsis":
            if ellipsis:
                continue
            ellipsis = True
            skip = n.size(0, len(rest) + 1)
            parts.append(Ellipsis)
            rest = rest[skip:]
            # what follows counts from the end
            parts += [slice(n.one(None, 0, 1), None, n.one(None, 1, 2, -1)) if d > 1 and n.r.random() < 0.7 else slice(None) for d in rest]
            rest = []
            break
        d = rest.pop(0)
        if way == "index":
            parts.append(int(n.r.integers(-d, d)))
        elif way == "slice":
            parts.append(slice(n.one(None, *range(-d, d)), n.one(None, *range(-d, d + 2))))
        else:
            parts.append(slice(None, None, n.one(-2, -1, 2, 3)))
    return (lambda x: x[tuple(parts)]), ROWS


def einsum(n):
    equation, shapes = n.one(
        ("bij,bjk->bik", [(3, 4), (4, 2)]), ("...ij,...jk->...ik", [(2, 3, 4), (1, 4, 2)]), ("bij,bij->b", [(3, 4), (3, 4)]), ("bii->bi", [(3, 3)]), ("bij->bji", [(3, 4)]),
        ("b...->b", [(3, 4)]), ("bij,bj->bi", [(3, 4), (4,)]), ("bi,bj->bij", [(3,), (4,)]), ("bij,bjk,bkl->bil", [(3, 4), (4, 2), (2, 5)]), ("b...i,b...i->b...", [(2, 3), (2, 3)]),
        ("bij,bkj->bik", [(3, 4), (2, 4)]), ("b i j , b j k -> b k i", [(3, 4), (4, 2)]), ("b...ij->b...ji", [(2, 3, 4)]), ("bij,bik->bjk", [(3, 4), (3, 2)]), ("bijk->bik", [(2, 3, 4)]),
    )
    kind = n.one("number", "wide", "wide")
    for s in shapes:
        n.input(kind, s)
    return (lambda *xs: K.einsum(equation, *xs)), ROWS


def matmul(n):
    a, b = n.one(((3, 4), (4, 2)), ((2, 3, 4), (2, 4, 2)), ((2, 3, 4), (1, 4, 2)), ((3, 4), (4, 3)))
    kind = n.one("any", "wide")
    n.input(kind, a), n.input(kind, b)
    return K.matmul, ROWS


def with_literal(fn, kind="any", shape=(4, 3), whole=False):
    def make(n):
        n.input(kind, shape)
        lit = np.arange(12).reshape(3, 4).astype(n.one("float32", "int32", "float64", "int8"))
        return (lambda x: fn(x, lit)), WHOLE if whole else ROWS

    return make


def where(n):
    shape = n.shape()
    n.input("any", shape), n.input("any", shape)
    way = n.one("tensors", "literal", "int", "both")
    return {
        "tensors": lambda x, y: K.where(K.greater(y, 0) if y.dtype != "bool" else y, x, y), "literal": lambda x, y: K.where(y, x, 0.5), "int": lambda x, y: K.where(y, 2, x), "both": lambda x, y: K.where(K.logical_and(x, y), 1, 0.0),
    }[way], ROWS


def conv(name):
    def make(n):
        kind = n.one("f32", "f32", "wide", "float")
        size, cin, cout, s, d = n.size(5, 9), n.size(1, 4), n.size(1, 4), n.size(1, 3), n.size(1, 3)
        padding = n.one("valid", "same")
        s, d = (s, 1) if n.r.random() < 0.5 else (1, d)
        rank = n.size(1, 3)
        n.input(kind, (size,) * rank + (cin,))
        shape = {"conv": (3,) * rank + (cin, cout), "conv_transpose": (3,) * rank + (cout, cin), "depthwise_conv": (3,) * rank + (cin, 2), "separable_conv": (3,) * rank + (cin, 2)}[name]
        kernel = n.r.normal(size=shape).astype("float32")
        kwargs = dict(strides=s, padding=padding)
        kwargs["dilation_rate"] = 1 if name == "conv_transpose" else d
        if name == "separable_conv":
            point = n.r.normal(size=(1,) * rank + (2 * cin, cout)).astype("float32")
            return (lambda x: K.separable_conv(x, kernel, point, **kwargs)), ROWS
        return (lambda x: getattr(K, name)(x, kernel, **kwargs)), ROWS

    return make


def pool(name):
    def make(n):
        rank = n.size(1, 4)
        n.input(n.one("f32", "wide", "float"), (n.size(4, 8),) * rank + (n.size(1, 4),))
        size, stride, padding = n.size(1, 4), n.one(None, 1, 2), n.one("valid", "same")
        return (lambda x: getattr(K, name)(x, size, stride, padding)), ROWS

    return make


def attention(n):
    t, s, h, d = n.size(2, 6), n.size(2, 6), n.size(1, 3), n.size(2, 5)
    kind = n.one("f32", "wide")
    n.input(kind, (t, h, d)), n.input(kind, (s, h, d)), n.input(kind, (s, h, d))
    causal = bool(n.r.random() < 0.5)
    return (lambda q, k, v: K.dot_product_attention(q, k, v, is_causal=causal)), ROWS


def nans(x):
    """Some elements as NaN."""
    return K.where(x > 1.0, np.nan, x) if "float" in x.dtype else x


def nan_reduction(name, keeps=True):
    made = reduction(name, "wide", keeps)

    def make(n):
        fn, o = made(n)
        return (lambda x: fn(nans(x))), o

    return make


OPERATIONS = {}
for name in "abs absolute negative sign floor ceil trunc round square sin cos tan sinh cosh tanh arcsinh arctan exp expm1 exp2 cbrt sinc deg2rad rad2deg isfinite isinf isnan isneginf isposinf isreal real conj conjugate copy logical_not imag nan_to_num relu ravel signbit stop_gradient convert_to_tensor".split():
    OPERATIONS[name] = unary(name, "signed" if name in ("negative", "sign") else "any")
for name in "angle i0 fabs erf erfc relu6 sigmoid sparse_sigmoid softplus softsign sparse_plus silu log_sigmoid hard_sigmoid hard_silu elu selu gelu celu leaky_relu tanh_shrink hard_tanh hard_shrink soft_shrink squareplus".split():
    OPERATIONS[name] = unary(name, "float" if name not in ("angle", "i0", "fabs") else "number")
for name in "sqrt log log2 log10 log1p reciprocal rsqrt arccosh".split():
    # TensorFlow's acosh of 16 bits rounds in steps of its own
    OPERATIONS[name] = unary(name, "wide" if name == "arccosh" else "float" if name in ("reciprocal", "rsqrt") else "number", (lambda x: positive(x) + 1) if name == "arccosh" else positive)
for name in "arcsin arccos arctanh erfinv".split():
    OPERATIONS[name] = unary(name, "float", inside)
for name in "bitwise_not bitwise_invert".split():
    OPERATIONS[name] = unary(name, "int")
for name in "add subtract multiply maximum minimum fmax fmin equal not_equal greater greater_equal less less_equal arctan2 hypot logaddexp logaddexp2 heaviside isclose nextafter divide true_divide divide_no_nan".split():
    OPERATIONS[name] = binary(name, "any" if name in ("equal", "not_equal", "maximum", "minimum", "add", "multiply") else "number", positive if "divide" in name else lambda y: y)
for name in "logical_and logical_or logical_xor".split():
    OPERATIONS[name] = binary(name, "any")
for name in "mod fmod floor_divide power".split():
    OPERATIONS[name] = binary(name, "number", positive)
for name in "bitwise_and bitwise_or bitwise_xor gcd lcm".split():
    OPERATIONS[name] = binary(name, "int")
for name in "left_shift right_shift bitwise_left_shift bitwise_right_shift".split():
    OPERATIONS[name] = pairs(["int", "int"], [(4,), (4,)], lambda x, y, f=name: getattr(K, f)(x, K.cast(K.abs(y), x.dtype)))
OPERATIONS["ldexp"] = pairs(["float", "int"], [(4,), (4,)], K.ldexp)
OPERATIONS["allclose"] = pairs(["wide", "wide"], [(4,), (4,)], lambda x, y: K.allclose(x, y), True)
for name in "sum prod mean var std max min amax amin ptp any all logsumexp median".split():
    OPERATIONS[name] = reduction(name, "any" if name in ("any", "all", "sum", "mean", "max", "min", "prod") else "number")
OPERATIONS["count_nonzero"] = reduction("count_nonzero", "any", False)
for name in "nansum nanmean nanmax nanmin nanprod nanstd nanvar".split():
    OPERATIONS[name] = nan_reduction(name)
for name in "argmax argmin nanargmax nanargmin".split():
    OPERATIONS[name] = along(name, "number" if name[0] == "a" else "float", lambda n: {"keepdims": n.one(True, False)})
for name in "cumsum cumprod".split():
    OPERATIONS[name] = along(name, "any", lambda n: {"dtype": n.one(None, None, "float32", "int32", "float64")})
for name in "nancumsum nancumprod".split():
    OPERATIONS[name] = along(name, "float")
for name in "sort argsort".split():
    OPERATIONS[name] = along(name, "number")
OPERATIONS["top_k"] = of("number", (6,), lambda x: list(K.top_k(x, 3)))
OPERATIONS["in_top_k"] = lambda n: (n.input("index", ()), n.input("f32", (5,)), ((lambda t, p: K.in_top_k(K.abs(t) % 5, p, 2)), ROWS))[-1]
OPERATIONS["quantile"] = reduction("quantile", "number", True, lambda n: {"q": n.one(0.3, 0.5, 0.9)})
OPERATIONS["percentile"] = reduction("percentile", "number", True, lambda n: {"q": n.one(30, 50.0, 90)})
OPERATIONS["nanmedian"] = lambda n: (n.input("wide", (5, 2)), ((lambda x: K.nanmedian(nans(x), axis=n.one(1, (1, 2)))), WHOLE))[-1]
OPERATIONS["average"] = reduction("average", "number", False)
OPERATIONS["average_weights"] = lambda n: (n.input("number", (4, 3)), n.input("number", (4, 3)), ((lambda x, w: K.average(x, axis=1, weights=positive(w))), ROWS))[-1]
OPERATIONS["norm"] = along("norm", "number", lambda n: {"ord": n.one(None, 1, 2, 3, float("inf"), -float("inf")), "keepdims": n.one(True, False)})
OPERATIONS["norm_matrix"] = of("wide", (4, 3), lambda x, n: K.norm(x, ord=n.one(None, "fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")), axis=n.one((1, 2), (-1, -2), (2, 1)), keepdims=n.one(True, False)))
OPERATIONS["diff"] = along("diff", "any", lambda n: {"n": n.size(1, 2)})
OPERATIONS["trapezoid"] = along("trapezoid", "number", lambda n: {"dx": n.one(1.0, 0.5)})
OPERATIONS["corrcoef"] = of("wide", (5,), K.corrcoef, True)
OPERATIONS["get_item"] = item
OPERATIONS["get_item_again"] = item
OPERATIONS["get_item_more"] = item
OPERATIONS["einsum"] = einsum
OPERATIONS["einsum_again"] = einsum
OPERATIONS["matmul"] = matmul
OPERATIONS["dot"] = with_literal(K.dot)
OPERATIONS["tensordot"] = with_literal(lambda x, y: K.tensordot(x, y, axes=1))
OPERATIONS["tensordot_axes"] = with_literal(lambda x, y: K.tensordot(x, y, axes=[[2, 1], [0, 1]]))
OPERATIONS["outer"] = pairs(["any", "any"], [(2,), (3,)], K.outer, True)
OPERATIONS["vdot"] = pairs(["number", "number"], [(3,), (3,)], K.vdot, True)
OPERATIONS["inner"] = pairs(["number", "number"], [(3,), (3,)], K.inner, True)
OPERATIONS["kron"] = pairs(["number", "number"], [(2,), (3,)], K.kron, True)
OPERATIONS["cross"] = pairs(["number", "number"], [(4, 3), (4, 3)], K.cross)
OPERATIONS["cdist"] = pairs(["wide", "wide"], [(4, 3), (5, 3)], lambda x, y: K.cdist(x, y))
OPERATIONS["where"] = where
OPERATIONS["select"] = pairs(["any", "any"], [(3,), (3,)], lambda x, y: K.select([K.cast(x, "bool"), K.cast(y, "bool")], [x, y], default=1))
OPERATIONS["clip"] = lambda n: (n.input("any"), ((lambda x: K.clip(x, n.one(0, 1), n.one(2, 3))), ROWS))[-1]
OPERATIONS["round_decimals"] = lambda n: (n.input("number"), (lambda d: ((lambda x: K.round(x, d)), ROWS))(n.one(-1, 0, 1, 2)))[-1]
for name in "cast saturate_cast view".split():
    OPERATIONS[name] = cast_maker(name)
for name in "ones_like zeros_like full_like".split():
    OPERATIONS[name] = like_maker(name)
for name, new in {"concatenate": 0, "stack": 1}.items():
    OPERATIONS[name] = joined(name, new)
for name in "hstack vstack dstack".split():
    OPERATIONS[name] = stacked(name)
OPERATIONS["append"] = pairs(["any", "any"], [(4, 3), (4, 3)], lambda x, y: K.append(x, y, axis=1))
MOVES = {
    "transpose": lambda x, n: K.transpose(x, n.one((0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 1, 3))), "swapaxes": lambda x, n: K.swapaxes(x, n.axis(4), n.axis(4)), "moveaxis": lambda x, n: K.moveaxis(x, n.axis(4), n.axis(4)),
    "expand_dims": lambda x, n: K.expand_dims(x, n.one(1, -1, 2, (1, -1))), "flip": lambda x, n: K.flip(x, n.axis(4)), "fliplr": lambda x, n: K.fliplr(x), "roll": lambda x, n: K.roll(x, n.one(-3, 1, 2), n.axis(4)),
    "rot90": lambda x, n: K.rot90(x, k=n.size(0, 4), axes=n.one((1, 2), (2, 3))), "repeat": lambda x, n: K.repeat(x, n.size(1, 4), axis=n.axis(4)), "tile": lambda x, n: K.tile(x, n.one((1, 2, 1, 3), (1, 1, 2, 2))),
    "pad": lambda x, n: K.pad(x, ((0, 0), (1, 0), (0, 1), (1, 1)), mode=n.one("constant", "reflect", "symmetric")), "tril": lambda x, n: K.tril(x, n.size(-2, 3)), "triu": lambda x, n: K.triu(x, n.size(-2, 3)),
    "diagonal": lambda x, n: K.diagonal(x, n.size(-1, 2), *n.one((1, 2), (2, 3), (-1, -2))), "trace": lambda x, n: K.trace(x, n.size(-1, 2), *n.one((1, 2), (2, 3), (-1, -2))),
    "take": lambda x, n: K.take(x, n.one(0, -1, [1, 0], [[0, 1], [1, 1]]), axis=n.axis(4)), "take_along_axis": lambda x, n: K.take_along_axis(x, np.array([[[[0, 1, -1]]]]), axis=-1), "squeeze": lambda x, n: K.squeeze(K.expand_dims(x, 2), 2),
    "unstack": lambda x, n: K.unstack(x, axis=n.axis(4)), "split": lambda x, n: K.split(x, n.one(2, [1], [1, 1]), axis=1), "array_split": lambda x, n: K.array_split(x, 2, axis=n.axis(4)), "hsplit": lambda x, n: K.hsplit(x, 2), "dsplit": lambda x, n: K.dsplit(x, [1]),
    "reshape": lambda x, n: K.reshape(x, n.one((-1, 24), (-1, 4, 6), (-1, 2, 3, 4, 1), (-1, 12, 2))), "digitize": lambda x, n: K.digitize(x, np.array([-1.0, 0.0, 2.0])) if x.dtype != "bool" else K.sum(x, axis=1),
}
for name, fn in MOVES.items():
    OPERATIONS[name] = of("any", (2, 3, 4), fn)
OPERATIONS["size"] = of("any", (3, 4), K.size, True)
OPERATIONS["slice"] = of("any", (3, 4), lambda x: K.slice(x, (0, 1, 2), (2, 2, 2)), True)
OPERATIONS["slice_update"] = of("any", (3, 4), lambda x: K.slice_update(x, (0, 1, 2), np.ones((2, 2, 2), x.dtype)), True)
OPERATIONS["broadcast_to"] = of("any", (1, 3), lambda x: K.broadcast_to(x, (4, 2, 3)), True)
OPERATIONS["flipud"] = of("any", (2,), K.flipud, True)
OPERATIONS["vsplit"] = of("any", (2,), lambda x: K.vsplit(x, 2), True)
OPERATIONS["diag"] = of("any", (), lambda x, n: K.diag(x, n.size(-1, 2)), True)
OPERATIONS["diagflat"] = of("any", (2,), lambda x: K.diagflat(x), True)
OPERATIONS["meshgrid"] = pairs(["any", "any"], [(), ()], lambda x, y: K.meshgrid(x, y), True)
OPERATIONS["vander"] = of("number", (), lambda x: K.vander(x, 3), True)
OPERATIONS["unravel_index"] = of("index", (), lambda x: list(K.unravel_index(K.abs(x), (3, 4))), True)
OPERATIONS["searchsorted"] = of("number", (), lambda x: K.searchsorted(np.array([-1, 0, 2], x.dtype), x), True)
OPERATIONS["scatter"] = lambda n: (n.input("number", (2,)), ((lambda v: K.scatter(np.array([[0], [2], [2], [1]]), v, (4, 2))), WHOLE))[-1]
OPERATIONS["scatter_update"] = lambda n: (n.input("any", (2,)), ((lambda x: K.scatter_update(x, np.array([[0], [3]]), K.cast(x[:2], x.dtype))), WHOLE))[-1]
OPERATIONS["linspace"] = pairs(["number", "number"], [(2,), (2,)], lambda x, y: K.linspace(x, y, num=4, axis=1))
OPERATIONS["logspace"] = pairs(["wide", "wide"], [(2,), (2,)], lambda x, y: K.logspace(x, y, num=4, axis=1))
OPERATIONS["geomspace"] = of("number", (2,), lambda x: K.geomspace(positive(x), 9, num=3, axis=1))
OPERATIONS["one_hot"] = of("index", (3,), lambda x, n: K.one_hot(x, 5, axis=n.one(-1, 1), dtype=n.one("float32", "int32", "bool", "float16")))
OPERATIONS["multi_hot"] = of("index", (3,), lambda x, n: K.multi_hot(x, 5))
for name in "softmax log_softmax".split():
    OPERATIONS[name] = along(name, "float")
OPERATIONS["glu"] = of("float", (4, 6), lambda x, n: K.glu(x, axis=n.one(-1, 1, 2)))
OPERATIONS["threshold"] = of("float", (4,), lambda x: K.threshold(x, 0.3, 0.1))
OPERATIONS["sparsemax"] = of("wide", (4,), lambda x: K.sparsemax(x))
OPERATIONS["normalize"] = of("float", (4, 3), lambda x, n: K.normalize(x, axis=n.one(-1, 1), order=n.one(1, 2, 3)))
OPERATIONS["moments"] = of("float", (4, 3), lambda x, n: list(K.moments(x, axes=n.one((1,), (1, 2), (-1,)), keepdims=n.one(True, False))))
OPERATIONS["layer_normalization"] = of("wide", (4, 3), lambda x: K.layer_normalization(x, np.arange(3, dtype=x.dtype), np.ones(3, x.dtype)))
OPERATIONS["rms_normalization"] = of("wide", (4, 3), lambda x: K.rms_normalization(x, np.arange(3, dtype=x.dtype)))
OPERATIONS["batch_normalization"] = of("wide", (4, 3), lambda x: K.batch_normalization(x, np.arange(3, dtype=x.dtype), np.ones(3, x.dtype), axis=-1))
OPERATIONS["depth_to_space"] = of("any", (2, 3, 8), lambda x: K.depth_to_space(x, 2))
OPERATIONS["space_to_depth"] = of("any", (4, 6, 2), lambda x: K.space_to_depth(x, 2))
OPERATIONS["attention"] = attention
for name in "conv conv_transpose depthwise_conv separable_conv".split():
    OPERATIONS[name] = conv(name)
for name in "max_pool average_pool".split():
    OPERATIONS[name] = pool(name)
OPERATIONS["adaptive_average_pool"] = of("wide", (5, 6, 2), lambda x: K.adaptive_average_pool(x, (2, 3)))
OPERATIONS["adaptive_max_pool"] = of("wide", (5, 6, 2), lambda x: K.adaptive_max_pool(x, (2, 3)))
OPERATIONS["unfold"] = of("wide", (2, 5, 6), lambda x, n: K.unfold(x, 2, padding=n.one(0, 1), stride=n.one(1, 2)))
OPERATIONS["fold"] = of("wide", (8, 12), lambda x: K.fold(x, (4, 5), 2))
OPERATIONS["psnr"] = pairs(["f32", "f32"], [(3,), (3,)], lambda x, y: K.psnr(x, y, 2.0), True)
OPERATIONS["binary_crossentropy"] = pairs(["wide", "wide"], [(4,), (4,)], lambda t, o: K.binary_crossentropy(K.cast(t, o.dtype), K.sigmoid(o)))
OPERATIONS["categorical_crossentropy"] = pairs(["wide", "wide"], [(4,), (4,)], lambda t, o: K.categorical_crossentropy(K.cast(t, o.dtype), K.softmax(o)))
OPERATIONS["sparse_categorical_crossentropy"] = pairs(["index", "wide"], [(), (5,)], lambda t, o: K.sparse_categorical_crossentropy(K.abs(t) % 5, o, from_logits=True))
for name, fn in {
    "det": K.det, "inv": lambda x: K.inv(x + 9 * np.eye(3, dtype=x.dtype)), "cholesky": lambda x: K.cholesky(K.matmul(x, K.transpose(x, (0, 2, 1))) + np.eye(3, dtype=x.dtype)), "slogdet": lambda x: list(K.slogdet(x)), "qr": lambda x: list(K.qr(x)),
    "svd": lambda x: K.svd(x, compute_uv=False), "pinv": lambda x: K.linalg.pinv(x), "matrix_rank": lambda x: K.linalg.matrix_rank(x), "eigh": lambda x: K.eigh(x + K.transpose(x, (0, 2, 1)))[0],
    "logdet": lambda x: K.logdet(K.matmul(x, K.transpose(x, (0, 2, 1))) + np.eye(3, dtype=x.dtype)), "solve": lambda x: K.solve(x + 9 * np.eye(3, dtype=x.dtype), x), "solve_triangular": lambda x: K.solve_triangular(x + 9 * np.eye(3, dtype=x.dtype), x, lower=True),
    "cholesky_inverse": lambda x: K.linalg.cholesky_inverse(K.abs(x) + np.eye(3, dtype=x.dtype)), "eigh_vectors": lambda x: list(K.eigh(x + K.transpose(x, (0, 2, 1)))), "svd_vectors": lambda x: list(K.svd(x)),
}.items():
    OPERATIONS[name] = of("wide", (3, 3), fn)
for name in "sum max min prod".split():
    OPERATIONS[f"segment_{name}"] = of("number", (2,), lambda x, f=f"segment_{name}": getattr(K, f)(x, np.array([0, 2, 2, 1]), num_segments=4), True)
OPERATIONS["rfft"] = of("wide", (6,), lambda x: list(K.rfft(x)))
OPERATIONS["stft"] = of("wide", (40,), lambda x: list(K.stft(x, 8, 4, 8)))
OPERATIONS["extract_sequences"] = of("any", (12,), lambda x: K.extract_sequences(x, 4, 2))
OPERATIONS["isin"] = of("number", (4,), lambda x: K.isin(x, np.array([1, 2], x.dtype)), True)
OPERATIONS["unique"] = of("number", (), lambda x: list(K.unique(x, size=5, return_inverse=True, return_counts=True)), True)
