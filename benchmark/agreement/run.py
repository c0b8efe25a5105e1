"""Whether results agree with published values, or with stored reference results.

from earmark import check
found = check("results/runs", against="results/golden", exact=True)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from earmark.benchmark.agreement.changes import Change, Changes
from earmark.benchmark.agreement.loading import Stored, listed, read_folder
from earmark.benchmark.agreement.published import (
    check_published,
    is_comparable,
    read_systems,
    why_none,
)
from earmark.benchmark.agreement.reconstruction import (
    check_codecs,
    check_codecs_published,
    chosen_codecs,
    read_codecs,
)
from earmark.benchmark.agreement.reference import check_folder, column_names
from earmark.benchmark.agreement.tolerance import FLOOR, Tolerance
from earmark.benchmark.agreement.verdict import (
    BREACH,
    NOT_CHECKED,
    OK,
    Agreement,
    Checked,
    worst_first,
)
from earmark.benchmark.io.nearest import nearest
from earmark.benchmark.reconstruction.result import ReconstructionResult
from earmark.benchmark.result.published import PUBLISHED, load_published, sources
from earmark.tasks import builtin_tasks

__all__ = [
    "BREACH", "FLOOR", "NOT_CHECKED", "OK", "Agreement", "Change", "Changes", "CheckError",
    "Checked", "Tolerance", "check",
]  # fmt: skip

PUBLISHED_VALUES = "published"


class CheckError(ValueError):
    """Nothing can be checked. One line: what, where, how to fix it."""


def check(
    results: str | Path = "results/runs",
    *,
    against: str | Path,
    rule: Tolerance | None = None,
    encoders: Mapping[str, str | None] | Iterable[str] = (),
    tasks: Collection[str] = (),
    published: Path = PUBLISHED,
) -> Agreement:
    """Hold every result of a folder against a reference.

    results: folder with result files. against: a folder with reference results, or the word
    `published` for the values in the folder `published`; a Path is always a folder. rule: the
    tolerance; by default within 0.02 or the cell's own interval, whichever is wider.
    encoders: those to check, by name, by default all; a mapping's value is what the reference calls
    one, None where it is called the same. tasks: those to check, by default all: names, domains,
    task files.

    Every cell of the reference gets a verdict, also where it was not measured; of published values
    those of the encoders that were measured. What was measured beyond them is only named.

    Raises CheckError where there is nothing to check, and PublishedError.
    """
    rule = rule or Tolerance()
    wanted = dict(encoders) if isinstance(encoders, Mapping) else dict.fromkeys(encoders)
    measured, codecs, unreadable = _read(Path(results))
    citations: Mapping[str, str] = {}
    if against == PUBLISHED_VALUES:
        citations = sources(published)
        found = _against_published(measured, codecs, Path(results), rule, wanted, tasks, published)
        said = "published values"
    else:
        references, their_codecs, damaged = _read(Path(against))
        unreadable += damaged
        found = _against_folder(measured, references, codecs, their_codecs, rule, wanted, tasks)
        said = str(against)
    cells, beyond = found
    if not cells and not unreadable:
        raise CheckError(
            f"nothing to check: no value in {said} is of what was measured in {results}"
            + (f" ({'; '.join(beyond)})" if beyond else "")
        )
    return Agreement(
        said, str(rule), worst_first(cells), tuple(unreadable), beyond, citations=citations
    )


def _read(folder: Path) -> tuple[list[Stored], list[ReconstructionResult], list[str]]:
    """Results of tasks, of reconstruction, and a line for each file that cannot be read."""
    if not folder.is_dir():
        raise CheckError(f"no folder {folder}; give one with result files")
    found, unreadable = read_folder(folder)
    codecs, damaged = read_codecs(folder)
    if not found and not codecs and not unreadable and not damaged:
        raise CheckError(f"no result file under {folder}; run a benchmark first")
    return found, codecs, unreadable + damaged


def _against_folder(
    measured: list[Stored],
    references: list[Stored],
    codecs: list[ReconstructionResult],
    their_codecs: list[ReconstructionResult],
    rule: Tolerance,
    wanted: Mapping[str, str | None],
    tasks: Collection[str],
) -> tuple[list[Checked], tuple[str, ...]]:
    names = {name: other for name, other in wanted.items() if other is not None}
    there = _names(references, their_codecs)
    for name, other in wanted.items():
        _check_known(name, _names(measured, codecs) | there, "encoder")
        _check_known(other or name, there, "encoder of the reference")
    tasks = _meant(tasks, [*measured, *references], _data_sets([*codecs, *their_codecs]))
    chosen = {other or name for name, other in wanted.items()}
    mine = [s for s in _of_tasks(measured, tasks) if not wanted or s.encoder in wanted]
    theirs = [s for s in _of_tasks(references, tasks) if not wanted or s.encoder in chosen]
    cells, rest = check_folder(mine, theirs, rule, names)
    decoded, more = check_codecs(
        chosen_codecs(codecs, wanted, tasks), chosen_codecs(their_codecs, chosen, tasks), rule
    )
    return cells + decoded, (*_described(rest), *more)


def _names(results: list[Stored], codecs: list[ReconstructionResult]) -> set[str]:
    return {stored.encoder for stored in results} | {str(one.codec.name) for one in codecs}


def _data_sets(codecs: list[ReconstructionResult]) -> set[str]:
    return {str(result.data.name) for result in codecs}


def _against_published(
    measured: list[Stored],
    codecs: list[ReconstructionResult],
    folder: Path,
    rule: Tolerance,
    wanted: Mapping[str, str | None],
    tasks: Collection[str],
    published: Path,
) -> tuple[list[Checked], tuple[str, ...]]:
    values = load_published(published)
    systems = read_systems(published)
    for name, system in wanted.items():
        _check_known(name, _names(measured, codecs), "encoder")
        if system is not None:
            _check_known(system, {value.system for value in values}, "published system")
            systems[name] = system
        elif name not in systems:
            raise CheckError(
                f"no published system is known for encoder {name!r}; name one: {name}=SYSTEM"
            )
    published_tasks = {str(value.task) for value in values if value.task}
    tasks = _meant(tasks, measured, published_tasks | _data_sets(codecs))
    comparable = [stored for stored in measured if is_comparable(stored)]
    decoded = check_codecs_published(chosen_codecs(codecs, wanted, tasks), values, systems, rule)
    if measured and not comparable and not decoded:
        raise CheckError(why_none(measured, folder))
    mine = [s for s in _of_tasks(comparable, tasks) if not wanted or s.encoder in wanted]
    chosen = [value for value in values if not tasks or value.task in tasks]
    cells, rest = check_published(mine, chosen, systems, rule)
    return cells + decoded, _described(rest)


def _of_tasks(results: Sequence[Stored], tasks: Collection[str]) -> list[Stored]:
    return [stored for stored in results if not tasks or stored.task in tasks]


def _meant(words: Collection[str], results: Iterable[Stored], more: Collection[str]) -> set[str]:
    """The tasks and data sets that words mean: names, domains, `all` or task files; none for none.

    more: names that no result has.
    """
    known = {name: spec.domain for name, spec in builtin_tasks().items() if name in more}
    known |= {stored.task: str(stored.result.task.domain) for stored in results}
    names = {*known, *more}
    meant: set[str] = set()
    for word in words:
        task = Path(word).stem if word.endswith((".yaml", ".yml")) else word
        found = {name for name in names if task in (name, known.get(name), "all")}
        if not found:
            _check_known(task, names | set(known.values()), "task")
        meant |= found
    return meant


def _check_known(name: str, known: Collection[str], what: str) -> None:
    if name in known:
        return
    hint = nearest(name, known, f"there are: {listed(sorted(known), 12)}")
    raise CheckError(f"no {what} {name!r}; {hint}")


def _described(beyond: Sequence[Stored]) -> tuple[str, ...]:
    """A line for each encoder and conditions: which tasks."""
    columns = column_names(beyond)
    groups: dict[tuple[str, str], list[str]] = {}
    for stored in beyond:
        groups.setdefault((columns[stored], str(stored.conditions)), []).append(stored.task)
    return tuple(
        f"{encoder}, {conditions}: {listed(tasks)}"
        for (encoder, conditions), tasks in groups.items()
    )
