"""DashengTokenizer's encoders as a whole: what they return, alone and in batches, and how."""

from __future__ import annotations

import dasheng_reference as reference
import numpy as np
import pytest
import torch
from dasheng_reference import SMALL, SMALL_SEMANTIC, noise

from earmark.benchmark.embedding.pooling import pool
from earmark.encoders import EncoderError, Frames
from earmark.encoders.dasheng import (
    load,
    load_dasheng_encoder,
    random_weights,
    save_checkpoint,
    save_dasheng_file,
)

STATE = random_weights(SMALL, seed=3)
W = {name: tensor.double().numpy() for name, tensor in STATE.items()}
OUTPUTS = ("", "semantic", "acoustic")
# 0.03 s, 0.04 s, either side of what a reflection of 512 needs, of one chunk, of a token, and 25 s
LENGTHS = [1, 480, 512, 513, 640, 16_000, 161_119, 161_120, 161_279, 161_280, 161_760, 400_000]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("dasheng"), SMALL, STATE)


@pytest.fixture
def encoders(folder):
    with torch.inference_mode():
        yield dict(zip(OUTPUTS, load(OUTPUTS, weights=folder), strict=True))


def encode(encoder, clips, extra=0, beyond=0.0):
    """Encode clips as one batch, `extra` samples wider than the longest."""
    lengths = torch.tensor([len(clip) for clip in clips])
    waveforms = torch.full((len(clips), int(lengths.max()) + extra), beyond)
    for row, clip in zip(waveforms, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    return encoder.encode(waveforms, lengths)


def worst(found, expected):
    assert tuple(found.shape) == tuple(expected.shape)
    return float((found.double() - torch.as_tensor(expected)).abs().max())


def test_names_and_claims(encoders):
    shown = encoders[""].name
    assert shown.startswith("dasheng@config-")  # of other sizes than the released one
    assert [encoder.name for encoder in encoders.values()] == [
        shown, f"{shown}:semantic", f"{shown}:acoustic",
    ]  # fmt: skip
    for encoder in encoders.values():
        assert (encoder.sample_rate, encoder.embedding_dim, encoder.frame_rate) == (16_000, 64, 25)
        assert encoder.honours_lengths and not encoder.training
    assert hasattr(encoders[""], "decode")
    assert len({encoder.fingerprint() for encoder in encoders.values()}) == 3


def test_every_length_in_one_batch_is_what_the_definition_says(encoders):
    clips = [noise(n, seed=n) for n in LENGTHS]
    waveforms = {output: encode(encoder, clips) for output, encoder in encoders.items()}
    for i, clip in enumerate(clips):
        expected = reference.encode(clip, W, SMALL)
        count = max(1, (1 + len(clip) // 160) // 4)
        for output, frames in waveforms.items():
            assert int(frames.lengths[i]) == count == len(expected[output])
            assert worst(frames.values[i, :count], expected[output]) < 1e-4


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_clip_is_the_same_alone_and_in_any_batch(encoders, output):
    encoder = encoders[output]
    clips = [noise(n, seed=n) for n in LENGTHS]
    clips[5] *= np.float32(1e-3)  # its neighbours are 60 dB louder
    together = encode(encoder, clips, extra=3000, beyond=float("nan"))
    backwards = encode(encoder, clips[::-1])
    for i, clip in enumerate(clips):
        alone = encode(encoder, [clip]).values[0]
        assert worst(together.values[i, : len(alone)], alone) < 1e-4
        assert worst(backwards.values[-1 - i, : len(alone)], alone) < 1e-4
    assert torch.isfinite(pool(together)).all()


def test_sixteen_thousand_samples_are_25_frames(encoders):
    assert encode(encoders[""], [noise(16_000)]).values.shape == (1, 25, 64)
    assert encode(encoders[""], [noise(640)]).values.shape == (1, 1, 64)


def calls(module):
    """How often a module has run, as a list that grows."""
    made = []
    module.register_forward_hook(lambda *_: made.append(1))
    return made


def test_three_outputs_from_one_pass(encoders):
    unified = encoders[""]
    assert len({id(encoder.shared) for encoder in encoders.values()}) == 1
    network = unified.shared
    semantic, acoustic = calls(network.semantic), calls(network.acoustic)
    blocks, decoder = calls(network.semantic.blocks[0]), calls(network.decoder)
    waveforms, lengths = torch.randn(2, 9000), torch.tensor([9000, 7000])
    found = network.encode_outputs(waveforms, lengths, OUTPUTS)
    assert (len(semantic), len(acoustic), len(blocks), len(decoder)) == (1, 1, 1, 0)
    for output in OUTPUTS:
        alone = encoders[output].encode(waveforms, lengths)
        assert torch.equal(found[output].values, alone.values)
    total = found["semantic"].values + found["acoustic"].values
    assert torch.equal(found[""].values, total)


def test_one_path_alone_does_not_run_the_other(encoders):
    network = encoders[""].shared
    semantic, acoustic = calls(network.semantic), calls(network.acoustic)
    mels = calls(network.semantic.mel), calls(network.acoustic.mel)
    encode(encoders["acoustic"], [noise(5000)])
    assert (len(semantic), len(acoustic), len(mels[0]), len(mels[1])) == (0, 1, 0, 1)
    encode(encoders["semantic"], [noise(5000)])
    assert (len(semantic), len(acoustic), len(mels[0]), len(mels[1])) == (1, 1, 1, 1)


def test_unknown_output(encoders, folder):
    with pytest.raises(EncoderError, match="no output 'sum'"):
        load(("sum",), weights=folder)
    with pytest.raises(EncoderError, match="no output 'sum'"):
        encoders[""].shared.encode_outputs(torch.zeros(1, 999), torch.tensor([999]), ("sum",))


def test_decode_is_what_the_definition_says_whatever_the_batch(encoders):
    codec = encoders[""]
    counts = [1, 2, 3, 40, 7]
    rng = np.random.default_rng(5)
    latents = [rng.standard_normal((count, 64)).astype(np.float32) for count in counts]
    values = torch.full((5, 44, 64), float("nan"))
    for row, latent in zip(values, latents, strict=True):
        row[: len(latent)] = torch.from_numpy(latent)
    waveforms, lengths = codec.decode(Frames(values, torch.tensor(counts)))
    assert waveforms.dtype == torch.float32
    assert waveforms.shape == (5, 44 * 640)
    assert lengths.tolist() == [640 * count for count in counts]
    for i, latent in enumerate(latents):
        expected = reference.decode(latent.astype(np.float64), W, SMALL)
        assert worst(waveforms[i, : lengths[i]], expected) < 1e-5 * max(1, np.abs(expected).max())
        assert not waveforms[i, lengths[i] :].any()
        alone, _ = codec.decode(Frames(torch.from_numpy(latent)[None], torch.tensor([counts[i]])))
        assert worst(waveforms[i, : lengths[i]], alone[0]) < 1e-5


def test_there_and_back(encoders):
    clips = [noise(n) for n in (480, 16_000, 170_000)]
    waveforms, lengths = encoders[""].decode(encode(encoders[""], clips))
    for i, clip in enumerate(clips):
        expected = reference.decode(reference.encode(clip, W, SMALL)[""], W, SMALL)
        assert worst(waveforms[i, : lengths[i]], expected) < 1e-4 * max(1, np.abs(expected).max())


def test_ten_minutes(encoders):
    """As many chunks as it takes, each as it would be alone, and never a large group at once."""
    network = encoders[""].shared
    sizes = []
    network.semantic.blocks[0].register_forward_hook(
        lambda module, inputs, output: sizes.append(output.shape[0] * output.shape[1])
    )
    clip = noise(600 * 16_000)
    lengths = torch.tensor([len(clip)])
    both = network.encode_outputs(torch.from_numpy(clip)[None], lengths, OUTPUTS)
    frames, found = both[""], both["semantic"].values[0]
    assert frames.values.shape == (1, 15_000, 64)
    assert 15_000 <= sum(sizes) < 1.125 * 15_000 and max(sizes) <= 32 * 252
    for number in (0, 30, 59):  # windows near a chunk's ends see the samples around it
        part = clip[max(0, number * 161_280 - 1600) : (number + 1) * 161_280 + 1600]
        first = 0 if number == 0 else 10
        mel = reference.semantic_mel(part, W)[first : first + 1008]
        count = len(mel) // 4
        assert worst(found[number * 252 :][:count], transformed(mel)) < 1e-4
    waveforms, lengths = encoders[""].decode(frames)
    assert lengths.tolist() == [9_600_000] and waveforms.shape == (1, 9_600_000)
    assert torch.isfinite(waveforms).all()


def transformed(mel):
    at = "encoder.model."
    x = reference.patches(mel, W[at + "patch_embed.proj.weight"], W[at + "patch_embed.proj.bias"])
    x = x + W[at + "time_pos_embed"][0, :, 0, : len(x)].T + W[at + "freq_pos_embed"][0, :, 0, 0]
    for i in range(2):
        x = reference.block(x, W, f"{at}blocks.{i}.", 4)
    return reference.layer_norm(x, W, at + "norm.")


def test_weights_are_not_trained(encoders):
    assert not any(p.requires_grad for e in encoders.values() for p in e.parameters())


@pytest.mark.parametrize("name", ["dasheng-base", "dasheng-0.6b", "dasheng-1.2b"])
def test_the_family_is_the_semantic_path_alone(tmp_path, name):
    state = random_weights(SMALL_SEMANTIC, seed=8)
    weights = {key: tensor.double().numpy() for key, tensor in state.items()}
    path = save_dasheng_file(tmp_path / "small.pt", SMALL_SEMANTIC, state)
    encoder = load_dasheng_encoder(name, path)
    assert encoder.name.startswith(f"{name}@config-")  # of other sizes than the released one
    assert (encoder.embedding_dim, encoder.frame_rate) == (64, 25)
    clips = [noise(n, seed=n) for n in (480, 3000, 161_280, 200_000)]
    with torch.inference_mode():
        frames = encode(encoder, clips)
        for i, clip in enumerate(clips):
            count = int(frames.lengths[i])
            expected = reference.semantic(clip, weights, SMALL_SEMANTIC, at="")[:count]
            assert worst(frames.values[i, :count], expected) < 1e-4
        assert encode(encoder, [noise(1)]).values.shape == (1, 1, 64)
