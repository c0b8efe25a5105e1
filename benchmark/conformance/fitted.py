"""Made-up clips through encoders of bounded lengths, in the pieces that a run gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from earmark.benchmark.audio.decode import Samples
from earmark.benchmark.embedding.batches import pad, plan_batches
from earmark.benchmark.embedding.windows import (
    Limits,
    Piece,
    join_means,
    limits_of,
    own_frames,
    pieces_of,
)
from earmark.encoders import AudioEncoder, Frames, encode_each

_SECONDS = 60  # of audio in one pass


def by_limits(encoders: Sequence[AudioEncoder]) -> dict[Limits, list[AudioEncoder]]:
    """Encoders that are given the same pieces."""
    found: dict[Limits, list[AudioEncoder]] = {}
    for encoder in encoders:
        found.setdefault(limits_of(encoder), []).append(encoder)
    return found


def encode_fitted(
    encoders: Sequence[AudioEncoder],
    clips: Sequence[Samples],
    device: str,
    check: Callable[[AudioEncoder, Frames, Sequence[Samples]], list[torch.Tensor]],
) -> dict[AudioEncoder, list[torch.Tensor]]:
    """Each clip's own frames (F, D), one after the other, or its one vector (1, D), by encoder.

    encoders: of equal limits. check: looks at what one returned of a batch, and gives the frames of
    each piece (F, D) float32 on the CPU.
    """
    by_clip = [pieces_of(clip, limits_of(encoders[0])) for clip in clips]
    pieces = [piece for own in by_clip for piece in own]
    equal = not all(encoder.honours_lengths for encoder in encoders)
    budget = _SECONDS * encoders[0].sample_rate
    made: dict[AudioEncoder, dict[int, torch.Tensor]] = {encoder: {} for encoder in encoders}
    for batch in plan_batches([piece.length for piece in pieces], budget, equal_lengths=equal):
        padded = pad([pieces[i] for i in batch], "cpu")
        audio = padded.waveforms.to(device)
        found = encode_each(encoders, audio, padded.lengths.to(device))
        given = [
            row[:length].numpy()
            for row, length in zip(padded.waveforms, padded.lengths.tolist(), strict=True)
        ]
        for encoder, frames in zip(encoders, found, strict=True):
            made[encoder].update(zip(batch, check(encoder, frames, given), strict=True))
    return {
        encoder: _joined(encoder, [own[i] for i in range(len(pieces))], by_clip)
        for encoder, own in made.items()
    }


def _joined(
    encoder: AudioEncoder, rows: Sequence[torch.Tensor], by_clip: Sequence[Sequence[Piece]]
) -> list[torch.Tensor]:
    """Clips' frames, or vectors, of those of their pieces in order."""
    clips, first = [], 0
    for pieces in by_clip:
        own, first = rows[first : first + len(pieces)], first + len(pieces)
        if encoder.frame_rate is None and all(len(one) == 1 for one in own):
            vectors = [one.numpy() for one in own]
            clips.append(torch.from_numpy(join_means(vectors, pieces, one_vector=True)))
            continue
        counts = own_frames(encoder, torch.tensor([max(1, len(one)) for one in own]), pieces)
        clips.append(torch.cat([one[:n] for one, n in zip(own, counts, strict=True)]))
    return clips
