"""Measuring what an encoder does: one small experiment a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from earmark.benchmark.conformance.trial import (
    ContractBreach,
    Skipped,
    TrialOutput,
    TrialRuns,
    difference,
    make_clip,
    slope,
)
from earmark.benchmark.embedding.batches import FRAME_SLACK
from earmark.benchmark.embedding.output import Fault
from earmark.benchmark.embedding.windows import limits_of
from earmark.encoders import (
    AudioEncoder,
    Codec,
    Frames,
    decode_at_home,
    has_weights,
    is_built_in,
    unseen_weights,
)

# By how coarse the arithmetic is: float32, fp16, bf16. See earmark.benchmark.conformance.run.
_SAME = (1e-3, 1e-2, 5e-2)
_AGAIN = (1e-5, 1e-3, 5e-3)
_FLOAT16_MOST = float(torch.finfo(torch.float16).max)

_PLAIN = ("noise-0.5",)
_MATES = ("noise-0.5", "silence-0.5", "full-0.5")
QUICK_LENGTHS = ("noise-0.5", "noise-4")
IN_TIME_LENGTHS = ("noise-1", "noise-4", "noise-16")
LENGTHS = ("noise-0.5", "noise-1", "noise-2.33", "noise-4", "noise-7.77", "noise-16")
LONG_S = 600
LONG_SLACK = 3  # frames
# What is decoded from noise is silent where no sample reaches this: 20 dB below a 16-bit step.
_SILENT = 3e-6
_WITHOUT_WEIGHTS = (
    "a run tells its checkpoints, if it has any, by its output on three signals alone"
)
_COARSE = "{} keeps fewer digits than float32: compute the last layers in float32 where you can"
# Modules that do something else while they train.
_BY_MODE = (
    torch.nn.modules.dropout._DropoutNd,
    torch.nn.modules.batchnorm._BatchNorm,
    torch.nn.RReLU,
)


class CheckOutcome(NamedTuple):
    """measured: in words. ok: whether as claimed. stops: if not, whether a run must not start.

    note: what is to be known though it is as claimed. fix: what to do about this breach, where the
    rule cannot know.
    """

    measured: str
    ok: bool
    stops: bool = True
    note: str = ""
    fix: str = ""


class EncoderChecks:
    """Measures one encoder; each method that returns Found is one line of the table.

    lengths: clips by which to measure its frame rate. fingerprint: what it had beforehand.
    """

    def __init__(
        self,
        encoder: AudioEncoder,
        passes: TrialRuns,
        *,
        lengths: Sequence[str] = LENGTHS,
        fingerprint: str = "",
    ) -> None:
        self.encoder, self.passes, self.lengths = encoder, passes, lengths
        self.fingerprint = fingerprint
        self.row = ""  # the check in hand
        self.broken: dict[str, str] = {}  # what went wrong, and the row that says so
        self.sounds: dict[str, torch.Tensor] = {}  # what was decoded of the clips of these names
        self.faults: list[Fault] = []  # frame lengths
        self.remarks: list[Fault] = []
        self.strange: list[str] = []  # clips whose output holds NaN or infinity
        self.most = 0.0

    def heard(self, names: Sequence[str], turn: int = 0) -> TrialOutput:
        """One batch of made-up clips. Raises ContractBreach, once for each fault, and Skipped."""
        try:
            return self.noted(self.passes.heard(self.encoder, names, turn), names)
        except ContractBreach as fault:
            # of what is returned the shape differs from clip to clip, the mistake does not
            same = fault.fix if fault.fix and fault.error is None else str(fault)
            first = self.broken.setdefault(same, self.row)
            if first == self.row:
                raise
            raise Skipped(f"fails as {first!r} does") from fault

    def noted(self, heard: TrialOutput, names: Sequence[str]) -> TrialOutput:
        self.faults += heard.faults
        self.remarks += heard.remarks
        for name, clip in zip(names, heard.clips, strict=True):
            if not bool(clip.isfinite().all()):
                self.strange.append(name.replace("-", " of ") + " s")
            elif clip.numel():
                self.most = max(self.most, float(clip.abs().max()))
        return heard

    def alone(self, name: str) -> torch.Tensor:
        """A clip's own frames (F, D), encoded alone."""
        return self.heard((name,)).clips[0]

    @property
    def tolerance(self) -> float:
        return _SAME[self.passes.coarseness]

    @property
    def tolerance_again(self) -> float:
        return _AGAIN[self.passes.coarseness]

    def compared(
        self,
        one: torch.Tensor,
        other: torch.Tensor,
        tolerance: float,
        *,
        unit: str = "frames",
        least: float = 0.0,
    ) -> CheckOutcome:
        """Whether (F, D) `one` is what it should be, `other`; least: as for `difference`."""
        if not len(other) or not bool(other.isfinite().all()):
            raise Skipped("no frames, or NaN in them, in any case")
        if len(one) != len(other):
            return CheckOutcome(f"{len(one)} {unit}, not {len(other)}", False)
        if not bool(one.isfinite().all()):
            return CheckOutcome("NaN or infinity", False)
        off = difference(one, other, least)
        return CheckOutcome("equal" if off == 0 else f"off by {off:.1g}", off <= tolerance)

    # what is looked at, in the order of the table

    def plain(self) -> CheckOutcome:
        heard = self.heard(_PLAIN)
        found = self.finite_all(heard.clips[0])
        if len(heard.clips[0]) and not found.ok:
            return found._replace(fix="guard logarithms and divisions: its output is not finite")
        return found if not found.ok else CheckOutcome(f"{tuple(heard.frames.values.shape)}", True)

    def dimension(self) -> CheckOutcome:
        found = self.heard(_PLAIN).frames.values.shape[2]
        return CheckOutcome(str(found), found == self.encoder.embedding_dim)

    def determinism(self) -> CheckOutcome:
        again = self.heard(_PLAIN, turn=1).clips[0]
        return self.compared(again, self.alone(_PLAIN[0]), self.tolerance_again)

    def pass_mates(self) -> CheckOutcome:
        return self.as_alone(_MATES)

    def as_alone(self, names: Sequence[str]) -> CheckOutcome:
        """Whether each row of a batch is what its clip is alone; the first is of noise."""
        first, *others = self.heard(names).clips
        noise = self.alone(names[0])
        worst = self.compared(first, noise, self.tolerance)
        # of silence there may be nothing but rounding: it is measured against noise
        size = float(noise.double().square().mean().sqrt())
        for number, (name, clip) in enumerate(zip(names[1:], others, strict=True), 2):
            if not worst.ok:
                break
            alone = self.quietly(name)
            if alone is None:
                continue
            found = self.compared(clip, alone, self.tolerance, least=size)
            worst = found if found.ok else CheckOutcome(f"row {number}: {found.measured}", False)
        return worst

    def quietly(self, name: str) -> torch.Tensor | None:
        """A clip's own frames, encoded alone; None where another row tells what is wrong."""
        try:
            heard = self.noted(self.passes.heard(self.encoder, (name,)), (name,))
        except ContractBreach:
            return None
        clip = heard.clips[0]
        return clip if len(clip) and bool(clip.isfinite().all()) else None

    def differ(self) -> CheckOutcome:
        """Whether clips that have nothing in common are told apart."""
        noise = self.alone(_MATES[0])
        if not len(noise) or not bool(noise.isfinite().all()):
            raise Skipped("no frames, or NaN in them, in any case")
        others = [self.quietly(name) for name in _MATES[:0:-1]]
        offs = [difference(one, noise) for one in others if one is not None]
        if not offs:
            raise Skipped("no other clip can be encoded")
        # float32 rounding: a constant need not be exact
        same = max(offs) <= _AGAIN[0]
        return CheckOutcome("the same" if same else "they differ", not same)

    def order(self) -> CheckOutcome:
        names = ("noise-0.5", "other-0.5", "full-0.5")
        forth, back = self.heard(names).clips, self.heard(names[::-1]).clips[::-1]
        found = [self.compared(a, b, self.tolerance) for a, b in zip(back, forth, strict=True)]
        return next((one for one in found if not one.ok), max(found))

    def silence(self) -> CheckOutcome:
        try:
            return self.finite("silence-0.5", of=_MATES)
        except (ContractBreach, Skipped):
            return self.finite("silence-0.5")

    def full_scale(self) -> CheckOutcome:
        return self.finite("full-1")

    def short(self) -> CheckOutcome:
        return self.finite("noise-0.05")

    @property
    def long_frames(self) -> str:
        """How many frames a long clip must have, in words."""
        if self.encoder.frame_rate is None:
            return "one vector"
        if self.encoder.frame_rate_varies or limits_of(self.encoder).most is not None:
            return "finite"
        return f"{self.encoder.frame_rate * LONG_S:.0f} frames +- {LONG_SLACK}"

    def finite(self, name: str, of: Sequence[str] | None = None) -> CheckOutcome:
        """Whether a clip's frames are numbers; of: the batch that it is in."""
        names = of or (name,)
        return self.finite_all(self.heard(names).clips[list(names).index(name)])

    def finite_all(self, values: torch.Tensor) -> CheckOutcome:
        bad = int((~values.isfinite()).any(dim=1).sum())
        if bad:
            return CheckOutcome(f"NaN or infinity in {bad} of {len(values)} frames", False)
        return CheckOutcome("finite" if len(values) else "no frame", len(values) > 0)

    @property
    def claimed_rate(self) -> str:
        rate = self.encoder.frame_rate
        if rate is None:
            return "one vector a clip"
        if self.encoder.frame_rate_varies:
            return "varies"
        return f"{rate:.2f} a second" if rate >= 0.01 else f"{rate:g} a second"

    def frame_lengths(self) -> CheckOutcome:
        self.heard(_PLAIN)  # where nothing could be encoded, there are none
        said = dict.fromkeys(fault.said for fault in self.faults)
        fix = next((fault.cure for fault in self.faults if fault.cure), "")
        return CheckOutcome("; ".join(said) or "as claimed", not self.faults, fix=fix)

    def output(self) -> CheckOutcome:
        """What the values are; a run takes what can be taken."""
        values = self.heard(_PLAIN).frames.values
        kind = str(values.dtype).removeprefix("torch.")
        remarks = list(dict.fromkeys(self.remarks))
        if remarks:
            said = ", ".join([kind, *(one.said for one in remarks)])
            fix = "; ".join(one.cure for one in remarks)
            return CheckOutcome(said, False, stops=False, fix=fix)
        note = _COARSE.format(kind) if kind in ("float16", "bfloat16") else ""
        return CheckOutcome(kind, True, note=note)

    def numbers(self) -> CheckOutcome:
        self.heard(_PLAIN)
        strange = list(dict.fromkeys(self.strange))
        return CheckOutcome(f"in {', '.join(strange)}" if strange else "none", not strange)

    def half(self) -> CheckOutcome:
        self.heard(_PLAIN)
        return CheckOutcome(f"at most {self.most:.3g}", self.most <= _FLOAT16_MOST)

    def eval_mode(self) -> CheckOutcome:
        training = {name or "itself": m for name, m in self.encoder.named_modules() if m.training}
        if not training:
            return CheckOutcome("eval", True)
        acting = [name for name, module in training.items() if isinstance(module, _BY_MODE)]
        said = f"{len(training)} in train mode: {', '.join((acting or list(training))[:3])}"
        # of the others it is measured whether they depend on it
        return CheckOutcome(said, False, stops=bool(acting))

    def weights(self) -> CheckOutcome:
        """Whether the fingerprint covers what the output comes from; after it has encoded."""
        hidden = unseen_weights(self.encoder)
        if not hidden and not has_weights(self.encoder) and not is_built_in(self.encoder):
            return CheckOutcome("no parameter or buffer", True, note=_WITHOUT_WEIGHTS)
        if not hidden:
            return CheckOutcome("covered", True)
        more = f" and {len(hidden) - 3} more" if len(hidden) > 3 else ""
        return CheckOutcome(f"not: {', '.join(hidden[:3])}{more}", False, stops=False)

    def unchanged(self) -> CheckOutcome:
        same = self.encoder.fingerprint() == self.fingerprint
        return CheckOutcome("as before" if same else "changed", same)

    # codecs

    def decoded(self, frames: Frames) -> list[torch.Tensor]:
        """The sound of each clip (T,). Raises ContractBreach."""
        assert isinstance(self.encoder, Codec)
        try:
            with torch.inference_mode():
                found = decode_at_home(self.encoder, frames)
            if not isinstance(found, tuple) or len(found) != 2:
                word = f"a {type(found).__name__} from decode()"
                raise ContractBreach(word, "return (waveforms, lengths), (B, T) and (B,)")
            sounds, lengths = found
            count = len(frames.values)
            if sounds.ndim != 2 or len(sounds) != count or lengths.shape != (count,):
                raise ContractBreach(
                    f"waveforms {tuple(sounds.shape)}, lengths {tuple(lengths.shape)}"
                )
            return [s[:n].float().cpu() for s, n in zip(sounds, lengths.tolist(), strict=True)]
        except ContractBreach:
            raise
        except Exception as error:
            raise ContractBreach.raised(error, self.encoder) from error

    def sound(self, name: str) -> torch.Tensor:
        """What is decoded of a clip that was encoded alone. Raises ContractBreach, Skipped."""
        if name not in self.sounds:
            frames = self.heard((name,)).frames
            if not bool(frames.values.isfinite().all()):
                raise Skipped("NaN or infinity in its frames")
            self.sounds[name] = self.decoded(frames)[0]
        return self.sounds[name]

    def decoded_sound(self) -> CheckOutcome:
        """Whether there is any in what is decoded of noise, and nothing but numbers."""
        for name in self.lengths:
            sound, said = self.sound(name), f"for {name.replace('-', ' of ')} s"
            if not bool(sound.isfinite().all()):
                return CheckOutcome(f"NaN or infinity {said}", False)
            if not len(sound) or float(sound.abs().max()) < _SILENT:
                return CheckOutcome(f"silence {said}", False)
        return CheckOutcome("sound", True)

    def decoded_lengths(self) -> list[tuple[int, int]]:
        """Samples of each of the clips by which frame rate is measured: its own, as decoded.

        Its own are those that it lasts at the rate of what is decoded.
        """
        clips = {name: len(make_clip(name, self.encoder.sample_rate)) for name in self.lengths}
        step = self.output_rate / self.encoder.sample_rate
        return [(round(own * step), len(self.sound(name))) for name, own in clips.items()]

    def decoded_length(self) -> CheckOutcome:
        own, got = max(self.decoded_lengths(), key=lambda pair: abs(pair[1] - pair[0]))
        return CheckOutcome(f"{got} for {own} samples", abs(got - own) <= self.frame_samples)

    def decoded_rate(self) -> CheckOutcome:
        rate = self.output_rate
        own, got = zip(*self.decoded_lengths(), strict=True)
        found, slack = slope([n / rate for n in own], got)
        slack *= self.frame_samples
        return CheckOutcome(f"{found:.0f} +- {slack:.0f}", abs(found - rate) <= slack)

    def decoded_mates(self) -> CheckOutcome:
        """The same frames alone and beside others, longer ones where lengths are honoured."""
        alone = self.heard(_PLAIN).frames
        names = ("full-0.8",) if self.encoder.honours_lengths else ("full-0.5",)
        other = self.heard(names).frames
        both = Frames(
            torch.nn.utils.rnn.pad_sequence([alone.values[0], other.values[0]], batch_first=True),
            torch.cat([alone.lengths, other.lengths]),
        )
        hop = max(1, round(self.frame_samples / FRAME_SLACK))
        one, together = (
            torch.nn.functional.pad(sound, (0, -len(sound) % hop)).view(-1, hop)
            for sound in (self.decoded(alone)[0], self.decoded(both)[0])
        )
        if not bool(one.isfinite().all()):
            return CheckOutcome("NaN or infinity, alone", False)
        return self.compared(together, one, self.tolerance, unit="frames of sound")

    @property
    def frame_samples(self) -> float:
        """How many samples a decoded clip may be off by: as many frames as its frames may."""
        assert isinstance(self.encoder, Codec)
        return FRAME_SLACK * self.output_rate / self.encoder.frame_rate

    @property
    def output_rate(self) -> int:
        """Hz, of what the codec decodes."""
        assert isinstance(self.encoder, Codec)
        return self.encoder.output_rate
