"""Train: from a config and audio to a checkpoint. The Python face of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import Timeout

from earmark.benchmark.io.fields import plain
from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.io.progress import Progress, ProgressFactory, no_progress
from earmark.benchmark.io.sealed import locked
from earmark.benchmark.result import provenance
from earmark.benchmark.training.corpus import make_corpus
from earmark.encoders.dasheng.config import SAMPLE_RATE
from earmark.encoders.dasheng.training import (
    Corpus,
    InjectionTraining,
    SemanticTraining,
    Trained,
    TrainingError,
    read_training,
)
from earmark.encoders.dasheng.training import train as train_stage
from earmark.encoders.dasheng.training.processes import is_first
from earmark.encoders.dasheng.training.semantic_source import find_semantic
from earmark.encoders.device import choose_device

RUN_FILE = "training/run.json"
CURVES_FILE = "training/curves.png"


def train(
    config: str | Path,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    semantic: str | Path | None = None,
    latent: str | None = None,
    held_out: str | Path | Sequence[str | Path] = (),
    limit: int | None = None,
    device: str = "auto",
    cache: Path | None = None,
    fresh: bool = False,
    command: str = "",
    track: ProgressFactory = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train one stage of DashengTokenizer; a training that was interrupted resumes where it was.

    Args:
        config: The stage's YAML file.
        data: Folders of audio or shards, single shards, manifests, or the word `synthetic`.
        out: Folder for the checkpoint, with `training/` beside it: losses and curves, state, and
            `run.json`, which says what was done with what.
        semantic: The frozen encoder's checkpoint, in place of the config's.
        latent: What is decoded (`unified`, `semantic`, `acoustic`), in place of the config's.
        held_out: Audio that losses are measured on, as `data`.
        limit: At most so many clips of each place.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        cache: Folder for the audio made ready. Default: $EARMARK_CACHE, else `~/.cache/earmark`.
        fresh: Begin anew, whatever state there is.
        command: What `run.json` keeps as the command that was given.
        track: Makes the Progress.
        tell: Called with a line for what is left out.

    Returns:
        The checkpoint's place, the losses, and the steps taken now, with their speed.

    Raises:
        TrainingError: For a config, checkpoint or state that cannot be, or does not fit.
        DataError: For audio that is not there or cannot be read.
        ShardError: For a shard that cannot be read.

    Example:
        >>> import earmark
        >>> earmark.train(
        ...     "injection.yaml", ["my_recordings"], "out", semantic="dasheng_base.pt"
        ... )  # doctest: +SKIP
    """
    settings, encoder = read_settings(config, semantic, latent)
    left_out: list[str] = []

    def leave_out(line: str) -> None:
        left_out.append(line)
        tell(line)

    corpus = _corpus(data, limit, cache, track, leave_out)
    aside = _corpus(held_out, limit, cache, track, leave_out) if held_out else None
    where = choose_device(device)
    started = time.time()
    with track("training", settings.steps, "steps") as progress, _alone(Path(out)):
        trained = train_stage(
            settings, corpus, Path(out), semantic=encoder, held_out=aside, device=where,
            fresh=fresh, on_step=_shown_steps(progress, settings.steps),
        )  # fmt: skip
    # a training that was finished before keeps the record of when it was not
    if is_first() and (trained.steps or not (Path(out) / RUN_FILE).exists()):
        run = {
            "command": command,
            "config": _facts(settings),
            "audio": {name: round(hours, 4) for name, hours in hours_of(corpus).items()},
            "audio_digest": corpus.digest,
            "left_out": left_out,
            "steps_now": trained.steps,
            "clips_per_second": round(trained.clips_per_second, 2),
            "versions": provenance.versions(),
            "run": plain(provenance.run_info(started, where)),
        }
        text = json.dumps(run, indent=2, ensure_ascii=False) + "\n"
        write_atomically(Path(out) / RUN_FILE, text.encode())
        if not trained.history.draw(Path(out) / CURVES_FILE):
            tell("no curves drawn: they need matplotlib (pip install -e '.[reconstruction]')")
    return trained


def _shown_steps(progress: Progress, steps: int) -> Callable[[int, dict[str, float]], None]:
    """What shows each step of a training of so many."""

    def on_step(step: int, losses: dict[str, float]) -> None:
        shown = [f"{name} {losses[name]:.3f}" for name in _SHOWN if name in losses]
        if not progress.done:
            progress.resume(step - 1)
        progress.show(f"{', '.join(shown)}, {losses['clips_per_second']:.1f} clips/s")
        progress.to(step, steps)

    return on_step


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Nobody else may train into a folder meanwhile. Raises TrainingError where one does."""
    if not is_first():  # of several processes that train together one stands for all
        yield
        return
    try:
        with locked(out.resolve(), wait_s=0):
            yield
    except Timeout as error:
        raise TrainingError(
            f"another training writes into {out}; wait for it, or choose another --out"
        ) from error


def read_settings(
    config: str | Path, semantic: str | Path | None = None, latent: str | None = None
) -> tuple[SemanticTraining | InjectionTraining, Path | None]:
    """What a config's file says, or these two in its place, and the frozen encoder's checkpoint.

    Raises TrainingError for a file that cannot be, and for an encoder that is wanted and not there
    or there and not wanted.
    """
    settings = read_training(Path(config))
    if isinstance(settings, SemanticTraining):
        if semantic is not None or latent is not None:
            raise TrainingError(
                f"{config} trains a semantic encoder: --semantic and --latent are for a config of "
                "stage injection"
            )
        return settings, None
    if semantic is None and settings.semantic:
        semantic = Path(config).parent / settings.semantic
    encoder = find_semantic(None if semantic is None else Path(semantic))
    return dataclasses.replace(settings, latent=latent or settings.latent), encoder


_SHOWN = ("masked", "mel", "semantic", "adversarial", "feature_matching", "discriminator")


def hours_of(corpus: Corpus) -> dict[str, float]:
    """Hours of audio of each data set."""
    lengths = corpus.offsets[1:] - corpus.offsets[:-1]
    return {
        name: float(lengths[corpus.groups == number].sum()) / SAMPLE_RATE / 3600
        for number, name in enumerate(corpus.names)
    }


def _corpus(
    places: str | Path | Sequence[str | Path],
    limit: int | None,
    cache: Path | None,
    track: ProgressFactory,
    tell: Callable[[str], None],
) -> Corpus:
    several = [places] if isinstance(places, str | Path) else list(places)
    return make_corpus(several, cache=cache, limit=limit, track=track, tell=tell)


def _facts(settings: SemanticTraining | InjectionTraining) -> dict[str, Any]:
    stage = "semantic" if isinstance(settings, SemanticTraining) else "injection"
    return {"stage": stage} | dataclasses.asdict(settings)
