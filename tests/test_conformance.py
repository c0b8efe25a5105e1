"""What an encoder claims against what is measured: each breach is caught, and the sound pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from dasheng_reference import SMALL

from benchmark import evaluate, validate
from benchmark.cli import main
from benchmark.conformance import BREACH, OK, SKIPPED, Check
from encoders import AudioEncoder, Codec, EncoderError, Frames
from encoders.dasheng import load as load_dasheng
from encoders.dasheng import random_weights, save_checkpoint

HOP = 160


class Honest(AudioEncoder):
    """Means and extremes of each 10 ms through a layer; what the faulty ones are made from."""

    name, sample_rate, embedding_dim, frame_rate = "honest", 16_000, 8, 100.0
    honours_lengths = True

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 8)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        frames = (lengths // HOP).clamp(min=1)
        wanted = int(frames.max()) * HOP
        short = max(0, wanted - waveforms.shape[1])
        audio = torch.nn.functional.pad(waveforms, (0, short))[:, :wanted]
        blocks = audio.reshape(len(audio), -1, HOP)
        facts = torch.stack([blocks.square().mean(2), blocks.amax(2), blocks.amin(2)], dim=2)
        return Frames(self.layer(facts), frames)


class Faulty(Honest):
    """Spoils what Honest makes; fault: how."""

    name = "faulty"

    def __init__(self, fault: Callable[..., Any], **claims: Any) -> None:
        super().__init__()
        self.fault = fault
        for claim, value in claims.items():
            setattr(self, claim, value)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        made = super().encode(waveforms, lengths)
        found = self.fault(made.values, waveforms, lengths)
        return Frames(*found) if isinstance(found, tuple) else Frames(found, made.lengths)


def as_is(values: torch.Tensor, *_: Any) -> torch.Tensor:
    return values


def normalise(values: torch.Tensor, *_: Any) -> torch.Tensor:
    """Batch norm in train mode."""
    running = torch.zeros(8), torch.ones(8)
    found = torch.nn.functional.batch_norm(values.transpose(1, 2), *running, training=True)
    return found.transpose(1, 2)


def raising_where(wrong: Callable[[torch.Tensor], Any]) -> Callable[..., torch.Tensor]:
    """A fault that raises where the waveforms' lengths are so."""

    def fault(values: torch.Tensor, _: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if wrong(lengths):
            raise RuntimeError(f"cannot do\n{lengths.tolist()}")
        return values

    return fault


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
    assert checks["padding"].verdict == SKIPPED
    assert "equal length" in checks["padding"].why


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


def test_long_input_is_tried() -> None:
    found = breaches(Faulty(raising_where(lambda n: int(n.max()) > 60 * 16_000)), quick=False)
    assert found == {"10 min": "RuntimeError: cannot do [9600000]"}


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


@pytest.mark.parametrize(
    ("fault", "rows"),
    [
        (as_is, set()),
        (lambda s: s[:, ::2], {"decoded length", "decoded sample rate"}),
        (lambda s: s[:, :-400], {"decoded length"}),
        (lambda s: s / s.abs().max(), {"decoding in a batch"}),
        (lambda s: s[:, None], {"decoded length"}),
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


FILE = """\
import torch
from encoders import AudioEncoder, Frames


class Mine(AudioEncoder):
    name, sample_rate, embedding_dim, frame_rate = "mine", 16_000, 2, {rate}

    def encode(self, waveforms, lengths):
        frames = (lengths // 160).clamp(min=1)
        values = waveforms[:, : int(frames.max()) * 160 : 160, None]
        {body}
        return Frames(torch.cat([values, values.square()], 2)[:, : int(frames.max())], frames)
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def write(rate: float = 100.0, body: str = "pass") -> str:
        (tmp_path / "mine.py").write_text(FILE.format(rate=rate, body=body))
        return f"{tmp_path / 'mine.py'}:Mine"

    return write


def test_exit_codes_and_the_table(
    file: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--encoder", file(), "--quick"]) == 0
    out, err = capsys.readouterr()
    assert "mine: no breaches in 15 checks, 2 skipped" in out
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


@pytest.fixture
def score(toy: Callable[..., tuple[Path, Path]], tmp_path: Path) -> Callable[..., Any]:
    task, data = toy({"train": 6, "valid": 4, "test": 4})
    options: dict[str, Any] = {"data": data, "results": tmp_path / "r", "cache": tmp_path / "c"}

    def run(encoder: Any, **more: Any) -> Any:
        return evaluate(encoder, str(task), seeds=1, device="cpu", **options, **more)

    return run


def test_a_breach_before_a_run_fails_its_tasks_alone(
    score: Callable[..., Any], file: Callable[..., str]
) -> None:
    bad, good = score([file(rate=90.0), "logmel"])
    assert (bad.status, good.status) == ("failed", "done")
    assert bad.error == (
        "encoder 'mine' breaks its contract: frame rate: claimed 90.00 a second, measured "
        "100.00 +- 0.57; correct frame_rate (`run_bench.py validate` shows all)"
    )
    (mended,) = score(file())
    assert mended.status == "done"


def test_what_has_passed_is_not_checked_again(
    score: Callable[..., Any], file: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import benchmark.gate as gate

    looked: list[str] = []
    quick_checks = gate.quick_checks

    def noted(encoder: AudioEncoder, *more: Any) -> list[Check]:
        looked.append(encoder.name)
        return quick_checks(encoder, *more)

    monkeypatch.setattr(gate, "quick_checks", noted)
    score("logmel")
    score("logmel")  # a result that is valid
    score("logmel", limit=3)  # another result
    assert looked == ["logmel"]
    score("logmel", force=True)
    assert looked == ["logmel"] * 2
    monkeypatch.setattr(gate, "VERSION", 99)
    score("logmel")
    assert looked == ["logmel"] * 2
    score("logmel", limit=2)
    assert looked == ["logmel"] * 3
    score(file(), limit=2)
    score(file(body="values = values * 2"), limit=2)
    assert looked[3:] == ["mine", "mine"]


def test_harmless_breaches_stop_no_run(score: Callable[..., Any]) -> None:
    alone = Faulty(raising_where(lambda n: len(n) > 1))  # such clips are tried one by one
    leaking = Faulty(lambda v, *_: v + v.mean(1, keepdim=True), honours_lengths=False)
    for encoder in (alone, leaking):
        (result,) = score(encoder)
        assert result.status == "done", result.error


@pytest.mark.parametrize(
    ("module", "status"), [(torch.nn.LayerNorm(8), "done"), (torch.nn.Dropout(0.0), "failed")]
)
def test_train_mode_stops_a_run_where_it_does_something(
    score: Callable[..., Any], module: torch.nn.Module, status: str
) -> None:
    encoder = Faulty(lambda v, *_: module.train()(v))
    encoder.part = module
    (result,) = score(encoder)
    assert result.status == status
    assert "eval mode: claimed eval, measured 1 in train mode: part" in str(result.error) or (
        status == "done"
    )


def test_a_slow_encoder_is_not_held_up(
    score: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr("benchmark.passes.time.monotonic", lambda: clock[0])
    passed: list[int] = []

    def slow(values: torch.Tensor, waves: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        passed.append(len(lengths))
        clock[0] += waves.numel() / 8000  # 2 s for a second of audio
        return values

    (result,) = score(Faulty(slow), workers=1)
    assert result.status == "done"
    # 1 s and 1 s again, uncounted and counted; 3 clips would take 3 s more
    assert passed[:2] == [1, 1]
    assert "faulty: too slow to check batch mates, padding" in capsys.readouterr().err
    clock[0], passed[:] = 0, []
    score(Faulty(slow), workers=1, limit=3)
    assert "too slow" not in capsys.readouterr().err  # what there was time for has passed


def test_outputs_of_one_pass_are_checked_in_one(
    score: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from encoders.dasheng.tokenizer import DashengTokenizer

    folder = save_checkpoint(tmp_path / "w", SMALL, random_weights(SMALL, seed=3))
    batches: list[tuple[int, ...]] = []
    encode_outputs = DashengTokenizer.encode_outputs

    def noted(self: Any, waves: torch.Tensor, lengths: torch.Tensor, outputs: Any) -> Any:
        batches.append(tuple(lengths.tolist()))
        return encode_outputs(self, waves, lengths, outputs)

    monkeypatch.setattr(DashengTokenizer, "encode_outputs", noted)
    results = score(["dasheng", "dasheng:semantic"], weights=folder)
    assert [result.status for result in results] == ["done", "done"]
    assert batches.count((8000,)) == 2  # once, and once more for determinism
