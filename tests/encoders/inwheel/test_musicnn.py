"""musicnn's released weights against a calculation in float64, in TensorFlow's layout."""

from __future__ import annotations

import ast
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from earmark.benchmark.conformance.run import validate
from earmark.encoders import load_encoder, load_encoders
from earmark.encoders.inwheel.bundle import read_bundle
from earmark.encoders.inwheel.musicnn import load_pass

Array = NDArray[np.float64]
Variables = dict[str, Array]


def spectrogram(audio: Array) -> Array:
    """(n,) -> (1 + n // 256, 96): the package's own line, in the NumPy it was written for.

    There a whole number of more than 11 bits times float16 is float32; the spectrogram alone is
    rounded to 16 bits.
    """
    mel = librosa.feature.melspectrogram(
        y=audio, sr=16_000, n_fft=512, hop_length=256, n_mels=96, pad_mode="constant"
    ).T
    rounded: Array = mel.astype(np.float32).astype(np.float16).astype(np.float64)
    found: Array = np.log10(10_000 * rounded + 1)
    return found


def variables(packages: Path, data: str) -> Variables:
    folder = packages / "musicnn" / f"{data.upper()}_musicnn"
    read = read_bundle(
        (folder / ".index").read_bytes(), (folder / ".data-00000-of-00001").read_bytes()
    )
    return {name: tensor.double().numpy() for name, tensor in read.items()}


def layer(kind: str, number: int) -> str:
    return kind if number == 0 else f"{kind}_{number}"


def norm(w: Variables, number: int, values: Array) -> Array:
    """Batch norm over the last axis."""
    gamma, beta, mean, variance = (
        w[f"{layer('batch_normalization', number)}/{part}"]
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    found: Array = gamma * (values - mean) / np.sqrt(variance + 1e-3) + beta
    return found


def convolved(w: Variables, number: int, values: Array, before: int, after: int) -> Array:
    """(T, bands) -> (T, places, channels) with ReLU; zeros in time alone."""
    kernel, bias = (w[f"{layer('conv2d', number)}/{part}"] for part in ("kernel", "bias"))
    padded = np.pad(values, ((before, after), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2])
    flat = windows.reshape(*windows.shape[:2], -1) @ kernel.reshape(-1, kernel.shape[3])
    return np.maximum(flat + bias, 0)


def features(w: Variables, mel: Array) -> Array:
    """(T, 96) -> (T, 753)."""
    x = norm(w, 0, mel[..., None])[..., 0]
    pads = [(3, 3), (3, 3), (63, 64), (31, 32), (15, 16)]
    front = [norm(w, 1 + i, convolved(w, i, x, *pad)).max(1) for i, pad in enumerate(pads)]
    found = [np.concatenate(front, axis=1)]
    for i in range(3):
        step = norm(w, 6 + i, convolved(w, 5 + i, found[-1], 3, 3)[:, 0])
        found.append(step if i == 0 else step + found[-1])
    return np.concatenate(found, axis=1)


def penultimate(w: Variables, mel: Array) -> tuple[Array, Array]:
    """(T, 96) -> (200,) and (50,), of one patch."""
    values = features(w, mel)
    pooled = np.stack([values.max(0), values.mean(0)], axis=1).ravel()
    dense = norm(w, 9, pooled) @ w["dense/kernel"] + w["dense/bias"]
    vector = norm(w, 10, np.maximum(dense, 0))
    return vector, 1 / (1 + np.exp(-(vector @ w["dense_1/kernel"] + w["dense_1/bias"])))


def close(found: torch.Tensor, wanted: Array, part: float = 1e-4) -> None:
    """Within a part of the root mean square of what is wanted."""
    assert tuple(found.shape) == wanted.shape
    assert np.abs(found.numpy() - wanted).max() < part * np.sqrt(np.mean(wanted**2))


@pytest.mark.parametrize(("data", "output"), [("msd", ""), ("mtt", ":mtt")])
def test_frames_are_those_of_float64(packages: Path, data: str, output: str) -> None:
    audio = np.random.default_rng(1).normal(0, 0.3, 7000).astype(np.float32)
    batch = torch.from_numpy(np.pad(audio, (0, 9000), constant_values=0.5))[None]
    with torch.inference_mode():
        network = load_pass(data)
        mel = network.log_mel(batch, torch.tensor([7000]))[0]
        frames = load_encoder(f"musicnn{output}").encode(batch, torch.tensor([7000]))
    # a value may fall to the other side of one step of 16 bits: 2^-11 of it
    wanted = spectrogram(audio.astype(np.float64))
    assert np.abs(mel.numpy() - wanted).max() < np.log10(1 + 2**-10)
    assert np.mean(np.abs(mel.numpy() - wanted) < 1e-6) > 0.99
    assert int(frames.lengths[0]) == len(wanted) == 28
    close(frames.values[0], features(variables(packages, data), mel.double().numpy()))


@pytest.mark.parametrize(("samples", "patches"), [(20_000, 1), (96_000, 2), (100_000, 2)])
def test_a_clips_vector_and_tags_are_means_over_whole_patches(
    packages: Path, samples: int, patches: int
) -> None:
    audio = np.random.default_rng(2).normal(0, 0.1, samples).astype(np.float32)
    batch, lengths = torch.from_numpy(audio)[None], torch.tensor([samples])
    with torch.inference_mode():
        network = load_pass("msd")
        mel = network.log_mel(batch, lengths)[0].double().numpy()
        vector = load_encoder("musicnn:penultimate").encode(batch, lengths).values[0, 0]
        tags = network.tag_probabilities(batch, lengths)[0]
    w = variables(packages, "msd")
    own = [penultimate(w, mel[187 * i : 187 * (i + 1)]) for i in range(patches)]
    close(vector, np.mean([one for one, _ in own], axis=0))
    close(tags, np.mean([one for _, one in own], axis=0))


def test_notes_of_a_piano_are_tagged_as_such(packages: Path) -> None:
    """Decaying harmonic notes; the names of the tags from the package's own list."""
    text = (packages / "musicnn" / "configuration.py").read_text("utf-8")
    names = next(
        ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MTT_LABELS"
    )
    time = np.arange(48_000) / 16_000
    audio = np.zeros(48_000)
    for start, hertz in ((0.0, 262), (0.75, 330), (1.5, 392), (2.25, 523)):
        since = np.maximum(time - start, 0)
        for k in range(1, 6):
            audio += 0.1 / k * np.exp(-4 * since) * np.sin(2 * np.pi * k * hertz * since)
    with torch.inference_mode():
        tags = load_pass("mtt").tag_probabilities(
            torch.from_numpy(audio).float()[None], torch.tensor([48_000])
        )[0]
    found = dict(zip(names, tags.tolist(), strict=True))
    assert {"slow", "piano"} <= set(sorted(found, key=found.__getitem__)[-3:])
    assert found["piano"] > 10 * max(found[one] for one in ("male vocal", "rock", "drums"))


@pytest.mark.usefixtures("packages")
def test_it_keeps_the_contract() -> None:
    for encoder in load_encoders(["musicnn", "musicnn:penultimate"]):
        checks = validate(encoder, device="cpu", quick=True)
        assert [check for check in checks if check.verdict == "BREACH"] == []


@pytest.mark.usefixtures("packages")
def test_plain_is_that_of_the_million_songs_and_held_once() -> None:
    plain, msd, mtt = load_encoders(["musicnn", "musicnn:msd", "musicnn:mtt"])
    assert plain.shared is msd.shared is not mtt.shared  # type: ignore[attr-defined]
