"""`audit`: audio of one split that is in another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.benchmark.cli.arguments import positive
from earmark.benchmark.io.exits import ALL_DONE, CHECK_FAILED, NOT_ALL_DONE, CannotStartError

if TYPE_CHECKING:
    from earmark.benchmark.result.audit_report import AuditReport

_EXAMPLES = """\
examples:
  python run_bench.py audit --tasks esc50 --data ../shared/data
  python run_bench.py audit --tasks speech my_task.yaml
  python run_bench.py audit --tasks all --data synthetic

The same audio is: the same samples after decoding, as mono, at 16 bits and at the same sample rate,
whatever the file's format and name, the digital silence at its ends and its polarity. Not found:
lossy encodings of it, other sample rates or gains, excerpts.

exit status: 0 no clip has a copy in another split or fold (sources may straddle: some tasks are
  made so), 1 one has, 2 cannot start, 3 some tasks could not be audited
"""
_NAMED = 5  # of each kind of finding; the file holds all


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "audit",
        help="find audio of one split in another",
        description="Hash the decoded audio of all clips and name those of one split or fold that "
        "are in another, those labelled in two ways, and the sources that straddle splits. What is "
        "found is kept with the results of the same shards. What was hashed before is not decoded "
        "again.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tasks", nargs="+", action="extend", metavar="TASK",
        help="names (see `list tasks`), `all`, speech, sound, music, or task files "
        "(default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="DIR",
        help="folder with the tasks' folders of shards, or `synthetic` for audio made by "
        "procedure (default: $EARMARK_DATA, else data)",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, default=Path("results/runs"), metavar="DIR",
        help="folder with result files; findings go to its folder `audits` (default: results/runs)",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="folder for hashes and synthetic audio (default: $EARMARK_CACHE, else "
        "~/.cache/earmark)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=positive, metavar="N",
        help="threads that decode (default: cores, up to 8)",
    )  # fmt: skip
    parser.set_defaults(function=run, when_cut_off=NOT_ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    from earmark.benchmark.audit.run import audit_tasks
    from earmark.benchmark.cli.folders import check_folders
    from earmark.benchmark.settings import RunSettings
    from earmark.tasks import TaskError, select_tasks

    given: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in ("data", "results", "cache", "workers")
        if getattr(arguments, name) is not None
    }
    check_folders(RunSettings(**given))
    stored: dict[str, tuple[Path, int]] = {}

    def keep(finding: AuditReport, path: Path | None, joined: int) -> None:
        if path is not None:
            stored[finding.task.name] = path, joined

    try:
        findings = audit_tasks(select_tasks(arguments.tasks or ["all"]), on_finding=keep, **given)
    except TaskError as error:
        raise CannotStartError(str(error)) from error
    status = ALL_DONE
    if any(finding.error is not None for finding in findings):
        status = NOT_ALL_DONE
    if any(finding.leaks for finding in findings):
        status = CHECK_FAILED
    arguments.when_cut_off = status  # by now only what is printed can go unread
    _show(findings, stored)
    return status


def _show(findings: Sequence[AuditReport], stored: dict[str, tuple[Path, int]]) -> None:
    from rich.text import Text

    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.io.terminal import print_table

    console = Terminal()
    audited = [finding for finding in findings if finding.error is None]
    if any(finding.synthetic for finding in findings):
        console.print(Text("SYNTHETIC data (made by procedure; says nothing about real audio)\n"))
    if audited:
        print_table(_table(audited), console)
    for finding in audited:
        path, _ = stored[finding.task.name]
        details = _details(finding)
        for line in ["", f"{finding.task.name} ({path.name})", *details] if details else []:
            # lines are long, and broken by the terminal they can still be copied whole
            console.print(Text(line), soft_wrap=True)
    failed = [finding for finding in findings if finding.error is not None]
    if failed:
        console.print()
    for finding in failed:
        reason = Text(f"not audited: {finding.task.name}: {finding.error}", "bold red")
        console.print(reason, soft_wrap=True)
    leaks = [finding.task.name for finding in audited if finding.leaks]
    if leaks:
        verdict = f"audio of one split or fold is in another: {', '.join(leaks)}"
    else:
        verdict = "no clip has a copy in another split or fold" if audited else "nothing is known"
    console.print(
        Text(f"\n{len(audited)} of {len(findings)} tasks audited: {verdict}"), soft_wrap=True
    )
    if stored:
        folder = next(iter(stored.values()))[0].parent
        joined = sum(count for _, count in stored.values())
        results = f"{joined or 'no'} result{'s' if joined != 1 else ''}"
        print(f"Findings under {folder}; joined to {results} of these shards", file=sys.stderr)


def _table(findings: Sequence[AuditReport]) -> Any:
    from rich.table import Table
    from rich.text import Text

    heads = {
        "clips": "clips",
        "in_two_splits": "in two\nsplits",
        "twice_in_one_split": "twice\nin one",
        "label_conflicts": "label\nconflict",
        "straddling_sources": "sources\nstraddle",
        "silent": "silent",
        "failed_clips": "not\ndecoded",
    }
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("task", no_wrap=True)
    for head in heads.values():
        table.add_column(Text(head), justify="right", no_wrap=True)
    for finding in findings:
        cells = []
        for name in heads:
            count = finding.counts[name]
            style = "" if count else "dim"
            if count and name in ("in_two_splits", "label_conflicts"):
                style = "bold red"
            cells.append(Text(str(count), style))
        table.add_row(Text(finding.task.name), *cells)
    return table


def _details(finding: AuditReport) -> list[str]:
    """What was found in one task, line by line; of each kind the first few."""
    counts, part, unit = finding.counts, finding.task.parts, finding.task.source_unit
    lines = []
    for pair in finding.pairs:
        (one, other), (here, there) = pair["splits"], pair["clips"]
        lines.append(
            f"{part}s {one} and {other}: {here} of {one} {'is' if here == 1 else 'are'} in {other} "
            f"too, {there} of {other} in {one}"
        )
    across = [copies for copies in finding.copies if copies["across"]]
    lines += _some([_members(copies) for copies in across])
    within = [copies for copies in finding.copies if not copies["across"]]
    if within:
        lines.append(f"groups of copies within one {part}: {len(within)}")
        lines += _some([_members(copies) for copies in within])
    conflicts = [copies for copies in finding.copies if copies["conflict"]]
    if conflicts:
        lines.append(f"copies that are labelled differently: {counts['label_conflicts']} clips")
        lines += _some([_members(copies, labels=True) for copies in conflicts])
    if finding.straddling:
        lines.append(f"sources ({unit}) in more than one {part}: {len(finding.straddling)}")
        lines += _some([f"{one['source']}: {_held(one['clips'])}" for one in finding.straddling])
    for failures, what in (
        (finding.failures, "could not be decoded or paired"),
        (finding.unlabelled, "could not be labelled and were compared by audio alone"),
    ):
        if failures:
            lines.append(f"clips that {what}: {len(failures)}")
            lines += _some([f"{f['shard']}/{f['key']}: {f['reason']}" for f in failures])
    if finding.silent:
        lines.append(f"clips that are silent and were not compared: {len(finding.silent)}")
        lines += _some([f"{clip['shard']}/{clip['key']}" for clip in finding.silent])
    return [f"  {line}" for line in lines]


def _some(lines: list[str]) -> list[str]:
    """The first few, and how many more there are."""
    more = len(lines) - _NAMED
    shown = lines if more <= 0 else [*lines[:_NAMED], f"and {more} more, named in the file"]
    return [f"  {line}" for line in shown]


def _members(copies: dict[str, Any], *, labels: bool = False) -> str:
    """The clips of a group in one line."""
    words = []
    for clip in copies["clips"]:
        known = clip["label"] if clip["label"] is not None else "no label"
        words.append(f"{clip['shard']}/{clip['key']}" + (f" ({known})" if labels else ""))
    but = f" (but for {' and '.join(copies['differ_by'])})" if copies["differ_by"] else ""
    return " = ".join(words) + but


def _held(clips: dict[str, int]) -> str:
    return ", ".join(f"{count} in {split}" for split, count in clips.items())
