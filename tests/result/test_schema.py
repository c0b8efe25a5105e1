"""Results on disk: a round trip, what counts as still valid, and failures beside successes."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reconstruction_files import make_result as codec_result
from result_files import typed_result

from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.reconstruction.result import ReconstructionResult
from earmark.benchmark.result.files import (
    failed_path,
    read_result,
    result_files,
    result_path,
    still_valid,
    write_result,
)
from earmark.benchmark.result.schema import (
    Predictions,
    ResultError,
    RunResult,
    Score,
)

ROOT = Path("results")


def make_score(**changes: Any) -> Score:
    facts: dict[str, Any] = {
        "metric": "accuracy", "value": 0.75, "per_seed": [0.7, 0.8], "spread": 0.07,
        "interval": [0.6, 0.9], "confidence": 0.95, "items": 40, "sources": 8,
        "per_split": {"test": 0.75}, "best_epochs": {"test": [3, 5]},
    }  # fmt: skip
    return Score(**facts | changes)


def make_result(**changes: Any) -> RunResult:
    facts: dict[str, Any] = {
        "status": "done", "synthetic": False,
        "task": {
            "name": "toy", "title": "Tönchen", "domain": "sound", "metric": "accuracy",
            "weight": 1.0, "probes": ["linear", "knn"], "digest": "d",
        },
        "encoder": {"name": "logmel", "fingerprint": "f", "frame_rate": 25.0},
        "protocol": {"name": "strict", "seeds": 5},
        "scores": {"linear": make_score(), "knn": make_score(spread=None, best_epochs=None)},
        "data": {
            "limit": None, "items": {"train": 3}, "shards": [], "clips": 3, "sources": 2,
            "source_unit": "file", "failed_clips": 0, "failures": [], "guessed_sources": 0,
            "straddling_sources": 0, "labels": 3, "label_faults": 0, "faults": [],
        },
        "inputs": "abc",
        "command": "python run_bench.py", "versions": {"torch": "2"}, "run": {"seconds": 1.5},
    }  # fmt: skip
    return typed_result(**facts | changes)


def make_failure() -> RunResult:
    return make_result(status="failed", scores={}, error="no shards", data={"limit": None})


def make_predictions(value: int = 0) -> Predictions:
    return Predictions(
        keys=np.array(["a", "ü/b"]), crops=np.array([0, 1]), sources=np.array(["s", "t"]),
        splits=np.array(["test", "test"]), labels=np.array([0, 1]),
        linear=np.array([[0, value], [1, 1]]), knn=np.array([1, 1]),
    )  # fmt: skip


def make_path(folder: Path, **changes: Any) -> Path:
    facts: dict[str, Any] = {
        "encoder": "logmel", "fingerprint": "0123456789abcdef", "protocol": "strict",
        "task": "toy", "synthetic": False, "limit": None,
    }  # fmt: skip
    return result_path(folder, **facts | changes)


def test_round_trip() -> None:
    result = make_result()
    assert RunResult.from_json(result.to_json()) == result
    assert RunResult.from_json(make_failure().to_json()) == make_failure()


def test_what_json_lacks_becomes_null_and_nan_again() -> None:
    nan = math.nan
    score = make_score(
        value=nan,
        per_seed=[nan, 0.5],
        per_split={"1": nan, "2": 0.5},
        interval=[nan, nan],
        spread=nan,
    )
    text = make_result(scores={"linear": score}, run={"seconds": math.inf}).to_json()
    raw = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert raw["scores"]["linear"]["value"] is None
    assert raw["scores"]["linear"]["per_seed"] == [None, 0.5]
    assert raw["run"]["seconds"] is None
    again = RunResult.from_json(text).scores["linear"]
    assert math.isnan(again.value)
    assert math.isnan(again.per_seed[0])
    assert again.per_seed[1] == 0.5
    assert math.isnan(again.per_split["1"])
    assert again.per_split["2"] == 0.5
    assert again.interval is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(0, 10**6), st.text())
def test_numbers_and_texts_come_back_to_the_last_bit(
    values: list[float], items: int, text: str
) -> None:
    text = text.encode(errors="replace").decode()  # a lone surrogate cannot be written as UTF-8
    result = make_result(
        error=text, scores={"knn": make_score(value=values[0], per_seed=values, items=items)}
    )
    assert RunResult.from_json(result.to_json().encode().decode()) == result


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a result file"),
        ('{"schema": 1, "status": "do', "not a result file"),
        ("[1, 2]", "not a result file"),
        ("3", "not a result file"),
        ("{}", "schema None"),
        ('{"schema": 99}', "schema 99, this version reads 1"),
        ('{"schema": 1}', "not a result file"),
        ('{"schema": 1, "scores": {}, "surprise": 2}', "not a result file"),
        ('{"schema": 1, "scores": {"knn": 3}}', "not a result file"),
        ('{"schema": 1, "scores": {"knn": {"value": 1}}}', "not a result file"),
        ('{"schema": 1, "scores": []}', "not a result file"),
    ],
)
def test_files_that_are_no_results(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ResultError) as caught:
        read_result(path)
    line = str(caught.value)
    assert said in line
    assert str(path) in line
    assert "\n" not in line


@pytest.mark.parametrize("part", ["task", "encoder", "protocol", "data"])
def test_result_without_what_tables_need_is_refused_here(part: str) -> None:
    for content, said in (({}, rf"{part}.\w+ is"), (None, "not a result"), (3, "not a result")):
        raw = json.loads(make_result().to_json()) | {part: content}
        with pytest.raises(ResultError, match=said):
            RunResult.from_json(json.dumps(raw))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("task.domain", "noise", "task.domain is 'noise', not speech, sound, music"),
        ("task.weight", "heavy", "task.weight must be a number, not 'heavy'"),
        ("task.weight", 0, "task.weight is 0"),
        ("task.probes", "linear", "task.probes must be a list, not 'linear'"),
        ("task.title", None, "task.title must be text, not None"),
        ("encoder.fingerprint", 12, "encoder.fingerprint must be text, not 12"),
        ("protocol.seeds", "five", "protocol.seeds must be a whole number, not 'five'"),
        ("status", "running", "status must be one of done, failed, not applicable, not 'running'"),
        ("synthetic", "no", "synthetic must be true or false, not 'no'"),
        ("scores", {}, "it is done but has no scores"),
        ("scores.knn.items", None, "scores.knn.items must be a whole number, not None"),
        ("scores.knn.value", "high", "scores.knn.value must be a number, not 'high'"),
        ("scores.knn.interval", [0.5], "scores.knn.interval must be two numbers, not [0.5]"),
        ("scores.knn.interval", ["low", 1], "scores.knn.interval[0] must be a number, not 'low'"),
        ("data.limit", "all", "data.limit must be a whole number, not 'all'"),
        ("data.sources", "many", "data.sources must be a whole number, not 'many'"),
        ("data.failed_clips", 3, "its count of failed clips is not that of those named"),
        ("data.shards", [{"name": "a.tar"}], "data.shards[0].split is missing"),
        ("data.shards", ["a.tar"], "data.shards[0] must be an object, not 'a.tar'"),
        ("data.label_faults", None, "data.label_faults must be a whole number, not None"),
    ],
)
def test_result_that_tables_could_not_show_is_refused_here(
    tmp_path: Path, place: str, value: object, said: str
) -> None:
    raw = inner = json.loads(make_result().to_json())
    *outer, last = place.split(".")
    for key in outer:
        inner = inner[key]
    inner[last] = value
    path = tmp_path / "x.json"
    path.write_text(json.dumps(raw))
    with pytest.raises(ResultError) as caught:
        read_result(path)
    line = str(caught.value)
    assert said in line
    assert line.startswith(f"{path}: not a result file (") and "\n" not in line
    board, unreadable = Leaderboard.from_folder(tmp_path)
    assert (board.tables, unreadable) == ([], [line])


def doubled(text: str, key: str, value: str) -> str:
    """JSON in which a key is there once more, before where it was."""
    place = text.index(f'"{key}":')
    return f'{text[:place]}"{key}": {value}, {text[place:]}'


@pytest.mark.parametrize(
    ("key", "value"), [("value", "0.99"), ("status", '"done"'), ("name", '""')]
)
def test_a_key_that_is_there_twice_is_refused_with_the_files_name(
    tmp_path: Path, key: str, value: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(doubled(make_result().to_json(), key, value))
    with pytest.raises(ResultError) as caught:
        read_result(path)
    wanted = f"{path}: not a result file (it has the key {key!r} twice in one object); remove it"
    assert str(caught.value) == wanted
    codec = doubled(codec_result("mulaw", {"stoi": 0.9}).to_json(), key, value)
    with pytest.raises(ResultError, match=f"b: not a reconstruction .*the key .{key}. twice"):
        ReconstructionResult.from_json(codec, "b")


def test_json_nested_without_end_is_no_result() -> None:
    with pytest.raises(ResultError, match="not a result file"):
        RunResult.from_json("[" * 100_000)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"\xff\xfe\x00{")
    for unreadable in (path, tmp_path / "absent.json", tmp_path):
        with pytest.raises(ResultError, match="cannot be read"):
            read_result(unreadable)


def test_no_two_cells_share_a_file() -> None:
    choices: dict[str, list[Any]] = {
        "encoder": ["logmel", "mfcc"],
        "fingerprint": ["0123456789abcdef", "1123456789abcdef"],
        "protocol": ["strict", "xares-0.1.3"],
        "task": ["toy", "toy-1", "toy.limit"],
        "synthetic": [False, True],
        "limit": [None, 1, 11],
        "seeds": [None, 1, 11],
    }
    paths = [
        make_path(ROOT, **dict(zip(choices, combination, strict=True)))
        for combination in itertools.product(*choices.values())
    ]
    everything = [*paths, *(failed_path(path) for path in paths)]
    everything += [path.with_suffix(".predictions.npz") for path in paths]
    assert len(set(everything)) == 3 * 2 * 2 * 2 * 3 * 2 * 3 * 3


def test_synthetic_is_said_in_the_file_name() -> None:
    path = make_path(ROOT, synthetic=True, limit=20)
    assert "synthetic" in path.name
    assert "synthetic" in failed_path(path).name
    assert "synthetic" not in str(make_path(ROOT))


@pytest.mark.parametrize("name", ["../../etc", "a/b", "Ünï çode", "", "..", "x" * 100, "a:b\n"])
def test_no_encoder_name_leaves_the_folder(name: str) -> None:
    path = make_path(ROOT, encoder=name)
    assert path.parent.parent.parent == ROOT
    assert ".." not in path.parts
    assert str(path).isascii()


def test_written_result_is_valid_for_its_inputs_only(tmp_path: Path) -> None:
    path = make_path(tmp_path)
    assert still_valid(path, "abc") is None
    result = make_result()
    write_result(path, result, make_predictions())
    assert still_valid(path, "abc") == result == read_result(path)
    assert still_valid(path, "abd") is None
    assert result.predictions is not None
    beside = path.parent / result.predictions.file
    written = hashlib.sha256(beside.read_bytes()).hexdigest()
    assert written == result.predictions.sha256
    assert {p.name for p in path.parent.iterdir()} == {path.name, beside.name}


def test_damage_makes_a_result_invalid(tmp_path: Path) -> None:
    path = make_path(tmp_path)
    write_result(path, make_result(), make_predictions())
    beside = path.with_suffix(".predictions.npz")
    whole, text = beside.read_bytes(), path.read_text()
    for damaged in (whole[:-1], whole + b"\0", b"", bytes([whole[0] ^ 1]) + whole[1:]):
        beside.write_bytes(damaged)
        assert still_valid(path, "abc") is None
    beside.unlink()
    assert still_valid(path, "abc") is None
    beside.write_bytes(whole)
    assert still_valid(path, "abc") is not None
    raw = json.loads(text)
    for changed in (
        text[: len(text) // 2],
        json.dumps(raw | {"status": "failed"}),
        json.dumps(raw | {"predictions": None}),
        json.dumps(raw | {"predictions": {}}),
        json.dumps(raw | {"predictions": {"file": beside.name}}),
        json.dumps(raw | {"predictions": "lost"}),
        json.dumps(raw | {"schema": 0}),
    ):
        path.write_text(changed)
        assert still_valid(path, "abc") is None


def test_failure_goes_beside_a_success_until_the_next_success(tmp_path: Path) -> None:
    path = make_path(tmp_path)
    write_result(path, make_result(), make_predictions())
    write_result(path, make_failure(), None)
    assert still_valid(path, "abc") is not None
    assert read_result(failed_path(path)).error == "no shards"
    assert sorted(result_files(tmp_path)) == sorted([path, failed_path(path)])
    write_result(path, make_result(inputs="new"), make_predictions(1))
    assert list(result_files(tmp_path)) == [path]
    assert read_result(path).inputs == "new"


def test_first_attempt_that_fails_leaves_no_success(tmp_path: Path) -> None:
    path = make_path(tmp_path)
    write_result(path, make_failure(), None)
    assert not path.exists()
    assert still_valid(path, "abc") is None
    assert [read_result(p).status for p in result_files(tmp_path)] == ["failed"]


def test_hidden_and_foreign_files_are_no_results(tmp_path: Path) -> None:
    path = make_path(tmp_path)
    write_result(path, make_result(), make_predictions())
    (path.parent / ".tmp-toy.json-x1.json").write_text("{")
    (path.parent / "notes.txt").write_text("mine")
    assert list(result_files(tmp_path)) == [path]


@pytest.mark.parametrize("knn", [True, False])
def test_predictions_come_back_without_pickle(tmp_path: Path, knn: bool) -> None:
    predictions = make_predictions()
    if not knn:
        rng = np.random.default_rng(0)
        predictions = dataclasses.replace(
            predictions, knn=None, labels=rng.random((2, 3)) < 0.5,
            linear=rng.standard_normal((5, 2, 3)).astype(np.float32),
        )  # fmt: skip
    path = tmp_path / "p.npz"
    path.write_bytes(predictions.to_bytes())
    loaded = Predictions.load(path)
    for field in dataclasses.fields(Predictions):
        one, two = getattr(predictions, field.name), getattr(loaded, field.name)
        if one is None:
            assert two is None
            continue
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert b"'descr': '|O'" not in archive.read(name)[:200]  # objects would be pickled


def test_same_predictions_are_the_same_bytes() -> None:
    assert make_predictions().to_bytes() == make_predictions().to_bytes()
    assert make_predictions().to_bytes() != make_predictions(1).to_bytes()
