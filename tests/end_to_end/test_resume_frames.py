"""Frames, captions and transcripts: killed and run again, in any batches, the same comes out."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frame_tasks import make_task, write_task
from killed_runs import in_process, moments_of, outcome, run, run_until

from earmark import RunResult, evaluate
from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.protocol import STRICT

KINDS = ("events", "notes", "captions", "transcript")
FEW = {"train": 4, "valid": 2, "test": 3}


def score(task: Path, folder: Path, out: str, **settings: Any) -> RunResult:
    facts: dict[str, Any] = {
        "data": folder / "data", "results": folder / out / "results",
        "cache": folder / out / "cache", "seeds": 2, "device": "cpu", "batch_seconds": 2.0,
        "protocol": dataclasses.replace(STRICT, least_updates=0, learning_rates=(), patience=0.0),
    }  # fmt: skip
    (result,) = evaluate("logmel", str(task), **(facts | settings))
    assert result.error is None
    return result


def entries(folder: Path, out: str) -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    """The store's manifests, less how they were made, and arrays by the name of the entry."""
    found = {}
    for path in (folder / out / "cache" / "store").glob("??/*/manifest.json"):
        manifest = json.loads(path.read_text())
        del manifest["sha256"], manifest["made"]
        found[path.parent.name] = (manifest, np.load(path.with_name("embeddings.npy")))
    return found


# ---- killed


def killed(folder: Path, tasks: str, every: int, last: int) -> None:
    """Kill a run at every so-many-th state of its files and at the last ones; then run it again."""
    data = str(folder / "data")
    assert in_process(run, tasks, data, str(folder / "whole")) == 0
    expected = outcome(folder / "whole")
    assert sum(name.endswith(".npz") for name in expected) == tasks.count(os.pathsep) + 1
    moments, differing = moments_of(tasks, data, folder / "count")
    assert outcome(folder / "count") == expected
    assert moments > 25
    for event in sorted({*differing[:-last:every], *differing[-last:]}):
        out = folder / f"killed-{event}"
        assert in_process(run_until, event, tasks, data, str(out)) == -signal.SIGKILL
        run(tasks, data, str(out))
        assert outcome(out) == expected, f"killed at moment {event}"
        assert not list((out / "cache" / "store").glob("tmp*"))  # frames that were spilled


def test_tasks_by_frame_killed_at_every_third_state(tmp_path):
    """As LibriSpeech-100h and LibriSpeech-MF: one shard's entries of both kinds made at once."""
    make_task(tmp_path, "transcript", counts=FEW)
    tasks = [tmp_path / "transcript.yaml", write_task(tmp_path, "gender", "transcript")]
    killed(tmp_path, os.pathsep.join(map(str, tasks)), 3, 4)


def test_notes_killed_now_and_then(tmp_path):
    killed(tmp_path, str(make_task(tmp_path, "notes", counts=FEW)), 11, 1)


def test_captions_killed_as_the_result_is_written(tmp_path):
    task = make_task(tmp_path, "captions", counts={"train": 2, "valid": 1, "test": 2})
    task.write_text(task.read_text().replace("epochs: 2", "epochs: 1"))
    killed(tmp_path, str(task), 100, 1)


# ---- nothing twice


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_run_computes_nothing(tmp_path, monkeypatch, kind):
    task = make_task(tmp_path, kind, counts=FEW)
    first = score(task, tmp_path, "out")
    files = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (tmp_path / "out").rglob("*") if path.is_file()
    }  # fmt: skip

    def must_not(*_: Any, **__: Any) -> Any:
        pytest.fail("computed again")

    monkeypatch.setattr(AudioPipeline, "load", must_not)
    # of no clip; the signals that an encoder is known by are encoded each time
    monkeypatch.setattr("earmark.benchmark.embedding.batches.encode_each", must_not)
    monkeypatch.setattr("earmark.benchmark.evaluation.cell.score_items", must_not)
    monkeypatch.setattr("earmark.benchmark.evaluation.cell.open_dataset", must_not)
    again = score(task, tmp_path, "out")
    assert again.scores == first.scores and again.run == first.run
    for path, (content, written) in files.items():
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, written)


@pytest.mark.parametrize("kind", ["events", "transcript"])
def test_another_probe_takes_the_frames_from_the_store(tmp_path, monkeypatch, kind):
    task = make_task(tmp_path, kind, counts=FEW)
    first = score(task, tmp_path, "out")
    assert first.run.encoded_audio_seconds > 5

    def must_not(*_: Any) -> Any:
        pytest.fail("decoded again")

    monkeypatch.setattr(AudioPipeline, "load", must_not)
    task.write_text(task.read_text().replace("epochs: 3", "epochs: 4"))
    more = score(task, tmp_path, "out")
    assert more.run.encoded_audio_seconds == 0
    before, after = (result.scores["linear"].training_loss for result in (first, more))
    assert before is not None and after is not None
    assert (len(before), len(after)) == (3, 4) and after[0] == before[0]


# ---- batches and threads


@pytest.mark.parametrize("kind", ["events", "transcript"])
def test_threads_change_no_bit(tmp_path, kind):
    task = make_task(tmp_path, kind, shards=2)
    for workers in (1, 2, 5):
        score(task, tmp_path, f"w{workers}", workers=workers)
    one, two, five = (outcome(tmp_path / f"w{workers}") for workers in (1, 2, 5))
    assert one == two == five


@pytest.mark.parametrize("kind", ["events", "notes", "transcript"])
def test_batches_change_a_frame_by_its_last_bit_at_most(tmp_path, kind):
    """Frames are rounded to float16, so float32's last bit may tip one of float16 now and then.

    All else of the store is the same; scores are, but for a segment or a letter on the edge.
    """
    task = make_task(tmp_path, kind)
    sizes = {"alone": 0.001, "few": 4.0, "all": 1e4}
    results = {out: score(task, tmp_path, out, batch_seconds=s) for out, s in sizes.items()}
    alone = entries(tmp_path, "alone")
    assert len(alone) == 3
    for out in ("few", "all"):
        other = entries(tmp_path, out)
        assert other.keys() == alone.keys()  # the size of batches is no part of the key
        for name, (manifest, frames) in other.items():
            assert manifest == alone[name][0]
            theirs = alone[name][1]
            apart = np.abs(frames.astype(np.float64) - theirs)
            unit = np.maximum(np.spacing(np.abs(frames)), np.spacing(np.abs(theirs)))
            # near zero float16 is finer than what float32 leaves of logarithms of some 10
            assert (apart <= np.maximum(unit.astype(np.float64), 1e-4)).all()
            assert np.mean(apart > 0) < 0.01
        scores, wanted = results[out].scores["linear"], results["alone"].scores["linear"]
        assert scores.training_loss == pytest.approx(wanted.training_loss, rel=1e-3)
        assert scores.per_seed == pytest.approx(wanted.per_seed, abs=0.03)


def test_two_orders_of_tasks_leave_the_same(tmp_path):
    files = [make_task(tmp_path, kind, counts=FEW) for kind in ("events", "transcript")]
    files.append(write_task(tmp_path, "gender", "transcript"))
    seen = []
    for number, order in enumerate(itertools.permutations(map(str, files))):
        run(os.pathsep.join(order), str(tmp_path / "data"), str(tmp_path / f"o{number}"))
        seen.append(outcome(tmp_path / f"o{number}"))
    assert all(one == seen[0] for one in seen)
