"""Every stage of DashengTokenizer against the same written out in float64."""

from __future__ import annotations

import dasheng_reference as reference
import numpy as np
import pytest
import torch
import torchaudio
from dasheng_reference import SMALL, noise

from earmark.encoders.dasheng import random_weights
from earmark.encoders.dasheng.checkpoint import tokenizer_from
from earmark.encoders.dasheng.mel import hann_window, htk_filters, reflect_ends, token_counts
from earmark.encoders.dasheng.semantic import CHUNK_TOKENS, TOKENS_AT_ONCE, chunk_groups

STATE = random_weights(SMALL, seed=3)
W = {name: tensor.double().numpy() for name, tensor in STATE.items()}
NETWORK = tokenizer_from(SMALL, STATE, "a test's weights")
LENGTHS = [513, 639, 640, 799, 800, 5000, 16_000]


@pytest.fixture(autouse=True)
def plain_inference():
    with torch.inference_mode():
        yield


def batch(clips):
    """(B, T) zero-padded, (B,)."""
    lengths = torch.tensor([len(clip) for clip in clips])
    waveforms = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(waveforms, clips, strict=True):
        row[: len(clip)] = torch.as_tensor(clip)
    return waveforms, lengths


def off(found, expected):
    """The largest difference."""
    assert tuple(found.shape) == expected.shape
    return np.abs(found.double().numpy() - expected).max()


def tensor(array):
    return torch.from_numpy(np.asarray(array, np.float32))


@pytest.mark.parametrize(("n_fft", "bands"), [(512, 64), (1024, 128), (1024, 40)])
def test_window_and_filters(n_fft, bands):
    assert off(htk_filters(n_fft, bands), reference.htk(n_fft, bands)) < 1e-6
    assert off(hann_window(n_fft), reference.hann(n_fft)) < 1e-7
    theirs = torchaudio.transforms.MelSpectrogram(16_000, n_fft, hop_length=160, n_mels=bands)
    assert torch.allclose(htk_filters(n_fft, bands), theirs.mel_scale.fb, atol=2e-5)


def test_a_clip_is_mirrored_at_its_own_end():
    waveforms, lengths = batch([np.arange(1.0, 10), np.arange(1.0, 7)])
    mirrored = reflect_ends(waveforms, lengths, 3)
    assert mirrored[0].tolist() == [4, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6]
    assert mirrored[1].tolist() == [4, 3, 2, 1, 2, 3, 4, 5, 6, 5, 4, 3, 0, 0, 0]


def test_mel_spectrograms_of_clips_in_one_batch():
    clips = [noise(n, seed=n) for n in LENGTHS]
    semantic = NETWORK.semantic.log_mel(*batch(clips))
    acoustic = NETWORK.acoustic.log_mel(*batch(clips))
    for i, clip in enumerate(clips):
        frames = 1 + len(clip) // 160
        assert off(semantic[i, :frames], reference.semantic_mel(clip, W)) < 1e-4
        assert off(acoustic[i, :frames], reference.acoustic_mel(clip, 128)) < 1e-4


def test_decibels_end_120_below_the_clips_own_maximum():
    """Digital silence after a loud and after a faint sound, beside something louder."""
    loud = np.zeros(12_000, np.float32)
    loud[:4000] = np.random.default_rng(7).uniform(-1, 1, 4000)
    clips = [loud, loud * np.float32(1e-2), noise(9000) * np.float32(1000)]
    # the floor of -100 dB is below the clamp for the first clip, above it for the second
    tops = [reference.decibels(clip).max() for clip in clips]
    assert tops[0] - 120 > -100 > tops[1] - 120
    found = NETWORK.semantic.log_mel(*batch(clips))
    for i, clip in enumerate(clips):
        expected = reference.semantic_mel(clip, W)
        assert off(found[i, : len(expected)], expected) < 1e-4


def test_silence_is_finite():
    waveforms, lengths = batch([np.zeros(3000, np.float32)])
    expected = reference.semantic_mel(np.zeros(3000, np.float32), W)
    assert off(NETWORK.semantic.log_mel(waveforms, lengths)[0], expected) < 1e-4
    assert torch.allclose(
        NETWORK.acoustic.log_mel(waveforms, lengths), torch.tensor(np.log(1e-7)).float()
    )


def test_patches_and_positions():
    mel = np.random.default_rng(0).standard_normal((23, 64))  # 5 patches, 3 frames left over
    found, across = NETWORK.semantic.chunked_patches(tensor(mel)[None], [5])
    assert (across, found.shape) == (1, (1, 5, 256))
    at = "encoder.model.patch_embed.proj."
    kernel = W[at + "weight"].reshape(64, -1)
    expected = reference.patches(mel, W[at + "weight"], W[at + "bias"])
    assert off(found[0], (mel[:20].reshape(5, 4, 64).transpose(0, 2, 1)).reshape(5, 256)) < 1e-6
    assert np.abs(found[0].numpy() @ kernel.T + W[at + "bias"] - expected).max() < 1e-5


@pytest.mark.parametrize("padded_to", [7, 12])
def test_block_with_keys_of_padding_masked(padded_to):
    rng = np.random.default_rng(1)
    tokens = rng.standard_normal((7, 64))
    block = NETWORK.semantic.blocks[1]
    expected = reference.block(tokens, W, "encoder.model.blocks.1.", 4)
    padded = np.concatenate([tokens, 9 * rng.standard_normal((padded_to - 7, 64))])
    own = None if padded_to == 7 else (torch.arange(padded_to) < 7)[None, None, None]
    assert off(block(tensor(padded)[None], own)[0, :7], expected) < 1e-5
    attended = block.attn(tensor(padded)[None], own)[0, :7]
    assert off(attended, reference.attention(tokens, W, "encoder.model.blocks.1.attn.", 4)) < 1e-5


def test_semantic_path_in_chunks():
    """1 and 3 chunks; a last chunk of 1 token, of 0, and with 1 to 3 frames left over."""
    mel_frames = [4, 7, 1007, 1008, 1009, 1011, 1012, 1015, 2016, 2018, 2501]
    clips = [noise(160 * (frames - 1) + 513 % 160, seed=frames) for frames in mel_frames]
    waveforms, lengths = batch([reference.lengthened(clip) for clip in clips])
    counts = token_counts(lengths).tolist()
    assert counts == [frames // 4 for frames in mel_frames]
    found = NETWORK.semantic(waveforms, lengths, counts)
    for i, clip in enumerate(clips):
        whole = reference.semantic(reference.lengthened(clip), W, SMALL.semantic)
        assert len(whole) == counts[i] + (mel_frames[i] % 1008 in (1, 2, 3))
        assert off(found[i, : counts[i]], whole[: counts[i]]) < 1e-4
        assert not found[i, counts[i] :].any()


def test_acoustic_path():
    clips = [noise(n, seed=n) for n in LENGTHS]
    waveforms, lengths = batch(clips)
    counts = token_counts(lengths).tolist()
    found = NETWORK.acoustic(waveforms, lengths, max(counts))
    for i, clip in enumerate(clips):
        assert off(found[i, : counts[i]], reference.acoustic(clip, W, 128)) < 1e-4


def test_groups_of_chunks():
    rng = np.random.default_rng(2)
    counts = [int(n) for n in rng.integers(1, 900, 60)] + [25] * 40 + [15_000]
    across = -(-max(counts) // CHUNK_TOKENS)
    groups = chunk_groups(counts, across)
    for group in groups:
        size = group[0].tokens * len(group)
        assert size <= TOKENS_AT_ONCE
        assert group[0].tokens == max(chunk.tokens for chunk in group)
        assert size - sum(chunk.tokens for chunk in group) <= 0.125 * size
    placed = sorted(chunk for group in groups for chunk in group)
    wanted = [
        (clip * across + part, min(252, count - part * 252))
        for clip, count in enumerate(counts)
        for part in range(-(-count // 252))
    ]
    assert placed == wanted


def test_upsampler():
    z = np.random.default_rng(3).standard_normal((5, 64))
    found = NETWORK.decoder.upsampler(tensor(z).T[None])[0].T
    assert off(found, reference.upsample(z, W)) < 1e-5


def test_convnext_block_and_backbone():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((11, 48))
    own = (torch.arange(16) < 11)[None, None]
    padded = np.concatenate([x, 9 * rng.standard_normal((5, 48))])
    found = NETWORK.decoder.backbone.convnext[1](tensor(padded).T[None], own)[0].T[:11]
    assert off(found, reference.convnext(x, W, "decoder.backbone.convnext.1.")) < 1e-5
    z = rng.standard_normal((11, 64))
    at = "decoder.backbone.embed."
    embedded = NETWORK.decoder.backbone.embed(tensor(z).T[None])[0].T
    assert off(embedded, reference.convolve(z, W, at)) < 1e-5


def test_long_inputs_go_through_the_channels_in_parts(monkeypatch):
    x = tensor(np.random.default_rng(5).standard_normal((2, 48, 50)))
    own = torch.ones(2, 1, 50, dtype=torch.bool)
    block = NETWORK.decoder.backbone.convnext[0]
    whole = block(x, own)
    monkeypatch.setattr("earmark.encoders.dasheng.decoder.FRAMES_AT_ONCE", 14)
    assert torch.allclose(block(x, own), whole, atol=1e-6)
    waveforms, lengths = batch([noise(30_000), noise(20_000)])
    whole = NETWORK.semantic.mel(waveforms, lengths)
    monkeypatch.setattr("earmark.encoders.dasheng.mel.WINDOWS_AT_ONCE", 14)
    assert torch.allclose(NETWORK.semantic.mel(waveforms, lengths), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 9])
def test_inverse_stft_and_its_edges(frames):
    rng = np.random.default_rng(frames)
    log_magnitude = rng.normal(0, 2, (frames, 641))
    log_magnitude[0, 5] = 7  # exp(7) is above 100
    phase = rng.uniform(-9, 9, (frames, 641))
    expected = reference.inverse_stft(log_magnitude, phase, 1280, 320)
    head = NETWORK.decoder.head
    spectrum = torch.polar(tensor(log_magnitude).exp().clamp(max=100), tensor(phase))
    padded = torch.cat([spectrum, 50 * torch.ones(6, 641)])[None]
    own = (torch.arange(frames + 6) < frames)[None, None]
    found = head.inverse(padded, own)[0]
    assert off(found[: 320 * frames], expected) < 2e-5
    assert not found[320 * frames :].any()


def test_head_clips_the_magnitude():
    hidden = np.random.default_rng(6).standard_normal((3, 48)) * 30
    out = reference.linear(hidden, W, "decoder.head.out.")
    magnitude = np.minimum(np.exp(out[:, :641]), 100)
    assert (magnitude == 100).any()
    found = NETWORK.decoder.head.spectrum(tensor(hidden)[None])[0]
    assert np.abs(found.abs().numpy() - magnitude).max() < 1e-2
    assert np.abs(found.numpy() - magnitude * np.exp(1j * out[:, 641:])).max() < 1e-2
