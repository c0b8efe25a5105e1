"""Train: from a config and audio to a checkpoint. The Python face of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from filelock import Timeout

from earmark.benchmark.io.fields import plain
from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.io.progress import Progress, ProgressFactory, no_progress
from earmark.benchmark.io.sealed import locked
from earmark.benchmark.result import provenance
from earmark.benchmark.training.corpus import make_corpus
from earmark.benchmark.training.frozen import FrozenEncoder
from earmark.encoders import EncoderError
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
from earmark.encoders.registry import find_encoder, load_encoder

RUN_FILE = "training/run.json"
CURVES_FILE = "training/curves.png"


def train(
    config: str | Path,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    semantic: str | Path | None = None,
    latent: str | None = None,
    seed: int | None = None,
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
        semantic: The frozen encoder, in place of the config's: a checkpoint of Dasheng's kind, or
            any encoder of frames by its name, as `evaluate` takes it.
        latent: What is decoded (`unified`, `semantic`, `acoustic`), in place of the config's.
        seed: Of weights and crops, in place of the config's.
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
    settings, found = read_settings(config, semantic, latent, seed)
    where = choose_device(device)
    encoder, sample_rate = _frozen(settings, found, where, cache, track, tell)
    left_out: list[str] = []

    def leave_out(line: str) -> None:
        left_out.append(line)
        tell(line)

    read = partial(
        make_corpus, cache=cache, limit=limit, sample_rate=sample_rate, track=track, tell=leave_out
    )
    corpus = read(_places(data))
    aside = read(_places(held_out)) if held_out else None
    started = time.time()
    if isinstance(encoder, FrozenEncoder):  # its frames, before a training's progress is shown
        for audio in (corpus, aside):
            if audio is not None:
                encoder.prepare(audio)
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
    config: str | Path,
    semantic: str | Path | None = None,
    latent: str | None = None,
    seed: int | None = None,
) -> tuple[SemanticTraining | InjectionTraining, Path | str | None]:
    """What a config's file says, or these in its place, and the frozen encoder.

    That is a checkpoint of Dasheng's kind, or the name of another encoder.

    Raises TrainingError for a file that cannot be, and for an encoder that is wanted and not there
    or there and not wanted.
    """
    settings = read_training(Path(config))
    if seed is not None:
        settings = dataclasses.replace(settings, seed=seed)
    if isinstance(settings, SemanticTraining):
        if semantic is not None or latent is not None:
            raise TrainingError(
                f"{config} trains a semantic encoder: --semantic and --latent are for a config of "
                "stage injection"
            )
        return settings, None
    settings = dataclasses.replace(settings, latent=latent or settings.latent)
    if semantic is None and settings.semantic:
        beside = Path(config).parent / settings.semantic
        semantic = beside if beside.exists() else settings.semantic
    if isinstance(semantic, str) and not Path(semantic).exists() and is_encoder(semantic):
        return settings, semantic
    return settings, find_semantic(None if semantic is None else Path(semantic))


def is_encoder(name: str) -> bool:
    """Whether a name is an encoder's, and no path's.

    Raises TrainingError where it can be nothing else and is not known.
    """
    if looks_like_path(name):
        return False
    try:
        find_encoder(name)
    except EncoderError as error:
        raise TrainingError(
            f"no semantic encoder {name!r}: there is no such file or folder, and no such encoder: "
            f"{error}"
        ) from error
    return True


def looks_like_path(name: str) -> bool:
    """Whether a name can only be a file's or a folder's: it holds a separator and no colon."""
    return ":" not in name and (os.sep in name or name.endswith(".pt"))


def lasting_name(name: str) -> str:
    """An encoder's name by which it is found from any folder."""
    path, colon, rest = name.partition(".py")
    return f"{Path(path + colon).resolve()}{rest}" if colon else name


_SHOWN = ("masked", "mel", "semantic", "adversarial", "feature_matching", "discriminator")


def hours_of(corpus: Corpus) -> dict[str, float]:
    """Hours of audio of each data set."""
    lengths = corpus.offsets[1:] - corpus.offsets[:-1]
    return {
        name: float(lengths[corpus.groups == number].sum()) / corpus.sample_rate / 3600
        for number, name in enumerate(corpus.names)
    }


def _places(places: str | Path | Sequence[str | Path]) -> list[str | Path]:
    return [places] if isinstance(places, str | Path) else list(places)


def _frozen(
    settings: SemanticTraining | InjectionTraining,
    found: Path | str | None,
    device: str,
    cache: Path | None,
    track: ProgressFactory,
    tell: Callable[[str], None],
) -> tuple[Path | FrozenEncoder | None, int]:
    """The frozen encoder, and the sample rate of the audio that it is trained on."""
    if not isinstance(found, str):
        return found, SAMPLE_RATE
    assert isinstance(settings, InjectionTraining)
    frozen = FrozenEncoder(
        load_encoder(found), lasting_name(found), settings, device=device, cache=cache,
        track=track, tell=tell,
    )  # fmt: skip
    return frozen, frozen.geometry.sample_rate


def _facts(settings: SemanticTraining | InjectionTraining) -> dict[str, Any]:
    stage = "semantic" if isinstance(settings, SemanticTraining) else "injection"
    return {"stage": stage} | dataclasses.asdict(settings)
