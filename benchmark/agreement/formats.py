"""A check as terminal text, Markdown, CSV and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earmark.benchmark.agreement.changes import Change
from earmark.benchmark.agreement.loading import Conditions, listed
from earmark.benchmark.agreement.verdict import (
    BREACH,
    NOT_CHECKED,
    OK,
    VERDICTS,
    Agreement,
    Checked,
)
from earmark.benchmark.io.markdown import bullets, escape, row
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.io.terminal import print_table

ITEMS_SHOWN = 5  # changed items of a cell, where not all are asked for
_CELLS_SHOWN = 10  # cells whose changed items are shown
_STYLES = {BREACH: "bold red", NOT_CHECKED: "yellow", OK: "green"}
_HEADS = ("encoder", "task", "probe", "measured", "reference", "difference", "tolerance")
_BROKEN = {"encoder": 11, "task": 10}  # heads of columns that may break, and how narrow
_WIDE = 100  # columns from which the terminal has room for what changed


def to_terminal(found: Agreement, console: Console) -> None:
    """Print every cell under its verdict, then why, which items changed, and the verdict."""
    published = any(cell.source for cell in found.cells)
    numbers = _source_numbers(found)
    extra = ["source"] if published else []
    narrowest = _BROKEN | ({} if all(cell.primary for cell in found.cells) else {"source": 11})
    if not published and console.width >= _WIDE:
        extra = ["changed"]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for head in (*_HEADS, *extra):
        numeric = head in _HEADS[3:] or head == "changed"
        table.add_column(
            head, justify="right" if numeric else "left",
            no_wrap=head not in narrowest, min_width=narrowest.get(head), overflow="fold",
        )  # fmt: skip
    name = _Names(found)
    for verdict in VERDICTS:
        cells = found.of(verdict)
        if cells:
            table.add_row(Text(f"{verdict} ({len(cells)})", _STYLES[verdict]))
        for cell in cells:
            row = _row(cell, name)
            if published:
                row.append(f"[{numbers[cell.source]}]" + ("" if cell.primary else " second-hand"))
            elif extra:
                row.append("" if cell.changes is None else str(cell.changes))
            table.add_row(*(Text(text) for text in row))
    print_table(table, console)
    for line in _sources(found):
        console.print(Text(f"  {line}", "dim"))
    reasons = _reasons(found)
    if reasons:
        console.print()
    for line in reasons:
        verdict = next((v for v in VERDICTS if line.startswith(v)), "")
        console.print(Text(line, _STYLES.get(verdict, "")))
    changed = [cell for cell in found.of(BREACH) if cell.changes and cell.changes.items]
    if changed:
        console.print(Text("\nitem (what is true of it): in the reference -> as measured", "dim"))
    for cell in changed[:_CELLS_SHOWN]:
        _print_changes(cell, name(cell), console)
    if len(changed) > _CELLS_SHOWN:
        console.print(Text(f"... and in {len(changed) - _CELLS_SHOWN} more cells", "dim"))
    if changed:
        console.print(Text("all of them: --format json", "dim"))
    console.print()
    for line in _around(found):
        console.print(Text(line, "dim"))
    worst = next(verdict for verdict in VERDICTS if found.of(verdict) or verdict == OK)
    console.print(Text(found.summary, _STYLES[worst]))


def _print_changes(cell: Checked, task: str, console: Console) -> None:
    assert cell.changes is not None
    where = f"{cell.encoder} · {task} · {cell.probe}"
    console.print(Text(f"{where}: {cell.changes} predictions changed", "bold"))
    for change in cell.changes.items[:ITEMS_SHOWN]:
        console.print(Text(f"  {_sentence(change)}"))
    if len(cell.changes.items) > ITEMS_SHOWN:
        console.print(Text(f"  ... and {len(cell.changes.items) - ITEMS_SHOWN} more", "dim"))


def _sentence(change: Change) -> str:
    words = [change.key]
    if change.crop:
        words.append(f"crop {change.crop}")
    if change.seed is not None:
        words.append(f"seed {change.seed}")
    truth = f" ({change.label})" if change.label else ""
    return f"{', '.join(words)}{truth}: {_short(change.was)} -> {_short(change.now)}"


def _short(text: str, most: int = 60) -> str:
    text = text or "(nothing)"
    return text if len(text) <= most else text[: most - 3] + "..."


# which condition names a cell, where the ones before do not tell all cells apart
_TELLING = [Conditions._fields.index(name) for name in ("protocol", "limit", "synthetic", "seeds")]


class _Names:
    """What a cell's task is called: with so much of its conditions as tells all cells apart."""

    def __init__(self, found: Agreement) -> None:
        known = {cell.conditions for cell in found.cells if cell.conditions is not None}
        self.parts: list[int] = []
        for part in _TELLING:
            if len({self._of(conditions) for conditions in known}) == len(known):
                break
            if len({conditions[part] for conditions in known}) > 1:
                self.parts.append(part)

    def _of(self, conditions: Conditions) -> tuple[object, ...]:
        return tuple(conditions[part] for part in self.parts)

    def __call__(self, cell: Checked) -> str:
        if cell.conditions is None or not self.parts:
            return cell.task
        limit = cell.conditions.limit
        words = {
            "protocol": cell.conditions.protocol,
            "seeds": f"{cell.conditions.seeds} seeds",
            "limit": "no limit" if limit is None else f"limit {limit}",
            "synthetic": "synthetic" if cell.conditions.synthetic else "real",
        }
        fields = Conditions._fields
        return f"{cell.task} [{', '.join(words[fields[part]] for part in self.parts)}]"


def _row(cell: Checked, name: _Names) -> list[str]:
    numbers = [
        _number(cell.measured),
        _number(cell.reference),
        _number(cell.difference, sign=True),
        "exact" if cell.exact else _number(cell.tolerance),
    ]
    return [cell.encoder, name(cell), cell.probe, *numbers]


def _number(value: float, *, sign: bool = False) -> str:
    return "-" if math.isnan(value) else rounded(value, sign=sign)


def _reasons(found: Agreement) -> list[str]:
    """Why cells are in breach or not checked; one line for those of one encoder and reason."""
    name = _Names(found)
    groups: dict[tuple[str, str, str], list[str]] = {}
    for verdict in (BREACH, NOT_CHECKED):
        for cell in found.of(verdict):
            why = "; ".join(cell.why)
            own = f"{name(cell)} {cell.probe}" if verdict == BREACH else name(cell)
            groups.setdefault((verdict, cell.encoder, why), []).append(own)
    lines = [
        f"{verdict}: {encoder} · {listed(cells, 8)}: {why}"
        for (verdict, encoder, why), cells in groups.items()
    ]
    return lines + [f"{NOT_CHECKED}: {line}" for line in found.unreadable]


def _around(found: Agreement) -> list[str]:
    """What a reader must know beside the cells."""
    known = {cell.conditions for cell in found.cells if cell.conditions is not None}
    lines = [f"reference: {conditions}" for conditions in sorted(map(str, known))]
    lines.append(f"tolerance: {found.rule}")
    exact = sum(cell.exact for cell in found.cells)
    if exact:
        lines.append(
            f"exact: {exact} cells were made on one kind of machine with the same versions and "
            "must be equal in every bit"
        )
    return lines + [f"without a reference: {line}" for line in found.beyond]


def _source_numbers(found: Agreement) -> dict[str, int]:
    keys = dict.fromkeys(cell.source for cell in found.cells if cell.source)
    return {key: number for number, key in enumerate(sorted(keys), 1)}


def _sources(found: Agreement) -> list[str]:
    numbers = _source_numbers(found)
    return [f"[{n}] {found.citations.get(key, key)}" for key, n in numbers.items()]


def to_markdown(found: Agreement) -> str:
    """All cells as a GitHub-flavoured table; why, and what changed, as lists."""
    heads = [*_HEADS, "changed", "source", "verdict"]
    name = _Names(found)
    lines = [f"**{found.summary}**\n", row(heads), "|---" * len(heads) + "|"]
    for cell in found.cells:
        source = cell.source + ("" if cell.primary else " (second-hand)")
        changed = "" if cell.changes is None else str(cell.changes)
        texts = [*_row(cell, name), changed, source, cell.verdict]
        lines.append(row(map(escape, texts)))
    lines += ["", *bullets((*_sources(found), *_reasons(found)))]
    for cell in found.of(BREACH):
        if cell.changes is None or not cell.changes.items:
            continue
        lines += ["", f"{cell.encoder} · {name(cell)} · {cell.probe}: changed predictions", ""]
        lines += bullets(_sentence(change) for change in cell.changes.items)
    return "\n".join([*lines, "", *bullets(_around(found)), ""])


def to_csv(found: Agreement) -> str:
    """A line a cell; what could not be said is empty."""
    lines = [
        _plain(cell) | {"why": "; ".join(cell.why), "changed": _count(cell, "changed"),
                        "predictions": _count(cell, "total")}
        for cell in found.cells
    ]  # fmt: skip
    return str(pd.DataFrame(lines, dtype=object).to_csv(index=False))


def to_json(found: Agreement) -> str:
    """Everything, every changed prediction among it. NaN, which JSON lacks, becomes null."""
    cells = [
        _plain(cell) | {"why": list(cell.why),
                        "changes": None if cell.changes is None else asdict(cell.changes)}
        for cell in found.cells
    ]  # fmt: skip
    whole = {
        "status": found.status,
        "against": found.against,
        "rule": found.rule,
        "cells": cells,
        "unreadable": list(found.unreadable),
        "beyond": list(found.beyond),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(cell: Checked) -> dict[str, Any]:
    names: Sequence[str] = (*_HEADS, "exact", "verdict", "metric", "source", "primary")
    values = {name: getattr(cell, name) for name in names}
    none = dict.fromkeys(Conditions._fields)
    values |= none if cell.conditions is None else cell.conditions._asdict()
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def _count(cell: Checked, name: str) -> int | None:
    return None if cell.changes is None else int(getattr(cell.changes, name))


FORMATS: dict[str, Callable[[Agreement], str]] = {
    "markdown": to_markdown, "csv": to_csv, "json": to_json,
}  # fmt: skip
