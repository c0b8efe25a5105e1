"""`list`: what can be asked for."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from earmark.benchmark.cli.terminal import Terminal
from earmark.benchmark.io.exits import ALL_DONE, CannotStartError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "list",
        help="list encoders, tasks, protocols or published values",
        description="List what can be asked for by name.",
    )
    parser.add_argument("what", choices=("encoders", "tasks", "protocols", "published"))
    parser.add_argument(
        "--published", type=Path, metavar="DIR",
        help="folder of the published values (default: results/published of the repository)",
    )  # fmt: skip
    parser.add_argument(
        "--has-weights", action="store_true",
        help="encoders: only those whose weights are at hand here, or that have none",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="encoders: as JSON")
    parser.set_defaults(function=run, when_cut_off=ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    if arguments.what != "encoders" and (arguments.has_weights or arguments.json):
        raise CannotStartError("--has-weights and --json go with `list encoders` alone")
    console = Terminal()
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    if arguments.what == "encoders":
        from earmark.benchmark.cli.encoder_list import list_encoders

        list_encoders(console, with_weights=arguments.has_weights, as_json=arguments.json)
        return ALL_DONE
    if arguments.what == "protocols":
        _show_protocols(console, table)
        return ALL_DONE
    if arguments.what == "published":
        _list_published(console, table, arguments.published)
        return ALL_DONE
    from earmark.tasks import TaskError, builtin_tasks

    try:
        specs = builtin_tasks()
    except TaskError as error:
        raise CannotStartError(str(error)) from error
    for head in ("task", "title", "domain", "classes", "metric", "folds", "crop"):
        # of a narrow terminal only titles pay the price: names are there to be copied
        numeric = head in ("classes", "folds", "crop")
        table.add_column(head, no_wrap=head != "title", justify="right" if numeric else "left")
    for spec in specs.values():
        folds = str(len(spec.folds)) if spec.folds else "-"
        crop = f"{spec.crop_seconds:g} s" if spec.crop_seconds else "-"
        classes = str(spec.num_classes or "-")
        table.add_row(spec.name, spec.title, spec.domain, classes, spec.metric, folds, crop)
    console.print(table)
    console.print(f"\n{len(specs)} tasks. Your own: --tasks path/to/task.yaml (tasks/README.md)")
    return ALL_DONE


def _list_published(console: Terminal, table: Table, folder: Path | None) -> None:
    """Systems with the number of values that each source gives of them, by protocol."""
    from earmark.benchmark.result.published import (
        PUBLISHED,
        PUBLISHED_PROTOCOLS,
        PublishedError,
        load_published,
        sources,
    )

    try:
        values = load_published(folder or PUBLISHED)
        citations = sources(folder or PUBLISHED)
    except PublishedError as error:
        raise CannotStartError(str(error)) from error
    for head in ("system", "source", "protocol", "values"):
        numeric = head == "values"
        table.add_column(head, justify="right" if numeric else "left", overflow="fold")
    counts = Counter((value.system, value.source, value.protocol) for value in values)
    by_protocol = sorted(counts.items(), key=lambda item: PUBLISHED_PROTOCOLS.index(item[0][2]))
    for (system, source, protocol), count in by_protocol:
        table.add_row(Text(system), source, protocol, str(count))
    console.print(table)
    console.print()
    second_hand = {value.source for value in values if not value.primary}
    for source, citation in citations.items():
        mark = " (second-hand)" if source in second_hand else ""
        console.print(Text(f"{source}: {citation}{mark}"))
    console.print(f"\n{len(values)} values. How to read them: results/published/README.md")


def _show_protocols(console: Terminal, table: Table) -> None:
    """Every choice in which they differ."""
    from earmark.benchmark.protocol import PROTOCOLS

    table.add_column("choice", no_wrap=True)
    for name in PROTOCOLS:
        table.add_column(name)
    facts = [protocol.facts() for protocol in PROTOCOLS.values()]
    for key in facts[0]:
        values = [own[key] for own in facts]
        if key != "name" and any(value != values[0] for value in values):
            table.add_row(key, *(_words(value) for value in values))
    console.print(table)
    console.print(
        "\nWhat each choice means: benchmark/protocol.py. Results of different protocols never "
        "stand in one table.",
        soft_wrap=True,
    )


def _words(value: Any) -> str:
    """A protocol's value as a person writes it."""
    if isinstance(value, list):
        items = [" ".join(map(str, one)) if isinstance(one, list) else str(one) for one in value]
        return ", ".join(items) or "none"
    return str(value)
