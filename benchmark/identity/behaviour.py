"""What an encoder does with a few fixed signals, in numbers small enough to keep.

Code and weights need not decide alone what an encoder returns: a model in a global, in a list, in a
file, an environment variable has its part, and no hash sees it. Its output does.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.audio.decode import Samples
from earmark.benchmark.conformance.trial import ContractBreach, TrialRuns
from earmark.benchmark.conformance.vectors import vectors
from earmark.benchmark.result import provenance
from earmark.encoders import AudioEncoder, Codec, decode_at_home, draw_anew
from earmark.encoders.device import device_kind, device_name

_PROJECTIONS = 16
_DIGITS = 8
_BUDGET_S = 2.0  # one that is slower is looked at on fewer signals
# Relative differences taken for rounding, by how coarse the arithmetic is: float32, fp16, bf16.
_HERE = (1e-4, 2e-3, 1e-2)  # in the same circumstances: kernels that sum in another order
_ELSEWHERE = (1e-3, 1e-2, 1e-1)  # on another device, or by other instructions or libraries


class Behaviour(NamedTuple):
    """What an encoder made of the signals.

    sketches: signal -> frames, dimension, size (the root mean square) and projections of its
        output, in units of that size. coarseness: 0 float32, 1 fp16, 2 bf16. where: device,
        processor, versions.
    """

    sketches: dict[str, list[float]]
    coarseness: int
    where: dict[str, str]

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return self._asdict()


def behaviour_from(facts: Any) -> Behaviour | None:
    """What `Behaviour.facts` gave; None where it is not that."""
    try:
        sketches = {
            str(name): [float(number) for number in numbers]
            for name, numbers in facts["sketches"].items()
        }
        return Behaviour(sketches, min(2, max(0, int(facts["coarseness"]))), dict(facts["where"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def noise(rate: int) -> Samples:
    """0.6 s of noise."""
    return _float32(0.1 * np.random.default_rng(11).standard_normal(round(0.6 * rate)))


def chirp(rate: int) -> Samples:
    """0.37 s of a tone that rises from 50 Hz to nine tenths of what the rate allows."""
    seconds = np.arange(round(0.37 * rate)) / rate
    slope = (0.45 * rate - 50) / 0.37
    return _float32(0.3 * np.sin(2 * np.pi * (50 + slope / 2 * seconds) * seconds))


def speech_like(rate: int) -> Samples:
    """0.8 s of a falling pitch with three resonances, in syllables, with hiss between them."""
    seconds = np.arange(round(0.8 * rate)) / rate
    phase = 2 * np.pi * (160 - 35 * seconds) * seconds
    tones = np.zeros(len(seconds))
    for number in range(1, 25):
        pitch = 125 * number
        if pitch < 0.45 * rate:
            near = sum(math.exp(-(((pitch - at) / 180) ** 2)) for at in (600, 1200, 2500))
            tones += (near + 0.05) * np.sin(number * phase)
    syllables = np.clip(np.sin(2 * np.pi * 4 * seconds), 0, None)
    hiss = np.random.default_rng(12).standard_normal(len(seconds)) * (1 - syllables)
    return _float32(0.08 * tones * syllables + 0.01 * hiss)


def _float32(samples: NDArray[np.float64]) -> Samples:
    return samples.astype(np.float32)


SIGNALS: dict[str, Callable[[int], Samples]] = {
    "speech-like": speech_like, "noise": noise, "chirp": chirp,
}  # fmt: skip


def behaviours(
    encoders: Sequence[AudioEncoder], device: str, *, decode: bool = False
) -> dict[AudioEncoder, Behaviour]:
    """What encoders do; those of one forward pass take it together.

    They must be in eval mode. decode: codecs' decoding too. What an encoder cannot encode, or
    returns as NaN, has no sketch.
    """
    found: dict[AudioEncoder, Behaviour] = {}
    for rate in dict.fromkeys(encoder.sample_rate for encoder in encoders):
        mates = [encoder for encoder in encoders if encoder.sample_rate == rate]
        sketches: dict[AudioEncoder, dict[str, list[float]]] = {mate: {} for mate in mates}
        passes = TrialRuns(mates, device)
        begun = time.monotonic()
        for name, signal in SIGNALS.items():
            if time.monotonic() - begun > _BUDGET_S:
                break
            for mate in mates:
                draw_anew(mate)  # what draws random numbers draws the same here
            clip = signal(rate)
            for mate, heard in passes.hear_all([clip]).items():
                if isinstance(heard, ContractBreach):
                    continue
                _note(sketches[mate], name, heard.clips[0])
                if mate.scene_dim is not None:
                    with contextlib.suppress(ContractBreach):
                        _note(sketches[mate], f"{name}, scene", vectors(mate, [clip], device))
                if decode and isinstance(mate, Codec) and f"{name}, decoded" not in sketches[mate]:
                    sound = _decoded(mate, heard.frames)
                    if sound is not None:
                        _note(sketches[mate], f"{name}, decoded", sound[:, None])
        for mate in mates:
            draw_anew(mate)
            dtype = mate.compute_dtype(device_kind(device))
            coarse = max(passes.coarseness, _BY_NAME.get(dtype, 0))
            found[mate] = Behaviour(sketches[mate], coarse, _where(device))
    return found


_BY_NAME = {"float16": 1, "bfloat16": 2}


def _decoded(codec: Codec, frames: Any) -> torch.Tensor | None:
    """The sound of one clip (T,); None where there is none."""
    try:
        with torch.inference_mode():
            sounds, lengths = decode_at_home(codec, frames)
        return sounds[0, : int(lengths[0])].float().cpu()
    except Exception:  # noqa: BLE001 - a codec may raise anything; measuring it will say so
        return None


def _where(device: str) -> dict[str, str]:
    versions = provenance.versions()
    return {
        "device": "cpu" if device == "cpu" else device_name(device),
        "processor": provenance.processor(),
        "instructions": provenance.instructions(),
        "threads": str(torch.get_num_threads()),
        **{name: versions[name] for name in ("torch", "numpy")},
    }


def _note(sketches: dict[str, list[float]], name: str, values: torch.Tensor) -> None:
    """Sketch (F, D) values: what is left of their differences in random directions."""
    if not values.numel() or not bool(values.isfinite().all()):
        return
    array = values.double().numpy()
    frames, dimension = array.shape
    size = float(np.sqrt(np.mean(array**2)))
    rng = np.random.default_rng(13)
    of_frames = rng.standard_normal((_PROJECTIONS, frames))
    of_values = rng.standard_normal((_PROJECTIONS, dimension))
    # each has the variance of the values' mean square: E[(u'Vw)^2] = sum of V^2
    made = np.einsum("kf,fd,kd->k", of_frames, array, of_values, optimize=True)
    made /= math.sqrt(frames * dimension)
    numbers = [size, *(made / size if size else made)]
    sketches[name] = [float(frames), float(dimension), *(_rounded(n) for n in numbers)]


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")


def apart(one: Behaviour, other: Behaviour) -> float:
    """How far two are apart, relative to the size of the output; 0 where nothing can be compared.

    Infinite where frames or dimensions differ.
    """
    worst = 0.0
    for name in one.sketches.keys() & other.sketches.keys():
        a, b = np.array(one.sketches[name]), np.array(other.sketches[name])
        if a.shape != b.shape or (a[:2] != b[:2]).any():
            return math.inf
        size = max(a[2], b[2])
        if size > 0:
            off = float(np.sqrt(np.mean((a[3:] * a[2] - b[3:] * b[2]) ** 2))) / size
            worst = max(worst, off, abs(a[2] - b[2]) / size)
    return worst


def tolerance(one: Behaviour, other: Behaviour) -> float:
    """How far apart rounding alone may put two."""
    coarse = max(one.coarseness, other.coarseness)
    same = one.where == other.where and one.coarseness == other.coarseness
    return (_HERE if same else _ELSEWHERE)[coarse]
