"""Result files to one self-contained HTML page: tables, pictures, and what reproduces each cell.

from earmark import report
made = report("results/runs", out="report.html")
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.paths import default_cache
from earmark.benchmark.reconstruction.result import ReconstructionResult, asked_of
from earmark.benchmark.reconstruction.result import read_results as read_codec_results
from earmark.benchmark.result.facts import RunFacts
from earmark.benchmark.result.files import read_results
from earmark.benchmark.result.groups import identity_of, variant_of
from earmark.benchmark.result.schema import DONE, RunResult
from earmark.benchmark.webpage.charts import CHARTS
from earmark.benchmark.webpage.codecs import codec_tables_of
from earmark.benchmark.webpage.content import tables_of
from earmark.benchmark.webpage.html import html_of
from earmark.benchmark.webpage.numbers import Pool
from earmark.benchmark.webpage.pairs import Shelf
from earmark.tasks import TaskSpec, builtin_tasks

__all__ = ["PageReport", "report"]


@dataclass
class PageReport:
    """What `report` did.

    paths: the pages written, real results first. unreadable: a line for each file that could not
    be read. notes: a line for each thing that a page does not show, and why.
    """

    paths: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def report(
    results: str | Path | Sequence[str | Path] = "results/runs",
    out: str | Path = "report.html",
    *,
    published: Iterable[str] | None = None,
    published_folder: Path | None = None,
    audio: str | Path | None = None,
    plots: str | Path | None = None,
    cache: Path | None = None,
    track: ProgressFactory = no_progress,
) -> PageReport:
    """Write the page of the result files under some folders.

    Synthetic results never stand beside real ones: they have a page of their own, `.synthetic`
    before the suffix of its name. A page is written only where there are results for it.

    published: systems or sources of published values to set beside measured ones (none: the source
        with the most values, `all`: every one); None: no columns of them.
    published_folder: of the published values; None: those that come with Earmark.
    audio, plots: folders that `reconstruct` wrote with `--save-audio` and `--plots`.
    cache: folder of scores without each source. track: what shows the progress.
    Raises PublishedError as `Leaderboard.with_published` does.
    """
    cache = cache or default_cache()
    folders = [results] if isinstance(results, str | Path) else list(results)
    made = PageReport()
    found, codecs = _read([Path(folder) for folder in folders], made)
    for synthetic in (False, True):
        own = [result for result in found if result.synthetic == synthetic]
        own_codecs = [result for result in codecs if result.synthetic == synthetic]
        if not own and not own_codecs:
            continue
        board = Leaderboard(own, _listed(own), cache=cache, track=track)
        if published is not None and not synthetic and own:
            board = board.with_published(published, published_folder)
        shelf = Shelf(_folder(audio), _folder(plots))
        pool = Pool()
        tables, faults = tables_of(board, pool, cache, track)
        codec_tables, more = codec_tables_of(own_codecs, pool, shelf, published_folder)
        made.notes += _no_matrix(faults) + more
        content = {
            "tables": tables,
            "codecs": codec_tables,
            "facts": pool.facts,
            "media": shelf.media,
            "charts": CHARTS,
            "files": len(own) + len(own_codecs),
            "days": _days([*(one.run for one in own), *(one.run for one in own_codecs)]),
        }
        path = page_path(Path(out), synthetic=synthetic)
        text = html_of(content, title="Earmark report", synthetic=synthetic)
        write_atomically(path, text.encode())
        made.paths.append(path)
    return made


def page_path(out: Path, *, synthetic: bool) -> Path:
    """Where a page is written: that of synthetic results has it in its name."""
    if not synthetic or out.stem.endswith(".synthetic"):
        return out
    return out.with_name(f"{out.stem}.synthetic{out.suffix}")


def _folder(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _listed(results: list[RunResult]) -> list[TaskSpec]:
    return list(builtin_tasks().values()) if results else []


def _read(
    folders: Sequence[Path], made: PageReport
) -> tuple[list[RunResult], list[ReconstructionResult]]:
    """All results; of two for one cell, in two folders, the later folder's."""
    cells: dict[Any, RunResult] = {}
    codecs: dict[Any, ReconstructionResult] = {}
    for folder in folders:
        results, unreadable = read_results(folder)
        more, unreadable_codecs = read_codec_results(folder)
        made.unreadable += unreadable + unreadable_codecs
        for codec in more:
            where = codec.comparable if codec.status == DONE else asked_of(codec)
            row = (codec.status, where, codec.codec.name, codec.codec.fingerprint)
            if row in codecs:
                made.notes.append(f"{codec.path} stands for {codecs[row].path}, of the same row")
            codecs[row] = codec
        for result in results:
            protocol = json.dumps(result.protocol, sort_keys=True)
            group = (result.synthetic, protocol, result.data.limit)
            variant = variant_of(result) if result.status == DONE else ""
            key = (*group, identity_of(result), result.task.name, result.status, variant)
            earlier = cells.get(key)
            if earlier is not None:
                made.notes.append(f"{result.path} stands for {earlier.path}, of the same cell")
            cells[key] = result
    return list(cells.values()), list(codecs.values())


def _no_matrix(faults: list[str]) -> list[str]:
    """The first reason, and how many more: one folder that was moved gives hundreds."""
    lines = [f"no confusion matrix: {fault}" for fault in dict.fromkeys(faults)]
    return lines[:1] + ([f"and {len(lines) - 1} more without one"] if lines[1:] else [])


def _days(runs: list[RunFacts]) -> list[str]:
    """The first and the last day on which something was measured."""
    days = sorted({(run.started or "")[:10] for run in runs} - {""})
    return days if len(days) < 2 else [days[0], days[-1]]
