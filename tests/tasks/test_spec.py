"""A task as a value: its digest changes with what can change a score and with nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from task_files import DROP, load, task

from earmark.tasks import builtin_tasks


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Other"}, {"abbreviation": "O"}, {"domain": "music"}, {"description": "o"},
        {"licence": "other"}, {"citation": "other"}, {"url": "https://example.com"},
        {"weight": 7}, {"zenodo_record": "7"}, {"knn": True}, {"probe__learning_rate": DROP},
    ],
    ids=str,
)  # fmt: skip
def test_digest_ignores_what_cannot_change_a_score(changes: dict[str, Any], tmp_path: Path) -> None:
    before = load(task(), tmp_path).digest()
    (tmp_path / "elsewhere").mkdir()
    assert load(task(**changes), tmp_path / "elsewhere").digest() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"}, {"splits__test": "eval*.tar"},
        {"splits__valid": DROP}, {"label__field": "other"}, {"classes": ["hum", "hiss"]},
        {"classes": ["hiss", "hum", "roar"]}, {"crop_seconds": 5}, {"knn": False},
        {"probe__epochs": 11}, {"probe__batch_size": 33}, {"probe__learning_rate": 0.002},
        {"source__key": "(?P<source>[a-z]+)-"}, {"source": {"unit": "recording"}},
    ],
    ids=str,
)  # fmt: skip
def test_digest_changes_with_what_can(changes: dict[str, Any], tmp_path: Path) -> None:
    assert load(task(**changes), tmp_path).digest() != load(task(), tmp_path).digest()


def test_digests_of_builtin_tasks_differ() -> None:
    digests = {spec.digest() for spec in builtin_tasks().values()}
    assert len(digests) == len(builtin_tasks())
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def test_a_second_folder_is_read_and_changes_no_score(tmp_path: Path) -> None:
    assert load(task(also_in="elsewhere"), tmp_path).also_in == "elsewhere"
    assert load(task(also_in="elsewhere"), tmp_path).digest() == load(task(), tmp_path).digest()


def test_known_clips_change_no_digest(tmp_path: Path) -> None:
    plain = load(task(), tmp_path).digest()
    assert load(task(known={"clips": 30, "from": "x"}), tmp_path).digest() == plain
