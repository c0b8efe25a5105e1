"""Print how fast `train` is beside a bare loop of forward, backward and step over the same modules.

    python tests/perf/training.py [--device cpu] [--threads 2] [--steps 20] [--repeats 5]
                                  [--sizes miniature tiny]

The bare loop has one batch, drawn before, for ever: no audio is read, no crop drawn, no number
looked at, nothing written. Both train acoustic injection with all its losses. They take turns in
one process; each turn's ratio is that of the two beside each other, so that other work on the
machine falls on both. Not a test: times depend on the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from earmark.encoders.dasheng import SemanticConfig, random_weights, save_dasheng_file
from earmark.encoders.dasheng.training import Corpus, InjectionTraining, train
from earmark.encoders.dasheng.training.config import (
    DecoderConfig,
    DiscriminatorConfig,
    LossesConfig,
    MelLossConfig,
)
from earmark.encoders.dasheng.training.corpus import CHUNK_SAMPLES, Crops, Sampler
from earmark.encoders.dasheng.training.processes import Processes
from earmark.encoders.dasheng.training.semantic_source import load_semantic
from earmark.encoders.dasheng.training.stages import InjectionStage

WARM_UP = 3  # steps that are not timed
CLIPS = 20
SIZES = {
    "miniature": (
        SemanticConfig(16, 1, 2),
        InjectionTraining(
            steps=1, batch=4, crop_seconds=0.16, crops_per_context=2,
            model=DecoderConfig(
                n_mels_patch=32, decoder_embed_dim=16, decoder_depth=1,
                decoder_intermediate_size=24, istft_n_fft=320, istft_hop=160, upsample_tokens=4,
            ),
            losses=LossesConfig(mel=MelLossConfig(windows=(64, 256), bands=(8, 20))),
            discriminator=DiscriminatorConfig((64, 128), (0.0, 0.5, 1.0), channels=2),
        ),
    ),
    "tiny": (  # as dasheng-tiny
        SemanticConfig(160, 2, 4),
        InjectionTraining(
            steps=1, batch=8, crop_seconds=1.28, crops_per_context=4,
            model=DecoderConfig(
                n_mels_patch=128, decoder_embed_dim=160, decoder_depth=4,
                decoder_intermediate_size=480, istft_n_fft=640, istft_hop=160, upsample_tokens=4,
            ),
            discriminator=DiscriminatorConfig(channels=8),
        ),
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.sizes:
        compare(name, arguments.device, arguments.steps, arguments.repeats)


def compare(name: str, device: str, steps: int, repeats: int) -> None:
    sizes, config = SIZES[name]
    config = replace(config, steps=WARM_UP + steps, checkpoint_every=WARM_UP + steps)
    rng = np.random.default_rng(0)
    samples = rng.integers(-9000, 9000, CLIPS * CHUNK_SAMPLES, dtype=np.int16)
    # of one length: every context is as large as the one of the bare loop
    offsets = CHUNK_SAMPLES * np.arange(CLIPS + 1)
    corpus = Corpus(samples, offsets, np.zeros(CLIPS, np.int64), ["noise"], "noise")
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as folder:
        semantic = save_dasheng_file(Path(folder) / "s.pt", sizes, random_weights(sizes))
        for number in range(repeats):
            out = Path(folder) / str(number)
            ours.append(in_training(config, corpus, out, semantic, device))
            bare.append(in_bare_loop(config, corpus, semantic, device))
    ratios = [b / o for o, b in zip(ours, bare, strict=True)]
    clips = config.batch * steps
    print(
        f"{name}, {machine(device)}, batch {config.batch} of {config.crop_seconds:g} s: "
        f"{clips / statistics.median(ours):.1f} clips/s, bare loop "
        f"{clips / statistics.median(bare):.1f}; {statistics.median(ratios):.3f} of its speed "
        f"({', '.join(f'{ratio:.2f}' for ratio in ratios)}; to reach: 0.90)",
        flush=True,
    )


def in_training(
    config: InjectionTraining, corpus: Corpus, out: Path, semantic: Path, device: str
) -> float:
    """Seconds from the end of the warm-up's last step to the end of the last."""
    ends: list[float] = []
    train(
        config, corpus, out, semantic=semantic, device=device,
        on_step=lambda step, losses: ends.append(time.perf_counter()),
    )  # fmt: skip
    return ends[-1] - ends[WARM_UP - 1]


def in_bare_loop(config: InjectionTraining, corpus: Corpus, semantic: Path, device: str) -> float:
    sampler = Sampler(corpus, {}, config.crop_tokens, config.seed)
    alone = Processes(0, 1, torch.device(device))
    stage = InjectionStage(config, *load_semantic(semantic), sampler, alone)
    drawn = sampler.draw(0, range(stage.contexts), stage.crops)
    crops = Crops(*(part.to(device) for part in drawn))
    for number in range(config.steps):
        if number == WARM_UP:
            wait(device)
            started = time.perf_counter()
        step(stage, crops)
    wait(device)
    return time.perf_counter() - started


def step(stage: InjectionStage, crops: Crops) -> None:
    """What must be computed, and nothing else."""
    config, adversary = stage.config, stage.adversary
    made, true, losses = stage.network(crops)
    judged = adversary(made.detach(), true, judging=True)["discriminator"]
    descend(stage.optimizers["adversary"], judged, config.optimizer.clip)
    adversary.requires_grad_(False)
    losses |= adversary(made, true, judging=False)
    adversary.requires_grad_(True)
    weights = config.losses
    total = (
        weights.mel.weight * losses["mel"] + weights.semantic * losses["semantic"]
        + weights.adversarial * losses["adversarial"]
        + weights.feature_matching * losses["feature_matching"]
    )  # fmt: skip
    descend(stage.optimizers["network"], total, config.optimizer.clip)


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor, clip: float) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, clip)
    optimizer.step()


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def machine(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
