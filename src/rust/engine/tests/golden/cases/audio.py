"""Spectrogram layers."""

import numpy as np
from common import chain, normal, uniform
from keras import layers as L

MODES = ["log", "magnitude", "psd", "real", "imag", "angle", "stft"]


def waves(rng, shape, dtype):
    t = np.arange(shape[1])
    phase = rng.uniform(0, 6, size=(shape[0],) + (1,) * (len(shape) - 1))
    t = t.reshape((1, -1) + (1,) * (len(shape) - 2))
    return (np.sin(0.3 * t + phase) + 0.5 * np.sin(1.1 * t) + 0.1 * rng.normal(size=shape)).astype(dtype)


def cases(c):
    def stft(name, shape=(60, 1), inputs=waves, **config):
        options = {k: config.pop(k) for k in ("dims", "optional", "h5", "rows", "dtype_in") if k in config}
        dtype = options.pop("dtype_in", None)
        c.add(f"stft_{name}", lambda: chain(shape, L.STFTSpectrogram(**config), dtype=dtype), inputs=inputs, weights=None,
              **{"rows": 2, **options})

    for mode in MODES:
        stft(mode, mode=mode, frame_length=16, frame_step=8, h5=mode == "log")
        stft(f"{mode}_first", (2, 60), normal(), mode=mode, frame_length=12, frame_step=5, data_format="channels_first", optional=True)
        stft(f"{mode}_expand", (60, 2), mode=mode, frame_length=16, frame_step=8, expand_dims=True, fft_length=32)
        stft(f"{mode}_first_expand", (2, 60), normal(), mode=mode, frame_length=12, frame_step=5, data_format="channels_first", expand_dims=True, optional=True)
        if not c.full and mode in ("magnitude", "real", "imag"):
            continue
        stft(f"{mode}_same", (60, 2), mode=mode, frame_length=15, padding="same")
    for window in ["hann", "hamming", "blackman", "boxcar", ["kaiser", 4.0], None]:
        for periodic in (False, True):
            stft(f"window_{window if isinstance(window, str) else 'kaiser' if window else 'none'}_{'periodic' if periodic else 'symmetric'}",
                 mode="magnitude", frame_length=16, window=tuple(window) if isinstance(window, list) else window, periodic=periodic, optional=True)
    for scaling in ["density", "spectrum", None]:
        stft(f"scaling_{scaling}".lower(), mode="psd", frame_length=16, scaling=scaling)
    stft("defaults", (300, 1))
    stft("frame_step_default", mode="stft", frame_length=10)
    stft("fft_length_odd", mode="magnitude", frame_length=10, fft_length=13)
    stft("none", (None, 1), mode="magnitude", frame_length=16, dims=(40,))
    stft("half", mode="magnitude", frame_length=16, dtype="float16", inputs=normal(), optional=True)
    stft("float64", mode="log", frame_length=16, dtype="float64", dtype_in="float64")
    stft("mixed", mode="real", frame_length=16, dtype="mixed_float16", inputs=normal(), optional=True)
    stft("not_trainable", mode="magnitude", frame_length=16, trainable=False)
    for i, r in c.random("stft", 3, 40):
        frame = int(r.integers(4, 30))
        stft(f"random{i}", (int(r.integers(30, 80)), int(r.integers(1, 4))), mode=str(r.choice(MODES)), frame_length=frame, frame_step=int(r.integers(1, frame + 1)),
             fft_length=[None, frame, 32, 37][int(r.integers(4))], padding=str(r.choice(["valid", "same"])), expand_dims=bool(r.integers(2)),
             periodic=bool(r.integers(2)), window=str(r.choice(["hann", "hamming", "blackman"])), optional=True)

    def mel(name, shape=(400,), inputs=waves, **config):
        options = {k: config.pop(k) for k in ("dims", "optional", "h5", "rows", "batch_size", "dtype_in") if k in config}
        dtype = options.pop("dtype_in", None)
        base = dict(fft_length=64, sequence_stride=32, num_mel_bins=8, sampling_rate=8000)
        c.add(f"mel_{name}", lambda: chain(shape, L.MelSpectrogram(**{**base, **config}), dtype=dtype), inputs=inputs,
              row_independent=not {"power_to_db": True, **config}["power_to_db"], **{"rows": 3, **options})

    mel("plain", h5=True)
    mel("power", power_to_db=False)
    mel("magnitude", power_to_db=False, mag_exp=1.0)
    mel("exponent", mag_exp=1.5)
    mel("top_db", top_db=10.0)
    mel("batches", top_db=10.0, batch_size=2)
    mel("reference", ref_power=0.01, min_power=1e-3)
    mel("reference_negative", ref_power=-2.0)
    mel("frequencies", min_freq=100.0, max_freq=2000.0, power_to_db=False)
    mel("sequence_length", sequence_length=50, power_to_db=False)
    mel("sequence_length_odd", sequence_length=51, power_to_db=False)
    mel("hamming", window="hamming", power_to_db=False)
    mel("hamming_odd", window="hamming", sequence_length=33, power_to_db=False)
    mel("window_none", window=None, power_to_db=False)
    mel("fft_length_odd", fft_length=61, power_to_db=False)
    mel("fft_length_prime", fft_length=127, num_mel_bins=6, power_to_db=False)
    mel("defaults", (3000,), fft_length=2048, sequence_stride=512, num_mel_bins=40, sampling_rate=16000, rows=1)
    mel("defaults_power", (3000,), fft_length=2048, sequence_stride=512, num_mel_bins=40, sampling_rate=16000, rows=1, power_to_db=False)
    mel("none", (None,), dims=(300,))
    mel("quiet", inputs=normal(1e-6))
    mel("loud", inputs=uniform(-30000, 30000))
    mel("ints", dtype_in="int32", inputs=lambda r, s, d: r.integers(-99, 99, size=s).astype(d), optional=True)
    c.add("mel_conv", lambda: chain((400,), L.MelSpectrogram(fft_length=64, sequence_stride=32, num_mel_bins=8), L.Reshape((8, -1, 1)), L.Conv2D(2, 3), L.GlobalAveragePooling2D()),
          inputs=waves, row_independent=False)
    for i, r in c.random("mel", 3, 40):
        fft = int(r.integers(16, 100))
        mel(f"random{i}", (int(r.integers(120, 500)),), fft_length=fft, sequence_length=int(r.integers(8, fft + 1)), sequence_stride=int(r.integers(4, fft)),
            num_mel_bins=int(r.integers(2, 10)), sampling_rate=int(r.choice([8000, 16000, 22050])), power_to_db=bool(r.integers(2)),
            mag_exp=float(r.choice([1.0, 2.0, 1.3])), min_freq=float(r.choice([0.0, 20.0, 150.0])), window=str(r.choice(["hann", "hamming"])))
