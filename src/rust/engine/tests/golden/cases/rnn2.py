"""Recurrent layers: RNN over any cell, stateful layers, ConvLSTM, Bidirectional over everything."""

import keras
import numpy as np
from common import Skip, bools, chain, ints, masked, normal, padded, sequential
from keras import layers as L

CELLS = {
    "simple": lambda **k: L.SimpleRNNCell(3, **k),
    "lstm": lambda **k: L.LSTMCell(3, **k),
    "gru": lambda **k: L.GRUCell(3, **k),
    "gru_before": lambda **k: L.GRUCell(3, reset_after=False, **k),
}


def stack(*sizes):
    kinds = [L.LSTMCell, L.GRUCell, L.SimpleRNNCell]
    return [kinds[i % 3](n) for i, n in enumerate(sizes)]


def cases(c):
    cells(c)
    stacked(c)
    alone(c)
    states(c)
    bidirectional(c)
    conv(c)
    stateful(c)
    distributed(c)
    dtypes(c)
    activations(c)
    sweep(c)


def cells(c):
    for name, cell in CELLS.items():
        c.add(f"rnn_{name}", lambda cell=cell: chain((5, 4), L.RNN(cell())))
        c.add(f"rnn_{name}_sequences", lambda cell=cell: chain((5, 4), L.RNN(cell(), return_sequences=True, go_backwards=True)))
        c.add(f"rnn_{name}_nobias_unroll", lambda cell=cell: chain((5, 4), L.RNN(cell(use_bias=False), return_sequences=True, unroll=True)))
        c.add(f"rnn_{name}_masked", lambda cell=cell: chain((6, 4), L.Masking(), L.RNN(cell(), return_sequences=True)), inputs=masked(empty=True))
        c.add(f"rnn_{name}_masked_last", lambda cell=cell: chain((6, 4), L.Masking(), L.RNN(cell())), inputs=masked(left=True))
        c.add(f"rnn_{name}_masked_zero", lambda cell=cell: chain((6, 4), L.Masking(), L.RNN(cell(), return_sequences=True, zero_output_for_mask=True)), inputs=masked())
        c.add(f"rnn_{name}_masked_unroll_back",
              lambda cell=cell: chain((6, 4), L.Masking(), L.RNN(cell(), return_sequences=True, unroll=True, go_backwards=True, zero_output_for_mask=True)), inputs=masked())
        c.add(f"rnn_{name}_dropout", lambda cell=cell: chain((5, 4), L.RNN(cell(dropout=0.3, recurrent_dropout=0.2, seed=1))))


def stacked(c):
    c.add("stacked_list", lambda: chain((5, 4), L.RNN(stack(3, 2, 4))))
    c.add("stacked_one", lambda: chain((5, 4), L.RNN(L.StackedRNNCells([L.GRUCell(3)]))))
    c.add("stacked_same", lambda: chain((5, 4), L.RNN([L.LSTMCell(3), L.LSTMCell(3), L.LSTMCell(2)], return_sequences=True)))
    c.add("stacked_masked", lambda: chain((5, 4), L.Masking(), L.RNN(stack(3, 2), return_sequences=True)), inputs=masked())
    c.add("stacked_back_unroll", lambda: chain((5, 4), L.RNN(stack(3, 2), return_sequences=True, go_backwards=True, unroll=True)))

    def with_state(**k):
        x = keras.Input((5, 4))
        return keras.Model(x, L.RNN(stack(3, 2, 4), return_state=True, **k)(x))

    c.add("stacked_state", with_state)
    c.add("stacked_state_sequences", lambda: with_state(return_sequences=True))

    def initial():
        x = keras.Input((5, 4))
        s = [[keras.Input((3,)), keras.Input((3,))], [keras.Input((2,))]]
        return keras.Model([x, s], L.RNN(stack(3, 2), return_state=True)(x, initial_state=s))

    c.add("stacked_initial", initial, optional=True)

    def nested():
        inner = L.StackedRNNCells(stack(3, 2))
        return chain((5, 4), L.RNN(L.StackedRNNCells([inner, L.LSTMCell(2)])))

    c.add("stacked_nested", nested, optional=True)
    c.add("stacked_dropout", lambda: chain((5, 4), L.RNN([L.LSTMCell(3, dropout=0.2), L.GRUCell(2, recurrent_dropout=0.4)])), optional=True)


def alone(c):
    def lstm():
        x, h, s = keras.Input((4,)), keras.Input((3,)), keras.Input((3,))
        return keras.Model([x, h, s], L.LSTMCell(3)(x, [h, s]))

    def one(cell, listed):
        def build():
            x, h = keras.Input((4,)), keras.Input((3,))
            y, s = cell()(x, [h] if listed else h)
            return keras.Model([x, h], [y, *s] if listed else [y, s])

        return build

    c.add("cell_lstm", lstm)
    for name in ("simple", "gru", "gru_before"):
        c.add(f"cell_{name}", one(CELLS[name], True))
        c.add(f"cell_{name}_bare", one(CELLS[name], False), optional=True)

    def many():
        x, h, s, g = keras.Input((4,)), keras.Input((3,)), keras.Input((3,)), keras.Input((2,))
        return keras.Model([x, h, s, g], L.StackedRNNCells(stack(3, 2))(x, [[h, s], [g]]))

    c.add("cell_stacked", many)

    def shared():
        cell = L.GRUCell(3)
        x, h = keras.Input((2, 4)), keras.Input((3,))
        a, s = cell(x[:, 0], [h])
        b, s = cell(x[:, 1], s)
        return keras.Model([x, h], [a, b])

    c.add("cell_twice", shared)


def states(c):
    kinds = {"simple": (L.SimpleRNN, 1), "lstm": (L.LSTM, 2), "gru": (L.GRU, 1)}
    for name, (cls, n) in kinds.items():
        def encoder(cls=cls, n=n, mask=False, **k):
            a, b = keras.Input((5, 4)), keras.Input((3, 4))
            x, y = (L.Masking()(a), L.Masking()(b)) if mask else (a, b)
            _, *s = cls(3, return_state=True)(x)
            return keras.Model([a, b], cls(3, return_sequences=True, return_state=True, **k)(y, initial_state=s))

        c.add(f"seq2seq_{name}", encoder)
        c.add(f"seq2seq_{name}_masked", lambda e=encoder: e(mask=True), inputs=[masked(), masked()])
        c.add(f"seq2seq_{name}_back", lambda e=encoder: e(go_backwards=True))
        c.add(f"seq2seq_{name}_custom", lambda e=encoder: e(activation="softsign"))

        def given(cls=cls, n=n):
            x, m = keras.Input((5, 4)), keras.Input((5,), dtype="bool")
            s = [keras.Input((3,)) for _ in range(n)]
            return keras.Model([x, m, *s], cls(3)(x, initial_state=s if n > 1 else s[0], mask=m))

        c.add(f"initial_and_mask_{name}", given)

        def rnn(cls=cls, n=n):
            x = keras.Input((5, 4))
            cell = {"SimpleRNN": L.SimpleRNNCell, "LSTM": L.LSTMCell, "GRU": L.GRUCell}[cls.__name__](3)
            s = [keras.Input((3,)) for _ in range(n)]
            return keras.Model([x, *s], L.RNN(cell, return_state=True)(x, initial_state=s))

        c.add(f"rnn_initial_{name}", rnn)


def bidirectional(c):
    for merge in ("concat", "sum", "mul", "ave", None):
        c.add(f"bi_rnn_{merge or 'none'}".lower(), lambda m=merge: chain((5, 4), L.Bidirectional(L.RNN(L.LSTMCell(3), return_sequences=True), merge_mode=m)), h5=merge == "concat")
        c.add(f"bi_stack_{merge or 'none'}".lower(), lambda m=merge: chain((5, 4), L.Bidirectional(L.RNN(stack(2, 3)), merge_mode=m)))
        c.add(f"bi_state_{merge or 'none'}".lower(), lambda m=merge: chain((5, 4), L.Masking(), L.Bidirectional(L.GRU(3, return_state=True, return_sequences=True), merge_mode=m)), inputs=masked())

    def other(**k):
        back = L.GRU(3, go_backwards=True, return_sequences=True, activation="relu", name="other")
        return chain((5, 4), L.Bidirectional(L.LSTM(3, return_sequences=True), backward_layer=back, **k))

    c.add("bi_other", other)
    c.add("bi_other_sum", lambda: other(merge_mode="sum"))

    def initial(cls=L.LSTM, n=4, **k):
        x = keras.Input((5, 4))
        s = [keras.Input((3,)) for _ in range(n)]
        return keras.Model([x, *s], L.Bidirectional(cls(3, return_state=True, **k))(x, initial_state=s))

    c.add("bi_initial_lstm", initial)
    c.add("bi_initial_gru", lambda: initial(L.GRU, 2, return_sequences=True))
    c.add("bi_initial_simple", lambda: initial(L.SimpleRNN, 2))
    c.add("bi_conv", lambda: chain((3, 5, 5, 2), L.Bidirectional(L.ConvLSTM2D(2, 3, return_sequences=True))))
    c.add("bi_conv_ave", lambda: chain((3, 5, 5, 2), L.Bidirectional(L.ConvLSTM2D(2, 3, padding="same"), merge_mode="ave")))
    c.add("bi_of_bi", lambda: chain((4, 3), L.Bidirectional(L.LSTM(2, return_sequences=True)), L.Bidirectional(L.GRU(2))))
    c.add("bi_mask_argument", lambda: mask_argument())
    c.add("bi_stack_state", lambda: chain((5, 4), L.Bidirectional(L.RNN(stack(2, 3), return_state=True))))
    c.add("bi_sequential", lambda: sequential((5, 4), L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Bidirectional(L.GRU(2)), L.Dense(2)))
    c.add("bi_go_backwards", lambda: chain((5, 4), L.Bidirectional(L.LSTM(3, go_backwards=True), backward_layer=L.LSTM(3))), optional=True)

    def mask_argument():
        x, m = keras.Input((5, 4)), keras.Input((5,), dtype="bool")
        return keras.Model([x, m], L.Bidirectional(L.LSTM(3, return_sequences=True))(x, mask=m))


def conv(c):
    for rank, cls in ((1, L.ConvLSTM1D), (2, L.ConvLSTM2D), (3, L.ConvLSTM3D))[: 3 if c.full else 2]:
        shape = (3, *(6, 5, 4)[:rank], 2)
        n = f"conv_lstm{rank}d"
        c.add(n, lambda cls=cls, s=shape: chain(s, cls(3, 3 if len(s) < 5 else 2)))
        c.add(f"{n}_same", lambda cls=cls, s=shape: chain(s, cls(2, 2, padding="same", return_sequences=True)))
        c.add(f"{n}_strides", lambda cls=cls, s=shape: chain(s, cls(2, 2, strides=2, padding="same", use_bias=False)))
        c.add(f"{n}_dilation", lambda cls=cls, s=shape: chain(s, cls(2, 2, dilation_rate=2, return_sequences=True)))
        c.add(f"{n}_state", lambda cls=cls, s=shape: chain(s, cls(2, 2, return_state=True, go_backwards=True, return_sequences=True)))
        c.add(f"{n}_activations", lambda cls=cls, s=shape: chain(s, cls(2, 2, activation="relu", recurrent_activation="hard_sigmoid", unit_forget_bias=False)))
        c.add(f"{n}_first", lambda cls=cls, s=shape: chain((s[0], s[-1], *s[1:-1]), cls(2, 2, data_format="channels_first", return_sequences=True, return_state=True)), jit=True, optional=True)
        c.add(f"{n}_first_same", lambda cls=cls, s=shape: chain((s[0], s[-1], *s[1:-1]), cls(2, 2, padding="same", data_format="channels_first")), jit=True, optional=True)
        c.add(f"{n}_softmax", lambda cls=cls, s=shape: chain(s, cls(2, 2, activation="softmax")))

        def with_mask(cls=cls, s=shape):
            x, m = keras.Input(s), keras.Input((s[0],), dtype="bool")
            return keras.Model([x, m], cls(2, 2, return_sequences=True)(x, mask=m))

        c.add(f"{n}_masked", with_mask)

        def initial(cls=cls, s=shape):
            x = keras.Input(s)
            _, h, k = cls(2, 2, padding="same", return_state=True)(x)
            return keras.Model(x, cls(2, 3, padding="same", return_sequences=True)(x, initial_state=[h, k]))

        c.add(f"{n}_initial", initial)
    if not c.full:
        c.add("conv_lstm3d", lambda: chain((2, 3, 4, 3, 2), L.ConvLSTM3D(2, 2, padding="same", return_sequences=True)))
    c.add("conv_lstm2d_sizes", lambda: chain((2, 7, 6, 2), L.ConvLSTM2D(2, (3, 2), strides=(2, 1))))
    c.add("conv_lstm2d_dropout", lambda: chain((2, 5, 5, 2), L.ConvLSTM2D(2, 2, dropout=0.3, recurrent_dropout=0.3)))
    c.add("conv_lstm2d_open_time", lambda: chain((None, 5, 5, 2), L.ConvLSTM2D(2, 2, return_sequences=True)), dims=[4])


def stateful(c):
    def build(layer, shape=(3, 4), batch=2, *more):
        x = keras.Input(batch_shape=(batch, *shape))
        y = layer()(x)
        for m in more:
            y = m()(y)
        return keras.Model(x, y)

    def add(name, layer, *more, shape=(3, 4), batch=2, rows=6, **k):
        c.add(f"stateful_{name}", lambda: build(layer, shape, batch, *more), rows=rows, batch_size=batch, repeats=2, row_independent=False, **k)

    for name, cls in (("simple", L.SimpleRNN), ("lstm", L.LSTM), ("gru", L.GRU)):
        add(name, lambda cls=cls: cls(3, stateful=True))
        add(f"{name}_sequences", lambda cls=cls: cls(3, stateful=True, return_sequences=True, go_backwards=True))
        add(f"{name}_state", lambda cls=cls: cls(3, stateful=True, return_state=True))
        add(f"{name}_two", lambda cls=cls: cls(3, stateful=True, return_sequences=True), lambda cls=cls: cls(2, stateful=True), lambda: L.Dense(2))
        add(f"{name}_unroll", lambda cls=cls: cls(3, stateful=True, unroll=True))
        add(f"{name}_custom", lambda cls=cls: cls(3, stateful=True, activation="softplus"))
        add(f"{name}_masked", lambda: L.Masking(), lambda cls=cls: cls(3, stateful=True), inputs=masked())
    add("one_row", lambda: L.LSTM(3, stateful=True), batch=1, rows=4)
    add("stacked", lambda: L.RNN(stack(3, 2), stateful=True))
    add("rnn", lambda: L.RNN(L.GRUCell(2), stateful=True, return_sequences=True))
    add("bidirectional", lambda: L.Bidirectional(L.LSTM(3, stateful=True)))
    add("bidirectional_sequences", lambda: L.Bidirectional(L.GRU(3, stateful=True, return_sequences=True), merge_mode="sum"))
    add("conv", lambda: L.ConvLSTM2D(2, 2, stateful=True), shape=(2, 4, 4, 2))
    add("conv_sequences", lambda: L.ConvLSTM1D(2, 2, stateful=True, return_sequences=True, padding="same"), shape=(2, 4, 2))
    add("mixed", lambda: L.LSTM(3, stateful=True, return_sequences=True), lambda: L.LSTM(3))
    add("float64", lambda: L.GRU(3, stateful=True, dtype="float64"))

    def initial():
        x = keras.Input(batch_shape=(2, 3, 4))
        s = [keras.Input(batch_shape=(2, 3)) for _ in range(2)]
        return keras.Model([x, *s], L.LSTM(3, stateful=True)(x, initial_state=s))

    c.add("stateful_initial", initial, rows=4, batch_size=2, repeats=2, row_independent=False)

    def nested():
        i = keras.Input(batch_shape=(2, 3, 4))
        inner = keras.Model(i, L.GRU(3, stateful=True)(i))
        x = keras.Input(batch_shape=(2, 3, 4))
        return keras.Model(x, L.Dense(2)(inner(x)))

    c.add("stateful_nested", nested, rows=4, batch_size=2, repeats=2, row_independent=False)
    c.add("stateful_sequential", lambda: keras.Sequential([keras.Input(batch_shape=(2, 3, 4)), L.LSTM(3, stateful=True, return_sequences=True), L.GRU(2, stateful=True)]),
          rows=4, batch_size=2, repeats=3, row_independent=False)
    c.add("stateful_embedding", lambda: keras.Sequential([keras.Input(batch_shape=(2, 3), dtype="int32"), L.Embedding(7, 4, mask_zero=True), L.LSTM(3, stateful=True)]),
          inputs=padded(7), rows=4, batch_size=2, repeats=2, row_independent=False)


def distributed(c):
    c.add("td_dense", lambda: chain((4, 3), L.TimeDistributed(L.Dense(2, activation="relu"))))
    c.add("td_lstm", lambda: chain((3, 4, 2), L.TimeDistributed(L.LSTM(3))))
    c.add("td_lstm_masked", lambda: chain((3, 4, 2), L.TimeDistributed(L.Masking()), L.TimeDistributed(L.LSTM(3))), inputs=normal())
    c.add("td_model", lambda: chain((3, 4), L.TimeDistributed(chain((4,), L.Dense(3, activation="tanh"), L.Dense(2)))))
    c.add("td_sequential", lambda: chain((3, 6, 6, 1), L.TimeDistributed(sequential((6, 6, 1), L.Conv2D(2, 3), L.BatchNormalization(), L.GlobalMaxPooling2D())), L.LSTM(3)))
    c.add("td_td", lambda: chain((3, 2, 4), L.TimeDistributed(L.TimeDistributed(L.Dense(2)))))
    c.add("td_bi", lambda: chain((3, 4, 2), L.TimeDistributed(L.Bidirectional(L.GRU(2)))))
    c.add("td_embedding", lambda: chain((3, 4), L.TimeDistributed(L.Embedding(6, 3)), dtype="int32"), inputs=ints(6))
    c.add("td_open", lambda: chain((None, 4), L.TimeDistributed(L.Dense(2)), L.GRU(2)), dims=[4])
    c.add("td_masked", lambda: chain((4, 3), L.Masking(), L.TimeDistributed(L.Dense(2)), L.LSTM(2)), inputs=masked())
    c.add("td_dropout", lambda: chain((4, 3), L.TimeDistributed(L.Dropout(0.5))))
    c.add("td_layernorm", lambda: chain((4, 3), L.TimeDistributed(L.LayerNormalization())))
    c.add("td_softmax", lambda: chain((4, 3), L.TimeDistributed(L.Softmax())))
    c.add("td_flatten", lambda: chain((4, 3, 2), L.TimeDistributed(L.Flatten())))
    c.add("td_batchnorm_training", lambda: chain((4, 3), L.TimeDistributed(L.BatchNormalization())), call={"training": True}, row_independent=False)


def dtypes(c):
    # half precision is rounded in an order that TensorFlow's optimiser decides
    for dtype in ("float64",):
        for name, layer in (
            ("lstm", lambda d: L.LSTM(3, return_sequences=True, dtype=d)),
            ("gru", lambda d: L.GRU(3, dtype=d)),
            ("gru_before", lambda d: L.GRU(3, dtype=d, reset_after=False)),
            ("simple", lambda d: L.SimpleRNN(3, return_state=True, dtype=d)),
            ("rnn", lambda d: L.RNN(L.LSTMCell(3, dtype=d), dtype=d)),
            ("bi", lambda d: L.Bidirectional(L.GRU(3, dtype=d), dtype=d)),
            ("conv", lambda d: L.ConvLSTM1D(2, 2, dtype=d)),
            ("stack", lambda d: L.RNN(L.StackedRNNCells([L.GRUCell(2, dtype=d), L.LSTMCell(2, dtype=d)], dtype=d), dtype=d)),
        ):
            shape = (3, 4, 2) if name == "conv" else (4, 3)
            c.add(f"{dtype}_{name}", lambda layer=layer, d=dtype, s=shape: chain(s, layer(d)), optional=True)
    c.add("rnn_cell_dtype", lambda: chain((4, 3), L.RNN(L.GRUCell(3, dtype="float64"))), optional=True)
    c.add("bi_dtype", lambda: chain((4, 3), L.Bidirectional(L.GRU(3), dtype="float64")), optional=True)
    c.add("td_dtype", lambda: chain((4, 3), L.TimeDistributed(L.Dense(2, dtype="float64"))), optional=True)
    c.add("td_dtype_outer", lambda: chain((4, 3), L.TimeDistributed(L.Dense(2), dtype="float64")), optional=True)


def activations(c):
    for f in ("gelu", "elu", "hard_silu", "softmax", "leaky_relu", None):
        n = f or "none"
        c.add(f"lstm_{n}", lambda f=f: chain((4, 3), L.LSTM(3, activation=f, return_sequences=True)))
        c.add(f"gru_recurrent_{n}", lambda f=f: chain((4, 3), L.GRU(3, recurrent_activation=f)))
    c.add("lstm_object", lambda: chain((4, 3), L.LSTM(3, activation=L.LeakyReLU(negative_slope=0.1), recurrent_activation=keras.activations.hard_sigmoid)), optional=True)
    c.add("gru_relu_layer", lambda: chain((4, 3), L.GRU(3, activation=L.ReLU(max_value=1.0))), optional=True)
    c.add("simple_function", lambda: chain((4, 3), L.SimpleRNN(3, activation=keras.ops.tanh)), optional=True)


def sweep(c):
    for i, r in c.random("layer", 6, 120):
        cls = [L.SimpleRNN, L.LSTM, L.GRU][int(r.integers(3))]
        k = {key: bool(r.integers(2)) for key in ("return_sequences", "return_state", "go_backwards", "unroll", "zero_output_for_mask", "use_bias")}
        k["activation"] = [None, "tanh", "relu", "softsign", "sigmoid"][int(r.integers(5))]
        if cls is L.GRU:
            k["reset_after"] = bool(r.integers(2))
        wrap, mask = bool(r.integers(2)), bool(r.integers(2))
        merge = ["concat", "sum", "mul", "ave", None][int(r.integers(5))]
        units = int(r.integers(1, 5))

        def build(cls=cls, k=k, wrap=wrap, mask=mask, merge=merge, units=units):
            layer = cls(units, **k)
            if wrap:
                if k["go_backwards"]:
                    raise Skip
                layer = L.Bidirectional(layer, merge_mode=merge)
            return chain((5, 3), *([L.Masking()] if mask else []), layer)

        c.add(f"random_{i}", build, inputs=masked(empty=bool(r.integers(2))) if mask else None, rows=int(r.integers(1, 5)))
