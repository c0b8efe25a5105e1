"""The protocol xares-0.1.3: its declaration, against the settings of the package; its words."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from clips import REPOSITORY

from earmark import evaluate
from earmark.benchmark.cli.main import main
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
from earmark.tasks import builtin_tasks

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
