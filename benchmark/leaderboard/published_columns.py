"""Columns of published values beside measured ones: of the same protocol, on whole real data."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from earmark.benchmark.leaderboard.table import (
    NOT_PUBLISHED,
    PUBLISHED,
    Cell,
    PublishedColumn,
    Row,
    Table,
)
from earmark.benchmark.result.published import (
    MEASURABLE,
    UNDERSTANDING,
    PublishedError,
    PublishedValue,
    load_published,
    sources,
)
from earmark.benchmark.result.schema import Score

_WITHOUT = Cell(NOT_PUBLISHED)
# X-ARES weighs a task by the size of its test set or fold, many larger ones by 2000; but this one
# by 10 000, where test-clean has 2620 utterances
_TEST_SIZES = {"librispeech_100h": 2620}
_LEAST_SHARE = 0.5  # of a test set: with fewer items tested it is a sample of the data set
_HOW_TO_READ = (
    "[pub]: published values, not measured here; without intervals, and in no comparison. Their "
    "means are over the tasks that were published: compare means only where they are over the "
    "same tasks"
)
_NONE_HERE = (
    f"no published values stand here: they are of protocol {MEASURABLE}, on real data without a "
    "limit"
)


def tables_with_published(
    tables: Sequence[Table], names: Iterable[str], folder: Path | None
) -> list[Table]:
    """The tables, with columns of published values in copies of those that may have them.

    names: systems, sources or `all`; none: the source with the most values on tasks.
    folder: of the published values; None: those that come with Earmark.
    Raises PublishedError for an unknown name, for one without a value to show, and where no table
    may have such columns.
    """
    where = () if folder is None else (folder,)
    values = [value for value in load_published(*where) if value.protocol in UNDERSTANDING]
    citations = sources(*where)
    wanted = list(dict.fromkeys(names))
    known = {"all", *(value.system for value in values), *(value.source for value in values)}
    for name in wanted:
        if name not in known:
            raise PublishedError(_unknown(name, known))
    if not any(_may_have_them(table) for table in tables):
        raise PublishedError(_refusal(tables))
    chosen = _chosen(values, wanted)
    done = [
        _with_columns(table, chosen, citations)
        if _may_have_them(table)
        else replace(table, footnotes=[*table.footnotes, _NONE_HERE])
        for table in tables
    ]
    placed = [column for table in done for column in table.published.values()]
    for name in wanted or ["all"]:
        if not any(name in ("all", column.system, column.source) for column in placed):
            raise PublishedError(_nowhere(name, values))
    return done


def _may_have_them(table: Table) -> bool:
    """Published values are of real data sets, whole, under the protocol as it is."""
    return not table.synthetic and table.limit is None and table.protocol == MEASURABLE


def _chosen(values: list[PublishedValue], wanted: Sequence[str]) -> list[PublishedValue]:
    """Values that may stand beside measured ones, of the wanted names and in their order."""
    comparable = [value for value in values if value.protocol == MEASURABLE and value.task]
    if not wanted:
        counts = Counter(value.source for value in comparable)
        wanted = [source for source, _ in counts.most_common(1)]
    if "all" in wanted:
        return comparable
    found = [
        value for name in wanted for value in comparable if name in (value.system, value.source)
    ]
    return list(dict.fromkeys(found))


def _with_columns(
    table: Table, values: Iterable[PublishedValue], citations: dict[str, str]
) -> Table:
    rows = [replace(row, cells=dict(row.cells)) for row in table.rows]
    placed = [(value, row) for value in values if (row := _row_for(value, rows)) is not None]
    columns = list(dict.fromkeys(_column(value, citations) for value, _ in placed))
    heads = _heads(columns, table.columns)
    for row in rows:
        row.cells |= {head: dict.fromkeys(row.probes, _WITHOUT) for head in heads.values()}
    for value, row in placed:
        cells = row.cells[heads[_column(value, citations)]]
        cells[str(value.probe)] = Cell(PUBLISHED, published=value.value)
    notes = [f"{head}: {_origin(column)}" for column, head in heads.items()]
    for row in table.rows:
        is_published = any(value.task == row.name for value, _ in placed)
        if is_published and row.part:
            notes.append(
                f"{row.name}: {row.part} are there; published values, of the whole, have a row of "
                "their own"
            )
        if is_published and (few := _sampled(row)):
            notes.append(
                f"{row.name}: tested on {few[0]} items a fold or split, of about {few[1]} or more "
                "that the data set has; published values, of the whole, have a row of their own"
            )
    return replace(
        table,
        rows=rows,
        columns=[*table.columns, *heads.values()],
        published={head: column for column, head in heads.items()},
        footnotes=[*table.footnotes, _HOW_TO_READ, *notes] if notes else table.footnotes,
    )


def _row_for(value: PublishedValue, rows: list[Row]) -> Row | None:
    """The row that a value belongs into. One is made after the task's others where these are of
    different data sets or declarations, and cannot be told apart, or of a sample of the data."""
    of_task = [row for row in rows if row.name == value.task and row.has(str(value.probe))]
    if not of_task:
        return None
    title = re.sub(r" \[[0-9a-f]{8}\]$", "", of_task[0].title)
    title = title.removesuffix(f" ({of_task[0].part})") + " [published]"
    own = [row for row in of_task if row.title == title]
    whole = [row for row in of_task if not (row.part or _sampled(row))]
    same = own or [row for row in whole if row.metric == value.metric]
    if len(same) == 1:
        return same[0]
    row = replace(
        of_task[0], title=title, metric=value.metric, cells={}, best={}, results={}, part=""
    )
    rows.insert(rows.index(of_task[-1]) + 1, row)
    return row


def _sampled(row: Row) -> tuple[int, int] | None:
    scores = [cell.score for cells in row.cells.values() for cell in cells.values() if cell.score]
    return sampled(row.name, row.weight, scores)


def sampled(task: str, weight: float, scores: Iterable[Score]) -> tuple[int, int] | None:
    """Items tested, in a fold or split, and how many there should be; where these are too few.

    task, weight: of the task, by which the size of its test set is known.
    """
    whole = _TEST_SIZES.get(task, round(weight))
    tested = max((score.items // max(len(score.per_split), 1) for score in scores), default=whole)
    return (tested, whole) if tested < _LEAST_SHARE * whole else None


def _column(value: PublishedValue, citations: dict[str, str]) -> PublishedColumn:
    return PublishedColumn(value.system, value.source, citations[value.source], value.primary)


def _heads(columns: Sequence[PublishedColumn], taken: Iterable[str]) -> dict[PublishedColumn, str]:
    """Head of each column: marked, and with its source where a system has several columns."""
    systems = Counter(column.system for column in columns)
    taken = set(taken)
    heads = {}
    for column in columns:
        marks = ["pub"]
        if systems[column.system] > 1:
            marks.append(column.source)
        if not column.primary:
            marks.append("second-hand")
        head = f"{column.system} [{', '.join(marks)}]"
        while head in taken:  # an encoder's name may be anything
            head += "*"
        heads[column] = head
        taken.add(head)
    return heads


def _origin(column: PublishedColumn) -> str:
    read = "" if column.primary else "; second-hand, not read at the source itself"
    return f"{column.citation}{read}"


def _unknown(name: str, known: Iterable[str]) -> str:
    by_lower = {text.lower(): text for text in sorted(known)}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    hint = f"did you mean {by_lower[close[0]]!r}?" if close else "see `run_bench.py list published`"
    return f"no published values of {name!r}; {hint}"


def _nowhere(name: str, values: list[PublishedValue]) -> str:
    if name == "all":
        return "no published value is of a task in these tables; omit --with-published"
    mine = [value for value in values if name in (value.system, value.source)]
    if all(value.protocol != MEASURABLE for value in mine):
        return (
            f"{name}: its values are of X-ARES of an earlier or unstated release (protocol "
            f"'xares'), and stand beside no measured ones; see results/published/README.md"
        )
    tasks = [f"{value.task} ({value.probe})" for value in mine if value.task]
    where = (
        f"it has {', '.join(tasks[:5])}{' ...' if len(tasks) > 5 else ''}"
        if tasks
        else ("it has means over tasks only")
    )
    return f"{name}: no published value is of a task in these tables; {where}"


def _refusal(tables: Sequence[Table]) -> str:
    found = list(dict.fromkeys(_kind(table) for table in tables)) or ["none"]
    return (
        f"published values stand only beside results of their own protocol, {MEASURABLE}, on real "
        f"data without a limit; the results here: {'; '.join(found)}. Run with --protocol "
        f"{MEASURABLE}, or omit --with-published"
    )


def _kind(table: Table) -> str:
    data = "synthetic data" if table.synthetic else "real data"
    limit = "" if table.limit is None else f", limit {table.limit}"
    return f"{table.protocol} on {data}{limit}"
