"""What of tasks' data is there and what is to be fetched, for people to read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from earmark.benchmark.io.exits import CannotStartError

if TYPE_CHECKING:
    from earmark.benchmark.zenodo.plan import FetchItem, Plan


def folder_of_shards(given: Path | None) -> Path:
    """The folder that --data names, or that is meant without. Raises CannotStartError."""
    from earmark.benchmark.paths import default_data

    if given is not None and str(given) == "synthetic":
        raise CannotStartError(
            "--data synthetic: synthetic audio is made by a run and is not fetched; name a folder"
        )
    return given if given is not None else Path(default_data())


def show_plan(plan: Plan, console: Console, *, folders: bool = False) -> None:
    """A line a task, the sum, and why some cannot be fetched."""
    from earmark.benchmark.io.progress import format_bytes

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("task", no_wrap=True)
    table.add_column("data", no_wrap=True)
    table.add_column("here", justify="right", no_wrap=True)
    table.add_column("to fetch", justify="right", no_wrap=True)
    table.add_column("folder" if folders else "licence", overflow="fold")
    for need in plan.needs:
        last = str(need.holding.folder.relative_to(plan.data)) if folders else need.spec.licence
        here = format_bytes(need.holding.size) if need.holding.files else "-"
        table.add_row(need.spec.name, need.holding.state, here, _to_fetch(need), Text(last))
    together = sum({need.holding.folder: need.holding.size for need in plan.needs}.values())
    unknown = any(need.error is not None for need in plan.needs)
    to_fetch = " + ".join(
        [format_bytes(plan.size)] * bool(plan.size or not unknown) + ["?"] * unknown
    )
    table.add_row("together", "", format_bytes(together), to_fetch, "")
    console.print(table)
    console.print(Text(f"\n{format_bytes(plan.free)} free in {plan.data}"), soft_wrap=True)
    for reason, names in _reasons(plan).items():
        console.print(Text(f"cannot be fetched: {', '.join(names)}: {reason}"), soft_wrap=True)


def summary(plan: Plan) -> str:
    """The plan in one line, where nothing is to be fetched."""
    from earmark.benchmark.zenodo.status import PRESENT

    present = [need for need in plan.needs if need.holding.state == PRESENT]
    return f"data: {len(present)} of {len(plan.needs)} tasks in {plan.data}"


def _to_fetch(need: FetchItem) -> str:
    from earmark.benchmark.io.progress import format_bytes

    if need.error is not None:
        return "?"
    if need.shared is not None:
        return f"with {need.shared}"
    return format_bytes(need.size) if need.files else "-"


def _reasons(plan: Plan) -> dict[str, list[str]]:
    """Why tasks cannot be fetched, each reason once, with the tasks; not where nobody was asked."""
    from earmark.benchmark.zenodo.plan import NOT_ASKED

    reasons: dict[str, list[str]] = {}
    for need in plan.needs:
        if need.error not in (None, NOT_ASKED):
            reasons.setdefault(need.error, []).append(need.spec.name)
    return reasons
