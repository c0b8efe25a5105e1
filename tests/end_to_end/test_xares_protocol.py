"""The protocol xares-0.1.3 as a whole: its runs, and what keeps it apart."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from frame_tasks import write_shards
from result_files import make_result
from stand_ins import make_bert

from earmark import Leaderboard, RunResult, evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.formats import FORMATS
from earmark.benchmark.protocol import (
    STRICT,
    XARES,
    Protocol,
)
from earmark.benchmark.result.files import (
    read_result,
    result_files,
    result_path,
)
from earmark.benchmark.result.provenance import command
from earmark.benchmark.result.schema import Predictions
from earmark.benchmark.shards.dataset import DataError
from earmark.tasks import TaskSpec, builtin_tasks

Toy = Callable[..., tuple[Path, Path]]


# ---- runs


def run(task: Path, data: Path, out: Path, *more: str) -> int:
    words = ["--encoder", "logmel", "--tasks", str(task), "--data", str(data)]
    return main([*words, "--results", str(out / "r"), "--cache", str(out / "c"), *more])


def results_in(folder: Path) -> dict[str, RunResult]:
    """By protocol."""
    return {
        result.protocol["name"]: result for result in map(read_result, result_files(folder / "r"))
    }


def left(folder: Path) -> dict[str, bytes | dict[str, Any]]:
    """What runs left of meaning: predictions and store bit for bit, results without their times."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix in (".npz", ".npy"):
            found[name] = path.read_bytes()
        elif path.suffix == ".json" and name.startswith("r/"):
            found[name] = json.loads(path.read_text())
            del found[name]["run"], found[name]["command"]
    return found


XARES_WORDS = ("--protocol", "xares-0.1.3")


def test_two_protocols_in_one_folder_are_as_each_alone(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, data = toy({"train": 40, "test": 20}, task=TWO_SPLITS)
    for out, orders in (("both", ((), XARES_WORDS)), ("turned", (XARES_WORDS, ())),
                        ("strict", ((),)), ("xares", (XARES_WORDS,))):  # fmt: skip
        for words in orders:
            assert run(task, data, tmp_path / out, *words) == 0
    alone = left(tmp_path / "strict") | left(tmp_path / "xares")
    # two results with predictions; two shards in either store, with a spread under `strict`
    assert len(alone) == 4 + 2 * 2 + 2
    assert left(tmp_path / "both") == left(tmp_path / "turned") == alone
    found = results_in(tmp_path / "both")
    strict, xares = found["strict"], found["xares-0.1.3"]
    assert (strict.data.parts["test"]["valid"], xares.data.parts["test"]["valid"]) == (4, 20)
    # logistic regression has no seeds, and Adam one here
    assert strict.scores["linear"].fits and xares.scores["linear"].best_epochs
    assert (strict.data.source_unit, xares.data.source_unit) == ("recording", "clip")
    assert xares.scores["linear"].sources == 20 == 2 * strict.scores["linear"].sources
    board, _ = Leaderboard.from_folder(tmp_path / "both" / "r")
    assert [table.caption for table in board.tables] == [
        "real data, protocol strict", "real data, protocol xares-0.1.3, 1 seed",
    ]  # fmt: skip
    # only the weighted mean is shown of what was published so
    assert [list(table.means("knn")) for table in board.tables] == [
        ["mean of sound", "mean of all", "weighted mean"], ["weighted mean"],
    ]  # fmt: skip
    markdown = FORMATS["markdown"](board)
    assert (markdown.count("weighted mean"), markdown.count("mean of sound")) == (2, 1)


TWO_SPLITS = """\
title: Toy
abbreviation: Toy
domain: sound
description: low or high tones, for tests
licence: CC0
citation: none
url: https://example.org
folder: toy
splits: {train: train-*.tar, test: test-*.tar}
label: {kind: class, field: label}
classes: [low, high]
probe: {epochs: 5, batch_size: 8}
metric: accuracy
source: {unit: recording, key: '(?P<source>r[0-9]+)-'}
"""


def test_results_protocols_mean_alone_decides_which_means_are_shown() -> None:
    results = [
        make_result(name, value, protocol=XARES.facts(), seeds=1, weight=weight, domain=domain)
        for name, value, weight, domain in (
            ("a", 0.2, 100, "speech"), ("b", 0.8, 300, "sound"), ("c", 0.5, 600, "music"),
        )
    ]  # fmt: skip
    (table,) = Leaderboard(results).tables
    means = table.means("linear")
    assert list(means) == ["weighted mean"]
    assert means["weighted mean"]["logmel"].value == pytest.approx(0.02 + 0.24 + 0.3)


def test_the_same_words_again_compute_nothing(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, data = toy({"train": 20, "valid": 6, "test": 8})
    assert run(task, data, tmp_path, *XARES_WORDS) == 0
    assert "as before" not in capsys.readouterr().err
    kept = [tmp_path / "c" / "store", *(tmp_path / "r").iterdir()]
    files = [path for folder in kept for path in folder.rglob("*") if path.is_file()]
    assert len([path for path in files if path.is_relative_to(tmp_path / "r")]) >= 2
    for path in files:
        os.utime(path, (1, 1))
    monkeypatch.setattr("earmark.benchmark.evaluation.cell.score_items", None)  # it would raise
    monkeypatch.setattr("earmark.encoders.logmel.LogMel.encode", None)
    # as by the next day's clock: what was written in this second would count as new
    written = next((tmp_path / "r").rglob("toy.json"))
    facts = json.loads(written.read_text())
    facts["run"]["started"] = "2000-01-01T00:00:00Z"
    written.write_text(json.dumps(facts))
    os.utime(written, (1, 1))
    assert run(task, data, tmp_path, *XARES_WORDS) == 0
    assert "as before" in capsys.readouterr().err
    assert {path.stat().st_mtime for path in files} == {1}


@pytest.mark.parametrize(
    "changes",
    [{}, {"seeds": 2}, {"failed_share": 0.5}, {"language_model": "some folder/model"}],
)
def test_the_command_of_a_result_makes_it_again(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    task, data = toy({"train": 20, "valid": 6, "test": 8})
    (first,) = evaluate(
        "logmel", str(task), data=data, protocol="xares-0.1.3", results=tmp_path / "one" / "r",
        limit=7, cache=tmp_path / "c", **changes,
    )  # fmt: skip
    assert first.error is None
    python, script, *words = shlex.split(first.command)
    assert (python, script) == ("python", "run_bench.py")
    assert "--language-model" not in words  # which spells nothing here
    assert main([*words, "--results", str(tmp_path / "two" / "r")]) == 0
    one, two = left(tmp_path / "one"), left(tmp_path / "two")
    assert one == two and len(one) == 2
    (again,) = map(read_result, result_files(tmp_path / "two"))
    assert again.command == first.command and again.inputs == first.inputs


def test_commands_name_builtin_tasks_and_only_what_is_not_usual() -> None:
    for name, spec in builtin_tasks().items():
        assert shlex.split(command("logmel", XARES.apply_to(spec), "data", None, XARES)) == [
            "python", "run_bench.py", "--encoder", "logmel", "--tasks", name, "--data", "data",
            "--protocol", "xares-0.1.3",
        ]  # fmt: skip
        assert "--protocol" not in command("logmel", spec, "data", None, STRICT)
    changed = dataclasses.replace(builtin_tasks()["esc50"], knn=False, path="mine.yaml")
    assert "--tasks mine.yaml" in command("logmel", XARES.apply_to(changed), "data", None, XARES)
    other = dataclasses.replace(XARES, language_model="a b")
    assert "--language-model 'a b'" in command("logmel", changed, "data", None, other)


def test_files_of_the_protocol(tmp_path: Path) -> None:
    def path(protocol: Protocol, seeds: int | None = None) -> Path:
        return result_path(
            tmp_path, encoder="logmel", fingerprint="0123456789", protocol=protocol.label,
            task="toy", synthetic=False, limit=None, seeds=seeds,
        )  # fmt: skip

    usual = path(XARES)
    assert usual == tmp_path / "logmel-01234567" / "xares-0.1.3" / "toy.json"
    names = ("a/b", "a/c", "/x/a/b", "a-b", "a//b", "/a/b", "/" + "long/" * 80, "/" + "long/" * 81)
    models = [dataclasses.replace(XARES, language_model=name) for name in names]
    paths = {usual, path(STRICT), path(XARES, 5), *map(path, models)}
    assert len(paths) == 3 + len(names)
    for one in paths:
        folder = one.relative_to(tmp_path).parts[1]
        assert len(one.relative_to(tmp_path).parts) == 3 and len(folder) < 150


def test_a_language_model_alters_the_task_that_it_spells_alone(toy: Toy, tmp_path: Path) -> None:
    task, data = toy({"train": 20, "valid": 6, "test": 8})
    common: dict[str, Any] = {"data": data, "results": tmp_path / "r", "protocol": "xares-0.1.3"}
    first, second = (
        evaluate("logmel", str(task), language_model=name, **common)[0] for name in ("a b", "a-b")
    )
    assert first.inputs == second.inputs and second.protocol == XARES.facts()
    other = dataclasses.replace(XARES, language_model="a b")
    for spec in builtin_tasks().values():
        label = other.for_task(spec).label
        spelt = spec.name == "librispeech_100h"
        assert label == ('xares-0.1.3 (language_model="a b")' if spelt else "xares-0.1.3")


def test_a_run_of_one_seed_has_no_seeds_in_its_name_and_of_five_it_has(
    toy: Toy, tmp_path: Path
) -> None:
    task, data = toy({"train": 20, "valid": 6, "test": 8})
    assert run(task, data, tmp_path, *XARES_WORDS) == 0
    assert run(task, data, tmp_path, *XARES_WORDS, "--seeds", "5") == 0
    names = sorted(path.name for path in (tmp_path / "r").rglob("toy*.json"))
    assert names == ["toy.json", "toy.seeds-5.json"]


def test_clothos_synthetic_twin_keeps_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The splits change places in what is tested, not in what is made."""
    asked: list[TaskSpec] = []

    def synthesise(spec: TaskSpec, *_: Any) -> Path:
        asked.append(spec)
        raise DataError("that will do")

    monkeypatch.setattr("earmark.benchmark.synthetic.synthesise", synthesise)
    (result,) = evaluate(
        "logmel", "clotho", protocol="xares-0.1.3", data="synthetic", results=tmp_path / "r"
    )
    assert result.error == "that will do"
    assert asked == [builtin_tasks()["clotho"]]


def captions_of(data: Path) -> None:
    """Shards by the names of Clotho's, with so many clips each."""
    counts = {"development": 6, "validation": 3, "evaluation": 4}
    write_shards(data / "raw", "captions", counts=counts)
    (data / "clotho").mkdir()
    for name in counts:
        source = data / "raw" / "captions" / f"{name}-000.tar"
        source.rename(data / "clotho" / f"clotho_{name}-000.tar")


@pytest.mark.parametrize(("protocol", "tested"), [(XARES, "validation"), (STRICT, "evaluation")])
def test_clotho_is_tested_on_what_the_protocol_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: Protocol, tested: str
) -> None:
    captions_of(tmp_path)
    make_bert(tmp_path / "hub" / "models--google-bert--bert-base-uncased", as_cache=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    protocol = dataclasses.replace(protocol, tower_width=12, least_updates=0)
    clotho = builtin_tasks()["clotho"]
    spec = dataclasses.replace(
        clotho, label=dataclasses.replace(clotho.label, fields=("one", "two")), crop_seconds=None
    )
    (result,) = evaluate(
        "logmel", spec, data=tmp_path, protocol=protocol, seeds=1, results=tmp_path / "r"
    )
    assert result.error is None
    (file,) = (tmp_path / "r").rglob("*.npz")
    keys = Predictions.load(file).keys.tolist()
    assert keys == [f"{tested}{i:03d}" for i in range({"validation": 3, "evaluation": 4}[tested])]
    assert result.data.items["train"] == 6


def test_one_fault_alone_is_a_protocol_of_its_own(toy: Toy, tmp_path: Path) -> None:
    task, data = toy({"train": 30, "valid": 6, "test": 20})
    common: dict[str, Any] = {"data": data, "results": tmp_path / "r", "seeds": 1}
    columns = dataclasses.replace(STRICT, knn_normalisation="columns")
    one, other = (
        evaluate("logmel", str(task), protocol=protocol, **common)[0]
        for protocol in (STRICT, columns)
    )
    assert len(list(result_files(tmp_path / "r"))) == 2
    assert one.scores["linear"].value == other.scores["linear"].value
    assert [table.protocol for table in Leaderboard([one, other]).tables] == [
        "strict", columns.label,
    ]  # fmt: skip
