"""Stage 1, masked autoencoding, against the same written out in float64 for one clip at a time."""

from __future__ import annotations

from dataclasses import replace

import dasheng_reference as reference
import numpy as np
import pytest
import torch
from training_files import SEMANTIC, corpus

from earmark.encoders.dasheng import load_dasheng_encoder
from earmark.encoders.dasheng.mel import token_counts
from earmark.encoders.dasheng.training import Corpus, train
from earmark.encoders.dasheng.training.config import MaskedConfig
from earmark.encoders.dasheng.training.corpus import Crops, Sampler
from earmark.encoders.dasheng.training.masked import sinusoids
from earmark.encoders.dasheng.training.processes import Processes
from earmark.encoders.dasheng.training.stages import MEASURED_ON, SemanticStage

ALONE = Processes(0, 1, torch.device("cpu"))
CONFIG = replace(SEMANTIC, masked=MaskedConfig(embed_dim=24, depth=2, num_heads=2))
TOKENS = CONFIG.crop_tokens  # 16 patches in a crop


def stage(config=CONFIG, audio=None):
    sampler = Sampler(audio or corpus(), {}, config.crop_tokens, config.seed)
    return SemanticStage(config, sampler, ALONE)


@pytest.fixture(scope="module")
def begun():
    """A stage whose weights are no longer those it begins with: none is 0 or 1."""
    found = stage()
    found.sampler, whole = Sampler(corpus(1.0), {}, TOKENS, 0), found.sampler
    found.begin()
    found.sampler = whole
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for name, weight in found.network.named_parameters():
            if "band_norm" not in name:
                weight += 0.1 * torch.from_numpy(rng.standard_normal(weight.shape, np.float32))
    return found


def expected_loss(network, samples, start, order, first):
    """Of one crop: its context's mel patches, those kept encoded, those masked predicted."""
    w = {name: one.detach().double().numpy() for name, one in network.state_dict().items()}
    norm = "semantic.band_norm."
    mel = (reference.decibels(samples) - w[norm + "running_mean"]) / np.sqrt(
        w[norm + "running_var"] + 1e-5
    )
    crop = mel[4 * start : 4 * (start + TOKENS)]
    kernel, bias = (w["semantic.patch_embed." + one] for one in ("weight", "bias"))
    tokens = reference.patches(crop, kernel, bias)
    kept = sorted(order[: TOKENS // 4])  # a transformer knows no order but by its positions
    seen = []
    for patch in kept:
        at = w["semantic.time_pos_embed"][0, :, 0, first + patch]
        seen.append(tokens[patch] + at + w["semantic.freq_pos_embed"][0, :, 0, 0])
    encoded = np.stack(seen)
    encoded = reference.block(encoded, w, "semantic.blocks.0.", 2)
    encoded = reference.linear(reference.layer_norm(encoded, w, "semantic.norm."), w, "narrow.")
    hidden = np.zeros((TOKENS, 24))
    for patch in range(TOKENS):
        hidden[patch] = encoded[kept.index(patch)] if patch in kept else w["mask_token"]
        for i in range(12):
            angle = (first + patch) * 10_000 ** (-i / 12)
            hidden[patch, i] += np.sin(angle)
            hidden[patch, 12 + i] += np.cos(angle)
    for i in range(2):
        hidden = reference.block(hidden, w, f"blocks.{i}.", 2)
    predicted = reference.linear(reference.layer_norm(hidden, w, "norm."), w, "predict.")
    wrong = []
    for patch in set(range(TOKENS)) - set(kept):
        frames = crop[4 * patch : 4 * patch + 4]  # (4, 64); a patch goes band by band
        wrong.append((predicted[patch].reshape(64, 4).T - frames) ** 2)
    assert len(wrong) == 12  # 75 %
    return np.mean(wrong)


def test_the_loss(begun):
    crops = begun.sampler.draw(9, range(3), 1)
    rng = np.random.default_rng(1)
    order = np.stack([rng.permutation(TOKENS) for _ in range(3)])
    first = np.array([0, 100, 236])
    with torch.no_grad():
        found = begun.network(crops, torch.from_numpy(order), torch.from_numpy(first))
    assert len(set(crops.lengths.tolist())) > 1
    assert (crops.starts > 0).any()
    expected = [
        expected_loss(
            begun.network, waveform[:length].numpy(), int(start[0]), one.tolist(), int(at)
        )
        for waveform, length, start, one, at in zip(*crops, order, first, strict=True)
    ]
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-4)


def test_masked_patches_are_predicted_and_not_seen(begun, monkeypatch):
    """They enter the loss as what is wanted, and no other way."""
    crops = begun.sampler.draw(3, range(1), 1)
    order, first = torch.arange(TOKENS)[None], torch.tensor([5])
    patches = begun.network._patches(crops).requires_grad_()
    monkeypatch.setattr(type(begun.network), "_patches", lambda self, crops: patches)
    predicted = []
    hook = begun.network.predict.register_forward_hook(lambda m, given, out: predicted.append(out))
    begun.network(crops, order, first).backward()
    hook.remove()
    kept = TOKENS // 4
    direct = 2 * (patches[:, kept:] - predicted[0]) / predicted[0].numel()
    assert torch.allclose(patches.grad[:, kept:], direct, atol=1e-7)
    assert patches.grad[:, :kept].abs().sum() > 0  # through the encoder


@pytest.mark.parametrize(("share", "kept"), [(0.75, 4), (0.5, 8), (0.9, 2)])
def test_a_share_of_the_patches_is_masked(share, kept):
    config = replace(SEMANTIC, masked=MaskedConfig(share, embed_dim=16, depth=1, num_heads=2))
    seen = []
    built = stage(config)
    built.network.semantic.norm.register_forward_hook(lambda m, given, out: seen.append(out.shape))
    built.step(0, built.sampler.draw(0, range(4), 1))
    assert seen == [(4, kept, 16)]


def test_masks_depend_on_seed_and_step_alone_and_reach_every_position():
    built = stage()
    order, first = built._masks(3)
    again = stage()._masks(3)
    assert torch.equal(order, again[0])
    assert torch.equal(first, again[1])
    assert not torch.equal(order, built._masks(4)[0])
    assert (order.sort(1).values == torch.arange(TOKENS)).all()
    firsts = torch.cat([built._masks(step)[1] for step in range(800)])
    assert sorted(set(firsts.tolist())) == list(range(252 - TOKENS + 1))
    halves = Processes(0, 2, ALONE.device), Processes(1, 2, ALONE.device)
    shared = stage()
    for part, rows in zip(halves, (slice(0, 2), slice(2, 4)), strict=True):
        shared.processes = part
        assert torch.equal(shared._masks(3)[0], order[rows])
        assert torch.equal(shared._masks(3)[1], first[rows])


def test_bands_have_mean_0_and_variance_1():
    built = stage(audio=corpus(1.0, 2.0, seed=4))
    built.begin()
    values = []
    for i in range(MEASURED_ON // 8):
        crops = built.sampler.draw(CONFIG.steps + i, range(8), 1)
        log_mel = built.network.semantic.log_mel(crops.waveforms, crops.lengths)
        for row, length in zip(log_mel, crops.lengths, strict=True):
            values.append(row[: 1 + int(length) // 160].double())
    every = torch.cat(values)
    assert every.mean(0).abs().max() < 1e-3
    assert (every.var(0, correction=0) - 1).abs().max() < 1e-3


def test_the_bands_are_measured_and_never_trained(begun):
    norm = begun.network.semantic.band_norm
    before = {name: one.clone() for name, one in norm.state_dict().items()}
    other = {name: one.clone() for name, one in begun.network.semantic.blocks.state_dict().items()}
    begun.network.train()
    begun.step(1, begun.sampler.draw(1, range(4), 1))
    assert all(torch.equal(one, before[name]) for name, one in norm.state_dict().items())
    after = begun.network.semantic.blocks.state_dict()
    assert not any(torch.equal(one, other[name]) for name, one in after.items())


def test_sinusoids():
    found = sinusoids(7, 6)
    for place in range(7):
        rates = [1, 10_000 ** (-1 / 3), 10_000 ** (-2 / 3)]
        expected = [np.sin(place * r) for r in rates] + [np.cos(place * r) for r in rates]
        assert found[place].tolist() == pytest.approx(expected, abs=1e-6)
    assert sinusoids(3, 5).shape == (3, 5)


def test_a_trained_encoder_is_read_as_a_dasheng_file(tmp_path):
    trained = train(SEMANTIC, corpus(1.0), tmp_path, held_out=corpus(0.7, seed=9))
    assert trained.checkpoint == tmp_path / "dasheng.pt"
    ours = load_dasheng_encoder("dasheng-base", trained.checkpoint)
    clip = torch.from_numpy(reference.noise(20_000))[None]
    with torch.inference_mode():
        frames = ours.encode(clip, torch.tensor([20_000]))
    assert frames.values.shape == (1, 31, 16)
    assert frames.values.std() > 0.1
    held_out = trained.history.held_out
    assert [row["step"] for row in held_out] == [2, 4]
    assert all(set(row) == {"step", "masked"} for row in held_out)

    pretrained = pytest.importorskip("dasheng.pretrained.pretrained", reason="extra `test`")
    theirs = pretrained.Dasheng.from_pretrained(str(trained.checkpoint)).eval()
    with torch.inference_mode():
        assert (theirs(clip) - frames.values).abs().max() < 2e-5


def test_what_is_encoded_is_learnt():
    """Of clips that hum, each in a band of its own, more than the bands' mean is predicted."""
    config = replace(SEMANTIC, steps=60, batch=8, optimizer=replace(SEMANTIC.optimizer, rate=5e-3))
    times = np.arange(32_000) / 16_000
    hums = [np.sin(2 * np.pi * hertz * times) for hertz in (200, 600, 1500, 4000)]
    hiss = np.random.default_rng(0).standard_normal(4 * 32_000)
    samples = (5000 * np.concatenate(hums) + 50 * hiss).astype(np.int16)
    audio = Corpus(samples, 32_000 * np.arange(5), np.zeros(4, np.int64), ["hums"], "")
    built = stage(config, audio)
    built.begin()
    for step in range(config.steps):
        losses = built.step(step, built.sampler.draw(step, range(8), 1))
    assert losses["masked"] < 0.7  # the mean alone: 1


def test_contexts_count_as_whole_tokens():
    crops = Crops(torch.zeros(1, 16_640), torch.tensor([16_000]), torch.tensor([[9]]))
    patches = stage().network._patches(crops)
    assert patches.shape == (1, TOKENS, 256)
    assert token_counts(crops.lengths).item() == 25
