"""The training loop: batches in, losses out, states kept, the checkpoint at the end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from earmark.encoders.dasheng.training.config import InjectionTraining, SemanticTraining
from earmark.encoders.dasheng.training.corpus import Corpus, Sampler
from earmark.encoders.dasheng.training.history import SPEED, History
from earmark.encoders.dasheng.training.processes import Processes, processes
from earmark.encoders.dasheng.training.semantic_source import find_semantic, load_semantic
from earmark.encoders.dasheng.training.stages import Draws, InjectionStage, SemanticStage, Stage
from earmark.encoders.dasheng.training.state import read_state, write_state

HELD_OUT_BATCHES = 4
STATE_FILE = "training/state.pt"
AHEAD = 2  # batches drawn while one is computed


@dataclass(frozen=True)
class Trained:
    """checkpoint: what was made. history: the losses. steps: those taken now, not before.

    clips_per_second: crops that went through a step, over the time of the steps taken now, without
    what it took to write states and to look at held-out audio.
    """

    checkpoint: Path
    history: History
    steps: int
    clips_per_second: float


def train(
    config: SemanticTraining | InjectionTraining,
    corpus: Corpus,
    out: Path,
    *,
    semantic: Path | Frozen | None = None,
    held_out: Corpus | None = None,
    device: str = "cpu",
    fresh: bool = False,
    on_step: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
) -> Trained:
    """Train one stage to its last step; a training that was interrupted goes on where it was.

    out: folder for the checkpoint (of stage `semantic` a Dasheng `.pt` file, of `injection`
    `config.json` and `model.safetensors` as released), with `training/` beside it: losses.csv,
    held_out.csv, and state.pt, which holds all that going on needs. semantic: the frozen encoder's
    checkpoint, see `load_semantic`; or any other frozen encoder, with its frames. held_out: audio
    whose losses are written at each state, never trained on. device: `cpu`, `cuda`, `cuda:1` or
    `mps`. fresh: begin anew. on_step: called with each step's losses, in the first process.

    The same config, audio, device and number of threads give the same losses, step for step,
    however often it was interrupted. Under torchrun each process does its part of the batch; the
    losses are those of one process but for rounding.

    Raises TrainingError for a config that does not go with the audio, the checkpoint or the
    processes, for a state of another training, and for gradients that are not finite.
    """
    with processes(device) as group:
        asked, config = config, _computable(config, group.device)
        sampler = _sampler(config, semantic, corpus, config.shares)
        aside = None if held_out is None else _sampler(config, semantic, held_out, {})
        stage = _stage(config, sampler, semantic, group)
        identity = _identity(asked, corpus, stage)
        folder = out / "training"
        history = History(folder / "losses.csv", folder / "held_out.csv", stage.loss_names)
        own = group.part(stage.contexts)
        watch = _Watched(stage, history, aside, group, own)
        begun = _begin(stage, out / STATE_FILE, identity, group, fresh)
        if group.first:
            folder.mkdir(parents=True, exist_ok=True)
            history.cut(begun)
        spent, started = 0.0, time.perf_counter()
        for number, crops in _batches(sampler, begun, config.steps, own, stage.crops):
            losses = _numbers(stage.step(number, crops), group)
            seconds = time.perf_counter() - started  # with the wait for the batch
            spent += seconds
            done = number + 1
            if group.first:
                losses[SPEED] = config.batch / seconds
                history.add(done, losses)
                on_step(done, losses)
            if done % config.checkpoint_every == 0 or done == config.steps:
                watch.look(done)
                if group.first:
                    history.write()
                    write_state(out / STATE_FILE, identity, done, stage)
                group.wait()
            started = time.perf_counter()
        checkpoint = stage.export(out) if group.first else out
        group.wait()
        taken = config.steps - begun
        return Trained(checkpoint, history, taken, taken * config.batch / spent if taken else 0.0)


def _begin(
    stage: Stage, path: Path, identity: dict[str, str], group: Processes, fresh: bool
) -> int:
    """Take a stage to where its training was; returns the steps done, 0 where it begins anew."""
    if fresh and group.first:
        path.unlink(missing_ok=True)  # or a kill would bring it back
    state = None if fresh else read_state(path, identity, group)
    if state is None:
        stage.begin()
        return 0
    return state.restore(stage, path)


def _computable(
    config: SemanticTraining | InjectionTraining, device: torch.device
) -> SemanticTraining | InjectionTraining:
    """With a precision that gradients survive in: of `auto`, never half precision's short range."""
    if config.precision != "auto":
        return config
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return replace(config, precision="bf16" if native else "fp32")


class Frozen(Protocol):
    """A frozen encoder of any kind, with its frames of the audio."""

    def sampler(
        self, corpus: Corpus, config: InjectionTraining, shares: Mapping[str, float]
    ) -> Any:
        """What draws a step's crops, with the encoder's frames of them."""

    def stage(self, config: InjectionTraining, sampler: Any, group: Processes) -> InjectionStage:
        """What trains on them."""


def _sampler(
    config: SemanticTraining | InjectionTraining,
    semantic: Path | Frozen | None,
    corpus: Corpus,
    shares: Mapping[str, float],
) -> Draws[Any]:
    """What draws crops of a corpus. shares: of its data sets; none: by their hours."""
    if isinstance(semantic, Path | None):
        return Sampler(corpus, shares, config.crop_tokens, config.seed)
    assert isinstance(config, InjectionTraining)
    draws: Draws[Any] = semantic.sampler(corpus, config, shares)
    return draws


def _stage(
    config: SemanticTraining | InjectionTraining,
    sampler: Draws[Any],
    semantic: Path | Frozen | None,
    group: Processes,
) -> Stage:
    if isinstance(config, SemanticTraining):
        return SemanticStage(config, sampler, group)
    if not isinstance(semantic, Path | None):
        return semantic.stage(config, sampler, group)
    path, sizes = load_semantic(find_semantic(semantic))
    return InjectionStage(config, path, sizes, sampler, group)


class _Watched:
    """Losses on audio that is not trained on, the same crops each time."""

    def __init__(
        self,
        stage: Stage,
        history: History,
        sampler: Draws[Any] | None,
        group: Processes,
        own: range,
    ) -> None:
        self.stage, self.history, self.group, self.own = stage, history, group, own
        self.sampler = sampler

    def look(self, done: int) -> None:
        if self.sampler is None:
            return
        found = []
        for number in range(HELD_OUT_BATCHES):
            crops = self.sampler.draw(number, self.own, self.stage.crops)
            found.append(_numbers(self.stage.held_out(number, crops), self.group))
        if self.group.first:
            mean = {name: sum(one[name] for one in found) / len(found) for name in found[0]}
            self.history.add_held_out(done, mean)


def _batches(
    sampler: Draws[Any], begun: int, steps: int, own: range, crops: int
) -> Iterator[tuple[int, Any]]:
    """Each step's number and crops, drawn in a thread while the steps before are computed."""
    with ThreadPoolExecutor(1) as thread:
        drawn = [
            thread.submit(sampler.draw, number, own, crops)
            for number in range(begun, min(steps, begun + AHEAD))
        ]
        for number in range(begun, steps):
            found = drawn.pop(0).result()
            if number + AHEAD < steps:
                drawn.append(thread.submit(sampler.draw, number + AHEAD, own, crops))
            yield number, found


def _numbers(losses: dict[str, torch.Tensor], group: Processes) -> dict[str, float]:
    """As Python's numbers, each the mean over the processes."""
    values = group.mean(torch.stack([value.detach().float() for value in losses.values()]))
    return dict(zip(losses, values.tolist(), strict=True))


def _identity(
    config: SemanticTraining | InjectionTraining, corpus: Corpus, stage: Stage
) -> dict[str, str]:
    """What a state must agree in to be gone on from."""
    values = asdict(config)
    values.pop("checkpoint_every")
    values.pop("semantic", None)
    text = json.dumps(values, sort_keys=True)
    found = {"config": hashlib.sha256(text.encode()).hexdigest(), "audio": corpus.digest}
    if isinstance(stage, InjectionStage):
        found["semantic encoder"] = stage.frozen_digest()
    return found
