"""How fast clips were embedded: by a clock that is wound by hand, and kept with the embeddings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty_encoders import Faulty

from earmark import evaluate
from earmark.benchmark.embedding.clock import EmbeddingClock, speed_of
from earmark.benchmark.result.facts import EmbeddingSpeed
from earmark.benchmark.result.schema import RunResult


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the stopwatch shows; nothing else moves it."""
    now = [100.0]
    monkeypatch.setattr("earmark.benchmark.embedding.clock.time.perf_counter", lambda: now[0])
    return now


def test_time_is_counted_in_the_making_alone(clock: list[float]) -> None:
    def batches() -> Iterator[int]:
        for number in (1, 2):
            clock[0] += number
            yield number

    watch = EmbeddingClock()
    for number in watch.over(batches()):
        clock[0] += 50  # what is done with a batch
        watch.samples += 8000 * number
    assert watch.seconds == 3.0
    facts = watch.facts(16_000, "cpu")
    assert facts["embedded_seconds"] == 1.5 and facts["embedding_seconds"] == 3.0
    assert facts["device_name"].startswith("cpu ")


def facts(audio: Any, seconds: Any, where: str = "cpu x") -> dict[str, Any]:
    return {"embedded_seconds": audio, "embedding_seconds": seconds, "device_name": where}


@pytest.mark.parametrize(
    ("made", "speed"),
    [
        ([facts(60.0, 2.0), facts(30.0, 1.0)], EmbeddingSpeed(audio_seconds=90.0, seconds=3.0,
                                                              device="cpu x")),
        # two devices cannot be added: the one with the most audio
        ([facts(60.0, 2.0), facts(90.0, 1.0, "H200"), facts(20.0, 9.0)],
         EmbeddingSpeed(audio_seconds=90.0, seconds=1.0, device="H200")),
        ([{}, {"device": "cpu"}], None),  # of an older version
        ([facts(0.0, 1.0), facts(5.0, 0.0), facts("5", 1.0)], None),
    ],
)  # fmt: skip
def test_entries_of_the_store_together(
    made: list[dict[str, Any]], speed: EmbeddingSpeed | None
) -> None:
    assert speed_of(made) == speed


def test_a_run_keeps_the_first_measurement(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path, clock: list[float]
) -> None:
    """4 s a batch, as the encoder has it; from the store the same, by force another."""
    task, data = toy({"train": 6, "valid": 4, "test": 4})
    pace = [4.0]

    def slow(values: torch.Tensor, waves: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        clock[0] += pace[0] * len(lengths)
        return values

    def run(results: str, **more: Any) -> RunResult:
        (result,) = evaluate(
            Faulty(slow), str(task), data=data, results=tmp_path / results,
            cache=tmp_path / "c", seeds=1, device="cpu", **more,
        )  # fmt: skip
        assert result.error is None
        return result

    first = run("r")
    speed = first.run.embedding
    assert speed is not None and speed.device == first.run.device
    assert speed.seconds == pytest.approx(4.0 * 14)  # clips
    assert speed.audio_seconds == pytest.approx(first.data.seconds, abs=0.01)
    assert first.encoder.encode_parameters == first.encoder.parameters == 3 * 8 + 8
    pace[0] = 1.0
    for path in (tmp_path / "c" / "store").rglob("speed.json"):  # each with its embeddings
        assert (path.parent / "embeddings.npy").is_file()
    assert run("r").run.embedding == speed  # the result as it is
    again = run("elsewhere")  # from the store
    assert (again.run.embedding, again.run.encoded_audio_seconds) == (speed, 0.0)
    # what is damaged is not known; the embeddings are as good as before
    for path in (tmp_path / "c" / "store").rglob("speed.json"):
        path.write_text("[" * 100_000)
    damaged = run("damaged")
    assert (damaged.run.embedding, damaged.run.encoded_audio_seconds) == (None, 0.0)
    assert damaged.scores == first.scores
    forced = run("r", force=True).run.embedding
    assert forced == dataclasses.replace(speed, seconds=14.0)


@pytest.mark.parametrize("protocol", ["strict", "xares-0.1.3"])
def test_batches_in_the_order_of_the_file_are_timed_too(
    protocol: str, toy: Callable[..., tuple[Path, Path]], tmp_path: Path, clock: list[float]
) -> None:
    task, data = toy({"train": 6, "valid": 4, "test": 4})

    def slow(values: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        clock[0] += 1.0
        return values

    (result,) = evaluate(
        Faulty(slow), str(task), data=data, results=tmp_path / "r", seeds=1, device="cpu",
        protocol=protocol,
    )  # fmt: skip
    speed = result.run.embedding
    assert result.error is None and speed is not None
    assert speed.audio_seconds == pytest.approx(result.data.seconds, abs=0.01)
    assert 3 <= speed.seconds <= 14 and speed.seconds == int(speed.seconds)
