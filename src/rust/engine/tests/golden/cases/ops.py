"""keras.ops nodes: arithmetic, comparison, reshape, concatenate, mean, sum, slicing."""

import keras
import numpy as np
from common import bools, ints, normal, uniform, wild
from keras import ops as K


def f1(fn, shape=(4, 3), dtype=None):
    def build():
        x = keras.Input(shape, dtype=dtype)
        return keras.Model(x, fn(x))

    return build


def f2(fn, a=(4, 3), b=(4, 3), dtypes=(None, None)):
    def build():
        x, y = keras.Input(a, name="x", dtype=dtypes[0]), keras.Input(b, name="y", dtype=dtypes[1])
        return keras.Model([x, y], fn(x, y))

    return build


def cases(c):
    positive = uniform(0.3, 3.0)
    for n, fn in {
        "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / y,
        "floordiv": lambda x, y: x // y, "mod": lambda x, y: x % y, "pow": lambda x, y: x**y,
    }.items():
        maker = [normal(3.0), positive] if n != "pow" else [positive, normal()]
        c.add(n, f2(fn), inputs=maker)
        c.add(f"{n}_broadcast", f2(fn, (4, 3), (1, 3)), inputs=maker)
        c.add(f"{n}_broadcast_left", f2(fn, (1, 3), (4, 1)), inputs=maker)
        c.add(f"{n}_literal", f1(lambda x, fn=fn: fn(x, 2.5)), inputs=[maker[0]])
        c.add(f"{n}_literal_int", f1(lambda x, fn=fn: fn(x, 3)), inputs=[maker[0]])
        c.add(f"{n}_reversed", f1(lambda x, fn=fn: fn(2.5, x)), inputs=[maker[1]])
        c.add(f"{n}_reversed_int", f1(lambda x, fn=fn: fn(2, x)), inputs=[maker[1]])
        c.add(f"{n}_int", f2(fn, dtypes=("int32", "int32")), inputs=[ints(20, -20 if n != "pow" else 1), ints(4, 1)])
        c.add(f"{n}_int_literal", f1(lambda x, fn=fn: fn(x, 3), dtype="int32"), inputs=ints(20, -20 if n != "pow" else 1))
        c.add(f"{n}_int_float", f1(lambda x, fn=fn: fn(x, 1.5), dtype="int32"), inputs=ints(20, 1), optional=True)
        c.add(f"{n}_mixed", f2(fn, dtypes=("int32", "float32")), inputs=[ints(20, 1), positive])
        c.add(f"{n}_array", f1(lambda x, fn=fn: fn(x, np.array([1.5, 2.0, 0.5], "float32"))), inputs=[maker[0] if n != "pow" else positive])
    c.add("mod_negative", f2(lambda x, y: x % y), inputs=[normal(5.0), lambda r, s, d: np.where(r.random(s) < 0.5, -2.5, 1.75).astype(d)])
    c.add("floordiv_negative", f1(lambda x: x // -2.5), inputs=normal(9.0))
    c.add("square", f1(lambda x: x**2))
    c.add("cube", f1(lambda x: x**3))
    c.add("root", f1(lambda x: x**0.5), inputs=positive)
    c.add("reciprocal", f1(lambda x: x**-1), inputs=positive)
    c.add("negative", f1(lambda x: -x), inputs=wild())
    c.add("absolute", f1(lambda x: abs(x)), inputs=wild())
    c.add("matmul", f2(lambda x, y: x @ y, (4, 3), (3, 5)))
    c.add("matmul_rank4", f2(lambda x, y: x @ y, (2, 4, 3), (2, 3, 5)))
    c.add("matmul_broadcast", f2(lambda x, y: K.matmul(x, y), (2, 4, 3), (1, 3, 5)))
    c.add("matmul_array", f1(lambda x: x @ np.arange(6, dtype="float32").reshape(3, 2)))
    c.add("true_divide_zero", f2(lambda x, y: x / y), inputs=[normal(), ints(2)])

    near = lambda r, s, d: r.integers(-2, 3, size=s).astype(d)
    for n, fn in {
        "eq": lambda x, y: x == y, "ne": lambda x, y: x != y, "lt": lambda x, y: x < y, "le": lambda x, y: x <= y, "gt": lambda x, y: x > y, "ge": lambda x, y: x >= y,
    }.items():
        if n in ("eq", "ne"):
            # == of two tensors is python's own
            op = K.equal if n == "eq" else K.not_equal
        else:
            op = fn
        c.add(n, f2(op), inputs=[near, near])
        c.add(f"{n}_literal", f1(lambda x, op=op: op(x, 1.0)), inputs=near)
        c.add(f"{n}_reversed", f1(lambda x, op=op: op(1, x)), inputs=near)
        c.add(f"{n}_int", f1(lambda x, op=op: op(x, 1), dtype="int32"), inputs=near)
        c.add(f"{n}_mixed", f2(op, (4, 3), (1, 3), ("int32", "float32")), inputs=[near, near])
    for n, fn in {"and": lambda x, y: x & y, "or": lambda x, y: x | y, "xor": lambda x, y: x ^ y}.items():
        c.add(f"logical_{n}", f2(fn, dtypes=("bool", "bool")), inputs=[bools(), bools()])
    c.add("logical_not", f1(lambda x: ~x, dtype="bool"))
    c.add("comparison_used", f1(lambda x: x * K.cast(x > 0, "float32")))
    c.add("comparison_both", f1(lambda x: (x > -0.5) & (x < 0.5)))

    c.add("reshape", f1(lambda x: K.reshape(x, (-1, 12))))
    c.add("reshape_batch", f1(lambda x: K.reshape(x, (-1, 3))), row_independent=False)
    c.add("reshape_unknown", f1(lambda x: K.reshape(x, (-1, 2, 6))))
    c.add("reshape_flat", f1(lambda x: K.reshape(x, (-1,))), row_independent=False)
    for axis in (-1, 1, 2, -2):
        c.add(f"concatenate_{axis}".replace("-", "m"), f2(lambda x, y, a=axis: K.concatenate([x, y], axis=a), (4, 3), (4, 3)))
    c.add("concatenate_axis0", f2(lambda x, y: K.concatenate([x, y], axis=0)), row_independent=False, optional=True)
    c.add("concatenate_mixed", f2(lambda x, y: K.concatenate([x, y], axis=-1), dtypes=("int32", "float32")))
    c.add("concatenate_three", f2(lambda x, y: K.concatenate([x, y, x], axis=1)))
    c.add("concatenate_sliced", f1(lambda x: K.concatenate([x[:, 2:], x[:, :2]], axis=1)))
    for n, op in {"mean": K.mean, "sum": K.sum}.items():
        for label, kwargs in {
            "axis1": dict(axis=1), "last": dict(axis=-1), "axes": dict(axis=(1, 2)), "list": dict(axis=[1, 3]), "keepdims": dict(axis=1, keepdims=True),
            "axes_keepdims": dict(axis=[2, 3], keepdims=True), "negative": dict(axis=[-2, -1]),
        }.items():
            c.add(f"{n}_{label}", f1(lambda x, op=op, k=kwargs: op(x, **k), (2, 3, 4)))
        c.add(f"{n}_batch", f1(lambda x, op=op: op(x, axis=0, keepdims=True)), row_independent=False)
        c.add(f"{n}_to_rank1", f1(lambda x, op=op: op(x, axis=-1), (5,)))
        c.add(f"{n}_int", f1(lambda x, op=op: op(x, axis=-1), (5,), "int32"), inputs=ints(100))
        c.add(f"{n}_bool", f1(lambda x, op=op: op(x, axis=-1), (5,), "bool"))
        c.add(f"{n}_all", f1(lambda x, op=op: op(x)), call={"training": False}, row_independent=False)
        c.add(f"{n}_large", f1(lambda x, op=op: op(x, axis=-1), (2000,)), inputs=uniform(0, 1))

    slices = {
        "first": lambda x: x[:, 0], "last": lambda x: x[:, -1], "last_last": lambda x: x[..., -1], "range": lambda x: x[:, 1:3], "open": lambda x: x[:, 1:],
        "until": lambda x: x[:, :-1], "step": lambda x: x[:, ::2], "reverse": lambda x: x[:, ::-1], "reverse_step": lambda x: x[:, ::-2],
        "reverse_range": lambda x: x[:, 3:0:-1], "reverse_open": lambda x: x[:, 2::-1], "ellipsis": lambda x: x[..., 1:2], "ellipsis_middle": lambda x: x[:, ..., 0],
        "newaxis": lambda x: x[:, None], "newaxis_end": lambda x: x[..., None], "newaxis_middle": lambda x: x[:, :, None, :, 0], "newaxis_two": lambda x: x[:, None, ..., None],
        "several": lambda x: x[:, 1:3, 0, ::-1], "empty": lambda x: x[:, 2:2], "beyond": lambda x: x[:, 2:99], "negative_range": lambda x: x[:, -3:-1],
        "negative_step_range": lambda x: x[:, -1:-4:-2], "ints": lambda x: x[:, 1, 2], "ints_negative": lambda x: x[:, -2, -1, -1],
    }
    for n, fn in slices.items():
        c.add(f"slice_{n}", f1(fn, (4, 3, 2)))
    c.add("slice_int_dtype", f1(lambda x: x[:, 1:], dtype="int32"))
    c.add("slice_none_dim", f1(lambda x: x[:, -1], (None, 3)), dims=[6])
    c.add("slice_none_reverse", f1(lambda x: x[:, ::-1], (None, 3)), dims=[6])
    c.add("slice_none_until", f1(lambda x: x[:, 1:-1], (None, 3)), dims=[6])

    c.add("expression", f2(lambda x, y: (1.0 - x) * y + x / (abs(y) + 1.0) - K.mean(x * y, axis=-1, keepdims=True)))
    c.add("standardise", f1(lambda x: (x - K.mean(x, axis=1, keepdims=True)) / (K.mean((x - K.mean(x, axis=1, keepdims=True)) ** 2, axis=1, keepdims=True) + 1e-3) ** 0.5))
    c.add("gate", f1(lambda x: keras.layers.Dense(3)(x) * keras.layers.Dense(3, activation="sigmoid")(x) + x))
    c.add("constant_only_branch", f1(lambda x: x + K.reshape(np.arange(12, dtype="float32"), (4, 3))), optional=True)
    c.add("shared_result", f1(lambda x: (x + 1.0) * (x + 1.0)))
    c.add("long_chain", f1(long_chain))
    c.add("scale_shift_conv", f1(lambda x: keras.layers.Conv2D(3, 2)(x * 2.0 - 1.0) * 0.5 + 3.0, (5, 5, 2)))


def long_chain(x):
    for i in range(40):
        x = x * (1.0 - 0.01 * i) + 0.1
    return x
