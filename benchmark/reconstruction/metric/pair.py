"""One clip and what was decoded of it: aligned, and measured by every metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from earmark.benchmark.reconstruction.metric.alignment import Samples, estimate_delay, fit, resample
from earmark.benchmark.reconstruction.metric.perceptual import NotComputableError
from earmark.benchmark.reconstruction.metric.registry import Metric

DELAY_RATE = 16_000  # Hz, at which the delay is estimated: to 1/16 ms


@dataclass(frozen=True)
class AudioPair:
    """A reference and what was decoded of it, each at its own rate.

    reference: (n,) at `reference_rate` Hz, as in its file. decoded: (m,) at `decoded_rate` Hz, as
    the codec returned it. heard: samples at `decoded_rate` that what the codec was given lasts.
    """

    reference: Samples
    reference_rate: int
    decoded: Samples
    decoded_rate: int
    heard: int

    def at(self, rate: int) -> tuple[Samples, Samples]:
        """Both at `rate` Hz, of the reference's length.

        The decoded signal is brought to the length of what the codec heard before it is resampled:
        what a codec adds at the end must not ring into the clip.
        """
        reference = resample(self.reference, self.reference_rate, rate)
        decoded = resample(fit(self.decoded, self.heard), self.decoded_rate, rate)
        return reference, fit(decoded, len(reference))


@dataclass
class Measured:
    """What was measured of a pair.

    values: by metric; NaN where there is none, with the reason in `reasons`. length_difference:
    samples that the codec returned too many (below 0: too few), at its own rate. delay: seconds
    that the decoded signal is late, NaN where a signal is silent; delay_correlation: see `Delay`.
    """

    values: dict[str, float]
    reasons: dict[str, str]
    length_difference: int
    delay: float
    delay_correlation: float


def measure_pair(pair: AudioPair, metrics: Sequence[Metric]) -> Measured:
    """Measure a pair by every metric; rate by rate, so that few copies are held at once."""
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    delay = (math.nan, math.nan)
    rates = dict.fromkeys([DELAY_RATE, *(metric.rate for metric in metrics)])
    for rate in rates:
        reference, decoded = pair.at(rate)
        if rate == DELAY_RATE:
            delay = estimate_delay(reference, decoded, rate)
        for metric in metrics:
            if metric.rate != rate:
                continue
            try:
                value = metric.measure(reference, decoded)
                if not math.isfinite(value):
                    reasons[metric.name] = "a signal is silent or constant"
                values[metric.name] = value
            except NotComputableError as reason:
                values[metric.name], reasons[metric.name] = math.nan, str(reason)
    return Measured(
        {metric.name: values[metric.name] for metric in metrics},
        {metric.name: reasons[metric.name] for metric in metrics if metric.name in reasons},
        len(pair.decoded) - pair.heard,
        *delay,
    )
