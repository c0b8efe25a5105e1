"""The protocol xares-0.1.3 as a whole: its declaration, its runs, and what keeps it apart."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import REPOSITORY
from frame_tasks import write_shards
from result_files import make_result
from stand_ins import make_bert

from earmark import Leaderboard, RunResult, evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.formats import FORMATS
from earmark.benchmark.protocol import (
    CHOICES,
    PROTOCOLS,
    STRICT,
    XARES,
    Protocol,
    ProtocolError,
    protocol_label,
    protocol_named,
    standard_of,
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
SPEC = REPOSITORY.parent / "shared" / "spec" / "tasks.json"


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    """What the package's own task files say, task by task."""
    if not SPEC.is_file():
        pytest.skip(f"the package's task settings are not at hand: no file {SPEC}")
    found: dict[str, Any] = json.loads(SPEC.read_text())
    return found


# ---- its declaration


def test_every_task_is_encoded_in_batches_of_the_packages_size(declared: dict[str, Any]) -> None:
    assert set(declared) == set(builtin_tasks()) and len(declared) == 22
    found = {name: XARES.batch_of(name) for name in declared}
    assert found == {name: one["xares_encode_batch_size"] for name, one in declared.items()}


def test_splits_and_folds_are_the_packages(declared: dict[str, Any]) -> None:
    shared = set()
    for name, one in declared.items():
        spec = XARES.apply_to(builtin_tasks()[name])
        if "folds" in one["splits"]:
            folds = {str(fold): one["shards"][str(fold)] for fold in one["splits"]["folds"]}
            assert spec.folds == folds
            continue
        wanted = {split: one["shards"][part] for split, part in one["splits"].items()}
        if wanted["valid"] == wanted["test"]:
            shared.add(name)
            del wanted["valid"]  # the protocol then takes the test split itself
        assert spec.splits == wanted, name
    assert shared == {"desed", "fsd18_kaggle", "voxlingua33"}
    assert XARES.validation == "test"
    assert XARES.swapped_splits == ("clotho",)


def test_probes_weights_and_crops_are_the_packages(declared: dict[str, Any]) -> None:
    metrics = {
        "accuracy": "accuracy", "mAP": "mAP", "recallatk_r1": "recall@1", "WER_inv": "WER_inv",
        "segmentf1_macro": "segment_f1_macro", "segmentf1_micro": "segment_f1_micro",
    }  # fmt: skip
    for name, one in declared.items():
        spec = XARES.apply_to(builtin_tasks()[name])
        assert spec.metric == metrics[one["metric"]]
        assert (spec.weight, spec.crop_seconds, spec.knn, spec.title, spec.abbreviation) == (
            one["xares_weight"], one["crop_seconds"], one["knn"], one["title"], one["abbreviation"]
        ), name  # fmt: skip


SEARCH = ("learning_rates", "least_updates", "checkpoints", "patience", "tower_width")


def test_it_differs_from_strict_in_what_it_says_and_nothing_else() -> None:
    differing = {
        field.name
        for field in dataclasses.fields(Protocol)
        if getattr(STRICT, field.name) != getattr(XARES, field.name)
    }
    others = {"name", "revision", "seeds", "means", "encode_batch_of", "swapped_splits"}
    assert differing == {*CHOICES, *others, *SEARCH}
    assert STRICT.learning_rates == (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
    assert STRICT.least_updates == 3000
    # the published recipe: the task's own rate and epochs, each of which is judged
    assert [getattr(XARES, name) for name in SEARCH] == [(), 0, 0, 0.0, 1024]
    assert (XARES.seeds, XARES.means, XARES.encode_batch) == (1, ("weighted",), 16)
    assert (XARES.knn_neighbours, XARES.knn_temperature) == (10, 0.07)
    assert XARES.language_model == "Qwen/Qwen2.5-0.5B"
    for choice, values in CHOICES.items():
        assert (getattr(STRICT, choice), getattr(XARES, choice)) == values


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crops": "first in batch"}, "only where padding is 'averaged'"),
        ({"padding": "zero"}, "padding must be 'masked' or 'averaged', not 'zero'"),
        ({"encode_batch": 0}, "encode_batch must be"),
        ({"encode_batch_of": (("fsc", 0),)}, "encode_batch_of fsc must be"),
        ({"means": ()}, "means must be some of"),
        ({"means": ("median",)}, "means must be some of"),
        ({"resampler": "sox"}, "resampler must be"),
        ({"frame_features": "raw"}, "frame_features must be 'standardised' or 'layer norm'"),
        ({"learning_rates": (1e-3, 0.0)}, "a rate of learning_rates must be a number above 0"),
        ({"learning_rates": (1e-2, 1e-3)}, "learning_rates must go up, each once"),
        ({"learning_rates": (1e-3, 1e-3)}, "learning_rates must go up, each once"),
        ({"least_updates": -1}, "least_updates must be a whole number, 0 or more"),
        ({"checkpoints": 2.5}, "checkpoints must be a whole number, 0 or more"),
        ({"patience": 1.5}, "patience must be a share from 0 to 1"),
        ({"tower_width": 0}, "tower_width must be a whole number above 0"),
    ],
)
def test_choices_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        dataclasses.replace(STRICT, **changes)
    assert "\n" not in str(caught.value)


def test_labels_name_what_is_not_as_the_name_says() -> None:
    assert XARES.label == "xares-0.1.3"
    assert dataclasses.replace(XARES, seeds=4).label == "xares-0.1.3"
    columns = dataclasses.replace(STRICT, knn_normalisation="columns")
    assert columns.label == 'strict (knn_normalisation="columns")'
    items = dataclasses.replace(XARES, knn_normalisation="items")
    assert items.label == 'xares-0.1.3 (knn_normalisation="items")'
    facts = json.loads(json.dumps(dataclasses.asdict(XARES)))
    assert protocol_label(facts) == "xares-0.1.3"  # as a file holds it: lists for tuples
    for field in dataclasses.fields(Protocol):
        if field.name not in ("name", "seeds", "revision", "padding", "crops"):
            other = dataclasses.replace(XARES, **{field.name: getattr(STRICT, field.name)})
            same = getattr(STRICT, field.name) == getattr(XARES, field.name)
            assert (other.label == XARES.label) == same
            assert other.label.startswith("xares-0.1.3")


def test_names_are_looked_up() -> None:
    assert protocol_named("xares-0.1.3") is XARES
    assert standard_of(dataclasses.replace(XARES, seeds=3, knn_neighbours=1)) is XARES
    assert standard_of(Protocol("mine")) is STRICT
    with pytest.raises(
        ProtocolError, match=r"unknown protocol 'xares'; did you mean 'xares-0\.1\.3'"
    ):
        protocol_named("xares")
    with pytest.raises(ProtocolError, match=r"'zzz'; there are strict, xares-0\.1\.3"):
        protocol_named("zzz")


# ---- the command line


def fault_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["--encoder", "logmel", "--tasks", "esc50", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_words_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'xares-0.1.3'?" in fault_of(capsys, "--protocol", "xares")
    line = fault_of(capsys, "--language-model", "somewhere")
    assert "--language-model" in line and "--protocol xares-0.1.3" in line
    with pytest.raises(ProtocolError, match="did you mean"):
        evaluate("logmel", "esc50", protocol="strikt")


def test_the_list_shows_every_difference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "protocols"]) == 0
    out = capsys.readouterr().out
    assert set(PROTOCOLS) <= set(out.split())
    shown = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert shown >= {*CHOICES, "seeds", "means", "encode_batch_of", "swapped_splits", *SEARCH}
    assert not shown & {"knn_neighbours", "confidence", "language_model"}


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
