"""`ablation`: semantic, acoustic and unified latent, trained and measured."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from earmark.benchmark.cli.arguments import device, natural, positive
from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError

_EXAMPLES = """\
examples:
  python run_bench.py ablation --out out --threads 1 \\
      --data ../shared/data/librispeech/train-clean-100-000000.tar ../shared/data/esc50 synthetic \\
      --held-out ../shared/data/librispeech/dev-clean-000000.tar \\
      --test ../shared/data/librispeech/test-clean-000000.tar \\
      --tasks tests/data/fsdd.yaml --task-data ../shared/data
  (injection into other encoders, two trainings of each latent; INTO.yaml: as
  encoders/injection/small.yaml)
  python run_bench.py ablation --into resemblyzer musicnn dasheng-tiny:semantic \
      --config INTO.yaml --seeds 1 2 --out out --data my_recordings --test my_test_recordings \
      --tasks esc50 --task-data ../shared/data --twins

exit status: 0 all done, 2 cannot start, 3 some tasks or data sets not done
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "ablation",
        help="train and measure semantic, acoustic and unified latent",
        description="The paper's ablation: the semantic path alone, the acoustic path alone and\n"
        "their sum, each with a decoder trained for it; probed on the synthetic twins and on\n"
        "tasks of real audio, and decoded. With --into: the same on other frozen encoders, with\n"
        "what injection costs and gains in each. What is there already is not done again, and an\n"
        "interrupted training is resumed. On two cores dasheng-tiny's takes hours.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, metavar="DIR",
        help="folder with encoder.yaml and injection.yaml (default: those of dasheng-tiny); with "
        "--into the injection's file (default: encoders/injection/small.yaml)",
    )  # fmt: skip
    _add_into(parser)
    places: dict[str, Any] = {"nargs": "+", "action": "extend", "metavar": "PLACE"}
    parser.add_argument("--data", required=True, help="audio to train on, as of `train`", **places)
    parser.add_argument(
        "--test", required=True, help="audio to encode, decode and measure", **places
    )
    parser.add_argument(
        "--held-out", default=[], help="audio for losses that are never trained on", **places
    )
    parser.add_argument(
        "--tasks", nargs="+", default=[], metavar="TASK", help="tasks on real audio to probe on"
    )
    parser.add_argument(
        "--task-data", type=Path, metavar="DIR", help="folder of these tasks' shards"
    )
    parser.add_argument(
        "--twins", nargs="*", default=["all"], metavar="TASK",
        help="synthetic twins to probe on (default: all 22; nothing after it: none)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="folder for checkpoints, result files and the table",
    )  # fmt: skip
    parser.add_argument(
        "--source-key", metavar="REGEX", help="of the test audio, as of `reconstruct`"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="for a trial: N clips of each")
    parser.add_argument(
        "--device", type=device, default="auto", metavar="NAME",
        help="cpu, cuda, cuda:1 (the second GPU) or mps (default: auto: cuda where it is there)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=positive, metavar="N",
        help="of torch on the CPU; others give other last digits (default: torch's choice)",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="folder for audio and embeddings (default: $EARMARK_CACHE, else ~/.cache/earmark)",
    )  # fmt: skip
    parser.set_defaults(function=run, when_cut_off=NOT_ALL_DONE)


def _add_into(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--into", nargs="+", default=[], metavar="ENCODER",
        help="frozen encoders of frames, by name, to inject into; none is trained before",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", nargs="+", type=natural, metavar="N",
        help="with --into: a training of each latent for each seed (default: 1 2)",
    )  # fmt: skip
    parser.add_argument(
        "--readout", nargs="+", default=[], metavar="NAME", help="with --into: as of `run`"
    )
    parser.add_argument(
        "--baseline", nargs="+", default=[], metavar="CODEC",
        help="with --into: codecs that are measured on the same test audio",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    import torch

    from earmark.benchmark.io.files import write_atomically
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.shards.dataset import DataError
    from earmark.benchmark.shards.shard import ShardError
    from earmark.benchmark.training.ablation import AblationPlan, ablate, table_of, to_markdown
    from earmark.encoders import EncoderError
    from earmark.encoders.dasheng import TINY_FOLDER
    from earmark.tasks import TaskError

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    if arguments.into:
        return _run_into(arguments)
    if arguments.seeds or arguments.readout or arguments.baseline:
        raise CannotStartError("--seeds, --readout and --baseline are for --into")
    plan = AblationPlan(
        configs=arguments.config or TINY_FOLDER, data=arguments.data, test=arguments.test,
        out=arguments.out,
        held_out=arguments.held_out, tasks=arguments.tasks, task_data=arguments.task_data,
        twins=arguments.twins, device=arguments.device, cache=arguments.cache,
        limit=arguments.limit, source_key=arguments.source_key,
    )  # fmt: skip
    try:
        rows = ablate(plan, track=Progress, tell=lambda line: print(line, file=sys.stderr))
    except (DataError, ShardError, EncoderError, TaskError, ValueError) as error:
        raise CannotStartError(str(error)) from error
    shown = to_markdown(rows)
    write_atomically(arguments.out / "ablation.md", shown.encode())
    write_atomically(arguments.out / "ablation.csv", table_of(rows).to_csv().encode())
    print(shown, end="")
    for row in rows:
        for fault in row.faults:
            print(f"failed  {row.name} · {fault}", file=sys.stderr)
    return NOT_ALL_DONE if any(row.faults for row in rows) else ALL_DONE


def _run_into(arguments: argparse.Namespace) -> int:
    from earmark.benchmark.io.files import write_atomically
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.shards.dataset import DataError
    from earmark.benchmark.shards.shard import ShardError
    from earmark.benchmark.training.injection_report import draw, to_markdown
    from earmark.benchmark.training.injection_study import InjectionPlan, study_injection
    from earmark.encoders import EncoderError
    from earmark.encoders.injection import SMALL_CONFIG
    from earmark.tasks import TaskError

    plan = InjectionPlan(
        encoders=arguments.into, config=arguments.config or SMALL_CONFIG, data=arguments.data,
        test=arguments.test, out=arguments.out, held_out=arguments.held_out,
        tasks=arguments.tasks, task_data=arguments.task_data, twins=arguments.twins,
        seeds=tuple(arguments.seeds or (1, 2)), baselines=arguments.baseline,
        readouts=arguments.readout, device=arguments.device, cache=arguments.cache,
        limit=arguments.limit, source_key=arguments.source_key,
    )  # fmt: skip
    try:
        study = study_injection(plan, track=Progress, tell=_tell)
    except (DataError, ShardError, EncoderError, TaskError, ValueError) as error:
        raise CannotStartError(str(error)) from error
    shown = to_markdown(study)
    write_atomically(arguments.out / "injection.md", shown.encode())
    if not draw(study, arguments.out / "injection.png"):
        _tell("no figure drawn: it needs matplotlib (pip install -e '.[reconstruction]')")
    print(shown, end="")
    return NOT_ALL_DONE if study.faults else ALL_DONE


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
