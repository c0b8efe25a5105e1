"""AdamW, its schedule and one step of it."""

from __future__ import annotations

import math

import torch

from earmark.encoders.dasheng.training.config import OptimizerConfig, TrainingError


def make_optimizer(network: torch.nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Over what is trained; weight decay on matrices and kernels only (arXiv 1711.05101)."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in trained if w.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [w for w in trained if w.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = trained[0].device.type in ("cuda", "cpu")
    return torch.optim.AdamW(groups, lr=config.rate, betas=config.betas, fused=fused)


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """Of step 0, 1, ...: linear from 0 over the warm-up, then half a cosine to `final` x rate."""
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, steps - config.warmup)
    low = config.final * config.rate
    return low + (config.rate - low) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def take_step(
    optimizer: torch.optim.Optimizer, loss: torch.Tensor, rate: float, clip: float
) -> torch.Tensor:
    """Back-propagate, clip and step; returns the gradients' norm before clipping.

    Raises TrainingError where it is NaN or infinite; nothing is changed then.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(weights, clip if clip > 0 else math.inf)
    if not torch.isfinite(norm):
        raise TrainingError("the gradients are not finite; lower the optimizer's rate")
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return norm
