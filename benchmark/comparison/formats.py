"""Comparisons as terminal text, Markdown, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earmark.benchmark.comparison.run import (
    BETTER,
    NOT_DISTINGUISHABLE,
    WORSE,
    Comparison,
    TaskComparison,
)
from earmark.benchmark.io.markdown import bullets, escape
from earmark.benchmark.io.markdown import row as markdown_row
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.io.terminal import print_table
from earmark.benchmark.uncertainty.jackknife import TOO_FEW
from earmark.benchmark.uncertainty.significance import Difference

_STYLES = {BETTER: "green", WORSE: "red"}
_SHORT = {NOT_DISTINGUISHABLE: "unclear", TOO_FEW: "too few"}  # a terminal may be 80 columns wide
_MEAN = "mean"


def to_terminal(tables: Sequence[Comparison], console: Console) -> None:
    """Print every table; colours only where the console has them."""
    for table in tables:
        console.print(Text(f"{table.first} (A) against {table.second} (B)", style="bold"))
        console.print(Text(table.caption, style="bold"))
        console.print()
        if table.tasks:
            print_table(_rich(table), console)
            console.print()
        for lost in table.left_out:
            console.print(Text(f"  not compared: {lost.task}: {lost.reason}", style="yellow"))
        for note in table.notes:
            console.print(Text(f"  {note}", style="dim"))
        if table.left_out or table.notes:
            console.print()
    for note in _explained(tables, f"; unclear: {NOT_DISTINGUISHABLE}"):
        console.print(Text(f"  {note}", style="dim"))


def to_markdown(tables: Sequence[Comparison]) -> str:
    """All tables as GitHub-flavoured Markdown."""
    parts = []
    for table in tables:
        parts.append(f"**{escape(table.first)} against {escape(table.second)}: {table.caption}**")
        parts.append("")
        if table.tasks:
            heads = [
                "task", "metric", escape(table.first), escape(table.second),
                "difference", "p", "Holm p", "verdict",
            ]  # fmt: skip
            parts.append(markdown_row(heads))
            parts.append("|---|---|---:|---:|---:|---:|---:|---|")
            for row in table.tasks:
                cells = [escape(row.title), row.metric, *_numbers(row), row.verdict]
                parts.append(markdown_row(cells))
            parts.append(markdown_row([_MEAN, "", *_mean_numbers(table), "", ""]))
            parts.append("")
        lines = [f"not compared: {lost.task}: {lost.reason}" for lost in table.left_out]
        parts += bullets([*lines, *table.notes])
        if lines or table.notes:
            parts.append("")
    parts += bullets(_explained(tables))
    return "\n".join(parts) + "\n"


def to_csv(tables: Sequence[Comparison]) -> str:
    """A line for each task and probe, one for the mean over tasks, and one for each task that was
    not compared, with the reason."""
    lines: list[dict[str, Any]] = []
    for table in tables:
        facts = {
            "data": "synthetic" if table.synthetic else "real", "protocol": table.protocol,
            "seeds": table.seeds, "limit": table.limit, "first": table.first,
            "second": table.second, "probe": table.probe, "confidence": table.confidence,
        }  # fmt: skip
        for row in table.tasks:
            own = asdict(row)
            gap = own.pop("difference")
            scores = {"first score": own.pop("first"), "second score": own.pop("second")}
            lines.append(facts | own | scores | _csv_gap(gap))
        if table.mean is not None:
            scores = {"first score": table.mean_first, "second score": table.mean_second}
            lines.append(facts | {"task": _MEAN} | scores | _csv_gap(asdict(table.mean)))
        for lost in table.left_out:
            missing = {"task": lost.task, "verdict": "not compared", "reason": lost.reason}
            lines.append(facts | missing)
    heads = [
        "data", "protocol", "seeds", "limit", "first", "second", "probe", "task", "title",
        "domain", "metric", "first score", "second score", "difference", "low", "high",
        "confidence", "p", "holm_p", "verdict", "items", "sources", "only_first", "only_second",
        "reason",
    ]  # fmt: skip
    return str(pd.DataFrame(lines, columns=heads, dtype=object).to_csv(index=False))


def to_json(tables: Sequence[Comparison]) -> str:
    """A list of tables, with the fields of `Comparison` and `TaskComparison`."""
    whole = [
        asdict(table) | {"left_out": [lost._asdict() for lost in table.left_out]}
        for table in tables
    ]
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _csv_gap(gap: dict[str, Any]) -> dict[str, Any]:
    return {"difference": gap.pop("value"), **gap}


def _explained(tables: Sequence[Comparison], unclear: str = "") -> list[str]:
    """What all tables mean."""
    drawn = [table for table in tables if table.tasks]
    if not drawn:
        return []
    first, second = drawn[0].first, drawn[0].second
    shown = " or ".join(f"{100 * level:g} %" for level in sorted({t.confidence for t in drawn}))
    lone = any(table.seeds == 1 and table.probe == "linear" for table in drawn)
    seeds = "with one seed, how training varies is not in them" if lone else "seeds are averaged"
    return [
        f"difference: {first} - {second}, with its {shown} interval and p-value by a "
        f"paired test over sources (jackknife and Student's t); {seeds}",
        f"better, worse: {first}, at {shown} by the Holm p-value, corrected over the tasks of a "
        f"table{unclear}",
        "mean: over the tasks listed; says nothing of other tasks",
    ]


def _rich(table: Comparison) -> Table:
    drawn = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    drawn.add_column("task", overflow="fold", min_width=12)  # the only one that may break
    for head in ("A", "B", "difference", "p", "Holm p", ""):
        drawn.add_column(head, no_wrap=True)
    for row in table.tasks:
        verdict = Text(_SHORT.get(row.verdict, row.verdict), _STYLES.get(row.verdict, ""))
        drawn.add_row(Text(row.title), *_numbers(row), verdict)
    drawn.add_row("")
    drawn.add_row(Text(_MEAN), *_mean_numbers(table), style="bold")
    return drawn


def _numbers(row: TaskComparison) -> list[str]:
    return [
        rounded(row.first), rounded(row.second), _gap(row.difference),
        _p_value(row.difference.p), _p_value(row.holm_p),
    ]  # fmt: skip


def _mean_numbers(table: Comparison) -> list[str]:
    assert table.mean is not None
    assert table.mean_first is not None and table.mean_second is not None
    return [
        rounded(table.mean_first), rounded(table.mean_second), _gap(table.mean),
        _p_value(table.mean.p),
    ]  # fmt: skip


def _gap(gap: Difference) -> str:
    if gap.low is None or gap.high is None:
        return _signed(gap.value)
    low, high = (_signed(bound).replace("0.", ".", 1) for bound in (gap.low, gap.high))
    return f"{_signed(gap.value)} [{low} {high}]"


def _signed(value: float) -> str:
    return rounded(value, sign=True)


def _p_value(p: float | None) -> str:
    if p is None:
        return "-"
    return rounded(p) if p >= 0.0005 else "<0.001"


FORMATS: dict[str, Callable[[Sequence[Comparison]], str]] = {
    "markdown": to_markdown, "csv": to_csv, "json": to_json,
}  # fmt: skip
