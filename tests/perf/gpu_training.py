"""Acoustic injection at the released sizes: steps of `train` beside a bare loop of the same."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from gpu_record import AT_LEAST, Figure, Measured, Settings

# the script of the same name beside this one
from training import CLIPS, SIZES, WARM_UP, in_bare_loop, in_training

from earmark.encoders.dasheng import SemanticConfig, random_weights, save_dasheng_file
from earmark.encoders.dasheng.training import Corpus, InjectionTraining
from earmark.encoders.dasheng.training.corpus import CHUNK_SAMPLES

SHARE = 0.9  # of the bare loop's speed
RELEASED = (
    SemanticConfig(),
    InjectionTraining(steps=1, batch=32, crop_seconds=1.28, crops_per_context=4),
)


def measure(settings: Settings) -> Measured:
    """Crops a second of both, the bare loop before and after."""
    sizes, config = SIZES["miniature"] if settings.tiny else RELEASED
    steps = 5 if settings.tiny else 40
    config = replace(config, steps=WARM_UP + steps, checkpoint_every=WARM_UP + steps)
    rng = np.random.default_rng(0)
    samples = rng.integers(-9000, 9000, CLIPS * CHUNK_SAMPLES, dtype=np.int16)
    offsets = CHUNK_SAMPLES * np.arange(CLIPS + 1)
    corpus = Corpus(samples, offsets, np.zeros(CLIPS, np.int64), ["noise"], "noise")
    device, crops = settings.device, config.batch * steps
    with tempfile.TemporaryDirectory() as name:
        semantic = save_dasheng_file(Path(name) / "s.pt", sizes, random_weights(sizes))
        before = in_bare_loop(config, corpus, semantic, device)
        speed = crops / before
        what = f"batch {config.batch} of {config.crop_seconds:g} s"
        yield Figure(f"bare loop, {what}", speed, "crops/s", note=f"{steps} steps")
        if device == "cuda":
            peak = torch.cuda.max_memory_allocated() / 1e9
            yield Figure("GPU memory of a step", peak, "GB")
        ours = in_training(config, corpus, Path(name) / "out", semantic, device)
        yield Figure(f"train, {what}", crops / ours, "crops/s", note=f"{steps} steps")
        after = in_bare_loop(config, corpus, semantic, device)
    shares = [before / ours, after / ours]
    goal = None if settings.tiny else SHARE
    note = f"beside the loop before {shares[0]:.3f}, after {shares[1]:.3f}"
    share = statistics.mean(shares)
    yield Figure("train beside the bare loop", share, "share", goal, AT_LEAST, note)
