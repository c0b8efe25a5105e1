"""What a run does before it starts: show what data is lacking, and fetch it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from earmark.benchmark.cli.data_plan import show_plan, summary
from earmark.benchmark.cli.terminal import Terminal, log
from earmark.benchmark.io.exits import CannotStartError
from earmark.benchmark.io.progress import Progress
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.zenodo.plan import Plan, fetch, make_plan
from earmark.benchmark.zenodo.record import FetchError
from earmark.benchmark.zenodo.server import Server
from earmark.tasks import TaskSpec

_FORBIDDEN = "--no-download was given"


def plan_lacking(specs: Sequence[TaskSpec], settings: RunSettings, *, ask: bool) -> set[str]:
    """Print what a run would fetch; the names of the tasks that it would fetch something of."""
    if settings.is_synthetic or not ask:
        return set()
    plan = make_plan(specs, settings.data_folder, _server(), Progress)
    _show(plan, Terminal())
    if plan.shortage() is not None:
        print(f"{plan.shortage()}\n")
        return set()
    if _is_of_note(plan):
        print()
    return {need.spec.name for need in plan.to_fetch}


def fetch_lacking(specs: Sequence[TaskSpec], settings: RunSettings, *, ask: bool) -> dict[str, str]:
    """Print what is to be fetched and fetch it; why it was not, by the names of tasks.

    ask: False asks nobody and fetches nothing.
    """
    if settings.is_synthetic:
        return {}
    if not ask:
        return {spec.name: _FORBIDDEN for spec in specs if spec.zenodo_record is not None}
    server = _server()
    plan = make_plan(specs, settings.data_folder, server, Progress)
    with contextlib.suppress(BrokenPipeError):  # as with `log`
        _show(plan, Terminal(stderr=True))
    return fetch(plan, server, say=log, track=Progress)


def _server() -> Server:
    try:
        return Server(say=log)
    except FetchError as error:
        raise CannotStartError(str(error)) from error


def _show(plan: Plan, console: Terminal) -> None:
    """The plan where something is to be fetched or cannot be, else a line of it."""
    if _is_of_note(plan):
        show_plan(plan, console)
    else:
        log(summary(plan))


def _is_of_note(plan: Plan) -> bool:
    refused = (need for need in plan.needs if need.error is not None)
    return bool(plan.to_fetch) or any(need.spec.zenodo_record is not None for need in refused)
