"""Whether an encoder could claim `honours_lengths`: said only where padding changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty_encoders import HOP, Faulty, as_is, raising_where, write_encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark import validate
from earmark.benchmark.cli.main import main
from earmark.benchmark.conformance.advice import padding_unclaimed
from earmark.benchmark.conformance.checks import CheckOutcome, EncoderChecks
from earmark.benchmark.conformance.run import OK, SKIPPED, Check
from earmark.benchmark.conformance.trial import TrialRuns


def padding(fault: Callable[..., Any] = as_is, **claims: Any) -> Check:
    """The table's line of an encoder that does not claim it."""
    encoder = Faulty(fault, honours_lengths=False, **claims)
    (found,) = [one for one in validate(encoder, quick=True, device="cpu") if one.what == "padding"]
    return found


def looked_at(fault: Callable[..., Any]) -> CheckOutcome:
    """The same without the other lines."""
    encoder = Faulty(fault, honours_lengths=False).eval()
    return padding_unclaimed(EncoderChecks(encoder, TrialRuns([encoder], "cpu")))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the stopwatch shows; the encoder moves it."""
    now = [0.0]
    monkeypatch.setattr("earmark.benchmark.conformance.advice.time.perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("pace", "said"),
    [
        # a call takes 0.25 s, however much is in it: 32 alone, and 72 s of audio in two batches
        (lambda waves: 0.25, "16.0 times faster"),
        # 1 s: after 9 clips there is no time left, and these are one batch
        (lambda waves: 1.0, "9.0 times faster"),
        # as long as the audio with its padding: padding costs what is gained
        (lambda waves: waves.numel() / 16_000 / 20, "no faster here"),
    ],
)
def test_where_padding_changes_nothing_it_says_how_much_faster(
    clock: list[float], pace: Callable[[torch.Tensor], float], said: str
) -> None:
    def slow(values: torch.Tensor, waves: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        clock[0] += pace(waves)
        return values

    found = padding(slow)
    assert (found.claimed, found.measured, found.verdict) == ("not claimed", "equal", OK)
    assert found.why == f"you may set honours_lengths = True: {said}, same scores"


LEAKS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "the mean of padding": (
        lambda v, *_: v + v.mean(1, keepdim=True), r"off by 0.",
        "beside longer clips its frames are off by 0.",
    ),
    "frames of padding": (
        lambda v, w, n: (v, torch.full_like(n, v.shape[1])), "80 frames, not 50",
        "beside longer clips it returns 80 frames, not 50 as alone",
    ),
    # a chunk of 10 s that is seen as a whole
    "only beside much longer clips": (
        lambda v, w, n: v * (1.01 if w.shape[1] > 160_000 and len(n) > 1 else 1.0), "off by 0.01",
        "beside longer clips its frames are off by 0.01",
    ),
    "NaN in padding": (
        lambda v, w, n: v / (n >= w.shape[1])[:, None, None].float(), "NaN or infinity",
        "beside longer clips its frames are NaN or infinity",
    ),
    "no batch at all": (
        raising_where(lambda n: len(set(n.tolist())) > 1), "fails in a batch",
        "a batch of unequal lengths fails (RuntimeError: cannot do [8000, 4800, 12800]",
    ),
    "dropout": (
        lambda v, *_: torch.nn.functional.dropout(v, 0.1), "off by",
        "beside longer clips its frames are off by",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LEAKS)
def test_where_it_changes_anything_it_says_how_far_in_a_line(case: str) -> None:
    fault, measured, why = LEAKS[case]
    found = looked_at(fault)
    assert found.ok and found.measured.startswith(measured)
    assert found.note.startswith(f"honours_lengths stays False: {why}")
    assert "\n" not in found.note


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 10.0), st.sampled_from(["mean", "end", "batch"]))
def test_no_leak_that_could_move_a_score_is_advised(size: float, kind: str) -> None:
    def leak(values: torch.Tensor, waves: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if kind == "batch":
            return values * (1 + size * (len(set(lengths.tolist())) - 1))
        own = torch.arange(values.shape[1])[None] < (lengths // HOP)[:, None]
        mean = (
            values.mean(1, keepdim=True)
            - (values * own[:, :, None]).sum(1, keepdim=True) / own.sum(1)[:, None, None]
        )
        # in every frame, or in the last alone
        return values + 100 * size * mean * (1 if kind == "mean" else own[:, :, None].flip(1) * 10)

    found = looked_at(leak)
    assert "you may" not in found.note
    assert "stays False" in found.note


def test_rounding_alone_is_no_leak() -> None:
    def rounding(values: torch.Tensor, waves: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return values * (1 + 1e-6 * waves.shape[1] / 1e5)

    assert "you may set honours_lengths = True" in looked_at(rounding).note


def test_lengths_that_are_made_equal_need_no_claim() -> None:
    found = padding(fixed_seconds=2.0)
    assert (found.verdict, found.why) == (
        SKIPPED, "clips are padded and cut to the lengths that it takes",
    )  # fmt: skip


def test_before_a_run_nothing_is_timed(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    from earmark import evaluate

    task, data = toy({"train": 6, "valid": 4, "test": 4})
    heard: list[int] = []

    def noted(values: torch.Tensor, waves: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        heard.append(len(set(lengths.tolist())))
        return values

    encoder = Faulty(noted, honours_lengths=False)
    (result,) = evaluate(encoder, str(task), data=data, results=tmp_path / "r", device="cpu")
    assert result.error is None and set(heard) == {1}


def test_the_command_line_gives_the_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--encoder", write_encoder(tmp_path), "--quick"]) == 0
    assert "ok: padding: you may set honours_lengths = True: " in capsys.readouterr().out
