"""The acoustic path and the decoder of any frame rate, beside numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from injected_files import sizes

from earmark.encoders.injection.parts import Parts


def mel_filters(n_fft, bands, rate):
    """Triangles on the HTK scale by their definition, bin by bin."""

    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    corners = np.linspace(0, mel(rate / 2), bands + 2)
    hertz = np.arange(n_fft // 2 + 1) * rate / n_fft
    edges = 700 * (10 ** (corners / 2595) - 1)
    rows = [np.interp(hertz, edges[i : i + 3], [0, 1, 0]) for i in range(bands)]
    return np.array(rows).T


def expected_patches(samples, geometry, frames):
    """(frames, patch_frames x bands) of one clip."""
    size, filters = (
        geometry.mel_fft,
        mel_filters(geometry.mel_fft, geometry.n_mels_patch, geometry.sample_rate),
    )
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    padded = np.concatenate([np.zeros(size), samples, np.zeros(2 * size)])
    rows = []
    for frame in range(frames):
        for part in range(geometry.patch_frames):
            centre = (frame + (part + 0.5) / geometry.patch_frames) * geometry.frame_samples
            begin = size + int(np.floor(centre + 0.5)) - size // 2
            spectrum = np.abs(np.fft.rfft(padded[begin : begin + size] * window))
            rows.append(np.log(np.maximum(spectrum @ filters, 1e-7)))
    return np.array(rows).reshape(frames, -1)


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"frame_rate": 25.0, "patch_frames": 4},
        {"sample_rate": 44_100, "frame_rate": 40.0, "mel_fft": 2822},  # 1102.5 samples a frame
    ],
)
def test_patches_are_placed_by_their_frames(others):
    geometry = sizes(**others)
    acoustic = Parts(geometry).acoustic
    rng = np.random.default_rng(3)
    lengths = [3 * geometry.sample_rate // 10, geometry.sample_rate // 10]
    audio = np.zeros((2, lengths[0]))
    for row, length in zip(audio, lengths, strict=True):
        row[:length] = 0.1 * rng.standard_normal(length)
    audio[1, lengths[1] :] = 7  # what lies beyond a clip's end is not heard
    frames = [max(1, round(length / geometry.frame_samples)) for length in lengths]
    places = geometry.places(frames[0], torch.zeros(2, dtype=torch.long))
    found = acoustic.patches(torch.from_numpy(audio).float(), torch.tensor(lengths), places)
    assert found.shape == (2, frames[0], geometry.patch_frames * geometry.n_mels_patch)
    for row, length, count in zip(range(2), lengths, frames, strict=True):
        expected = expected_patches(audio[row, :length], geometry, count)
        np.testing.assert_allclose(found[row, :count].numpy(), expected, atol=2e-3)


def test_a_crop_has_the_patches_of_its_clip():
    geometry = sizes(sample_rate=44_100, frame_rate=40.0, mel_fft=2822)
    acoustic = Parts(geometry).acoustic
    clip = 0.1 * torch.randn(1, 22_050)
    whole = acoustic.patches(
        clip, torch.tensor([22_050]), geometry.places(20, torch.zeros(1, dtype=torch.long))
    )
    first, margin = torch.tensor([7]), geometry.mel_fft
    begin = int(geometry.samples_of(first))
    crop = clip[:, begin - margin : begin + 4410 + margin]
    places = geometry.places(4, first) - begin + margin
    found = acoustic.patches(crop, torch.tensor([crop.shape[1]]), places)
    torch.testing.assert_close(found, whole[:, 7:11])


def test_frames_are_scaled_by_mean_and_deviation():
    parts = Parts(sizes())
    parts.mean.copy_(torch.arange(9.0))
    parts.deviation.copy_(torch.arange(1.0, 10.0))
    frames = torch.randn(2, 3, 9).half()
    expected = (frames.double().numpy() - np.arange(9)) / np.arange(1, 10)
    np.testing.assert_allclose(parts.scaled(frames).numpy(), expected, rtol=1e-6, atol=1e-6)


def test_latents_are_interpolated_to_the_centres_of_decoder_frames():
    geometry = sizes(
        sample_rate=44_100, frame_rate=40.0, mel_fft=2822, istft_hop=882, istft_n_fft=3528,
        upsample_tokens=0,
    )  # fmt: skip
    parts = Parts(geometry)
    latents, lengths = torch.randn(2, 11, 9), torch.tensor([11, 6])
    found, counts = parts.placed(latents, lengths)
    assert counts.tolist() == [-(-12_128 // 882), -(-6615 // 882)]
    for clip, (length, count) in enumerate(zip([11, 6], counts.tolist(), strict=True)):
        seconds = (np.arange(count) + 0.5) * 882 / 44_100
        own = (np.arange(length) + 0.5) / 40.0
        for dimension in range(9):
            expected = np.interp(seconds, own, latents[clip, :length, dimension].double().numpy())
            np.testing.assert_allclose(found[clip, :count, dimension], expected, atol=1e-4)


@pytest.mark.parametrize("upsample", [0, 1])
def test_clips_decode_as_long_as_their_frames_and_as_alone(upsample):
    geometry = sizes(upsample_tokens=upsample)
    parts = Parts(geometry).eval()
    with torch.no_grad():
        for weight in parts.parameters():
            weight.copy_(0.1 * torch.randn_like(weight))
        parts.decoder.head.window.copy_(torch.hann_window(1024))
        latents, lengths = torch.randn(2, 20, 9), torch.tensor([20, 13])
        found, samples = parts.decode(latents, lengths)
        alone, one = parts.decode(latents[1:, :13], lengths[1:])
    assert samples.tolist() == [5120, 3328]
    assert one.tolist() == [3328]
    assert found.abs().max() > 0
    torch.testing.assert_close(found[1, :3328], alone[0], atol=1e-5, rtol=1e-4)
    assert not found[1, 3328:].any()
