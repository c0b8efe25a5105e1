"""What an encoder claims, measured: frame rate, padding, batches, dropout, odd input, decoding.

Tolerances. Two encodings of one clip are the same where no frame is off by more than 1e-3 of the
root mean square of all its values; 1e-2 where fp16 and 5e-2 where bf16 is seen at work, whose
rounding differs from one shape of batch to another. The same batch twice: 1e-5 (1e-3, 5e-3). A
frame rate may be off by what 2 frames of rounding can do to the slope over the lengths tried;
numbers of frames by 2 and 2 %, as in a run, and by 3 in 10 minutes; decoded clips by the samples of
2 frames. Silence among other clips may be off by as much as noise may.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch

from earmark.benchmark.conformance import lengths
from earmark.benchmark.conformance.advice import padding_unclaimed
from earmark.benchmark.conformance.checks import (
    IN_TIME_LENGTHS,
    LENGTHS,
    QUICK_LENGTHS,
    CheckOutcome,
    EncoderChecks,
)
from earmark.benchmark.conformance.trial import ContractBreach, Skipped, TrialRuns
from earmark.benchmark.conformance.vectors import has_vector, hears_the_end, scene
from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.encoders import AudioEncoder, Codec, left_as_found, load_encoder, ready_encoder
from earmark.encoders.device import as_current, choose_device, device_kind

VERSION = 2  # raised where the quick checks find more than before
OK, BREACH, SKIPPED = "ok", "BREACH", "skipped"


class Check(NamedTuple):
    """One line of the table.

    what: what was looked at. claimed, measured: in words. verdict: `ok`, `BREACH` or `skipped`.
    why: how to fix a breach, or why it was skipped. stops: whether a run must not start. trace: of
    an error that the encoder raised, in full.
    """

    what: str
    claimed: str
    measured: str
    verdict: str
    why: str = ""
    stops: bool = False
    trace: str = ""


class _Rule(NamedTuple):
    """claimed: in words; `{same}` and `{again}` are the tolerances, `{encoder}` the encoder.

    fix: what to do about a breach. quick: whether it is looked at before every run. may_fail:
    whether a run goes on where encode() raises here, since it tries such clips one by one.
    """

    what: str
    claimed: str
    look: Callable[[EncoderChecks], CheckOutcome]
    fix: str
    quick: bool = False
    may_fail: bool = False


_X = EncoderChecks
_PADDING = "padding"
# in its place where `validate` looks at an encoder that does not claim it
_ADVICE = _Rule(_PADDING, "not claimed", padding_unclaimed, "")
_RULES = (
    _Rule("0.5 s of noise", "finite (1, F, {encoder.embedding_dim})", _X.plain,
          "fix encode(); where it needs longer clips, set min_seconds", True),
    _Rule("embedding dimension", "{encoder.embedding_dim}", _X.dimension,
          "correct embedding_dim", True),
    _Rule("determinism", "the same twice, within {again:g}", _X.determinism,
          "switch off dropout and other random numbers", True),
    _Rule("batch mates", "as alone, within {same:g}", _X.pass_mates,
          "let no clip depend on others, by a batch's maximum or batch norm in train mode",
          True, True),
    _Rule(_PADDING, "as alone, within {same:g}", lengths.padding,
          "mask what lies beyond lengths, or set honours_lengths = False", True, True),
    _Rule("batch order", "any, within {same:g}", _X.order, "let no clip depend on others"),
    _Rule("frame rate", "{x.claimed_rate}", lengths.frame_rate,
          "correct frame_rate", True),
    _Rule("silence", "finite", _X.silence, "guard logarithms and divisions against 0", True, True),
    _Rule("full scale", "finite", _X.full_scale, "expect samples of -1 and 1"),
    _Rule("0.05 s", "finite, 1 frame or more", _X.short,
          "pad what is shorter than a window, or set min_seconds"),
    _Rule("10 min", "{x.long_frames}", lengths.long,
          "encode long clips in pieces that lose no frames, and correct frame_rate; or set "
          "max_seconds"),
    _Rule("different clips", "they differ", _X.differ,
          "let frames depend on the audio: are the weights loaded?", True, True),
)  # fmt: skip
_CODEC_RULES = (
    _Rule("decoded sound", "finite, and not silent for noise", _X.decoded_sound, "fix decode()"),
    _Rule("decoded length", "the clip's, within {x.frame_samples:.0f} samples", _X.decoded_length,
          "correct what decode() returns as lengths"),
    _Rule("decoded sample rate", "{x.output_rate} Hz", _X.decoded_rate,
          "decode to sample_rate, or say decoded_rate"),
    _Rule("decoding in a batch", "as alone, within {same:g}", _X.decoded_mates,
          "let no clip depend on others, or on what lies beyond its frames"),
)  # fmt: skip
_VECTOR_RULES = (
    _Rule("end of the clip", "heard", hears_the_end,
          "it hears the start of a clip alone: set max_seconds, or fixed_seconds, to what it hears",
          True, True),
)  # fmt: skip
_SCENE_RULES = (
    _Rule("scene", "(B, {encoder.scene_dim}), as alone, within {same:g}", scene,
          "fix encode_scene()", True),
)  # fmt: skip
_LAST_RULES = (
    _Rule("frame lengths", "1 to F, by frame_rate", _X.frame_lengths,
          "return each clip's own number of frames", True),
    _Rule("output", "float on {x.passes.device}, no gradients", _X.output,
          "return values as they are to be kept"),
    _Rule("NaN, infinity", "none", _X.numbers, "fix encode()", True),
    _Rule("float16 range", "up to 65504", _X.half, "scale the output down: frames are kept so"),
    _Rule("eval mode", "eval", _X.eval_mode, "leave the modules in eval mode", True),
    _Rule("weights", "covered by the fingerprint", _X.weights,
          "keep models as attributes of the encoder, not in globals, lists or other objects"),
    _Rule("fingerprint", "unchanged by encoding", _X.unchanged,
          "keep no state, counters or caches, in the encoder"),
)  # fmt: skip


def validate(
    encoder: str | AudioEncoder,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    quick: bool = False,
    track: ProgressFactory = no_progress,
) -> list[Check]:
    """Measure what an encoder claims.

    Args:
        encoder: A name, `path/to/file.py:Class`, or a loaded encoder, which is given back in the
            mode and on the device that it came in.
        weights: Folder with a local copy of its model.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        quick: Leave out 10 minutes of audio.
        track: Makes the Progress.

    Returns:
        One Check a line of the table, in a fixed order.

    Raises:
        EncoderError: Where it cannot be loaded.

    Example:
        >>> import earmark
        >>> checks = earmark.validate("logmel", device="cpu", quick=True)
        >>> {check.verdict for check in checks} <= {"ok", "skipped"}
        True
    """
    device = choose_device(device)
    one = load_encoder(encoder, weights=weights) if isinstance(encoder, str) else encoder
    with left_as_found(one), as_current(device), random_numbers_kept(device):
        ready_encoder(one).to(device)
        passes = TrialRuns([one], device)
        examination = EncoderChecks(one, passes, lengths=LENGTHS, fingerprint=one.fingerprint())
        rules = [_ADVICE if rule.what == _PADDING and not one.honours_lengths else rule
                 for rule in _rules(one)]  # fmt: skip
        return _all_checked(rules, examination, track, {"10 min": "--quick"} if quick else {})


def _rules(encoder: AudioEncoder) -> list[_Rule]:
    """What is looked at of an encoder, in order."""
    return [
        *_RULES,
        *(_VECTOR_RULES if has_vector(encoder) else ()),
        *(_SCENE_RULES if encoder.scene_dim is not None else ()),
        *(_CODEC_RULES if isinstance(encoder, Codec) else ()),
        *_LAST_RULES,
    ]


def quick_checks(
    encoder: AudioEncoder, passes: TrialRuns, track: ProgressFactory = no_progress
) -> list[Check]:
    """What is looked at before a run. The encoder must be in eval mode, on the passes' device."""
    examination = EncoderChecks(encoder, passes, lengths=QUICK_LENGTHS)
    rules = [rule for rule in _rules(encoder) if rule.quick]
    return _all_checked(rules, examination, track)


def in_time_check(encoder: AudioEncoder, passes: TrialRuns) -> Check:
    """Whether frames follow time up to 16 s, as tasks need that are scored in time."""
    (rule,) = [rule for rule in _RULES if rule.look is lengths.frame_rate]
    return _checked(rule, EncoderChecks(encoder, passes, lengths=IN_TIME_LENGTHS))


def random_numbers_kept(device: str) -> contextlib.AbstractContextManager[None]:
    """A context that leaves torch's random numbers as if none had been drawn in it."""
    kind = device_kind(device)
    if kind == "cpu":
        return torch.random.fork_rng(devices=[])
    number = torch.device(device).index
    if number is None:
        number = torch.cuda.current_device() if kind == "cuda" else 0
    return torch.random.fork_rng(devices=[number], device_type=kind)


def _all_checked(
    rules: Sequence[_Rule],
    examination: EncoderChecks,
    track: ProgressFactory,
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> list[Check]:
    """Every rule looked at, in order. left_out: names of some that are not to be, and why."""
    checks = []
    with track(f"{examination.encoder.name}: validating", len(rules), "checks") as bar:
        for rule in rules:
            checks.append(_checked(rule, examination, left_out.get(rule.what)))
            bar.advance(1)
    return checks


def _checked(rule: _Rule, examination: EncoderChecks, left_out: str | None = None) -> Check:
    """One rule looked at. left_out: why it is not to be."""
    examination.row = rule.what
    found, trace = CheckOutcome("-", True), ""
    skipped = left_out
    if skipped is None:
        try:
            found = rule.look(examination)
        except Skipped as reason:
            skipped = str(reason)
        except ContractBreach as fault:
            found = CheckOutcome(str(fault), False, stops=not rule.may_fail, fix=fault.fix)
            if fault.error is not None:
                trace = "".join(traceback.format_exception(fault.error))
    claimed = rule.claimed.format(
        x=examination,
        encoder=examination.encoder,
        same=examination.tolerance,
        again=examination.tolerance_again,
    )
    if skipped is not None:
        return Check(rule.what, claimed, "-", SKIPPED, skipped)
    if found.ok:
        return Check(rule.what, claimed, found.measured, OK, found.note)
    fix = found.fix or rule.fix
    return Check(rule.what, claimed, found.measured, BREACH, fix, found.stops, trace)
