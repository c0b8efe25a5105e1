"""Where frames lie, and what of acoustic path and decoder follows from it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from injected_files import Spectra, sizes

from earmark.encoders.dasheng.training.config import DecoderConfig, TrainingError
from earmark.encoders.encoder import EncoderError
from earmark.encoders.injection.geometry import Geometry, geometry_of

FIFTY = DecoderConfig()  # the released model's: 50 decoder frames a second


@pytest.mark.parametrize(
    ("sample_rate", "frame_rate", "hop", "upsample", "patch"),
    [
        (16_000, 25.0, 320, 2, 4),  # the paper's
        (16_000, 50.0, 320, 1, 2),
        (16_000, 100.0, 160, 1, 1),  # never fewer decoder frames than latent frames
        (16_000, 62.5, 256, 1, 2),
        (24_000, 12.5, 480, 4, 8),
        (24_000, 7.5, 400, 8, 13),  # 3200 samples are not divisible by 7
        (44_100, 44_100 / 512, 512, 1, 1),
        (44_100, 40.0, 882, 0, 2),  # 1102.5 samples: interpolated
        (16_000, 16_000 / 625, 320, 0, 4),  # 625 samples, which no even hop divides
    ],
)
def test_the_decoder_follows_the_frame_rate(sample_rate, frame_rate, hop, upsample, patch):
    encoder = Spectra(sample_rate=sample_rate, frame_rate=frame_rate)
    found = geometry_of(encoder, FIFTY)
    assert (found.istft_hop, found.upsample_tokens, found.patch_frames) == (hop, upsample, patch)
    assert found.istft_n_fft == 4 * hop
    assert found.mel_fft == 2 * round(1024 * sample_rate / 16_000 / 2)
    assert Geometry(**found.facts()) == found


@given(
    samples=st.fractions(Fraction(1, 3), 4000, max_denominator=64),
    first=st.integers(0, 10_000),
    patch=st.integers(1, 8),
)
def test_windows_are_centred_on_the_nearest_sample(samples, first, patch):
    """Beside exact fractions."""
    geometry = sizes(sample_rate=16_000, frame_rate=float(16_000 / samples), patch_frames=patch)
    found = geometry.places(3, torch.tensor([first]))[0].tolist()
    for number, place in enumerate(found):
        frame, part = divmod(number, patch)
        centre = (first + frame + (part + Fraction(1, 2)) / patch) * samples
        assert abs(place - centre) <= Fraction(1, 2) + Fraction(1, 10**6)


def test_lengths_of_frames_are_rounded():
    geometry = sizes(sample_rate=44_100, frame_rate=40.0)  # 1102.5 samples a frame
    assert geometry.samples_of(torch.tensor([0, 1, 2, 3])).tolist() == [0, 1103, 2205, 3308]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frame_rate": None}, "one vector a clip; acoustic injection needs frames"),
        ({"frame_rate_varies": True}, "a frame rate that varies by clip"),
    ],
)
def test_into_some_nothing_can_be_injected(changes, said):
    encoder = Spectra()
    for name, value in changes.items():
        setattr(encoder, name, value)
    with pytest.raises(TrainingError, match=said):
        geometry_of(encoder, FIFTY)


@pytest.mark.parametrize(
    ("name", "value"),
    [("embed_dim", 0), ("istft_hop", 161), ("frame_rate", float("nan")), ("sample_rate", "16k")],
)
def test_sizes_that_cannot_be_are_refused(name, value):
    with pytest.raises(EncoderError, match=name):
        replace(sizes(), **{name: value})
