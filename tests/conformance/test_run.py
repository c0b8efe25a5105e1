"""What an encoder claims against what is measured: each breach is caught, and the sound pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from dasheng_reference import SMALL
from faulty_encoders import HOP, Faulty, Honest, as_is, normalise, raising_where, write_encoder

from earmark import validate
from earmark.benchmark.cli.main import main
from earmark.benchmark.conformance.run import BREACH, OK, SKIPPED, Check
from earmark.encoders import AudioEncoder, Codec, EncoderError, Frames
from earmark.encoders.dasheng import load as load_dasheng
from earmark.encoders.dasheng import random_weights, save_checkpoint


def by_name(checks: list[Check]) -> dict[str, Check]:
    assert len({check.what for check in checks}) == len(checks)
    return {check.what: check for check in checks}


def breaches(encoder: AudioEncoder, *, quick: bool = True) -> dict[str, str]:
    """What was measured where it is not as claimed."""
    checks = validate(encoder, quick=quick, device="cpu")
    return {check.what: check.measured for check in checks if check.verdict == BREACH}


@pytest.mark.parametrize("name", ["logmel", "mfcc"])
def test_built_in_encoders_pass_whole(name: str) -> None:
    checks = validate(name, device="cpu")
    assert {check.verdict for check in checks} == {OK}
    assert "10 min" in by_name(checks)


def test_a_small_dasheng_passes_with_its_decoding(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, SMALL, random_weights(SMALL, seed=3))
    (codec,) = load_dasheng(weights=folder)
    checks = by_name(validate(codec, quick=True, device="cpu"))
    assert {c.what for c in checks.values() if c.verdict != OK} == {"10 min"}
    for what in ("decoded length", "decoded sample rate", "decoding in a batch", "padding"):
        assert what in checks


def test_the_sound_one_passes_and_says_what_it_skips() -> None:
    checks = by_name(validate(Honest(), quick=True, device="cpu"))
    skipped = {c.what: c.why for c in checks.values() if c.verdict == SKIPPED}
    assert skipped == {"10 min": "--quick"}
    assert checks["frame rate"].measured.startswith("100.0")
    plain = Honest()
    plain.honours_lengths = False
    checks = by_name(validate(plain, quick=True, device="cpu"))
    assert checks["padding"].verdict == OK


@pytest.mark.parametrize("seconds", [1, 3])
def test_frames_longer_than_a_clip_are_no_breach(seconds: int) -> None:
    class Long(Honest):
        frame_rate = 1 / seconds

        def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
            frames = (lengths // (16_000 * seconds)).clamp(min=1)
            values = super().encode(waveforms, lengths).values[:, :1]
            return Frames(values.expand(-1, int(frames.max()), -1), frames)

    assert breaches(Long()) == {}


Caught = tuple[Callable[..., Any], dict[str, Any], str, str]
FAULTS: dict[str, Caught] = {
    # fault, claims, the first row that is breached, what was measured
    "false frame rate": (as_is, {"frame_rate": 101.5}, "frame rate", r"100\.0\d \+- 0\.1\d"),
    "twice the frame rate": (as_is, {"frame_rate": 50.0}, "frame rate", r"100\.0"),
    "false dimension": (as_is, {"embedding_dim": 9}, "embedding dimension", "8"),
    "padding leak": (
        lambda v, *_: v + v.mean(1, keepdim=True), {}, "padding", r"off by 0\.\d+",
    ),
    "padding taken for audio": (
        lambda v, w, n: (v, torch.full_like(n, v.shape[1])), {}, "padding", "80 frames, not 50",
    ),
    "dropout left on": (
        lambda v, *_: torch.nn.functional.dropout(v, 0.1), {}, "determinism", r"off by",
    ),
    "batch norm in train mode": (normalise, {}, "batch mates", r"off by"),
    "batch maximum": (lambda v, w, n: v / w.abs().max(), {}, "batch mates", r"off by 0\.\d"),
    "batch maximum, equal lengths": (
        lambda v, w, n: v / w.abs().max(), {"honours_lengths": False}, "batch mates", r"off by",
    ),
    "the first clip's values for all": (
        lambda v, *_: v[:1].expand_as(v).clone(), {}, "batch mates", "row 2: off by",
    ),
    "zeros for all but the first": (
        lambda v, *_: torch.cat([v[:1], v[1:] * 0]), {}, "batch mates", "row 2: off by",
    ),
    "zeros for the shortest": (
        lambda v, w, n: v * ((n == n.max()) | (n > 7000))[:, None, None], {}, "padding",
        "row 2: off by",
    ),
    "a constant": (lambda v, *_: v * 0 + 1, {}, "different clips", "the same"),
    "swapped rows": (lambda v, *_: v.flip(0), {}, "batch mates", r"off by"),
    "NaN on silence": (
        lambda v, w, n: v / w.abs().amax(1)[:, None, None], {}, "silence",
        "NaN or infinity in 50 of 50 frames",
    ),
    "NaN": (lambda v, *_: v.log(), {}, "0.5 s of noise", r"NaN or infinity in \d+ of 50"),
    "crash on short input": (
        raising_where(lambda n: (n < 1600).any()), {}, "0.05 s", r"RuntimeError: cannot do \[800\]",
    ),
    "crash in a batch": (
        raising_where(lambda n: len(n) > 1), {}, "batch mates", "RuntimeError: cannot do",
    ),
    "crash always": (raising_where(len), {}, "0.5 s of noise", "RuntimeError: cannot do"),
    "lengths beyond the frames": (
        lambda v, w, n: (v, n // HOP + 1), {"honours_lengths": False},
        "frame lengths", r"51 of 50 for 0\.5 s",
    ),
    "no frames": (lambda v, w, n: (v, n * 0), {}, "0.5 s of noise", "no frame"),
    "lengths in samples": (
        lambda v, w, n: (v, n), {"honours_lengths": False}, "frame rate", r"16000\.0",
    ),
    "not Frames": (lambda v, w, n: (v[0], n), {}, "0.5 s of noise", r"values of shape \(50, 8\)"),
    "beyond float16": (lambda v, *_: v * 1e6, {}, "float16 range", r"at most 1\.\d+e\+06"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_breach_is_caught(case: str) -> None:
    fault, claims, what, measured = FAULTS[case]
    found = breaches(Faulty(fault, **claims))
    assert next(iter(found)) == what, found
    assert re.match(measured, found[what]), found
    assert "\n" not in found[what]


def one_row(values: torch.Tensor, _: torch.Tensor, lengths: torch.Tensor) -> Any:
    return values.mean(1, keepdim=True), torch.ones_like(lengths)


@pytest.mark.parametrize(("rate", "said"), [(1e-6, "1e-06 a second"), (0.02, "0.02 a second")])
def test_a_frame_rate_that_no_frame_follows(rate: float, said: str) -> None:
    claims = {"frame_rate": rate, "honours_lengths": False}
    checks = by_name(validate(Faulty(one_row, **claims), quick=True, device="cpu"))
    check = checks["frame rate"]
    assert (check.verdict, check.claimed) == (BREACH, said)
    assert check.measured == "1 frame for each of 0.5, 1, 2.33, 4, 7.77, 16 s"


def test_long_input_is_tried() -> None:
    found = breaches(Faulty(raising_where(lambda n: int(n.max()) > 60 * 16_000)), quick=False)
    assert found["10 min"].startswith(
        "RuntimeError: cannot do [9600000] (faulty_encoders.py, line "
    )
    assert len(found) == 1


def test_frames_that_drift_over_a_long_file() -> None:
    def drift(values: torch.Tensor, _: torch.Tensor, lengths: torch.Tensor) -> Any:
        lost = 4 if len(lengths) == 1 and int(lengths) > 60 * 16_000 else 0
        return values, (lengths // HOP).clamp(min=1) - lost

    assert breaches(Faulty(drift), quick=False) == {"10 min": "59996 frames, finite"}


def test_silence_that_is_all_but_zero_is_measured_against_noise() -> None:
    def tiny(values: torch.Tensor, waves: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        silent = waves.abs().amax(1)[:, None, None] == 0
        return torch.where(silent, torch.full_like(values, 1e-9 * len(waves)), values)

    assert breaches(Faulty(tiny)) == {}


def test_one_fault_is_told_once() -> None:
    checks = by_name(validate(Faulty(raising_where(len)), quick=True, device="cpu"))
    assert checks["embedding dimension"].why == "fails as '0.5 s of noise' does"
    assert checks["NaN, infinity"].verdict == SKIPPED


def test_a_module_that_stays_in_train_mode() -> None:
    class Stubborn(Honest):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.norm = torch.nn.Dropout(0.1), torch.nn.LayerNorm(8)

        def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
            made = super().encode(waveforms, lengths)
            return Frames(self.drop.train()(self.norm.train()(made.values)), made.lengths)

    stubborn = Stubborn().eval()
    found = breaches(stubborn)
    assert found["eval mode"] == "2 in train mode: drop"
    assert "determinism" in found
    assert not stubborn.drop.training  # given back as it came


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(None, "0.001"), (torch.float16, "0.01"), (torch.bfloat16, "0.05")]
)
def test_half_precision_inside_is_seen(dtype: torch.dtype | None, tolerance: str) -> None:
    class Half(Honest):
        def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
            with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
                made = super().encode(waveforms, lengths)
            return Frames(made.values.float(), made.lengths)

    checks = by_name(validate(Half(), quick=True, device="cpu"))
    assert checks["padding"].claimed == f"as alone, within {tolerance}"
    assert checks["padding"].verdict == OK


def test_state_that_changes_the_fingerprint() -> None:
    class Counting(Honest):
        calls = 0

        def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
            self.calls += 1
            return super().encode(waveforms, lengths)

    assert breaches(Counting()) == {"fingerprint": "changed"}


class Sound(Honest, Codec):
    """Its latent is the audio, 160 samples a frame. fault: spoils the decoded (B, T)."""

    name, embedding_dim = "sound", HOP

    def __init__(self, fault: Callable[..., Any] = as_is) -> None:
        super().__init__()
        self.fault = fault

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        wanted = int((lengths // HOP).clamp(min=1).max()) * HOP
        short = max(0, wanted - waveforms.shape[1])
        audio = torch.nn.functional.pad(waveforms, (0, short))[:, :wanted]
        return Frames(audio.reshape(len(audio), -1, HOP), (lengths // HOP).clamp(min=1))

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        sound = self.fault(frames.values.flatten(1))
        return sound, frames.lengths * sound.shape[1] // frames.values.shape[1]


def test_a_codec_may_decode_to_a_rate_of_its_own() -> None:
    half = Sound(lambda sound: sound[:, ::2])
    half.decoded_rate = Sound.sample_rate // 2
    assert breaches(half) == {}
    checks = by_name(validate(half, quick=True, device="cpu"))
    assert checks["decoded sample rate"].claimed == f"{half.decoded_rate} Hz"
    half.decoded_rate = Sound.sample_rate // 4
    assert set(breaches(half)) == {"decoded length", "decoded sample rate"}


@pytest.mark.parametrize(
    ("fault", "rows"),
    [
        (as_is, set()),
        (lambda s: s[:, ::2], {"decoded length", "decoded sample rate"}),
        (lambda s: s[:, :-400], {"decoded length"}),
        (lambda s: s / s.abs().max(), {"decoding in a batch"}),
        (lambda s: s[:, None], {"decoded sound"}),
        (lambda s: s / 0, {"decoded sound", "decoding in a batch"}),
        (lambda s: s * 0, {"decoded sound"}),
    ],
)
def test_decoding(fault: Callable[..., Any], rows: set[str]) -> None:
    found = breaches(Sound(fault))
    assert rows <= set(found) and bool(found) == bool(rows), found


def test_validate_leaves_random_numbers_and_the_encoder_as_they_were() -> None:
    encoder = Faulty(lambda v, *_: torch.nn.functional.dropout(v, 0.1)).train()
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    validate(encoder, quick=True, device="cpu")
    assert torch.equal(torch.rand(1), expected)
    assert encoder.training


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    return partial(write_encoder, tmp_path)


def test_exit_codes_and_the_table(
    file: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--encoder", file(), "--quick"]) == 0
    out, err = capsys.readouterr()
    assert "mine: no breaches in 18 checks, 1 skipped" in out
    assert (err, "\x1b" in out) == ("", False)
    assert max(map(len, out.splitlines())) <= 80
    assert main(["validate", "--encoder", file(rate=90.0), "logmel", "--quick"]) == 1
    out, _ = capsys.readouterr()
    assert re.search(r"^frame rate +90\.00 a second +100\.0\d \+- 0\.1\d +BREACH", out, re.M)
    assert "BREACH: frame rate: correct frame_rate" in out
    assert "logmel: no breaches" in out
    for words in (["logmell"], ["no/file.py:Mine"], ["logmel", "--weights", "x"]):
        assert main(["validate", "--encoder", *words]) == 2
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1)
    with pytest.raises(EncoderError, match="logmel"):
        validate("logmell")


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["validate", "--help"])
    out = capsys.readouterr().out
    assert out.count("python run_bench.py validate --encoder") == 3
    assert "exit status: 0 all is as claimed, 1" in out
