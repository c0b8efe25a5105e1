"""`check` against reference results: breaches of every kind, planted, and what must pass."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reference_files import Shell, class_predictions, put, write

from earmark.benchmark.result.files import failed_path
from earmark.tasks import builtin_tasks

FLIPPED = class_predictions(linear=[[0, 0], [1, 3], [2, 0], [3, 3]])


# --- predictions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status"),
    [([], 0), (["--exact"], 1), (["--changed", 0], 1), (["--changed", 0.2], 1),
     (["--changed", 0.25], 0)],
)  # fmt: skip
def test_planted_prediction_with_an_equal_value(
    shell: Shell, words: list[object], status: int
) -> None:
    """2 of 8 predictions (4 items, 2 seeds) changed; kNN's did not."""
    write(shell.theirs, "esc50", 0.5, 0.5)
    write(shell.mine, "esc50", 0.5, 0.5, predictions=FLIPPED)
    assert shell(*words) == status
    linear, knn = shell.cells(*words)
    assert (linear["probe"], linear["verdict"]) == ("linear", ("ok", "breach")[status])
    assert (linear["changes"]["changed"], linear["changes"]["total"]) == (2, 8)
    assert (knn["verdict"], knn["changes"]["changed"]) == ("ok", 0)
    changed = [(i["key"], i["seed"], i["was"], i["now"]) for i in linear["changes"]["items"]]
    assert changed == [("b", 1, "1", "3"), ("c", 1, "2", "0")]


def test_changed_items_are_listed_by_name(shell: Shell) -> None:
    """By the task's class names, where the result is of the task as it is declared here."""
    spec = builtin_tasks()["esc50"]
    for folder, predictions in ((shell.theirs, None), (shell.mine, FLIPPED)):
        _, result = write(folder, "esc50")
        result.task.digest = spec.digest()
        put(folder, result, predictions)
    assert shell("--exact") == 1
    assert "2 of 8 predictions changed" in shell.said
    first = f"b, seed 1 ({spec.classes[1]}): {spec.classes[1]} -> {spec.classes[3]}"
    assert first in shell.said


def test_of_many_changed_items_the_terminal_shows_a_few_and_json_all(shell: Shell) -> None:
    write(shell.theirs, "one")
    write(shell.mine, "one", predictions=class_predictions(linear=[[3, 3], [0, 0], [0, 0], [0, 0]]))
    assert shell("--exact") == 1
    assert shell.out.count(", seed ") == 5
    assert "... and 3 more" in shell.said
    assert "d, crop 1, seed" not in shell.out
    (cell,) = shell.cells("--exact")
    assert len(cell["changes"]["items"]) == 8
    assert {item["crop"] for item in cell["changes"]["items"]} == {0, 1}
    assert shell("--exact", "--format", "markdown") == 1
    assert shell.out.count(", seed ") == 8


def test_other_items_cannot_agree(shell: Shell) -> None:
    write(shell.theirs)
    write(shell.mine, predictions=replace(class_predictions(), keys=np.array([*"abce"])))
    assert shell() == 1
    assert "other items than the reference: without d (crop 1); with e (crop 1)" in shell.said
    write(shell.mine, predictions=replace(class_predictions(), labels=np.array([0, 1, 2, 2])))
    assert shell() == 1
    assert "labels are not those of the reference" in shell.said


def test_missing_predictions_leave_a_cell_unchecked(shell: Shell) -> None:
    write(shell.theirs, linear=0.5)
    path, _ = write(shell.mine, linear=0.5)
    path.with_suffix(".predictions.npz").unlink()
    assert shell() == 3
    assert path.with_suffix(".predictions.npz").name in shell.out.replace("\n", "")
    path, _ = write(shell.mine, linear=0.9)
    path.with_suffix(".predictions.npz").unlink()
    assert shell() == 1  # a breach is said all the same


def test_altered_predictions_are_a_breach(shell: Shell) -> None:
    write(shell.theirs)
    path, _ = write(shell.mine)
    path.with_suffix(".predictions.npz").write_bytes(FLIPPED.to_bytes())
    assert shell() == 1
    assert "another SHA-256" in shell.said


@pytest.mark.parametrize("damage", ["missing", "altered", "no arrays"])
def test_a_damaged_reference_cannot_be_checked_against(shell: Shell, damage: str) -> None:
    path, result = write(shell.theirs)
    write(shell.mine)
    beside = path.with_suffix(".predictions.npz")
    if damage == "missing":
        beside.unlink()
    else:
        beside.write_bytes(b"nothing")
    if damage == "no arrays":
        digest = hashlib.sha256(b"nothing").hexdigest()
        assert result.predictions is not None
        result.predictions.sha256 = digest
        path.write_text(result.to_json())
    assert shell() == 3
    assert "predictions of the reference" in shell.said


# --- exact ----------------------------------------------------------------------------------------


def test_exact_holds_one_kind_of_machine_alone(shell: Shell) -> None:
    write(shell.theirs, linear=0.5)
    write(shell.mine, linear=0.505)
    assert shell() == 0
    assert shell("--exact") == 1
    assert "not equal: value, per_seed, per_split" in shell.said
    for elsewhere in ({"processor": "B"}, {"instructions": "narrow"}, {"threads": 2}):
        write(shell.mine, linear=0.505, machine=elsewhere)
        assert shell("--exact") == 0
    _, result = write(shell.mine, linear=0.505)
    result.versions["torch"] = "2"
    put(shell.mine, result)
    assert shell("--exact") == 0
    # results of an earlier version do not say on what they were made
    for folder in (shell.mine, shell.theirs):
        _, result = write(folder, linear=0.5 if folder == shell.theirs else 0.505)
        del result.run.processor
        put(folder, result)
    assert shell("--exact") == 0


def test_exact_sees_every_field_and_every_bit(shell: Shell) -> None:
    logits = np.zeros((2, 4, 3), np.float32)
    predictions = replace(class_predictions(), linear=logits, labels=np.eye(4, 3, dtype=bool))
    write(shell.theirs, predictions=predictions)
    nearly = logits.copy()
    nearly[0, 0, 1] = -1e-7
    write(shell.mine, predictions=replace(predictions, linear=nearly))
    assert shell("--changed", 0) == 0  # the highest logit is where it was
    assert shell("--exact") == 1
    assert "predictions not equal in every bit" in shell.said
    _, result = write(shell.mine, predictions=predictions)
    assert shell("--exact") == 0
    result.scores["linear"].training_loss = [0.5]
    put(shell.mine, result, predictions)
    assert shell("--exact") == 1
    assert "not equal: training_loss" in shell.said


# --- what cannot be checked -----------------------------------------------------------------------


def test_missing_task_and_missing_encoder(shell: Shell) -> None:
    for task in ("one", "two"):
        write(shell.theirs, task)
    write(shell.theirs, encoder="mfcc")
    write(shell.mine)
    assert shell() == 3
    assert "1 ok" in shell.said and "2 not checked" in shell.out
    assert "not checked: logmel · two: not measured under" in shell.said
    assert {c["reference"] for c in shell.cells() if c["verdict"] == "not checked"} == {0.5}
    assert shell("--tasks", "one") == 3
    assert shell("--tasks", "one", "--encoder", "logmel") == 0


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"protocol": "other"}, "protocol other"),
        ({"protocol": {"name": "strict", "failed_share": 0.5}}, "failed_share=0.5"),
        ({"limit": 20}, "limit 20"),
        ({"seeds": 3}, "3 seeds"),
        ({"synthetic": True}, "synthetic data"),
    ],
)
def test_other_conditions(shell: Shell, other: dict[str, Any], said: str) -> None:
    write(shell.theirs)
    write(shell.mine, **other)
    assert shell() == 3
    assert "not measured under protocol strict, 5 seeds, real data; only under" in shell.said
    assert said in shell.said.partition("only under")[2]


def test_other_data(shell: Shell) -> None:
    write(shell.theirs, shard="00")
    write(shell.mine, shard="01")
    assert shell() == 3
    assert "other data: a.tar (test) has another SHA-256" in shell.said
    write(shell.mine, linear=0.9, shard="01")  # of other data nothing is said
    assert shell() == 3
    write(shell.mine, clips=99)
    assert shell() == 3
    assert "99 clips, in the reference 100" in shell.said
    write(shell.mine, shards=[])
    assert shell() == 3
    assert "a.tar (test) only on one side" in shell.said


def test_synthetic_audio_of_another_machine_is_the_same_data(shell: Shell) -> None:
    """Its bytes are not: sines differ in the last bits."""
    write(shell.theirs, shard="00", synthetic=True)
    write(shell.mine, shard="01", synthetic=True)
    assert shell() == 3
    write(shell.mine, shard="01", synthetic=True, machine={"processor": "B"})
    assert shell() == 0
    write(shell.mine, shard="01", synthetic=True, clips=99, machine={"processor": "B"})
    assert shell() == 3


def test_another_declaration_and_other_tokens(shell: Shell) -> None:
    write(shell.theirs)
    _, result = write(shell.mine)
    result.task.digest = "other"
    put(shell.mine, result)
    assert shell() == 3
    assert "the task is declared otherwise" in shell.said
    _, result = write(shell.mine)
    result.scores["linear"].tokens = "BERT's"
    put(shell.mine, result)
    assert shell() == 3
    assert "other tokens: BERT's, not None" in shell.said


@pytest.mark.parametrize("side", ["mine", "theirs"])
def test_a_file_that_cannot_be_read(shell: Shell, side: str) -> None:
    for folder in (shell.mine, shell.theirs):
        write(folder)
    broken = getattr(shell, side) / "broken.json"
    broken.write_text("{")
    assert shell() == 3
    assert "broken.json" in shell.said
    assert "1 file not readable" in shell.said
    write(shell.mine, linear=0.9)
    assert shell() == 1  # a breach comes first


def test_a_probe_and_a_metric_that_were_not_measured(shell: Shell) -> None:
    write(shell.theirs, linear=0.5, knn=0.5)
    write(shell.mine, linear=0.5)
    assert shell() == 3
    _, result = write(shell.mine, linear=0.5, knn=0.5)
    result.scores["knn"].metric = "mAP"
    put(shell.mine, result)
    assert shell() == 3
    assert "measured as mAP" in shell.said


# --- failures, and who is held against whom -------------------------------------------------------


def test_what_fails_now_is_a_breach(shell: Shell) -> None:
    write(shell.theirs, linear=0.5, knn=0.5)
    write(shell.mine, linear=0.5, knn=0.5, error="no memory")
    assert shell() == 1
    assert "failed: no memory" in shell.said
    assert [cell["verdict"] for cell in shell.cells()] == ["breach", "breach"]


def test_the_latest_attempt_counts(shell: Shell) -> None:
    write(shell.theirs)
    path, result = write(shell.mine)
    assert shell() == 0
    put(shell.mine, replace(result, status="failed", scores={}, error="no memory"))
    assert path.is_file() and failed_path(path).is_file()
    assert shell() == 1


def test_a_reference_that_failed_says_nothing(shell: Shell) -> None:
    write(shell.theirs, error="no disk")
    write(shell.mine)
    assert shell() == 3
    assert "the reference failed: no disk" in shell.said


def test_a_changed_fingerprint_is_what_is_checked(shell: Shell) -> None:
    write(shell.theirs, fingerprint="aaaaaaaa11")
    write(shell.mine, linear=0.9, fingerprint="bbbbbbbb22")
    assert shell() == 1
    write(shell.mine, fingerprint="aaaaaaaa11")  # the good one must not stand for the other
    assert shell() == 1
    assert {cell["encoder"] for cell in shell.cells()} == {"logmel@aaaaaaaa", "logmel@bbbbbbbb"}


def test_two_references_of_one_name_go_by_fingerprint(shell: Shell) -> None:
    for number, value in (("aaaaaaaa11", 0.3), ("bbbbbbbb22", 0.6)):
        write(shell.theirs, linear=value, fingerprint=number)
        write(shell.mine, linear=value, fingerprint=number)
    assert shell() == 0
    write(shell.mine, linear=0.6, fingerprint="cccccccc33")
    assert shell() == 3
    assert "2 encoders of this name" in shell.said


def test_an_encoder_that_the_reference_calls_otherwise(shell: Shell) -> None:
    write(shell.theirs, encoder="logmel")
    write(shell.mine, encoder="mine", linear=0.9)
    assert shell() == 3
    assert shell("--encoder", "mine=logmel") == 1
    write(shell.mine, encoder="mine")
    assert shell("--encoder", "mine=logmel") == 0


def test_what_has_no_reference_is_named_and_does_not_count(shell: Shell) -> None:
    write(shell.theirs)
    write(shell.mine)
    write(shell.mine, "two", linear=0.9)
    assert shell() == 0
    assert "without a reference: logmel, protocol strict, 5 seeds, real data: two" in shell.said


def test_cells_of_several_conditions_are_told_apart(shell: Shell) -> None:
    for folder in (shell.mine, shell.theirs):
        write(folder)
        write(folder, protocol="other", seeds=1)
    assert shell() == 0
    assert "one [strict]" in shell.said and "one [other]" in shell.said
    assert {(c["protocol"], c["seeds"], c["limit"]) for c in shell.cells()} == {
        ("strict", 5, None), ("other", 1, None),
    }  # fmt: skip
    for folder in (shell.mine, shell.theirs):
        write(folder, linear=0.6, limit=20)
    assert shell() == 0
    for name in ("one [strict, no limit]", "one [strict, limit 20]", "one [other, no limit]"):
        assert name in shell.said
