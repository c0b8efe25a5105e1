"""What is looked at of lengths: of clips that are padded, of ten minutes, and of frames by time."""

from __future__ import annotations

from earmark.benchmark.conformance.checks import LONG_S, LONG_SLACK, CheckOutcome, EncoderChecks
from earmark.benchmark.conformance.trial import Skipped, make_clip, slope
from earmark.benchmark.embedding.batches import FRAME_SLACK, FRAME_SLACK_SHARE
from earmark.benchmark.embedding.windows import limits_of

_PADDED = ("noise-0.5", "other-0.3", "full-0.8")
_PADDED_S = 0.8  # the longest of them
_COMMON_RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz
_ALIKE = 0.01  # relative


def padding(x: EncoderChecks) -> CheckOutcome:
    if not x.encoder.honours_lengths:
        raise Skipped("batches hold clips of equal length only")
    limits, rate = limits_of(x.encoder), x.encoder.sample_rate
    # what is padded to the shortest that it takes would be of equal length
    shift = limits.least / rate if limits.least > 1 else 0.0
    if limits.most is not None and shift + _PADDED_S > limits.most / rate:
        raise Skipped("its batches hold windows of equal length")
    kinds = (name.partition("-") for name in _PADDED)
    return x.as_alone([f"{kind}-{float(s) + shift:g}" for kind, _, s in kinds])


def long(x: EncoderChecks) -> CheckOutcome:
    name = f"noise-{LONG_S}"
    clip = make_clip(name, x.encoder.sample_rate)
    heard = x.noted(x.passes.hear(x.encoder, [clip]), [name])
    found = x.finite_all(heard.clips[0])
    count = int(heard.frames.lengths[0])
    if not found.ok:
        return found
    rate = None if x.encoder.frame_rate_varies else x.encoder.frame_rate
    # drift moves the events of frame tasks; windows are placed by time
    free = rate is None or limits_of(x.encoder).most is not None
    as_claimed = free or abs(count - (rate or 0) * LONG_S) <= LONG_SLACK
    return CheckOutcome(f"{count} frames, finite", as_claimed)


def frame_rate(x: EncoderChecks) -> CheckOutcome:
    rate = x.encoder.frame_rate
    if x.encoder.frame_rate_varies:
        raise Skipped("frame_rate_varies")
    longest = limits_of(x.encoder).most
    if rate is not None and longest is not None:
        return _window_rate(x, rate, longest / x.encoder.sample_rate)
    seconds = [float(name.partition("-")[2]) for name in x.lengths]
    frames = [int(x.heard((name,)).frames.lengths[0]) for name in x.lengths]
    if rate is None:
        most = max(frames)
        return CheckOutcome(f"{most} frame{'s' * (most > 1)} a clip", most == 1)
    if max(frames) == 1:
        # any rate that is low enough would do; what is not scored in time can do with it
        tried = ", ".join(f"{one:g}" for one in seconds)
        return CheckOutcome(f"1 frame for each of {tried} s", False, stops=False)
    found, slack = slope(seconds, frames)
    # one frame for rounding, one for clips shorter than a frame, which have one nevertheless
    slack *= FRAME_SLACK
    fix = _other_rate(x.encoder.sample_rate, rate, found)
    return CheckOutcome(f"{found:.2f} +- {slack:.2f}", abs(found - rate) <= slack, fix=fix)


def _other_rate(sample_rate: int, claimed: float, found: float) -> str:
    """What to correct where a common sample rate would explain the frames that were found."""
    if found <= 0:
        return ""
    meant = sample_rate * claimed / found
    for common in _COMMON_RATES:
        if common != sample_rate and abs(meant / common - 1) < _ALIKE:
            return f"correct frame_rate; or sample_rate, which would be {common} Hz by the frames"
    return ""


def _window_rate(x: EncoderChecks, rate: float, seconds: float) -> CheckOutcome:
    """Frames of the longest window: within it time may be off by a few."""
    count = int(x.heard((f"noise-{seconds}",)).frames.lengths[0])
    slack = FRAME_SLACK + min(1.0, FRAME_SLACK_SHARE * seconds * rate)
    return CheckOutcome(f"{count} for {seconds:g} s", abs(count - rate * seconds) <= slack)
