"""PESQ and STOI, by the packages `pesq` and `pystoi` (extra `reconstruction`).

Every function takes two signals (n,) of equal length at the rate it names and returns a number, or
raises NotComputableError with the reason in a few words: silence, too short, nothing the package
takes for speech. Both measures are made for speech; of music and sounds they say little.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.floating]

# PESQ's reference code keeps 50 utterances and writes beyond its arrays with more, which ends the
# process or, worse, does not. An utterance and the pause after it last 0.2 s each at least, so that
# 20 s cannot hold more.
PESQ_SECONDS = 20.0
STOI_SECONDS = 120.0  # bounds memory


class NotComputableError(ValueError):
    """There is no value for these signals; says why in a few words."""


def pesq_wide(reference: Signal, decoded: Signal) -> float:
    """Wide-band PESQ (ITU-T P.862.2) at 16 kHz: MOS-LQO, about 1.02 to 4.64. Higher is better.

    A signal longer than 20 s is cut into equal parts of at most 20 s, each scored on its own; the
    value is the mean over the parts that have a score.
    """
    return _in_parts(reference, decoded, 16_000, PESQ_SECONDS, partial(_pesq, 16_000, "wb"))


def pesq_narrow(reference: Signal, decoded: Signal) -> float:
    """Narrow-band PESQ (ITU-T P.862 with P.862.1's mapping) at 8 kHz: about 1.02 to 4.55.

    Otherwise as `pesq_wide`.
    """
    return _in_parts(reference, decoded, 8_000, PESQ_SECONDS, partial(_pesq, 8_000, "nb"))


def stoi(reference: Signal, decoded: Signal) -> float:
    """Short-time objective intelligibility (Taal et al. 2011, IEEE TASLP 19(7)), at 16 kHz.

    At most 1, higher is better. pystoi resamples to 10 kHz itself and leaves out frames 40 dB
    below the reference's loudest; of the rest it needs 30 (0.4 s). Signals longer than 120 s are
    cut as in `pesq_wide`.
    """
    return _in_parts(reference, decoded, 16_000, STOI_SECONDS, partial(_stoi, False))


def estoi(reference: Signal, decoded: Signal) -> float:
    """Extended STOI (Jensen and Taal 2016, IEEE/ACM TASLP 24(11)); otherwise as `stoi`."""
    return _in_parts(reference, decoded, 16_000, STOI_SECONDS, partial(_stoi, True))


def _in_parts(
    reference: Signal,
    decoded: Signal,
    rate: int,
    longest: float,
    score: Callable[[Signal, Signal], float],
) -> float:
    """Mean over equal parts of at most `longest` seconds; where none has a score, the reason."""
    scores, reasons = [], []
    for part in _parts(len(reference), round(longest * rate)):
        try:
            scores.append(_checked(score, reference[part], decoded[part]))
        except NotComputableError as reason:
            reasons.append(reason)
    if not scores:
        raise reasons[0]
    return float(np.mean(scores))


def _parts(length: int, longest: int) -> Iterator[slice]:
    count = max(1, -(-length // longest))
    for number in range(count):
        yield slice(length * number // count, length * (number + 1) // count)


def _checked(score: Callable[[Signal, Signal], float], reference: Signal, decoded: Signal) -> float:
    for signal, what in ((reference, "the reference"), (decoded, "the decoded sound")):
        if not np.any(signal):
            raise NotComputableError(f"{what} is silent")
        if not np.isfinite(signal).all():
            raise NotComputableError(f"{what} holds NaN or infinity")
    value = score(reference, decoded)
    if not np.isfinite(value):
        raise NotComputableError("the package returned no number")
    return value


def _pesq(rate: int, mode: str, reference: Signal, decoded: Signal) -> float:
    from pesq import BufferTooShortError, NoUtterancesError, pesq

    if len(reference) < rate // 4:
        raise NotComputableError("shorter than 0.25 s")
    try:
        return float(pesq(rate, reference, decoded, mode))
    except NoUtterancesError as error:
        raise NotComputableError("no utterance found") from error
    except BufferTooShortError as error:
        raise NotComputableError("shorter than 0.25 s") from error
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise NotComputableError(f"pesq: {' '.join(str(error).split())[:80]}") from error


def _stoi(extended: bool, reference: Signal, decoded: Signal) -> float:
    import pystoi

    kept = np.random.get_state()
    try:
        # the package adds noise of float64's precision, from numpy's global generator
        np.random.seed(0)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
            return float(pystoi.stoi(reference, decoded, 16_000, extended=extended))
    except RuntimeWarning as error:
        raise NotComputableError("less than 0.4 s that is not silent") from error
    except (ValueError, IndexError) as error:  # too short for a single window
        raise NotComputableError("less than 0.4 s that is not silent") from error
    finally:
        np.random.set_state(kept)
