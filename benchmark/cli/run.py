"""`run`: score encoders on tasks."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.benchmark.cli.arguments import (
    add_cost,
    column_name,
    device,
    layer,
    named,
    positive,
    seconds,
    share,
    shots,
)
from earmark.benchmark.controls import CONTROLS, PERMUTED
from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.readouts import (
    EVERY,
    EVERY_WINDOW,
    READOUTS,
    WINDOWS,
    clip_readouts,
    windows_of,
)

if TYPE_CHECKING:
    from earmark.benchmark.result.schema import RunResult
    from earmark.benchmark.settings import RunSettings
    from earmark.tasks import TaskSpec


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="score encoders on tasks (the default command)",
        description="Score encoders on tasks. What has been computed already and is still valid "
        "is used again, so an interrupted run is taken up by the same command.",
    )
    _add_what(parser)
    _add_beside(parser)
    _add_where(parser)
    parser.set_defaults(function=run, when_cut_off=NOT_ALL_DONE)


def _add_what(parser: argparse.ArgumentParser) -> None:
    """Which encoders on which tasks, under which protocol."""
    parser.add_argument(
        "--encoder", nargs="+", action="extend", required=True, metavar="NAME",
        help="names (see `list encoders`), path/to/file.py:ClassName, hf:ID_OR_FOLDER, hear:MODULE "
        "or torchaudio:BUNDLE; with arguments where a class has any: "
        "'FILE.py:CLASS(ckpt=runs/10k.pt, layer=6)'; {1,6} or {runs/*.pt} as a value: one encoder "
        "for each",
    )  # fmt: skip
    parser.add_argument(
        "--name", type=column_name, metavar="NAME",
        help="name of the encoder's column (default: its own)",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="DIR",
        help="folder with a local copy of the encoder's model, or the file of its weights "
        "(default: fetched once)",
    )  # fmt: skip
    parser.add_argument(
        "--layer", type=layer, metavar="N",
        help="score hidden layer N (from 0) instead of the output; `all`: each layer",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", nargs="+", action="extend", metavar="TASK",
        help="names (see `list tasks`), `all`, speech, sound, music, or task files "
        "(default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--protocol", default="strict", metavar="NAME",
        help="how embeddings become scores: strict (the default), or xares-0.1.3, which published "
        "numbers were made with, faults included (see `list protocols`)",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", type=positive, metavar="N",
        help="train every probe N times (default: strict 5, xares-0.1.3 1)",
    )  # fmt: skip
    parser.add_argument(
        "--language-model", metavar="DIR",
        help="xares-0.1.3 only: what spells LibriSpeech-100h, as a folder or a name on the hub "
        "(default: Qwen/Qwen2.5-0.5B)",
    )  # fmt: skip
    parser.add_argument(
        "--failed-share", type=share, metavar="SHARE",
        help="share of a task's clips that may fail before the task has (default: 0.01)",
    )  # fmt: skip


def _add_beside(parser: argparse.ArgumentParser) -> None:
    """What is measured beside the scores."""
    parser.add_argument(
        "--shots", type=shots, metavar="K,K,...",
        help="label efficiency besides: the linear probe on 10 draws of K clips a class, as in "
        "--shots 8,32,128,all; all: the score itself. Only of strict, and of tasks whose clips "
        "have classes",
    )  # fmt: skip
    parser.add_argument(
        "--readout", dest="readouts", nargs="+", action="extend",
        choices=(*READOUTS, EVERY, *WINDOWS, EVERY_WINDOW), metavar="NAME",
        help="statistics over a clip's frames that the linear probe sees besides the mean, and the "
        f"best of them by validation: {', '.join(READOUTS)}, {EVERY}; of events, notes and "
        "transcripts so many frames on either side of each, likewise, a training each: "
        f"{', '.join(WINDOWS[1:])}, {EVERY_WINDOW}. Of strict",
    )  # fmt: skip
    parser.add_argument(
        "--control", nargs="*", action="extend", choices=CONTROLS, metavar="KIND",
        help="score each encoder's controls too: permuted (the default; its weights permuted, as "
        "NAME:permuted does), labels (probes taught shuffled labels)",
    )  # fmt: skip


def _add_where(parser: argparse.ArgumentParser) -> None:
    """Where data, results and embeddings lie, and how the run goes about it."""
    parser.add_argument(
        "--data", metavar="DIR",
        help="folder with the tasks' folders of shards, or `synthetic` for audio made by "
        "procedure (default: $EARMARK_DATA, else data)",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, default=Path("results/runs"), metavar="DIR",
        help="folder for result files (default: results/runs)",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="folder for embeddings and synthetic audio (default: $EARMARK_CACHE, else "
        "~/.cache/earmark)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="at most N clips of each split or fold"
    )
    parser.add_argument(
        "--device", type=device, default="auto", metavar="NAME",
        help="cpu, cuda, cuda:1 (the second GPU) or mps (default: auto: cuda where it is there)",
    )  # fmt: skip
    parser.add_argument(
        "--batch-seconds",
        type=seconds,
        metavar="S",
        help="audio in one batch (default: 120, on a GPU 320)",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="threads that decode (default: cores, up to 8)",
    )
    add_cost(parser)
    parser.add_argument("--force", action="store_true", help="compute again what is there already")
    parser.add_argument(
        "--no-download", action="store_true",
        help="fetch no data: tasks whose shards are not there fail (default: they are fetched "
        "from Zenodo first)",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true",
        help="say what would be done: bytes to fetch, clips, hours; do nothing",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    # torch takes a second or two to import; `--help` need not wait for it
    from earmark.benchmark.cli.fetch_first import fetch_lacking, plan_lacking
    from earmark.benchmark.cli.folders import check_data, check_results, may_be_made
    from earmark.benchmark.evaluation.plan import print_plan
    from earmark.benchmark.evaluation.run import evaluate
    from earmark.benchmark.identity.chosen import encoder_texts
    from earmark.benchmark.result.schema import FAILED
    from earmark.encoders import EncoderError, group_names, load_encoders, with_layer
    from earmark.tasks import TaskError, select_tasks

    settings = _settings(arguments)
    ask = not arguments.no_download
    try:
        specs = select_tasks(arguments.tasks or ["all"])
        chosen = named(arguments.encoder, arguments.name)
        names = [with_layer(one, arguments.layer) for one in encoder_texts(chosen)]
        group_names(names, arguments.weights)
        if arguments.dry_run:
            to_fetch = plan_lacking(specs, settings, ask=ask)
            loaded = load_encoders(names, weights=arguments.weights)
            complete = print_plan(loaded, specs, settings, sys.stdout, to_fetch)
            return ALL_DONE if complete else NOT_ALL_DONE
        check_results(settings)
        _say_not_applicable(specs, settings)
        if not (ask and may_be_made(arguments.data, specs)):
            check_data(settings)
        not_fetched = fetch_lacking(specs, settings, ask=ask)
        check_data(settings, not_fetched)
        settings = dataclasses.replace(settings, not_fetched=not_fetched)
        begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        results = evaluate(
            chosen,
            specs,
            weights=arguments.weights,
            layer=arguments.layer,
            on_result=lambda result: _announce(result, begun),
            **vars(settings),
        )
    except (TaskError, EncoderError) as error:
        raise CannotStartError(str(error)) from error
    status = NOT_ALL_DONE if any(result.status == FAILED for result in results) else ALL_DONE
    arguments.when_cut_off = status  # by now only the table can go unread
    _show(results, settings, arguments.cost)
    return status


def _settings(arguments: argparse.Namespace) -> RunSettings:
    from earmark.benchmark.protocol import ProtocolError, protocol_named
    from earmark.benchmark.settings import RunSettings

    given: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in (
            "data",
            "results",
            "cache",
            "limit",
            "batch_seconds",
            "workers",
            "shots",
            "readouts",
        )
        if getattr(arguments, name) is not None
    }
    changes = {
        name: getattr(arguments, name)
        for name in ("seeds", "failed_share", "language_model")
        if getattr(arguments, name) is not None
    }
    try:
        protocol = dataclasses.replace(protocol_named(arguments.protocol), **changes)
    except ProtocolError as error:
        raise CannotStartError(str(error)) from error
    if arguments.language_model is not None and protocol.transcripts == "ctc":
        raise CannotStartError(
            f"--language-model: protocol {protocol.name} spells without one; give --protocol "
            "xares-0.1.3 too"
        )
    for option, asked in (("--shots", arguments.shots), ("--readout", arguments.readouts)):
        if asked and protocol.linear_probe != "logistic regression":
            raise CannotStartError(
                f"{option}: of logistic regression, which protocol {protocol.name} does not train; "
                f"omit {option} or --protocol"
            )
    if arguments.control is not None:
        given["control"] = tuple(arguments.control) or (PERMUTED,)
    return RunSettings(**given, protocol=protocol, device=arguments.device, force=arguments.force)


def _say_not_applicable(specs: list[TaskSpec], settings: RunSettings) -> None:
    from earmark.benchmark.evaluation.additions import has_windows
    from earmark.benchmark.shots import METRICS

    clips = [spec.name for spec in specs if spec.metric not in METRICS]
    frames = [spec.name for spec in specs if not has_windows(spec)]
    for option, asked, others, why in (
        ("--shots", settings.shots, clips, "no classes of clips"),
        ("--readout", clip_readouts(settings.readouts), clips, "no classes of clips"),
        ("--readout windows", windows_of(settings.readouts), frames, "not scored by frames"),
    ):
        if asked and others:
            print(f"{option}: not applicable to {', '.join(others)}: {why}", file=sys.stderr)


def _announce(result: RunResult, begun: str) -> None:
    """One line as a cell is there. begun: when this run was started, as results write it."""
    from earmark.benchmark.io.progress import format_duration
    from earmark.benchmark.result.schema import FAILED, NOT_APPLICABLE

    who = f"{result.encoder.name} · {result.task.name}"
    if result.status == FAILED:
        print(f"failed  {who}: {result.error}", file=sys.stderr, flush=True)
        return
    if result.status == NOT_APPLICABLE:
        print(f"no task {who}: not applicable: {result.error}", file=sys.stderr, flush=True)
        return
    shown = ", ".join(
        f"{probe} {score.metric} {rounded(score.value)}" for probe, score in result.scores.items()
    )
    run = result.run
    is_new = run.seconds is not None and (run.started or "") >= begun
    spent = format_duration(run.seconds or 0.0) if is_new else "as before"
    print(f"done    {who}: {shown} ({spent})", file=sys.stderr, flush=True)


def _show(results: list[RunResult], settings: RunSettings, cost: list[str] | None) -> None:
    """The tables of all results, of its kind, as files; the run's table on the terminal.

    cost: which costs of the encoders are shown with them; None: none.
    """
    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.io.files import write_atomically
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.leaderboard.board import Leaderboard
    from earmark.benchmark.leaderboard.formats import FORMATS
    from earmark.benchmark.leaderboard.to_terminal import to_terminal
    from earmark.tasks import builtin_tasks

    names = []
    for synthetic in sorted({result.synthetic for result in results}):
        board, _ = Leaderboard.from_folder(
            settings.results,
            builtin_tasks().values(),
            synthetic=synthetic,
            cache=settings.cache,
            track=Progress,
        )
        board = board if cost is None else board.with_cost(cost)
        mark = ".synthetic" if synthetic else ""
        for name, suffix in (("markdown", "md"), ("csv", "csv")):
            path = settings.results / f"leaderboard{mark}.{suffix}"
            write_atomically(path, FORMATS[name](board).encode())
            names.append(str(path))
    print(file=sys.stderr)
    shown = Leaderboard(results, cache=settings.cache)
    to_terminal(shown if cost is None else shown.with_cost(cost), Terminal())
    print(f"Results under {settings.results}; tables of all: {', '.join(names)}", file=sys.stderr)
