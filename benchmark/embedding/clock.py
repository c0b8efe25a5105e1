"""How fast clips were embedded: measured when it took place, kept in the store with them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from earmark.benchmark.result.facts import EmbeddingSpeed
from earmark.encoders.device import device_name

_AUDIO, _SECONDS, _WHERE = "embedded_seconds", "embedding_seconds", "device_name"

T = TypeVar("T")


class EmbeddingClock:
    """Adds up what embedding takes. samples: that were embedded, padding left out."""

    def __init__(self) -> None:
        self.seconds, self.samples = 0.0, 0

    def over(self, batches: Iterable[T]) -> Iterator[T]:
        """The same, with the time counted in which each is made: padded, encoded and pooled.

        What is made of a batch lies on the CPU by then, so a GPU has been waited for.
        """
        given = iter(batches)
        while True:
            began = time.perf_counter()
            try:
                made = next(given)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - began
            yield made

    def facts(self, sample_rate: int, device: str) -> dict[str, Any]:
        """What the store keeps of it."""
        return {
            _AUDIO: round(self.samples / sample_rate, 3),
            _SECONDS: round(self.seconds, 6),
            _WHERE: device_name(device),
        }


def speed_of(kept: Iterable[Mapping[str, Any]]) -> EmbeddingSpeed | None:
    """The speed at which entries of the store were embedded, by what they keep of it.

    Of those of several devices, that of the one that embedded the most audio. None where none was
    measured, as in stores of older versions.
    """
    found: dict[str, tuple[float, float]] = {}
    for facts in kept:
        audio, seconds = facts.get(_AUDIO), facts.get(_SECONDS)
        if not isinstance(audio, int | float) or not isinstance(seconds, int | float):
            continue
        if audio > 0 and seconds > 0:
            where = str(facts.get(_WHERE, ""))
            before = found.get(where, (0.0, 0.0))
            found[where] = (before[0] + audio, before[1] + seconds)
    if not found:
        return None
    where, (audio, seconds) = max(found.items(), key=lambda item: item[1][0])
    return EmbeddingSpeed(audio_seconds=round(audio, 3), seconds=round(seconds, 6), device=where)
