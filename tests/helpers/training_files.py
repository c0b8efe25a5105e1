"""Miniature trainings: configs, audio and checkpoints that a step of takes milliseconds."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from dasheng_reference import noise

from earmark.encoders.dasheng import SemanticConfig, random_weights, save_dasheng_file
from earmark.encoders.dasheng.training import Corpus, InjectionTraining, SemanticTraining
from earmark.encoders.dasheng.training.config import (
    DecoderConfig,
    DiscriminatorConfig,
    LossesConfig,
    MaskedConfig,
    MelLossConfig,
    OptimizerConfig,
)

SIZES = SemanticConfig(embed_dim=16, depth=1, num_heads=2)
DECODER = DecoderConfig(
    n_mels_patch=32, decoder_embed_dim=16, decoder_depth=1, decoder_intermediate_size=24,
    istft_n_fft=320, istft_hop=160, upsample_tokens=4,
)  # fmt: skip
SEMANTIC = SemanticTraining(
    steps=4, batch=4, crop_seconds=0.64, seed=5, checkpoint_every=2,
    optimizer=OptimizerConfig(rate=1e-3, warmup=2), model=SIZES,
    masked=MaskedConfig(embed_dim=16, depth=1, num_heads=2),
)  # fmt: skip
INJECTION = InjectionTraining(
    steps=4, batch=4, crop_seconds=0.16, seed=5, checkpoint_every=2, crops_per_context=2,
    optimizer=OptimizerConfig(rate=1e-3, warmup=2), model=DECODER,
    losses=LossesConfig(mel=MelLossConfig(windows=(64, 256), bands=(8, 20))),
    discriminator=DiscriminatorConfig(windows=(64, 128), bands=(0.0, 0.5, 1.0), channels=2),
)  # fmt: skip


def corpus(*seconds: float, seed: int = 0, groups: tuple[int, ...] = ()) -> Corpus:
    """Clips of noise of these lengths; by default all of one data set, `noise`."""
    lengths = [round(16_000 * one) for one in seconds or (3.0, 12.0, 0.1)]
    samples = [np.rint(32_767 * noise(n, seed + i)).astype(np.int16) for i, n in enumerate(lengths)]
    groups = groups or (0,) * len(lengths)
    names = [f"noise{number}" for number in range(max(groups) + 1)]
    return Corpus(
        np.concatenate(samples), np.cumsum([0, *lengths]), np.array(groups), names, f"noise-{seed}"
    )


def dasheng_file(folder: Path, sizes: SemanticConfig = SIZES, seed: int = 7) -> Path:
    """A semantic encoder with weights drawn from a seed, as a Dasheng `.pt` file."""
    return save_dasheng_file(folder / "small.pt", sizes, random_weights(sizes, seed))


def as_yaml(path: Path, config: SemanticTraining | InjectionTraining, **others: Any) -> Path:
    """The file that `read_training` reads the config from; others replace its fields."""
    stage = "semantic" if isinstance(config, SemanticTraining) else "injection"
    values = {"stage": stage} | asdict(replace(config, **others))
    path.write_text(yaml.safe_dump(_plain(values)))
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
