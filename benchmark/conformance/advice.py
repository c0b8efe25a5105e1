"""What an encoder could claim and does not: that padding leaves a clip's frames as they are."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from earmark.benchmark.audio.decode import Samples
from earmark.benchmark.conformance.checks import CheckOutcome, EncoderChecks
from earmark.benchmark.conformance.trial import (
    ContractBreach,
    Skipped,
    TrialRuns,
    difference,
    make_clip,
)
from earmark.benchmark.embedding.batches import plan_batches
from earmark.benchmark.embedding.windows import limits_of

# Of clips whose lengths are alike, a little apart and far apart: an encoder that works in chunks,
# or looks far, may give itself away in the last alone. At most one is longer than the others.
_BATCHES = (
    ("noise-0.5", "other-0.3", "full-0.8"),
    ("noise-2.33", "full-1", "other-4"),
    ("noise-1", "full-16"),
)
# By how coarse the arithmetic is: float32, fp16, bf16. A tenth of what is asked where an encoder
# claims it: rounding alone is below that, and nothing of a neighbour's audio or of zeros is.
_STRICT = (1e-4, 1e-3, 5e-3)
_SPEED_BUDGET_S = 8.0  # for clips one by one; then for the same in batches
_CLIPS, _SHORTEST_S, _LONGEST_S = 32, 0.5, 4.0
_BATCH_S = 60.0
_WORTH = 1.1  # times faster, from which it is worth saying so


def padding_unclaimed(x: EncoderChecks) -> CheckOutcome:
    """Whether an encoder that does not claim `honours_lengths` could; never a breach.

    It could where every clip of every batch has exactly as many frames as alone, and none is off by
    more than a strict bound.
    """
    if limits_of(x.encoder).least > 1 or limits_of(x.encoder).most is not None:
        raise Skipped("clips are padded and cut to the lengths that it takes")
    x.alone(_BATCHES[0][0])  # where nothing can be encoded, another line says so
    worst = 0.0
    for names in _BATCHES:
        try:
            padded = x.passes.heard(x.encoder, names).clips
            alone = [x.passes.heard(x.encoder, (name,)).clips[0] for name in names]
        except ContractBreach as fault:
            return _as_it_is("fails in a batch", f"a batch of unequal lengths fails ({fault})")
        for one, other in zip(padded, alone, strict=True):
            if len(one) != len(other):
                found = f"{len(one)} frames, not {len(other)}"
                return _as_it_is(found, f"beside longer clips it returns {found} as alone")
            worst = max(worst, difference(one, other))
    if not worst <= _STRICT[x.passes.coarseness]:
        found = f"off by {worst:.1g}" if math.isfinite(worst) else "NaN or infinity"
        return _as_it_is(found, f"beside longer clips its frames are {found}")
    faster = _times_faster(x.encoder.sample_rate, x.passes)
    how = f"{faster:.1f} times faster" if faster >= _WORTH else "no faster here"
    measured = "equal" if worst == 0 else f"off by {worst:.1g}"
    return CheckOutcome(
        measured, True, note=f"you may set honours_lengths = True: {how}, same scores"
    )


def _as_it_is(measured: str, why: str) -> CheckOutcome:
    """What keeps an encoder from claiming it."""
    return CheckOutcome(measured, True, note=f"honours_lengths stays False: {why}")


def _times_faster(sample_rate: int, passes: TrialRuns) -> float:
    """How many times as fast clips of unequal lengths are in padded batches as one by one."""
    clips = _unequal(sample_rate)
    one_by_one = [[number] for number in range(len(clips))]
    # one that fills a GPU's kernels, caches and plans for the first time is not counted
    passes.hear_all([clips[0]])
    alone, done = _spent(passes, clips, one_by_one)
    lengths = [len(clip) for clip in clips[:done]]
    batches = plan_batches(lengths, round(_BATCH_S * sample_rate))
    passes.hear_all([clips[number] for number in batches[0]])
    together, _ = _spent(passes, clips, batches)
    return alone / together if together > 0 else 1.0


def _unequal(sample_rate: int) -> list[Samples]:
    """Clips of as many lengths as there are clips, not in the order of their lengths."""
    seconds = np.geomspace(_SHORTEST_S, _LONGEST_S, _CLIPS)
    order = np.random.default_rng(0).permutation(_CLIPS)
    return [make_clip(f"noise-{seconds[number]:.4f}", sample_rate) for number in order]


def _spent(
    passes: TrialRuns, clips: Sequence[Samples], batches: Sequence[Sequence[int]]
) -> tuple[float, int]:
    """Seconds that the batches took, and how many there was time for."""
    began = time.perf_counter()
    for done, batch in enumerate(batches, 1):
        passes.hear_all([clips[number] for number in batch])
        if time.perf_counter() - began > _SPEED_BUDGET_S:
            return time.perf_counter() - began, done
    return time.perf_counter() - began, len(batches)
