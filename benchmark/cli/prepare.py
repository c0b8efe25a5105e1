"""`prepare`: shards from a data set's own files."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError

if TYPE_CHECKING:
    from earmark.benchmark.prepare.run import Prepared

_EPILOG = """\
tasks with a recipe:{official}
with a division of Earmark's own, so under a name of its own:{own}

examples:
  python run_bench.py prepare esc50 --from ESC-50-master --data data
  python run_bench.py prepare ravdess --from Audio_Speech_Actors_01-24 --data data
  python run_bench.py prepare my_task --from recordings --manifest clips.csv --domain speech

a table (--manifest) is a CSV whose first line names its columns:
  path,label,split,source         path: below --from; split: train, valid or test
  dogs/rex 1.wav,bark,train,rex   source (may be left out): who or what a clip comes from
in place of `split` a column `fold` with any names, in place of `label` a column `labels` with
several, joined by ;  with onset,offset or start,end (seconds) each row is an event.
columns of other names: --columns label=digit,source=speaker_id,microphone takes the first two for
label and source and keeps microphone in the clips' JSON; * keeps all others

exit status: 0 all clips are packed, 2 cannot start, 3 some are not there or cannot be decoded
"""
_NAMED = 5  # clips that are not usable, of all; the record holds the rest


def add_parser(commands: Any) -> None:
    from earmark.benchmark.prepare.recipes import RECIPES

    names = {
        own: textwrap.fill(
            ", ".join(name for name, recipe in RECIPES.items() if recipe.own == own),
            width=94, initial_indent="\n  ", subsequent_indent="  ",
        )
        for own in (False, True)
    }  # fmt: skip
    parser = commands.add_parser(
        "prepare",
        help="make a task's shards from the data set's own files",
        description="Pack a data set, as its publishers lay it out, or files of your own into the "
        "shards that a task reads. Audio is copied as it is. Nothing is unpacked or fetched. The "
        "same command takes up an interrupted one; where all is done it changes nothing.",
        epilog=_EPILOG.format(official=names[False], own=names[True]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "task", metavar="TASK", help="a task with a recipe (see below), or your own task's name"
    )
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, metavar="DIR",
        help="the data set's folder, unpacked",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="DIR",
        help="where the task's folder of shards goes (default: $EARMARK_DATA, else data)",
    )  # fmt: skip
    parser.add_argument(
        "--manifest", type=Path, metavar="CSV", help="a table of your own files; see below"
    )
    parser.add_argument(
        "--columns", default="", metavar="NAME=COLUMN,...",
        help="with --manifest: what the table's columns are; see below",
    )  # fmt: skip
    parser.add_argument(
        "--domain", choices=("speech", "sound", "music"), default="sound",
        help="with --manifest: what the task is counted under (default: sound)",
    )  # fmt: skip
    parser.set_defaults(function=run, when_cut_off=NOT_ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.paths import default_data
    from earmark.benchmark.prepare.run import LayoutError, PackingError, prepare, prepare_manifest
    from earmark.tasks import TaskError

    data = Path(arguments.data or default_data())
    try:
        with Progress(f"{arguments.task}: packing", 0, "MB") as bar:

            def report(done: int, total: int) -> None:
                bar.to(done // 1_000_000, total // 1_000_000)

            if arguments.manifest is None:
                if arguments.columns:
                    raise LayoutError("--columns is for a table; give it with --manifest")
                done = prepare(arguments.task, arguments.source, data, report=report)
            else:
                done = prepare_manifest(
                    arguments.task, arguments.source, arguments.manifest, data,
                    domain=arguments.domain, columns=arguments.columns, report=report,
                )  # fmt: skip
    except (LayoutError, PackingError, TaskError) as error:
        raise CannotStartError(str(error)) from error
    status = NOT_ALL_DONE if done.packed.faults else ALL_DONE
    arguments.when_cut_off = status
    _show(done, data)
    return status


def _show(done: Prepared, data: Path) -> None:
    from earmark.benchmark.prepare.packing import RECORD

    packed, part = done.packed, "fold" if done.spec.folds else "split"
    print(f"{done.spec.name}: {sum(packed.clips.values())} clips; {part}s: {done.split}")
    for name, count in packed.clips.items():
        print(f"  {part} {name:<8} {count:>7} clips")
    print(
        f"{len(packed.written)} shards written, {len(packed.kept)} there already, in "
        f"{packed.folder}"
    )
    if done.others:
        print(f"{done.others} other audio files there are no clips of this task")
    if packed.faults:
        print(
            f"{len(packed.faults)} clips cannot be used and will count as failed "
            f"(all in {packed.folder / RECORD}):"
        )
    for fault in packed.faults[:_NAMED]:
        print(f"  {part} {fault.split}: {fault.file}: {fault.reason}")
    if len(packed.faults) > _NAMED:
        print(f"  and {len(packed.faults) - _NAMED} more")
    tasks = done.spec.name if done.task_file is None else str(done.task_file)
    if done.own:
        print(
            f"The data set has no official {part}s: with these it is a task of its own, whose "
            "scores cannot be compared with published ones"
        )
    print(f"Run it: --tasks {tasks} --data {data}", file=sys.stderr)
