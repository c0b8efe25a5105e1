"""What was verified, on the terminal; `datasets --verify` ends here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.benchmark.cli.arguments import positive
from earmark.benchmark.io.exits import ALL_DONE, CHECK_FAILED, NOT_ALL_DONE

if TYPE_CHECKING:
    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.prepare.verify import PartCounts, Verification
    from earmark.tasks import TaskSpec

_NAMED = 5  # clips of each fault
EXIT_STATUS = (
    "exit status of --verify: 0 all clips can be used and are as many as known (where that is "
    "known),\n  1 some tasks differ, 2 cannot start, 3 some could not be verified"
)


def add_options(parser: Any) -> None:
    """The options that `run_verify` reads, besides the tasks."""
    parser.add_argument(
        "--verify", action="store_true",
        help="decode and label every clip that is there; count, and compare with what is known",
    )  # fmt: skip
    parser.add_argument(
        "--classes", action="store_true", help="with --verify: show the clips of every class"
    )
    parser.add_argument(
        "--workers", type=positive, metavar="N",
        help="with --verify: threads that decode (default: cores, up to 8)",
    )  # fmt: skip


def run_verify(
    specs: Sequence[TaskSpec], data: Path, *, workers: int | None = None
) -> tuple[list[Verification], int]:
    """Verify tasks one by one; all that was found, and the exit status."""
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.prepare.verify import DIFFERS, NOT_VERIFIED, verify

    found = []
    for spec in specs:
        with Progress(f"{spec.name}: verifying", 0, "clips") as bar:

            def report(done: int, total: int, seconds: float, bar: Progress = bar) -> None:
                bar.to(done - 1, total)
                bar.advance(1, seconds)

            found.append(verify(spec, data, workers=workers, report=report))
    states = {one.state for one in found}
    status = NOT_ALL_DONE if NOT_VERIFIED in states else ALL_DONE
    return found, CHECK_FAILED if DIFFERS in states else status


def show(found: Sequence[Verification], console: Terminal, *, classes: bool = False) -> None:
    """One row a split, then what is wrong, task by task."""
    from rich.text import Text

    from earmark.benchmark.prepare.verify import AS_KNOWN, DIFFERS, NOT_VERIFIED, SOUND

    read = [one for one in found if one.error is None]
    if read:
        console.print(_table(read))
    for one in read:
        lines = _details(one) + (_by_class(one) if classes else [])
        for line in ["", one.spec.name, *lines] if lines else []:
            console.print(Text(line), soft_wrap=True)
    if len(read) < len(found):
        console.print()
    for one in found:
        if one.error is not None:
            reason = Text(f"not verified: {one.spec.name}: {one.error}", "bold red")
            console.print(reason, soft_wrap=True)
    counts = {
        state: sum(one.state == state for one in found)
        for state in (AS_KNOWN, SOUND, DIFFERS, NOT_VERIFIED)
    }
    words = {
        AS_KNOWN: "as known",
        SOUND: "without fault, but nothing is known to compare with",
        DIFFERS: "with faults or other counts",
        NOT_VERIFIED: "not verified",
    }
    said = "; ".join(f"{n} {words[state]}" for state, n in counts.items() if n)
    console.print(Text(f"\n{len(found)} tasks: {said}"), soft_wrap=True)


def _table(found: Sequence[Verification]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for head in ("task", "split"):
        table.add_column(head, no_wrap=True)
    for head in ("clips", "known", "a class", "sources", "hours", "seconds", "kHz"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in found:
        known = one.spec.known
        by_part = known.by_part if known is not None else {}
        for number, (name, part) in enumerate(one.parts.items()):
            expected = by_part.get(name)
            differs = expected is not None and expected != part.clips
            table.add_row(
                one.spec.name if number == 0 else "", name,
                Text(str(part.clips), "bold red" if differs else ""),
                "" if expected is None else str(expected), *_cells(part),
            )  # fmt: skip
        if known is not None and not by_part:
            style = "bold red" if known.total != one.clips else ""
            table.add_row("", "all", Text(str(one.clips), style), str(known.total))
    return table


def _cells(part: PartCounts) -> list[str]:
    """Clips a class, sources, hours of audio, shortest to longest clip, sample rates."""
    counts = part.classes.values()
    rates = ", ".join(f"{rate / 1000:g}" for rate, _ in part.rates.most_common(3))
    more = len(part.rates) - 3
    return [
        _span(min(counts), max(counts), "") if counts else "",
        str(part.sources),
        f"{sum(part.seconds) / 3600:.2f}",
        _span(min(part.seconds), max(part.seconds), ".1f") if part.seconds else "",
        rates + (f" and {more} more" if more > 0 else ""),
    ]


def _span(low: float, high: float, form: str) -> str:
    lowest, highest = format(low, form), format(high, form)
    return lowest if lowest == highest else f"{lowest}-{highest}"


def _details(one: Verification) -> list[str]:
    """What is wrong with a task, line by line."""
    lines = [f"  {line}" for line in one.differences]
    if one.differences and one.spec.known is not None:
        lines.append(f"  known from: {one.spec.known.origin}")
    for failures, what in (
        (one.undecodable, "that cannot be paired or decoded"),
        (one.unlabelled, "whose label or source cannot be used"),
    ):
        if failures:
            lines.append(f"  clips {what}: {len(failures)}")
            lines += [f"    {f.shard}/{f.key}: {f.reason}" for f in failures[:_NAMED]]
            if len(failures) > _NAMED:
                lines.append(f"    and {len(failures) - _NAMED} more")
    if one.guessed_sources:
        lines.append(
            f"  clips whose source ({one.spec.source.unit}) the task's rule does not find: "
            f"{one.guessed_sources}; each is taken for its own"
        )
    if one.empty_classes:
        named = ", ".join(one.empty_classes[:_NAMED])
        more = len(one.empty_classes) - _NAMED
        lines.append(f"  classes without a clip: {named}" + (f" and {more} more" * (more > 0)))
    return lines


def _by_class(one: Verification) -> list[str]:
    """Clips of every class in every split, in the task's order of classes."""
    if not any(part.classes for part in one.parts.values()):
        return []
    names = list(one.parts)
    width = max(len(name) for name in one.spec.classes)
    lines = [f"  {'class':<{width}}  " + "  ".join(f"{name:>7}" for name in names)]
    for name in one.spec.classes:
        counts = "  ".join(f"{one.parts[part].classes[name]:>7}" for part in names)
        lines.append(f"  {name:<{width}}  {counts}")
    return lines
