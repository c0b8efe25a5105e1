"""`train`: a semantic encoder, then acoustic injection on it."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from earmark.benchmark.cli.arguments import device, natural, positive
from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError

_EXAMPLES = """\
examples:
  (encoder.yaml, injection.yaml: those of encoders/dasheng/tiny without their lines `shares`)
  python run_bench.py train --config encoder.yaml --data my_recordings --out out/encoder
  python run_bench.py train --config injection.yaml --data my_recordings \\
      --semantic out/encoder --out out/unified
  python run_bench.py train --config injection.yaml --data shards --out out \\
      --semantic dasheng_base.pt
  torchrun --nproc_per_node 8 run_bench.py train --config injection.yaml --data shards \\
      --semantic out/encoder --out out/unified
  python run_bench.py --encoder dasheng --weights out/unified --tasks all --data synthetic

exit status: 0 done, 2 cannot start
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train DashengTokenizer's stages on your audio",
        description="Train DashengTokenizer: a semantic encoder by masked autoencoding, or\n"
        "acoustic projection, upsampler and decoder on a frozen one. The checkpoint is in\n"
        "the released layout. An interrupted training is taken up by the same command, to\n"
        "the same losses.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE",
        help="sizes, losses and schedule (YAML); see encoders/dasheng/tiny/",
    )  # fmt: skip
    parser.add_argument(
        "--data", nargs="+", action="extend", required=True, metavar="PLACE",
        help="folders of audio files or of shards, single shards, manifests (.csv), or `synthetic` "
        "(made by the twins' recipes from a seed of its own)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="folder for the checkpoint; training/ in it holds state, losses and curves",
    )  # fmt: skip
    parser.add_argument(
        "--semantic", metavar="ENCODER",
        help="the frozen encoder: a Dasheng .pt file, or a folder of stage semantic, of "
        "DashengTokenizer or of MiDashengLM; or any encoder of frames by its name, as --encoder "
        "takes it (default: as the config says)",
    )  # fmt: skip
    parser.add_argument(
        "--latent", choices=("unified", "semantic", "acoustic"),
        help="what the decoder is trained on: the sum, or one path alone (default: as the config "
        "says)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=natural, metavar="N",
        help="of weights and crops (default: as the config says)",
    )  # fmt: skip
    parser.add_argument(
        "--held-out", nargs="+", action="extend", default=[], metavar="PLACE",
        help="audio whose losses are measured and never trained on",
    )  # fmt: skip
    parser.add_argument("--limit", type=positive, metavar="N", help="at most N clips of each place")
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
        help="folder for decoded audio (default: $EARMARK_CACHE, else ~/.cache/earmark)",
    )  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever state is there")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be trained on what, and stop"
    )
    parser.set_defaults(function=run, when_cut_off=NOT_ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    import torch

    from earmark.benchmark.io.progress import Progress, no_progress
    from earmark.benchmark.shards.dataset import DataError
    from earmark.benchmark.shards.shard import ShardError
    from earmark.benchmark.training.run import CURVES_FILE, train
    from earmark.encoders import EncoderError
    from earmark.encoders.dasheng.training.processes import is_first

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    try:
        if arguments.dry_run:
            return _plan(arguments)
        trained = train(
            arguments.config, arguments.data, arguments.out, semantic=arguments.semantic,
            latent=arguments.latent, seed=arguments.seed, held_out=arguments.held_out,
            limit=arguments.limit, device=arguments.device, cache=arguments.cache,
            fresh=arguments.fresh,
            command=shlex.join(["python", "run_bench.py", *arguments.words]),
            track=Progress if is_first() else no_progress,
            tell=_tell if is_first() else lambda line: None,
        )  # fmt: skip
    except (DataError, ShardError, EncoderError) as error:
        raise CannotStartError(str(error)) from error
    if is_first():
        _tell(f"{trained.steps} steps at {trained.clips_per_second:.1f} clips/s")
        _tell(f"curves: {arguments.out / CURVES_FILE}")
        print(trained.checkpoint)
    return ALL_DONE


def _plan(arguments: argparse.Namespace) -> int:
    """Read everything but train nothing."""
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.training.corpus import make_corpus
    from earmark.benchmark.training.frozen import FrozenEncoder
    from earmark.benchmark.training.run import hours_of, read_settings
    from earmark.encoders import load_encoder
    from earmark.encoders.dasheng.config import SAMPLE_RATE
    from earmark.encoders.dasheng.training import InjectionTraining
    from earmark.encoders.dasheng.training.semantic_source import load_semantic

    config, found = read_settings(arguments.config, arguments.semantic, arguments.latent)
    frozen = None
    if isinstance(config, InjectionTraining) and isinstance(found, str):
        frozen = FrozenEncoder(load_encoder(found), found, config, cache=arguments.cache)
    elif isinstance(config, InjectionTraining) and isinstance(found, Path):
        config.model.with_semantic(load_semantic(found)[1])
    corpus = make_corpus(
        arguments.data, cache=arguments.cache, limit=arguments.limit, track=Progress, tell=_tell,
        sample_rate=frozen.geometry.sample_rate if frozen else SAMPLE_RATE,
    )  # fmt: skip
    corpus.weights(config.shares)
    for name, hours in hours_of(corpus).items():
        print(f"{name}: {hours:.2f} h of audio")
    if frozen is not None:
        size = frozen.geometry
        print(
            f"{found}: {size.frame_rate:g} frames a second x {size.embed_dim}, "
            f"{frozen.bytes_of(corpus) / 1e9:.2f} GB for its frames; decoder: hop "
            f"{size.istft_hop}, {size.upsample_tokens or 'interpolated'} decoder frames a frame"
        )
    heard = config.steps * config.batch * config.crop_seconds / 3600
    print(
        f"{config.steps} steps of {config.batch} crops of {config.crop_seconds:g} s: {heard:.1f} h "
        f"heard, into {arguments.out}"
    )
    return ALL_DONE


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
