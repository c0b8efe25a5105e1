"""What an encoder claims, measured: frame rate, padding, batches, dropout, odd input, decoding.

Tolerances. Two encodings of one clip are the same where no frame is off by more than 1e-3 of the
root mean square of all frames (1e-2 where half precision is seen at work, 5e-2 for bf16: its
rounding differs from one shape of batch to another by up to 2e-2 in a deep network); the same
batch twice, by 1e-5 (1e-3, 5e-3). A frame rate may be off by what 2 frames of rounding can do to
the slope over the lengths tried; numbers of frames by 2 and 2 %, as in a run.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from benchmark.audio import AudioPipeline
from benchmark.batches import FRAME_SLACK
from benchmark.embed import choose_device
from benchmark.passes import Broken, Heard, NotMade, Passes, difference, in_words, make_clip, slope
from benchmark.progress import Progress, Track, silent
from encoders import AudioEncoder, Codec, Frames, left_as_found, load_encoder, ready_encoder

VERSION = 1  # raised where the quick checks find more than before
OK, BREACH, SKIPPED = "ok", "BREACH", "skipped"

# By how coarse the arithmetic is: float32, fp16, bf16.
_SAME = (1e-3, 1e-2, 5e-2)
_AGAIN = (1e-5, 1e-3, 5e-3)
_FLOAT16_MOST = float(torch.finfo(torch.float16).max)

_PLAIN = ("noise-0.5",)
_MATES = ("noise-0.5", "silence-0.5", "full-0.5")
_PADDED = ("noise-0.5", "silence-0.3", "full-0.8")
_QUICK_LENGTHS = ("noise-0.5", "noise-4")
_LENGTHS = ("noise-0.5", "noise-1", "noise-2.33", "noise-4", "noise-7.77", "noise-16")
# Modules that do something else while they train.
_BY_MODE = (
    torch.nn.modules.dropout._DropoutNd,
    torch.nn.modules.batchnorm._BatchNorm,
    torch.nn.RReLU,
)


class Check(NamedTuple):
    """One line of the table.

    what: what was looked at. claimed, measured: in words. verdict: `ok`, `BREACH` or `skipped`.
    why: how to mend a breach, or why it was skipped. stops: whether a run must not go on.
    """

    what: str
    claimed: str
    measured: str
    verdict: str
    why: str = ""
    stops: bool = False


class _Found(NamedTuple):
    measured: str
    ok: bool
    stops: bool = True


class _Rule(NamedTuple):
    """what: the check's name. claimed: in words. look: measures. mend: what to do on a breach."""

    what: str
    claimed: Callable[[Examination], str]
    look: Callable[[Examination], _Found]
    mend: str


def validate(
    encoder: str | AudioEncoder,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    quick: bool = False,
    track: Track = silent,
) -> list[Check]:
    """Measure what an encoder claims. One Check a line of the table, in a fixed order.

    encoder: as for `evaluate`; a loaded one is given back in the mode and on the device that it
    came in. weights: folder with a local copy of its model. device: `auto`, `cpu` or `cuda`.
    quick: leave out 10 minutes of audio. track: makes the Progress.
    Raises EncoderError where it cannot be loaded.
    """
    device = choose_device(device)
    one = load_encoder(encoder, weights=weights) if isinstance(encoder, str) else encoder
    with left_as_found(one), random_numbers_kept(device):
        ready_encoder(one).to(device)
        examination = Examination(one, Passes([one], device), quick=quick)
        rules = [*_RULES, *(_CODEC_RULES if isinstance(one, Codec) else []), *_LAST_RULES]
        return examination.checks(rules, track)


def quick_checks(encoder: AudioEncoder, passes: Passes) -> list[Check]:
    """What is checked before a run. The encoder must be in eval mode on the passes' device."""
    return Examination(encoder, passes, quick=True, lengths=_QUICK_LENGTHS).checks(
        [rule for rule in (*_RULES, *_LAST_RULES) if rule.what in _QUICK], silent
    )


def random_numbers_kept(device: str) -> torch.random.fork_rng:  # type: ignore[valid-type]
    """A context that leaves torch's random numbers as if nothing had been drawn in it."""
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    return torch.random.fork_rng(devices=devices)


class Examination:
    """One encoder under examination. lengths: clips by which to measure its frame rate."""

    def __init__(
        self,
        encoder: AudioEncoder,
        passes: Passes,
        *,
        quick: bool = False,
        lengths: Sequence[str] = _LENGTHS,
    ) -> None:
        self.encoder, self.passes, self.quick, self.lengths = encoder, passes, quick, lengths
        self.fingerprint = "" if lengths == _QUICK_LENGTHS else encoder.fingerprint()
        self.row = ""
        self.broken: dict[str, str] = {}  # what went wrong, and the row that says so
        self.faults: list[str] = []  # frame lengths
        self.strange: list[str] = []  # clips whose output holds NaN or infinity
        self.most = 0.0

    def checks(self, rules: Sequence[_Rule], track: Track) -> list[Check]:
        """Every rule looked at, in order."""
        made = []
        with track(f"{self.encoder.name}: validating", len(rules), "checks") as bar:
            for rule in rules:
                made.append(self._check(rule))
                bar.advance(1)
        return made

    def _check(self, rule: _Rule) -> Check:
        self.row = rule.what
        try:
            found = rule.look(self)
        except NotMade as reason:
            return Check(rule.what, rule.claimed(self), "-", SKIPPED, str(reason))
        except Broken as fault:
            found = _Found(str(fault), False)
        claimed = rule.claimed(self)
        if found.ok:
            return Check(rule.what, claimed, found.measured, OK)
        return Check(rule.what, claimed, found.measured, BREACH, rule.mend, found.stops)

    def heard(self, names: Sequence[str], turn: int = 0) -> Heard:
        """One batch of made-up clips. Raises Broken, once for each fault, and NotMade."""
        try:
            return self._noted(self.passes.heard(self.encoder, names, turn), names)
        except Broken as fault:
            first = self.broken.setdefault(str(fault), self.row)
            if first == self.row:
                raise
            raise NotMade(f"fails as {first!r} does") from fault

    def _noted(self, heard: Heard, names: Sequence[str]) -> Heard:
        self.faults += heard.faults
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
    def same(self) -> float:
        return _SAME[self.passes.coarseness]

    @property
    def again(self) -> float:
        return _AGAIN[self.passes.coarseness]

    def compared(
        self, one: torch.Tensor, other: torch.Tensor, tolerance: float, *, unit: str = "frames"
    ) -> _Found:
        """Whether (F, D) `one` is what it should be, `other`."""
        if len(one) != len(other):
            return _Found(f"{len(one)} {unit}, not {len(other)}", False)
        for values in (other, one):
            if not bool(values.isfinite().all()):
                return _Found("NaN or infinity", False)
        off = difference(one, other)
        return _Found("equal" if off == 0 else f"off by {off:.1g}", off <= tolerance)

    # what is looked at, in the order of the table

    def plain(self) -> _Found:
        heard = self.heard(_PLAIN)
        return _Found(f"{tuple(heard.frames.values.shape)}", True)

    def dimension(self) -> _Found:
        found = self.heard(_PLAIN).frames.values.shape[2]
        return _Found(str(found), found == self.encoder.embedding_dim)

    def determinism(self) -> _Found:
        again = self.heard(_PLAIN, turn=1).clips[0]
        return self.compared(again, self.alone(_PLAIN[0]), self.again)

    def mates(self) -> _Found:
        together = self.heard(_MATES).clips[0]
        return self.compared(together, self.alone(_MATES[0]), self.same)

    def padding(self) -> _Found:
        if not self.encoder.honours_lengths:
            raise NotMade("batches hold clips of equal length only")
        together = self.heard(_PADDED).clips[0]
        return self.compared(together, self.alone(_PADDED[0]), self.same)

    def order(self) -> _Found:
        names = ("noise-0.5", "other-0.5", "full-0.5")
        forth, back = self.heard(names).clips, self.heard(names[::-1]).clips[::-1]
        found = [self.compared(a, b, self.same) for a, b in zip(back, forth, strict=True)]
        return next((one for one in found if not one.ok), max(found))

    def silence(self) -> _Found:
        return self.finite("silence-0.5", of=_MATES)

    def full_scale(self) -> _Found:
        return self.finite("full-1")

    def short(self) -> _Found:
        return self.finite("noise-0.05")

    def long(self) -> _Found:
        if self.quick:
            raise NotMade("--quick")
        clip = make_clip("noise-600", self.encoder.sample_rate)
        heard = self._noted(self.passes.hear(self.encoder, [clip]), ["noise-600"])
        return self._finite(heard.clips[0])

    def finite(self, name: str, of: Sequence[str] | None = None) -> _Found:
        """Whether a clip's frames are numbers; of: the batch that it is in."""
        names = of or (name,)
        return self._finite(self.heard(names).clips[list(names).index(name)])

    def _finite(self, values: torch.Tensor) -> _Found:
        bad = int((~values.isfinite()).any(dim=1).sum())
        said = f"{bad} of {len(values)} frames with NaN or infinity" if bad else "finite"
        return _Found(said, bad == 0 and len(values) > 0)

    def frame_rate(self) -> _Found:
        rate = self.encoder.frame_rate
        seconds = [float(name.partition("-")[2]) for name in self.lengths]
        frames = [int(self.heard((name,)).frames.lengths[0]) for name in self.lengths]
        # a clip shorter than a frame has one nevertheless
        beyond = [n - max(1.0, s * rate) for n, s in zip(frames, seconds, strict=True)]
        off, slack = slope(seconds, beyond)
        return _Found(f"{rate + off:.2f} +- {FRAME_SLACK * slack:.2f}", abs(off) <= FRAME_SLACK * slack)

    def stereo(self) -> _Found:
        """Left and right differ; what is heard must be their mean."""
        rate = 44_100 if self.encoder.sample_rate != 44_100 else 48_000
        left, right = make_clip("noise-0.5", rate), make_clip("other-0.5", rate)
        pipeline = AudioPipeline(self.encoder.sample_rate)
        loaded = []
        for samples in (np.stack([left, right], 1), (left + right) / 2):
            buffer = io.BytesIO()
            soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
            loaded.append(pipeline.load(buffer.getvalue())[0])
        stereo, mono = (self.passes.hear(self.encoder, [samples]).clips[0] for samples in loaded)
        return self.compared(stereo, mono, self.same)

    def frame_lengths(self) -> _Found:
        self.heard(_PLAIN)  # where nothing could be encoded, there are none
        return _Found("; ".join(dict.fromkeys(self.faults)) or "as claimed", not self.faults)

    def numbers(self) -> _Found:
        self.heard(_PLAIN)
        strange = list(dict.fromkeys(self.strange))
        return _Found(f"in {', '.join(strange)}" if strange else "none", not strange)

    def half(self) -> _Found:
        self.heard(_PLAIN)
        return _Found(f"at most {self.most:.3g}", self.most <= _FLOAT16_MOST)

    def eval_mode(self) -> _Found:
        training = {name or "itself": m for name, m in self.encoder.named_modules() if m.training}
        if not training:
            return _Found("eval", True)
        acting = [name for name, module in training.items() if isinstance(module, _BY_MODE)]
        said = f"{len(training)} in train mode: {', '.join((acting or list(training))[:3])}"
        # of the others it is measured whether they depend on it
        return _Found(said, False, stops=bool(acting))

    def unchanged(self) -> _Found:
        same = self.encoder.fingerprint() == self.fingerprint
        return _Found("as before" if same else "changed", same)

    # codecs

    def decoded(self, frames: Frames) -> list[torch.Tensor]:
        """The sound of each clip (T,). Raises Broken."""
        assert isinstance(self.encoder, Codec)
        try:
            with torch.inference_mode():
                sounds, lengths = self.encoder.decode(frames)
            if sounds.ndim != 2 or lengths.shape != (len(sounds),) or len(sounds) != len(frames.values):
                raise Broken(f"waveforms {tuple(sounds.shape)}, lengths {tuple(lengths.shape)}")
            return [s[:n].float().cpu() for s, n in zip(sounds, lengths.tolist(), strict=True)]
        except Broken:
            raise
        except Exception as error:
            raise Broken(in_words(error)) from error

    def decoded_lengths(self) -> list[tuple[int, int]]:
        """Samples of each of the clips by which frame rate is measured: its own, as decoded."""
        rate = self.encoder.sample_rate
        return [
            (len(make_clip(name, rate)), len(self.decoded(self.heard((name,)).frames)[0]))
            for name in self.lengths
        ]

    def decoded_length(self) -> _Found:
        own, got = max(self.decoded_lengths(), key=lambda pair: abs(pair[1] - pair[0]))
        return _Found(f"{got} for {own} samples", abs(got - own) <= self.frame_samples)

    def decoded_rate(self) -> _Found:
        rate = self.encoder.sample_rate
        own, got = zip(*self.decoded_lengths(), strict=True)
        found, slack = slope([n / rate for n in own], got)
        slack *= self.frame_samples
        return _Found(f"{found:.0f} +- {slack:.0f}", abs(found - rate) <= slack)

    def decoded_mates(self) -> _Found:
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
        return self.compared(together, one, self.same, unit="frames of sound")

    @property
    def frame_samples(self) -> float:
        """How many samples a decoded clip may be off by: as many frames as its frames may."""
        return FRAME_SLACK * self.encoder.sample_rate / self.encoder.frame_rate


def _says(text: str) -> Callable[[Examination], str]:
    return lambda _: text


def _same(text: str) -> Callable[[Examination], str]:
    return lambda x: f"{text} within {x.same:g}"


_RULES = [
    _Rule("0.5 s of noise", lambda x: f"(1, F, {x.encoder.embedding_dim})", Examination.plain, "mend encode()"),
]
_CODEC_RULES: list[_Rule] = []
_LAST_RULES: list[_Rule] = []
_QUICK: frozenset[str] = frozenset()
