"""Which encoder this is: its fingerprint, and whether it behaves as the one that had it before.

What an encoder does (`behaviour.py`) is looked at before anything stored is used again, and
compared, within rounding, with what was noted of its fingerprint in the cache and beside results.
One that does something else gets a fingerprint of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from earmark.benchmark.identity.behaviour import (
    Behaviour,
    apart,
    behaviour_from,
    behaviours,
    tolerance,
)
from earmark.benchmark.io.files import write_atomically
from earmark.encoders import AudioEncoder, has_weights, is_built_in, outline


class Identity(NamedTuple):
    """fingerprint: of code, weights and behaviour. of: without the behaviour.

    The two are equal but where another behaviour was known of the same code and weights first.
    """

    fingerprint: str
    of: str
    behaviour: Behaviour

    def facts(self) -> dict[str, Any]:
        """What a result keeps of it."""
        return {"of": self.of, **self.behaviour.facts()}


class _Known(NamedTuple):
    fingerprint: str
    behaviour: Behaviour


def identify(
    encoders: Sequence[AudioEncoder],
    device: str,
    cache: Path,
    results: Path | None = None,
    *,
    decode: bool = False,
) -> dict[AudioEncoder, Identity]:
    """The identity of each encoder; they must be in eval mode.

    results: folder whose results count too. decode: whether decoding belongs to what a codec does.
    What is to be known besides is said in a line. Raises EncoderError where there is no
    fingerprint.
    """
    prints = {encoder: encoder.fingerprint() for encoder in encoders}
    for encoder in encoders:
        encoder.to(device)
    before = {encoder: outline(encoder) for encoder in encoders}
    found = behaviours(encoders, device, decode=decode)
    for encoder in encoders:
        if outline(encoder) != before[encoder]:  # layers that are made as it first encodes, say
            prints[encoder] = encoder.fingerprint()
    return {
        encoder: _resolve(encoder, prints[encoder], found[encoder], cache, results)
        for encoder in encoders
    }


def _resolve(
    encoder: AudioEncoder, of: str, behaviour: Behaviour, cache: Path, results: Path | None
) -> Identity:
    if not has_weights(encoder) and not is_built_in(encoder):
        _say(
            f"{encoder.name}: no parameter or buffer: of its weights, if it has any, its "
            "fingerprint knows by its output on three signals alone"
        )
    folder = cache / "behaviour" / of
    known = list(_noted(folder))
    mine = _closest(behaviour, known)
    if mine is None and results is not None:
        known += _beside_results(results, of)
        mine = _closest(behaviour, known)
    fingerprint = of if mine is None and not known else ""
    if mine is not None:
        fingerprint = mine.fingerprint
    elif known:
        text = json.dumps([of, behaviour.sketches], sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        off = min(apart(behaviour, one.behaviour) for one in known)
        _say(
            f"{encoder.name}: its output is not that of the same code and weights before (off by "
            f"{off:.2g}): something else decides it too, so it is another encoder, with the "
            f"fingerprint {fingerprint[:8]}"
        )
    if behaviour.sketches and (mine is None or mine.behaviour.where != behaviour.where):
        with contextlib.suppress(OSError):  # a cache that cannot be written
            _write(folder, _Known(fingerprint, behaviour))
    return Identity(fingerprint, of, behaviour)


def _closest(behaviour: Behaviour, known: Sequence[_Known]) -> _Known | None:
    """The known one that this is, within rounding; one noted in the same circumstances first."""
    alike = [
        (one.behaviour.where != behaviour.where, apart(behaviour, one.behaviour), one)
        for one in known
        if apart(behaviour, one.behaviour) <= tolerance(behaviour, one.behaviour)
    ]
    return min(alike, key=lambda found: found[:2])[2] if alike else None


def _write(folder: Path, known: _Known) -> None:
    text = json.dumps({"fingerprint": known.fingerprint} | known.behaviour.facts(), sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    write_atomically(folder / f"{name}.json", text.encode())


def _noted(folder: Path) -> Iterator[_Known]:
    """What is noted in the cache. A file that is damaged is said, removed, and made anew."""
    for path in sorted(folder.glob("[0-9a-f]*.json")):
        try:
            data = path.read_bytes()
            facts = json.loads(data)
            whole = hashlib.sha256(data).hexdigest()[:16] == path.stem
        except (OSError, ValueError):
            facts, whole = None, False
        known = _known(facts) if whole else None
        if known is not None:
            yield known
            continue
        _say(f"{path}: damaged; made anew")
        with contextlib.suppress(OSError):
            path.unlink()


def _known(facts: Any) -> _Known | None:
    behaviour = behaviour_from(facts)
    fingerprint = facts.get("fingerprint") if isinstance(facts, dict) else None
    if behaviour is None or not isinstance(fingerprint, str):
        return None
    return _Known(fingerprint, behaviour)


def _beside_results(results: Path, of: str) -> list[_Known]:
    """What results tell of encoders of this code and these weights; one result a column is read."""
    known = []
    for column in sorted(results.glob("*-????????")):
        for path in sorted(column.rglob("*.json")):
            try:
                facts = json.loads(path.read_bytes())
                noted = facts["run"].get("behaviour")
                if noted is None:
                    continue
                one = _known({**noted, "fingerprint": facts["encoder"]["fingerprint"]})
                if one is not None and noted["of"] == of:
                    known.append(one)
                break
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
    return known


def _say(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        sys.stderr.write(f"{line}\n")
