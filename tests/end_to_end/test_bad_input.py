"""Bad audio, labels and shards: counted and named, or the task has failed in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import TASK_YAML, audio_bytes, clip_members, write_tar

from earmark import RunResult, evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.result.facts import ClipFailure

RATE = 16_000
Members = list[tuple[str, bytes]]


def tone(n: int, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 300 * np.arange(n) / rate)


def bad_clips() -> dict[str, tuple[Members, str]]:
    """Name of what is wrong -> (members of a clip, words of the reason)."""
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 8000)
    good = audio_bytes(tone(8000), RATE)
    nan = tone(8000)
    nan[77] = np.nan
    low = {"label": "low"}
    return {
        "r9-cut-wav": (clip_members("r9-cut-wav", good[:9000], low), "cut short"),
        "r9-cut-flac": (
            clip_members("r9-cut-flac", audio_bytes(noise, RATE, "flac")[:5000], low, "flac"),
            "cannot be decoded",
        ),
        "r9-cut-mp3": (
            clip_members("r9-cut-mp3", audio_bytes(noise, RATE, "mp3")[:1000], low, "mp3"), "",
        ),
        "r9-empty": (clip_members("r9-empty", b"", low), "empty file"),
        "r9-header": (clip_members("r9-header", good[:44], low), "cut short"),
        "r9-junk": (clip_members("r9-junk", b"<html>", low, "ogg"), "cannot be decoded"),
        "r9-nan": (
            clip_members("r9-nan", audio_bytes(nan, RATE, "wav", "FLOAT"), low), "1 of 8000",
        ),
        "r9-json": (clip_members("r9-json", good, b'{"label": "lo'), "JSON is broken"),
        "r9-list": (clip_members("r9-list", good, ["low"]), "not an object"),
        "r9-label": (clip_members("r9-label", good, {"label": "middle"}), "unknown label 'middle'"),
        "r9-field": (clip_members("r9-field", good, {"lable": "low"}), "no field 'label'"),
        "r9-lone": ([("r9-lone.wav", good)], "no JSON beside the audio"),
        "r9-orphan": ([("r9-orphan.json", b"{}")], "no audio beside the JSON"),
        "notes.txt": ([("notes.txt", b"hello")], "neither JSON nor audio"),
    }  # fmt: skip


def unusual_clips() -> Members:
    """Nothing is wrong with these."""
    eight = np.stack([tone(4000)] * 8, axis=1)
    high = {"label": "high"}
    return [
        *clip_members("r8-eight", audio_bytes(eight, RATE), {"label": "low"}),
        *clip_members("r8-192k", audio_bytes(tone(96_000, 192_000), 192_000, "flac"), high, "flac"),
        *clip_members("r8-8k", audio_bytes(tone(4000, 8000), 8000, "ogg"), high, "ogg"),
        *clip_members("r8-mp3", audio_bytes(tone(9000), RATE, "mp3"), high, "MP3"),
        *clip_members("r8-short", audio_bytes(tone(1), RATE), {"label": "low"}),
        *clip_members("r8-silent", audio_bytes(np.zeros(4000), RATE), {"label": "low"}),
        *clip_members("r8-loud", audio_bytes(50 * tone(4000), RATE, "wav", "FLOAT"), high),
        *clip_members("r8-ä ö", audio_bytes(tone(4000), RATE), {"label": "low", "more": [1]}),
    ]


def score(task: Path, data: Path, results: Path, **more: Any) -> RunResult:
    settings: dict[str, Any] = {"results": results, "seeds": 1, "device": "cpu", "workers": 2}
    (result,) = evaluate("logmel", [str(task)], data=data, **(settings | more))
    return result


def cli(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Exit status and what was written to stderr."""
    capsys.readouterr()
    status = main([str(word) for word in words])
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    return status, errors


def written(results: Path) -> list[tuple[str, str, list[ClipFailure]]]:
    """Task, status and failures of every result file."""
    found = [json.loads(file.read_text()) for file in results.rglob("*.json")]
    return [
        (r["task"]["name"], r["status"], [ClipFailure(**f) for f in r["data"].get("failures", [])])
        for r in sorted(found, key=lambda r: r["status"])
    ]


# ---- clips


def test_unusual_audio_is_no_failure(toy, tmp_path):
    task, data = toy(extra={"train": unusual_clips()})
    result = score(task, data, tmp_path / "results")
    assert result.status == "done" and result.error is None
    assert result.data.failures == [] and result.data.failed_clips == 0
    assert result.data.clips == 78
    assert result.data.items == {"train": 48, "valid": 10, "test": 20}


@pytest.mark.parametrize("split", ["train", "test"])
def test_bad_clips_are_counted_and_named(toy, tmp_path, split):
    bad = bad_clips()
    members = [member for clip, _ in bad.values() for member in clip]
    task, data = toy(extra={split: members})
    result = score(task, data, tmp_path / "results", failed_share=0.2)
    assert result.status == "done" and result.error is None
    found = {failure.key: failure for failure in result.data.failures}
    assert sorted(found) == sorted(bad) and result.data.failed_clips == len(bad)
    for key, (_, words) in bad.items():
        assert found[key].shard == f"{split}-000.tar"
        assert words in found[key].reason and "\n" not in found[key].reason
    assert result.data.items == {"train": 40, "valid": 10, "test": 20}
    assert all(value.items == 20 for value in result.scores.values())
    assert written(tmp_path / "results") == [("toy", "done", result.data.failures)]


def test_bad_clips_change_no_score(toy, tmp_path):
    task, data = toy()
    clean = score(task, data, tmp_path / "clean")
    members = [member for clip, _ in bad_clips().values() for member in clip]
    toy(extra={"valid": members})
    bad = score(task, data, tmp_path / "bad", failed_share=0.2)
    assert bad.data.failed_clips == 14 and clean.data.failed_clips == 0
    assert {k: v.value for k, v in bad.scores.items()} == {
        k: v.value for k, v in clean.scores.items()
    }


@pytest.mark.parametrize("name", sorted(bad_clips()))
def test_above_the_share_the_task_has_failed(toy, tmp_path, name):
    members, words = bad_clips()[name]
    task, data = toy(extra={"test": members})
    result = score(task, data, tmp_path / "results")  # 1 of 71 is more than 1 %
    assert result.status == "failed" and result.scores == {} and result.error is not None
    for part in ("1 of 71 clips failed", "1.0%", f"test-000.tar/{name}", words, "fix the data"):
        assert part in result.error
    assert "\n" not in result.error
    ((_, status, failures),) = written(tmp_path / "results")
    assert status == "failed" and [failure.key for failure in failures] == [name]
    again = score(task, data, tmp_path / "results", failed_share=0.02)
    assert again.status == "done"
    assert written(tmp_path / "results")[0] == ("toy", "done", again.data.failures)


# ---- shards and folders


def cut_in_half(path: Path) -> str:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return "is cut"


def not_a_tar(path: Path) -> str:
    path.write_bytes(b"<html>not found</html>" * 100)
    return "is not a tar file"


def without_end(path: Path) -> str:
    path.write_bytes(path.read_bytes().rstrip(b"\0").ljust(512 * 100, b"\0")[: 512 * 6])
    return "is cut"


def nothing_in_it(path: Path) -> str:
    path.write_bytes(b"")
    return "is not a tar file"


@pytest.mark.parametrize("spoil", [cut_in_half, not_a_tar, without_end, nothing_in_it])
def test_a_spoilt_shard_fails_its_task_and_no_other(toy, tmp_path, capsys, spoil):
    task, data = toy(shards=2)
    second = tmp_path / "second.yaml"
    second.write_text(task.read_text().replace("folder: toy", "folder: second"))
    shutil.copytree(data / "toy", data / "second")
    shard = data / "toy" / "train-001.tar"
    words = spoil(shard)
    results = tmp_path / "results"
    status, errors = cli(
        capsys, "--encoder", "logmel", "--tasks", task, second, "--data", data, "--seeds", 1,
        "--results", results, "--device", "cpu",
    )  # fmt: skip
    assert status == 3
    (line,) = [line for line in errors.splitlines() if line.startswith("failed")]
    for part in ("toy", str(shard), words, "fetch it again"):
        assert part in line
    assert any(line.startswith("done") and "second" in line for line in errors.splitlines())
    assert written(results) == [("second", "done", []), ("toy", "failed", [])]


def test_a_failed_run_is_mended_by_the_same_command(toy, tmp_path, capsys):
    task, data = toy(extra={"train": bad_clips()["r9-empty"][0]})
    words = (
        "--encoder", "logmel", "--tasks", task, "--data", data, "--seeds", 1, "--device", "cpu",
        "--results", tmp_path / "results",
    )  # fmt: skip
    status, errors = cli(capsys, *words)
    assert status == 3 and "train-000.tar/r9-empty: empty file" in errors
    toy()
    status, errors = cli(capsys, *words)
    assert status == 0 and "failed  " not in errors


def test_missing_data(toy, tmp_path, capsys):
    task, data = toy()
    words = ("--encoder", "logmel", "--tasks", task, "--results", tmp_path / "r", "--data")
    status, errors = cli(capsys, *words, tmp_path / "nowhere")
    assert status == 2
    assert errors.count("\n") == 1 and str(tmp_path / "nowhere") in errors and "--data" in errors
    shutil.rmtree(data / "toy")
    status, errors = cli(capsys, *words, data)
    assert status == 3
    (line,) = [line for line in errors.splitlines() if line.startswith("failed")]
    assert str(data / "toy" / "train-*.tar") in line and "no such folder" in line


def test_a_task_without_clips_fails(toy, tmp_path):
    task, data = toy()
    for path in (data / "toy").glob("*.tar"):
        write_tar(path, [])
    result = score(task, data, tmp_path / "results")
    assert result.status == "failed" and "hold no clip" in str(result.error)
    toy()
    write_tar(data / "toy" / "test-000.tar", [])
    result = score(task, data, tmp_path / "results")
    assert result.status == "failed" and "no usable clip in split test" in str(result.error)


# ---- encoders

ENCODER = """
import torch
from earmark import AudioEncoder, Frames

class Bad(AudioEncoder):
    name, sample_rate, embedding_dim, frame_rate = "bad", 16000, 2, 10.0
    honours_lengths = True

    def encode(self, waveforms, lengths):
        frames = (lengths // 1600).clamp(min=1)
        values = torch.zeros(len(lengths), int(frames.max()), 2)
        BODY
        return Frames(values, frames)
"""


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize(
    ("body", "before", "words"),
    [
        ("raise RuntimeError('no weights\\nat all')", "RuntimeError: no weights at all",
         "RuntimeError: no weights at all"),
        ("values += torch.nan", "NaN or infinity in 5 of 5", "NaN or infinity in its output"),
        ("values = values[:, :, :1]", "embedding dimension: claimed 2, measured 1",
         "by its embedding_dim"),
        ("frames = frames * 0", "measured no frame", "from 1 up to the number of frames"),
        ("import no_such_module", "ModuleNotFoundError", "ModuleNotFoundError"),
        ("return values", "a Tensor, not Frames", "return Frames(values, lengths)"),
    ],
)  # fmt: skip
def test_an_encoder_that_fails(toy, tmp_path, capsys, monkeypatch, body, before, words, checked):
    """Before the run; and in it, where only some clips show what is wrong."""
    if not checked:
        monkeypatch.setattr(
            "earmark.benchmark.conformance.preflight.Preflight.check", lambda *_: None
        )
    task, data = toy({"train": 4, "valid": 4, "test": 4})
    file = tmp_path / "bad.py"
    file.write_text(ENCODER.replace("BODY", body))
    status, errors = cli(
        capsys, "--encoder", f"{file}:Bad", "logmel", "--tasks", task, "--data", data,
        "--seeds", 1, "--device", "cpu", "--results", tmp_path / "results",
    )  # fmt: skip
    assert status == 3
    (line,) = [line for line in errors.splitlines() if line.startswith("failed")]
    assert "bad · toy" in line and (before if checked else words) in line
    assert any(line.startswith("done") and "logmel" in line for line in errors.splitlines())


def test_an_encoder_that_was_mended_without_a_change_of_its_code_runs(toy, tmp_path, monkeypatch):
    task, data = toy({"train": 8, "valid": 4, "test": 4})
    file = tmp_path / "bad.py"
    broken = "import os; assert 'EARMARK_TEST_BROKEN' not in os.environ, 'no memory'"
    broken += "\n        values[:] = waveforms[:, :1, None]"  # a constant would be refused
    file.write_text(ENCODER.replace("BODY", broken))
    settings = {"data": data, "results": tmp_path / "r", "seeds": 1, "device": "cpu"}
    monkeypatch.setenv("EARMARK_TEST_BROKEN", "1")
    (failed,) = evaluate(f"{file}:Bad", str(task), **settings)
    assert failed.status == "failed" and "no memory" in str(failed.error)
    monkeypatch.delenv("EARMARK_TEST_BROKEN")
    (done,) = evaluate(f"{file}:Bad", str(task), **settings)
    assert done.status == "done"


def test_what_is_in_the_store_changes_nothing_of_a_limited_result(toy, tmp_path):
    task, data = toy()
    fresh = score(task, data, tmp_path / "a", cache=tmp_path / "cache-a", limit=6)
    score(task, data, tmp_path / "b", cache=tmp_path / "cache-b")
    after = score(task, data, tmp_path / "b", cache=tmp_path / "cache-b", limit=6)
    assert after.data == fresh.data


# ---- sources


def test_clips_without_their_source_are_counted_and_named(toy, tmp_path, capsys):
    """Six speakers are six sources, however some of their numbers are written."""
    rule = "source: {unit: speaker, field: who}\n"
    text = TASK_YAML[: TASK_YAML.index("source:")] + rule
    whole = {"p": 7, "q": 7.0, "r": "7", "s": " 7 "}
    lost = {"u": None, "v": False, "w": 2.5, "x": float("nan"), "y": float("inf")}
    good = audio_bytes(tone(8000), RATE)
    bad = clip_members("z", good, {"label": "low"})
    for i, (key, value) in enumerate((whole | lost).items()):
        bad += clip_members(key, good, {"label": ("low", "high")[i % 2], "who": value})
    task, data = toy({"train": 0, "valid": 0, "test": 0}, task=text)
    for split in ("train", "valid", "test"):
        rest = []
        for i in range(20):
            metadata = {"label": ("low", "high")[i % 2], "who": i % 5}
            rest += clip_members(f"{split}{i}", good, metadata)
        write_tar(data / "toy" / f"{split}-000.tar", rest + (bad if split == "test" else []))
    result = score(task, data, tmp_path / "results", failed_share=0.2)
    assert result.status == "done"
    assert result.data.sources == 6 and result.data.guessed_sources == 0
    assert [failure.key for failure in result.data.failures] == ["u", "v", "w", "x", "y", "z"]
    assert result.data.items["test"] == 24
    status, errors = cli(
        capsys, "--encoder", "logmel", "--tasks", task, "--data", data, "--seeds", 1,
        "--device", "cpu", "--results", tmp_path / "strict",
    )  # fmt: skip
    assert status == 3
    assert "6 of 70 clips failed" in errors and "source field 'who' holds no source" in errors
