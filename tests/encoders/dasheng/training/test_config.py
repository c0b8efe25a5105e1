"""A training's YAML file: what it may hold, and what is said of what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from training_files import INJECTION, SEMANTIC, as_yaml

from earmark.encoders.dasheng.training import InjectionTraining, TrainingError, read_training

LEAST: dict[str, dict[str, Any]] = {
    "semantic": {"stage": "semantic", "steps": 10, "batch": 4, "crop_seconds": 1.28},
    "injection": {"stage": "injection", "steps": 10, "batch": 4, "crop_seconds": 1.28},
}


def refusal(path: Path, text: str) -> str:
    """What is said of this file: one line that begins with its name."""
    path.write_text(text)
    with pytest.raises(TrainingError) as caught:
        read_training(path)
    message = str(caught.value)
    assert message.startswith(f"{path}")
    assert "\n" not in message
    return message.removeprefix(f"{path}").lstrip(": ")


def changed(stage: str, where: str, value: Any) -> str:
    """The least config of a stage with one value changed, `where` as in `losses.mel.weight`."""
    values = yaml.safe_load(yaml.safe_dump(LEAST[stage]))
    *path, last = where.split(".")
    inner = values
    for name in path:
        inner = inner.setdefault(name, {})
    inner[last] = value
    return yaml.safe_dump(values)


@pytest.mark.parametrize("config", [SEMANTIC, INJECTION], ids=["semantic", "injection"])
def test_a_file_is_read_as_it_was_written(tmp_path, config):
    assert read_training(as_yaml(tmp_path / "a.yaml", config)) == config


def test_what_is_left_out_has_its_default(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(LEAST["injection"] | {"losses": {"semantic": 2}}))
    config = read_training(path)
    assert isinstance(config, InjectionTraining)
    assert config == InjectionTraining(
        steps=10, batch=4, crop_seconds=1.28, losses=type(config.losses)(semantic=2.0)
    )
    assert type(config.losses.semantic) is float
    assert (config.crop_tokens, config.crop_samples) == (32, 20_480)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stage: [", "cannot be read"),
        ("- 1", "give `stage: semantic` or `stage: injection`"),
        ("", "give `stage: "),
        ("stage: both", "give `stage: "),
        ("stage: [semantic]", "give `stage: "),
        ("stage: {semantic: 1}", "give `stage: "),
    ],
)
def test_a_file_that_is_none(tmp_path, text, said):
    assert said in refusal(tmp_path / "a.yaml", text)


def test_no_file(tmp_path):
    with pytest.raises(TrainingError, match=r"b\.yaml cannot be read: .*No such file"):
        read_training(tmp_path / "b.yaml")


@pytest.mark.parametrize(
    ("stage", "where", "value", "said"),
    [
        # what is not known
        ("semantic", "step", 3, "unknown key step; known are batch, "),
        ("semantic", "latent", "unified", "unknown key latent; "),
        ("semantic", "model.width", 3, "unknown key model.width; known are depth, embed_dim, "),
        ("injection", "losses.mel.scale", 3, "unknown key losses.mel.scale; "),
        # of another type
        ("semantic", "steps", "many", "steps is 'many'; it must be a whole number"),
        ("semantic", "steps", 1.5, "steps is 1.5; it must be a whole number"),
        ("semantic", "steps", True, "steps is True; it must be a whole number"),
        ("semantic", "steps", None, "steps is None; it must be a whole number"),
        ("semantic", "crop_seconds", True, "crop_seconds is True; it must be a number"),
        ("semantic", "optimizer", 3, "optimizer must hold keys and values"),
        ("semantic", "optimizer.betas", 0.9, "optimizer.betas is 0.9; it must be a list"),
        ("semantic", "optimizer.betas", [0.9], "optimizer.betas must have 2 values"),
        ("injection", "losses.mel.bands", [5, 1.5], "losses.mel.bands[1] is 1.5; it must be a w"),
        ("injection", "semantic", 3, "semantic is 3; it must be a text"),
        ("semantic", "shares", [1], "shares is [1]; it must be a list or mapping"),
        ("semantic", "shares.noise", "all", "shares.noise is 'all'; it must be a number"),
        # impossible
        ("semantic", "steps", 0, "steps is 0; it must be above 0"),
        ("semantic", "batch", -1, "batch is -1; it must be above 0"),
        ("semantic", "seed", -1, "seed is -1; it must not be below 0"),
        ("semantic", "checkpoint_every", 0, "checkpoint_every is 0; "),
        ("semantic", "crop_seconds", 0.05, "crop_seconds is 0.05; it must be a multiple of 0.04"),
        ("semantic", "crop_seconds", 10.12, "crop_seconds is 10.12; it must be a multiple of "),
        ("semantic", "crop_seconds", float("nan"), "crop_seconds is nan; "),
        ("semantic", "crop_seconds", float("inf"), "crop_seconds is inf; "),
        ("semantic", "crop_seconds", 0.04, "masked.share"),  # of one patch nothing can be masked
        ("semantic", "masked.share", 0.01, "masked.share is 0.01"),
        ("semantic", "masked.share", 1, "masked.share is 1.0; it must lie between 0 and 1"),
        ("semantic", "masked.num_heads", 3, "masked.embed_dim 512 is not divisible by num_heads"),
        ("semantic", "model.embed_dim", 100, "model.embed_dim 100 is not divisible by num_heads"),
        ("semantic", "model.depth", 0, "model.depth is 0; it must be a whole number above 0"),
        ("semantic", "precision", "fp8", "precision is 'fp8'; one of auto, bf16, fp32"),
        ("semantic", "export", "int8", "export is 'int8'; fp16 or fp32"),
        ("semantic", "shares.noise", 0, "shares: noise is 0.0; it must be above 0"),
        ("semantic", "shares.noise", float("inf"), "shares: noise is inf; "),
        ("semantic", "optimizer.rate", 0, "optimizer.rate is 0.0; it must be above 0"),
        ("semantic", "optimizer.clip", -1, "optimizer.clip is -1.0; it must not be below 0"),
        ("semantic", "optimizer.betas", [0.9, 1.0], "optimizer.betas are [0.9, 1.0]; both must"),
        ("injection", "batch", 5, "batch 5 is not a multiple of crops_per_context 2"),
        ("injection", "latent", "both", "latent is 'both'; one of unified, semantic, acoustic"),
        ("injection", "model.upsample_tokens", 3, "model.upsample_tokens x istft_hop is 3 x 320"),
        ("injection", "model.decoder_depth", 0, "model.decoder_depth is 0; "),
        ("injection", "losses.mel.weight", -1, "losses.mel.weight is -1.0; it must not be below"),
        ("injection", "losses.mel.floor", 0, "losses.mel.floor is 0.0; it must be above 0"),
        ("injection", "losses.mel.windows", [64], "losses.mel.windows and bands must be as many"),
        ("injection", "losses.adversarial_from", 2, "losses.adversarial_from is 2.0; from 0 to 1"),
        ("injection", "discriminator.windows", [30], "discriminator.windows are [30]; each must"),
        ("injection", "discriminator.bands", [0.5, 1], "discriminator.bands are [0.5, 1.0]; they"),
        ("injection", "discriminator.bands", [0, 0.7, 0.3, 1], "they must rise from 0 to 1"),
        ("injection", "discriminator.bands", [0, 1e-4, 1], "discriminator.bands"),  # holds no bin
        # an STFT mirrors half a window at a crop's ends
        ("injection", "crop_seconds", 0.04, "crop_seconds is 0.04"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be(tmp_path, stage, where, value, said):
    text = changed(stage, where, value)
    if where == "batch" and stage == "injection":
        text += "crops_per_context: 2\n"
    assert said in refusal(tmp_path / "a.yaml", text)


@pytest.mark.parametrize("name", ["steps", "batch", "crop_seconds"])
def test_what_has_no_default_is_missed(tmp_path, name):
    values = {key: value for key, value in LEAST["semantic"].items() if key != name}
    assert refusal(tmp_path / "a.yaml", yaml.safe_dump(values)) == f"{name} is missing"


def test_a_number_that_yaml_reads_as_a_text_is_explained(tmp_path):
    text = yaml.safe_dump(LEAST["semantic"]) + "optimizer: {rate: 1e-4}\n"
    assert refusal(tmp_path / "a.yaml", text) == (
        "optimizer.rate is '1e-4'; it must be a number (YAML reads 1e-4 as a text: write 1.0e-4)"
    )


@pytest.mark.parametrize(
    "losses",
    [
        {"mel": {"weight": 0}, "adversarial": 0, "feature_matching": 0},
        {"mel": {"weight": 0}, "adversarial_from": 0.5},  # the first half trains no decoder
    ],
)
def test_a_decoder_that_nothing_trains(tmp_path, losses):
    text = changed("injection", "losses", losses)
    assert "nothing trains the decoder" in refusal(tmp_path / "a.yaml", text)
