"""Made-up clips through an encoder, for the checks of earmark.benchmark.conformance.run.

A pass is one batch. Each is made once, however many checks look at it; encoders that share a
forward pass take it together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from earmark.benchmark.audio.decode import Samples
from earmark.benchmark.conformance.fitted import by_limits, encode_fitted
from earmark.benchmark.embedding.batches import FRAME_SLACK, FRAME_SLACK_SHARE, pad
from earmark.benchmark.embedding.output import (
    Fault,
    lengths_cure,
    output_fault,
    output_remarks,
)
from earmark.benchmark.embedding.windows import Limits, whole
from earmark.encoders import AudioEncoder, Frames, encode_each
from earmark.encoders.blame import cure_of, told
from earmark.encoders.device import wait_for

# Where half precision is seen at work, rounding differs from one batch shape to another.
_COARSENESS = {torch.float32: 0, torch.float64: 0, torch.float16: 1, torch.bfloat16: 2}


class ContractBreach(Exception):  # noqa: N818 - a finding
    """What an encoder did instead of returning frames, in a few words.

    fix: what to do about it; empty where the check knows better. error: what it raised, if it did.
    """

    def __init__(self, said: str, fix: str = "", error: Exception | None = None) -> None:
        super().__init__(said)
        self.fix, self.error = fix, error

    @classmethod
    def raised(cls, error: Exception, encoder: AudioEncoder) -> ContractBreach:
        """Of an error that came out of an encoder."""
        return cls(told(error, encoder), cure_of(error), error)


class Skipped(Exception):  # noqa: N818 - a finding
    """A pass that is not made; says why."""


class TrialOutput(NamedTuple):
    """What an encoder made of one batch.

    frames: as it returned them, or put together where clips were given in pieces. clips: each
    clip's own frames, (F, D) float32 on the CPU. faults: where frame lengths cannot be right.
    remarks: on what a run puts up with.
    """

    frames: Frames
    clips: list[torch.Tensor]
    faults: list[Fault]
    remarks: list[Fault]


# What each encoder made of a batch, or what was raised.
Made = dict[AudioEncoder, TrialOutput | ContractBreach] | Exception


def make_clip(name: str, sample_rate: int) -> Samples:
    """A clip (n,) float32 by its name: KIND-SECONDS, `noise-0.5` say.

    noise: noise with a tone, 20 dB below full scale; `other` is another such. silence: zeros.
    full: noise clipped at full scale. ended: as `noise`, but for its last fifth.
    """
    kind, _, seconds = name.partition("-")
    count = max(1, round(float(seconds) * sample_rate))
    if kind == "silence":
        return np.zeros(count, np.float32)
    if kind == "ended":
        start, end = (make_clip(f"{kind}-{seconds}", sample_rate) for kind in ("noise", "full"))
        last = count - count // 5
        return np.concatenate([start[:last], end[last:]])
    rng = np.random.default_rng({"noise": 1, "other": 2, "full": 3}[kind])
    # of a long clip ten seconds are drawn, and repeated
    block = rng.standard_normal(min(count, 10 * sample_rate)).astype(np.float32)
    noise: Samples = np.resize(block, count)
    if kind == "full":
        return np.clip(noise, -1, 1)
    tone = np.sin(2 * np.pi * 440 / sample_rate * np.arange(count))
    mixed: Samples = (0.05 * noise + 0.1 * tone).astype(np.float32)
    return mixed


class TrialRuns:
    """Passes of encoders of one sample rate, which take batches of equal or of any lengths alike.

    budget_s: seconds in which to be done, for the first pass and again for those after it; a pass
    that would not be done by then is not made. None: no limit.
    """

    def __init__(
        self, encoders: Sequence[AudioEncoder], device: str, budget_s: float | None = None
    ) -> None:
        self.encoders, self.device, self.budget_s = list(encoders), device, budget_s
        self.rate = self.encoders[0].sample_rate
        self.coarseness = max(
            (_COARSENESS.get(p.dtype, 0) for e in self.encoders for p in e.parameters()), default=0
        )
        self.made: dict[tuple[tuple[str, ...], int], Made] = {}
        self.spent_s = 0.0
        self.slowness: tuple[float, int, int] | None = None  # of the last: s, clips, samples

    def heard(self, encoder: AudioEncoder, names: Sequence[str], turn: int = 0) -> TrialOutput:
        """What one of the encoders made of the clips of these names, as one batch.

        turn: 1 for the same once more. Raises ContractBreach; Skipped where no time is left.
        """
        clips = [make_clip(name, self.rate) for name in names]
        key = (tuple(names), turn)
        if key not in self.made:
            self._allow(clips)
            started = time.monotonic()
            made = self._run(clips, self.encoders)
            spent = time.monotonic() - started
            # not counted: on a GPU the first includes seconds of what is done once
            self.spent_s += spent if self.made else 0.0
            self.slowness = (spent, len(clips), _padded(clips))
            self.made[key] = made
        return _read(encoder, self.made[key])

    def hear(self, encoder: AudioEncoder, clips: Sequence[Samples]) -> TrialOutput:
        """The same of clips as they are; neither limited nor kept. Raises ContractBreach."""
        return _read(encoder, self._run(clips, [encoder]))

    def hear_all(
        self, clips: Sequence[Samples]
    ) -> dict[AudioEncoder, TrialOutput | ContractBreach]:
        """What each of the encoders made of clips as they are; neither limited nor kept."""
        made = self._run(clips, self.encoders)
        found: dict[AudioEncoder, TrialOutput | ContractBreach] = {}
        for encoder in self.encoders:
            try:
                found[encoder] = _read(encoder, made)
            except ContractBreach as fault:
                found[encoder] = fault
        return found

    def _allow(self, clips: Sequence[Samples]) -> None:
        if self.budget_s is None or self.slowness is None:
            return
        seconds, count, samples = self.slowness
        # some encoders take as long for a short clip as for a long one
        expected = seconds * max(len(clips) / count, _padded(clips) / samples)
        if self.spent_s + expected > self.budget_s:
            raise Skipped(f"too slow: {seconds:.1f} s for {samples / self.rate:.1f} s of audio")

    def _run(self, clips: Sequence[Samples], encoders: Sequence[AudioEncoder]) -> Made:
        hooks = [] if self.made else self._watch()
        made: dict[AudioEncoder, TrialOutput | ContractBreach] = {}
        try:
            with torch.inference_mode():
                for limits, own in by_limits(encoders).items():
                    as_they_are = limits == Limits()
                    made |= (_encoded if as_they_are else _in_pieces)(own, clips, self.device)
                wait_for(self.device)
            return made
        except Exception as error:  # noqa: BLE001 - an encoder may raise anything
            return error
        finally:
            for hook in hooks:
                hook.remove()

    def _watch(self) -> list[torch.utils.hooks.RemovableHandle]:
        """Note the number types that modules compute in: weights alone do not tell of autocast."""

        def note(_module: object, _given: object, made: object) -> None:
            if isinstance(made, torch.Tensor):
                self.coarseness = max(self.coarseness, _COARSENESS.get(made.dtype, 0))

        modules = {module for encoder in self.encoders for module in encoder.modules()}
        return [module.register_forward_hook(note) for module in modules]


def _encoded(
    encoders: Sequence[AudioEncoder], clips: Sequence[Samples], device: str
) -> dict[AudioEncoder, TrialOutput | ContractBreach]:
    """Clips as one batch through encoders that take them as they are."""
    batch = pad([whole(clip) for clip in clips], "cpu")
    found = encode_each(encoders, batch.waveforms.to(device), batch.lengths.to(device))
    made: dict[AudioEncoder, TrialOutput | ContractBreach] = {}
    for encoder, frames in zip(encoders, found, strict=True):
        try:
            made[encoder] = _checked(encoder, frames, clips, device)
        except ContractBreach as fault:
            made[encoder] = fault
    return made


def _in_pieces(
    encoders: Sequence[AudioEncoder], clips: Sequence[Samples], device: str
) -> dict[AudioEncoder, TrialOutput | ContractBreach]:
    """The same where they are padded, or cut into windows, as in a run."""
    faults: dict[AudioEncoder, list[Fault]] = {encoder: [] for encoder in encoders}
    remarks: dict[AudioEncoder, list[Fault]] = {encoder: [] for encoder in encoders}

    def check(
        encoder: AudioEncoder, frames: Frames, given: Sequence[Samples]
    ) -> list[torch.Tensor]:
        looked_at = _checked(encoder, frames, given, device)
        faults[encoder] += looked_at.faults
        remarks[encoder] += looked_at.remarks
        return looked_at.clips

    try:
        found = encode_fitted(encoders, clips, device, check)
    except ContractBreach as fault:
        return dict.fromkeys(encoders, fault)
    return {
        encoder: TrialOutput(
            Frames(
                torch.nn.utils.rnn.pad_sequence(own, batch_first=True),
                torch.tensor([len(one) for one in own]),
            ),
            own,
            faults[encoder],
            remarks[encoder],
        )
        for encoder, own in found.items()
    }


def _read(encoder: AudioEncoder, made: Made) -> TrialOutput:
    """What one encoder made. Raises ContractBreach."""
    if isinstance(made, Exception):
        raise ContractBreach.raised(made, encoder)
    found = made[encoder]
    if isinstance(found, ContractBreach):
        raise ContractBreach(str(found), found.fix, found.error)
    return found


def _padded(clips: Sequence[Samples]) -> int:
    """Samples of a batch, padding counted."""
    return len(clips) * max(map(len, clips))


def _checked(
    encoder: AudioEncoder, frames: Frames, clips: Sequence[Samples], device: str
) -> TrialOutput:
    """What was returned, where it has the shape to be looked at. Raises ContractBreach."""
    longest_s = max(map(len, clips)) / encoder.sample_rate
    fault = output_fault(encoder, frames, len(clips), longest_s)
    if fault is not None:
        raise ContractBreach(*fault)
    values, lengths = frames.values, frames.lengths.tolist()
    cure = lengths_cure(lengths, values.shape[1], [len(clip) for clip in clips])
    faults, own = [], []
    for clip, row, count in zip(clips, values, lengths, strict=True):
        seconds = len(clip) / encoder.sample_rate
        rate = None if encoder.frame_rate_varies else encoder.frame_rate
        expected = 1.0 if rate is None else seconds * rate
        slack = 0.0 if rate is None else FRAME_SLACK + FRAME_SLACK_SHARE * expected
        if not 1 <= count <= values.shape[1]:
            faults.append(Fault(f"{count} of {values.shape[1]} for {seconds:g} s", cure))
        elif abs(count - expected) > slack and not encoder.frame_rate_varies:
            faults.append(Fault(f"{count} for {seconds:g} s, not {expected:.0f}", ""))
        own.append(row[: max(count, 0)].detach().float().cpu())
    return TrialOutput(frames, own, faults, output_remarks(frames, device))


def difference(one: torch.Tensor, other: torch.Tensor, least: float = 0.0) -> float:
    """How far frames are from what they should be, `other`: both (F, D).

    The largest root mean square of a frame's difference, relative to that of all of `other`'s
    values, or to `least` where that is more. Infinite where the numbers of frames differ or one
    holds NaN.
    """
    if one.shape != other.shape:
        return math.inf
    off = (one.double() - other.double()).square().mean(dim=1).sqrt().max().item()
    size = max(other.double().square().mean().sqrt().item(), least)
    if off == 0:
        return 0.0
    return off / size if size > 0 and math.isfinite(off / size) else math.inf


def slope(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Least squares slope of y over x; and how far it can be off where each y is off by one."""
    centred = np.asarray(x) - np.mean(x)
    weights = centred / np.sum(centred**2)
    # the worst case: one end rounded one way, the other the other, by one in all
    return float(weights @ np.asarray(y)), float(np.abs(weights).sum()) / 2
