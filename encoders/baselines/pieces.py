"""Clips in pieces of bounded length, and batches of pieces of exactly equal length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from earmark.encoders.encoder import Frames

# Clips up to this long are encoded whole. Longer ones are cut into pieces of this length, encoded
# each on its own: attention over ten minutes would need tens of gigabytes.
PIECE_SECONDS = 30
# Audio in one forward pass of a model, padding counted.
PASS_SECONDS = 240

Outputs = dict[str, torch.Tensor]


def cut(length: int, longest: int) -> list[tuple[int, int]]:
    """Consecutive ranges of at most `longest` that cover `length`; one range for 0."""
    return [(start, min(start + longest, length)) for start in range(0, max(length, 1), longest)]


def run_equal(
    items: Sequence[torch.Tensor], at_once: int, run: Callable[[torch.Tensor], Outputs]
) -> list[Outputs]:
    """Run a model over items (n, ...), batching those of exactly equal n so that none is padded.

    run: (B, n, ...) -> {output: (B, ...)}. at_once: largest B. Each item's outputs, in order.
    """
    groups: dict[int, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(len(item), []).append(index)
    found: dict[int, Outputs] = {}
    for group in groups.values():
        for start, stop in cut(len(group), at_once):
            indices = group[start:stop]
            outputs = run(torch.stack([items[index] for index in indices]))
            for row, index in enumerate(indices):
                found[index] = {name: values[row] for name, values in outputs.items()}
    return [found[index] for index in range(len(items))]


def join_pieces(
    owners: Sequence[int], pieces: Sequence[Outputs], outputs: Sequence[str]
) -> dict[str, Frames]:
    """Pieces' outputs (f, D) put together again: clip i's are those whose owner is i, in order."""
    joined: dict[str, Frames] = {}
    for output in outputs:
        clips: list[list[torch.Tensor]] = [[] for _ in range(max(owners) + 1)]
        for owner, piece in zip(owners, pieces, strict=True):
            clips[owner].append(piece[output])
        whole = [torch.cat(parts) for parts in clips]
        joined[output] = Frames(
            torch.nn.utils.rnn.pad_sequence(whole, batch_first=True),
            torch.tensor([len(values) for values in whole], device=whole[0].device),
        )
    return joined
