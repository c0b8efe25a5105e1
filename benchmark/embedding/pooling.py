"""From frames to one vector a clip: mean, standard deviation and maximum over its own frames.

Statistics pooling as in x-vectors (Snyder et al., ICASSP 2018), without weights that are learned.
"""

from __future__ import annotations

import torch

from earmark.encoders import Frames

_LONG = 1 << 13  # values of a clip; on a CPU such clips one by one stay in its caches (2 x faster)


def pool(frames: Frames) -> torch.Tensor:
    """Mean over each clip's valid frames: (B, F, D) with lengths (B,) -> (B, D) float32."""
    values, lengths = frames.values, frames.lengths.to(frames.values.device)
    beyond = torch.arange(values.shape[1], device=values.device) >= lengths[:, None]
    # not a product with a mask: what lies beyond may be NaN
    total = values.float().masked_fill(beyond[:, :, None], 0.0).sum(dim=1)
    return total / lengths[:, None]


def deviation_and_maximum(frames: Frames, means: torch.Tensor) -> torch.Tensor:
    """Standard deviation (population) and maximum over each clip's valid frames.

    (B, F, D) with lengths (B,), and their means (B, D) as `pool` has them -> (B, 2, D) float32.
    A clip of one frame has deviation 0.
    """
    values = frames.values
    if values.device.type != "cpu" or values.shape[1] * values.shape[2] < _LONG:
        return _all_at_once(values, frames.lengths.to(values.device), means)
    found = means.new_empty(len(means), 2, means.shape[1])
    for clip, (own, length) in enumerate(zip(values, frames.lengths.tolist(), strict=True)):
        valid = own[:length].float()
        found[clip, 0] = (valid - means[clip]).square_().mean(dim=0).sqrt_()
        found[clip, 1] = valid.amax(dim=0)
    return found


def _all_at_once(values: torch.Tensor, lengths: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
    # a batch is of similar lengths: only its last frames need a mask, the dearest step on a CPU
    # (a GPU would wait for the number)
    full = int(lengths.min()) if values.device.type == "cpu" else 0
    tail = torch.arange(full, values.shape[1], device=values.device)
    beyond = (tail >= lengths[:, None])[:, :, None]
    values = values.float()
    squares = (values - means[:, None]).square_()
    squares[:, full:].masked_fill_(beyond, 0.0)
    deviation = squares.sum(dim=1).div_(lengths[:, None]).sqrt_()
    parts = [values[:, :full], values[:, full:].masked_fill(beyond, -torch.inf)]
    most = [part.amax(dim=1) for part in parts if part.shape[1]]
    maximum = most[0] if len(most) == 1 else torch.maximum(*most)
    return torch.stack([deviation, maximum], dim=1)
