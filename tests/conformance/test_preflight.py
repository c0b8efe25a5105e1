"""The quick checks that stand before every run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from dasheng_reference import SMALL
from faulty_encoders import Faulty, raising_where, write_encoder

from earmark import evaluate
from earmark.benchmark.conformance.run import Check
from earmark.encoders import AudioEncoder
from earmark.encoders.dasheng import random_weights, save_checkpoint


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    return partial(write_encoder, tmp_path)


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
    import earmark.benchmark.conformance.preflight as gate

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
    monkeypatch.setattr("earmark.benchmark.conformance.trial.time.monotonic", lambda: clock[0])
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
    # nothing was marked: it is tried again, and said again
    assert passed[:2] == [1, 1]
    assert "faulty: too slow to check batch mates, padding" in capsys.readouterr().err
    monkeypatch.setattr("earmark.benchmark.conformance.preflight.BUDGET_S", 1000.0)
    score(Faulty(slow), workers=1, limit=2)  # now there is time, and it has passed
    monkeypatch.setattr("earmark.benchmark.conformance.preflight.BUDGET_S", 3.0)
    score(Faulty(slow), workers=1, limit=1)
    assert "too slow" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault",
    [
        lambda v, *_: v[:1].expand_as(v).clone(),
        lambda v, *_: torch.cat([v[:1], v[1:] * 0]),
        lambda v, *_: v * 0 + 1,
    ],
)
def test_values_that_are_not_the_clips_own_stop_a_run(
    score: Callable[..., Any], fault: Callable[..., Any]
) -> None:
    (result,) = score(Faulty(fault))
    assert result.status == "failed"
    assert "breaks its contract" in str(result.error)


def test_outputs_of_one_pass_are_checked_in_one(
    score: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earmark.encoders.dasheng.tokenizer import DashengTokenizer

    folder = save_checkpoint(tmp_path / "w", SMALL, random_weights(SMALL, seed=3))
    batches: list[tuple[int, ...]] = []
    encode_outputs = DashengTokenizer.encode_outputs

    def noted(self: Any, waves: torch.Tensor, lengths: torch.Tensor, outputs: Any) -> Any:
        batches.append(tuple(lengths.tolist()))
        return encode_outputs(self, waves, lengths, outputs)

    monkeypatch.setattr(DashengTokenizer, "encode_outputs", noted)
    results = score(["dasheng", "dasheng:semantic"], weights=folder)
    assert [result.status for result in results] == ["done", "done"]
    # noise, once more for determinism, and the two clips that are beside it in a batch
    assert batches.count((8000,)) == 4


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that keeps the twins made by one test for the next."""
    return tmp_path_factory.mktemp("twins")


@pytest.mark.parametrize("rate", [1e-6, 0.5])
def test_a_frame_rate_that_lies_stops_tasks_in_time_before_anything_is_computed(
    rate: float, twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_row(values: torch.Tensor, _: torch.Tensor, lengths: torch.Tensor) -> Any:
        return values.mean(1, keepdim=True), torch.ones_like(lengths)

    options: dict[str, Any] = {
        "data": "synthetic", "limit": 2, "seeds": 1, "device": "cpu", "results": tmp_path / "r",
        "cache": twins,
    }  # fmt: skip
    lying = Faulty(one_row, frame_rate=rate, honours_lengths=False)
    with monkeypatch.context() as patch:
        patch.setattr(
            "earmark.benchmark.embedding.cached.embed_shards",
            lambda *_: pytest.fail("it was computed"),
        )
        (timed,) = evaluate(lying, "desed", **options)
    assert timed.status == "failed"
    assert f"claimed {rate:.2f}" in str(timed.error) or f"claimed {rate:g}" in str(timed.error)
    assert "measured 1 frame for each of 1, 4, 16 s" in str(timed.error)
    # a clip's mean is right whatever the rate
    (clips,) = evaluate(lying, "vocalsound", **options)
    assert clips.status == "done", clips.error
    (honest,) = evaluate("logmel", "desed", **options)
    assert honest.status == "done", honest.error
