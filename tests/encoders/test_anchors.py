"""Codecs without weights: identity, mulaw, griffinlim."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earmark import validate
from earmark.benchmark.conformance.run import BREACH
from earmark.benchmark.reconstruction.metric.spectral import log_mel_l1
from earmark.encoders import Codec, load_encoder
from earmark.encoders.anchors import griffinlim

NAMES = ["identity", "mulaw", "griffinlim"]


def codec(name: str) -> Codec:
    found = load_encoder(name)
    assert isinstance(found, Codec)
    return found


def through(one: Codec, *clips: torch.Tensor) -> list[torch.Tensor]:
    batch = torch.nn.utils.rnn.pad_sequence(list(clips), batch_first=True)
    with torch.inference_mode():
        frames = one.encode(batch, torch.tensor([len(clip) for clip in clips]))
        sounds, lengths = one.decode(frames)
    return [sound[:n] for sound, n in zip(sounds, lengths.tolist(), strict=True)]


def chirp(seconds: float) -> torch.Tensor:
    t = torch.arange(round(seconds * 16_000), dtype=torch.float64) / 16_000
    return (0.3 * torch.sin(2 * torch.pi * (200 * t + 150 * t**2 / seconds))).float()


@pytest.mark.parametrize("name", NAMES)
def test_they_keep_the_contract(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(griffinlim, "ITERATIONS", 2)
    checks = validate(name, quick=True)
    assert [check for check in checks if check.verdict == BREACH] == []
    assert sum(check.what.startswith("decod") for check in checks) == 4


def test_identity_gives_back_the_very_samples() -> None:
    clips = [torch.randn(n) for n in (1, 159, 160, 161, 5000)]
    for clip, found in zip(clips, through(codec("identity"), *clips), strict=True):
        assert len(found) == -(-len(clip) // 160) * 160
        assert torch.equal(found[: len(clip)], clip)
        assert not found[len(clip) :].any()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_beyond_a_clips_end_is_heard(name: str) -> None:
    clip = torch.randn(2, 1000)
    wide = torch.cat([clip, torch.full((2, 600), torch.nan)], dim=1)
    lengths = torch.tensor([1000, 930])
    zeros = torch.nn.functional.pad(clip, (0, 600))
    zeros[1, 930:] = 0
    for found, wanted in zip(codec(name).encode(wide, lengths).values,
                             codec(name).encode(zeros, lengths).values, strict=True):  # fmt: skip
        assert torch.equal(found[:6], wanted[:6])


def test_mulaw_is_8_bits_by_its_formula() -> None:
    rng = np.random.default_rng(0)
    samples = np.sign(rng.uniform(-1, 1, 4000)) * 10 ** rng.uniform(-5, 0, 4000)
    companded = np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log1p(255)
    levels = np.floor((companded + 1) / 2 * 255 + 0.5)
    steps = 2 * levels / 255 - 1
    wanted = np.sign(steps) * ((1 + 255.0) ** np.abs(steps) - 1) / 255
    (found,) = through(codec("mulaw"), torch.from_numpy(samples).float())
    # a sample on the edge between two levels may fall on either side in float32
    off = np.abs(found.numpy() - wanted) > 1e-6
    assert off.mean() < 1e-3
    assert len(np.unique(found.numpy())) <= 256
    assert len(np.unique(levels)) > 200


def test_mulaw_keeps_within_full_scale() -> None:
    clip = torch.tensor([-3.0, -1.0, 1.0, 7.0] * 40)
    (found,) = through(codec("mulaw"), clip)
    frames = codec("mulaw").encode(clip[None], torch.tensor([len(clip)]))
    assert frames.values.abs().max() == 1
    assert found.abs().max() == pytest.approx(1.0)


def test_griffinlim_gives_back_the_spectrogram_not_the_samples() -> None:
    clip = chirp(2.0)
    (found,) = through(codec("griffinlim"), clip)
    x, y = clip.numpy(), found[: len(clip)].numpy()
    noise = 0.2 * np.random.default_rng(0).standard_normal(len(x))
    assert log_mel_l1(x, y, 16_000) < 0.25 * log_mel_l1(x, noise, 16_000)
    assert np.sqrt(np.mean(y**2)) == pytest.approx(np.sqrt(np.mean(x**2)), rel=0.15)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.9  # the phase is lost


def test_griffinlim_is_the_same_every_time_and_leaves_random_numbers_alone() -> None:
    clip = torch.randn(8000, generator=torch.Generator().manual_seed(1))
    before = torch.random.get_rng_state()
    one, other = through(codec("griffinlim"), clip)[0], through(codec("griffinlim"), clip)[0]
    assert torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_griffinlim_joins_pieces_of_long_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = chirp(3.0)
    (whole,) = through(codec("griffinlim"), clip)
    monkeypatch.setattr(griffinlim, "PIECE_FRAMES", 70)
    for cut in (0, 1, 4000):  # the last piece of every length
        shorter = clip[: len(clip) - cut]
        (pieces,) = through(codec("griffinlim"), shorter)
        assert len(pieces) == -(-len(shorter) // 160) * 160
        x = shorter.numpy()
        in_one = log_mel_l1(x, whole[: len(x)].numpy(), 16_000)
        assert log_mel_l1(x, pieces[: len(x)].numpy(), 16_000) < 1.5 * in_one
        level = pieces.unfold(0, 1600, 1600).square().mean(dim=1).sqrt()
        assert level[1:-1].min() > 0.5 * level[1:-1].max()  # no hole, no bump where they meet
