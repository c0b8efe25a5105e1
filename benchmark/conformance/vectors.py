"""What is looked at of encoders of one vector a clip, and of a scene beside frames."""

from __future__ import annotations

import numpy as np
import torch

from earmark.benchmark.audio.decode import Samples
from earmark.benchmark.conformance.checks import CheckOutcome, EncoderChecks
from earmark.benchmark.conformance.trial import (
    ContractBreach,
    Skipped,
    difference,
    make_clip,
)
from earmark.benchmark.embedding.batches import Want, encode_batch, join
from earmark.benchmark.embedding.windows import limits_of, pieces_of
from earmark.encoders import AudioEncoder, EncoderError

# Of a clip of so many seconds, or of its longest window, the end is heard or not.
_HEARD_S = 12.0


def has_vector(encoder: AudioEncoder) -> bool:
    """Whether it gives one vector a clip, of its own or as its scene."""
    return encoder.frame_rate is None or encoder.scene_dim is not None


def vectors(encoder: AudioEncoder, clips: list[Samples], device: str) -> torch.Tensor:
    """Each clip's vector (B, D), as a run has it; all in one batch. Raises ContractBreach."""
    want = Want(encoder)
    pieces = [pieces_of(clip, limits_of(encoder)) for clip in clips]
    try:
        made = encode_batch([want], [piece for own in pieces for piece in own], device)
    except EncoderError as error:
        raise ContractBreach(str(error)) from error
    except Exception as error:
        raise ContractBreach.raised(error, encoder) from error
    rows = iter(row for (row,) in made)
    found = [join(want, [next(rows) for _ in own], own) for own in pieces]
    for row in found:
        if isinstance(row, str):
            raise ContractBreach(row.removeprefix(f"encoder {encoder.name}: "))
    return torch.from_numpy(np.concatenate(found))


def scene(x: EncoderChecks) -> CheckOutcome:
    """Whether scenes have their size, are numbers, and are in a batch what they are alone."""
    clips = [make_clip(name, x.encoder.sample_rate) for name in ("noise-0.5", "full-0.5")]
    both = vectors(x.encoder, clips, x.passes.device)
    alone = torch.cat([vectors(x.encoder, [clip], x.passes.device) for clip in clips])
    off = max(difference(a[None], b[None]) for a, b in zip(both, alone, strict=True))
    if off > x.tolerance:
        return CheckOutcome(f"off by {off:.1g} in a batch", False)
    if difference(alone[:1], alone[1:]) <= x.tolerance_again:
        return CheckOutcome("the same for different clips", False)
    return CheckOutcome(f"{tuple(both.shape)}", True)


def hears_the_end(x: EncoderChecks) -> CheckOutcome:
    """Whether the last fifth of its longest window, or of a clip of 12 s, has any part."""
    most = limits_of(x.encoder).most
    seconds = _HEARD_S if most is None else min(_HEARD_S, most / x.encoder.sample_rate)
    names = (f"noise-{seconds}", f"ended-{seconds}")
    if x.encoder.scene_dim is None:
        # as any other pass: one that is too slow is not made
        one, other = (x.alone(name) for name in names)
    else:
        clips = [make_clip(name, x.encoder.sample_rate) for name in names]
        made = vectors(x.encoder, clips, x.passes.device)
        one, other = made[:1], made[1:]
    if not bool(one.isfinite().all() and other.isfinite().all()):
        raise Skipped("NaN in them, in any case")
    if difference(one, other) <= x.tolerance_again:
        return CheckOutcome(f"not that of {seconds:g} s", False)
    return CheckOutcome(f"that of {seconds:g} s", True)
