"""Stage 2: what acoustic injection trains, what it leaves alone, and what it writes."""

from __future__ import annotations

import json
from dataclasses import replace

import dasheng_reference as reference
import numpy as np
import pytest
import safetensors.torch
import torch
from training_files import DECODER, INJECTION, SIZES, corpus, dasheng_file

from earmark.encoders.dasheng import load, load_dasheng_encoder, random_weights
from earmark.encoders.dasheng.training import TrainingError, train
from earmark.encoders.dasheng.training.config import LossesConfig, MelLossConfig
from earmark.encoders.dasheng.training.corpus import Crops, Sampler
from earmark.encoders.dasheng.training.processes import Processes
from earmark.encoders.dasheng.training.semantic_source import load_semantic
from earmark.encoders.dasheng.training.stages import InjectionStage
from earmark.encoders.encoder import EncoderError, Frames

ALONE = Processes(0, 1, torch.device("cpu"))
AUDIO = corpus(1.5, 2.0)


def stage(folder, **others):
    config = replace(INJECTION, **others)
    sampler = Sampler(AUDIO, {}, config.crop_tokens, config.seed)
    return InjectionStage(config, *load_semantic(dasheng_file(folder)), sampler, ALONE)


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(module, before):
    """Names of the tensors that are not bit for bit what they were."""
    now = module.state_dict()
    return {name for name, tensor in before.items() if not torch.equal(now[name], tensor)}


def crops_of(built, step):
    sampler = Sampler(AUDIO, {}, built.config.crop_tokens, built.config.seed)
    return sampler.draw(step, range(built.contexts), built.crops)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(checkpoint in fp32, the file of the semantic encoder it was trained on)."""
    folder = tmp_path_factory.mktemp("trained")
    semantic = dasheng_file(folder)
    found = train(INJECTION, AUDIO, folder / "out", semantic=semantic, held_out=corpus(0.5, seed=8))
    assert [row["step"] for row in found.history.held_out] == [2, 4]
    assert set(found.history.held_out[0]) == {"step", "mel", "semantic"}
    return found.checkpoint, semantic


def test_a_checkpoint_has_exactly_the_released_keys(trained):
    checkpoint, _ = trained
    sizes = DECODER.with_semantic(SIZES)
    expected = random_weights(sizes)
    for export in ("fp32", "fp16"):
        if export == "fp16":
            config = replace(INJECTION, export="fp16", steps=1)
            out = checkpoint.parent / "half"
            checkpoint = train(config, AUDIO, out, semantic=trained[1]).checkpoint
        found = safetensors.torch.load_file(checkpoint / "model.safetensors")
        assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}
        kind = {"fp32": torch.float32, "fp16": torch.float16}[export]
        assert {v.dtype for v in found.values() if v.is_floating_point()} == {kind}
        values = json.loads((checkpoint / "config.json").read_text())
        assert values["model_type"] == "dashengtokenizer"
        assert (values["embed_dim"], values["upsample_tokens"]) == (16, 4)
        (encoder,) = load(weights=checkpoint)
        clip = torch.from_numpy(reference.noise(16_000))[None]
        frames = encoder.encode(clip, torch.tensor([16_000]))
        assert frames.values.shape == (1, 25, 16)
        assert encoder.decode(frames)[0].shape == (1, 16_000)


def test_the_semantic_encoder_is_bit_for_bit_as_it_was(trained):
    checkpoint, semantic = trained
    found = safetensors.torch.load_file(checkpoint / "model.safetensors")
    before = torch.load(semantic, weights_only=True)["model"]
    for name, tensor in before.items():
        assert torch.equal(found[f"encoder.model.{name}"], tensor), name
    clip = torch.from_numpy(reference.noise(30_000))[None]
    theirs = load_dasheng_encoder("dasheng-base", semantic).encode(clip, torch.tensor([30_000]))
    ours = load(["semantic"], weights=checkpoint)[0].encode(clip, torch.tensor([30_000]))
    assert torch.equal(ours.values, theirs.values)


@pytest.mark.parametrize("latent", ["unified", "semantic", "acoustic"])
def test_what_a_latent_needs_is_trained_and_nothing_else(tmp_path, latent):
    built = stage(tmp_path, latent=latent)
    tokenizer = built.network.tokenizer
    parts = {name: getattr(tokenizer, name) for name in ("semantic", "acoustic", "decoder")}
    before = {name: copied(part) for name, part in parts.items()}
    for step in range(2):
        losses = built.step(step, crops_of(built, step))
    assert ("semantic" in losses) == (latent == "unified")
    assert {"mel", "adversarial", "feature_matching", "discriminator"} <= set(losses)
    assert all(torch.isfinite(value) for value in losses.values())
    assert changed(parts["semantic"], before["semantic"]) == set()
    acoustic = changed(parts["acoustic"], before["acoustic"])
    trained = {"patch_embed.weight", "patch_embed.bias", "norm.weight", "norm.bias"}
    assert acoustic == (set() if latent == "semantic" else trained)
    decoder = set(before["decoder"]) - {"head.window"}
    assert changed(parts["decoder"], before["decoder"]) == decoder


@pytest.mark.parametrize("latent", ["unified", "semantic", "acoustic"])
def test_training_decodes_what_use_decodes(tmp_path, latent):
    """A crop that is the whole clip: the same audio as encode and decode of the checkpoint."""
    built = stage(tmp_path, latent=latent, crop_seconds=1.6)
    built.step(0, crops_of(built, 0))
    clip = torch.from_numpy(reference.noise(25_600))[None]
    padded = torch.nn.functional.pad(clip, (0, 640))
    with torch.no_grad():
        made, true, _ = built.network(Crops(padded, torch.tensor([25_600]), torch.tensor([[0]])))
    assert torch.equal(true, clip)
    output = "" if latent == "unified" else latent
    (encoder,) = load([output], weights=built.export(tmp_path / "out"))
    with torch.no_grad():
        frames = encoder.encode(clip, torch.tensor([25_600]))
        assert encoder.decode(frames)[0].sub(made).abs().max() < 1e-6
    assert made.std() > 1e-3
    weights = safetensors.torch.load_file(tmp_path / "out" / "model.safetensors")
    w = {name: tensor.double().numpy() for name, tensor in weights.items()}
    latents = reference.encode(clip[0].numpy(), w, built.sizes)
    audio = reference.decode(latents[output], w, built.sizes)
    assert np.abs(audio - made[0].double().numpy()).max() < 1e-4


def test_crops_are_cut_from_the_whole_context_s_latents(tmp_path):
    built = stage(tmp_path)
    clip = torch.from_numpy(reference.noise(32_000))[None]
    starts = torch.tensor([[0, 3, 46]])
    padded = torch.nn.functional.pad(clip, (0, 640))
    with torch.no_grad():
        made, true, losses = built.network(Crops(padded, torch.tensor([32_000]), starts))
    (encoder,) = load(weights=built.export(tmp_path / "out"))
    (acoustic, semantic) = load(["acoustic", "semantic"], weights=tmp_path / "out")
    lengths = torch.tensor([32_000])
    z = encoder.encode(clip, lengths).values[0]
    coarse, fine = (one.encode(clip, lengths).values[0] for one in (semantic, acoustic))
    off = []
    for row, start in enumerate(starts[0].tolist()):
        assert torch.equal(true[row], clip[0, 640 * start : 640 * (start + 4)])
        crop = Frames(z[None, start : start + 4], torch.tensor([4]))
        assert encoder.decode(crop)[0].sub(made[row]).abs().max() < 1e-6
        off.append((fine[start : start + 4] - coarse[start : start + 4]).square().mean())
    assert losses["semantic"].item() == pytest.approx(torch.stack(off).mean().item(), rel=1e-5)


def test_losses_are_added_up_by_their_weights(tmp_path):
    weights = {"semantic": 3.0, "adversarial": 0.5, "feature_matching": 7.0}
    mel = replace(INJECTION.losses.mel, weight=2.0)
    built = stage(tmp_path, losses=LossesConfig(mel=mel, **weights))
    losses = built.step(0, crops_of(built, 0))
    expected = 2 * losses["mel"] + sum(weight * losses[name] for name, weight in weights.items())
    assert losses["total"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_generator_and_discriminator_take_turns(tmp_path, monkeypatch):
    """Each step moves the discriminator by its own loss alone, and the generator by the rest."""
    built = stage(tmp_path)
    moved = []
    for name, optimizer in built.optimizers.items():
        step = optimizer.step

        def watched(step=step, name=name):
            before = {key: copied(network) for key, network in built.networks.items()}
            step()
            moved.append(
                (name, {k for k, net in built.networks.items() if changed(net, before[k])})
            )

        monkeypatch.setattr(optimizer, "step", watched)
    built.step(0, crops_of(built, 0))
    assert moved == [("adversary", {"adversary"}), ("network", {"network"})]


def test_the_discriminator_s_rate_is_its_own(tmp_path):
    other = replace(INJECTION.discriminator, rate=3e-4)
    built = stage(tmp_path, discriminator=other)
    built.step(0, crops_of(built, 0))  # half of the warm-up of 2
    rates = {name: one.param_groups[0]["lr"] for name, one in built.optimizers.items()}
    assert rates == pytest.approx({"network": 0.5e-3, "adversary": 1.5e-4})


def test_the_adversary_begins_when_it_is_told_to(tmp_path):
    built = stage(tmp_path, losses=replace(INJECTION.losses, adversarial_from=0.5))
    before = copied(built.adversary)
    assert "adversarial" not in built.step(1, crops_of(built, 1))
    assert changed(built.adversary, before) == set()
    assert "adversarial" in built.step(2, crops_of(built, 2))
    assert changed(built.adversary, before)


def test_without_an_adversary_there_is_none(tmp_path):
    losses = LossesConfig(
        mel=MelLossConfig(windows=(64,), bands=(8,)), adversarial=0, feature_matching=0
    )
    built = stage(tmp_path, losses=losses)
    assert set(built.networks) == {"network"}
    assert set(built.step(0, crops_of(built, 0))) == {"mel", "semantic", "total", "gradient"}


def test_what_does_not_go_together_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no semantic encoder is named; give its checkpoint"):
        train(INJECTION, AUDIO, tmp_path)
    with pytest.raises(EncoderError, match=r"no semantic encoder at .*none: give a Dasheng"):
        train(INJECTION, AUDIO, tmp_path, semantic=tmp_path / "none")


def test_the_loss_falls(tmp_path):
    config = {"steps": 60, "losses": replace(INJECTION.losses, adversarial=0, feature_matching=0)}
    built = stage(tmp_path, **config, optimizer=replace(INJECTION.optimizer, rate=5e-3))
    sampler = Sampler(AUDIO, {}, built.config.crop_tokens, 0)
    crops = sampler.draw(0, range(built.contexts), built.crops)
    losses = [built.step(step, crops)["mel"].item() for step in range(60)]
    assert losses[-1] < 0.6 * losses[0]
