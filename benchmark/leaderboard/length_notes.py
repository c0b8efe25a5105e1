"""What a table says of encoders that do not take every clip as it is, or apply to every task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from earmark.benchmark.result.facts import EncoderFacts
from earmark.benchmark.result.schema import NOT_APPLICABLE, RunResult

_NAMED = 4  # tasks in a note


def length_notes(results: Iterable[tuple[str, RunResult]]) -> list[str]:
    """Of each encoder that hears clips in windows or padded, a line: how many, of which tasks.

    results: columns with their results that are done.
    """
    own: dict[str, list[RunResult]] = {}
    for column, result in results:
        own.setdefault(column, []).append(result)
    notes = []
    for column, found in own.items():
        padded = {r.task.name: r.data.padded_clips or 0 for r in found}
        cut = {r.task.name: r.data.cut_clips or 0 for r in found}
        said = [
            f"{what} ({_counted(counts)})"
            for what, counts in ((_padded(found[0].encoder), padded), (_cut(found[0].encoder), cut))
            if any(counts.values())
        ]
        if said:
            notes.append(
                f"{column}: clips are {', and '.join(said)}; windows count by their share of a clip"
                if any(cut.values())
                else f"{column}: clips are {said[0]}"
            )
    return notes


def not_applicable_notes(results: Iterable[tuple[str, RunResult]]) -> list[str]:
    """One line an encoder that some tasks do not apply to. results: columns with their results."""
    tasks: dict[tuple[str, str], list[str]] = {}
    for column, result in results:
        if result.status == NOT_APPLICABLE:
            tasks.setdefault((column, str(result.error)), []).append(result.task.name)
    return [
        f"not applicable to {column} ({why}), and in none of its means: {_some(names)}"
        for (column, why), names in tasks.items()
    ]


def _padded(encoder: EncoderFacts) -> str:
    least = encoder.fixed_seconds or encoder.min_seconds or 0.0
    return f"padded with zeros to {least:g} s"


def _cut(encoder: EncoderFacts) -> str:
    most = encoder.fixed_seconds or encoder.max_seconds or 0.0
    return f"cut into windows of {most:g} s"


def _counted(counts: Mapping[str, int]) -> str:
    return _some([f"{count} of {name}" for name, count in counts.items() if count])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
