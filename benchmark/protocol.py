"""Protocols: the named choices between audio and score.

Results of different protocols are never averaged or ranked together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmark.bounds import check_positive, check_share, check_whole


@dataclass(frozen=True)
class Protocol:
    """One protocol. Raises ValueError for a value that cannot be.

    name: what results and tables call it.
    validation_share: part of the training items (0..1) held out for choosing the epoch where the
        data set has no validation split of its own; whole sources, the same for every seed.
    seeds: how often every probe is trained, with seeds 0, 1, ...
    learning_rate_floor: what the cosine over the epochs goes towards, as a share of the rate.
    knn_neighbours, knn_temperature: k, and the temperature of the neighbours' softmax weights.
    bootstrap_resamples, confidence: of the percentile interval over sources.
    failed_share: a task has failed where more than this share of its clips failed.
    """

    name: str
    validation_share: float = 0.1
    seeds: int = 5
    learning_rate_floor: float = 0.1
    knn_neighbours: int = 10
    knn_temperature: float = 0.07
    bootstrap_resamples: int = 1000
    confidence: float = 0.95
    failed_share: float = 0.01

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ValueError(
                f"a protocol's name may hold letters, digits, '.', '_' and '-', not {self.name!r}"
            )
        for name in ("seeds", "knn_neighbours", "bootstrap_resamples"):
            check_whole(name, getattr(self, name))
        for name in ("validation_share", "learning_rate_floor", "confidence", "failed_share"):
            check_share(name, getattr(self, name))
        check_positive("knn_temperature", self.knn_temperature)

    @property
    def label(self) -> str:
        """The name, and what differs from the protocol of that name."""
        return protocol_label(asdict(self))


STRICT = Protocol("strict")
PROTOCOLS = {protocol.name: protocol for protocol in (STRICT,)}


def protocol_label(facts: Mapping[str, Any]) -> str:
    """`strict`, or `strict (failed_share=0.5)` where that is not the protocol of its name.

    facts: a protocol's fields, as results hold them. All count but the seeds, which are told
    apart by themselves. A name that is not known here is compared with the defaults, and a field
    that is not known here (another version wrote it) counts as different.
    """
    name = str(facts["name"])
    known = asdict(PROTOCOLS.get(name, STRICT))
    altered = [
        f"{key}={_text(value)}"
        for key, value in sorted(facts.items())
        if key not in ("name", "seeds") and (key not in known or value != known[key])
    ]
    return f"{name} ({', '.join(altered)})" if altered else name


def _text(value: Any) -> str:
    """Whole numbers alike, whether a caller wrote 1 or 1.0."""
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, sort_keys=True)
